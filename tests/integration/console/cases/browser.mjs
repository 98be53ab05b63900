// What every case uses: pages that are held to the console's rules, and words for what people do there.

import assert from "node:assert/strict";
import { createInterface } from "node:readline";
import { env, exit, stdin, stdout } from "node:process";
import { axeFile, chromium } from "../playwright.mjs";

/** How long anything may take before a case gives up on it, in milliseconds. It says nothing about speed. */
export const PATIENCE = Number(env.CASE_PATIENCE ?? 60_000);
/** How long a whole case may take. */
const WHOLE = 10 * 60_000;

/** The address of the console's listener. */
export const server = env.CONSOLE;
/** What the test knows: tokens, handles, ids. */
export const facts = JSON.parse(env.FACTS);

const lines = createInterface({ input: stdin })[Symbol.asyncIterator]();

/** Asks the test to do something, such as stopping the server, and returns its answer. */
export async function ask(word) {
  stdout.write(`> ${word}\n`);
  const { value, done } = await lines.next();
  assert.ok(!done, `the test ended before it answered ${word}`);
  return JSON.parse(value);
}

/** Waits until `seen` gives a truthy value without an error, and returns the value. */
export async function until(what, seen) {
  const end = Date.now() + PATIENCE;
  let last;
  while (Date.now() < end) {
    try {
      const value = await seen();
      if (value) return value;
      last = undefined;
    } catch (error) {
      last = error;
    }
    await new Promise((resume) => setTimeout(resume, 50));
  }
  throw new Error(`waited in vain until ${what}`, { cause: last });
}

/** An answer of the operators' API: JSON, or the lines of an NDJSON stream. */
export async function api(token, path, body, accept = "application/json") {
  const answer = await fetch(server + path, {
    method: body ? "POST" : "GET",
    headers: { authorization: `Bearer ${token}`, accept, ...(body && { "content-type": "application/json" }) },
    body: body && JSON.stringify(body),
  });
  const text = await answer.text();
  assert.ok(answer.ok, `${path}: ${answer.status} ${text}`);
  return accept.endsWith("x-ndjson") ? text.split("\n").filter(Boolean).map((line) => JSON.parse(line)) : JSON.parse(text);
}

/** The forms in which a handle could stand in an address. */
const forms = (text) => [text, encodeURIComponent(text), encodeURIComponent(encodeURIComponent(text)), text.replace(/^\+/, "")];

/** A browser's answer that is an error, as it logs it by itself. */
const STATUS = /^Failed to load resource: the server responded with a status of (\d+)/;
const GONE = /^Failed to load resource: net::ERR_(CONNECTION_REFUSED|CONNECTION_RESET|EMPTY_RESPONSE|INCOMPLETE_CHUNKED_ENCODING|SOCKET_NOT_CONNECTED)/;

const opened = [];

/**
 * Opens the console in a new context.
 *
 * @param {object} of what differs from a wide, light window
 * @param {number[]} of.statuses the error statuses that this page may meet
 * @param {boolean} of.loses whether the server goes away
 * @param {boolean} of.axe whether axe is to check the page
 * @param {(() => void) | null} of.watch runs in each page before its own code
 * @param {string} of.at the path that is opened
 */
export async function open({ width = 1280, height = 900, scheme = "light", statuses = [], loses = false, axe = false, watch = null, at = "/console/" } = {}) {
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme: scheme,
    locale: "en-GB",
    timezoneId: "America/New_York",
    acceptDownloads: true,
  });
  context.setDefaultTimeout(PATIENCE);
  const faults = [];
  const requests = [];
  const personal = [...(facts.personal ?? []), ...Object.values(facts.tokens ?? {})].flatMap(forms);
  const checkAddress = (what, address) => {
    for (const text of personal) if (address.includes(text)) faults.push(`${what} holds ${text}: ${address}`);
  };
  await context.exposeBinding("violated", (_, told) => faults.push(`a policy is violated: ${told}`));
  await context.addInitScript(() => {
    addEventListener("securitypolicyviolation", (event) => {
      window.violated(`${event.effectiveDirective}, ${event.blockedURI}, ${event.sourceFile}:${event.lineNumber}, ${event.sample}`);
    });
  });
  if (watch) await context.addInitScript(watch);
  if (axe) await context.addInitScript({ path: axeFile() });
  context.on("request", (request) => {
    const url = request.url();
    requests.push({ method: request.method(), url, body: request.postData() });
    if (!url.startsWith(`${server}/`) && !url.startsWith("data:") && !url.startsWith("blob:")) faults.push(`a request leaves the listener: ${url}`);
    checkAddress("the address of a request", url);
  });
  const page = await context.newPage();
  page.on("pageerror", (error) => faults.push(`an error that nothing caught: ${error.stack}`));
  page.on("dialog", (dialog) => {
    faults.push(`a dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  page.on("framenavigated", (frame) => checkAddress("the address of the page", frame.url()));
  page.on("console", (message) => {
    if (message.type() !== "error" && message.type() !== "warning") return;
    const status = STATUS.exec(message.text());
    if (status && statuses.includes(Number(status[1]))) return;
    if (loses && GONE.test(message.text())) return;
    faults.push(`the page logs: ${message.text()} (${message.location().url})`);
  });
  opened.push({ context, page, faults });
  await page.goto(server + at);
  return Object.assign(page, { faults, requests });
}

/** What is wrong with the addresses and messages of all pages so far. */
async function faultsOfAll() {
  const all = [];
  for (const { page, faults } of opened) {
    if (!page.isClosed()) {
      const address = await page.evaluate(() => location.href);
      const personal = [...(facts.personal ?? [])].flatMap(forms);
      for (const text of personal) if (address.includes(text)) faults.push(`the address of the page holds ${text}: ${address}`);
    }
    all.push(...faults);
  }
  return all;
}

/** Checks that nothing is wider than the window. */
export async function fits(page, what) {
  const [room, width, wide] = await page.evaluate(() => {
    const wide = [...document.querySelectorAll("main *, header *, footer *")].filter((element) => element.getBoundingClientRect().right > innerWidth + 1);
    return [document.documentElement.scrollWidth, innerWidth, wide.slice(0, 4).map((element) => element.cloneNode().outerHTML)];
  });
  assert.ok(room <= width, `${what}: the page is ${room} wide in a window of ${width}: ${wide.join(" ")}`);
}

/** Checks the visible page with axe: nothing serious or critical. */
export async function isAccessible(page, what) {
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  const bad = violations.filter(({ impact }) => ["serious", "critical"].includes(impact));
  const told = bad.flatMap(({ id, help, nodes }) => nodes.map(({ html, failureSummary }) => `${id}: ${help}\n  ${html}\n  ${failureSummary}`));
  assert.equal(told.length, 0, `${what}:\n${told.join("\n")}`);
}

/** Signs in as the operator of this role. */
export async function signIn(page, role, { keep = false } = {}) {
  await page.getByLabel("Operator token").fill(facts.tokens[role] ?? role);
  if (keep) await page.getByLabel(/^Keep it in this tab/).check();
  await page.getByRole("button", { name: "Sign in" }).click();
}

/** Waits for the view with this name in the navigation, and goes there first if it is not shown. */
export async function view(page, label) {
  const link = page.getByRole("navigation", { name: "Views" }).getByRole("link", { name: label, exact: true });
  if ((await link.getAttribute("aria-current")) !== "page") await link.click();
  await page.locator('nav a[aria-current="page"]', { hasText: label }).waitFor();
  // The former view stays until the code of this one is loaded.
  await page.getByRole("heading", { level: 1, name: label }).waitFor();
}

/** Asks why a handle is as it is, on the start page. */
export async function why(page, handle, region = "") {
  await view(page, "Why");
  await page.getByLabel("Phone number or e-mail address").fill(handle);
  await page.getByLabel("Region").fill(region);
  await page.getByRole("button", { name: "Ask why" }).click();
}

/** What a page that may hang gives within ten seconds. */
const soon = (value) => Promise.race([value, new Promise((_, fail) => setTimeout(() => fail(new Error("the page hangs")), 10_000))]);

setTimeout(() => {
  console.error("the case takes too long");
  exit(3);
}, WHOLE);
const browser = await chromium.connect(env.BROWSER);

/** Runs a case. When it fails, it prints what the last page showed and saves a picture. */
export async function run(steps) {
  try {
    await steps();
    assert.deepEqual(await faultsOfAll(), []);
  } catch (error) {
    console.error(error);
    for (const { page, faults } of opened) {
      if (page.isClosed()) continue;
      const picture = `${env.PICTURES}/failed-${process.pid}.png`;
      await page.screenshot({ path: picture, timeout: 10_000 }).catch(() => {});
      const shown = await soon(page.evaluate(() => `${location.href}\n${document.body.innerText}`)).catch(String);
      console.error(`--- the page, also in ${picture} ---\n${shown.slice(0, 6000)}`);
      for (const fault of faults) console.error(`fault: ${fault}`);
    }
    process.exitCode = 1;
  }
  // The browser closes the pages of a connection that ends.
  exit();
}
