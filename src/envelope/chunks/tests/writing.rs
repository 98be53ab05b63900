//! The writer's bounds, its errors, and what a crash leaves.

use std::sync::atomic::Ordering;

use super::*;
use crate::{
    envelope::{
        chunks::{layout::Layout, seal::ChunkKey, tail::Tail},
        header::{CHUNKS, FRAMES},
    },
    files::tests::sim_disk::{SimDisk, Survives},
};

#[test]
fn the_writer_keeps_its_bounds() {
    let dir = TempDir::new().unwrap();
    let key = HourKey::random();
    let create = |name: &str| {
        let file = UnsyncedDisk.create(&dir.path().join(name)).unwrap();
        ChunkWriter::create(file, &key, header(1)).unwrap()
    };
    let mut writer = create("parts");
    (1..PARTS_MAX).for_each(|_| writer.begin_part().unwrap());
    assert_eq!(writer.begin_part().unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
    writer.write_all(b"still well").unwrap();
    writer.finish(&[9; NOTE_BYTES_MAX]).unwrap();
    let file = ChunkFile::open(&dir.path().join("parts")).unwrap();
    let reader = file.reader(&key).unwrap();
    assert_eq!(reader.read(PARTS_MAX - 1, 0..10).unwrap(), "still well");
    let refused = create("note").finish(&[9; NOTE_BYTES_MAX + 1]);
    assert_eq!(refused.unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
}

#[test]
fn two_files_of_one_head_share_no_salt() {
    let (dir, key, same) = (TempDir::new().unwrap(), HourKey::random(), header(1));
    let salt = |name: &str| {
        let path = dir.path().join(name);
        let file = UnsyncedDisk.create(&path).unwrap();
        ChunkWriter::create(file, &key, same.clone()).unwrap().finish(b"").unwrap();
        ChunkFile::open(&path).unwrap().header().salt
    };
    assert_ne!(salt("first attempt"), salt("second attempt"));
}

#[test]
fn a_failed_write_stays_one() {
    let dir = TempDir::new().unwrap();
    let sim = SimDisk::new(dir.path());
    let path = dir.path().join("chunks");
    let file = sim.create(&path).unwrap();
    let mut writer = ChunkWriter::create(file, &HourKey::random(), header(1)).unwrap();
    sim.fail_appends.store(true, Ordering::SeqCst);
    writer.write_all(&plain(0, 10 * CHUNK_BYTES)).unwrap_err();
    sim.fail_appends.store(false, Ordering::SeqCst);
    writer.write_all(b"more").unwrap_err();
    writer.flush().unwrap_err();
    writer.begin_part().unwrap_err();
    writer.finish(NOTE).unwrap_err();
    assert!(matches!(ChunkFile::open(&path), Err(FileError::Short)));
}

#[test]
fn a_crash_leaves_a_short_file_or_a_whole_one() {
    let live = TempDir::new().unwrap();
    let (sim, key, parts) = (SimDisk::new(live.path()), HourKey::random(), plains(&[9_000, 50]));
    write_to(&sim, &live.path().join("chunks"), &key, &parts);
    assert!(sim.ops() >= 5, "several appends");
    for count in 1..=sim.ops() {
        for torn in [0, sim.appended(count) / 3, sim.appended(count).saturating_sub(1)] {
            let crashed = TempDir::new().unwrap();
            sim.crash_at(count, torn, Survives::Everything, crashed.path());
            let opened = ChunkFile::open(&crashed.path().join("chunks"));
            // The last two changes are the append that ends with the tail, and the sync.
            if count >= sim.ops() - 1 {
                let reader = opened.unwrap().reader(&key).unwrap();
                assert_eq!(reader.read(0, 0..9_000).unwrap(), parts[0]);
            } else {
                assert!(matches!(opened, Err(FileError::Short)), "{count} {torn}: {opened:?}");
            }
        }
    }
    let crashed = TempDir::new().unwrap();
    sim.crash_at(sim.ops(), 0, Survives::Names, crashed.path());
    assert!(ChunkFile::open(&crashed.path().join("chunks")).is_ok(), "finish has synced");
}

#[test]
fn a_tail_is_read_as_it_was_written() {
    let key = ChunkKey::new(&HourKey::random(), &header(1));
    let seed = header(1).checksum_seed();
    let tail = Tail { parts: vec![0, 5, 70_000], note: vec![1; 256], root: [8; 32] };
    let layout = Layout::new(&tail.parts).unwrap();
    let bytes = tail.encode(layout.chunks, &key, &seed);
    assert_eq!(Tail::decode(&bytes, &seed).unwrap().0, tail);
    assert!(Tail::decode(&bytes, &header(1).checksum_seed()).is_none(), "another file's");
    assert!(FileHeader::decode(FRAMES, &header(1).encode_as(CHUNKS)).is_err());
}
