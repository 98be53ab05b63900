// From a handle of the demo to why it went green, counted in clicks and keys.

import assert from "node:assert/strict";
import { open, run, signIn } from "./browser.mjs";

run(async () => {
  const page = await open();
  await signIn(page, "reader");
  await page.getByRole("heading", { level: 1 }).waitFor();
  await page.evaluate(() => {
    window.steps = [];
    for (const kind of ["click", "keydown"]) addEventListener(kind, (event) => window.steps.push(kind + (event.key ?? "")), { capture: true });
  });
  await page.getByRole("link", { name: "Search", exact: true }).click();
  await page.getByRole("button", { name: "Search", exact: true }).click();
  await page.getByRole("button", { name: "+447700900123" }).first().click();
  await page.getByText(/its last device signed out/).first().waitFor();
  const steps = await page.evaluate(() => window.steps);
  assert.ok(steps.length <= 3, steps.join(", "));
});
