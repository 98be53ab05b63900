// The views, in the order of the navigation. The first is the start page.

/** @type {readonly import("./types.js").ViewEntry[]} */
export const VIEWS = [
  { id: "why", letter: "w", label: "Why", load: () => import("./views/why.js") },
];
