// The table of records. A click on a value narrows the search by it; a click on the time opens the record.

import { h, outside } from "../dom.js";
import { number, time } from "../format.js";
import { codeMark } from "../routes.js";
import { Rows } from "../rows.js";
import { ABSENT, valueOf } from "./filters.js";

/** @typedef {import("../dom.js").Child} Child */
/** @typedef {import("../types.js").LogRecord} LogRecord */

/** Pixels of a row, and of the head with a scroll bar. */
const ROW = 30;
const HEAD = 52;

/**
 * @typedef {object} Actions
 * @property {(field: string, value: string, keep: boolean) => void} onNarrow
 * @property {(row: LogRecord) => void} onOpen
 */

export class RecordTable {
  /** @type {readonly LogRecord[]} */
  #rows = [];
  #drawn = 0;

  /** @param {Actions} actions */
  constructor(actions) {
    this.table = new Rows("Records", columns(actions));
    this.element = this.table.element;
    this.element.setAttribute("aria-describedby", "record-table-keys");
    // Before the table's own keys, which scroll it.
    this.element.addEventListener("keydown", (event) => this.#key(event), { capture: true });
  }

  /**
   * Shows these rows. If they are the same array as before, only what was added to it is new.
   * @param {readonly LogRecord[]} rows
   */
  show(rows) {
    if (rows === this.#rows) this.table.append(rows.slice(this.#drawn));
    else this.#replace(rows);
    this.#rows = rows;
    this.#drawn = rows.length;
    // A few rows take no more room than they need.
    this.element.style.maxHeight = `${rows.length * ROW + HEAD}px`;
  }

  /** @param {readonly LogRecord[]} rows */
  #replace(rows) {
    // The focus would leave the table with the row.
    if (this.element.contains(document.activeElement)) this.element.focus({ preventScroll: true });
    this.table.reset(rows);
  }

  /** Enter goes from the table to its rows, the arrows go from row to row, Escape goes back. @param {KeyboardEvent} event */
  #key(event) {
    const line = document.activeElement?.closest(".rows-body > .rows-line");
    const to = line ? this.#beside(line, event.key) : event.key === "Enter" ? this.#firstVisible() : undefined;
    if (to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    to?.focus();
  }

  /**
   * Where a key goes from a row: null to nowhere, undefined if the key has another meaning.
   * @param {Element} line
   * @param {string} key
   * @returns {HTMLElement | null | undefined}
   */
  #beside(line, key) {
    if (key === "Escape") return this.element;
    if (key === "ArrowDown") return line.nextElementSibling?.querySelector("button") ?? null;
    if (key === "ArrowUp") return line.previousElementSibling?.querySelector("button") ?? null;
    return undefined;
  }

  #firstVisible() {
    const top = this.element.getBoundingClientRect().top + ROW;
    const lines = [...this.element.querySelectorAll(".rows-body > .rows-line")];
    return lines.find((line) => line.getBoundingClientRect().top >= top)?.querySelector("button");
  }
}

/**
 * @param {Actions} actions
 * @returns {import("../rows.js").Column<LogRecord>[]}
 */
function columns({ onNarrow, onOpen }) {
  /** @param {string} field @param {(row: LogRecord) => string} [of] */
  const plain = (field, of = () => field) => (/** @type {LogRecord} */ row) => narrowing(row, of(row), onNarrow);
  const open = (/** @type {LogRecord} */ row) =>
    h("button", { class: "cell", type: "button", tabindex: -1, onclick: () => onOpen(row) }, time(row.at));
  return [
    { label: "At (UTC)", width: "10.8rem", narrow: "4.1rem", cell: open },
    { label: "Handle", width: "minmax(10rem, 2fr)", narrow: "minmax(8rem, 2fr)", cell: plain("handle") },
    { label: "Event", width: "9.6rem", cell: (row) => event(row, onNarrow) },
    { label: "Reason or cause", width: "9.6rem", cell: plain("reason", (row) => (row.kind === "change" ? "cause" : "reason")) },
    { label: "Status", width: "3rem", cell: plain("status"), isNumber: true },
    { label: "Account", width: "9.6rem", cell: plain("account") },
    { label: "Device", width: "9.6rem", cell: plain("device") },
    { label: "Address", width: "minmax(7.5rem, 1fr)", cell: plain("ip") },
  ];
}

/**
 * @param {LogRecord} row
 * @param {Actions["onNarrow"]} onNarrow
 */
function event(row, onNarrow) {
  if (row.kind === "change") return narrowing(row, "change", onNarrow);
  if (row.kind === "refusals") return `${number(row.count)} refused`;
  const route = valueOf(row, "route");
  return narrowing(row, "route", onNarrow, codeMark(route));
}

/**
 * A value that narrows the search. By keyboard the record does the same.
 * @param {LogRecord} row
 * @param {string} field
 * @param {Actions["onNarrow"]} onNarrow
 * @param {Node} [shown]
 */
function narrowing(row, field, onNarrow, shown) {
  const value = valueOf(row, field);
  if (value === ABSENT) return h("span", { class: "soft" }, "–");
  const narrow = (/** @type {MouseEvent} */ event) => onNarrow(field, value, !event.shiftKey);
  return h("button", { class: "cell", type: "button", tabindex: -1, onclick: narrow }, shown ?? outside(value));
}
