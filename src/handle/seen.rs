//! Which characters a reader sees.

use icu_properties::{
    CodePointMapData, CodePointSetData,
    props::{DefaultIgnorableCodePoint, GeneralCategory},
};

/// Whether a reader sees this character, and it changes nothing about the others. False for controls, line breaks, marks of the
/// direction of writing, joiners, fillers, and what has no meaning that all programs know. A blank counts as seen.
pub fn is_seen(c: char) -> bool {
    use GeneralCategory as Category;

    let is_unseen = matches!(
        c,
        char::REPLACEMENT_CHARACTER | '\u{FFFC}' | '\u{2800}' | '\u{1D159}' | '\u{16FE4}'
    ) || matches!(
        CodePointMapData::<GeneralCategory>::new().get(c),
        Category::Control
            | Category::Format
            | Category::PrivateUse
            | Category::Surrogate
            | Category::Unassigned
            | Category::LineSeparator
            | Category::ParagraphSeparator
    ) || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c);
    !is_unseen
}
