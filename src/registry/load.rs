//! Building the index from the store, by as many threads as there are processors.
//!
//! Each thread reads a part of the accounts into an arena of its own, so that they share nothing; then the tables are
//! filled, each thread with shards of its own.

use std::{num::NonZero, thread, time::Duration};

use super::{
    arena::Arena,
    index::Index,
    store::{Mutation, Row, Store, StoreError, Unrecorded},
};

/// The index of what is stored, and the changes that the log is not known to hold.
pub(super) fn load(
    store: &mut dyn Store,
    lease: Duration,
) -> Result<(Index, Vec<Unrecorded>), StoreError> {
    load_by(thread::available_parallelism().map_or(1, NonZero::get), store, lease)
}

/// The same by so many threads.
pub(super) fn load_by(
    threads: usize,
    store: &mut dyn Store,
    lease: Duration,
) -> Result<(Index, Vec<Unrecorded>), StoreError> {
    let reader = store.reader();
    let read = |part| {
        let mut arena = Arena::default();
        reader.packed(part, threads, &mut |packed| {
            arena.insert(packed);
        })?;
        Ok::<_, StoreError>(arena)
    };
    let arenas: Vec<_> = thread::scope(|scope| {
        let readers: Vec<_> = (0..threads).map(|part| scope.spawn(move || read(part))).collect();
        let join = |reader: thread::ScopedJoinHandle<'_, _>| {
            reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        readers.into_iter().map(join).collect::<Result<_, StoreError>>()
    })?;
    let mut arena = Arena::default();
    arenas.into_iter().for_each(|part| arena.append(part));
    let mut index = Index::of(lease, arena, threads)?;
    let mut unrecorded = Vec::new();
    store.load(&mut |row| match row {
        Row::Tombstone(handle, ended) => index.apply(Mutation::PutTombstone(handle, ended)),
        Row::Unrecorded(row) => unrecorded.push(row),
    })?;
    Ok((index, unrecorded))
}
