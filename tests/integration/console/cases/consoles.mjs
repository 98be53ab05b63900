// Prints what a lookup costs the server, with five open consoles and without, and with five that follow the log.

import { ask, open, run, signIn } from "./browser.mjs";

const PAIRS = 5;
const CONSOLES = 5;

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

async function consoles(follow) {
  const pages = [];
  for (let at = 0; at < CONSOLES; at += 1) {
    const page = await open();
    await signIn(page, "reader");
    await page.locator("[data-sign=lookups]").waitFor();
    const tail = page.getByRole("region", { name: "Live tail" });
    if (follow) {
      await tail.getByRole("button", { name: "Follow" }).click();
      await tail.getByText(/^Following/).waitFor();
    }
    pages.push(page);
  }
  return pages;
}

run(async () => {
  await ask("measure");
  for (const follow of [false, true]) {
    const [alone, watched] = [[], []];
    for (let pair = 0; pair < PAIRS; pair += 1) {
      alone.push(await ask("measure"));
      const pages = await consoles(follow);
      watched.push(await ask("measure"));
      for (const page of pages) await page.context().close();
    }
    const ratios = watched.map((cost, at) => cost / alone[at]);
    const told = (costs) => costs.map((cost) => cost.toFixed(1)).join(", ");
    console.log(`${CONSOLES} consoles${follow ? " that follow the log" : ""}: ${((median(ratios) - 1) * 100).toFixed(1)} % (median of ${PAIRS} pairs)`);
    console.log(`  microseconds of the server a lookup: alone ${told(alone)}; watched ${told(watched)}`);
  }
});
