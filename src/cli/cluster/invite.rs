//! `dispatchd cluster invite|remove`: on a running server, by its socket.

use anyhow::anyhow;

use crate::{
    cli::{
        note::note,
        operator::{DataDirectory, show},
    },
    cluster::Identity,
    operators::{NewInvite, OperatorsError},
};

/// Invites the node `name`, and prints the token.
pub(super) fn invite(name: &str, data: &DataDirectory) -> anyhow::Result<()> {
    let server = data.existing()?;
    let identity = Identity::read(&data.path()?)?.ok_or(OperatorsError::NoCluster)?;
    let new = NewInvite::new(name, identity.node)?;
    server.check_invite(&new)?;
    // Shown before it is valid, as an operator's token.
    show(new.token(), "no node was invited")?;
    server.invite(&new).map_err(|error| match error {
        OperatorsError::Registry(_) | OperatorsError::Unanswered(_) => anyhow!(error).context(
            "the token that was printed may be valid, or not; it ends by itself in an hour",
        ),
        error => {
            anyhow!(error).context("the token that was printed is not valid: no node was invited")
        }
    })?;
    note!(
        "dispatchd: the token lets {name} join once, within an hour: `dispatchd cluster join URL --token-file FILE` there, with the address \
         of this server's operators' listener and no other"
    );
    Ok(())
}

/// Removes the node `name`.
pub(super) fn remove(name: &str, data: &DataDirectory) -> anyhow::Result<()> {
    data.existing()?.remove_node(name).map_err(|error| match error {
        OperatorsError::Registry(_) | OperatorsError::Unanswered(_) => anyhow!(error).context(
            "the node may be removed, or may be soon: `dispatchd cluster status` shows it",
        ),
        error => error.into(),
    })
}
