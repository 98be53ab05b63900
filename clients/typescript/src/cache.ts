import type { Clock } from "./clock.ts";

interface Entry<V> {
  readonly value: V;
  /** The instant of the clock from which on the value is not valid. */
  readonly until: number;
}

/** Values that are valid for a time. Beyond `limit` entries, the oldest is evicted. */
export class Cache<V> {
  readonly #entries = new Map<string, Entry<V>>();
  readonly #clock: Clock;
  readonly #limit: number;

  constructor(clock: Clock, limit: number) {
    this.#clock = clock;
    this.#limit = limit;
  }

  get(key: string): Entry<V> | undefined {
    const entry = this.#entries.get(key);
    if (entry !== undefined && entry.until <= this.#clock.now()) {
      this.#entries.delete(key);
      return undefined;
    }
    return entry;
  }

  set(key: string, entry: Entry<V>): void {
    // A map keeps the order in which keys were added, so a renewed entry must be added anew.
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= this.#limit) break;
      this.#entries.delete(oldest);
    }
  }

  clear(): void {
    this.#entries.clear();
  }
}
