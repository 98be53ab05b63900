// A table of few rows, which scrolls where it is too wide.

import { h } from "./dom.js";

/**
 * A heading that begins with `#` stands above numbers.
 * @param {string} label what the table is, for those who hear it
 * @param {readonly string[]} heads
 * @param {readonly HTMLElement[]} rows
 * @param {string} [style] a class, such as `stack`: a row is a paragraph on narrow pages
 */
export function table(label, heads, rows, style) {
  return h("div", { class: "scrolls", tabindex: 0, role: "region", "aria-label": label }, plainTable(heads, h("tbody", {}, ...rows), style));
}

/**
 * The same without the place that scrolls.
 * @param {readonly string[]} heads
 * @param {HTMLElement} body
 * @param {string} [style]
 */
export function plainTable(heads, body, style) {
  return h("table", { class: style }, h("thead", {}, h("tr", {}, ...heads.map(head))), body);
}

/** @param {string} text */
function head(text) {
  const isNumber = text.startsWith("#");
  return h("th", { scope: "col", class: isNumber && "number" }, isNumber ? text.slice(1) : text);
}
