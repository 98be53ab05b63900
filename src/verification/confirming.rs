//! Answers to codes: what a right code proves is done in the transaction that uses it up.

use std::ops::ControlFlow;

use crate::{
    clock::Timestamp,
    handle::Handle,
    ids::VerificationId,
    registry::{ChangeError, Loading, Rows},
};

use super::{
    code::CodeHash,
    error::ConfirmError,
    rows::apply,
    send_limits::count_answered,
    service::VerificationService,
    session::{self, Answered, Session},
    typed,
};

/// What a right code changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Confirmed {
    /// The handle is bound to the device.
    Bound {
        /// The handle that was proved.
        handle: Handle,
        /// When the right code came.
        proved_at: Timestamp,
    },
    /// No device has the handle any more.
    Deregistered {
        /// The handle that was taken from its devices.
        handle: Handle,
    },
}

/// Why nothing is to be proved: the code is not right, or was right before, at an instant.
type Answer = Result<Timestamp, ConfirmError>;

impl VerificationService {
    /// Binds or deregisters the session's handle if `text` is the code that was sent last, however it is typed. The same
    /// code gives the same answer for a minute. A wrong code is counted, durably, before it is refused; a text without six
    /// digits is refused and costs nothing.
    pub async fn confirm(
        &self,
        verification: VerificationId,
        text: &str,
    ) -> Result<Confirmed, ConfirmError> {
        let digits = typed::digits(text);
        let code = digits.map(|digits| CodeHash::of(&self.rules.key, verification, &digits));
        let session = {
            let rows = self.registry.rows().map_err(|Loading| ChangeError::Loading)?;
            let session = session::find(&rows, verification).ok_or(ConfirmError::Unknown)?;
            let mut answered = session.clone();
            match answered.answer(code.as_ref(), rows.now()) {
                Ok(Answered::Again(at)) => return Ok(confirmed(session, at)),
                Err(error) if !answered.has_counted(&session) => return Err(error),
                _ => session,
            }
        };
        let plan = move |rows: &mut Rows<'_>| answer(rows, verification, code.as_ref());
        let handle = session.handle.clone();
        let outcome = match session.device {
            Some(device) => self.registry.prove_with(device, handle, plan).await?,
            None => {
                let outcome = self.registry.deregister_with(handle, plan).await?;
                outcome.map_continue(|()| self.clock.now())
            }
        };
        let at = match outcome {
            ControlFlow::Continue(proved_at) => proved_at,
            ControlFlow::Break(answer) => answer?,
        };
        Ok(confirmed(session, at))
    }
}

/// Judges a code, and counts it. Continues if it is right.
fn answer(rows: &mut Rows<'_>, id: VerificationId, code: Option<&CodeHash>) -> ControlFlow<Answer> {
    let Some(before) = session::find(rows, id) else {
        return ControlFlow::Break(Err(ConfirmError::Unknown));
    };
    let mut session = before.clone();
    match session.answer(code, rows.now()) {
        Ok(Answered::Right) => {
            let mut changes = vec![session.row(id)];
            count_answered(rows, &session.handle, session.class, &mut changes);
            apply(rows, changes);
            ControlFlow::Continue(())
        }
        Ok(Answered::Again(at)) => ControlFlow::Break(Ok(at)),
        Err(error) => {
            if session.has_counted(&before) {
                apply(rows, vec![session.row(id)]);
            }
            ControlFlow::Break(Err(error))
        }
    }
}

fn confirmed(session: Session, at: Timestamp) -> Confirmed {
    let handle = session.handle;
    match session.device {
        Some(_) => Confirmed::Bound { handle, proved_at: at },
        None => Confirmed::Deregistered { handle },
    }
}
