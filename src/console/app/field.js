// A box with its label above, and a form of such boxes.

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

/**
 * A form that is read when somebody presses its button or Enter.
 * @param {string} style its class
 * @param {() => void} read
 * @param {...import("./dom.js").Child} children
 */
export function form(style, read, ...children) {
  const onsubmit = (/** @type {Event} */ event) => {
    event.preventDefault();
    read();
  };
  return h("form", { class: style, role: "search", onsubmit }, ...children);
}
