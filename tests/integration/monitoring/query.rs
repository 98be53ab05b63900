//! What an expression of Prometheus names: metrics, and the labels that it selects them by.

/// A metric in an expression, with its matchers.
#[derive(Debug, PartialEq)]
pub(super) struct Selector {
    pub(super) metric: String,
    /// Labels, and the values that they are compared with: the parts between `|`.
    pub(super) matchers: Vec<(String, Vec<String>)>,
}

/// The metrics of dispatchd and of its process that an expression names.
pub(super) fn selectors(expression: &str) -> Vec<Selector> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut found = Vec::new();
    let mut rest = expression;
    while let Some(at) = rest.find(is_word) {
        rest = &rest[at..];
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        rest = after;
        if word == "up" || word.starts_with("dispatchd_") || word.starts_with("process_") {
            let (matchers, after) = matchers(rest);
            rest = after;
            found.push(Selector { metric: word.to_owned(), matchers });
        }
    }
    found
}

/// The matchers in braces at the start of `text`, and what follows them. Values hold no comma and no brace.
fn matchers(text: &str) -> (Vec<(String, Vec<String>)>, &str) {
    let braces = text.strip_prefix('{').and_then(|text| text.split_once('}'));
    let Some((inside, after)) = braces else {
        return (Vec::new(), text);
    };
    let matcher = |part: &str| {
        let end = part.find(['=', '!']).expect("a matcher compares");
        let value = part[end..].trim_start_matches(['=', '!', '~']).trim_matches('"');
        (part[..end].trim().to_owned(), value.split('|').map(str::to_owned).collect())
    };
    let parts = inside.split(',').filter(|part| !part.trim().is_empty());
    (parts.map(matcher).collect(), after)
}

#[test]
fn metrics_and_labels_are_found() {
    let found = selectors(
        r#"sum by (up_to) (rate(dispatchd_a_total{x!~"1|2",y="3"}[5m])) / up{job="dispatchd"} offset 1d > process_b"#,
    );
    let label = |name: &str, values: &[&str]| {
        (name.to_owned(), values.iter().map(|value| (*value).to_owned()).collect())
    };
    let is = |metric: &str, matchers: Vec<(String, Vec<String>)>| Selector {
        metric: metric.to_owned(),
        matchers,
    };
    assert_eq!(
        found,
        [
            is("dispatchd_a_total", vec![label("x", &["1", "2"]), label("y", &["3"])]),
            is("up", vec![label("job", &["dispatchd"])]),
            is("process_b", Vec::new()),
        ]
    );
}
