import type { Clock } from "./clock.ts";
import { DispatchdError, type Head, NoAnswerError, ProblemError, UnexpectedAnswerError } from "./errors.ts";
import type { paths } from "./openapi.ts";
import { unlessAborted } from "./shared.ts";

/** What bounds a call, and what tests replace. */
export interface Settings {
  /** How often a call is sent at most. */
  readonly attempts: number;
  /** Milliseconds that a call may take altogether, waits included. */
  readonly deadline: number;
  /** Milliseconds after which an attempt counts as lost. */
  readonly attemptTimeout: number;
  readonly fetch: typeof fetch;
  readonly clock: Clock;
  /** A number from 0 (included) to 1 (excluded). */
  readonly random: () => number;
}

export type Method = "get" | "post" | "patch" | "delete";

/** The body that an operation of `openapi.ts` takes. */
type BodyOf<O> = O extends { requestBody: { content: infer C } } ? JsonOf<C> : undefined;
/** The body of its answers that are no problems. */
export type AnswerOf<O> = O extends { responses: infer R } ? ContentOf<R[keyof R & (200 | 201 | 202 | 204)]> : never;
type ContentOf<R> = R extends { content: infer C } ? JsonOf<C> : undefined;
type JsonOf<C> = C extends { "application/json": infer B } ? B : undefined;

interface AnyCall {
  readonly path: string;
  readonly method: string;
  /** What stands for the parameter in `path`. */
  readonly parameter?: string;
  readonly body: unknown;
  /** Whether a second call does no harm if the first one was carried out and its answer was lost. */
  readonly isRepeatable: boolean;
}

/** A call of the API, and how its answer is read. */
export interface Call<P extends keyof paths, M extends Method & keyof paths[P], T> extends AnyCall {
  readonly path: P;
  readonly method: M;
  readonly body: BodyOf<paths[P][M]>;
  /** Makes the result of a whole answer, or throws. `sentAt` is when the attempt began. */
  readonly read: (body: unknown, head: Head, sentAt: number) => T;
  /** The code with which the server refuses a repeat of what it has done already. */
  readonly doneWhen?: { readonly code: string; readonly result: T };
}

/** When a call ends at the latest. */
export interface End {
  /** The instant of the clock. */
  readonly at: number;
  readonly signal: AbortSignal | undefined;
}

/** The longest wait before a repeat without `Retry-After`, in seconds. */
const PAUSE_MAX = 300;

/** The longest answer that is read: one to 1,000 handles has less than a tenth of it. */
const ANSWER_BYTES_MAX = 4 * 2 ** 20;

/** One server, and the token of one device. */
export class Connection {
  readonly #base: string;
  readonly #settings: Settings;
  #token: string | undefined;

  /** Throws a `TypeError` if the server's address or the token cannot be one. */
  constructor(server: string, token: string | undefined, settings: Settings) {
    const url = URL.canParse(server) ? new URL(server) : undefined;
    if (url === undefined || !/^https?:$/.test(url.protocol) || `${url.username}${url.password}${url.search}${url.hash}` !== "") {
      throw new TypeError("the server's address is not one such as https://dispatch.example.org");
    }
    // Otherwise `fetch` would print the token in its error.
    if (token !== undefined && !/^[\x21-\x7e]+$/.test(token)) throw new TypeError("the token has characters that no token has");
    this.#base = url.href.replace(/\/$/, "");
    this.#token = token;
    this.#settings = settings;
  }

  revealToken(): string | undefined {
    return this.#token;
  }

  forgetToken(): void {
    this.#token = undefined;
  }

  /** When a call that begins now ends at the latest. */
  end(signal: AbortSignal | undefined): End {
    return { at: this.#settings.clock.now() + this.#settings.deadline, signal };
  }

  /** Makes a call, and repeats it where that can help and does no harm. Throws a `DispatchdError`, or the reason of the signal. */
  async call<P extends keyof paths, M extends Method & keyof paths[P], T>(call: Call<P, M, T>, end: End): Promise<T> {
    const { attempts, clock, random } = this.#settings;
    let isPerhapsDone = false;
    for (let attempt = 1; ; attempt += 1) {
      end.signal?.throwIfAborted();
      try {
        const [body, head, sentAt] = await this.#attempt(call, end);
        return call.read(body, head, sentAt);
      } catch (error) {
        if (!(error instanceof DispatchdError)) throw error;
        if (isPerhapsDone && call.doneWhen?.code === error.code) return call.doneWhen.result;
        isPerhapsDone ||= error instanceof ProblemError ? error.status >= 500 : !isUnsent(error);
        const wait = 1_000 * pause(error, attempt, random);
        const isTooLate = clock.now() + wait >= end.at;
        if (attempt >= attempts || isTooLate || !mayRepeat(error, call.isRepeatable)) throw error;
        await clock.sleep(wait, end.signal ?? new AbortController().signal);
      }
    }
  }

  /** The body of a whole answer that is no refusal, and when the attempt began. */
  async #attempt(call: AnyCall, end: End): Promise<[unknown, Head, number]> {
    const { attemptTimeout, clock } = this.#settings;
    const sentAt = clock.now();
    const left = end.at - sentAt;
    if (left <= 0) throw new NoAnswerError("the call took too long");
    const attempt = new AbortController();
    const late = async (): Promise<never> => {
      await clock.sleep(Math.min(attemptTimeout, left), attempt.signal);
      throw new NoAnswerError("the server did not answer in time");
    };
    try {
      const answer = Promise.race([this.#send(call, attempt.signal), late()]);
      const [body, head] = await unlessAborted(answer, end.signal);
      return [body, head, sentAt];
    } finally {
      attempt.abort();
    }
  }

  async #send(call: AnyCall, signal: AbortSignal): Promise<[unknown, Head]> {
    const { method, body } = call;
    const headers: Record<string, string> = {};
    if (this.#token !== undefined) headers.authorization = `Bearer ${this.#token}`;
    if (body !== undefined) headers["content-type"] = "application/json";
    const request: RequestInit = {
      method: method.toUpperCase(),
      headers,
      body: body === undefined ? null : JSON.stringify(body),
      signal,
      // A redirect would carry handles to whoever it names.
      redirect: "error",
      credentials: "omit",
      cache: "no-store",
      referrerPolicy: "no-referrer",
    };
    const address = this.#base + pathOf(call);
    let [response, text]: [Response | undefined, string] = [undefined, ""];
    try {
      response = await this.#settings.fetch(address, request);
      text = await textOf(response);
    } catch (error) {
      throw new NoAnswerError(response === undefined ? "no answer came" : "the answer broke off", error);
    }
    return read(response, text);
  }
}

/** The path of a call with its parameter. A segment of dots would name another path. */
function pathOf(call: AnyCall): string {
  if (call.parameter === undefined) return call.path;
  if (/^\.{0,2}$/.test(call.parameter)) throw new RangeError("an empty text, `.` and `..` are no parameter of a call");
  const segment = encodeURIComponent(call.parameter.toWellFormed());
  return call.path.replace(/\{\w+\}/, () => segment);
}

/** The text of an answer. One that is longer than any of dispatchd's is not read to its end: it counts as empty. */
async function textOf(response: Response): Promise<string> {
  if (response.body === null) return "";
  const [reader, decoder] = [response.body.getReader(), new TextDecoder()];
  let [text, bytes] = ["", 0];
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return text + decoder.decode();
    bytes += value.byteLength;
    if (bytes > ANSWER_BYTES_MAX) {
      reader.cancel().catch(() => undefined);
      return "";
    }
    text += decoder.decode(value, { stream: true });
  }
}

function read(response: Response, text: string): [unknown, Head] {
  const head: Head = {
    status: response.status,
    requestId: response.headers.get("x-request-id") ?? undefined,
    retryAfter: seconds(response.headers.get("retry-after")),
  };
  const type = response.headers.get("content-type")?.split(";")[0]?.trim();
  const body = parsed(text);
  if (response.ok && response.status === 204) return [undefined, head];
  if (response.ok && type === "application/json" && isRecord(body)) return [body, head];
  if (!response.ok && type === "application/problem+json" && isRecord(body)) throw new ProblemError(head, body);
  throw new UnexpectedAnswerError(head, "answer-unreadable");
}

/** The value of JSON text. The error of `JSON.parse` would repeat a part of it. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** `Retry-After` in seconds. Its other form is an instant, which needs a clock that is right. */
function seconds(header: string | null): number | undefined {
  return header !== null && /^\d{1,9}$/.test(header.trim()) ? Number(header) : undefined;
}

/**
 * dispatchd's own `later` is followed: it knows what it did. Otherwise the call may have been carried out if it was sent, so that a
 * repeat must do no harm.
 */
function mayRepeat(error: DispatchdError, isRepeatable: boolean): boolean {
  return error.retry === "later" && (isRepeatable || error instanceof ProblemError || isUnsent(error));
}

function isUnsent(error: DispatchdError): boolean {
  return error instanceof NoAnswerError && error.isUnsent;
}

/** Seconds to wait before the next attempt, with full jitter: clients that failed together do not return together. */
function pause(error: DispatchdError, attempt: number, random: () => number): number {
  const told = error instanceof ProblemError || error instanceof UnexpectedAnswerError ? error.retryAfter : undefined;
  return told ? told * (1 + random()) : random() * Math.min(PAUSE_MAX, 2 ** (attempt - 1));
}
