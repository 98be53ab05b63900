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
    [("RequestId", id), ("RetryAfter", seconds)]
        .map(|(name, header)| (name.to_owned(), RefOr::T(header.build())))
        .into()
}
