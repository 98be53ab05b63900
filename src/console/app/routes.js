// What a route is called, and how it is marked.

import { h } from "./dom.js";

/** @typedef {import("./types.js").Route} Route */

/** @type {Readonly<Record<string, string>>} */
const NAMES = { imessage: "Blue", sms: "Green", none: "Grey" };

/** Blue, Green, Grey, or Unknown. @param {Route | null} route */
export function name(route) {
  return route === null ? "Unknown" : NAMES[route];
}

/** A route as a word with a mark. @param {Route | null} route @param {string} [word] instead of its name */
export function routeMark(route, word = name(route)) {
  return h("span", { class: `route route-${route ?? "unknown"}`, "data-route": route ?? "unknown" }, word);
}

/** A route's name with its code, as the command line writes it: `Green (sms)`. Another text stays as it is. @param {string} code */
export function coded(code) {
  return code in NAMES ? `${NAMES[code]} (${code})` : code;
}

/** A route as name, code and mark; also `refused`. @param {string} code */
export function codeMark(code) {
  return h("span", { class: `route route-${code}`, "data-route": code }, coded(code));
}
