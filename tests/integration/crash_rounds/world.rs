//! A model of some accounts: their state, and the effect and the records of each change.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// The record of a change, without its time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Record {
    pub(crate) change: String,
    pub(crate) cause: String,
    pub(crate) handle: Option<String>,
    pub(crate) device: Option<String>,
    pub(crate) account: Option<String>,
}

impl Record {
    pub(crate) fn read(row: &Value) -> Self {
        let text = |field: &str| row[field].as_str().map(str::to_owned);
        Self {
            change: text("change").expect("a change record has its change"),
            cause: text("cause").expect("a change record has its cause"),
            handle: text("handle"),
            device: text("device"),
            account: text("account"),
        }
    }
}

/// A device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Phone {
    pub(crate) device: String,
    pub(crate) account: String,
    /// `None` if the answer to its sign-up was lost. The device exists, but nobody has its token.
    pub(crate) token: Option<String>,
    pub(crate) is_gone: bool,
}

/// A change. It names phones by their index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// A phone signs up with a new account.
    SignUp(Phone),
    /// A phone joins an account.
    Join(Phone),
    Prove(usize, String),
    /// A phone claims a handle that its account holds.
    Rebind(usize, String),
    GiveUp(usize, String),
    TakeBack(String),
    SignOut(usize),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct World {
    pub(crate) phones: Vec<Phone>,
    /// Held handles with the phones that back them: at least one, and all of one account.
    pub(crate) backed: BTreeMap<String, BTreeSet<usize>>,
}

impl World {
    /// The account that holds a handle.
    pub(crate) fn holder(&self, handle: &str) -> Option<&str> {
        let first = self.backed.get(handle)?.first()?;
        Some(&self.phones[*first].account)
    }

    /// The handles that a phone backs.
    pub(crate) fn backed_by(&self, phone: usize) -> BTreeSet<String> {
        let backed = self.backed.iter().filter(|(_, phones)| phones.contains(&phone));
        backed.map(|(handle, _)| handle.clone()).collect()
    }

    fn release(&mut self, phone: usize, handle: &str) {
        if let Some(phones) = self.backed.get_mut(handle) {
            phones.remove(&phone);
        }
        self.backed.retain(|_, phones| !phones.is_empty());
    }

    /// The world after `act`, and the records of that change.
    pub(crate) fn after(&self, act: &Act) -> (Self, Vec<Record>) {
        let mut after = self.clone();
        let records = match act {
            Act::SignUp(phone) => {
                after.phones.push(phone.clone());
                vec![record("device-registered", "sign-up", None, Some(phone))]
            }
            Act::Join(phone) => after.join(phone),
            Act::Prove(number, handle) => {
                let phone = &self.phones[*number];
                let (change, cause) = match self.holder(handle) {
                    Some(holder) if holder != phone.account => ("handle-moved", "newer-proof"),
                    _ => ("handle-bound", "proof"),
                };
                if change == "handle-moved" {
                    after.backed.remove(handle);
                }
                after.backed.entry(handle.clone()).or_default().insert(*number);
                vec![record(change, cause, Some(handle), Some(phone))]
            }
            Act::Rebind(number, handle) => {
                let backing = after.backed.get_mut(handle).expect("the account holds it");
                let is_new = backing.insert(*number);
                let phone = Some(&self.phones[*number]);
                let bound = record("handle-bound", "proof-held", Some(handle), phone);
                is_new.then_some(bound).into_iter().collect()
            }
            Act::GiveUp(number, handle) => {
                after.release(*number, handle);
                let phone = Some(&self.phones[*number]);
                vec![record("handle-unbound", "owner-request", Some(handle), phone)]
            }
            Act::TakeBack(handle) => {
                let account = self.holder(handle).map(str::to_owned);
                after.backed.remove(handle);
                let taken_back =
                    record("handle-deregistered", "deregistration", Some(handle), None);
                account
                    .map(|held| Record { account: Some(held), ..taken_back })
                    .into_iter()
                    .collect()
            }
            Act::SignOut(number) => after.sign_out(*number),
        };
        (after, records)
    }

    fn join(&mut self, phone: &Phone) -> Vec<Record> {
        let mut records = vec![record("device-registered", "linked", None, Some(phone))];
        let number = self.phones.len();
        let is_own = |first: &usize| self.phones[*first].account == phone.account;
        for (handle, phones) in &mut self.backed {
            if phones.first().is_some_and(is_own) {
                phones.insert(number);
                records.push(record("handle-bound", "linked", Some(handle), Some(phone)));
            }
        }
        self.phones.push(phone.clone());
        records
    }

    fn sign_out(&mut self, number: usize) -> Vec<Record> {
        let phone = self.phones[number].clone();
        let mut records = vec![record("device-removed", "sign-out", None, Some(&phone))];
        for handle in self.backed_by(number) {
            self.release(number, &handle);
            records.push(record("handle-unbound", "sign-out", Some(&handle), Some(&phone)));
        }
        self.phones[number].is_gone = true;
        records
    }
}

fn record(change: &str, cause: &str, handle: Option<&String>, phone: Option<&Phone>) -> Record {
    Record {
        change: change.to_owned(),
        cause: cause.to_owned(),
        handle: handle.cloned(),
        device: phone.map(|phone| phone.device.clone()),
        account: phone.map(|phone| phone.account.clone()),
    }
}
