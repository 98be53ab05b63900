//! The operators' calls that read: one type for each request, and one for each answer or row.
//!
//! A request's doc comments are the parameters' descriptions in the API *and* the help of the command line: it derives
//! serde (a query string both ways), `IntoParams` and `clap::Args`. Its fields are text; `resolve` reads them and names
//! the parameter that is wrong, in the same words for both. Answers and rows are the types of the module that makes them
//! (a record, a segment's report, a timeline's entry), or stand here.

mod call;
mod log;
mod parse;
mod registry;
mod why;

pub use call::{Call, Invalid, Row};
pub use log::{
    AuditRequest, AuditVerifyRequest, FlipsRequest, ForgottenRequest, Page, Paging, RecordFilter,
    SearchMeaning, SearchRequest, SegmentsRequest, VerifyRequest,
};
pub use parse::page_limit;
pub use registry::{ImportPhase, ImportState};
pub use why::{Timeline, TimelineLine, WhyRequest};
