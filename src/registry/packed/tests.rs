//! The packed form against the account it was made of.

use proptest::prelude::*;

use super::*;
use crate::registry::tests::accounts::account;
use crate::{
    clock::Timestamp,
    handle::Handle,
    ids::{AccountId, DeviceId},
    registry::{account::Account, token::TokenHash},
    vocabulary::Platform,
};

proptest! {
    #[test]
    fn what_is_packed_reads_as_it_was(account in account()) {
        let bytes = pack(&account);
        let packed = Packed::check(&bytes).expect("it was just packed");
        prop_assert_eq!(packed.account(), account.id);
        let devices: Vec<_> = packed.devices().map(|one| (one.id(), one.token_hash(), one.last_check_in_at(), one.platform(), one.lapse_recorded())).collect();
        let expected: Vec<_> = account.devices.iter().map(|one| (one.id, one.token_hash, one.last_check_in_at, one.platform, one.lapse_recorded)).collect();
        prop_assert_eq!(devices, expected);
        prop_assert_eq!(packed.oldest_loss(), account.lost.iter().map(|lost| lost.at).min());
        prop_assert_eq!(packed.handles().count(), account.claims.len());
        for (handle, claim) in packed.handles().zip(&account.claims) {
            prop_assert_eq!(handle.handle(), Some(claim.handle.clone()));
            prop_assert_eq!(handle.discoverable(), claim.discoverable);
            for (place, device) in account.devices.iter().enumerate() {
                prop_assert_eq!(handle.is_backed_by(place), claim.devices.contains(&device.id));
            }
        }
    }

    #[test]
    fn bytes_that_are_no_account_are_refused_or_read_without_a_panic(account in account(), at: prop::sample::Index, bit in 0..8u8, cut: prop::sample::Index) {
        let mut bytes = pack(&account);
        prop_assert!(Packed::check(&bytes[..cut.index(bytes.len())]).is_none());
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        if let Some(packed) = Packed::check(&bytes) {
            for handle in packed.handles() {
                let _ = (handle.handle(), packed.handle(handle.name()).map(|one| packed.probe(one, |at| at)));
            }
        }
    }
}

#[test]
fn one_phone_with_one_number_takes_52_bytes() {
    let (mut one, id) = (Account::new(AccountId::from_bits(1)), DeviceId::from_bits(2));
    one.devices.push(crate::registry::account::Device {
        id,
        token_hash: TokenHash([7; 16]),
        registered_at: Timestamp::EPOCH,
        last_check_in_at: Timestamp::from_secs(1_800_000_000),
        name: Some("a phone".into()),
        platform: Platform::Watchos,
        lapse_recorded: false,
    });
    one.claims.push(crate::registry::account::Claim {
        handle: Handle::from_canonical("+14155550123").expect("canonical"),
        proved_at: Timestamp::EPOCH,
        discoverable: true,
        devices: vec![id],
    });
    assert_eq!(pack(&one).len(), 52);
}
