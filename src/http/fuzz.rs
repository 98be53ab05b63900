//! Query strings and headers, as fuzz targets give them.

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri, header::AUTHORIZATION};
use ipnet::IpNet;
use serde::de::DeserializeOwned;
use utoipa::IntoParams;

use super::{auth::bearer, connection::proxy_protocol, problem::Problem, proxies::Proxies, query};
use crate::{
    api::{
        AuditRequest, AuditVerifyRequest, Call, FlipPartsRequest, FlipsRequest, ForgottenRequest,
        LookupQuery, QuotaRequest, RecordFilter, SearchRequest, SegmentsRequest, TrustRequest,
        VerifyRequest, WhyRequest,
    },
    clock::Timestamp,
    limits,
};

/// 2026-11-23T08:00:00Z.
const NOW: Timestamp = Timestamp::from_secs(1_795_420_800);

/// Reads `bytes` as the query string of each call.
///
/// # Panics
/// If a refusal quotes what may be an address, or is long.
pub fn queries(bytes: &[u8]) {
    let Ok(uri) = Uri::builder().path_and_query([b"/v1/log?", bytes].concat()).build() else {
        return;
    };
    call::<SearchRequest>(&uri);
    call::<RecordFilter>(&uri);
    call::<FlipsRequest>(&uri);
    call::<FlipPartsRequest>(&uri);
    call::<SegmentsRequest>(&uri);
    call::<VerifyRequest>(&uri);
    call::<ForgottenRequest>(&uri);
    call::<AuditRequest>(&uri);
    call::<AuditVerifyRequest>(&uri);
    call::<QuotaRequest>(&uri);
    call::<WhyRequest>(&uri);
    let _ = query::read::<TrustRequest>(&uri).map_err(|refusal| check(&refusal));
    let _ = query::read::<LookupQuery>(&uri).map_err(|refusal| check(&refusal));
}

fn call<C: Call + DeserializeOwned + IntoParams>(uri: &Uri) {
    match query::read::<C>(uri) {
        Ok(request) => {
            if let Err(invalid) = request.resolve(NOW) {
                check(&invalid.into());
            }
            if let Err(invalid) = request.window(NOW) {
                check(&invalid.into());
            }
            assert!(request.body().is_none_or(|json| json.starts_with('{')));
        }
        Err(refusal) => check(&refusal),
    }
}

/// A refusal is a sentence of ours.
fn check(refusal: &Problem) {
    let detail = &refusal.detail;
    assert!(!detail.contains('@'), "a refusal quotes an address");
    assert!(detail.len() < 1_000, "a refusal is long");
}

/// Reads each line of `bytes` as a header: first `Authorization`, then `X-Forwarded-For`, as often as there are lines.
///
/// # Panics
/// If the client's address is neither the peer's nor in a header, or a token is too long.
pub fn headers(bytes: &[u8]) {
    let mut headers = HeaderMap::new();
    let lines = bytes.split(|byte| *byte == b'\n').map(HeaderValue::from_bytes);
    for (at, line) in lines.filter_map(Result::ok).enumerate() {
        let name = if at == 0 { AUTHORIZATION } else { HeaderName::from_static("x-forwarded-for") };
        headers.append(name, line);
    }
    assert!(bearer(&headers).is_none_or(|token| token.len() <= limits::TOKEN_BYTES_MAX));
    let networks: [IpNet; 2] =
        ["10.0.0.0/8", "2001:db8::/64"].map(|net| net.parse().expect("a network"));
    let (proxies, peer) = (Proxies::from(&networks[..]), IpAddr::from([10, 0, 0, 1]));
    let origin = proxies.origin(peer, &headers);
    assert!(origin == peer || headers.len() > 1, "an address out of nowhere");
    assert!(origin == origin.to_canonical(), "two spellings of an address");
    assert!(proxies.origin([192, 0, 2, 9].into(), &headers) == IpAddr::from([192, 0, 2, 9]));
}

/// Reads `bytes` as the header of a load balancer.
pub fn announcements(bytes: &[u8]) {
    proxy_protocol::fuzz(bytes);
}
