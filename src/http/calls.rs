//! Which call of a listener a request is, for its metrics.
//!
//! The calls come from the listener's OpenAPI description, so a new call is counted under its `operationId` without a line
//! here. The names are the only values of the label `call`: a path may hold a handle.

use axum::http::Method;
use utoipa::openapi::{OpenApi, PathItem, path::Operation};

use super::fence;

/// Requests that are no call of the listener: unknown paths, and known paths with another method.
const OTHER: &str = "other";
/// Calls whose answer ends only when the client leaves.
const ENDLESS: [&str; 2] = ["tailLog", "tailLogByBody"];
/// Routes that the description does not list: the path and the call that they belong to.
const UNDESCRIBED: [(&str, &str); 4] = [
    ("/v1/lookup/", "lookup"),
    ("/docs/{file}", "getDocs"),
    ("/console", "getConsole"),
    ("/console/{*file}", "getConsole"),
];

/// Whether the time of a call is measured, and up to which moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timing {
    /// It is not measured.
    None,
    /// A lookup: until its answer is ready.
    Lookup,
    /// A call that reads the logs: until the end of its answer's body.
    Read,
}

/// One call of a listener: an index into [`Calls::all`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Call(pub(super) usize);

impl Call {
    /// What is no call of the listener.
    pub(super) const OTHER: Self = Self(0);
}

/// The name of a call, and what of it is measured.
#[derive(Debug)]
pub(super) struct CallKind {
    pub(super) name: String,
    pub(super) timing: Timing,
    /// Whether it waits behind the fence, if there is one.
    pub(super) is_fenced: bool,
}

#[derive(Debug)]
struct Route {
    method: Method,
    template: String,
    has_parameter: bool,
    call: Call,
}

/// The calls of one listener.
#[derive(Debug)]
pub(super) struct Calls {
    /// Index 0 is `other`.
    all: Vec<CallKind>,
    routes: Vec<Route>,
    /// `GET /v1/lookup/{handle}`, if this listener has it.
    lookup: Call,
    /// `POST /v1/lookup`, if this listener has it.
    batch: Call,
}

impl Calls {
    /// The calls that `description` lists.
    pub(super) fn of(description: &OpenApi) -> Self {
        let other = CallKind { name: OTHER.to_owned(), timing: Timing::None, is_fenced: false };
        let (lookup, batch) = (Call::OTHER, Call::OTHER);
        let mut calls = Self { all: vec![other], routes: Vec::new(), lookup, batch };
        for (template, item) in &description.paths.paths {
            for (method, operation) in operations(item) {
                calls.add(method, template, operation);
            }
        }
        for (template, name) in UNDESCRIBED {
            if let Some(call) = calls.named(name) {
                calls.route(Method::GET, template, call);
            }
        }
        calls.lookup = calls.named("lookup").unwrap_or(Call::OTHER);
        calls.batch = calls.named("lookUpBatch").unwrap_or(Call::OTHER);
        calls
    }

    fn add(&mut self, method: Method, template: &str, operation: &Operation) {
        let name = operation.operation_id.clone().unwrap_or_else(|| OTHER.to_owned());
        let call = self.named(&name).unwrap_or_else(|| {
            let timing = timing(&name, operation);
            let is_fenced = fence::is_fenced(operation);
            self.all.push(CallKind { name, timing, is_fenced });
            Call(self.all.len() - 1)
        });
        self.route(method, template, call);
    }

    fn route(&mut self, method: Method, template: &str, call: Call) {
        let (template, has_parameter) = (template.to_owned(), template.contains('{'));
        self.routes.push(Route { method, template, has_parameter, call });
    }

    fn named(&self, name: &str) -> Option<Call> {
        self.all.iter().position(|kind| kind.name == name).map(Call)
    }

    /// Every call, `other` first.
    pub(super) fn all(&self) -> &[CallKind] {
        &self.all
    }

    /// Whether a call waits behind the fence, if there is one.
    pub(super) fn is_fenced(&self, call: Call) -> bool {
        self.all[call.0].is_fenced
    }

    /// The single lookup.
    pub(super) fn lookup(&self) -> Call {
        self.lookup
    }

    /// The batch lookup.
    pub(super) fn batch(&self) -> Call {
        self.batch
    }

    /// The call that a request with this method and path is. `HEAD` counts as `GET`, which the router answers it with.
    pub(super) fn find(&self, method: &Method, path: &str) -> Call {
        let method = if method == Method::HEAD { &Method::GET } else { method };
        let is_route = |route: &&Route| {
            route.method == *method
                && if route.has_parameter {
                    fits(&route.template, path)
                } else {
                    route.template == path
                }
        };
        self.routes.iter().find(is_route).map_or(Call::OTHER, |route| route.call)
    }
}

/// Whether the router takes `path` for a template such as `/v1/lookup/{handle}` or `/console/{*file}`.
pub(super) fn fits(template: &str, path: &str) -> bool {
    if let Some((before, _)) = template.split_once("{*") {
        return path.strip_prefix(before).is_some_and(|rest| !rest.is_empty());
    }
    template.split('/').count() == path.split('/').count()
        && template
            .split('/')
            .zip(path.split('/'))
            .all(|(part, came)| part == came || (part.starts_with('{') && !came.is_empty()))
}

fn timing(name: &str, operation: &Operation) -> Timing {
    let has_tag = |tag: &str| operation.tags.iter().flatten().any(|is| is == tag);
    if has_tag("lookup") {
        Timing::Lookup
    } else if (has_tag("log") || has_tag("audit")) && !ENDLESS.contains(&name) {
        Timing::Read
    } else {
        Timing::None
    }
}

fn operations(item: &PathItem) -> impl Iterator<Item = (Method, &Operation)> {
    let operations = [
        (Method::GET, &item.get),
        (Method::POST, &item.post),
        (Method::PUT, &item.put),
        (Method::PATCH, &item.patch),
        (Method::DELETE, &item.delete),
    ];
    operations.into_iter().filter_map(|(method, operation)| Some((method, operation.as_ref()?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{operator, phone};

    #[test]
    fn every_route_is_counted_under_its_own_name() {
        let (phones, operators) = (phone::traffic(), operator::traffic());
        let (phones, operators) = (phones.calls(), operators.calls());
        let name = |calls: &Calls, method: Method, path: &str| {
            calls.all()[calls.find(&method, path).0].name.clone()
        };
        for (method, path, is) in [
            (Method::GET, "/v1/lookup/%2B14155550123", "lookup"),
            (Method::HEAD, "/v1/lookup/ann@example.com", "lookup"),
            (Method::GET, "/v1/lookup/", "lookup"),
            (Method::POST, "/v1/lookup", "lookUpBatch"),
            (Method::DELETE, "/v1/devices/me", "signOut"),
            (Method::GET, "/docs/start.js", "getDocs"),
            (Method::PUT, "/v1/lookup", "other"),
            (Method::GET, "/v1/lookup/a/b", "other"),
            (Method::GET, "/v1/log", "other"),
            (Method::OPTIONS, "/livez", "other"),
        ] {
            assert_eq!(name(phones, method, path), is, "{path}");
        }
        for (path, is) in [
            ("/v1/log", "searchLog"),
            ("/v1/handles/%2B14155550123/timeline", "getTimeline"),
            ("/v1/handles//timeline", "other"),
            ("/metrics", "getMetrics"),
            ("/console/", "getConsole"),
            ("/console/app/main.js", "getConsole"),
            ("/consoles/x", "other"),
            ("/v1/lookup/x", "other"),
        ] {
            assert_eq!(name(operators, Method::GET, path), is, "{path}");
        }
        for calls in [phones, operators] {
            let others = calls.all().iter().filter(|kind| kind.name == OTHER).count();
            assert_eq!(others, 1, "an operation has no operationId");
        }
    }

    #[test]
    fn lookups_and_reading_calls_are_timed() {
        let timed = |calls: &Calls, timing| -> Vec<_> {
            let kinds = calls.all().iter().filter(|kind| kind.timing == timing);
            kinds.map(|kind| kind.name.clone()).collect()
        };
        let (phones, operators) = (phone::traffic(), operator::traffic());
        let (phones, operators) = (phones.calls(), operators.calls());
        let mut lookups = timed(phones, Timing::Lookup);
        lookups.sort();
        assert_eq!(lookups, ["lookUpBatch", "lookup"]);
        assert!(timed(phones, Timing::Read).is_empty());
        let reads = timed(operators, Timing::Read);
        for name in ["searchLog", "exportLog", "getTimeline", "listFlips", "verifyAudit"] {
            assert!(reads.iter().any(|read| read == name), "{name}: {reads:?}");
        }
        assert!(!reads.iter().any(|read| ENDLESS.contains(&read.as_str())));
        assert!(timed(operators, Timing::Lookup).is_empty());
    }
}
