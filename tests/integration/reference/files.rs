//! `files.md`: every file below the data directory. A server that does everything makes no file that is not listed.

use std::{
    collections::BTreeSet, fs, os::unix::fs::PermissionsExt as _, path::Path, time::Duration,
};

use dispatchd::clock::{Clock as _, ManualClock, SystemClock};

use super::{code, compare, head, section, table, wrapped};
use crate::{
    harness::{Server, dispatchd, run, wait_until},
    timed::Timed,
};

/// One kind of file.
struct Kind {
    /// Its path below the data directory. `#` stands for one or more digits, `*` for any other part of a name.
    path: &'static str,
    content: &'static str,
    /// How its content is protected beyond the mode.
    protection: &'static str,
    until: &'static str,
    /// Who may delete it, and what that costs.
    delete: &'static str,
    /// Whether the test's servers make it. The others come with a crash, an import or a full disk.
    is_made: bool,
}

const fn kind(path: &'static str, content: &'static str) -> Kind {
    Kind { path, content, protection: "none", until: "always", delete: "nobody", is_made: true }
}

const SERVER_ONLY: &str = "nobody: the server removes it";
const WHEN_STOPPED: &str = "you, while the server is stopped";

const KINDS: &[Kind] = &[
    Kind {
        delete: "nobody: the directory is refused without it",
        ..kind("format", "the version of all files below the directory")
    },
    Kind {
        delete: WHEN_STOPPED,
        ..kind("lock", "the process id of the server that runs, or of the last one")
    },
    Kind {
        until: "while the server runs",
        delete: SERVER_ONLY,
        ..kind("addresses.json", "the addresses of the listeners")
    },
    Kind {
        until: "while the server runs",
        delete: "nobody: no command can then change the list of operators until the server is restarted",
        ..kind(
            "operators.sock",
            "a socket: `dispatchd operator` changes the list of operators of a running server by it",
        )
    },
    Kind {
        is_made: false,
        until: "until `dispatchd cluster leave`",
        delete: "nobody: the node has to join again without it",
        ..kind(
            "cluster.json",
            "which node of which cluster this is, and the secret by which other nodes know it",
        )
    },
    Kind {
        is_made: false,
        until: "until `dispatchd cluster join` is done",
        delete: "nobody: the next `dispatchd cluster join` removes it with what the last one left",
        ..kind("cluster.joining", "nothing; says that joining a cluster was begun")
    },
    Kind {
        is_made: false,
        until: "until the first start, or the first `dispatchd operator`, of 0.5.0 or later",
        delete: SERVER_ONLY,
        ..kind(
            "registry/operators.json",
            "names, roles and hashes of operators' tokens, from versions before 0.5.0; `operators.lock` lies beside it",
        )
    },
    Kind {
        delete: "nobody: trusted time then goes on from the newest hour of the log",
        ..kind("clock", "trusted time, and which boot of the machine it was")
    },
    Kind {
        delete: "you: the server makes it again; without it a full disk stops destruction and reads",
        ..kind("reserve", "nothing; holds space for keys and audit entries on a full disk")
    },
    Kind {
        until: "until you remove it",
        delete: "you, at any time: codes that no program has sent yet are lost",
        ..kind(
            "outbox.ndjson",
            "codes to be sent, with their handles; not there if all are sent by mail and gateway",
        )
    },
    Kind {
        is_made: false,
        delete: WHEN_STOPPED,
        ..kind("demo", "nothing; marks a directory made by `serve --demo`")
    },
    Kind {
        until: "until a device signs out, or is silent for `registry.forget_after`",
        delete: "nobody: all accounts and operators are in it",
        ..kind(
            "registry/registry.redb",
            "devices, accounts, handles with their proofs, hashes of tokens; for 30 days why a handle ended; names and roles of \
             operators",
        )
    },
    Kind {
        is_made: false,
        until: "until the import is applied",
        delete: "you, while the server is stopped: the import then ends where it is",
        ..kind(
            "registry/import/*.staged",
            "an import that was accepted or interrupted: accounts with their handles",
        )
    },
    Kind {
        is_made: false,
        until: "until the snapshot is sent",
        delete: SERVER_ONLY,
        ..kind("registry/snapshot-*", "a copy of the registry on its way to an operator")
    },
    Kind {
        is_made: false,
        protection: "encrypted, a key for each hour",
        until: "until it is checked",
        delete: "you: the next `dispatchd log fetch` removes it",
        ..kind("log/fetching/*", "a copy on its way from the object store")
    },
    Kind {
        is_made: false,
        protection: "encrypted, a key for each hour",
        until: "until ten minutes after its last use",
        delete: SERVER_ONLY,
        ..kind("lost/#/*", "an hour of a lost node's log, from the object store")
    },
    Kind {
        protection: "encrypted, a key for each hour",
        until: "until the hour is sealed",
        delete: "nobody: its records are lost",
        ..kind("log/#-#.frames", "the log as it is written, one file or more an hour")
    },
    Kind {
        protection: "encrypted, a key for each hour",
        until: "`log.retention`, 30 days",
        delete: "nobody: its records are lost, and `log verify` reports it",
        ..kind("log/#-#.sealed", "the log once its hour is over")
    },
    Kind {
        is_made: false,
        protection: "encrypted, a key for each hour",
        until: "until it is complete",
        delete: SERVER_ONLY,
        ..kind("log/#-#.sealing", "a sealed file in the making")
    },
    Kind {
        is_made: false,
        protection: "encrypted, a key for each hour",
        until: "`log.retention`, 30 days",
        delete: "you: nobody was answered for what it holds",
        ..kind("log/#-#-#.cut", "what a crash left of a record that was never answered")
    },
    Kind {
        delete: WHEN_STOPPED,
        ..kind("log/lock", "nothing; held by the process that writes the log")
    },
    Kind {
        protection: "fingerprints instead of handles; a chain of hashes",
        until: "`audit.retention`, 400 days",
        delete: "nobody: `audit verify` reports it",
        ..kind("audit/#-#.ndjson", "who read the log, a file a day")
    },
    Kind { delete: WHEN_STOPPED, ..kind("audit/lock", "nothing; held while an entry is written") },
    Kind {
        protection: "encrypted under the root key",
        until: "an hour's key: `log.retention`, 30 days",
        delete: "nobody: the whole log is lost",
        ..kind("keys/keyring", "the keys of the log's hours")
    },
    Kind {
        is_made: false,
        delete: "nobody: `log fetch` does not find the copies without it",
        ..kind("keys/store.names", "the folders of this server's copies in the object store")
    },
    Kind {
        until: "until the next hour is forgotten",
        delete: "nobody: the whole log is lost",
        ..kind("keys/root.key", "the key of the keyring; elsewhere with `keys.root_key`")
    },
    Kind {
        is_made: false,
        protection: "encrypted under the root key",
        until: "until `dispatchd cluster leave`",
        delete: "nobody: the node can read no change of other nodes without it",
        ..kind(
            "keys/cluster/keyring",
            "the keys of the shared log's entries, of a node of a cluster",
        )
    },
    Kind {
        is_made: false,
        until: "until `dispatchd cluster leave`",
        delete: "nobody: the node can read no change of other nodes without it",
        ..kind(
            "keys/cluster/root.key",
            "the key of that keyring; `<keys.root_key>.cluster` with `keys.root_key`",
        )
    },
    Kind {
        is_made: false,
        protection: "encrypted under the root key",
        until: "each key `log.retention`, 30 days; the file until `dispatchd cluster leave`, or until a removed node's last key",
        delete: "you, with its directory, while the server is stopped: the node gets the keys again from those that have them",
        ..kind(
            "keys/members/*/keyring",
            "the keys of another node's hours of its log, of a node of a cluster",
        )
    },
    Kind {
        is_made: false,
        until: "as long as that keyring; replaced each time a key is destroyed",
        delete: "you, with its directory, while the server is stopped: the node gets the keys again from those that have them",
        ..kind(
            "keys/members/*/root.key",
            "the key of that keyring; `<keys.root_key>.<number of the node>` with `keys.root_key`",
        )
    },
    Kind {
        delete: "nobody: open codes and link codes end, and counts of sent codes begin anew",
        ..kind(
            "keys/verification.key",
            "the key of the hashes of codes and link codes, and of what sent codes are counted by",
        )
    },
    Kind {
        protection: "fingerprints instead of handles; encrypted, a key for each hour",
        until: "`log.retention`, 30 days",
        delete: "you, while the server is stopped: asked handles then cost again",
        ..kind("quota/#-#.handles", "which handles each account asked for, an hour a file")
    },
    Kind {
        protection: "encrypted, a key for each hour",
        until: "until the next file of its kind is complete",
        delete: "nobody: accounts get their whole quota again",
        ..kind(
            "quota/#-#.states",
            "what accounts and networks have used of their quota, and how their lookups were answered",
        )
    },
    Kind {
        is_made: false,
        until: "until it replaces the file of its name",
        delete: WHEN_STOPPED,
        ..kind(
            "*.new",
            "a file of this directory, or of one below, that is being written anew; a crash leaves it, and the next start replaces it",
        )
    },
];

/// Whether `name` is one of the pattern's: `#` is one or more digits, `*` is any text without a slash.
fn fits(pattern: &str, name: &str) -> bool {
    let Some(first) = pattern.chars().next() else { return name.is_empty() };
    let rest = &pattern[first.len_utf8()..];
    let is_part: fn(char) -> bool = match first {
        '#' => |c| c.is_ascii_digit(),
        '*' => |c| c != '/',
        _ => return name.strip_prefix(first).is_some_and(|name| fits(rest, name)),
    };
    let ends =
        name.char_indices().take_while(|(_, c)| is_part(*c)).map(|(at, c)| at + c.len_utf8());
    ends.into_iter().any(|end| fits(rest, &name[end..]))
}

/// The files below a directory, with their modes.
fn files(directory: &Path, below: &str, found: &mut Vec<(String, u32)>) {
    for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
        let name = format!("{below}{}", entry.file_name().to_str().unwrap());
        let Ok(metadata) = entry.metadata() else { continue };
        let mode = metadata.permissions().mode() & 0o777;
        if metadata.is_dir() {
            assert_eq!(mode, 0o700, "{name}");
            files(&entry.path(), &format!("{name}/"), found);
        } else {
            found.push((name, mode));
        }
    }
}

/// Checks each file below a data directory, and adds the patterns that were met.
fn check(data: &Path, met: &mut BTreeSet<&'static str>) {
    let mut found = Vec::new();
    files(data, "", &mut found);
    for (name, mode) in found {
        let kinds: Vec<_> = KINDS.iter().filter(|kind| fits(kind.path, &name)).collect();
        assert_eq!(kinds.len(), 1, "{name} has {} rows in files.rs", kinds.len());
        assert_eq!(mode, 0o600, "{name}");
        met.insert(kinds[0].path);
    }
}

/// Runs a command of an operator to its end.
fn command(server: &Server, token: &str, words: &str, file: Option<&Path>) {
    let mut command = dispatchd();
    command.args(words.split(' ')).args(file).args(["--server", &server.operators]);
    let output = run(command.env("DISPATCHD_TOKEN", token));
    assert!(output.status.success(), "{words}: {}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn a_server_makes_no_file_that_is_not_listed() {
    let mut met = BTreeSet::new();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    // Servers of tests have no quotas unless they ask for them.
    let mut server = Server::start_with(&[("QUOTA__ENABLED", "true")]).await;
    let ann = server.sign_up().await;
    server.prove(&ann, "+14155550123").await;
    server.lookup(&ann, "+14155550123").await;
    let admin = server.operator_token("admin", "admin");
    command(&server, &admin, "log search --since 1h", None);
    command(&server, &admin, "log export --output", Some(&file("log.csv")));
    command(&server, &admin, "registry export", Some(&file("accounts.csv")));
    command(&server, &admin, "registry snapshot", Some(&file("copy.redb")));
    command(&server, &admin, "registry import", Some(&file("accounts.csv")));
    // Written once a second.
    let quota = server.data.join("quota");
    wait_until("the handles that were asked for are in a file", || {
        let mut names = fs::read_dir(&quota).into_iter().flatten().flatten();
        names.any(|entry| entry.path().extension().is_some_and(|it| it == "handles"))
    });
    check(&server.data, &mut met);
    server.kill();
    check(&server.data, &mut met);
    server.spawn().await;
    assert!(server.stop().await.success());
    check(&server.data, &mut met);

    let clock = ManualClock::at(SystemClock.now());
    let timed = Timed::on(&file("data"), clock, |_| ()).await;
    let ben = timed.server.sign_up().await;
    for _ in 0..3 {
        timed.server.lookup(&ben, "+14155550123").await;
        timed.clock.advance(Duration::from_secs(2 * 3600));
    }
    timed.server.lookup(&ben, "+14155550123").await;
    timed.running().tick_sealing();
    check(&timed.server.data, &mut met);

    let made: BTreeSet<_> =
        KINDS.iter().filter(|kind| kind.is_made).map(|kind| kind.path).collect();
    let missing: Vec<_> = made.difference(&met).collect();
    assert!(missing.is_empty(), "no server made {missing:?}");
}

fn page() -> String {
    let about = "Every file below the data directory (`server.data`). Files have mode 600 and directories mode 700. [The log's \
                 names](../operators/clock.md#what-a-jump-corrects) begin with the number of their hour.";
    let mut page = head("Files", about);
    let written = |kind: &Kind| kind.path.replace('#', "<number>").replace('*', "<name>");
    let rows = KINDS
        .iter()
        .map(|kind| vec![code(written(kind)), kind.content.to_owned(), kind.until.to_owned()]);
    section(&mut page, 2, "What is in them", &table(&["file", "content", "how long"], rows));
    let rows = KINDS
        .iter()
        .map(|kind| vec![code(written(kind)), kind.protection.to_owned(), kind.delete.to_owned()]);
    let about = "A file without encryption is protected by its mode alone: encrypt the disk if others can take it.";
    let rows = table(&["file", "encryption", "who may delete it"], rows);
    section(&mut page, 2, "Encryption and deletion", &format!("{}\n\n{rows}", wrapped(about)));
    let elsewhere = "- `<keys.root_key>.reserve` lies beside a root key that is elsewhere. It holds space for new keys.\n\
                     - `FILE.work` lies beside a file that is imported or exported, or in `--work-dir`. It holds accounts and handles. \
                     The command removes it.\n\
                     - `FILE.new` is an export that was killed. The next export to FILE replaces it.\n\
                     - `FILE.subject-key` lies beside an export of accounts; see [export](../operators/import.md#export).";
    section(&mut page, 2, "Files elsewhere", elsewhere);
    let rules = "Links are followed. A FIFO, a directory or a link to nothing under one of these names is an error that names it. It \
                 neither holds up the start nor counts as a missing file. Other files do not belong below the data directory; \
                 `dispatchd log prove-forgotten` reports those in `log/`.\n\nA handle that somebody only asked for is stored in the \
                 encrypted log and nowhere else.";
    section(&mut page, 2, "Rules", &wrapped(rules));
    page
}

#[test]
fn the_page_of_files() {
    compare("files.md", &page());
}

#[test]
fn a_pattern_fits_its_names_only() {
    for (pattern, name, is_so) in [
        ("log/#-#.frames", "log/0000498728-000001.frames", true),
        ("log/#-#.frames", "log/0000498728-.frames", false),
        ("log/#-#.frames", "log/a-1.frames", false),
        ("log/#-#.frames", "log/1-1.frames.new", false),
        ("*.new", "format.new", true),
        ("*.new", "log/a.new", false),
        ("registry/import/*.staged", "registry/import/accepted.staged", true),
        ("lock", "log/lock", false),
    ] {
        assert_eq!(fits(pattern, name), is_so, "{pattern} {name}");
    }
}
