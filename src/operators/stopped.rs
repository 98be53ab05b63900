//! The operators of a stopped server, in the store of its registry.

use std::{path::Path, sync::Arc};

use super::{
    error::{OperatorsError, ReachError},
    former::take_over,
    list::{KIND, NewOperator, add, check_room, in_order, revoke},
    operator::Operator,
};
use crate::{
    clock::SystemClock,
    files::DataDirectory,
    registry::{self, StoppedRegistry},
};

/// The operators of a stopped server. As long as it is held no server starts on the same directory.
pub struct StoppedOperators {
    // In this order, so that the store is closed before anybody else may open it.
    registry: StoppedRegistry,
    _directory: DataDirectory,
}

impl StoppedOperators {
    /// Opens the list of the data directory `data`. One that holds no files becomes a data directory.
    ///
    /// # Errors
    /// If another process uses the directory, or its store cannot be opened.
    pub fn open(data: &Path) -> Result<Self, ReachError> {
        let directory = DataDirectory::open(data)?;
        let folder = data.join("registry");
        take_over(&folder)?;
        let config = registry::Config::default();
        let registry = StoppedRegistry::open(&folder, config, Arc::new(SystemClock))?;
        Ok(Self { registry, _directory: directory })
    }

    /// Everyone on the list, in the order they were added.
    pub fn list(&self) -> Result<Vec<Operator>, OperatorsError> {
        let mut found = Vec::new();
        self.registry.each_row(KIND, |name, row| found.push(Operator::read(name, row)))?;
        in_order(found.into_iter().collect())
    }

    /// Refuses to change the files of a cluster's node: its registry would leave the shared log.
    fn check_alone(&self) -> Result<(), OperatorsError> {
        if self.registry.log_head().is_some() { Err(OperatorsError::Stopped) } else { Ok(()) }
    }

    /// Whether an operator of this name can be added now.
    pub(super) fn check_new(&self, new: &NewOperator) -> Result<(), OperatorsError> {
        self.check_alone()?;
        let mut names = Vec::new();
        self.registry.each_row(KIND, |name, _| names.push(name.to_vec()))?;
        check_room(names.iter().any(|name| name == new.name.as_bytes()), names.len())
    }

    /// Adds an operator, durable when this returns.
    pub fn add(&mut self, new: &NewOperator) -> Result<(), OperatorsError> {
        self.check_alone()?;
        self.registry.change_rows(KIND, |rows| add(rows, &new.name, new.role, new.token_hash()))
    }

    /// Takes an operator off the list, durable when this returns.
    pub fn revoke(&mut self, name: &str) -> Result<(), OperatorsError> {
        self.check_alone()?;
        self.registry.change_rows(KIND, |rows| revoke(rows, name))
    }
}
