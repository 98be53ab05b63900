use super::{messages::KeyValue, *};

/// What is read from place 2 on, of pairs with these places and values.
fn read(head: Head, pairs: &[(u64, &'static str)], has_more: bool) -> Result<usize, EngineError> {
    let keys = Keys::new("/".to_owned());
    let pair = |&(place, value): &(u64, &'static str)| KeyValue {
        key: keys.entry(place),
        value: value.into(),
    };
    let page = Ranged { pairs: pairs.iter().map(pair).collect(), has_more };
    entries_in(&keys, 2, head, page).map(|entries| entries.len())
}

#[test]
fn a_damaged_engine_is_told() {
    let head = Head::EMPTY.after(b"a").after(b"b").after(b"c").after(b"d");
    let third = Head::EMPTY.after(b"a").after(b"b").after(b"c");
    let whole = [(2, "b"), (3, "c"), (4, "d")];
    assert_eq!(read(head, &whole, false), Ok(3));
    assert_eq!(read(head, &whole[..1], true), Ok(1));
    assert_eq!(read(Head::EMPTY.after(b"a"), &[], false), Ok(0));
    let trimmed = |first| Err(EngineError::Trimmed { first });
    assert_eq!(read(head, &whole[1..], false), trimmed(3));
    assert_eq!(read(head, &[], false), trimmed(5));
    for (damaged, text) in [
        (read(head, &[(1, "a"), (2, "b")], true), "was not asked for"),
        (read(head, &[(2, "b"), (4, "d")], false), "an entry is missing"),
        (read(head, &[(2, "b"), (2, "b")], true), "an entry is missing"),
        (read(third, &whole, false), "after the head"),
        (read(Head::EMPTY, &whole, false), "after the head"),
        (read(head, &whole[..2], false), "the last entry is missing"),
        (read(head, &[(2, "b"), (3, "c"), (4, "x")], false), "of another entry"),
    ] {
        let error = damaged.unwrap_err();
        assert!(matches!(error, EngineError::Damaged(_)), "{error}");
        assert!(error.to_string().contains(text), "{error}");
    }
}
