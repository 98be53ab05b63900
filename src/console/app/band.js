// The band: 30 days of one handle in the colours of its answers, with a mark for each change and for lookups.

import { h, replace, s } from "./dom.js";
import { span as spanText, time, utc } from "./format.js";
import { name, routeMark } from "./routes.js";
import { told } from "./sentences.js";
import { table } from "./table.js";

/** @typedef {import("./types.js").TimelineEntry} Entry */
/** @typedef {import("./spans.js").Span} Span */

const HEIGHT = 92;
const TOP = 22;
const BAND = 36;
/** The shortest window that can be zoomed to, in milliseconds. */
const WINDOW_LEAST = 2000;
/** Pixels that a letter of a span's name takes at most, and those beside the name. */
const [LETTER, BESIDE] = [8, 16];
/** The part of the band that the entries must take: less is shown zoomed. */
const SEEN_LEAST = 0.03;
/** How much a step of the wheel or a key zooms. */
const ZOOM = 1.5;
/** Distances between the axis' labels, in milliseconds. */
const STEPS = [1, 5, 15, 30, 60, 300, 900, 1800, 3600, 10800, 21600, 43200, 86400, 172800, 432000, 864000].map((it) => it * 1000);

/** How the band is used with a pointer, and on a screen that is touched. */
const [POINTER, TOUCH] = ["Point at a mark, or use the arrow keys. Drag or turn the wheel to zoom.", "Touch a mark. Drag, or use the buttons, to zoom."];
/** The heading of the whole band. */
const WHOLE = "The last 30 days";

export class Band {
  #width = 800;
  /** The entry that the caption shows; -1 for none. */
  #at = -1;
  /** Where a drag began, in pixels. @type {number | null} */
  #dragged = null;

  /**
   * @param {readonly Span[]} spans
   * @param {readonly Entry[]} entries
   * @param {number} from
   * @param {number} until
   */
  constructor(spans, entries, from, until) {
    this.spans = spans;
    this.entries = entries;
    this.whole = { from, until };
    this.shown = { from, until };
    this.heading = h("h2", { id: "band-title" }, WHOLE);
    this.svg = s("svg", { "aria-hidden": "true", height: HEIGHT });
    this.caption = h("p", { class: "caption", "aria-live": "polite" });
    const label = "Colours of the last 30 days. Arrow keys go from entry to entry, plus and minus zoom, Shift and arrow keys move, zero shows all.";
    this.plot = h("div", { class: "band", tabindex: 0, role: "application", "aria-label": label }, this.svg);
    const button = (/** @type {string} */ text, /** @type {string} */ title, /** @type {() => void} */ act) =>
      h("button", { class: "button quiet", type: "button", "aria-label": title, title, onclick: act }, text);
    this.element = h(
      "div",
      {},
      this.plot,
      h(
        "div",
        { class: "band-tools" },
        this.caption,
        h(
          "div",
          {},
          button("−", "Zoom out", () => this.#zoom(ZOOM, this.#middle())),
          button("+", "Zoom in", () => this.#zoom(1 / ZOOM, this.#middle())),
          button("Changes", "Zoom to the changes", () => this.#showEntries()),
          button("30 days", "Show all 30 days", () => this.#show(from, until)),
        ),
      ),
      asTable(spans),
    );
    this.#listen();
    this.#tell(-1);
    // A young handle would be a line at the right edge.
    if (entries.length > 0 && until - Date.parse(entries[0].at) < (until - from) * SEEN_LEAST) this.#showEntries();
  }

  #listen() {
    const { plot } = this;
    new ResizeObserver(() => {
      this.#width = Math.max(plot.clientWidth, 200);
      this.#draw();
    }).observe(plot);
    plot.addEventListener("keydown", (event) => this.#key(event));
    plot.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    plot.addEventListener("pointerdown", (event) => {
      this.#dragged = this.#x(event);
      plot.setPointerCapture(event.pointerId);
    });
    plot.addEventListener("pointermove", (event) => this.#move(this.#x(event)));
    plot.addEventListener("pointerup", (event) => this.#drop(this.#x(event)));
    plot.addEventListener("pointercancel", () => this.#drop(null));
    plot.addEventListener("dblclick", () => this.#show(this.whole.from, this.whole.until));
  }

  /** @param {PointerEvent | WheelEvent} event */
  #x(event) {
    return event.clientX - this.plot.getBoundingClientRect().left;
  }

  /** The instant at a pixel. @param {number} x */
  #instant(x) {
    const { from, until } = this.shown;
    return from + (x / this.#width) * (until - from);
  }

  /** The pixel of an instant. @param {number} at */
  #place(at) {
    const { from, until } = this.shown;
    return ((at - from) / (until - from)) * this.#width;
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const last = this.entries.length - 1;
    const [from, until] = [this.whole.from, this.whole.until];
    /** @type {Record<string, () => void>} */
    const acts = {
      "+": () => this.#zoom(1 / ZOOM, this.#middle()),
      "=": () => this.#zoom(1 / ZOOM, this.#middle()),
      "-": () => this.#zoom(ZOOM, this.#middle()),
      0: () => this.#show(from, until),
      ArrowLeft: () => (event.shiftKey ? this.#pan(-0.2) : this.#select(this.#at < 0 ? last : Math.max(0, this.#at - 1))),
      ArrowRight: () => (event.shiftKey ? this.#pan(0.2) : this.#select(Math.min(last, this.#at + 1))),
      Home: () => this.#select(0),
      End: () => this.#select(last),
    };
    const act = acts[event.key];
    if (act === undefined) return;
    event.preventDefault();
    act();
  }

  /** @param {WheelEvent} event */
  #wheel(event) {
    if (event.deltaY === 0) return;
    event.preventDefault();
    this.#zoom(event.deltaY > 0 ? ZOOM : 1 / ZOOM, this.#x(event) / this.#width);
  }

  /** @param {number} x */
  #move(x) {
    if (this.#dragged !== null && Math.abs(x - this.#dragged) > 4) return this.#draw(x);
    const at = nearest(this.entries, this.#instant(x));
    const isNear = at >= 0 && Math.abs(this.#place(Date.parse(this.entries[at].at)) - x) < 14;
    if (isNear !== this.#at >= 0 || (isNear && at !== this.#at)) this.#tell(isNear ? at : -1);
  }

  /** Zooms to what was dragged over. @param {number | null} x */
  #drop(x) {
    const begun = this.#dragged;
    this.#dragged = null;
    if (begun === null || x === null || Math.abs(x - begun) <= 4) return this.#draw();
    this.#show(this.#instant(Math.min(begun, x)), this.#instant(Math.max(begun, x)));
  }

  /** Around what a key zooms, as a part of the width: the entry that is told, or the middle. */
  #middle() {
    const entry = this.entries[this.#at];
    return entry === undefined ? 0.5 : Math.min(Math.max(this.#place(Date.parse(entry.at)) / this.#width, 0), 1);
  }

  /** @param {number} by @param {number} around a part of the width */
  #zoom(by, around) {
    const { from, until } = this.shown;
    const [width, middle] = [(until - from) * by, from + (until - from) * around];
    this.#show(middle - width * around, middle + width * (1 - around));
  }

  /** @param {number} by a part of the width */
  #pan(by) {
    const { from, until } = this.shown;
    const most = this.whole.until - until;
    const least = this.whole.from - from;
    const move = Math.min(Math.max((until - from) * by, least), most);
    this.#show(from + move, until + move);
  }

  #showEntries() {
    if (this.entries.length === 0) return;
    const first = Date.parse(this.entries[0].at);
    const margin = Math.max((this.whole.until - first) * 0.06, WINDOW_LEAST / 2);
    this.#show(first - margin, this.whole.until);
  }

  /** @param {number} from @param {number} until */
  #show(from, until) {
    const width = Math.min(Math.max(until - from, WINDOW_LEAST), this.whole.until - this.whole.from);
    const begin = Math.min(Math.max(from, this.whole.from), this.whole.until - width);
    this.shown = { from: begin, until: begin + width };
    const isWhole = width >= this.whole.until - this.whole.from;
    replace(this.heading, isWhole ? WHOLE : `${WHOLE}, zoomed to ${spanText(width / 1000)}`);
    this.#draw();
  }

  /** Shows an entry, and the time around it. @param {number} at */
  #select(at) {
    if (at < 0) return;
    const when = Date.parse(this.entries[at].at);
    const { from, until } = this.shown;
    if (when < from || when > until) this.#show(when - (until - from) / 2, when + (until - from) / 2);
    this.#tell(at);
  }

  /** @param {number} at */
  #tell(at) {
    this.#at = at;
    const entry = this.entries[at];
    if (entry === undefined) {
      replace(this.caption, h("span", { class: "soft" }, matchMedia("(pointer: coarse), (max-width: 40rem)").matches ? TOUCH : POINTER));
    } else {
      const answer = entry.kind === "lookups" && routeMark(entry.route, entry.route === null ? "Refused" : undefined);
      replace(this.caption, time(entry.at), " ", answer, " ", h("span", { class: "sentence" }, told(entry)));
    }
    this.#draw();
  }

  /** @param {number} [dragX] where a drag is now */
  #draw(dragX) {
    const { svg } = this;
    svg.setAttribute("width", String(this.#width));
    svg.setAttribute("viewBox", `0 0 ${this.#width} ${HEIGHT}`);
    const dragged = this.#dragged;
    replace(svg, ...this.#axis(), ...this.spans.flatMap((span) => this.#span(span)), ...this.#marks(),
      dragX !== undefined && dragged !== null &&
        s("rect", { class: "drag", x: Math.min(dragged, dragX), y: TOP, width: Math.abs(dragX - dragged), height: BAND }));
  }

  /** @param {Span} span */
  #span({ from, until, route }) {
    const [left, right] = [Math.max(0, this.#place(from)), Math.min(this.#width, this.#place(until))];
    if (right < 0 || left > this.#width) return [];
    const width = Math.max(right - left, 1.5);
    const rect = s("rect", {
      class: `span span-${route ?? "unknown"}`,
      x: left,
      y: TOP,
      width,
      height: BAND,
      "data-route": route ?? "unknown",
      "data-from": new Date(from).toISOString(),
      "data-until": new Date(until).toISOString(),
    });
    if (width < name(route).length * LETTER + BESIDE) return [rect];
    return [rect, s("text", { class: route === null ? "name unknown" : "name", x: left + 9, y: TOP + BAND / 2 + 4.5 }, name(route))];
  }

  /** Changes stand above the band, lookups in its lower edge. */
  #marks() {
    const { from, until } = this.shown;
    let lastX = -Infinity;
    return this.entries.flatMap((entry, at) => {
      const when = Date.parse(entry.at);
      if (when < from || when > until) return [];
      const x = this.#place(when);
      const isChosen = at === this.#at;
      // Marks that nobody could tell apart are drawn once.
      if (!isChosen && entry.kind === "lookups" && x - lastX < 1) return [];
      lastX = entry.kind === "lookups" ? x : lastX;
      const chosen = isChosen ? " chosen" : "";
      if (entry.kind === "lookups") return [s("rect", { class: `lookup${chosen}`, x: x - 1, y: TOP + BAND - 9, width: isChosen ? 4 : 2, height: 9 })];
      return [s("path", { class: `change${chosen}`, "data-at": entry.at, d: `M${x - 5} ${TOP - 12}h10l-5 10z` })];
    });
  }

  #axis() {
    const { from, until } = this.shown;
    const least = ((until - from) / this.#width) * 105;
    const step = STEPS.find((step) => step >= least) ?? STEPS[STEPS.length - 1];
    const places = [];
    for (let at = Math.ceil(from / step) * step; at < until; at += step) places.push(at);
    return places.flatMap((at) => {
      const x = this.#place(at);
      if (x > this.#width - 60) return [];
      const text = utc(at);
      const label = step >= 86_400_000 ? text.slice(5, 10) : step >= 60_000 ? text.slice(5, 16) : text.slice(11);
      return [
        s("line", { class: "tick", x1: x, x2: x, y1: TOP + BAND, y2: TOP + BAND + 6 }),
        s("text", { class: "label", x, y: TOP + BAND + 21 }, label),
      ];
    });
  }
}

/** The index of the entry nearest to an instant; -1 if there is none. @param {readonly Entry[]} entries @param {number} instant */
function nearest(entries, instant) {
  let best = -1;
  let least = Infinity;
  entries.forEach((entry, at) => {
    const distance = Math.abs(Date.parse(entry.at) - instant);
    // A change is what one looks for.
    if (distance < least || (distance === least && entry.kind === "change")) [best, least] = [at, distance];
  });
  return best;
}

/** The same as a table. @param {readonly Span[]} spans */
function asTable(spans) {
  const line = (/** @type {Span} */ { from, until, route }) =>
    h(
      "tr",
      {},
      h("td", {}, routeMark(route)),
      h("td", { "data-label": "From" }, time(new Date(from).toISOString())),
      h("td", { "data-label": "Until" }, time(new Date(until).toISOString())),
      h("td", { class: "number", "data-label": "For" }, spanText((until - from) / 1000)),
    );
  return h(
    "details",
    { class: "as-table" },
    h("summary", {}, "As a table"),
    table("Answers over time", ["Answer", "From (UTC)", "Until (UTC)", "#For"], spans.toReversed().map(line), "stack"),
  );
}
