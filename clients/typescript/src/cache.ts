/** A value, and the instant of the clock from which on it is not valid. */
export interface Entry<V> {
  readonly value: V;
  readonly until: number;
}

/** An entry, and when it was asked for. */
interface Kept<V> extends Entry<V> {
  readonly sentAt: number;
}

/** A map of at most `limit` values: beyond that the oldest is evicted. */
class Bounded<V> extends Map<string, V> {
  readonly #limit: number;

  constructor(limit: number) {
    super();
    this.#limit = limit;
  }

  override set(key: string, value: V): this {
    // A map keeps the order in which keys were added, so a renewed value must be added anew.
    this.delete(key);
    super.set(key, value);
    for (const oldest of this.keys()) {
      if (this.size <= this.#limit) break;
      this.delete(oldest);
    }
    return this;
  }
}

/**
 * Keeps at most `limit` answers, each under its canonical handle. The texts that were asked for lead to it, so that a newer answer to
 * one spelling is the answer to all of them. Whoever reads one checks whether it is still valid.
 */
export class Cache<V extends { readonly handle: string }> {
  readonly #answers: Bounded<Kept<V>>;
  /** The canonical handle of each text with its region. */
  readonly #spellings: Bounded<string>;

  constructor(limit: number) {
    this.#answers = new Bounded(limit);
    this.#spellings = new Bounded(limit);
  }

  /** Without a spelling, the text may be a canonical handle. That is read the same whatever the region. */
  get(text: string, region: string | undefined): Entry<V> | undefined {
    return this.#answers.get(this.#spellings.get(keyOf(text, region)) ?? text);
  }

  /** Keeps an answer that was asked for at `sentAt`, unless it has one that was asked for later. */
  set(text: string, region: string | undefined, kept: Kept<V>): void {
    const { handle } = kept.value;
    const older = this.#answers.get(handle);
    if (older === undefined || older.sentAt <= kept.sentAt) this.#answers.set(handle, kept);
    if (text !== handle) this.#spellings.set(keyOf(text, region), handle);
  }

  /** Forgets the answer to a text, in whatever spelling it was asked. */
  forget(text: string, region: string | undefined): void {
    this.#answers.delete(this.#spellings.get(keyOf(text, region)) ?? text);
  }

  clear(): void {
    this.#answers.clear();
    this.#spellings.clear();
  }
}

/** One text for a text and the region with which it is read. */
export function keyOf(text: string, region: string | undefined): string {
  return `${region ?? ""}\n${text}`;
}
