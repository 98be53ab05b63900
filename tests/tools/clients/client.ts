// A lookup, a search and a timeline by the TypeScript types that openapi-typescript makes from docs/openapi.json.
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.ts";

declare const process: { argv: string[] };

// Search and timeline also stream rows. This client takes JSON only.
type Json = "application/json" | "application/problem+json";
type Route = components["schemas"]["Route"];

const [phonesUrl, operatorsUrl, deviceToken, operatorToken, handle] = process.argv.slice(2) as [
  string, string, string, string, string,
];
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const phones = createClient<paths, Json>({ baseUrl: phonesUrl, headers: bearer(deviceToken) });
const operators = createClient<paths, Json>({ baseUrl: operatorsUrl, headers: bearer(operatorToken) });

function equal<T>(what: string, is: T, should: T): void {
  if (is !== should) throw new Error(`${what} is ${String(is)} instead of ${String(should)}`);
}

const lookup = await phones.GET("/v1/lookup/{handle}", { params: { path: { handle } } });
if (lookup.error) throw new Error(`${lookup.error.code}: ${lookup.error.detail}`);
const route: Route = lookup.data.route;
equal("the route", route, "imessage");

const batch = await phones.POST("/v1/lookup", { body: { handles: [handle, "nonsense"] } });
if (batch.error) throw new Error(batch.error.code);
const refused = batch.data.answers.flatMap((item) => ("error" in item ? [item.error.reason] : []));
equal("the item's reason", refused.join(), "not-a-number");

// A problem's code says which fields it has.
const invalid = await phones.GET("/v1/lookup/{handle}", { params: { path: { handle: "1" }, query: { region: "US" } } });
if (invalid.error?.code !== "handle-invalid") throw new Error("a wrong handle is taken");
const reason: components["schemas"]["HandleReason"] = invalid.error.reason;
equal("the reason", reason, "too-short");

const query = { handle, kind: "lookup", order: "asc", limit: 10 } as const;
const search = await operators.GET("/v1/log", { params: { query } });
if (search.error) throw new Error(`${search.error.code}: ${search.error.detail}`);
const tookUs = search.data.records.map((record) => (record.kind === "lookup" ? record.took_us : -1));
equal("the lookups in the log", tookUs.filter((us) => us >= 0).length, 2);

const timeline = await operators.GET("/v1/handles/{handle}/timeline", { params: { path: { handle } } });
if (timeline.error) throw new Error(`${timeline.error.code}: ${timeline.error.detail}`);
const steps = timeline.data.entries.map((entry) => (entry.kind === "change" ? entry.change : entry.reason));
equal("the timeline", steps.join(), "handle-bound,live-device");
equal("the summary's route", timeline.data.summary.route, "imessage");
