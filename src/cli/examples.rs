//! The examples of each command: for `--help` and for the man pages.

use clap::Command;

/// What it does, and the command.
pub(super) type Example = (&'static str, &'static str);

/// Each command by its words, `dispatchd` left out, with its examples.
const EXAMPLES: &[(&str, &[Example])] = &[
    (
        "",
        &[
            ("Try it: a server with sample devices", "dispatchd serve --demo"),
            ("Ask as a phone does", "dispatchd ask +14155550123"),
            ("Why is it green?", "dispatchd why +14155550123"),
        ],
    ),
    (
        "serve",
        &[
            ("With a configuration file", "dispatchd serve --config /etc/dispatchd/dispatchd.toml"),
            ("With sample devices", "DISPATCHD_SERVER__DATA=demo-data dispatchd serve --demo"),
        ],
    ),
    (
        "ask",
        &[
            (
                "One handle, from a device that exists for this question",
                "dispatchd ask +14155550123",
            ),
            ("A group", "dispatchd ask '(415) 555-0123' ann@example.com --region US"),
            ("From a device of yours", "dispatchd ask +14155550123 --token-file device.token"),
            ("Another server", "dispatchd ask +14155550123 --server https://phones.example.com"),
        ],
    ),
    (
        "why",
        &[
            ("Now", "dispatchd why +14155550123"),
            (
                "A number without a calling code, as it was two hours ago",
                "dispatchd why '(415) 555-0123' --region US --at 2h",
            ),
        ],
    ),
    ("log", &[("The latest records of a handle", "dispatchd log search --handle +14155550123")]),
    (
        "log search",
        &[
            (
                "What was asked about a number in the last two hours",
                "dispatchd log search --handle +14155550123 --since 2h",
            ),
            (
                "Text messages of yesterday, as NDJSON",
                "dispatchd log search --route sms --since yesterday --until today --json",
            ),
        ],
    ),
    (
        "log tail",
        &[
            ("Everything", "dispatchd log tail"),
            (
                "Registry changes of a handle",
                "dispatchd log tail --kind change --handle ann@example.com",
            ),
        ],
    ),
    (
        "log export",
        &[
            ("A week for DuckDB", "dispatchd log export --since 7d --output week.parquet"),
            (
                "A day to standard output",
                "dispatchd log export --since 1d --format csv --output - > day.csv",
            ),
            (
                "What one network asked since yesterday",
                "dispatchd log export --ip 192.0.2.0/24 --since yesterday --output net.csv",
            ),
        ],
    ),
    (
        "log flips",
        &[("Handles that changed at least four times", "dispatchd log flips --since 7d --min 4")],
    ),
    (
        "log segments",
        &[("Sizes of a stopped server's log", "dispatchd log segments --data /var/lib/dispatchd")],
    ),
    ("log verify", &[("After a disk failed", "dispatchd log verify --data /var/lib/dispatchd")]),
    ("log prove-forgotten", &[("For an auditor", "dispatchd log prove-forgotten --json")]),
    (
        "log fetch",
        &[(
            "After the log's disk was replaced, with the server stopped",
            "dispatchd log fetch --data /var/lib/dispatchd --config dispatchd.toml",
        )],
    ),
    ("audit", &[("Who read the log today", "dispatchd audit list --since today")]),
    (
        "audit list",
        &[
            ("What an operator read in a week", "dispatchd audit list --operator ann --since 7d"),
            ("Who looked for a handle", "dispatchd audit list --handle +14155550123"),
        ],
    ),
    ("audit verify", &[("In a daily job", "dispatchd audit verify --json")]),
    ("registry", &[("How many handles there are", "dispatchd registry stats")]),
    (
        "registry import",
        &[
            ("Into a running server", "dispatchd registry import accounts.csv"),
            (
                "Into a new data directory, before its server's first start",
                "dispatchd registry import accounts.parquet --data data --skip-bad",
            ),
        ],
    ),
    (
        "registry export",
        &[
            ("From a running server", "dispatchd registry export accounts.csv"),
            (
                "From a stopped one's files",
                "dispatchd registry export accounts.parquet --data data",
            ),
        ],
    ),
    ("registry snapshot", &[("A backup", "dispatchd registry snapshot registry.redb --force")]),
    ("registry stats", &[("For a script", "dispatchd registry stats --json")]),
    ("quota", &[("Which accounts are flagged?", "dispatchd quota show")]),
    (
        "quota show",
        &[
            ("Which accounts are flagged, and why", "dispatchd quota show"),
            ("What one account has left", "dispatchd quota show a_1p3k8t5w7y2d4"),
            ("For a script", "dispatchd quota show --json"),
        ],
    ),
    ("quota clear", &[("After a look at what it asked", "dispatchd quota clear a_1p3k8t5w7y2d4")]),
    ("operator", &[("Let somebody read", "dispatchd operator add ann --role reader")]),
    (
        "operator add",
        &[
            ("Keep the token in a file", "dispatchd operator add ann --role reader > ann.token"),
            (
                "In a data directory",
                "dispatchd operator add root --role admin --data /var/lib/dispatchd",
            ),
        ],
    ),
    ("operator list", &[("With roles", "dispatchd operator list")]),
    ("operator revoke", &[("At once", "dispatchd operator revoke ann")]),
    ("cluster", &[("Is every member there?", "dispatchd cluster status --config dispatchd.toml")]),
    (
        "cluster invite",
        &[(
            "On a member, for the machine that shall be the node b",
            "dispatchd cluster invite b --data /var/lib/dispatchd > invite.token",
        )],
    ),
    (
        "cluster join",
        &[(
            "On that machine",
            "dispatchd cluster join https://a.example.com:8081 --token-file invite.token",
        )],
    ),
    ("cluster status", &[("For a script", "dispatchd cluster status --json")]),
    (
        "cluster remove",
        &[("A machine that is gone", "dispatchd cluster remove b --config dispatchd.toml")],
    ),
    (
        "cluster init",
        &[(
            "On the machine that has the data, with the server stopped",
            "dispatchd cluster init --config dispatchd.toml",
        )],
    ),
    (
        "cluster leave",
        &[("With the server stopped", "dispatchd cluster leave --config dispatchd.toml")],
    ),
    (
        "cluster recover",
        &[
            ("How far is this member?", "dispatchd cluster recover --config dispatchd.toml"),
            (
                "On the member that has applied the most",
                "dispatchd cluster recover --yes --config dispatchd.toml",
            ),
        ],
    ),
    ("clock", &[("Is the clock believed?", "dispatchd clock status")]),
    ("clock status", &[("For a script", "dispatchd clock status --json")]),
    (
        "clock trust",
        &[
            ("After the clock was set right", "dispatchd clock trust"),
            ("Even if keys are destroyed by that", "dispatchd clock trust --yes"),
        ],
    ),
    (
        "doctor",
        &[
            ("Of a running server", "dispatchd doctor"),
            ("In a daily job", "dispatchd doctor --json"),
            ("Of a stopped server", "dispatchd doctor --data /var/lib/dispatchd"),
        ],
    ),
    ("config", &[("Before a restart", "dispatchd config check --config dispatchd.toml")]),
    ("config check", &[("Before a restart", "dispatchd config check --config dispatchd.toml")]),
    ("config show", &[("With a variable", "DISPATCHD_LOG__RETENTION=7d dispatchd config show")]),
    (
        "completions",
        &[
            ("In this bash", "source <(dispatchd completions bash)"),
            (
                "For good, for a user of zsh",
                "mkdir -p ~/.zfunc && dispatchd completions zsh > ~/.zfunc/_dispatchd",
            ),
        ],
    ),
    (
        "man",
        &[(
            "For this user",
            "mkdir -p ~/.local/share/man/man1 && dispatchd man ~/.local/share/man/man1",
        )],
    ),
];

/// The examples of the command with these words.
pub(super) fn of(words: &str) -> &'static [Example] {
    EXAMPLES.iter().find(|(known, _)| *known == words).map_or(&[], |(_, examples)| examples)
}

/// The words of a command below the one with these words.
pub(super) fn below(words: &str, name: &str) -> String {
    if words.is_empty() { name.to_owned() } else { format!("{words} {name}") }
}

/// Puts its examples behind the help of each command, `words` and those below it.
pub(super) fn add(mut command: Command, words: &str) -> Command {
    let names: Vec<_> = command.get_subcommands().map(|it| it.get_name().to_owned()).collect();
    for name in names {
        command = command.mut_subcommand(&name, |it| add(it, &below(words, &name)));
    }
    let examples = of(words).iter().map(|(what, line)| format!("  # {what}\n  {line}\n"));
    let mut text = format!("Examples:\n{}", examples.collect::<Vec<_>>().join("\n"));
    if let Some(after) = command.get_after_help() {
        text = format!("{after}\n\n{text}");
    }
    command.after_help(text.trim_end().to_owned())
}

#[cfg(test)]
pub(super) fn all() -> &'static [(&'static str, &'static [Example])] {
    EXAMPLES
}

#[cfg(test)]
mod tests {
    /// Help wraps at words, and half a command is none. `  ` stands before a command, `  # ` before what it does.
    #[test]
    fn every_example_fits_a_line_of_a_terminal() {
        let lines = super::EXAMPLES.iter().flat_map(|(_, examples)| *examples);
        for (what, line) in lines {
            assert!(what.len() <= 76 && line.len() <= 78, "{line}");
        }
    }
}
