// What phones were told, what the server sent them, and whether the one follows from the other.
import type { Item, Together } from "../../src/index.ts";
import type { Holder, Truth } from "./truth.ts";

/** A whole answer of the server to one handle, in milliseconds of `performance.now()`. */
interface Sent {
  readonly item: any;
  readonly sentAt: number;
  readonly arrivedAt: number;
}

/** What a phone told its program about one handle. */
interface Told {
  readonly item: Item;
  readonly key: string;
  readonly handle: string;
  readonly begun: number;
  readonly ended: number;
  readonly isFresh: boolean;
}

export interface Verdict {
  /** Answers that the server did not send, or that were not true, or that had expired. */
  differing: number;
  /** Those of them with `sms` that no answer of the server said. */
  smsInvented: number;
  cached: number;
  sms: number;
  imessage: number;
  examples: unknown[];
}

/** All that one asking account saw. */
export class Ledger {
  /** The account's name for each owner. */
  readonly #subjects = new Map<number, string>();
  readonly #sent = new Map<string, Sent[]>();
  readonly #told: Told[] = [];
  readonly #speed: number;
  togetherWrong = 0;

  /** `speed` is how much faster the phone's clock is than `performance.now()`. */
  constructor(speed: number) {
    this.#speed = speed;
  }

  /** Notes the answer of the server to a request for these texts. */
  noteSent(texts: string[], region: string | undefined, answers: any[], sentAt: number): void {
    const arrivedAt = performance.now();
    texts.forEach((text, at) => {
      const key = keyOf(answers[at], text, region);
      const list = this.#sent.get(key) ?? [];
      this.#sent.set(key, list);
      list.push({ item: answers[at], sentAt, arrivedAt });
    });
  }

  noteTold(item: Item, text: string, region: string | undefined, handle: string, begun: number, isFresh: boolean): void {
    this.#told.push({ item, key: keyOf(item, text, region), handle, begun, ended: performance.now(), isFresh });
  }

  noteTogether(items: Item[], told: Together): void {
    const routes = items.map((item) => ("error" in item ? "none" : item.route));
    const isAll = (route: string) => routes.every((other) => other === route);
    const should = routes.includes("none") ? "none" : isAll("sms") ? "sms" : isAll("imessage") ? "imessage" : "mixed";
    if (told !== should) this.togetherWrong += 1;
  }

  judge(truth: Truth): Verdict {
    const verdict: Verdict = { differing: 0, smsInvented: 0, cached: 0, sms: 0, imessage: 0, examples: [] };
    for (const told of this.#told) {
      const sources = (this.#sent.get(told.key) ?? []).filter(({ item }) => isSame(item, told.item));
      const isNew = ({ sentAt, arrivedAt }: Sent) => sentAt <= told.ended && (told.isFresh ? sentAt : arrivedAt) >= told.begun;
      const isValid = ({ item, sentAt }: Sent) => told.begun < sentAt + (1_000 * item.expires_in) / this.#speed;
      const isCached = (sent: Sent) => !told.isFresh && sent.arrivedAt <= told.begun && isValid(sent);
      const source = sources.find(isNew) ?? sources.find(isCached);
      if (source === undefined || !this.#isTrue(truth, told.handle, source)) {
        verdict.differing += 1;
        if (verdict.examples.length < 3) verdict.examples.push({ told, sources });
      }
      if (source !== undefined && !isNew(source)) verdict.cached += 1;
      if ("error" in told.item) continue;
      if (told.item.route === "sms" && sources.length === 0) verdict.smsInvented += 1;
      if (told.item.route !== "none") verdict[told.item.route] += 1;
    }
    return verdict;
  }

  #isTrue(truth: Truth, handle: string, { item, sentAt, arrivedAt }: Sent): boolean {
    if (item.error !== undefined) return handle === "";
    if (item.handle !== handle) return false;
    const holders: Holder[] = item.route === "sms" ? [null] : this.#holdersOf(item.subject, truth, handle, sentAt, arrivedAt);
    return holders.some((holder) => truth.wasTrue(handle, holder, sentAt, arrivedAt));
  }

  /** The owner that a subject stands for. The first answer that fits only one owner says so. */
  #holdersOf(subject: string, truth: Truth, handle: string, from: number, to: number): Holder[] {
    const known = [...this.#subjects].filter(([, name]) => name === subject).map(([owner]) => owner);
    if (known.length > 0) return known;
    const possible = truth.owners().filter((owner) => !this.#subjects.has(owner) && truth.wasTrue(handle, owner, from, to));
    if (possible.length === 1) this.#subjects.set(possible[0]!, subject);
    return possible;
  }
}

/** A phone keeps the answers to all spellings of a handle as one. A text that is no handle has none. */
function keyOf(item: any, text: string, region: string | undefined): string {
  return item.handle ?? `${region ?? ""} ${text}`;
}

function isSame(sent: any, told: Item): boolean {
  if ("error" in told) return sent?.error?.code === told.error.code && sent.error.reason === told.error.reason;
  return sent?.handle === told.handle && sent.route === told.route && sent.subject === told.subject;
}
