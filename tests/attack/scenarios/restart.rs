//! Somebody uses up what is limited, waits a little over a second, and the server is killed: what is allowed again?

use std::{net::IpAddr, path::Path, thread, time::Duration};

use crate::{
    api::{Api, Phone},
    numbers,
    program::Program,
    run::Run,
    table::Row,
};

const ATTACK: &str = "restart";
/// What is older than a second must survive.
const WAIT: Duration = Duration::from_millis(1_100);
const BATCH: u64 = 50;
/// Wrong codes before the kill. Afterwards one more attempt is left after the next wrong one.
const WRONG: u64 = 3;
/// New handles that an account regains while the scenario runs, at most.
const REGAINED: u64 = 5;

/// Kills the server some times and tries each limit again.
pub(super) fn play(run: &Run) -> anyhow::Result<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    run.block_on(async {
        let mut forgiven = Forgiven::default();
        for round in 0..run.of(1, 20) {
            forgiven.add(&kill_once(&data, round).await?);
        }
        let row = |figure: &str, count| {
            Row::at_most(ATTACK, format!("forgiven by kill -9: {figure}"), count, 0)
        };
        Ok(vec![
            row("new handles of an account", forgiven.handles),
            row("codes to a person", forgiven.codes),
            row("wrong attempts of a session", forgiven.attempts),
            Row::at_most(ATTACK, "lost by kill -9: sessions and link codes", forgiven.lost, 0),
        ])
    })
}

/// What became possible again although it had been used up, and what was lost.
#[derive(Default)]
struct Forgiven {
    handles: u64,
    codes: u64,
    attempts: u64,
    lost: u64,
}

impl Forgiven {
    fn add(&mut self, other: &Self) {
        self.handles += other.handles;
        self.codes += other.codes;
        self.attempts += other.attempts;
        self.lost += other.lost;
    }
}

/// Uses everything up, kills the server, and tries again.
async fn kill_once(data: &Path, round: u64) -> anyhow::Result<Forgiven> {
    let server = Program::start(data)?;
    let api = &server.api;
    let asker = api.sign_up(numbers::ipv4(10 * round)).await?;
    ask_all(api, &asker, 0).await?;
    let person = numbers::number(8_000 + round, 1);
    send_all(api, &person, 0).await?;
    // A number of its own: one person gets few codes a day.
    let claimed = api.claim(&asker, &numbers::number(9_000 + round, 2)).await?;
    let session = claimed.verification().to_owned();
    let code = api.code(&session)?;
    let wrong = wrong_code(&code);
    for _ in 0..WRONG {
        api.confirm(&session, &wrong, asker.ip).await?;
    }
    let link = api.link_code(&asker).await?;
    thread::sleep(WAIT);
    server.kill()?;

    let server = Program::start(data)?;
    let api = &server.api;
    let mut forgiven = Forgiven {
        handles: ask_all(api, &asker, 100_000).await?.saturating_sub(REGAINED),
        codes: send_all(api, &person, 1_000).await?,
        ..Forgiven::default()
    };
    let again = api.confirm(&session, &wrong, asker.ip).await?;
    // A session that is lost gives way to another one with all attempts.
    match again.body["attempts_left"].as_u64() {
        Some(left) => forgiven.attempts = left.saturating_sub(1),
        None => (forgiven.attempts, forgiven.lost) = (WRONG, 1),
    }
    forgiven.lost += u64::from(api.confirm(&session, &code, asker.ip).await?.status != 200);
    forgiven.lost += u64::from(api.link(&link, asker.ip).await.is_err());
    server.kill()?;
    Ok(forgiven)
}

/// Asks for new handles until they are refused. Returns how many were answered.
async fn ask_all(api: &Api, phone: &Phone, from: u64) -> anyhow::Result<u64> {
    let (mut answered, mut size) = (0, BATCH);
    while size > 0 {
        let places = from + answered..from + answered + size;
        let batch: Vec<_> = places.map(|at| numbers::number(at / 100, at)).collect();
        match api.lookup(phone, &batch).await?.status {
            200 => answered += size,
            _ => size /= 2,
        }
    }
    Ok(answered)
}

/// Asks for codes to a person from some networks. Returns how many were sent.
async fn send_all(api: &Api, person: &str, from: u64) -> anyhow::Result<u64> {
    let network = |at| -> IpAddr { numbers::ipv4(5_000 + from + at) };
    let before = api.messages()?.len();
    for at in 0..20 {
        api.deregister(person, network(at)).await?;
    }
    Ok((api.messages()?.len() - before) as u64)
}

/// Six digits that are not the code.
fn wrong_code(code: &str) -> String {
    let first = if code.starts_with('1') { '2' } else { '1' };
    format!("{first}{}", code.get(1..).unwrap_or_default())
}
