// A token opens the console. A wrong one, one without the role, and a revoked one are told apart.

import assert from "node:assert/strict";
import { ask, open, run, server, signIn, until, why, facts } from "./browser.mjs";

const signedIn = (page) => page.getByRole("button", { name: "Sign out" }).waitFor();
const alert = (page) => page.getByRole("alert");

run(async () => {
  // A browser that is sent to the listener alone finds the console.
  const page = await open({ at: "/", statuses: [401, 403] });
  assert.equal(new URL(page.url()).pathname, "/console/");
  await page.getByRole("heading", { name: "Sign in" }).waitFor();

  await signIn(page, "op_0000000000000000000000000000");
  await until("a wrong token is refused", async () => /token/i.test(await alert(page).innerText()));
  await signIn(page, "metrics");
  await until("the role that it takes is named", async () => /reader/.test(await alert(page).innerText()));
  assert.equal(await page.getByRole("navigation", { name: "Views" }).getByRole("link").count(), 0, "no view without a token");

  await signIn(page, "reader");
  await signedIn(page);
  const stored = () => page.evaluate(() => JSON.stringify([{ ...sessionStorage }, { ...localStorage }, document.cookie]));
  assert.ok(!(await stored()).includes(facts.tokens.reader), "a token is kept without being asked for");

  // What is not kept is gone with the page; what is kept is not.
  const named = page.getByLabel("Case", { exact: true });
  const name = async () => {
    await named.fill("INC-4711");
    await page.keyboard.press("Enter");
  };
  await name();
  assert.ok(!(await stored()).includes("INC-4711"), "a case is kept without its operator");
  await page.reload();
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  await signIn(page, "reader", { keep: true });
  await signedIn(page);
  assert.equal(await named.inputValue(), "", "a case outlives its operator");
  await name();
  await page.reload();
  await signedIn(page);
  assert.equal(await named.inputValue(), "INC-4711");
  await why(page, facts.number);
  await page.getByRole("region", { name: "Answer", exact: true }).getByText("Green", { exact: true }).waitFor();
  const spoken = page.locator("body > [aria-live]");
  await until("the answer is spoken", async () => (await spoken.textContent()).startsWith("Green"));
  await page.getByRole("button", { name: "Sign out" }).click();
  assert.equal(await spoken.textContent(), "", "what was spoken stays on the page");
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  assert.ok(!(await stored()).includes(facts.tokens.reader), "a token outlives the sign-out");
  assert.ok(!(await stored()).includes("INC-4711"), "a case outlives the sign-out");

  // A revoked token is signed out at the next call, with the reason.
  await signIn(page, "reader");
  await signedIn(page);
  await ask("revoke the reader");
  await why(page, facts.number);
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  await until("the reason is said", async () => /token/i.test(await alert(page).innerText()));
  assert.ok(!(await page.locator("body").innerText()).includes(facts.number), "what was read stays on the page");

  // The token went to the calls of this listener only, in a header.
  assert.ok(page.requests.every(({ url, body }) => url.startsWith(server) && !(body ?? "").includes(facts.tokens.reader)));
});
