// The views, in the order of the navigation. The first is the start page. Each has the name of its module.

/** @type {readonly import("./types.js").ViewEntry[]} */
export const VIEWS = [
  { id: "why", letter: "w", label: "Why", load: () => import("./views/why.js") },
  { id: "search", letter: "s", label: "Search", load: () => import("./views/search.js") },
  { id: "flips", letter: "f", label: "Flips", load: () => import("./views/flips.js") },
  { id: "segments", letter: "e", label: "Segments", load: () => import("./views/segments.js") },
  { id: "audit", letter: "a", label: "Audit", load: () => import("./views/audit.js") },
  { id: "quotas", letter: "q", label: "Quotas", load: () => import("./views/quotas.js") },
  { id: "doctor", letter: "d", label: "Doctor", load: () => import("./views/doctor.js") },
];
