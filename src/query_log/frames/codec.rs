//! Records as bytes: what is inside a frame.
//!
//! ```text
//! frame     version (1 byte, 1), base (8 bytes, microseconds), records
//! record    kind (1), flags (1), microseconds since the record before (varint; the first: 0), then by kind
//! lookup    request (8), reason (1), status (2), took_us (varint), and if flagged:
//!           route (1), account (8), device (8), ip (4 or 16), handle (8, or length varint and text)
//! change    id (8), change (1), cause (1), and if flagged: account (8), device (8), handle
//! ```
//!
//! Little endian. A lookup of a phone number from an IPv4 address takes 45 to 50 bytes. Flags say what is absent, so that
//! a record of a private lookup, one day, may leave out handle, device and address. The decoder takes exactly what the
//! encoder writes: an unknown kind, flag or code is an error, never a guess.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::row_view::{Event, HandleView, RowView};
use crate::query_log::record::{LookupRecord, Record};
use crate::{
    clock::Timestamp,
    handle::{Handle, PhoneKey},
    ids::{AccountId, ChangeId, DeviceId, RequestId},
    limits,
    vocabulary::{Cause, Change, ChangeKind, Reason, Route},
};

const VERSION: u8 = 1;
const KIND_LOOKUP: u8 = 1;
const KIND_CHANGE: u8 = 2;

const ACCOUNT: u8 = 1;
const DEVICE: u8 = 1 << 1;
const IP: u8 = 1 << 2;
const IP_V6: u8 = 1 << 3;
const HANDLE: u8 = 1 << 4;
const EMAIL: u8 = 1 << 5;
const ROUTE: u8 = 1 << 6;

/// Bytes before the first record of a frame.
pub(crate) const FRAME_START_BYTES: usize = 9;
/// Bytes of the longest record: fixed parts, longest varints, an IPv6 address, the longest e-mail address.
pub(crate) const RECORD_BYTES_MAX: usize = 80 + limits::EMAIL_BYTES_MAX;

/// The bytes are not what the encoder writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a frame of records of this format")]
pub(crate) struct DecodeError;

/// Begins a frame whose first record is of `base`.
pub(crate) fn start_frame(out: &mut Vec<u8>, base: Timestamp) {
    out.push(VERSION);
    out.extend_from_slice(&base.as_micros().to_le_bytes());
}

/// Appends one record, `delta_us` after the one before.
pub(crate) fn encode(out: &mut Vec<u8>, delta_us: u64, record: &Record) {
    let start = out.len();
    match record {
        Record::Lookup(lookup) => encode_lookup(out, delta_us, lookup),
        Record::Change(change) => encode_change(out, delta_us, change),
    }
    debug_assert!(out.len() - start <= RECORD_BYTES_MAX, "a record is bounded");
}

fn encode_lookup(out: &mut Vec<u8>, delta_us: u64, lookup: &LookupRecord) {
    let ip = match lookup.ip {
        None => 0,
        Some(IpAddr::V4(_)) => IP,
        Some(IpAddr::V6(_)) => IP | IP_V6,
    };
    let route = if lookup.route.is_some() { ROUTE } else { 0 };
    let flags = who(lookup.account, lookup.device, lookup.handle.as_ref()) | ip | route;
    out.extend_from_slice(&[KIND_LOOKUP, flags]);
    put_varint(out, delta_us);
    out.extend_from_slice(&lookup.request.bits().to_le_bytes());
    out.push(lookup.reason.number());
    out.extend_from_slice(&lookup.status.to_le_bytes());
    put_varint(out, lookup.took_us.into());
    if let Some(route) = lookup.route {
        out.push(route.number());
    }
    put_who(out, lookup.account, lookup.device);
    match lookup.ip {
        None => {}
        Some(IpAddr::V4(ip)) => out.extend_from_slice(&ip.octets()),
        Some(IpAddr::V6(ip)) => out.extend_from_slice(&ip.octets()),
    }
    put_handle(out, lookup.handle.as_ref());
}

fn encode_change(out: &mut Vec<u8>, delta_us: u64, change: &Change) {
    let flags = who(change.account, change.device, change.handle.as_ref());
    out.extend_from_slice(&[KIND_CHANGE, flags]);
    put_varint(out, delta_us);
    out.extend_from_slice(&change.id.bits().to_le_bytes());
    out.extend_from_slice(&[change.kind.number(), change.cause.number()]);
    put_who(out, change.account, change.device);
    put_handle(out, change.handle.as_ref());
}

fn who(account: Option<AccountId>, device: Option<DeviceId>, handle: Option<&Handle>) -> u8 {
    let handle = match handle {
        None => 0,
        Some(Handle::Phone(_)) => HANDLE,
        Some(Handle::Email(_)) => HANDLE | EMAIL,
    };
    let account = if account.is_some() { ACCOUNT } else { 0 };
    let device = if device.is_some() { DEVICE } else { 0 };
    account | device | handle
}

fn put_who(out: &mut Vec<u8>, account: Option<AccountId>, device: Option<DeviceId>) {
    if let Some(account) = account {
        out.extend_from_slice(&account.bits().to_le_bytes());
    }
    if let Some(device) = device {
        out.extend_from_slice(&device.bits().to_le_bytes());
    }
}

fn put_handle(out: &mut Vec<u8>, handle: Option<&Handle>) {
    match handle {
        None => {}
        Some(Handle::Phone(key)) => out.extend_from_slice(&key.bits().to_le_bytes()),
        Some(Handle::Email(address)) => {
            let text = address.as_str();
            put_varint(out, text.len() as u64);
            out.extend_from_slice(text.as_bytes());
        }
    }
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

/// The records of one frame, in order.
#[derive(Debug)]
pub(crate) struct FrameDecoder<'a> {
    bytes: &'a [u8],
    at: u64,
}

impl<'a> FrameDecoder<'a> {
    /// Reads the start of a frame.
    pub(crate) fn new(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let (start, bytes) = bytes.split_first_chunk::<FRAME_START_BYTES>().ok_or(DecodeError)?;
        let (version, base) = start.split_first().ok_or(DecodeError)?;
        if *version != VERSION {
            return Err(DecodeError);
        }
        let at = u64::from_le_bytes(base.try_into().map_err(|_| DecodeError)?);
        Ok(Self { bytes, at })
    }

    /// The instant of the frame's first record.
    pub(crate) const fn base(&self) -> Timestamp {
        Timestamp::from_micros(self.at)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (head, rest) = self.bytes.split_first_chunk::<N>().ok_or(DecodeError)?;
        self.bytes = rest;
        Ok(*head)
    }

    fn byte(&mut self) -> Result<u8, DecodeError> {
        self.take::<1>().map(|[byte]| byte)
    }

    fn word(&mut self) -> Result<u64, DecodeError> {
        self.take().map(u64::from_le_bytes)
    }

    fn varint(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let part = u64::from(byte & 0x7f);
            let shifted = part << shift;
            // Neither bits that fall off nor a last byte of nothing: one value has one spelling.
            if shifted >> shift != part || (byte == 0 && shift > 0) {
                return Err(DecodeError);
            }
            value |= shifted;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(DecodeError)
    }

    fn flagged<T>(
        &mut self,
        flag: bool,
        read: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Option<T>, DecodeError> {
        if flag { read(self).map(Some) } else { Ok(None) }
    }

    fn handle(&mut self, flags: u8) -> Result<Option<HandleView<'a>>, DecodeError> {
        match flags & (HANDLE | EMAIL) {
            0 => Ok(None),
            HANDLE => {
                let key = PhoneKey::from_bits(self.word()?).ok_or(DecodeError)?;
                Ok(Some(HandleView::Phone(key)))
            }
            EMAIL => Err(DecodeError),
            _ => {
                let length = usize::try_from(self.varint()?).map_err(|_| DecodeError)?;
                let (text, rest) = self.bytes.split_at_checked(length).ok_or(DecodeError)?;
                self.bytes = rest;
                let text = std::str::from_utf8(text).map_err(|_| DecodeError)?;
                let is_address = Handle::is_canonical_address(text);
                is_address.then_some(Some(HandleView::Email(text))).ok_or(DecodeError)
            }
        }
    }

    fn ip(&mut self, flags: u8) -> Result<Option<IpAddr>, DecodeError> {
        match flags & (IP | IP_V6) {
            0 => Ok(None),
            IP => Ok(Some(Ipv4Addr::from(self.take::<4>()?).into())),
            IP_V6 => Err(DecodeError),
            _ => Ok(Some(Ipv6Addr::from(self.take::<16>()?).into())),
        }
    }

    fn who(&mut self, flags: u8) -> Result<(Option<AccountId>, Option<DeviceId>), DecodeError> {
        let account = self.flagged(flags & ACCOUNT != 0, Self::word)?.map(AccountId::from_bits);
        let device = self.flagged(flags & DEVICE != 0, Self::word)?.map(DeviceId::from_bits);
        Ok((account, device))
    }

    fn lookup(&mut self, at: Timestamp, flags: u8) -> Result<RowView<'a>, DecodeError> {
        let request = RequestId::from_bits(self.word()?);
        let reason = Reason::from_number(self.byte()?).ok_or(DecodeError)?;
        let status = u16::from_le_bytes(self.take()?);
        let took_us = u32::try_from(self.varint()?).map_err(|_| DecodeError)?;
        let route = self.flagged(flags & ROUTE != 0, |bytes| {
            Route::from_number(bytes.byte()?).ok_or(DecodeError)
        })?;
        let (account, device) = self.who(flags)?;
        let ip = self.ip(flags)?;
        let handle = self.handle(flags)?;
        let event = Event::Lookup { request, route, reason, status, took_us };
        Ok(RowView { at, handle, account, device, ip, event })
    }

    fn change(&mut self, at: Timestamp, flags: u8) -> Result<RowView<'a>, DecodeError> {
        if flags & (IP | IP_V6 | ROUTE) != 0 {
            return Err(DecodeError);
        }
        let id = ChangeId::from_bits(self.word()?);
        let change = ChangeKind::from_number(self.byte()?).ok_or(DecodeError)?;
        let cause = Cause::from_number(self.byte()?).ok_or(DecodeError)?;
        let (account, device) = self.who(flags)?;
        let handle = self.handle(flags)?;
        let event = Event::Change { id, change, cause };
        Ok(RowView { at, handle, account, device, ip: None, event })
    }

    fn view(&mut self) -> Result<RowView<'a>, DecodeError> {
        let [kind, flags] = self.take()?;
        if flags & 0x80 != 0 {
            return Err(DecodeError);
        }
        self.at = self.at.checked_add(self.varint()?).ok_or(DecodeError)?;
        let at = Timestamp::from_micros(self.at);
        match kind {
            KIND_LOOKUP => self.lookup(at, flags),
            KIND_CHANGE => self.change(at, flags),
            _ => Err(DecodeError),
        }
    }

    /// The next record, for as long as the frame's bytes are there.
    pub(crate) fn next_view(&mut self) -> Option<Result<RowView<'a>, DecodeError>> {
        if self.bytes.is_empty() {
            return None;
        }
        let view = self.view();
        if view.is_err() {
            // Where one record ends is where the next begins: nothing after an error can be trusted.
            self.bytes = &[];
        }
        Some(view)
    }
}
