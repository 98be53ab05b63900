//! The help of every command.

use super::{
    NARROW, WIDE, command, is_kept,
    terminal::{Streams, on_terminal},
};
use crate::explained::commands;

#[test]
fn the_help_of_every_command_is_kept() {
    let whole = dispatchd::cli::command();
    for (columns, name) in [(NARROW, "help.80"), (WIDE, "help.wide")] {
        let mut all = String::new();
        for (mut words, _) in commands(Vec::new(), &whole) {
            words.push("--help");
            let words = words.join(" ");
            let screen = on_terminal(command(&words), columns, Streams::Both, |_| false);
            assert_eq!(screen.code, Some(0), "{words}: {}", screen.text);
            all.push_str(&format!("$ dispatchd {words}\n{}\n", screen.text));
        }
        assert!(all.contains("$ dispatchd log prove-forgotten --help"), "{all}");
        is_kept(name, &all);
    }
}
