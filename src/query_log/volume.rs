//! How much of the disk the log takes, without its keys.

use std::{collections::BTreeMap, io, path::Path};

use super::segment_name::LogFileName;
use crate::{
    clock::Hour,
    files::{self, FileStamp},
};

/// Bytes of the log's files in `dir`, by the hour of their records. Without a directory there are none. What disappears
/// meanwhile is left out.
///
/// # Errors
/// If the directory or one of its files cannot be read.
pub fn bytes_by_hour(dir: &Path) -> io::Result<BTreeMap<Hour, u64>> {
    let mut hours = BTreeMap::new();
    for name in files::if_exists(files::names(dir))?.unwrap_or_default() {
        let Some(file) = name.to_str().and_then(LogFileName::parse) else { continue };
        if let Some(stamp) = files::if_exists(FileStamp::of(&dir.join(&name)))? {
            *hours.entry(file.segment().hour).or_default() += stamp.bytes;
        }
    }
    Ok(hours)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_files_of_an_hour_are_added_up_and_others_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in [
            ("0000498728-000001.sealed", 100),
            ("0000498728-000002.frames", 20),
            ("0000498729-000001.frames", 3),
            ("lock", 7),
        ] {
            fs::write(folder.path().join(name), vec![0; bytes]).unwrap();
        }
        let hours = bytes_by_hour(folder.path()).unwrap();
        let expected =
            [(498_728, 120), (498_729, 3)].map(|(hour, it)| (Hour::from_number(hour), it));
        assert_eq!(hours, expected.into());
        assert_eq!(bytes_by_hour(&folder.path().join("nowhere")).unwrap(), BTreeMap::new());
    }
}
