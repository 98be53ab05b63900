//! What differs from run to run, replaced by text of the same width.

use std::collections::BTreeMap;

/// Shapes of instants and names, with what stands for them. In a shape `#` is a digit.
const SHAPES: [(&str, &str); 10] = [
    ("####-##-##T##:##:##.######Z", "2026-01-02T03:04:05.678901Z"),
    // Cut by the end of the line.
    ("####-##-##T##:##:##.##", "2026-01-02T03:04:05.67"),
    ("####-##-##T##:##:##Z", "2026-01-02T03:04:05Z"),
    ("####-##-##T##:##Z", "2026-01-02T03:00Z"),
    ("####-##-## ##:##:##", "2026-01-02 03:04:05"),
    ("##########-######", "0000490000-000000"),
    ("######:", "490000:"),
    ("##:##:##", "03:04:05"),
    ("##d##h", "29d20h"),
    ("##d#h", "29d20h"),
];
/// The least letters and digits of a token after its prefix.
const TOKEN_CHARS_MIN: usize = 30;
/// Letters and digits of an id after its prefix.
const ID_CHARS: usize = 13;
/// Hexadecimal digits of a hash: more than a phone number has. A fingerprint stands behind an hour, and may be cut.
const HASH_CHARS_MIN: usize = 16;
const FINGERPRINT_CHARS_MIN: usize = 4;

/// The text with ids, instants and hashes replaced. Ids are numbered in the order in which they appear.
pub(super) fn stable(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    let mut ids: BTreeMap<String, usize> = BTreeMap::new();
    let (mut out, mut at) = (String::new(), 0);
    while let Some(&letter) = letters.get(at) {
        let rest = &letters[at..];
        let is_start = at == 0 || !letters[at - 1].is_ascii_alphanumeric();
        let (text, taken) = if !is_start {
            (letter.to_string(), 1)
        } else if let Some(id) = id(rest) {
            let number = ids.len() + 1;
            let number = *ids.entry(id.clone()).or_insert(number);
            (format!("{}{number:0width$}", &id[..2], width = ID_CHARS), id.len())
        } else if let Some((prefix, secret)) = token(rest) {
            (format!("{prefix}{}", "x".repeat(secret)), prefix.len() + secret)
        } else if let Some((shape, stands)) = SHAPES.iter().find(|(shape, _)| fits(shape, rest)) {
            ((*stands).to_owned(), shape.len())
        } else {
            let digits = rest.iter().take_while(|letter| letter.is_ascii_hexdigit()).count();
            let is_fingerprint = out.ends_with("490000:");
            let least = if is_fingerprint { FINGERPRINT_CHARS_MIN } else { HASH_CHARS_MIN };
            if digits >= least { ("f".repeat(digits), digits) } else { (letter.into(), 1) }
        };
        out.push_str(&text);
        at += taken;
    }
    out
}

/// The text with `9` for each digit of a number of three digits or more: what depends on how much space something takes.
pub(super) fn without_sizes(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(|letter: char| letter.is_ascii_digit()) {
        let (before, from) = rest.split_at(start);
        let end = from.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(from.len());
        let (number, after) = from.split_at(end);
        let joins = |letter: char| letter.is_alphanumeric() || "-_.:+".contains(letter);
        let is_alone = !before.ends_with(joins) && !after.starts_with(joins);
        out.push_str(before);
        out.push_str(&if number.len() >= 3 && is_alone {
            "9".repeat(end)
        } else {
            number.to_owned()
        });
        rest = after;
    }
    out + rest
}

/// The prefix of a token at the beginning of the text, and how many letters follow it.
fn token(text: &[char]) -> Option<(&'static str, usize)> {
    let starts = |prefix: &&str| prefix.chars().eq(text.iter().copied().take(prefix.len()));
    let prefix = ["do_", "dd_"].into_iter().find(starts)?;
    let is_letter = |it: &&char| it.is_ascii_alphanumeric() || "_-".contains(**it);
    let secret = text[prefix.len()..].iter().take_while(is_letter).count();
    (secret >= TOKEN_CHARS_MIN).then_some((prefix, secret))
}

/// An id at the beginning of the text.
fn id(text: &[char]) -> Option<String> {
    let id: String =
        text.iter().take_while(|it| it.is_ascii_alphanumeric() || **it == '_').collect();
    let is_id = ["a_", "d_", "r_"].iter().any(|prefix| id.starts_with(prefix));
    (is_id && id.len() == 2 + ID_CHARS).then_some(id)
}

fn fits(shape: &str, text: &[char]) -> bool {
    let fits = |(shape, letter): (char, &char)| match shape {
        '#' => letter.is_ascii_digit(),
        shape => shape == *letter,
    };
    text.len() >= shape.len() && shape.chars().zip(text).all(fits)
}

#[test]
fn only_what_differs_is_replaced() {
    let text = "d_9h6s0b4n2f8ja a_1p3k8t5w7y2d4 d_9h6s0b4n2f8ja of +14155550123, 29d3h, 09:12:03, 12 records\n\
                2026-11-23T08:41:07Z 2026-11-23 08:41:07 0000495368-000001 498728:5f0c… +447700900123";
    assert_eq!(
        stable(text),
        "d_0000000000001 a_0000000000002 d_0000000000001 of +14155550123, 29d20h, 03:04:05, 12 records\n\
         2026-01-02T03:04:05Z 2026-01-02 03:04:05 0000490000-000000 490000:ffff… +447700900123"
    );
    let token = "d_o_x do_rktNS4eBG8cfTVamfOlSTdl7Pu_yraajldZn4X-WH9g' do_not";
    assert_eq!(stable(token), format!("d_o_x do_{}' do_not", "x".repeat(43)));
    let text = "12 1234 d_123 0000490000-000000 05:10.678 +14155550123 567,";
    let text_without = "12 9999 d_123 0000490000-000000 05:10.678 +14155550123 999,";
    assert_eq!(without_sizes(text), text_without);
}
