//! The operators' calls that read: one type for each request, and one for each answer or row.
//!
//! A request's doc comments are the parameters' descriptions in the API *and* the help of the command line: it derives
//! serde (a query string both ways), `IntoParams` and `clap::Args`. Its fields are text; `resolve` reads them and names
//! the parameter that is wrong, in the same words for both. Answers and rows are the types of the module that makes them
//! (a record, a segment's report, a timeline's entry), or stand here.

mod audit;
mod call;
mod flips;
mod invalid;
mod page;
mod parse;
mod records;
mod registry;
mod reports;
mod why;

pub use audit::AuditRequest;
pub use call::{Call, Row};
pub use flips::FlipsRequest;
pub use invalid::Invalid;
pub use page::Page;
pub use records::{Paging, RecordFilter, SearchRequest};
pub use registry::{ImportPhase, ImportState, LiveFigures, MemoryFigures, RegistryFigures};
pub use reports::{
    AuditVerifyRequest, ExportRequest, ForgottenRequest, SegmentsRequest, VerifyRequest,
};
pub use why::{Timeline, TimelineLine, WhyRequest};
