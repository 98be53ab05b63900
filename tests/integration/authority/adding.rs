//! `operator add`: into a data directory only, and no token is valid that nobody saw.

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use crate::harness::{dispatchd, run, wait_until};

fn add(data: &Path) -> Command {
    let mut command = dispatchd();
    command.args(["operator", "add", "ann", "--role", "admin", "--data"]).arg(data);
    command
}

fn said(command: &mut Command) -> String {
    let output = run(command);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// The names on the list, as the command line shows them.
fn listed(data: &Path) -> usize {
    let output = run(dispatchd().args(["operator", "list", "--json", "--data"]).arg(data));
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().lines().count()
}

#[test]
fn an_operator_is_added_to_a_data_directory_only() {
    let folder = tempfile::tempdir().unwrap();
    let foreign = folder.path().join("foreign");
    fs::create_dir(&foreign).unwrap();
    fs::write(foreign.join("letter.txt"), "dear").unwrap();
    for data in [&foreign, &folder.path().join("missing")] {
        let said = said(&mut add(data));
        assert!(said.contains("is no data directory"), "{said}");
    }
    assert_eq!(fs::read_dir(&foreign).unwrap().count(), 1, "something was written");
    // The first operator may come before the first start.
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    assert!(run(&mut add(&empty)).status.success());
    assert_eq!(listed(&empty), 1);
}

#[test]
fn a_token_that_nobody_can_see_is_not_made_valid() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    // A closed standard output is /dev/null to a program in Rust.
    let mut shell = Command::new("sh");
    shell.args(["-c", "exec \"$0\" operator add ann --role admin --data \"$1\" >&-"]);
    shell.arg(dispatchd().get_program()).arg(data);
    for (command, is_said) in [
        (&mut shell, "standard output is closed or /dev/null"),
        (add(data).stdout(Stdio::null()), "standard output is closed or /dev/null"),
        (
            add(data).stdout(fs::File::options().write(true).open("/dev/full").unwrap()),
            "cannot be printed",
        ),
    ] {
        let output = command.stderr(Stdio::piped()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("no operator was added") && said.contains(is_said), "{said}");
        assert_eq!(listed(data), 0);
    }
    // A pipe whose reader has gone.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = add(data).stdout(writer).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(listed(data), 0);
}

#[test]
fn a_kill_before_the_token_is_printed_leaves_no_operator() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    // A full pipe: the command waits for it when it prints.
    let (_reader, writer) = std::io::pipe().unwrap();
    let mut filling = writer.try_clone().unwrap();
    let flags = rustix::fs::fcntl_getfl(&filling).unwrap();
    rustix::fs::fcntl_setfl(&filling, flags | rustix::fs::OFlags::NONBLOCK).unwrap();
    while filling.write_all(&[0; 4_096]).is_ok() {}
    while filling.write_all(&[0]).is_ok() {}
    rustix::fs::fcntl_setfl(&filling, flags).unwrap();
    let mut child = add(data).stdout(writer).stderr(Stdio::null()).spawn().unwrap();
    let pid = child.id();
    let waits = || {
        let syscall = fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap_or_default();
        // write(2) to standard output, on x86-64 and on ARM.
        syscall.starts_with("1 0x1 ") || syscall.starts_with("64 0x1 ")
    };
    wait_until("the command waits for the pipe", waits);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(listed(data), 0, "an operator whose token nobody saw");
    assert!(run(&mut add(data)).status.success());
}
