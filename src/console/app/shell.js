// What stands around every view: header, navigation, sign-in, the case, whether the server is there, the command line.

import { Gone, Problem, UNKNOWN_TOKEN } from "./api.js";
import { h, outside, replace } from "./dom.js";
import { commandLine } from "./format.js";
import { sentence } from "./sentences.js";
import { VIEWS } from "./views.js";

const THEME = "dispatchd.theme";
/** The theme behind each one, when somebody switches. */
const NEXT_THEME = /** @type {const} */ ({ auto: "light", light: "dark", dark: "auto" });

export class Shell {
  /** Shows the keys. */
  showKeys = () => {};

  /**
   * @param {import("./session.js").Session} session
   * @param {import("./api.js").Api} api
   */
  constructor(session, api) {
    this.session = session;
    this.api = api;
    this.main = h("main", { id: "main", tabindex: -1 });
    this.nav = h("nav", { "aria-label": "Views" });
    this.tools = h("div", { class: "tools" });
    this.banner = h("div", { class: "banner", role: "status" });
    this.live = h("div", { class: "visually-hidden", "aria-live": "polite" });
    this.footer = h("footer", {});
    const skip = h("a", { class: "skip", href: "#main", onclick: (event) => this.#skip(event) }, "Skip to the view");
    const brand = h("span", { class: "brand" }, h("span", { class: "mark", "aria-hidden": "true" }), h("span", { class: "brand-name" }, "dispatchd"));
    const header = h("header", {}, brand, this.nav, this.tools);
    document.body.append(skip, header, this.banner, this.main, this.footer, this.live);
    api.addEventListener("gone", () => this.#tellGone());
    api.addEventListener("back", () => this.#tellBack());
    applyTheme(theme());
  }

  /** @param {Event} event */
  #skip(event) {
    // The address names a view, so a link must not change it.
    event.preventDefault();
    this.main.focus();
  }

  /** Tells screen readers. @param {string} text */
  say(text) {
    this.live.textContent = text;
  }

  /** Marks a view in the navigation. @param {import("./types.js").ViewEntry} entry */
  select(entry) {
    for (const link of this.nav.querySelectorAll("a")) {
      if (link.hash === `#/${entry.id}`) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
  }

  /**
   * Shows the command line of what is on the page.
   * @param {readonly string[] | null} words
   * @param {boolean} [audited]
   */
  command(words, audited = false) {
    if (words === null) return replace(this.footer);
    const line = commandLine(words);
    const copied = h("span", { class: "copied", role: "status" });
    const copy = async () => {
      await navigator.clipboard.writeText(line).then(
        () => replace(copied, "copied"),
        () => replace(copied, "select it and copy it"),
      );
    };
    replace(
      this.footer,
      h("div", { class: "command" }, h("div", { class: "line", tabindex: 0, role: "group", "aria-label": "The same on the command line" }, h("code", {}, outside(line))),
        h("button", { class: "button quiet", type: "button", onclick: copy }, "Copy"), copied),
      audited && h("p", { class: "audited" }, "The audit log notes this reading."),
    );
  }

  /** Header and navigation for somebody who is signed in. */
  open() {
    replace(this.nav, ...VIEWS.map((view) => h("a", { href: `#/${view.id}` }, view.label)));
    // The form must not take what is typed while the view is loaded.
    replace(this.main);
    const leave = () => this.session.signOut(null);
    replace(
      this.tools,
      this.#caseBox(),
      themeSwitch(),
      h("button", { class: "button quiet keys", type: "button", onclick: () => this.showKeys() }, "Keys"),
      h("button", { class: "button quiet", type: "button", onclick: leave }, "Sign out"),
    );
  }

  #caseBox() {
    const box = h("input", {
      id: "case",
      value: this.session.case,
      maxlength: 64,
      autocomplete: "off",
      spellcheck: "false",
      placeholder: "none",
      title: "What you read belongs to this case, such as INC-4711. The audit log keeps it. It must name no person.",
      onchange: () => {
        this.session.case = box.value;
      },
    });
    return h("label", { class: "case" }, "Case", box);
  }

  /** Asks for a token, and says why the last one is no longer good. */
  askForToken() {
    replace(this.nav);
    replace(this.tools, themeSwitch());
    replace(this.footer);
    // What was said may be about somebody.
    this.say("");
    document.title = "Sign in · dispatchd";
    const token = h("input", { id: "token", type: "password", autocomplete: "off", spellcheck: "false", required: true });
    const keep = h("input", { type: "checkbox" });
    const error = h("p", { class: "error", role: "alert" }, this.session.reason);
    const button = h("button", { class: "button primary" }, "Sign in");
    const enter = async (/** @type {Event} */ event) => {
      event.preventDefault();
      replace(error);
      button.disabled = true;
      const fault = await this.#fault(token.value.trim());
      button.disabled = false;
      if (fault === null) return this.session.signIn(token.value.trim(), keep.checked);
      replace(error, ...sentence(fault));
      token.focus();
    };
    const form = h(
      "form",
      { class: "card sign-in", onsubmit: enter },
      h("h1", { tabindex: -1 }, "Sign in"),
      h("label", { for: "token" }, "Operator token"),
      token,
      error,
      h("label", { class: "check" }, keep, "Keep it in this tab when the page is loaded again"),
      button,
      h("p", { class: "hint" }, "This command makes a token on the server:"),
      h("code", { class: "line" }, "dispatchd operator add NAME --role reader"),
    );
    replace(this.main, form);
    token.focus();
  }

  /**
   * What is wrong with a token, in a sentence; null if it is good. The call is a cheap one that is not audited.
   * @param {string} token
   */
  async #fault(token) {
    if (!/^[\x21-\x7e]+$/.test(token)) return "A token has only letters, digits and underscores.";
    try {
      await this.api.get("/v1/registry", {}, { token });
      return null;
    } catch (error) {
      if (error instanceof Problem) {
        // While the registry is loaded, the token has passed already.
        if (error.status === 503) return null;
        return error.status === 401 ? UNKNOWN_TOKEN : error.message;
      }
      if (error instanceof Gone) return error.message;
      throw error;
    }
  }

  #tellGone() {
    this.banner.classList.add("is-shown");
    replace(this.banner, "The server does not answer. The console asks again by itself.");
  }

  #tellBack() {
    this.banner.classList.remove("is-shown");
    replace(this.banner);
    this.say("The server answers again.");
  }
}

/** @returns {keyof typeof NEXT_THEME} */
function theme() {
  const kept = sessionStorage.getItem(THEME);
  return kept === "light" || kept === "dark" ? kept : "auto";
}

/** @param {string} name */
function applyTheme(name) {
  document.documentElement.dataset.theme = name;
}

function themeSwitch() {
  const label = () => `Theme: ${theme()}`;
  const button = h("button", { class: "button quiet", type: "button", title: "Follow the system, light, or dark" }, label());
  button.addEventListener("click", () => {
    sessionStorage.setItem(THEME, NEXT_THEME[theme()]);
    applyTheme(theme());
    replace(button, label());
  });
  return button;
}

/**
 * What a view shows in place of an answer that it did not get.
 * @param {unknown} error
 * @param {() => void} again
 */
export function failure(error, again) {
  const isProblem = error instanceof Problem;
  const title = isProblem && error.title ? error.title : error instanceof Gone ? "No answer" : "The console has a defect";
  const text = error instanceof Error ? error.message : String(error);
  const after = isProblem && error.retryAfter !== null ? ` Try again in ${error.retryAfter} s.` : "";
  return h(
    "div",
    { class: "card failure", role: "alert", "data-code": isProblem ? error.code : null },
    h("h2", {}, title),
    h("p", {}, ...sentence(text), after),
    canHelp(error) && h("button", { class: "button", type: "button", onclick: again }, "Try again"),
  );
}

/** Whether the same call may be answered another time. @param {unknown} error */
function canHelp(error) {
  return !(error instanceof Problem) || error.retry === "later" || error.code === "case-required";
}
