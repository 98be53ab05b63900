// Times, numbers, bytes and shell words, as every view shows them.

import { h } from "./dom.js";

const NUMBER = new Intl.NumberFormat("en");
const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];
/** Seconds of each unit, the largest first. */
const SPANS = /** @type {const} */ ([["d", 86400], ["h", 3600], ["min", 60], ["s", 1]]);

/** A number with thousands separators. */
export function number(/** @type {number} */ value) {
  return NUMBER.format(value);
}

/** A number and its noun: `1 lookup`, `2,000 lookups`. */
export function counted(/** @type {number} */ value, /** @type {string} */ noun) {
  return `${number(value)} ${noun}${value === 1 ? "" : "s"}`;
}

/** A size: `1.4 GiB`. */
export function bytes(/** @type {number} */ value) {
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}

/** A span by its two largest units: `2 d 4 h`. A negative one counts as nothing. */
export function span(/** @type {number} */ seconds) {
  let left = Math.max(0, Math.floor(seconds));
  const parts = [];
  for (const [unit, size] of SPANS) {
    const count = Math.floor(left / size);
    left -= count * size;
    if (count > 0) parts.push(`${count} ${unit}`);
    else if (parts.length > 0) break;
  }
  return parts.slice(0, 2).join(" ") || "0 s";
}

/** `2026-11-29 08:41:07`: an instant in UTC, to the second. */
export function utc(/** @type {string | number | Date} */ instant) {
  return new Date(instant).toISOString().slice(0, 19).replace("T", " ");
}

/** How far an instant is from now, in words. */
export function distance(/** @type {string | number | Date} */ instant, now = Date.now()) {
  const seconds = (new Date(instant).getTime() - now) / 1000;
  return seconds > 0 ? `in ${span(seconds)}` : `${span(-seconds)} ago`;
}

/** An instant as an element, to the second or as `text` says. Its title says how long ago it is when a pointer comes to it. */
export function time(/** @type {string} */ instant, text = utc(instant)) {
  // A narrow column has the date and the time below each other, neither of them torn.
  const parts = text.split(" ").map((part) => h("span", {}, part));
  const element = h("time", { datetime: instant, class: "time" }, ...parts.flatMap((part, at) => (at > 0 ? [" ", part] : [part])));
  const tell = () => {
    element.title = `${utc(instant)} UTC, ${distance(instant)}`;
  };
  tell();
  element.addEventListener("pointerenter", tell);
  return element;
}

/** The words as one line for a POSIX shell, quoted where needed. A word's unseen characters are escaped in `$'…'`. */
export function commandLine(/** @type {readonly string[]} */ words) {
  return words.map(quote).join(" ");
}

/** @param {string} word */
function quote(word) {
  if (/^[A-Za-z0-9_@%+=:,./-]+$/.test(word)) return word;
  if (!/[\p{C}\p{Z}]/u.test(word.replaceAll(" ", ""))) return `'${word.replaceAll("'", "'\\''")}'`;
  const bytes = new TextEncoder().encode(word);
  const escaped = Array.from(bytes, (byte) =>
    byte >= 0x20 && byte < 0x7f && byte !== 0x27 && byte !== 0x5c
      ? String.fromCharCode(byte)
      : `\\x${byte.toString(16).padStart(2, "0")}`,
  );
  return `$'${escaped.join("")}'`;
}
