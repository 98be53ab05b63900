// Completion: the closed sets that the description of the API names, and values that rows had.

import { h, replace, seen } from "./dom.js";

/** @typedef {import("./types.js").Context} Context */
/** @typedef {{ code: string, meaning: string }} Code */
/** @typedef {Map<string, Code[]>} ClosedSets the codes of each closed set, by the name of its schema */

/** Values of a field that are remembered. */
const SEEN_MAX = 200;

/** @type {Promise<ClosedSets> | null} */
let loaded = null;

/**
 * The closed sets of `/openapi.json`, which is asked for once.
 * @param {Context} ctx
 * @returns {Promise<ClosedSets>}
 */
export function closedSets(ctx) {
  loaded ??= load(ctx).catch((error) => {
    loaded = null;
    throw error;
  });
  return loaded;
}

/** @param {Context} ctx */
async function load(ctx) {
  /** @type {{ components: { schemas: Record<string, { enum?: string[], "x-enumDescriptions"?: Record<string, string> }> } }} */
  const description = await ctx.api.get("/openapi.json");
  /** @type {ClosedSets} */
  const sets = new Map();
  for (const [name, schema] of Object.entries(description.components.schemas)) {
    const meanings = schema["x-enumDescriptions"] ?? {};
    if (schema.enum) sets.set(name, schema.enum.map((code) => ({ code, meaning: meanings[code] ?? "" })));
  }
  return sets;
}

/** Suggests values for boxes. Each field has a list, which a box names as its `list`. */
export class Completion {
  /** @type {Map<string, { list: HTMLDataListElement, values: Set<string>, isStale: boolean }>} */
  #fields = new Map();

  /** @param {readonly string[]} fields */
  constructor(fields) {
    for (const field of fields) {
      const list = h("datalist", { id: `seen-${field}` });
      this.#fields.set(field, { list, values: new Set(), isStale: false });
    }
    /** The lists, which the page must hold. */
    this.element = h("div", { hidden: true }, ...[...this.#fields.values()].map(({ list }) => list));
  }

  /** @param {string} field */
  listOf(field) {
    return this.#fields.get(field)?.list.id;
  }

  /**
   * Suggests a closed set.
   * @param {string} field
   * @param {readonly Code[]} codes
   */
  suggest(field, codes) {
    const list = this.#fields.get(field)?.list;
    if (list) replace(list, ...codes.map(({ code, meaning }) => h("option", { value: code, label: meaning || null })));
  }

  /**
   * Remembers the values of a row. `show` suggests them.
   * @param {Record<string, unknown>} row
   */
  see(row) {
    for (const [field, known] of this.#fields) {
      const value = row[field];
      if (typeof value !== "string" || known.values.size >= SEEN_MAX || known.values.has(value)) continue;
      known.values.add(value);
      known.isStale = true;
    }
  }

  /** Suggests the values that rows had. */
  show() {
    for (const known of this.#fields.values()) {
      if (!known.isStale) continue;
      known.isStale = false;
      // What a box takes from its list is the value itself: a list must not show another.
      const plain = [...known.values].filter((value) => seen(value) === value);
      replace(known.list, ...plain.sort().map((value) => h("option", { value })));
    }
  }
}
