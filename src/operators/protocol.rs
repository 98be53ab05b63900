//! What goes over the socket: one line of JSON there, one back, then the connection ends.

use serde::{Deserialize, Serialize};

use super::{
    error::OperatorsError,
    operator::{Operator, Role, TokenHash},
};

/// Bytes of a request at most, with its line feed.
pub(super) const REQUEST_BYTES_MAX: u64 = 1_024;
/// Bytes of an answer at most: the list of [`OPERATORS_MAX`](crate::limits::OPERATORS_MAX) operators has less than 256 for each.
pub(super) const ANSWER_BYTES_MAX: u64 = 256 * crate::limits::OPERATORS_MAX as u64;

/// What a command asks of a running server.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum Request {
    List,
    /// Whether an operator of this name can be added.
    Check {
        name: String,
    },
    Add {
        name: String,
        role: Role,
        token_sha256: TokenHash,
    },
    Revoke {
        name: String,
    },
    /// Whether a node of this name can be invited.
    CheckInvite {
        node: String,
    },
    Invite {
        node: String,
        token_sha256: TokenHash,
    },
    RemoveNode {
        node: String,
    },
}

/// The answer of a running server. A change is durable.
pub(super) type Answer = Result<Listed, OperatorsError>;

/// The list, if it was asked for; otherwise nothing.
pub(super) type Listed = Vec<Operator>;

/// A line of JSON.
pub(super) fn line<T: Serialize>(message: &T) -> Vec<u8> {
    let mut line = serde_json::to_vec(message).expect("a message has a JSON form");
    line.push(b'\n');
    line
}
