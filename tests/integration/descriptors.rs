//! All descriptors that strangers can hold are held while the hour changes.

use std::fs;

use serde_json::{Value, json};

use crate::{
    connection::Wire,
    harness::{Server, say},
    wrong_clocks::library,
};

/// Of the attack that found the fault.
const OPEN_FILES: u32 = 64;
const HOUR: u64 = 3600;

/// Opens connections until the server closes new ones.
fn hold_all(url: &str) -> Vec<Wire> {
    let (mut held, mut closed) = (Vec::new(), 0);
    while closed < 32 {
        let mut wire = Wire::connect(url).expect("the kernel accepts");
        match wire.ask("GET", "/livez", "", &Value::Null) {
            Ok(reply) if reply.status == 200 => held.push(wire),
            _ => closed += 1,
        }
        assert!(held.len() < OPEN_FILES as usize, "more connections than descriptors");
    }
    held
}

#[tokio::test]
async fn the_hour_changes_while_strangers_hold_all_connections() {
    let folder = tempfile::tempdir().unwrap();
    let offset = folder.path().join("offset");
    fs::write(&offset, "0").unwrap();
    // The strangers come through a trusted proxy, so that they may have all connections though they have one address.
    let env = [("CLOCK__TRUST", "always"), ("SERVER__TRUSTED_PROXIES", "[\"127.0.0.1/32\"]")];
    let mut server = Server::stopped(&folder.path().join("data"), &env);
    server.set_process_env(&[
        ("LD_PRELOAD", library().to_str().unwrap()),
        ("WALL_CLOCK_OFFSET", offset.to_str().unwrap()),
    ]);
    server.limit_open_files(OPEN_FILES);
    server.spawn().await;
    let reader = server.operator_token("reader", "reader");
    let mut phone = Wire::connect(&server.phones).unwrap();
    let mut operator = Wire::connect(&server.operators).unwrap();
    let ann = phone.ask("POST", "/v1/devices", "", &json!({"platform": "ios"})).unwrap();
    let token = ann.text("token");
    let (phones, operators) = (hold_all(&server.phones), hold_all(&server.operators));
    let open = fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap().count();
    say(&format!(
        "of {OPEN_FILES} descriptors, {open} are open: {} and {} by strangers",
        phones.len(),
        operators.len()
    ));
    // The second change is one of the day as well, so the audit log begins a file.
    for hours in [1, 25, 26] {
        fs::write(offset.with_extension("new"), (hours * HOUR).to_string()).unwrap();
        fs::rename(offset.with_extension("new"), &offset).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(1_200));
        for _ in 0..5 {
            let asked =
                phone.ask("GET", "/v1/lookup/%2B14155550199", &token, &Value::Null).unwrap();
            assert_eq!(asked.status, 200, "{hours} h: {asked:?}");
        }
        let path = "/v1/log?limit=1000&handle=%2B14155550199";
        let read = operator.ask("GET", path, &reader, &Value::Null).unwrap();
        assert_eq!(read.status, 200, "{hours} h: {read:?}");
    }
    let segments = fs::read_dir(server.data.join("log")).unwrap();
    let segments = segments.filter(|file| {
        let name = file.as_ref().unwrap().file_name().into_string().unwrap();
        name.ends_with(".frames") || name.ends_with(".sealed")
    });
    assert_eq!(segments.count(), 4, "an hour has no segment");
    assert!(!server.output().contains("Too many open files"), "{}", server.output());
    drop((phones, operators));
    assert!(server.stop().await.success());
}

#[tokio::test]
async fn a_limit_that_leaves_no_connection_is_an_error_that_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::stopped(&folder.path().join("data"), &[]);
    server.limit_open_files(20);
    server.launch();
    assert_eq!(server.wait().await.code(), Some(1));
    let output = server.output();
    assert!(output.contains("ulimit -n") || output.contains("Too many open files"), "{output}");
}
