//! [`Dispatch`]: one lookup from question to answer.

use std::{iter::once, sync::Arc};

use tokio::runtime::Handle as RuntimeHandle;

use super::{
    answer::{Answer, Caller, Refusal},
    charge::Charge,
    config::Config,
    counts::{LookupCounts, RefusalCounts},
    decide::{self, Decision, Preview},
    record::{answer_record, refusal_record},
};
use crate::{
    handle::{Handle, HandleError, PhoneKey},
    query_log::{AppendAck, QueryLog},
    quota::{Allowance, Quota, record_units},
    registry::{Asker, HandleState, Loading, Registry, TokenError, View},
    shutdown::Shutdown,
    vocabulary::Reason,
};

/// Answers lookups.
#[derive(Clone, Debug)]
pub struct Dispatch {
    pub(super) registry: Arc<Registry>,
    pub(super) log: QueryLog,
    pub(super) quota: Arc<Quota>,
    pub(super) counts: Arc<LookupCounts>,
    /// Refusals without a record of their own, since the start.
    pub(super) unrecorded: Arc<RefusalCounts>,
    /// Those of them that no record counts yet.
    pub(super) unlogged: Arc<RefusalCounts>,
    pub(super) shutdown: Shutdown,
    /// Of the service: requests have runtimes of their own.
    pub(super) runtime: RuntimeHandle,
    config: Config,
}

impl Dispatch {
    /// Answers from `registry`, within `quota`, into `log`. Flags of accounts are stored on the runtime that this is called in.
    pub fn new(
        registry: Arc<Registry>,
        log: QueryLog,
        quota: Arc<Quota>,
        config: Config,
        shutdown: Shutdown,
    ) -> Self {
        let (counts, unrecorded, unlogged) = Default::default();
        let runtime = RuntimeHandle::current();
        Self { registry, log, quota, counts, unrecorded, unlogged, shutdown, runtime, config }
    }

    /// What became of lookups so far.
    pub fn counts(&self) -> Arc<LookupCounts> {
        Arc::clone(&self.counts)
    }

    /// Refusals that are only counted, so far.
    pub fn unrecorded(&self) -> Arc<RefusalCounts> {
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
                let Err(exceeded) = self.quota.spend_request(asker.account).await else {
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
        let units = record_units(once(Some(&handle)));
        let charged = match self.charge(caller, asker, units, once(&handle)).await {
            Ok(charged) => charged,
            Err(exceeded) => {
                let (refusal, handles) = (Refusal::Exceeded(exceeded), vec![Some(handle)]);
                return Err(self.refuse_all(caller, Some(asker), refusal, handles).await);
            }
        };
        let counts = &self.counts;
        let (answer, reason, recorded) = match self.answer(caller, asker, &handle, &charged) {
            Ok(answered) => answered,
            Err(refusal @ Refusal::Exceeded(_)) => {
                let handles = vec![Some(handle)];
                return Err(self.refuse_all(caller, Some(asker), refusal, handles).await);
            }
            Err(refusal) => return Err(counts.add_refusal(refusal, 1)),
        };
        let route = answer.route;
        let allowance = charged.map(|charge| charge.charged.allowance);
        counts.add_committed(recorded, 1, move |counts| counts.add_answer(route, reason)).await?;
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
        if let Err(exceeded) = self.quota.spend_batch(asker.account, inputs.len()).await {
            let refusal = Refusal::Exceeded(exceeded);
            return Err(self.refuse(caller, Some(asker), refusal).await);
        }
        let handles: Vec<_> =
            inputs.iter().map(|input| self.canonical(input.as_ref(), region)).collect();
        let units = record_units(handles.iter().map(|handle| handle.as_ref().ok()));
        let charged = match self.charge(caller, asker, units, handles.iter().flatten()).await {
            Ok(charged) => charged,
            Err(exceeded) => {
                let refusal = Refusal::Exceeded(exceeded);
                let handles = handles.into_iter().map(Result::ok).collect();
                return Err(self.refuse_all(caller, Some(asker), refusal, handles).await);
            }
        };
        let (counts, count) = (&self.counts, handles.len() as u64);
        let (answers, recorded) = match self.answer_batch(caller, asker, &handles, &charged) {
            Ok(answered) => answered,
            Err(refusal @ Refusal::Exceeded(_)) => {
                let handles = handles.into_iter().map(Result::ok).collect();
                return Err(self.refuse_all(caller, Some(asker), refusal, handles).await);
            }
            Err(refusal) => return Err(counts.add_refusal(refusal, count)),
        };
        let allowance = charged.map(|charge| charge.charged.allowance);
        let outcome = |item: &BatchItem| item.as_ref().map(|(it, why)| (it.route, *why)).ok();
        let outcomes: Vec<_> = answers.iter().map(outcome).collect();
        let count_all = move |counts: &LookupCounts| {
            for outcome in outcomes {
                match outcome {
                    Some((route, reason)) => counts.add_answer(route, reason),
                    None => counts.add_malformed(),
                }
            }
        };
        counts.add_committed(recorded, count, count_all).await?;
        let answer = |item: BatchItem| item.map(|(answer, _)| answer);
        Ok((answers.into_iter().map(answer).collect(), allowance))
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
        handle: &Handle,
        charged: &Option<Charge>,
    ) -> Result<(Answer, Reason, AppendAck), Refusal> {
        let view = self.registry.view().map_err(|_| Refusal::RegistryLoading)?;
        let decision = decide::decide(&view, handle, Some(asker.account), &self.config);
        self.observe(asker, charged, |_| Some((handle, decision.route)))?;
        let recorded = self.log.append(&answer_record(caller, asker, handle, &decision))?;
        drop(view);
        Ok((self.phrase(asker, handle, &decision), decision.reason, recorded))
    }

    /// As [`Self::answer`] for many, with one record each.
    fn answer_batch(
        &self,
        caller: &Caller,
        asker: Asker,
        handles: &[Result<Handle, HandleError>],
        charged: &Option<Charge>,
    ) -> Result<(Vec<BatchItem>, AppendAck), Refusal> {
        let view = self.registry.view().map_err(|_| Refusal::RegistryLoading)?;
        // It may have signed out while the body arrived.
        view.asker(asker.device).ok_or(Refusal::TokenInvalid)?;
        let decided: Vec<_> = handles
            .iter()
            .map(|handle| {
                let handle = handle.as_ref().map_err(|error| *error)?;
                let decision = decide::decide(&view, handle, Some(asker.account), &self.config);
                Ok((handle, decision))
            })
            .collect();
        let read: Vec<_> = decided.iter().flatten().collect();
        self.observe(asker, charged, |place| {
            read.get(place).map(|(handle, decision)| (*handle, decision.route))
        })?;
        let records = decided.iter().map(|item| match item {
            Ok((handle, decision)) => answer_record(caller, asker, handle, decision),
            Err(error) => refusal_record(caller, Some(asker), None, Refusal::Handle(*error)),
        });
        let recorded = self.log.append_all(records)?;
        drop(view);
        let phrase = |(handle, decision): (_, Decision)| {
            (self.phrase(asker, handle, &decision), decision.reason)
        };
        Ok((decided.into_iter().map(|item| item.map(phrase)).collect(), recorded))
    }

    fn phrase(&self, asker: Asker, handle: &Handle, decision: &Decision) -> Answer {
        let subject = |account| self.registry.subject(asker.account, account);
        Answer {
            handle: handle.clone(),
            route: decision.route,
            subject: decision.account.map(subject),
            expires_in: decision.expires_in,
        }
    }
}

/// The answer for one handle of a batch and its reason, or why the text is no handle.
type BatchItem = Result<(Answer, Reason), HandleError>;

/// Whether any asker would be told `imessage`.
fn is_visibly_live(view: &View<'_>, key: PhoneKey) -> bool {
    matches!(
        view.probe(&Handle::Phone(key)),
        HandleState::Claimed { live_until, discoverable: true, .. } if view.now() < live_until
    )
}
