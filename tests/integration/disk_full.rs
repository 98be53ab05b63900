//! Proves promises 1 and 3 on a disk that fills up under load. Every answer has its record. Every refusal states the
//! cause and when to retry. Service resumes by itself when space is free.

use std::{
    env,
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use dispatchd::{
    clock::SystemClock,
    config::Config,
    files::{DataDirectory, space_of},
    server,
};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    connection::{Reply, Wire},
    harness::{PATIENCE, Server, dispatchd, json_of, run, say, wait_until},
    ledger::Tally,
    load::Client,
    wrong_clocks::library,
};

const DISK_BYTES: &str = "16m";
const CONNECTIONS: u64 = 8;
/// Steps that the clients make together before the disk is filled, and once there is space again.
const STEPS: usize = 400;
/// Set for the process that runs in a name space of its own.
const UNSHARED: &str = "TEST_UNSHARED";

/// A mounted tmpfs.
pub(crate) struct SmallDisk {
    pub(crate) path: PathBuf,
    _folder: TempDir,
}

impl SmallDisk {
    /// Mounts a tmpfs as `place` in a new folder.
    ///
    /// If mounting needs root, it runs `test` again as root of a new user namespace and returns `None`.
    pub(crate) fn mount(place: &str, test: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(place);
        // Otherwise a mount within the data directory looks like data of another version.
        DataDirectory::prepare(&folder.path().join("data")).unwrap();
        fs::create_dir_all(&path).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={DISK_BYTES},mode=0700"), "tmpfs"]);
        let mounted = run(mount.arg(&path));
        if mounted.status.success() {
            return Some(Self { path, _folder: folder });
        }
        let why = String::from_utf8_lossy(&mounted.stderr).into_owned();
        assert!(
            env::var_os(UNSHARED).is_none(),
            "cannot mount a tmpfs even in a user namespace: {why}"
        );
        let mut again = Command::new("unshare");
        again.arg("-Urm").arg(env::current_exe().unwrap());
        let again = run(again
            .args([test, "--exact", "--include-ignored", "--nocapture"])
            .env(UNSHARED, "1"));
        assert!(
            again.status.success(),
            "this test needs root or user namespaces (unshare -Urm), to mount a small disk: {why}\n{}{}",
            String::from_utf8_lossy(&again.stdout),
            String::from_utf8_lossy(&again.stderr),
        );
        None
    }

    fn ballast(&self) -> PathBuf {
        self.path.join("ballast")
    }

    /// Fills all free space.
    pub(crate) fn fill(&self) {
        let mut ballast = File::options().create(true).append(true).open(self.ballast()).unwrap();
        for bytes in [64 * 1024, 1024, 1] {
            while ballast.write_all(&vec![b'x'; bytes]).is_ok() {}
        }
    }

    /// Fills all but about `left` bytes.
    fn fill_but(&self, left: u64) {
        let free = space_of(&self.path).unwrap().free;
        let bytes = usize::try_from(free.saturating_sub(left)).unwrap();
        fs::write(self.ballast(), vec![b'x'; bytes]).unwrap();
    }

    pub(crate) fn free(&self) {
        fs::remove_file(self.ballast()).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}

#[tokio::test]
async fn a_full_disk_in_disk_mode_loses_nothing_and_service_resumes() {
    fills_up("a_full_disk_in_disk_mode_loses_nothing_and_service_resumes", "disk").await;
}

#[tokio::test]
async fn a_full_disk_in_os_mode_loses_nothing_and_service_resumes() {
    fills_up("a_full_disk_in_os_mode_loses_nothing_and_service_resumes", "os").await;
}

async fn fills_up(test: &str, durability: &str) {
    let Some(disk) = SmallDisk::mount("data", &format!("disk_full::{test}")) else {
        return;
    };
    let mut server = Server::on(&disk.path, &[("LOG__DURABILITY", durability)]).await;
    let reader = server.operator_token("reader", "reader");
    let outbox = server.data.join("outbox.ndjson");
    let client = |number| Client::new(number, 1, outbox.clone());
    let mut clients: Vec<_> = (0..CONNECTIONS).map(client).collect();
    let pid = server.pid();
    under_load(&server, &mut clients, |steps| fill_and_free(&server, &disk, steps));
    assert!(server.is_running(), "{}", server.output());

    check(&server, &reader, &mut clients).await;
    let mut refused = std::collections::BTreeMap::new();
    for (code, times) in clients.iter_mut().flat_map(|client| std::mem::take(&mut client.refused)) {
        *refused.entry(code).or_insert(0) += times;
    }
    say(&format!("{durability}: refused {refused:?}"));
    assert!(refused.contains_key("log-unwritable"), "{refused:?}");
    let promised = ["log-unwritable", "registry-unwritable", "overloaded", "delivery-failed"];
    assert!(refused.keys().all(|code| promised.contains(&code.as_str())), "{refused:?}");
    assert_eq!(server.pid(), pid);

    assert!(server.stop().await.success());
    server.spawn().await;
    let phones = clients.iter_mut().flat_map(|client| &mut client.ledger.phones);
    phones.for_each(|phone| phone.is_stale = true);
    check(&server, &reader, &mut clients).await;
    assert!(server.stop().await.success());
}

/// Reconciles all clients, then reads the whole log.
async fn check(server: &Server, reader: &str, clients: &mut [Client]) {
    for client in &mut *clients {
        let mut wire = Wire::connect(&server.phones).expect("it accepts");
        client.reconcile(&mut wire).expect("it answers");
    }
    let tally = Tally::take(server, reader, clients).await;
    say(&format!("{tally:?}"));
    tally.assert_sound();
    assert!(tally.answered > 500, "too little load: {tally:?}");
}

/// How many steps all clients together have made.
struct Steps(AtomicUsize);

impl Steps {
    /// Waits until the clients have made [`STEPS`] more.
    fn wait_for_more(&self) {
        let before = self.0.load(Ordering::SeqCst);
        wait_until("there was load", || self.0.load(Ordering::SeqCst) >= before + STEPS);
    }
}

/// Runs `meanwhile` while every client is busy; no connection may break.
fn under_load(server: &Server, clients: &mut [Client], meanwhile: impl FnOnce(&Steps)) {
    struct Stop<'a>(&'a AtomicBool);
    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let (stop, steps) = (AtomicBool::new(false), Steps(AtomicUsize::new(0)));
    thread::scope(|scope| {
        let _stop = Stop(&stop);
        for client in clients {
            let (stop, steps) = (&stop, &steps);
            let mut wire = Wire::connect(&server.phones).expect("it accepts");
            scope.spawn(move || {
                while !stop.load(Ordering::SeqCst) {
                    client.step(&mut wire).expect("the connection holds");
                    steps.0.fetch_add(1, Ordering::SeqCst);
                    thread::sleep(Duration::from_millis(1));
                }
            });
        }
        meanwhile(&steps);
    });
}

fn fill_and_free(server: &Server, disk: &SmallDisk, steps: &Steps) {
    let mut phone = Wire::connect(&server.phones).expect("it accepts");
    let token = sign_up(&mut phone).text("token");
    steps.wait_for_more();
    let started = Instant::now();
    let unready = loop {
        disk.fill();
        let ready = get(&mut phone, "/readyz", "");
        if ready.status != 200 {
            break ready;
        }
        assert!(started.elapsed() < PATIENCE, "/readyz never reports the full disk");
    };
    assert_eq!(unready.status, 503);
    assert_eq!(unready.body["code"], "log-unwritable");
    assert_eq!(unready.body["missing"], json!(["log"]));
    assert!(unready.header("retry-after").is_some());

    // Long enough for several failed attempts to resume.
    let full_until = Instant::now() + Duration::from_secs(4);
    while Instant::now() < full_until {
        disk.fill();
        assert_eq!(get(&mut phone, "/livez", "").status, 200);
        assert_ne!(sign_up(&mut phone).status, 201, "a sign-up succeeded on a full disk");
        thread::sleep(Duration::from_millis(50));
    }

    disk.free();
    let freed = Instant::now();
    wait_until("service is back", || {
        sign_up(&mut phone).status == 201
            && get(&mut phone, "/v1/lookup/%2B14155550199", &token).status == 200
    });
    say(&format!("back after {:?}", freed.elapsed()));
    assert_eq!(get(&mut phone, "/readyz", "").status, 200);
    steps.wait_for_more();
}

/// If only the registry's disk is full, the server refuses changes and answers everything else.
#[tokio::test]
async fn a_registry_that_cannot_be_written_refuses_changes_and_goes_on_answering() {
    let test = "disk_full::a_registry_that_cannot_be_written_refuses_changes_and_goes_on_answering";
    let Some(disk) = SmallDisk::mount("data/registry", test) else {
        return;
    };
    let mut server = Server::on(disk.path.parent().unwrap(), &[]).await;
    let reader = server.operator_token("reader", "reader");
    let outbox = server.data.join("outbox.ndjson");
    let client = |number| Client::new(number, 2, outbox.clone());
    let mut clients: Vec<_> = (0..CONNECTIONS).map(client).collect();
    under_load(&server, &mut clients, |steps| {
        let mut phone = Wire::connect(&server.phones).expect("it accepts");
        let token = sign_up(&mut phone).text("token");
        steps.wait_for_more();
        let full = Instant::now();
        let mut refused = 0;
        // Long enough for several vain attempts to begin anew.
        while full.elapsed() < Duration::from_secs(4) || refused < 20 {
            assert!(full.elapsed() < PATIENCE, "sign-ups go on: {refused} refused");
            disk.fill();
            let reply = sign_up(&mut phone);
            refused += u32::from(reply.body["code"] == "registry-unwritable");
            let asked = get(&mut phone, "/v1/lookup/%2B14155550199", &token);
            assert_eq!(asked.status, 200, "{asked:?}");
            thread::sleep(Duration::from_millis(20));
        }
        disk.free();
        let freed = Instant::now();
        wait_until("sign-ups are taken", || sign_up(&mut phone).status == 201);
        say(&format!("back after {:?}", freed.elapsed()));
        steps.wait_for_more();
    });
    check(&server, &reader, &mut clients).await;
    assert!(server.stop().await.success());
    server.spawn().await;
    check_all_again(&mut clients);
    check(&server, &reader, &mut clients).await;
    assert!(server.stop().await.success());
}

/// What an operator may do that takes much space.
const OPERATORS_CALLS: [(Method, &str); 2] =
    [(Method::GET, "/v1/registry/snapshot"), (Method::POST, "/v1/registry/import")];

/// The code of the refusal, or the empty text.
async fn operators_call(server: &Server, admin: &str, method: Method, path: &str) -> String {
    let call = reqwest::Client::new().request(method, format!("{}{path}", server.operators));
    let answer = call.bearer_auth(admin).body("no staged file").send().await.unwrap();
    match answer.status().is_success() {
        true => String::new(),
        false => answer.json::<Value>().await.unwrap()["code"].as_str().unwrap().to_owned(),
    }
}

/// If only the registry's disk is short of space, nothing makes the store grow, and everything else goes on.
#[tokio::test]
async fn a_part_of_the_registry_s_disk_is_left_to_other_programs() {
    let test = "disk_full::a_part_of_the_registry_s_disk_is_left_to_other_programs";
    let Some(disk) = SmallDisk::mount("data/registry", test) else {
        return;
    };
    let mut server = Server::on(disk.path.parent().unwrap(), &[]).await;
    let admin = server.operator_token("admin", "admin");
    let (ann, ben) = (server.sign_up().await, server.sign_up().await);
    server.prove(&ann, "+14155550123").await;
    assert_eq!(operators_call(&server, &admin, Method::GET, "/v1/registry/snapshot").await, "");
    let left = 512 * 1024;
    disk.fill_but(left);
    let mut wire = Wire::connect(&server.phones).expect("it accepts");
    wait_until("sign-ups are refused", || sign_up(&mut wire).status == 503);
    assert_eq!(sign_up(&mut wire).body["code"], "registry-unwritable");
    for (method, path) in OPERATORS_CALLS {
        assert_eq!(operators_call(&server, &admin, method, path).await, "registry-unwritable");
    }
    let claim = server.phone(Method::POST, "/v1/devices/me/handles").bearer_auth(&ben.token);
    let (_, claim) = json_of(claim.json(&json!({"handle": "+14155550124"}))).await;
    let verification = claim["verification"].as_str().unwrap();
    let code = server.code_for(verification);
    let (status, refused) = server.confirm(verification, &code).await;
    assert_eq!((status.as_u16(), &refused["code"]), (503, &json!("registry-unwritable")));
    for _ in 0..50 {
        assert_eq!(check_in(&mut wire, &ann.token).status, 200);
        assert_eq!(server.route(&ben, "+14155550123").await, "imessage");
    }
    // Giving up goes on.
    let gone =
        wire.ask("DELETE", "/v1/devices/me/handles/%2B14155550123", &ann.token, &Value::Null);
    assert_eq!(gone.expect("it answers").status, 204);
    assert_eq!(server.route(&ben, "+14155550123").await, "sms");
    assert!(
        space_of(&disk.path).unwrap().free > left / 2,
        "the registry uses the rest of the disk"
    );
    assert!(server.output().contains("server.disk_reserve"), "no message says why");
    disk.free();
    wait_until("sign-ups are taken", || sign_up(&mut wire).status == 201);
    assert_eq!(server.confirm(verification, &code).await.0, 200, "the code is still good");
    assert_eq!(operators_call(&server, &admin, Method::GET, "/v1/registry/snapshot").await, "");
    assert!(server.stop().await.success());
}

/// An hour is sealed once the disk has space for it.
#[tokio::test]
async fn hours_are_not_sealed_into_the_space_of_other_programs() {
    let test = "disk_full::hours_are_not_sealed_into_the_space_of_other_programs";
    let Some(disk) = SmallDisk::mount("data/log", test) else {
        return;
    };
    let mut server = Server::on(disk.path.parent().unwrap(), &[]).await;
    let phone = server.sign_up().await;
    for _ in 0..20 {
        assert_eq!(server.route(&phone, "+14155550199").await, "sms");
    }
    assert!(server.stop().await.success());
    let mut config = Config::default();
    config.server.data = disk.path.parent().unwrap().to_owned();
    config.server.phones.set_port(0);
    config.server.operators.set_port(0);
    let sealed = || {
        let names = fs::read_dir(&disk.path).unwrap().map(|file| file.unwrap().file_name());
        names.filter(|name| name.to_string_lossy().contains(".seal")).count()
    };
    disk.fill_but(128 * 1024);
    // What a former process wrote is due at once.
    let running = server::Server::start(&config, Arc::new(SystemClock)).await.unwrap();
    running.tick_sealing();
    assert_eq!(sealed(), 0);
    disk.free();
    running.tick_sealing();
    assert_eq!(sealed(), 1);
    assert!(running.stop().await);
}

fn check_in(wire: &mut Wire, token: &str) -> Reply {
    wire.ask("POST", "/v1/devices/me/check-in", token, &Value::Null).expect("it answers")
}

fn check_all_again(clients: &mut [Client]) {
    let phones = clients.iter_mut().flat_map(|client| &mut client.ledger.phones);
    phones.for_each(|phone| phone.is_stale = true);
}

fn get(wire: &mut Wire, path: &str, token: &str) -> Reply {
    wire.ask("GET", path, token, &Value::Null).expect("it answers")
}

fn sign_up(wire: &mut Wire) -> Reply {
    let body = json!({"platform": "ios"});
    wire.ask("POST", "/v1/devices", "", &body).expect("it answers")
}

/// A data directory that was in use starts on its reserve; one that is new has none.
#[tokio::test]
async fn on_a_disk_that_is_full_at_the_start_only_a_new_directory_is_an_error() {
    let test = "disk_full::on_a_disk_that_is_full_at_the_start_only_a_new_directory_is_an_error";
    let Some(disk) = SmallDisk::mount("data", test) else {
        return;
    };
    let mut server = Server::on(&disk.path.join("used"), &[]).await;
    let ann = server.sign_up().await;
    assert!(server.stop().await.success());
    disk.fill();
    let fresh = disk.path.join("fresh");
    let mut command = server.command();
    let output = run(command.env("DISPATCHD_SERVER__DATA", &fresh));
    let text = String::from_utf8_lossy(&output.stderr);
    say(&format!("a new directory: {text}"));
    assert_clear(output.status.code(), &text, &fresh);

    server.spawn().await;
    let mut wire = Wire::connect(&server.phones).expect("it accepts");
    let path = "/v1/lookup/%2B14155550123";
    wait_until("lookups are refused", || {
        disk.fill();
        get(&mut wire, path, &ann.token).body["code"] == "log-unwritable"
    });
    assert_eq!(get(&mut wire, "/readyz", "").body["missing"], json!(["log"]));
    disk.free();
    wait_until("service is back", || get(&mut wire, path, &ann.token).status == 200);
    assert!(server.stop().await.success());
}

fn assert_clear(code: Option<i32>, text: &str, data: &Path) {
    assert_eq!(code, Some(1), "{text}");
    let last = text.lines().last().unwrap_or_default();
    assert!(last.contains("No space left on device"), "{text}");
    assert!(last.contains(&*data.to_string_lossy()), "{text}");
}

/// Expired keys are destroyed on a full disk, operators can read meanwhile, a start works, and service resumes.
#[tokio::test]
async fn on_a_full_disk_the_log_forgets_and_can_be_read() {
    let test = "disk_full::on_a_full_disk_the_log_forgets_and_can_be_read";
    let Some(disk) = SmallDisk::mount("data", test) else {
        return;
    };
    let offset = disk.path.with_file_name("offset");
    fs::write(&offset, "0").unwrap();
    let env = [("CLOCK__TRUST", "always"), ("KEYS__RESERVE", "1MiB")];
    let mut server = Server::stopped(&disk.path, &env);
    server.set_process_env(&[
        ("LD_PRELOAD", library().to_str().unwrap()),
        ("WALL_CLOCK_OFFSET", offset.to_str().unwrap()),
    ]);
    server.spawn().await;
    let admin = server.operator_token("admin", "admin");
    let phone = server.sign_up().await;
    for _ in 0..20 {
        assert_eq!(server.route(&phone, "+14155550199").await, "sms");
    }
    disk.fill();
    wait_until("lookups are refused", || {
        let mut wire = Wire::connect(&server.phones).expect("it accepts");
        disk.fill();
        get(&mut wire, "/v1/lookup/%2B14155550199", &phone.token).status == 503
    });
    let readable = server.records(&admin, "kind=lookup&route=sms").await.len();
    assert!(readable >= 20, "{readable} of 20 can be read");
    let forgotten = |server: &Server| {
        let mut prove = dispatchd();
        prove.args(["log", "prove-forgotten", "--json", "--server", &server.operators]);
        let output = run(prove.env("DISPATCHD_TOKEN", &admin));
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        report["proved"] == true && report["keys"] == 0
    };
    assert!(!forgotten(&server));

    fs::write(&offset, (31 * 24 * 3600).to_string()).unwrap();
    disk.fill();
    wait_until("the expired keys are destroyed", || forgotten(&server));
    disk.fill();
    assert!(server.stop().await.success());
    disk.fill();
    server.spawn().await;
    assert!(forgotten(&server));
    assert!(server.records(&admin, "kind=lookup").await.is_empty());
    disk.free();
    wait_until("service is back", || {
        let mut wire = Wire::connect(&server.phones).expect("it accepts");
        let asked = get(&mut wire, "/v1/lookup/%2B14155550199", &phone.token);
        asked.status == 200
    });
    assert!(server.stop().await.success());
}

/// Lookups stop before the disk is full, and go on by themselves.
#[tokio::test]
async fn a_part_of_the_disk_is_left_to_other_programs() {
    let test = "disk_full::a_part_of_the_disk_is_left_to_other_programs";
    let Some(disk) = SmallDisk::mount("data", test) else {
        return;
    };
    let mut server = Server::on(&disk.path, &[("KEYS__RESERVE", "1MiB")]).await;
    let admin = server.operator_token("admin", "admin");
    let phone = server.sign_up().await;
    let ask = || {
        let mut wire = Wire::connect(&server.phones).expect("it accepts");
        get(&mut wire, "/v1/lookup/%2B14155550199", &phone.token)
    };
    assert_eq!(ask().status, 200);
    // A twentieth of 16 MiB are 0.8 MiB.
    let left = 512 * 1024;
    disk.fill_but(left);
    wait_until("lookups are refused", || ask().status == 503);
    let asked = Instant::now();
    while asked.elapsed() < Duration::from_secs(3) {
        let refused = ask();
        assert_eq!((refused.status, &refused.body["code"]), (503, &json!("log-unwritable")));
        let mut wire = Wire::connect(&server.phones).expect("it accepts");
        assert_eq!(sign_up(&mut wire).status, 503);
        assert_eq!(check_in(&mut wire, &phone.token).status, 200, "devices must not lapse");
    }
    for (method, path) in OPERATORS_CALLS {
        assert_eq!(operators_call(&server, &admin, method, path).await, "registry-unwritable");
    }
    // Reading and its audit entry go on.
    assert!(!server.records(&admin, "kind=lookup").await.is_empty());
    assert!(space_of(&disk.path).unwrap().free > left / 2, "the server uses the rest of the disk");
    assert!(server.output().contains("server.disk_reserve"), "no message says why");
    disk.free();
    wait_until("service is back", || ask().status == 200);
    assert!(server.stop().await.success());
}
