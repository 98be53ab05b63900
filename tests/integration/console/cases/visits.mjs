// Every view with something to show, for what looks at all of them.

import { facts, until, view, why } from "./browser.mjs";

const idle = (page) => until("nothing is read any more", async () => (await page.locator("main [aria-busy=true]").count()) === 0);

/** Name and steps of each. All but the first take an admin. */
export const VISITS = [
  ["sign-in", async (page) => page.getByRole("button", { name: "Sign in" }).waitFor()],
  ["health", async (page) => {
    await view(page, "Why");
    await page.getByLabel("Phone number or e-mail address").press("Escape");
    await page.locator("[data-sign=lookups][data-state=good]").waitFor();
    await page.getByRole("region", { name: "Top flips" }).getByRole("button", { name: "Find" }).click();
    await page.getByRole("region", { name: "Top flips" }).getByRole("button", { name: facts.number }).or(page.getByText("No answer went back and forth.")).waitFor();
    const follow = page.getByRole("region", { name: "Live tail" }).getByRole("button", { name: "Follow" });
    await follow.click();
    await page.getByRole("region", { name: "Live tail" }).getByText(/^Following/).waitFor();
  }],
  ["why", async (page) => {
    await why(page, facts.number);
    await page.getByRole("region", { name: "Answer", exact: true }).getByText("Green", { exact: true }).waitFor();
    await page.getByText("As a table").click();
  }],
  ["search", async (page) => {
    await view(page, "Search");
    await page.getByRole("button", { name: "Clear the filters" }).click();
    await page.getByRole("button", { name: "Search", exact: true }).click();
    await until("rows have come", async () => Number(await page.getByRole("table", { name: "Records", exact: true }).getAttribute("aria-rowcount")) > 10);
    await page.getByText("Save or export").click();
    await idle(page);
  }],
  ["record", async (page) => {
    await page.getByRole("table", { name: "Records", exact: true }).locator(".rows-body [role=row]").first().getByRole("button").first().click();
    await page.getByRole("dialog", { name: "Record" }).waitFor();
  }, async (page) => page.keyboard.press("Escape")],
  ["flips", async (page) => {
    await view(page, "Flips");
    await page.getByLabel("Since", { exact: true }).fill("30d");
    await page.getByRole("button", { name: "Find" }).click();
    await page.getByRole("button", { name: facts.number }).waitFor();
    await page.locator("main details summary").first().click();
  }],
  ["segments", async (page) => {
    await view(page, "Segments");
    await page.getByRole("group", { name: "Records of each day" }).waitFor();
    await idle(page);
  }],
  ["audit", async (page) => {
    await view(page, "Audit");
    await page.getByRole("region", { name: "Calls", exact: true }).waitFor();
    await page.getByRole("button", { name: "Verify the chain" }).click();
    await page.getByText("The audit log is sound.").waitFor();
  }],
  ["quotas", async (page) => {
    await view(page, "Quotas");
    await page.getByText(/No account is flagged|flagged account/).first().waitFor();
    await page.getByLabel("Account id").fill(facts.account);
    await page.getByRole("button", { name: "Show" }).click();
    await page.getByText("Not flagged.").waitFor();
  }],
  ["doctor", async (page) => {
    await view(page, "Doctor");
    await page.getByText("Checked at").waitFor();
  }],
  ["problem", async (page) => {
    await why(page, "+1");
    await page.getByRole("alert").waitFor();
  }],
  ["keys", async (page) => {
    await page.getByRole("heading", { level: 1 }).focus();
    await page.keyboard.press("?");
    await page.getByRole("dialog", { name: "Keys" }).waitFor();
  }, async (page) => page.keyboard.press("Escape")],
];
