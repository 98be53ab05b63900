//! One test for each promise that the random operations do not spell out.

use super::*;
use crate::{
    limits,
    registry::{DeviceError, HandleState, Loading, LostDetails, Ticked, TokenError},
    vocabulary::{Cause, ChangeKind, HandleLoss},
};

const PHONE: &str = "+14155550123";

fn probe(bench: &Bench, handle: &Handle) -> HandleState {
    bench.registry.view().expect("it is loaded").probe(handle)
}

#[tokio::test]
async fn a_lease_ends_at_its_very_microsecond_and_a_check_in_renews_it() {
    let bench = Bench::new();
    let (device, phone) = (bench.device().await.device, handle(PHONE));
    bench.registry.prove(device, phone.clone()).await.expect("it binds");
    bench.clock.advance(LEASE - Duration::from_micros(1));
    assert!(bench.is_live(&phone));
    bench.clock.advance(Duration::from_micros(1));
    assert!(!bench.is_live(&phone));
    let until = bench.registry.check_in(device).await.expect("it is known");
    assert_eq!(until, bench.clock.now().plus(LEASE));
    assert!(bench.is_live(&phone), "the handle is still bound");
}

#[tokio::test]
async fn a_handle_signed_out_stays_signed_out_until_proved_again() {
    let bench = Bench::new();
    let first = bench.device().await;
    let second = bench.joined(first.account).await;
    let phone = handle(PHONE);
    bench.registry.prove(first.device, phone.clone()).await.expect("it binds");
    bench.registry.rebind(second.device, phone.clone()).await.expect("the proof is held");
    bench.registry.unbind(first.device, phone.clone()).await.expect("it was bound");
    assert!(bench.is_live(&phone), "the second device backs it");
    bench.registry.unbind(second.device, phone.clone()).await.expect("it was bound");
    for device in [first.device, second.device] {
        bench.registry.check_in(device).await.expect("it is known");
        assert_eq!(bench.registry.rebind(device, phone.clone()).await, Ok(None));
    }
    let third = bench.joined(first.account).await;
    bench.registry.check_in(third.device).await.expect("it is known");
    assert!(matches!(
        probe(&bench, &phone),
        HandleState::Tombstone { how: HandleLoss::Unbound, .. }
    ));
    bench.registry.prove(third.device, phone.clone()).await.expect("it binds");
    assert!(bench.is_live(&phone));
}

#[tokio::test]
async fn the_newest_proof_takes_the_handle_from_every_device_of_the_former_account() {
    let bench = Bench::new();
    let phone = handle(PHONE);
    let old = bench.device().await;
    bench.registry.prove(old.device, phone.clone()).await.expect("it binds");
    let old_second = bench.joined(old.account).await;
    let new = bench.device().await;
    let moved_at = bench.registry.prove(new.device, phone.clone()).await.expect("it moves");
    bench.clock.advance(LEASE / 2);
    for device in [old.device, old_second.device] {
        bench.registry.check_in(device).await.expect("it is known");
        assert_eq!(bench.registry.rebind(device, phone.clone()).await, Ok(None));
        assert_eq!(bench.registry.unbind(device, phone.clone()).await, Err(DeviceError::NotBound));
        let details = bench.registry.device(device).expect("loaded").expect("it is known");
        assert!(details.handles.is_empty());
        let lost = LostDetails { handle: phone.clone(), how: HandleLoss::Moved, at: moved_at };
        assert_eq!(details.lost, [lost], "and it is told when and why");
    }
    let HandleState::Claimed { account, live_until, .. } = probe(&bench, &phone) else {
        panic!("somebody holds it");
    };
    assert_eq!((account, live_until), (new.account, new.lease_expires_at));
    let log = bench.sink.log();
    let moved =
        log.iter().find(|change| change.kind == ChangeKind::HandleMoved).expect("it is told");
    assert_eq!((moved.cause, moved.account), (Cause::NewerProof, Some(new.account)));
}

#[tokio::test]
async fn deregistration_reaches_every_device_and_is_reported_once() {
    let bench = Bench::new();
    let phone = handle(PHONE);
    let first = bench.device().await;
    bench.registry.prove(first.device, phone.clone()).await.expect("it binds");
    let second = bench.joined(first.account).await;
    for _ in 0..2 {
        bench.registry.deregister(phone.clone()).await.expect("it ends");
    }
    assert!(matches!(
        probe(&bench, &phone),
        HandleState::Tombstone { how: HandleLoss::Deregistered, .. }
    ));
    assert_eq!(bench.registry.rebind(second.device, phone).await, Ok(None));
    let log = bench.sink.log();
    let told = log.iter().filter(|change| change.kind == ChangeKind::HandleDeregistered);
    assert_eq!(told.count(), 1);
}

#[tokio::test]
async fn how_a_handle_ended_is_forgotten_after_exactly_thirty_days_with_or_without_a_tick() {
    let bench = Bench::new();
    let (device, phone) = (bench.device().await.device, handle(PHONE));
    bench.registry.prove(device, phone.clone()).await.expect("it binds");
    bench.registry.sign_out(device).await.expect("it is known");
    bench.clock.advance(limits::TOMBSTONE_LIFETIME - Duration::from_micros(1));
    assert!(matches!(
        probe(&bench, &phone),
        HandleState::Tombstone { how: HandleLoss::DeviceRemoved, .. }
    ));
    assert_eq!(bench.registry.tick().await, Ok(Ticked::default()));
    bench.clock.advance(Duration::from_micros(1));
    assert_eq!(probe(&bench, &phone), HandleState::Unknown);
    assert_eq!(bench.store.disk().ended.len(), 1);
    assert_eq!(bench.registry.tick().await, Ok(Ticked { forgotten: 1, ..Ticked::default() }));
    assert_eq!(bench.store.disk().ended.len(), 0);
}

#[tokio::test]
async fn a_lapse_is_recorded_once_whatever_crashes_and_again_after_a_check_in() {
    let mut bench = Bench::new();
    let device = bench.device().await.device;
    bench.registry.prove(device, handle(PHONE)).await.expect("it binds");
    bench.registry.prove(device, handle("a@example.org")).await.expect("it binds");
    let lapses = |bench: &Bench| {
        let log = bench.sink.log();
        log.iter().filter(|change| change.kind == ChangeKind::LeaseExpired).count()
    };
    for round in 1..=2 {
        bench.clock.advance(LEASE);
        assert_eq!(bench.registry.tick().await, Ok(Ticked { lapsed: 1, ..Ticked::default() }));
        assert_eq!(bench.registry.tick().await, Ok(Ticked::default()));
        bench = bench.crashed();
        assert_eq!(bench.registry.tick().await, Ok(Ticked::default()));
        assert_eq!(lapses(&bench), 2 * round, "one for each handle");
        bench.registry.check_in(device).await.expect("it is known");
    }
}

#[tokio::test]
async fn a_device_silent_for_long_is_removed_and_not_a_moment_earlier() {
    let bench = Bench::new();
    let (silent, phone) = (bench.device().await, handle(PHONE));
    let (mail, other) = (handle("a@example.org"), bench.joined(silent.account).await);
    bench.registry.prove(silent.device, phone.clone()).await.expect("it binds");
    bench.registry.prove(other.device, mail.clone()).await.expect("it binds");
    bench.clock.advance(FORGET_AFTER - Duration::from_micros(1));
    bench.registry.check_in(other.device).await.expect("it is known");
    assert_eq!(bench.registry.tick().await, Ok(Ticked { lapsed: 1, ..Ticked::default() }));
    bench.clock.advance(Duration::from_micros(1));
    assert_eq!(bench.registry.tick().await, Ok(Ticked { removed: 1, ..Ticked::default() }));
    assert_eq!(bench.registry.device(silent.device), Ok(None));
    assert_eq!(
        bench.registry.authenticate(silent.token.expose()),
        Err(TokenError::Invalid),
        "its token ended with it"
    );
    assert!(!bench.is_live(&phone), "only the silent one backed it");
    assert!(matches!(
        probe(&bench, &phone),
        HandleState::Tombstone { how: HandleLoss::DeviceRemoved, .. }
    ));
    assert!(bench.is_live(&mail), "the other device is not touched");
    let lost = bench.registry.device(other.device).expect("loaded").expect("it is known").lost;
    assert_eq!(lost.iter().map(|lost| lost.how).collect::<Vec<_>>(), [HandleLoss::DeviceRemoved]);
    let log = bench.sink.log();
    let of_silence =
        |told: &&Change| told.cause == Cause::Silence && told.device == Some(silent.device);
    let told: Vec<_> = log.iter().filter(of_silence).map(|told| told.kind).collect();
    use ChangeKind::{DeviceRemoved, HandleUnbound, LeaseExpired};
    assert_eq!(told, [LeaseExpired, HandleUnbound, DeviceRemoved]);
}

#[tokio::test]
async fn an_account_is_bounded() {
    let bench = Bench::new();
    let first = bench.device().await;
    for _ in 1..DEVICES_PER_ACCOUNT {
        bench.joined(first.account).await;
    }
    let devices_max = DEVICES_PER_ACCOUNT;
    let refused = bench.registry.sign_up(sign_up(Some(first.account))).await;
    assert_eq!(refused, Err(DeviceError::TooManyDevices { devices_max }));
    let handles_max = limits::HANDLES_PER_ACCOUNT_MAX;
    let handles: Vec<_> =
        (0..=handles_max).map(|number| handle(&format!("+1415555{number:04}"))).collect();
    for one in &handles[..handles_max] {
        bench.registry.prove(first.device, one.clone()).await.expect("there is space");
    }
    let refused = bench.registry.prove(first.device, handles[handles_max].clone()).await;
    assert_eq!(refused, Err(DeviceError::TooManyHandles { handles_max }));
    bench.registry.prove(first.device, handles[0].clone()).await.expect("it holds this one");
    let name = Some("x".repeat(limits::DEVICE_NAME_BYTES_MAX + 1));
    let refused = bench.registry.sign_up(SignUp { name, ..sign_up(None) }).await;
    assert_eq!(refused, Err(DeviceError::NameTooLong));
}

#[tokio::test]
async fn of_many_lost_handles_the_last_are_shown() {
    let bench = Bench::new();
    let device = bench.device().await.device;
    let lost_max = limits::LOST_HANDLES_PER_ACCOUNT_MAX;
    let handles: Vec<_> =
        (0..lost_max + 3).map(|number| handle(&format!("+1415555{number:04}"))).collect();
    for one in &handles {
        bench.registry.prove(device, one.clone()).await.expect("there is space");
        bench.clock.advance(Duration::from_secs(1));
        bench.registry.deregister(one.clone()).await.expect("it ends");
    }
    let told = bench.registry.device(device).expect("loaded").expect("it is known").lost;
    assert_eq!(told.into_iter().map(|lost| lost.handle).collect::<Vec<_>>(), handles[3..]);
}

#[tokio::test]
async fn a_token_is_its_device_s_alone_and_ends_with_it() {
    let bench = Bench::new();
    let (one, other) = (bench.device().await, bench.device().await);
    let asker = bench.registry.authenticate(one.token.expose()).expect("it is good");
    assert_eq!((asker.device, asker.account), (one.device, one.account));
    // One device's id with another's secret.
    let mixed = format!("{}{}", &one.token.expose()[..16], &other.token.expose()[16..]);
    for bad in [mixed.as_str(), "", "dd_", &one.token.expose().to_uppercase()] {
        assert_eq!(bench.registry.authenticate(bad), Err(TokenError::Invalid));
    }
    bench.registry.sign_out(one.device).await.expect("it is known");
    assert_eq!(bench.registry.authenticate(one.token.expose()), Err(TokenError::Invalid));
    let view = bench.registry.view().expect("it is loaded");
    assert_eq!(view.asker(one.device), None);
    assert_eq!(view.asker(other.device).map(|asker| asker.account), Some(other.account));
}

#[tokio::test]
async fn nothing_is_said_before_it_is_loaded() {
    let bench = Bench::new();
    let (device, token) = (bench.device().await.device, bench.device().await.token);
    let store = MemoryStore::on(bench.store.disk().clone());
    let registry = Registry::with_store(Box::new(store), config(), bench.clock.clone());
    assert!(matches!(registry.view(), Err(Loading)));
    assert_eq!(registry.authenticate(token.expose()), Err(TokenError::Loading(Loading)));
    assert_eq!(registry.device(device), Err(ChangeError::Loading));
    assert!(!registry.is_ready());
    assert_eq!(registry.tick().await, Err(ChangeError::Loading));
    registry.load().expect("the rows are good");
    // Loaded, but what a former run still owes the log is not handed over: a lookup now would be recorded before it.
    assert_eq!(registry.authenticate(token.expose()), Err(TokenError::Loading(Loading)));
    assert_eq!(registry.check_in(device).await, Err(DeviceError::Change(ChangeError::Loading)));
    assert!(!registry.is_ready());
    registry
        .start(bench.sink.clone(), &|changes| bench.sink.recorded(changes))
        .expect("it is loaded");
    assert!(registry.is_ready());
    assert!(registry.authenticate(token.expose()).is_ok());
    registry.close();
    assert!(!registry.is_ready());
    assert_eq!(registry.check_in(device).await, Err(DeviceError::Change(ChangeError::Stopped)));
}

#[tokio::test]
async fn nothing_personal_prints() {
    let bench = Bench::new();
    let device = bench.device().await;
    bench.registry.prove(device.device, handle(PHONE)).await.expect("it binds");
    let details = bench.registry.device(device.device).expect("loaded");
    let disk = bench.store.disk().clone();
    let printed =
        format!("{device:?} {details:?} {disk:?} {:?} {:?}", bench.sink.log(), bench.registry);
    assert!(!printed.contains("4155550123"), "{printed}");
    assert!(!printed.contains(&device.token.expose()[16..]), "{printed}");
}
