// What a search asks for: the filter that the server applies, and rules that the browser applies to the rows it got, where the
// server has no such filter.

/** @typedef {import("../types.js").LogRecord} LogRecord */
/** @typedef {typeof SENT[number]} SentName */
/** @typedef {Partial<Record<SentName, string>>} Filter a filter of the server, as people write it */
/**
 * A rule of the browser: rows with this value are kept, or left out.
 * @typedef {{ field: string, value: string, keep: boolean }} Rule
 */

/** The filters of the server's search, in the order of the command line's options. */
export const SENT = /** @type {const} */ ([
  "handle", "region", "device", "account", "ip", "route", "reason", "kind", "since", "until",
]);
/** Fields of records that the server's search can filter by. */
const SENT_FIELDS = new Set(["handle", "device", "account", "ip", "route", "reason", "kind"]);
/** Fields of records that rows can be counted by. */
export const FIELDS = ["route", "reason", "kind", "change", "cause", "status", "handle", "account", "device", "ip", "node"];

/** The name of the closed set of each field that has one. */
export const SETS = new Map([["kind", "Kind"], ["route", "Route"], ["reason", "Reason"], ["change", "ChangeKind"], ["cause", "Cause"]]);

/** The route of a lookup that was refused. */
export const REFUSED = "refused";
/** The route of a change: it has none. */
export const CHANGE = "change";
/** The value where a record has no such field. */
export const ABSENT = "(no value)";

/**
 * Whether the server can be asked for rows with this value.
 * @param {string} field
 * @param {string} value
 */
export function isSent(field, value) {
  return SENT_FIELDS.has(field) && value !== ABSENT && !(field === "route" && (value === REFUSED || value === CHANGE));
}

/**
 * The value of a field, as it is shown and compared.
 * @param {LogRecord} row
 * @param {string} field
 * @returns {string}
 */
export function valueOf(row, field) {
  const value = /** @type {Record<string, unknown>} */ (row)[field];
  if (value !== null && value !== undefined) return String(value);
  if (field !== "route") return ABSENT;
  return row.kind === "change" ? CHANGE : REFUSED;
}

/**
 * @param {LogRecord} row
 * @param {readonly Rule[]} rules
 */
export function passes(row, rules) {
  return rules.every(({ field, value, keep }) => (valueOf(row, field) === value) === keep);
}

/**
 * @param {Rule} rule
 * @param {Rule} other
 */
export function isSameRule(rule, other) {
  return rule.field === other.field && rule.value === other.value && rule.keep === other.keep;
}

/**
 * The filter without empty fields.
 * @param {Filter} filter
 * @returns {Filter}
 */
export function given(filter) {
  /** @type {Filter} */
  const found = {};
  for (const name of SENT) {
    const value = filter[name]?.trim();
    if (value) found[name] = value;
  }
  if (found.handle === undefined) delete found.region;
  return found;
}
