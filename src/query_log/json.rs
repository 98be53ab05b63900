//! A row as JSON, in the one form that the API, the command line and exports share.

use std::{io::Write, net::IpAddr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use serde_json::value::RawValue;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, schema::Schema},
};

use super::{
    filter::Kind,
    record::{LogRow, LookupRecord, Record, RefusalCount},
};
use crate::{
    clock::Timestamp,
    handle::Handle,
    ids::{AccountId, ChangeId, DeviceId, RequestId},
    vocabulary::{Cause, Change, ChangeKind, Reason, Route},
};

impl LogRow {
    /// Appends the row as one JSON object, without a line end.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        put(out, format_args!(r#"{{"at":"{}","kind":"#, self.at));
        match &self.record {
            Record::Lookup(lookup) => put_lookup(out, lookup),
            Record::Change(change) => put_change(out, change),
            Record::Refusals(refusals) => put_refusals(out, *refusals),
        }
    }

    /// The row as one JSON object.
    pub fn to_json(&self) -> String {
        let mut out = Vec::with_capacity(320);
        self.write_json(&mut out);
        String::from_utf8(out).unwrap_or_default()
    }
}

/// As [`LogRow::write_json`] writes it: into JSON only.
impl Serialize for LogRow {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(self.to_json()).map_err(ser::Error::custom)?.serialize(serializer)
    }
}

/// A change's own id is not in the JSON; it comes back as zero.
impl<'de> Deserialize<'de> for LogRow {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let row = RowJson::deserialize(deserializer)?;
        row.row().ok_or_else(|| de::Error::custom("not a row of the log"))
    }
}

impl PartialSchema for LogRow {
    fn schema() -> RefOr<Schema> {
        RowJson::schema()
    }
}

impl ToSchema for LogRow {
    fn name() -> std::borrow::Cow<'static, str> {
        "Record".into()
    }
}

fn put_lookup(out: &mut Vec<u8>, lookup: &LookupRecord) {
    put(out, format_args!(r#""lookup","request":"{}""#, lookup.request));
    put_or_null(out, "account", lookup.account);
    put_or_null(out, "device", lookup.device);
    put_or_null(out, "ip", lookup.ip);
    out.extend_from_slice(br#","handle":"#);
    match &lookup.handle {
        Some(handle) => put_text(out, &handle.canonical()),
        None => out.extend_from_slice(b"null"),
    }
    put_or_null(out, "route", lookup.route.map(Route::code));
    let (reason, status, took_us) = (lookup.reason.code(), lookup.status, lookup.took_us);
    put(out, format_args!(r#","reason":"{reason}","status":{status},"took_us":{took_us}}}"#));
}

fn put_change(out: &mut Vec<u8>, change: &Change) {
    put(out, format_args!(r#""change","change":"{}""#, change.kind.code()));
    if let Some(handle) = &change.handle {
        out.extend_from_slice(br#","handle":"#);
        put_text(out, &handle.canonical());
    }
    if let Some(device) = change.device {
        put(out, format_args!(r#","device":"{device}""#));
    }
    if let Some(account) = change.account {
        put(out, format_args!(r#","account":"{account}""#));
    }
    put(out, format_args!(r#","cause":"{}"}}"#, change.cause.code()));
}

fn put_refusals(out: &mut Vec<u8>, RefusalCount { code, count }: RefusalCount) {
    let status = code.status();
    put(out, format_args!(r#""refusals","reason":"{code}","status":{status},"count":{count}}}"#));
}

fn put_or_null(out: &mut Vec<u8>, name: &str, value: Option<impl std::fmt::Display>) {
    match value {
        Some(value) => put(out, format_args!(r#","{name}":"{value}""#)),
        None => put(out, format_args!(r#","{name}":null"#)),
    }
}

/// Text of which only its owner decided the characters: escaped.
fn put_text(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("a string has a JSON form, and a vector takes it");
}

fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a vector takes every byte");
}

/// A record: a lookup, a change of the registry, or a number of refused lookups. Which of the fields are there depends on `kind`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RowJson {
    /// When the log took it.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// Which kind of record.
    kind: Kind,
    /// Of a lookup: the request, which all lookups of a batch share.
    request: Option<RequestId>,
    /// The asker's account, or the account that changed.
    account: Option<AccountId>,
    /// The asking device, or the device that changed.
    device: Option<DeviceId>,
    /// Of a lookup: where it came from.
    #[schema(value_type = Option<String>)]
    ip: Option<IpAddr>,
    /// The handle, canonical.
    handle: Option<String>,
    /// Of a lookup: the route answered; null if it was refused.
    route: Option<Route>,
    /// Of a lookup: why. Of refusals: the problem's code.
    reason: Option<Reason>,
    /// Of a lookup: HTTP status of the answer, or of the item in a batch. Of refusals: the problem's.
    status: Option<u16>,
    /// Of a lookup: microseconds from its arrival to the decision.
    took_us: Option<u32>,
    /// Of a change: what changed.
    change: Option<ChangeKind>,
    /// Of a change: why.
    cause: Option<Cause>,
    /// Of refusals: lookups that were refused within about a minute before `at` and have no record of their own.
    count: Option<u64>,
}

impl RowJson {
    fn row(self) -> Option<LogRow> {
        let Self { at, account, device, ip, .. } = self;
        let handle = match self.handle {
            None => None,
            Some(text) => Some(Handle::from_canonical(&text)?),
        };
        let record = match self.kind {
            Kind::Lookup => Record::Lookup(LookupRecord {
                request: self.request?,
                account,
                device,
                ip,
                handle,
                route: self.route,
                reason: self.reason?,
                status: self.status?,
                took_us: self.took_us?,
            }),
            Kind::Change => {
                let (id, kind, cause) = (ChangeId::from_bits(0), self.change?, self.cause?);
                Record::Change(Change { id, kind, handle, device, account, cause })
            }
            Kind::Refusals => {
                let Reason::Refused(code) = self.reason? else { return None };
                Record::Refusals(RefusalCount { code, count: self.count? })
            }
        };
        Some(LogRow { at, record })
    }
}
