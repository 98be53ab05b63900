//! [`Registry`]: what can be asked of it and done to it.
//!
//! Every change is durable in the store, visible to lookups and committed to the log when its call returns `Ok`. A call
//! that is dropped half way may still happen.

use std::sync::{Arc, PoisonError};

use crate::{clock::Timestamp, handle::Handle, ids::DeviceId};

use super::{
    commands::{
        CheckIn, Deregister, Prove, Rebind, SetDiscoverable, SignOut, SignUp, SignedUp, Ticked,
        Unbind, choose,
    },
    counts::Counts,
    device::{DeviceDetails, HandleDetails},
    directory::Registry,
    error::{BindError, ChangeError, DeviceError, HandleError, Loading, SignUpError},
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
    pub async fn unbind(&self, device: DeviceId, handle: Handle) -> Result<(), HandleError> {
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
    ) -> Result<HandleDetails, HandleError> {
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
            Ok(choose(shared.loaded().map_err(|Loading| ChangeError::Loading)?, shared.clock.now()))
        });
        let mut ticked = Ticked::default();
        for sweep in scan.await.map_err(|_| ChangeError::Stopped)?? {
            let part = self.submit(sweep).await?;
            ticked.lapsed += part.lapsed;
            ticked.forgotten += part.forgotten;
        }
        Ok(ticked)
    }

    /// A device, with the handles it backs; none if there is no such device.
    ///
    /// # Errors
    /// Until the registry is loaded.
    pub fn device(&self, id: DeviceId) -> Result<Option<DeviceDetails>, Loading> {
        let index = self.shared.loaded()?;
        let _gate = self.shared.gate.read().unwrap_or_else(PoisonError::into_inner);
        let Some(device) = index.device(id) else {
            return Ok(None);
        };
        let backed = index.backed(device.account, id).into_iter();
        let mut handles: Vec<_> = backed
            .map(|(handle, claim)| HandleDetails {
                handle,
                proved_at: claim.proved_at,
                discoverable: claim.discoverable,
            })
            .collect();
        handles.sort_by(|one, other| one.handle.canonical().cmp(&other.handle.canonical()));
        Ok(Some(DeviceDetails {
            device: id,
            account: device.account,
            platform: device.platform,
            name: device.name.map(Into::into),
            registered_at: device.registered_at,
            last_check_in_at: device.last_check_in_at,
            lease_expires_at: device.lease_until,
            handles,
        }))
    }

    /// Figures at `now`. Scans the index: for operators, and not on a serving thread.
    ///
    /// # Errors
    /// Until the registry is loaded.
    pub fn counts(&self, now: Timestamp) -> Result<Counts, Loading> {
        Ok(self.shared.loaded()?.counts(now))
    }
}
