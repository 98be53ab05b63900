//! [`BeginPlan`]: decides whether a code may be sent, and which session it belongs to.

use std::{net::IpAddr, sync::Arc};

use crate::{
    handle::Handle,
    ids::{AccountId, VerificationId},
    registry::RowKind,
    vocabulary::Limit,
};

use super::{
    asker_class::AskerClass,
    code::{Code, CodeHash},
    delivery::Purpose,
    error::BeginError,
    hash_key::HashKey,
    rows::{ReadRows, RowChange},
    send_limits::{Charge, SendLimits, count_sent},
    session::{Requester, SentCode, Session, Verification, kind, latest},
};

/// What all plans share.
pub(super) struct Rules {
    pub(super) key: HashKey,
    pub(super) limits: SendLimits,
    /// Sessions at once.
    pub(super) sessions_max: usize,
}

/// A request for a code, and the code that will be sent.
#[derive(Clone)]
pub(super) struct BeginPlan {
    pub(super) rules: Arc<Rules>,
    pub(super) requester: Requester,
    pub(super) handle: Handle,
    /// Whether a message may go to the handle. If not, a session begins, and its code is sent to nobody.
    pub(super) may_send: bool,
    pub(super) class: AskerClass,
    pub(super) account: Option<AccountId>,
    /// The asker's network, as [`limits::sending_network_of`](crate::limits::sending_network_of) returns it.
    pub(super) network: Option<IpAddr>,
    /// The id that a new session gets.
    pub(super) new: VerificationId,
    pub(super) code: Code,
}

/// What a plan decides on the rows that it read.
pub(super) struct Decided {
    /// The changes that the decision needs.
    pub(super) changes: Vec<RowChange>,
    pub(super) begun: Result<BegunSession, BeginError>,
    /// The calling code of a country that the code pauses.
    pub(super) paused: Option<u16>,
}

/// The session that a request gets.
#[derive(Clone)]
pub(super) struct BegunSession {
    pub(super) shown: Verification,
    /// None: the session is open, and its code stays valid.
    pub(super) sent: Option<SentCode>,
}

impl Decided {
    /// Whether the registry is as it must be already.
    pub(super) fn needs_no_commit(&self) -> bool {
        match &self.begun {
            Ok(begun) => begun.sent.is_none(),
            Err(_) => self.changes.is_empty(),
        }
    }
}

impl BeginPlan {
    /// Decides on `rows`, and changes nothing itself.
    pub(super) fn decide(&self, rows: &impl ReadRows) -> Decided {
        let mut decided =
            Decided { changes: Vec::new(), begun: Err(BeginError::Overloaded), paused: None };
        decided.begun = self.begin(rows, &mut decided.changes, &mut decided.paused);
        decided
    }

    fn begin(
        &self,
        rows: &impl ReadRows,
        changes: &mut Vec<RowChange>,
        paused: &mut Option<u16>,
    ) -> Result<BegunSession, BeginError> {
        let now = rows.now();
        let requester = self.requester.hash(&self.rules.key, &self.handle);
        let before = latest(rows, &requester);
        let continues = self.requester.purpose() == Purpose::Bind;
        if let Some((id, session)) = &before {
            let wait = session.wait(now);
            let is_same = continues && session.is_open(now) && session.has_code();
            match wait.is_zero() {
                true => {}
                false if is_same => {
                    return Ok(BegunSession { shown: session.shown(*id), sent: None });
                }
                false => {
                    return Err(BeginError::RateLimited {
                        limit: Limit::Resend,
                        retry_after: wait,
                    });
                }
            }
        }
        let sends = before.as_ref().filter(|_| !continues).map_or(0, |(_, before)| before.sends());
        let open = before.filter(|(_, session)| continues && session.is_open(now));
        if open.is_none() {
            self.check_table(rows)?;
        }
        let mut counted = Vec::new();
        let pauses = match self.may_send {
            true => count_sent(rows, &self.handle, self.class, &mut counted)?,
            false => None,
        };
        let Self { class, account, network, .. } = *self;
        let charge = Charge { to: &self.handle, class, account, network };
        self.rules.limits.charge(rows, &self.rules.key, &charge, changes)?;
        // A code that is refused pauses nothing: it is not counted either.
        *paused = pauses;
        let (id, mut session) = open.unwrap_or_else(|| {
            let handle = self.handle.clone();
            (self.new, Session::new(self.requester, requester, handle, class, sends, now))
        });
        let hash = CodeHash::of(&self.rules.key, id, self.code.expose());
        let sent = session.send(hash, now);
        changes.extend(counted);
        changes.extend([session.row(id), session.requester_row(id)]);
        Ok(BegunSession { shown: session.shown(id), sent: Some(sent) })
    }

    /// Whether the table has space for a session of this asker. Half of it is for askers with a token, and the last quarter
    /// of that half for those whose account holds a handle. Sessions that expired lately count.
    fn check_table(&self, rows: &impl ReadRows) -> Result<(), BeginError> {
        let max = self.rules.sessions_max;
        let tokenless = rows.count(kind(Purpose::Deregister));
        let all = tokenless + rows.count(RowKind::Session);
        let is_full = match self.class {
            AskerClass::Tokenless => tokenless >= max / 2 || all >= max - max / 8,
            AskerClass::Unproven => all >= max - max / 8,
            AskerClass::Proven | AskerClass::Holder => all >= max,
        };
        if is_full { Err(BeginError::Overloaded) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{config::Config, rows::tests::RowsOfTests},
        *,
    };
    use crate::{clock::Timestamp, ids::DeviceId, limits};

    #[test]
    fn a_code_that_a_limit_refuses_pauses_no_country() {
        let rules = Arc::new(Rules {
            key: HashKey::of_tests(),
            limits: SendLimits::new(&Config::default()),
            sessions_max: 10_000,
        });
        let mut rows = RowsOfTests::at(Timestamp::from_secs(1_800_000_000));
        let mut begin = |device: u64, number: usize| {
            let handle = format!("+2526123{number:05}");
            let plan = BeginPlan {
                rules: Arc::clone(&rules),
                requester: Requester::Bind(DeviceId::from_bits(device)),
                handle: Handle::from_canonical(&handle).expect("a handle"),
                may_send: true,
                class: AskerClass::Unproven,
                account: None,
                network: None,
                new: VerificationId::random(),
                code: Code::random(),
            };
            let decided = plan.decide(&rows);
            rows.apply(decided.changes);
            (decided.begun.is_ok(), decided.paused)
        };
        let of_one = limits::CODES_PER_PERSON_UNPROVEN;
        for device in 0..of_one {
            assert_eq!(begin(device as u64, 0), (true, None));
        }
        for number in of_one..limits::COUNTRY_PAUSE_SENDS_AT_ONCE as usize - 1 {
            assert_eq!(begin(number as u64, number), (true, None));
        }
        assert_eq!(begin(5_000, 0), (false, None), "the person has had enough codes");
        assert_eq!(begin(5_001, 5_001), (true, Some(252)));
    }
}
