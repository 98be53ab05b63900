//! A phone's side of [dispatchd](https://docs.rs/dispatchd): which way does a message to a handle go?
//!
//! ```no_run
//! use dispatchd_client::{Options, Platform, Route, Server, SignUp};
//!
//! # async fn ask() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server::new("https://dispatch.example.org", Options::default())?;
//! let device = server.sign_up(&SignUp::new(Platform::Ios)).await?;
//! // Keep device.token in the key store of the device.
//! let phone = server.phone(device.token);
//! match phone.look_up("(415) 555-0123", Some("US")).await?.route {
//!     Route::Imessage => println!("blue"),
//!     Route::Sms => println!("green"),
//!     Route::None => println!("an address that nobody backs: offer another handle"),
//!     Route::Unknown(_) => println!("a newer server: keep the message, and ask for an update"),
//! }
//! # Ok(()) }
//! ```
//!
//! # What the crate does for its caller
//!
//! - [`Phone::look_up`] and [`Phone::look_up_batch`] reuse an answer for as long as the server allows, and not longer. Callers
//!   that ask the same at the same time share one request.
//! - Lookups are `POST` requests, so no handle of another person is in an address that a proxy logs.
//! - Calls are retried as their errors allow, after waits with a random part, for at most [`Patience`].
//!
//! # An error is never a route
//!
//! An error means that the server cannot tell. Keep the message, and show that it waits. There is no way from an [`Error`] to a
//! [`Route`], and no default route:
//!
//! ```compile_fail,E0277
//! let route: dispatchd_client::Route = dispatchd_client::Error::Unreadable.into();
//! ```
//! ```compile_fail,E0599
//! let route = dispatchd_client::Route::default();
//! ```
//! ```compile_fail,E0277
//! # async fn ask(phone: dispatchd_client::Phone) {
//! let answer = phone.look_up("+14155550123", None).await.unwrap_or_default();
//! # }
//! ```
//!
//! # Which calls are repeated
//!
//! | call | after an error that says `later` | without an answer |
//! | --- | --- | --- |
//! | lookups, [`Phone::device`], [`Phone::check_in`] | yes | yes |
//! | [`Phone::sign_out`], [`Phone::give_up`] | yes | yes; 401 or 404 then means done |
//! | [`Phone::set_discoverable`], [`Phone::claim`] | yes | yes |
//! | [`Server::sign_up`], [`Phone::make_link_code`] | yes | no: a repeat makes a second one |
//! | [`Server::confirm`] | yes | no: a wrong code would cost a second attempt |
//! | [`Server::deregister`] | yes | no: a repeat may send a second code |
//!
//! A request that did not reach the server, because no connection came about, is repeated for every call. An error with `never` or
//! `after-fixing` is not repeated.

mod answer;
mod cache;
mod clock;
mod device;
mod error;
mod http;
mod lookup;
mod phone;
mod problem;
mod retry;
mod secret;
mod server;
#[cfg(test)]
mod tests;
mod vocabulary;

pub use answer::{Answer, Batch, Item, ItemError, Refused};
pub use device::{
    CheckedIn, Claim, Confirmed, DeregisteredHandle, LostHandle, MadeLinkCode, OwnDevice,
    OwnHandle, ProvedHandle, SignUp, SignedUp, Verification,
};
pub use error::{Error, NoAnswer};
pub use phone::Phone;
pub use problem::Problem;
pub use retry::Patience;
pub use secret::{InvalidToken, LinkCode, Token};
pub use server::{InvalidAddress, Options, Server};
pub use vocabulary::{
    HandleLoss, HandleReason, Limit, Missing, Platform, ProblemCode, Retry, Route, SentBy, Together,
};
