// The filters of a search, as a form.

import { Completion, closedSets } from "../completion.js";
import { h, replace } from "../dom.js";
import { field } from "../field.js";
import { coded } from "../routes.js";
import { SENT, given } from "./filters.js";

/** @typedef {import("../types.js").Context} Context */
/** @typedef {import("./filters.js").Filter} Filter */
/** @typedef {import("./filters.js").SentName} SentName */
/** @typedef {HTMLInputElement | HTMLSelectElement} Box */

/** The boxes in the order of the form: name, label, an example or what an empty one means. */
const BOXES = /** @type {const} */ ([
  ["handle", "Handle", "phone number or e-mail"],
  ["region", "Region", "e.g. US"],
  ["since", "Since", "7d, yesterday, 2026-11-23 08:00"],
  ["until", "Until", "now"],
  ["kind", "Kind", "every kind"],
  ["route", "Route", "every route"],
  ["reason", "Reason", "every reason"],
  ["account", "Account", "a_…"],
  ["device", "Device", "d_…"],
  ["ip", "Address", "192.0.2.0/24"],
]);
/** The boxes that choose from a closed set, with the name of its schema. */
const CHOICES = new Map([["kind", "Kind"], ["route", "Route"]]);
/** The boxes that suggest values that rows had. */
const SUGGESTED = ["handle", "account", "device", "ip"];

/** A form of which every box has the name of a filter. */
export class SearchForm {
  /** @type {Map<SentName, Box>} */
  #boxes = new Map();

  /**
   * @param {Context} ctx
   * @param {Filter} filter what the boxes hold at first
   * @param {() => void} onSearch
   */
  constructor(ctx, filter, onSearch) {
    this.completion = new Completion([...SUGGESTED, "reason"]);
    const fields = BOXES.map(([name, label, example]) => this.#field(name, label, example, filter[name] ?? ""));
    /** Fills with the buttons of the view. */
    this.buttons = h("div", { class: "bar search-buttons" });
    this.element = h(
      "form",
      {
        class: "search-boxes",
        role: "search",
        onsubmit: (event) => {
          event.preventDefault();
          onSearch();
        },
      },
      h("div", { class: "search-fields" }, ...fields),
      this.completion.element,
      this.buttons,
    );
    this.#complete(ctx, filter);
  }

  /** What the boxes hold; empty ones are left out. @returns {Filter} */
  get filter() {
    /** @type {Filter} */
    const filter = {};
    for (const [name, box] of this.#boxes) filter[name] = box.value;
    return given(filter);
  }

  /** @param {Filter} filter */
  set filter(filter) {
    for (const name of SENT) this.#set(name, filter[name] ?? "");
  }

  /**
   * Marks the box that a problem names, and no other.
   * @param {import("../api.js").Problem | null} problem
   */
  mark(problem) {
    const named = problem === null ? undefined : nameIn(problem);
    for (const [name, box] of this.#boxes) {
      if (name === named) box.setAttribute("aria-invalid", "true");
      else box.removeAttribute("aria-invalid");
    }
    if (named !== undefined) this.#boxes.get(named)?.focus();
  }

  /**
   * @param {SentName} name
   * @param {string} label
   * @param {string} example
   * @param {string} value
   */
  #field(name, label, example, value) {
    const id = `filter-${name}`;
    const box = CHOICES.has(name)
      ? h("select", { id }, h("option", { value: "" }, example))
      : h("input", {
          id, value, placeholder: example, autocomplete: "off", autocapitalize: "off", spellcheck: "false", dir: "auto",
          list: this.completion.listOf(name), "data-box": name === "handle" && "",
        });
    this.#boxes.set(name, box);
    this.#set(name, value);
    return field(label, box, `field-${name}`);
  }

  /**
   * @param {SentName} name
   * @param {string} value
   */
  #set(name, value) {
    const box = this.#boxes.get(name);
    if (box === undefined) return;
    // A choice may come before the closed set is here.
    const isUnknown = box instanceof HTMLSelectElement && ![...box.options].some((option) => option.value === value);
    if (isUnknown) box.append(h("option", { value }, value));
    box.value = value;
  }

  /**
   * Fills the closed sets. Without them the boxes still take what people write.
   * @param {Context} ctx
   * @param {Filter} filter
   */
  async #complete(ctx, filter) {
    const sets = await closedSets(ctx).catch(() => null);
    if (sets === null) return;
    this.completion.suggest("reason", sets.get("Reason") ?? []);
    for (const [name, schema] of CHOICES) {
      const box = this.#boxes.get(/** @type {SentName} */ (name));
      if (!(box instanceof HTMLSelectElement)) continue;
      const chosen = box.value || (filter[/** @type {SentName} */ (name)] ?? "");
      const codes = sets.get(schema) ?? [];
      replace(box, box.options[0], ...codes.map(({ code, meaning }) => h("option", { value: code, title: meaning }, name === "route" ? coded(code) : code)));
      box.value = chosen;
    }
  }
}

/**
 * The filter that a problem names, such as in "`since` takes …" and "route: … is not one of …".
 * @param {import("../api.js").Problem} problem
 * @returns {SentName | undefined}
 */
function nameIn(problem) {
  if (problem.code === "handle-invalid") return "handle";
  const word = /^`?([a-z]+)(?:`|:)/.exec(problem.message)?.[1];
  return SENT.find((name) => name === word);
}
