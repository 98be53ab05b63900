//! Small files of a data directory. The first byte selects the file; the rest is its content. Where a checksum guards the content, the
//! target adds the right one, so that changed content reaches what lies behind it.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
    time::Duration,
};

use dispatchd::{
    clock::{self, Clock as _, Hour, ManualClock, SharedMachine, Timestamp, TrustedClock},
    config::TlsConfig,
    envelope::{ChunkFile, FrameFile, KeyFiles, Step},
    files::{DataDirectory, OsDisk},
    operators,
    query_log::LogReader,
    server::check_tls,
};

use super::folder;

/// 2026-11-23T08:00:00Z.
const NOW: Timestamp = Timestamp::from_secs(1_795_420_800);
/// Bytes of one copy of the head of a frame or chunk file, with its checksum.
const HEAD_BYTES: usize = 64;

static DATA: LazyLock<PathBuf> = LazyLock::new(|| {
    let data = folder().join("small");
    for name in ["keys", "log", "registry"] {
        let folder = data.join(name);
        dispatchd::files::create_dir(&folder).expect("a folder can be made");
    }
    data
});

pub(super) fn run(bytes: &[u8]) {
    let Some((first, content)) = bytes.split_first() else { return };
    match first % 9 {
        0 => clock(content),
        1 => operators(content),
        2 => keys(&with_crc(content), None),
        3 => keys(&seed_root_key(), Some(&with_crc(content))),
        4 => format(content),
        5 => frames(&with_head_crc(content)),
        6 => chunks(&with_head_crc(content)),
        7 => lock(content),
        _ => certificate(content),
    }
}

/// Writes a file with mode 0600, as keys must have.
fn write(name: &str, content: &[u8]) -> PathBuf {
    let path = DATA.join(name);
    let _ = fs::remove_file(&path);
    let mut file = dispatchd::files::create(&path).expect("it can be made");
    std::io::Write::write_all(&mut file, content).expect("it can be written");
    path
}

fn with_crc(content: &[u8]) -> Vec<u8> {
    [content, &crc32fast::hash(content).to_le_bytes()].concat()
}

/// The content with the checksum of its first copy of the head.
fn with_head_crc(content: &[u8]) -> Vec<u8> {
    let mut content = content.to_vec();
    if content.len() >= HEAD_BYTES {
        let crc = crc32fast::hash(&content[..HEAD_BYTES - 4]).to_le_bytes();
        content[HEAD_BYTES - 4..HEAD_BYTES].copy_from_slice(&crc);
    }
    content
}

/// A saved time is refused, or a clock goes on from it and never runs backwards.
fn clock(content: &[u8]) {
    let Ok(text) = std::str::from_utf8(content) else { return };
    write("clock", format!("{text}\n{:08x}\n", crc32fast::hash(content)).as_bytes());
    let machine = ManualClock::at(NOW);
    let shared: SharedMachine = machine.clone();
    let opened = TrustedClock::open(shared, OsDisk::shared(), &DATA, &clock::Config::default());
    let _ = fs::remove_file(DATA.join("clock"));
    let Ok(clock) = opened else { return };
    let before = clock.now();
    machine.advance(Duration::from_secs(61));
    assert!(clock.now() >= before, "trusted time went back");
    let status = clock.status();
    assert!(status.is_followed || status.advice().is_some());
    for era in [0, 1, 4_094].map(|era| Hour::from_number(era * 1_000_000).era()) {
        let _ = (clock.shift_us(era), clock.reached(era));
    }
    let _ = (clock.latest(), clock.rebase(before, clock.now()));
}

fn operators(content: &[u8]) {
    operators::fuzz_former(&write("registry/operators.json", content));
    operators::fuzz_row(content);
    operators::fuzz_message(content);
}

/// Reads both files of keys as a reader of a stopped server's files does.
fn keys(root_key: &[u8], keyring: Option<&[u8]>) {
    write("keys/root.key", root_key);
    write("keys/keyring", keyring.unwrap_or(b"DDKR"));
    let keys = KeyFiles::new(&DATA.join("keys"), None);
    let clock = ManualClock::at(NOW);
    drop(LogReader::open_read_only(&DATA.join("log"), keys, clock, Duration::from_secs(86_400)));
}

/// Reads one file as certificate and as key. A refusal quotes nothing of it.
fn certificate(content: &[u8]) {
    let path = write("pair.pem", content);
    let config = TlsConfig { certificate: path.clone(), key: path.clone(), ..TlsConfig::default() };
    if let Err(refusal) = check_tls(&config, NOW) {
        assert!(!refusal.to_string().contains("-----"), "a refusal quotes a file of keys");
    }
    is_unchanged(&path, content);
}

fn format(content: &[u8]) {
    write("format", content);
    let _ = DataDirectory::check(&DATA);
    let _ = fs::remove_file(DATA.join("format"));
}

fn lock(content: &[u8]) {
    write("lock", content);
    assert!(DataDirectory::user(&DATA).expect("it can be read").is_none(), "nobody holds the lock");
}

/// Walks the frames in both directions. Each step moves on, and both walks find the same frames.
fn frames(content: &[u8]) {
    let path = write("log/frames", content);
    if let Ok(mut file) = FrameFile::open(&path, None) {
        let mut found = (0, 0);
        let mut at = 0;
        while let Some(next) = step(file.after(at).expect("it can be read"), &mut found.0) {
            assert!(next.1 > at, "a walk stands still");
            at = next.1;
        }
        let mut at = file.limit();
        while let Some(next) = step(file.before(at).expect("it can be read"), &mut found.1) {
            assert!(next.0 < at, "a walk stands still");
            at = next.0;
        }
        let _ = file.end_frame();
    }
    is_unchanged(&path, content);
}

/// Where a step begins and ends. Counts frames.
fn step(step: Step, frames: &mut u32) -> Option<(u64, u64)> {
    match step {
        Step::Frame { offset, end, .. } => {
            *frames += 1;
            Some((offset, end))
        }
        Step::Damage { from, to } => Some((from, to)),
        Step::Edge => None,
    }
}

fn chunks(content: &[u8]) {
    let path = write("log/chunks", content);
    if let Ok(file) = ChunkFile::open(&path) {
        let _ = (file.parts(), file.chunks(), file.bytes(), file.note(), file.root());
        let _ = file.computed_root();
    }
    is_unchanged(&path, content);
}

fn is_unchanged(path: &Path, content: &[u8]) {
    assert!(fs::read(path).ok().as_deref() == Some(content), "a reader changed a file");
}

fn seed_root_key() -> Vec<u8> {
    with_crc(&[&b"DDRK\x01\x01\0\0"[..], &[5; 40]].concat())
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let operators = br#"{"version":1,"operators":[{"name":"ann","role":"reader","added_at":"2026-11-23T07:00:00.000000Z","token_sha256":"PhYCRyHkVPJxDZNcVyKZ5sn21BpCnWlbAEj7LXqKnAw"}]}"#;
    let head = |magic: &[u8]| {
        let (hour, number) = (498_728u32.to_le_bytes(), 1u32.to_le_bytes());
        let copy = with_crc(&[magic, &[1, 2, 0, 0], &hour, &number, &[9; 32], &[0; 8]].concat());
        [&copy[..], &copy[..], &[0; 80]].concat()
    };
    let contents = [
        saved_clock(),
        operators.to_vec(),
        [&b"DDRK\x01\x02\0\0"[..], &[5; 80]].concat(),
        [&b"DDKR\x02\0\0\0"[..], &[5; 8], &[3; 12], &[1; 52]].concat(),
        b"5\n".to_vec(),
        head(b"DDFRAMES"),
        head(b"DDCHUNKS"),
        b"4711\n".to_vec(),
        include_bytes!("seed.pem").to_vec(),
    ];
    (0..).zip(contents).map(|(first, content)| [&[first], &content[..]].concat()).collect()
}

/// What a clock saves, without its checksum.
fn saved_clock() -> Vec<u8> {
    let machine: SharedMachine = ManualClock::at(NOW);
    let clock = TrustedClock::open(machine, OsDisk::shared(), &DATA, &clock::Config::default())
        .expect("a new clock opens");
    clock.save().expect("it is saved");
    let saved = fs::read(DATA.join("clock")).expect("it can be read");
    let _ = fs::remove_file(DATA.join("clock"));
    saved.split(|byte| *byte == b'\n').next().expect("a line").to_vec()
}
