//! Tests of frames and of the keyring, at every point where a crash can come.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, sync::Arc};

use tempfile::TempDir;

use super::{
    FileHeader, FrameFile, FrameOpener, FrameSealer, HourKey, KeyFiles, Keyring, KeyringError, Step,
};
use crate::{
    clock::Hour,
    files::tests::sim_disk::{SimDisk, Survives, UnsyncedDisk},
};

fn hour(n: u32) -> Hour {
    Hour::from_number(498_728 + n)
}

fn files(dir: &Path) -> KeyFiles {
    KeyFiles::new(&dir.join("keys"), None)
}

fn open(dir: &Path, has_data: bool) -> Result<Keyring, KeyringError> {
    Keyring::open(Arc::new(UnsyncedDisk), files(dir), has_data)
}

fn bytes(keyring: &Keyring, n: u32) -> Option<[u8; 32]> {
    keyring.get(hour(n)).map(|key: HourKey| *key.bytes())
}

#[test]
fn keys_survive_a_restart_and_prunes_do_too() {
    let dir = TempDir::new().unwrap();
    let keyring = open(dir.path(), false).unwrap();
    for n in 0..4 {
        keyring.ensure(hour(n)).unwrap();
    }
    let kept = bytes(&keyring, 3);
    keyring.prune(&[hour(0), hour(1)]).unwrap();
    drop(keyring);
    let keyring = open(dir.path(), true).unwrap();
    assert_eq!((bytes(&keyring, 0), bytes(&keyring, 1)), (None, None));
    assert_eq!(bytes(&keyring, 3), kept);
    assert_eq!(*keyring.ensure(hour(3)).unwrap().bytes(), kept.unwrap());
    assert_eq!(bytes(&Keyring::open_read_only(files(dir.path())).unwrap(), 3), kept);
    let secret_mode =
        |name: &str| fs::metadata(dir.path().join("keys").join(name)).unwrap().permissions().mode();
    assert_eq!((secret_mode("root.key") & 0o777, secret_mode("keyring") & 0o777), (0o600, 0o600));
}

#[test]
fn a_crash_at_any_point_keeps_what_was_kept_and_forgets_what_was_forgotten() {
    let live = TempDir::new().unwrap();
    let sim = SimDisk::new(live.path());
    let keyring = Keyring::open(Arc::new(sim.clone()), files(live.path()), false).unwrap();
    let mut acks = Vec::new();
    for n in 0..3 {
        keyring.ensure(hour(n)).unwrap();
        acks.push((sim.ops(), n, bytes(&keyring, n)));
    }
    let before_prune = sim.ops();
    keyring.prune(&[hour(0)]).unwrap();
    acks.push((sim.ops(), 0, None));
    keyring.ensure(hour(3)).unwrap();
    acks.push((sim.ops(), 3, bytes(&keyring, 3)));
    for count in 0..=sim.ops() {
        for torn in [0, sim.appended(count) / 2] {
            for survives in Survives::ALL {
                let crashed = TempDir::new().unwrap();
                sim.crash_at(count, torn, survives, crashed.path());
                let has_data = acks[0].0 <= count;
                let again = open(crashed.path(), has_data);
                let again =
                    again.unwrap_or_else(|error| panic!("{count} {torn} {survives:?}: {error}"));
                for (at, n, key) in acks.iter().filter(|ack| ack.0 <= count) {
                    let forgetting = *n == 0 && count > before_prune && at < &before_prune;
                    assert!(
                        forgetting || bytes(&again, *n) == *key,
                        "{count} {survives:?} hour {n}"
                    );
                }
                again.prune(&[hour(1)]).unwrap();
                drop(again);
                assert_eq!(bytes(&open(crashed.path(), has_data).unwrap(), 1), None);
            }
        }
    }
}

#[test]
fn no_old_copy_opens_after_a_prune_and_the_old_root_key_is_overwritten() {
    let dir = TempDir::new().unwrap();
    let keyring = open(dir.path(), false).unwrap();
    keyring.ensure(hour(0)).unwrap();
    let names = files(dir.path());
    let (old_root, old_keyring) =
        (fs::read(&names.root_key).unwrap(), fs::read(&names.keyring).unwrap());
    let held = fs::File::open(&names.root_key).unwrap();
    keyring.prune(&[hour(0)]).unwrap();
    let mut left = Vec::new();
    io_read(&held, &mut left);
    assert!(left.iter().all(|byte| *byte == 0), "the replaced file still holds its bytes");
    let old_key = &old_root[16..48];
    for entry in fs::read_dir(dir.path().join("keys")).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(32).any(|window| window == old_key));
    }
    drop(keyring);
    fs::write(&names.keyring, old_keyring).unwrap();
    assert!(matches!(open(dir.path(), true), Err(KeyringError::WrongRootKey { .. })));
}

fn io_read(file: &fs::File, out: &mut Vec<u8>) {
    use std::io::Read;
    let mut file = file;
    file.read_to_end(out).unwrap();
}

#[test]
fn each_thing_that_can_be_wrong_is_told_apart() {
    let dir = TempDir::new().unwrap();
    assert!(matches!(open(dir.path(), true), Err(KeyringError::Missing { what: "root key", .. })));
    open(dir.path(), false).unwrap().ensure(hour(0)).unwrap();
    let names = files(dir.path());
    let (root, ring) = (fs::read(&names.root_key).unwrap(), fs::read(&names.keyring).unwrap());
    let restore = || {
        fs::write(&names.root_key, &root).unwrap();
        fs::write(&names.keyring, &ring).unwrap();
        for path in [&names.root_key, &names.keyring] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
        }
    };
    fs::remove_file(&names.root_key).unwrap();
    assert!(matches!(open(dir.path(), false), Err(KeyringError::Missing { what: "root key", .. })));
    restore();
    fs::remove_file(&names.keyring).unwrap();
    assert!(matches!(open(dir.path(), true), Err(KeyringError::Missing { what: "keyring", .. })));
    restore();
    for at in 0..ring.len() {
        let mut damaged = ring.clone();
        damaged[at] ^= 1;
        fs::write(&names.keyring, damaged).unwrap();
        assert!(matches!(open(dir.path(), true), Err(KeyringError::Damaged(_))), "byte {at}");
    }
    restore();
    for at in 0..root.len() {
        let mut damaged = root.clone();
        damaged[at] ^= 1;
        fs::write(&names.root_key, damaged).unwrap();
        assert!(matches!(open(dir.path(), true), Err(KeyringError::Damaged(_))), "byte {at}");
    }
    restore();
    fs::set_permissions(&names.root_key, fs::Permissions::from_mode(0o640)).unwrap();
    let error = open(dir.path(), true).unwrap_err();
    assert!(matches!(error, KeyringError::TooOpen { mode: 0o640, .. }));
    assert!(error.to_string().contains("chmod 600") && error.to_string().contains("root.key"));
    restore();
    assert!(open(dir.path(), true).is_ok());
}

/// A file of frames with the given contents, and what opens it.
fn frames(dir: &Path, contents: &[&[u8]]) -> (std::path::PathBuf, HourKey, FileHeader, Vec<u64>) {
    let (key, header) = (HourKey::random(), FileHeader::new(1, hour(0), 1));
    let mut file = header.encode().to_vec();
    let mut sealer = FrameSealer::new(&key, &header);
    let mut starts = Vec::new();
    for content in contents {
        starts.push(file.len() as u64);
        sealer.seal(&mut file, 1, content);
    }
    let path = dir.join("frames");
    fs::write(&path, file).unwrap();
    (path, key, header, starts)
}

fn walk(path: &Path, key: &HourKey, backwards: bool) -> (Vec<Vec<u8>>, usize) {
    let mut file = FrameFile::open(path, None).unwrap();
    let opener = FrameOpener::new(key, file.header());
    let (mut found, mut damaged, mut body) = (Vec::new(), 0, Vec::new());
    let mut at = if backwards { file.limit() } else { 0 };
    loop {
        let step = if backwards { file.before(at) } else { file.after(at) };
        match step.unwrap() {
            Step::Frame { offset, end, header } => {
                at = if backwards { offset } else { end };
                file.read_body(offset, &header, &mut body).unwrap();
                match opener.open(&header, &mut body) {
                    Some(content) => found.push(content.to_vec()),
                    None => damaged += 1,
                }
            }
            Step::Damage { from, to } => {
                at = if backwards { from } else { to };
                damaged += 1;
            }
            Step::Edge => break,
        }
    }
    if backwards {
        found.reverse();
    }
    (found, damaged)
}

#[test]
fn frames_are_read_from_both_ends_past_any_flipped_bit() {
    let dir = TempDir::new().unwrap();
    let contents: [&[u8]; 4] = [b"one", b"", b"dfrm inside dfrm", &[7; 90]];
    let (path, key, _, starts) = frames(dir.path(), &contents);
    let whole = fs::read(&path).unwrap();
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (at % 8);
        fs::write(&path, &flipped).unwrap();
        let hit = starts.iter().rposition(|start| *start <= at as u64);
        for backwards in [false, true] {
            let (found, _) = walk(&path, &key, backwards);
            let lost: Vec<_> =
                (0..contents.len()).filter(|n| !found.contains(&contents[*n].to_vec())).collect();
            assert!(
                lost.is_empty() || (lost.len() == 1 && Some(lost[0]) == hit),
                "byte {at}: lost {lost:?}"
            );
            assert!(
                found.iter().all(|content| contents.contains(&content.as_slice())),
                "byte {at}"
            );
        }
    }
}

#[test]
fn a_frame_of_another_file_is_no_frame_of_this() {
    let dir = TempDir::new().unwrap();
    let (path, key, ..) = frames(dir.path(), &[b"mine"]);
    let other = TempDir::new().unwrap();
    let (foreign, ..) = frames(other.path(), &[b"theirs"]);
    let mut joined = fs::read(&path).unwrap();
    joined.extend_from_slice(&fs::read(foreign).unwrap()[super::FILE_HEADER_BYTES as usize..]);
    fs::write(&path, joined).unwrap();
    assert_eq!(walk(&path, &key, false), (vec![b"mine".to_vec()], 1));
    assert_eq!(walk(&path, &key, true), (vec![b"mine".to_vec()], 1));
}

#[test]
fn large_frames_cross_the_edges_of_what_is_read_at_once() {
    let dir = TempDir::new().unwrap();
    let contents: Vec<Vec<u8>> = (0..40u32)
        .map(|n| {
            vec![n.to_le_bytes()[0]; (n as usize * 9_973) % crate::limits::LOG_FRAME_BYTES_MAX]
        })
        .collect();
    let slices: Vec<&[u8]> = contents.iter().map(Vec::as_slice).collect();
    let (path, key, ..) = frames(dir.path(), &slices);
    assert_eq!(walk(&path, &key, false), (contents.clone(), 0));
    assert_eq!(walk(&path, &key, true), (contents, 0));
}
