// The handles whose route changed most often within a day, on demand.

import { isAborted } from "./api.js";
import { h, outside, replace } from "./dom.js";
import { number, time } from "./format.js";
import { failure } from "./shell.js";

/** @typedef {import("./types.js").Context} Context */

const SHOWN = 5;

/**
 * @param {HTMLElement} root
 * @param {Context} ctx
 * @param {AbortSignal} signal
 * @returns {() => void}
 */
export function mountFlips(root, ctx, signal) {
  const place = h("div", {}, h("p", { class: "hint" }, "Finds handles whose answer went back and forth. It reads a day of the log, so it begins when you ask for it."));
  const button = h("button", { class: "button", type: "button" }, "Find");
  const find = async () => {
    button.disabled = true;
    replace(place, h("p", { class: "soft", role: "status" }, "Reading a day…"));
    try {
      /** @type {import("./types.js").FlipReport} */
      const report = await ctx.api.get("/v1/log/flips", ctx.api.withCase({ since: "1d", limit: SHOWN }), { signal });
      replace(place, table(report, ctx));
    } catch (error) {
      if (!isAborted(error)) replace(place, failure(error, find));
    }
    button.disabled = false;
  };
  button.addEventListener("click", find);
  root.append(h("section", { class: "card", "aria-label": "Top flips" }, h("div", { class: "head" }, h("h2", {}, "Most changes of colour in a day"), button), place));
  return () => {};
}

/** @param {import("./types.js").FlipReport} report @param {Context} ctx */
function table({ flips, summary }, ctx) {
  if (flips.length === 0) return h("p", { role: "status" }, "No answer went back and forth.");
  const line = (/** @type {import("./types.js").Flip} */ flip) =>
    h(
      "tr",
      {},
      h("td", {}, h("button", { class: "value", type: "button", title: "Ask why", onclick: () => ctx.go("why", { handle: flip.handle }) }, outside(flip.handle))),
      h("td", { class: "number" }, number(flip.changes)),
      h("td", { class: "when" }, time(flip.last_at)),
      h("td", { class: "sentence" }, flip.because),
    );
  const heads = h("tr", {}, h("th", { scope: "col" }, "Handle"), h("th", { scope: "col", class: "number" }, "Changes"), h("th", { scope: "col" }, "Last (UTC)"), h("th", { scope: "col" }, "Likely"));
  return h("div", { class: "scrolls", tabindex: 0, role: "region", "aria-label": "Handles that changed" }, h("table", {}, h("thead", {}, heads), h("tbody", {}, ...flips.map(line))), summary.handles > flips.length && h("p", { class: "hint" }, `${number(summary.handles)} handles changed in all.`));
}
