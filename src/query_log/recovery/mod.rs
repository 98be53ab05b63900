//! Repairs at start what the last process left, and opens the files of a stopped server.
//!
//! | found | action |
//! | --- | --- |
//! | an end frame at the end | none: the segment is finished |
//! | whole frames, then a torn frame or other bytes | copy the rest to a `.cut` file, truncate the segment, finish it |
//! | damage with whole frames after it | report and keep it; everything else stays readable |
//! | less than a header | rename to `.cut`: no record in it was ever acknowledged |
//! | a damaged header | report and keep |
//! | no key, not expired | report and keep |
//! | a sealed file beside its frames | remove the frames if the sealed file opens and has as many records, else rename it to `.cut` |
//! | an incomplete sealed file | remove it: the frames exist |
//! | an unknown name | report and keep |
//!
//! Recovery deletes only bytes that exist whole in another file. After a crash between two steps the next start finds the
//! same file or a shorter one. The `.cut` file is durable before the segment is truncated. The end frame has the same
//! bytes each time.

pub(crate) mod inspect;
mod open;
mod repair;
mod sealed_form;

pub use open::OpenError;
pub(crate) use open::{open, open_read_only, open_with};
pub use repair::RecoveryReport;
