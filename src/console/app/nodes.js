// Reports that each node of a cluster makes about its own files.

import { h, outside, seen } from "./dom.js";

/**
 * What each node found, under its name, and which nodes did not tell. Outside a cluster there is one report without a name.
 * @template {{ sound: boolean }} R
 * @param {R & { own_sound?: boolean, node?: string, others?: { node: string, error: string | null, report: R | null }[] }} answer
 * @param {(report: R) => Node} show
 * @returns {Node[]}
 */
export function ofEachNode({ own_sound, node, others = [], ...own }, show) {
  // `sound` of the answer is the verdict over all nodes.
  const report = /** @type {R} */ (/** @type {unknown} */ ({ ...own, sound: own_sound ?? own.sound }));
  if (node === undefined) return [show(report)];
  const told = others.map((other) => ({ name: other.node, shown: other.report === null ? silent(other.error) : show(other.report) }));
  const all = [...told, { name: node, shown: show(report) }].sort((a, b) => (a.name < b.name ? -1 : 1));
  return all.map(({ name, shown }) => h("section", { class: "view", "aria-label": `Node ${seen(name)}` }, h("h2", {}, "Node ", outside(name)), shown));
}

/** @param {string | null} error */
function silent(error) {
  return h("p", { class: "note warning" }, `It did not answer, so nothing is known of it: ${seen(error ?? "")}.`);
}
