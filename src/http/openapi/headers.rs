//! The headers of responses in the description.

use std::collections::BTreeMap;

use utoipa::openapi::{Header, HeaderBuilder, ObjectBuilder, Ref, RefOr, Type};

/// A reference to one of the [`shared`] headers.
pub(super) fn reference(name: &str) -> RefOr<Header> {
    RefOr::Ref(Ref::new(format!("#/components/headers/{name}")))
}

/// The headers that responses share.
pub(super) fn shared() -> BTreeMap<String, RefOr<Header>> {
    let id = ObjectBuilder::new().schema_type(Type::String).examples(["r_0123456789abc"]);
    let id = HeaderBuilder::new()
        .schema(Some(id))
        .description(Some("The id of this request; records of lookups have it, too."));
    let seconds = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1));
    let seconds = HeaderBuilder::new()
        .schema(Some(seconds))
        .description(Some("Seconds after which the same request may succeed."));
    let text = |example: &str, description: &str| {
        let text = ObjectBuilder::new().schema_type(Type::String).examples([example]);
        HeaderBuilder::new().schema(Some(text)).description(Some(description))
    };
    let policy = text(
        r#""new-handles";q=100;w=86400, "address-book";q=10000;w=10368000"#,
        "The allowances of new handles: `q` in `w` seconds. Missing if quotas are off.",
    );
    let left = text(
        r#""new-handles";r=99;t=864, "address-book";r=10000;t=0"#,
        "What is left of the allowances: `r` handles, all of them after `t` seconds. Missing if quotas are off.",
    );
    let reuse = text(
        "private, max-age=300",
        "How long the answer may be reused: the smallest `expires_in`.",
    );
    let limits = [("RateLimitPolicy", policy), ("RateLimit", left), ("CacheControl", reuse)];
    [("RequestId", id), ("RetryAfter", seconds)]
        .into_iter()
        .chain(limits)
        .map(|(name, header)| (name.to_owned(), RefOr::T(header.build())))
        .collect()
}

/// Which of the [`shared`] headers a response of a lookup has, by their names on the wire.
pub(super) fn of_lookup(status: &str) -> &'static [(&'static str, &'static str)] {
    static ALL: [(&str, &str); 3] = [
        ("RateLimit-Policy", "RateLimitPolicy"),
        ("RateLimit", "RateLimit"),
        ("Cache-Control", "CacheControl"),
    ];
    match status {
        "200" => &ALL,
        "429" => ALL.split_at(2).0,
        _ => &[],
    }
}
