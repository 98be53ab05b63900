// What is true of each handle, and when. One program makes all changes, one after the other, so that it knows.
import { readFileSync } from "node:fs";
import type { Dice } from "./dice.ts";

/** The number of the account that strangers see behind a handle; `null` if they see none. */
export type Holder = number | null;

/** The holder from a moment between `begun` and `done` on, in milliseconds of `performance.now()`. */
interface State {
  readonly holder: Holder;
  readonly begun: number;
  readonly done: number;
}

export interface Reply {
  readonly status: number;
  readonly body: any;
}

/** A call to the server itself. It is repeated until the server does what is asked, or refuses it for good. */
export async function call(server: string, token: string | undefined, method: string, path: string, body?: unknown): Promise<Reply> {
  const headers: Record<string, string> = { "content-type": "application/json" };
  if (token !== undefined) headers.authorization = `Bearer ${token}`;
  for (;;) {
    try {
      const response = await fetch(server + path, { method, headers, body: body === undefined ? null : JSON.stringify(body) });
      const text = await response.text();
      if (response.status < 500 && response.status !== 429) return { status: response.status, body: text === "" ? undefined : JSON.parse(text) };
    } catch {
      // The server is down for a moment.
    }
    await pause(20);
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

interface Owner {
  readonly token: string;
  /** Handles that it has proved and not given up. */
  readonly handles: Set<string>;
}

export class Truth {
  readonly handles: string[] = [];
  changes = 0;
  readonly #states = new Map<string, State[]>();
  readonly #owners: Owner[] = [];
  readonly #server: string;
  readonly #outbox: string;
  readonly #dice: Dice;

  constructor(server: string, outbox: string, dice: Dice) {
    [this.#server, this.#outbox, this.#dice] = [server, outbox, dice];
  }

  /** Signs owners up who hold `each` handles; as many others are nobody's, and may be proved later. */
  async prepare(owners: number, each: number): Promise<void> {
    for (let owner = 0; owner < owners; owner += 1) {
      const { body } = await call(this.#server, undefined, "POST", "/v1/devices", { platform: "ios" });
      this.#owners.push({ token: body.token, handles: new Set() });
      for (let at = 0; at < 2 * each; at += 1) {
        const handle = `+1415555${1_000 + this.handles.length}`;
        this.handles.push(handle);
        this.#states.set(handle, [{ holder: null, begun: -Infinity, done: -Infinity }]);
        if (at < each) await this.#prove(owner, handle);
      }
    }
    this.changes = 0;
  }

  /** The numbers of all owners. */
  owners(): number[] {
    return [...this.#owners.keys()];
  }

  /** Whether `holder` may have been seen at some moment of the span. */
  wasTrue(handle: string, holder: Holder, from: number, to: number): boolean {
    const states = this.#states.get(handle)!;
    return states.some((state, at) => state.holder === holder && state.begun <= to && from <= (states[at + 1]?.done ?? Infinity));
  }

  /** Makes one change to a handle. */
  async change(): Promise<void> {
    const [kind, number] = [this.#dice.below(40), this.#dice.below(this.#owners.length)];
    const owner = this.#owners[number]!;
    const handle = this.#dice.of([...owner.handles]);
    const isFree = (text: string) => this.#states.get(text)!.length === 1;
    const free = this.handles.filter(isFree);
    if (kind === 0 && free.length > 0) await this.#prove(number, this.#dice.of(free));
    else if (kind === 1 && owner.handles.size > 2) await this.#release(number, handle);
    else if (kind === 2 && this.#owners.filter(({ handles }) => handles.size > 0).length > 2) await this.#signOut(number);
    else if (handle !== undefined) await this.#toggle(number, handle);
  }

  async #prove(owner: number, handle: string): Promise<void> {
    const { token, handles } = this.#owners[owner]!;
    const claim = await call(this.#server, token, "POST", "/v1/devices/me/handles", { handle });
    if (claim.status !== 202) return;
    const { verification } = claim.body;
    const sent = readFileSync(this.#outbox, "utf8").split("\n").filter((line) => line.includes(verification) && line.endsWith("}"));
    // A server that was killed between the claim and its message does not send it again for a while.
    if (sent.length === 0) return;
    const { code } = JSON.parse(sent[sent.length - 1]!);
    await this.#note([handle], owner, "POST", `/v1/verifications/${verification}`, { code }, [200]);
    handles.add(handle);
  }

  async #toggle(owner: number, handle: string): Promise<void> {
    const isHidden = this.#states.get(handle)!.at(-1)!.holder === null;
    await this.#note([handle], isHidden ? owner : null, "PATCH", `/v1/devices/me/handles/${handle}`, { discoverable: isHidden }, [200], owner);
  }

  async #release(owner: number, handle: string): Promise<void> {
    this.#owners[owner]!.handles.delete(handle);
    // 404 and 401: an earlier attempt was carried out, and its answer was lost.
    await this.#note([handle], null, "DELETE", `/v1/devices/me/handles/${handle}`, undefined, [204, 404], owner);
  }

  async #signOut(owner: number): Promise<void> {
    const { handles } = this.#owners[owner]!;
    await this.#note([...handles], null, "DELETE", "/v1/devices/me", undefined, [204, 401], owner);
    handles.clear();
  }

  async #note(handles: string[], holder: Holder, method: string, path: string, body: unknown, expected: number[], by?: number): Promise<void> {
    const begun = performance.now();
    const states = handles.map((handle) => this.#states.get(handle)!);
    const open = { holder, begun, done: Infinity };
    states.forEach((list) => list.push(open));
    const { status } = await call(this.#server, by === undefined ? undefined : this.#owners[by]!.token, method, path, body);
    if (!expected.includes(status)) throw new Error(`${method} ${path} gives ${status}`);
    open.done = performance.now();
    this.changes += 1;
  }
}
