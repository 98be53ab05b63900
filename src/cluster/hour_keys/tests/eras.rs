//! Clocks that were wrong, and are corrected after keys were passed on.

use super::*;

/// Both clocks are wrong by `days` from the start on, as after a power cut at a place without a network. A time service corrects them
/// after two hours. Gives the nodes, the key, and when its hour really began.
fn corrected(days: i64) -> (Node, Node, Name, Timestamp) {
    let wrong_us = days * 24 * 3_600_000_000;
    let nodes = ["a", "b"].map(|name| {
        let machine = ManualClock::at(START.moved(wrong_us));
        machine.set_synchronised(false);
        Node::on(name, machine, RETENTION)
    });
    let [a, b] = nodes;
    let name = a.write();
    assert_eq!(b.pull(&a, &mut Vec::new()).unwrap(), 1);
    let real = name.1.start().moved(-wrong_us);
    for node in [&a, &b] {
        node.machine.advance(2 * HOUR);
        node.machine.set_wall(node.machine.wall().moved(-wrong_us));
        node.machine.set_synchronised(true);
        assert_eq!(node.run().clock.now(), START.plus(2 * HOUR), "it follows the time service");
        node.run().clock.save().unwrap();
    }
    (a, b, name, real)
}

#[test]
fn a_correction_of_all_clocks_corrects_when_a_holder_destroys() {
    for days in [-40, -20, 20, 40] {
        let (a, mut b, name, real) = corrected(days);
        let members = [a.id(), b.id()];
        // Also after a restart: the date is in the keyring.
        drop(b.running.take());
        b.start();
        let left = real.plus(RETENTION).since(b.run().clock.now());
        for node in [&a, &b] {
            node.machine.advance(left - Duration::from_secs(1));
            node.tick(&members);
            assert!(node.key(name).is_some(), "{days}: not before");
            node.machine.advance(Duration::from_secs(1));
            node.tick(&members);
            assert!(node.key(name).is_none(), "{days}: not after");
        }
    }
}

#[test]
fn an_hour_that_was_corrected_is_passed_on_with_its_real_time() {
    let (a, b, name, real) = corrected(-20);
    let c = Node::at("c", START.plus(2 * HOUR));
    // Half from its owner, half from the other holder: both know when it was.
    assert_eq!(c.pull(&b, &mut Vec::new()).unwrap(), 1);
    let d = Node::at("d", START.plus(2 * HOUR));
    assert_eq!(d.pull(&a, &mut Vec::new()).unwrap(), 1);
    for node in [&c, &d] {
        let dates = node.run().keys.keyring_of(a.id()).unwrap().dates();
        assert_eq!(dates[&name.1].start(), real);
    }
}

#[test]
fn a_node_whose_clock_is_ahead_gives_no_key_of_the_future() {
    let (a, b) = (Node::at("a", START.plus(20 * DAY)), Node::at("b", START));
    a.write();
    assert!(matches!(b.pull(&a, &mut Vec::new()), Err(HourKeysError::Clock)));
    assert!(matches!(a.pull(&b, &mut Vec::new()), Err(HourKeysError::Clock)));
    assert!(b.held().is_empty());
}
