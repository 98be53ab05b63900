//! What clap cannot know of the help and of usage errors.

use clap::{
    Command, Error,
    error::{ContextKind, ContextValue, ErrorKind},
};

/// What people type for a command, and its words.
const OTHER_NAMES: &[(&str, &str)] = &[
    ("lookup", "ask"),
    ("look-up", "ask"),
    ("query", "ask"),
    ("route", "ask"),
    ("search", "log search"),
    ("tail", "log tail"),
    ("flips", "log flips"),
    ("segments", "log segments"),
    ("verify", "log verify"),
    ("logs", "log"),
    ("records", "log search"),
    ("timeline", "why"),
    ("explain", "why"),
    ("start", "serve"),
    ("run", "serve"),
    ("server", "serve"),
    ("demo", "serve --demo"),
    ("import", "registry import"),
    ("export", "log export"),
    ("snapshot", "registry snapshot"),
    ("backup", "registry snapshot"),
    ("stats", "registry stats"),
    ("status", "registry stats"),
    ("token", "operator add"),
    ("user", "operator"),
    ("time", "clock"),
    ("check", "config check"),
    ("completion", "completions"),
    ("manpages", "man"),
    ("version", "--version"),
];

/// Says in the help of each command what `--data DIR` asks for: a store has one user at a time, the log any number of readers.
pub(super) fn with_hints(command: Command) -> Command {
    command.mut_subcommand("registry", |registry| {
        let names: Vec<_> = registry.get_subcommands().map(|it| it.get_name().to_owned()).collect();
        names.into_iter().fold(registry, |registry, name| {
            registry.mut_subcommand(name, |below| {
                below.mut_arg("data", |data| {
                    data.help(
                        "Work on the files of this data directory instead of asking a server. Its server must be stopped",
                    )
                })
            })
        })
    })
}

/// Prints a usage error, or the help that was asked for, and ends the process.
pub(super) fn exit(mut error: Error) -> ! {
    if error.kind() == ErrorKind::InvalidSubcommand
        && let Some(ContextValue::String(came)) = error.get(ContextKind::InvalidSubcommand)
        && let Some((_, meant)) = OTHER_NAMES.iter().find(|(name, _)| name == came)
    {
        let meant = ContextValue::Strings(vec![(*meant).to_owned()]);
        error.insert(ContextKind::SuggestedSubcommand, meant);
    }
    error.exit()
}
