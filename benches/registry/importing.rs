//! Measures lookups before and during an import into the same server.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use dispatchd::clock::{Clock as _, SystemClock};

use crate::{
    population::{self, Shape},
    serving::{Server, dispatchd},
};

const P50_LIMIT: f64 = 1.5;
/// How many handles the lookups ask for. All belong to the tenth of the accounts that the server has before the
/// import.
const ASKED: usize = 100_000;
const BEFORE: Duration = Duration::from_secs(5);
/// A phone pauses between two lookups. A client without pauses would measure competition for the processor.
const PAUSE: Duration = Duration::from_micros(500);

/// Prints the latencies before and during an import.
pub(crate) fn measure(dir: &Path, handles: u64, seed: u64) -> anyhow::Result<()> {
    let (base, all, data) = (dir.join("base.csv"), dir.join("all.csv"), dir.join("data"));
    let now = SystemClock.now();
    population::write(&base, Shape::Shared, handles / 10, seed, now)?;
    // The same seed gives the accounts of the base file again, and more after them.
    let written = population::write(&all, Shape::Shared, handles, seed, now)?;
    crate::import(&base, &data)?;
    let asked = asked(&base)?;
    let operator = dispatchd(&["operator", "add", "bench", "--role", "admin", "--data"])
        .arg(&data)
        .output()?;
    ensure!(operator.status.success(), "no operator token");
    let operator = String::from_utf8(operator.stdout)?;

    let server = Server::start(&data)?;
    let token = sign_up(server.phones())?;
    let is_over = AtomicBool::new(false);
    let (before, during, seconds) = thread::scope(|scope| -> anyhow::Result<_> {
        let before = scope.spawn(|| look_up(server.phones(), &token, &asked, &is_over));
        thread::sleep(BEFORE);
        is_over.store(true, Ordering::Relaxed);
        let before = before.join().expect("it does not panic")?;
        is_over.store(false, Ordering::Relaxed);
        let during = scope.spawn(|| look_up(server.phones(), &token, &asked, &is_over));
        let start = Instant::now();
        let imported = dispatchd(&["registry", "import"])
            .arg(&all)
            .args(["--server", &format!("http://{}", server.addresses.operators)])
            .env("DISPATCHD_TOKEN", operator.trim())
            .output();
        let seconds = start.elapsed().as_secs_f64();
        is_over.store(true, Ordering::Relaxed);
        let during = during.join().expect("it does not panic")?;
        let imported = imported?;
        let said = String::from_utf8_lossy(&imported.stderr).into_owned();
        ensure!(imported.status.success(), "the import ended with {}: {said}", imported.status);
        Ok((before, during, seconds))
    })?;
    server.stop()?;
    println!("import into a running server: {} rows in {seconds:.1} s", written.rows);
    let ratio = during.at(0.5) / before.at(0.5);
    println!("  lookups before: {before}");
    println!("  during it:      {during}");
    println!("  p50 {ratio:.2} times (limit {P50_LIMIT})");
    fs::remove_dir_all(data)?;
    Ok(())
}

/// Latencies in microseconds, sorted in ascending order.
struct Latencies(Vec<f64>);

impl Latencies {
    fn at(&self, share: f64) -> f64 {
        let place = (self.0.len() as f64 * share) as usize;
        self.0.get(place.min(self.0.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
    }
}

impl std::fmt::Display for Latencies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [p50, p90, p99, max] = [0.5, 0.9, 0.99, 1.0].map(|share| self.at(share));
        let n = self.0.len();
        write!(f, "{n} answers, p50 {p50:.0} µs, p90 {p90:.0} µs, p99 {p99:.0} µs, max {max:.0} µs")
    }
}

/// Picks handles at regular intervals from the file.
fn asked(file: &Path) -> anyhow::Result<Vec<String>> {
    let lines: Vec<_> =
        BufReader::new(fs::File::open(file)?).lines().skip(1).collect::<Result<_, _>>()?;
    let step = (lines.len() / ASKED).max(1);
    let handle = |line: &String| line.split(',').next().map(str::to_owned);
    Ok(lines.iter().step_by(step).filter_map(handle).collect())
}

fn look_up(
    phones: SocketAddr,
    token: &str,
    asked: &[String],
    is_over: &AtomicBool,
) -> anyhow::Result<Latencies> {
    let mut connection = TcpStream::connect(phones)?;
    connection.set_nodelay(true)?;
    let (mut taken, mut blue) = (Vec::new(), 0);
    for place in (0..).map(|turn: usize| turn.wrapping_mul(7_919) % asked.len()) {
        if is_over.load(Ordering::Relaxed) {
            break;
        }
        thread::sleep(PAUSE);
        let body = format!("{{\"handles\":[\"{}\"]}}", asked[place]);
        let start = Instant::now();
        let answer = ask(&mut connection, "/v1/lookup", Some(token), &body)?;
        taken.push(start.elapsed().as_secs_f64() * 1e6);
        // The leases of a few devices have lapsed, so a few answers are green.
        blue += usize::from(answer.contains("\"imessage\""));
    }
    ensure!(taken.len() / 10 * 9 <= blue, "registered handles were not found: {blue} blue answers");
    taken.sort_by(f64::total_cmp);
    Ok(Latencies(taken))
}

fn sign_up(phones: SocketAddr) -> anyhow::Result<String> {
    let mut connection = TcpStream::connect(phones)?;
    let answer = ask(&mut connection, "/v1/devices", None, "{\"platform\":\"ios\"}")?;
    let answer: serde_json::Value = serde_json::from_str(&answer)?;
    Ok(answer["token"].as_str().context("no token")?.to_owned())
}

/// Sends one POST on a keep-alive connection. Returns the body of the answer.
fn ask(
    connection: &mut TcpStream,
    path: &str,
    token: Option<&str>,
    body: &str,
) -> anyhow::Result<String> {
    let authorization =
        token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
    let length = body.len();
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: bench\r\n{authorization}content-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    );
    connection.write_all(request.as_bytes())?;
    let (mut text, mut buffer) = (Vec::new(), [0; 8 * 1024]);
    loop {
        let read = connection.read(&mut buffer)?;
        ensure!(read > 0, "the server hung up");
        text.extend_from_slice(&buffer[..read]);
        let all = std::str::from_utf8(&text)?;
        let Some((head, body)) = all.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>())
        });
        if body.len() >= length.context("no content-length")?? {
            return Ok(body.to_owned());
        }
    }
}
