//! The rows of an exported account.

use std::{borrow::Cow, io::BufWriter};

use crate::{
    clock::Timestamp,
    files::AtomicFile,
    ids::{AccountId, DeviceId},
    registry::{TransferAccount, TransferClaim, TransferDevice},
};

use super::columns::Column;

/// What an encoder writes to.
pub(super) type Output = BufWriter<AtomicFile>;

/// One row of an export: a device, and one of the handles that it backs.
pub(super) struct ExportRow<'a> {
    pub(super) account: AccountId,
    pub(super) device: &'a TransferDevice,
    /// None for a device that backs no handle.
    pub(super) claim: Option<&'a TransferClaim>,
}

/// The value of one column. None is an empty cell or null.
pub(super) enum Value<'a> {
    Text(Option<Cow<'a, str>>),
    Instant(Option<Timestamp>),
    Flag(bool),
}

impl<'a> ExportRow<'a> {
    /// The value of `column`, in the variant of its [`ColumnKind`](super::columns::ColumnKind).
    pub(super) fn value(&self, column: Column) -> Value<'a> {
        let (device, claim) = (self.device, self.claim);
        let text = |text: &'a str| Value::Text(Some(Cow::Borrowed(text)));
        let owned = |text: String| Value::Text(Some(Cow::Owned(text)));
        match column {
            Column::Handle => {
                Value::Text(Some(claim.map_or(Cow::Borrowed(""), |claim| claim.handle.canonical())))
            }
            Column::Account => owned(self.account.to_string()),
            Column::Device => owned(device.device.to_string()),
            Column::Platform => text(device.platform.code()),
            Column::LastCheckInAt => Value::Instant(Some(device.last_check_in_at)),
            Column::ProvedAt => Value::Instant(claim.and_then(|claim| claim.proved_at)),
            Column::RegisteredAt => Value::Instant(device.registered_at),
            Column::Discoverable => Value::Flag(claim.is_none_or(|claim| claim.discoverable)),
            Column::Name => Value::Text(device.name.as_deref().map(Cow::Borrowed)),
            Column::TokenHash => {
                let hash = device.token_hash;
                Value::Text(hash.map(|hash| Cow::Owned(data_encoding::HEXLOWER.encode(&hash))))
            }
        }
    }
}

/// One row for each handle and device that backs it, and one for each device that backs no handle.
pub(super) fn rows(account: &TransferAccount) -> impl Iterator<Item = ExportRow<'_>> {
    let id = account.account;
    let device = |wanted: DeviceId| account.devices.iter().find(move |d| d.device == wanted);
    let backing = account.claims.iter().flat_map(move |claim| {
        let devices = claim.devices.iter().filter_map(move |wanted| device(*wanted));
        devices.map(move |device| ExportRow { account: id, device, claim: Some(claim) })
    });
    let backs =
        |device: DeviceId| account.claims.iter().any(move |claim| claim.devices.contains(&device));
    let others = account.devices.iter().filter(move |device| !backs(device.device));
    backing.chain(others.map(move |device| ExportRow { account: id, device, claim: None }))
}
