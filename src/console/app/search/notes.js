// What a search says about its result: how far it is, what was left out, and what it cannot have.

import { isAborted } from "../api.js";
import { BROKEN } from "../days.js";
import { h, outside } from "../dom.js";
import { counted, number } from "../format.js";
import { gaps } from "../sentences.js";
import { ROWS_MAX } from "./found.js";

export { lacking } from "../sentences.js";

/** @typedef {import("../types.js").Context} Context */
/** @typedef {import("../types.js").LogRecord} LogRecord */
/** @typedef {import("./filters.js").Rule} Rule */
/** @typedef {import("./found.js").Found} Found */
/** @typedef {"none" | "reading" | "complete" | "stopped" | "full" | "failed"} Phase how the reading stands */

/**
 * @param {Found} found
 * @param {Phase} phase
 * @returns {(Node | string)[]}
 */
export function progress({ shown, read }, phase) {
  const rows = h("strong", {}, counted(shown.length, "record"));
  const of = shown.length === read ? "" : ` of ${number(read)} that were read`;
  switch (phase) {
    case "none": return [];
    case "reading": return [rows, `${of}, reading…`];
    case "complete": return shown.length === 0 && read === 0 ? [h("strong", {}, "No record matches.")] : [rows, `${of}. That is all.`];
    case "stopped": return [rows, `${of}. The reading was stopped: there may be more.`];
    case "failed": return [rows, `${of}. The answer broke off: there may be more.`];
    case "full": return [rows, `${of}. A page keeps the newest ${number(ROWS_MAX)}: there may be more. Narrow the search, or export it.`];
  }
}

/**
 * The rules of the browser, each with a button that drops it, and the notes.
 * @param {readonly Rule[]} rules
 * @param {readonly string[]} notes
 * @param {(rule: Rule) => void} onDrop
 */
export function chips(rules, notes, onDrop) {
  return [
    rules.length > 0 && h("div", { class: "chips", role: "group", "aria-label": "Rules that this page applies to what the server gives" },
      h("span", { class: "hint" }, "Only rows where"),
      ...rules.map((rule) => h("button", { class: "chip", type: "button", title: "Drop this rule", onclick: () => onDrop(rule) },
        `${rule.field} ${rule.keep ? "is" : "is not"} `, outside(rule.value), h("span", { class: "chip-drop", "aria-hidden": "true" }, "×"),
        h("span", { class: "visually-hidden" }, ", drop this rule")))),
    ...warnings(notes),
  ];
}

/** @typedef {import("../sentences.js").MissingNode} MissingNode */
/** @typedef {import("../sentences.js").NodeFromStore} NodeFromStore */
/** @typedef {import("../sentences.js").GoneNode} GoneNode */

/**
 * The rows of an answer. The lines that name nodes go to `take`.
 * @template {object} T
 * @param {AsyncIterable<(T | GoneNode)[]>} lines
 * @param {(node: GoneNode) => void} take
 * @returns {AsyncGenerator<T[], void, void>}
 */
export async function* recordsOf(lines, take) {
  for await (const batch of lines) {
    for (const line of batch) if (isGone(line)) take(line);
    yield /** @type {T[]} */ (batch.filter((line) => !isGone(line)));
  }
}

/** @param {object} line @returns {line is GoneNode} */
function isGone(line) {
  return "kind" in line && ["missing", "from_store"].includes(/** @type {string} */ (line.kind));
}

/** What an answer lacks, as warnings. @param {readonly string[]} notes */
export function warnings(notes) {
  return notes.map((note) => h("p", { class: "note warning" }, note));
}

/**
 * What the result of a search cannot have. A browser does not see the trailers of an answer, which name damaged places.
 * @param {Context} ctx
 * @param {{ hiddenUntil: string | null }} stream
 * @param {AbortSignal} signal
 * @returns {Promise<string[]>}
 */
export async function missing(ctx, { hiddenUntil }, signal) {
  const notes = gaps({ hidden_until: hiddenUntil });
  /** @type {import("../days.js").Segment[]} */
  const segments = await ctx.api.get("/v1/log/segments", {}, { signal }).catch((error) => {
    if (isAborted(error)) throw error;
    notes.push("Whether every segment can be read is unknown: the list of segments did not come.");
    return [];
  });
  const broken = segments.filter((segment) => BROKEN.has(segment.state));
  if (broken.length > 0) {
    notes.push(`${counted(broken.length, "segment")} of the log cannot be read, so records may be missing. The page Segments says which.`);
  }
  return notes;
}
