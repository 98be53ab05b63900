// Prints how long frames are while 100,000 rows come, how much memory they take, and how big and how fast the first screen is.

import assert from "node:assert/strict";
import { facts, open, run, signIn, until, view } from "./browser.mjs";

const HEAP_MAX = 150_000_000;
const FIRST_SCREEN_MAX = 200_000;

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

async function heap(page) {
  const session = await page.context().newCDPSession(page);
  await session.send("HeapProfiler.collectGarbage");
  await session.send("Performance.enable");
  const { metrics } = await session.send("Performance.getMetrics");
  return metrics.find(({ name }) => name === "JSHeapUsedSize").value;
}

async function rows() {
  const page = await open();
  await signIn(page, "reader");
  await view(page, "Search");
  const empty = await heap(page);
  await page.getByRole("button", { name: "Clear the filters" }).click();
  await page.getByRole("combobox", { name: /^Kind/ }).selectOption("lookup");
  await page.evaluate(() => {
    window.frames_ = [];
    window.most = 0;
    let last = performance.now();
    const frame = (now) => {
      window.frames_.push(now - last);
      last = now;
      window.most = Math.max(window.most, performance.memory.usedJSHeapSize);
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
    window.tasks = [];
    new PerformanceObserver((list) => window.tasks.push(...list.getEntries().map(({ duration }) => duration))).observe({ type: "longtask" });
  });
  const begun = Date.now();
  await page.getByRole("button", { name: "Search", exact: true }).click();
  const table = page.getByRole("table", { name: "Records", exact: true });
  await until("all rows have come", async () => (await table.getAttribute("aria-rowcount")) === String(facts.records + 1));
  await until("the reading has ended", async () => (await page.locator(".search-results").getAttribute("aria-busy")) === "false");
  const took = Date.now() - begun;
  const scrolled = await page.evaluate(async () => {
    const [table] = document.querySelectorAll(".rows");
    const before = window.frames_.length;
    for (let at = 0; at < 60; at += 1) {
      table.scrollTop += 20_000;
      await new Promise(requestAnimationFrame);
    }
    return window.frames_.slice(before);
  });
  const { frames, tasks, most } = await page.evaluate(() => ({ frames: window.frames_, tasks: window.tasks, most: window.most }));
  const held = await heap(page);
  console.log(`${facts.records} rows: ${took} ms; longest frame ${Math.max(...frames).toFixed(0)} ms, longest task ${Math.max(0, ...tasks).toFixed(0)} ms, while scrolling ${Math.max(...scrolled).toFixed(0)} ms`);
  console.log(`heap: ${(empty / 1e6).toFixed(1)} MB before, ${(held / 1e6).toFixed(1)} MB with all rows, ${(most / 1e6).toFixed(1)} MB at most`);
  assert.ok(most < HEAP_MAX, `${most} bytes`);
  await page.context().close();
}

/** Loads the console anew, signed in, without and with the browser's cache. */
async function firstScreen() {
  const page = await open({ watch: () => {
    new MutationObserver((_, observer) => {
      const signs = document.querySelector("[data-sign]");
      if (!signs) return;
      window.shown = performance.now();
      observer.disconnect();
    }).observe(document, { childList: true, subtree: true });
  } });
  await signIn(page, "reader", { keep: true });
  await view(page, "Why");
  const session = await page.context().newCDPSession(page);
  await session.send("Network.enable");
  let bytes = 0;
  session.on("Network.loadingFinished", ({ encodedDataLength }) => (bytes += encodedDataLength));
  for (const isCached of [false, true]) {
    const [paints, shown, sizes] = [[], [], []];
    for (let at = 0; at < 9; at += 1) {
      await session.send("Network.setCacheDisabled", { cacheDisabled: !isCached });
      bytes = 0;
      await page.reload();
      shown.push(await until("the first screen is shown", () => page.evaluate(() => window.shown)));
      paints.push(await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? NaN));
      sizes.push(bytes);
    }
    const size = Math.max(...sizes);
    console.log(`first screen ${isCached ? "from the cache" : "from the server"}: ${(size / 1000).toFixed(1)} kB; median first paint ${median(paints).toFixed(0)} ms, median with figures ${median(shown).toFixed(0)} ms of 9 loads`);
    assert.ok(size < FIRST_SCREEN_MAX, `${size} bytes`);
  }
}

run(async () => {
  await rows();
  await firstScreen();
});
