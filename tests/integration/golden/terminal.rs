//! A terminal of any width, on which commands are run.

use std::{
    fs::File,
    io::{ErrorKind, Read as _},
    process::{Command, Stdio},
};

use rustix::{
    pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt},
    termios::{Winsize, tcsetwinsize},
};

/// What a command printed on a terminal.
pub(super) struct Screen {
    pub(super) text: String,
    /// None if it was killed.
    pub(super) code: Option<i32>,
}

/// Which streams of a command are the terminal. The others are closed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Streams {
    Output,
    Both,
}

/// Runs a command on a terminal that has so many columns, until it exits or has printed enough: then it is killed.
pub(super) fn on_terminal(
    mut command: Command,
    columns: u16,
    streams: Streams,
    mut is_enough: impl FnMut(&str) -> bool,
) -> Screen {
    // Other tests start servers meanwhile, which must not inherit the terminal.
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = openpt(flags).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&master, size).unwrap();
    let screen = File::from(ioctl_tiocgptpeer(&master, flags).unwrap());
    let errors = match streams {
        Streams::Output => Stdio::null(),
        Streams::Both => screen.try_clone().unwrap().into(),
    };
    command.env_remove("COLUMNS").env_remove("LINES");
    command.stdin(Stdio::null()).stdout(screen).stderr(errors);
    let mut child = command.spawn().unwrap();
    // It holds the terminal open.
    drop(command);
    let (mut master, mut bytes, mut part) = (File::from(master), Vec::new(), [0; 4096]);
    let mut killed = false;
    loop {
        match master.read(&mut part) {
            Ok(read @ 1..) => bytes.extend_from_slice(&part[..read]),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            // It fails once nobody has the terminal open.
            Ok(0) | Err(_) => break,
        }
        if !killed && is_enough(&text(&bytes)) {
            child.kill().unwrap();
            killed = true;
        }
    }
    let code = child.wait().unwrap().code();
    // What it wrote last may come after the failure.
    while let Ok(read @ 1..) = master.read(&mut part) {
        bytes.extend_from_slice(&part[..read]);
    }
    Screen { text: text(&bytes), code }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace("\r\n", "\n")
}
