//! Who may use the operators' API.

use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    operators::{Operator, Role},
};

/// An operator, without its token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorSummary {
    /// The name given when it was added.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// When it was added.
    pub added_at: Timestamp,
}

impl From<&Operator> for OperatorSummary {
    fn from(operator: &Operator) -> Self {
        let Operator { name, role, added_at, .. } = operator;
        Self { name: name.clone(), role: *role, added_at: *added_at }
    }
}
