//! Which commands can share a commit.

use std::collections::HashSet;

use crate::{handle::Handle, ids::AccountId};

/// What a batch's commands have touched. Two commands that touch the same thing are never in one batch, because the
/// second must see what the first did.
#[derive(Default)]
pub(in crate::registry) struct Touched {
    accounts: HashSet<AccountId>,
    handles: HashSet<Handle>,
    everything: bool,
}

/// What one command touches.
pub(in crate::registry) enum Touch {
    Account(AccountId),
    Handle(Handle),
    Everything,
}

impl Touched {
    /// Adds `touches`, unless one of them is there already.
    pub(in crate::registry) fn add(&mut self, touches: Vec<Touch>) -> bool {
        let is_empty = self.accounts.is_empty() && self.handles.is_empty();
        let meets = touches.iter().any(|touch| match touch {
            Touch::Account(account) => self.accounts.contains(account),
            Touch::Handle(handle) => self.handles.contains(handle),
            Touch::Everything => !is_empty,
        });
        if self.everything || meets {
            return false;
        }
        for touch in touches {
            match touch {
                Touch::Account(account) => drop(self.accounts.insert(account)),
                Touch::Handle(handle) => drop(self.handles.insert(handle)),
                Touch::Everything => self.everything = true,
            }
        }
        true
    }
}
