// Shows the view that the address names: `#/why`. What a view shows is never in the address; it is kept in memory.

import { h, replace } from "./dom.js";
import { VIEWS } from "./views.js";

/** @typedef {import("./types.js").Context} Context */

export class Router {
  /** @type {Map<string, unknown>} */
  #states = new Map();
  /** @type {AbortController | null} */
  #current = null;
  #shown = "";
  /** How often the module of each view could not be loaded. @type {Map<string, number>} */
  #failures = new Map();

  /**
   * @param {Omit<Context, "state" | "keep" | "go" | "signal">} common what every view gets
   * @param {import("./shell.js").Shell} shell
   */
  constructor(common, shell) {
    this.common = common;
    this.shell = shell;
    addEventListener("hashchange", () => this.show());
  }

  /**
   * @param {string} id
   * @param {unknown} [state]
   */
  go(id, state) {
    if (state !== undefined) this.#states.set(id, state);
    if (location.hash === `#/${id}`) this.show();
    else location.hash = `#/${id}`;
  }

  /** Forgets what the views showed, for instance when somebody signs out. */
  forget() {
    this.#states.clear();
    this.#current?.abort();
    this.#current = null;
    this.#shown = "";
  }

  /**
   * A browser remembers that a module could not be fetched, so the next attempt has another address.
   * @param {import("./types.js").ViewEntry} entry
   * @returns {Promise<import("./types.js").View>}
   */
  #load(entry) {
    const failures = this.#failures.get(entry.id);
    return failures === undefined ? entry.load() : import(`./views/${entry.id}.js?after=${failures}`);
  }

  /** Shows the view anew once the server is back. What somebody was typing meanwhile stays, and so does their focus. */
  async showAgain() {
    const fields = [...this.shell.main.querySelectorAll("input[id], select[id]")].map((it) => /** @type {HTMLInputElement | HTMLSelectElement} */ (it));
    const typed = fields.map(({ id, value }) => ({ id, value }));
    const focused = fields.find((it) => it === document.activeElement)?.id;
    await this.show();
    for (const { id, value } of typed) {
      const field = this.shell.main.querySelector(`#${CSS.escape(id)}`);
      if ((field instanceof HTMLInputElement || field instanceof HTMLSelectElement) && field.value !== value) {
        field.value = value;
        field.dispatchEvent(new Event("input", { bubbles: true }));
      }
    }
    if (focused !== undefined) document.getElementById(focused)?.focus();
  }

  /** Shows the view of the address anew. @param {boolean} [takesFocus] whether its heading gets the focus, as on the way from another view */
  async show(takesFocus = false) {
    const entry = VIEWS.find((view) => location.hash === `#/${view.id}`) ?? VIEWS[0];
    const isNavigation = this.#shown !== entry.id && this.#shown !== "";
    this.#shown = entry.id;
    this.#current?.abort();
    const current = new AbortController();
    this.#current = current;
    if (this.common.session.token === null) return;
    this.shell.select(entry);
    this.common.command(null);
    let view;
    try {
      view = await this.#load(entry);
    } catch {
      this.#failures.set(entry.id, (this.#failures.get(entry.id) ?? 0) + 1);
      // The module could not be fetched: the server is gone, or newer than the page.
      if (current.signal.aborted) return;
      replace(this.shell.main, h("p", { class: "note" }, "This page could not be loaded. Load the console again."));
      // When the server is back, the page is loaded anew.
      this.common.api.check();
      return;
    }
    if (current.signal.aborted) return;
    const heading = h("h1", { tabindex: -1 }, view.title);
    const root = h("div", { class: `view view-${entry.id}` });
    replace(this.shell.main, heading, root);
    document.title = `${view.title} · dispatchd`;
    const unmount = view.mount(root, {
      ...this.common,
      state: this.#states.get(entry.id),
      keep: (state) => this.#states.set(entry.id, state),
      go: (id, state) => this.go(id, state),
      signal: current.signal,
    });
    current.signal.addEventListener("abort", unmount);
    if (isNavigation || takesFocus) heading.focus();
  }
}
