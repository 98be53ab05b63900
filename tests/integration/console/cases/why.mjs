// The start page: the badge, the sentence, the band, and who holds an older answer, compared with what happened and with the API.

import assert from "node:assert/strict";
import { api, facts, open, run, signIn, until, why } from "./browser.mjs";

/** Instants of the API have microseconds; the band has milliseconds. */
const near = (one, other) => Math.abs(Date.parse(one) - Date.parse(other)) < 2;
const shown = (instant) => new Date(instant).toISOString().slice(0, 19).replace("T", " ");
/** A sentence as it is shown: without what has a place of its own. */
const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
/** What an entry's sentence says after its times, which have a place of their own. */
const reason = ({ sentence }) => capital(sentence.replace(/^.*?\d{2}:\d{2}:\d{2}[^:]*: /, ""));

async function isTold(page, summary) {
  const answer = page.getByRole("region", { name: "Answer", exact: true });
  await answer.getByText("Green", { exact: true }).waitFor();
  assert.equal(await answer.getAttribute("data-route"), "sms");
  const told = await answer.innerText();
  assert.ok(told.includes(capital(summary.sentence)), `${told}\n${summary.sentence}`);
  assert.ok(told.includes(facts.number), told);
}

/** The spans of the band, oldest first. */
const spans = (page) =>
  page.locator("svg rect.span").evaluateAll((rects) =>
    rects.map((rect) => ({ ...rect.dataset, fill: getComputedStyle(rect).fill, width: rect.getBoundingClientRect().width })));

async function bandShowsWhatHappened(page, summary) {
  const found = await spans(page);
  assert.deepEqual(found.map(({ route }) => route), ["unknown", ...facts.routes.map(([route]) => route)]);
  const months = Date.parse(found.at(-1).until) - Date.parse(found[0].from);
  assert.equal(months, 30 * 24 * 3600 * 1000);
  facts.routes.forEach(([route, from, to], index) => {
    const span = found[index + 1];
    assert.ok(near(span.from, from), `${route} begins at ${span.from}, not ${from}`);
    assert.ok(near(span.until, to ?? summary.at), `${route} ends at ${span.until}, not ${to}`);
    // Blue is blue and green is green, and each has the width of its time.
    const [red, green, blue] = /(\d+), (\d+), (\d+)/.exec(span.fill).slice(1).map(Number);
    assert.ok(route === "imessage" ? blue > red && blue > green : green > red && green > blue, `${route}: ${span.fill}`);
    const part = (Date.parse(span.until) - Date.parse(span.from)) / months;
    const whole = found.reduce((sum, { width }) => sum + width, 0);
    assert.ok(Math.abs(span.width - part * whole) < 4, `${route}: ${span.width} of ${whole}`);
  });
  // The same as a table, the newest first.
  await page.getByText("As a table").click();
  const lines = page.getByRole("region", { name: "Answers over time" }).locator("tbody tr");
  const rows = await lines.evaluateAll((all) => all.map((row) => [row.cells[0].innerText.trim(), ...[...row.querySelectorAll("time")].map((time) => time.dateTime)]));
  assert.equal(rows.length, found.length);
  const names = { imessage: "Blue", sms: "Green", unknown: "Unknown" };
  found.reverse().forEach(({ route, from, until: end }, index) => {
    const [name, begin, finish] = rows[index];
    assert.ok(name === names[route] && near(begin, from) && near(finish, end), `${rows[index]} is not ${route} ${from}`);
  });
}

/** A key, a drag, a wheel, and the pointer on a mark do what they say. */
async function bandIsUsed(page, entries) {
  const band = page.getByRole("application", { name: /^Colours of the last 30 days/ });
  const caption = page.locator(".band-tools .caption");
  const tells = (entry) => async () => {
    const told = await caption.innerText();
    return told.includes(reason(entry)) && told.includes(shown(entry.at));
  };
  const count = async () => (await spans(page)).length;
  const all = await count();
  await band.focus();
  await page.keyboard.press("End");
  await until("the last entry is told", tells(entries.at(-1)));
  await page.keyboard.press("Home");
  await until("the first entry is told", tells(entries[0]));
  await page.keyboard.press("+");
  await page.keyboard.press("+");
  await page.keyboard.press("+");
  await until("a key zooms", async () => (await count()) < all);
  await page.keyboard.press("0");
  await until("a key shows everything again", async () => (await count()) === all);
  const box = await band.boundingBox();
  const middle = box.y + box.height / 2;
  await page.mouse.move(box.x + box.width * 0.97, middle);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.99, middle, { steps: 4 });
  await page.mouse.up();
  await until("a drag zooms", async () => (await count()) < all);
  await page.getByRole("button", { name: "Show all 30 days" }).click();
  await page.mouse.move(box.x + box.width * 0.9, middle);
  for (let turn = 0; turn < 12; turn += 1) await page.mouse.wheel(0, -100);
  await until("the wheel zooms", async () => (await count()) < all);
  await page.getByRole("button", { name: "Show all 30 days" }).click();
  await until("a button shows everything again", async () => (await count()) === all);
  const first = entries.find(({ kind }) => kind === "change");
  const mark = await page.locator(`svg path.change[data-at="${first.at}"]`).boundingBox();
  await page.mouse.move(mark.x + mark.width / 2, mark.y + 3);
  await until("the entry under the pointer is told", tells(first));
}

/** The seconds in a span such as `55 min 3 s at most`. */
const seconds = (text) =>
  [...text.matchAll(/(\d+) (d|h|min|s)\b/g)].reduce((sum, [, count, unit]) => sum + count * { d: 86400, h: 3600, min: 60, s: 1 }[unit], 0);

async function holderCountsDown(page, summary) {
  assert.deepEqual(summary.holders.map(({ device }) => device), [facts.holder]);
  const row = page.getByRole("region", { name: "Who still goes by another answer", exact: true }).locator("tbody tr");
  assert.equal(await row.count(), 1);
  const told = await row.innerText();
  assert.ok(told.includes(facts.holder) && told.includes("Blue") && told.includes(shown(summary.holders[0].told_at)), told);
  const left = row.locator("[data-until]");
  assert.equal(await left.getAttribute("data-until"), summary.holders[0].until_at_most);
  const whole = (Date.parse(summary.holders[0].until_at_most) - Date.parse(summary.at)) / 1000;
  const first = seconds(await left.innerText());
  // The test's clock stands still, the page's goes on from it.
  assert.ok(first <= whole + 1 && first > whole - 300, `${first} s of ${whole} s`);
  await until("it counts down", async () => seconds(await left.innerText()) < first);
}

run(async () => {
  const page = await open({ statuses: [400] });
  await signIn(page, "reader");
  await why(page, "(415) 555-0142", "us");
  const { entries, summary } = await api(facts.tokens.reader, "/v1/timeline", { handle: facts.number, limit: 1000 });
  assert.equal(summary.route, "sms");
  await isTold(page, summary);
  await holderCountsDown(page, summary);
  await bandShowsWhatHappened(page, summary);
  await bandIsUsed(page, entries);

  // Every change and every lookup is a line, the newest first, with its time and its reason.
  for (const [heading, kind] of [["What changed", "change"], ["Who asked", "lookups"]]) {
    const lines = page.locator(`[data-section="${heading}"]`).locator("tbody tr");
    const told = await lines.allInnerTexts();
    const expected = entries.filter((entry) => entry.kind === kind).reverse();
    assert.equal(told.length, expected.length, heading);
    expected.forEach((entry, index) => {
      assert.ok(told[index].includes(reason(entry)), `${told[index]}\n${reason(entry)}`);
      assert.ok(told[index].includes(shown(entry.at)), told[index]);
      for (const device of entry.devices ?? []) assert.ok(told[index].includes(device), told[index]);
    });
  }

  // An address that nobody backs is grey; what is no handle is said to be none.
  const answer = page.getByRole("region", { name: "Answer", exact: true });
  await why(page, facts.address ?? "ann@example.com");
  await answer.getByText("Grey", { exact: true }).waitFor();
  await why(page, "+1");
  const { detail } = await (await fetch(`${new URL(page.url()).origin}/v1/timeline`, {
    method: "POST",
    headers: { authorization: `Bearer ${facts.tokens.reader}`, "content-type": "application/json" },
    body: JSON.stringify({ handle: "+1" }),
  })).json();
  await page.getByRole("alert").filter({ hasText: detail.split(": ").pop() }).waitFor();
  assert.equal(await answer.count(), 0, "an answer to another question stays on the page");
});
