//! The filters of the log, as query parameters.

use serde::Deserialize;
use utoipa::IntoParams;

use crate::{
    clock::Timestamp,
    handle::Handle,
    http::{
        body::parse_span,
        problem::{Code, Problem},
    },
    limits,
    query_log::{Cursor, Filter, Kind, Order, Reason, Route},
};

/// What to look for. Everything named must hold.
#[derive(Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct LogQuery {
    /// Phone number or e-mail address.
    handle: Option<String>,
    /// A device's id.
    device: Option<String>,
    /// An account's id.
    account: Option<String>,
    /// An address, or a network as 192.0.2.0/24.
    ip: Option<String>,
    /// `imessage`, `sms` or `none`.
    route: Option<String>,
    /// Why: `live-device`, `never-registered`, …
    reason: Option<String>,
    /// `lookup` or `change`.
    kind: Option<String>,
    /// From this instant on: RFC 3339, or a span back from now (`90m`, `7d`).
    since: Option<String>,
    /// Before this instant: RFC 3339, or a span back from now.
    until: Option<String>,
    /// `desc` (newest first, the default) or `asc`.
    order: Option<String>,
    /// Records at most: 100 by default and 1,000 at most in a page of JSON; no limit as NDJSON.
    #[param(value_type = Option<usize>)]
    limit: Option<String>,
    /// Where the last page ended: its `next_cursor`.
    cursor: Option<String>,
}

pub(super) fn invalid(name: &str, takes: &str) -> Problem {
    Problem::new(Code::RequestInvalid, format!("`{name}` takes {takes}"))
}

/// Reads a parameter with `read`; what it holds is never quoted back.
pub(super) fn take<T>(
    name: &str,
    takes: &str,
    text: Option<&str>,
    read: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, Problem> {
    text.map(|text| read(text).ok_or_else(|| invalid(name, takes))).transpose()
}

/// Reads the parameter `name` as an instant; a span counts back from `now`.
pub(super) fn take_instant(
    name: &str,
    text: Option<&str>,
    now: Timestamp,
) -> Result<Option<Timestamp>, Problem> {
    take(name, "an RFC 3339 instant, or a span back from now such as 90m or 7d", text, |text| {
        text.parse().ok().or_else(|| parse_span(text).map(|span| now.minus(span)))
    })
}

impl LogQuery {
    /// The filter; spans count back from `now`.
    pub(super) fn filter(&self, now: Timestamp) -> Result<Filter, Problem> {
        let handle = take(
            "handle",
            "a phone number in E.164 or an e-mail address",
            self.handle.as_deref(),
            |text| {
                // In a query a plus sign means a space; nobody who pastes a number should need to know.
                let text =
                    text.strip_prefix(' ').map_or(text.to_owned(), |digits| format!("+{digits}"));
                Handle::parse(&text, None).ok()
            },
        )?;
        Ok(Filter {
            handle,
            device: take("device", "a device id", self.device.as_deref(), |t| t.parse().ok())?,
            account: take("account", "an account id", self.account.as_deref(), |t| t.parse().ok())?,
            ip: take("ip", "an address or a network", self.ip.as_deref(), |t| t.parse().ok())?,
            route: take("route", "imessage, sms or none", self.route.as_deref(), Route::from_code)?,
            reason: take(
                "reason",
                "a reason such as unbound",
                self.reason.as_deref(),
                Reason::from_code,
            )?,
            kind: take("kind", "lookup or change", self.kind.as_deref(), Kind::from_code)?,
            since: take_instant("since", self.since.as_deref(), now)?,
            until: take_instant("until", self.until.as_deref(), now)?,
        })
    }

    /// Newest first, unless asked otherwise.
    pub(super) fn order(&self) -> Result<Order, Problem> {
        match self.order.as_deref() {
            None | Some("desc") => Ok(Order::Desc),
            Some("asc") => Ok(Order::Asc),
            Some(_) => Err(invalid("order", "asc or desc")),
        }
    }

    /// Where to go on.
    pub(super) fn cursor(&self) -> Result<Option<Cursor>, Problem> {
        take("cursor", "the next_cursor of a page", self.cursor.as_deref(), |t| t.parse().ok())
    }

    /// Records in a page.
    pub(super) fn page_limit(&self) -> Result<usize, Problem> {
        let most = limits::LOG_PAGE_RECORDS_MAX;
        let takes = format!("1 to {most} in a page; NDJSON streams more");
        let limit = self.limit(&takes)?;
        if limit.is_some_and(|limit| limit > most) {
            return Err(invalid("limit", &takes));
        }
        Ok(limit.unwrap_or(limits::LOG_PAGE_RECORDS_DEFAULT))
    }

    /// Records in a stream.
    pub(super) fn stream_limit(&self) -> Result<usize, Problem> {
        Ok(self.limit("a number from 1 on")?.unwrap_or(usize::MAX))
    }

    fn limit(&self, takes: &str) -> Result<Option<usize>, Problem> {
        take("limit", takes, self.limit.as_deref(), |text| {
            text.parse().ok().filter(|limit| *limit > 0)
        })
    }

    /// Refuses what makes no sense for a live view.
    pub(super) fn only_filters(&self) -> Result<(), Problem> {
        let stray = [
            ("order", self.order.is_some()),
            ("limit", self.limit.is_some()),
            ("cursor", self.cursor.is_some()),
        ];
        match stray.iter().find(|(_, is_there)| *is_there) {
            Some((name, _)) => {
                Err(Problem::new(Code::RequestInvalid, format!("a tail takes no `{name}`")))
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    #[test]
    fn spans_count_back_and_instants_stand() {
        let query = LogQuery {
            since: Some("90m".into()),
            until: Some("2027-01-15T08:00:00Z".into()),
            handle: Some(" 14155550123".into()),
            ..LogQuery::default()
        };
        let filter = query.filter(NOW).unwrap();
        assert_eq!(filter.since, Some(NOW.minus(Duration::from_secs(5_400))));
        assert_eq!(filter.until, Some(NOW));
        assert_eq!(filter.handle.unwrap().canonical(), "+14155550123");
    }

    #[test]
    fn a_wrong_parameter_is_named_and_not_quoted() {
        let planted = || Some("4155550123x".to_owned());
        let queries = [
            ("handle", LogQuery { handle: planted(), ..LogQuery::default() }),
            ("ip", LogQuery { ip: planted(), ..LogQuery::default() }),
            ("since", LogQuery { since: planted(), ..LogQuery::default() }),
            ("route", LogQuery { route: planted(), ..LogQuery::default() }),
        ];
        for (name, query) in queries {
            let problem = format!("{:?}", query.filter(NOW).unwrap_err());
            assert!(problem.contains(name) && !problem.contains("4155550123"), "{problem}");
        }
    }

    #[test]
    fn paging_words_have_their_limits() {
        let page =
            |limit: usize| LogQuery { limit: Some(limit.to_string()), ..LogQuery::default() };
        for limit in [0, limits::LOG_PAGE_RECORDS_MAX + 1] {
            assert!(page(limit).page_limit().is_err());
        }
        assert_eq!(LogQuery::default().page_limit().unwrap(), limits::LOG_PAGE_RECORDS_DEFAULT);
        assert!(page(1).only_filters().is_err());
        let wrong = || Some("4155550123x".to_owned());
        assert!(LogQuery { order: wrong(), ..LogQuery::default() }.order().is_err());
        assert!(LogQuery { cursor: wrong(), ..LogQuery::default() }.cursor().is_err());
    }
}
