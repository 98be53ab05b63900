// What a phone remembers, asks once for, splits, and never takes for a route.
import assert from "node:assert/strict";
import test from "node:test";
import { type Item, type Phone, UnexpectedAnswerError } from "../src/index.ts";
import { together } from "../src/lookups.ts";
import { ANN, type Reply, answers, json, noAnswer, phoneWith, problem } from "./fakes.ts";

const BEN = "+14155550124";

function answering(item: object): Reply {
  return ({ body }) => json({ answers: body.handles.map((input) => ({ input, handle: input, expires_in: 60, ...item })), together: "none" });
}

/** A reply that waits for `release`. */
function held(reply: Reply): { reply: Reply; release: () => void } {
  let release = () => undefined as void;
  const released = new Promise<void>((resolve) => (release = resolve));
  return { reply: (asked) => released.then(() => reply(asked)), release };
}

test("an answer is reused until it expires, and not a millisecond longer", async () => {
  const { phone, server, clock } = phoneWith([answers]);
  const first = await phone.lookup(BEN);
  assert.deepEqual(first, { input: BEN, handle: BEN, route: "sms", expires_in: 300 });
  clock.advance(299_999);
  assert.deepEqual(await phone.lookup(BEN), { ...first, expires_in: 0 });
  assert.equal(server.asked.length, 1);
  clock.advance(1);
  assert.deepEqual(await phone.lookup(BEN), first);
  assert.equal(server.asked.length, 2);
});

test("an answer is valid from the moment it was asked for", async () => {
  const { reply, release } = held(answers);
  const { phone, server, clock } = phoneWith([reply, answers]);
  const slow = phone.lookup(BEN);
  clock.advance(9_000);
  release();
  await slow;
  clock.advance(290_999);
  assert.equal((await phone.lookup(BEN)).expires_in, 0);
  clock.advance(1);
  await phone.lookup(BEN);
  assert.equal(server.asked.length, 2);
});

/** A server that reads the spellings of Ann's number. Its first answers say `imessage`, those from `from` on `sms`. */
function reading(from: number): Reply {
  let turn = 0;
  return ({ body }) => {
    const more = (turn += 1) > from ? { route: "sms" } : { route: "imessage", subject: "S" };
    return json({ answers: body.handles.map((input) => ({ input, handle: ANN, expires_in: 3600, ...more })), together: "mixed" });
  };
}

test("a spelling and its region together lead to an answer, and a canonical handle without a region", async () => {
  const { phone, server } = phoneWith([reading(9)]);
  const national = "(415) 555-0123";
  for (const region of [undefined, "US", "DE", "US"]) await phone.lookup(national, region === undefined ? {} : { region });
  assert.deepEqual(server.asked.map(({ body }) => body.region), [undefined, "US", "DE"]);
  for (const region of [undefined, "US"]) await phone.lookup(ANN, region === undefined ? {} : { region });
  assert.equal(server.asked.length, 3);
});

test("a newer answer to one spelling is the answer to all of them", async () => {
  const { phone, server } = phoneWith([reading(2)]);
  const [national, region] = ["(415) 555-0123", "US"];
  assert.equal((await phone.lookup(ANN)).route, "imessage");
  assert.equal((await phone.lookup(national, { region })).route, "imessage");
  assert.equal((await phone.lookup(ANN, { fresh: true })).route, "sms");
  assert.deepEqual(await phone.lookup(national, { region }), { input: national, handle: ANN, route: "sms", expires_in: 3600 });
  assert.equal(server.asked.length, 3);
});

test("an older answer to another spelling does not replace a newer one", async () => {
  const old = held(reading(9));
  const { phone, server, clock } = phoneWith([old.reply, reading(0)]);
  const first = phone.lookup("(415) 555-0123", { region: "US" });
  clock.advance(1);
  assert.equal((await phone.lookup(ANN)).route, "sms");
  old.release();
  assert.equal((await first).route, "imessage");
  assert.deepEqual([(await phone.lookup(ANN)).route, (await phone.lookup("(415) 555-0123", { region: "US" })).route], ["sms", "sms"]);
  assert.equal(server.asked.length, 2);
});

test("batches and single lookups share the cache", async () => {
  const { phone, server } = phoneWith([answers]);
  await phone.lookupAll([ANN, BEN]);
  assert.equal((await phone.lookup(ANN)).subject, "S");
  const batch = await phone.lookupAll([BEN, "+14155550125", ANN, BEN]);
  assert.deepEqual(server.asked.map(({ body }) => body.handles), [[ANN, BEN], ["+14155550125"]]);
  assert.deepEqual(batch.answers.map(({ input }) => input), [BEN, "+14155550125", ANN, BEN]);
  assert.equal(batch.together, "mixed");
});

test("the oldest answers are evicted", async () => {
  const { phone, server } = phoneWith([answers], { cacheEntries: 2 });
  for (const handle of ["+1", "+2", "+1", "+3", "+2", "+3", "+1"]) await phone.lookup(handle);
  assert.deepEqual(server.asked.map(({ body }) => body.handles[0]), ["+1", "+2", "+3", "+1"]);
});

test("fresh asks again, and its answer is kept", async () => {
  const { phone, server } = phoneWith([answering({ route: "imessage", subject: "S" }), answering({ route: "sms" })]);
  assert.equal((await phone.lookup(ANN)).route, "imessage");
  assert.equal((await phone.lookup(ANN, { fresh: true })).route, "sms");
  assert.equal((await phone.lookup(ANN)).route, "sms");
  assert.equal((await phone.lookupAll([ANN, ANN], { fresh: true })).together, "sms");
  assert.deepEqual(server.asked.map(({ body }) => body.handles.length), [1, 1, 1]);
});

test("an older answer that comes later does not replace a newer one", async () => {
  const old = held(answering({ route: "imessage", subject: "S" }));
  const { phone, server } = phoneWith([old.reply, answering({ route: "sms" })]);
  const first = phone.lookup(ANN);
  assert.equal((await phone.lookup(ANN, { fresh: true })).route, "sms");
  old.release();
  assert.equal((await first).route, "imessage");
  assert.equal((await phone.lookup(ANN)).route, "sms");
  assert.equal(server.asked.length, 2);
});

test("a fresh answer that does not come leaves no older one", async () => {
  const { phone, server, clock } = phoneWith([reading(9), noAnswer, noAnswer, noAnswer, reading(0)]);
  await phone.lookup("(415) 555-0123", { region: "US" });
  await assert.rejects(clock.run(phone.lookup(ANN, { fresh: true })), { code: "no-answer" });
  assert.equal((await phone.lookup("(415) 555-0123", { region: "US" })).route, "sms");
  assert.equal(server.asked.length, 5);
});

test("a token that is void leaves no answer", async () => {
  const tokenInvalid = problem(401, "token-invalid", "after-fixing");
  const calls = [(phone: Phone) => phone.checkIn(), (phone: Phone) => phone.lookup(BEN)];
  for (const call of calls) {
    const { phone, server } = phoneWith([answers, tokenInvalid, answers]);
    await phone.lookup(ANN);
    await assert.rejects(call(phone), { code: "token-invalid" });
    await phone.lookup(ANN);
    assert.equal(server.asked.length, 3);
  }
});

test("an item with an error is no answer", async () => {
  const error = { code: "handle-invalid", reason: "too-short" };
  const { phone } = phoneWith([answering({ route: "sms", error })]);
  await assert.rejects(phone.lookup(ANN), { code: "handle-invalid", reason: "too-short" });
});

test("an answer without an end is not read to it", async () => {
  let sent = 0;
  const endless: Reply = () => {
    const piece = new Uint8Array(2 ** 20).fill(0x20);
    const pull = (controller: ReadableStreamDefaultController) => void ((sent += 1) > 64 ? controller.close() : controller.enqueue(piece));
    return new Response(new ReadableStream({ pull }), { headers: { "content-type": "application/json" } });
  };
  const { phone } = phoneWith([endless], { attempts: 1 });
  await assert.rejects(phone.lookup(ANN), { code: "answer-unreadable", status: 200 });
  assert(sent < 10, `${sent} pieces`);
});

test("errors are not kept", async () => {
  const { phone, server } = phoneWith([problem(400, "request-invalid", "after-fixing"), answers]);
  await assert.rejects(phone.lookup(ANN), { code: "request-invalid" });
  await assert.rejects(phone.lookup("nonsense"), { code: "handle-invalid", reason: "not-a-number", retry: "after-fixing", status: 400 });
  await assert.rejects(phone.lookup("nonsense"), { code: "handle-invalid" });
  await phone.lookup(ANN);
  assert.equal(server.asked.length, 4);
});

test("a sign-out forgets answers, also those on their way", async () => {
  const { reply, release } = held(answers);
  const { phone, server } = phoneWith([answers, reply, problem(503, "registry-unwritable", "later"), answers], { attempts: 1 });
  await phone.lookup(ANN);
  const late = phone.lookup(BEN);
  await assert.rejects(phone.signOut(), { code: "registry-unwritable" });
  release();
  await late;
  await phone.lookupAll([ANN, BEN]);
  assert.deepEqual(server.asked.at(-1)!.body.handles, [ANN, BEN]);
});

test("questions asked at the same time are asked once", async () => {
  const { reply, release } = held(answers);
  const { phone, server } = phoneWith([reply, answers]);
  const alone = [phone.lookup(ANN), phone.lookup(ANN)];
  const batches = [phone.lookupAll([ANN, BEN]), phone.lookupAll([BEN, ANN, "+14155550125"])];
  release();
  assert.deepEqual((await Promise.all(alone)).map(({ route }) => route), ["imessage", "imessage"]);
  assert.deepEqual((await Promise.all(batches)).map(({ answers }) => answers.map(({ input }) => input)), [[ANN, BEN], [BEN, ANN, "+14155550125"]]);
  assert.deepEqual(server.asked.map(({ body }) => body.handles), [[ANN], [BEN], ["+14155550125"]]);
});

test("a single lookup does not wait for a batch", async () => {
  const { reply, release } = held(answers);
  const { phone, server } = phoneWith([reply, answers]);
  const batch = phone.lookupAll([ANN, BEN]);
  assert.equal((await phone.lookup(ANN)).route, "imessage");
  release();
  assert.equal((await batch).together, "mixed");
  assert.deepEqual(server.asked.map(({ body }) => body.handles), [[ANN, BEN], [ANN]]);
});

test("who leaves does not take the answer from others", async () => {
  const { reply, release } = held(answers);
  const { phone, server } = phoneWith([reply, answers]);
  const [leaves, stays] = [new AbortController(), new AbortController()];
  const left = phone.lookup(ANN, { signal: leaves.signal });
  const stayed = phone.lookup(ANN, { signal: stays.signal });
  leaves.abort(new Error("left"));
  await assert.rejects(left, { message: "left" });
  assert.equal(server.asked[0]!.signal.aborted, false);
  release();
  assert.equal((await stayed).route, "imessage");
});

test("what nobody waits for is aborted, and nobody joins it", async () => {
  const { phone, server } = phoneWith([held(answers).reply, answers]);
  const stop = new AbortController();
  const left = phone.lookup(ANN, { signal: stop.signal });
  stop.abort(new Error("left"));
  await assert.rejects(left, { message: "left" });
  assert.equal((await phone.lookup(ANN)).route, "imessage");
  assert.equal(server.asked[0]!.signal.aborted, true);
});

test("a long list is split, and its group is judged as a whole", async () => {
  const { phone, server } = phoneWith([answers]);
  const handles = Array.from({ length: 2_500 }, (_, at) => `+1${at}`);
  const batch = await phone.lookupAll([...handles, ANN, ...handles]);
  assert.deepEqual(server.asked.map(({ body }) => body.handles.length), [1_000, 1_000, 501]);
  assert.deepEqual(batch.answers.map(({ input }) => input), [...handles, ANN, ...handles]);
  assert.equal(batch.together, "mixed");
  assert.equal((await phone.lookupAll(handles)).together, "sms");
});

test("a long list has one deadline, and what expires meanwhile is asked for again", async () => {
  const slow: Reply = (asked) => {
    clock.advance(8_000);
    return answering({ route: "sms", expires_in: 60 })(asked);
  };
  const { phone, server, clock } = phoneWith([answering({ route: "sms" }), slow]);
  const handles = Array.from({ length: 3_000 }, (_, at) => `+1${at}`);
  await phone.lookup(ANN);
  clock.advance(40_000);
  await phone.lookupAll([ANN, ...handles]);
  assert.deepEqual(server.asked.map(({ body }) => body.handles.length), [1, 1_000, 1_000, 1_000, 1]);
  assert.deepEqual(server.asked.at(-1)!.body.handles, [ANN]);
  const more = Array.from({ length: 5_000 }, (_, at) => `+2${at}`);
  await assert.rejects(clock.run(phone.lookupAll(more)), { code: "no-answer" });
});

test("if one part of a list fails, the list fails", async () => {
  const { phone, server, clock } = phoneWith([answers, noAnswer]);
  const handles = Array.from({ length: 1_001 }, (_, at) => `+1${at}`);
  await assert.rejects(clock.run(phone.lookupAll(handles)), { code: "no-answer" });
  assert.equal(server.asked.length, 4);
  assert.equal((await phone.lookup("+10")).route, "sms");
});

test("the group's route is the server's rule", () => {
  const item = (route: string): Item => (route === "error" ? { input: "x", error: { code: "c", reason: undefined } } : { route } as Item);
  const cases = [["imessage", "imessage"], ["sms sms", "sms"], ["imessage sms", "mixed"], ["sms imessage none", "none"], ["none", "none"], ["imessage error", "none"]];
  const newer: Item = { input: "x", error: { code: "route-unknown", reason: undefined } };
  assert.deepEqual([["sms"], ["sms", "none"], []].map((routes) => together([newer, ...routes.map(item)])), ["unknown", "none", "unknown"]);
  for (const [routes, expected] of cases) assert.equal(together(routes!.split(" ").map(item)), expected, routes);
});

test("a route of a newer server is no route", async () => {
  const { phone } = phoneWith([answering({ route: "satellite" })]);
  await assert.rejects(phone.lookup(ANN), { name: "UnexpectedAnswerError", code: "route-unknown", retry: "never" });
  const batch = await phone.lookupAll([ANN]);
  assert.deepEqual(batch, { answers: [{ input: ANN, error: { code: "route-unknown", reason: undefined } }], together: "unknown" });
});

test("what is no answer of dispatchd is an error, never a route", async () => {
  const html = (type: string): Reply => () => new Response("<html>sms</html>", { headers: { "content-type": type } });
  const whole = (body: unknown): Reply => () => json(body);
  const item = { input: ANN, handle: ANN, route: "sms", expires_in: 300 };
  const replies = [
    html("text/html"), html("application/json"), whole([]), whole(null), whole({}), whole({ answers: [] }), whole({ answers: [item, item] }),
    whole({ answers: [null] }), whole({ answers: [{ ...item, input: BEN }] }), whole({ answers: [{ ...item, handle: undefined }] }),
    whole({ answers: [{ ...item, route: undefined }] }), whole({ answers: [{ ...item, route: null }] }),
    whole({ answers: [{ ...item, expires_in: "300" }] }), whole({ answers: [{ ...item, expires_in: -1 }] }), whole({ answers: [{ input: ANN, error: {} }] }), whole({ answers: [{ ...item, error: "x" }] }),
    () => new Response(JSON.stringify({ answers: [item] }), { headers: { "content-type": "text/plain" } }),
    () => json({ answers: [item] }, 500),
    () => new Response(JSON.stringify({ answers: [item] }), { status: 503, headers: { "content-type": "application/json" } }),
    () => new Response(null, { status: 204 }),
  ];
  for (const [at, reply] of replies.entries()) {
    const { phone, clock } = phoneWith([reply], { attempts: 1 });
    for (const call of [() => phone.lookup(ANN), () => phone.lookupAll([ANN])]) {
      const result: unknown = await clock.run<unknown>(call()).catch((error: unknown) => error);
      assert(result instanceof Error, `${at}: ${JSON.stringify(result)}`);
    }
  }
  const { phone, clock } = phoneWith([html("text/html"), answers]);
  assert.equal((await clock.run(phone.lookup(ANN))).route, "imessage", "the login page of a network goes away");
});

test("half a surrogate pair is asked for as the server reads it", async () => {
  const { phone, server } = phoneWith([answers]);
  const batch = await phone.lookupAll(["\ud83d"]);
  assert.deepEqual([server.asked[0]!.body.handles, batch.answers[0]!.input], [["\ufffd"], "\ufffd"]);
});

test("callers get answers of their own", async () => {
  const { phone } = phoneWith([answers]);
  const [one, two] = await Promise.all([phone.lookup(ANN), phone.lookup(ANN)]);
  one.route = "sms";
  assert.deepEqual([two.route, (await phone.lookup(ANN)).route], ["imessage", "imessage"]);
});

test("an empty list is refused here", async () => {
  const { phone, server } = phoneWith([answers]);
  await assert.rejects(phone.lookupAll([]), { name: "RangeError" });
  assert.equal(server.asked.length, 0);
});

test("an unreadable answer is one of the package's errors", async () => {
  const { phone, clock } = phoneWith([() => json({}, 200, { "x-request-id": "r_1" })]);
  const error: unknown = await clock.run(phone.lookup(ANN)).catch((error: unknown) => error);
  assert(error instanceof UnexpectedAnswerError);
  assert.deepEqual([error.code, error.retry, error.requestId], ["answer-unreadable", "later", "r_1"]);
});
