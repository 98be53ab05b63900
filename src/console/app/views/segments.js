// The segments of the log: what each day and hour holds, in which state it is, and when its key is destroyed.

import { commandWords } from "../command.js";
import { BROKEN, days, hours, isBroken } from "../days.js";
import { h, outside, replace, seen } from "../dom.js";
import { bytes, counted, distance, number, span, time, utc } from "../format.js";
import { ofEachNode } from "../nodes.js";
import { Reading } from "../reading.js";
import { lacking, recordsOf, warnings } from "../search/notes.js";
import { table } from "../table.js";

/** @typedef {import("../types.js").Context} Context */
/** @typedef {import("../types.js").Schemas["LogVerification"]} Verification */
/** @typedef {import("../types.js").Schemas["LogVerificationAnswer"]} VerificationAnswer */
/** @typedef {import("../search/notes.js").MissingNode} MissingNode */
/** @typedef {import("../types.js").Schemas["SegmentReport"]} SegmentReport */
/** @typedef {import("../days.js").Segment} Segment */
/** @typedef {import("../days.js").Part} Part */
/** @typedef {{ day?: number }} State */

export const title = "Segments";

/** Days that the log keeps at most. */
const DAYS = 30;
const SECOND = 1000;
const STATES = /** @type {Record<string, string>} */ ({
  active: "being written",
  closed: "finished, not sealed yet",
  sealed: "sealed",
  abandoned: "a write failed; it ends after its last commit",
  unfinished: "not finished, and no process writes it",
  "key-missing": "its key is missing",
  unreadable: "its header is damaged",
});

/**
 * @param {HTMLElement} root
 * @param {Context} ctx
 */
export function mount(root, ctx) {
  const result = h("div", { class: "view" });
  const verified = h("div", { class: "view", "aria-live": "polite" });
  const reading = new Reading(result, ctx);
  const verifying = new Reading(verified, ctx);
  /** @type {Set<() => void>} */
  const ticks = new Set();
  const timer = setInterval(() => ticks.forEach((tick) => tick()), SECOND);
  const read = () => {
    ticks.clear();
    ctx.command(commandWords("log segments", {}));
    return reading.run(
      "Listing segments…",
      (signal) => list(ctx, signal),
      ({ segments, lacks }) => {
        replace(result, ...warnings(lacks), ...show(segments, lacks, ctx, ticks));
        ctx.say(counted(segments.length, "segment"));
      },
    );
  };
  const verify = () => {
    ctx.command(commandWords("log verify", {}), true);
    return verifying.run(
      "Reading every segment. Over 30 days it takes a while…",
      (signal) => /** @type {Promise<VerificationAnswer>} */ (ctx.api.get("/v1/log/verify", {}, { signal })),
      (report) => replace(verified, ...ofEachNode(report, verdict)),
    );
  };
  root.append(
    h("div", { class: "bar" },
      h("p", { class: "soft" }, "Each hour has a key of its own. Once it is destroyed, no copy of the hour can be read. This list holds no record and is not audited."),
      h("button", { class: "button primary", type: "button", "data-box": "", onclick: read }, "List again"),
      h("button", { class: "button", type: "button", onclick: verify, title: "Reads every record. The audit log notes it." }, "Verify the log")),
    verified,
    result,
  );
  read();
  return () => {
    clearInterval(timer);
    reading.stop();
    verifying.stop();
  };
}

/**
 * The segments, in a cluster those of every node, and which nodes did not answer.
 * @param {Context} ctx
 * @param {AbortSignal} signal
 */
async function list(ctx, signal) {
  /** @type {import("../api.js").Stream<Segment | MissingNode>} */
  const stream = await ctx.api.lines("/v1/log/segments", undefined, { signal });
  /** @type {{ segments: Segment[], lacks: string[] }} */
  const found = { segments: [], lacks: [] };
  for await (const batch of recordsOf(stream.rows, (node) => found.lacks.push(lacking(node)))) found.segments.push(...batch);
  return found;
}

/**
 * @param {Segment[]} segments
 * @param {readonly string[]} lacks
 * @param {Context} ctx
 * @param {Set<() => void>} ticks
 */
function show(segments, lacks, ctx, ticks) {
  if (segments.length === 0 && lacks.length > 0) return [];
  if (segments.length === 0) return [h("section", { class: "card" }, h("p", { class: "lead" }, "The log has no segment yet."))];
  const all = days(segments, Date.now(), DAYS);
  const detail = h("section", { class: "card", "aria-live": "polite" });
  /** @param {number} from */
  const choose = (from) => {
    ctx.keep({ day: from });
    const day = all.find((part) => part.from === from) ?? all[all.length - 1];
    replace(detail, ...hoursOf(segments, day));
  };
  const kept = /** @type {State | undefined} */ (ctx.state)?.day;
  const first = all.find((part) => part.from === kept) ?? all[all.length - 1];
  const chart = bars(all, { label: "Records of each day", name: dayName, chosen: first.from, onChoose: choose });
  choose(first.from);
  return [
    totals(segments, ticks),
    byNode(segments),
    h("section", { class: "card" }, h("h2", {}, "Records by day (UTC)"), chart, dayTable(all, choose)),
    detail,
  ];
}

/**
 * @param {Segment[]} segments
 * @param {Set<() => void>} ticks
 */
function totals(segments, ticks) {
  const records = segments.reduce((sum, segment) => sum + segment.records, 0);
  const size = segments.reduce((sum, segment) => sum + segment.bytes, 0);
  const oldest = segments.reduce((least, segment) => (segment.from < least ? segment.from : least), segments[0].from);
  const key = segments.reduce((least, segment) => (segment.expires_at < least ? segment.expires_at : least), segments[0].expires_at);
  const broken = segments.filter((segment) => BROKEN.has(segment.state)).length;
  return h("dl", { class: "totals" },
    figure("Records", number(records), counted(segments.length, "segment")),
    figure("On disk", bytes(size), `${bytes(size / Math.max(1, records))} a record`),
    figure("Oldest hour", distance(oldest), time(oldest)),
    figure("Next key destroyed", countdown(key, ticks), time(key)),
    figure("Unreadable", number(broken), broken === 0 ? "all segments can be read" : "verify the log; see the hours below"));
}

/**
 * What each node of a cluster holds; nothing outside one.
 * @param {readonly Segment[]} segments
 */
function byNode(segments) {
  /** @type {Map<string, Segment[]>} */
  const nodes = new Map();
  for (const segment of segments) {
    if (segment.node !== undefined) nodes.set(segment.node, [...(nodes.get(segment.node) ?? []), segment]);
  }
  if (nodes.size === 0) return "";
  const rows = [...nodes].map(([node, own]) => h("tr", {},
    h("th", { scope: "row" }, outside(node)),
    ...[own.length, own.reduce((sum, segment) => sum + segment.records, 0)].map((n) => h("td", { class: "number" }, number(n))),
    h("td", { class: "number" }, bytes(own.reduce((sum, segment) => sum + segment.bytes, 0)))));
  return h("section", { class: "card" }, h("h2", {}, "By node"),
    table("Segments by node", ["Node", "#Segments", "#Records", "#On disk"], rows));
}

/**
 * @param {string} name
 * @param {Node | string} value
 * @param {Node | string} meaning
 */
function figure(name, value, meaning) {
  return h("div", {}, h("dt", {}, name), h("dd", {}, h("span", { class: "figure-value" }, value), h("span", { class: "hint" }, meaning)));
}

/**
 * How long it is until an instant, from second to second.
 * @param {string} instant
 * @param {Set<() => void>} ticks
 */
function countdown(instant, ticks) {
  const element = h("span", { title: `${utc(instant)} UTC` });
  const tick = () => {
    const left = (Date.parse(instant) - Date.now()) / SECOND;
    // The server destroys keys within two minutes, by its own clock.
    element.textContent = left > 0 ? `in ${span(left)}` : "due now";
  };
  tick();
  ticks.add(tick);
  return element;
}

/** @param {Part} part */
function dayName(part) {
  return utc(part.from).slice(0, 10);
}

/** @param {Part} part */
function hourName(part) {
  return utc(part.from).slice(11, 16);
}

/**
 * One bar for each part. Arrow keys go from bar to bar.
 * @param {readonly Part[]} all
 * @param {{ label: string, name: (part: Part) => string, chosen: number, onChoose: (from: number) => void }} given
 */
function bars(all, { label, name, chosen, onChoose }) {
  const most = Math.max(1, ...all.map((part) => part.records));
  const said = h("p", { class: "hint" }, " ");
  const buttons = all.map((part) => {
    const text = `${name(part)}: ${about(part)}`;
    const fill = h("span", { class: `day-fill${isBroken(part) ? " is-broken" : ""}` });
    fill.style.blockSize = `${part.records === 0 ? 0 : Math.max(2, (part.records / most) * 100)}%`;
    return h("button", {
      class: "day-bar", type: "button", title: text, "aria-label": text, tabindex: part.from === chosen ? 0 : -1,
      "aria-pressed": String(part.from === chosen), "data-from": part.from, "data-records": part.records,
      onpointerenter: () => replace(said, text),
      onfocus: () => replace(said, text),
    }, fill);
  });
  /** @param {HTMLButtonElement} button */
  const press = (button) => {
    for (const other of buttons) {
      other.setAttribute("aria-pressed", String(other === button));
      other.tabIndex = other === button ? 0 : -1;
    }
    onChoose(Number(button.dataset.from));
  };
  for (const [at, button] of buttons.entries()) {
    button.addEventListener("click", () => press(button));
    button.addEventListener("keydown", (event) => {
      const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: buttons.length - 1 }[event.key];
      if (to === undefined || buttons[to] === undefined) return;
      event.preventDefault();
      buttons[to].focus();
      press(buttons[to]);
    });
  }
  const ends = h("div", { class: "axis" }, h("span", {}, name(all[0])), said, h("span", {}, name(all[all.length - 1])));
  return h("div", {}, h("div", { class: "day-bars", role: "group", "aria-label": label }, ...buttons), ends);
}

/** @param {Part} part */
function about(part) {
  if (part.segments === 0) return "no segment";
  return `${counted(part.records, "record")}, ${bytes(part.bytes)}, ${stateOf(part)}`;
}

/** @param {Part} part */
function stateOf(part) {
  if (part.states.size === 1) return [...part.states.keys()][0];
  return [...part.states].map(([state, n]) => `${number(n)} ${state}`).join(", ");
}

/** @param {Part} part */
function keysOf(part) {
  if (part.segments === 0) return "–";
  return span((part.lastKey - Date.now()) / SECOND);
}

/**
 * @param {readonly Part[]} all
 * @param {(from: number) => void} choose
 */
function dayTable(all, choose) {
  const held = all.filter((part) => part.segments > 0).toReversed();
  const name = (/** @type {Part} */ part) => h("button", { class: "link", type: "button", onclick: () => choose(part.from) }, dayName(part));
  return h("details", {}, h("summary", {}, "As a table"), partTable(held, "Day", name));
}

/**
 * @param {readonly Part[]} parts
 * @param {string} first the heading of the first column
 * @param {(part: Part) => Node | string} name
 */
function partTable(parts, first, name) {
  const most = Math.max(1, ...parts.map((part) => part.records));
  const heading = (/** @type {string} */ text, isNumber = false) => h("th", { scope: "col", class: isNumber && "number" }, text);
  return h("div", { class: "scrolls", tabindex: 0, role: "region", "aria-label": `${first}s as a table` },
    h("table", { class: "parts" },
      h("thead", {}, h("tr", {}, heading(first), heading("Records", true), h("td", {}), heading("On disk", true), heading("State"), heading("Key destroyed in"))),
      h("tbody", {}, ...parts.map((part) => h("tr", { class: isBroken(part) && "is-broken" },
        h("th", { scope: "row" }, name(part)),
        h("td", { class: "number" }, number(part.records)),
        h("td", { class: "meter" }, meter(part.records / most)),
        h("td", { class: "number" }, bytes(part.bytes)),
        h("td", {}, stateOf(part)),
        h("td", { title: `${utc(part.lastKey)} UTC` }, keysOf(part)))))));
}

/** @param {number} share */
function meter(share) {
  const bar = h("span", { class: "meter-fill" });
  bar.style.inlineSize = `${share * 100}%`;
  return bar;
}

/**
 * @param {Segment[]} segments
 * @param {Part} day
 */
function hoursOf(segments, day) {
  const heading = h("h2", {}, `The hours of ${dayName(day)} (UTC)`);
  if (day.segments === 0) return [heading, h("p", { class: "soft" }, "The log holds nothing of this day.")];
  const held = hours(segments, day.from).filter((part) => part.segments > 0);
  const broken = held.filter((part) => isBroken(part));
  return [
    heading,
    ...broken.map((part) => h("p", { class: "note warning" }, `${hourName(part)}: ${[...part.states.keys()].map((state) => STATES[state] ?? state).join("; ")}.`)),
    partTable(held, "Hour", hourName),
  ];
}

/** @param {Verification} report */
function verdict({ sound, chain, segments }) {
  const faulty = segments.filter((segment) => !segment.sound);
  const neighbours = /** @type {const} */ ([
    [chain.missing, "is missing: another names it, and it has not expired"],
    [chain.replaced, "was replaced: another names different content"],
    [chain.loose, "has lost its neighbour: something sealed before or after it is missing"],
  ]);
  const rebuilt = segments.reduce((sum, segment) => sum + segment.rebuilt, 0);
  return h("section", { class: `card tone tone-${sound ? "good" : "error"}` },
    h("p", { class: "lead" }, sound ? "The log is sound." : "The log is not sound."),
    h("p", { class: "soft" }, `${counted(segments.length, "segment")} read, ${counted(segments.reduce((sum, segment) => sum + segment.records, 0), "record")}.`),
    rebuilt > 0 && h("p", { class: "note warning" }, `${counted(rebuilt, "damaged chunk")} rebuilt without loss. Replace the disk.`),
    h("ul", { class: "faults" },
      ...faulty.map((segment) => h("li", {}, h("code", {}, segment.segment), ` ${faults(segment)}`)),
      ...neighbours.flatMap(([names, fault]) => names.map((name) => h("li", {}, h("code", {}, name), ` ${fault}`)))),
    chain.head !== null && h("p", { class: "hint" }, "The chain of sealed segments ends with ", h("code", { class: "hash" }, chain.head),
      ". Store it elsewhere and compare it later."));
}

/** @param {SegmentReport} segment */
function faults(segment) {
  const counts = /** @type {[string, number][]} */ ([
    ["damaged", segment.damaged], ["forged", segment.forged], ["gaps", segment.gaps], ["lost records", segment.lost_records],
  ]);
  const states = [segment.unreadable && "unreadable", segment.overdue && "overdue", segment.key === "missing" && "key missing"];
  const said = [...states.filter((state) => state !== false), ...counts.filter(([, n]) => n > 0).map(([name, n]) => `${name} ${number(n)}`)];
  return seen(said.join(", ") || segment.state);
}
