// A flagged account: a reader sees it and learns who may clear the flag; an admin clears it.

import assert from "node:assert/strict";
import { api, facts, open, run, signIn, until, view } from "./browser.mjs";

const [account, other] = facts.accounts;
const flagged = async () => (await api(facts.tokens.reader, "/v1/quota")).flags.map((flag) => flag.account);

async function clear(page) {
  await page.getByRole("button", { name: "Clear the flag…" }).click();
  await page.getByRole("dialog", { name: "Clear the flag?" }).getByRole("button", { name: "Clear it" }).click();
}

run(async () => {
  const page = await open({ statuses: [403] });
  await signIn(page, "reader");
  await view(page, "Quotas");
  const list = page.getByRole("region", { name: "Flagged accounts" });
  await list.waitFor();
  const told = await list.locator("tbody tr").allInnerTexts();
  assert.deepEqual(told.length, 2);
  assert.ok(told.some((line) => line.includes(account) && line.includes("too-few-hits")), told.join("\n"));
  assert.ok(told.some((line) => line.includes(other) && line.includes("too-many-hits")), told.join("\n"));
  await list.getByRole("button", { name: account }).click();
  await page.getByText(/^Flagged: too-few-hits/).waitFor();
  const { account: left } = await api(facts.tokens.reader, `/v1/quota?account=${account}`);
  await page.getByText(`${left.daily.remaining} of ${left.daily.limit}`).waitFor();

  // The question can be answered with no, and a reader is refused with the role that it takes.
  await page.getByRole("button", { name: "Clear the flag…" }).click();
  await page.keyboard.press("Escape");
  assert.equal((await flagged()).length, 2);
  await clear(page);
  await page.getByRole("alert").filter({ hasText: "admin" }).waitFor();
  assert.ok((await flagged()).includes(account), "a reader clears a flag");

  await page.getByRole("button", { name: "Sign out" }).click();
  await signIn(page, "admin");
  await view(page, "Quotas");
  await page.getByRole("region", { name: "Flagged accounts" }).getByRole("button", { name: account }).click();
  await clear(page);
  await page.getByText("Not flagged.").waitFor();
  assert.deepEqual(await flagged(), [other]);
  await page.getByRole("button", { name: "All flagged accounts" }).click();
  await until("the list is renewed", async () => !(await page.locator("main").innerText()).includes(account));
});
