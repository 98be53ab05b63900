//! The operators' console: a static application that the operators' listener serves at `/console/`.
//!
//! It is plain ES modules, without a framework and without a build. It speaks to the documented calls of that listener only, so
//! their authorization, their audit and their limits hold by themselves. `docs/adr/0032-console.md` says why.
//!
//! ```text
//! index.html          loads the style sheets and app/main.js
//! app/main.js         the start: session, API, shell, router
//! app/views.js        the table of the views, with a letter for each
//! app/views/*.js      a view each: `title` and `mount(root, ctx)`, which returns an unmount function
//! app/router.js       shows the view that the address names
//! app/shell.js        header, navigation, sign-in, status lines
//! app/api.js          calls: JSON, NDJSON, server-sent events, problems
//! app/session.js      the token, the case
//! app/dom.js          builds elements from text; shows text of strangers safely
//! app/format.js       times, numbers, bytes, shell words
//! app/rows.js         a table of many rows, of which the page holds the visible ones
//! app/nodes.js        reports of each node of a cluster
//! app/reading.js      a place on the page that a call fills: the wait, the answer, or why there is none
//! app/field.js        a box with its label, and a form of such boxes
//! app/table.js        a table of few rows
//! app/sentences.js    the server's text as sentences
//! app/command.js      the command line that does what a view does
//! app/bins.js         counts over time, while rows stream in; app/histogram.js draws them
//! app/days.js         segments by hour and by day
//! app/completion.js   suggestions for boxes: closed sets of the API, and values that rows had
//! app/search/*.js     the parts of the view Search
//! app/spans.js        when a handle had which colour; app/band.js draws it
//! app/health.js       whether the service is well; lookups.js, tail.js and topflips.js are parts of it
//! ```

/// The name of the page among [`FILES`].
pub const PAGE: &str = "index.html";

macro_rules! files {
    ($($name:literal),* $(,)?) => { &[$(($name, include_bytes!($name))),*] };
}

/// Every file of the console: its name below `/console/` and its bytes.
pub const FILES: &[(&str, &[u8])] = files![
    "index.html",
    "icon.svg",
    "app/api.js",
    "app/band.js",
    "app/bins.js",
    "app/command.js",
    "app/completion.js",
    "app/days.js",
    "app/dom.js",
    "app/field.js",
    "app/format.js",
    "app/health.js",
    "app/histogram.js",
    "app/keys.js",
    "app/lookups.js",
    "app/main.js",
    "app/metrics.js",
    "app/nodes.js",
    "app/reading.js",
    "app/router.js",
    "app/routes.js",
    "app/rows.js",
    "app/sentences.js",
    "app/session.js",
    "app/shell.js",
    "app/spans.js",
    "app/table.js",
    "app/tail.js",
    "app/theme.css",
    "app/topflips.js",
    "app/types.js",
    "app/views.css",
    "app/views.js",
    "app/search/filters.js",
    "app/search/form.js",
    "app/search/found.js",
    "app/search/notes.js",
    "app/search/page.js",
    "app/search/record.js",
    "app/search/rules.js",
    "app/search/table.js",
    "app/views/audit.js",
    "app/views/doctor.js",
    "app/views/flips.js",
    "app/views/quotas.js",
    "app/views/search.js",
    "app/views/segments.js",
    "app/views/why.js",
];

#[cfg(test)]
mod tests;
