//! Sizes and flags of the packed form; see the table in [`packed`](crate::registry::packed).

pub(in crate::registry) const HEAD_BYTES: usize = 12;
pub(super) const DEVICE_BYTES: usize = 32;
pub(super) const TOKEN_BYTES: usize = 16;
pub(super) const INSTANT_BYTES: usize = 7;
pub(super) const NUMBER_BYTES: usize = 7;
pub(super) const INSTANT_MAX: u64 = (1 << 56) - 1;

pub(super) const HAS_LOST: u8 = 0x80;
/// Devices of one account that the form has room for.
pub(in crate::registry) const DEVICES_MAX: usize = 255;

pub(super) const PLATFORM: u8 = 0b0111;
pub(super) const LAPSE_RECORDED: u8 = 0b1000;

pub(super) const EMAIL: u8 = 1;
pub(super) const DISCOVERABLE: u8 = 2;
pub(super) const PARTLY: u8 = 4;
