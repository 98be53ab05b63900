// The server goes away: the console says so, asks again by itself, and shows the view once it is back.

import { ask, facts, open, run, signIn, until, why } from "./browser.mjs";

run(async () => {
  const page = await open({ loses: true });
  await signIn(page, "reader");
  await why(page, facts.number);
  const answer = page.getByRole("region", { name: "Answer", exact: true });
  await answer.getByText("Green", { exact: true }).waitFor();

  await ask("stop");
  await why(page, facts.address);
  const banner = page.getByRole("status").filter({ hasText: "does not answer" });
  await banner.waitFor();
  // Somebody goes on typing meanwhile.
  const box = page.getByLabel("Phone number or e-mail address");
  await box.fill("+1 212");
  await ask("start");
  await banner.waitFor({ state: "hidden" });
  await until("the answer is there", async () => (await answer.innerText()).includes(facts.address));
  await until("what was typed is there", async () => (await box.inputValue()) === "+1 212");
  await until("the focus is there", () => box.evaluate((it) => it === document.activeElement));

  // A view that is opened for the first time while the server is away comes once it is back.
  await ask("stop");
  await page.getByRole("navigation", { name: "Views" }).getByRole("link", { name: "Doctor", exact: true }).click();
  await page.getByText("This page could not be loaded.").waitFor();
  await banner.waitFor();
  await ask("start");
  await page.getByRole("heading", { level: 1, name: "Doctor" }).waitFor();
});
