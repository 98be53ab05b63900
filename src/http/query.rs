//! Query strings. What is unknown or appears twice is refused by name.

use axum::{
    extract::{FromRequestParts, Query},
    http::{Uri, request::Parts},
};
use serde::de::DeserializeOwned;
use utoipa::{
    IntoParams,
    openapi::{RefOr, Type, path::Parameter, schema::Schema},
};

use super::problem::{Code, Problem};
use crate::api::words::{not_one_of, twice, unknown_name};

/// A call without parameters. A query that has one is refused.
pub(super) struct NoParameters;

impl<S: Sync> FromRequestParts<S> for NoParameters {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        check_none(&parts.uri).map(|()| Self)
    }
}

/// Checks that there is no parameter.
///
/// # Errors
/// `request-invalid`.
pub(super) fn check_none(uri: &Uri) -> Result<(), Problem> {
    check(uri, &[])
}

/// Reads the parameters of `T` from a query string. A plus sign at the start of a value is one: in a query it means a blank, but
/// people paste phone numbers as they are.
///
/// # Errors
/// `request-invalid`, with the names that `T` knows.
pub(super) fn read<T: DeserializeOwned + IntoParams>(uri: &Uri) -> Result<T, Problem> {
    let with_plus = with_plus_signs(uri);
    let uri = with_plus.as_ref().unwrap_or(uri);
    check(uri, &T::into_params(|| None))?;
    let request = Query::try_from_uri(uri).map(|Query(request)| request);
    request.map_err(|_| invalid("the query is not what this call takes"))
}

/// Checks the names of the parameters, and the values of those that are true or false. Other values are texts.
fn check(uri: &Uri, known: &[Parameter]) -> Result<(), Problem> {
    let pairs = Query::<Vec<(String, String)>>::try_from_uri(uri);
    let Query(pairs) = pairs.map_err(|_| invalid("the query cannot be read"))?;
    let names: Vec<_> = known.iter().map(|known| known.name.as_str()).collect();
    for (at, (name, value)) in pairs.iter().enumerate() {
        let Some(parameter) = known.iter().find(|known| known.name == *name) else {
            return Err(invalid(unknown_name("parameter", name, &names)));
        };
        if pairs.iter().take(at).any(|(before, _)| before == name) {
            return Err(invalid(twice("parameter", name)));
        }
        let flags = ["true", "false"];
        if is_flag(parameter) && !flags.contains(&value.as_str()) {
            return Err(invalid(not_one_of(name, value, &flags)));
        }
    }
    Ok(())
}

fn is_flag(parameter: &Parameter) -> bool {
    matches!(&parameter.schema, Some(RefOr::T(Schema::Object(it))) if it.schema_type == Type::Boolean.into())
}

fn invalid(detail: impl Into<std::borrow::Cow<'static, str>>) -> Problem {
    Problem::new(Code::RequestInvalid, detail)
}

/// The same query with `%2B` for each plus sign at the start of a value. None if it has none.
fn with_plus_signs(uri: &Uri) -> Option<Uri> {
    let query = uri.query().filter(|query| query.contains("=+"))?;
    format!("/?{}", query.replace("=+", "=%2B")).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{LookupQuery, RecordFilter, TrustRequest};

    #[test]
    fn a_flag_is_true_or_false() {
        let read = |query: &str| {
            let uri: Uri = format!("/v1/clock/trust?{query}").parse().unwrap();
            read::<TrustRequest>(&uri).map(|request| request.yes).map_err(|error| error.detail)
        };
        assert_eq!(
            (read(""), read("yes=true"), read("yes=false")),
            (Ok(false), Ok(true), Ok(false))
        );
        assert_eq!(read("yes=maybe").unwrap_err(), "yes: \"maybe\" is not one of true, false");
        assert_eq!(
            read("yess=true").unwrap_err(),
            "the parameter `yess` is unknown; this call takes yes; did you mean `yes`?"
        );
        assert!(check(&"/v1/clock?x=1".parse().unwrap(), &[]).is_err());
        assert!(check(&"/v1/clock".parse().unwrap(), &[]).is_ok());
    }

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
