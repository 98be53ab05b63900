// A server that asks for a case: the console says so, asks again once there is one, and the audit log has it.

import assert from "node:assert/strict";
import { api, facts, open, run, signIn, view, why } from "./browser.mjs";

run(async () => {
  const page = await open({ statuses: [400, 403] });
  await signIn(page, "reader");
  for (const label of ["Flips", "Search"]) {
    await view(page, label);
    if (label === "Search") await page.getByRole("button", { name: "Search", exact: true }).click();
    await page.getByRole("alert").filter({ hasText: /asks for a case/ }).waitFor();
  }
  await why(page, facts.number);
  const alert = page.getByRole("alert").filter({ hasText: /case/i });
  await alert.waitFor();
  await page.getByLabel("Case", { exact: true }).fill("INC-4711");
  await page.keyboard.press("Enter");
  if (await alert.isVisible()) await page.getByRole("button", { name: "Ask why" }).click();
  await page.getByRole("region", { name: "Answer", exact: true }).getByText("Green", { exact: true }).waitFor();
  assert.ok((await page.locator("footer").innerText()).includes("--case INC-4711"));
  const audit = await api(facts.tokens.admin, "/v1/audit", undefined, "application/x-ndjson");
  const named = audit.filter((entry) => entry.case === "INC-4711");
  assert.ok(named.length > 0 && named.every(({ operator }) => operator === "reader"), JSON.stringify(named));
});
