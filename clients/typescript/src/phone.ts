import { SteadyClock } from "./clock.ts";
import { type AnswerOf, type Call, Connection, type Method, type Settings, isRecord } from "./connection.ts";
import { type Head, ProblemError, UnexpectedAnswerError } from "./errors.ts";
import { type Answer, type Batch, type LookupOptions, Lookups, isTokenVoid } from "./lookups.ts";
import type { components, paths } from "./openapi.ts";

type Schemas = components["schemas"];
export type Device = Schemas["OwnDevice"];
export type SignUp = Schemas["SignUpRequest"];
export type Lease = Schemas["CheckInAnswer"];
export type LinkCode = Schemas["LinkCodeAnswer"];
export type Verification = Schemas["Verification"];
export type Confirmation = Schemas["Confirmation"];
export type Proved = Schemas["ProvedHandle"];
export type HandleDetails = Schemas["HandleDetails"];

/** Each has a default. */
export interface PhoneOptions extends Partial<Settings> {
  /** How many answers of lookups are kept at most (10,000). 0 keeps none. */
  readonly cacheEntries?: number;
}

export interface CallOptions {
  readonly signal?: AbortSignal;
}

const DEFAULTS = { attempts: 3, deadline: 30_000, attemptTimeout: 10_000, cacheEntries: 10_000 };

/**
 * One device on a server.
 *
 * A call that fails throws a `DispatchdError`, or the reason of its signal. A failed lookup is no route: never take it for `sms`.
 */
export class Phone {
  readonly #connection: Connection;
  readonly #lookups: Lookups;

  /** A device that has signed up before. `server` is an address such as `https://dispatch.example.org`. */
  constructor(server: string, token: string, options: PhoneOptions = {}) {
    const settings = settingsOf(options);
    this.#connection = new Connection(server, token, settings);
    this.#lookups = new Lookups(this.#connection, settings.clock, options.cacheEntries ?? DEFAULTS.cacheEntries);
  }

  /**
   * Signs a device up. Store `revealToken()` before you do anything else: the server shows it once.
   *
   * A lost answer is not repeated, because a repeat makes a second device. Sign up again, with a new link code if there was one.
   */
  static async signUp(server: string, device: SignUp, options: PhoneOptions & CallOptions = {}): Promise<Phone> {
    const connection = new Connection(server, undefined, settingsOf(options));
    const { token } = await connection.call(
      {
        path: "/v1/devices",
        method: "post",
        body: device,
        read: holds("token"),
        isRepeatable: false,
      },
      connection.end(options.signal),
    );
    return new Phone(server, token, options);
  }

  /**
   * Sends a code to a handle whose device is lost. It needs no token. The code takes the handle from every device: the other `confirm`
   * of this class, which needs no token either, answers it.
   *
   * A lost answer is not repeated.
   */
  static async deregister(
    server: string,
    handle: string,
    options: PhoneOptions & CallOptions & { readonly region?: string } = {},
  ): Promise<Verification> {
    const connection = new Connection(server, undefined, settingsOf(options));
    return connection.call(
      {
        path: "/v1/deregistrations",
        method: "post",
        body: options.region === undefined ? { handle } : { handle, region: options.region },
        read: holds("verification", "handle"),
        isRepeatable: false,
      },
      connection.end(options.signal),
    );
  }

  /** Answers the code of a deregistration, as the `confirm` of a phone does. */
  static async confirm(
    server: string,
    verification: string,
    code: string,
    options: PhoneOptions & CallOptions = {},
  ): Promise<Confirmation> {
    const connection = new Connection(server, undefined, settingsOf(options));
    return connection.call(confirmation(verification, code), connection.end(options.signal));
  }

  /** The token, for the key store of the device and nothing else. Throws after `signOut`. */
  revealToken(): string {
    const token = this.#connection.revealToken();
    if (token === undefined) throw signedOut();
    return token;
  }

  /** The device with its handles, and those that it lost. */
  async device(options: CallOptions = {}): Promise<Device> {
    return this.#call(options, {
      path: "/v1/devices/me",
      method: "get",
      body: undefined,
      read: holds("device", "account", "handles", "lost_handles"),
      isRepeatable: true,
    });
  }

  /** Renews the lease. Do it once a day. */
  async checkIn(options: CallOptions = {}): Promise<Lease> {
    return this.#call(options, {
      path: "/v1/devices/me/check-in",
      method: "post",
      body: undefined,
      read: holds("lease_expires_at", "expires_in"),
      isRepeatable: true,
    });
  }

  /** Makes a code with which one other device joins the account. A lost answer is not repeated: three codes may be open. */
  async createLinkCode(options: CallOptions = {}): Promise<LinkCode> {
    return this.#call(options, {
      path: "/v1/devices/me/link-codes",
      method: "post",
      body: undefined,
      read: holds("link_code", "expires_at"),
      isRepeatable: false,
    });
  }

  /**
   * Claims a handle. A `verification` in the result says that a code was sent: `confirm` answers it. Otherwise the account holds the
   * proof already, and the handle is bound.
   */
  async claim(handle: string, options: CallOptions & { readonly region?: string } = {}): Promise<Verification | Proved> {
    return this.#call(options, {
      path: "/v1/devices/me/handles",
      method: "post",
      body: options.region === undefined ? { handle } : { handle, region: options.region },
      read: holds("handle"),
      isRepeatable: true,
    });
  }

  /**
   * Answers the code of a verification.
   *
   * A lost answer is not repeated: a wrong code would cost a second attempt. Within a minute the right code gives the same answer
   * again. Later, `device()` says whether the handle is bound.
   */
  async confirm(verification: string, code: string, options: CallOptions = {}): Promise<Confirmation> {
    return this.#call(options, confirmation(verification, code));
  }

  /** Shows a handle to everybody again. */
  async show(handle: string, options: CallOptions = {}): Promise<HandleDetails> {
    return this.#setDiscoverable(handle, true, options);
  }

  /** Hides a handle: strangers then get the answer of a handle that nobody proved. */
  async hide(handle: string, options: CallOptions = {}): Promise<HandleDetails> {
    return this.#setDiscoverable(handle, false, options);
  }

  /** Gives a handle up for this device. Use the canonical handle: the address of the request has it. */
  async release(handle: string, options: CallOptions = {}): Promise<void> {
    return this.#call(options, {
      path: "/v1/devices/me/handles/{handle}",
      parameter: handle,
      method: "delete",
      body: undefined,
      read: () => undefined,
      isRepeatable: true,
      doneWhen: { code: "handle-not-bound", result: undefined },
    });
  }

  /** Signs the device out. All answers are forgotten at once, and the token when the server has done it. */
  async signOut(options: CallOptions = {}): Promise<void> {
    this.#lookups.forget();
    await this.#call(options, {
      path: "/v1/devices/me",
      method: "delete",
      body: undefined,
      read: () => undefined,
      isRepeatable: true,
      doneWhen: { code: "token-invalid", result: undefined },
    });
    this.#connection.forgetToken();
    this.#lookups.forget();
  }

  /** Which way does a message to this handle go? */
  async lookup(handle: string, options: LookupOptions = {}): Promise<Answer> {
    this.revealToken();
    return this.#lookups.one(handle, options);
  }

  /**
   * Which way do messages to these handles go, alone and together? More than 1,000 are asked for in several requests, one after
   * the other; if one fails, the call fails.
   */
  async lookupAll(handles: readonly string[], options: LookupOptions = {}): Promise<Batch> {
    this.revealToken();
    return this.#lookups.many(handles, options);
  }

  async #setDiscoverable(handle: string, discoverable: boolean, options: CallOptions): Promise<HandleDetails> {
    return this.#call(options, {
      path: "/v1/devices/me/handles/{handle}",
      parameter: handle,
      method: "patch",
      body: { discoverable },
      read: holds("handle", "discoverable"),
      isRepeatable: true,
    });
  }

  async #call<P extends keyof paths, M extends Method & keyof paths[P]>(
    options: CallOptions,
    call: Call<P, M, AnswerOf<paths[P][M]>>,
  ): Promise<AnswerOf<paths[P][M]>> {
    this.revealToken();
    try {
      return await this.#connection.call(call, this.#connection.end(options.signal));
    } catch (error) {
      if (isTokenVoid(error)) this.#lookups.forget();
      throw error;
    }
  }
}

function confirmation(verification: string, code: string): Call<"/v1/verifications/{verification}", "post", Confirmation> {
  return {
    path: "/v1/verifications/{verification}",
    parameter: verification,
    method: "post",
    body: { code },
    read: holds("handle"),
    isRepeatable: false,
  };
}

function settingsOf(options: PhoneOptions): Settings {
  return {
    attempts: options.attempts ?? DEFAULTS.attempts,
    deadline: options.deadline ?? DEFAULTS.deadline,
    attemptTimeout: options.attemptTimeout ?? DEFAULTS.attemptTimeout,
    // Browsers refuse `fetch` as a method of another object.
    fetch: options.fetch ?? ((...request) => fetch(...request)),
    clock: options.clock ?? new SteadyClock(),
    random: options.random ?? Math.random,
  };
}

/** Reads an answer that has these fields. Others may come with newer servers. */
function holds<T>(...names: (keyof T & string)[]): (body: unknown, head: Head) => T {
  return (body, head) => {
    const isWhole = isRecord(body) && names.every((name) => body[name] !== undefined);
    if (!isWhole) throw new UnexpectedAnswerError(head, "answer-unreadable");
    return body as T;
  };
}

/** What the server would say of the token of a device that signed out. */
function signedOut(): ProblemError {
  const head = { status: 401, requestId: undefined, retryAfter: undefined };
  return new ProblemError(head, { code: "token-invalid", retry: "after-fixing" });
}
