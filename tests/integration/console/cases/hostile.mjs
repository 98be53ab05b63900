// Handles, texts and names that try to be more than text: nothing runs, nothing turns the direction of other text, and a long one
// does not break the page.

import assert from "node:assert/strict";
import { facts, fits, open, run, signIn, until, view, why } from "./browser.mjs";

/** What a server that somebody else writes could put into its answers. */
const TEXTS = [
  `<img src=x onerror="window.ran=1"><script>window.ran=1</script>`,
  `"><svg onload=window.ran=1>`,
  "javascript:window.ran=1",
  "safe\u202egnp.exe\u2066\u200b\u0000\u0007",
  "w".repeat(5000),
];

async function isHarmless(page, what) {
  assert.equal(await page.evaluate(() => window.ran), undefined, `${what}: a text runs`);
  assert.equal(await page.locator("main :is(script, img, iframe, object, embed, [onload], [onerror])").count(), 0, `${what}: a text is an element`);
  await fits(page, what);
  const raw = await page.evaluate(() => /[\u202a-\u202e\u2066-\u2069\u200b\u0000\u0007]/.test(document.body.innerText));
  assert.ok(!raw, `${what}: an unseen character is shown as it is`);
}

/** Every text of an answer that is no code, id or time is replaced. */
function spoiled(value, text, name = "") {
  if (Array.isArray(value)) return value.map((item) => spoiled(item, text, name));
  if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, spoiled(item, text, key)]));
  return ["sentence", "handle", "device", "account", "what", "to_do", "because", "operator", "case", "detail", "title"].includes(name) && typeof value === "string" ? text : value;
}

async function spoil(page, text) {
  await page.unroute("**/v1/**");
  await page.route("**/v1/**", async (route) => {
    const answer = await route.fetch();
    const type = answer.headers()["content-type"] ?? "";
    const body = await answer.text();
    const each = (line) => (line === "" ? "" : JSON.stringify(spoiled(JSON.parse(line), text)));
    const changed = type.includes("x-ndjson") ? body.split("\n").map(each).join("\n") : type.includes("json") ? each(body) : body;
    await route.fulfill({ response: answer, body: changed });
  });
}

run(async () => {
  for (const width of [1280, 400]) {
    const page = await open({ width, statuses: [400] });
    await signIn(page, "admin");
    const answer = page.getByRole("region", { name: "Answer", exact: true });
    for (const handle of facts.handles) {
      await why(page, handle);
      await answer.getByText("Grey", { exact: true }).waitFor();
      await until("the handle is shown", async () => (await answer.locator(".handle").innerText()).trim().startsWith(handle.slice(0, 12)));
      await isHarmless(page, handle);
    }
    await view(page, "Search");
    await page.getByRole("button", { name: "Clear the filters" }).click();
    await page.getByRole("button", { name: "Search", exact: true }).click();
    const table = page.getByRole("table", { name: "Records", exact: true });
    await until("all records have come", async () => Number(await table.getAttribute("aria-rowcount")) > 2 * facts.handles.length);
    // Text that runs from right to left stays in its cell, so the next cell is where it was.
    const isolated = await table.locator("bdi").evaluateAll((all) => all.every((bdi) => getComputedStyle(bdi).unicodeBidi === "isolate"));
    assert.ok(isolated && (await table.locator("bdi").count()) > 0);
    await isHarmless(page, "Search");

    for (const text of TEXTS) {
      await spoil(page, text);
      await why(page, facts.handles[0]);
      await answer.getByText("Grey", { exact: true }).waitFor();
      await until("the text is there", async () => (await answer.innerText()).includes(text.slice(0, 4)));
      await isHarmless(page, `Why with ${text.slice(0, 40)}`);
      for (const label of ["Flips", "Segments", "Audit", "Quotas", "Doctor"]) {
        await view(page, label);
        await until(`${label} is there`, async () => (await page.locator("main [aria-busy]").count()) === 0);
        await isHarmless(page, `${label} with ${text.slice(0, 40)}`);
      }
    }
    await page.unroute("**/v1/**");
    // What people type is text, too: the case stands on the page and in the command line.
    await page.getByLabel("Case", { exact: true }).fill(`'$(id)'\u202e<b>`);
    await page.keyboard.press("Enter");
    await why(page, "<img src=x onerror=window.ran=1>@example.com'; rm -rf /");
    await page.getByRole("alert").waitFor();
    await isHarmless(page, "typed text");
  }
});
