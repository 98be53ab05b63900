// Whether the service is well: what the first view shows while its box is empty. It reads no record until somebody asks for that.

import { Gone, isAborted } from "./api.js";
import { h, replace } from "./dom.js";
import { bytes, number, span, time } from "./format.js";
import { LookupChart } from "./lookups.js";
import { Metrics } from "./metrics.js";
import { failure } from "./shell.js";
import { mountTail } from "./tail.js";
import { mountFlips } from "./topflips.js";

/** @typedef {import("./types.js").Context} Context */
/** @typedef {{ label: string, state: "good" | "warn" | "bad", value: string, more: import("./dom.js").Child, key: string }} Sign a part of the service, how it
 *  is, a figure, and what to know about it */

/** How often the figures are read, in milliseconds. */
const EVERY = 5000;
/** An hour of the log. */
const HOUR_S = 3600;
/** Free space below which the console warns, as a part of what is set aside. */
const SPACE_WARN = 4;

/**
 * @param {HTMLElement} root
 * @param {Context} ctx
 * @returns {() => void}
 */
export function mountHealth(root, ctx) {
  ctx.command(["dispatchd", "registry", "stats"]);
  const left = new AbortController();
  const signal = AbortSignal.any([ctx.signal, left.signal]);
  const state = h("p", { class: "state", role: "status" });
  const signs = h("dl", { class: "signs" });
  const chart = new LookupChart();
  const fault = h("div", {});
  const readers = h("div", { class: "cards wide" });
  replace(
    root,
    fault,
    h("section", { class: "card", "aria-label": "Health" }, h("div", { class: "head" }, h("h2", {}, "Service"), state), signs),
    h("section", { class: "card", "aria-label": "Lookups" }, chart.element),
    readers,
  );
  const ends = [mountTail(readers, ctx, signal), mountFlips(readers, ctx)];
  let timer = 0;
  const look = async () => {
    try {
      const metrics = new Metrics(await ctx.api.text("/metrics", "text/plain", { signal }));
      replace(fault);
      show(signs, state, metrics);
      chart.add(metrics);
    } catch (error) {
      if (isAborted(error)) return;
      // The banner tells that the server is gone, and the view begins anew when it is back.
      replace(fault, !(error instanceof Gone) && failure(error, look));
      doubt(signs, state);
      return;
    }
    timer = setTimeout(look, EVERY);
  };
  look();
  return () => {
    left.abort();
    clearTimeout(timer);
    for (const end of ends) end();
  };
}

/**
 * @param {HTMLElement} signs
 * @param {HTMLElement} state
 * @param {Metrics} metrics
 */
function show(signs, state, metrics) {
  const all = [lookups(metrics), log(metrics), audit(metrics), registry(metrics), clock(metrics), disk(metrics), nextKey(metrics)];
  const faults = all.filter((sign) => sign.state !== "good");
  const text = faults.length === 0 ? "Everything works" : faults.map((sign) => sign.label).join(", ") + (faults.length === 1 ? " needs" : " need") + " attention";
  if (state.textContent !== text) replace(state, text);
  state.className = `state state-${faults.some((sign) => sign.state === "bad") ? "bad" : faults.length > 0 ? "warn" : "good"}`;
  signs.classList.remove("old");
  replace(signs, ...all.map((sign) => tile(sign)));
}

/** Old figures must not look like new ones. @param {HTMLElement} signs @param {HTMLElement} state */
function doubt(signs, state) {
  replace(state, signs.childElementCount > 0 ? "Not known; these are the last figures" : "Not known");
  state.className = "state state-bad";
  signs.classList.add("old");
}

/** @param {Sign} sign */
function tile({ key, label, state, value, more }) {
  const word = { good: "Good", warn: "Warning", bad: "Fault" }[state];
  return h(
    "div",
    { class: `sign sign-${state}`, "data-sign": key, "data-state": state },
    h("dt", {}, h("span", { class: "dot", role: "img", "aria-label": word }), label),
    h("dd", { class: "value" }, value),
    h("dd", { class: "soft" }, more),
  );
}

/** @param {Metrics} metrics @returns {Sign} */
function lookups(metrics) {
  const missing = [
    !(metrics.value("dispatchd_registry_ready") > 0) && "the registry is being loaded",
    !(metrics.value("dispatchd_log_writable") > 0) && "the log takes no records",
  ];
  const why = missing.filter((it) => typeof it === "string").join(", and ");
  return { key: "lookups", label: "Lookups", state: why ? "bad" : "good", value: why ? "Refused" : "Answered", more: why || "each with its record" };
}

/** @param {Metrics} metrics @returns {Sign} */
function log(metrics) {
  const isWritable = metrics.value("dispatchd_log_writable") > 0;
  const lag = metrics.value("dispatchd_log_sealing_lag_seconds");
  const isLate = lag > 2 * HOUR_S;
  const more = isLate ? `the oldest finished hour waits for its seal since ${span(lag)}` : "finished hours are sealed";
  return { key: "log", label: "Query log", state: !isWritable ? "bad" : isLate ? "warn" : "good", value: isWritable ? "Writable" : "Not writable", more };
}

/** @param {Metrics} metrics @returns {Sign} */
function audit(metrics) {
  const isWritable = metrics.value("dispatchd_audit_writable") > 0;
  const [state, value, more] = isWritable
    ? /** @type {const} */ (["good", "Writable", "notes who reads"])
    : /** @type {const} */ (["bad", "Not writable", "nothing can be read"]);
  return { key: "audit", label: "Audit log", state, value, more };
}

/** @param {Metrics} metrics @returns {Sign} */
function registry(metrics) {
  const devices = metrics.all("dispatchd_registry_devices").reduce((sum, { value }) => sum + value, 0);
  const isWritable = metrics.value("dispatchd_registry_writable") > 0;
  const isLow = metrics.value("dispatchd_registry_low_on_space") > 0;
  const fault = !isWritable ? "takes no changes" : isLow ? "takes no sign-ups: little space" : null;
  const more = fault ?? `${number(metrics.value("dispatchd_registry_live_devices"))} of ${number(devices)} devices live`;
  const value = `${number(metrics.value("dispatchd_registry_handles"))} handles`;
  return { key: "registry", label: "Registry", state: !isWritable ? "bad" : isLow ? "warn" : "good", value, more };
}

/** @param {Metrics} metrics @returns {Sign} */
function clock(metrics) {
  const isFollowed = metrics.value("dispatchd_clock_followed") > 0;
  const ahead = metrics.value("dispatchd_clock_ahead_seconds");
  const more = isFollowed ? "trusted time follows it" : `${span(Math.abs(ahead))} ${ahead > 0 ? "ahead of" : "behind"} trusted time`;
  return { key: "clock", label: "Clock", state: isFollowed ? "good" : "warn", value: isFollowed ? "Right" : "Not trusted", more };
}

/** The disk with the least space left. @param {Metrics} metrics @returns {Sign} */
function disk(metrics) {
  const reserve = (/** @type {string} */ directory) =>
    metrics.all("dispatchd_disk_reserve_bytes").find(({ labels }) => labels.directory === directory)?.value ?? 0;
  const left = metrics.all("dispatchd_disk_free_bytes").map(({ labels, value }) => ({ directory: labels.directory, free: value, kept: reserve(labels.directory) }));
  left.sort((one, other) => one.free - one.kept - (other.free - other.kept));
  const least = left[0];
  if (least === undefined) return { key: "disk", label: "Disk", state: "warn", value: "Unknown", more: "there is no figure" };
  const { free, kept, directory } = least;
  const state = free <= kept ? "bad" : free < kept * SPACE_WARN ? "warn" : "good";
  return { key: "disk", label: "Disk left", state, value: bytes(free), more: `for ${directory}; ${bytes(kept)} are set aside` };
}

/** @param {Metrics} metrics @returns {Sign} */
function nextKey(metrics) {
  const oldest = metrics.value("dispatchd_log_oldest_key_timestamp_seconds");
  const retention = metrics.value("dispatchd_log_retention_seconds");
  const label = "Next key destroyed";
  const more = `records are kept for ${span(retention)}`;
  if (!(oldest > 0)) return { key: "key", label, state: "good", value: "None yet", more };
  const at = (oldest + HOUR_S + retention) * 1000;
  const late = Date.now() - at;
  const value = late < 0 ? `in ${span(-late / 1000)}` : "now";
  return { key: "key", label, state: late > HOUR_S * 1000 ? "bad" : "good", value, more: h("span", { title: more }, "the hour of ", time(new Date(oldest * 1000).toISOString())) };
}

