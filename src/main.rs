//! dispatchd: see the library.
fn main() {}
