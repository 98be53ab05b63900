// Starts one browser, prints the address for its users, and ends it when standard input ends: when the tests end, however they do.

import { argv, stdin, stdout } from "node:process";
import { chromium } from "./playwright.mjs";

const browser = await chromium.launchServer({
  executablePath: argv[2],
  host: "127.0.0.1",
  handleSIGHUP: false,
  args: [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    // For the memory and frame figures of the long test.
    "--enable-precise-memory-info",
  ],
});
stdout.write(`${browser.wsEndpoint()}\n`);
stdin.on("end", () => browser.close()).resume();
