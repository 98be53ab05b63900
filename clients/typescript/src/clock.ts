/** Where time comes from. Tests bring their own. */
export interface Clock {
  /** Milliseconds since some moment. It never runs backwards, and it goes on while the machine sleeps. */
  now(): number;
  /** Waits. Rejects with the reason of the signal if that is aborted first. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** The longest wait of `setTimeout`. It takes a longer one for none. */
const TIMEOUT_MAX = 2 ** 31 - 1;
/** By how much wall time must be ahead to count as sleep of the machine. Time services correct it by less at once. */
const SLEPT_MIN = 1_000;

/**
 * The clock of the platform.
 *
 * `performance.now()` stands still on many systems while they sleep, so that answers would last longer than they may. A jump of wall
 * time is therefore added. A person who sets the clock forward makes answers expire early, which does no harm. Setting it back has
 * no effect.
 */
export class SteadyClock implements Clock {
  #steady = performance.now();
  #wall = Date.now();
  #slept = 0;

  now(): number {
    const [steady, wall] = [performance.now(), Date.now()];
    const ahead = wall - this.#wall - (steady - this.#steady);
    if (ahead > SLEPT_MIN) this.#slept += ahead;
    [this.#steady, this.#wall] = [steady, wall];
    return steady + this.#slept;
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const stop = () => {
        clearTimeout(timer);
        reject(signal.reason);
      };
      const end = () => {
        signal.removeEventListener("abort", stop);
        resolve();
      };
      const timer = setTimeout(end, Math.min(ms, TIMEOUT_MAX));
      signal.addEventListener("abort", stop, { once: true });
    });
  }
}
