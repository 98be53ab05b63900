//! `commands.md`: every command and option, from the definition that also makes `--help`.

use std::collections::BTreeMap;

use clap::{Arg, ArgAction, Command};

use super::{code, compare, head, section, sentence, table, wrapped};
use crate::explained;

/// An option that so many commands take is described once.
const COMMON_FROM: usize = 3;
/// So many values of an option are listed. Where there are more, a link leads to their list.
const VALUES_LISTED: usize = 8;

/// The commands that do something by themselves, with their words.
fn leaves(whole: &Command) -> Vec<(String, &Command)> {
    let all = explained::commands(vec!["dispatchd"], whole).into_iter();
    let is_leaf = |command: &Command| command.get_subcommands().all(|below| below.is_hide_set());
    let leaves = all.filter(|(_, command)| is_leaf(command));
    leaves.map(|(words, command)| (words.join(" "), command)).collect()
}

fn arguments(command: &Command) -> impl Iterator<Item = &Arg> {
    let is_own = |arg: &&Arg| !matches!(arg.get_id().as_str(), "help" | "version");
    command.get_arguments().filter(is_own).filter(|arg| !arg.is_hide_set())
}

/// The option as it is typed, such as `--limit N`.
fn typed(arg: &Arg) -> String {
    let names = arg.get_value_names().unwrap_or_default();
    let value = names.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(" ");
    match arg.get_long() {
        None => value,
        Some(long) if takes_value(arg) => format!("--{long} {value}"),
        Some(long) => format!("--{long}"),
    }
}

fn takes_value(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Set | ArgAction::Append)
}

/// What the option means, its values, its default, its variable.
fn meaning(arg: &Arg) -> String {
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let mut help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    // A help text may name a variable and a default by itself, in brackets at its end, as clap does.
    let mut notes = Vec::new();
    while let Some((before, note)) = help.rsplit_once(" [")
        && let Some(note) = note.strip_suffix(']')
        && let Some((name, value)) = note.split_once(": ")
    {
        let (name, value) =
            if name == "env" { ("Variable", code(value)) } else { ("Default", value.to_owned()) };
        notes.insert(0, format!(" {name}: {value}."));
        help = before.to_owned();
    }
    let values = arg.get_possible_values();
    // A value keeps its case at the begin of a sentence.
    if let Some((word, rest)) = help.split_once(' ')
        && values.iter().any(|value| value.get_name() == word)
    {
        help = format!("{} {rest}", code(word));
    }
    let mut text = sentence(&help) + &notes.concat();
    let values: Vec<_> = values.iter().filter(|value| !value.is_hide_set()).collect();
    if takes_value(arg) && values.len() > VALUES_LISTED {
        text.push_str(" [Values](records.md#reason).");
    } else if takes_value(arg) && !values.is_empty() {
        let described = values.iter().map(|value| match value.get_help() {
            Some(help) => format!("{} ({help})", code(value.get_name())),
            None => code(value.get_name()),
        });
        text.push_str(&format!(" Values: {}.", described.collect::<Vec<_>>().join(", ")));
    }
    if !arg.get_default_values().is_empty() && takes_value(arg) {
        let values = arg.get_default_values().iter().map(|value| code(value.to_string_lossy()));
        text.push_str(&format!(" Default: {}.", values.collect::<Vec<_>>().join(", ")));
    }
    if let Some(variable) = arg.get_env() {
        text.push_str(&format!(" Variable: {}.", code(variable.to_string_lossy())));
    }
    text
}

/// What distinguishes options that are typed alike.
const MARK: &str = ": ";

/// The option with its meaning.
fn key(arg: &Arg) -> String {
    typed(arg) + MARK + &meaning(arg)
}

fn options(args: &[&Arg]) -> String {
    let rows = args.iter().map(|arg| {
        let is_needed = if arg.is_required_set() { "Needed. " } else { "" };
        vec![code(typed(arg)), format!("{is_needed}{}", meaning(arg))]
    });
    table(&["option", "meaning"], rows)
}

const EXIT_CODES: &[(&str, &str)] = &[
    ("0", "done"),
    ("1", "failed; `verify` and `prove-forgotten` also end so if they find something"),
    ("2", "wrong use: the arguments do not fit"),
    ("64", "bad configuration"),
    ("130", "interrupted (SIGINT)"),
];

fn page() -> String {
    let mut whole = dispatchd::cli::command();
    whole.build();
    let commands = leaves(&whole);
    // An option is common if the same text describes it in many commands.
    let mut uses: BTreeMap<String, usize> = BTreeMap::new();
    for arg in commands.iter().flat_map(|(_, command)| arguments(command)) {
        *uses.entry(key(arg)).or_default() += 1;
    }
    // Of several such texts for one option, the most frequent.
    let most = |arg: &Arg| {
        let texts = uses.iter().filter(|(text, _)| text.starts_with(&(typed(arg) + MARK)));
        texts.max_by_key(|(_, count)| **count).map(|(text, count)| (text.clone(), *count))
    };
    let is_common = |arg: &&Arg| {
        let (text, count) = most(arg).expect("it is counted");
        arg.get_long().is_some() && count >= COMMON_FROM && text == key(arg)
    };

    let mut page = head("Commands", "Every command of `dispatchd` with its options.");
    let rows = EXIT_CODES.iter().map(|(number, text)| vec![code(number), (*text).to_owned()]);
    section(&mut page, 2, "Exit codes", &table(&["code", "meaning"], rows));
    let mut common: Vec<&Arg> = Vec::new();
    for arg in commands.iter().flat_map(|(_, command)| arguments(command)).filter(is_common) {
        if !common.iter().any(|known| key(known) == key(arg)) {
            common.push(arg);
        }
    }
    common.sort_by_key(|arg| typed(arg));
    let about = "Each command names the ones that it takes.\n\n";
    section(&mut page, 2, "Options of many commands", &format!("{about}{}", options(&common)));
    for (words, command) in &commands {
        section(&mut page, 2, words, &described_command(words, command, is_common));
    }
    page
}

fn described_command(words: &str, command: &Command, is_common: impl Fn(&&Arg) -> bool) -> String {
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").trim();
    let usage = usage
        .strip_prefix(command.get_name())
        .map_or(usage.to_owned(), |rest| format!("{words}{rest}"));
    let mut text = format!("{}\n\n```text shown\n{usage}\n```\n", wrapped(&sentence(&about)));
    let own: Vec<_> = arguments(command).filter(|arg| !is_common(arg)).collect();
    if !own.is_empty() {
        text.push_str(&format!("\n{}", options(&own)));
    }
    let also: Vec<_> = arguments(command).filter(&is_common).collect();
    if !also.is_empty() {
        let names = also.iter().filter_map(|arg| arg.get_long());
        let names: Vec<_> = names.map(|long| code(format!("--{long}"))).collect();
        let also =
            format!("Also takes {}; see [above](#options-of-many-commands).", names.join(", "));
        text.push_str(&format!("\n{}\n", wrapped(&also)));
    }
    if let Some(after) = command.get_after_help() {
        text.push_str(&format!("\n```text shown\n{}\n```\n", after.to_string().trim()));
    }
    text
}

#[test]
fn commands() {
    compare("commands.md", &page());
}

#[test]
fn every_command_stands_on_the_page() {
    let page = page();
    let mut whole = dispatchd::cli::command();
    whole.build();
    let commands = leaves(&whole);
    assert!(commands.len() > 20, "{}", commands.len());
    for (words, command) in commands {
        assert!(page.contains(&format!("\n## {words}\n")), "{words}");
        for arg in arguments(command) {
            assert!(arg.get_help().is_some(), "{words} {} has no help", arg.get_id());
            assert!(page.contains(&code(typed(arg))), "{words} {}", arg.get_id());
        }
    }
}
