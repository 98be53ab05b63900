//! A server that copies its log into an object store, compared with one that does not (`-- --copies`).
//!
//! Both run on one processor and are asked in turn. The store is a directory, or what `DISPATCHD_LOG__STORE__URL` and its siblings
//! name. A copy is made every five seconds, also while the other server is asked. So the bar is about the processor time of all
//! threads from the first lookup until everything is copied, for each lookup. The work of the store itself is not in it.
//!
//! With `BENCH_NULL=1` neither has a store: that shows by how much two equal servers differ here.

use std::{env, ffi::OsString, fs, process::Command, thread, time::Duration};

use anyhow::ensure;

use crate::{
    Amounts,
    pair::{self, Pair},
    population,
    process::{Server, keep_off_servers},
    report,
};

/// How long the servers run after the last lookup: longer than the pause between two copies.
const AFTERWARDS: Duration = Duration::from_secs(12);

/// Registers the handles, measures, checks the logs and prints the report.
pub(crate) fn run(amounts: &Amounts) -> anyhow::Result<()> {
    let folder = tempfile::tempdir_in(&amounts.dir)?;
    let [alone, copied] = ["alone", "copied"].map(|name| folder.path().join(name));
    println!("registering {} handles", amounts.handles);
    let population = population::register(&alone, amounts.handles)?;
    let done = Command::new("cp").arg("-r").args([&alone, &copied]).status()?;
    ensure!(done.success(), "the data directory could not be copied");
    let before = population::logged_lookups(&alone)?;
    let store = folder.path().join("store");
    fs::create_dir(&store)?;
    keep_off_servers(amounts)?;

    let without = Server::dispatchd(&alone, "os", false, None, amounts)?;
    let mut url = OsString::from("file://");
    url.push(&store);
    let mut settings = vec![("LOG__STORE__URL", url)];
    for name in [
        "LOG__STORE__URL",
        "LOG__STORE__ENDPOINT",
        "LOG__STORE__REGION",
        "LOG__STORE__CREDENTIALS_FILE",
    ] {
        settings.extend(env::var_os(format!("DISPATCHD_{name}")).map(|value| (name, value)));
    }
    let is_null = env::var_os("BENCH_NULL").is_some();
    if is_null {
        println!("neither has a store");
        settings.clear();
    }
    let with = Server::dispatchd_with(&copied, "os", false, settings, amounts)?;
    let servers = [&without, &with];
    let begun = [without.cpu_time()?, with.cpu_time()?];
    let measured = Pair::measure(amounts, servers, &pair::lookups(amounts, &population))?;
    thread::sleep(AFTERWARDS);
    let mut of_lookup = [0.0; 2];
    for (at, server) in servers.into_iter().enumerate() {
        let ran = server.cpu_time()?.ran - begun[at].ran;
        of_lookup[at] = ran.as_secs_f64() * 1e6 / measured.answers[at] as f64;
    }
    without.stop()?;
    with.stop()?;
    report::print_copies(amounts, &measured.series, of_lookup);
    for (path, answered) in [&alone, &copied].into_iter().zip(measured.answers) {
        let logged = population::logged_lookups(path)? - before;
        ensure!(answered == logged, "{answered} lookups were answered, {logged} are in the log");
    }
    if !is_null && env::var_os("DISPATCHD_LOG__STORE__URL").is_none() {
        let du = Command::new("du").args(["-sk"]).arg(&store).output()?;
        let kib = String::from_utf8(du.stdout)?;
        println!("KiB in the store: {}", kib.split_whitespace().next().unwrap_or_default());
    }
    fs::remove_dir_all(folder.path())?;
    Ok(())
}
