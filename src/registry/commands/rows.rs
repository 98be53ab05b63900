//! Commands of expiring rows: alone, or deciding whether another command runs.

use std::ops::ControlFlow;

use crate::limits;

use crate::registry::{
    directory::Registry, error::ChangeError, job::Touches, plan::Plan, row_changes::Rows,
};

/// What a command touches that changes rows only. Such commands share a transaction with any other: their reads show what
/// the commands before them changed.
fn rows_only() -> Touches {
    Touches { needs_no_record: true, ..Touches::default() }
}

impl Registry {
    /// Changes rows, and nothing else. All changes that `plan` makes become durable, or none if it returns an error. They
    /// need no record, so they are made while the log takes none. `plan` may run more than once: its last run counts.
    pub async fn change_rows<D, E>(
        &self,
        plan: impl FnMut(&mut Rows<'_>) -> Result<D, E> + Send + 'static,
    ) -> Result<D, E>
    where
        D: Send + 'static,
        E: From<ChangeError> + Send + 'static,
    {
        self.submit(rows_only(), changing(plan)).await
    }

    /// The same for a plan that depends on no time. It is carried out while the clock holds the node, too: it is decided a microsecond later
    /// than the last entry of the shared log, so a wrong clock does not show in it.
    pub async fn change_rows_at_any_time<D, E>(
        &self,
        plan: impl FnMut(&mut Rows<'_>) -> Result<D, E> + Send + 'static,
    ) -> Result<D, E>
    where
        D: Send + 'static,
        E: From<ChangeError> + Send + 'static,
    {
        // Alone, since others in its batch would be decided as early as it is.
        let touches = Touches { everything: true, is_timeless: true, ..rows_only() };
        self.submit(touches, changing(plan)).await
    }

    /// Drops rows that have ended, at most one commit's worth. Returns how many.
    pub(in crate::registry) async fn drop_ended_rows(&self) -> Result<usize, ChangeError> {
        self.submit(rows_only(), |plan| Ok(drop_ended(plan))).await
    }
}

/// Adds what `plan` changes to a batch.
fn changing<D, E>(
    mut plan: impl FnMut(&mut Rows<'_>) -> Result<D, E>,
) -> impl FnMut(&mut Plan) -> Result<D, E> {
    move |planned| {
        let (done, changes) = planned.draft_rows(&mut plan);
        let done = done?;
        planned.change_rows(changes);
        Ok(done)
    }
}

/// Lets `decide` read and change rows. If it continues, `command` runs in the same transaction, and if that fails, the row
/// changes are dropped, too.
pub(super) fn decided_by<B, D, E>(
    plan: &mut Plan,
    decide: impl FnOnce(&mut Rows<'_>) -> ControlFlow<B>,
    command: impl FnOnce(&mut Plan) -> Result<D, E>,
) -> Result<ControlFlow<B, D>, E> {
    let (decision, changes) = plan.draft_rows(decide);
    let done = match decision {
        ControlFlow::Break(refused) => ControlFlow::Break(refused),
        ControlFlow::Continue(()) => ControlFlow::Continue(command(plan)?),
    };
    plan.change_rows(changes);
    Ok(done)
}

fn drop_ended(plan: &mut Plan) -> usize {
    plan.ended_rows = plan.shared.ended_rows(plan.now, limits::REGISTRY_COMMIT_CHANGES_MAX);
    plan.ended_rows.len()
}
