// The segments of the log, added up by hour and by day (UTC).

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/**
 * @typedef {object} Segment a segment, as the API lists it
 * @property {string} segment
 * @property {string} state
 * @property {string} from
 * @property {string} until
 * @property {number} records
 * @property {number} bytes
 * @property {string} expires_at
 * @property {string} [node] the name of its node, in a cluster
 */
/**
 * @typedef {object} Part an hour or a day of the log
 * @property {number} from its first instant, in milliseconds since the Unix epoch
 * @property {number} records
 * @property {number} bytes
 * @property {number} segments
 * @property {Map<string, number>} states how many segments have which state
 * @property {number} firstKey when the first of its keys is destroyed, in milliseconds since the Unix epoch
 * @property {number} lastKey when the last of its keys is destroyed
 */

/** States of segments of which nothing can be read. */
export const BROKEN = new Set(["key-missing", "unreadable"]);

/**
 * @param {readonly Segment[]} segments
 * @param {number} width milliseconds of a part
 * @returns {Map<number, Part>} the parts that have segments, by their first instant
 */
function parts(segments, width) {
  /** @type {Map<number, Part>} */
  const found = new Map();
  for (const segment of segments) {
    const from = Math.floor(Date.parse(segment.from) / width) * width;
    const part = found.get(from) ?? empty(from);
    const key = Date.parse(segment.expires_at);
    part.records += segment.records;
    part.bytes += segment.bytes;
    part.segments += 1;
    part.states.set(segment.state, (part.states.get(segment.state) ?? 0) + 1);
    part.firstKey = Math.min(part.firstKey, key);
    part.lastKey = Math.max(part.lastKey, key);
    found.set(from, part);
  }
  return found;
}

/**
 * @param {number} from
 * @returns {Part}
 */
function empty(from) {
  return { from, records: 0, bytes: 0, segments: 0, states: new Map(), firstKey: Infinity, lastKey: -Infinity };
}

/**
 * The days up to today, oldest first; more if the log has older ones.
 * @param {readonly Segment[]} segments
 * @param {number} now milliseconds since the Unix epoch
 * @param {number} least how many days at least
 * @returns {Part[]}
 */
export function days(segments, now, least) {
  const found = parts(segments, DAY);
  const today = Math.floor(now / DAY) * DAY;
  const last = Math.max(today, ...found.keys());
  const first = Math.min(last - (least - 1) * DAY, ...found.keys());
  return line(found, first, last, DAY);
}

/**
 * The 24 hours of a day.
 * @param {readonly Segment[]} segments
 * @param {number} day its first instant
 * @returns {Part[]}
 */
export function hours(segments, day) {
  return line(parts(segments, HOUR), day, day + DAY - HOUR, HOUR);
}

/**
 * @param {Map<number, Part>} found
 * @param {number} first
 * @param {number} last
 * @param {number} width
 */
function line(found, first, last, width) {
  const all = [];
  for (let from = first; from <= last; from += width) all.push(found.get(from) ?? empty(from));
  return all;
}

/** @param {Part} part */
export function isBroken(part) {
  return [...part.states.keys()].some((state) => BROKEN.has(state));
}
