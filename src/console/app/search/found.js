// The rows of a search: those that the server gave, those that the rules of the browser let through, and their counts over time.

import { Bins } from "../bins.js";
import { passes, valueOf } from "./filters.js";

/** @typedef {import("../types.js").LogRecord} LogRecord */
/** @typedef {import("./filters.js").Rule} Rule */

/** Rows that the page keeps. Their memory is the reason: about half a kilobyte each. */
export const ROWS_MAX = 100_000;
/** Rows that are written between two frames. */
const ROWS_A_SLICE = 5000;
/** Values that are suggested. */
const VALUES_MAX = 200;

export class Found {
  /** Rows that the server gave and that passed the rules of the beginning. @type {LogRecord[]} */
  rows = [];
  /** Of these, the ones that pass the rules of now. @type {LogRecord[]} */
  shown = [];
  /** Rows that the server gave, kept or not. */
  read = 0;
  bins = new Bins();

  /**
   * @param {readonly Rule[]} rules rows that do not pass these are not kept
   * @param {string} field rows are counted by it
   */
  constructor(rules, field) {
    this.first = rules;
    this.rules = rules;
    this.field = field;
  }

  get isFull() {
    return this.rows.length >= ROWS_MAX;
  }

  /** @param {readonly LogRecord[]} batch */
  add(batch) {
    for (const row of batch) {
      if (this.isFull) return;
      this.read += 1;
      if (!passes(row, this.first)) continue;
      this.rows.push(row);
      if (passes(row, this.rules)) this.#show(row);
    }
  }

  /** Applies other rules to the rows that are kept. @param {readonly Rule[]} rules */
  narrow(rules) {
    this.rules = rules;
    this.#countAnew();
  }

  /** @param {string} field */
  countBy(field) {
    this.field = field;
    this.#countAnew();
  }

  #countAnew() {
    this.bins = new Bins();
    this.shown = [];
    for (const row of this.rows) if (passes(row, this.rules)) this.#show(row);
  }

  /** @param {LogRecord} row */
  #show(row) {
    this.shown.push(row);
    this.bins.add(Date.parse(row.at), valueOf(row, this.field));
  }

  /** Some values of a field, each once. @param {string} field */
  values(field) {
    const found = new Set();
    for (const row of this.rows) {
      found.add(valueOf(row, field));
      if (found.size >= VALUES_MAX) break;
    }
    return [...found];
  }

  /** The shown rows as NDJSON, a record a line, as the API gives them. The page is drawn meanwhile. */
  async ndjson() {
    const { shown } = this;
    const parts = [];
    for (let at = 0; at < shown.length; at += ROWS_A_SLICE) {
      // A blob of each slice: to make one of all the text would take long at the end.
      parts.push(new Blob([shown.slice(at, at + ROWS_A_SLICE).map((row) => `${JSON.stringify(row)}\n`).join("")]));
      await new Promise((resolve) => setTimeout(resolve));
    }
    return new Blob(parts, { type: "application/x-ndjson" });
  }
}
