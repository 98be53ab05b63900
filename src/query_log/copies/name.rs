//! The names of the objects. Only this file writes and parses them.
//!
//! ```text
//! <node>/0000498728/000001-5f0c1d7be2a9446c.frames/000000000000     hour, file, salt, form, where in the file the object begins
//! <node>/0000498728/000001-93b0f28d4c1e6a07.sealed/000008388608
//! <node>/refuses-overwriting                                          by which a start checks the store
//! <node>/stopped                                                      names the last segment, once a stop has copied everything
//! ```
//!
//! A file is a sequence of objects without gaps. The salt is the first 8 bytes of the one in the file's head, so two files never share
//! a name, also if a data directory begins anew or an old copy of one is started. So an object that exists holds the same bytes, or the
//! first of them.

use std::fmt;

use crate::{
    clock::Hour,
    query_log::{
        catalog::Form,
        segment_name::{SegmentId, digits},
    },
};

/// One file of the log, as the store knows it. Ordered by hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct CopiedFile {
    pub(crate) id: SegmentId,
    pub(crate) form: Form,
    pub(crate) salt: u64,
}

/// The name of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ObjectName {
    pub(crate) node: String,
    pub(crate) file: CopiedFile,
    /// Where in the file the object begins.
    pub(crate) offset: u64,
}

impl CopiedFile {
    pub(crate) fn new(id: SegmentId, form: Form, salt: &[u8; 32]) -> Self {
        let mut start = [0; 8];
        start.copy_from_slice(&salt[..8]);
        Self { id, form, salt: u64::from_be_bytes(start) }
    }

    pub(crate) fn object(self, node: &str, offset: u64) -> ObjectName {
        ObjectName { node: node.to_owned(), file: self, offset }
    }

    fn parse(hour: &str, name: &str) -> Option<Self> {
        let (stem, form) = name.split_once('.')?;
        let form = match form {
            "frames" => Form::Frames,
            "sealed" => Form::Sealed,
            _ => return None,
        };
        let (number, salt) = stem.split_once('-')?;
        let is_hex = |digit: u8| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit);
        if salt.len() != 16 || !salt.bytes().all(is_hex) {
            return None;
        }
        let hour = Hour::from_number(u32::try_from(digits(hour, 10)?).ok()?);
        let number = u32::try_from(digits(number, 6)?).ok()?;
        let salt = u64::from_str_radix(salt, 16).ok()?;
        Some(Self { id: SegmentId { hour, number }, form, salt })
    }
}

impl ObjectName {
    /// None unless `Display` writes exactly this name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let mut parts = name.split('/');
        let (node, hour, file, offset) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() || node.is_empty() {
            return None;
        }
        let (file, offset) = (CopiedFile::parse(hour, file)?, digits(offset, 12)?);
        Some(Self { node: node.to_owned(), file, offset })
    }
}

impl fmt::Display for CopiedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, form, salt } = self;
        let form = match form {
            Form::Frames => "frames",
            Form::Sealed => "sealed",
        };
        write!(f, "{:010}/{:06}-{salt:016x}.{form}", id.hour.number(), id.number)
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { node, file, offset } = self;
        write!(f, "{node}/{file}/{offset:012}")
    }
}

/// The object by which a start checks that the store refuses to overwrite.
pub(crate) fn probe(node: &str) -> String {
    format!("{node}/refuses-overwriting")
}

/// The object by which a stop says that everything is copied. Its content is the name of the newest segment. The next start deletes it
/// before it copies anything.
pub(crate) fn stop_mark(node: &str) -> String {
    format!("{node}/stopped")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn names_survive(hour: u32, number in 0..=999_999u32, salt: u64, is_sealed: bool, offset in 0..=999_999_999_999u64) {
            let form = if is_sealed { Form::Sealed } else { Form::Frames };
            let file = CopiedFile { id: SegmentId { hour: Hour::from_number(hour), number }, form, salt };
            let name = file.object("a-1", offset);
            prop_assert_eq!(ObjectName::parse(&name.to_string()), Some(name));
        }
    }

    #[test]
    fn other_names_are_refused() {
        let good = "a/0000498728/000001-5f0c1d7be2a9446c.frames/000000000000";
        assert!(ObjectName::parse(good).is_some());
        for (from, to) in [
            ("a/", "/"),
            ("0000498728", "498728"),
            ("5f0", "5F0"),
            ("frames", "cut"),
            (".frames/", ".frames/a/"),
            ("000000000000", "0"),
        ] {
            assert_eq!(ObjectName::parse(&good.replacen(from, to, 1)), None, "{to}");
        }
        assert_eq!(ObjectName::parse(&probe("a")), None);
    }
}
