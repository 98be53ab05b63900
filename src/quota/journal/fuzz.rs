//! The content of frames as fuzz targets give it.

use std::time::Duration;

use super::rows::{ACCOUNT_BYTES, BUDGET_BYTES, Rows, account, account_row, budget, budget_row};

/// Reads `bytes` as the content of a frame.
///
/// # Panics
/// If a row that was read is another one once it was written.
pub fn rows(bytes: &[u8]) {
    const BOOT: Duration = Duration::from_secs(1_000_000_000);
    let Some(rows) = Rows::read(bytes) else { return };
    let _ = rows.key();
    for row in rows.bytes.as_chunks::<BUDGET_BYTES>().0 {
        if let Some((found, debt)) = budget(row) {
            assert!(budget(&budget_row(found, debt)) == Some((found, debt)), "a budget changed");
        }
    }
    let elapsed = Duration::from_micros(rows.at.as_micros() % 1_000_000_000);
    for row in rows.bytes.as_chunks::<ACCOUNT_BYTES>().0 {
        let (id, state) = account(row, elapsed, BOOT);
        let (same, again) = account(&account_row(id, &state, BOOT), Duration::ZERO, BOOT);
        assert!((same, again.flag) == (id, state.flag), "an account changed");
        // A span that ends after the last instant ends at it.
        assert!(again.daily_us <= state.daily_us && again.import_us <= state.import_us);
    }
}
