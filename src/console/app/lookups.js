// Lookups of the last hour by route, from the counters of `/metrics`: as bars and as figures.

import { h, replace, s } from "./dom.js";
import { number, span } from "./format.js";
import { routeMark } from "./routes.js";

/** @typedef {import("./metrics.js").Metrics} Metrics */
/** @typedef {{ at: number, counts: Record<string, number> }} Sample counts since the server's start */

/** Bars, a minute each. */
const BARS = 60;
const BAR_MS = 60_000;
const [WIDTH, HEIGHT] = [600, 72];
/** Routes from the bottom of a bar to its top. */
const ROUTES = /** @type {const} */ (["imessage", "sms", "none", "refused"]);

/** What the counters of the server's run add up to, kept while the page is open: the view may come and go. @type {Sample[]} */
const samples = [];

export class LookupChart {
  constructor() {
    this.svg = s("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true", class: "bars" });
    this.since = h("span", { class: "soft" });
    this.figures = h("dl", { class: "figures" });
    this.refusals = h("p", { class: "hint" });
    this.element = h("div", {}, h("div", { class: "head" }, h("h2", {}, "Lookups"), this.since), this.svg, this.figures, this.refusals);
  }

  /** @param {Metrics} metrics */
  add(metrics) {
    const sample = { at: Date.now(), counts: counts(metrics) };
    const last = samples.at(-1);
    // A restart begins at zero.
    if (last && ROUTES.some((route) => sample.counts[route] < last.counts[route])) samples.length = 0;
    samples.push(sample);
    while (samples[0].at < sample.at - (BARS + 1) * BAR_MS) samples.shift();
    this.#draw(sample, metrics);
  }

  /** @param {Sample} now @param {Metrics} metrics */
  #draw(now, metrics) {
    const hour = samples.find(({ at }) => at >= now.at - BARS * BAR_MS) ?? now;
    const seconds = (now.at - hour.at) / 1000;
    replace(this.since, seconds < 1 ? "counting from now on" : `in the last ${span(seconds)}, since the console was opened`);
    if (seconds >= BARS * 60 - 10) replace(this.since, "in the last hour");
    const first = seconds < 1;
    replace(
      this.figures,
      ...ROUTES.map((route) => {
        const count = now.counts[route] - hour.counts[route];
        const mark = route === "refused" ? routeMark(null, "Refused") : routeMark(route);
        const rate = first ? "" : `${(count / seconds).toFixed(1)} a second`;
        return h("div", { "data-count": route }, h("dt", {}, mark), h("dd", {}, number(count)), h("dd", { class: "soft" }, rate));
      }),
    );
    replace(this.refusals, refusals(metrics));
    replace(this.svg, ...bars(now.at));
  }
}

/** @param {Metrics} metrics */
function counts(metrics) {
  /** @type {Record<string, number>} */
  const counts = { imessage: 0, sms: 0, none: 0, refused: 0 };
  for (const { labels, value } of metrics.all("dispatchd_lookups_total")) counts[labels.route] = (counts[labels.route] ?? 0) + value;
  for (const { value } of metrics.all("dispatchd_lookups_unrecorded_total")) counts.refused += value;
  return counts;
}

/** The limits that refused most since the server's start, in a sentence. @param {Metrics} metrics */
function refusals(metrics) {
  const limits = metrics.all("dispatchd_refusals_total").filter(({ value }) => value > 0);
  limits.sort((one, other) => other.value - one.value);
  if (limits.length === 0) return "No limit has refused anything since the server started.";
  const told = limits.slice(0, 4).map(({ labels, value }) => `${labels.limit} ${number(value)}`);
  return `Refused by limits since the server started: ${told.join(", ")}.`;
}

/** @param {number} now */
function bars(now) {
  const end = Math.ceil(now / BAR_MS) * BAR_MS;
  const minutes = Array.from({ length: BARS }, () => ({ imessage: 0, sms: 0, none: 0, refused: 0 }));
  for (let at = 1; at < samples.length; at += 1) {
    const minute = minutes[BARS - 1 - Math.floor((end - samples[at].at) / BAR_MS)];
    if (minute === undefined) continue;
    for (const route of ROUTES) minute[route] += samples[at].counts[route] - samples[at - 1].counts[route];
  }
  const most = Math.max(1, ...minutes.map((minute) => ROUTES.reduce((sum, route) => sum + minute[route], 0)));
  const width = WIDTH / BARS;
  const base = s("line", { class: "base", x1: 0, x2: WIDTH, y1: HEIGHT - 0.5, y2: HEIGHT - 0.5 });
  return [base, ...minutes.flatMap((minute, at) => {
    let top = HEIGHT;
    return ROUTES.filter((route) => minute[route] > 0).map((route) => {
      const height = (minute[route] / most) * (HEIGHT - 4);
      top -= height;
      return s("rect", { class: `bar-${route}`, x: at * width + 1, y: top, width: width - 2, height });
    });
  })];
}
