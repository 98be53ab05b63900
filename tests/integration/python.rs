//! A Python with the packages of `tests/tools/requirements.txt`, installed on first use.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

/// The path of the interpreter.
pub(crate) fn python() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tools/python");
        let output = Command::new(script).stdin(Stdio::null()).output();
        let output = output.expect("tests/tools/python needs bash");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "the Python tools of the tests cannot be installed. They need python3 with venv (Debian: python3-venv) and, \
             the first time, PyPI; `tests/run` sees to that:\n{told}"
        );
        PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
    })
}
