//! Enumeration: an attacker with every file of the data directory, but no key, tries all possible handles and learns
//! nothing.
//!
//! The test plants handles, addresses, devices and accounts in lookups only, in every kind of file that the log
//! makes. Then it searches the files for them and for 100,000 others, in every form in which a program could write
//! them. A form is the whole text or number, or eight bytes of a digest.
//!
//! Forms of four bytes (CRC-32, IPv4) occur by chance in any file. The test therefore compares how often planted and
//! other values occur.

use std::{
    collections::{BTreeMap, HashSet},
    fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use aws_lc_rs::digest;
use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER};
use dispatchd::{
    clock::{ManualClock, Timestamp},
    envelope::KeyFiles,
    files::{Disk, DiskFile, OsDisk},
    handle::Handle,
    ids::{AccountId, DeviceId, RequestId},
    query_log::{Config, Durability, LogOptions, LookupRecord, QueryLog, Record},
    quota::{self, LookupCall, Quota, QuotaFiles, Standing},
    shutdown::Shutdown,
    vocabulary::{Reason, Route},
};
use serde_json::{Value, json};

use crate::{
    harness::{bytes_below, client, parity_start, say, wait_until},
    load::Dice,
    wire::in_process,
};

/// 2026-11-23T08:00:00Z. The names of segments hold the number of their hour: at other hours one may look like a local
/// number, as 0000498857-000001 does like 857-0000.
const BEGIN: Timestamp = Timestamp::from_secs(1_795_420_800);
const HOUR: Duration = Duration::from_secs(3_600);
const MINUTE: Duration = Duration::from_secs(60);
const DECOYS: u64 = 100_000;
/// How many of each kind: phones, addresses, sources, devices, accounts.
const PLANTED: u64 = 120;
const HEAD_BYTES: usize = 128;
const CHUNK_BYTES: usize = 64 * 1024 + 16;
const TAILS_BYTES: usize = 1_024;

/// A value that the files must not reveal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Secret {
    Phone(u64),
    Email(String),
    Source(IpAddr),
    Device(u64),
    Account(u64),
}

impl Secret {
    /// The `n`th secret of a kind. Secrets of one kind differ, and no text contains another.
    fn nth(kind: u64, n: u64) -> Self {
        let mixed = Dice::new(n ^ 0xD15_BA7C).roll();
        match kind {
            0 => Self::Phone(14_152_000_000 + (n * 7_919) % 7_990_000),
            1 => Self::Email(format!("asked.{n:07}@mail{:03}.example", mixed % 1_000)),
            2 if n.is_multiple_of(2) => {
                let bits = (0x2001_0DB8 << 96) | (u128::from(mixed) << 24) | u128::from(n);
                Self::Source(Ipv6Addr::from_bits(bits).into())
            }
            2 => Self::Source(Ipv4Addr::from_bits(0x6440_0000 | (n as u32 * 41)).into()),
            3 => Self::Device(mixed),
            _ => Self::Account(mixed.rotate_left(17) ^ n),
        }
    }

    /// A secret from the text of a handle.
    pub(crate) fn handle(text: &str) -> Self {
        match text.strip_prefix('+') {
            Some(digits) => Self::Phone(digits.parse().unwrap()),
            None => Self::Email(text.to_owned()),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Phone(number) => format!("+{number}"),
            Self::Email(text) => text.clone(),
            Self::Source(ip) => ip.to_string(),
            Self::Device(bits) => DeviceId::from_bits(*bits).to_string(),
            Self::Account(bits) => AccountId::from_bits(*bits).to_string(),
        }
    }

    /// The canonical text, and the spellings that people and programs use.
    fn spellings(&self) -> Vec<String> {
        let text = self.text();
        match self {
            Self::Phone(number) => {
                let digits = number.to_string();
                let national = digits[1..].to_owned();
                let (area, rest) = national.split_at(3);
                let (office, line) = rest.split_at(3);
                let local = format!("{office}-{line}");
                let spoken = format!("({area}) {local}");
                let percent = format!("%2B{digits}");
                let dashed = format!("{area}-{local}");
                vec![text, digits, national, dashed, spoken, percent, local]
            }
            Self::Email(_) => {
                let (local, _) = text.split_once('@').unwrap();
                let percent = text.replace('@', "%40");
                vec![local.to_owned(), text.to_uppercase(), percent, text]
            }
            _ => vec![text.to_uppercase(), text],
        }
    }

    /// The bits as integers of several widths in both byte orders, and as binary-coded decimals.
    fn bits(&self) -> Vec<Vec<u8>> {
        match self {
            Self::Phone(number) => {
                let digits = number.to_string();
                let padded = format!("{digits:0>12}");
                let nibbles: Vec<u8> = padded.bytes().map(|digit| digit - b'0').collect();
                let bcd = |high: usize| -> Vec<u8> {
                    nibbles.chunks(2).map(|two| two[high] << 4 | two[1 - high]).collect()
                };
                let (little, big) = (number.to_le_bytes(), number.to_be_bytes());
                let short = [little[..6].to_vec(), big[2..].to_vec(), bcd(0), bcd(1)];
                short.into_iter().chain([little.to_vec(), big.to_vec()]).collect()
            }
            Self::Email(_) => Vec::new(),
            Self::Source(IpAddr::V6(ip)) => {
                let reversed = ip.octets().into_iter().rev().collect();
                vec![ip.octets().to_vec(), reversed, ip.octets()[8..].to_vec()]
            }
            Self::Source(IpAddr::V4(ip)) => vec![ip.to_ipv6_mapped().octets()[6..].to_vec()],
            Self::Device(bits) | Self::Account(bits) => {
                vec![bits.to_le_bytes().to_vec(), bits.to_be_bytes().to_vec()]
            }
        }
    }

    /// Calls `each` with every form that is too long to occur by chance.
    fn forms(&self, mut each: impl FnMut(&[u8])) {
        for (index, text) in self.spellings().iter().enumerate() {
            let bytes = text.as_bytes();
            each(bytes);
            each(&bytes.iter().rev().copied().collect::<Vec<_>>());
            each(&text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>());
            encoded(bytes, &mut each);
            if index > 3 {
                continue;
            }
            for algorithm in [&digest::SHA256, &digest::SHA1_FOR_LEGACY_USE_ONLY, &digest::SHA512] {
                let hash = digest::digest(algorithm, bytes);
                // The first eight bytes also find a truncated digest.
                each(&hash.as_ref()[..8]);
                each(HEXLOWER.encode(hash.as_ref()).as_bytes());
                each(BASE64.encode(hash.as_ref()).as_bytes());
            }
        }
        for bits in self.bits() {
            each(&bits);
            encoded(&bits, &mut each);
        }
    }

    /// Forms of four bytes, which occur by chance. Only their frequency counts.
    fn short_forms(&self) -> Vec<u32> {
        let texts = self.spellings();
        let mut forms: Vec<_> = texts.iter().map(|it| crc32fast::hash(it.as_bytes())).collect();
        if let Self::Source(IpAddr::V4(ip)) = self {
            forms.push(ip.to_bits());
        }
        forms.extend(forms.clone().into_iter().map(u32::swap_bytes));
        forms
    }

    fn record(handle: &Self, others: &[Self; 3]) -> Record {
        let Self::Source(ip) = others[0] else { unreachable!("the order of kinds") };
        let bits = |secret: &Self| match secret {
            Self::Device(bits) | Self::Account(bits) => *bits,
            _ => unreachable!("the order of kinds"),
        };
        Record::Lookup(LookupRecord {
            request: RequestId::next(),
            account: Some(AccountId::from_bits(bits(&others[2]))),
            device: Some(DeviceId::from_bits(bits(&others[1]))),
            ip: Some(ip),
            handle: Handle::from_canonical(&handle.text()),
            route: Some(Route::Sms),
            reason: Reason::NeverRegistered,
            status: 200,
            took_us: 11,
        })
    }
}

fn encoded(bytes: &[u8], each: &mut impl FnMut(&[u8])) {
    let hex = HEXLOWER.encode(bytes);
    each(hex.as_bytes());
    each(hex.to_uppercase().as_bytes());
    each(BASE64.encode(bytes).as_bytes());
    each(BASE64URL_NOPAD.encode(bytes).as_bytes());
}

/// The base of a rolling hash (Rabin-Karp): the hash of a window follows from the hashes of its two ends.
const BASE: u64 = 0x9E37_79B9_7F4A_7C15;

fn rolled(hash: u64, byte: u8) -> u64 {
    hash.wrapping_mul(BASE).wrapping_add(u64::from(byte) + 1)
}

/// A 64-bit key of a form. Two forms do not collide in files of this size.
fn key(len: usize, hash: u64) -> u64 {
    let mixed = (hash ^ (len as u64) << 48).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    (mixed ^ mixed >> 32).wrapping_mul(0x94D0_49BB_1331_11EB)
}

fn key_of(form: &[u8]) -> u64 {
    key(form.len(), form.iter().fold(0, |hash, byte| rolled(hash, *byte)))
}

/// Searches for many secrets at once.
pub(crate) struct Search<'a> {
    secrets: &'a [Secret],
    lengths: Vec<usize>,
    /// A bitmap over the top bits of all keys. If the bit of a key is clear, the key belongs to no form.
    filter: Vec<u64>,
}

const FILTER_BITS: u32 = 29;

fn filter_place(key: u64) -> (usize, u64) {
    let place = key >> (64 - FILTER_BITS);
    ((place / 64) as usize, 1 << (place % 64))
}

impl<'a> Search<'a> {
    pub(crate) fn new(secrets: &'a [Secret]) -> Self {
        let mut filter = vec![0_u64; 1 << (FILTER_BITS - 6)];
        let mut lengths = [false; 256];
        for secret in secrets {
            secret.forms(|form| {
                lengths[form.len()] = true;
                let (place, bit) = filter_place(key_of(form));
                filter[place] |= bit;
            });
        }
        let lengths = (0..256).filter(|len| lengths[*len]).collect();
        Self { secrets, lengths, filter }
    }

    /// The secrets that occur in these bytes, and how many forms of each.
    pub(crate) fn recognised<'b>(
        &self,
        places: impl IntoIterator<Item = &'b [u8]>,
    ) -> BTreeMap<usize, usize> {
        let mut candidates = HashSet::new();
        for bytes in places {
            let mut hashes = vec![0_u64];
            hashes.extend(bytes.iter().scan(0, |hash, byte| {
                *hash = rolled(*hash, *byte);
                Some(*hash)
            }));
            for &len in self.lengths.iter().filter(|len| **len <= bytes.len()) {
                let power = (0..len).fold(1_u64, |power, _| power.wrapping_mul(BASE));
                for (before, after) in hashes.iter().zip(&hashes[len..]) {
                    let key = key(len, after.wrapping_sub(before.wrapping_mul(power)));
                    let (place, bit) = filter_place(key);
                    if self.filter[place] & bit != 0 {
                        candidates.insert(key);
                    }
                }
            }
        }
        let mut found = BTreeMap::new();
        for (index, secret) in self.secrets.iter().enumerate() {
            secret.forms(|form| {
                if candidates.contains(&key_of(form)) {
                    *found.entry(index).or_default() += 1;
                }
            });
        }
        found
    }

    /// How many of the first `planted` secrets, and of all others, occur in these bytes as a form of four bytes.
    fn recognised_short<'b>(
        &self,
        places: impl IntoIterator<Item = &'b [u8]>,
        planted: usize,
    ) -> (usize, usize) {
        let places = places.into_iter();
        let all: HashSet<u32> = places
            .flat_map(|bytes| bytes.array_windows().map(|four| u32::from_le_bytes(*four)))
            .collect();
        let is_found = |secret: &&Secret| secret.short_forms().iter().any(|it| all.contains(it));
        let count = |secrets: &[Secret]| secrets.iter().filter(is_found).count();
        (count(&self.secrets[..planted]), count(&self.secrets[planted..]))
    }
}

/// A disk that, once stubborn, fails to rename or remove a file that is being sealed. `kill -9` leaves the same
/// state.
#[derive(Debug, Default)]
pub(crate) struct StubbornDisk {
    pub(crate) is_stubborn: AtomicBool,
}

impl StubbornDisk {
    fn refuse(&self, path: &Path) -> io::Result<()> {
        let is_sealing = path.extension().is_some_and(|extension| extension == "sealing");
        if is_sealing && path.exists() && self.is_stubborn.load(Ordering::SeqCst) {
            return Err(io::Error::other("not now"));
        }
        Ok(())
    }
}

impl Disk for StubbornDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        OsDisk.create_dir(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        OsDisk.create(path)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        OsDisk.open(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.refuse(from)?;
        OsDisk.rename(from, to)
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        self.refuse(path)?;
        OsDisk.unlink(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        OsDisk.sync_dir(path)
    }
}

/// A server answers lookups of these handles over three hours, and two of the hours are sealed.
async fn asked_of_a_server(data: &Path, clock: &Arc<ManualClock>, handles: &[Secret]) {
    let (server, _) = in_process(data, clock).await;
    let (client, phones) = (client().build().unwrap(), server.addresses().phones);
    let sign_up = client.post(format!("http://{phones}/v1/devices"));
    let device: Value =
        sign_up.json(&json!({"platform": "ios"})).send().await.unwrap().json().await.unwrap();
    for part in handles.chunks(handles.len().div_ceil(3)) {
        for some in part.chunks(40) {
            let request = client.post(format!("http://{phones}/v1/lookup"));
            let request = request.bearer_auth(device["token"].as_str().unwrap());
            let handles: Vec<_> = some.iter().map(Secret::text).collect();
            let answer = request.json(&json!({"handles": handles})).send().await.unwrap();
            assert_eq!(answer.status(), 200);
        }
        clock.advance(HOUR);
        server.tick_retention();
        server.tick_sealing();
    }
    assert!(server.stop().await);
}

fn names(data: &Path, kind: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(data.join("log")).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.extension().is_some_and(|extension| extension == kind)).collect()
}

struct Planting {
    data: PathBuf,
    clock: Arc<ManualClock>,
    disk: Arc<StubbornDisk>,
}

impl Planting {
    fn open(&self) -> QueryLog {
        let options = LogOptions {
            dir: self.data.join("log"),
            keys: KeyFiles::new(&self.data.join("keys"), None),
            config: Config { durability: Durability::Os, ..Config::default() },
            clock: Arc::clone(&self.clock) as _,
            disk: Arc::clone(&self.disk) as _,
            keys_disk: Arc::clone(&self.disk) as _,
            disk_reserve: 0,
            copies: None,
        };
        // A process that another test is about to start holds this one's files open, and so their locks, until it runs.
        let mut opened = None;
        wait_until("the log is free", || {
            opened = QueryLog::open(options.clone(), &Shutdown::new()).ok();
            opened.is_some()
        });
        opened.expect("it is open").0
    }

    fn put(&self, log: &QueryLog, secrets: &[Secret], times: usize) {
        let per_kind = PLANTED as usize;
        let kind = |kind: usize, at: usize| secrets[kind * per_kind + at % per_kind].clone();
        for _ in 0..times {
            let record = |at: usize| {
                let others = [kind(2, at), kind(3, at), kind(4, at)];
                Secret::record(&secrets[at], &others)
            };
            let records: Vec<_> = (0..2 * per_kind).map(record).collect();
            log.append_all(&records).unwrap().wait_blocking().unwrap();
        }
    }

    /// Leaves a log with files of every kind and state. Its newest segment is still open.
    fn plant(&self, secrets: &[Secret]) -> QueryLog {
        let mut log = self.open();
        // A busy hour gives a sealed file with many chunks. The sealing of the second hour is interrupted.
        for times in [200, 20] {
            self.put(&log, secrets, times);
            self.clock.advance(HOUR + 2 * MINUTE);
            log.tick();
            self.disk.is_stubborn.store(times == 20, Ordering::SeqCst);
            let failed = log.seal(&|| false).failed.len();
            assert_eq!(failed, usize::from(times == 20));
        }
        // A segment that ends within a frame, as after `kill -9`. The next start truncates it.
        self.put(&log, secrets, 2);
        drop(log);
        let torn = names(&self.data, "frames").into_iter().max().unwrap();
        let bytes = fs::metadata(&torn).unwrap().len();
        fs::OpenOptions::new().write(true).open(torn).unwrap().set_len(bytes - 9).unwrap();
        let interrupted = names(&self.data, "sealing").remove(0);
        let aside = self.data.join("aside");
        fs::rename(&interrupted, &aside).unwrap();
        log = self.open();
        // The start removed this file as it must. Restore it, so that the search covers it.
        fs::rename(&aside, &interrupted).unwrap();
        self.clock.advance(HOUR);
        self.put(&log, secrets, 1);
        self.clock.advance(HOUR);
        log.tick();
        self.put(&log, secrets, 1);
        log
    }
}

/// Lets the quota remember which accounts asked for whom, and from where.
fn remember(data: &Path, clock: &Arc<ManualClock>, log: &QueryLog, secrets: &[Secret]) {
    let (dir, retention) = (data.join("quota"), Config::default().retention);
    let (disk, keyring) = (OsDisk::shared(), log.keyring());
    let files = QuotaFiles { dir, disk, keyring, retention, shared_key: None };
    let config = quota::Config::default();
    let quota = Quota::open(config, Arc::clone(clock) as _, files).unwrap();
    quota.restore().unwrap();
    let per_kind = PLANTED as usize;
    for (at, secret) in secrets[..2 * per_kind].iter().enumerate() {
        let of_kind = |kind: usize| &secrets[kind * per_kind + at % per_kind];
        let (Secret::Source(ip), Secret::Account(bits)) = (of_kind(2), of_kind(4)) else {
            unreachable!("the order of kinds")
        };
        let (account, standing) = (AccountId::from_bits(*bits), Standing::Unproven);
        let call = LookupCall { account, standing, is_flagged: false, ip: *ip, units: 1 };
        let handle = Handle::from_canonical(&secret.text()).unwrap();
        quota.charge_lookups(call, [&handle].into_iter()).unwrap();
    }
    quota.write();
    let files = fs::read_dir(data.join("quota")).unwrap();
    assert_eq!(files.count(), 2, "one of handles and one of states");
}

fn secrets(others: u64) -> (Vec<Secret>, usize) {
    let planted = (0..5).flat_map(|kind| (0..PLANTED).map(move |n| Secret::nth(kind, n)));
    let planted: Vec<_> = planted.collect();
    let decoys = (PLANTED..PLANTED + others).map(|n| Secret::nth(n % 5, n));
    let count = planted.len();
    (planted.into_iter().chain(decoys).collect(), count)
}

/// Every file by its path below `data`, and all these paths as one more. Where `data` lies is not searched.
pub(crate) fn everything(data: &Path) -> Vec<(String, Vec<u8>)> {
    let below = |path: PathBuf| path.strip_prefix(data).unwrap().display().to_string();
    let mut files: Vec<_> =
        bytes_below(data).into_iter().map(|(path, bytes)| (below(path), bytes)).collect();
    let names: Vec<_> = files.iter().map(|(name, _)| name.as_str()).collect();
    let names = names.join("\n").into_bytes();
    files.push(("the names".to_owned(), names));
    files
}

#[tokio::test]
async fn trying_every_handle_against_every_file_recognises_none() {
    let folder = tempfile::tempdir().unwrap();
    let (data, clock) = (folder.path().join("data"), ManualClock::at(BEGIN));
    let (secrets, planted) = secrets(DECOYS);
    asked_of_a_server(&data, &clock, &secrets[..2 * PLANTED as usize]).await;
    let planting = Planting { data: data.clone(), clock, disk: Arc::default() };
    let log = planting.plant(&secrets[..planted]);
    remember(&data, &planting.clock, &log, &secrets);
    for (kind, least) in [("frames", 4), ("sealed", 4), ("sealing", 1), ("cut", 1)] {
        let count = names(&data, kind).len();
        assert!(count >= least, "{count} {kind}: {:?}", names(&data, "frames"));
    }
    let files = everything(&data);
    let search = Search::new(&secrets);
    let found = search.recognised(files.iter().map(|(_, bytes)| &bytes[..]));
    let bytes: usize = files.iter().map(|(_, bytes)| bytes.len()).sum();
    let is_log = |name: &str| name.starts_with("log/");
    let log_files = || files.iter().filter(|(name, _)| is_log(name)).map(|(_, bytes)| &bytes[..]);
    let (short, by_chance) = search.recognised_short(log_files(), planted);
    say(&format!(
        "{bytes} bytes in {} files, {} secrets tried: recognised {}; by four bytes {short} of {planted} planted, {by_chance} of {} others",
        files.len() - 1,
        secrets.len(),
        found.len(),
        secrets.len() - planted,
    ));
    sealed_files_look_like_noise(&data);
    // A decoy was never asked for: if one is found, it is by chance.
    let known: Vec<_> = found.keys().filter(|at| **at < planted).map(|at| &secrets[*at]).collect();
    assert!(known.is_empty(), "{known:?}");
    // Four bytes are met by chance: as often for who was asked for as for who was not.
    let expected = by_chance as f64 * planted as f64 / (secrets.len() - planted) as f64;
    assert!((short as f64) < expected + 6.0 * expected.sqrt() + 6.0, "{short} for {expected}");
    drop(log);
}

#[test]
fn the_same_search_recognises_everyone_in_the_clear() {
    let (secrets, planted) = secrets(DECOYS / 20);
    let search = Search::new(&secrets);
    let all: Vec<usize> = (0..planted).collect();
    let noise: Vec<u8> = (0..50_000_u64).flat_map(|n| Dice::new(n).roll().to_le_bytes()).collect();
    assert!(search.recognised([&noise[..]]).is_empty(), "found a secret in noise");
    // All secrets as JSON lines.
    let lines: String =
        secrets[..planted].iter().map(|it| format!("{{\"x\":\"{}\"}}\n", it.text())).collect();
    let found = search.recognised([lines.as_bytes()]);
    assert!(all.iter().all(|at| found.contains_key(at)), "{} of {planted}", found.len());
    // A short IP address may be part of a longer one. No other text is part of another.
    let is_source = |at: &usize| matches!(secrets[*at], Secret::Source(_));
    let others: Vec<_> = found.keys().filter(|at| **at >= planted && !is_source(at)).collect();
    assert!(others.is_empty(), "{:?}", others.iter().map(|at| &secrets[**at]).collect::<Vec<_>>());
    // Each form alone, surrounded by noise.
    for at in (0..planted).step_by(37) {
        let (alone, mut count) = (Search::new(&secrets[at..=at]), 0);
        secrets[at].forms(|form| {
            count += 1;
            if count % 4 == 1 {
                let mut bytes = noise[..300].to_vec();
                bytes.splice(150..150, form.iter().copied());
                assert!(alone.recognised([&bytes[..]]).contains_key(&0), "{form:?}");
            }
        });
        assert!(count > 12);
        for short in secrets[at].short_forms() {
            let mut bytes = noise[..300].to_vec();
            bytes.splice(150..150, short.to_le_bytes());
            assert_eq!(alone.recognised_short([&bytes[..]], 1), (1, 0), "{:?}", secrets[at]);
        }
    }
    assert!(
        chi_square(lines.as_bytes()) > CHI_SQUARE_MAX,
        "plain text has the statistics of noise"
    );
    assert!(chi_square(&noise) < CHI_SQUARE_MAX);
}

/// Chi-square of the byte frequencies. Noise has an average of 255 with a standard deviation of 23.
fn chi_square(bytes: &[u8]) -> f64 {
    let mut histogram = [0_u64; 256];
    for byte in bytes {
        histogram[usize::from(*byte)] += 1;
    }
    let expected = bytes.len() as f64 / 256.0;
    histogram.iter().map(|count| (*count as f64 - expected).powi(2) / expected).sum()
}

/// Ten standard deviations above the average.
const CHI_SQUARE_MAX: f64 = 255.0 + 10.0 * 22.6;

/// A sealed segment is compressed Parquet inside the encryption, and its bytes reveal neither.
fn sealed_files_look_like_noise(data: &Path) {
    let mut all = Vec::new();
    for path in names(data, "sealed").into_iter().chain(names(data, "sealing")) {
        let bytes = fs::read(&path).unwrap();
        // Parity may be a copy of a chunk, so the test counts its bytes separately.
        let parity = parity_start(&path).unwrap_or(bytes.len() - TAILS_BYTES);
        let (chunks, parity) =
            bytes[HEAD_BYTES..bytes.len() - TAILS_BYTES].split_at(parity - HEAD_BYTES);
        // The magic with its neighbour byte in a Parquet file. Four bytes alone occur by chance.
        for magic in [b"\0PAR1", b"PAR1\x15"] {
            assert!(!bytes.windows(5).any(|five| five == magic), "{} is Parquet", path.display());
        }
        assert!(!bytes.starts_with(b"PAR1") && !bytes.ends_with(b"PAR1"));
        for chunk in chunks.chunks(CHUNK_BYTES) {
            let compressed = chunk.starts_with(&[0x28, 0xB5, 0x2F, 0xFD]);
            assert!(!compressed && !chunk.starts_with(b"PAR1"), "{}", path.display());
        }
        for some in [chunks, parity].into_iter().filter(|some| some.len() > 20_000) {
            let found = chi_square(some);
            assert!(found < CHI_SQUARE_MAX, "{}: {found}", path.display());
        }
        all.extend_from_slice(chunks);
    }
    assert!(all.len() > 4 * CHUNK_BYTES, "{} bytes are too few to judge", all.len());
    let found = chi_square(&all);
    say(&format!("{} bytes in sealed chunks, chi-square {found:.0} (noise: 255)", all.len()));
    assert!(found < CHI_SQUARE_MAX, "{found}");
}
