//! What other programs put around a handle: white space, invisible characters, quotes.

use icu_properties::{CodePointSetData, props::DefaultIgnorableCodePoint};

/// The text without its wrapping.
///
/// Address books add bidi marks, chats and web pages add zero-width characters, files begin with a byte order mark, and
/// spreadsheets put text between quotes, at times behind an equals sign. None of these can begin or end a handle: a number
/// begins and ends with digits, a domain ends with a letter or a digit. An apostrophe before an address stays, because RFC
/// 5322 allows it there.
pub(super) fn strip(text: &str) -> &str {
    let is_bare = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'+';
    if let [first, .., last] = text.as_bytes()
        && is_bare(first)
        && is_bare(last)
    {
        return text;
    }
    let mut text = trim(text);
    while let Some(inner) = unquote(text) {
        text = trim(inner);
    }
    text
}

fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || is_invisible(c))
}

/// The text between two quotes of any kind. The kinds may differ, since word processors replace them one by one.
fn unquote(text: &str) -> Option<&str> {
    let is_quote = |c| {
        matches!(
            c,
            '"' | '\'' | '\u{2018}'
                ..='\u{201F}' | '«' | '»' | '\u{2039}' | '\u{203A}' | '「' | '」'
        )
    };
    text.strip_prefix('=').unwrap_or(text).strip_prefix(is_quote)?.strip_suffix(is_quote)
}

/// Whether a program shows nothing for this character: joiners, variation selectors, bidi marks, soft hyphens, fillers.
pub(super) fn is_invisible(c: char) -> bool {
    !c.is_ascii() && CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
}
