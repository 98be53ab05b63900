// A live tail: the newest records as they are committed, a bounded number of rows, with a pause.

import { isAborted } from "./api.js";
import { commandWords } from "./command.js";
import { h, outside, replace, seen } from "./dom.js";
import { counted, time, utc } from "./format.js";
import { fault } from "./reading.js";
import { routeMark } from "./routes.js";
import { lacking, warnings } from "./search/notes.js";
import { plainTable } from "./table.js";

/** @typedef {import("./types.js").Context} Context */
/** @typedef {import("./types.js").LogRecord} LogRecord */
/** @typedef {import("./search/notes.js").MissingNode | { kind: "returned", node: string, since: string }} NodeNote */

/** Records in the page. */
const SHOWN_MAX = 50;

/**
 * @param {HTMLElement} root
 * @param {Context} ctx
 * @param {AbortSignal} left
 * @returns {() => void}
 */
export function mountTail(root, ctx, left) {
  const none = h("tr", {}, h("td", { colspan: 4, class: "soft" }, "Nothing has happened yet."));
  const lines = h("tbody", {}, none);
  const state = h("span", { class: "soft", role: "status" }, "");
  const place = h("div", {});
  const nodes = h("div", { "aria-live": "polite" });
  const button = h("button", { class: "button", type: "button" }, "Follow");
  /** @type {AbortController | null} */
  let following = null;
  /** What came while the tail was paused. @type {LogRecord[]} */
  let waiting = [];
  let isPaused = false;

  const draw = () => {
    if (waiting.length > 0) none.remove();
    for (const record of waiting.splice(0)) lines.prepend(line(record, ctx));
    while (lines.childElementCount > SHOWN_MAX) lines.lastElementChild?.remove();
  };
  const take = (/** @type {(LogRecord | NodeNote)[]} */ told) => {
    for (const note of told) if (isNote(note)) replace(nodes, ...warnings([ofNode(note)]));
    waiting.push(.../** @type {LogRecord[]} */ (told.filter((it) => !isNote(it))));
    if (waiting.length > SHOWN_MAX) waiting = waiting.slice(-SHOWN_MAX);
    if (!isPaused) draw();
    else replace(state, `Paused; ${waiting.length < SHOWN_MAX ? counted(waiting.length, "record") : `${SHOWN_MAX} records or more`} since`);
  };
  const follow = async () => {
    const current = new AbortController();
    following = current;
    isPaused = false;
    replace(button, "Pause");
    replace(place, table(lines));
    replace(state, "Following; the audit log notes it");
    try {
      const signal = AbortSignal.any([left, current.signal]);
      const question = ctx.api.withCase({});
      ctx.command(commandWords("log tail", question), true);
      const stream = await ctx.api.events("/v1/log/tail", question, { signal });
      for await (const records of stream.rows) take(/** @type {(LogRecord | NodeNote)[]} */ (records));
      replace(state, "The server ended the tail");
    } catch (error) {
      if (isAborted(error)) return;
      replace(place, fault(error, follow, ctx));
      replace(state);
    }
    following = null;
    replace(button, "Follow");
  };
  button.addEventListener("click", () => {
    if (following === null) return follow();
    isPaused = !isPaused;
    replace(button, isPaused ? "Go on" : "Pause");
    replace(state, isPaused ? "Paused" : "Following; the audit log notes it");
    if (!isPaused) draw();
  });
  replace(place, h("p", { class: "hint" }, "Shows lookups and changes as they happen. It is a reading of the log, so it begins when you ask for it."));
  root.append(h("section", { class: "card tail", "aria-label": "Live tail" }, h("div", { class: "head" }, h("h2", {}, "Live"), state, button), nodes, place));
  return () => following?.abort();
}

/** @param {HTMLElement} lines */
function table(lines) {
  return h("div", { class: "scrolls tail-lines", tabindex: 0, role: "region", "aria-label": "The newest records" },
    plainTable(["Time (UTC)", "What", "Handle", "Why"], lines));
}

/** @param {LogRecord} record @param {Context} ctx */
function line(record, ctx) {
  const why = record.kind === "change" ? record.cause : record.reason;
  const handle = "handle" in record ? record.handle : undefined;
  return h(
    "tr",
    {},
    h("td", { class: "when" }, time(record.at, utc(record.at).slice(11))),
    h("td", {}, what(record), record.node !== undefined && h("span", { class: "hint block" }, "node ", outside(record.node))),
    h("td", {}, handle ? h("button", { class: "value", type: "button", title: "Ask why", onclick: () => ctx.go("why", { handle }) }, outside(handle)) : "–"),
    h("td", { class: "soft when" }, seen(words(why))),
  );
}

/** @param {LogRecord | NodeNote} told @returns {told is NodeNote} */
function isNote(told) {
  return told.kind === "missing" || told.kind === "returned";
}

/** What a tail says of a node. @param {NodeNote} note */
function ofNode(note) {
  if (note.kind === "missing") return lacking(note);
  return `The node ${seen(note.node)} is followed now. Its records since ${utc(note.since)} UTC may be missing here: the search finds them.`;
}

/** @param {LogRecord} record */
function what(record) {
  if (record.kind === "change") return words(record.change);
  if (record.kind === "refusals") return `${record.count} refused`;
  return record.route === null ? routeMark(null, "Refused") : routeMark(record.route);
}

/** `handle-bound` as words. @param {string} code */
function words(code) {
  return code.replaceAll("-", " ");
}
