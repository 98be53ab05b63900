//! The quota's files: what was asked for and charged, so that a restart does not forgive it.
//!
//! ```text
//! NNNNNNNNNN-NNNNNN.handles   fingerprints of the handles of one hour
//! NNNNNNNNNN-NNNNNN.states    states of accounts and budgets, and then what changed
//! ```
//!
//! Both are [files of frames](crate::envelope::FrameFile) under the key of their hour, which the query log's retention destroys: what
//! was asked is forgotten on the disk when the log forgets it, and forgetting writes nothing here. A file of states is replaced
//! each day, at each start, and when it has grown long, by one that begins with all states. The former ones are removed then,
//! except those that could not be read: the next start tries them again.
//!
//! A write follows the change by [`limits::QUOTA_WRITE_EVERY`] and its own duration. No lookup waits for it. If the files cannot be
//! written, quotas go on in memory.

#[cfg(feature = "testing")]
mod fuzz;
mod name;
mod quota_files;
mod reader;
mod rows;
mod states;
mod written_file;

#[cfg(feature = "testing")]
pub use fuzz::rows as fuzz_rows;
use std::{
    io,
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use zeroize::Zeroizing;

pub use self::quota_files::QuotaFiles;
use self::{
    name::{FileKind, FileName},
    reader::Damage,
    states::StatesFile,
    written_file::{WriteError, WrittenFile},
};
use super::{
    asked::hour_mark,
    fingerprint::FingerprintKey,
    new_handles::{Instants, NewHandles},
    unwritten::Changes,
};
use crate::{
    clock::{Hour, SharedClock},
    envelope::FileError,
    limits,
    lock::lock,
};

/// Pause after a failed write. Meanwhile the changes wait in memory.
const RETRY_PAUSE: Duration = Duration::from_secs(5);

/// The quota's files, open for writing.
pub(super) struct Journal {
    files: QuotaFiles,
    clock: SharedClock,
    /// Whether the memory knows what the files say. What it does not know must not replace them.
    is_restored: AtomicBool,
    state: Mutex<State>,
}

struct State {
    handles: Option<WrittenFile>,
    states: Option<StatesFile>,
    /// When a file of states is to be begun that has all of them, by the boot clock.
    all_states_at: Duration,
    /// Nothing is written before, by the boot clock.
    retry_at: Duration,
    is_failing: bool,
    /// Files that could not be read back.
    unread: Vec<FileName>,
}

impl Journal {
    /// Opens the directory. Reads no more than the key of the fingerprints; a new one if there is none, and it is not shared.
    ///
    /// # Errors
    /// If the directory cannot be created or read.
    pub(super) fn open(
        files: QuotaFiles,
        clock: SharedClock,
    ) -> io::Result<(Self, FingerprintKey)> {
        files.disk.create_dir(&files.dir)?;
        let names = name::list(&files.dir)?;
        let in_files = || names.iter().rev().find_map(|name| files.key_of(*name));
        let key = files.shared_key.clone().or_else(|| in_files().map(Zeroizing::new));
        let key = key.map_or_else(FingerprintKey::random, FingerprintKey::of);
        let state = State {
            handles: None,
            states: None,
            all_states_at: Duration::ZERO,
            retry_at: Duration::ZERO,
            is_failing: false,
            unread: Vec::new(),
        };
        let is_restored = AtomicBool::new(false);
        Ok((Self { files, clock, is_restored, state: Mutex::new(state) }, key))
    }

    /// Reads everything back that is not expired. What is damaged is passed over and logged.
    pub(super) fn restore(&self, into: &NewHandles) -> io::Result<()> {
        let (mut damage, mut unread) = (Damage::default(), Vec::new());
        let names = name::list(&self.files.dir)?;
        let is_alone = |kind| !names.is_empty() && names.iter().all(|name| name.kind == kind);
        if is_alone(FileKind::Handles) {
            tracing::warn!(
                "the quota's file of states was removed; what accounts had spent is forgiven"
            );
        }
        for name in names {
            match self.restore_file(name, into) {
                Ok(places) => damage.places += places,
                Err(error) if self.is_expired(name.hour) => {
                    tracing::debug!(%name, %error, "an expired file of the quota");
                }
                Err(error) => {
                    tracing::warn!(%name, %error, "a file of the quota cannot be read; the next start tries again");
                    damage.files += 1;
                    unread.push(name);
                }
            }
        }
        if damage != Damage::default() {
            let Damage { files, places } = damage;
            tracing::warn!(
                files,
                places,
                "some of the quota's files cannot be read, as after a crash; asked handles that they hold cost again, and what \
                 accounts had spent is forgiven"
            );
        }
        lock(&self.state).unread = unread;
        self.is_restored.store(true, Ordering::Release);
        Ok(())
    }

    /// Whether [`Self::restore`] succeeded.
    pub(super) fn is_restored(&self) -> bool {
        self.is_restored.load(Ordering::Acquire)
    }

    /// Returns how many damaged places the file has.
    fn restore_file(&self, name: FileName, into: &NewHandles) -> io::Result<u64> {
        let mut file = match self.files.open(name) {
            // A crash left it so before anything was written into it.
            Err(FileError::Short) => return Ok(0),
            file => file.map_err(io::Error::other)?,
        };
        if self.files.shared_key.is_some() && self.is_of_before(name, into) {
            tracing::info!(%name, "a file of the quota from before the cluster is passed over");
            return Ok(0);
        }
        // States hold no fingerprints.
        if name.kind == FileKind::Handles {
            match file.key()? {
                Some(key) if key == *into.key.bytes() => {}
                Some(_) => return Err(io::Error::other("its fingerprints have another key")),
                None => return Ok(file.places()),
            }
        }
        let at = Instants { now: self.clock.now(), boot: self.clock.boot() };
        // A correction of trusted time makes the hour younger or older.
        let asked_at = self.clock.began(name.hour);
        let (asked, now) = (hour_mark(asked_at), hour_mark(at.now));
        let mut detector = None;
        while let Some(rows) = file.next()? {
            match rows.kind {
                rows::FINGERPRINTS if into.asked.is_alive(asked, now) => {
                    for row in rows.bytes.as_chunks().0 {
                        into.asked.insert(rows::fingerprint(row), asked, now);
                    }
                }
                rows::ACCOUNTS | rows::ACCOUNTS_0_3 | rows::BUDGETS => {
                    // Trusted time goes on for up to an hour while the server is off, and only that is regained.
                    let elapsed = at.now.since(self.clock.rebase(rows.at, at.now));
                    states::restore(&rows, into, elapsed, at.boot);
                }
                // Each is whole, so only the last one counts.
                rows::DETECTOR => detector = Some(rows.bytes.to_vec()),
                _ => {}
            }
        }
        if let Some(state) = detector {
            into.detector.restore(&state);
        }
        Ok(file.places())
    }

    /// Whether a file was written before this node shared a key. Its handles are not known any more, so its debts are forgiven, too:
    /// else repeats would cost again what is spent.
    fn is_of_before(&self, name: FileName, into: &NewHandles) -> bool {
        self.files.key_of(name).is_some_and(|key| key != *into.key.bytes())
    }

    /// Writes what has changed since the last call. Before [`Self::restore`] it does nothing. After a failure the changes wait for a later call.
    pub(super) fn write(&self, from: &NewHandles) {
        let mut state = lock(&self.state);
        let boot = self.clock.boot();
        if !self.is_restored() || boot < state.retry_at {
            return;
        }
        let changes = from.unwritten.take();
        let written = self.write_all(&mut state, from, changes.as_ref());
        match written {
            Ok(()) if state.is_failing => {
                state.is_failing = false;
                tracing::info!("the quota's files can be written again");
            }
            Ok(()) => {}
            Err(error) => {
                changes.into_iter().for_each(|changes| from.unwritten.put_back(changes));
                // What of them is on the disk is not known, and reading passes over it.
                (state.handles, state.states) = (None, None);
                state.retry_at = boot + RETRY_PAUSE;
                if !state.is_failing {
                    tracing::warn!(
                        %error,
                        "the quota's files cannot be written; quotas go on in memory, and a restart would forgive what is asked \
                         for meanwhile"
                    );
                }
                state.is_failing = true;
            }
        }
    }

    fn write_all(
        &self,
        state: &mut State,
        from: &NewHandles,
        changes: Option<&Changes>,
    ) -> Result<(), WriteError> {
        let boot = self.clock.boot();
        if state.all_states_at <= boot || state.states.as_ref().is_some_and(StatesFile::is_long) {
            state.states = Some(self.begin_states(from, &state.unread)?);
            state.all_states_at = boot + limits::QUOTA_STATES_EVERY.min(self.files.retention / 2);
        }
        let Some(changes) = changes else { return Ok(()) };
        let (now, era) = self.clock.stamp();
        if !changes.asked.is_empty() {
            let hour = now.hour(era);
            if state.handles.as_ref().is_none_or(|file| file.name.hour != hour) {
                state.handles = Some(self.create(FileKind::Handles, from)?);
            }
            if let Some(file) = &mut state.handles {
                let rows = changes.asked.iter().map(|asked| asked.to_le_bytes());
                file.add(rows::FINGERPRINTS, now, rows)?;
                self.commit(file)?;
            }
        }
        if state.states.is_none() {
            state.states = Some(StatesFile::new(self.create(FileKind::States, from)?));
        }
        if let Some(states) = &mut state.states {
            states.add(from, changes, Instants { now, boot })?;
            self.commit(&mut states.file)?;
        }
        Ok(())
    }

    /// A file that begins with all states. It replaces the former ones that were read.
    fn begin_states(
        &self,
        from: &NewHandles,
        unread: &[FileName],
    ) -> Result<StatesFile, WriteError> {
        let former = name::list(&self.files.dir)?;
        let mut states = StatesFile::new(self.create(FileKind::States, from)?);
        let at = Instants { now: self.clock.now(), boot: self.clock.boot() };
        states.add_all(from, at).inspect_err(|_| self.discard(&states.file.path))?;
        self.commit(&mut states.file)?;
        for name in former {
            if name.kind == FileKind::States && !unread.contains(&name) {
                self.files.disk.unlink(&self.files.path(name))?;
            }
        }
        Ok(states)
    }

    fn create(&self, kind: FileKind, from: &NewHandles) -> Result<WrittenFile, WriteError> {
        let QuotaFiles { dir, disk, keyring, .. } = &self.files;
        let (now, era) = self.clock.stamp();
        // A file without a key is forgotten, or none of the quota's.
        let names = name::list(dir)?.into_iter().filter(|name| keyring.get(name.hour).is_some());
        let last = names.map(|name| name.number).max().unwrap_or(0);
        let out_of_numbers = || io::Error::other("the quota's files have no further number");
        let number = last.checked_add(1).ok_or_else(out_of_numbers)?;
        let name = FileName { hour: now.hour(era), number, kind };
        let path = self.files.path(name);
        WrittenFile::create(disk, path.clone(), name, keyring, &from.key)
            .inspect_err(|_| self.discard(&path))
    }

    fn commit(&self, file: &mut WrittenFile) -> Result<(), WriteError> {
        file.commit().inspect_err(|_| {
            if file.is_empty() {
                self.discard(&file.path);
            }
        })
    }

    /// Removes a file without rows: otherwise each attempt on a full disk would leave another.
    fn discard(&self, path: &Path) {
        // If this fails the file stays until its hour is forgotten.
        let _ = self.files.disk.unlink(path);
    }

    /// Removes the files whose keys are destroyed.
    pub(super) fn remove_expired(&self) -> io::Result<()> {
        let _state = lock(&self.state);
        for name in name::list(&self.files.dir)? {
            if self.files.keyring.get(name.hour).is_none() && self.is_expired(name.hour) {
                self.files.disk.unlink(&self.files.path(name))?;
            }
        }
        Ok(())
    }

    fn is_expired(&self, hour: Hour) -> bool {
        self.clock.expiry(hour, self.files.retention) <= self.clock.now()
    }
}
