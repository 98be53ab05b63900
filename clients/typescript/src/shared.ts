/** Settles as `work` does, or rejects with the signal's reason as soon as that is aborted. */
export function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const stop = () => reject(signal.reason);
    signal.addEventListener("abort", stop, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}

/** Work that several callers wait for. It is aborted once none of them waits any more. */
export class Shared<T> {
  readonly #controller = new AbortController();
  readonly #result: Promise<T>;
  #waiting = 0;

  constructor(start: (signal: AbortSignal) => Promise<T>) {
    this.#result = start(this.#controller.signal);
    // Each caller that waits gets the failure. If none is left, it is nobody's.
    this.#result.catch(() => undefined);
  }

  /** Whether the work was aborted, so that nobody may begin to wait for it. */
  get isAborted(): boolean {
    return this.#controller.signal.aborted;
  }

  async wait(signal: AbortSignal | undefined): Promise<T> {
    this.#waiting += 1;
    try {
      return await unlessAborted(this.#result, signal);
    } finally {
      this.#waiting -= 1;
      // After the end of the work this does nothing.
      if (this.#waiting === 0) this.#controller.abort();
    }
  }
}
