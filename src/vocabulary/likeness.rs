//! The known word that somebody may have meant.

/// The known word that is most like `word`, if one is like it. Case, blanks, `_` and `-` do not count. Of three letters one may
/// differ.
pub fn most_like<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = plain(word);
    let nearest = known.into_iter().map(|known| {
        let letters = plain(known);
        let edits_max = letters.len().min(word.len()).div_ceil(3);
        (strsim::damerau_levenshtein(&letters, &word), edits_max, known)
    });
    let (edits, edits_max, known) = nearest.min_by_key(|(edits, ..)| *edits)?;
    (edits <= edits_max).then_some(known)
}

fn plain(word: &str) -> String {
    let is_letter = |c: &char| !matches!(c, ' ' | '_' | '-');
    word.chars().filter(is_letter).map(|c| c.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_like_a_known_one_is_recognised() {
        for (word, meant) in [
            ("platfrom", Some("platform")),
            ("Platform", Some("platform")),
            ("pltfrom", Some("platform")),
            ("nmae", Some("name")),
            ("linkcode", Some("link_code")),
            ("Link Code", Some("link_code")),
            ("device", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(most_like(word, ["platform", "name", "link_code"]), meant, "{word}");
        }
        let platforms = ["ios", "ipados", "macos", "watchos", "visionos", "other"];
        assert_eq!(most_like("IOS", platforms), Some("ios"));
        assert_eq!(most_like("android", platforms), None);
        assert_eq!(most_like("android", []), None);
    }
}
