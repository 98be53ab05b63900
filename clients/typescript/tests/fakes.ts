// A server and a clock that tests move.
import { Phone, type PhoneOptions } from "../src/index.ts";

export const SERVER = "https://dispatch.example.org";
export const TOKEN = "dd_secret-token";
export const ANN = "+14155550123";

/** Time that passes only when nothing else happens. */
export class FakeClock {
  /** Milliseconds of each wait that went to its end. */
  readonly waited: number[] = [];
  #now = 0;
  #timers: { at: number; ms: number; end: () => void }[] = [];

  now(): number {
    return this.#now;
  }

  advance(ms: number): void {
    this.#now += ms;
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = { at: this.#now + ms, ms, end: resolve };
      this.#timers.push(timer);
      signal.addEventListener("abort", () => {
        this.#timers = this.#timers.filter((other) => other !== timer);
        reject(signal.reason);
      });
    });
  }

  /** Lets time pass until `work` is done. */
  async run<T>(work: Promise<T>): Promise<T> {
    let isDone = false;
    const done = () => void (isDone = true);
    work.then(done, done);
    for (;;) {
      for (let turn = 0; turn < 20 && !isDone; turn += 1) await new Promise<void>((resolve) => setImmediate(resolve));
      if (isDone) return work;
      const [next] = this.#timers.sort((a, b) => a.at - b.at).splice(0, 1);
      if (next === undefined) throw new Error("nothing happens any more");
      this.#now = Math.max(this.#now, next.at);
      this.waited.push(next.ms);
      next.end();
    }
  }
}

export interface Asked {
  method: string;
  address: string;
  headers: Record<string, string>;
  body: { handles: string[]; region?: string } & Record<string, unknown>;
  signal: AbortSignal;
}

/** How the server answers one request. It may throw, as `fetch` does without an answer. */
export type Reply = (asked: Asked) => Response | Promise<Response>;

export function json(body: unknown, status = 200, headers: Record<string, string> = {}): Response {
  const type = status < 400 ? "application/json" : "application/problem+json";
  return new Response(JSON.stringify(body), { status, headers: { "content-type": type, ...headers } });
}

export function problem(status: number, code: string, retry: string, headers: Record<string, string> = {}, more: object = {}): Reply {
  const type = `urn:dispatchd:problem:${code}`;
  return () => json({ type, title: "t", status, detail: "d", code, retry, ...more }, status, headers);
}

/** As `fetch` of Node.js fails with a word of the system. */
const failing = (code: string): Reply => () => {
  throw new TypeError("fetch failed", { cause: Object.assign(new Error("connect"), { code }) });
};

/** The server may have got the call. */
export const noAnswer = failing("ECONNRESET");
/** It did not get it. */
export const notSent = failing("ECONNREFUSED");

/** Never answers, whatever the signal says. */
export const silence: Reply = () => new Promise(() => undefined);

/** Answers every handle: `imessage` for Ann, `sms` for other numbers, an error for what is none. */
export const answers: Reply = ({ body }) => {
  const item = (input: string) => {
    if (!input.startsWith("+")) return { input, error: { code: "handle-invalid", reason: "not-a-number" } };
    if (input === ANN) return { input, handle: input, route: "imessage", subject: "S", expires_in: 3600 };
    return { input, handle: input, route: "sms", expires_in: 300 };
  };
  return json({ answers: body.handles.map(item), together: "mixed" });
};

/** A server that gives the replies in order, and the last one for ever. */
export class FakeServer {
  readonly asked: Asked[] = [];
  #replies: Reply[];

  constructor(...replies: Reply[]) {
    this.#replies = replies;
  }

  readonly fetch = async (address: unknown, init: RequestInit = {}): Promise<Response> => {
    const asked = {
      method: String(init.method),
      address: String(address),
      headers: init.headers as Record<string, string>,
      body: init.body ? JSON.parse(String(init.body)) : undefined,
      signal: init.signal!,
    };
    this.asked.push(asked);
    const reply = this.#replies.length > 1 ? this.#replies.shift()! : this.#replies[0]!;
    return reply(asked);
  };
}

/** A phone of a server with these replies. Its random numbers are all `random`. */
export function phoneWith(replies: Reply[], options: PhoneOptions & { random?: () => number } = {}) {
  const [server, clock] = [new FakeServer(...replies), new FakeClock()];
  const settings = { fetch: server.fetch as typeof fetch, clock, random: () => 0.5, ...options };
  return { server, clock, settings, phone: new Phone(SERVER, TOKEN, settings) };
}
