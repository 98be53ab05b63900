//! [`AccountFlag`]: an account gets no new handles.
//!
//! A flag is a row of kind [`Flag`](super::RowKind::Flag). Its key is the account's id. Its value is one byte for the reason,
//! and the instant in microseconds. Ids and instants are 8 bytes, big endian.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{clock::Timestamp, ids::AccountId, vocabulary::FlagReason};

use super::expiring::ExpiringRow;

/// An account gets no new handles until a fresh proof or an operator clears it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AccountFlag {
    /// Why it was flagged.
    pub reason: FlagReason,
    /// When it was flagged.
    #[schema(value_type = String, format = DateTime, example = "2026-11-25T10:00:00.000000Z")]
    pub at: Timestamp,
}

impl AccountFlag {
    pub(super) fn key(account: AccountId) -> [u8; 8] {
        account.bits().to_be_bytes()
    }

    pub(super) fn row(self) -> ExpiringRow {
        let at = self.at.as_micros().to_be_bytes();
        let value = [&[self.reason.number()][..], &at].concat();
        ExpiringRow { ends_at: None, value: value.into() }
    }

    /// None if the value is none that was written.
    pub(super) fn read(value: &[u8]) -> Option<Self> {
        let (reason, at) = value.split_first()?;
        let at = Timestamp::from_micros(u64::from_be_bytes(at.try_into().ok()?));
        Some(Self { reason: FlagReason::from_number(*reason)?, at })
    }
}
