// Every view, light and dark, wide and narrow: axe finds nothing serious, and nothing is wider than the window.

import { fits, isAccessible, open, run, signIn } from "./browser.mjs";
import { VISITS } from "./visits.mjs";

run(async () => {
  for (const scheme of ["light", "dark"]) {
    for (const width of [1280, 400]) {
      const page = await open({ width, scheme, statuses: [400], axe: true });
      for (const [name, visit, leave] of VISITS) {
        await visit(page);
        const what = `${name}, ${scheme}, ${width}`;
        await isAccessible(page, what);
        await fits(page, what);
        await leave?.(page);
        if (name === "sign-in") await signIn(page, "admin");
      }
      await page.context().close();
    }
  }
});
