//! Output that a document shows, where `…` stands for anything within a line.

/// Whether a line matches a pattern.
fn line_matches(pattern: &str, line: &str) -> bool {
    let Some((first, others)) = pattern.split_once('…') else {
        return pattern == line;
    };
    let Some(mut rest) = line.strip_prefix(first) else {
        return false;
    };
    let (between, last) = others.rsplit_once('…').unwrap_or(("", others));
    for part in between.split('…') {
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// Whether the whole output matches what is shown. White space at the ends of lines and of the output does not count.
pub(crate) fn matches(shown: &str, output: &str) -> bool {
    let (shown, output) = (shown.trim_end(), output.trim_end());
    shown.split('\n').count() == output.split('\n').count()
        && shown
            .split('\n')
            .zip(output.split('\n'))
            .all(|(pattern, line)| line_matches(pattern.trim_end(), line.trim_end()))
}

#[test]
fn a_pattern_is_what_it_looks_like() {
    for (pattern, text, is_so) in [
        ("a…c", "abbc", true),
        ("a…c", "acbc", true),
        ("a…c", "abbcd", false),
        ("a…b…c", "axbxc", true),
        ("a…b…c", "axc", false),
        ("a…", "abc", true),
        ("…c", "abd", false),
        ("…", "", true),
        ("a…a", "a", false),
        ("abc", "abc", true),
        ("abc", "abcd", false),
        ("a\nb…", "a\nbc\n", true),
        ("a…", "a\nb", false),
        ("a\nb", "a", false),
    ] {
        assert_eq!(matches(pattern, text), is_so, "{pattern} {text}");
    }
}
