//! A connection for tests.

use axum::Router;
use tower::Service as _;

use super::admission::Admission;
use crate::http::{
    edge::{Connection, Edge},
    operator,
    proxies::Proxies,
    service::Service,
};

/// A connection of a listener without routes.
pub(super) fn connection() -> Connection {
    let (routes, proxies, traffic) = (Router::new(), Proxies::default(), operator::traffic());
    let (hosts, overload, fence) = (None, None, None);
    let service = Service { routes, shortcut: None, proxies, hosts, overload, fence, traffic };
    let mut edge = Edge::new(service, Admission::of_socket(1));
    edge.call(([192, 0, 2, 1], 1234).into()).into_inner().unwrap()
}
