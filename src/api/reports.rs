//! Calls that take a filter or nothing.

use std::borrow::Cow;

use clap::Args;
use serde::{Deserialize, Serialize};
use utoipa::{
    IntoParams,
    openapi::path::{Parameter, ParameterIn},
};

use super::{Call, Invalid, RecordFilter};
use crate::clock::Timestamp;

/// Every record that matches, in the order of storage: `GET /v1/log/export`.
#[derive(Clone, Default, Args, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ExportRequest {
    /// Which records.
    #[command(flatten)]
    pub filter: RecordFilter,
}

impl IntoParams for ExportRequest {
    fn into_params(place: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        RecordFilter::into_params(place)
    }
}

impl Call for ExportRequest {
    fn path(&self) -> Cow<'static, str> {
        "/v1/log/export".into()
    }

    fn check(&self, now: Timestamp) -> Result<(), Invalid> {
        self.filter.resolve(now).map(|_| ())
    }
}

macro_rules! without_parameters {
    ($($(#[$doc:meta])* $name:ident = $path:literal,)*) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, Args, Serialize, Deserialize, IntoParams)]
        pub struct $name {}

        impl Call for $name {
            fn path(&self) -> Cow<'static, str> {
                $path.into()
            }

            fn check(&self, _: Timestamp) -> Result<(), Invalid> {
                Ok(())
            }
        }
    )* };
}

without_parameters! {
    /// The hours of the query log.
    SegmentsRequest = "/v1/log/segments",
    /// Whether the query log is sound.
    VerifyRequest = "/v1/log/verify",
    /// Whether the query log has forgotten what expired.
    ForgottenRequest = "/v1/log/forgotten",
    /// Whether the audit log is sound.
    AuditVerifyRequest = "/v1/audit/verify",
}
