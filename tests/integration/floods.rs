//! Strangers ask as much as they can: the disk grows by no more than the limits allow, and phones are answered.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv6Addr, TcpStream},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use dispatchd::{
    clock::{Clock as _, ManualClock, SystemClock},
    config::Config,
    server,
};
use serde_json::{Value, json};

use crate::harness::{PATIENCE, Server, say};

const STRANGERS: &str = "203.0.113.7";
const ELSEWHERE: &str = "198.51.100.9";
/// Requests that a connection sends before it reads their answers.
const PIPELINED: usize = 32;
const GB: f64 = 1e9;

/// A connection of a proxy that the server trusts: each request names its client's address.
struct Proxy(BufReader<TcpStream>);

struct Answer {
    status: u16,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

impl Proxy {
    fn to(url: &str) -> Self {
        let stream = TcpStream::connect(url.trim_start_matches("http://")).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(BufReader::new(stream))
    }

    /// Sends all requests at once and reads their answers.
    fn ask_all(&mut self, requests: &[String]) -> Vec<Answer> {
        self.0.get_mut().write_all(requests.concat().as_bytes()).unwrap();
        requests.iter().map(|_| self.answer()).collect()
    }

    fn ask(&mut self, request: String) -> Answer {
        self.ask_all(&[request]).remove(0)
    }

    fn answer(&mut self) -> Answer {
        let (mut status, mut length) = (0, 0);
        for number in 0.. {
            let mut line = String::new();
            self.0.read_line(&mut line).unwrap();
            let line = line.trim_end();
            if number == 0 {
                status = line.split(' ').nth(1).expect("a status line").parse().unwrap();
            } else if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.parse().unwrap();
            } else if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).unwrap();
        Answer { status, body }
    }
}

/// A call of a phone at `ip`.
fn call(ip: impl std::fmt::Display, token: &str, method: &str, path: &str, body: &Value) -> String {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nhost: test\r\nx-forwarded-for: {ip}\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

fn lookup(ip: impl std::fmt::Display, token: &str, handle: &str) -> String {
    call(ip, token, "GET", &format!("/v1/lookup/{handle}"), &Value::Null)
}

fn batch(ip: &str, token: &str, handles: &[String]) -> String {
    call(ip, token, "POST", "/v1/lookup", &json!({"handles": handles}))
}

/// A request without a token, from another /48 for each `n` below 200,000.
fn tokenless(n: u64) -> String {
    let network = 0x2001_0db8_0000 + n % 200_000;
    lookup(Ipv6Addr::from_bits(u128::from(network) << 80 | 1), "none", "+14155550123")
}

/// The tokens of new accounts of one address.
fn sign_up(url: &str, ip: &str, count: usize) -> Vec<String> {
    let request = || call(ip, "", "POST", "/v1/devices", &json!({"platform": "ios"}));
    let some = |count: usize| {
        let mut proxy = Proxy::to(url);
        let requests: Vec<_> = std::iter::repeat_with(request).take(count).collect();
        let answers = requests.chunks(PIPELINED).flat_map(|some| proxy.ask_all(some));
        let token = |answer: Answer| answer.json()["token"].as_str().expect("a token").to_owned();
        answers.map(token).collect::<Vec<_>>()
    };
    // The registry commits what waits at once, so many connections are faster.
    thread::scope(|scope| {
        let parts = [count / 4; 3].into_iter().chain([count - count / 4 * 3]);
        let parts: Vec<_> = parts.map(|part| scope.spawn(move || some(part))).collect();
        parts.into_iter().flat_map(|part| part.join().unwrap()).collect()
    })
}

/// The bytes of all files below `folder`. A file that vanishes meanwhile does not count.
fn bytes_of(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).unwrap().flatten();
    let bytes = |entry: fs::DirEntry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => bytes_of(&entry.path()),
        Ok(meta) => meta.len(),
        Err(_) => 0,
    };
    entries.map(bytes).sum()
}

/// A server in this process, with quotas, behind a proxy, on a clock that stands still.
async fn start(
    folder: &Path,
    change: impl FnOnce(&mut Config),
) -> (server::Server, Server, Config) {
    let mut config = Config::default();
    config.server.data = folder.join("data");
    config.server.threads = 2;
    config.server.phones.set_port(0);
    config.server.operators.set_port(0);
    config.server.shed_after = Duration::ZERO;
    config.server.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    change(&mut config);
    let running = server::Server::start(&config, ManualClock::at(SystemClock.now())).await.unwrap();
    let server = Server::within(&config.server.data, running.addresses());
    (running, server, config)
}

/// What the log counts of refusals, by reason.
fn counted(records: &[Value]) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for record in records.iter().filter(|record| record["kind"] == "refusals") {
        let reason = record["reason"].as_str().unwrap().to_owned();
        *counts.entry(reason).or_default() += record["count"].as_u64().unwrap();
    }
    counts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_address_with_600_accounts_writes_no_more_than_its_share() {
    const ACCOUNTS: usize = 600;
    const BATCH: usize = 200;
    let folder = tempfile::tempdir().unwrap();
    let (running, server, config) = start(folder.path(), |_| ()).await;
    let token = server.operator_token("reader", "reader");
    let tokens = sign_up(&server.phones, STRANGERS, ACCOUNTS);
    let honest = sign_up(&server.phones, ELSEWHERE, 1).remove(0);
    let before = bytes_of(&server.data.join("log"));
    let mut proxy = Proxy::to(&server.phones);
    // Repeats: each account asks for one handle again and again.
    let mut answered = 0;
    let handles = vec!["+14155550123".to_owned(); BATCH];
    for token in &tokens {
        let answer = proxy.ask(batch(STRANGERS, token, &handles));
        match answer.status {
            200 => answered += BATCH,
            429 => assert_eq!(answer.json()["limit"], "network-lookups"),
            _ => panic!("{}: {}", answer.status, answer.json()),
        }
    }
    let grown = bytes_of(&server.data.join("log")) - before;
    let most = config.quota.network_lookups_per_minute as usize;
    assert!((most * 9 / 10..=most).contains(&answered), "{answered} of {most}");
    for ip in [STRANGERS, ELSEWHERE] {
        for number in 0..10 {
            let asked = proxy.ask(lookup(ip, &honest, &format!("+1415555020{number}")));
            assert_eq!(asked.status, 200, "{}", asked.json());
        }
    }
    running.tick_refusals().await;
    let records = server.records(&token, &format!("kind=lookup&ip={STRANGERS}")).await;
    let is_answered = |record: &&Value| record["status"] == 200;
    assert_eq!(records.iter().filter(is_answered).count(), answered + 10);
    let refused = records.len() - answered - 10;
    assert_eq!(refused, 6_000, "the refusals of one network are recorded up to their limit");
    let counts = counted(&server.records(&token, "kind=refusals").await);
    let unrecorded = (ACCOUNTS * BATCH - answered - refused) as u64;
    assert_eq!(counts, BTreeMap::from([("rate-limited".to_owned(), unrecorded)]));

    // What an hour at all limits together takes, with the bytes that a record took here.
    let record_bytes = grown as f64 / (answered + refused) as f64;
    let quota = &config.quota;
    let records = quota.unproven_lookups_per_minute + quota.refusals_recorded_per_minute;
    // Half of a day's codes may be asked for at once. Each is a line of the outbox, and rows of its session and counters.
    let (sign_ups, codes) = (quota.all_sign_ups_per_hour, config.ownership.codes_per_day);
    let hour = f64::from(records) * 60.0 * record_bytes
        + f64::from(sign_ups) * 512.0
        + f64::from(codes) * (180.0 + 1_200.0);
    say(&format!("{record_bytes:.0} bytes a record, at most {:.2} GB an hour", hour / GB));
    assert!(hour < GB, "{hour} bytes an hour");
    assert!(running.stop().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_lookups_from_many_networks_are_counted_in_one_record() {
    let folder = tempfile::tempdir().unwrap();
    let (running, server, config) =
        start(folder.path(), |config| config.quota.refusals_recorded_per_minute = 1_000).await;
    let token = server.operator_token("reader", "reader");
    let honest = sign_up(&server.phones, ELSEWHERE, 1).remove(0);
    let mut proxy = Proxy::to(&server.phones);
    let requests: Vec<_> = (0..5_000).map(tokenless).collect();
    for some in requests.chunks(PIPELINED) {
        assert!(proxy.ask_all(some).iter().all(|answer| answer.status == 401));
        assert_eq!(proxy.ask(lookup(ELSEWHERE, &honest, "+14155550123")).status, 200);
    }
    running.tick_refusals().await;
    let refused = server.records(&token, "reason=token-invalid&kind=lookup").await;
    assert_eq!(refused.len(), 1_000);
    let answered = server.records(&token, "route=sms").await;
    assert_eq!(answered.len(), requests.len().div_ceil(PIPELINED));
    let counts = server.records(&token, "kind=refusals").await;
    let [count] = &counts[..] else { panic!("{counts:?}") };
    let fields = ["kind", "reason", "status", "count"].map(|field| &count[field]);
    assert_eq!(fields, [&json!("refusals"), &json!("token-invalid"), &json!(401), &json!(4_000)]);
    let metrics = server.scrape().send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    for line in [
        "dispatchd_lookups_total{route=\"refused\",reason=\"token-invalid\"} 5000",
        "dispatchd_lookups_unrecorded_total{reason=\"token-invalid\"} 4000",
        "dispatchd_refusals_total{limit=\"network-lookups\"} 0",
        "dispatchd_refusals_total{limit=\"sessions\"} 0",
        "dispatchd_verification_sessions{purpose=\"deregister\"} 0",
    ] {
        assert!(metrics.lines().any(|is| is == line), "the metrics lack {line}:\n{metrics}");
    }

    // A stop writes what was counted since the last minute.
    proxy.ask_all(&requests[..7]);
    drop(proxy);
    assert!(running.stop().await);
    let running = server::Server::start(&config, ManualClock::at(SystemClock.now())).await.unwrap();
    let server = Server::within(&config.server.data, running.addresses());
    let counts = counted(&server.records(&token, "").await);
    assert_eq!(counts, BTreeMap::from([("token-invalid".to_owned(), 4_007)]));
    assert!(running.stop().await);
}

/// How long the long tests flood; `FLOOD_SECONDS` changes it.
fn flood_span() -> Duration {
    let seconds = std::env::var("FLOOD_SECONDS").map_or(600, |text| text.parse().unwrap());
    Duration::from_secs(seconds)
}

/// A flood against the real binary, with what honest phones notice of it.
struct Flood {
    server: Server,
    stop: Arc<AtomicBool>,
    /// Answers of the flood by status.
    answers: Arc<[AtomicU64; 600]>,
    phones: Vec<thread::JoinHandle<Honest>>,
}

/// What an honest phone noticed.
#[derive(Debug)]
struct Honest {
    ip: String,
    statuses: BTreeMap<u16, u64>,
    took: Vec<Duration>,
}

impl Flood {
    async fn start() -> Self {
        let env = [("QUOTA__ENABLED", "true"), ("SERVER__TRUSTED_PROXIES", "[\"127.0.0.1/32\"]")];
        let server = Server::start_with(&env).await;
        let answers = Arc::new([const { AtomicU64::new(0) }; 600]);
        Self { server, stop: Arc::default(), answers, phones: Vec::new() }
    }

    /// Adds a phone at `ip` that asks once in each `pause`, for 100 handles in turn. Its account holds no handle.
    fn add_phone(&mut self, ip: &str, pause: Duration) {
        let token = sign_up(&self.server.phones, ip, 1).remove(0);
        self.add_phone_with(token, ip, pause);
    }

    fn add_phone_with(&mut self, token: String, ip: &str, pause: Duration) {
        let (ip, stop, url) = (ip.to_owned(), Arc::clone(&self.stop), self.server.phones.clone());
        self.phones.push(thread::spawn(move || {
            let mut proxy = Proxy::to(&url);
            let mut honest = Honest { ip, statuses: BTreeMap::new(), took: Vec::new() };
            for number in 0.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let asked = Instant::now();
                let handle = format!("+141555503{:02}", number % 100);
                let status = proxy.ask(lookup(&honest.ip, &token, &handle)).status;
                *honest.statuses.entry(status).or_default() += 1;
                honest.took.push(asked.elapsed());
                thread::sleep(pause);
            }
            honest
        }));
    }

    /// Sends the requests of one round after another, on four connections, for as long as the flood lasts. Then says what the
    /// data directory grew by and what the phones noticed.
    fn run(self, title: &str, requests: impl Fn(u64) -> Vec<String> + Sync) {
        let Self { server, stop, answers, phones } = self;
        let (span, before) = (flood_span(), bytes_of(&server.data));
        let url = &server.phones;
        let rounds = AtomicU64::new(0);
        let flooder = || {
            let mut proxy = Proxy::to(url);
            while !stop.load(Ordering::Relaxed) {
                let round = rounds.fetch_add(1, Ordering::Relaxed);
                for answer in proxy.ask_all(&requests(round)) {
                    answers[usize::from(answer.status)].fetch_add(1, Ordering::Relaxed);
                }
            }
        };
        let mut grown = 0;
        thread::scope(|scope| {
            (0..4).for_each(|_| _ = scope.spawn(flooder));
            let (begun, mut last) = (Instant::now(), before);
            while begun.elapsed() < span {
                thread::sleep(Duration::from_secs(1));
                // The sealer makes files smaller. Only growth counts.
                let now = bytes_of(&server.data);
                grown += now.saturating_sub(last);
                last = now;
            }
            stop.store(true, Ordering::Relaxed);
        });
        let per_hour = grown as f64 / GB * 3_600.0 / span.as_secs_f64();
        let statuses = (0..600).map(|status| (status, answers[status].load(Ordering::Relaxed)));
        let statuses: Vec<_> = statuses.filter(|(_, count)| *count > 0).collect();
        say(&format!("{title}: {per_hour:.2} GB an hour over {span:?}; answers {statuses:?}"));
        let parts = ["log", "registry"].map(|part| bytes_of(&server.data.join(part)) / 1_000_000);
        let outbox = fs::metadata(server.data.join("outbox.ndjson")).map_or(0, |file| file.len());
        say(&format!(
            "{title}: log {} MB, registry {} MB, outbox {} MB",
            parts[0],
            parts[1],
            outbox / 1_000_000
        ));
        for phone in phones {
            let Honest { ip, statuses, mut took } = phone.join().unwrap();
            took.sort();
            let [middle, most] = [took[took.len() / 2], took[took.len() * 99 / 100]];
            say(&format!("{title}: a phone got {statuses:?}, p50 {middle:?}, p99 {most:?}"));
            let refused = statuses.get(&429).copied().unwrap_or(0);
            // Behind the address of the flood, fresh accounts of strangers ask as little as the phone.
            let most = if ip == STRANGERS { took.len() as u64 / 20 } else { 0 };
            assert!(refused <= most, "{title}: honest lookups go on");
            assert_eq!(statuses.get(&200).copied().unwrap_or(0) + refused, took.len() as u64);
        }
        assert!(per_hour < 1.0, "{title}: {per_hour} GB an hour");
    }
}

/// The requests of a round with one account: repeats one by one, repeats in a batch, or a batch of new handles.
fn lookups(round: u64, ip: &str, token: &str) -> Vec<String> {
    match round % 3 {
        0 => vec![lookup(ip, token, "+14155550123"); PIPELINED],
        1 => vec![batch(ip, token, &vec!["+14155550123".to_owned(); 1_000])],
        _ => {
            let new = |n| format!("+1212{:07}", (round * 1_000 + n) % 9_999_999);
            vec![batch(ip, token, &(0..1_000).map(new).collect::<Vec<_>>())]
        }
    }
}

#[tokio::test]
#[ignore = "takes ten minutes; `tests/run --long` runs it"]
async fn long_one_address_with_600_accounts() {
    let mut flood = Flood::start().await;
    let tokens = sign_up(&flood.server.phones, STRANGERS, 599);
    flood.add_phone(STRANGERS, Duration::from_secs(2));
    flood.add_phone(ELSEWHERE, Duration::from_millis(100));
    flood.run("one address, 600 accounts", |round| {
        lookups(round, STRANGERS, &tokens[round as usize % tokens.len()])
    });
}

#[tokio::test]
#[ignore = "takes ten minutes; `tests/run --long` runs it"]
async fn long_refused_lookups_from_200_000_networks() {
    let mut flood = Flood::start().await;
    flood.add_phone(ELSEWHERE, Duration::from_millis(100));
    flood.run("200,000 networks without tokens", |round| {
        let first = round * PIPELINED as u64;
        (first..first + PIPELINED as u64).map(tokenless).collect()
    });
}

/// An address of 254 bytes.
fn long_address() -> String {
    let label = "d".repeat(61);
    let start = format!("{}@{label}.{label}.{label}.", "l".repeat(64));
    format!("{start}{}", "c".repeat(254 - start.len()))
}

/// Everything that a stranger can do, from as many networks as it needs.
#[tokio::test]
#[ignore = "takes ten minutes; `tests/run --long` runs it"]
async fn long_all_at_once_from_many_networks() {
    let mut flood = Flood::start().await;
    let ip =
        |n: u64| Ipv6Addr::from_bits(u128::from(0x2001_0db8_0000_0000 + n) << 64 | 1).to_string();
    let url = flood.server.phones.clone();
    let tokens: Vec<_> = (0..600).map(|n| sign_up(&url, &ip(n), 1).remove(0)).collect();
    let proven = flood.server.sign_up().await;
    flood.server.prove(&proven, "+14155550123").await;
    flood.add_phone_with(proven.token, ELSEWHERE, Duration::from_millis(100));
    flood.run("all at once from many networks", |round| {
        let some = round * PIPELINED as u64..(round + 1) * PIPELINED as u64;
        let to = |path: &'static str, body: fn(u64) -> Value| {
            some.clone().map(move |n| call(ip(n % 200_000), "", "POST", path, &body(n))).collect()
        };
        match round % 6 {
            0 => to("/v1/devices", |_| json!({"platform": "ios", "name": "x".repeat(128)})),
            1 => to(
                "/v1/deregistrations",
                |n| json!({"handle": format!("+1415{:07}", n % 9_999_999)}),
            ),
            2 => some.clone().map(tokenless).collect(),
            _ => {
                // The longest addresses make the largest records.
                let account = round / 6 % 600;
                let (ip, token) = (ip(account), &tokens[account as usize]);
                if round % 12 < 6 {
                    return lookups(round, &ip, token);
                }
                vec![batch(&ip, token, &vec![long_address(); 1_000])]
            }
        }
    });
}
