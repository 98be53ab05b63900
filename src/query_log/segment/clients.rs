//! The clients of the rows in the sort buffer, interned: a batch or a busy phone repeats the same client row after row.
//!
//! A table belongs to one row group, so writer and reader never hold more clients than one pass has rows.

use std::{net::Ipv6Addr, num::NonZeroU64};

use hashbrown::HashTable;

use super::{
    client::{ADDRESS_BYTES, ENTRY_BYTES, PackedClient},
    digest::RowHasher,
};
use crate::query_log::record::Client;

const WRITE_ENTRIES: usize = 1_024;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct TableSize {
    pub(super) entries: u32,
    pub(super) addresses: u32,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct HashedClient {
    pub(super) client: Client,
    /// A keyed hash, because senders choose their clients.
    pub(super) hash: NonZeroU64,
}

impl HashedClient {
    pub(super) fn is(&self, other: &Self) -> bool {
        self.hash == other.hash && self.client == other.client
    }
}

/// The clients of the rows in the sort buffer, each once.
#[derive(Debug)]
pub(super) struct Clients {
    all: Vec<PackedClient>,
    addresses: Vec<Ipv6Addr>,
    /// Client numbers by hash. It does not keep the hashes: a table that grows computes them again.
    index: HashTable<u32>,
    hasher: RowHasher,
    order: Vec<u32>,
}

impl Clients {
    /// Reserves capacity for the clients of `rows` rows; a usual hour has at most one client for five rows. Growth would copy
    /// the table, while unused capacity costs no memory.
    pub(super) fn for_rows(rows: usize, hasher: RowHasher) -> Self {
        let clients = rows / 5;
        Self {
            all: Vec::with_capacity(clients),
            addresses: Vec::new(),
            index: HashTable::with_capacity(clients),
            hasher,
            order: Vec::new(),
        }
    }

    /// The numbers of clients; it adds new clients.
    ///
    /// Three short loops over all clients, so that the processor waits for the memory of many look-ups at once.
    pub(super) fn intern_all(&mut self, clients: &[HashedClient]) -> Vec<u32> {
        let Self { all, addresses, index, .. } = &*self;
        // Nearly always right: the bucket and seven bits of the hash match.
        let guess = |client: &HashedClient| index.find(client.hash.get(), |_| true).copied();
        let guesses: Vec<Option<u32>> = clients.iter().map(guess).collect();
        let right = |(client, guess): (&HashedClient, Option<u32>)| {
            guess.filter(|number| all[*number as usize].is(&client.client, addresses))
        };
        let found: Vec<Option<u32>> = clients.iter().zip(guesses).map(right).collect();
        let number = |(client, found): (&HashedClient, Option<u32>)| {
            found.unwrap_or_else(|| self.intern(client))
        };
        clients.iter().zip(found).map(number).collect()
    }

    fn intern(&mut self, client: &HashedClient) -> u32 {
        let Self { all, addresses, index, hasher, .. } = self;
        let number = *index
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

    /// Renumbers the clients in the order in which `rows` use them, which is the order of writing, and leaves unused clients
    /// out. The caller must call [`Self::drop_unused`] before it adds further clients.
    pub(super) fn renumber<'a>(&mut self, rows: impl Iterator<Item = &'a mut u32>) {
        const UNUSED: u32 = u32::MAX;
        self.index = HashTable::new();
        let mut numbers = vec![UNUSED; self.all.len()];
        self.order = Vec::with_capacity(self.all.len());
        for client in rows {
            let number = &mut numbers[*client as usize];
            if *number == UNUSED {
                *number = self.order.len() as u32;
                self.order.push(*client);
            }
            *client = *number;
        }
    }

    /// Drops the clients that [`Self::renumber`] left out. After that the caller may add clients.
    pub(super) fn drop_unused(&mut self) {
        let (mut all, mut addresses) = (Vec::with_capacity(self.order.len()), Vec::new());
        for number in std::mem::take(&mut self.order) {
            all.push(self.renumbered(number, &mut addresses));
        }
        (self.all, self.addresses) = (all, addresses);
        let Self { all, addresses, index, hasher, .. } = self;
        *index = HashTable::with_capacity(all.len());
        let hash = |number: &u32| hash(all[*number as usize], addresses, hasher);
        for number in 0..all.len() as u32 {
            index.insert_unique(hash(&number), number, hash);
        }
    }

    /// A client whose address is moved to the end of `addresses`.
    fn renumbered(&self, number: u32, addresses: &mut Vec<Ipv6Addr>) -> PackedClient {
        let packed = self.all[number as usize];
        let Some(index) = packed.address_index() else { return packed };
        // There are fewer addresses than rows in the buffer, and a u32 counts those.
        let renumbered = packed.with_address_index(addresses.len() as u32);
        addresses.push(self.addresses[index as usize]);
        renumbered
    }

    /// Passes the table to `write`, piece by piece, in the order of [`Self::renumber`].
    pub(super) fn write<E>(
        &self,
        mut write: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<TableSize, E> {
        let mut addresses = Vec::new();
        let mut piece = Vec::with_capacity(WRITE_ENTRIES * ENTRY_BYTES);
        for numbers in self.order.chunks(WRITE_ENTRIES) {
            piece.clear();
            for number in numbers {
                piece.extend_from_slice(&self.renumbered(*number, &mut addresses).encode());
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

fn hash(packed: PackedClient, addresses: &[Ipv6Addr], hasher: &RowHasher) -> u64 {
    // `addresses` has the address of every client here.
    packed.client(addresses).map_or(0, |client| hasher.client(&client).get())
}

impl TableSize {
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
    use crate::query_log::segment::tests::support::client;

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
                let number = clients.intern_all(&[HashedClient { client, hash }; 2]);
                prop_assert_eq!(number[0], number[1]);
                rows.push((client, number[0]));
                if forget {
                    rows.truncate(rows.len() / 2 + 1);
                    clients.renumber(rows.iter_mut().map(|row| &mut row.1));
                    clients.drop_unused();
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
                addresses.chunks(ADDRESS_BYTES).filter_map(super::super::client::decode_address).collect();
            let mut seen = 0;
            for (client, number) in rows {
                let entry = &entries[number as usize * ENTRY_BYTES..][..ENTRY_BYTES];
                prop_assert_eq!(PackedClient::decode(entry).unwrap().client(&addresses), Some(client));
                // In the order of the rows.
                prop_assert!(number <= seen);
                seen = seen.max(number + 1);
            }
            prop_assert_eq!(seen, size.entries);
        }
    }
}
