// One record of the log with all its fields, and what can be done with each value.

import { closedSets } from "../completion.js";
import { h, outside, replace } from "../dom.js";
import { SETS, valueOf } from "./filters.js";

/** @typedef {import("../types.js").Context} Context */
/** @typedef {import("../types.js").LogRecord} LogRecord */

/** Fields of which every record has another value. */
const UNIQUE = new Set(["at", "took_us", "count"]);

/** A dialog that shows a record. */
export class RecordDialog {
  /**
   * @param {Context} ctx
   * @param {(field: string, value: string, keep: boolean) => void} narrow shows rows with this value only, or without it
   */
  constructor(ctx, narrow) {
    this.ctx = ctx;
    this.narrow = narrow;
    this.body = h("dl", { class: "record" });
    this.links = h("div", { class: "bar" });
    this.element = h(
      "dialog",
      { class: "record-dialog", "aria-labelledby": "record-title" },
      h("div", { class: "bar" }, h("h2", { id: "record-title" }, "Record"),
        h("form", { method: "dialog" }, h("button", { class: "button quiet" }, "Close"))),
      this.body,
      this.links,
    );
  }

  /** @param {LogRecord} row */
  async show(row) {
    const fields = Object.keys(row);
    /** @type {Map<string, HTMLElement>} */
    const meanings = new Map();
    replace(this.body, ...fields.map((field) => this.#line(row, field, meanings)));
    replace(this.links, ...this.#links(row));
    this.element.showModal();
    const sets = await closedSets(this.ctx).catch(() => null);
    for (const [field, place] of meanings) {
      const value = valueOf(row, field);
      replace(place, sets?.get(SETS.get(field) ?? "")?.find(({ code }) => code === value)?.meaning);
    }
  }

  /**
   * @param {LogRecord} row
   * @param {string} field
   * @param {Map<string, HTMLElement>} meanings
   */
  #line(row, field, meanings) {
    const value = valueOf(row, field);
    const meaning = h("span", { class: "hint" });
    if (SETS.has(field)) meanings.set(field, meaning);
    const act = (/** @type {string} */ text, /** @type {boolean} */ keep) =>
      h("button", { class: "button quiet", type: "button", "aria-label": `${text}: ${field} ${value}`, onclick: () => this.#narrow(field, value, keep) }, text);
    return h("div", {},
      h("dt", {}, field),
      h("dd", {}, h("div", {}, h("span", { class: "record-value" }, outside(value)), meaning),
        !UNIQUE.has(field) && h("span", { class: "record-actions" }, act("Only", true), act("Not", false))));
  }

  /**
   * @param {string} field
   * @param {string} value
   * @param {boolean} keep
   */
  #narrow(field, value, keep) {
    this.element.close();
    this.narrow(field, value, keep);
  }

  /** @param {LogRecord} row */
  #links(row) {
    const { handle, account } = /** @type {{ handle?: string | null, account?: string | null }} */ (row);
    const link = (/** @type {string} */ text, /** @type {() => void} */ act) => h("button", { class: "button", type: "button", onclick: act }, text);
    return [
      handle && link("Why is it green?", () => this.ctx.go("why", { handle, region: "" })),
      account && link("Quota of the account", () => this.ctx.go("quotas", { account })),
    ];
  }
}
