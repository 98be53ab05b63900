//! Import: accounts from a file.
//!
//! A file says what was true when it was made, and must not undo what happened here since. An account that exists here
//! stays unchanged. A handle that an account here holds, or that ended here, comes in only with a later proof. A claim
//! without a proof or check-in that is younger than the oldest tombstone does not come in: it may have ended meanwhile.
//!
//! The log gets records of everything that decides for a handle that comes in: which devices back it, whether it is
//! hidden, which of the devices have lapsed. Beyond [`limits::IMPORT_CHANGES_RECORDED_MAX`] records of one import, one
//! record stands for all further handles.

use std::{borrow::Cow, collections::HashSet, sync::Arc};

use foldhash::quality::RandomState;

use super::{
    handles::take_from,
    imported::{ImportRecords, Imported},
};
use crate::{
    clock::Timestamp,
    handle::Handle,
    ids::{AccountId, DeviceId},
    limits,
    registry::{
        account::{Account, Claim, Device},
        directory::Registry,
        error::ChangeError,
        job::Touches,
        plan::Plan,
        token::TokenHash,
        transfer::{TransferAccount, TransferClaim, TransferDevice},
    },
    vocabulary::{Cause, ChangeKind},
};

impl Registry {
    /// Takes in a piece of an import: accounts in the order of their ids, each handle and device in one of them. Pieces
    /// of a few hundred keep lookups and other changes from waiting. Taking the same piece in again changes nothing.
    /// `records` is the import's own, from its first piece to its last.
    pub async fn import(
        &self,
        accounts: Arc<[TransferAccount]>,
        records: &mut ImportRecords,
    ) -> Result<Imported, ChangeError> {
        self.check_space()?;
        let (mut pieces, mut imported) = (vec![accounts], Imported::default());
        while let Some(piece) = pieces.pop() {
            match self.import_piece(Arc::clone(&piece), records).await {
                Ok(part) => imported.add(part),
                Err(ChangeError::TooLarge) if piece.len() > 1 => {
                    let (first, last) = piece.split_at(piece.len() / 2);
                    pieces.extend([last.into(), first.into()]);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(imported)
    }

    async fn import_piece(
        &self,
        accounts: Arc<[TransferAccount]>,
        records: &mut ImportRecords,
    ) -> Result<Imported, ChangeError> {
        let before = *records;
        let touches = Touches { everything: true, ..Touches::default() };
        let piece = move |plan: &mut Plan| {
            let mut after = before;
            Ok((import(plan, accounts[..].into(), &mut after)?, after))
        };
        let (imported, after) = self.submit::<_, ChangeError>(touches, piece).await?;
        *records = after;
        Ok(imported)
    }
}

/// Plans one piece of an import. `records` says what of the pieces before it was recorded.
pub(crate) fn import(
    plan: &mut Plan,
    accounts: Cow<'_, [TransferAccount]>,
    records: &mut ImportRecords,
) -> Result<Imported, ChangeError> {
    let ids: Vec<_> = accounts.iter().map(|account| account.account).collect();
    let mut seen = SeenInPiece { accounts: plan.known(&ids)?, ..SeenInPiece::default() };
    let mut piece = Piece {
        plan,
        records,
        imported: Imported::default(),
        changes_before: 0,
        holders: HashSet::new(),
        holders_bytes: 0,
    };
    for mut incoming in accounts.into_owned() {
        if !seen.accounts.insert(incoming.account) {
            piece.imported.accounts_kept += 1;
            continue;
        }
        let had_handles = !incoming.claims.is_empty();
        let devices_max = piece.plan.shared.config.devices_per_account;
        seen.sift(&mut incoming, devices_max, &mut piece.imported);
        if had_handles && incoming.claims.is_empty() {
            piece.imported.devices_without_handle += incoming.devices.len() as u64;
            continue;
        }
        piece.take_in(incoming)?;
    }
    Ok(piece.imported)
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
        imported.devices_held += (devices - incoming.devices.len()) as u64;
        imported.devices_over_limit += incoming.devices.len().saturating_sub(devices_max) as u64;
        incoming.devices.truncate(devices_max);
        incoming.claims.retain(|claim| self.handles.insert(claim.handle.clone()));
        incoming.claims.truncate(limits::HANDLES_PER_ACCOUNT_MAX);
        imported.handles_held += (handles - incoming.claims.len()) as u64;
    }
}

/// A piece of an import on its way into a plan.
struct Piece<'a> {
    plan: &'a mut Plan,
    records: &'a mut ImportRecords,
    imported: Imported,
    /// Records before those of the account that comes in now.
    changes_before: usize,
    /// Accounts from which it takes handles, and what their rows have in bytes.
    holders: HashSet<AccountId>,
    holders_bytes: usize,
}

impl Piece<'_> {
    fn take_in(&mut self, incoming: TransferAccount) -> Result<(), ChangeError> {
        self.changes_before = self.plan.changes.len();
        self.holders.clear();
        self.holders_bytes = 0;
        let mut account = Account::new(incoming.account);
        account.devices =
            incoming.devices.into_iter().filter_map(|device| self.device(device)).collect();
        let mut is_all_refused = !incoming.claims.is_empty();
        for mut claim in incoming.claims {
            claim.devices.retain(|device| account.device(*device).is_some());
            let vouched_at = vouched_at(&account, &claim);
            if claim.devices.is_empty() {
                self.imported.handles_stale += 1;
                continue;
            }
            if let Some(from) = self.judge(&claim, vouched_at)? {
                is_all_refused = false;
                self.hold(&mut account, claim, vouched_at, from)?;
            }
        }
        // An account none of whose handles came in has left: its devices and their tokens must not come back either.
        if is_all_refused || account.devices.is_empty() {
            self.imported.devices_without_handle += account.devices.len() as u64;
            return Ok(());
        }
        self.imported.accounts += 1;
        self.imported.devices += account.devices.len() as u64;
        self.imported.handles += account.claims.len() as u64;
        self.plan.add(account);
        Ok(())
    }

    /// `None` if the device does not come in.
    fn device(&mut self, incoming: TransferDevice) -> Option<Device> {
        let (now, config) = (self.plan.now, &self.plan.shared.config);
        // A clock that ran ahead elsewhere must not make a lease longer here.
        let last_check_in_at = incoming.last_check_in_at.min(now);
        let silent_since = self.plan.shared.silent_since(last_check_in_at, now);
        if self.plan.account_of(incoming.device).is_some() {
            self.imported.devices_held += 1;
            return None;
        }
        if silent_since.plus(config.forget_after) <= now {
            self.imported.devices_silent += 1;
            return None;
        }
        Some(Device {
            id: incoming.device,
            token_hash: incoming.token_hash.map_or(TokenHash::NONE, TokenHash),
            registered_at: incoming.registered_at.unwrap_or(last_check_in_at).min(now),
            last_check_in_at,
            name: incoming.name.map(String::into_boxed_str),
            platform: incoming.platform,
            // The record of the handle that comes in says so, too.
            lapse_recorded: silent_since.plus(config.lease) <= now,
        })
    }

    /// Where a claim comes from, or `None` if it does not come in.
    fn judge(
        &mut self,
        claim: &TransferClaim,
        vouched_at: Timestamp,
    ) -> Result<Option<Origin>, ChangeError> {
        let now = self.plan.now;
        let is_later = |than: Timestamp| claim.proved_at.is_some_and(|at| than < at && at <= now);
        // If an earlier piece of the import took the handle from this account, nobody holds it any more.
        if let Some(holder) = self.plan.holder(&claim.handle)
            && let Some(account) = self.plan.account(holder)?
            && let Some(held) = account.claim(&claim.handle)
        {
            let bytes = account.row_bytes_max();
            let comes_in = is_later(held.proved_at) && self.has_room(holder, bytes);
            self.imported.handles_held += u64::from(!comes_in);
            return Ok(comes_in.then_some(Origin::Holder(holder)));
        }
        let tombstone = self.plan.tombstone(&claim.handle);
        if tombstone.is_some_and(|tombstone| !is_later(tombstone.at)) {
            self.imported.handles_ended += 1;
            return Ok(None);
        }
        let forgets_before = now.minus(limits::TOMBSTONE_LIFETIME);
        if self.plan.shared.founded_at < forgets_before && vouched_at < forgets_before {
            self.imported.handles_stale += 1;
            return Ok(None);
        }
        Ok(Some(if tombstone.is_some() { Origin::Tombstone } else { Origin::Unknown }))
    }

    /// Whether the account that comes in may take handles from `holder`, too. One that takes them from many large accounts would not fit
    /// into an entry of the shared log, with all of them.
    fn has_room(&mut self, holder: AccountId, bytes: usize) -> bool {
        if self.holders.contains(&holder) {
            return true;
        }
        // One holder always fits.
        let has_room = self.holders.is_empty()
            || self.holders_bytes + bytes <= limits::IMPORT_HOLDERS_BYTES_MAX;
        if has_room {
            self.holders.insert(holder);
            self.holders_bytes += bytes;
        } else {
            tracing::warn!(
                "an account of the import takes handles from too many large accounts; the others keep theirs"
            );
        }
        has_room
    }

    fn hold(
        &mut self,
        account: &mut Account,
        claim: TransferClaim,
        vouched_at: Timestamp,
        from: Origin,
    ) -> Result<(), ChangeError> {
        if let Origin::Holder(holder) = from {
            self.imported.moved += 1;
            take_from(self.plan, holder, &claim.handle)?;
        }
        self.plan.forget_end(&claim.handle);
        account.claims.push(Claim {
            handle: claim.handle,
            proved_at: claim.proved_at.unwrap_or(vouched_at).min(self.plan.now),
            discoverable: claim.discoverable,
            devices: claim.devices,
        });
        self.record(account, from);
        Ok(())
    }

    /// Records the newest claim of `account`. One that the log may know, since the handle moved or had ended here, is not left
    /// to the record that stands for many.
    fn record(&mut self, account: &Account, from: Origin) {
        let Some(claim) = account.claims.last() else { return };
        let begun = match from {
            Origin::Holder(_) => ChangeKind::HandleMoved,
            Origin::Tombstone | Origin::Unknown => ChangeKind::HandleImported,
        };
        let devices = || claim.devices.iter().copied();
        let backed =
            devices().skip(1).map(|device| (ChangeKind::HandleBound, Cause::Import, device));
        let hidden = devices().take(usize::from(!claim.discoverable));
        let hidden = hidden.map(|device| (ChangeKind::HandleHidden, Cause::Import, device));
        let lapsed =
            devices().filter(|id| account.device(*id).is_some_and(|one| one.lapse_recorded));
        let lapsed = lapsed.map(|device| (ChangeKind::LeaseExpired, Cause::Silence, device));
        let begun = devices().take(1).map(|device| (begun, Cause::Import, device));
        let changes: Vec<_> = begun.chain(backed).chain(hidden).chain(lapsed).collect();
        let after = self.plan.changes.len() + changes.len();
        let fits = after <= limits::IMPORT_PIECE_CHANGES_MAX
            && after - self.changes_before <= limits::IMPORT_ACCOUNT_CHANGES_MAX;
        if fits && (from != Origin::Unknown || self.records.reserve(changes.len())) {
            for (kind, cause, device) in changes {
                self.plan.record(kind, cause, Some(&claim.handle), Some(device), Some(account.id));
            }
        } else if self.records.summarise() {
            self.plan.record(ChangeKind::HandleImported, Cause::Import, None, None, None);
        }
    }
}

/// What the registry knows of a handle that comes in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// This account holds it.
    Holder(AccountId),
    /// It has a tombstone.
    Tombstone,
    Unknown,
}

/// The last time somebody vouched for a claim: its proof, or else a check-in of a device that backs it.
fn vouched_at(account: &Account, claim: &TransferClaim) -> Timestamp {
    let backing = account.devices.iter().filter(|device| claim.devices.contains(&device.id));
    let checked_in_at = backing.map(|device| device.last_check_in_at).max();
    claim.proved_at.max(checked_in_at).unwrap_or_default()
}
