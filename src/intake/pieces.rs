//! An accepted file in pieces that the registry takes in one at a time.

use std::collections::{HashSet, VecDeque};

use crate::{
    exchange::StagedError, handle::Handle, ids::DeviceId, limits, registry::ExchangeAccount,
};

/// Cuts accounts into pieces.
///
/// No piece has a handle or a device twice: within one, the registry could not judge the second against the first. A
/// file that was staged here has none twice at all, but an upload may come from anywhere.
pub(super) struct Pieces<S> {
    source: S,
    ahead: VecDeque<ExchangeAccount>,
    is_over: bool,
}

impl<S: FnMut(usize) -> Result<Vec<ExchangeAccount>, StagedError>> Pieces<S> {
    /// Of the accounts that `source` gives, so many at once, until it gives none.
    pub(super) fn new(source: S) -> Self {
        Self { source, ahead: VecDeque::new(), is_over: false }
    }

    /// The next piece; empty at the end.
    pub(super) fn next_piece(&mut self) -> Result<Vec<ExchangeAccount>, StagedError> {
        while !self.is_over && self.ahead.len() < limits::IMPORT_PIECE_ACCOUNTS {
            let more = (self.source)(limits::IMPORT_PIECE_ACCOUNTS)?;
            self.is_over = more.is_empty();
            self.ahead.extend(more);
        }
        let (mut handles, mut devices) = (HashSet::<Handle>::new(), HashSet::<DeviceId>::new());
        let mut piece = Vec::new();
        while piece.len() < limits::IMPORT_PIECE_ACCOUNTS
            && let Some(account) = self.ahead.pop_front()
        {
            let repeats = account.claims.iter().any(|claim| handles.contains(&claim.handle))
                || account.devices.iter().any(|device| devices.contains(&device.device));
            if repeats {
                self.ahead.push_front(account);
                break;
            }
            handles.extend(account.claims.iter().map(|claim| claim.handle.clone()));
            devices.extend(account.devices.iter().map(|device| device.device));
            piece.push(account);
        }
        Ok(piece)
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        clock::Timestamp,
        ids::AccountId,
        registry::{ExchangeClaim, ExchangeDevice, Platform},
    };

    use super::*;

    fn account(id: u64, device: u64, handle: &str) -> ExchangeAccount {
        let device = ExchangeDevice {
            device: DeviceId::from_bits(device),
            platform: Platform::Ios,
            last_check_in_at: Timestamp::EPOCH,
            registered_at: None,
            name: None,
            token_hash: None,
        };
        let claim = ExchangeClaim {
            handle: Handle::from_canonical(handle).expect("canonical"),
            proved_at: None,
            discoverable: true,
            devices: vec![device.device],
        };
        let account = AccountId::from_bits(id);
        ExchangeAccount { account, devices: vec![device], claims: vec![claim] }
    }

    /// The ids of each piece.
    fn pieces(accounts: &[ExchangeAccount]) -> Vec<Vec<u64>> {
        let mut left = accounts.iter().cloned();
        let mut pieces = Pieces::new(|accounts_max| Ok(left.by_ref().take(accounts_max).collect()));
        let mut ids = Vec::new();
        loop {
            let piece = pieces.next_piece().unwrap();
            if piece.is_empty() {
                return ids;
            }
            ids.push(piece.iter().map(|account| account.account.bits()).collect());
        }
    }

    #[test]
    fn pieces_are_full_and_complete() {
        let accounts: Vec<_> =
            (0..9).map(|n| account(n, 100 + n, &format!("+1415555012{n}"))).collect();
        assert_eq!(pieces(&accounts), [vec![0, 1, 2, 3], vec![4, 5, 6, 7], vec![8]]);
        assert_eq!(pieces(&[]), Vec::<Vec<u64>>::new());
    }

    #[test]
    fn what_repeats_a_handle_or_a_device_waits_for_the_next_piece() {
        let (one, other) = ("+14155550121", "+14155550122");
        let same_handle = [account(1, 1, one), account(2, 2, one), account(3, 3, one)];
        assert_eq!(pieces(&same_handle), [[1], [2], [3]]);
        let same_device = [account(1, 1, one), account(2, 1, other)];
        assert_eq!(pieces(&same_device), [[1], [2]]);
    }
}
