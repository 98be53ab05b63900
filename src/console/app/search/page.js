// The elements of the search page: form, rules and notes, chart, table, dialog.

import { commandWords } from "../command.js";
import { h, replace } from "../dom.js";
import { commandLine, utc } from "../format.js";
import { histogram } from "../histogram.js";
import { FIELDS } from "./filters.js";
import { SearchForm } from "./form.js";
import { chips, progress } from "./notes.js";
import { RecordDialog } from "./record.js";
import { rulesForm } from "./rules.js";
import { RecordTable } from "./table.js";

/** @typedef {import("../types.js").Context} Context */
/** @typedef {import("./filters.js").Filter} Filter */
/** @typedef {import("./filters.js").Rule} Rule */
/** @typedef {import("./found.js").Found} Found */
/** @typedef {import("./notes.js").Phase} Phase */

/** Milliseconds until the browser has surely taken a file. */
const FILE_PATIENCE = 60_000;

/**
 * What people do.
 * @typedef {object} Actions
 * @property {() => void} search
 * @property {() => void} stop
 * @property {() => void} clear
 * @property {(field: string, value: string, keep: boolean) => void} narrow shows rows with this value only, or without it
 * @property {(value: string) => void} narrowCounted the same for a value that rows are counted by
 * @property {(from: number, until: number) => void} between shows the rows between two instants
 * @property {(field: string) => void} countBy
 * @property {(rule: Rule) => void} rule adds a rule
 * @property {(rule: Rule) => void} drop drops a rule
 * @property {(field: string) => string[]} values some values that rows have
 */

export class SearchPage {
  /**
   * @param {HTMLElement} root
   * @param {Context} ctx
   * @param {{ filter: Filter, field: string }} first
   * @param {Actions} actions
   */
  constructor(root, ctx, { filter, field }, actions) {
    this.ctx = ctx;
    this.actions = actions;
    this.form = new SearchForm(ctx, filter, actions.search);
    this.stop = h("button", { class: "button", type: "button", onclick: actions.stop }, "Stop");
    this.form.buttons.append(
      h("button", { class: "button primary" }, "Search"),
      this.stop,
      h("button", { class: "button quiet", type: "button", onclick: actions.clear }, "Clear the filters"),
    );
    const dialog = new RecordDialog(ctx, actions.narrow);
    this.table = new RecordTable({ onNarrow: actions.narrow, onOpen: (row) => dialog.show(row) });
    this.chart = histogram({ label: "Records over time", onRange: actions.between, onValue: actions.narrowCounted });
    const options = FIELDS.map((name) => h("option", { value: name, selected: name === field }, name));
    const fields = h("select", { id: "count-by", onchange: () => actions.countBy(fields.value) }, ...options);
    // Not announced while the results are busy.
    this.said = h("p", { class: "search-said", role: "status", tabindex: -1 });
    this.problem = h("div", {});
    this.chips = h("div", { class: "view" });
    this.file = h("details", { class: "search-file" });
    this.results = h(
      "section",
      { class: "card search-results", "aria-label": "Records" },
      h("div", { class: "bar" }, this.said, h("div", { class: "inline" }, h("label", { for: "count-by" }, "Count by"), fields)),
      this.chart.element,
      this.file,
      h("p", { class: "hint", id: "record-table-keys" },
        "A click on a value shows rows with it only", h("span", { class: "with-keys" }, ", with Shift those without it"),
        ". The time opens the whole record. ",
        h("span", { class: "with-keys" }, "By keyboard, Enter goes to the rows, arrows go from row to row, and Enter opens one.")),
      this.table.element,
    );
    const rules = rulesForm(ctx, actions.values, actions.rule);
    root.append(h("div", { class: "card search-form" }, this.form.element, rules), this.chips, this.problem, this.results, dialog.element);
  }

  /**
   * What had the focus may be gone afterwards: then what the search says has it.
   * @param {Found} found
   * @param {Phase} phase
   * @param {readonly string[]} notes
   */
  show(found, phase, notes) {
    const focused = document.activeElement;
    const isInside = focused !== null && (this.results.contains(focused) || this.chips.contains(focused));
    this.#draw(found, phase, notes);
    const isLost = focused !== null && (!focused.isConnected || !focused.checkVisibility());
    if (isInside && isLost) this.said.focus({ preventScroll: true });
  }

  /**
   * @param {Found} found
   * @param {Phase} phase
   * @param {readonly string[]} notes
   */
  #draw(found, phase, notes) {
    const isEmpty = found.shown.length === 0;
    this.stop.hidden = phase !== "reading";
    this.results.hidden = phase === "none" || (phase === "failed" && isEmpty);
    this.results.setAttribute("aria-busy", String(phase === "reading"));
    for (const element of [this.chart.element, this.table.element, this.file]) element.hidden = isEmpty && phase !== "reading";
    replace(this.said, ...progress(found, phase));
    replace(this.chips, ...chips(found.rules, notes, this.actions.drop));
    this.chart.show(found.bins);
    this.table.show(found.shown);
    if (phase !== "reading") this.#offer(found);
  }

  /** Offers the shown rows as a file. @param {Found} found */
  #offer(found) {
    const save = async () => {
      const address = URL.createObjectURL(await found.ndjson());
      h("a", { href: address, download: `dispatchd-${utc(Date.now()).replace(/[: ]/g, "-")}.ndjson` }).click();
      setTimeout(() => URL.revokeObjectURL(address), FILE_PATIENCE);
    };
    const words = commandWords("log export", { ...this.form.filter, case: this.ctx.session.case, output: "log.ndjson" });
    replace(
      this.file,
      h("summary", {}, "Save or export"),
      h("div", { class: "bar" },
        h("button", { class: "button", type: "button", onclick: save }, "Save these records as NDJSON"),
        h("span", { class: "hint" }, "The log forgets after 30 days. A saved file does not: delete it yourself.")),
      h("p", { class: "hint" }, "This command exports everything that the filters match, also as Parquet or CSV:"),
      h("code", { class: "line block", tabindex: 0 }, commandLine(words)),
      found.rules.length > 0 && h("p", { class: "hint" }, "The command does not know the rules of this page."),
    );
  }
}
