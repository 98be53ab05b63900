// 100,000 records in one table: all are there, and the page holds only those that are seen.

import assert from "node:assert/strict";
import { api, facts, open, run, signIn, until, view } from "./browser.mjs";

run(async () => {
  const page = await open();
  await signIn(page, "reader");
  await view(page, "Search");
  await page.getByRole("button", { name: "Clear the filters" }).click();
  await page.getByRole("search").getByRole("combobox", { name: /^Kind/ }).selectOption("lookup");
  await page.getByRole("button", { name: "Search", exact: true }).click();
  const table = page.getByRole("table", { name: "Records", exact: true });
  await until("all rows have come", async () => (await table.getAttribute("aria-rowcount")) === String(facts.records + 1));
  await until("the reading has ended", async () => (await page.locator(".search-results").getAttribute("aria-busy")) === "false");

  const drawn = () => table.locator(".rows-body [role=row]").evaluateAll((rows) => rows.map((row) => [Number(row.getAttribute("aria-rowindex")), row.innerText]));
  // The newest comes first, so the last row is the oldest record.
  const oldest = await api(facts.tokens.reader, "/v1/log?kind=lookup&order=asc&limit=1");
  await table.focus();
  await page.keyboard.press("End");
  const last = await until("the last row is drawn", async () => (await drawn()).find(([index]) => index === facts.records + 1));
  assert.ok(last[1].includes(oldest.records[0].handle), `${last[1]}\n${oldest.records[0].handle}`);
  const isBounded = async () => assert.ok((await drawn()).length < 200, "rows that nobody sees are in the page");
  await isBounded();
  await page.keyboard.press("Home");
  await until("the first row is drawn", async () => (await drawn()).some(([index]) => index === 2));
  await isBounded();
});
