// Every view is reached and used without a pointer, and the focus is seen wherever it is.

import assert from "node:assert/strict";
import { facts, open, run, until } from "./browser.mjs";

const active = (page) => page.evaluate(() => {
  const element = document.activeElement;
  const style = getComputedStyle(element);
  const box = element.getBoundingClientRect();
  const isSeen = (parseFloat(style.outlineWidth) > 0 && style.outlineStyle !== "none") || style.boxShadow !== "none";
  return { tag: element.tagName, text: (element.getAttribute("aria-label") ?? element.labels?.[0]?.innerText ?? element.innerText ?? "").trim().slice(0, 60), isSeen, area: box.width * box.height, id: element.id };
});

/** Presses Tab until the element with the focus is the one that is looked for. */
async function tabTo(page, what, is) {
  for (let at = 0; at < 80; at += 1) {
    await page.keyboard.press("Tab");
    const now = await active(page);
    if (is(now)) return;
  }
  throw new Error(`Tab does not come to ${what}`);
}

/** Goes once around the page with Tab. Returns the names of what had the focus. */
async function around(page, what) {
  const names = [];
  await page.evaluate(() => document.querySelector("h1").focus());
  for (let at = 0; at < 200; at += 1) {
    await page.keyboard.press("Tab");
    const isAround = await page.evaluate((isFirst) => {
      if (isFirst) window.first = document.activeElement;
      return !isFirst && window.first === document.activeElement;
    }, at === 0);
    if (isAround) return names;
    const now = await active(page);
    // Behind the last element the focus is nowhere, before it is on the first.
    if (now.tag === "BODY") continue;
    assert.ok(now.isSeen && now.area > 0, `${what}: the focus is not seen on ${JSON.stringify(now)}`);
    names.push(now.text);
  }
  throw new Error(`${what}: Tab goes on and on: ${names.join(", ")}`);
}

const heading = (page, text) => page.getByRole("heading", { level: 1, name: text }).waitFor();

run(async () => {
  const page = await open({ statuses: [400] });
  const press = (...keys) => keys.reduce((before, key) => before.then(() => page.keyboard.press(key)), Promise.resolve());
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  if ((await active(page)).id !== "token") await tabTo(page, "the token's box", ({ id }) => id === "token");
  await page.keyboard.type(facts.tokens.admin);
  await press("Enter");
  await page.getByRole("button", { name: "Sign out" }).waitFor();

  // The keys are told by a key outside of a box, and Escape closes what tells them.
  await tabTo(page, "a button", ({ tag }) => tag === "BUTTON");
  await press("?");
  const keys = page.getByRole("dialog", { name: "Keys" });
  await keys.waitFor();
  await press("Escape");
  await keys.waitFor({ state: "hidden" });

  // Why: box, answer, band, table, and back to the empty box.
  await page.getByLabel("Phone number or e-mail address").waitFor();
  await press("/");
  await page.keyboard.type(facts.number);
  await press("Enter");
  await page.getByRole("region", { name: "Answer", exact: true }).getByText("Green", { exact: true }).waitFor();
  await tabTo(page, "the band", ({ text }) => text.startsWith("Colours of the last 30 days"));
  await press("End");
  await until("the band tells its last entry", async () => /signed out|green/i.test(await page.locator(".band-tools .caption").innerText()));
  await tabTo(page, "the table of the band", ({ text }) => text === "As a table");
  await press("Enter");
  await page.getByRole("region", { name: "Answers over time" }).waitFor();
  await around(page, "Why");

  // Each view has two keys, a heading that gets the focus, and a control that works.
  const views = [
    ["s", "Search", async () => {
      await press("/");
      await page.keyboard.type(facts.number);
      await press("Enter");
      const table = page.getByRole("table", { name: "Records", exact: true });
      await table.waitFor();
      await tabTo(page, "the rows", ({ text }) => /^2\d{3}-\d\d-\d\d/.test(text) || text === "Records");
      // Enter goes from the table to its rows, and opens a row. Rows that still come may give the focus back to the table.
      await until("a record opens", async () => {
        await press("Enter");
        await page.getByRole("dialog", { name: "Record" }).waitFor({ timeout: 5000 });
        return true;
      });
      await press("Escape");
    }],
    ["f", "Flips", async () => {
      await press("/", "Control+A");
      await page.keyboard.type("30d");
      await press("Enter");
      await page.getByText(/No handle's route went back and forth|changes? of the route/).waitFor();
    }],
    ["e", "Segments", async () => {
      await tabTo(page, "the days", ({ text }) => /^\d{4}-\d\d-\d\d:/.test(text));
      await press("ArrowLeft");
      await page.getByRole("heading", { name: /^The hours of/ }).waitFor();
    }],
    ["a", "Audit", async () => {
      await tabTo(page, "the button that verifies", ({ text }) => text === "Verify the chain");
      await press("Enter");
      await page.getByText("The audit log is sound.").waitFor();
    }],
    ["q", "Quotas and flags", async () => {
      await press("/");
      await page.keyboard.type(facts.accounts.ben);
      await press("Enter");
      await page.getByText("Not flagged.").waitFor();
    }],
    ["d", "Doctor", async () => {
      await press("/", "Enter");
      await page.getByText("Checked at").waitFor();
    }],
  ];
  for (const [letter, title, use] of views) {
    await page.evaluate(() => document.activeElement?.blur());
    await press("g", letter);
    await heading(page, title);
    await until(`${title} has the focus`, async () => (await active(page)).tag === "H1");
    await use();
    const names = await around(page, title);
    assert.ok(names.includes("Sign out"), `${title}: ${names.join(", ")}`);
  }

  // The first stop of Tab skips what stands before the view.
  await page.evaluate(() => document.activeElement?.blur());
  await press("g", "w");
  await heading(page, /blue or green/);
  await tabTo(page, "the link that skips", ({ text }) => text === "Skip to the view");
  await press("Enter");
  assert.equal((await active(page)).id, "main");
});
