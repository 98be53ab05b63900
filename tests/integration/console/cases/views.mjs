// Health, Flips, Segments, Audit, Quotas and Doctor show what the API says.

import assert from "node:assert/strict";
import { api, facts, open, run, signIn, until, view } from "./browser.mjs";

const { reader, admin } = facts.tokens;
const seconds = (instant) => instant.slice(0, 19).replace("T", " ");
const includes = (text, ...parts) => parts.forEach((part) => assert.ok(text.includes(String(part)), `${part} is missing in ${text}`));
const main = (page) => page.locator("main").innerText();

async function health(page) {
  await view(page, "Why");
  const sign = (name) => page.locator(`[data-sign=${name}]`);
  const { handles, devices, live } = await api(reader, "/v1/registry");
  await sign("registry").waitFor();
  includes(await sign("registry").innerText(), `${handles} handles`, `${live.devices} of ${devices} devices live`);
  for (const name of ["lookups", "log", "audit", "registry", "disk"]) assert.equal(await sign(name).getAttribute("data-state"), "good", name);
  const oldest = (await api(reader, "/v1/log/segments")).map(({ from }) => from).sort()[0];
  includes(await sign("key").innerText(), seconds(oldest));
}

async function flips(page) {
  await view(page, "Flips");
  await page.getByLabel("Since", { exact: true }).fill("30d");
  await page.getByRole("button", { name: "Find" }).click();
  await page.getByRole("button", { name: facts.number }).waitFor();
  const { flips, summary } = await api(reader, "/v1/log/flips?since=30d");
  assert.ok(flips.length === 1 && flips[0].changes === facts.routes.length - 1, JSON.stringify(flips));
  const told = await main(page);
  includes(told, `${summary.handles} handle`, `${flips[0].changes} changes in ${flips[0].lookups} lookups`, flips[0].likely, flips[0].because);
  await page.locator("main details summary").first().click();
  const lines = await page.locator("main details table").first().locator("tbody tr").allInnerTexts();
  assert.equal(lines.length, flips[0].latest.length);
  flips[0].latest.forEach(({ at, from, to, reason }, index) => includes(lines[index], seconds(at), from, to, reason));
}

async function segments(page) {
  await view(page, "Segments");
  const days = page.getByRole("group", { name: "Records of each day" });
  await days.waitFor();
  const all = await api(reader, "/v1/log/segments");
  const byDay = new Map();
  for (const { from, records } of all) byDay.set(from.slice(0, 10), (byDay.get(from.slice(0, 10)) ?? 0) + records);
  const bars = await days.getByRole("button").evaluateAll((bars) => bars.map(({ dataset, firstElementChild }) => [new Date(Number(dataset.from)).toISOString().slice(0, 10), Number(dataset.records), firstElementChild.getBoundingClientRect().height]));
  const shown = bars.filter(([, records]) => records > 0);
  assert.deepEqual(new Map(shown.map(([day, records]) => [day, records])), byDay);
  const [most, height] = shown.reduce(([most, height], [, records, of]) => [Math.max(most, records), Math.max(height, of)], [0, 0]);
  for (const [day, records, of] of shown) assert.ok(Math.abs(of - (records / most) * height) < 3, `${day} is ${of} high of ${height}`);
  includes(await main(page), all.length, all.reduce((sum, { records }) => sum + records, 0));
  // A day's hours, by a key.
  const [day] = shown[0];
  await days.locator(`[data-from="${Date.parse(`${day}T00:00:00Z`)}"]`).click();
  await page.getByRole("heading", { name: `The hours of ${day}` }).waitFor();
  const hours = all.filter(({ from }) => from.startsWith(day));
  const lines = await page.locator("section", { has: page.getByRole("heading", { name: /^The hours of/ }) }).locator("tbody tr").allInnerTexts();
  for (const { from, records, state } of hours) assert.ok(lines.some((line) => line.includes(from.slice(11, 16)) && line.includes(String(records)) && line.includes(state)), `${from} is missing in ${lines}`);
}

async function audit(page) {
  await view(page, "Audit");
  const calls = page.getByRole("region", { name: "Calls", exact: true });
  await calls.waitFor();
  const entries = await api(admin, "/v1/audit", undefined, "application/x-ndjson");
  const lines = await calls.locator("tbody tr").allInnerTexts();
  // What was read since is in the API's answer only.
  assert.ok(lines.length > 3 && lines.length <= entries.length, `${lines.length} of ${entries.length}`);
  entries.slice(0, lines.length).reverse().forEach(({ at, operator, call, refused }, index) => {
    includes(lines[index], seconds(at), operator, call, ...(refused === null ? [] : ["refused"]));
  });
  await page.getByLabel("Refused calls only").check();
  await until("only the reader's call is left", async () => (await calls.locator("tbody tr").count()) === entries.filter(({ refused }) => refused !== null).length);
  includes(await calls.innerText(), "reader", "audit-list");
  await page.getByRole("button", { name: "Verify the chain" }).click();
  await page.getByText("The audit log is sound.").waitFor();
}

async function doctor(page) {
  await view(page, "Doctor");
  await page.getByText("Checked at").waitFor();
  const { findings } = await api(reader, "/v1/doctor");
  const told = (await main(page)).toLowerCase();
  assert.ok(findings.length > 0);
  // What stands in backticks is shown as code.
  const shown = (text) => text.toLowerCase().replaceAll("`", "");
  for (const { check, what, to_do } of findings) includes(told, shown(check), shown(what), shown(to_do));
  assert.equal(await page.locator("main .findings > li").count(), findings.length);
}

run(async () => {
  const page = await open({ statuses: [403] });
  await signIn(page, "reader");
  await health(page);
  await flips(page);
  await segments(page);
  await doctor(page);
  // A reader may not read the audit log: the page says who may, and the audit log has the attempt.
  await view(page, "Audit");
  await page.getByRole("alert").filter({ hasText: "admin" }).waitFor();
  await page.getByRole("button", { name: "Sign out" }).click();
  await signIn(page, "admin");
  await audit(page);
});
