// Counts over time, while rows stream in. Bins begin narrow and become wider as the span grows, so that there are never more
// than a chart can show. Each width is a multiple of the one before it: widening adds counts and loses none.

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** Widths of a bin in milliseconds. */
const WIDTHS = [
  SECOND, 5 * SECOND, 15 * SECOND, MINUTE, 5 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY,
  2 * DAY,
];
/** Bins that a chart shows at most, except beyond the widest width. */
export const BINS_MAX = 64;

export class Bins {
  constructor() {
    /** @type {Map<number, Map<string, number>>} the counts of each value, by the number of the bin */
    this.counts = new Map();
    /** @type {Map<string, number>} */
    this.totals = new Map();
    this.step = 0;
    this.first = Infinity;
    this.last = -Infinity;
  }

  /** Milliseconds of a bin. */
  get width() {
    return WIDTHS[this.step];
  }

  /** How many bins lie between the first and the last count; 0 if there is no count. */
  get length() {
    return this.last < this.first ? 0 : this.last - this.first + 1;
  }

  /**
   * @param {number} at milliseconds since the Unix epoch
   * @param {string} value
   * @param {number} [count]
   */
  add(at, value, count = 1) {
    this.#count(Math.floor(at / this.width), value, count);
    this.totals.set(value, (this.totals.get(value) ?? 0) + count);
    while (this.length > BINS_MAX && this.step + 1 < WIDTHS.length) this.#widen();
  }

  /**
   * The counts of a bin; empty where there are none.
   * @param {number} index from 0 to `length`, without it
   * @returns {{from: number, until: number, counts: Map<string, number>}} instants in milliseconds since the Unix epoch
   */
  at(index) {
    const bin = this.first + index;
    return { from: bin * this.width, until: (bin + 1) * this.width, counts: this.counts.get(bin) ?? new Map() };
  }

  /**
   * The values with the most counts, most first; ties by name.
   * @param {number} most
   * @returns {[string, number][]}
   */
  top(most) {
    const values = [...this.totals];
    values.sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
    return values.slice(0, most);
  }

  /**
   * @param {number} bin
   * @param {string} value
   * @param {number} count
   */
  #count(bin, value, count) {
    let counts = this.counts.get(bin);
    if (counts === undefined) this.counts.set(bin, (counts = new Map()));
    counts.set(value, (counts.get(value) ?? 0) + count);
    this.first = Math.min(this.first, bin);
    this.last = Math.max(this.last, bin);
  }

  #widen() {
    const narrow = this.counts;
    const factor = WIDTHS[this.step + 1] / this.width;
    this.counts = new Map();
    this.step += 1;
    this.first = Infinity;
    this.last = -Infinity;
    for (const [bin, counts] of narrow) {
      for (const [value, count] of counts) this.#count(Math.floor(bin / factor), value, count);
    }
  }
}
