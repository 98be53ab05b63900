import { Cache, type Entry, keyOf } from "./cache.ts";
import type { Clock } from "./clock.ts";
import { type Connection, type End, isRecord } from "./connection.ts";
import { type Head, ProblemError, UnexpectedAnswerError } from "./errors.ts";
import type { components } from "./openapi.ts";
import { Shared } from "./shared.ts";

type Schemas = components["schemas"];
export type Route = Schemas["Route"];
/** `unknown`: a member has a route of a newer server. */
export type Together = Schemas["Together"] | "unknown";

/** Which way a message to one handle goes. */
export type Answer = Schemas["LookupAnswer"];

/** A handle of a batch without a route: no handle (`handle-invalid`), or a route of a newer server (`route-unknown`). */
export interface Refused {
  input: string;
  error: { code: string; reason: string | undefined };
}

/** One handle of a batch. Only an answer has a `route`: ask `"error" in item` first. */
export type Item = Answer | Refused;

/** The answers of a batch in the order asked, and the route that the whole group can use. */
export interface Batch {
  answers: Item[];
  together: Together;
}

export interface LookupOptions {
  /** The country of numbers without a calling code, in two letters. */
  readonly region?: string;
  /** Asks the server whatever the cache holds: for a message that could not be delivered. */
  readonly fresh?: boolean;
  readonly signal?: AbortSignal;
}

/** Handles in one request (docs/api.md#limits). */
const BATCH_MAX = 1_000;

/** The compiler refuses this table when the description has another route. */
const ROUTES = { imessage: true, sms: true, none: true } satisfies Record<Route, true>;

/** A request that has no answer yet. */
interface Question {
  readonly request: Shared<Item[]>;
  /** The place of the handle in the request, and how many handles that has. */
  readonly at: number;
  readonly of: number;
}

/** Asks for handles. Keeps answers while they are valid, and asks once for what several callers want at the same time. */
export class Lookups {
  readonly #connection: Connection;
  readonly #clock: Clock;
  readonly #cache: Cache<Answer>;
  readonly #asked = new Map<string, Question>();

  constructor(connection: Connection, clock: Clock, cacheEntries: number) {
    this.#connection = connection;
    this.#clock = clock;
    this.#cache = new Cache(cacheEntries);
  }

  async one(handle: string, options: LookupOptions): Promise<Answer> {
    const [item] = await this.#items([handle], options);
    if (item === undefined || "error" in item) throw errorOf(item);
    return item;
  }

  async many(handles: readonly string[], options: LookupOptions): Promise<Batch> {
    if (handles.length === 0) throw new RangeError("a batch has at least one handle");
    const answers = await this.#items(handles, options);
    return { answers, together: together(answers) };
  }

  /** Forgets all answers, also those that are on their way. */
  forget(): void {
    this.#cache.clear();
    this.#asked.clear();
  }

  async #items(handles: readonly string[], options: LookupOptions): Promise<Item[]> {
    const end = this.#connection.end(options.signal);
    // The server reads half a surrogate pair as U+FFFD, and `input` of its answer has that.
    const texts = handles.map((handle) => handle.toWellFormed());
    const found = new Map<string, Entry<Item>>();
    for (const text of texts) {
      // If the fresh answer does not come, nobody knows the route.
      if (options.fresh === true) this.#cache.forget(text, options.region);
      const entry = this.#cache.get(text, options.region);
      if (entry !== undefined) found.set(text, { value: { ...entry.value, input: text }, until: entry.until });
    }
    // What came from the cache may have expired, or may expire while a long list is asked for.
    for (;;) {
      const now = this.#clock.now();
      const left = [...new Set(texts)].filter((text) => (found.get(text)?.until ?? now) <= now);
      if (left.length === 0) return texts.map((text) => copyOf(found.get(text), now));
      const group = left.slice(0, BATCH_MAX);
      const items = await this.#group(group, options, end);
      group.forEach((text, at) => found.set(text, { value: items[at]!, until: Infinity }));
    }
  }

  /** Waits for the answers to at most `BATCH_MAX` different handles. Asks for those for which nobody has asked. */
  async #group(texts: string[], options: LookupOptions, end: End): Promise<Item[]> {
    const questions = texts.map((text) => this.#joinable(text, texts.length === 1, options));
    const left = texts.filter((_, at) => questions[at] === undefined);
    const request = left.length > 0 ? this.#ask(left, options.region, end.at) : undefined;
    const requests = new Set([...questions.map((question) => question?.request), request]);
    const waits = [...requests].map(async (it) => [it, await it?.wait(end.signal)] as const);
    const results = new Map(await Promise.all(waits));
    let next = 0;
    return questions.map((question) => results.get(question?.request ?? request)![question?.at ?? next++]!);
  }

  /**
   * The request that asks for this handle already. A handle that is asked for alone does not wait for a batch: an overloaded server
   * refuses batches first.
   */
  #joinable(text: string, isAlone: boolean, options: LookupOptions): Question | undefined {
    const question = this.#asked.get(keyOf(text, options.region));
    const isTooOld = options.fresh === true || question?.request.isAborted === true;
    return isTooOld || (isAlone && question !== undefined && question.of > 1) ? undefined : question;
  }

  /** Begins a request. Whoever joins it later has its deadline, too. */
  #ask(texts: string[], region: string | undefined, at: number): Shared<Item[]> {
    const keys = texts.map((text) => keyOf(text, region));
    // Only the newest question for a handle fills the cache, so that no older answer replaces a newer one.
    const isNewest = (key: string) => this.#asked.get(key)?.request === request;
    const start = async (signal: AbortSignal): Promise<Item[]> => {
      try {
        const [items, sentAt] = await this.#send(texts, region, { at, signal });
        items.forEach((item, index) => {
          if ("error" in item || !isNewest(keys[index]!)) return;
          this.#cache.set(texts[index]!, region, { value: item, sentAt, until: sentAt + 1_000 * item.expires_in });
        });
        return items;
      } catch (error) {
        if (isTokenVoid(error)) this.forget();
        throw error;
      } finally {
        for (const key of keys) if (isNewest(key)) this.#asked.delete(key);
      }
    };
    const request = new Shared(start);
    keys.forEach((key, index) => this.#asked.set(key, { request, at: index, of: keys.length }));
    return request;
  }

  #send(handles: string[], region: string | undefined, end: End): Promise<[Item[], number]> {
    return this.#connection.call(
      {
        path: "/v1/lookup",
        method: "post",
        body: region === undefined ? { handles } : { handles, region },
        read: (body, head, sentAt) => [readItems(body, handles, head), sentAt],
        isRepeatable: true,
      },
      end,
    );
  }
}

/** Whether the device is gone, and so the account that asked. */
export function isTokenVoid(error: unknown): boolean {
  return error instanceof ProblemError && error.code === "token-invalid";
}

/** An item for one caller, who may change it. What was kept for some time is valid for less. */
function copyOf(found: Entry<Item> | undefined, now: number): Item {
  const { value: item, until } = found!;
  if ("error" in item) return { input: item.input, error: { ...item.error } };
  return { ...item, expires_in: Math.min(item.expires_in, Math.floor((until - now) / 1_000)) };
}

function readItems(body: unknown, asked: string[], head: Head): Item[] {
  const answers = isRecord(body) ? body.answers : undefined;
  if (!Array.isArray(answers) || answers.length !== asked.length) throw new UnexpectedAnswerError(head, "answer-unreadable");
  return asked.map((input, at) => readItem(answers[at], input, head));
}

function readItem(item: unknown, input: string, head: Head): Item {
  const unreadable = () => new UnexpectedAnswerError(head, "answer-unreadable");
  if (!isRecord(item) || item.input !== input) throw unreadable();
  // An item with an error is no answer, whatever else it has.
  if (item.error !== undefined && item.error !== null) {
    const { code, reason } = isRecord(item.error) ? item.error : {};
    if (typeof code !== "string") throw unreadable();
    return { input, error: { code, reason: typeof reason === "string" ? reason : undefined } };
  }
  const { handle, route, subject, expires_in } = item;
  if (typeof route === "string" && !Object.hasOwn(ROUTES, route)) {
    return { input, error: { code: "route-unknown", reason: undefined } };
  }
  const isSpan = typeof expires_in === "number" && Number.isFinite(expires_in) && expires_in >= 0;
  if (typeof handle !== "string" || typeof route !== "string" || !isSpan) throw unreadable();
  const answer = { input, handle, route: route as Route, expires_in };
  return typeof subject === "string" ? { ...answer, subject } : answer;
}

/** What a single lookup of this handle fails with. */
function errorOf(item: Refused | undefined): ProblemError | UnexpectedAnswerError {
  const head = { status: 200, requestId: undefined, retryAfter: undefined };
  if (item === undefined || item.error.code === "route-unknown") return new UnexpectedAnswerError(head, "route-unknown");
  return new ProblemError({ ...head, status: 400 }, { ...item.error, retry: "after-fixing" });
}

/** As the server says it of a batch: `none` if one member has no route or is no handle. */
export function together(items: readonly Item[]): Together {
  const routeOf = (item: Item) => ("error" in item ? (item.error.code === "route-unknown" ? "unknown" : "none") : item.route);
  const routes = new Set(items.map(routeOf));
  const [first, ...others] = routes;
  if (first === undefined || routes.has("none")) return "none";
  if (routes.has("unknown")) return "unknown";
  return others.length === 0 ? first : "mixed";
}
