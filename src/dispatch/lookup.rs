//! [`Dispatch`]: one lookup from question to answer.

use std::{
    iter::once,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{
    answer::{Answer, Caller, Refusal},
    config::Config,
    decide::{self, Decision, Preview},
};
use crate::{
    handle::{Handle, HandleError, PhoneKey},
    query_log::{AppendAck, QueryLog},
    quota::{Allowance, LookupCall, Quota, record_units},
    registry::{Asker, HandleState, Loading, Registry, TokenError, View},
    vocabulary::Reason,
};

/// How many lookups ended with each reason, by the reason's number.
#[derive(Debug)]
pub struct LookupCounts([AtomicU64; 256]);

impl Default for LookupCounts {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; 256])
    }
}

impl LookupCounts {
    pub(super) fn add(&self, reason: Reason, count: u64) {
        self.0[usize::from(reason.number())].fetch_add(count, Ordering::Relaxed);
    }

    /// The count, which begins again at zero.
    pub(super) fn take(&self, reason: Reason) -> u64 {
        self.0[usize::from(reason.number())].swap(0, Ordering::Relaxed)
    }

    /// Handles asked for that ended this way, since the start.
    pub fn of(&self, reason: Reason) -> u64 {
        self.0[usize::from(reason.number())].load(Ordering::Relaxed)
    }
}

/// Answers lookups.
#[derive(Clone, Debug)]
pub struct Dispatch {
    registry: Arc<Registry>,
    pub(super) log: QueryLog,
    pub(super) quota: Arc<Quota>,
    pub(super) counts: Arc<LookupCounts>,
    /// Refusals without a record of their own, since the start.
    pub(super) unrecorded: Arc<LookupCounts>,
    /// Those of them that no record counts yet.
    pub(super) unlogged: Arc<LookupCounts>,
    config: Config,
}

impl Dispatch {
    /// Answers from `registry`, within `quota`, into `log`.
    pub fn new(registry: Arc<Registry>, log: QueryLog, quota: Arc<Quota>, config: Config) -> Self {
        let (counts, unrecorded, unlogged) = Default::default();
        Self { registry, log, quota, counts, unrecorded, unlogged, config }
    }

    /// What was answered and refused so far.
    pub fn counts(&self) -> Arc<LookupCounts> {
        Arc::clone(&self.counts)
    }

    /// Refusals that are only counted, so far.
    pub fn unrecorded(&self) -> Arc<LookupCounts> {
        Arc::clone(&self.unrecorded)
    }

    /// How long answers may be reused.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What a stranger would be told about `handles` now, all from one point in time. Nobody asks: nothing is recorded,
    /// nothing counts against a quota, and what comes out is for operators, since it tells who is hidden.
    ///
    /// # Errors
    /// Until the registry is loaded.
    pub fn preview(&self, handles: &[Handle]) -> Result<Vec<Preview>, Loading> {
        let view = self.registry.view()?;
        Ok(handles.iter().map(|handle| decide::preview(&view, handle, &self.config)).collect())
    }

    /// Which device asks. Counts the request, whatever will become of it.
    ///
    /// # Errors
    /// If no device has this token, or that cannot be told yet, or its account asks too often. The refusal is recorded.
    pub async fn asker(&self, caller: &Caller, token: Option<&str>) -> Result<Asker, Refusal> {
        let refusal = match token.map(|token| self.registry.authenticate(token)) {
            Some(Ok(asker)) => {
                let Err(exceeded) = self.quota.charge_request(asker.account) else {
                    return Ok(asker);
                };
                let refusal = Refusal::Exceeded(exceeded);
                return Err(self.refuse(caller, Some(asker), refusal).await);
            }
            Some(Err(TokenError::Loading(_))) => Refusal::RegistryLoading,
            Some(Err(TokenError::Invalid)) | None => Refusal::TokenInvalid,
        };
        Err(self.refuse(caller, None, refusal).await)
    }

    /// Answers for one handle; with what the account has left, unless quotas are off. A refusal is recorded like an answer,
    /// unless the log refuses.
    pub async fn lookup(
        &self,
        caller: &Caller,
        asker: Asker,
        input: &str,
        region: Option<&str>,
    ) -> Result<(Answer, Option<Allowance>), Refusal> {
        let handle = match self.canonical(input, region) {
            Ok(handle) => handle,
            Err(error) => {
                return Err(self.refuse(caller, Some(asker), Refusal::Handle(error)).await);
            }
        };
        let call = lookup_call(caller, asker, once(Some(&handle)));
        let allowance = match self.quota.charge_lookups(call, once(&handle)) {
            Ok(allowance) => allowance,
            Err(exceeded) => {
                let (refusal, handles) = (Refusal::Exceeded(exceeded), vec![Some(handle)]);
                return Err(self.refuse_all(caller, Some(asker), refusal, handles).await);
            }
        };
        let (answer, recorded) = self.answer(caller, asker, handle)?;
        recorded.await?;
        Ok((answer, allowance))
    }

    /// Answers as [`Self::lookup`] for many handles from one point in time, in the order asked. A malformed one is an item
    /// of its own.
    pub async fn lookup_batch(
        &self,
        caller: &Caller,
        asker: Asker,
        inputs: &[impl AsRef<str>],
        region: Option<&str>,
    ) -> Result<(Vec<Result<Answer, HandleError>>, Option<Allowance>), Refusal> {
        if let Err(exceeded) = self.quota.charge_batch(asker.account, inputs.len()) {
            let refusal = Refusal::Exceeded(exceeded);
            return Err(self.refuse(caller, Some(asker), refusal).await);
        }
        let handles: Vec<_> =
            inputs.iter().map(|input| self.canonical(input.as_ref(), region)).collect();
        let call = lookup_call(caller, asker, handles.iter().map(|handle| handle.as_ref().ok()));
        let allowance = match self.quota.charge_lookups(call, handles.iter().flatten()) {
            Ok(allowance) => allowance,
            Err(exceeded) => {
                let refusal = Refusal::Exceeded(exceeded);
                let handles = handles.into_iter().map(Result::ok).collect();
                return Err(self.refuse_all(caller, Some(asker), refusal, handles).await);
            }
        };
        let (answer, recorded) = self.answer_batch(caller, asker, handles)?;
        recorded.await?;
        Ok((answer, allowance))
    }

    /// Text to handle. A string already in E.164 probes the index first: it holds canonical keys only, so a hit needs
    /// no parse. Only one that will be answered as a hit counts: were hidden or lapsed handles not parsed either, their
    /// answers would come faster than those of unknown ones, and tell.
    fn canonical(&self, input: &str, region: Option<&str>) -> Result<Handle, HandleError> {
        if let Some(key) = PhoneKey::from_e164(input)
            && self.registry.view().is_ok_and(|view| is_visibly_live(&view, key))
        {
            return Ok(Handle::Phone(key));
        }
        Handle::parse_in(input, region)
    }

    /// Decides and hands the record over, in one view. Not async: the view must not live across an await.
    fn answer(
        &self,
        caller: &Caller,
        asker: Asker,
        handle: Handle,
    ) -> Result<(Answer, AppendAck), Refusal> {
        let view = self.registry.view().map_err(|_| Refusal::RegistryLoading)?;
        let decision = decide::decide(&view, &handle, Some(asker.account), &self.config);
        let recorded = self.log.append(&self.answer_record(caller, asker, &handle, &decision))?;
        drop(view);
        Ok((self.phrase(asker, handle, &decision), recorded))
    }

    fn answer_batch(
        &self,
        caller: &Caller,
        asker: Asker,
        handles: Vec<Result<Handle, HandleError>>,
    ) -> Result<(Vec<Result<Answer, HandleError>>, AppendAck), Refusal> {
        let view = self.registry.view().map_err(|_| Refusal::RegistryLoading)?;
        // It may have signed out while the body arrived.
        view.asker(asker.device).ok_or(Refusal::TokenInvalid)?;
        let decided: Vec<_> = handles
            .into_iter()
            .map(|handle| {
                let handle = handle?;
                let decision = decide::decide(&view, &handle, Some(asker.account), &self.config);
                Ok((handle, decision))
            })
            .collect();
        let records = decided.iter().map(|item| match item {
            Ok((handle, decision)) => self.answer_record(caller, asker, handle, decision),
            Err(error) => self.refusal_record(caller, Some(asker), None, Refusal::Handle(*error)),
        });
        let recorded = self.log.append_all(records)?;
        drop(view);
        let phrase = |(handle, decision)| self.phrase(asker, handle, &decision);
        Ok((decided.into_iter().map(|item| item.map(phrase)).collect(), recorded))
    }

    fn phrase(&self, asker: Asker, handle: Handle, decision: &Decision) -> Answer {
        let subject = |account| self.registry.subject(asker.account, account);
        Answer {
            handle,
            route: decision.route,
            subject: decision.account.map(subject),
            expires_in: decision.expires_in,
        }
    }
}

fn lookup_call<'a>(
    caller: &Caller,
    asker: Asker,
    handles: impl Iterator<Item = Option<&'a Handle>>,
) -> LookupCall {
    let Asker { account, is_proven, .. } = asker;
    LookupCall { account, is_proven, ip: caller.ip, units: record_units(handles) }
}

/// Whether any asker would be told `imessage`.
fn is_visibly_live(view: &View<'_>, key: PhoneKey) -> bool {
    matches!(
        view.probe(&Handle::Phone(key)),
        HandleState::Claimed { live_until, discoverable: true, .. } if view.now() < live_until
    )
}
