//! What operators see of the quota.

use super::{limit::Allowance, limiter::Quota, standing::Standing, sweep::Evidence};
use crate::ids::AccountId;

/// What an account has left, and what the sweep detector counts of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaState {
    /// What it has proved.
    pub standing: Standing,
    /// New handles that it may ask for now.
    pub allowance: Allowance,
    /// New handles that it asked for lately, as far as they count for the detector. [`QuotaState::ASKED_MAX`] means that or more.
    pub asked: u32,
    /// Those of them that were answered `imessage`.
    pub hits: u32,
}

/// What the quota keeps and did since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct QuotaFigures {
    /// Asked handles that are remembered.
    pub remembered_handles: u64,
    /// Accounts with a state.
    pub accounts: u64,
    /// Bytes that both take.
    pub memory_bytes: u64,
    /// Bytes that both may take.
    pub budget_bytes: u64,
    /// Asked handles that were evicted because the memory was full. They cost again.
    pub evicted_handles: u64,
    /// Idle states of accounts that were evicted because the memory was full.
    pub evicted_accounts: u64,
    /// The part of new phone numbers of older accounts that are answered `imessage`, from 0 to 1. None until enough were asked.
    pub hit_ratio: Option<f32>,
    /// Blocks of 10,000 numbers in which accounts without an older proof get no new handles.
    pub swept_blocks: u64,
}

impl QuotaState {
    /// The most that the detector counts of one account.
    pub const ASKED_MAX: u32 = Evidence::COUNT_MAX;
}

impl Quota {
    /// What an account of this standing has left.
    pub fn state_of(&self, account: AccountId, standing: Standing) -> QuotaState {
        let (new_handles, boot) = (&self.new_handles, self.clock.boot());
        let state = new_handles.accounts.get(account);
        let allowance = new_handles.allowance(&state, standing, boot);
        let (asked, hits) = (state.evidence.asked(), state.evidence.hits());
        QuotaState { standing, allowance, asked, hits }
    }

    /// What the quota keeps and did. It locks each part of the memory for a moment.
    pub fn figures(&self) -> QuotaFigures {
        let new_handles = &self.new_handles;
        let asked = new_handles.asked.figures();
        let (accounts, account_bytes, evicted_accounts) = new_handles.accounts.figures();
        QuotaFigures {
            remembered_handles: asked.entries,
            accounts,
            memory_bytes: asked.bytes + account_bytes,
            budget_bytes: self.config.memory,
            evicted_handles: asked.evicted,
            evicted_accounts,
            hit_ratio: new_handles.detector.hit_ratio(),
            swept_blocks: new_handles.detector.swept_blocks(self.clock.now()) as u64,
        }
    }
}
