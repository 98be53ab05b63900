//! An account as the index keeps it: only what a lookup, a token or a scan needs, in as few bytes as that takes.
//!
//! What nobody needs in a hurry (names, dates of sign-up and of proofs) is in the store only. Ten million people are
//! why: a `HashMap` of structs takes 300 bytes and more for each of them, this takes 52 for one phone with one number.
//!
//! ```text
//! head      u16 length of it all · u64 account · u8 devices · u8 handles, high bit: something was lost
//! if lost   7 bytes: when the oldest of it was
//! a device  u64 id · 16 bytes token hash · 7 bytes last check-in · u8 platform, lapse recorded
//! a handle  u8 kind, discoverable, partly backed · 7 bytes number, or u8 length and text of an address
//!           if partly backed: one bit for each device
//! ```
//!
//! Numbers are little-endian, instants are microseconds since the epoch (7 bytes reach the year 4253). The store keeps
//! these very bytes at the front of an account's row, so that loading is copying.

mod layout;
mod pack;
mod read;
#[cfg(test)]
mod tests;

pub(super) use layout::{DEVICES_MAX, HEAD_BYTES};
pub(super) use pack::pack;
pub(super) use read::{Name, Packed, PackedDevice, PackedHandle};
