//! Lines of the audit log and names of its files, as fuzz targets give them.

use super::{entry::Entry, files::FileName};

/// Reads `bytes` as a line and as the name of a file.
///
/// # Panics
/// If an entry that was read is another one once it was written.
pub fn lines(bytes: &[u8]) {
    if let Some(entry) = Entry::read(bytes) {
        assert!(Entry::read(&entry.to_line()).as_ref() == Some(&entry), "an entry changed");
    }
    let _ = FileName::parse(&String::from_utf8_lossy(bytes));
}
