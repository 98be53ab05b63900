//! The model's rules of expiring rows and flags.

use crate::{
    registry::{AccountFlag, RowKind, Rows},
    vocabulary::{Cause, ChangeKind, FlagReason},
};

use super::{
    truth::{Row, RowName, Truth},
    *,
};

/// Those that commands write by themselves.
const KINDS: [RowKind; 2] = [RowKind::Session, RowKind::Sends];
const KEYS: [&[u8]; 4] = [b"", b"a", b"a\0", b"b"];
/// Rows end after one of these, or never.
const SPANS: [Duration; 3] = [Duration::from_micros(1), LEASE, Duration::from_secs(11 * 86_400)];

/// What a plan does to one row, by numbers.
#[derive(Clone, Debug)]
pub(in crate::registry::tests) struct RowStep {
    kind: RowKind,
    key: &'static [u8],
    /// None removes it.
    put: Option<(Option<Duration>, u8)>,
}

/// What a plan read of every row, after each of its steps.
pub(in crate::registry::tests) type Seen = Vec<Option<Vec<u8>>>;

pub(in crate::registry::tests) fn row_steps() -> impl Strategy<Value = Vec<RowStep>> {
    let span = prop_oneof![
        1 => Just(None),
        3 => prop::sample::select(SPANS.to_vec()).prop_map(Some),
    ];
    let put = prop_oneof![
        1 => Just(None),
        3 => (span, 0..3u8).prop_map(Some),
    ];
    let row = (prop::sample::select(KINDS.to_vec()), prop::sample::select(KEYS.to_vec()), put);
    let step = row.prop_map(|(kind, key, put)| RowStep { kind, key, put });
    prop::collection::vec(step, 1..5)
}

/// Carries the steps out in a plan.
pub(in crate::registry::tests) fn change(rows: &mut Rows<'_>, steps: &[RowStep]) -> Seen {
    let mut seen = Vec::new();
    for RowStep { kind, key, put } in steps {
        match put {
            None => rows.remove(*kind, key),
            Some((span, value)) => {
                let ends_at = span.map(|span| rows.now().plus(span));
                rows.put(*kind, key, ends_at, vec![*value; usize::from(*value)]);
            }
        }
        seen.extend(all().map(|(kind, key)| rows.get(kind, key).map(<[u8]>::to_vec)));
    }
    seen
}

fn all() -> impl Iterator<Item = RowName> {
    KINDS.into_iter().flat_map(|kind| KEYS.into_iter().map(move |key| (kind, key)))
}

impl Truth {
    /// That a row has ended is no change by a command.
    pub(in crate::registry::tests) fn drop_ended(&mut self, now: Timestamp) {
        self.rows.retain(|_, (ends_at, _)| ends_at.is_none_or(|end| now < end));
        self.cleared.retain(|_, until| now < *until);
    }

    pub(in crate::registry::tests) fn change_rows(
        &mut self,
        steps: &[RowStep],
        now: Timestamp,
    ) -> Seen {
        let mut seen = Vec::new();
        for RowStep { kind, key, put } in steps {
            match put {
                None => drop(self.rows.remove(&(*kind, *key))),
                Some((span, value)) => {
                    let ends_at = span.map(|span| now.plus(span));
                    let value = vec![*value; usize::from(*value)];
                    self.rows.insert((*kind, *key), (ends_at, value));
                }
            }
            seen.extend(all().map(|row| self.rows.get(&row).map(|(_, value)| value.clone())));
        }
        seen
    }

    pub(in crate::registry::tests) fn flag(
        &mut self,
        account: AccountId,
        reason: FlagReason,
        now: Timestamp,
    ) -> bool {
        if self.devices_of(account) == 0 || self.flags.contains_key(&account) {
            return false;
        }
        self.flags.insert(account, AccountFlag { reason, at: now });
        let cause = Cause::Flag(reason);
        self.tell([(ChangeKind::AccountFlagged, None, None, Some(account), cause)]);
        true
    }

    pub(in crate::registry::tests) fn clear_flag(&mut self, account: AccountId) -> bool {
        self.cleared.remove(&account);
        let had_one = self.flags.remove(&account).is_some();
        if had_one {
            let cause = Cause::Operator;
            self.tell([(ChangeKind::AccountCleared, None, None, Some(account), cause)]);
        }
        had_one
    }

    /// That rows and flags are read as they are.
    pub(in crate::registry::tests) fn check_rows(&self, registry: &Registry, now: Timestamp) {
        let is_there = |row: &Row| row.0.is_none_or(|end| now < end);
        let rows = registry.rows().expect("it is loaded");
        for (kind, key) in all() {
            let expected = self.rows.get(&(kind, key)).filter(|row| is_there(row));
            let expected = expected.map(|(_, value)| &value[..]);
            assert_eq!(rows.get(kind, key), expected, "{kind:?} {key:?}");
        }
        for kind in KINDS {
            let mut seen = 0;
            rows.each(kind, |_, _| seen += 1);
            let there = self.rows.iter().filter(|((one, _), row)| *one == kind && is_there(row));
            assert_eq!(seen, there.count());
            assert!((seen..=KEYS.len()).contains(&rows.count(kind)));
        }
        drop(rows);
        let mut flags: Vec<_> =
            self.flags.iter().map(|(account, flag)| (*account, *flag)).collect();
        flags.sort_by_key(|(account, flag)| (std::cmp::Reverse(flag.at), *account));
        for most in [flags.len() + 1, 1] {
            let newest = registry.newest_flags(most).expect("it is loaded");
            assert_eq!(newest, flags[..most.min(flags.len())]);
        }
        assert_eq!(registry.flag_count(), flags.len());
        for account in self.devices.values().map(|device| device.account) {
            assert_eq!(registry.flag_of(account), self.flags.get(&account).copied());
        }
    }
}
