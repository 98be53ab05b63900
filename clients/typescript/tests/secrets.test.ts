// What must not be seen: tokens, handles and codes, in errors, printed objects and addresses.
import assert from "node:assert/strict";
import test from "node:test";
import { inspect } from "node:util";
import { Phone } from "../src/index.ts";
import { ANN, type Reply, SERVER, TOKEN, answers, json, noAnswer, phoneWith, problem } from "./fakes.ts";

/** Everything that a log or a crash report may hold of a value. */
function shown(value: unknown): string {
  const texts = [inspect(value, { depth: Infinity, showHidden: true }), JSON.stringify(value), String(value)];
  if (value instanceof Error) texts.push(value.message, value.stack ?? "", shown(value.cause ?? ""));
  return texts.join("\n");
}

const SECRETS = [TOKEN, "dd_", ANN, "14155550123", "654321"];

function assertHidden(value: unknown): void {
  const text = shown(value);
  for (const secret of SECRETS) assert(!text.includes(secret), `${secret} in ${text}`);
}

test("a printed phone shows neither its token nor what it asked", async () => {
  const { phone } = phoneWith([answers]);
  await phone.lookup(ANN);
  assertHidden(phone);
  assertHidden({ ...phone });
  assert.equal(phone.revealToken(), TOKEN);
});

test("errors hold no token, handle or code, whatever the server and fetch say", async () => {
  const echo = `${ANN} ${TOKEN} 654321`;
  const fails = (error: unknown): Reply => () => {
    throw error;
  };
  const replies: Reply[] = [
    problem(400, "handle-invalid", "after-fixing", {}, { detail: echo, title: echo, reason: echo, limit: echo }),
    problem(503, echo, "later", {}, { detail: echo }),
    () => new Response(echo, { status: 502 }),
    () => new Response(`{"answers": [${echo}`, { headers: { "content-type": "application/json" } }),
    () => json({ answers: [{ input: echo }], handle: undefined }),
    fails(new TypeError(echo, { cause: Object.assign(new Error(echo), { code: echo }) })),
    noAnswer,
  ];
  for (const reply of replies) {
    const { phone, clock } = phoneWith([reply], { attempts: 1 });
    const calls: (() => Promise<unknown>)[] = [
      () => phone.lookup(ANN), () => phone.claim(ANN), () => phone.confirm("v_1", "654321"), () => phone.hide(ANN), () => phone.device(),
    ];
    for (const call of calls) {
      const error: unknown = await clock.run(call()).catch((error: unknown) => error);
      assert(error instanceof Error);
      assertHidden(error);
    }
  }
  const { phone } = phoneWith([problem(400, "request-invalid", "after-fixing", {}, { detail: "`handle` is missing" })]);
  await assert.rejects(phone.lookup(ANN), { detail: "`handle` is missing", requestId: undefined });
});

test("the system's word for a broken connection is kept", async () => {
  const { phone } = phoneWith([noAnswer], { attempts: 1 });
  await assert.rejects(phone.checkIn(), { code: "no-answer", system: "ECONNRESET" });
});

test("what cannot be a token or an address is refused before it is sent, without showing it", () => {
  for (const [server, token] of [
    ["dispatch.example.org", TOKEN], ["ftp://example.org", TOKEN], ["https://user:dd_pass@example.org", TOKEN],
    ["https://example.org?dd_", TOKEN], [SERVER, `${TOKEN}\n`], [SERVER, ""], [SERVER, "dd_é"],
  ] as const) {
    assert.throws(() => new Phone(server, token), (error: unknown) => (assertHidden(error), error instanceof TypeError));
  }
});

test("lookups, claims and codes are in the body, and only the token is in a header", async () => {
  const { phone, server } = phoneWith([answers, answers, () => json({ handle: ANN })]);
  await phone.lookup(ANN, { region: "US" });
  await phone.lookupAll([ANN, "+14155550124"]);
  await phone.claim(ANN);
  await phone.confirm("v_1", "654321");
  const [lookup, ...others] = server.asked;
  assert.deepEqual([lookup!.method, lookup!.address, lookup!.body], ["POST", `${SERVER}/v1/lookup`, { handles: [ANN], region: "US" }]);
  assert.deepEqual(lookup!.headers, { authorization: `Bearer ${TOKEN}`, "content-type": "application/json" });
  assert.deepEqual(others.map(({ address }) => address.slice(SERVER.length)), ["/v1/lookup", "/v1/devices/me/handles", "/v1/verifications/v_1"]);
  assert(server.asked.every(({ method, headers }) => method === "POST" && !shown(headers).includes(ANN)));
});

test("a sign-up sends no token", async () => {
  const { server, settings } = phoneWith([() => json({ device: "d", account: "a", token: "dd_new", lease_expires_at: "…" }, 201)]);
  const phone = await Phone.signUp(`${SERVER}/`, { platform: "ios", link_code: "ABC" }, settings);
  const [{ address, headers, body }] = server.asked as [(typeof server.asked)[0]];
  assert.deepEqual([address, headers, body], [`${SERVER}/v1/devices`, { "content-type": "application/json" }, { platform: "ios", link_code: "ABC" }]);
  assertHidden(phone);
});

test("a parameter cannot name another path", async () => {
  const { phone, server } = phoneWith([() => new Response(null, { status: 204 })]);
  for (const handle of ["", ".", ".."]) await assert.rejects(phone.release(handle), { name: "RangeError" });
  assert.equal(server.asked.length, 0);
  for (const handle of ["../../me", "a@b.example/../..", "a?b#c", "$&", "\ud83d"]) await phone.release(handle);
  const paths = server.asked.map(({ address }) => new URL(address).pathname.slice("/v1/devices/me/handles/".length));
  assert.deepEqual(paths, ["..%2F..%2Fme", "a%40b.example%2F..%2F..", "a%3Fb%23c", "%24%26", "%EF%BF%BD"]);
});
