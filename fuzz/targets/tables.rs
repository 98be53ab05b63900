//! Files of accounts: CSV and Parquet as people make them, and the staged form that clients upload.

use std::{
    fs,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use dispatchd::{
    clock::Timestamp,
    tables::{
        Target,
        accounts::{ExportWriter, FileKind, Source, StageOptions, StagedReader, stage, verify},
    },
};

use super::folder;

const CSV: &str = "handle,account,device,platform,last_check_in_at,proved_at,discoverable,name\n\
    +14155550123,a_0000000000001,d_0000000000001,ios,2026-11-23T07:00:00Z,2026-11-23T07:00:00Z,true,Ann\n\
    ann@example.com,a_0000000000001,d_0000000000001,ios,2026-11-23T07:00:00Z,,,Ann\n\
    \"'+447700900123\",somebody,phone-1,macos,2026-11-22T07:00:00+02:00,,false,\"a \"\"b\"\"\"\n\
    ,a_0000000000003,d_0000000000003,other,2026-11-23T07:00:00Z,,,\n";

fn options() -> StageOptions {
    StageOptions {
        skip_bad: true,
        region: None,
        devices_per_account: 20,
        // 2026-11-23T08:00:00Z.
        now: Timestamp::from_secs(1_795_420_800),
        threads: NonZeroUsize::MIN,
        record_bytes_max: 64 * 1024,
    }
}

/// Stages a file. The staged form of it is good.
fn staged_form(file: &Path) -> Option<PathBuf> {
    let source = Source::open(file, &|_| ()).ok()?;
    let staged = stage(&source, &folder().join("staging"), &options(), &|_| ()).ok()?;
    Some(staged.path)
}

/// The first byte selects the format; the rest is a file of accounts.
pub(super) fn accounts(bytes: &[u8]) {
    let Some((first, content)) = bytes.split_first() else { return };
    let path = folder().join(if first % 2 == 0 { "accounts.csv" } else { "accounts.parquet" });
    fs::write(&path, content).expect("it can be written");
    if let Some(staged) = staged_form(&path) {
        let bytes = fs::read(&staged).expect("it can be read");
        verify(&bytes[..]).expect("what an import stages is good");
        fs::remove_file(staged).expect("it can be removed");
    }
    assert!(fs::read(&path).expect("it can be read") == content, "an import changed its source");
}

/// Reads a staged file. What verifies can be read to its end, with the totals that it states.
pub(super) fn staged(bytes: &[u8]) {
    let verified = verify(bytes).ok().map(|(_, totals)| totals);
    let Ok(mut reader) = StagedReader::new(bytes) else {
        assert!(verified.is_none());
        return;
    };
    let totals = reader.totals();
    let mut accounts = 0;
    let is_whole = loop {
        match reader.next_batch(64) {
            Ok(batch) if batch.is_empty() => break true,
            Ok(batch) => accounts += batch.len() as u64,
            Err(_) => break false,
        }
    };
    assert!(verified.is_none() || is_whole && accounts == totals.accounts);
}

static SEEDS: LazyLock<(Vec<u8>, Vec<u8>)> = LazyLock::new(|| {
    let csv = folder().join("seed.csv");
    fs::write(&csv, CSV).expect("it can be written");
    let path = staged_form(&csv).expect("the seed is good");
    let staged = fs::read(&path).expect("it can be read");
    fs::remove_file(path).expect("it can be removed");
    let parquet = folder().join("seed.parquet");
    let target = Target::File(parquet.clone());
    let mut writer =
        ExportWriter::create(&target, FileKind::Parquet, false).expect("it can be made");
    let mut reader = StagedReader::new(&staged[..]).expect("it is staged");
    for account in reader.next_batch(64).expect("it is good") {
        writer.write(&account).expect("it can be written");
    }
    writer.finish().expect("it can be written");
    (staged, fs::read(parquet).expect("it can be read"))
});

pub(super) fn account_seeds() -> Vec<Vec<u8>> {
    vec![[b"\0", CSV.as_bytes()].concat(), [b"\x01", &SEEDS.1[..]].concat()]
}

pub(super) fn staged_seeds() -> Vec<Vec<u8>> {
    vec![SEEDS.0.clone()]
}
