// The server's text as the pages show it: as sentences, and beside a time and an answer of their own.

import { h, seen } from "./dom.js";
import { counted, utc } from "./format.js";

/** The text with a capital letter at its beginning. @param {string} text */
export function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/**
 * What an entry says, without the times and the answer that its sentence begins with: `08:41:07: …`, `blue at 08:41:07: …`,
 * `green 3 times from 08:41:07 to 08:42:11, asked by 2 devices: …`.
 * @param {import("./types.js").TimelineEntry} entry
 */
export function told({ sentence }) {
  return capital(seen(sentence.replace(/^.*?\d{2}:\d{2}:\d{2}[^:]*: /, "")));
}

/**
 * The server's text as a sentence: it comes without a capital and a full stop, and has code in backticks. A key such as `clock.trust`
 * and a path keep their case.
 * @param {string} text
 * @returns {(Node | string)[]}
 */
export function sentence(text) {
  const shown = seen(text);
  const begun = /^[\w-]+[._/]\w/.test(shown) ? shown : capital(shown);
  const whole = /[.!?]$/.test(shown) ? begun : `${begun}.`;
  return whole.split("`").map((part, at) => (at % 2 === 1 ? h("code", {}, part) : part));
}

/**
 * A node of a cluster whose part of an answer is missing, or comes from its copies. Such lines end an answer.
 * @typedef {{ kind: "missing", node: string, why: string }} MissingNode
 * @typedef {{ kind: "from_store", node: string, why: string, until: string | null, complete: boolean, gaps?: string[] }} NodeFromStore
 * @typedef {MissingNode | NodeFromStore} GoneNode
 */

/** @param {GoneNode} gone */
export function lacking(gone) {
  const { node, why } = gone;
  if (gone.kind === "missing") return `The node ${seen(node)} is missing, or a part of it: ${seen(why)}.`;
  const { until, complete, gaps: places = [] } = gone;
  const reach = complete ? "All of its records" : until === null ? "No record of it" : `Its records up to ${utc(until)} UTC`;
  const lost = places.length > 0 ? ` Copies are damaged or missing of ${seen(places.join(", "))}.` : "";
  return `The node ${seen(node)} is gone: ${seen(why)}. ${reach} can be read from the object store.${lost}`;
}

/**
 * Whether an answer lacks records of a node, so that it does not tell that there is nothing.
 * @param {{ missing?: readonly object[] | null, from_store?: readonly { complete: boolean }[] | null }} summary
 */
export function isPartial({ missing, from_store: stored }) {
  return (missing ?? []).length > 0 || (stored ?? []).some((node) => !node.complete);
}

/**
 * What an answer from the log may lack, a sentence each.
 * @param {{
 *   damaged?: number, unreadable_segments?: number, hidden_until?: string | null,
 *   missing?: readonly { node: string, why: string }[] | null,
 *   from_store?: readonly { node: string, why: string, until?: string | null, complete: boolean, gaps?: string[] }[] | null,
 *   cut?: number,
 * }} summary
 */
export function gaps({ damaged = 0, unreadable_segments: unreadable = 0, hidden_until: hidden, missing, from_store: stored, cut = 0 }) {
  const gaps = [
    ...(missing ?? []).map((node) => lacking({ kind: "missing", ...node })),
    ...(stored ?? []).map((node) => lacking({ kind: "from_store", ...node, until: node.until ?? null })),
  ];
  if (cut > 0) gaps.push(`${counted(cut, "handle")} changed too often to be counted in full.`);
  if (damaged > 0) gaps.push(`${counted(damaged, "damaged place")} passed over: records may be missing.`);
  if (unreadable > 0) gaps.push(`${counted(unreadable, "segment")} could not be read: records may be missing.`);
  if (hidden) gaps.push(`Records up to ${utc(hidden)} UTC are hidden, because the wall clock is ahead of trusted time.`);
  return gaps;
}
