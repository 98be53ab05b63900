//! Import: accounts from a file.
//!
//! A file says what was true when it was made, and must not undo what happened here since. An account that exists here
//! stays unchanged. A handle that an account here holds, or that ended here, comes in only with a later proof. A claim
//! without a proof or check-in that is younger than the oldest tombstone does not come in: it may have ended meanwhile.
//!
//! The log gets records of everything that decides for a handle that comes in: which devices back it, whether it is
//! hidden, which of the devices have lapsed. Beyond [`limits::IMPORT_CHANGES_RECORDED_MAX`] records of one import, one
//! record stands for all further handles.

use std::collections::HashSet;

use foldhash::quality::RandomState;

use super::{
    context::Context,
    handles::take_from,
    imported::{ImportRecords, Imported},
    operation::Operation,
    plan::Plan,
    touched::Touch,
};
use crate::{
    clock::Timestamp,
    handle::Handle,
    ids::{AccountId, DeviceId},
    limits,
    registry::{
        account::{Account, Claim, Device},
        error::ChangeError,
        token::TokenHash,
        transfer::{TransferAccount, TransferClaim, TransferDevice},
    },
    vocabulary::{Cause, ChangeKind},
};

/// One piece of an import.
pub(in crate::registry) struct Import {
    pub(in crate::registry) accounts: Vec<TransferAccount>,
    /// When the store was made: it knows all that ended since.
    pub(in crate::registry) founded_at: Timestamp,
    /// What of the pieces before it was recorded.
    pub(in crate::registry) records: ImportRecords,
}

impl Operation for Import {
    type Done = (Imported, ImportRecords);
    type Error = ChangeError;

    fn touches(&self, _: &Context<'_>) -> Vec<Touch> {
        vec![Touch::Everything]
    }

    fn plan(
        &mut self,
        context: &Context<'_>,
        plan: &mut Plan,
    ) -> Result<(Imported, ImportRecords), ChangeError> {
        let mut imported = Imported::default();
        let mut seen =
            SeenInPiece { accounts: context.known(&self.accounts)?, ..SeenInPiece::default() };
        for mut incoming in std::mem::take(&mut self.accounts) {
            if !seen.accounts.insert(incoming.account) {
                imported.accounts_kept += 1;
                continue;
            }
            let had_handles = !incoming.claims.is_empty();
            seen.sift(&mut incoming, context.config().devices_per_account, &mut imported);
            if had_handles && incoming.claims.is_empty() {
                imported.devices_refused += incoming.devices.len() as u64;
                continue;
            }
            let mut piece = (&mut imported, &mut self.records);
            take_in(context, plan, incoming, self.founded_at, &mut piece)?;
        }
        Ok((imported, self.records))
    }
}

/// Accounts that are stored, and what earlier accounts of the same piece have: the index does not show it yet.
#[derive(Default)]
struct SeenInPiece {
    accounts: HashSet<AccountId>,
    devices: HashSet<DeviceId, RandomState>,
    handles: HashSet<Handle, RandomState>,
}

impl SeenInPiece {
    /// Takes out of `incoming` what another account of the piece has, and what is more than an account may have. Whoever
    /// made the file should have seen to both; here it would be an index that contradicts itself.
    fn sift(
        &mut self,
        incoming: &mut TransferAccount,
        devices_max: usize,
        imported: &mut Imported,
    ) {
        let (devices, handles) = (incoming.devices.len(), incoming.claims.len());
        incoming.devices.retain(|device| self.devices.insert(device.device));
        incoming.devices.truncate(devices_max);
        incoming.claims.retain(|claim| self.handles.insert(claim.handle.clone()));
        incoming.claims.truncate(limits::HANDLES_PER_ACCOUNT_MAX);
        imported.devices_refused += (devices - incoming.devices.len()) as u64;
        imported.handles_held += (handles - incoming.claims.len()) as u64;
    }
}

/// Why a claim does not come in.
enum Refused {
    Held,
    Tombstone,
    Stale,
}

fn take_in(
    context: &Context<'_>,
    plan: &mut Plan,
    incoming: TransferAccount,
    founded_at: Timestamp,
    (imported, records): &mut (&mut Imported, &mut ImportRecords),
) -> Result<(), ChangeError> {
    let mut account = Account::new(incoming.account);
    let devices = incoming.devices.len() as u64;
    account.devices = incoming.devices.into_iter().filter_map(|one| device(context, one)).collect();
    imported.devices_refused += devices - account.devices.len() as u64;
    let mut is_all_refused = !incoming.claims.is_empty();
    for mut claim in incoming.claims {
        claim.devices.retain(|device| account.device(*device).is_some());
        let vouched_at = vouched_at(&account, &claim);
        if claim.devices.is_empty() {
            imported.handles_stale += 1;
            continue;
        }
        match judge(context, plan, &claim, vouched_at, founded_at)? {
            Err(Refused::Held) => imported.handles_held += 1,
            Err(Refused::Tombstone) => imported.handles_ended += 1,
            Err(Refused::Stale) => imported.handles_stale += 1,
            Ok(is_move) => {
                is_all_refused = false;
                imported.moved += u64::from(is_move);
                let is_known = is_move || context.tombstone(&claim.handle).is_some();
                hold(context, plan, &mut account, claim, vouched_at, is_move)?;
                record(plan, &account, is_move, is_known, records);
            }
        }
    }
    // An account none of whose handles came in has left: its devices and their tokens must not come back either.
    if is_all_refused || account.devices.is_empty() {
        imported.devices_refused += account.devices.len() as u64;
        return Ok(());
    }
    imported.accounts += 1;
    imported.devices += account.devices.len() as u64;
    imported.handles += account.claims.len() as u64;
    plan.add(account);
    Ok(())
}

fn device(context: &Context<'_>, incoming: TransferDevice) -> Option<Device> {
    let config = context.config();
    // A clock that ran ahead elsewhere must not make a lease longer here.
    let last_check_in_at = incoming.last_check_in_at.min(context.now);
    let is_forgotten = last_check_in_at.plus(config.forget_after) <= context.now;
    if is_forgotten || context.account_of(incoming.device).is_some() {
        return None;
    }
    Some(Device {
        id: incoming.device,
        token_hash: incoming.token_hash.map_or(TokenHash::NONE, TokenHash),
        registered_at: incoming.registered_at.unwrap_or(last_check_in_at).min(context.now),
        last_check_in_at,
        name: incoming.name.map(String::into_boxed_str),
        platform: incoming.platform,
        // The record of the handle that comes in says so, too.
        lapse_recorded: last_check_in_at.plus(config.lease) <= context.now,
    })
}

/// The last time somebody vouched for a claim: its proof, or else a check-in of a device that backs it.
fn vouched_at(account: &Account, claim: &TransferClaim) -> Timestamp {
    let backing = account.devices.iter().filter(|device| claim.devices.contains(&device.id));
    let checked_in_at = backing.map(|device| device.last_check_in_at).max();
    claim.proved_at.max(checked_in_at).unwrap_or_default()
}

/// Whether a claim comes in, and if so whether somebody holds it now.
fn judge(
    context: &Context<'_>,
    plan: &mut Plan,
    claim: &TransferClaim,
    vouched_at: Timestamp,
    founded_at: Timestamp,
) -> Result<Result<bool, Refused>, ChangeError> {
    let is_later =
        |than: Timestamp| claim.proved_at.is_some_and(|at| than < at && at <= context.now);
    if let Some(holder) = context.holder(&claim.handle) {
        // A piece of the import may have taken the handle from this account before: then nobody holds it any more.
        let held = plan.account(context, holder)?.and_then(|account| account.claim(&claim.handle));
        if let Some(held) = held {
            return Ok(if is_later(held.proved_at) { Ok(true) } else { Err(Refused::Held) });
        }
    }
    if let Some(tombstone) = context.tombstone(&claim.handle)
        && !is_later(tombstone.at)
    {
        return Ok(Err(Refused::Tombstone));
    }
    let forgets_before = context.now.minus(limits::TOMBSTONE_LIFETIME);
    let may_be_forgotten = founded_at < forgets_before && vouched_at < forgets_before;
    Ok(if may_be_forgotten { Err(Refused::Stale) } else { Ok(false) })
}

fn hold(
    context: &Context<'_>,
    plan: &mut Plan,
    account: &mut Account,
    claim: TransferClaim,
    vouched_at: Timestamp,
    is_move: bool,
) -> Result<(), ChangeError> {
    if is_move && let Some(holder) = context.holder(&claim.handle) {
        take_from(context, plan, holder, &claim.handle)?;
    }
    if context.tombstone(&claim.handle).is_some() {
        plan.forget_end(&claim.handle);
    }
    account.claims.push(Claim {
        handle: claim.handle,
        proved_at: claim.proved_at.unwrap_or(vouched_at).min(context.now),
        discoverable: claim.discoverable,
        devices: claim.devices.into_iter().collect(),
    });
    Ok(())
}

/// Records the newest claim of `account`. One that the log may know, since the handle moved or had ended here, is not left
/// to the record that stands for many.
fn record(
    plan: &mut Plan,
    account: &Account,
    is_move: bool,
    is_known: bool,
    records: &mut ImportRecords,
) {
    let Some(claim) = account.claims.last() else { return };
    let begun = if is_move { ChangeKind::HandleMoved } else { ChangeKind::HandleImported };
    let devices = || claim.devices.iter().copied();
    let backed = devices().skip(1).map(|device| (ChangeKind::HandleBound, Cause::Import, device));
    let hidden = devices().take(usize::from(!claim.discoverable));
    let hidden = hidden.map(|device| (ChangeKind::HandleHidden, Cause::Import, device));
    let lapsed = devices().filter(|id| account.device(*id).is_some_and(|one| one.lapse_recorded));
    let lapsed = lapsed.map(|device| (ChangeKind::LeaseExpired, Cause::Silence, device));
    let begun = devices().take(1).map(|device| (begun, Cause::Import, device));
    let changes: Vec<_> = begun.chain(backed).chain(hidden).chain(lapsed).collect();
    let fits = plan.changes.len() + changes.len() <= limits::IMPORT_PIECE_CHANGES_MAX;
    if fits && (is_known || records.reserve(changes.len())) {
        for (kind, cause, device) in changes {
            plan.record(kind, cause, Some(&claim.handle), Some(device), Some(account.id));
        }
    } else if records.summarise() {
        plan.record(ChangeKind::HandleImported, Cause::Import, None, None, None);
    }
}
