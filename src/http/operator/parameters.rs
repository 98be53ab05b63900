//! Parameters of a query, by their names.

use axum::{
    extract::{FromRequestParts, Query},
    http::request::Parts,
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use utoipa::IntoParams;

use crate::http::problem::{Code, Problem};

/// A request that came as a query. What is unknown or appears twice is refused by name; values are never quoted back.
pub(super) struct Parameters<T>(pub(super) T);

impl<T: DeserializeOwned + IntoParams, S: Sync> FromRequestParts<S> for Parameters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let invalid = |detail: String| Problem::new(Code::RequestInvalid, detail);
        let pairs = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri);
        let Query(pairs) = pairs.map_err(|_| invalid("the query is not UTF-8".to_owned()))?;
        let known: Vec<_> = T::into_params(|| None).into_iter().map(|known| known.name).collect();
        for (at, (name, _)) in pairs.iter().enumerate() {
            if !known.contains(name) {
                let takes = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                let shown = shown(name);
                return Err(invalid(format!("{shown} is unknown; this call takes {takes}")));
            }
            if pairs.iter().take(at).any(|(before, _)| before == name) {
                return Err(invalid(format!("the parameter `{name}` appears twice")));
            }
        }
        let fields = pairs.into_iter().map(|(name, value)| (name, Value::String(value)));
        let read = serde_json::from_value(Value::Object(fields.collect()));
        read.map(Self).map_err(|_| invalid("the query is not what this call takes".to_owned()))
    }
}

/// An unknown name, if it looks like one: a handle that somebody forgot to name must not be quoted back.
fn shown(name: &str) -> String {
    const NAME_BYTES_MAX: usize = 32;
    let is_name = name.bytes().all(|byte| byte.is_ascii_lowercase() || b"_-".contains(&byte));
    match is_name && (1..=NAME_BYTES_MAX).contains(&name.len()) {
        true => format!("the parameter `{name}`"),
        false => "a parameter".to_owned(),
    }
}
