// Which colour a handle had when: spans of time, from the changes and the answers of its timeline.

/** @typedef {import("./types.js").TimelineEntry} Entry */
/** @typedef {import("./types.js").Route} Route */
/** @typedef {{ from: number, until: number, route: Route | null }} Span from and before which instant (milliseconds) a stranger was told
 *  this route; null if nothing tells */

/** What a change does to the devices that back the handle. */
const ADDS = new Set(["handle-bound", "handle-moved", "handle-imported", "device-revived"]);
const REMOVES = new Set(["handle-unbound", "device-removed", "lease-expired"]);

/**
 * The spans between two instants, without a gap. An answer that was given counts more than what the changes suggest: the log may
 * hold only a part of them. The end is the summary's.
 * @param {readonly Entry[]} entries oldest first
 * @param {import("./types.js").TimelineSummary} summary
 * @param {number} from
 * @param {number} until
 * @returns {Span[]}
 */
export function spans(entries, summary, from, until) {
  const off = summary.handle.includes("@") ? "none" : "sms";
  const backing = new Set();
  let isHidden = false;
  /** @type {[number, Route | null][]} */
  const points = [[from, null]];
  for (const entry of entries) {
    if (entry.kind === "lookups") {
      if (entry.route === null || entry.by_its_owner) continue;
      const since = entry.because && entry.because.handle === summary.handle ? Date.parse(entry.because.at) : null;
      // The first answer also tells what was so since the change behind it, which the entries may not have.
      if (points.length === 1 && since !== null) points.push([since, entry.route]);
      if (entry.handle === summary.handle) points.push([Date.parse(entry.at), entry.route]);
    } else if (entry.handle === summary.handle) {
      const { change, device } = entry;
      if (change === "handle-moved" || change === "handle-deregistered") backing.clear();
      if (ADDS.has(change)) backing.add(device);
      if (REMOVES.has(change)) backing.delete(device);
      if (change === "handle-hidden") isHidden = true;
      if (change === "handle-shown") isHidden = false;
      points.push([Date.parse(entry.at), backing.size > 0 && !isHidden ? "imessage" : off]);
    }
  }
  if (summary.since) {
    // What came later than `since` left the answer as it is.
    const since = Date.parse(summary.since);
    while (points.length > 1 && points[points.length - 1][0] >= since) points.pop();
    points.push([since, summary.route]);
  }
  return joined(points, from, until);
}

/**
 * @param {[number, Route | null][]} points
 * @param {number} from
 * @param {number} until
 */
function joined(points, from, until) {
  points.sort((one, other) => one[0] - other[0]);
  /** @type {Span[]} */
  const found = [];
  points.forEach(([at, route], index) => {
    const [begin, end] = [Math.max(at, from), Math.min(points[index + 1]?.[0] ?? until, until)];
    if (begin >= end) return;
    const last = found.at(-1);
    if (last?.route === route) last.until = end;
    else found.push({ from: begin, until: end, route });
  });
  return found;
}
