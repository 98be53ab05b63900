// Search: what is found is what the API finds; values narrow it; what was found is saved.

import assert from "node:assert/strict";
import { api, facts, open, run, signIn, until, view } from "./browser.mjs";

const search = (filter) => api(facts.tokens.reader, "/v1/log/search", filter, "application/x-ndjson");
const said = (page) => page.locator(".search-said");
const table = (page) => page.getByRole("table", { name: "Records", exact: true });
const rows = (page) => table(page).locator(".rows-body [role=row]");

/** Waits until the search has ended, and checks its rows against records. */
async function shows(page, records) {
  const count = `${records.length} record${records.length === 1 ? "" : "s"}`;
  await until(`${count} are found`, async () => (await said(page).innerText()).startsWith(`${count}`) && /That is all\.$/.test(await said(page).innerText()));
  assert.equal(await table(page).getAttribute("aria-rowcount"), String(records.length + 1));
  const told = await until("the rows are drawn", async () => {
    const texts = await rows(page).evaluateAll((all) => all.map((row) => row.innerText));
    return texts.length === Math.min(records.length, texts.length) && texts.length > 0 && texts;
  });
  told.forEach((text, index) => {
    const { at, handle, route, reason, change, cause, status, account, device, ip } = records[index];
    for (const value of [at.slice(0, 19).replace("T", " "), handle, route, reason, change, cause, status, account, device, ip]) {
      if (value !== undefined && value !== null) assert.ok(text.includes(String(value)), `${value} is missing in ${text}`);
    }
  });
}

async function fill(page, filter) {
  for (const [label, text] of Object.entries(filter)) await page.getByRole("search").getByLabel(label, { exact: true }).fill(text);
}
const find = (page) => page.getByRole("button", { name: "Search", exact: true }).click();

run(async () => {
  const page = await open({ statuses: [400] });
  await signIn(page, "reader");
  await view(page, "Search");
  await fill(page, { Handle: "(415) 555-0142", Region: "US", Since: "1h" });
  await find(page);
  await shows(page, await search({ handle: facts.number, since: "1h" }));

  // A choice of a closed set, and a record's value that is clicked or left out.
  await page.getByRole("button", { name: "Clear the filters" }).click();
  await page.getByRole("search").getByRole("combobox", { name: /^Kind/ }).selectOption("lookup");
  await find(page);
  const lookups = await search({ kind: "lookup" });
  await shows(page, lookups);
  await table(page).getByRole("button", { name: "Green (sms)", exact: true }).first().click();
  await shows(page, lookups.filter(({ route }) => route === "sms"));
  await table(page).getByRole("button", { name: facts.number, exact: true }).first().click({ modifiers: ["Shift"] });
  const left = lookups.filter(({ route, handle }) => route === "sms" && handle !== facts.number);
  assert.ok(left.length > 0);
  await until("the rule applies", async () => (await rows(page).count()) === left.length);
  assert.ok(!(await table(page).innerText()).includes(facts.number));
  // What is saved is what is shown, as the API gives it.
  await page.getByText("Save or export").click();
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Save these records as NDJSON" }).click()]);
  const parts = await Array.fromAsync(await download.createReadStream());
  const saved = Buffer.concat(parts).toString().trim().split("\n").map((line) => JSON.parse(line));
  assert.deepEqual(saved, left);
  await page.getByRole("button", { name: /^handle is not/ }).click();
  await shows(page, lookups.filter(({ route }) => route === "sms"));

  // The counts over time are counts of these rows.
  await page.getByRole("combobox", { name: /^Count by/ }).selectOption("handle");
  const chart = page.getByRole("slider", { name: "Records over time" });
  await chart.focus();
  await page.keyboard.press("End");
  await until("a bar tells its count", async () => /: \d+/.test(await chart.getAttribute("aria-valuetext")));

  // A record with all its fields, and from it to the reason.
  const newest = lookups.find(({ route }) => route === "sms");
  await rows(page).first().getByRole("button").first().click();
  const record = page.getByRole("dialog", { name: "Record" });
  for (const [field, value] of Object.entries(newest)) {
    if (field !== "route") assert.ok((await record.innerText()).includes(String(value)), `${field} is missing`);
  }
  await record.getByRole("button", { name: "Why is it green?" }).click();
  await page.getByRole("region", { name: "Answer", exact: true }).getByText(newest.handle).waitFor();

  // Nothing found, and a filter that nobody understands.
  await view(page, "Search");
  await page.getByRole("button", { name: "Clear the filters" }).click();
  await fill(page, { Handle: "+14155550177" });
  await find(page);
  await page.getByText("No record matches.").waitFor();
  await fill(page, { Since: "the day before" });
  await find(page);
  const box = page.getByRole("search").getByLabel("Since", { exact: true });
  await until("the box is marked", async () => (await box.getAttribute("aria-invalid")) === "true");
  await page.getByRole("alert").filter({ hasText: /since/i }).waitFor();
});
