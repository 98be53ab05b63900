//! One lookup from question to answer: quota, decide, record, answer.
//!
//! Whatever is asked, an answer leaves only after its record is in the log; so do refusals, as far as the log can take
//! them. Beyond the limits of the [`quota`](crate::quota), refusals are counted: one record a minute for each reason. The crate's
//! documentation says why their order in the log is the order in which things were true.

mod answer;
mod charge;
mod charging;
mod config;
mod counts;
mod decide;
mod lookup;
mod record;
mod refusals;

pub use answer::{Answer, Caller, Refusal};
pub use config::Config;
pub use counts::{LookupCounts, RefusalCounts};
pub use decide::{Decision, Preview, route_of, together};
pub use lookup::Dispatch;
pub use record::LogSink;
