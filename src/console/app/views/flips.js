// Handles whose route changed back and forth, most often first, and the likely cause of each.

import { commandWords } from "../command.js";
import { h, outside, replace, seen } from "../dom.js";
import { field, form } from "../field.js";
import { counted, number, time } from "../format.js";
import { Reading } from "../reading.js";
import { codeMark } from "../routes.js";
import { gaps, isPartial } from "../sentences.js";
import { plainTable } from "../table.js";

/** @typedef {import("../types.js").Context} Context */
/** @typedef {import("../types.js").Schemas["FlipReport"]} Report */
/** @typedef {import("../types.js").Schemas["Flip"]} Flip */
/** @typedef {{ since: string, until: string, min: string }} Asked */

export const title = "Flips";

/** Handles that the view asks for. */
const HANDLES_MAX = 1000;
/** @type {Asked} */
const FIRST = { since: "1d", until: "", min: "2" };

/**
 * @param {HTMLElement} root
 * @param {Context} ctx
 */
export function mount(root, ctx) {
  const asked = /** @type {Asked} */ (ctx.state ?? FIRST);
  const result = h("div", { class: "view" });
  const reading = new Reading(result, ctx);
  const box = (/** @type {keyof Asked} */ name, /** @type {string} */ placeholder) =>
    h("input", { id: name, value: asked[name], placeholder, autocomplete: "off", spellcheck: "false" });
  const since = box("since", "all 30 days");
  const until = box("until", "now");
  const min = box("min", "2");
  since.dataset.box = "";
  const read = () => {
    const question = { since: since.value.trim(), until: until.value.trim(), min: min.value.trim() };
    ctx.keep(question);
    return reading.run(
      "Reading the whole window, at the lowest priority. Over 30 days it takes a while…",
      (signal) => {
        const parameters = ctx.api.withCase({ ...question, limit: HANDLES_MAX });
        ctx.command(commandWords("log flips", parameters), true);
        return /** @type {Promise<Report>} */ (ctx.api.get("/v1/log/flips", parameters, { signal }));
      },
      (report) => {
        replace(result, ...show(report, ctx));
        ctx.say(`${counted(report.summary.handles, "handle")} flipped.`);
      },
    );
  };
  root.append(
    form(
      "fields",
      read,
      field("Since", since),
      field("Until", until),
      field("Changes, at least", min, "short"),
      h("button", { class: "button primary" }, "Find"),
    ),
    result,
  );
  read();
  return () => reading.stop();
}

/**
 * @param {Report} report
 * @param {Context} ctx
 */
function show({ flips, summary }, ctx) {
  const end = summary.until === undefined ? ["the last record."] : [time(summary.until), " UTC."];
  const window = ["Lookups from ", time(summary.since), " UTC to ", ...end];
  const warnings = gaps(summary).map((gap) => h("p", { class: "note warning" }, gap));
  if (summary.handles === 0 && isPartial(summary)) return warnings;
  if (summary.handles === 0) {
    return [...warnings, h("section", { class: "card tone tone-good" }, h("p", { class: "lead" }, "No handle's route went back and forth."),
      h("p", { class: "soft" }, ...window))];
  }
  return [
    ...warnings,
    h("section", { class: "card" },
      h("p", { class: "lead" }, `${counted(summary.handles, "handle")}, ${counted(summary.changes, "change")} of the route.`),
      h("p", { class: "soft" }, ...window),
      h("ul", { class: "causes" }, ...summary.likely.map(({ likely, because, handles }) =>
        h("li", {}, h("strong", {}, `${number(handles)} `), `${likely}: `, h("span", { class: "soft" }, seen(because)))))),
    h("section", { class: "card" },
      flips.length < summary.handles && h("p", { class: "note" }, `The first ${number(flips.length)} are shown.`),
      h("ol", { class: "flips" }, ...flips.map((flip) => item(flip, ctx)))),
  ];
}

/**
 * @param {Flip} flip
 * @param {Context} ctx
 */
function item({ handle, changes, lookups, first_at, last_at, because, likely, latest, registry }, ctx) {
  const last = latest.at(-1);
  const why = h("button", { class: "link handle", type: "button", title: "Why is it green?", onclick: () => ctx.go("why", { handle, region: "" }) }, outside(handle));
  return h("li", {},
    h("div", { class: "flip-head" }, why, h("span", { class: "flip-count" }, h("strong", {}, number(changes)), " changes in ", counted(lookups, "lookup")),
      last && codeMark(last.to)),
    h("p", { class: "sentence" }, h("strong", {}, likely), " ", h("span", { class: "soft" }, seen(because))),
    h("details", {},
      h("summary", {}, "Changes from ", time(first_at), " to ", time(last_at)),
      h("div", { class: "flip-details" }, latestTable(latest), registry.length > 0 && registryTable(registry))));
}

/** @param {Flip["latest"]} latest */
function latestTable(latest) {
  const rows = latest.map((change) =>
    h("tr", {},
      h("td", {}, time(change.at)),
      h("td", {}, h("span", { class: "flip-step" }, codeMark(change.from), "→", codeMark(change.to))),
      h("td", {}, change.reason)));
  return captioned("Its latest lookups with another route than the one before", ["At (UTC)", "Route", "Reason"], rows);
}

/** @param {Flip["registry"]} registry */
function registryTable(registry) {
  const rows = registry.map(({ change, cause, count }) => h("tr", {}, h("td", { class: "number" }, number(count)), h("td", {}, change), h("td", {}, cause)));
  return captioned("Changes of the registry that concern it", ["#How often", "Change", "Cause"], rows);
}

/**
 * @param {string} caption
 * @param {readonly string[]} headings
 * @param {readonly HTMLElement[]} rows
 */
function captioned(caption, headings, rows) {
  const table = plainTable(headings, h("tbody", {}, ...rows));
  table.prepend(h("caption", {}, caption));
  return h("div", { class: "scrolls", tabindex: 0, role: "region", "aria-label": caption }, table);
}
