//! Tables and reports of a server whose data are known; colours; what a pipe gets.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use unicode_width::UnicodeWidthStr as _;

use super::{
    NARROW, WIDE, command, is_kept,
    stable::{stable, without_sizes},
    terminal::{Screen, Streams, on_terminal},
    world::{NUMBER, World, world},
};
use crate::harness::{Server, run};

/// Commands that print a table with `--wide`, and whether the numbers in it depend on how much space something takes.
const TABLES: [(&str, bool); 6] = [
    ("log search --order asc --until 30m", false),
    ("log flips", false),
    ("log segments", true),
    ("log verify", false),
    ("audit list", false),
    ("log tail", false),
];
/// Reports without columns of their own.
const REPORTS: [(&str, bool); 11] = [
    ("audit verify", false),
    ("log prove-forgotten", false),
    ("clock status", false),
    ("clock trust", false),
    ("config check", false),
    ("registry stats", true),
    ("why", false),
    ("quota show", false),
    ("operator list", false),
    ("registry import", false),
    ("ask", false),
];

pub(super) struct Shop {
    pub(super) folder: tempfile::TempDir,
    pub(super) server: Server,
    admin: String,
    /// A moment of the first hour of its log.
    in_first_hour: String,
    /// An account that is flagged.
    pub(super) flagged: String,
}

impl Shop {
    pub(super) async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let World { server, began, flagged } = world(&folder.path().join("data")).await;
        let in_first_hour = began.plus(Duration::from_secs(300)).to_string();
        let admin = server.operator_token("admin", "admin");
        Self { folder, server, admin, in_first_hour, flagged }
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A command against the server, in the folder.
    pub(super) fn command(&self, words: &str) -> Command {
        let mut command = command(words);
        command
            .env("DISPATCHD_SERVER", &self.server.operators)
            .env("DISPATCHD_TOKEN", &self.admin)
            .current_dir(self.folder.path());
        command
    }

    async fn screen(&self, words: &str, columns: u16) -> Screen {
        let (command, streams) = match words {
            "ask" => {
                let words = format!("ask {NUMBER} +447700900123 nobody@example.com --server ");
                (self.command(&(words + &self.server.phones)), Streams::Both)
            }
            "operator list" => (self.command("operator list --data data"), Streams::Both),
            "registry import" => {
                (self.command("registry import accounts.csv --skip-bad"), Streams::Output)
            }
            _ => (self.command(words), Streams::Both),
        };
        if !words.starts_with("log tail") {
            return on_terminal(command, columns, streams, |_| false);
        }
        // It begins at the end of the log when it connects, so repeat the lookups until it shows one.
        let ben = self.server.sign_up().await;
        let tail = tokio::task::spawn_blocking(move || {
            on_terminal(command, columns, Streams::Output, |text| text.lines().count() > 1)
        });
        let asking = async {
            loop {
                self.server.lookup(&ben, "+14155550177").await;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let mut screen = tokio::select! {
            screen = tail => screen.unwrap(),
            () = asking => unreachable!("the lookups never stop"),
        };
        screen.text = screen.text.lines().take(2).map(|line| format!("{line}\n")).collect();
        screen.code = screen.code.or(Some(0));
        screen
    }
}

/// The text without what this machine's time service is like.
fn of_any_machine(text: &str) -> String {
    let fixed = |line: &str| match line.starts_with("time service ") {
        true => "time service   synchronised\n".to_owned(),
        false => line.to_owned(),
    };
    text.split_inclusive('\n').map(fixed).collect()
}

/// The text with a fixed time that a lookup took, if that has a column.
fn without_time_taken(text: &str) -> String {
    let head = text.lines().next().unwrap_or_default();
    let Some(at) = head.find("TOOK_US") else { return text.to_owned() };
    let fixed = |(row, line): (usize, &str)| match row {
        0 => format!("{line}\n"),
        _ => format!("{}12     {}\n", &line[..at], &line[at + "TOOK_US".len()..]),
    };
    text.lines().enumerate().map(fixed).collect()
}

/// Accounts to import: some come in, some are here already, one row is bad.
fn accounts(now: &str) -> String {
    let row = |handle: &str, n: u8| format!("{handle},a_{n:013},d_{n:013},ios,{now},{now}\n");
    let head = "handle,account,device,platform,last_check_in_at,proved_at\n";
    [head, &row("+14155550142", 1), &row("ann@example.com", 1), &row("+33639981234", 2)].concat()
        + "nonsense,a_0000000000003,d_0000000000003,ios,,\n"
}

/// No line is wider than the terminal, unless it is one long word.
#[track_caller]
pub(super) fn fits(text: &str, columns: u16) {
    for line in text.lines() {
        let is_word = !line.trim().contains(' ');
        assert!(is_word || line.width() <= usize::from(columns), "{columns} columns: {line}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_table_and_report_is_kept() {
    let shop = Shop::open().await;
    fs::write(shop.file("accounts.csv"), accounts(&shop.in_first_hour)).unwrap();
    // The audit log lists what was run before. A live view comes last: how many records it reads is chance.
    let [tables @ .., tail] = TABLES;
    for (words, has_sizes) in tables.into_iter().chain(REPORTS).chain([tail]) {
        let is_table = TABLES.iter().any(|(table, _)| *table == words);
        for (columns, form) in [(NARROW, "80"), (WIDE, "wide")] {
            let words = match words {
                "why" => format!("why {NUMBER}"),
                _ if is_table && form == "wide" => format!("{words} --wide"),
                _ => words.to_owned(),
            };
            let screen = shop.screen(&words, columns).await;
            assert_eq!(screen.code, Some(0), "{words}: {}", screen.text);
            let text = match words.starts_with("log tail") {
                true => without_time_taken(&screen.text),
                false => of_any_machine(&screen.text),
            };
            let printed = stable(&text);
            let printed = if has_sizes { without_sizes(&printed) } else { printed };
            let name: Vec<_> = words.split(' ').take(2).filter(|it| !it.contains('+')).collect();
            is_kept(&format!("{}.{form}", name.join("-")), &printed);
        }
    }
    // Tables cut their cells for any width; these reports wrap.
    for words in ["log segments", "audit verify", "config check", "registry stats"] {
        for columns in [60, 40] {
            let screen = shop.screen(words, columns).await;
            assert_eq!(screen.code, Some(0), "{words}: {}", screen.text);
            fits(&screen.text, columns);
        }
    }
    for (columns, form) in [(NARROW, "80"), (WIDE, "wide")] {
        let words = format!("why +447700900123 --at {}", shop.in_first_hour);
        let past = shop.screen(&words, columns).await;
        is_kept(&format!("why-at.{form}"), &stable(&past.text));
        let account = shop.screen(&format!("quota show {}", shop.flagged), columns).await;
        is_kept(&format!("quota-show-account.{form}"), &stable(&account.text));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pipe_gets_whole_cells_and_a_terminal_of_any_width_whole_lines() {
    let shop = Shop::open().await;
    let long = "nobody.in.particular.with.a.long.name@department.university.example";
    let piped = run(shop.command("log search").env("COLUMNS", "40"));
    let piped = String::from_utf8(piped.stdout).unwrap();
    assert!(piped.contains(long) && !piped.contains('…'), "{piped}");
    for columns in [40, 60, 180] {
        let screen = on_terminal(shop.command("log search"), columns, Streams::Both, |_| false);
        let widest = screen.text.lines().map(|line| line.width()).max().unwrap();
        let is_wide = columns == 180;
        let fits = widest <= usize::from(columns);
        assert!(fits && (is_wide || widest + 4 > usize::from(columns)), "{}", screen.text);
        assert_eq!(screen.text.contains(long), is_wide, "{}", screen.text);
    }
    // A terminal that does not say how wide it is.
    for (named, widest) in [(Some("60"), 60), (Some("x"), 80), (None, 80)] {
        let mut command = shop.command("log search");
        let mut shell = Command::new("env");
        shell.args(named.map(|named| format!("COLUMNS={named}")));
        shell.arg(command.get_program()).args(command.get_args());
        command.get_envs().for_each(|(name, value)| match value {
            Some(value) => _ = shell.env(name, value),
            None => _ = shell.env_remove(name),
        });
        let screen = on_terminal(shell, 0, Streams::Both, |_| false);
        let found = screen.text.lines().map(|line| line.width()).max().unwrap();
        assert!(found <= widest && found + 4 > widest, "{named:?}: {}", screen.text);
        command.env_clear();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn colours_are_for_terminals_that_want_them() {
    let shop = Shop::open().await;
    let folder = tempfile::tempdir().unwrap();
    for words in ["log search", "why +14155550123", "--help", "serve"] {
        for (term, no_color, is_coloured) in [
            ("xterm-256color", None, true),
            ("xterm-256color", Some(""), true),
            ("xterm-256color", Some("1"), false),
            ("dumb", None, false),
        ] {
            let mut command = shop.command(words);
            // Some build servers set CI, and their logs know colours.
            command.env("TERM", term).env_remove("NO_COLOR").env("CI", "true");
            if let Some(value) = no_color {
                command.env("NO_COLOR", value);
            }
            for (name, value) in [("PHONES", "127.0.0.1:0"), ("OPERATORS", "127.0.0.1:0")] {
                command.env(format!("DISPATCHD_SERVER__{name}"), value);
            }
            // Only the server goes on, until it is killed: its messages are for its operator's terminal.
            command.env("DISPATCHD_SERVER__DATA", folder.path());
            let is_ready = |text: &str| words == "serve" && text.contains("ready");
            let screen = on_terminal(command, NARROW, Streams::Both, is_ready);
            let case = format!("{words}, TERM={term}, NO_COLOR={no_color:?}");
            assert_eq!(screen.text.contains('\x1b'), is_coloured, "{case}");
        }
        if words == "serve" {
            continue;
        }
        let piped = run(shop.command(words).env_remove("NO_COLOR"));
        assert!(!piped.stdout.is_empty() && !piped.stdout.contains(&0x1b), "{words}");
    }
}

/// Runs an export to standard output, which is a terminal.
fn refused(shop: &Shop, words: &str) -> String {
    let screen = on_terminal(shop.command(words), NARROW, Streams::Both, |_| false);
    assert_eq!(screen.code, Some(2), "{words}: {}", screen.text);
    screen.text.replace("\n  ", " ")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn standard_output_takes_an_export_and_nothing_else() {
    let shop = Shop::open().await;
    let recipient = age::x25519::Identity::generate().to_public().to_string();
    let bytes = |words: &str| {
        let output = run(&mut shop.command(words));
        assert!(output.status.success(), "{words}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    for format in ["csv", "ndjson", "parquet"] {
        let file = format!("log.{format}");
        bytes(&format!("log export --until 30m --output {file}"));
        let streamed = bytes(&format!("log export --until 30m --format {format} --output -"));
        assert_eq!(streamed, fs::read(shop.file(&file)).unwrap(), "{format}");
    }
    let sealed = bytes(&format!("log export --format csv --output - --encrypt-to {recipient}"));
    assert!(sealed.starts_with(b"age-encryption.org/v1\n"));
    for format in ["csv", "parquet"] {
        let file = format!("accounts-out.{format}");
        assert!(bytes(&format!("registry export {file}")).is_empty());
        let streamed = bytes(&format!("registry export - --format {format}"));
        assert_eq!(streamed, fs::read(shop.file(&file)).unwrap(), "{format}");
    }
    assert_eq!(bytes("registry export -"), fs::read(shop.file("accounts-out.csv")).unwrap());
    let left = fs::read_dir(shop.folder.path()).unwrap().map(|it| it.unwrap().file_name());
    let left: Vec<_> = left.filter_map(|name| name.into_string().ok()).collect();
    let is_left = |name: &String| name == "-" || name.ends_with(".work") || name.ends_with(".new");
    assert!(!left.iter().any(is_left), "{left:?}");

    let encrypted = format!("log export --format csv --output - --encrypt-to {recipient}");
    for (words, what) in [
        ("log export --format parquet --output -", "Parquet is no text"),
        (&encrypted, "an encrypted export is no text"),
        ("registry export - --format parquet", "Parquet is no text"),
    ] {
        assert!(refused(&shop, words).contains(what), "{words}");
    }
    let screen = shop.command("log export --format csv --until 30m --output -");
    let screen = on_terminal(screen, WIDE, Streams::Output, |_| false);
    assert_eq!(screen.text.lines().count(), 31, "{}", screen.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_into_a_pipe_that_closes_ends_well() {
    let shop = Shop::open().await;
    let numbers: Vec<_> = (0..1_000).map(|n| format!("+1415555{n:04}")).collect();
    let numbers: Vec<_> = numbers.iter().map(String::as_str).collect();
    let ben = shop.server.sign_up().await;
    for _ in 0..3 {
        crate::wire::batch(&shop.server, &ben, &numbers).await;
    }
    let binary = Path::new(shop.command("log").get_program()).display().to_string();
    for format in ["csv", "ndjson", "parquet"] {
        let export =
            format!("{} log export --format {format} --output -", crate::harness::quoted(&binary));
        let script = format!("set -o pipefail; {export} | head -c 10 | wc -c");
        let mut bash = Command::new("bash");
        bash.args(["-c", &script]).env("DISPATCHD_TOKEN", &shop.admin);
        let output = run(bash.env("DISPATCHD_SERVER", &shop.server.operators));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && output.stdout.starts_with(b"10"), "{format}: {said}");
    }
}
