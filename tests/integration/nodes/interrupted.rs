//! `cluster init` and `cluster join` are killed before each call to the disk in turn, or the disk is full from that call on. The library
//! `tests/tools/disk_faults.c` sees to that. Afterwards the same command goes on, or says what to do.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
};

use tempfile::TempDir;

use super::trio::{Trio, good, said};
use crate::{
    disk_faults::faults,
    harness::{Server, own_port, run, say},
    shared_log::cluster::Cluster,
};

/// Before it the process is killed.
const KILLED: &str = "1 kill 0";
/// From it on no call has space.
const FULL: &str = "1000000 errno 28";

/// A disk that fails one command after so many calls.
struct Disk {
    control: PathBuf,
    _folder: TempDir,
}

impl Disk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let disk = Self { control: folder.path().join("control"), _folder: folder };
        disk.mend();
        disk
    }

    fn mend(&self) {
        fs::write(&self.control, "").unwrap();
    }

    /// Gives a node this disk.
    fn under(&self, node: &mut Server) {
        let (library, control) = (faults().to_str().unwrap(), self.control.to_str().unwrap());
        node.set_process_env(&[("LD_PRELOAD", library), ("DISK_FAULTS", control)]);
    }

    /// Runs a command that meets a failure after so many calls below `data`. None if it made fewer calls.
    fn fails(
        &self,
        data: &Path,
        calls: usize,
        failure: &str,
        command: impl FnOnce() -> Output,
    ) -> Option<Output> {
        let met = self.control.with_extension("met");
        let _ = fs::remove_file(&met);
        let call = if failure == FULL { "write" } else { "any" };
        fs::write(&self.control, format!("{call} {} {calls} {failure}\n", data.display())).unwrap();
        let output = command();
        self.mend();
        met.exists().then_some(output)
    }
}

/// Has `cluster init` fail after each `stride`th call.
async fn beginnings_fail(stride: usize) {
    let (etcd, disk, folder) =
        (Cluster::start(1, &[]).await, Disk::new(), tempfile::tempdir().unwrap());
    let (engine, operators) =
        (serde_json::json!(etcd.urls()).to_string(), format!("127.0.0.1:{}", own_port()));
    for failure in [KILLED, FULL] {
        for calls in (0..).step_by(stride) {
            let name = format!("{}{calls}", failure.len());
            let prefix = format!("{name}/");
            let settings = [
                ("CLUSTER__ENGINE", &*engine),
                ("CLUSTER__NODE", "a"),
                ("CLUSTER__PREFIX", &prefix),
                ("SERVER__OPERATORS", &operators),
            ];
            let mut node = Server::stopped(&folder.path().join(&name), &settings);
            disk.under(&mut node);
            let init = || run(&mut node.command_for(&["cluster", "init"]));
            let first = disk.fails(&node.data, calls, failure, init);
            let again = init();
            let is_done = said(&again).contains("belongs to a cluster already");
            assert!(again.status.success() || is_done, "{calls} {failure}: {}", said(&again));
            let Some(first) = first else {
                say(&format!("cluster init, {failure}: at most {calls} calls"));
                assert!(is_done && calls > 2 * stride);
                break;
            };
            if failure == FULL && !first.status.success() {
                assert!(said(&first).contains("No space left"), "{}", said(&first));
            }
            let recover = run(&mut node.command_for(&["cluster", "recover"]));
            good(&recover);
            assert!(said(&recover).contains("nothing to do"), "{}", said(&recover));
            if calls % (8 * stride) == 0 {
                node.spawn().await;
                node.sign_up().await;
                assert!(node.stop().await.success());
            }
        }
    }
}

/// Has `cluster join` fail after each `stride`th call.
async fn joins_fail(stride: usize) {
    let (mut trio, disk) = (Trio::begin().await, Disk::new());
    disk.under(&mut trio.nodes[1]);
    for failure in [KILLED, FULL] {
        for calls in (0..).step_by(stride) {
            let data = trio.nodes[1].data.clone();
            let _ = fs::remove_dir_all(&data);
            let token = trio.invite("b");
            let Some(first) = disk.fails(&data, calls, failure, || trio.join(1, &token)) else {
                say(&format!("cluster join, {failure}: at most {calls} calls"));
                assert!(calls > 2 * stride);
                good(&run(&mut trio.nodes[0].command_for(&["cluster", "remove", "b"])));
                break;
            };
            if failure == FULL && !first.status.success() {
                assert!(said(&first).contains("No space left"), "{}", said(&first));
            }
            // Whatever is left of it does not hold the others up.
            trio.nodes[0].sign_up().await;
            join_again(&trio, &token);
            if calls % (4 * stride) == 0 {
                trio.nodes[1].spawn().await;
                let device = trio.nodes[1].sign_up().await;
                assert_eq!(trio.nodes[0].route(&device, "+14155550123").await, "sms");
                assert!(trio.nodes[1].stop().await.success());
            }
            good(&run(&mut trio.nodes[0].command_for(&["cluster", "remove", "b"])));
        }
    }
}

/// Joins with the same command, or does what it says.
fn join_again(trio: &Trio, token: &str) {
    let again = trio.join(1, token);
    let told = said(&again);
    if again.status.success() || told.contains("belongs to a cluster already; start the server") {
        return;
    }
    assert!(
        told.contains("run `dispatchd cluster remove b` there; then invite it again"),
        "{told}"
    );
    good(&run(&mut trio.nodes[0].command_for(&["cluster", "remove", "b"])));
    good(&trio.join(1, &trio.invite("b")));
}

#[tokio::test]
async fn a_beginning_that_was_interrupted_is_finished_by_the_same_command() {
    beginnings_fail(9).await;
}

#[tokio::test]
async fn a_join_that_was_interrupted_succeeds_after_what_it_says() {
    joins_fail(7).await;
}

#[tokio::test]
#[ignore = "takes minutes"]
async fn long_a_beginning_and_a_join_may_be_interrupted_at_every_call() {
    beginnings_fail(1).await;
    joins_fail(1).await;
}
