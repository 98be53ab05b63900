// Types for the checker only. The API's types are generated from docs/openapi.json.

/** @typedef {import("./openapi.js").components["schemas"]} Schemas */
/** @typedef {Schemas["Timeline"]} Timeline */
/** @typedef {Schemas["TimelineSummary"]} TimelineSummary */
/** @typedef {Schemas["TimelineEntry"]} TimelineEntry */
/** @typedef {Schemas["ChangeEntry"]} ChangeEntry */
/** @typedef {Schemas["LookupsEntry"]} LookupsEntry */
/** @typedef {Schemas["Holder"]} Holder */
/** @typedef {Schemas["Route"]} Route */
/** @typedef {Schemas["Record"]} LogRecord */
/** @typedef {Schemas["FlipReport"]} FlipReport */
/** @typedef {Schemas["Flip"]} Flip */

/**
 * What a view works with. It lives from `mount` until the view is left.
 * @typedef {object} Context
 * @property {import("./api.js").Api} api the calls
 * @property {import("./session.js").Session} session token and case
 * @property {unknown} state what `go` passed, or what the view kept when it was last shown
 * @property {(state: unknown) => void} keep remembers a state for the next time, in memory only
 * @property {(view: string, state?: unknown) => void} go shows another view
 * @property {(text: string) => void} say tells screen readers politely
 * @property {(words: readonly string[] | null, audited?: boolean) => void} command shows the command line of what is on the page, and
 *   whether reading it is audited
 * @property {AbortSignal} signal aborted when the view is left
 */

/**
 * A view: a module below `views/`.
 * @typedef {object} View
 * @property {string} title its heading
 * @property {(root: HTMLElement, ctx: Context) => (() => void)} mount fills the element, and returns what ends it. The router has
 *   put the heading before `root`.
 */

/**
 * A line of the table of views.
 * @typedef {object} ViewEntry
 * @property {string} id its name in the address: `#/id`
 * @property {string} letter the key behind `g`
 * @property {string} label its name in the navigation
 * @property {() => Promise<View>} load loads its module
 */

export {};
