// The sentences of a timeline, as the pages show them: beside a time and an answer of their own.

import { seen } from "./dom.js";

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
