// The operators' API: JSON, NDJSON as it streams, server-sent events, and problems as errors.

/** A refusal of the server (RFC 9457). */
export class Problem extends Error {
  /**
   * @param {number} status
   * @param {{ code?: string, title?: string, detail?: string, retry?: string, reason?: string }} body
   * @param {number | null} retryAfter seconds
   */
  constructor(status, body, retryAfter) {
    super(body.detail ?? body.title ?? `The server answered with status ${status}.`);
    this.name = "Problem";
    this.status = status;
    /** The problem's code, such as `case-required`. */
    this.code = body.code ?? "";
    /** What the code means. */
    this.title = body.title ?? "";
    /** `later`, `after-fixing` or `never`. */
    this.retry = body.retry ?? "";
    /** What is wrong with a handle, such as `needs-region`. */
    this.reason = body.reason ?? "";
    this.retryAfter = retryAfter;
  }
}

/** The server does not answer, or an answer broke off. */
export class Gone extends Error {
  /** @param {string} message */
  constructor(message) {
    super(message);
    this.name = "Gone";
  }
}

/** @param {unknown} error whether the view ended the call itself */
export function isAborted(error) {
  return error instanceof DOMException && error.name === "AbortError";
}

/**
 * An answer of any length. `rows` gives what has arrived since the last look; nothing is read ahead of a slow consumer.
 * @template T
 * @typedef {object} Stream
 * @property {AsyncGenerator<T[], void, void>} rows
 * @property {string | null} hiddenUntil records up to this instant are hidden by the clocks
 * @property {string | null} horizon records up to this instant are forgotten
 * @property {string | null} from the server's time when a tail began
 */

/**
 * @typedef {object} Options
 * @property {AbortSignal} [signal]
 * @property {string} [token] instead of the session's: the answer then signs nobody out
 */

/**
 * @typedef {object} Sent
 * @property {string} method
 * @property {string} accept
 * @property {unknown} [body]
 */

/** Why a token opens nothing. */
export const UNKNOWN_TOKEN = "No operator has this token, or it was revoked.";
/** The pauses before the server is asked again, in milliseconds; the last one repeats. */
const PAUSES = [1000, 2000, 4000, 8000, 15000];

/** Fires `gone` when the server stops answering, and `back` when it answers again. */
export class Api extends EventTarget {
  #isGone = false;

  /** @param {import("./session.js").Session} session */
  constructor(session) {
    super();
    this.session = session;
  }

  /** Whether the last call got no answer. */
  get isGone() {
    return this.#isGone;
  }

  /**
   * The parameters and the case of the session.
   * @template {object} T
   * @param {T} parameters
   * @returns {T & { case?: string }}
   */
  withCase(parameters) {
    return this.session.case ? { ...parameters, case: this.session.case } : parameters;
  }

  /**
   * Asks with parameters in the address. They must hold nothing personal: use `post` for that.
   * @template T
   * @param {string} path
   * @param {Record<string, string | number | boolean | undefined>} [parameters]
   * @param {Options} [options]
   * @returns {Promise<T>}
   */
  async get(path, parameters = {}, options = {}) {
    const accept = "application/json";
    return (await this.#send(withQuery(path, parameters), { method: "GET", accept }, options)).json();
  }

  /**
   * @template T
   * @param {string} path
   * @param {unknown} body
   * @param {Options} [options]
   * @returns {Promise<T>}
   */
  async post(path, body, options = {}) {
    const sent = { method: "POST", accept: "application/json", body };
    return (await this.#send(path, sent, options)).json();
  }

  /**
   * @param {string} path
   * @param {Record<string, string | number | boolean | undefined>} [parameters]
   * @param {Options} [options]
   */
  async delete(path, parameters = {}, options = {}) {
    await this.#send(withQuery(path, parameters), { method: "DELETE", accept: "application/json" }, options);
  }

  /**
   * @param {string} path
   * @param {string} accept
   * @param {Options} [options]
   */
  async text(path, accept, options = {}) {
    return (await this.#send(path, { method: "GET", accept }, options)).text();
  }

  /**
   * Rows as NDJSON, with a body (`POST`) or without (`GET`).
   * @template T
   * @param {string} path
   * @param {unknown} body
   * @param {Options} [options]
   * @returns {Promise<Stream<T>>}
   */
  async lines(path, body, options = {}) {
    return this.#stream(path, body, "application/x-ndjson", options, (line) => (line === "" ? null : line));
  }

  /**
   * Records as server-sent events.
   * @template T
   * @param {string} path
   * @param {unknown} body
   * @param {Options} [options]
   * @returns {Promise<Stream<T>>}
   */
  async events(path, body, options = {}) {
    const data = (/** @type {string} */ line) => (line.startsWith("data:") ? line.slice(5) : null);
    return this.#stream(path, body, "text/event-stream", options, data);
  }

  /**
   * @template T
   * @param {string} path
   * @param {unknown} body
   * @param {string} accept
   * @param {Options} options
   * @param {(line: string) => string | null} data
   * @returns {Promise<Stream<T>>}
   */
  async #stream(path, body, accept, options, data) {
    const method = body === undefined ? "GET" : "POST";
    const response = await this.#send(path, { method, accept, body }, options);
    const header = (/** @type {string} */ name) => response.headers.get(name);
    return {
      rows: rows(response, data),
      hiddenUntil: header("dispatchd-hidden-until"),
      horizon: header("dispatchd-horizon"),
      from: header("dispatchd-tail-from"),
    };
  }

  /**
   * @param {string} path
   * @param {Sent} sent
   * @param {Options} options
   * @returns {Promise<Response>}
   */
  async #send(path, { method, accept, body }, { signal, token }) {
    const bearer = token ?? this.session.token;
    const headers = new Headers({ accept });
    if (bearer !== null) headers.set("authorization", `Bearer ${bearer}`);
    /** @type {RequestInit} */
    const request = { method, headers, signal, cache: "no-store", credentials: "omit", redirect: "error" };
    if (body !== undefined) {
      headers.set("content-type", "application/json");
      request.body = JSON.stringify(body);
    }
    let response;
    try {
      response = await fetch(path, request);
    } catch (error) {
      if (isAborted(error)) throw error;
      this.#lose();
      throw new Gone("The server does not answer.");
    }
    this.#find();
    if (response.ok) return response;
    const problem = await problemOf(response);
    // Another token may have come meanwhile.
    if (problem.status === 401 && token === undefined && bearer === this.session.token) {
      this.session.signOut(UNKNOWN_TOKEN);
    }
    throw problem;
  }

  /** Looks whether the server answers, and fires `gone` if not. */
  async check() {
    const answer = await fetch("/livez", { cache: "no-store" }).catch(() => null);
    if (!answer?.ok) this.#lose();
  }

  #lose() {
    if (this.#isGone) return;
    this.#isGone = true;
    this.dispatchEvent(new Event("gone"));
    this.#lookFor(0);
  }

  #find() {
    if (!this.#isGone) return;
    this.#isGone = false;
    this.dispatchEvent(new Event("back"));
  }

  /** @param {number} attempt */
  #lookFor(attempt) {
    const pause = PAUSES[Math.min(attempt, PAUSES.length - 1)];
    setTimeout(async () => {
      if (!this.#isGone) return;
      const answer = await fetch("/livez", { cache: "no-store" }).catch(() => null);
      if (answer?.ok) this.#find();
      else this.#lookFor(attempt + 1);
    }, pause);
  }
}

/**
 * @param {string} path
 * @param {Record<string, string | number | boolean | undefined>} parameters
 */
function withQuery(path, parameters) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== undefined && value !== "") query.set(name, String(value));
  }
  return query.size > 0 ? `${path}?${query}` : path;
}

/** @param {Response} response */
async function problemOf(response) {
  const isProblem = response.headers.get("content-type")?.startsWith("application/problem+json");
  const body = isProblem ? await response.json().catch(() => ({})) : {};
  const after = Number.parseInt(response.headers.get("retry-after") ?? "", 10);
  return new Problem(response.status, body, Number.isNaN(after) ? null : after);
}

/**
 * @template T
 * @param {Response} response
 * @param {(line: string) => string | null} data the JSON of a line, if it has any
 * @returns {AsyncGenerator<T[], void, void>}
 */
async function* rows(response, data) {
  if (response.body === null) return;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      const lines = (rest + value).split("\n");
      rest = lines.pop() ?? "";
      const texts = lines.map((line) => data(line)).filter((text) => text !== null);
      if (texts.length > 0) yield texts.map((text) => JSON.parse(text));
    }
  } catch (error) {
    if (isAborted(error)) throw error;
    throw new Gone("The answer broke off: what is shown is not all.");
  } finally {
    reader.cancel().catch(() => {});
  }
}
