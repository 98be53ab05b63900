// What a view reads: the wait, the answer, or why there is none.

import { Problem, isAborted } from "./api.js";
import { h, replace } from "./dom.js";
import { failure } from "./shell.js";

/** @typedef {import("./types.js").Context} Context */

/** A place on the page that one call at a time fills. A newer call ends the one before it. */
export class Reading {
  /** @type {AbortController | null} */
  #current = null;

  /**
   * @param {Element} place
   * @param {Context} ctx
   */
  constructor(place, ctx) {
    this.place = place;
    this.ctx = ctx;
  }

  /**
   * @template T
   * @param {string} wait what the place says until the answer is there
   * @param {(signal: AbortSignal) => Promise<T>} call
   * @param {(answer: T) => void} show
   */
  async run(wait, call, show) {
    this.stop();
    const current = new AbortController();
    this.#current = current;
    const signal = AbortSignal.any([this.ctx.signal, current.signal]);
    replace(this.place, h("p", { class: "soft", role: "status" }, wait));
    this.place.setAttribute("aria-busy", "true");
    try {
      const answer = await call(signal);
      if (signal.aborted) return;
      show(answer);
    } catch (error) {
      if (signal.aborted || isAborted(error)) return;
      replace(this.place, fault(error, () => this.run(wait, call, show), this.ctx));
    }
    this.place.removeAttribute("aria-busy");
  }

  stop() {
    this.#current?.abort();
  }
}

/**
 * What stands in the place of an answer. If the server asks for a case, the call is made again once there is one.
 * @param {unknown} error
 * @param {() => void} again
 * @param {Context} ctx
 */
export function fault(error, again, ctx) {
  if (!(error instanceof Problem) || error.code !== "case-required") return failure(error, again);
  const card = h(
    "div",
    { class: "card failure", role: "alert", "data-code": error.code },
    h("h2", {}, "This server asks for a case"),
    h("p", {}, "Name the case that you read for, such as a ticket's number, in the box “Case” above. The audit log keeps it."),
    h("button", { class: "button", type: "button", onclick: () => document.getElementById("case")?.focus() }, "Name the case"),
  );
  const named = () => {
    if (ctx.session.case === "" || !card.isConnected) return;
    ctx.session.removeEventListener("change", named);
    again();
  };
  ctx.session.addEventListener("change", named);
  ctx.signal.addEventListener("abort", () => ctx.session.removeEventListener("change", named));
  return card;
}
