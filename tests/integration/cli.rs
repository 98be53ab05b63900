//! The command line: the same rows from a server and from files, tables and NDJSON, exit codes, errors that state the
//! remedy.

use std::{
    fs::File,
    path::Path,
    process::{Command, Output, Stdio},
};

use serde_json::Value;

use crate::{
    harness::{Server, avoid_end_of_hour, bytes_below, dispatchd, own_port, quoted, run},
    wire::{batch, has_exactly},
};

/// A command line from its words.
fn command(words: &str) -> Command {
    let mut command = dispatchd();
    command.args(words.split(' '));
    command
}

/// Runs a command against a running server.
fn ask(server: &Server, token: &str, words: &str) -> Output {
    let mut command = command(words);
    command.args(["--server", &server.operators]).env("DISPATCHD_TOKEN", token);
    run(&mut command)
}

/// Runs a command on the files.
fn read(data: &Path, words: &str) -> Output {
    run(command(words).arg("--data").arg(data))
}

#[track_caller]
fn printed(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{errors}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Exit code and message of a command that fails. Standard output is empty.
#[track_caller]
fn fails(output: &Output) -> (i32, String) {
    let message = String::from_utf8(output.stderr.clone()).unwrap();
    assert!(output.stdout.is_empty(), "{output:?}");
    assert!(!message.contains("panicked"), "{message}");
    (output.status.code().unwrap(), message)
}

async fn with_traffic() -> (Server, String) {
    avoid_end_of_hour();
    let server = Server::start().await;
    let (ann, ben) = (server.sign_up().await, server.sign_up().await);
    server.prove(&ann, "+14155550123").await;
    batch(&server, &ben, &["+14155550123", "+14155550124", "nobody@example.com", "x"]).await;
    let token = server.operator_token("reader", "reader");
    (server, token)
}

#[tokio::test]
async fn a_search_finds_the_same_on_a_server_and_in_its_files() {
    let (mut server, token) = with_traffic().await;
    let searches = [
        "log search --json",
        "log search --json --order asc",
        "log search --json --limit 3",
        "log search --json --handle +14155550123",
        "log search --json --route sms --since 1h",
        "log search --json --kind change --until 2100-01-01T00:00:00Z",
        "log search --json --reason handle-invalid --ip 127.0.0.0/8",
        "log search --order asc --wide",
        "log segments --json",
        "log verify --json",
    ];
    let asked: Vec<_> =
        searches.iter().map(|words| printed(&ask(&server, &token, words))).collect();
    let beside: Vec<_> = searches.iter().map(|words| printed(&read(&server.data, words))).collect();
    assert!(server.stop().await.success());
    let stopped: Vec<_> =
        searches.iter().map(|words| printed(&read(&server.data, words))).collect();
    for (at, words) in searches.iter().enumerate().filter(|(_, words)| words.contains("search")) {
        assert!(asked[at].lines().count() >= 1, "{words} finds nothing");
        assert_eq!(asked[at], stopped[at], "{words}");
        assert_eq!(asked[at], beside[at], "{words}: files and server differ");
    }
    let counts = [7, 7, 3, 2, 1, 3, 1];
    for (rows, count) in asked.iter().zip(counts) {
        let records: Vec<Value> =
            rows.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(records.len(), count, "{rows}");
    }
    let of = |text: &str| -> Value { serde_json::from_str(text.lines().last().unwrap()).unwrap() };
    for (running, stopped) in [(8, 8), (9, 9)].map(|(a, b)| (of(&asked[a]), of(&stopped[b]))) {
        assert_eq!(running["segment"], stopped["segment"]);
        assert_eq!((&running["records"], &stopped["records"]), (&7.into(), &7.into()));
    }
}

#[tokio::test]
async fn without_json_a_table_for_people_and_no_colour_in_a_pipe() {
    let (server, token) = with_traffic().await;
    let table = printed(&ask(&server, &token, "log search --order asc"));
    assert!(!table.contains('\x1b'), "the output to a pipe has colours");
    let lines: Vec<_> = table.lines().collect();
    let words: Vec<_> = lines[0].split_whitespace().collect();
    assert_eq!(words, ["TIME", "HANDLE", "EVENT", "REASON"]);
    let cells = |line: &str| line.split_whitespace().skip(1).collect::<Vec<_>>().join(" ");
    let told: Vec<_> = lines[1..].iter().map(|line| cells(line)).collect();
    let golden = [
        "- device-registered sign-up",
        "- device-registered sign-up",
        "+14155550123 handle-bound proof",
        "+14155550123 imessage live-device",
        "+14155550124 sms never-registered",
        "nobody@example.com none never-registered",
        "- refused handle-invalid",
    ];
    assert_eq!(told, golden);
    let segments = printed(&ask(&server, &token, "log segments"));
    let heads: Vec<_> = segments.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(heads, ["SEGMENT", "STATE", "FROM", "RECORDS", "BYTES", "EXPIRES_IN"]);
    assert!(segments.lines().nth(1).unwrap().contains(" active "), "{segments}");
    assert!(segments.contains("30d ago") && segments.contains('█'), "{segments}");
    let [.., sum, next] = &segments.lines().collect::<Vec<_>>()[..] else { panic!("{segments}") };
    assert!(sum.starts_with("7 records in 1 segment, "), "{segments}");
    assert!(next.starts_with("next key destroyed at "), "{segments}");
    let proof = printed(&ask(&server, &token, "log prove-forgotten"));
    assert_eq!(proof.lines().filter(|line| line.starts_with("ok: ")).count(), 3, "{proof}");
    let verified = ask(&server, &token, "log verify");
    assert!(printed(&verified).contains("alive"));
    assert_eq!(String::from_utf8_lossy(&verified.stderr), "dispatchd: the log is sound\n");
}

#[tokio::test]
async fn a_damaged_log_is_reported_and_the_rest_still_read() {
    let (mut server, _) = with_traffic().await;
    assert!(server.stop().await.success());
    let (segment, mut bytes) = bytes_below(&server.data.join("log"))
        .into_iter()
        .max_by_key(|(_, bytes)| bytes.len())
        .unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xFF;
    std::fs::write(&segment, bytes).unwrap();
    let verified = read(&server.data, "log verify");
    assert_eq!(verified.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&verified.stderr).contains("not sound"));
    let rest = printed(&read(&server.data, "log search --json"));
    assert!((1..7).contains(&rest.lines().count()), "{rest}");
}

#[tokio::test]
async fn a_tail_prints_what_comes_from_a_server_and_from_files() {
    let (server, token) = with_traffic().await;
    let ben = server.sign_up().await;
    let mut of_server = command("log tail --json --route sms");
    of_server.args(["--server", &server.operators]).env("DISPATCHD_TOKEN", &token);
    let mut of_files = command("log tail --json --route sms");
    of_files.arg("--data").arg(&server.data);
    for mut tail in [of_server, of_files] {
        let mut child = tail.stdout(Stdio::piped()).stdin(Stdio::null()).spawn().unwrap();
        let mut lines =
            std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
        // The tail begins at the end of the log when it connects, so repeat the lookups until it shows one.
        let asking = async {
            loop {
                server.lookup(&ben, "+14155550177").await;
                server.lookup(&ben, "nobody@example.com").await;
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        };
        let first = tokio::task::spawn_blocking(move || lines.next().unwrap().unwrap());
        let line = tokio::select! {
            line = first => line.unwrap(),
            () = asking => unreachable!("the lookups never stop"),
        };
        let record: Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&record["handle"], &record["route"]), (&"+14155550177".into(), &"sms".into()));
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

#[tokio::test]
async fn operators_are_added_listed_and_revoked_on_a_running_server() {
    let server = Server::start().await;
    let data = server.data.clone();
    let added = printed(&read(&data, "operator add ann --role reader"));
    assert_eq!(added.lines().count(), 1);
    let token = added.trim();
    assert!(token.starts_with("do_") && token.len() > 40 && added == format!("{token}\n"));
    assert_eq!(ask(&server, token, "log search").status.code(), Some(0));
    let (code, message) = fails(&read(&data, "operator add ann --role admin"));
    assert_eq!(code, 1);
    assert!(message.contains("already"), "{message}");
    let (_, message) = fails(&read(&data, "operator add a/b --role admin"));
    assert!(message.contains("1 to 64 letters"), "{message}");
    let full = File::options().write(true).open("/dev/full").unwrap();
    let mut unseen = command("operator add eve --role admin --data");
    let unseen = unseen.arg(&data).stdout(full).output().unwrap();
    assert_eq!(unseen.status.code(), Some(1), "the token went nowhere");
    printed(&read(&data, "operator add ben --role admin"));

    let listed = printed(&read(&data, "operator list --json"));
    let listed: Vec<Value> =
        listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let names: Vec<_> =
        listed.iter().map(|o| (o["name"].as_str().unwrap(), o["role"].as_str().unwrap())).collect();
    assert_eq!(names, [("ann", "reader"), ("ben", "admin")]);
    has_exactly(&listed[0], &["name", "role", "added_at"]);
    assert!(printed(&read(&data, "operator list")).starts_with("NAME"));

    printed(&read(&data, "operator revoke ann"));
    let (code, message) = fails(&ask(&server, token, "log search"));
    assert_eq!(code, 1);
    assert!(message.contains("token-invalid"), "{message}");
    let (code, _) = fails(&read(&data, "operator revoke ann"));
    assert_eq!(code, 1);
    for file in bytes_below(&data) {
        let text = String::from_utf8_lossy(&file.1).into_owned();
        assert!(!text.contains(token), "{} holds a token", file.0.display());
    }
}

#[tokio::test]
async fn what_cannot_be_done_is_said_with_its_exit_code() {
    let (server, token) = with_traffic().await;
    let nowhere = server.data.join("nowhere");
    let with_token = |words: &str| {
        let mut command = command(words);
        command.env("DISPATCHD_TOKEN", &token);
        command
    };
    let mut no_server = with_token(&format!("log search --server http://127.0.0.1:{}", own_port()));
    for (output, code, message) in [
        (
            run(&mut no_server),
            1,
            "is the server running? With --data DIR this command uses the files. For another",
        ),
        (ask(&server, "nonsense", "log search"), 1, "token-invalid"),
        (run(command("log search --server").arg(&server.operators)), 1, "--role reader"),
        (run(command("clock trust --server").arg(&server.operators)), 1, "--role admin"),
        (run(command("registry snapshot x --server").arg(&server.operators)), 1, "--role admin"),
        (read(&nowhere, "log search"), 1, "is no data directory"),
        (
            read(&server.data, "log tail --until 2020-01-01"),
            2,
            "000Z is past, and a tail begins now",
        ),
        (read(&nowhere, "operator list"), 1, "is no data directory"),
        (
            read(&server.data, "log search --since lately"),
            2,
            "since: \"lately\" is not an RFC 3339",
        ),
        (read(&server.data, "log search --route smss"), 2, "none; did you mean `sms`?"),
        (read(&server.data, "log search --limit 0"), 2, "limit: \"0\" is not a whole number"),
        (read(&server.data, "log search --since 5m --until 10m"), 2, "the window is empty"),
        (read(&server.data, "log search --handle 4155550123"), 2, "give it as `--region`"),
        (read(&server.data, "audit list --handle 4155550123 --region XX"), 2, "region: \"XX\" is"),
        (read(&server.data, "why +14155550123 --at 2100-01-01"), 2, "000Z lies in the future"),
        (read(&server.data, "why +14155550123 --at 60d"), 2, "lies before the retention"),
        (run(&mut with_token("log search --config /no/such/file")), 64, "/no/such/file"),
        (run(&mut command("log")), 2, "Usage"),
        (run(&mut command("log export --output -")), 2, "which format? Give --format"),
        (run(&mut command("log export --format csv --force --output .")), 2, "is a directory"),
        (run(&mut command("registry snapshot -")), 2, "standard output is not"),
        (run(command("registry snapshot").arg(nowhere.join("x"))), 1, "directory does not exist"),
        (run(command("registry export").arg(nowhere.join("x.csv"))), 1, "directory does not exist"),
        (run(&mut command("operator add ann --role king")), 2, "king"),
        (run(&mut command("config check --config /no/such/file")), 64, "/no/such/file"),
        (run(command("serve").env("DISPATCHD_LOG__RETENTION", "31d")), 64, "log.retention"),
    ] {
        let (status, said) = fails(&output);
        assert!(status == code && said.contains(message), "{status} {said}");
        assert!(!said.contains(&token), "{said}");
    }
    assert!(!nowhere.exists());
    let region = "--json --handle 4155550123 --region us";
    for words in ["log search", "why 4155550123 --region us --json", "audit list"] {
        let words =
            if words.contains("why") { words.to_owned() } else { format!("{words} {region}") };
        assert!(printed(&read(&server.data, &words)).lines().count() > 1, "{words}");
    }
}

#[tokio::test]
async fn a_reader_that_goes_away_is_no_failure() {
    let (server, token) = with_traffic().await;
    let ben = server.sign_up().await;
    let numbers: Vec<_> = (0..1_000).map(|n| format!("+1415555{n:04}")).collect();
    let numbers: Vec<_> = numbers.iter().map(String::as_str).collect();
    for _ in 0..3 {
        batch(&server, &ben, &numbers).await;
    }
    let binary = quoted(env!("CARGO_BIN_EXE_dispatchd"));
    let data = quoted(server.data.to_str().unwrap());
    for source in [format!("--server {}", server.operators), format!("--data {data}")] {
        for form in ["", "--json"] {
            let script = format!("set -o pipefail; {binary} log search {form} {source} | head -1");
            let mut bash = Command::new("bash");
            bash.args(["-c", &script]).env("DISPATCHD_TOKEN", &token);
            let output = run(&mut bash);
            assert_eq!(printed(&output).lines().count(), 1, "{script}");
            assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{script}");
        }
    }
}

/// What `config check` says about a file with this text, with its exit code.
fn checked(text: &str) -> (i32, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wrong.toml");
    std::fs::write(&file, text).unwrap();
    fails(&run(command("config check --config").arg(&file)))
}

#[test]
fn all_files_that_a_configuration_names_are_checked_in_one_run() {
    let (code, message) = checked(
        "[keys]\nroot_key = \"/nowhere/root.key\"\n[ownership.delivery.mail]\nhost = \"a\"\n\
         from = \"a@example.org\"\nuser = \"a\"\npassword_file = \"/nowhere/password\"\n\
         [ownership.delivery.text]\nurl = \"https://example.org\"\nsecret_file = \"/nowhere/secret\"\n",
    );
    assert_eq!(code, 64, "{message}");
    for part in ["3 faults", "install -d -m 700 /nowhere", "/nowhere/password", "/nowhere/secret"] {
        assert!(message.contains(part), "{part} is not in: {message}");
    }
    for key in ["keys.root_key", "ownership.delivery.mail.password_file"] {
        assert_eq!(message.matches(key).count(), 1, "{key} is to be named once: {message}");
    }
    // The missing files of TLS, both at once, and a root key that is no file.
    let (code, message) = checked(
        "[keys]\nroot_key = \"/tmp\"\n[tls]\ncertificate = \"/nowhere/c.pem\"\nkey = \"/nowhere/k.pem\"\n",
    );
    assert_eq!(code, 64, "{message}");
    for part in [
        "3 faults",
        "\n  keys.root_key: /tmp: is a directory; name the file in it, such as /tmp/root.key",
        "\n  tls.certificate: /nowhere/c.pem cannot be read",
        "\n  tls.key: /nowhere/k.pem cannot be read",
    ] {
        assert!(message.contains(part), "{part} is not in: {message}");
    }
    let (code, message) = checked("[tls]\nlisteners = \"phones\"\n");
    let said = "line 2: tls.listeners takes tls.certificate and tls.key";
    assert!(code == 64 && message.contains(said), "{message}");
    // Beside values.
    let (code, message) =
        checked("[log]\nretention = \"31d\"\n[keys]\nroot_key = \"/nowhere/root.key\"\n");
    assert_eq!(code, 64, "{message}");
    for part in ["has 2 faults", "line 2: log.retention", "keys.root_key: ", "/nowhere"] {
        assert!(message.contains(part), "{part} is not in: {message}");
    }
}

#[test]
fn a_configuration_is_checked_and_shown() {
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/config/dispatchd.toml");
    let folder = tempfile::tempdir().unwrap();
    let mut check = command("config check --config");
    check.arg(shipped).env("DISPATCHD_SERVER__DATA", folder.path());
    let check = printed(&run(&mut check));
    assert_eq!(check, format!("{shipped}: the configuration is good\n"));
    let mut check = command("config check");
    check.env("DISPATCHD_SERVER__DATA", folder.path());
    let good = "no file given (--config, DISPATCHD_CONFIG); defaults and environment are good\n";
    assert_eq!(printed(&run(&mut check)), good);
    check.env("DISPATCHD_CONFIG", shipped);
    assert_eq!(printed(&run(&mut check)), format!("{shipped}: the configuration is good\n"));
    let mut show = command("config show --config");
    show.arg(shipped).env("DISPATCHD_LOG__DURABILITY", "os");
    let shown = printed(&run(&mut show));
    for line in ["durability = \"os\"", "retention = \"30d\"", "root_key = \"data/keys/root.key\""]
    {
        assert!(shown.lines().any(|is| is == line), "{shown}");
    }
    let empty = run(command("config show").env("DISPATCHD_CONFIG", "").env("DISPATCHD_SERVER", ""));
    assert_eq!(printed(&empty), printed(&run(&mut command("config show"))));

    let file = folder.path().join("wrong.toml");
    for (text, named) in [
        ("[log]\nretention = \"31d\"\n", ["line 2", "log.retention", "at most 30d"]),
        ("[log]\n\ndurabilty = \"os\"\n", ["line 3", "durabilty", "unknown field"]),
        ("[server]\nthreads = \"many\"\n", ["line 2", "threads", "many"]),
        // A line that cannot be parsed is not quoted: it may hold a password.
        ("[quota]\nenabled = yes\n", ["line 2", "wrong.toml", "must be quoted"]),
    ] {
        std::fs::write(&file, text).unwrap();
        let (code, message) = fails(&run(command("config check --config").arg(&file)));
        assert_eq!(code, 64, "{message}");
        for part in named {
            assert!(message.contains(part), "{part} is not in: {message}");
        }
    }
    let text = "[log]\nretention = \"31d\"\n[lag]\n";
    std::fs::write(&file, text).unwrap();
    let (code, message) = fails(&run(command("config check --config").arg(&file)));
    assert!(code == 64 && message.contains("has 2 faults"), "{message}");
    assert!(
        message.contains("line 2: log.retention") && message.contains("line 3: lag"),
        "{message}"
    );
    let empty = run(command("config check").env("DISPATCHD_CONFIG", "").current_dir(folder.path()));
    let said = String::from_utf8(empty.stderr).unwrap();
    assert!(empty.status.success() && said.contains("DISPATCHD_CONFIG is empty"), "{said}");
    for variable in
        ["DISPATCHD_LOG__RETENTOIN", "DISPATCHD_LOG_RETENTION", "dispatchd_log__retention"]
    {
        let (code, message) = fails(&run(command("config check").env(variable, "3d")));
        assert!(code == 64 && message.contains(variable), "{message}");
        assert!(message.contains("DISPATCHD_LOG__RETENTION"), "{message}");
    }
}
