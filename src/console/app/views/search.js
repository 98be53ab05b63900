// Searches the log: filters, rows as they stream, their counts over time, and a file of what was found.

import { Gone, Problem, isAborted } from "../api.js";
import { commandWords } from "../command.js";
import { replace } from "../dom.js";
import { utc } from "../format.js";
import { fault } from "../reading.js";
import { feed } from "../rows.js";
import { isSameRule, isSent } from "../search/filters.js";
import { Found, ROWS_MAX } from "../search/found.js";
import { lacking, missing, recordsOf } from "../search/notes.js";
import { SearchPage } from "../search/page.js";

/** @typedef {import("../types.js").Context} Context */
/** @typedef {import("../types.js").LogRecord} LogRecord */
/** @typedef {import("../search/filters.js").Filter} Filter */
/** @typedef {import("../search/filters.js").Rule} Rule */
/** @typedef {import("../search/notes.js").Phase} Phase */
/**
 * What the view keeps. Another view passes a filter only, which is searched for at once.
 * @typedef {object} State
 * @property {Filter} filter
 * @property {Found} [found] what the last search found
 * @property {Phase} [phase]
 * @property {string[]} [notes] what the found rows cannot have
 */

export const title = "Search";

/** Milliseconds between two drawings while rows stream. */
const DRAW_EVERY = 200;
const FIELD = "route";
/** @type {State} */
const FIRST = { filter: { since: "1h" }, phase: "none" };

/**
 * @param {HTMLElement} root
 * @param {Context} ctx
 */
export function mount(root, ctx) {
  const search = new Search(root, ctx, /** @type {State} */ (ctx.state ?? FIRST));
  return () => search.stop();
}

class Search {
  /** @type {AbortController | null} */
  #current = null;
  #isDrawing = false;

  /**
   * @param {HTMLElement} root
   * @param {Context} ctx
   * @param {State} state
   */
  constructor(root, ctx, { filter, found = new Found([], FIELD), phase, notes = [] }) {
    this.ctx = ctx;
    this.found = found;
    this.notes = notes;
    /** @type {Phase} */
    this.phase = phase ?? "none";
    this.page = new SearchPage(root, ctx, { filter, field: found.field }, {
      search: () => this.run(),
      stop: () => this.stop(),
      clear: () => this.#clear(),
      narrow: (field, value, keep) => this.narrow(field, value, keep),
      narrowCounted: (value) => this.narrow(this.found.field, value, true),
      between: (from, until) => this.#between(from, until),
      countBy: (field) => this.#change(() => this.found.countBy(field)),
      rule: (rule) => this.#rule(rule),
      values: (field) => this.found.values(field),
      drop: (rule) => this.#apply(this.found.rules.filter((other) => other !== rule)),
    });
    this.#command();
    if (phase === undefined || phase === "failed") this.run();
    else this.#draw();
  }

  /** Reads anew. */
  async run() {
    this.stop();
    const current = new AbortController();
    this.#current = current;
    const signal = AbortSignal.any([this.ctx.signal, current.signal]);
    const filter = this.page.form.filter;
    const found = new Found(this.found.rules, this.found.field);
    this.found = found;
    this.notes = [];
    this.page.form.mark(null);
    replace(this.page.problem);
    this.#enter("reading");
    this.#command();
    try {
      await this.#read(found, filter, signal);
    } catch (error) {
      if (this.#current !== current || this.ctx.signal.aborted) return;
      this.#fail(error);
    }
    if (this.#current !== current || this.ctx.signal.aborted) return;
    this.#current = null;
    this.page.form.completion.show();
    this.#keep();
    this.#draw();
  }

  /**
   * @param {Found} found
   * @param {Filter} filter
   * @param {AbortSignal} signal
   */
  async #read(found, filter, signal) {
    const question = this.ctx.api.withCase({ ...filter, ...(found.first.length === 0 && { limit: ROWS_MAX }) });
    /** @type {import("../api.js").Stream<LogRecord | import("../search/notes.js").GoneNode>} */
    const stream = await this.ctx.api.lines("/v1/log/search", question, { signal });
    /** @type {string[]} */
    const nodes = [];
    const rows = recordsOf(stream.rows, (node) => nodes.push(lacking(node)));
    await feed(untilFull(rows, found), (batch) => {
      found.add(batch);
      for (const row of batch) this.page.form.completion.see(row);
      this.#drawSoon();
    });
    this.#enter(found.isFull ? "full" : "complete");
    this.notes = [...nodes, ...(await missing(this.ctx, stream, signal))];
  }

  /** @param {unknown} error */
  #fail(error) {
    if (isAborted(error)) {
      if (this.phase === "reading") this.#enter("stopped");
      return;
    }
    replace(this.page.problem, fault(error, () => this.run(), this.ctx));
    if (error instanceof Problem) this.page.form.mark(error);
    // Rows that came before an answer broke off stay on the page.
    this.#enter(error instanceof Gone || this.found.read === 0 ? "failed" : "stopped");
  }

  /** Ends the reading. What was found stays. */
  stop() {
    this.#current?.abort();
  }

  /** @param {Phase} phase */
  #enter(phase) {
    this.phase = phase;
    this.#keep();
    this.#draw();
  }

  #keep() {
    // Somebody may have signed out: the next operator must not find the rows.
    if (this.ctx.signal.aborted) return;
    const { found, notes } = this;
    // A reading that is under way ends when the view is left.
    const phase = this.phase === "reading" ? "stopped" : this.phase;
    this.ctx.keep(/** @type {State} */ ({ filter: this.page.form.filter, found, notes, phase }));
  }

  #clear() {
    this.stop();
    this.page.form.filter = {};
    this.#change(() => (this.found = new Found([], this.found.field)));
    this.#enter("none");
  }

  /**
   * Shows rows with this value only, or without it: by a filter of the server if it has one, else by a rule of the browser.
   * @param {string} field
   * @param {string} value
   * @param {boolean} keep
   */
  narrow(field, value, keep) {
    if (keep && isSent(field, value)) {
      this.page.form.filter = { ...this.page.form.filter, [field]: value, ...(field === "handle" && { region: "" }) };
      this.run();
      return;
    }
    this.#rule({ field, value, keep });
  }

  /** @param {Rule} rule */
  #rule(rule) {
    if (!this.found.rules.some((other) => isSameRule(other, rule))) this.#apply([...this.found.rules, rule]);
  }

  /** @param {Rule[]} rules */
  #apply(rules) {
    this.#change(() => this.found.narrow(rules));
    // Rows that a dropped rule left out while they came were not kept.
    if (this.found.first.some((rule) => !rules.includes(rule))) this.run();
  }

  /** @param {() => void} change */
  #change(change) {
    change();
    this.#keep();
    this.#draw();
  }

  /**
   * @param {number} from
   * @param {number} until
   */
  #between(from, until) {
    const instant = (/** @type {number} */ at) => `${utc(at).replace(" ", "T")}Z`;
    this.page.form.filter = { ...this.page.form.filter, since: instant(from), until: instant(until) };
    this.run();
  }

  #drawSoon() {
    if (this.#isDrawing) return;
    this.#isDrawing = true;
    setTimeout(() => {
      this.#isDrawing = false;
      if (this.#current !== null) this.#draw();
    }, DRAW_EVERY);
  }

  #draw() {
    this.page.show(this.found, this.phase, this.notes);
  }

  #command() {
    this.ctx.command(commandWords("log search", { ...this.page.form.filter, case: this.ctx.session.case }), true);
  }
}

/**
 * Ends the answer once no more rows are kept.
 * @param {AsyncIterable<LogRecord[]>} batches
 * @param {Found} found
 */
async function* untilFull(batches, found) {
  for await (const batch of batches) {
    yield batch;
    if (found.isFull) return;
  }
}
