//! Clients as a reader keeps them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::clients::Client;
use crate::ids::{AccountId, DeviceId};

/// A client as it is kept: a million of them are 24 MiB, and would be 56 as they are given.
#[derive(Clone, Copy)]
struct Slim {
    account: u64,
    device: u64,
    address: u32,
    flags: u8,
}

const HAS_ACCOUNT: u8 = 1;
const HAS_DEVICE: u8 = 1 << 1;
const HAS_V4: u8 = 1 << 2;
/// The address is a place in the block's list.
const HAS_V6: u8 = 1 << 3;
const IS_DAMAGED: u8 = 1 << 4;

/// Neighbours in the table.
pub(super) struct Block {
    clients: Box<[Slim]>,
    addresses: Box<[Ipv6Addr]>,
}

impl Block {
    pub(super) fn new(clients: &[Option<Client>]) -> Self {
        let mut addresses = Vec::new();
        let mut slim = |client: &Option<Client>| {
            let Some(client) = client else {
                return Slim { account: 0, device: 0, address: 0, flags: IS_DAMAGED };
            };
            let (address, of_address) = match client.ip {
                None => (0, 0),
                Some(IpAddr::V4(ip)) => (ip.to_bits(), HAS_V4),
                Some(IpAddr::V6(ip)) => {
                    addresses.push(ip);
                    (u32::try_from(addresses.len() - 1).unwrap_or(u32::MAX), HAS_V6)
                }
            };
            let of_account = if client.account.is_some() { HAS_ACCOUNT } else { 0 };
            let of_device = if client.device.is_some() { HAS_DEVICE } else { 0 };
            Slim {
                account: client.account.map_or(0, AccountId::bits),
                device: client.device.map_or(0, DeviceId::bits),
                address,
                flags: of_address | of_account | of_device,
            }
        };
        let clients = clients.iter().map(&mut slim).collect();
        Self { clients, addresses: addresses.into() }
    }

    /// None if it is damaged, or if there is none.
    pub(super) fn get(&self, place: usize) -> Option<Client> {
        let slim = self.clients.get(place).filter(|slim| slim.flags != IS_DAMAGED)?;
        let has = |flag: u8| slim.flags & flag != 0;
        let ip = if has(HAS_V4) {
            Some(Ipv4Addr::from_bits(slim.address).into())
        } else if has(HAS_V6) {
            Some((*self.addresses.get(slim.address as usize)?).into())
        } else {
            None
        };
        Some(Client {
            account: has(HAS_ACCOUNT).then(|| AccountId::from_bits(slim.account)),
            device: has(HAS_DEVICE).then(|| DeviceId::from_bits(slim.device)),
            ip,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn client() -> impl Strategy<Value = Option<Client>> {
        let ip = prop_oneof![
            any::<u32>().prop_map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits))),
            any::<u128>().prop_map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits))),
        ];
        let parts = (any::<Option<u64>>(), any::<Option<u64>>(), prop::option::of(ip));
        prop::option::of(parts.prop_map(|(account, device, ip)| Client {
            account: account.map(AccountId::from_bits),
            device: device.map(DeviceId::from_bits),
            ip,
        }))
    }

    proptest! {
        #[test]
        fn clients_are_given_as_they_were_kept(clients in prop::collection::vec(client(), 0..40)) {
            let block = Block::new(&clients);
            for (place, client) in clients.iter().enumerate() {
                prop_assert_eq!(block.get(place), *client);
            }
            prop_assert_eq!(block.get(clients.len()), None);
        }
    }
}
