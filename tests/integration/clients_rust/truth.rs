//! What the routes of handles were, and when: from the changes that the test makes.

use std::{sync::Mutex, time::Instant};

use dispatchd_client::Route;

/// A change of a handle. It became true at an instant from its begin to its end.
struct Change {
    begun: Instant,
    ended: Option<Instant>,
    route: Route,
}

/// The changes of each handle, in their order.
pub(super) struct Truth(Vec<Mutex<Vec<Change>>>);

/// The route of a handle that nobody backs.
pub(super) fn unbacked(handle: &str) -> Route {
    if handle.contains('@') { Route::None } else { Route::Sms }
}

impl Truth {
    /// The handles have these routes for now.
    pub(super) fn new(routes: impl Iterator<Item = Route>) -> Self {
        let now = Instant::now();
        let first = |route| Mutex::new(vec![Change { begun: now, ended: Some(now), route }]);
        Self(routes.map(first).collect())
    }

    /// A change begins, before it is asked for.
    pub(super) fn begin(&self, handle: usize, route: Route) {
        let change = Change { begun: Instant::now(), ended: None, route };
        self.0[handle].lock().unwrap().push(change);
    }

    /// The last change is confirmed.
    pub(super) fn end(&self, handle: usize) {
        self.0[handle].lock().unwrap().last_mut().unwrap().ended = Some(Instant::now());
    }

    /// Whether the handle may have had the route at an instant from `since` to `until`.
    pub(super) fn may_be(
        &self,
        handle: usize,
        route: &Route,
        since: Instant,
        until: Instant,
    ) -> bool {
        let changes = self.0[handle].lock().unwrap();
        (0..changes.len()).any(|at| {
            let replaced = changes.get(at + 1).and_then(|next| next.ended);
            changes[at].route == *route
                && changes[at].begun <= until
                && replaced.is_none_or(|replaced| since <= replaced)
        })
    }

    /// How many changes were made.
    pub(super) fn changes(&self) -> usize {
        self.0.iter().map(|changes| changes.lock().unwrap().len() - 1).sum()
    }
}

#[test]
fn a_route_is_true_from_its_change_to_the_end_of_the_next() {
    let truth = Truth::new([Route::Sms].into_iter());
    let before = Instant::now();
    let is = |route: Route, since, until| truth.may_be(0, &route, since, until);
    assert!(is(Route::Sms, before, before) && !is(Route::Imessage, before, before));
    truth.begin(0, Route::Imessage);
    let amid = Instant::now();
    assert!(is(Route::Sms, amid, amid) && is(Route::Imessage, amid, amid));
    truth.end(0);
    std::thread::sleep(std::time::Duration::from_millis(1));
    let after = Instant::now();
    assert!(!is(Route::Sms, after, after) && is(Route::Imessage, after, after));
    assert!(is(Route::Sms, amid, after) && !is(Route::Imessage, before, before));
    assert_eq!(truth.changes(), 1);
}
