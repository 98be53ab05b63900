//! Proofs and deregistrations that no row decides.

use std::{convert::Infallible, ops::ControlFlow};

use crate::{
    clock::Timestamp,
    handle::Handle,
    ids::DeviceId,
    registry::{ChangeError, DeviceError, Registry},
};

impl Registry {
    pub(crate) async fn prove(
        &self,
        device: DeviceId,
        handle: Handle,
    ) -> Result<Timestamp, DeviceError> {
        let proved = self.prove_with(device, handle, |_| ControlFlow::<Infallible>::Continue(()));
        let ControlFlow::Continue(at) = proved.await?;
        Ok(at)
    }

    pub(crate) async fn deregister(&self, handle: Handle) -> Result<(), ChangeError> {
        let ended = self.deregister_with(handle, |_| ControlFlow::<Infallible>::Continue(()));
        let ControlFlow::Continue(()) = ended.await?;
        Ok(())
    }
}
