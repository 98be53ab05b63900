//! Any bytes as a handle, against the invariants that the room's own tests use.
//!
//! The first byte picks the region, the rest is the text. With a nightly compiler:
//!
//! ```sh
//! cargo install cargo-fuzz
//! cargo +nightly fuzz run handle -- -max_len=340 -dict=fuzz/handle.dict
//! ```
//!
//! With the stable one: `RUSTC_BOOTSTRAP=1 cargo fuzz run --sanitizer none handle -- …` (the room has no unsafe code
//! for the sanitizer to watch). A crash is written to `fuzz/artifacts/handle/`; turn it into a named case in
//! `src/handle/tests/` before fixing it.

#![no_main]

use std::sync::LazyLock;

use dispatchd::handle::{Handle, HandleError, PhoneKey, Region};
use libfuzzer_sys::fuzz_target;

#[path = "../../src/handle/tests/invariants.rs"]
mod invariants;

static REGIONS: LazyLock<Vec<Option<Region>>> = LazyLock::new(invariants::regions);

fuzz_target!(|bytes: &[u8]| {
    let Some((first, text)) = bytes.split_first() else {
        return;
    };
    let region = REGIONS[usize::from(*first) % REGIONS.len()];
    invariants::check(&String::from_utf8_lossy(text), region);
});
