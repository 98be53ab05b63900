//! The parts of the operators' console that need no browser: counts over time, days of the log, rules, command lines, colours of a
//! handle. Each script of this directory tests some of them in Node.js.

use crate::{harness::run, python::node_tool, repository::file};

const SCRIPTS: [&str; 2] = ["parts.mjs", "why.mjs"];

#[test]
fn the_parts_of_the_console_that_need_no_browser_work() {
    for script in SCRIPTS {
        let script = file(&format!("tests/integration/console_parts/{script}"));
        let output = run(node_tool("node").arg(script));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
}
