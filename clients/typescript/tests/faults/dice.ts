/** A small seeded generator (SplitMix32). */
export class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 0;
  }

  /** A number from 0 (included) to 1 (excluded). */
  roll(): number {
    this.#state = (this.#state + 0x9e3779b9) | 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32;
  }

  below(end: number): number {
    return Math.floor(this.roll() * end);
  }

  of<T>(things: readonly T[]): T {
    return things[this.below(things.length)]!;
  }
}
