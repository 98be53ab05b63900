//! The outcome of a row in one number.
//!
//! ```text
//! lookup    status (16 bits), route (2; 0: none), reason (8), from the top of 32: 0 (6)
//! change    cause (8), change (8), 1 (bit 30)
//! refusals  problem (8), 1 (bit 31)
//! ```

use crate::{
    query_log::record::Outcome,
    vocabulary::{Cause, ChangeKind, ProblemCode, Reason, Route},
};

const CHANGE: u32 = 1 << 30;
const REFUSALS: u32 = 1 << 31;

impl Outcome {
    pub(super) fn bits(self) -> u32 {
        match self {
            Self::Lookup { route, reason, status } => {
                let route = route.map_or(0, Route::number);
                u32::from(status) | u32::from(route) << 16 | u32::from(reason.number()) << 18
            }
            Self::Change { change, cause } => {
                CHANGE | u32::from(cause.number()) | u32::from(change.number()) << 8
            }
            Self::Refusals { code } => REFUSALS | u32::from(code.number()),
        }
    }

    /// None if it is not what [`Self::bits`] gives.
    pub(super) fn from_bits(bits: u32) -> Option<Self> {
        let byte = |shift: u32| (bits >> shift & 0xff) as u8;
        let outcome = if bits & REFUSALS != 0 {
            Self::Refusals { code: ProblemCode::from_number(byte(0))? }
        } else if bits & CHANGE != 0 {
            Self::Change {
                change: ChangeKind::from_number(byte(8))?,
                cause: Cause::from_number(byte(0))?,
            }
        } else {
            let route = match byte(16) & 3 {
                0 => None,
                number => Some(Route::from_number(number)?),
            };
            let reason = Reason::from_number(byte(18))?;
            Self::Lookup { route, reason, status: (bits & 0xffff) as u16 }
        };
        (outcome.bits() == bits).then_some(outcome)
    }
}

/// Whether the row is a lookup, whose id is in the column `request`. The id of any other row is in the column `change`.
pub(super) const fn is_lookup(bits: u32) -> bool {
    bits & (CHANGE | REFUSALS) == 0
}
