// Pictures of every view, light and dark, wide and narrow.

import { env } from "node:process";
import { facts, open, run, signIn } from "./browser.mjs";
import { VISITS } from "./visits.mjs";

run(async () => {
  for (const scheme of ["light", "dark"]) {
    for (const width of [1280, 400]) {
      const page = await open({ width, scheme, statuses: [400] });
      for (const [name, visit, leave] of VISITS) {
        await visit(page);
        await page.mouse.move(0, 0);
        await page.screenshot({ path: `${env.PICTURES}/${name}-${scheme}-${width}.png`, fullPage: true, animations: "disabled" });
        if (facts.update && name === "why" && width === 1280) {
          await page.getByText("As a table").click();
          await page.setViewportSize({ width, height: 800 });
          await page.screenshot({ path: `${facts.update}/console-${scheme}.png` });
        }
        await leave?.(page);
        if (name === "sign-in") await signIn(page, "admin");
      }
      await page.context().close();
    }
  }
});
