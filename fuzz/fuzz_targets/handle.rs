//! Parses arbitrary bytes as a handle and checks the invariants that the module's own tests check.
//!
//! The first byte selects the region; the rest is the text. With a nightly compiler:
//!
//! ```sh
//! cargo install cargo-fuzz
//! cargo +nightly fuzz run handle -- -max_len=340 -dict=fuzz/handle.dict
//! ```
//!
//! With a stable compiler: `RUSTC_BOOTSTRAP=1 cargo fuzz run --sanitizer none handle -- …`. The sanitizer adds
//! nothing, because the module has no unsafe code.
//!
//! The fuzzer writes a crash to `fuzz/artifacts/handle/`. Make it a named case in `src/handle/tests/` before you fix
//! it.

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
