//! Operators: tokens and roles of those who may read the log.
//!
//! The list is one small file, `registry/operators.json`, that the command line changes (under a lock, by writing a new
//! file and renaming it over the old one) and a running server reads again when it has changed, so that adding or
//! revoking an operator needs no restart. It holds names, roles and SHA-256 hashes of 256-bit random tokens, never a
//! token: a slow password hash would add nothing to that many random bits.

mod list;
mod operator;

pub use list::{Operators, OperatorsError};
pub use operator::{Operator, OperatorToken, Role, is_name};
