//! [`Sending`]: commits what a plan decides, and delivers its code.
//!
//! Both are one task, which does not end with its request: a client that disconnects meanwhile would leave a session whose
//! code was charged and never sent.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::oneshot;

use crate::{
    clock::SharedClock,
    ids::{MessageId, VerificationId},
    limits,
    registry::{ChangeError, Registry},
};

use super::{
    begin_plan::{BeginPlan, BegunSession, Decided},
    delivery::{DeliveryError, Message},
    delivery_tasks::{DeliveryTasks, Permit},
    error::BeginError,
    rows::apply,
    send_limits::count_unsent,
    session::{self, SentCode, Verification},
};

/// What a request for a code is answered with.
type Answer = Result<Verification, BeginError>;

/// A request for a code that nothing visible refuses.
pub(super) struct Sending {
    pub(super) registry: Arc<Registry>,
    pub(super) deliveries: Arc<DeliveryTasks>,
    pub(super) clock: SharedClock,
    /// As [`counted`] has it.
    pub(super) sessions_refused: Arc<AtomicU64>,
    pub(super) plan: BeginPlan,
    /// Held until the delivery has ended.
    pub(super) permit: Permit,
}

impl Sending {
    /// Begins or continues the session, delivers the code, and answers. An asker without a token is answered before the
    /// delivery, unless the message only becomes a line of the outbox. Nobody needs to wait for the answer.
    pub(super) async fn run(self, answer_tx: oneshot::Sender<Answer>) {
        let answer = match self.commit().await {
            Err(refused) => Err(refused),
            Ok(BegunSession { shown, sent }) => match sent.filter(|_| self.plan.may_send) {
                // To a denied country nothing is sent. An asker without a token is not told.
                None => Ok(shown),
                Some(sent) if self.plan.class.has_token() => {
                    let outcome = self.deliver(shown.verification, sent).await;
                    told(shown, outcome)
                }
                Some(sent) if self.deliveries.is_local(&shown.handle) => {
                    let _ = self.deliver(shown.verification, sent).await;
                    Ok(shown)
                }
                Some(sent) => {
                    let verification = shown.verification;
                    let _ = answer_tx.send(Ok(shown));
                    let _ = self.deliver(verification, sent).await;
                    return;
                }
            },
        };
        drop(self.permit);
        // The caller may have stopped waiting.
        let _ = answer_tx.send(answer);
    }

    async fn commit(&self) -> Result<BegunSession, BeginError> {
        let planned = self.plan.clone();
        let decided = self.registry.change_rows(move |rows| {
            let mut decided = planned.decide(rows);
            apply(rows, std::mem::take(&mut decided.changes));
            Ok::<_, BeginError>(decided)
        });
        counted(decided.await?, &self.sessions_refused)
    }

    /// Delivers the code, and undoes what a failed delivery undoes.
    async fn deliver(
        &self,
        verification: VerificationId,
        sent: SentCode,
    ) -> Result<(), DeliveryError> {
        let message = Message {
            id: MessageId::random(),
            to: self.plan.handle.clone(),
            code: self.plan.code.clone(),
            verification,
            purpose: self.plan.requester.purpose(),
            at: self.clock.now(),
        };
        let outcome = self.deliveries.deliver(message).await;
        match outcome {
            Ok(()) | Err(DeliveryError::PerhapsSent) => {}
            Err(DeliveryError::NotSent) => {
                self.undo(verification, sent, Some(limits::DELIVERY_RETRY_PAUSE)).await;
            }
            Err(DeliveryError::Paused { retry_after }) => {
                self.undo(verification, sent, Some(retry_after)).await;
            }
            Err(DeliveryError::Refused) => self.undo(verification, sent, None).await,
        }
        outcome
    }

    async fn undo(
        &self,
        verification: VerificationId,
        sent: SentCode,
        retry_after: Option<Duration>,
    ) {
        let (handle, class) = (self.plan.handle.clone(), self.plan.class);
        let undone = self.registry.change_rows(move |rows| {
            let mut changes = Vec::new();
            count_unsent(rows, &handle, class, &mut changes);
            if let Some(mut session) = session::find(rows, verification)
                && session.undo_send(&sent, retry_after, rows.now())
            {
                changes.push(session.row(verification));
            }
            apply(rows, changes);
            Ok::<_, ChangeError>(())
        });
        if let Err(error) = undone.await {
            tracing::warn!(%verification, %error, "a code that was not sent stays valid");
        }
    }
}

/// What an asker with a token is told of the delivery.
fn told(shown: Verification, outcome: Result<(), DeliveryError>) -> Answer {
    match outcome {
        Ok(()) => Ok(shown),
        Err(DeliveryError::Refused) => Err(BeginError::DeliveryRefused),
        Err(DeliveryError::Paused { retry_after }) => {
            Err(BeginError::DeliveryFailed { retry_after })
        }
        Err(DeliveryError::NotSent | DeliveryError::PerhapsSent) => {
            Err(BeginError::DeliveryFailed { retry_after: limits::DELIVERY_RETRY_PAUSE })
        }
    }
}

/// What was decided. Counts in `sessions_refused` that the table of sessions was full, and warns of a pause that begins.
pub(super) fn counted(
    decided: Decided,
    sessions_refused: &AtomicU64,
) -> Result<BegunSession, BeginError> {
    if let Some(country) = decided.paused {
        tracing::warn!(
            country,
            minutes = limits::COUNTRY_PAUSE.as_secs() / 60,
            "codes to this calling code are paused: hardly any was answered; if nobody there should get codes, add it \
             to ownership.countries.deny"
        );
    }
    if decided.begun.as_ref().err() == Some(&BeginError::Overloaded) {
        sessions_refused.fetch_add(1, Ordering::Relaxed);
    }
    decided.begun
}
