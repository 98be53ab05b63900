// Who read the log, and whether the log of that is whole.

import { commandWords } from "../command.js";
import { h, outside, replace, seen } from "../dom.js";
import { field, form } from "../field.js";
import { counted, number, time } from "../format.js";
import { ofEachNode } from "../nodes.js";
import { Reading } from "../reading.js";
import { lacking, recordsOf, warnings } from "../search/notes.js";
import { plainTable, table } from "../table.js";

/** @typedef {import("../types.js").Context} Context */
/** @typedef {import("../types.js").Schemas["AuditEntry"]} Entry */
/** @typedef {import("../types.js").Schemas["AuditVerification"]} Verification */
/** @typedef {import("../types.js").Schemas["AuditVerificationAnswer"]} VerificationAnswer */
/** @typedef {import("../search/notes.js").MissingNode} MissingNode */
/** @typedef {import("../types.js").Schemas["NotedFilter"]} Noted */
/** @typedef {{ since: string, until: string, operator: string }} Asked */

export const title = "Audit";

/** Entries that the page shows, the newest. */
const SHOWN_MAX = 500;
/** Entries that the page keeps, the newest. */
const KEPT_MAX = 50_000;
/** What is counted of each operator. */
const COUNTS = ["Calls", "Records", "Refused", "Not completed"];
/** An instant as the server notes it. */
const INSTANT = /^\d{4}-\d\d-\d\dT[\d:.]+Z$/;
/** @type {Asked} */
const FIRST = { since: "1d", until: "", operator: "" };

/**
 * @param {HTMLElement} root
 * @param {Context} ctx
 */
export function mount(root, ctx) {
  const asked = /** @type {Asked} */ (ctx.state ?? FIRST);
  const result = h("div", { class: "view" });
  const verified = h("div", { class: "view", "aria-live": "polite" });
  const reading = new Reading(result, ctx);
  const verifying = new Reading(verified, ctx);
  const box = (/** @type {"since" | "until" | "operator"} */ name, /** @type {string} */ placeholder) =>
    h("input", { id: name, value: asked[name], placeholder, autocomplete: "off", spellcheck: "false" });
  const since = box("since", "the first entry");
  const until = box("until", "now");
  const operator = box("operator", "anybody");
  since.dataset.box = "";
  const read = () => {
    const question = { since: since.value.trim(), until: until.value.trim(), operator: operator.value.trim() };
    ctx.keep(question);
    ctx.command(commandWords("audit list", question), true);
    return reading.run("Reading the audit log…", (signal) => entries(ctx, question, signal), (found) => {
      replace(result, ...show(found, ownReading(found, question)));
      ctx.say(counted(found.total, "call"));
    });
  };
  const verify = () => {
    ctx.command(commandWords("audit verify", {}), true);
    return verifying.run(
      "Reading the chain of entries…",
      (signal) => /** @type {Promise<VerificationAnswer>} */ (ctx.api.get("/v1/audit/verify", {}, { signal })),
      (report) => replace(verified, ...ofEachNode(report, verdict)),
    );
  };
  root.append(
    form(
      "fields",
      read,
      field("Since", since),
      field("Until", until),
      field("Operator", operator),
      h("button", { class: "button primary" }, "List"),
      h("button", { class: "button", type: "button", onclick: verify }, "Verify the chain"),
    ),
    h("p", { class: "hint" }, "The audit log takes the role admin. Handles, addresses, devices and accounts are in it as fingerprints. Only the command line ",
      "finds who read about one handle: ", h("code", {}, "dispatchd audit list --handle HANDLE"), "."),
    verified,
    result,
  );
  read();
  return () => {
    reading.stop();
    verifying.stop();
  };
}

/**
 * @typedef {object} Found
 * @property {Entry[]} newest the newest entries, oldest first
 * @property {number} total how many the server gave
 * @property {string[]} lacks the nodes whose entries are missing, in sentences
 * @property {Map<string, { calls: number, records: number, refused: number, broken: number }>} operators
 */

/**
 * The server gives the oldest first; the newest are kept.
 * @param {Context} ctx
 * @param {Record<string, string>} question
 * @param {AbortSignal} signal
 * @returns {Promise<Found>}
 */
async function entries(ctx, question, signal) {
  const query = new URLSearchParams(Object.entries(question).filter(([, value]) => value !== ""));
  /** @type {import("../api.js").Stream<Entry | MissingNode>} */
  const stream = await ctx.api.lines(query.size > 0 ? `/v1/audit?${query}` : "/v1/audit", undefined, { signal });
  /** @type {Found} */
  const found = { newest: [], total: 0, lacks: [], operators: new Map() };
  for await (const batch of recordsOf(stream.rows, (node) => found.lacks.push(lacking(node)))) {
    found.total += batch.length;
    for (const entry of batch) {
      found.newest.push(entry);
      const of = found.operators.get(entry.operator) ?? { calls: 0, records: 0, refused: 0, broken: 0 };
      of.calls += 1;
      of.records += entry.records ?? 0;
      of.refused += entry.refused === null ? 0 : 1;
      of.broken += brokeOff(entry) ? 1 : 0;
      found.operators.set(entry.operator, of);
    }
    if (found.newest.length > 2 * KEPT_MAX) found.newest = found.newest.slice(-KEPT_MAX);
  }
  return found;
}

/**
 * Whether an operator did not get all of an answer. A node that asks for one (`ann@b`) takes no more than it needs.
 * @param {Pick<Entry, "operator" | "refused" | "whole">} entry
 */
function brokeOff({ operator, refused, whole }) {
  return refused === null && whole === false && !operator.includes("@");
}

/**
 * The entry of the reading that found the entries: the newest one, without an end. Where the question may leave it out, nobody knows.
 * @param {Found} found
 * @param {Asked} question
 */
function ownReading({ newest }, { until, operator }) {
  const last = newest.at(-1);
  const isOwn = until === "" && operator === "" && last?.call === "audit-list" && last.ended_at === null;
  return isOwn ? last : undefined;
}

/** @param {Found} found @param {Entry | undefined} own */
function show({ newest, total, lacks, operators }, own) {
  const notes = warnings(lacks);
  if (total === 0 && lacks.length > 0) return notes;
  if (total === 0) return [h("section", { class: "card" }, h("p", { class: "lead" }, "No call matches."))];
  return [...notes, byOperator(operators), narrowing(newest, total, own)];
}

/** @param {Found["operators"]} operators */
function byOperator(operators) {
  const sorted = [...operators].sort((a, b) => b[1].calls - a[1].calls);
  const rows = sorted.map(([name, { calls, records, refused, broken }]) => h("tr", {},
    h("th", { scope: "row" }, outside(name)),
    ...[calls, records, refused, broken].map((n, at) => h("td", { class: "number", "data-label": COUNTS[at] }, number(n)))));
  return h("section", { class: "card" },
    h("h2", {}, "By operator"),
    table("Calls by operator", ["Operator", ...COUNTS.map((name) => `#${name}`)], rows, "stack"));
}

/**
 * The calls, newest first, with boxes that narrow what was read.
 * @param {readonly Entry[]} newest
 * @param {number} total
 * @param {Entry | undefined} own the entry of this reading
 */
function narrowing(newest, total, own) {
  const calls = [...new Set(newest.map((entry) => entry.call))].sort();
  const cases = [...new Set(newest.map((entry) => entry.case))].filter((name) => name !== null).sort();
  const call = choice("audit-call", "every call", calls);
  const named = choice("audit-case", "every case", cases);
  const refused = h("input", { type: "checkbox", id: "audit-refused" });
  const hasNodes = newest.some((entry) => entry.node !== undefined);
  const body = h("tbody", {});
  const said = h("p", { class: "hint", role: "status" });
  const draw = () => {
    const passes = (/** @type {Entry} */ entry) =>
      (call.value === "" || entry.call === call.value) && (named.value === "" || entry.case === named.value) && (!refused.checked || entry.refused !== null);
    const matching = newest.filter(passes);
    const shown = matching.slice(-SHOWN_MAX).toReversed();
    replace(body, ...shown.map((entry) => row(entry, entry === own, hasNodes)));
    const kept = newest.length < total ? ` of the newest ${number(newest.length)}` : "";
    replace(said, shown.length < matching.length
      ? `The newest ${number(shown.length)} of ${counted(matching.length, "call")}${kept} are shown.`
      : `${counted(matching.length, "call")}${kept}.`);
  };
  for (const control of [call, named, refused]) control.addEventListener("change", draw);
  draw();
  return h("section", { class: "card" },
    h("h2", {}, "Calls, newest first"),
    h("div", { class: "fields" },
      field("Call", call),
      field("Case", named),
      h("label", { class: "check", for: "audit-refused" }, refused, "Refused calls only")),
    said,
    h("div", { class: "scrolls", tabindex: 0, role: "region", "aria-label": "Calls" },
      plainTable(["At (UTC)", "Operator", "Call", "#Records", "Case", "Filters", ...(hasNodes ? ["Node"] : [])], body, "calls stack")));
}

/**
 * @param {string} id
 * @param {string} all
 * @param {readonly string[]} values
 */
function choice(id, all, values) {
  return h("select", { id }, h("option", { value: "" }, all), ...values.map((value) => h("option", { value }, seen(value))));
}

/** @param {Entry} entry @param {boolean} isOwn @param {boolean} hasNodes */
function row({ at, operator, call, records, case: named, filters, refused, whole, ended_at, node }, isOwn, hasNodes) {
  const noted = Object.entries(filters);
  return h("tr", {},
    h("td", {}, time(at)),
    h("td", {}, outside(operator)),
    h("td", { class: "call" }, call),
    h("td", { class: "number", "data-label": "Records" },
      refused === null ? (records === null ? "–" : number(records)) : h("span", { class: "severity severity-error" }, "refused"),
      refused !== null && h("span", { class: "hint block" }, refused),
      brokeOff({ operator, refused, whole }) && h("span", { class: "hint block" }, "not completed"),
      ended_at === null && h("span", { class: "hint block" }, isOwn ? "this reading" : "under way, or killed")),
    h("td", { "data-label": "Case" }, named === null ? h("span", { class: "soft" }, "–") : outside(named)),
    h("td", { "data-label": "Filters" }, noted.length === 0 ? h("span", { class: "soft" }, "everything")
      : h("span", { class: "noted" }, ...noted.map(([name, filter]) => h("span", {}, h("span", { class: "soft" }, `${name} `), value(filter))))),
    hasNodes && h("td", { "data-label": "Node" }, node === undefined ? "–" : outside(node)));
}

/** @param {Noted} filter */
function value(filter) {
  if (filter === null) return h("span", { title: "There was no key to make a fingerprint with" }, "?");
  if (typeof filter === "string" && INSTANT.test(filter)) return time(filter);
  if (typeof filter === "string") return outside(/^\d+$/.test(filter) ? number(Number(filter)) : filter);
  const { hour, fingerprint } = filter;
  return h("code", { title: `fingerprint ${fingerprint}, under the key of the hour ${hour}` }, `#${fingerprint.slice(0, 8)}…`);
}

/** @param {Verification} report */
function verdict({ sound, entries: read, files, from, until, head, gaps, torn, changed, places }) {
  return h("section", { class: `card tone tone-${sound ? "good" : "error"}` },
    h("p", { class: "lead" }, sound ? "The audit log is sound." : "The audit log is not sound."),
    h("p", { class: "soft" }, `${number(read)} ${read === 1 ? "entry" : "entries"} in ${counted(files, "file")}`,
      from !== null && ", from ", from !== null && time(from), until !== null && " to ", until !== null && time(until), " UTC."),
    h("ul", { class: "faults" },
      changed > 0 && h("li", {}, `${counted(changed, "place")} where lines were changed, removed or moved`),
      gaps > 0 && h("li", {}, `${counted(gaps, "place")} where a file is missing`),
      torn > 0 && h("li", {}, `${counted(torn, "line")} torn by a crash, which is no fault`),
      ...places.map((place) => h("li", {}, h("code", {}, seen(place.file)), ` line ${number(place.line)}: ${place.fault}`))),
    head !== null && h("p", { class: "hint" }, "The last entry has the hash ", h("code", { class: "hash" }, head), ". Store it elsewhere and compare it later."));
}
