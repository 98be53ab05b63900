import type { components } from "./openapi.ts";

/** Whether the same call can succeed another time: `later`, `after-fixing` (a changed call can), or `never`. */
export type Retry = "later" | "after-fixing" | "never";

/** What went wrong. Newer servers have further codes. */
export type Code = components["schemas"]["ProblemCode"] | (string & {});

/**
 * A call that failed. It never means `sms`: nobody knows the route.
 *
 * Programs decide by `code` and `retry`. No error holds a handle, a token or a code of a verification.
 */
export abstract class DispatchdError extends Error {
  /** The code of the problem, or one of this package: `no-answer`, `answer-unreadable`, `route-unknown`. */
  readonly code: Code;
  readonly retry: Retry;
  /** The id of the request, for support. It is there if an answer came. */
  readonly requestId: string | undefined;

  constructor(text: string, code: Code, retry: Retry, requestId: string | undefined) {
    super(text);
    this.name = new.target.name;
    this.code = code;
    this.retry = retry;
    this.requestId = requestId;
  }
}

/** What an answer says besides its body. */
export interface Head {
  readonly status: number;
  readonly requestId: string | undefined;
  /** Seconds of `Retry-After`. */
  readonly retryAfter: number | undefined;
}

/** The server refused the call and said why. */
export class ProblemError extends DispatchdError {
  readonly status: number;
  /** Seconds until the same call may succeed. */
  readonly retryAfter: number | undefined;
  /** Why the text is no handle, for `handle-invalid`. */
  readonly reason: string | undefined;
  /** Which limit was exceeded, for `rate-limited` and `lookup-quota`. */
  readonly limit: string | undefined;
  /** What the call would have cost, and what is left of the limit. */
  readonly cost: number | undefined;
  readonly remaining: number | undefined;
  /** How often the code of a verification may still be tried. */
  readonly attemptsLeft: number | undefined;
  readonly #detail: string;

  constructor(head: Head, body: Record<string, unknown>) {
    const code = word(body.code) ?? "unknown";
    const retry = retryOf(body.retry, head.status);
    super(`the server refused the call: ${code}, retry ${retry}`, code, retry, head.requestId);
    this.status = head.status;
    this.retryAfter = head.retryAfter ?? count(body.retry_after);
    this.reason = word(body.reason);
    this.limit = word(body.limit);
    this.cost = count(body.cost);
    this.remaining = count(body.remaining);
    this.attemptsLeft = count(body.attempts_left);
    this.#detail = typeof body.detail === "string" ? body.detail : "";
  }

  /** What is wrong and what to do, for developers. It is not part of what an inspected or printed error shows. */
  get detail(): string {
    return this.#detail;
  }
}

/** Something answered, but not as dispatchd does: a proxy, the login page of a network, or a newer server. */
export class UnexpectedAnswerError extends DispatchdError {
  readonly status: number;
  readonly retryAfter: number | undefined;

  constructor(head: Head, code: "answer-unreadable" | "route-unknown") {
    const retry = code === "route-unknown" ? "never" : retryOf(undefined, head.status);
    super(`the answer is not one that this package knows: ${code}, status ${head.status}`, code, retry, head.requestId);
    this.status = head.status;
    this.retryAfter = head.retryAfter;
  }
}

/** The system's words for a connection that was not made. */
const UNSENT: ReadonlySet<string> = new Set(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "UND_ERR_CONNECT_TIMEOUT"]);

/** No whole answer came. The server may have done what was asked. */
export class NoAnswerError extends DispatchdError {
  /** The system's word for it, such as `ECONNREFUSED`, where the platform tells. */
  readonly system: string | undefined;

  constructor(text: string, cause?: unknown) {
    super(text, "no-answer", "later", undefined);
    // The cause itself may hold the address of the request, which names a handle in some calls.
    this.system = systemCode(cause);
  }

  /** Whether the call surely did not reach the server. Browsers do not tell. */
  get isUnsent(): boolean {
    return this.system !== undefined && UNSENT.has(this.system);
  }
}

/** `retry` of a problem, or what its status says (docs/client.md#errors). */
function retryOf(retry: unknown, status: number): Retry {
  if (retry === "never" || retry === "later" || retry === "after-fixing") return retry;
  const isLater = status < 300 || status === 429 || (status >= 500 && status !== 501);
  return isLater ? "later" : "after-fixing";
}

/** A code as dispatchd writes them. Any other text may be an echo of what was asked. */
function word(value: unknown): string | undefined {
  return typeof value === "string" && /^[a-z]+(-[a-z]+)*$/.test(value) && value.length <= 64 ? value : undefined;
}

function count(value: unknown): number | undefined {
  return typeof value === "number" && Number.isFinite(value) && value >= 0 ? value : undefined;
}

function systemCode(error: unknown): string | undefined {
  const cause = error instanceof Error ? error.cause : undefined;
  const code = typeof cause === "object" && cause !== null && "code" in cause ? cause.code : undefined;
  return typeof code === "string" && /^[A-Z0-9_]+$/.test(code) ? code : undefined;
}
