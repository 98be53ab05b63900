// Why is a handle blue or green? The start page.

import { isAborted } from "../api.js";
import { h, outside, replace, seen } from "../dom.js";
import { counted, time } from "../format.js";
import { failure } from "../shell.js";

/** @typedef {import("../types.js").Context} Context */
/** @typedef {{ handle: string, region: string }} Asked */

export const title = "Why is it green?";

/** What a route is called, and what it means. */
const ROUTES = {
  imessage: ["Blue", "over the messaging service"],
  sms: ["Green", "by text message"],
  none: ["Grey", "no way: an e-mail address that no live device backs"],
};
/** Entries that the page asks for: as many as a page of JSON has. */
const ENTRIES_MAX = 1000;

/**
 * @param {HTMLElement} root
 * @param {Context} ctx
 */
export function mount(root, ctx) {
  const asked = /** @type {Asked | undefined} */ (ctx.state);
  const result = h("div", { class: "view" });
  const box = h("input", {
    id: "handle",
    "data-box": "",
    class: "big",
    value: asked?.handle,
    placeholder: "+1 415 555 0123 or ann@example.com",
    autocomplete: "off",
    autocapitalize: "off",
    spellcheck: "false",
    dir: "auto",
  });
  const region = h("input", { id: "region", value: asked?.region, maxlength: 2, placeholder: "US", autocomplete: "off", spellcheck: "false" });
  /** @type {AbortController | null} */
  let asking = null;

  const ask = async () => {
    asking?.abort();
    const handle = box.value.trim();
    ctx.keep(handle === "" ? undefined : { handle, region: region.value.trim() });
    if (handle === "") {
      ctx.command(null);
      return replace(result);
    }
    const current = new AbortController();
    asking = current;
    const words = ["dispatchd", "why", handle, ...(region.value.trim() ? ["--region", region.value.trim()] : [])];
    ctx.command(words, true);
    replace(result, h("p", { class: "soft" }, "Reading 30 days…"));
    try {
      const signal = AbortSignal.any([ctx.signal, current.signal]);
      const question = { handle, limit: ENTRIES_MAX, ...(region.value.trim() && { region: region.value.trim() }) };
      /** @type {import("../types.js").Timeline} */
      const timeline = await ctx.api.post("/v1/timeline", ctx.api.withCase(question), { signal });
      show(result, timeline);
      ctx.say(seen(timeline.summary.sentence));
    } catch (error) {
      if (!isAborted(error)) replace(result, failure(error, ask));
    }
  };
  const form = h(
    "form",
    {
      class: "ask",
      role: "search",
      onsubmit: (event) => {
        event.preventDefault();
        ask();
      },
    },
    h("label", { class: "grow", for: "handle" }, "Phone number or e-mail address", box),
    h("label", { for: "region" }, "Region", region),
    h("button", { class: "button primary big" }, "Why?"),
  );
  root.append(form, result);
  ask();
  return () => asking?.abort();
}

/**
 * @param {HTMLElement} result
 * @param {import("../types.js").Timeline} timeline
 */
function show(result, { entries, summary }) {
  const [word, meaning] = summary.route === null ? ["Unknown", "the log has nothing that decides it"] : ROUTES[summary.route];
  replace(
    result,
    h(
      "section",
      { class: "card verdict", "aria-label": "Answer" },
      h("span", { class: `badge badge-${summary.route ?? "unknown"}` }, word),
      h("div", {}, h("p", { class: "handle" }, outside(summary.handle)), h("p", { class: "sentence lead" }, seen(summary.sentence)), h("p", { class: "soft" }, `A message goes ${meaning}.`)),
    ),
    h(
      "section",
      { class: "card" },
      h("h2", {}, `${counted(summary.changes, "change")}, ${counted(summary.lookups, "lookup")}`),
      h("ol", { class: "entries" }, ...entries.toReversed().map((entry) => h("li", {}, time(entry.at), h("span", { class: "sentence" }, seen(entry.sentence))))),
    ),
  );
}
