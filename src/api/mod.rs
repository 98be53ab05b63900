//! The API of both listeners: one type for each request, answer, row and problem.
//!
//! Handlers, the command line, the demo and tests read and write JSON through these types, and the API description is made
//! from them. Answers ignore unknown fields, so that an older client reads a newer server. Requests refuse them.
//!
//! The doc comments of an operator's request are the parameters' descriptions in the API *and* the help of the command line:
//! it derives serde (a query string both ways), `IntoParams` and `clap::Args`. Its fields are text; `resolve` reads them and
//! names the parameter that is wrong, in the same words for both. Answers and rows are the types of the module that makes
//! them (a record, a segment's report, a timeline's entry), or stand here.

mod audit;
mod call;
mod case;
mod clock;
mod cluster_place;
mod devices;
mod doctor;
mod each_node;
mod explain;
mod fields;
mod flips;
mod found;
mod handles;
mod health;
mod import;
mod log;
mod lookup;
mod of_node;
mod operators;
mod parse;
mod problem;
mod quota;
mod scope;
mod tail_note;
mod verification;
mod why;
pub mod words;

pub use audit::{AuditBody, AuditRequest};
pub use call::{Call, Invalid, Row};
pub use case::Case;
pub use clock::{ClockReport, Expiring, TrustRequest};
pub use cluster_place::{ClusterPlace, PagePlace};
pub use devices::{CheckInAnswer, LinkCodeAnswer, OwnDevice, SignUpAnswer, SignUpRequest};
pub use doctor::{Check, DoctorReport, Finding, Severity};
pub use each_node::{
    AuditVerificationAnswer, LogVerificationAnswer, NodeAuditVerification, NodeLogVerification,
};
pub use explain::read_json;
pub use fields::{Fields, Posted};
pub use flips::{FlipPartsBody, FlipPartsRequest, FlipsRequest};
pub use found::FoundRow;
pub use handles::{HandleChange, HandleRequest, ProvedHandle};
pub use health::Ready;
pub use import::{BadRowReport, BadRowsReport, ImportLine, ImportPhase, ImportReport, ImportState};
pub use log::{
    AuditVerifyRequest, FilterBody, ForgottenRequest, Page, Paging, RecordFilter, SearchBody,
    SearchMeaning, SearchRequest, SegmentsRequest, VerifyRequest,
};
pub use lookup::{
    BatchAnswer, BatchItem, BatchRequest, ItemError, LookupAnswer, LookupQuery, RefusedItem,
};
pub use of_node::{NodeCall, NodeSegment, OfNode};
pub use operators::OperatorSummary;
pub use parse::{page_limit, wrong_region};
pub use problem::{Missing, Problem};
pub use quota::{AccountQuota, FlaggedAccount, NewHandlesLeft, QuotaReport, QuotaRequest};
pub use scope::Scope;
pub use tail_note::{NodeNote, ReturnedNode};
pub use verification::{CodeRequest, Confirmation, DeregisteredHandle};
pub use why::{Timeline, TimelineLine, WhyBody, WhyFields, WhyRequest};

// Answers that the module makes which knows them. Some have here the name that the API description gives them.
pub use crate::{
    audit::{Listed as AuditEntry, VerifyReport as AuditVerification},
    clock::ClockStatus,
    cluster::{
        ClusterReport, EngineMember, ForgottenAnswer, HourKeysAnswer, HourKeysRequest, JoinAnswer,
        JoinRequest, MemberReport, MemberState, NodeForgotten, SharedKeys,
    },
    query_log::{
        Flip, FlipPart, FlipReport, FlipSummary, ForgottenReport, LogRow, NodeFromStore,
        SegmentReport, SegmentSummary, VerifyReport as LogVerification,
    },
    quota::{QuotaNews, QuotaReceipt},
    registry::{Counts, HandleDetails, Imported},
    timeline::{Entry as TimelineEntry, Summary as TimelineSummary},
    verification::{SentBy, Verification},
    vocabulary::MissingNode,
};
