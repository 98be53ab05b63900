//! Files of the repository, and the Debian programs that tests run beside the server.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use crate::harness::run;

pub(crate) const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The path of a file of the repository.
pub(crate) fn file(name: &str) -> PathBuf {
    Path::new(ROOT).join(name)
}

/// The text of a file of the repository.
pub(crate) fn text(name: &str) -> String {
    fs::read_to_string(file(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The folder of the Debian packages in `tests/tools/debian/packages`, which are unpacked on first use.
pub(crate) fn debian_folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let output = run(&mut Command::new(file("tests/tools/debian/unpack")));
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "tests/tools/debian/unpack needs a Debian system with lists of packages; `tests/run` sees to that:\n{told}"
        );
        PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
    })
}

/// A program of those packages, such as `usr/bin/promtool`, with their libraries.
pub(crate) fn debian_program(path: &str) -> Command {
    let mut program = Command::new(debian_folder().join(path));
    // Debian keeps them in a folder for each kind of machine.
    let folders = fs::read_dir(debian_folder().join("usr/lib")).unwrap();
    let mut folders = folders.map(|folder| folder.unwrap().path());
    let libraries = folders.find(|folder| folder.to_str().unwrap().contains("-linux-gnu"));
    program.env("LD_LIBRARY_PATH", libraries.expect("the packages hold libraries"));
    program
}
