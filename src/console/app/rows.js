// A table of any number of rows. Only the visible ones are in the page, so 100,000 rows cost little more than their data.

import { h, replace } from "./dom.js";

/** The height of a row in pixels. Rows are found by it, so every row has it. */
const ROW = 30;
/** Rows kept on either side of the visible ones, so that scrolling shows no gap. */
const SPARE = 12;
/** Milliseconds of work between two frames. */
const SLICE = 8;

/**
 * A column.
 * @template T
 * @typedef {object} Column
 * @property {string} label
 * @property {string} width a track of a CSS grid in rem, such as `12rem` or `minmax(8rem, 1fr)`
 * @property {string} [narrow] the same on a narrow page
 * @property {(row: T) => import("./dom.js").Child} cell what the row shows here
 * @property {boolean} [isNumber] whether it is set to the right
 */

/** @template T */
export class Rows {
  /** @type {T[]} */
  #rows = [];
  /** The rows in the page, by their index. @type {Map<number, HTMLElement>} */
  #shown = new Map();
  #isScheduled = false;

  /**
   * @param {string} label
   * @param {readonly Column<T>[]} columns
   */
  constructor(label, columns) {
    this.columns = columns;
    this.body = h("div", { class: "rows-body", role: "rowgroup" });
    const head = this.#line(columns.map((column) => this.#cell(column, "columnheader", column.label)), 1);
    head.classList.add("rows-head");
    /** Put this into the page. */
    this.element = h(
      "div",
      { class: "rows", role: "table", "aria-label": label, "aria-colcount": columns.length, tabindex: 0 },
      h("div", { role: "rowgroup", class: "rows-top" }, head),
      this.body,
    );
    this.element.addEventListener("scroll", () => this.#schedule(), { passive: true });
    this.element.addEventListener("keydown", (event) => this.#scroll(event));
    new ResizeObserver(() => this.#schedule()).observe(this.element);
    // The style sheet chooses.
    this.#measure("wide", columns.map(({ width }) => width));
    this.#measure("narrow", columns.map(({ width, narrow = width }) => narrow));
    this.#resize();
  }

  /** @param {string} name @param {readonly string[]} tracks */
  #measure(name, tracks) {
    this.element.style.setProperty(`--${name}`, tracks.join(" "));
    this.element.style.setProperty(`--${name}-least`, `${leastWidth(tracks)}rem`);
  }

  /** All rows, in their order. @returns {readonly T[]} */
  get all() {
    return this.#rows;
  }

  /** Adds rows at the end. @param {readonly T[]} rows */
  append(rows) {
    for (const row of rows) this.#rows.push(row);
    this.#resize();
  }

  /** Shows other rows. @param {readonly T[]} [rows] */
  reset(rows = []) {
    this.#rows = [...rows];
    this.#shown.clear();
    replace(this.body);
    this.element.scrollTop = 0;
    this.#resize();
  }

  #resize() {
    this.body.style.height = `${this.#rows.length * ROW}px`;
    this.element.setAttribute("aria-rowcount", String(this.#rows.length + 1));
    this.#schedule();
  }

  #schedule() {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    requestAnimationFrame(() => {
      this.#isScheduled = false;
      this.#draw();
    });
  }

  #draw() {
    const { scrollTop, clientHeight } = this.element;
    const first = Math.max(0, Math.floor(scrollTop / ROW) - SPARE);
    const end = Math.min(this.#rows.length, Math.ceil((scrollTop + clientHeight) / ROW) + SPARE);
    for (const [at, line] of this.#shown) {
      if (at >= first && at < end) continue;
      // The focus would leave the table with the row.
      if (line.contains(document.activeElement)) this.element.focus({ preventScroll: true });
      line.remove();
      this.#shown.delete(at);
    }
    for (let at = first; at < end; at += 1) {
      if (this.#shown.has(at)) continue;
      const row = this.#rows[at];
      const line = this.#line(this.columns.map((column) => this.#cell(column, "cell", column.cell(row))), at + 2);
      line.style.top = `${at * ROW}px`;
      this.#shown.set(at, line);
      this.#insert(line, at);
    }
  }

  /** The page has the rows in their order, for those who read it aloud and for the Tab key. @param {HTMLElement} line @param {number} at */
  #insert(line, at) {
    const next = this.#shown.get(at + 1);
    if (next === undefined) this.body.append(line);
    else next.before(line);
  }

  /** @param {HTMLElement[]} cells @param {number} index */
  #line(cells, index) {
    return h("div", { class: "rows-line", role: "row", "aria-rowindex": index }, ...cells);
  }

  /**
   * @param {Column<T>} column
   * @param {string} role
   * @param {import("./dom.js").Child} content
   */
  #cell(column, role, content) {
    return h("div", { role, class: column.isNumber ? "number" : null }, content);
  }

  /** The keys that a browser gives a scrolled area, whichever element in the table has the focus. @param {KeyboardEvent} event */
  #scroll(event) {
    const page = this.element.clientHeight - 2 * ROW;
    const by = { ArrowDown: ROW, ArrowUp: -ROW, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity }[event.key];
    if (by === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const top = this.element.scrollTop + by;
    this.element.scrollTop = Math.min(Math.max(top, 0), this.element.scrollHeight);
  }
}

/** What the columns take at least, with the gaps between them. @param {readonly string[]} tracks */
function leastWidth(tracks) {
  const widths = tracks.map((track) => Number.parseFloat(/[\d.]+(?=rem)/.exec(track)?.[0] ?? "8"));
  return widths.reduce((sum, width) => sum + width, 0) + 0.9 * (tracks.length + 1);
}

/**
 * Takes batches as they come, and lets the page be drawn between them. It returns at the end of the stream.
 * @template T
 * @param {AsyncIterable<T[]>} stream
 * @param {(rows: T[]) => void} take
 */
export async function feed(stream, take) {
  let begun = performance.now();
  for await (const rows of stream) {
    take(rows);
    if (performance.now() - begun < SLICE || document.hidden) continue;
    await new Promise((resolve) => setTimeout(resolve));
    begun = performance.now();
  }
}
