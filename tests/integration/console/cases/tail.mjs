// The live tail: lookups appear as they happen; a pause holds them back; the page keeps a bounded number.

import assert from "node:assert/strict";
import { ask, facts, open, run, signIn, until } from "./browser.mjs";

const SHOWN_MAX = 50;

run(async () => {
  const page = await open();
  await signIn(page, "reader");
  const tail = page.getByRole("region", { name: "Live tail" });
  const lines = tail.locator("tbody tr");
  const has = (handle) => until(`${handle} appears`, async () => (await lines.first().innerText()).includes(handle));
  await tail.getByRole("button", { name: "Follow" }).click();
  await tail.getByText(/^Following/).waitFor();
  await ask(facts.number);
  await has(facts.number);
  assert.ok((await lines.first().innerText()).includes("Green"));
  await ask("ann@example.com");
  await has("ann@example.com");
  assert.ok((await lines.first().innerText()).includes("Grey"));

  const before = await lines.count();
  await tail.getByRole("button", { name: "Pause" }).click();
  await ask("+14155550111");
  await tail.getByText("Paused; 1 record since").waitFor();
  assert.equal(await lines.count(), before, "a paused tail moves");
  await tail.getByRole("button", { name: "Go on" }).click();
  await has("+14155550111");

  for (let at = 10; at < 10 + SHOWN_MAX + 5; at += 1) await ask(`+141555502${at}`);
  await has(`+141555502${10 + SHOWN_MAX + 4}`);
  assert.equal(await lines.count(), SHOWN_MAX);

  // From a line to the reason.
  const handle = tail.getByRole("button", { name: `+141555502${10 + SHOWN_MAX + 4}` });
  await handle.click();
  await page.getByRole("region", { name: "Answer", exact: true }).getByText("Green", { exact: true }).waitFor();
});
