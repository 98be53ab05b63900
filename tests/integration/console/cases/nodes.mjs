// In a cluster each list shows the nodes, and a node that does not answer is a warning, never "nothing found". The answers of other
// nodes are put in: what the server gives is the same besides.

import assert from "node:assert/strict";
import { open, run, signIn, until, view } from "./browser.mjs";

const MISSING = { kind: "missing", node: "c", why: "no answer: Connection refused" };
const WARNING = "The node c is missing, or a part of it: no answer: Connection refused.";

/** Lets the answers to a path be of node b, and lack node c. With `isEmpty` they have no row. */
async function ofCluster(page, path, isEmpty = false) {
  await page.route((url) => url.pathname === path, async (route) => {
    const answer = await route.fetch();
    const rows = (await answer.text()).split("\n").filter(Boolean).map((line) => ({ ...JSON.parse(line), node: "b" }));
    const lines = [...(isEmpty ? [] : rows), MISSING].map((row) => `${JSON.stringify(row)}\n`);
    await route.fulfill({ response: answer, body: lines.join("") });
  });
}

run(async () => {
  const page = await open();
  await signIn(page, "admin");
  for (const path of ["/v1/log/segments", "/v1/audit"]) await ofCluster(page, path);
  await view(page, "Segments");
  await page.getByText(WARNING).waitFor();
  const nodes = page.getByRole("region", { name: "Segments by node" });
  assert.ok((await nodes.innerText()).includes("b"));
  await view(page, "Audit");
  await page.getByText(WARNING).waitFor();
  const calls = page.getByRole("region", { name: "Calls", exact: true });
  assert.deepEqual((await calls.locator("thead th").allInnerTexts()).slice(-1), ["Node"]);
  assert.equal(await calls.locator("tbody tr").first().locator("td").last().innerText(), "b");

  // Nothing came, and that is not said.
  await ofCluster(page, "/v1/audit", true);
  await page.getByRole("button", { name: "List", exact: true }).click();
  await until("the calls are gone", async () => (await calls.count()) === 0);
  await page.getByText(WARNING).waitFor();
  assert.equal(await page.getByText("No call matches.").count(), 0);

  // A count of flips without a node does not say that nothing flipped.
  await page.route((url) => url.pathname === "/v1/log/flips", async (route) => {
    const { summary } = await (await route.fetch()).json();
    const missing = [{ node: MISSING.node, why: MISSING.why }];
    await route.fulfill({ json: { flips: [], summary: { ...summary, handles: 0, missing } } });
  });
  await view(page, "Flips");
  await page.getByText(WARNING).waitFor();
  assert.equal(await page.getByText("No handle's route went back and forth.").count(), 0);
  await view(page, "Why");
  await page.getByRole("region", { name: "Top flips" }).getByRole("button", { name: "Find" }).click();
  await page.getByText(WARNING).waitFor();
  assert.equal(await page.getByText("No answer went back and forth.").count(), 0);

  await view(page, "Audit");
  // One report for each node, and none of a node that does not tell.
  await page.route((url) => url.pathname === "/v1/audit/verify", async (route) => {
    const report = await (await route.fetch()).json();
    const others = [{ node: "a", error: null, report }, { node: "c", error: MISSING.why, report: null }];
    await route.fulfill({ json: { ...report, sound: false, own_sound: true, node: "b", others } });
  });
  await page.getByRole("button", { name: "Verify the chain" }).click();
  await page.getByText("It did not answer, so nothing is known of it").waitFor();
  assert.deepEqual(await page.getByRole("heading", { level: 2, name: /^Node / }).allInnerTexts(), ["Node a", "Node b", "Node c"]);
  assert.equal(await page.getByText("The audit log is sound.").count(), 2);
});
