//! Tests of staging and export with files.

mod bad_rows;
mod export;
mod foreign_parquet;
mod libreoffice;
mod staged;

use std::{
    fs,
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use super::{
    BadRows, ImportDigest, Source, StageError, StageOptions, Staged, StagedReader, find, stage,
};
use crate::{
    clock::Timestamp,
    registry::{TransferAccount, TransferClaim},
};

const HEADER: &str = "handle,account,device,platform,last_check_in_at,proved_at,discoverable,name";

/// A directory to import in.
struct Import {
    dir: TempDir,
    options: StageOptions,
}

impl Import {
    fn new() -> Self {
        let options = StageOptions {
            skip_bad: false,
            region: None,
            devices_per_account: 3,
            now: now(),
            threads: NonZeroUsize::new(2).unwrap(),
            record_bytes_max: 4 * 1024,
        };
        Self { dir: tempfile::tempdir().unwrap(), options }
    }

    fn skipping_bad() -> Self {
        let mut import = Self::new();
        import.options.skip_bad = true;
        import
    }

    fn directory(&self) -> PathBuf {
        self.dir.path().join("staging")
    }

    /// A CSV file with these rows below a header.
    fn csv(&self, rows: &[&str]) -> PathBuf {
        self.file(&format!("{HEADER}\n{}\n", rows.join("\n")))
    }

    fn file(&self, content: &str) -> PathBuf {
        let path = self.dir.path().join("people.csv");
        fs::write(&path, content).unwrap();
        path
    }

    fn stage(&self, path: &Path) -> Result<Staged, StageError> {
        let source = Source::open(path, &|_| {})?;
        stage(&source, &self.directory(), &self.options, &|_| {})
    }

    fn digest(&self, path: &Path) -> ImportDigest {
        Source::open(path, &|_| {}).unwrap().digest(&self.options)
    }

    /// The accounts of these rows, and the bad rows.
    fn staged(&self, rows: &[&str]) -> (Vec<TransferAccount>, BadRows) {
        let staged = self.stage(&self.csv(rows)).unwrap();
        assert_eq!(staged.rows, rows.len() as u64);
        (accounts(&staged.path), staged.bad)
    }

    /// Lines and reasons of the bad rows.
    fn faults(&self, rows: &[&str]) -> Vec<(u64, String)> {
        faults(&self.staged(rows).1)
    }
}

fn now() -> Timestamp {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

fn accounts(path: &Path) -> Vec<TransferAccount> {
    let mut reader = StagedReader::open(path).unwrap();
    let mut accounts = Vec::new();
    loop {
        let batch = reader.next_batch(3).unwrap();
        if batch.is_empty() {
            return accounts;
        }
        assert!(batch.len() <= 3);
        accounts.extend(batch);
    }
}

fn faults(bad: &BadRows) -> Vec<(u64, String)> {
    bad.first().iter().map(|row| (row.line, row.reason.to_string())).collect()
}

/// The handles of all accounts, in order, each with the number of its devices.
fn handles(accounts: &[TransferAccount]) -> Vec<(String, usize)> {
    let claims = accounts.iter().flat_map(|account| &account.claims);
    let text = |claim: &TransferClaim| (claim.handle.canonical().into_owned(), claim.devices.len());
    let mut handles: Vec<_> = claims.map(text).collect();
    handles.sort();
    handles
}

#[test]
fn rows_become_accounts_with_canonical_handles() {
    let import = Import::new();
    let (accounts, bad) = import.staged(&[
        "Ann@Example.COM,ann,phone,ios,2026-11-20T08:00:00Z,2025-01-01T00:00:00.5Z,false,Ann's",
        "tel:+1-415-555-0123,ann,phone,ios,2026-11-20T08:00:00Z,,,Ann's",
        "+14155550123,ann,tablet,ipados,2026-11-21T09:00:00+01:00,,,",
        "ann@example.com,ann,tablet,ipados,2026-11-21T08:00:00Z,2025-01-01T00:00:00.500Z,false,",
        ",ben,watch,watchos,2026-11-22T08:00:00Z,,,",
    ]);
    assert_eq!(bad.total(), 0);
    assert_eq!(handles(&accounts), [("+14155550123".into(), 2), ("ann@example.com".into(), 2)]);
    assert!(accounts.is_sorted_by_key(|account| account.account));
    let ann = accounts.iter().find(|account| account.devices.len() == 2).unwrap();
    let address = ann.claims.iter().find(|claim| !claim.discoverable).unwrap();
    assert_eq!(address.proved_at, Some("2025-01-01T00:00:00.5Z".parse().unwrap()));
    let number = ann.claims.iter().find(|claim| claim.discoverable).unwrap();
    assert_eq!(number.proved_at, None);
    let named = ann.devices.iter().filter(|device| device.name.as_deref() == Some("Ann's"));
    assert_eq!(named.count(), 1);
    let ben = accounts.iter().find(|account| account.claims.is_empty()).unwrap();
    assert_eq!(ben.devices.len(), 1);
}

#[test]
fn own_ids_stay_as_they_are() {
    let (account, device) = ("a_0000000000002", "d_0000000000004");
    let row = format!("+14155550123,{account},{device},ios,2026-11-20T08:00:00Z,,,");
    let (accounts, _) = Import::new().staged(&[&row]);
    assert_eq!(accounts[0].account.to_string(), account);
    assert_eq!(accounts[0].devices[0].device.to_string(), device);
}

#[test]
fn a_national_number_needs_the_region() {
    let mut import = Import::skipping_bad();
    let row = "(415) 555-0123,ann,phone,ios,2026-11-20T08:00:00Z,,,";
    let said = &import.faults(&[row])[0].1;
    assert_eq!(
        said,
        "the handle is invalid: needs-region; write it with +, or name its country with --region"
    );
    let without = import.digest(&import.csv(&[row]));
    import.options.region = Some(crate::handle::Region::parse("US").unwrap());
    assert_eq!(handles(&import.staged(&[row]).0), [("+14155550123".into(), 1)]);
    // Another region may give other handles, so it is another import.
    assert_ne!(import.digest(&import.csv(&[row])), without);
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let mut import = Import::skipping_bad();
    let row = |number: u32| {
        let (account, device) = (number * 7919 % 300, number % 500);
        format!("+1415555{number:04},x{account},y{device}-{account},ios,2026-11-20T08:00:00Z,,,")
    };
    let rows: Vec<_> = (0..2_000).map(row).collect();
    let rows: Vec<_> = rows.iter().map(String::as_str).collect();
    let path = import.csv(&rows);
    let mut contents = Vec::new();
    for threads in [1, 2, 5] {
        import.options.threads = NonZeroUsize::new(threads).unwrap();
        let staged = import.stage(&path).unwrap();
        assert!(staged.bad.total() > 0 && staged.totals.accounts == 300);
        contents.push((fs::read(&staged.path).unwrap(), faults(&staged.bad)));
    }
    assert!(contents.iter().all(|content| *content == contents[0]));
}

#[test]
fn a_finished_staging_is_found_and_a_failed_one_leaves_no_file() {
    let import = Import::new();
    let path = import.csv(&["+14155550123,ann,phone,ios,2026-11-20T08:00:00Z,,,"]);
    let digest = import.digest(&path);
    assert!(find(&import.directory(), digest).unwrap().is_none());
    fs::create_dir(import.directory()).unwrap();
    fs::write(import.directory().join("0123.staged.new"), "left over").unwrap();

    let staged = import.stage(&path).unwrap();
    assert_eq!(staged.digest, digest);
    assert_eq!(find(&import.directory(), digest).unwrap(), Some(staged.path));
    assert_eq!(fs::read_dir(import.directory()).unwrap().count(), 1);

    let path = import.csv(&["+14155550123,ben,phone,ios,2026-11-20T08:00:00Z,,,", "bad"]);
    assert!(matches!(import.stage(&path), Err(StageError::BadRows(_))));
    assert!(find(&import.directory(), import.digest(&path)).unwrap().is_none());
    assert_eq!(fs::read_dir(import.directory()).unwrap().count(), 1);
}

#[test]
fn a_source_that_changes_is_refused() {
    let import = Import::new();
    let path = import.csv(&["+14155550123,ann,phone,ios,2026-11-20T08:00:00Z,,,"]);
    let source = Source::open(&path, &|_| {}).unwrap();
    import.csv(&["+14155550123,ann,phone,ios,2026-11-20T08:00:00Z,,,more"]);
    let outcome = stage(&source, &import.directory(), &import.options, &|_| {});
    assert!(matches!(outcome, Err(StageError::SourceChanged)));
}

#[test]
fn only_the_owner_can_read_a_staged_file() {
    use std::os::unix::fs::PermissionsExt as _;

    let import = Import::new();
    let staged = import.stage(&import.csv(&[])).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&staged.path), 0o600);
    assert_eq!(mode(&import.directory()), 0o700);
}

#[test]
fn progress_reaches_its_total_in_each_phase() {
    let import = Import::new();
    let rows: Vec<_> =
        (0..300).map(|n| format!("+1415555{n:04},x{n},y{n},ios,2026-11-20T08:00:00Z,,,")).collect();
    let path = import.csv(&rows.iter().map(String::as_str).collect::<Vec<_>>());
    let seen = std::cell::RefCell::new(Vec::new());
    let progress = |progress: super::Progress| seen.borrow_mut().push(progress);
    let source = Source::open(&path, &progress).unwrap();
    stage(&source, &import.directory(), &import.options, &progress).unwrap();
    let seen = seen.into_inner();
    let phases: Vec<_> = seen.chunk_by(|one, other| one.phase == other.phase).collect();
    let words: Vec<_> = phases.iter().map(|phase| phase[0].phase.name()).collect();
    assert_eq!(words, ["hashing", "reading", "sorting", "writing"]);
    for phase in phases {
        assert!(phase.is_sorted_by_key(|progress| progress.done));
        assert_eq!(phase[phase.len() - 1].done, phase[0].total, "{:?}", phase[0].phase);
    }
}
