//! Tools of other ecosystems: Python packages (`tests/tools/requirements.txt`) and Node.js packages (`tests/tools/node`). Each
//! kind is installed on first use.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

/// The path of the Python interpreter.
pub(crate) fn python() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| {
        installed("python", "python3 with venv (Debian: python3-venv) and, the first time, PyPI")
    })
}

/// A program of the Python packages, with Node.js on its path.
pub(crate) fn python_tool(name: &str) -> Command {
    with_path(&bin().join(name))
}

/// The folder of the Node.js packages. Modules in folders below it find them.
pub(crate) fn node_packages() -> &'static Path {
    static NODE: OnceLock<PathBuf> = OnceLock::new();
    NODE.get_or_init(|| {
        installed("node/install", "python3 with venv and, the first time, PyPI and npm")
    })
}

/// Node.js, or a program of its packages.
pub(crate) fn node_tool(name: &str) -> Command {
    match name {
        "node" => with_path(&bin().join(name)),
        _ => with_path(&node_packages().join("node_modules/.bin").join(name)),
    }
}

fn bin() -> &'static Path {
    python().parent().unwrap()
}

fn with_path(program: &Path) -> Command {
    let others = std::env::var_os("PATH").unwrap_or_default();
    let path =
        std::env::join_paths([bin().to_owned()].into_iter().chain(std::env::split_paths(&others)));
    let mut command = Command::new(program);
    command.env("PATH", path.unwrap()).stdin(Stdio::null());
    command
}

/// What a script below `tests/tools` prints: the path of what it installed.
fn installed(script: &str, needs: &str) -> PathBuf {
    let path = format!("{}/tests/tools/{script}", env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(path).stdin(Stdio::null()).output();
    let output = output.expect("the scripts below tests/tools need bash");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "tests/tools/{script} cannot install the tools of the tests. It needs {needs}; `tests/run` sees to that:\n{told}"
    );
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
}
