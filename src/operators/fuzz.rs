//! Bytes as fuzz targets give them: what is read is written again as it was read.

use std::path::Path;

use super::{
    former,
    operator::Operator,
    protocol::{Answer, Request, line},
};

/// Reads a file of former versions. Whoever is in it has a row.
///
/// # Panics
/// If an operator changes on its way into the registry.
pub fn former(path: &Path) {
    for operator in former::read(path).ok().flatten().unwrap_or_default() {
        let read = Operator::read(operator.name.as_bytes(), &operator.row());
        assert!(read.as_ref() == Some(&operator), "an operator changed");
    }
}

/// Reads the row of an operator.
///
/// # Panics
/// If it is another operator once it was written.
pub fn row(bytes: &[u8]) {
    if let Some(operator) = Operator::read(b"ann", bytes) {
        let again = Operator::read(b"ann", &operator.row());
        assert!(again.as_ref() == Some(&operator), "an operator changed");
    }
}

/// Reads a line that goes over the socket.
///
/// # Panics
/// If a message that was read has two lines.
pub fn message(bytes: &[u8]) {
    let lines = [
        serde_json::from_slice::<Request>(bytes).ok().map(|request| line(&request)),
        serde_json::from_slice::<Answer>(bytes).ok().map(|answer| line(&answer)),
    ];
    for line in lines.into_iter().flatten() {
        assert!(line.iter().filter(|byte| **byte == b'\n').count() == 1, "a message of two lines");
    }
}
