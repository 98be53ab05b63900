//! Tests of the quota as a whole.

mod classes;
mod files;
mod sharing;

use std::{net::IpAddr, sync::Arc};

use super::{Charged, Config, Exceeded, LookupCall, Quota, Standing};
use crate::{
    clock::{Clock as _, ManualClock, Timestamp},
    handle::Handle,
    ids::AccountId,
};

const START: Timestamp = Timestamp::from_secs(1_795_424_400);

/// Little memory, so that tests do not fill the machine's.
fn config() -> Config {
    Config { memory: 8 << 20, ..Config::default() }
}

fn phone(n: u32) -> Handle {
    Handle::from_canonical(&format!("+1415{n:07}")).unwrap()
}

fn phones(range: std::ops::Range<u32>) -> Vec<Handle> {
    range.map(phone).collect()
}

fn network(n: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, n])
}

fn call(account: u64, standing: Standing) -> LookupCall {
    let account = AccountId::from_bits(account);
    LookupCall { account, standing, is_flagged: false, ip: network(1), units: 1 }
}

/// Asks for all of them at once.
fn ask(quota: &Quota, call: LookupCall, handles: &[Handle]) -> Result<Charged, Exceeded> {
    quota.charge_lookups(call, handles.iter()).map(Option::unwrap)
}

/// How many of them are new to the account.
fn new_to(quota: &Quota, account: u64, handles: &[Handle]) -> usize {
    quota.find_new(AccountId::from_bits(account), handles.iter()).places.len()
}

fn clock() -> Arc<ManualClock> {
    ManualClock::at(START)
}
