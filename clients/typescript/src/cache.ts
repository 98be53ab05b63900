/** A value, and the instant of the clock from which on it is not valid. */
export interface Entry<V> {
  readonly value: V;
  readonly until: number;
}

/** Keeps at most `limit` entries: beyond that the oldest is evicted. Whoever reads one checks whether it is still valid. */
export class Cache<V> {
  readonly #entries = new Map<string, Entry<V>>();
  readonly #limit: number;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get(key: string): Entry<V> | undefined {
    return this.#entries.get(key);
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
