// Who is signed in, and for which case. The token is in memory; in the tab's session storage only if its owner asked for that.

const TOKEN = "dispatchd.token";
const CASE = "dispatchd.case";

/** Fires `change` when somebody signs in or out, and when the case changes. */
export class Session extends EventTarget {
  /** @type {string | null} */
  #token = sessionStorage.getItem(TOKEN);
  #case = this.#token === null ? "" : (sessionStorage.getItem(CASE) ?? "");
  /** @type {string | null} */
  #reason = null;

  /** The operator's token, or null. */
  get token() {
    return this.#token;
  }

  /** Why the last operator was signed out, for people; null if they did it themselves. */
  get reason() {
    return this.#reason;
  }

  /** The case that readings belong to; empty if none. */
  get case() {
    return this.#case;
  }

  set case(text) {
    this.#case = text.trim();
    this.#keepCase();
    this.dispatchEvent(new Event("change"));
  }

  /**
   * @param {string} token
   * @param {boolean} isKept whether the tab keeps it when the page is loaded again
   */
  signIn(token, isKept) {
    this.#token = token;
    this.#reason = null;
    if (isKept) sessionStorage.setItem(TOKEN, token);
    this.#keepCase();
    this.dispatchEvent(new Event("change"));
  }

  /** The case outlives the page only with its operator's token: the readings of another operator must not carry it. */
  #keepCase() {
    if (sessionStorage.getItem(TOKEN) === null) sessionStorage.removeItem(CASE);
    else sessionStorage.setItem(CASE, this.#case);
  }

  /** @param {string | null} reason */
  signOut(reason) {
    if (this.#token === null) return;
    this.#token = null;
    this.#reason = reason;
    this.#case = "";
    sessionStorage.removeItem(TOKEN);
    sessionStorage.removeItem(CASE);
    this.dispatchEvent(new Event("change"));
  }
}
