//! Operators: tokens and roles of those who may use the operators' listener.
//!
//! Each operator is a row of the registry: name, role, when it was added, and the SHA-256 hash of a 256-bit random token, never a
//! token. A slow password hash would add nothing to that many random bits. A change of the list counts with the next call.
//!
//! Whoever can write the data directory changes the list through [`Reached`]: a running server by its socket, a stopped one in
//! the store. The command that adds an operator makes the token. A server gets the hash only, after the token was shown.

mod config;
mod error;
mod former;
#[cfg(feature = "testing")]
mod fuzz;
mod list;
mod node_token;
mod nodes;
mod operator;
mod protocol;
mod reached;
mod socket;
mod stopped;
#[cfg(test)]
pub(crate) mod tests;

pub use config::Config;
pub use error::{OperatorsError, ReachError};
pub use former::take_over;
#[cfg(feature = "testing")]
pub use fuzz::{former as fuzz_former, message as fuzz_message, row as fuzz_row};
pub use list::{NewOperator, Operators};
pub use node_token::node_token;
pub use nodes::{
    CLUSTER_KINDS, NEW_KEY_WANTED, NewInvite, add_node, asked_through, invited, inviter,
    is_node_name, operator_name, remove_cluster, take_invite,
};
pub use operator::{Operator, OperatorToken, Role, TokenHash, is_name};
pub use reached::Reached;
pub use socket::{SOCKET_FILE_NAME, Socket};
pub use stopped::StoppedOperators;
