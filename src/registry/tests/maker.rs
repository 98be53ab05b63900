//! Accounts as a seed has them made and changed.

use proptest::test_runner::{RngAlgorithm, TestRng};

use super::{accounts::device, *};
use crate::{
    registry::account::{Account, Claim},
    vocabulary::HandleLoss,
};

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

pub(super) fn phone(number: u64) -> Handle {
    handle(&format!("+1415{number:07}"))
}

/// Accounts as they are made and changed: every device and every handle is new, so that none is of two accounts.
pub(super) struct Maker {
    rng: TestRng,
    made: u64,
}

impl Maker {
    pub(super) fn new(seed: u64) -> Self {
        Self::after(0, seed)
    }

    /// Makes ids and handles behind those of others, of which there are `made`.
    pub(super) fn after(made: u64, seed: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        Self { rng: TestRng::from_seed(RngAlgorithm::ChaCha, &bytes), made }
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        use proptest::prelude::Rng as _;
        (self.rng.next_u64() % end as u64) as usize
    }

    pub(super) fn next(&mut self) -> u64 {
        self.made += 1;
        self.made
    }

    pub(super) fn account(&mut self, id: AccountId) -> Account {
        let mut account = Account::new(id);
        for _ in 0..=self.below(4) {
            account.devices.push(device(self.next()));
        }
        for _ in 0..self.below(6) {
            self.claim(&mut account);
        }
        account
    }

    fn claim(&mut self, account: &mut Account) {
        let number = self.next();
        let handle = match self.below(3) {
            0 => handle(&format!("p{number}@example.org")),
            _ => phone(number),
        };
        let backing = account.devices[self.below(account.devices.len())].id;
        let (proved_at, devices) = (NOW, vec![backing]);
        account.claims.push(Claim { handle, proved_at, discoverable: true, devices });
    }

    /// Some change: of a flag, of which the size stays; of a key, of which it may stay; of how many keys there are.
    pub(super) fn change(&mut self, account: &mut Account) {
        match self.below(9) {
            0 => account.devices[0].lapse_recorded ^= true,
            8 => {
                let place = self.below(account.devices.len());
                let device = &mut account.devices[place];
                device.last_check_in_at =
                    NOW.plus(Duration::from_micros(self.below(1 << 20) as u64));
                device.lapse_recorded = false;
            }
            1 => {
                let new = self.next();
                let place = self.below(account.devices.len());
                let old = std::mem::replace(&mut account.devices[place], device(new)).id;
                for claim in &mut account.claims {
                    if claim.devices.contains(&old) {
                        claim.devices.retain(|one| *one != old);
                        claim.add(DeviceId::from_bits(new));
                    }
                }
            }
            2 => account.devices.push(device(self.next())),
            3 if account.devices.len() > 1 => {
                let gone = account.devices.remove(0).id;
                for handle in account.backed(gone) {
                    account.release(&handle, gone, HandleLoss::DeviceRemoved, NOW);
                }
            }
            4 if !account.claims.is_empty() => {
                let number = self.next();
                let place = self.below(account.claims.len());
                account.claims[place].handle = phone(number);
            }
            5 if !account.claims.is_empty() => {
                let handle = account.claims[0].handle.clone();
                account.lose(&handle, HandleLoss::Moved, NOW);
            }
            6 => {
                let lost = std::mem::take(&mut account.lost);
                *account = Account { lost, ..self.account(account.id) };
            }
            _ => self.claim(account),
        }
    }
}
