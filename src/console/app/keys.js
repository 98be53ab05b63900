// The keyboard: `/` goes to the view's box, `g` and a letter to a view, `?` shows the keys, Escape closes.

import { h } from "./dom.js";
import { VIEWS } from "./views.js";

/** Milliseconds in which the letter follows the `g`. */
const PATIENCE = 1500;

/**
 * @param {(view: string) => void} go
 * @returns {() => void} shows the keys
 */
export function listen(go) {
  const help = dialog();
  let lastG = -Infinity;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || isTyping(event.target)) return;
    const isSecond = event.timeStamp - lastG < PATIENCE;
    lastG = -Infinity;
    const view = isSecond ? VIEWS.find((view) => view.letter === event.key) : undefined;
    if (view !== undefined) go(view.id);
    else if (event.key === "g") lastG = event.timeStamp;
    else if (event.key === "/") focusBox();
    else if (event.key === "?") help.showModal();
    else return;
    event.preventDefault();
  });
  return () => help.showModal();
}

function focusBox() {
  const box = document.querySelector("[data-box]");
  if (box instanceof HTMLElement) box.focus();
}

/** @param {EventTarget | null} target */
function isTyping(target) {
  if (!(target instanceof HTMLElement)) return false;
  const isField = target instanceof HTMLInputElement && !["checkbox", "radio", "button"].includes(target.type);
  return isField || target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement;
}

function dialog() {
  const line = (/** @type {string} */ keys, /** @type {string} */ what) =>
    h("div", {}, h("dt", {}, ...keys.split(" ").map((key) => h("kbd", {}, key))), h("dd", {}, what));
  const help = h(
    "dialog",
    { class: "keys", "aria-labelledby": "keys-title" },
    h("h2", { id: "keys-title" }, "Keys"),
    h(
      "dl",
      {},
      line("/", "go to the box of the view"),
      ...VIEWS.map((view) => line(`g ${view.letter}`, view.label)),
      line("?", "show this"),
      line("Esc", "close"),
    ),
    h("form", { method: "dialog" }, h("button", { class: "button" }, "Close")),
  );
  document.body.append(help);
  return help;
}
