//! HTTP: a handler extracts its arguments, makes one call into a lower module, and answers.
//!
//! Two listeners have routes of their own: [`phone`] for devices, [`operator`] for operators of the service. Every answer
//! has an `X-Request-Id`, and every refusal an RFC 9457 body. An error quotes plain words only: see [`api::words`](crate::api::words).

pub mod answering;
mod assets;
pub mod auth;
pub mod body;
mod calls;
pub mod connection;
mod docs;
pub mod edge;
pub mod fallbacks;
pub mod fence;
#[cfg(feature = "testing")]
pub mod fuzz;
pub mod health;
pub mod host;
pub mod listen;
mod openapi;
pub mod operator;
pub mod overload;
pub mod phone;
pub mod problem;
pub mod proxies;
mod query;
pub mod service;
pub mod tls;
pub mod traffic;
mod waiting_bodies;
