// A form that makes rules of the browser: rows with a value are kept, or left out.

import { closedSets } from "../completion.js";
import { h, replace, seen } from "../dom.js";
import { field } from "../field.js";
import { FIELDS, SETS } from "./filters.js";

/** @typedef {import("../types.js").Context} Context */
/** @typedef {import("./filters.js").Rule} Rule */

/** The first are the fields that the server's search cannot filter by. */
const RULED = ["change", "cause", "status", ...FIELDS.filter((field) => !["change", "cause", "status"].includes(field)), "request"];

/**
 * @param {Context} ctx
 * @param {(field: string) => string[]} values values that rows have
 * @param {(rule: Rule) => void} onRule
 */
export function rulesForm(ctx, values, onRule) {
  const name = h("select", { id: "rule-field" }, ...RULED.map((of) => h("option", { value: of }, of)));
  const keep = h("select", { id: "rule-keep" }, h("option", { value: "is" }, "is"), h("option", { value: "is not" }, "is not"));
  const list = h("datalist", { id: "rule-values" });
  const value = h("input", { id: "rule-value", list: list.id, autocomplete: "off", spellcheck: "false", required: true });
  const suggest = async () => {
    const sets = await closedSets(ctx).catch(() => null);
    const codes = sets?.get(SETS.get(name.value) ?? "")?.map(({ code }) => code) ?? [];
    const all = [...new Set([...codes, ...values(name.value)])].filter((text) => seen(text) === text);
    replace(list, ...all.map((text) => h("option", { value: text })));
  };
  const add = (/** @type {Event} */ event) => {
    event.preventDefault();
    onRule({ field: name.value, value: value.value.trim(), keep: keep.value === "is" });
    value.value = "";
  };
  name.addEventListener("change", suggest);
  value.addEventListener("focus", suggest);
  return h(
    "details",
    { class: "rules" },
    h("summary", {}, "Rules: change, cause, status, and what to leave out"),
    h(
      "form",
      { class: "fields", "aria-label": "Rules", onsubmit: add },
      field("Only rows whose", name, "short"),
      field("Rule", keep, "short"),
      field("Value", value),
      list,
      h("button", { class: "button" }, "Add the rule"),
    ),
    h("p", { class: "hint" }, "The server has no such filters: this page applies them to the records that it reads."),
  );
}
