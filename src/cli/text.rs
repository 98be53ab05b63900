//! Texts for people: instants, counts, and lines that fit a width.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::clock::Timestamp;

/// An instant to the second, where a line has no space for microseconds.
pub(super) fn seconds(at: Timestamp) -> String {
    begin(at, "2026-11-23T08:41:07")
}

/// An instant to the minute.
pub(super) fn minutes(at: Timestamp) -> String {
    begin(at, "2026-11-23T08:41")
}

fn begin(at: Timestamp, example: &str) -> String {
    at.to_string().chars().take(example.len()).chain(['Z']).collect()
}

/// A number with its noun, which takes an `s` unless it is one.
pub(super) fn counted(count: u64, noun: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{s}")
}

/// The text without what a terminal obeys instead of showing it: control characters, and those that change the direction of
/// writing. They become escapes such as `\u{1b}`. A server, or an argument, may hold them.
pub(super) fn visible(text: &str) -> String {
    let is_obeyed = |c: char| {
        let turns = ['\u{61c}', '\u{200e}', '\u{200f}'].contains(&c)
            || ('\u{202a}'..='\u{202e}').contains(&c)
            || ('\u{2066}'..='\u{2069}').contains(&c);
        turns || c.is_control()
    };
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match is_obeyed(c) {
            true => shown.extend(c.escape_default()),
            false => shown.push(c),
        }
    }
    shown
}

/// Columns that `text` takes on a terminal.
pub(super) fn width(text: &str) -> usize {
    text.width()
}

/// The text in at most `columns`: a longer one ends in `…`.
pub(super) fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut left = columns.saturating_sub(1);
    let fits = |letter: &char| match left.checked_sub(letter.width().unwrap_or(0)) {
        Some(rest) => {
            left = rest;
            true
        }
        None => false,
    };
    let mut short: String = text.chars().take_while(fits).collect();
    short.push('…');
    short
}

/// The text with lines that end between words, at most `columns` wide; as it is without a width. Each line keeps its
/// indentation. What follows of it is indented by `hanging` more. A longer word stays whole, so that it can be copied.
pub(super) fn wrap(text: &str, columns: Option<usize>, hanging: usize) -> String {
    let Some(columns) = columns else { return text.to_owned() };
    let lines = text.split('\n').map(|line| wrap_line(line, columns, hanging));
    lines.collect::<Vec<_>>().join("\n")
}

fn wrap_line(line: &str, columns: usize, hanging: usize) -> String {
    if width(line) <= columns {
        return line.to_owned();
    }
    let words = line.trim_start_matches(' ');
    let indent = line.len() - words.len();
    let mut out = " ".repeat(indent);
    let mut used = indent;
    for (at, word) in words.split(' ').enumerate() {
        let wide = width(word);
        if at > 0 && used + 1 + wide > columns {
            out.truncate(out.trim_end_matches(' ').len());
            out.push('\n');
            out.push_str(&" ".repeat(indent + hanging));
            used = indent + hanging;
        } else if at > 0 {
            out.push(' ');
            used += 1;
        }
        out.push_str(word);
        used += wide;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown() {
        assert_eq!(visible("a\x1b[31mb\u{202e}c\u{7}\r"), r"a\u{1b}[31mb\u{202e}c\u{7}\r");
        for text in ["o'neil@example.com", "é.strasse@例え.jp", "\u{1f600}"] {
            assert_eq!(visible(text), text);
        }
    }

    #[test]
    fn a_long_line_ends_between_words_and_hangs() {
        let text = "  green since 09:20:54: its last device signed out at 09:20:54";
        let wrapped = wrap(text, Some(30), 2);
        let lines: Vec<_> = wrapped.lines().collect();
        assert_eq!(
            lines,
            ["  green since 09:20:54: its", "    last device signed out at", "    09:20:54"]
        );
        assert_eq!(wrap(text, Some(62), 2), text);
        assert_eq!(wrap(text, None, 2), text);
        assert_eq!(wrap("a\n\n  b c\n", Some(4), 1), "a\n\n  b\n   c\n");
        // Nothing to end a line at.
        assert_eq!(wrap("https://example.org/x y", Some(20), 0), "https://example.org/x\ny");
    }

    #[test]
    fn a_text_is_cut_by_what_it_takes_on_a_terminal() {
        assert_eq!(cut("ann@example.com", 15), "ann@example.com");
        assert_eq!(cut("ann@example.com", 14), "ann@example.c…");
        assert_eq!((width("用户@例子"), width("ü…")), (9, 2));
        assert_eq!(cut("用户@例子", 8), "用户@例…");
        assert_eq!(cut("用户@例子", 7), "用户@…");
        assert_eq!(cut("ab", 1), "…");
    }

    #[test]
    fn only_one_is_singular() {
        assert_eq!([0, 1, 2].map(|n| counted(n, "key")), ["0 keys", "1 key", "2 keys"]);
    }
}
