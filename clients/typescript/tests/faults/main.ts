// Phones that ask through a network that breaks, while handles change and the server is killed.
//
// Arguments: the server's address, its outbox, a seed, how many handles must be answered. It prints `kill` when it wants the server
// to be killed and started again, and at its end one line of JSON with counts. It ends when its standard input does.
import { createInterface } from "node:readline";
import { type Clock, DispatchdError, Phone } from "../../src/index.ts";
import { Dice } from "./dice.ts";
import { Ledger, type Verdict } from "./ledger.ts";
import { type FaultCounts, startProxy } from "./proxy.ts";
import { Truth, call, pause } from "./truth.ts";

const [server, outbox, seed, wanted] = [process.argv[2]!, process.argv[3]!, Number(process.argv[4]), Number(process.argv[5])];

/** How much faster the phones' clock runs, so that answers expire and waits end within the test. */
const SPEED = 100;
const ASKERS = 6;
/** Calls of one phone at the same time. */
const AT_ONCE = 4;
/** Handles of a long list: more than one request has. */
const LONG = 1_200;
/** How often the server is killed, in equal shares of the handles. */
const KILLS = 4;

const clock: Clock = {
  now: () => SPEED * performance.now(),
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(resolve, ms / SPEED);
      signal.addEventListener("abort", () => (clearTimeout(timer), reject(signal.reason)), { once: true });
    }),
};

const faults: FaultCounts = { drop: 0, cut: 0, truncate: 0, mute: 0, page: 0, gateway: 0, delay: 0 };
const statuses: Record<string, number> = {};
const failed: Record<string, number> = {};
const count = (counts: Record<string, number>, name: string) => void (counts[name] = (counts[name] ?? 0) + 1);
let [answered, calls] = [0, 0];

/** A handle as one of many people may have noted it. The server reads all of these. */
function spelled(handle: string, dice: Dice): [string, string | undefined] {
  const digits = handle.slice(2);
  const parts = [digits.slice(0, 3), digits.slice(3, 6), digits.slice(6)];
  const gap = () => dice.of(["", " ", "-", ".", "  ", " - ", " . "]);
  const national = `(${parts[0]})${gap()}${parts[1]}${gap()}${parts[2]}`;
  return dice.roll() < 0.5 ? [national, "US"] : [`+1${gap()}${national}`, dice.of(["US", undefined])];
}

/** `fetch` that notes each whole answer of the server. */
function noting(ledger: Ledger): typeof fetch {
  return async (address, init) => {
    const sentAt = performance.now();
    const response = await fetch(address, init);
    count(statuses, String(response.status));
    const { handles, region } = JSON.parse(String(init?.body));
    const text = response.ok ? response.clone().text() : Promise.reject(new Error("refused"));
    text.then((text) => ledger.noteSent(handles, region, JSON.parse(text).answers, sentAt)).catch(() => undefined);
    return response;
  };
}

class Asker {
  readonly ledger = new Ledger(SPEED);
  readonly #phone: Phone;
  readonly #dice: Dice;

  constructor(address: string, token: string, dice: Dice) {
    const options = { attempts: 6, deadline: 6_000 * SPEED, attemptTimeout: 1_000 * SPEED, cacheEntries: 500 };
    const random = () => dice.roll();
    this.#phone = new Phone(address, token, { ...options, clock, random, fetch: noting(this.ledger) });
    this.#dice = dice;
  }

  /** One call, for as many handles as chance says. */
  async step(truth: Truth): Promise<void> {
    const [roll, isFresh] = [this.#dice.roll(), this.#dice.roll() < 0.15];
    await this.ask(truth, roll < 0.75 ? 1 : roll < 0.995 ? 2 + this.#dice.below(40) : LONG, isFresh);
  }

  async ask(truth: Truth, size: number, isFresh: boolean): Promise<void> {
    const dice = this.#dice;
    const region = dice.of(["US", undefined]);
    const asked = new Map<string, string>();
    for (let tries = 0; asked.size < size && tries < 20 * size; tries += 1) {
      const handle = dice.of(truth.handles);
      const [text, needed] = dice.roll() < 0.6 && size < LONG ? [handle, undefined] : spelled(handle, dice);
      if (needed === undefined || needed === region) asked.set(text, handle);
    }
    if (asked.size === 0 || dice.roll() < 0.02) asked.set("nonsense", "");
    const signal = dice.roll() < 0.03 ? AbortSignal.timeout(1 + dice.below(30)) : undefined;
    const options = { fresh: isFresh, ...(region && { region }), ...(signal && { signal }) };
    const [begun, texts] = [performance.now(), [...asked.keys()]];
    calls += 1;
    try {
      const alone = texts.length === 1 ? [await this.#phone.lookup(texts[0]!, options)] : undefined;
      const batch = alone === undefined ? await this.#phone.lookupAll(texts, options) : undefined;
      const items = alone ?? batch!.answers;
      items.forEach((item, at) => this.ledger.noteTold(item, texts[at]!, region, asked.get(texts[at]!)!, begun, isFresh));
      if (batch !== undefined) this.ledger.noteTogether(batch.answers, batch.together);
      answered += items.length;
    } catch (error) {
      const isOwn = error instanceof DispatchdError && ["later", "after-fixing"].includes(error.retry);
      if (!isOwn && error !== signal?.reason) throw error;
      count(failed, isOwn ? error.code : "aborted");
    }
  }
}

/** Asks the test to kill the server. */
async function disturb(): Promise<void> {
  for (let kill = 1; kill <= KILLS; kill += 1) {
    while (answered < (kill * wanted) / (KILLS + 1)) await pause(5);
    process.stdout.write("kill\n");
  }
}

/** Ends this program when the test has ended. */
async function watch(): Promise<void> {
  for await (const _ of createInterface({ input: process.stdin }));
  process.exit(1);
}

void watch();
const dice = new Dice(seed);
const truth = new Truth(server, outbox, dice);
await truth.prepare(8, 4);
const port = await startProxy(Number(new URL(server).port), dice, faults);
const askers: Asker[] = [];
for (let at = 0; at < ASKERS; at += 1) {
  const { body } = await call(server, undefined, "POST", "/v1/devices", { platform: "ios" });
  askers.push(new Asker(`http://127.0.0.1:${port}`, body.token, new Dice(seed + at)));
}
const started = performance.now();
const asking = askers.flatMap((asker, at) =>
  Array.from({ length: AT_ONCE }, async () => {
    // One of them uses its quota up at once.
    if (at === 0) for (let list = 0; list < 2; list += 1) await asker.ask(truth, LONG, true);
    while (answered < wanted) await asker.step(truth);
  }),
);
const changing = (async () => {
  while (answered < wanted) {
    await truth.change();
    await pause(5 + dice.below(10));
  }
})();
await Promise.all([...asking, changing, disturb()]);
// The last answers of the server may still be on their way into the ledgers.
await pause(0);
const verdicts = askers.map(({ ledger }) => ledger.judge(truth));
const sum = (field: "differing" | "smsInvented" | "cached" | "sms" | "imessage") => verdicts.reduce((sum, verdict: Verdict) => sum + verdict[field], 0);
process.stdout.write(
  `${JSON.stringify({
    answered, calls, seconds: Math.round((performance.now() - started) / 1_000), changes: truth.changes,
    differing: sum("differing"), sms_invented: sum("smsInvented"), together_wrong: askers.reduce((sum, { ledger }) => sum + ledger.togetherWrong, 0),
    cached: sum("cached"), sms: sum("sms"), imessage: sum("imessage"), failed, statuses, faults, examples: verdicts.flatMap(({ examples }) => examples).slice(0, 3),
  })}\n`,
);
process.exit(0);
