//! Who asked, from which device and address: interned, since a batch or a busy phone repeats it row after row.
//!
//! ```text
//! entries      flags (1), account (8), device (8), IPv4 address or place among the addresses below (4)
//! addresses    IPv6 address (16), in the order of the entries that point to them
//! ```
//!
//! Little endian; what a flag says is absent is zero. Entry *i* is one small read, whatever the table's size. A table
//! belongs to one row group: so neither who writes nor who reads ever holds more clients than rows of one pass.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    num::NonZeroU64,
};

use hashbrown::HashTable;

use crate::{
    ids::{AccountId, DeviceId},
    query_log::record::Record,
};

/// Bytes of an entry.
pub(super) const ENTRY_BYTES: usize = 21;
/// Bytes of an address in the second table.
pub(super) const ADDRESS_BYTES: usize = 16;

const ACCOUNT: u8 = 1;
const DEVICE: u8 = 1 << 1;
const IP_V4: u8 = 1 << 2;
const IP_V6: u8 = 1 << 3;

/// One client, as it waits to be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Client {
    pub(super) account: Option<AccountId>,
    pub(super) device: Option<DeviceId>,
    pub(super) ip: Option<IpAddr>,
}

impl Client {
    pub(super) const fn of(record: &Record) -> Self {
        match record {
            Record::Lookup(lookup) => {
                Self { account: lookup.account, device: lookup.device, ip: lookup.ip }
            }
            Record::Change(change) => {
                Self { account: change.account, device: change.device, ip: None }
            }
        }
    }

    fn pack(&self, addresses: &mut Vec<u8>) -> [u8; ENTRY_BYTES] {
        let mut entry = [0; ENTRY_BYTES];
        if let Some(account) = self.account {
            entry[0] |= ACCOUNT;
            entry[1..9].copy_from_slice(&account.bits().to_le_bytes());
        }
        if let Some(device) = self.device {
            entry[0] |= DEVICE;
            entry[9..17].copy_from_slice(&device.bits().to_le_bytes());
        }
        match self.ip {
            None => {}
            Some(IpAddr::V4(ip)) => {
                entry[0] |= IP_V4;
                entry[17..].copy_from_slice(&ip.octets());
            }
            Some(IpAddr::V6(ip)) => {
                entry[0] |= IP_V6;
                // Fewer than rows wait, which a u32 counts.
                let place = (addresses.len() / ADDRESS_BYTES) as u32;
                entry[17..].copy_from_slice(&place.to_le_bytes());
                addresses.extend_from_slice(&ip.octets());
            }
        }
        entry
    }
}

/// An entry as read, perhaps without its address yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// The client, without its address if that is [`Self::address`].
    pub(super) client: Client,
    /// The place of its IPv6 address.
    pub(super) address: Option<u32>,
}

impl Entry {
    /// None if it is not what [`Clients::write`] writes.
    pub(super) fn unpack(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; ENTRY_BYTES] = bytes.try_into().ok()?;
        let flags = bytes[0];
        if flags >= 1 << 4 || flags & IP_V4 != 0 && flags & IP_V6 != 0 {
            return None;
        }
        let word = |at: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&bytes[at..at + 8]);
            u64::from_le_bytes(word)
        };
        let last = [bytes[17], bytes[18], bytes[19], bytes[20]];
        let client = Client {
            account: (flags & ACCOUNT != 0).then(|| AccountId::from_bits(word(1))),
            device: (flags & DEVICE != 0).then(|| DeviceId::from_bits(word(9))),
            ip: (flags & IP_V4 != 0).then(|| Ipv4Addr::from(last).into()),
        };
        let address = (flags & IP_V6 != 0).then(|| u32::from_le_bytes(last));
        Some(Self { client, address })
    }
}

/// An address of the second table.
pub(super) fn unpack_address(bytes: &[u8]) -> Option<IpAddr> {
    let octets: [u8; ADDRESS_BYTES] = bytes.try_into().ok()?;
    Some(Ipv6Addr::from(octets).into())
}

/// How much a row group's table holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct TableSize {
    pub(super) entries: u32,
    pub(super) addresses: u32,
}

/// A client with its hash: 64 bytes, as the processor reads them.
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
#[derive(Debug, Default)]
pub(super) struct Clients {
    all: Vec<Hashed>,
    places: HashTable<u32>,
}

impl Clients {
    /// Room for the clients of so many rows: a usual hour has one for eight rows or fewer. Growing a table costs a copy of it;
    /// room that is not used is no memory yet.
    pub(super) fn for_rows(rows: usize) -> Self {
        let clients = rows / 8;
        Self { all: Vec::with_capacity(clients), places: HashTable::with_capacity(clients) }
    }

    /// The numbers of clients, new ones of those that are new.
    ///
    /// In three steps for all, each short: the processor then waits for the memory of many look-ups at once.
    pub(super) fn intern_all(&mut self, clients: &[Hashed]) -> Vec<u32> {
        let Self { all, places } = &*self;
        // Nearly always the right one: its place and seven bits of its hash agree.
        let guess = |client: &Hashed| places.find(client.hash.get(), |_| true).copied();
        let guesses: Vec<Option<u32>> = clients.iter().map(guess).collect();
        let right = |(client, guess): (&Hashed, Option<u32>)| {
            guess.filter(|number| all[*number as usize].is(client))
        };
        let found: Vec<Option<u32>> = clients.iter().zip(guesses).map(right).collect();
        let number =
            |(client, found): (&Hashed, Option<u32>)| found.unwrap_or_else(|| self.intern(client));
        clients.iter().zip(found).map(number).collect()
    }

    /// The number of a client, a new one if it is new.
    fn intern(&mut self, client: &Hashed) -> u32 {
        let Self { all, places, .. } = self;
        let number = *places
            .entry(
                client.hash.get(),
                |&number| all[number as usize].is(client),
                |&number| all[number as usize].hash.get(),
            )
            .or_insert_with(|| all.len() as u32)
            .get();
        if number as usize == all.len() {
            all.push(*client);
        }
        number
    }

    /// Numbers the clients anew in the order in which `rows` name them, and drops those that none names. They can be
    /// written then; before more of them can come, [`Self::index`].
    pub(super) fn renumber<'a>(&mut self, rows: impl Iterator<Item = &'a mut u32>) {
        const UNNAMED: u32 = u32::MAX;
        self.places = HashTable::new();
        let mut numbers = vec![UNNAMED; self.all.len()];
        let mut named = Vec::with_capacity(self.all.len());
        for client in rows {
            let number = &mut numbers[*client as usize];
            if *number == UNNAMED {
                *number = named.len() as u32;
                named.push(self.all[*client as usize]);
            }
            *client = *number;
        }
        self.all = named;
    }

    /// Finds the clients again after they were numbered.
    pub(super) fn index(&mut self) {
        let Self { all, places, .. } = self;
        *places = HashTable::with_capacity(all.len());
        let hash = |number: &u32| all[*number as usize].hash.get();
        for number in 0..all.len() as u32 {
            places.insert_unique(hash(&number), number, hash);
        }
    }

    /// Gives the table to `write`, piece by piece, and forgets the clients.
    pub(super) fn write<E>(
        &mut self,
        mut write: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<TableSize, E> {
        let mut addresses = Vec::new();
        for Hashed { client, .. } in &self.all {
            write(&client.pack(&mut addresses))?;
        }
        write(&addresses)?;
        let size = TableSize {
            entries: self.all.len() as u32,
            addresses: (addresses.len() / ADDRESS_BYTES) as u32,
        };
        *self = Self::default();
        Ok(size)
    }
}
