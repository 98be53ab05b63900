//! Invariants for every text. The fuzz target includes this file, so it imports its types from its parent.

use super::{Handle, HandleError, PhoneKey, Region};

/// Panics if parsing `text` breaks an invariant of the module.
pub(crate) fn check(text: &str, region: Option<Region>) {
    let result = Handle::parse(text, region);
    check_redacted(&result);
    check_fast_path(text, &result);
    if let Ok(handle) = result {
        check_canonical(&handle);
        check_equivalents(&handle);
    }
}

/// Regions with unusual rules: shared calling codes, trunk prefixes that are digits of numbers, rewritten numbers.
pub(crate) fn regions() -> Vec<Option<Region>> {
    let codes = [
        "US", "CA", "DE", "GB", "IT", "MX", "BJ", "AR", "BR", "RU", "HU", "LT", "CI", "SM", "VN",
        "WS",
    ];
    let regions = codes.iter().map(|code| Region::parse(code).ok());
    std::iter::once(None).chain(regions).collect()
}

/// The canonical text parses to the handle in every region, and needs no escapes.
fn check_canonical(handle: &Handle) {
    let text = handle.canonical();
    for region in regions() {
        assert!(
            Handle::parse(&text, region).as_ref() == Ok(handle),
            "canonical text parses to another handle"
        );
    }
    assert!(Handle::from_canonical(&text).as_ref() == Some(handle), "canonical does not read back");
    let mut written = Vec::new();
    handle.write_canonical(&mut written);
    assert_eq!(written, text.as_bytes(), "two canonical forms");
    let needs_escape = |c: char| c.is_control() || c.is_whitespace() || "\"\\".contains(c);
    assert!(!text.contains(needs_escape), "canonical needs escaping");
    match handle {
        Handle::Phone(key) => {
            assert!(
                PhoneKey::from_e164(&text) == Some(*key)
                    && PhoneKey::from_bits(key.bits()) == Some(*key)
            );
        }
        Handle::Email(_) => {
            assert!(text.len() <= 254);
            let (local, domain) = text.split_once('@').expect("an address has an @");
            assert!((1..=64).contains(&local.len()) && domain.is_ascii() && domain.contains('.'));
            assert!(!domain.bytes().any(|byte| byte.is_ascii_uppercase()));
        }
    }
}

/// A lookup of the packed text in an index of canonical handles agrees with the parser.
fn check_fast_path(text: &str, result: &Result<Handle, HandleError>) {
    let Some(key) = PhoneKey::from_e164(text) else {
        return;
    };
    let elsewhere = Handle::parse(text, None);
    assert!(*result == elsewhere, "the region changed a number with a plus sign");
    let in_index = Handle::parse(key.e164().as_str(), None) == Ok(Handle::Phone(key));
    if in_index {
        assert!(*result == Ok(Handle::Phone(key)), "fast path and parser disagree");
    }
}

/// Each equivalent is another canonical handle, whose equivalent is the given one.
fn check_equivalents(handle: &Handle) {
    for other in handle.equivalents() {
        assert!(other != *handle, "a handle is not its own equivalent");
        assert!(other.equivalents().any(|back| back == *handle), "equivalents do not lead back");
        let parsed = Handle::parse(&other.canonical(), None);
        assert!(parsed.as_ref() == Ok(&other), "an equivalent is not canonical");
    }
}

/// Debug output contains nothing of the text.
fn check_redacted(result: &Result<Handle, HandleError>) {
    match result {
        Ok(handle) => {
            let shown = format!("{handle:?}");
            assert!(matches!(shown.as_str(), "Handle::Phone(…)" | "Handle::Email(…)"));
        }
        // One byte can only hold the reason.
        Err(error) => assert_eq!(size_of_val(error), 1),
    }
}
