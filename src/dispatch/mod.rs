//! One lookup from question to answer: quota, decide, record, answer.
//!
//! Whatever is asked, an answer leaves only after its record is in the log; so do refusals, as far as the log can take
//! them. The registry's view is held while deciding *and* handing the record over (no I/O in between), so the log's
//! order is the order in which things were true.

mod answer;
mod changes;
mod config;
mod counts;
mod decide;
mod lookup;
mod record;
mod refusal;

pub use answer::{Answer, Answered, Caller};
pub use changes::LogSink;
pub use config::Config;
pub use counts::LookupCounts;
pub use decide::{Decision, Preview, together};
pub use lookup::Dispatch;
pub use refusal::Refusal;
