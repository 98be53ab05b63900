// The start page: the badge, the sentence, the band, and who holds an older answer, compared with what happened and with the API.

import assert from "node:assert/strict";
import { api, facts, open, run, signIn, until, why } from "./browser.mjs";

run(async () => {
  const page = await open();
  await signIn(page, "reader");
  await why(page, "(415) 555-0142", "us");
  const answer = page.getByRole("region", { name: "Answer" });
  await answer.getByText("Green", { exact: true }).waitFor();
  const { entries, summary } = await api(facts.tokens.reader, "/v1/timeline", { handle: facts.number, limit: 1000 });
  assert.equal(summary.route, "sms");
  const told = await answer.innerText();
  assert.ok(told.includes(summary.sentence), `${told}\n${summary.sentence}`);
  assert.ok(told.includes(facts.number), told);

  // Every entry is shown, the newest first.
  const shown = await page.locator("ol.entries > li").allInnerTexts();
  assert.equal(shown.length, entries.length);
  entries.reverse().forEach(({ sentence, at }, index) => {
    assert.ok(shown[index].includes(sentence), `${shown[index]}\n${sentence}`);
    assert.ok(shown[index].includes(at.slice(0, 19).replace("T", " ")), shown[index]);
  });
});
