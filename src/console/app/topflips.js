// The handles whose route changed most often within a day, on demand.

import { commandWords } from "./command.js";
import { h, outside, replace } from "./dom.js";
import { number, time } from "./format.js";
import { Reading } from "./reading.js";
import { gaps, isPartial } from "./sentences.js";
import { table } from "./table.js";

/** @typedef {import("./types.js").Context} Context */

const SHOWN = 5;

/**
 * @param {HTMLElement} root
 * @param {Context} ctx
 * @returns {() => void}
 */
export function mountFlips(root, ctx) {
  const place = h("div", {},
    h("p", { class: "hint" }, "Finds handles whose answer went back and forth. It reads a day of the log, so it begins when you ask for it."));
  const button = h("button", { class: "button", type: "button" }, "Find");
  const reading = new Reading(place, ctx);
  const find = () =>
    reading.run(
      "Reading a day…",
      (signal) => {
        const question = ctx.api.withCase({ since: "1d", limit: SHOWN });
        ctx.command(commandWords("log flips", question), true);
        return ctx.api.get("/v1/log/flips", question, { signal });
      },
      (/** @type {import("./types.js").FlipReport} */ report) => replace(place, show(report, ctx)),
    );
  button.addEventListener("click", find);
  const head = h("div", { class: "head" }, h("h2", {}, "Most changes of colour in a day"), button);
  root.append(h("section", { class: "card", "aria-label": "Top flips" }, head, place));
  return () => reading.stop();
}

/** @param {import("./types.js").FlipReport} report @param {Context} ctx */
function show({ flips, summary }, ctx) {
  const warnings = gaps(summary).map((gap) => h("p", { class: "note warning" }, gap));
  if (flips.length === 0 && isPartial(summary)) return h("div", { role: "status" }, ...warnings);
  if (flips.length === 0) return h("div", { role: "status" }, ...warnings, h("p", {}, "No answer went back and forth."));
  const line = (/** @type {import("./types.js").Flip} */ flip) =>
    h(
      "tr",
      {},
      h("td", {},
        h("button", { class: "value", type: "button", title: "Ask why", onclick: () => ctx.go("why", { handle: flip.handle }) }, outside(flip.handle))),
      h("td", { class: "number", "data-label": "Changes" }, number(flip.changes)),
      h("td", { class: "when", "data-label": "Last" }, time(flip.last_at)),
      h("td", { class: "sentence" }, flip.because),
    );
  return h("div", {},
    ...warnings,
    table("Handles that changed", ["Handle", "#Changes", "Last (UTC)", "Likely"], flips.map(line), "stack"),
    summary.handles > flips.length && h("p", { class: "hint" }, `${number(summary.handles)} handles changed in all.`));
}
