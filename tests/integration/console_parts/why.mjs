// What the first view of the console works out from the API's answers.

import assert from "node:assert/strict";
import test from "node:test";

import { seen } from "../../../src/console/app/dom.js";
import { bytes, span } from "../../../src/console/app/format.js";
import { Metrics } from "../../../src/console/app/metrics.js";
import { told } from "../../../src/console/app/sentences.js";
import { spans } from "../../../src/console/app/spans.js";

const HANDLE = "+14155550123";
const BEGIN = Date.parse("2026-11-29T12:00:00Z");

const at = (second) => new Date(BEGIN + second * 1000).toISOString();
const change = (second, kind, device = "d1", handle = HANDLE) => ({ kind: "change", at: at(second), handle, change: kind, device });
const lookup = (second, route, more = {}) => ({ kind: "lookups", at: at(second), last: at(second), handle: HANDLE, route, ...more });

/** The spans of 100 seconds, in seconds. */
function told100(entries, route, since, handle = HANDLE) {
  const summary = { handle, route, since: since === null ? null : at(since) };
  const found = spans(entries, summary, BEGIN, BEGIN + 100_000);
  return found.map(({ from, until, route }) => [(from - BEGIN) / 1000, (until - BEGIN) / 1000, route]);
}

test("the band has the colour of each change, of each answer, and of the present", () => {
  const [blue, green] = ["imessage", "sms"];
  assert.deepEqual(told100([], null, null), [[0, 100, null]]);
  assert.deepEqual(told100([], green, 40), [[0, 40, null], [40, 100, green]]);
  const once = [change(10, "handle-bound"), lookup(12, blue), change(20, "handle-unbound"), lookup(30, green)];
  assert.deepEqual(told100(once, green, 20), [[0, 10, null], [10, 20, blue], [20, 100, green]]);
  // The first of two devices goes: it stays blue until the second one lapses.
  const two = [change(10, "handle-bound"), change(15, "handle-bound", "d2"), change(20, "device-removed"), change(40, "lease-expired", "d2")];
  assert.deepEqual(told100([...two, change(60, "device-revived", "d2")], blue, 60), [[0, 10, null], [10, 40, blue], [40, 60, green], [60, 100, blue]]);
  const hidden = [change(10, "handle-imported"), change(20, "handle-hidden"), change(30, "handle-shown"), change(50, "handle-deregistered")];
  assert.deepEqual(told100(hidden, green, 50), [[0, 10, null], [10, 20, blue], [20, 30, green], [30, 50, blue], [50, 100, green]]);
  const moved = [change(10, "handle-bound"), change(30, "handle-moved", "d2"), change(50, "device-removed", "d1"), change(60, "handle-moved", "d3")];
  assert.deepEqual(told100(moved, blue, 60), [[0, 10, null], [10, 100, blue]]);
});

test("an answer counts where the changes are not all there", () => {
  const because = { at: at(5), handle: HANDLE };
  assert.deepEqual(told100([lookup(50, "imessage", { because })], "imessage", 5), [[0, 5, null], [5, 100, "imessage"]]);
  const known = [lookup(30, "imessage"), change(60, "lease-expired", "d9")];
  assert.deepEqual(told100(known, "sms", 60), [[0, 30, null], [30, 60, "imessage"], [60, 100, "sms"]]);
  // What its owner is told, and what nobody is told, are no answers to strangers.
  const others = [lookup(30, "imessage", { by_its_owner: true }), lookup(40, null), lookup(50, "sms")];
  assert.deepEqual(told100(others, "sms", 50), [[0, 50, null], [50, 100, "sms"]]);
  // Another spelling of the number has a life of its own.
  const spelling = [change(10, "handle-bound", "d1", "+5411123456789"), lookup(20, "sms")];
  assert.deepEqual(told100(spelling, "sms", 20), [[0, 20, null], [20, 100, "sms"]]);
  const mail = [change(10, "handle-bound", "d1", "a@b.example"), change(20, "handle-unbound", "d1", "a@b.example"), change(30, "handle-bound", "d1", "a@b.example")];
  assert.deepEqual(told100(mail, "imessage", 30, "a@b.example"), [[0, 10, null], [10, 20, "imessage"], [20, 30, "none"], [30, 100, "imessage"]]);
});

test("a sentence stands without the time and the answer that have columns of their own", () => {
  for (const [sentence, is] of [
    ["08:41:07: device d_1 of account a_1 backs it: the code was answered", "Device d_1 of account a_1 backs it: the code was answered"],
    ["2026-11-23 08:41:07: its lease lapsed", "Its lease lapsed"],
    ["green at 08:41:07: its last device signed out at 08:41:06, by its owner", "Its last device signed out at 08:41:06, by its owner"],
    ["blue 2 times from 08:41:07 to 08:42:11, asked by 2 devices: a live device backs it (bound 08:41:06 by proof)", "A live device backs it (bound 08:41:06 by proof)"],
    ["something without a time", "Something without a time"],
  ]) {
    assert.equal(told({ sentence }), is);
  }
});

test("characters that nobody sees are written out, and others are left alone", () => {
  for (const text of ["+14155550123", "ann@example.com", "Chloé 👩‍💻".replace("\u200d", ""), "بيت", "a b"]) assert.equal(seen(text), text);
  assert.equal(seen("a\u202eb\u200b\u0000\n\u00a0c"), "a‹U+202E›b‹U+200B›‹U+0000›‹U+000A›‹U+00A0›c");
  assert.equal(seen("<b>&amp;"), "<b>&amp;");
});

test("the text of metrics is read with its labels", () => {
  const metrics = new Metrics('# HELP a b\n# TYPE a counter\na{x="1",y="q\\"\\\\\\n}"} 2\na{x="2"} 3.5e3\nb 1\nc NaN\n# EOF\n');
  assert.deepEqual(metrics.all("a"), [{ labels: { x: "1", y: 'q"\\\n}' }, value: 2 }, { labels: { x: "2" }, value: 3500 }]);
  assert.deepEqual([metrics.value("b"), metrics.value("c"), metrics.value("d"), metrics.all("d")], [1, Number.NaN, Number.NaN, []]);
});

test("spans and sizes have two digits that say something", () => {
  assert.deepEqual([0, -5, 59.9, 60, 3661, 86_400, 90_061].map((it) => span(it)), ["0 s", "0 s", "59 s", "1 min", "1 h 1 min", "1 d", "1 d 1 h"]);
  assert.deepEqual([0, 1023, 1024, 1536, 5e9, 300 * 1024 ** 3].map((it) => bytes(it)), ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "4.7 GiB", "300 GiB"]);
});
