// What is wrong with the deployment, and what to do about it.

import { commandWords } from "../command.js";
import { h, replace } from "../dom.js";
import { counted, time } from "../format.js";
import { Reading } from "../reading.js";
import { sentence } from "../sentences.js";

/** @typedef {import("../types.js").Context} Context */
/** @typedef {import("../types.js").Schemas["DoctorReport"]} Report */
/** @typedef {import("../types.js").Schemas["Finding"]} Finding */

export const title = "Doctor";

/** The severities, the worst first, with what each means. */
const SEVERITIES = /** @type {const} */ ([
  ["error", "Somebody can read or change what they must not, or the service stops or will stop."],
  ["warning", "A risk that you may have accepted."],
]);

/**
 * @param {HTMLElement} root
 * @param {Context} ctx
 */
export function mount(root, ctx) {
  const result = h("div", { class: "view" });
  const reading = new Reading(result, ctx);
  const check = () =>
    reading.run(
      "Checking files, keys, clock, space, listeners and operators…",
      (signal) => /** @type {Promise<Report>} */ (ctx.api.get("/v1/doctor", {}, { signal })),
      ({ findings }) => {
        replace(result, summary(findings), ...SEVERITIES.map(([severity, meaning]) => group(severity, meaning, findings)));
        ctx.say(said(findings));
      },
    );
  root.append(
    h(
      "div",
      { class: "bar" },
      h("p", { class: "soft" }, "Checks the deployment. It changes nothing and reads no record, so the audit log does not note it."),
      h("button", { class: "button primary", type: "button", "data-box": "", onclick: check }, "Check again"),
    ),
    result,
  );
  ctx.command(commandWords("doctor", {}));
  check();
  return () => reading.stop();
}

/** @param {readonly Finding[]} findings */
function said(findings) {
  if (findings.length === 0) return "Nothing is wrong.";
  const parts = SEVERITIES.map(([severity]) => counted(findings.filter((finding) => finding.severity === severity).length, severity));
  return `${parts.join(", ")}.`;
}

/** @param {readonly Finding[]} findings */
function summary(findings) {
  const worst = SEVERITIES.find(([severity]) => findings.some((finding) => finding.severity === severity))?.[0] ?? "good";
  return h(
    "div",
    { class: `card tone tone-${worst}` },
    h("p", { class: "lead" }, said(findings)),
    h("p", { class: "soft" }, "Checked at ", time(new Date().toISOString()), " UTC, by this browser's clock."),
  );
}

/**
 * @param {typeof SEVERITIES[number][0]} severity
 * @param {string} meaning
 * @param {readonly Finding[]} findings
 */
function group(severity, meaning, findings) {
  const found = findings.filter((finding) => finding.severity === severity);
  if (found.length === 0) return null;
  return h(
    "section",
    { class: "card", "aria-label": counted(found.length, severity) },
    h("h2", {}, h("span", { class: `severity severity-${severity}` }, counted(found.length, severity))),
    h("p", { class: "hint" }, meaning),
    h("ul", { class: "findings" }, ...found.map((finding) => item(finding))),
  );
}

/** @param {Finding} finding */
function item({ check, what, to_do }) {
  return h(
    "li",
    {},
    h("h3", { class: "check-name" }, check),
    h("p", { class: "sentence" }, ...sentence(what)),
    h("p", { class: "sentence to-do" }, h("strong", {}, "To do: "), ...sentence(to_do)),
  );
}
