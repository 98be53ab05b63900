//! Has the program run again in namespaces of its own: network, mounts and processes. Whatever it makes there is gone when it ends, also
//! if it is killed: links, addresses, file systems, engines and nodes.

use std::{
    os::unix::process::CommandExt as _,
    process::{Command, Stdio},
};

use anyhow::bail;

/// Says that this is the inner run.
const INSIDE: &str = "DISPATCHD_CLUSTER_INSIDE";
/// Of `unshare`: what is separated, for root and for everybody else.
const AS_ROOT: &[&str] = &["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"];
const AS_USER: &[&str] = &["--user", "--map-root-user"];
/// Network namespaces get names in `/run/netns`. This is a folder of their own.
const PREPARE: &str = "mount -t tmpfs none /run && mkdir /run/netns && ip link set lo up";

/// Where this run happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Isolation {
    /// In namespaces of its own, with a link for each machine.
    Namespaces,
    /// On loopback: links cannot be cut.
    Loopback,
}

fn unshare(words: &[&str]) -> Command {
    let mut command = Command::new("unshare");
    command.args(words).args(["sh", "-c"]);
    command
}

/// Runs the program again within namespaces, and does not return then. Returns where this run happens, if it is the inner one or
/// namespaces cannot be had.
pub(crate) fn enter(wants_loopback: bool) -> anyhow::Result<Isolation> {
    if std::env::var_os(INSIDE).is_some() {
        return Ok(Isolation::Namespaces);
    }
    if wants_loopback {
        return Ok(Isolation::Loopback);
    }
    for words in [AS_ROOT.to_vec(), [AS_USER, AS_ROOT].concat()] {
        let probe = format!("{PREPARE} && ip netns add probe && ip link add probe type bridge");
        let mut command = unshare(&words);
        command.arg(probe).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if !command.status().is_ok_and(|status| status.success()) {
            continue;
        }
        let this = std::env::current_exe()?;
        let mut command = unshare(&words);
        command.arg(format!("{PREPARE} && exec \"$0\" \"$@\"")).arg(this);
        let error = command.args(std::env::args_os().skip(1)).env(INSIDE, "1").exec();
        bail!("running again in namespaces: {error}");
    }
    Ok(Isolation::Loopback)
}
