// A box with its label above.

import { h } from "./dom.js";

/**
 * The label does not hold the box: the options of a choice would be a part of its text.
 * @param {string} label
 * @param {HTMLInputElement | HTMLSelectElement} box has an id
 * @param {string} [size] a class, such as `grow` or `short`
 */
export function field(label, box, size = "") {
  return h("div", { class: `field ${size}` }, h("label", { for: box.id }, label), box);
}
