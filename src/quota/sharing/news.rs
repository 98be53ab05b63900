//! [`QuotaNews`]: what a node tells the others of its quotas.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    quota::{counter::Counter, keyed::Key},
    redacted::redacted_debug,
};

/// What a node tells another one of its quotas.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QuotaNews {
    /// What it charged and has not told.
    pub spent: Vec<Spent>,
    /// What is owed to allowances as it knows. It is told to a node that has missed what was spent.
    pub owed: Vec<Owed>,
    /// The fingerprints of new handles that it answered, under the key of the cluster.
    pub asked: Vec<u64>,
}

/// Units of an allowance that a node has charged.
#[derive(Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Spent {
    /// The allowance.
    pub counter: Counter,
    /// Whose it is: the account as a number, the network as a number, or 0.
    pub key: u64,
    /// How many. Negative if a charge is taken back.
    pub units: i64,
}

/// How much of an allowance is used.
#[derive(Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Owed {
    /// The allowance.
    pub counter: Counter,
    /// Whose it is: the account as a number, the network as a number, or 0.
    pub key: u64,
    /// The span in microseconds after which the allowance is whole again.
    pub debt_us: u64,
}

/// What a node answers that was told of quotas.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QuotaReceipt {
    /// The random number of its process, in hexadecimal, as it tells it of itself. A process that began again has forgotten what only the memory
    /// had.
    #[schema(example = "00decade00decade")]
    pub process: String,
}

redacted_debug!(QuotaNews, Spent, Owed);

impl Spent {
    /// Of a charge.
    pub(in crate::quota) const fn new(counter: Counter, key: Key, units: u32) -> Self {
        Self { counter, key, units: units as i64 }
    }

    /// The charge that it takes back.
    pub(in crate::quota) const fn negative(self) -> Self {
        Self { units: -self.units, ..self }
    }

    /// The number of units, without its sign.
    pub(in crate::quota) fn count(&self) -> u32 {
        u32::try_from(self.units.unsigned_abs()).unwrap_or(u32::MAX)
    }
}
