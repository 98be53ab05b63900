//! `GET /metrics`: counts for Prometheus. No label holds anything personal.

use std::sync::{Arc, atomic::AtomicU64};

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::ConstCounter, gauge::ConstGauge},
    registry::Registry as Metrics,
};

use crate::{
    http::problem::{Code, Problem},
    query_log::{QueryLog, Reason},
    registry::Registry,
};
