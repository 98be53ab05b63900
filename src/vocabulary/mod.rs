//! The closed sets that the registry, the log, the timeline and the edge share: each is one enum, and nobody maps one to
//! another.
//!
//! A case has a *code* (JSON, command line, API) and a *number* (disk). Both are stable; a number is never reused. The
//! macro [`codes!`](codes) makes an enum with both ways to read them. To add a case, add its line; the compiler then names
//! every place that must say something about it.

mod change;
mod codes;
mod lookup;
mod platform;
mod problem;

pub use change::{Cause, Change, ChangeKind};
pub(crate) use codes::{CodeVisitor, code_schema, codes};
pub use lookup::{HandleLoss, Reason, Route};
pub use platform::Platform;
pub use problem::{ProblemCode, Retry};
