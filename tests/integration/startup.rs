//! Proves that a failed start names the faulty key, file or port, exits with the promised code and changes no byte.
//! Also that only the owner can read what a start creates.

use std::{
    fs::{self, Permissions},
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::harness::{PATIENCE, Server, bytes_below, dispatchd, run};

/// Starts `server` again with `env`. The start must fail. Returns the exit code and the last line of output.
fn fails(server: &Server, env: &[(&str, &str)]) -> (i32, String) {
    let mut command = server.command();
    for (name, value) in env {
        command.env(format!("DISPATCHD_{name}"), value);
    }
    // Do not wait for a start that succeeds by mistake.
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let started = Instant::now();
    while child.try_wait().unwrap().is_none() && started.elapsed() < PATIENCE {
        thread::sleep(Duration::from_millis(5));
    }
    let _ = child.kill();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    let last = text.lines().last().unwrap_or_default();
    println!("{last}");
    (output.status.code().expect("the process exits without a signal"), last.into())
}

fn assert_names(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{text:?} should name {part:?}");
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn as_text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A stopped server with one record in its log.
async fn stopped() -> Server {
    let mut server = Server::start().await;
    let ann = server.sign_up().await;
    assert_eq!(server.route(&ann, "+14155550123").await, "sms");
    assert!(server.stop().await.success());
    server
}

#[tokio::test]
async fn a_port_in_use_is_named_even_if_another_dispatchd_has_it() {
    let server = Server::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let somebody = listener.local_addr().unwrap().to_string();
    let here = |url: &str| url.trim_start_matches("http://").to_owned();
    let (phones, operators) = (here(&server.phones), here(&server.operators));
    let other_data = server.data.with_extension("other");
    for (key, variable, taken) in [
        ("server.phones", "SERVER__PHONES", &somebody),
        ("server.phones", "SERVER__PHONES", &phones),
        ("server.phones", "SERVER__PHONES", &operators),
        ("server.operators", "SERVER__OPERATORS", &somebody),
        ("server.operators", "SERVER__OPERATORS", &operators),
        ("server.operators", "SERVER__OPERATORS", &phones),
    ] {
        let env = [(variable, taken.as_str()), ("SERVER__DATA", as_text(&other_data))];
        let (code, text) = fails(&server, &env);
        assert_eq!(code, 1, "{text}");
        assert_names(&text, &[key, taken, "in use"]);
    }
}

#[tokio::test]
async fn a_data_directory_has_one_server() {
    let server = Server::start().await;
    let ann = server.sign_up().await;
    let addresses = fs::read(server.data.join("addresses.json")).unwrap();
    let (code, text) = fails(&server, &[]);
    assert_eq!(code, 1);
    let pid = format!("pid {}", server.pid());
    assert_names(&text, &[as_text(&server.data), "in use by another dispatchd", &pid]);
    // The running server is not affected.
    assert_eq!(fs::read(server.data.join("addresses.json")).unwrap(), addresses);
    assert_eq!(server.route(&ann, "+14155550123").await, "sms");
}

#[tokio::test]
async fn a_data_directory_of_another_version_is_refused_and_not_touched() {
    let server = stopped().await;
    let format = server.data.join("format");
    assert_eq!(fs::read_to_string(&format).unwrap(), "5\n");
    let advice = ["registry export", "registry import"];
    let cases: [(Option<&str>, &[&str]); 3] = [
        (Some("7\n"), &["format version 7", "reads version 5", advice[0], advice[1]]),
        (None, &["no file \"format\"", advice[0], advice[1]]),
        (Some("seven\n"), &["format", "damaged"]),
    ];
    for (content, parts) in cases {
        match content {
            Some(text) => fs::write(&format, text).unwrap(),
            None => fs::remove_file(&format).unwrap(),
        }
        let before = sorted(&server.data);
        let (code, text) = fails(&server, &[]);
        assert_eq!(code, 1, "{text}");
        assert_names(&text, parts);
        assert_names(&text, &[as_text(&server.data)]);
        for arguments in [
            &["log", "search"][..],
            &["audit", "list"],
            &["why", "+14155550123"],
            &["registry", "stats"],
            &["registry", "snapshot", "/tmp/dispatchd-is-never-written"],
            &["operator", "list"],
            &["operator", "add", "ann", "--role", "reader"],
        ] {
            let output = run(dispatchd().args(arguments).arg("--data").arg(&server.data));
            let text = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(1), "{arguments:?}: {text}");
            assert_names(&text, parts);
        }
        let check =
            run(dispatchd().args(["config", "check"]).env("DISPATCHD_SERVER__DATA", &server.data));
        assert_eq!(check.status.code(), Some(64));
        assert_names(&String::from_utf8(check.stderr).unwrap(), parts);
        assert!(sorted(&server.data) == before, "{content:?}: something has changed");
    }
}

/// The first operator can be added before the first start, to a directory that exists.
#[tokio::test]
async fn an_operator_added_before_the_first_start_is_there_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let add = ["operator", "add", "ann", "--role", "reader", "--data"];
    let output = run(dispatchd().args(add).arg(&data));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && said.contains("it does not exist"), "{said}");
    assert!(output.stdout.is_empty() && !data.exists());
    fs::create_dir(&data).unwrap();
    let output = run(dispatchd().args(add).arg(&data));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let token = String::from_utf8(output.stdout).unwrap();
    let server = Server::on(&data, &[]).await;
    let answer = server.operator(token.trim(), "/v1/log").send().await.unwrap();
    assert_eq!(answer.status(), 200);
}

/// A configuration file's text, a setting from the environment, and what the message must name.
type BadConfig = (&'static str, Option<(&'static str, &'static str)>, &'static [&'static str]);

const BAD_CONFIGS: &[BadConfig] = &[
    ("[log]\n\nretenton = \"1d\"\n", None, &["line 3", "retenton"]),
    ("[log]\nretention = \"31d\"\n", None, &["line 2", "log.retention"]),
    ("[log]\nretention = \"soon\"\n", None, &["line 2", "retention"]),
    ("[log]\ndurability = \"none\"\n", None, &["line 2", "durability"]),
    ("[lag]\n", None, &["line 1", "lag"]),
    ("[log\n", None, &["line 1"]),
    ("", Some(("LOG__DURABILITY", "none")), &["log.durability"]),
    ("", Some(("LOG__RETENTION", "31d")), &["log.retention"]),
    ("", Some(("SERVER__PHONE", "x")), &["phone"]),
    ("", Some(("SERVER__PHONES", "8080")), &["server.phones"]),
    ("", Some(("REGISTRY__LEASE", "0s")), &["registry.lease"]),
    ("", Some(("SERVER__THREADS", "-1")), &["server.threads"]),
];

#[tokio::test]
async fn a_bad_configuration_is_64_and_touches_nothing() {
    let server = stopped().await;
    let data = server.data.with_extension("untouched");
    let file = server.data.with_extension("toml");
    for (text, env, parts) in BAD_CONFIGS {
        fs::write(&file, text).unwrap();
        let mut command = server.command();
        command.arg("--config").arg(&file).env("DISPATCHD_SERVER__DATA", &data);
        let mut place = as_text(&file).to_owned();
        if let Some((name, value)) = env {
            place = format!("DISPATCHD_{name}");
            command.env(&place, value);
        }
        let output = run(&mut command);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(64), "{text}{env:?}: {said}");
        assert!(output.stdout.is_empty());
        assert_names(&said, parts);
        assert_names(&said, &[&place]);
        assert!(!data.exists(), "{text}{env:?}");
    }
    let missing = run(server.command().args(["--config", "/nowhere/d.toml"]));
    assert_eq!(missing.status.code(), Some(64));
    assert_names(&String::from_utf8_lossy(&missing.stderr), &["/nowhere/d.toml"]);
}

/// A name that is no small file neither hangs the start nor counts as missing.
#[tokio::test]
async fn a_file_of_another_kind_is_named_at_once() {
    let mut server = stopped().await;
    for name in ["clock", "format", "lock", "keys/keyring", "keys/root.key"] {
        let path = server.data.join(name);
        let aside = server.data.with_extension("aside");
        fs::rename(&path, &aside).unwrap();
        for kind in ["fifo", "directory", "huge"] {
            match kind {
                "fifo" => assert!(run(Command::new("mkfifo").arg(&path)).status.success()),
                "directory" => fs::create_dir(&path).unwrap(),
                _ => fs::File::create(&path).unwrap().set_len(1 << 40).unwrap(),
            }
            let mode = if kind == "directory" { 0o700 } else { 0o600 };
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            // The length of a lock file is nobody's concern.
            if (name, kind) != ("lock", "huge") {
                let (code, text) = fails(&server, &[]);
                assert_eq!(code, 1, "{name} {kind}: {text}");
                assert_names(&text, &[as_text(&path)]);
            }
            if kind == "directory" { fs::remove_dir(&path) } else { fs::remove_file(&path) }
                .unwrap();
        }
        fs::rename(&aside, &path).unwrap();
    }
    let clock = server.data.join("clock");
    let aside = server.data.with_extension("aside");
    fs::rename(&clock, &aside).unwrap();
    std::os::unix::fs::symlink(server.data.join("nothing"), &clock).unwrap();
    let (code, text) = fails(&server, &[]);
    assert_eq!(code, 1, "{text}");
    assert_names(&text, &[as_text(&clock), "symbolic link to nothing"]);
    fs::rename(&aside, &clock).unwrap();

    let fifo = server.data.with_extension("toml");
    assert!(run(Command::new("mkfifo").arg(&fifo)).status.success());
    let (code, text) = fails(&server, &[("CONFIG", as_text(&fifo))]);
    assert_eq!(code, 64, "{text}");
    assert_names(&text, &[as_text(&fifo), "no regular file"]);
    server.spawn().await;
    assert!(server.stop().await.success());
}

#[tokio::test]
async fn missing_and_wrong_keys_are_told_apart_and_nothing_is_overwritten() {
    let mut server = stopped().await;
    let keys = server.data.join("keys");
    let (root_key, keyring) = (keys.join("root.key"), keys.join("keyring"));
    let other = stopped().await;
    let others_root_key = fs::read(other.data.join("keys/root.key")).unwrap();
    let damaged = |path: &Path| {
        let mut bytes = fs::read(path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        bytes
    };
    let (bad_root, bad_keyring) = (damaged(&root_key), damaged(&keyring));
    let cases: [(&Path, Option<&[u8]>, &str); 5] = [
        (&root_key, None, "the root key is missing"),
        (&keyring, None, "the keyring is missing"),
        (&root_key, Some(&others_root_key), "does not open the keyring"),
        (&root_key, Some(&bad_root), "damaged"),
        (&keyring, Some(&bad_keyring), "damaged"),
    ];
    for (path, content, said) in cases {
        let good = fs::read(path).unwrap();
        match content {
            None => fs::remove_file(path).unwrap(),
            Some(bytes) => fs::write(path, bytes).unwrap(),
        }
        let before = (sorted(&keys), sorted(&server.data.join("log")));
        let (code, text) = fails(&server, &[]);
        assert_eq!(code, 1, "{text}");
        assert_names(&text, &[said, as_text(path)]);
        let after = (sorted(&keys), sorted(&server.data.join("log")));
        assert!(before == after, "{said}: the start changed bytes");
        fs::write(path, good).unwrap();
        fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
    }
    server.spawn().await;
    let reader = server.operator_token("reader", "reader");
    assert_eq!(server.records(&reader, "kind=lookup").await.len(), 1);
}

fn sorted(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = bytes_below(folder);
    files.sort();
    files
}

#[tokio::test]
async fn keys_that_others_may_read_are_refused() {
    let server = stopped().await;
    let keys = server.data.join("keys");
    for (path, open, own) in [(keys.join("root.key"), 0o644, 0o600), (keys, 0o755, 0o700)] {
        fs::set_permissions(&path, Permissions::from_mode(open)).unwrap();
        let (code, text) = fails(&server, &[]);
        assert_eq!(code, 1, "{text}");
        assert_names(&text, &[as_text(&path), "chmod"]);
        fs::set_permissions(&path, Permissions::from_mode(own)).unwrap();
    }
}

#[tokio::test]
async fn everything_on_disk_is_its_owners_alone() {
    let server = Server::start().await;
    let ann = server.sign_up().await;
    server.prove(&ann, "+14155550123").await;
    server.operator_token("reader", "reader");
    for folder in ["", "keys", "log", "registry"] {
        assert_eq!(mode(&server.data.join(folder)), 0o700, "{folder:?}");
    }
    for file in ["keys/root.key", "keys/keyring", "outbox.ndjson", "registry/registry.redb"] {
        assert_eq!(mode(&server.data.join(file)), 0o600, "{file}");
    }
    for segment in fs::read_dir(server.data.join("log")).unwrap() {
        assert_eq!(mode(&segment.unwrap().path()), 0o600);
    }
}

#[tokio::test]
async fn the_root_key_may_lie_outside_the_data_directory() {
    let folder = tempfile::tempdir().unwrap();
    let root_key = folder.path().join("root.key");
    let env = [("KEYS__ROOT_KEY", as_text(&root_key))];
    let mut server = Server::on(&folder.path().join("data"), &env).await;
    let ann = server.sign_up().await;
    assert_eq!(server.route(&ann, "+14155550123").await, "sms");
    assert_eq!(mode(&root_key), 0o600);
    assert!(!server.data.join("keys/root.key").exists());
    assert!(server.stop().await.success());
    let verify = |env: &[(&str, &str)]| {
        let mut command = dispatchd();
        command.args(["log", "verify", "--data"]).arg(&server.data);
        for (name, value) in env {
            command.env(format!("DISPATCHD_{name}"), value);
        }
        run(&mut command).status.code()
    };
    assert_eq!(verify(&env), Some(0));
    assert_eq!(verify(&[]), Some(1), "the log is readable without the root key");
    server.spawn().await;
    assert_eq!(server.route(&ann, "+14155550123").await, "sms");
}

#[tokio::test]
async fn a_missing_directory_of_the_root_key_is_found_before_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let root_key = folder.path().join("missing/root.key");
    let mut server = Server::on(&folder.path().join("data"), &[]).await;
    assert!(server.stop().await.success());
    let (code, text) = fails(&server, &[("KEYS__ROOT_KEY", as_text(&root_key))]);
    let check = run(dispatchd()
        .args(["config", "check"])
        .env("DISPATCHD_SERVER__DATA", folder.path().join("new"))
        .env("DISPATCHD_KEYS__ROOT_KEY", &root_key));
    assert_eq!((code, check.status.code()), (1, Some(64)));
    for text in [text, String::from_utf8(check.stderr).unwrap()] {
        assert_names(&text, &[as_text(root_key.parent().unwrap()), "does not exist"]);
    }
    assert!(!folder.path().join("new").exists());
}

#[tokio::test]
async fn a_data_directory_that_cannot_be_made_or_written_is_named() {
    let server = stopped().await;
    let file = server.data.with_extension("file");
    fs::write(&file, "").unwrap();
    // Not even root can create files in /proc.
    for data in [as_text(&file.join("data")), as_text(&file), "/proc/dispatchd", "/proc"] {
        let (code, text) = fails(&server, &[("SERVER__DATA", data)]);
        assert_eq!(code, 1, "{text}");
        assert_names(&text, &[data]);
    }
}

#[test]
fn usage_errors_are_2() {
    for arguments in [&["frobnicate"][..], &["serve", "--frobnicate"], &["log"], &[]] {
        let output = run(dispatchd().args(arguments));
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
        assert!(!output.stderr.is_empty(), "{arguments:?}");
    }
}
