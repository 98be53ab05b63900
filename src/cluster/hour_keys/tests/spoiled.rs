//! Members that give false keys, and keys that come back.

use super::*;
use crate::cluster::{
    hour_keys::keyrings::Giver,
    report::shown,
    sealing::{self, KeyOf, Purpose},
};

/// What a node answers that makes up a key of somebody else's hour.
fn false_answer(to: &Node, request: &HourKeysRequest, (origin, hour): Name) -> HourKeysAnswer {
    let key = KeyOf::Hour(origin, hour);
    let purpose = Purpose { cluster: to.identity.cluster, key, node: to.id() };
    let receiving = data_encoding::HEXLOWER.decode(request.receiving.as_bytes()).unwrap();
    let sealed = sealing::seal(purpose, &receiving.try_into().unwrap(), &[9; 32]).unwrap();
    let sealed = data_encoding::HEXLOWER.encode(&sealed);
    let time = to.run().clock.now();
    let key =
        SealedHourKey { node: shown(origin), hour: hour.number(), began: hour.start(), sealed };
    HourKeysAnswer { time, keys: vec![key], more: false, proven: HourRanges::default() }
}

/// A node, one that a third member has given a false key of its hour, and the hour.
fn spoiled() -> (Node, Node, Name) {
    let (a, b, name) = pair();
    let liar = Node::at("liar", START);
    let (private, request) = b.run().keys.request(liar.id());
    let answer = false_answer(&b, &request, name);
    assert_eq!(b.run().keys.take(liar.id(), &private, &answer).unwrap(), 1);
    assert_eq!(b.key(name), Some([9; 32]));
    (a, b, name)
}

#[test]
fn a_false_key_of_an_hour_counts_for_nothing_and_gives_way_to_that_of_its_owner() {
    let (a, b, name) = spoiled();
    assert_eq!(b.pull(&a, &mut Vec::new()).unwrap(), 1, "b says that it holds it, and gets it");
    assert!(!a.run().keys.is_held_elsewhere(name.1));
    assert_eq!(b.key(name), a.key(name));
    assert_eq!(b.pull(&a, &mut Vec::new()).unwrap(), 0);
    assert!(a.run().keys.is_held_elsewhere(name.1));
    // What others say later changes nothing.
    let liar = Node::at("liar", START);
    let (private, request) = b.run().keys.request(liar.id());
    let answer = false_answer(&b, &request, name);
    assert_eq!(b.run().keys.take(liar.id(), &private, &answer).unwrap(), 0);
    assert_eq!(b.key(name), a.key(name));
}

#[test]
fn who_names_an_hour_without_a_proof_of_this_call_holds_nothing() {
    let (a, b, name) = pair();
    b.pull(&a, &mut Vec::new()).unwrap();
    let (_, proved) = b.run().keys.request(a.id());
    assert_eq!(proved.proofs.len(), 1);
    let noted = |request: &HourKeysRequest| {
        a.run().keys.wanted(&b.member(), request).unwrap();
        a.run().keys.is_held_elsewhere(name.1)
    };
    let (_, bare) = b.run().keys.request(a.id());
    assert!(!noted(&HourKeysRequest { proofs: Default::default(), ..bare }));
    // A proof of the call before.
    let (_, again) = b.run().keys.request(a.id());
    assert!(!noted(&HourKeysRequest { proofs: proved.proofs.clone(), ..again }));
    assert!(noted(&proved));
    // Once it is counted, it is enough to go on naming it.
    let (_, bare) = b.run().keys.request(a.id());
    assert!(noted(&HourKeysRequest { proofs: Default::default(), ..bare }));
    let (_, bare) = b.run().keys.request(a.id());
    assert!(!noted(&HourKeysRequest {
        proofs: Default::default(),
        held: Default::default(),
        ..bare
    }));
}

#[test]
fn an_hour_is_proved_once_and_again_after_its_owner_starts() {
    let (mut a, b, name) = pair();
    let mut wire = Vec::new();
    for _ in 0..3 {
        b.pull(&a, &mut wire).unwrap();
    }
    let (_, request) = b.run().keys.request(a.id());
    assert!(request.proofs.is_empty(), "a has counted it");
    drop(a.running.take());
    a.start();
    // The first call does not repeat the proof, and gets no key that b has: that would pass the fence.
    assert_eq!(b.pull(&a, &mut wire).unwrap(), 0);
    assert!(!wire.last().unwrap().contains("sealed") && !a.run().keys.is_held_elsewhere(name.1));
    assert_eq!(b.pull(&a, &mut wire).unwrap(), 0);
    assert!(a.run().keys.is_held_elsewhere(name.1));
}

#[test]
fn false_hours_leave_space_for_those_of_their_owner() {
    let (a, b, name) = pair();
    let false_hours = (0..5_000).map(|number| {
        let hour = Hour::from_number(name.1.number() - 5_000 + number);
        (hour, name.1, HourKey::of(&[9; 32]))
    });
    let taken = b.run().keys.keyrings().put(a.id(), Giver::Other, false_hours.collect()).unwrap();
    assert_eq!(taken, limits::CLUSTER_HOUR_KEYS_KEPT_MAX / 2);
    assert_eq!(b.pull(&a, &mut Vec::new()).unwrap(), 1);
    assert_eq!(b.key(name), a.key(name));
}

#[test]
fn a_key_that_was_destroyed_comes_back_from_its_owner_only() {
    let (a, b, name) = pair();
    let other = Node::at("c", START);
    other.pull(&a, &mut Vec::new()).unwrap();
    // A member says that the hour began long ago.
    let (private, request) = b.run().keys.request(other.id());
    let mut answer =
        other.run().keys.sealed(other.run().keys.wanted(&b.member(), &request).unwrap());
    answer.keys.iter_mut().for_each(|key| key.began = START.minus(RETENTION - 2 * HOUR));
    assert_eq!(b.run().keys.take(other.id(), &private, &answer).unwrap(), 1);
    for node in [&a, &b, &other] {
        node.machine.advance(3 * HOUR);
    }
    b.tick(&[a.id(), b.id(), other.id()]);
    assert_eq!(b.key(name), None);
    assert_eq!(b.pull(&other, &mut Vec::new()).unwrap(), 0);
    assert_eq!(b.pull(&a, &mut Vec::new()).unwrap(), 1, "it alone knows when that was");
    assert_eq!(b.key(name), a.key(name));
}

#[test]
fn a_late_date_keeps_a_key_no_longer_than_one_that_begins_when_it_comes() {
    let (a, b, name) = pair();
    for node in [&a, &b] {
        node.machine.advance(10 * DAY);
    }
    let came = b.run().clock.now();
    let latest = came.plus(limits::CLUSTER_HOUR_KEY_AHEAD_MAX);
    for (began, taken) in [(latest.plus(Duration::from_micros(1)), 0), (latest, 1)] {
        let (private, request) = b.run().keys.request(a.id());
        let mut answer = a.run().keys.sealed(a.run().keys.wanted(&b.member(), &request).unwrap());
        answer.keys.iter_mut().for_each(|key| key.began = began);
        assert_eq!(b.run().keys.take(a.id(), &private, &answer).unwrap(), taken, "{began}");
    }
    b.machine.advance(RETENTION + limits::CLUSTER_HOUR_KEY_AHEAD_MAX);
    b.tick(&[a.id(), b.id()]);
    assert_eq!(b.key(name), None);
}

#[test]
fn an_hour_that_began_within_an_hour_of_its_holder_is_not_taken_again_when_it_is_destroyed() {
    let (a, b, _) = pair();
    // The era of its owner was corrected: for others its hours begin at some minute of their hour.
    for (left, is_taken) in
        [(HOUR + Duration::from_secs(1), true), (Duration::from_secs(60), false)]
    {
        let began = START.minus(RETENTION).plus(left);
        let (private, request) = b.run().keys.request(a.id());
        let mut answer = a.run().keys.sealed(a.run().keys.wanted(&b.member(), &request).unwrap());
        answer.keys.iter_mut().for_each(|key| key.began = began);
        let taken = b.run().keys.take(a.id(), &private, &answer).unwrap();
        assert_eq!(taken, usize::from(is_taken), "{began}");
        b.tick(&[a.id(), b.id()]);
        assert_eq!(
            b.held().len(),
            usize::from(is_taken),
            "what was taken is not destroyed at once"
        );
        b.run().keys.keyrings().get(a.id()).inspect(|it| {
            it.prune(&it.hours().into_iter().collect::<Vec<_>>()).unwrap();
        });
    }
}
