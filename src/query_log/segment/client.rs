//! A client (account, device, address), and its encoding in a row group's client table.
//!
//! ```text
//! entries      flags (1), account (8), device (8), IPv4 address or index of an IPv6 address (4)
//! addresses    IPv6 addresses (16 each), in the order of the entries that refer to them
//! ```
//!
//! Numbers are little endian. Fields without their flag are zero. A reader reads entry *i* alone, whatever the table's size.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bytes::{Buf as _, BufMut as _};

use crate::{
    ids::{AccountId, DeviceId},
    query_log::record::Client,
};

pub(super) const ENTRY_BYTES: usize = 21;
pub(super) const ADDRESS_BYTES: usize = 16;

const ACCOUNT: u8 = 1;
const DEVICE: u8 = 1 << 1;
const IP_V4: u8 = 1 << 2;
const IP_V6: u8 = 1 << 3;
const ALL_FLAGS: u8 = ACCOUNT | DEVICE | IP_V4 | IP_V6;

/// A client in 24 bytes, because there are millions in memory. Its IPv6 address is in a separate list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PackedClient {
    account: u64,
    device: u64,
    /// An IPv4 address, or the index of an IPv6 address.
    address: u32,
    flags: u8,
}

impl PackedClient {
    /// Packs a client, and adds its IPv6 address to the list.
    pub(super) fn new(client: &Client, addresses: &mut Vec<Ipv6Addr>) -> Self {
        let packed = Self::with_index(client, u32::try_from(addresses.len()).unwrap_or(u32::MAX));
        if let Some(IpAddr::V6(ip)) = client.ip {
            addresses.push(ip);
        }
        packed
    }

    fn with_index(client: &Client, index: u32) -> Self {
        let (address, of_address) = match client.ip {
            None => (0, 0),
            Some(IpAddr::V4(ip)) => (ip.to_bits(), IP_V4),
            Some(IpAddr::V6(_)) => (index, IP_V6),
        };
        let of_account = if client.account.is_some() { ACCOUNT } else { 0 };
        let of_device = if client.device.is_some() { DEVICE } else { 0 };
        Self {
            account: client.account.map_or(0, AccountId::bits),
            device: client.device.map_or(0, DeviceId::bits),
            address,
            flags: of_address | of_account | of_device,
        }
    }

    /// Whether it is this client, packed.
    pub(super) fn is(&self, client: &Client, addresses: &[Ipv6Addr]) -> bool {
        if *self != Self::with_index(client, self.address) {
            return false;
        }
        match client.ip {
            Some(IpAddr::V6(ip)) => addresses.get(self.address as usize) == Some(&ip),
            _ => true,
        }
    }

    /// Unpacks it. None if `addresses` lacks its address.
    pub(super) fn client(&self, addresses: &[Ipv6Addr]) -> Option<Client> {
        let has = |flag: u8| self.flags & flag != 0;
        let ip = if has(IP_V4) {
            Some(Ipv4Addr::from_bits(self.address).into())
        } else if has(IP_V6) {
            Some((*addresses.get(self.address as usize)?).into())
        } else {
            None
        };
        Some(Client {
            account: has(ACCOUNT).then(|| AccountId::from_bits(self.account)),
            device: has(DEVICE).then(|| DeviceId::from_bits(self.device)),
            ip,
        })
    }

    pub(super) fn address_index(&self) -> Option<u32> {
        (self.flags & IP_V6 != 0).then_some(self.address)
    }

    /// The same client, with its IPv6 address at another index.
    pub(super) const fn with_address_index(self, index: u32) -> Self {
        Self { address: index, ..self }
    }

    pub(super) fn encode(&self) -> [u8; ENTRY_BYTES] {
        let mut entry = [0; ENTRY_BYTES];
        let mut rest = &mut entry[..];
        rest.put_u8(self.flags);
        rest.put_u64_le(self.account);
        rest.put_u64_le(self.device);
        match self.address_index() {
            Some(index) => rest.put_u32_le(index),
            // An IPv4 address is in network byte order.
            None => rest.put_u32(self.address),
        }
        entry
    }

    /// Decodes an entry. None unless [`Self::encode`] writes these bytes.
    pub(super) fn decode(mut bytes: &[u8]) -> Option<Self> {
        let flags = bytes.try_get_u8().ok()?;
        let (account, device) = (bytes.try_get_u64_le().ok()?, bytes.try_get_u64_le().ok()?);
        let is_index = flags & IP_V6 != 0;
        let address = if is_index { bytes.try_get_u32_le() } else { bytes.try_get_u32() }.ok()?;
        let has_one_address = flags & IP_V4 == 0 || !is_index;
        let absent = |flag: u8, value: u64| flags & flag != 0 || value == 0;
        let is_clean = (flags <= ALL_FLAGS && has_one_address && bytes.is_empty())
            && absent(ACCOUNT, account)
            && absent(DEVICE, device)
            && absent(IP_V4 | IP_V6, address.into());
        is_clean.then_some(Self { account, device, address, flags })
    }
}

pub(super) fn decode_address(bytes: &[u8]) -> Option<Ipv6Addr> {
    let octets: [u8; ADDRESS_BYTES] = bytes.try_into().ok()?;
    Some(Ipv6Addr::from(octets))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query_log::segment::tests::support::client;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_client_survives(clients in prop::collection::vec(client(), 1..20)) {
            let mut addresses = Vec::new();
            let packed: Vec<PackedClient> =
                clients.iter().map(|client| PackedClient::new(client, &mut addresses)).collect();
            for (packed, client) in packed.iter().zip(&clients) {
                prop_assert_eq!(packed.client(&addresses), Some(*client));
                prop_assert_eq!(PackedClient::decode(&packed.encode()), Some(*packed));
                for other in &clients {
                    prop_assert_eq!(packed.is(other, &addresses), other == client);
                }
            }
        }

        #[test]
        fn only_encoded_entries_decode(bytes: [u8; ENTRY_BYTES], flags in 0..32u8) {
            let mut bytes = bytes;
            bytes[0] = flags;
            if let Some(packed) = PackedClient::decode(&bytes) {
                prop_assert_eq!(packed.encode(), bytes);
            }
        }
    }
}
