// A chart of counts over time, one colour for each of the most frequent values. The counts come from `Bins`. Arrow keys go from
// bar to bar, Enter chooses one; a pointer chooses one bar or drags over many.
import { Bins } from "./bins.js";
import { h, s, seen } from "./dom.js";
import { number, span, utc } from "./format.js";
import { coded } from "./routes.js";

/** Values that have a colour of their own. */
const SERIES_MAX = 6;
const OTHER = "other values";
/** Units of the drawing for a bar with its gap, and for the height of the highest bar. */
const BAR_UNITS = 10;
const HEIGHT_UNITS = 100;
/** Values whose colour means something: these keep it in every chart. */
const FIXED = new Map([
  ["imessage", "series-imessage"],
  ["sms", "series-sms"],
  ["none", "series-none"],
  ["refused", "series-refused"],
  ["change", "series-change"],
  ["(no value)", "series-absent"],
]);

/**
 * @typedef {object} Histogram
 * @property {HTMLElement} element
 * @property {(bins: Bins) => void} show draws these counts
 */

/**
 * @param {object} given
 * @param {string} given.label what is counted
 * @param {(from: number, until: number) => void} given.onRange takes the chosen instants, in milliseconds since the Unix epoch
 * @param {(value: string) => void} given.onValue takes the value that was chosen in the legend
 * @returns {Histogram}
 */
export function histogram({ label, onRange, onValue }) {
  let bins = new Bins();
  let current = -1;
  let dragFrom = -1;
  const svg = s("svg", { preserveAspectRatio: "none", "aria-hidden": "true" });
  const highest = h("span", { class: "histogram-highest" });
  const plot = h("div", { class: "histogram-plot", role: "slider", tabindex: 0, "aria-label": label, "aria-valuemin": 0 }, highest, svg);
  const from = h("span", {});
  const until = h("span", {});
  const said = h("p", { class: "histogram-said" });
  const legend = h("ul", { class: "legend" });
  const element = h("figure", { class: "histogram" },
    plot, h("div", { class: "histogram-axis" }, from, said, until), legend);

  /** @param {number} index */
  const describe = (index) => {
    const bin = bins.at(index);
    const total = sum(bin.counts);
    const parts = [...bin.counts].sort((a, b) => b[1] - a[1]).slice(0, 3).map(([value, n]) => `${seen(coded(value))} ${number(n)}`);
    return `${utc(bin.from)}, ${span((bin.until - bin.from) / 1000)}: ${number(total)}${parts.length > 1 ? ` (${parts.join(", ")})` : ""}`;
  };
  /** @param {number} index */
  const point = (index) => {
    if (bins.length === 0) return;
    current = Math.max(0, Math.min(index, bins.length - 1));
    const text = describe(current);
    plot.setAttribute("aria-valuenow", String(current));
    plot.setAttribute("aria-valuetext", text);
    said.textContent = text;
    mark(svg, Math.min(current, dragFrom < 0 ? current : dragFrom), Math.max(current, dragFrom));
  };
  /** @param {number} a @param {number} b */
  const choose = (a, b) => {
    if (bins.length === 0) return;
    onRange(bins.at(Math.min(a, b)).from, bins.at(Math.max(a, b)).until);
  };
  /** @param {PointerEvent} event */
  const under = (event) => {
    const box = svg.getBoundingClientRect();
    return Math.floor(((event.clientX - box.left) / box.width) * bins.length);
  };
  plot.addEventListener("pointermove", (event) => point(under(event)));
  plot.addEventListener("pointerdown", (event) => {
    plot.setPointerCapture(event.pointerId);
    point(under(event));
    dragFrom = current;
  });
  plot.addEventListener("pointerup", () => {
    const began = dragFrom;
    dragFrom = -1;
    if (began >= 0) choose(began, current);
  });
  plot.addEventListener("pointercancel", () => (dragFrom = -1));
  plot.addEventListener("keydown", (event) => {
    const to = target(event.key, current, bins.length);
    if (to !== undefined) point(to);
    else if (event.key === "Enter" && current >= 0) choose(current, current);
    else return;
    event.preventDefault();
  });

  return {
    element,
    show(shown) {
      const isOther = shown !== bins;
      bins = shown;
      const top = bins.top(SERIES_MAX);
      const classes = colours(top.map(([value]) => value));
      draw(svg, bins, classes);
      highest.textContent = bins.length === 0 ? "" : number(tallest(bins));
      from.textContent = bins.length === 0 ? "" : utc(bins.at(0).from);
      until.textContent = bins.length === 0 ? "" : utc(bins.at(bins.length - 1).until);
      plot.setAttribute("aria-valuemax", String(Math.max(0, bins.length - 1)));
      if (isOther || current >= bins.length) current = -1;
      if (current >= 0) {
        point(current);
      } else {
        said.textContent = bins.length === 0 ? "" : `one bar: ${span(bins.width / 1000)}`;
        plot.setAttribute("aria-valuenow", "0");
        plot.setAttribute("aria-valuetext", "no bar chosen");
      }
      update(legend, entries(bins, top, classes, onValue));
    },
  };
}

/**
 * @param {string} key
 * @param {number} current
 * @param {number} length
 * @returns {number | undefined} the bar that the key goes to
 */
function target(key, current, length) {
  switch (key) {
    case "ArrowLeft": case "ArrowDown": return current - 1;
    case "ArrowRight": case "ArrowUp": return current + 1;
    case "Home": return 0;
    case "End": return length - 1;
    case "PageUp": return current - 10;
    case "PageDown": return current + 10;
    default: return undefined;
  }
}

/**
 * @param {string[]} values
 * @returns {Map<string, string>} the class of each value's colour
 */
function colours(values) {
  return new Map(values.map((value, at) => [value, FIXED.get(value) ?? `series-${at}`]));
}

/**
 * @param {Bins} bins
 * @param {[string, number][]} top
 * @param {Map<string, string>} classes
 * @param {(value: string) => void} onValue
 */
function entries(bins, top, classes, onValue) {
  const all = top.map(([value, n]) => h("li", { "data-value": value },
    h("button", { type: "button", class: "legend-value", onclick: () => onValue(value) },
      swatch(classes.get(value) ?? ""), h("bdi", {}, seen(coded(value))), h("span", { class: "count" }, number(n)))));
  const rest = sum(bins.totals) - top.reduce((total, [, n]) => total + n, 0);
  if (rest > 0) {
    const others = `${number(bins.totals.size - top.length)} ${OTHER}`;
    all.push(h("li", { class: "legend-rest", "data-value": others }, swatch("series-other"), others, h("span", { class: "count" }, number(rest))));
  }
  return all;
}

/**
 * Shows other entries. If only counts differ, the entries stay, and with them the focus.
 * @param {HTMLElement} legend
 * @param {HTMLElement[]} entries
 */
function update(legend, entries) {
  const shown = /** @type {HTMLElement[]} */ ([...legend.children]);
  const isSame = shown.length === entries.length && shown.every((entry, at) => entry.dataset.value === entries[at].dataset.value);
  if (!isSame) return legend.replaceChildren(...entries);
  shown.forEach((entry, at) => entry.querySelector(".count")?.replaceWith(entries[at].querySelector(".count") ?? ""));
}

/** @param {string} name */
function swatch(name) {
  return h("span", { class: `swatch ${name}`, "aria-hidden": "true" });
}

/**
 * @param {SVGElement} svg
 * @param {Bins} bins
 * @param {Map<string, string>} classes
 */
function draw(svg, bins, classes) {
  const highest = tallest(bins);
  svg.setAttribute("viewBox", `0 0 ${Math.max(1, bins.length) * BAR_UNITS} ${HEIGHT_UNITS}`);
  const bars = [];
  for (let index = 0; index < bins.length; index += 1) {
    let y = HEIGHT_UNITS;
    for (const [name, n] of byClass(bins.at(index).counts, classes)) {
      const height = (n / highest) * HEIGHT_UNITS;
      y -= height;
      bars.push(bar(index, y, height, name, { "data-from": bins.at(index).from, "data-count": n }));
    }
  }
  svg.replaceChildren(...bars);
}

/**
 * The counts of each colour, in the order of the legend.
 * @param {Map<string, number>} counts
 * @param {Map<string, string>} classes
 */
function byClass(counts, classes) {
  /** @type {Map<string, number>} */
  const found = new Map();
  for (const [value, name] of classes) {
    const n = counts.get(value);
    if (n !== undefined) found.set(name, n);
  }
  const rest = sum(counts) - sum(found);
  if (rest > 0) found.set("series-other", rest);
  return found;
}

/**
 * @param {number} index
 * @param {number} y
 * @param {number} height
 * @param {string} name
 * @param {import("./dom.js").Properties} [data]
 */
function bar(index, y, height, name, data) {
  const x = index * BAR_UNITS + 0.5;
  return s("rect", { x, y: y.toFixed(2), width: BAR_UNITS - 1, height: height.toFixed(2), class: name, ...data });
}

/**
 * Shades the bars from `first` to `last`.
 * @param {SVGElement} svg
 * @param {number} first
 * @param {number} last
 */
function mark(svg, first, last) {
  svg.querySelector(".histogram-mark")?.remove();
  const shade = bar(first, 0, HEIGHT_UNITS, "histogram-mark");
  shade.setAttribute("x", String(first * BAR_UNITS));
  shade.setAttribute("width", String((last - first + 1) * BAR_UNITS));
  svg.prepend(shade);
}

/** @param {Bins} bins */
function tallest(bins) {
  let highest = 1;
  for (const counts of bins.counts.values()) highest = Math.max(highest, sum(counts));
  return highest;
}

/** @param {Map<string, number>} counts */
function sum(counts) {
  let total = 0;
  for (const n of counts.values()) total += n;
  return total;
}
