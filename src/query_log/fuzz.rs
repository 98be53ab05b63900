//! What is inside frames and beside sealed rows, and names of files, as fuzz targets give them.

use super::{
    copies::name::ObjectName,
    frames::codec::{FrameDecoder, encode, start_frame},
    sealer::sealed_file::Note,
    segment_name::LogFileName,
};

/// Reads `bytes` as the records of a frame, as the note of a sealed file, and as the name of a file.
///
/// # Panics
/// If a record is read that the encoder does not write in these very bytes, or a note or a name is another one once it was
/// written.
pub fn records(bytes: &[u8]) {
    if let Some(mut decoder) = FrameDecoder::new(bytes) {
        let mut written = Vec::new();
        start_frame(&mut written, decoder.at());
        let mut before = decoder.at();
        let mut is_whole = true;
        while !decoder.is_at_end() {
            let Some(view) = decoder.next_view() else {
                is_whole = false;
                break;
            };
            let row = view.row().expect("a record that is read can be given out");
            let delta_us = row.at.as_micros() - before.as_micros();
            encode(&mut written, delta_us, &row.record);
            before = row.at;
        }
        assert!(bytes.starts_with(&written), "a record in bytes that the encoder does not write");
        assert!(!is_whole || bytes == written, "bytes that belong to no record");
    }
    if let Some(note) = Note::decode(bytes) {
        assert!(Note::decode(&note.encode()) == Some(note), "a note changed");
    }
    let name = String::from_utf8_lossy(bytes);
    if let Some(parsed) = LogFileName::parse(&name) {
        assert!(parsed.to_string() == name, "a name changed");
    }
}

/// Reads `bytes` as the name of an object in a store.
///
/// # Panics
/// If a name is read that is another one once it was written.
pub fn object_name(bytes: &[u8]) {
    let name = String::from_utf8_lossy(bytes);
    if let Some(parsed) = ObjectName::parse(&name) {
        assert!(parsed.to_string() == name, "a name changed");
    }
}
