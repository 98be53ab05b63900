//! [`Registry`]: its changes and its detailed reads.
//!
//! Every change is durable in the store, visible to lookups and committed to the log when its call returns `Ok`. A call
//! that is dropped half way may still happen.

use std::{path::Path, sync::Arc};

use crate::{clock::Timestamp, handle::Handle, ids::DeviceId};

use super::{
    commands::{
        CheckIn, Deregister, Import, ImportRecords, Imported, Prove, Rebind, SetDiscoverable,
        SignOut, SignUp, SignedUp, Ticked, Unbind, choose, unreadable,
    },
    counts::{self, Counts},
    device::{DeviceDetails, HandleDetails, LostDetails},
    directory::Registry,
    error::{BindError, ChangeError, DeviceError, Loading, SignUpError},
    store::StoreError,
    transfer::TransferAccount,
};

impl Registry {
    /// Signs a device up. One that joins an account backs all of its handles.
    ///
    /// # Errors
    /// If the account to join is gone or full, the name is too long, or no change can be made.
    pub async fn sign_up(&self, request: SignUp) -> Result<SignedUp, SignUpError> {
        self.submit(request).await
    }

    /// Renews a device's lease, and nothing else. Returns until when it now counts as live.
    ///
    /// # Errors
    /// If there is no such device, or no change can be made.
    pub async fn check_in(&self, device: DeviceId) -> Result<Timestamp, DeviceError> {
        self.submit(CheckIn(device)).await
    }

    /// Removes a device with its bindings.
    ///
    /// # Errors
    /// If there is no such device, or no change can be made.
    pub async fn sign_out(&self, device: DeviceId) -> Result<(), DeviceError> {
        self.submit(SignOut(device)).await
    }

    /// Gives `handle`, whose ownership was just verified, to the device and its account, whoever held it before.
    /// Returns the moment of the proof. A handle that its account hid stays hidden as long as it is held; after it
    /// ended or moved it is shown.
    ///
    /// # Errors
    /// If there is no such device, its account is full, or no change can be made.
    pub async fn prove(&self, device: DeviceId, handle: Handle) -> Result<Timestamp, BindError> {
        self.submit(Prove(device, handle)).await
    }

    /// Lets the device back a handle that its account holds already, and returns when that was proved; none if the
    /// account does not hold it.
    ///
    /// # Errors
    /// If there is no such device, or no change can be made.
    pub async fn rebind(
        &self,
        device: DeviceId,
        handle: Handle,
    ) -> Result<Option<Timestamp>, BindError> {
        self.submit(Rebind(device, handle)).await
    }

    /// The device gives a handle up.
    ///
    /// # Errors
    /// If it does not back it, there is no such device, or no change can be made.
    pub async fn unbind(&self, device: DeviceId, handle: Handle) -> Result<(), DeviceError> {
        self.submit(Unbind(device, handle)).await
    }

    /// Takes a handle from every device. Succeeds as well if nobody holds it.
    ///
    /// # Errors
    /// If no change can be made.
    pub async fn deregister(&self, handle: Handle) -> Result<(), ChangeError> {
        self.submit(Deregister(handle)).await
    }

    /// Shows a handle to strangers or hides it from them.
    ///
    /// # Errors
    /// If the device does not back it, there is no such device, or no change can be made.
    pub async fn set_discoverable(
        &self,
        device: DeviceId,
        handle: Handle,
        discoverable: bool,
    ) -> Result<HandleDetails, DeviceError> {
        self.submit(SetDiscoverable { device, handle, discoverable }).await
    }

    /// Records lapsed leases and forgets handles that ended long ago: a bounded part of what is due. Can be called at
    /// any time; lookups do not depend on it.
    ///
    /// # Errors
    /// If no change can be made; the next tick goes on from there.
    pub async fn tick(&self) -> Result<Ticked, ChangeError> {
        let shared = Arc::clone(&self.shared);
        // The scan reads the whole index, so it must not run on a serving thread.
        let scan = tokio::task::spawn_blocking(move || {
            shared.loaded().map(drop).map_err(|Loading| ChangeError::Loading)?;
            Ok(choose(&shared, shared.clock.now()))
        });
        let mut ticked = Ticked::default();
        for sweep in scan.await.map_err(|_| ChangeError::Stopped)?? {
            let part = self.submit(sweep).await?;
            ticked.lapsed += part.lapsed;
            ticked.removed += part.removed;
            ticked.forgotten += part.forgotten;
        }
        Ok(ticked)
    }

    /// Takes in a piece of an import: accounts in the order of their ids, each handle and device in one of them. Pieces
    /// of a few hundred keep lookups and other changes from waiting. Taking the same piece in again changes nothing.
    /// `records` is the import's own, from its first piece to its last.
    ///
    /// # Errors
    /// If no change can be made; then nothing of the piece came in.
    pub async fn import(
        &self,
        accounts: Vec<TransferAccount>,
        records: &mut ImportRecords,
    ) -> Result<Imported, ChangeError> {
        let piece = Import { accounts, founded_at: self.founded_at, records: *records };
        let (imported, after) = self.submit(piece).await?;
        *records = after;
        Ok(imported)
    }

    /// Writes the store as it is at one moment into a new file at `path`, which can take the place of a stopped server's
    /// `registry.redb`. Changes go on meanwhile. Blocks: seconds for ten million handles.
    ///
    /// # Errors
    /// If the store cannot be read, or the file exists or cannot be written.
    pub fn snapshot(&self, path: &Path) -> Result<(), StoreError> {
        self.reader.copy(path)
    }

    /// A device, with the handles it backs; none if there is no such device. Reads the store, so not on a serving
    /// thread.
    ///
    /// # Errors
    /// Until the registry is loaded, or if the store cannot be read.
    pub fn device(&self, id: DeviceId) -> Result<Option<DeviceDetails>, ChangeError> {
        // The index first, then the store: the store may be newer, by a change that is not acknowledged yet.
        let loaded = self.shared.loaded().map_err(|Loading| ChangeError::Loading)?;
        let Some((packed, device)) = loaded.device(id) else {
            return Ok(None);
        };
        let (account, last_check_in_at) = (packed.account(), device.last_check_in_at());
        let place = packed.devices().position(|device| device.id() == id).unwrap_or_default();
        let backed = packed.handles().filter(|handle| handle.is_backed_by(place));
        let visible: Vec<_> =
            backed.filter_map(|handle| Some((handle.handle()?, handle.discoverable()))).collect();
        drop(loaded);
        let stored = self.reader.account(account).map_err(unreadable)?;
        let Some(stored) = stored else {
            return Ok(None);
        };
        let Some(device) = stored.device(id) else {
            return Ok(None);
        };
        let mut handles: Vec<_> = visible
            .into_iter()
            .filter_map(|(handle, discoverable)| {
                let proved_at = stored.claim(&handle)?.proved_at;
                Some(HandleDetails { handle, proved_at, discoverable })
            })
            .collect();
        handles.sort_by(|one, other| one.handle.canonical().cmp(&other.handle.canonical()));
        let now = self.shared.clock.now();
        let lost = stored.lost.iter().filter(|lost| !lost.is_forgotten(now));
        let mut lost: Vec<_> = lost
            .map(|lost| LostDetails { handle: lost.handle.clone(), how: lost.how, at: lost.at })
            .collect();
        lost.sort_by(|one, other| {
            (one.at, one.handle.canonical()).cmp(&(other.at, other.handle.canonical()))
        });
        Ok(Some(DeviceDetails {
            device: id,
            account,
            platform: device.platform,
            name: device.name.clone().map(Into::into),
            registered_at: device.registered_at,
            last_check_in_at,
            lease_expires_at: last_check_in_at.plus(self.shared.config.lease),
            handles,
            lost,
        }))
    }

    /// Figures at `now`. Scans the index: for operators, and not on a serving thread.
    ///
    /// # Errors
    /// Until the registry is loaded.
    pub fn counts(&self, now: Timestamp) -> Result<Counts, Loading> {
        self.shared.loaded().map(drop)?;
        Ok(counts::counts(&self.shared, now))
    }
}
