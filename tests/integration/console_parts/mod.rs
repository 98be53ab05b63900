//! The parts of the operators' console that need no browser: counts over time, days of the log, rules, command lines.
//! `parts.mjs` tests them in Node.js.

use crate::{harness::run, python::node_tool, repository::file};

#[test]
fn the_parts_of_the_console_that_need_no_browser_work() {
    let script = file("tests/integration/console_parts/parts.mjs");
    let output = run(node_tool("node").arg(script));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
