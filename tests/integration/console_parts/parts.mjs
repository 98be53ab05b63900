// The parts of the console that need no browser, with inputs from a seed.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import test from "node:test";

import { BINS_MAX, Bins } from "../../../src/console/app/bins.js";
import { commandWords } from "../../../src/console/app/command.js";
import { days, hours, isBroken } from "../../../src/console/app/days.js";
import { commandLine } from "../../../src/console/app/format.js";
import { given, isSent, valueOf } from "../../../src/console/app/search/filters.js";
import { Found, ROWS_MAX } from "../../../src/console/app/search/found.js";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const NOW = Date.parse("2026-11-29T12:34:56Z");

/** Numbers from 0 to `below`, without it, always the same (mulberry32). */
function seeded(seed) {
  return (below) => {
    seed = (seed + 0x6d2b79f5) | 0;
    let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

test("counts over time lose nothing when bins become wider", () => {
  for (const span of [1000, 90_000, HOUR, DAY, 30 * DAY]) {
    const below = seeded(span);
    const bins = new Bins();
    const added = Array.from({ length: 2000 }, () => [NOW - below(span), ["imessage", "sms", "none"][below(3)]]);
    // The newest first, as the log gives them: bins are full when they become wider.
    added.sort((a, b) => b[0] - a[0]);
    for (const [at, value] of added) bins.add(at, value);
    assert.ok(bins.length <= BINS_MAX, `${bins.length} bins of ${bins.width} ms`);
    assert.ok(span < 2 * BINS_MAX * 1000 || bins.length > BINS_MAX / 6, `a chart of ${bins.length} bins says little`);
    for (let index = 0; index < bins.length; index += 1) {
      const { from, until, counts } = bins.at(index);
      assert.equal(until - from, bins.width);
      for (const value of ["imessage", "sms", "none"]) {
        const expected = added.filter(([at, of]) => of === value && at >= from && at < until).length;
        assert.equal(counts.get(value) ?? 0, expected, `${value} from ${from}`);
      }
    }
    assert.equal(bins.top(9).reduce((sum, [, n]) => sum + n, 0), 2000);
  }
});

const segment = (from, records, state = "sealed") => ({
  segment: "",
  state,
  from: new Date(from).toISOString(),
  until: new Date(from + HOUR).toISOString(),
  records,
  bytes: 10 * records,
  expires_at: new Date(from + 30 * DAY).toISOString(),
});

test("segments are added up by day and by hour", () => {
  const today = Date.parse("2026-11-29T00:00:00Z");
  const listed = [segment(today - 29 * DAY + 23 * HOUR, 5), segment(today, 7), segment(today, 2, "active"), segment(today + 5 * HOUR, 1, "unreadable")];
  const all = days(listed, NOW, 30);
  assert.equal(all.length, 30);
  assert.deepEqual(all.map((day) => day.records).filter((n) => n > 0), [5, 10]);
  const last = all.at(-1);
  assert.deepEqual([last.from, last.bytes, last.segments, isBroken(last), isBroken(all[0])], [today, 100, 3, true, false]);
  assert.deepEqual([last.firstKey, last.lastKey], [today + 30 * DAY, today + 5 * HOUR + 30 * DAY]);
  const ofToday = hours(listed, today);
  assert.deepEqual(ofToday.map((hour) => hour.records).slice(0, 6), [9, 0, 0, 0, 0, 1]);
  assert.equal(ofToday.length, 24);
  // An hour of a 31st day is shown, too: the log may hold a part of it.
  assert.equal(days([segment(today - 30 * DAY, 1)], NOW, 30).length, 31);
});

test("a shell takes the command line for the words that it was made of", () => {
  const below = seeded(7);
  const odd = ["'", '"', "$(id)", "`id`", "\\", " ", "\n", "*", "~", "-", "!", "#", ";", "é", "\u202e", "+1415", "@", "%s", "\x01", "="];
  for (let round = 0; round < 60; round += 1) {
    const text = Array.from({ length: 1 + below(6) }, () => odd[below(odd.length)]).join("");
    const words = commandWords("log search", { handle: text, since: "-7d", until: undefined, case: "" });
    assert.ok(words.includes("--since=-7d") && !words.some((word) => word.startsWith("--until") || word.startsWith("--case")));
    const printed = execFileSync("bash", ["-c", `printf '%s\\0' ${commandLine(words)}`], { encoding: "utf8" });
    assert.deepEqual(printed.split("\0").slice(0, -1), words, JSON.stringify(text));
  }
});

const lookup = (at, route, reason) => ({ at: new Date(at).toISOString(), kind: "lookup", handle: "+14155550123", route, reason, status: route ? 200 : 429, account: null });

test("rules narrow what is shown, and the saved file has just that", async () => {
  const rows = [lookup(NOW, "sms", "unbound"), lookup(NOW - 1, null, "rate-limited"), lookup(NOW - 2, "imessage", "live-device")];
  const found = new Found([], "route");
  found.add(rows);
  assert.deepEqual([...found.bins.totals], [["sms", 1], ["refused", 1], ["imessage", 1]]);
  found.narrow([{ field: "reason", value: "rate-limited", keep: false }]);
  assert.deepEqual([found.shown.length, found.rows.length, found.read], [2, 3, 3]);
  assert.equal(await (await found.ndjson()).text(), `${JSON.stringify(rows[0])}\n${JSON.stringify(rows[2])}\n`);
  found.countBy("reason");
  assert.deepEqual([...found.bins.totals], [["unbound", 1], ["live-device", 1]]);
  found.narrow([]);
  assert.equal(found.shown.length, 3);
});

test("a page keeps so many rows and no more, and none that the first rules leave out", () => {
  const found = new Found([{ field: "route", value: "sms", keep: true }], "route");
  for (let at = 0; at < 2 * ROWS_MAX + 2; at += 2) found.add([lookup(NOW, "sms", "unbound"), lookup(NOW, "imessage", "live-device")]);
  assert.ok(found.isFull);
  assert.equal(found.shown.length, ROWS_MAX);
  assert.ok(found.rows.every((row) => row.route === "sms"));
});

test("only what the server can filter by is sent", () => {
  assert.deepEqual(given({ handle: " +1415 ", region: "US", since: "", route: "sms" }), { handle: "+1415", region: "US", route: "sms" });
  assert.deepEqual(given({ handle: " ", region: "US" }), {}, "a region means nothing without a handle");
  const refused = lookup(NOW, null, "rate-limited");
  assert.equal(isSent("route", valueOf(refused, "route")), false, "the server has no route for refused lookups");
  const change = { at: refused.at, kind: "change", handle: "+14155550123", change: "handle-bound" };
  assert.deepEqual([valueOf(refused, "route"), valueOf(change, "route")], ["refused", "change"]);
  assert.equal(isSent("route", valueOf(change, "route")), false, "the server has no route for changes");
  assert.equal(isSent("account", valueOf(refused, "account")), false, "the server cannot ask for absent values");
  assert.ok(isSent("route", "sms") && isSent("reason", "rate-limited") && !isSent("status", "429"));
});
