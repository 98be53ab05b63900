//! Registers handles with the server, and prepares the requests of the devices.

use std::{
    fs::File,
    io::{BufWriter, Write as _},
    net::SocketAddr,
    path::Path,
};

use anyhow::{Context as _, ensure};
use dispatchd::{
    clock::{Clock as _, SystemClock},
    handle::Handle,
};
use serde::Deserialize;

use crate::{
    Amounts,
    population::{Population, Random},
    serving::{Connection, dispatchd},
};

const REGISTERED: u64 = 5_000;
/// One request in this many asks for an unknown handle.
const UNKNOWN_EACH: u64 = 4;

/// Imports the handles that are asked for most. Returns those that were imported.
pub(crate) fn register(amounts: &Amounts) -> anyhow::Result<Vec<Handle>> {
    let population = Population::new(amounts.seed, amounts.per_hour());
    let handles = (0..population.handles.min(REGISTERED)).map(|rank| population.handle(rank));
    // The plans also give numbers that are not valid.
    let handles: Vec<_> =
        handles.filter(|handle| Handle::parse(&handle.canonical(), None).is_ok()).collect();
    ensure!(handles.len() >= 100, "too few handles to register");
    let file = amounts.folder.join("registered.csv");
    let mut out = BufWriter::new(File::create(&file)?);
    let now = SystemClock.now().to_string();
    let now = now.get(..19).context("a short instant")?;
    writeln!(out, "handle,account,device,platform,last_check_in_at,proved_at")?;
    for (number, handle) in handles.iter().enumerate() {
        let handle = handle.canonical();
        writeln!(out, "{handle},customer-{number},device-{number},ios,{now}Z,{now}Z")?;
    }
    out.into_inner()?;
    import(&file, &amounts.data())?;
    Ok(handles)
}

fn import(file: &Path, data: &Path) -> anyhow::Result<()> {
    let output = dispatchd(&["registry", "import"]).arg(file).arg("--data").arg(data).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the import ended with {}: {said}", output.status);
    Ok(())
}

/// Signs a device up and prepares its requests.
pub(crate) fn requests(
    phones: SocketAddr,
    handles: &[Handle],
    number: u64,
) -> anyhow::Result<Vec<Vec<u8>>> {
    #[derive(Deserialize)]
    struct SignedUp {
        token: String,
    }
    let body = r#"{"platform":"ios"}"#;
    let request = format!(
        "POST /v1/devices HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut connection = Connection::open(phones)?;
    let SignedUp { token } = serde_json::from_slice(connection.ask(request.as_bytes())?)?;
    let mut random = Random(number);
    let request = |_| {
        let handle = if random.below(UNKNOWN_EACH) == 0 {
            format!("nobody{}@post.example.com", random.next())
        } else {
            let place = random.below(handles.len() as u64) as usize;
            handles[place].canonical().replace('+', "%2B")
        };
        format!("GET /v1/lookup/{handle} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n")
            .into_bytes()
    };
    Ok((0..8_192).map(request).collect())
}
