//! The target `copies`: see `../targets/mod.rs`.

#![no_main]

#[path = "../targets/mod.rs"]
#[allow(dead_code)]
mod targets;

libfuzzer_sys::fuzz_target!(
    // The fuzzer's own hook ends the process at each panic. Some panics of the Parquet library are caught, and become errors.
    init: std::panic::set_hook(Box::new(|panic| eprintln!("{panic}"))),
    |bytes: &[u8]| targets::run("copies", bytes)
);
