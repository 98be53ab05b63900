//! Records as bytes: what is inside a frame.
//!
//! ```text
//! frame     version (1 byte, 1), base (8 bytes, microseconds), records
//! record    kind (1), flags (1), microseconds since the record before (varint; the first: 0), then by kind
//! lookup    request (8), reason (1), status (2), took_us (varint), and if flagged:
//!           route (1), account (8), device (8), ip (4 or 16), handle (8, or length varint and text)
//! change    id (8), change (1), cause (1), and if flagged: account (8), device (8), handle
//! refusals  problem (1), count (varint); no flags
//! ```
//!
//! Little endian. A lookup of a phone number from an IPv4 address takes 45 to 50 bytes. Flags say what is absent, so that
//! a record of a private lookup, one day, may leave out handle, device and address. The decoder takes exactly what the
//! encoder writes: an unknown kind, flag or code is an error, never a guess.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bytes::{Buf as _, BufMut as _};

use crate::{
    clock::Timestamp,
    handle::{Handle, PhoneKey},
    ids::{AccountId, DeviceId},
    limits,
    query_log::record::{Client, HandleView, LookupRecord, Outcome, Record, RefusalCount, RowView},
    vocabulary::{Cause, Change, ChangeKind, ProblemCode, Reason, Route},
};

const VERSION: u8 = 1;
const KIND_LOOKUP: u8 = 1;
const KIND_CHANGE: u8 = 2;
const KIND_REFUSALS: u8 = 3;

const ACCOUNT: u8 = 1;
const DEVICE: u8 = 1 << 1;
const IP: u8 = 1 << 2;
const IP_V6: u8 = 1 << 3;
const HANDLE: u8 = 1 << 4;
const EMAIL: u8 = 1 << 5;
const ROUTE: u8 = 1 << 6;

/// Bytes of the longest record: fixed parts, longest varints, an IPv6 address, the longest e-mail address.
pub(crate) const RECORD_BYTES_MAX: usize = 80 + limits::EMAIL_BYTES_MAX;

pub(crate) fn start_frame(out: &mut Vec<u8>, base: Timestamp) {
    out.put_u8(VERSION);
    out.put_u64_le(base.as_micros());
}

/// Appends one record, `delta_us` after the one before.
pub(crate) fn encode(out: &mut Vec<u8>, delta_us: u64, record: &Record) {
    let start = out.len();
    match record {
        Record::Lookup(lookup) => encode_lookup(out, delta_us, lookup),
        Record::Change(change) => encode_change(out, delta_us, change),
        Record::Refusals(refusals) => encode_refusals(out, delta_us, *refusals),
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
    out.put_u64_le(lookup.request.bits());
    out.put_u8(lookup.reason.number());
    out.put_u16_le(lookup.status);
    put_varint(out, lookup.took_us.into());
    if let Some(route) = lookup.route {
        out.put_u8(route.number());
    }
    put_who(out, lookup.account, lookup.device);
    match lookup.ip {
        None => {}
        Some(IpAddr::V4(ip)) => out.put_u32(ip.to_bits()),
        Some(IpAddr::V6(ip)) => out.put_u128(ip.to_bits()),
    }
    put_handle(out, lookup.handle.as_ref());
}

fn encode_change(out: &mut Vec<u8>, delta_us: u64, change: &Change) {
    let flags = who(change.account, change.device, change.handle.as_ref());
    out.extend_from_slice(&[KIND_CHANGE, flags]);
    put_varint(out, delta_us);
    out.put_u64_le(change.id.bits());
    out.extend_from_slice(&[change.kind.number(), change.cause.number()]);
    put_who(out, change.account, change.device);
    put_handle(out, change.handle.as_ref());
}

fn encode_refusals(out: &mut Vec<u8>, delta_us: u64, refusals: RefusalCount) {
    out.extend_from_slice(&[KIND_REFUSALS, 0]);
    put_varint(out, delta_us);
    out.put_u8(refusals.code.number());
    put_varint(out, refusals.count);
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
    let ids = [account.map(AccountId::bits), device.map(DeviceId::bits)];
    ids.into_iter().flatten().for_each(|id| out.put_u64_le(id));
}

fn put_handle(out: &mut Vec<u8>, handle: Option<&Handle>) {
    match handle {
        None => {}
        Some(Handle::Phone(key)) => out.put_u64_le(key.bits()),
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
    pub(crate) fn new(mut bytes: &'a [u8]) -> Option<Self> {
        let version = bytes.try_get_u8().ok()?;
        let at = bytes.try_get_u64_le().ok()?;
        (version == VERSION).then_some(Self { bytes, at })
    }

    /// The instant of the record read last; before the first record, that of the first.
    pub(crate) const fn at(&self) -> Timestamp {
        Timestamp::from_micros(self.at)
    }

    pub(crate) const fn is_at_end(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The next record. None if the encoder does not write these bytes; then nothing after them can be trusted, because
    /// where one record ends is where the next begins.
    pub(crate) fn next_view(&mut self) -> Option<RowView<'a>> {
        let (kind, flags) = (self.byte()?, self.byte()?);
        if flags & 0x80 != 0 {
            return None;
        }
        self.at = self.at.checked_add(self.varint()?)?;
        match kind {
            KIND_LOOKUP => self.lookup(flags),
            KIND_CHANGE => self.change(flags),
            KIND_REFUSALS if flags == 0 => self.refusals(),
            _ => None,
        }
    }

    fn lookup(&mut self, flags: u8) -> Option<RowView<'a>> {
        let id = self.word()?;
        let reason = Reason::from_number(self.byte()?)?;
        let status = self.bytes.try_get_u16_le().ok()?;
        let took_us = u32::try_from(self.varint()?).ok()?;
        let route = match flags & ROUTE {
            0 => None,
            _ => Some(Route::from_number(self.byte()?)?),
        };
        let (account, device) = self.who(flags)?;
        let client = Client { account, device, ip: self.ip(flags)? };
        let handle = self.handle(flags)?;
        let outcome = Outcome::Lookup { route, reason, status };
        Some(RowView { at: self.at(), handle, client, id, took_us, outcome })
    }

    fn change(&mut self, flags: u8) -> Option<RowView<'a>> {
        if flags & (IP | IP_V6 | ROUTE) != 0 {
            return None;
        }
        let id = self.word()?;
        let change = ChangeKind::from_number(self.byte()?)?;
        let cause = Cause::from_number(self.byte()?)?;
        let (account, device) = self.who(flags)?;
        let client = Client { account, device, ip: None };
        let (handle, outcome) = (self.handle(flags)?, Outcome::Change { change, cause });
        Some(RowView { at: self.at(), handle, client, id, took_us: 0, outcome })
    }

    fn refusals(&mut self) -> Option<RowView<'a>> {
        let outcome = Outcome::Refusals { code: ProblemCode::from_number(self.byte()?)? };
        let (at, client, id) = (self.at(), Client::default(), self.varint()?);
        Some(RowView { at, handle: None, client, id, took_us: 0, outcome })
    }

    fn byte(&mut self) -> Option<u8> {
        self.bytes.try_get_u8().ok()
    }

    fn word(&mut self) -> Option<u64> {
        self.bytes.try_get_u64_le().ok()
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let part = u64::from(byte & 0x7f);
            let shifted = part << shift;
            // Neither bits that fall off nor a last byte of nothing: one value has one spelling.
            if shifted >> shift != part || (byte == 0 && shift > 0) {
                return None;
            }
            value |= shifted;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn who(&mut self, flags: u8) -> Option<(Option<AccountId>, Option<DeviceId>)> {
        let mut word = |flag| if flags & flag == 0 { Some(None) } else { self.word().map(Some) };
        let (account, device) = (word(ACCOUNT)?, word(DEVICE)?);
        Some((account.map(AccountId::from_bits), device.map(DeviceId::from_bits)))
    }

    fn ip(&mut self, flags: u8) -> Option<Option<IpAddr>> {
        match flags & (IP | IP_V6) {
            0 => Some(None),
            IP => Some(Some(Ipv4Addr::from_bits(self.bytes.try_get_u32().ok()?).into())),
            IP_V6 => None,
            _ => Some(Some(Ipv6Addr::from_bits(self.bytes.try_get_u128().ok()?).into())),
        }
    }

    fn handle(&mut self, flags: u8) -> Option<Option<HandleView<'a>>> {
        match flags & (HANDLE | EMAIL) {
            0 => Some(None),
            HANDLE => Some(Some(HandleView::Phone(PhoneKey::from_bits(self.word()?)?))),
            EMAIL => None,
            _ => {
                let length = usize::try_from(self.varint()?).ok()?;
                let (text, rest) = self.bytes.split_at_checked(length)?;
                self.bytes = rest;
                let text = std::str::from_utf8(text).ok()?;
                Handle::is_canonical_address(text).then_some(Some(HandleView::Email(text)))
            }
        }
    }
}
