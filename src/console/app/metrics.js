// Reads the Prometheus text of `/metrics`.

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/;
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g;

/** @typedef {{ labels: Record<string, string>, value: number }} Sample */

/** The samples of each metric, by its name. */
export class Metrics {
  /** @type {Map<string, Sample[]>} */
  #samples = new Map();

  /** @param {string} text */
  constructor(text) {
    for (const line of text.split("\n")) {
      const [, name, labels, value] = LINE.exec(line) ?? [];
      if (name === undefined) continue;
      const sample = { labels: Object.fromEntries(pairs(labels ?? "")), value: Number(value) };
      const samples = this.#samples.get(name);
      if (samples) samples.push(sample);
      else this.#samples.set(name, [sample]);
    }
  }

  /** All samples of a metric. @param {string} name */
  all(name) {
    return this.#samples.get(name) ?? [];
  }

  /** The first sample's value; NaN if there is none. @param {string} name */
  value(name) {
    return this.all(name)[0]?.value ?? Number.NaN;
  }
}

/** @param {string} labels @returns {Iterable<[string, string]>} */
function* pairs(labels) {
  for (const [, name, value] of labels.matchAll(LABEL)) yield [name, value.replace(/\\(.)/g, (_, it) => (it === "n" ? "\n" : it))];
}
