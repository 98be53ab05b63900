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
 * What an answer from the log may lack, a sentence each.
 * @param {{ damaged?: number, unreadable_segments?: number, hidden_until?: string | null }} summary
 */
export function gaps({ damaged = 0, unreadable_segments: unreadable = 0, hidden_until: hidden }) {
  const gaps = [];
  if (damaged > 0) gaps.push(`${counted(damaged, "damaged place")} passed over: records may be missing.`);
  if (unreadable > 0) gaps.push(`${counted(unreadable, "segment")} could not be read: records may be missing.`);
  if (hidden) gaps.push(`Records up to ${utc(hidden)} UTC are hidden, because the wall clock is ahead of trusted time.`);
  return gaps;
}
