//! Operators: tokens and roles of those who may use the operators' listener.
//!
//! The list is one small file, `registry/operators.json`. The command line replaces it under a lock. A running server reads
//! it again when it has changed, so adding or revoking an operator needs no restart. The file holds names, roles and
//! SHA-256 hashes of 256-bit random tokens, never a token. A slow password hash would add nothing to that many random bits.

mod config;
mod list;
mod operator;

pub use config::Config;
pub use list::{NewOperator, Operators, OperatorsError};
pub use operator::{Operator, OperatorToken, Role, is_name};
