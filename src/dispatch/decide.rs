//! The decision: which way a message to a handle goes, and why. Pure; knows no clock, no log, no network.

use std::time::Duration;

use crate::{
    clock::Timestamp,
    handle::Handle,
    ids::{AccountId, DeviceId},
    limits,
    registry::{HandleState, View},
    vocabulary::{Reason, Route, Together},
};

use super::config::{Config, REUSE_STEPS};

/// How much earlier than it does the lease of a device seems to end, of which the end is given.
type LeaseOffset<'a> = dyn Fn(DeviceId, Timestamp) -> Duration + 'a;

/// The outcome for one handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Which way.
    pub route: Route,
    /// Why; for the log.
    pub reason: Reason,
    /// Whose handle it is, if the route is the messaging service.
    pub account: Option<AccountId>,
    /// How long the asker may reuse the answer.
    pub expires_in: Duration,
}

/// What a stranger would be told now, and what an operator may know beside it. See [`super::Dispatch::preview`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    /// The instant of the view.
    pub at: Timestamp,
    /// The decision for an account that holds nothing.
    pub decision: Decision,
    /// The account that holds the handle, though it may be hidden or silent.
    pub holder: Option<AccountId>,
    /// The spelling that decided, if it is not the one asked for.
    pub through: Option<Handle>,
    /// Since when it is so, where the registry knows: when the lease lapsed, or the handle ended.
    pub since: Option<Timestamp>,
    /// Until when the lease lasts without another check-in, if it does last.
    pub live_until: Option<Timestamp>,
}

/// Decides for `handle` as `asking` sees it in this view; without one, as somebody sees it who holds nothing.
///
/// The spelling asked for comes first. Only if nobody holds that one do its equivalents count (`+54 9…` for `+54…`), so
/// that two spellings held by two people never answer for each other. To a stranger nobody holds a hidden one: else a
/// hidden spelling would show by what its equivalent is answered.
pub(super) fn decide(
    view: &View<'_>,
    handle: &Handle,
    asking: Option<AccountId>,
    config: &Config,
) -> Decision {
    let (held, _) = find(view, handle, asking);
    let offset = |device, live_until| view.lease_offset(device, live_until);
    judge(held, handle, asking, view.now(), (config, &offset))
}

/// The same for a stranger, with what only operators may know.
pub(super) fn preview(view: &View<'_>, handle: &Handle, config: &Config) -> Preview {
    let (held, through) = find(view, handle, None);
    let at = view.now();
    let offset = |device, live_until| view.lease_offset(device, live_until);
    let decision = judge(held, handle, None, at, (config, &offset));
    let (holder, since, live_until) = match held {
        HandleState::Claimed { account, live_until, .. } if at < live_until => {
            (Some(account), None, Some(live_until))
        }
        // Of a hidden one nothing is known of since when it is hidden.
        HandleState::Claimed { account, discoverable: false, .. } => (Some(account), None, None),
        HandleState::Claimed { account, live_until, .. } => (Some(account), Some(live_until), None),
        HandleState::Tombstone { at, .. } => (None, Some(at), None),
        HandleState::Unknown => (None, None, None),
    };
    Preview { at, decision, holder, through, since, live_until }
}

/// What decides for `handle`, and under which other spelling it was found.
fn find(
    view: &View<'_>,
    handle: &Handle,
    asking: Option<AccountId>,
) -> (HandleState, Option<Handle>) {
    let asked = view.probe(handle);
    if is_held(&asked, asking) {
        return (asked, None);
    }
    handle
        .equivalents()
        .map(|equivalent| (view.probe(&equivalent), Some(equivalent)))
        .find(|(probe, _)| is_held(probe, asking))
        .unwrap_or((asked, None))
}

/// Whether somebody holds it, as far as `asking` may know.
fn is_held(probe: &HandleState, asking: Option<AccountId>) -> bool {
    matches!(*probe, HandleState::Claimed { account, discoverable, .. } if discoverable || Some(account) == asking)
}

fn judge(
    probe: HandleState,
    handle: &Handle,
    asking: Option<AccountId>,
    now: Timestamp,
    (config, offset): (&Config, &LeaseOffset<'_>),
) -> Decision {
    let not_served = |reason| {
        let (route, expires_in) = (route_of(reason, handle), config.reuse_other);
        Decision { route, reason, account: None, expires_in }
    };
    match probe {
        // Told apart from `never-registered` in the log only: a stranger's answer is the same to the byte.
        HandleState::Claimed { account, discoverable: false, .. } if Some(account) != asking => {
            not_served(Reason::Undiscoverable)
        }
        HandleState::Claimed { live_until, .. } if live_until <= now => {
            not_served(Reason::LeaseExpired)
        }
        HandleState::Claimed { account, device, live_until, .. } => Decision {
            route: Route::Imessage,
            reason: Reason::LiveDevice,
            account: Some(account),
            expires_in: reuse_within(config.reuse_live, live_until.since(now), || {
                offset(device, live_until)
            }),
        },
        HandleState::Tombstone { how, .. } => not_served(Reason::Lost(how)),
        HandleState::Unknown => not_served(Reason::NeverRegistered),
    }
}

/// The longest step that fits both `reuse` and what is `left` of a lease less its offset; the shortest one if none fits, so an
/// answer may outlast the lease by a minute.
fn reuse_within(reuse: Duration, left: Duration, offset: impl FnOnce() -> Duration) -> Duration {
    // Almost always: then no offset makes a difference.
    if left >= reuse.saturating_add(limits::LEASE_OFFSET_MAX) {
        return reuse;
    }
    let fits = reuse.min(left.saturating_sub(offset()));
    let [.., shortest] = REUSE_STEPS;
    REUSE_STEPS.into_iter().find(|step| *step <= fits).unwrap_or(shortest)
}

/// The route of an answer for `handle` with this reason.
pub const fn route_of(reason: Reason, handle: &Handle) -> Route {
    match (reason, handle) {
        (Reason::LiveDevice, _) => Route::Imessage,
        (_, Handle::Phone(_)) => Route::Sms,
        (_, Handle::Email(_)) => Route::None,
    }
}

/// The route that a whole group can use. A member without a route is no handle.
pub fn together(routes: impl Iterator<Item = Option<Route>>) -> Together {
    let mut common: Option<Route> = None;
    let mut is_mixed = false;
    for route in routes {
        match (route, common) {
            (None | Some(Route::None), _) => return Together::Route(Route::None),
            (Some(route), None) => common = Some(route),
            (Some(route), Some(other)) => is_mixed |= route != other,
        }
    }
    match common {
        _ if is_mixed => Together::Mixed,
        common => Together::Route(common.unwrap_or(Route::None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::HandleLoss;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
    const ASKING: AccountId = AccountId::from_bits(1);
    const OTHER: AccountId = AccountId::from_bits(2);
    const DEVICE: DeviceId = DeviceId::from_bits(3);
    const OFFSET: Duration = Duration::from_secs(1_000);

    fn judged(probe: HandleState, is_phone: bool) -> (Route, Reason, u64) {
        let handle = if is_phone { "+14155550123" } else { "ann@example.com" };
        let handle = Handle::from_canonical(handle).unwrap();
        let (config, offset) = (Config::default(), |_, _| OFFSET);
        let decision = judge(probe, &handle, Some(ASKING), NOW, (&config, &offset));
        assert_eq!(decision.account.is_some(), decision.route == Route::Imessage);
        (decision.route, decision.reason, decision.expires_in.as_secs())
    }

    fn claimed(account: AccountId, live_until: Timestamp, discoverable: bool) -> HandleState {
        HandleState::Claimed { account, device: DEVICE, live_until, discoverable }
    }

    #[test]
    fn a_live_device_is_blue_for_as_long_as_its_lease() {
        let soon = NOW.plus(Duration::from_secs(7));
        assert_eq!(
            judged(claimed(OTHER, soon, true), true),
            (Route::Imessage, Reason::LiveDevice, 60)
        );
        let long = NOW.plus(Duration::from_secs(90_000));
        let reuse = Config::default().reuse_live.as_secs();
        assert_eq!(judged(claimed(OTHER, long, true), false).2, reuse);
        let last = claimed(OTHER, NOW.plus(Duration::from_micros(1)), true);
        assert_eq!(judged(last, true).0, Route::Imessage);
        assert_eq!(judged(claimed(OTHER, NOW, true), true).1, Reason::LeaseExpired);
    }

    #[test]
    fn an_answer_is_reused_for_the_longest_step_that_fits_the_lease_less_its_offset() {
        let of = |left| judged(claimed(OTHER, NOW.plus(Duration::from_secs(left)), true), true).2;
        for (left, step) in [
            (7_199, 3_600),
            (4_600, 3_600),
            (4_599, 1_800),
            (2_800, 1_800),
            (2_799, 900),
            (1_900, 900),
            (1_899, 300),
            (1_300, 300),
            (1_299, 60),
            (1_000, 60),
            (1, 60),
        ] {
            assert_eq!(of(left), step, "{left}");
        }
        let zero = || Duration::ZERO;
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        for reuse in REUSE_STEPS {
            assert_eq!(reuse_within(reuse, reuse, zero), reuse);
            let untouched = || panic!("no lookup of a long lease pays for an offset");
            assert_eq!(reuse_within(reuse, reuse + minutes(60), untouched), reuse);
        }
        assert_eq!(reuse_within(minutes(15), minutes(40), zero), minutes(15));
    }

    #[test]
    fn what_is_not_live_is_green_or_nothing_with_its_reason() {
        for how in [HandleLoss::Unbound, HandleLoss::Deregistered, HandleLoss::DeviceRemoved] {
            let (state, reason) = (HandleState::Tombstone { how, at: NOW }, Reason::Lost(how));
            assert_eq!((judged(state, true).0, judged(state, true).1), (Route::Sms, reason));
            assert_eq!(judged(state, false).0, Route::None);
        }
        assert_eq!(judged(HandleState::Unknown, true).1, Reason::NeverRegistered);
    }

    #[test]
    fn the_hidden_look_unregistered_to_strangers_and_live_to_themselves() {
        let until = NOW.plus(Duration::from_secs(7));
        let stranger = judged(claimed(OTHER, until, false), true);
        let unknown = judged(HandleState::Unknown, true);
        assert_eq!((stranger.0, stranger.2), (unknown.0, unknown.2));
        assert_eq!(stranger.1, Reason::Undiscoverable);
        assert_eq!(judged(claimed(ASKING, until, false), true).0, Route::Imessage);
    }

    #[test]
    fn a_group_goes_together_only_where_everyone_can() {
        use Route::{Imessage, None as NoRoute, Sms};
        let together = |routes: &[Option<Route>]| together(routes.iter().copied()).code();
        assert_eq!(together(&[Some(Imessage), Some(Imessage)]), "imessage");
        assert_eq!(together(&[Some(Sms)]), "sms");
        assert_eq!(together(&[Some(Imessage), Some(Sms)]), "mixed");
        assert_eq!(together(&[Some(Imessage), Some(NoRoute)]), "none");
        assert_eq!(together(&[Some(Imessage), Some(Sms), None]), "none");
        assert_eq!(together(&[]), "none");
    }
}
