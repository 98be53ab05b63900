// The clock of the platform, on platforms that tests make up.
import assert from "node:assert/strict";
import test from "node:test";
import { SteadyClock } from "../src/clock.ts";

/** Runs `body` with the platform's two clocks in its hand. */
function withClocks(body: (clock: SteadyClock, set: (steady: number, wall: number) => void) => void): void {
  const [performanceNow, dateNow] = [performance.now, Date.now];
  const set = (steady: number, wall: number) => {
    performance.now = () => steady;
    Date.now = () => wall;
  };
  try {
    set(0, 1_000_000);
    body(new SteadyClock(), set);
  } finally {
    [performance.now, Date.now] = [performanceNow, dateNow];
  }
}

test("time passes while the machine sleeps", () => {
  withClocks((clock, set) => {
    set(10, 1_000_010);
    assert.equal(clock.now(), 10);
    set(20, 4_600_020);
    assert.equal(clock.now(), 3_600_020);
    set(30, 4_600_030);
    assert.equal(clock.now(), 3_600_030);
  });
});

test("a clock that is set back, or corrected by little, changes nothing", () => {
  withClocks((clock, set) => {
    set(10, 500_000);
    assert.equal(clock.now(), 10);
    set(20, 500_900);
    assert.equal(clock.now(), 20);
    set(30, 1_000_000);
    assert(clock.now() >= 30);
  });
});

test("a wait ends by itself or by its signal", async () => {
  const clock = new SteadyClock();
  await clock.sleep(1, new AbortController().signal);
  const stop = new AbortController();
  let isOver = false;
  const wait = clock.sleep(1e12, stop.signal);
  wait.then(() => (isOver = true), () => undefined);
  await clock.sleep(5, new AbortController().signal);
  assert.equal(isOver, false, "a wait of years ends at once");
  stop.abort(new Error("stop"));
  await assert.rejects(wait, { message: "stop" });
  await assert.rejects(clock.sleep(1, stop.signal), { message: "stop" });
});
