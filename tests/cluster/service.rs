//! What clients use: some nodes that give the same answers.

use futures_util::future::BoxFuture;

use crate::history::{Outcome, What};

/// A device that signed up.
#[derive(Clone, Debug)]
pub(crate) struct Phone {
    /// What it shows at each call.
    pub(crate) token: String,
    /// What records call it.
    pub(crate) device: String,
}

/// Nodes of a cluster, as their clients see them.
pub(crate) trait Service: Send + Sync + 'static {
    /// How many there are.
    fn nodes(&self) -> usize;

    /// A new device in a new account.
    fn sign_up(&self, node: usize) -> BoxFuture<'_, Result<Phone, Outcome>>;

    /// Changes a handle.
    fn change<'a>(
        &'a self,
        node: usize,
        phone: &'a Phone,
        handle: &'a str,
        what: What,
    ) -> BoxFuture<'a, Outcome>;

    /// Renews the device's lease.
    fn check_in<'a>(&'a self, node: usize, phone: &'a Phone) -> BoxFuture<'a, Outcome>;

    /// Who holds each of the handles, by the name that this asker is given for the account. None for nobody.
    fn look_up<'a>(
        &'a self,
        node: usize,
        asker: &'a Phone,
        handles: &'a [String],
    ) -> BoxFuture<'a, Result<Vec<Option<String>>, Outcome>>;
}
