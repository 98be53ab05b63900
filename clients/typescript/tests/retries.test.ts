// Which calls are repeated, after which wait, and when a phone gives up.
import assert from "node:assert/strict";
import test from "node:test";
import { NoAnswerError, Phone, type PhoneOptions, ProblemError, UnexpectedAnswerError } from "../src/index.ts";
import { ANN, SERVER, type Reply, answers, json, noAnswer, notSent, phoneWith, problem, silence } from "./fakes.ts";

const overloaded = problem(503, "overloaded", "later", { "retry-after": "2" });
const proxy: Reply = () => new Response("<h1>bad gateway</h1>", { status: 502, headers: { "content-type": "text/html" } });
const lease: Reply = () => json({ lease_expires_at: "2026-12-13T00:00:00Z", expires_in: 1_209_600 });
const gone: Reply = () => new Response(null, { status: 204 });

test("later is repeated after Retry-After and a random part of it", async () => {
  for (const [random, waited] of [[0, 2_000], [0.5, 3_000], [0.999, 3_998]] as const) {
    const { phone, server, clock } = phoneWith([overloaded, answers], { random: () => random });
    assert.equal((await clock.run(phone.lookup(ANN))).route, "imessage");
    assert.deepEqual([server.asked.length, clock.waited], [2, [waited]]);
  }
});

test("the field retry_after counts where no header comes", async () => {
  const reply = problem(429, "rate-limited", "later", {}, { retry_after: 4, limit: "requests", cost: 1 });
  const { phone, clock } = phoneWith([reply, answers]);
  await clock.run(phone.lookup(ANN));
  assert.deepEqual(clock.waited, [6_000]);
});

test("without Retry-After the waits double, with full jitter", async () => {
  const waits = async (random: number) => {
    const { phone, clock } = phoneWith([noAnswer, proxy, noAnswer, proxy, answers], { attempts: 9, random: () => random });
    await clock.run(phone.lookup(ANN));
    return clock.waited;
  };
  assert.deepEqual(await waits(0.5), [500, 1_000, 2_000, 4_000]);
  assert.deepEqual(await waits(0), [0, 0, 0, 0]);
});

test("attempts are bounded, and the last error says what happened", async () => {
  const { phone, server, clock } = phoneWith([overloaded]);
  await assert.rejects(clock.run(phone.lookup(ANN)), { name: "ProblemError", code: "overloaded", retry: "later", retryAfter: 2, status: 503 });
  assert.equal(server.asked.length, 3);
});

test("a wait beyond the deadline is not begun", async () => {
  const reply = problem(429, "lookup-quota", "later", { "retry-after": "40" }, { limit: "new-handles", cost: 1, remaining: 0 });
  const { phone, server, clock } = phoneWith([reply]);
  await assert.rejects(clock.run(phone.lookup(ANN)), { code: "lookup-quota", retryAfter: 40, limit: "new-handles", cost: 1, remaining: 0 });
  assert.deepEqual([server.asked.length, clock.now()], [1, 0]);
});

test("a silent server is left after the timeout, and altogether after the deadline", async () => {
  const { phone, server, clock } = phoneWith([silence], { attempts: 99, deadline: 25_000, attemptTimeout: 10_000 });
  await assert.rejects(clock.run(phone.lookup(ANN)), { name: "NoAnswerError", code: "no-answer", retry: "later" });
  assert.deepEqual([server.asked.length, clock.now()], [3, 25_000]);
  assert(server.asked.every((asked) => asked.signal.aborted), "requests go on");
});

test("never and after-fixing are not repeated, whatever their status", async () => {
  for (const retry of ["never", "after-fixing"]) {
    const { phone, server, clock } = phoneWith([problem(503, "something-new", retry, { "retry-after": "1" })]);
    await assert.rejects(clock.run(phone.lookup(ANN)), { code: "something-new", retry });
    assert.equal(server.asked.length, 1);
  }
});

test("an unknown retry and foreign answers go by the status", async () => {
  for (const [status, retry] of [[429, "later"], [500, "later"], [504, "later"], [501, "after-fixing"], [403, "after-fixing"]] as const) {
    for (const reply of [problem(status, "something-new", "perhaps"), () => new Response("?", { status })]) {
      const { phone, clock } = phoneWith([reply], { attempts: 1 });
      const error: unknown = await clock.run(phone.lookup(ANN)).catch((error: unknown) => error);
      assert(error instanceof ProblemError || error instanceof UnexpectedAnswerError);
      assert.deepEqual([error.status, error.retry], [status, retry]);
    }
  }
});

test("no answer is repeated only where a repeat does no harm", async () => {
  const calls: [string, number, (phone: Phone) => Promise<unknown>][] = [
    ["lookup", 3, (phone) => phone.lookup(ANN)],
    ["lookupAll", 3, (phone) => phone.lookupAll([ANN, "+14155550124"])],
    ["device", 3, (phone) => phone.device()],
    ["checkIn", 3, (phone) => phone.checkIn()],
    ["claim", 3, (phone) => phone.claim(ANN)],
    ["confirm", 1, (phone) => phone.confirm("v_1", "123456")],
    ["hide", 3, (phone) => phone.hide(ANN)],
    ["show", 3, (phone) => phone.show(ANN)],
    ["release", 3, (phone) => phone.release(ANN)],
    ["signOut", 3, (phone) => phone.signOut()],
    ["createLinkCode", 1, (phone) => phone.createLinkCode()],
  ];
  const withoutPhone: [string, (settings: PhoneOptions) => Promise<unknown>][] = [
    ["signUp", (settings) => Phone.signUp(SERVER, { platform: "ios" }, settings)],
    ["deregister", (settings) => Phone.deregister(SERVER, ANN, settings)],
    ["confirm without a phone", (settings) => Phone.confirm(SERVER, "v_1", "123456", settings)],
  ];
  for (const reply of [noAnswer, proxy, notSent]) {
    for (const [name, times, call] of calls) {
      const { phone, server, clock } = phoneWith([reply]);
      await assert.rejects(clock.run(call(phone)), { retry: "later" });
      assert.equal(server.asked.length, reply === notSent ? 3 : times, name);
    }
    for (const [name, call] of withoutPhone) {
      const { server, clock, settings } = phoneWith([reply]);
      await assert.rejects(clock.run(call(settings)), { retry: "later" });
      assert.equal(server.asked.length, reply === notSent ? 3 : 1, name);
    }
  }
});

test("the server's own later is followed for every call", async () => {
  const signedUp: Reply = () => json({ device: "d_1", account: "a_1", token: "dd_new", lease_expires_at: "…" }, 201);
  const { server, clock, settings } = phoneWith([overloaded, signedUp]);
  const phone = await clock.run(Phone.signUp(SERVER, { platform: "ios" }, settings));
  assert.deepEqual([server.asked.length, phone.revealToken()], [2, "dd_new"]);
});

test("a refusal after a lost answer means that it was done", async () => {
  const gives = async (replies: Reply[], call: (phone: Phone) => Promise<void>) => {
    const { phone, clock } = phoneWith(replies);
    return clock.run(call(phone)).then(() => "done", (error: NoAnswerError) => error.code);
  };
  const tokenInvalid = problem(401, "token-invalid", "after-fixing");
  const notBound = problem(404, "handle-not-bound", "never");
  const unwritable = problem(503, "registry-unwritable", "later", { "retry-after": "1" });
  const limited = problem(429, "rate-limited", "later", { "retry-after": "1" });
  assert.equal(await gives([noAnswer, tokenInvalid], (phone) => phone.signOut()), "done");
  assert.equal(await gives([unwritable, tokenInvalid], (phone) => phone.signOut()), "done");
  assert.equal(await gives([noAnswer, limited, notBound], (phone) => phone.release(ANN)), "done");
  assert.equal(await gives([tokenInvalid], (phone) => phone.signOut()), "token-invalid");
  assert.equal(await gives([notSent, tokenInvalid], (phone) => phone.signOut()), "token-invalid");
  assert.equal(await gives([limited, notBound], (phone) => phone.release(ANN)), "handle-not-bound");
  assert.equal(await gives([noAnswer, tokenInvalid], (phone) => phone.release(ANN)), "token-invalid");
});

test("a signal ends a call at once, also while it waits", async () => {
  for (const reply of [silence, overloaded]) {
    const { phone, server } = phoneWith([reply]);
    const calls = [(signal: AbortSignal) => phone.lookup(ANN, { signal }), (signal: AbortSignal) => phone.checkIn({ signal })];
    for (const call of calls) {
      const stop = new AbortController();
      const work = call(stop.signal);
      setImmediate(() => stop.abort(new Error("the person left")));
      await assert.rejects(work, { message: "the person left" });
    }
    assert.equal(server.asked.length, 2);
    assert(server.asked.every((asked) => asked.signal.aborted));
  }
  const { phone, server } = phoneWith([lease]);
  await assert.rejects(phone.checkIn({ signal: AbortSignal.abort(new Error("too late")) }), { message: "too late" });
  assert.equal(server.asked.length, 0);
});

test("a sign-out ends the phone", async () => {
  const { phone, server } = phoneWith([gone]);
  await phone.signOut();
  for (const call of [() => phone.lookup(ANN), () => phone.lookupAll([ANN]), () => phone.checkIn()]) {
    await assert.rejects(call(), { code: "token-invalid", retry: "after-fixing" });
  }
  assert.throws(() => phone.revealToken(), { code: "token-invalid" });
  assert.equal(server.asked.length, 1);
});

test("a handle is taken back without a token", async () => {
  const verification = { verification: "v_1", handle: ANN, sent_by: "sms", expires_at: "…", next_send_at: "…", attempts_left: 5 };
  const { server, clock, settings } = phoneWith([() => json(verification, 202), () => json({ handle: ANN, deregistered: true })]);
  const sent = await clock.run(Phone.deregister(SERVER, "(415) 555-0123", { ...settings, region: "US" }));
  const done = await clock.run(Phone.confirm(SERVER, sent.verification, "123456", settings));
  assert.deepEqual(done, { handle: ANN, deregistered: true });
  assert.deepEqual(server.asked.map(({ address, body }) => [address, body]), [
    [`${SERVER}/v1/deregistrations`, { handle: "(415) 555-0123", region: "US" }],
    [`${SERVER}/v1/verifications/v_1`, { code: "123456" }],
  ]);
  assert(server.asked.every(({ headers }) => headers.authorization === undefined));
});
