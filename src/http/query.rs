//! Query strings. What is unknown or appears twice is refused by name.

use axum::{extract::Query, http::Uri};
use serde::de::DeserializeOwned;
use utoipa::IntoParams;

use super::problem::{Code, Problem};
use crate::api::words::{twice, unknown_name};

/// Reads the parameters of `T` from a query string. A plus sign at the start of a value is one: in a query it means a blank, but
/// people paste phone numbers as they are.
///
/// # Errors
/// `request-invalid`, with the names that `T` knows.
pub(super) fn read<T: DeserializeOwned + IntoParams>(uri: &Uri) -> Result<T, Problem> {
    let invalid = |detail: String| Problem::new(Code::RequestInvalid, detail);
    let with_plus = with_plus_signs(uri);
    let uri = with_plus.as_ref().unwrap_or(uri);
    let pairs = Query::<Vec<(String, String)>>::try_from_uri(uri);
    let Query(pairs) = pairs.map_err(|_| invalid("the query is not UTF-8".to_owned()))?;
    let known = T::into_params(|| None);
    let known: Vec<_> = known.iter().map(|known| known.name.as_str()).collect();
    for (at, (name, _)) in pairs.iter().enumerate() {
        if !known.contains(&name.as_str()) {
            return Err(invalid(unknown_name("parameter", name, &known)));
        }
        if pairs.iter().take(at).any(|(before, _)| before == name) {
            return Err(invalid(twice("parameter", name)));
        }
    }
    let request = Query::try_from_uri(uri).map(|Query(request)| request);
    request.map_err(|_| invalid("the query is not what this call takes".to_owned()))
}

/// The same query with `%2B` for each plus sign at the start of a value. None if it has none.
fn with_plus_signs(uri: &Uri) -> Option<Uri> {
    let query = uri.query().filter(|query| query.contains("=+"))?;
    format!("/?{}", query.replace("=+", "=%2B")).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{LookupQuery, RecordFilter};

    #[test]
    fn a_number_may_be_pasted_as_it_is() {
        let handle = |query: &str| {
            let uri: Uri = format!("/v1/log?{query}").parse().unwrap();
            read::<RecordFilter>(&uri).unwrap().handle.unwrap()
        };
        assert_eq!(handle("handle=+14155550123&since=7d"), "+14155550123");
        assert_eq!(handle("since=7d&handle=%2B14155550123"), "+14155550123");
        assert_eq!(handle("handle=%20415+555+0123&region=US"), " 415 555 0123");
    }

    #[test]
    fn a_wrong_parameter_is_named_and_a_value_is_not() {
        let read = |query: &str| {
            let uri: Uri = format!("/v1/lookup/x?{query}").parse().unwrap();
            read::<LookupQuery>(&uri).map(|query| query.region).map_err(|error| error.detail)
        };
        assert_eq!(read(""), Ok(None));
        assert_eq!(read("region="), Ok(Some(String::new())));
        assert_eq!(read("region=en-US"), Ok(Some("en-US".to_owned())));
        for (query, says) in [
            ("country=US", "the parameter `country` is unknown; this call takes region"),
            (
                "Region=US",
                "the parameter `Region` is unknown; this call takes region; did you mean `region`?",
            ),
            ("+14155550123", "a parameter is unknown; this call takes region"),
            ("region=US&region=DE", "the parameter `region` appears twice"),
        ] {
            assert_eq!(read(query).unwrap_err(), says, "{query}");
        }
    }
}
