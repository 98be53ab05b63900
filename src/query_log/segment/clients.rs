//! The clients of rows that wait to be written: interned, since a batch or a busy phone repeats one row after row.
//!
//! A table belongs to one row group: so neither who writes nor who reads ever holds more clients than rows of one pass.

use std::{net::Ipv6Addr, num::NonZeroU64};

use hashbrown::HashTable;

use super::{
    client::{ADDRESS_BYTES, Client, ENTRY_BYTES, PackedClient},
    digest::RowHasher,
};

/// Entries that are handed over at once.
const WRITE_ENTRIES: usize = 1_024;

/// How much a row group's table holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct TableSize {
    pub(super) entries: u32,
    pub(super) addresses: u32,
}

/// A client with its hash.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hashed {
    pub(super) client: Client,
    /// Of a keyed hash: clients are chosen by who asks.
    pub(super) hash: NonZeroU64,
}

impl Hashed {
    pub(super) fn is(&self, other: &Self) -> bool {
        self.hash == other.hash && self.client == other.client
    }
}

/// Clients of rows that wait, each once.
#[derive(Debug)]
pub(super) struct Clients {
    all: Vec<PackedClient>,
    addresses: Vec<Ipv6Addr>,
    /// Their hashes are not kept: a table that grows makes them again.
    places: HashTable<u32>,
    hasher: RowHasher,
    /// In which order they are to be written.
    order: Vec<u32>,
}

impl Clients {
    /// Room for the clients of so many rows: a usual hour has one for five rows or fewer. Growing a table costs a copy of it;
    /// room that is not used is no memory yet.
    pub(super) fn for_rows(rows: usize, hasher: RowHasher) -> Self {
        let clients = rows / 5;
        Self {
            all: Vec::with_capacity(clients),
            addresses: Vec::new(),
            places: HashTable::with_capacity(clients),
            hasher,
            order: Vec::new(),
        }
    }

    /// The numbers of clients, new ones of those that are new.
    ///
    /// In three steps for all, each short: the processor then waits for the memory of many look-ups at once.
    pub(super) fn intern_all(&mut self, clients: &[Hashed]) -> Vec<u32> {
        let Self { all, addresses, places, .. } = &*self;
        // Nearly always the right one: its place and seven bits of its hash agree.
        let guess = |client: &Hashed| places.find(client.hash.get(), |_| true).copied();
        let guesses: Vec<Option<u32>> = clients.iter().map(guess).collect();
        let right = |(client, guess): (&Hashed, Option<u32>)| {
            guess.filter(|number| all[*number as usize].is(&client.client, addresses))
        };
        let found: Vec<Option<u32>> = clients.iter().zip(guesses).map(right).collect();
        let number =
            |(client, found): (&Hashed, Option<u32>)| found.unwrap_or_else(|| self.intern(client));
        clients.iter().zip(found).map(number).collect()
    }

    /// The number of a client, a new one if it is new.
    fn intern(&mut self, client: &Hashed) -> u32 {
        let Self { all, addresses, places, hasher, .. } = self;
        let number = *places
            .entry(
                client.hash.get(),
                |&number| all[number as usize].is(&client.client, addresses),
                |&number| hash(all[number as usize], addresses, hasher),
            )
            .or_insert_with(|| all.len() as u32)
            .get();
        if number as usize == all.len() {
            all.push(PackedClient::new(&client.client, addresses));
        }
        number
    }

    /// Numbers the clients anew in the order in which `rows` name them, those that none names left out: so they will be
    /// written. No more can come before [`Self::keep_named`].
    pub(super) fn renumber<'a>(&mut self, rows: impl Iterator<Item = &'a mut u32>) {
        const UNNAMED: u32 = u32::MAX;
        self.places = HashTable::new();
        let mut numbers = vec![UNNAMED; self.all.len()];
        self.order = Vec::with_capacity(self.all.len());
        for client in rows {
            let number = &mut numbers[*client as usize];
            if *number == UNNAMED {
                *number = self.order.len() as u32;
                self.order.push(*client);
            }
            *client = *number;
        }
    }

    /// Forgets the clients that [`Self::renumber`] left out; more can come then.
    pub(super) fn keep_named(&mut self) {
        let (mut all, mut addresses) = (Vec::with_capacity(self.order.len()), Vec::new());
        for number in std::mem::take(&mut self.order) {
            all.push(self.take(number, &mut addresses));
        }
        (self.all, self.addresses) = (all, addresses);
        let Self { all, addresses, places, hasher, .. } = self;
        *places = HashTable::with_capacity(all.len());
        let hash = |number: &u32| hash(all[*number as usize], addresses, hasher);
        for number in 0..all.len() as u32 {
            places.insert_unique(hash(&number), number, hash);
        }
    }

    /// A client, with its address at the end of another list.
    fn take(&self, number: u32, addresses: &mut Vec<Ipv6Addr>) -> PackedClient {
        let slim = self.all[number as usize];
        let Some(place) = slim.place() else { return slim };
        // Fewer than rows wait, which a u32 counts.
        let moved = slim.moved(addresses.len() as u32);
        addresses.push(self.addresses[place as usize]);
        moved
    }

    /// Gives the table to `write`, piece by piece, in the order of [`Self::renumber`].
    pub(super) fn write<E>(
        &self,
        mut write: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<TableSize, E> {
        let mut addresses = Vec::new();
        let mut piece = Vec::with_capacity(WRITE_ENTRIES * ENTRY_BYTES);
        for numbers in self.order.chunks(WRITE_ENTRIES) {
            piece.clear();
            for number in numbers {
                piece.extend_from_slice(&self.take(*number, &mut addresses).pack());
            }
            write(&piece)?;
        }
        for some in addresses.chunks(WRITE_ENTRIES) {
            piece.clear();
            some.iter().for_each(|address| piece.extend_from_slice(&address.octets()));
            write(&piece)?;
        }
        let (entries, addresses) = (self.order.len() as u32, addresses.len() as u32);
        Ok(TableSize { entries, addresses })
    }
}

fn hash(slim: PackedClient, addresses: &[Ipv6Addr], hasher: &RowHasher) -> u64 {
    // None only if its address is not there, and every address is.
    slim.client(addresses).map_or(0, |client| hasher.client(&client).get())
}

impl TableSize {
    /// Bytes of the whole table.
    pub(super) fn bytes(self) -> u64 {
        u64::from(self.entries) * ENTRY_BYTES as u64
            + u64::from(self.addresses) * ADDRESS_BYTES as u64
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;
    use crate::query_log::segment::client::tests::client;

    proptest! {
        /// Any sequence of interning and of forgetting those that no row names.
        #[test]
        fn equal_clients_have_one_number(
            known in prop::collection::vec(client(), 1..12),
            asked in prop::collection::vec((any::<prop::sample::Index>(), prop::bool::weighted(0.1)), 0..60),
        ) {
            let hasher = RowHasher::new(7);
            let mut clients = Clients::for_rows(0, hasher.clone());
            let mut rows: Vec<(Client, u32)> = Vec::new();
            for (which, forget) in asked {
                let client = *which.get(&known);
                let hash = hasher.client(&client);
                let number = clients.intern_all(&[Hashed { client, hash }; 2]);
                prop_assert_eq!(number[0], number[1]);
                rows.push((client, number[0]));
                if forget {
                    rows.truncate(rows.len() / 2 + 1);
                    clients.renumber(rows.iter_mut().map(|row| &mut row.1));
                    clients.keep_named();
                }
                let numbers: HashMap<Client, u32> = rows.iter().copied().collect();
                prop_assert!(rows.iter().all(|(client, number)| numbers[client] == *number));
            }
            clients.renumber(rows.iter_mut().map(|row| &mut row.1));
            let mut bytes = Vec::new();
            let size = clients.write(|piece| { bytes.extend_from_slice(piece); Ok::<_, ()>(()) }).unwrap();
            prop_assert_eq!(size.bytes(), bytes.len() as u64);
            let (entries, addresses) = bytes.split_at(size.entries as usize * ENTRY_BYTES);
            let addresses: Vec<Ipv6Addr> =
                addresses.chunks(ADDRESS_BYTES).filter_map(super::super::client::unpack_address).collect();
            let mut seen = 0;
            for (client, number) in rows {
                let entry = &entries[number as usize * ENTRY_BYTES..][..ENTRY_BYTES];
                prop_assert_eq!(PackedClient::unpack(entry).unwrap().client(&addresses), Some(client));
                // In the order of the rows.
                prop_assert!(number <= seen);
                seen = seen.max(number + 1);
            }
            prop_assert_eq!(seen, size.entries);
        }
    }
}
