// From a handle of the demo, such as one in a ticket, to why it went green: one key, one paste, one key.

import assert from "node:assert/strict";
import { open, run, signIn, view } from "./browser.mjs";

run(async () => {
  const page = await open();
  await signIn(page, "reader");
  await view(page, "Why");
  await page.evaluate(() => {
    window.steps = [];
    for (const kind of ["click", "keydown", "input"]) addEventListener(kind, (event) => window.steps.push(`${kind} ${event.key ?? ""}`), { capture: true });
  });
  await page.keyboard.press("/");
  await page.keyboard.insertText("+44 7700 900123");
  await page.keyboard.press("Enter");
  const answer = page.getByRole("region", { name: "Answer", exact: true });
  await answer.getByText(/its last device signed out/i).waitFor();
  assert.ok((await answer.innerText()).includes("Green"));
  const steps = await page.evaluate(() => window.steps);
  // Enter in a form is a click of its button, too.
  const own = steps.filter((step, at) => !(step === "click " && steps[at - 1] === "keydown Enter"));
  assert.ok(own.length <= 3, own.join(", "));
});
