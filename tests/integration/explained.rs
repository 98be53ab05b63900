//! What the command line says of itself: examples, completions, man pages, other names of commands.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::{Command, Output},
};

use crate::{
    harness::{Server, dispatchd, own_port, run},
    repository::{debian_folder, debian_program},
};

/// A command whose name is `words`, and every command below it, in the order of its help, with the words of each.
pub(crate) fn commands<'a>(
    words: Vec<&'a str>,
    command: &'a clap::Command,
) -> Vec<(Vec<&'a str>, &'a clap::Command)> {
    let listed = command.get_subcommands().filter(|it| it.get_name() != "help");
    let mut listed: Vec<_> = listed.filter(|it| !it.is_hide_set()).collect();
    listed.sort_by_key(|it| it.get_display_order());
    let mut found = vec![(words.clone(), command)];
    for below in listed {
        found.extend(commands([&words[..], &[below.get_name()]].concat(), below));
    }
    found
}

/// The words of every command, with what its `--help` prints.
fn all_commands() -> Vec<(Vec<String>, String)> {
    let whole = dispatchd::cli::command();
    let explain = |(words, _): (Vec<&str>, _)| {
        let help = text(&run(dispatchd().args(&words).arg("--help")));
        assert!(help.contains("Usage: dispatchd"), "{words:?}: {help}");
        (words.into_iter().map(str::to_owned).collect(), help)
    };
    let found: Vec<_> = commands(Vec::new(), &whole).into_iter().map(explain).collect();
    assert!(found.len() > 25, "only {} commands", found.len());
    found
}

/// A shell with the binary under test on its path, in a folder.
fn bash(script: &str, folder: &Path) -> Command {
    let binary = dispatchd();
    let link = folder.join("dispatchd");
    if !link.exists() {
        std::os::unix::fs::symlink(binary.get_program(), link).unwrap();
    }
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let mut bash = Command::new("bash");
    bash.args(["-c", script]).current_dir(folder).env("PATH", path).env("HOME", folder);
    for (name, value) in binary.get_envs() {
        assert!(value.is_none());
        bash.env_remove(name);
    }
    bash
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// No example is a usage error or has values that no call takes: those end with 2 or 64.
#[tokio::test]
async fn every_example_does_what_it_says_or_fails_for_what_is_not_there() {
    let server = Server::start().await;
    let token = server.operator_token("root", "admin");
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::write(folder.path().join("dispatchd.toml"), "").unwrap();
    fs::write(folder.path().join("device.token"), "dd_x").unwrap();
    let phones = server.phones.trim_start_matches("http://");
    let mut ran = 0;
    for (words, help) in all_commands() {
        let (_, examples) = help.split_once("Examples:\n").expect("every command has examples");
        let lines = examples.lines().filter(|line| !line.trim_start().starts_with('#'));
        for line in lines.filter(|line| line.contains("dispatchd")) {
            // These run until they are stopped.
            let endless = ["dispatchd serve", "log tail"];
            if endless.iter().any(|it| line.contains(it)) {
                continue;
            }
            let closed = format!("http://127.0.0.1:{}", own_port());
            let mut here =
                bash(&line.replace("https://phones.example.com", &closed), folder.path());
            here.env("DISPATCHD_SERVER", &server.operators).env("DISPATCHD_TOKEN", &token);
            here.env("DISPATCHD_SERVER__PHONES", phones);
            // A command of a cluster takes an engine. This one is not there.
            if line.contains("dispatchd cluster") {
                here.env("DISPATCHD_CLUSTER__ENGINE", format!("[{closed:?}]"));
            }
            let output = run(&mut here);
            let said = String::from_utf8_lossy(&output.stderr);
            let code = output.status.code().unwrap();
            // A single server refuses questions about its cluster, and makes no invite for `cluster join`.
            let refusals = ["in no cluster", "invite.token is empty"];
            let is_alone = code == 2 && refusals.iter().any(|refusal| said.contains(refusal));
            assert!(is_alone || [0, 1].contains(&code), "{words:?}: {line}: {code}: {said}");
            ran += 1;
        }
    }
    assert!(ran > 30, "only {ran} examples");
}

#[test]
fn bash_completes_commands_options_and_values() {
    let folder = tempfile::tempdir().unwrap();
    let completed = |words: &[&str]| -> BTreeSet<String> {
        let (last, before) = (words.last().unwrap(), words[words.len() - 2]);
        let list = words.iter().map(|word| format!("'{word}' ")).collect::<String>();
        let script = format!(
            "source <(dispatchd completions bash); COMP_WORDS=({list}); COMP_CWORD={}; \
             _dispatchd dispatchd '{last}' '{before}'; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            words.len() - 1
        );
        let output = run(&mut bash(&script, folder.path()));
        text(&output).split_whitespace().map(str::to_owned).collect()
    };
    let set = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(completed(&["dispatchd", "as"]), set(&["ask"]));
    assert_eq!(completed(&["dispatchd", "log", "se"]), set(&["search", "segments"]));
    assert_eq!(completed(&["dispatchd", "log", "search", "--hand"]), set(&["--handle"]));
    let routes = completed(&["dispatchd", "log", "search", "--route", ""]);
    assert_eq!(routes, set(&["imessage", "sms", "none"]));
    assert_eq!(
        completed(&["dispatchd", "operator", "add", "ann", "--role", "re"]),
        set(&["reader"])
    );
    for shell in ["elvish", "fish", "powershell", "zsh"] {
        let script = text(&run(dispatchd().args(["completions", shell])));
        for word in ["prove-forgotten", "token-file"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
}

/// groff, with its own files rather than those of the machine.
fn groff() -> Command {
    let file = |name: &str| debian_folder().join(name);
    let mut groff = debian_program("usr/bin/groff");
    groff.env("GROFF_BIN_PATH", file("usr/bin"));
    groff.env("GROFF_FONT_PATH", file("usr/share/groff/current/font"));
    let macros = [file("usr/share/groff/current/tmac"), file("etc/groff")];
    groff.env("GROFF_TMAC_PATH", std::env::join_paths(macros).unwrap());
    groff
}

#[test]
fn each_command_has_a_man_page_that_groff_takes() {
    let folder = tempfile::tempdir().unwrap();
    assert!(run(dispatchd().arg("man").arg(folder.path())).status.success());
    let mut pages: BTreeSet<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let mut checked = Vec::new();
    for (words, _) in all_commands() {
        let name = ["dispatchd"].into_iter().chain(words.iter().map(String::as_str));
        let name = name.collect::<Vec<_>>().join("-") + ".1";
        assert!(pages.remove(&name), "there is no {name}");
        let file = folder.path().join(&name);
        let page = fs::read_to_string(&file).unwrap();
        for part in [".TH ", ".SH NAME", ".SH SYNOPSIS", ".SH EXAMPLES", ".SH \"EXIT STATUS\""] {
            assert!(page.contains(part), "{name}: {part}");
        }
        checked.push(file);
    }
    assert!(pages.is_empty(), "pages of no command: {pages:?}");
    let mut check = groff();
    check.args(["-Kutf8", "-man", "-ww", "-Tutf8", "-z"]).args(checked);
    let output = run(&mut check);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
    let output = run(dispatchd().arg("man").arg(folder.path().join("missing")));
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("missing: no such directory"));
}

#[test]
fn what_people_type_for_a_command_is_recognised() {
    for (typed, meant) in [
        ("lookup", "'ask'"),
        ("search", "'log search'"),
        ("start", "'serve'"),
        ("serv", "'serve'"),
        ("import", "'registry import'"),
        ("token", "'operator add'"),
        ("version", "'--version'"),
    ] {
        let output = run(dispatchd().arg(typed));
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(meant), "{typed}: {said}");
    }
}

#[test]
fn the_help_says_which_files_may_be_in_use() {
    let help = |words: &[&str]| {
        let output = run(dispatchd().args(words).arg("--help"));
        text(&output).split_whitespace().collect::<Vec<_>>().join(" ")
    };
    for words in [["registry", "import"], ["registry", "stats"], ["registry", "snapshot"]] {
        assert!(help(&words).contains("Its server must be stopped"), "{words:?}");
    }
    for words in [&["log", "search"][..], &["why"], &["audit", "list"]] {
        assert!(help(words).contains("The log can be read while a server writes it"), "{words:?}");
    }
    assert!(
        help(&["log", "search"])
            .contains("a date with or without a time (UTC), a time of today (11:00), today")
    );
    assert!(help(&["ask"]).contains("signs up a device"));
}
