//! What bounds a connection, from its acceptance to its end.
//!
//! 1. [`admission`]: a listener holds a limited number of connections, in all and of one network.
//! 2. [`proxy_protocol`]: a load balancer may name its client in a header of the PROXY protocol.
//! 3. [`guard`]: a client that takes nothing, or asks nothing, loses its connection. Other nodes may take their time ([`socket`]).
//! 4. [`refusal`]: what the HTTP library refuses by itself is answered with a problem, too.
//! 5. [`pieces`]: of a long answer, only a piece is copied before the client takes it.
//!
//! The HTTP library bounds the head of a request in bytes, lines and time; `http::body` bounds its body. One request of an
//! HTTP/1.1 connection is answered at a time. The others wait in the kernel's buffers and in one read buffer.

pub mod admission;
pub(super) mod guard;
pub(super) mod open;
pub(super) mod pieces;
pub(super) mod proxy_protocol;
mod refusal;
pub(super) mod socket;
#[cfg(test)]
mod support;
