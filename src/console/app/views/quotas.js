// Accounts that are flagged, what one account has left of its new handles, and the clearing of a flag.

import { commandWords } from "../command.js";
import { h, outside, replace } from "../dom.js";
import { field, form } from "../field.js";
import { counted, number, span, time } from "../format.js";
import { Reading, fault } from "../reading.js";
import { table } from "../table.js";
import { isAborted } from "../api.js";

/** @typedef {import("../types.js").Context} Context */
/** @typedef {import("../types.js").Schemas["QuotaReport"]} Report */
/** @typedef {import("../types.js").Schemas["FlaggedAccount"]} Flag */
/** @typedef {import("../types.js").Schemas["AccountQuota"]} Quota */
/** @typedef {import("../types.js").Schemas["NewHandlesLeft"]} Left */
/** @typedef {{ account?: string }} State */

export const title = "Quotas and flags";

/** @type {Record<Flag["reason"], string>} */
const REASONS = {
  "too-few-hits": "Far fewer of the handles that it asked for are registered than other accounts' are: it tries numbers.",
  "too-many-hits": "Far more of the handles that it asked for are registered than other accounts' are: it checks a list.",
  "swept-numbers": "It asked for numbers of blocks that are asked for number by number.",
};
/** @type {Record<Quota["standing"], string>} */
const STANDINGS = {
  unproven: "It holds no handle.",
  young: "It proved its oldest handle within the last seven days.",
  older: "It proved its oldest handle more than seven days ago.",
};
/** The evidence counts no further. */
const EVIDENCE_MAX = 8191;

/**
 * @param {HTMLElement} root
 * @param {Context} ctx
 */
export function mount(root, ctx) {
  const state = /** @type {State} */ (ctx.state ?? {});
  const result = h("div", { class: "view" });
  const reading = new Reading(result, ctx);
  const box = h("input", {
    id: "account",
    "data-box": "",
    value: state.account,
    placeholder: "all flagged accounts",
    autocomplete: "off",
    autocapitalize: "off",
    spellcheck: "false",
  });
  const read = () => {
    const account = box.value.trim();
    ctx.keep({ account });
    return reading.run(
      "Reading quotas…",
      (signal) => {
        ctx.command(commandWords("quota show", ctx.api.withCase({}), account ? [account] : []), true);
        return /** @type {Promise<Report>} */ (ctx.api.get("/v1/quota", ctx.api.withCase({ account }), { signal }));
      },
      (report) => {
        replace(result, report.account === null ? list(report, look) : one(report.account, report.flags, ctx, read));
        ctx.say(report.account === null ? counted(report.flagged, "flagged account") : "The account's quota is shown.");
      },
    );
  };
  /** @param {string} account */
  const look = (account) => {
    box.value = account;
    read();
  };
  root.append(
    form(
      "fields",
      read,
      field("Account id", box, "grow"),
      h("button", { class: "button primary" }, "Show"),
      h("button", { class: "button", type: "button", onclick: () => look("") }, "All flagged accounts"),
    ),
    result,
  );
  read();
  return () => reading.stop();
}

/**
 * @param {Report} report
 * @param {(account: string) => void} look
 */
function list({ flagged, flags }, look) {
  if (flagged === 0) {
    return h("section", { class: "card tone tone-good" }, h("p", { class: "lead" }, "No account is flagged."),
      h("p", { class: "soft" }, "An account is flagged when what it asks for does not look like an address book."));
  }
  const rows = flags.map(({ account, reason, since }) =>
    h("tr", {},
      h("td", {}, h("button", { class: "link", type: "button", onclick: () => look(account) }, outside(account))),
      h("td", {}, h("strong", {}, reason), h("p", { class: "hint" }, REASONS[reason])),
      h("td", {}, time(since))));
  return h("section", { class: "card" },
    h("h2", {}, counted(flagged, "flagged account")),
    flags.length < flagged && h("p", { class: "note" }, `The newest ${number(flags.length)} are shown.`),
    table("Flagged accounts", ["Account", "Reason", "Since (UTC)"], rows));
}

/**
 * @param {Quota} quota
 * @param {readonly Flag[]} flags
 * @param {Context} ctx
 * @param {() => void} again
 */
function one(quota, flags, ctx, again) {
  const flag = flags.at(0);
  const asked = quota.asked >= EVIDENCE_MAX ? `${number(EVIDENCE_MAX)} or more` : number(quota.asked);
  return h("div", { class: "view" },
    h("section", { class: `card tone tone-${flag ? "error" : "good"}` },
      h("p", { class: "handle" }, outside(quota.account)),
      flag
        ? h("p", { class: "lead" }, `Flagged: ${flag.reason}, since `, time(flag.since), " UTC.")
        : h("p", { class: "lead" }, "Not flagged."),
      flag && h("p", {}, REASONS[flag.reason], " It gets no new handles until it proves a handle again or an admin clears the flag."),
      flag && clearing(quota.account, ctx, again)),
    h("section", { class: "card" },
      h("h2", {}, "What it has left"),
      h("dl", { class: "facts" },
        fact("Class", quota.standing, STANDINGS[quota.standing]),
        fact("New handles of a day", ...left(quota.daily)),
        quota.import ? fact("Address book", ...left(quota.import)) : fact("Address book", "none", "This class has none."),
        fact("Evidence", `${asked} asked, ${number(quota.hits)} on the service`, "New handles that the detector of sweeps counts now."))),
    h("div", { class: "bar" },
      h("button", { class: "button", type: "button", onclick: () => ctx.go("search", { filter: { account: quota.account, since: "1d" } }) },
        "What it asked in a day")));
}

/**
 * @param {string} name
 * @param {string} value
 * @param {string} meaning
 */
function fact(name, value, meaning) {
  return h("div", {}, h("dt", {}, name), h("dd", {}, value, h("span", { class: "hint" }, meaning)));
}

/**
 * @param {Left} of
 * @returns {[string, string]}
 */
function left({ limit, window_seconds, remaining, reset_seconds }) {
  const whole = reset_seconds === 0 ? "" : ` All are back in ${span(reset_seconds)}.`;
  return [`${number(remaining)} of ${number(limit)}`, `Regained within ${span(window_seconds)}.${whole}`];
}

/**
 * The button that clears a flag, behind a question.
 * @param {string} account
 * @param {Context} ctx
 * @param {() => void} again
 */
function clearing(account, ctx, again) {
  const outcome = h("div", {});
  const clear = async () => {
    replace(outcome, h("p", { class: "soft" }, "Clearing…"));
    try {
      await ctx.api.delete(`/v1/quota/flags/${encodeURIComponent(account)}`, {}, { signal: ctx.signal });
      ctx.say("The flag is cleared.");
      again();
    } catch (error) {
      if (!isAborted(error)) replace(outcome, fault(error, clear, ctx));
    }
  };
  const question = h("dialog", { "aria-labelledby": "clear-title" },
    h("h2", { id: "clear-title" }, "Clear the flag?"),
    h("p", {}, "The account ", outside(account), " may ask for new handles again, and its evidence begins anew."),
    h("p", { class: "hint" }, "The query log records the change, and the audit log who made it."),
    h("form", { method: "dialog", class: "bar" },
      h("button", { class: "button", value: "keep" }, "Keep it"),
      h("button", { class: "button primary", value: "clear" }, "Clear it")));
  question.addEventListener("close", () => {
    if (question.returnValue === "clear") clear();
    question.returnValue = "";
  });
  return h("div", { class: "clearing" },
    h("button", { class: "button", type: "button", onclick: () => question.showModal() }, "Clear the flag…"),
    h("span", { class: "hint" }, "It takes the role admin."),
    question, outcome);
}
