// Why is a handle blue or green? The start page. With an empty box it shows whether the service is well.

import { Problem } from "../api.js";
import { Band } from "../band.js";
import { commandWords } from "../command.js";
import { h, outside, replace, seen } from "../dom.js";
import { form } from "../field.js";
import { counted, number, span, time, utc } from "../format.js";
import { mountHealth } from "../health.js";
import { Reading } from "../reading.js";
import { name, routeMark } from "../routes.js";
import { gaps, sentence, told } from "../sentences.js";
import { spans } from "../spans.js";
import { plainTable, table } from "../table.js";

/** @typedef {import("../types.js").Context} Context */
/** @typedef {import("../types.js").TimelineEntry} Entry */
/** @typedef {import("../types.js").LookupsEntry} Lookups */
/** @typedef {import("../types.js").TimelineSummary} Summary */
/** @typedef {import("../types.js").Holder} Holder */
/** @typedef {{ handle: string, region?: string }} Asked */

export const title = "Why is it blue or green?";

/** What a route means. */
const MEANINGS = {
  imessage: "A message goes over the messaging service.",
  sms: "A message goes as a text message.",
  none: "No message can go: no live device backs this e-mail address.",
};
/** Entries that the page asks for: as many as a page of JSON has. */
const ENTRIES_MAX = 1000;
/** Lines of a list before somebody asks for all of them. */
const LINES_SHOWN = 25;
/** What a number without a calling code needs. */
const NEEDS_REGION = "Type its region, such as US.";
const BAND_MS = 30 * 86_400_000;

/**
 * @param {HTMLElement} root
 * @param {Context} ctx
 */
export function mount(root, ctx) {
  const given = /** @type {Asked | undefined} */ (ctx.state);
  const result = h("div", { class: "view" });
  const plain = { autocomplete: "off", autocapitalize: "off", spellcheck: "false" };
  const box = h("input", { id: "handle", "data-box": "", value: given?.handle, placeholder: "+1 415 555 0123 or ann@example.com", dir: "auto", ...plain });
  const region = h("input", { id: "region", value: given?.region, maxlength: 2, placeholder: "e.g. US", title: "Country of a number without a calling code", ...plain });
  const missing = h("p", { class: "error" });
  const needRegion = () => {
    replace(missing, NEEDS_REGION);
    region.setAttribute("aria-invalid", "true");
    region.focus();
    ctx.say(NEEDS_REGION);
  };
  /** Ends what is shown below the box. */
  let end = () => {};

  const ask = () => {
    end();
    replace(missing);
    region.removeAttribute("aria-invalid");
    const asked = { handle: box.value.trim(), region: region.value.trim().toUpperCase() };
    ctx.keep(asked.handle === "" ? undefined : asked);
    end = asked.handle === "" ? mountHealth(result, ctx) : mountAnswer(result, ctx, asked, needRegion);
  };
  root.append(
    form(
      "ask",
      ask,
      h("label", { class: "grow" }, "Phone number or e-mail address", box),
      h("label", {}, "Region", region),
      h("button", { class: "button primary" }, "Ask why"),
      missing,
    ),
    result,
  );
  box.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || box.value === "") return;
    box.value = "";
    ask();
  });
  ask();
  return () => end();
}

/**
 * @param {HTMLElement} result
 * @param {Context} ctx
 * @param {Asked} asked
 * @param {() => void} needRegion is called when the number has no calling code and no region
 */
function mountAnswer(result, ctx, { handle, region }, needRegion) {
  const left = new AbortController();
  const reading = new Reading(result, ctx);
  const question = { handle, limit: ENTRIES_MAX, ...(region && { region }) };
  reading.run(
    "Reading 30 days…",
    (signal) => {
      // Somebody may have named a case meanwhile.
      ctx.command(commandWords("why", { region, case: ctx.session.case }, [handle]), true);
      return ctx.api.post("/v1/timeline", ctx.api.withCase(question), { signal }).catch((error) => {
        if (error instanceof Problem && error.reason === "needs-region") needRegion();
        throw error;
      });
    },
    (/** @type {import("../types.js").Timeline} */ timeline) => {
      // The server's clock counts.
      const ahead = Date.parse(timeline.summary.at) - Date.now();
      show(result, ctx, timeline, () => Date.now() + ahead, left.signal);
      ctx.say(`${name(timeline.summary.route)}. ${seen(timeline.summary.sentence)}`);
    },
  );
  return () => {
    reading.stop();
    left.abort();
  };
}

/**
 * @param {HTMLElement} result
 * @param {Context} ctx
 * @param {import("../types.js").Timeline} timeline
 * @param {() => number} now the server's time
 * @param {AbortSignal} signal
 */
function show(result, ctx, { entries, summary, hidden_until }, now, signal) {
  const until = Date.parse(summary.at);
  const from = until - BAND_MS;
  const band = new Band(spans(entries, summary, from, until), entries, from, until);
  const lookups = entries.filter((entry) => entry.kind === "lookups");
  const changes = entries.filter((entry) => entry.kind === "change");
  replace(
    result,
    verdict(summary),
    ...warnings({ ...summary, hidden_until }),
    h("section", { class: "card", "aria-labelledby": band.heading.id }, band.heading, band.element),
    summary.holders_count > 0 && holders(summary, now, signal),
    section("What changed", summary.changes, "change", "Nothing changed.", changes, changeTable),
    section("Who asked", summary.lookups, "lookup", "Nobody asked.", lookups, (shown) => lookupTable(shown, ctx)),
  );
}

/** @param {Summary} summary */
function verdict(summary) {
  const { route } = summary;
  const others = summary.other_spellings.length > 0 && h("p", { class: "soft" }, "The same number as ", ...summary.other_spellings.map((it) => outside(it)));
  return h(
    "section",
    { class: "card verdict", "aria-label": "Answer", "data-route": route ?? "unknown" },
    h("span", { class: `badge badge-${route ?? "unknown"}`, "data-route": route ?? "unknown" }, name(route)),
    h(
      "div",
      {},
      h("p", { class: "handle" }, outside(summary.handle)),
      h("p", { class: "sentence lead" }, ...sentence(summary.sentence)),
      h("p", { class: "soft" }, route === null ? "Neither the registry nor the log decides it." : MEANINGS[route]),
      others,
    ),
  );
}

/** What the answer may lack. @param {Summary & { hidden_until?: string }} summary */
function warnings(summary) {
  const lines = gaps(summary);
  if (summary.omitted) lines.push(`${counted(summary.omitted, "earlier line")} left out. The command line shows all.`);
  return lines.map((line) => h("p", { class: "card warning", role: "status" }, line));
}

/**
 * A card with the newest lines of a list, and all of them on demand.
 * @template {Entry} E
 * @param {string} heading
 * @param {number} count how many there are
 * @param {string} noun
 * @param {string} none what is said if there is none
 * @param {readonly E[]} all those that came, oldest first
 * @param {(shown: readonly E[]) => HTMLElement} table
 */
function section(heading, count, noun, none, all, table) {
  const newest = all.toReversed();
  const place = h("div", { class: "scrolls", tabindex: 0, role: "region", "aria-label": heading });
  const more = h("button", { class: "button", type: "button" }, `Show all ${number(newest.length)} lines`);
  more.addEventListener("click", () => {
    replace(place, table(newest));
    more.remove();
  });
  if (newest.length > 0) replace(place, table(newest.slice(0, LINES_SHOWN)));
  return h(
    "section",
    { class: "card", "data-section": heading },
    h("div", { class: "head" }, h("h2", {}, heading), h("span", { class: "soft" }, `${counted(count, noun)} in 30 days`)),
    count === 0 ? h("p", {}, none) : place,
    newest.length > LINES_SHOWN && more,
  );
}

/** @param {readonly import("../types.js").ChangeEntry[]} changes */
function changeTable(changes) {
  const line = (/** @type {import("../types.js").ChangeEntry} */ entry) =>
    h("tr", {}, h("td", { class: "when" }, time(entry.at)), h("td", { class: "sentence" }, told(entry)));
  return plainTable(["When (UTC)", "What"], h("tbody", {}, ...changes.map(line)), "stack");
}

/** @param {readonly Lookups[]} lookups @param {Context} ctx */
function lookupTable(lookups, ctx) {
  const device = (/** @type {string} */ id) =>
    h("button", { class: "value", type: "button", title: "Search for what this device asked", onclick: () => ctx.go("search", { filter: { device: id } }) },
      outside(id));
  const line = (/** @type {Lookups} */ entry) =>
    h(
      "tr",
      {},
      h("td", { class: "when" }, time(entry.at), ...until(entry)),
      h("td", {}, entry.route === null ? routeMark(null, "Refused") : routeMark(entry.route)),
      h("td", { class: "sentence" }, told(entry), entry.by_its_owner && h("span", { class: "soft" }, " (by its owner)")),
      h("td", { class: "number", "data-label": "Times" }, number(entry.count)),
      h("td", { class: "askers", "data-label": "Devices" }, ...entry.devices.slice(0, 3).map(device),
        entry.askers > 3 && h("span", { class: "soft" }, `and ${number(entry.askers - 3)}${entry.askers_at_least ? " or more" : ""}`)),
    );
  return plainTable(["When (UTC)", "Answer", "Why", "#Times", "Devices"], h("tbody", {}, ...lookups.map(line)), "stack");
}

/** The end of a run of like lookups, without what its beginning shows already. @param {Lookups} entry */
function until({ at, last }) {
  const [begin, end] = [utc(at), utc(last)];
  if (begin === end) return [];
  return [h("span", { class: "soft" }, " to ", time(last, begin.slice(0, 10) === end.slice(0, 10) ? end.slice(11) : end))];
}

/**
 * Who still goes by an older answer, counting down.
 * @param {Summary} summary
 * @param {() => number} now
 * @param {AbortSignal} signal
 */
function holders(summary, now, signal) {
  const lines = summary.holders.slice(0, 100).map((holder) => holderLine(holder));
  const count = `${number(summary.holders_count)}${summary.holders_at_least ? " or more" : ""}`;
  const tick = () => lines.forEach(({ tell }) => tell(now()));
  tick();
  const timer = setInterval(tick, 1000);
  signal.addEventListener("abort", () => clearInterval(timer));
  return h(
    "section",
    { class: "card", "aria-label": "Who still goes by another answer" },
    h("div", { class: "head" },
      h("h2", {}, "Who still goes by another answer"),
      h("span", { class: "soft" }, count === "1" ? "1 device" : `${count} devices`)),
    table("Devices", ["Device", "Was told", "When (UTC)", "May use it for"], lines.map(({ row }) => row), "stack"),
    summary.holders_count > lines.length && h("p", { class: "hint" }, `The first ${number(lines.length)} are shown.`),
  );
}

/** @param {Holder} holder */
function holderLine(holder) {
  const left = h("td", { class: "left", "data-until": holder.until_at_most, "data-label": "May use it for" });
  const row = h(
    "tr",
    { title: seen(holder.sentence) },
    h("td", {}, outside(holder.device)),
    h("td", { "data-label": "Was told" }, routeMark(holder.route)),
    h("td", { class: "when", "data-label": "At" }, time(holder.told_at)),
    left,
  );
  const tell = (/** @type {number} */ now) => {
    const seconds = (Date.parse(holder.until_at_most) - now) / 1000;
    replace(left, seconds > 0 ? `${span(seconds)} at most` : "no longer");
    row.classList.toggle("over", seconds <= 0);
  };
  return { row, tell };
}
