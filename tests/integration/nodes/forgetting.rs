//! What nodes forget, the engine has forgotten, too: nothing that lies on a disk opens what is older than 30 days.

use std::{fs, path::PathBuf};

use dispatchd::{
    envelope::{KeyFiles, Keyring},
    ids::AccountId,
};
use reqwest::Method;

use super::{
    days::{DAY, Days},
    hour_keys,
    stored::{Stored, until_copied},
    thief::{Keys, Read, Thief},
    trio::good,
};
use crate::{
    enumeration::{Search, Secret},
    harness::{Server, run},
    retention::{copy, opens},
    wire::call,
};

/// An account proves these.
const HELD: [&str; 2] = ["+14085559731", "zyxwv.planted@quuxmail.example"];
/// These are asked for only.
const ASKED: [&str; 2] = ["+442079460958", "vutsr.asked@corgemail.example"];

/// What goes in on the first day, at all nodes. Gives the account's id, and codes that were sent.
async fn plant(nodes: &[Server]) -> (Secret, Vec<String>) {
    let [a, b, c] = nodes else { unreachable!("three nodes") };
    let ann = a.sign_up().await;
    a.prove(&ann, HELD[0]).await;
    b.prove(&ann, HELD[1]).await;
    for handle in ASKED.iter().chain(&HELD) {
        c.lookup(&ann, handle).await;
    }
    let link = call(b, Method::POST, "/v1/devices/me/link-codes", Some(&ann.token), None).await;
    let mut codes = vec![link.body["link_code"].as_str().unwrap().to_owned()];
    for node in [a, b] {
        codes.push(node.outbox()[0]["code"].as_str().unwrap().to_owned());
        // It stands for the phone to which codes go.
        fs::remove_file(node.data.join("outbox.ndjson")).unwrap();
    }
    let account: AccountId = ann.account.parse().unwrap();
    (Secret::Account(account.bits()), codes)
}

/// How many of the secrets and codes lie in what was read.
fn known(read: &Read, secrets: &[Secret], codes: &[String]) -> (usize, usize) {
    let holds = |code: &&String| {
        read.values().any(|body| body.windows(code.len()).any(|it| it == code.as_bytes()))
    };
    let found = Search::new(secrets).recognised(read.values().map(|body| &body[..]));
    (found.len(), codes.iter().filter(holds).count())
}

/// What the files tell without a key.
fn assert_in_no_file(thief: &Thief, held: &[Secret], asked: &[Secret]) {
    let (held, asked) = (Search::new(held), Search::new(asked));
    for search in [&held, &asked] {
        let found = search.recognised(thief.etcd.iter().map(|bytes| &bytes[..]));
        assert!(found.is_empty(), "etcd has {found:?}");
    }
    for (name, bytes) in &thief.files {
        let of_asked = asked.recognised([&bytes[..]]);
        assert!(of_asked.is_empty(), "{name} has {of_asked:?}");
        // Who holds what is the registry, as long as the account is there.
        let of_held = if name.ends_with(".redb") {
            Default::default()
        } else {
            held.recognised([&bytes[..]])
        };
        assert!(of_held.is_empty(), "{name} has {of_held:?}");
    }
}

/// Time passes in these steps. In each of them the key of entries changes, and somebody changes something.
async fn after(steps: &[u64]) {
    let store = Stored::new();
    let url = store.url();
    let settings = [("LOG__STORE__URL", &*url), ("LOG__COPY_INTERVAL", "1s")];
    let mut days = Days::start_with(&settings).await;
    let (account, codes) = plant(&days.trio.nodes).await;
    let held: Vec<_> = HELD.iter().map(|it| Secret::handle(it)).chain([account]).collect();
    let asked = ASKED.map(Secret::handle);

    // With the keys of the first day the thief reads it all. No code lies anywhere in the clear.
    let first = Thief::copies(&days.trio);
    let read = first.reads(&first.keys);
    assert_eq!(known(&read, &held, &codes), (held.len(), 0));
    assert_in_no_file(&first, &held, &asked);
    let data = days.trio.nodes[2].data.clone();
    let backup = data.with_file_name("backup");
    copy(&data, &backup);
    assert!(opens(&backup, days.now()) >= ASKED.len() + HELD.len());
    // Each node can read copies of the others' logs, as somebody could who has its disk.
    hour_keys::until_all_hold(&days.trio, &[0, 1, 2]).await;
    let logs = copied_logs(&days);
    assert!(open_logs(&days, &logs).iter().all(|records| *records >= HELD.len()));
    // So can whoever has the store and the disk of any other node.
    until_copied(&days.trio.nodes.iter().collect::<Vec<_>>()).await;
    let copies = store.copied();
    let records = open_copies(&days, &copies);
    assert!(records.iter().all(|records| *records >= HELD.len()), "{records:?}");
    assert_in_no_object(&copies, &held, &asked, &codes);

    for (days_more, turn) in steps.iter().zip(0..) {
        days.pass(days_more * DAY, &[0, 1, 2]).await;
        let node = &mut days.trio.nodes[turn % 3];
        let device = node.sign_up().await;
        node.lookup(&device, "+14155550123").await;
        node.restart().await;
    }
    // The start destroys what has expired.
    for node in &mut days.trio.nodes {
        node.restart().await;
    }
    days.until_keys_are_of_today(&[0, 1, 2]).await;
    days.until_keys(&[0, 1, 2], |numbers| numbers.len() <= 2).await;
    hour_keys::until_all_hold(&days.trio, &[0, 1, 2]).await;
    until_copied(&days.trio.nodes.iter().collect::<Vec<_>>()).await;
    store.until_gone(&copies.names()).await;
    for node in &mut days.trio.nodes {
        assert!(node.stop().await.success());
        good(&run(node.command_for(&["log", "prove-forgotten", "--data"]).arg(&node.data)));
    }
    (0..3).for_each(|member| days.trio.etcd.kill(member));

    let last = Thief::copies(&days.trio);
    // What went in still lies in etcd's files: the old keys open it there.
    assert!(last.count() > first.count());
    let old = last.reads(&first.keys);
    assert_eq!(known(&old, &held, &codes), (held.len(), 0));
    // And the key that was sealed on the first day opens more than the keys that were there.
    assert!(old.len() > read.len(), "{} and {}", old.len(), read.len());
    let now = last.reads(&last.keys);
    assert!(
        !now.is_empty() && now.keys().all(|batch| !read.contains_key(batch)),
        "{} entries",
        now.len()
    );
    assert_eq!(known(&now, &held, &codes), (0, 0));
    assert_in_no_file(&last, &held, &asked);
    fs::remove_dir_all(backup.join("keys")).unwrap();
    copy(&data.join("keys"), &backup.join("keys"));
    assert_eq!(opens(&backup, days.now()), 0);
    // No keyring of any node opens what any of them recorded on the first day.
    assert!(open_logs(&days, &logs).iter().all(|records| *records == 0));
    assert!(open_copies(&days, &copies).iter().all(|records| *records == 0));
    assert_no_key_opens(&days, &copies, (&first.keys, &last.keys));
    assert_in_no_object(&store, &held, &asked, &codes);
}

/// How many records of each other node's copies the keys open that each of the nodes has of it.
fn open_copies(days: &Days, copies: &Stored) -> Vec<usize> {
    let nodes = &days.trio.nodes;
    let pairs = nodes.iter().flat_map(|holder| nodes.iter().map(move |owner| (holder, owner)));
    let others = pairs.filter(|(holder, owner)| holder.data != owner.data);
    let opened = others.map(|(holder, owner)| {
        let held = Keyring::open_read_only(hour_keys::held(&holder.data, &owner.data));
        copies.opened(owner, held.unwrap(), days.now())
    });
    opened.collect()
}

/// No key that lies anywhere now opens any copy of the first day, whichever hour it is said to be of. Those of that day do.
fn assert_no_key_opens(days: &Days, copies: &Stored, (then, now): (&Keys, &Keys)) {
    let opened = |keys: &Keys, owner: &Server| -> usize {
        keys.ciphers().map(|key| copies.opened_by(owner, key, days.now())).sum()
    };
    for owner in &days.trio.nodes {
        assert!(HELD.len() <= opened(then, owner), "the keys of the first day open its copies");
        assert_eq!(opened(now, owner), 0);
    }
}

/// What the objects tell without a key.
fn assert_in_no_object(store: &Stored, held: &[Secret], asked: &[Secret], codes: &[String]) {
    let objects = store.bytes();
    assert!(3 < objects.len(), "there are copies");
    for secrets in [held, asked] {
        let found = Search::new(secrets).recognised(objects.iter().map(|bytes| &bytes[..]));
        assert!(found.is_empty(), "the store has {found:?}");
    }
    for code in codes {
        let holds = |bytes: &Vec<u8>| bytes.windows(code.len()).any(|it| it == code.as_bytes());
        assert!(!objects.iter().any(holds), "the store has a code");
    }
}

/// Copies of all nodes' logs.
fn copied_logs(days: &Days) -> [PathBuf; 3] {
    [0, 1, 2].map(|node| {
        let data = &days.trio.nodes[node].data;
        let to = data.with_file_name(format!("log-{node}"));
        copy(&data.join("log"), &to);
        to
    })
}

/// How many records of these copies the keys open that each of the nodes has of each of them.
fn open_logs(days: &Days, logs: &[PathBuf; 3]) -> Vec<usize> {
    let mut opened = Vec::new();
    for holder in &days.trio.nodes {
        for (owner, log) in days.trio.nodes.iter().zip(logs) {
            let keys = match holder.data == owner.data {
                true => KeyFiles::new(&holder.data.join("keys"), None),
                false => hour_keys::held(&holder.data, &owner.data),
            };
            opened.push(hour_keys::opens(log, keys, days.now()));
        }
    }
    opened
}

#[tokio::test]
async fn on_day_31_no_disk_tells_what_went_in_on_day_1() {
    after(&[1, 1, 10, 10, 9]).await;
}

#[tokio::test]
#[ignore = "takes minutes"]
async fn long_on_day_31_no_disk_tells_what_went_in_on_day_1_by_single_days() {
    after(&[1; 31]).await;
}
