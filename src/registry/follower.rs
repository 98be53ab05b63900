//! How far a registry has come in its shared log, for those who wait for it.

use futures_util::{FutureExt as _, future::BoxFuture};

use super::{
    directory::{Registry, Stage},
    entry::{ClusterId, NodeId},
    hold::Hold,
    job::Message,
    member::LogPosition,
};
use crate::shared_log::{Follower, Head, Stopped};

impl Registry {
    /// How far it has come in its shared log.
    pub fn log_position(&self) -> LogPosition {
        self.shared.position.get()
    }

    /// Which node of which cluster it belongs to. None if it follows no shared log.
    pub fn node(&self) -> Option<(ClusterId, NodeId)> {
        self.member.as_ref().map(|member| (member.cluster, member.node))
    }

    /// How often another node appended first, since the start.
    pub fn lost_races(&self) -> u64 {
        self.shared.position.lost_races()
    }

    /// Refuses every change from now on for this reason, or takes changes again. Lookups go on, and what other nodes append is applied.
    pub fn hold(&self, why: Option<Hold>) {
        self.shared.hold.set(why);
    }

    /// Why it refuses every change.
    pub fn held(&self) -> Option<Hold> {
        let shared = &self.shared;
        let is_ahead = || self.member.is_some() && shared.position.is_ahead(shared.clock.now());
        shared.hold.get().or_else(|| is_ahead().then_some(Hold::EntryAhead))
    }

    /// An operator says that the clock of this node is right. So what it decides next may be earlier than the last entry, which ends
    /// [`Hold::EntryAhead`] here, and on the other nodes once they have applied it.
    pub fn trust_clock(&self) {
        self.shared.position.distrust();
    }
}

impl Follower for Registry {
    fn applied(&self) -> Head {
        self.log_position().applied
    }

    fn nudge(&self, place: u64) {
        if self.shared.position.nudge(place)
            && let Stage::Started(sender) = &*self.stage()
        {
            // A writer with a full queue is at work: it sees the place before its next command.
            let _ = sender.try_send(Message::Nudge);
        }
    }

    fn reached(&self, place: u64) -> BoxFuture<'_, Result<Head, Stopped>> {
        let mut told = self.shared.position.subscribe();
        async move {
            let is_known = |position: &LogPosition| {
                position.stopped.is_some() || place <= position.applied.place
            };
            let position = told.wait_for(is_known).await;
            let position = position.expect("the sender lives as long as the registry");
            position.stopped.map_or(Ok(position.applied), |why| Err(why.into()))
        }
        .boxed()
    }
}
