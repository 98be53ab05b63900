//! Runs the calls that read, on threads that may wait, and no more of them than the server can bear.

use std::{marker::PhantomData, sync::Arc};

use axum::{
    Json,
    extract::{FromRef, FromRequest, FromRequestParts, Request},
    http::{HeaderMap, HeaderName, HeaderValue, request::Parts},
    response::{IntoResponse, Response},
};
use futures_util::future::join;
use serde::de::DeserializeOwned;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;
use utoipa::IntoParams;

use super::{
    access::Gate,
    authority::Authority,
    lines::{self, Accepted},
    places::{Place, Places},
};
use crate::{
    api::{self, Call, Fields, Posted, Scope},
    clock::Timestamp,
    cluster::{self, ON_BEHALF},
    http::{
        body,
        problem::{Code, Problem},
        query,
    },
    limits,
    operators::Role,
    reading::{Answer, MISSING, ReadingError, Records, Rows, Stop},
};

pub(super) const HIDDEN_UNTIL: HeaderName = HeaderName::from_static(cluster::HIDDEN_UNTIL);
const HORIZON: HeaderName = HeaderName::from_static("dispatchd-horizon");

/// Headers that are instants.
type ReadHeaders = [(HeaderName, Option<Timestamp>); 2];

/// The records, with places for those who read them.
#[derive(Clone)]
pub struct Reads {
    pub(super) records: Records,
    /// Few: each search reads on a thread of its own.
    searches: Places,
    /// Those for which other nodes ask.
    searches_of_nodes: Places,
    pub(super) tails: Places,
    /// Those for which other nodes ask.
    pub(super) tails_of_nodes: Places,
}

impl Reads {
    /// No call is under way.
    pub fn new(records: Records) -> Self {
        let (searches, searches_each) =
            (limits::LOG_SEARCHES_MAX, limits::LOG_SEARCHES_PER_OPERATOR_MAX);
        let (tails, tails_each) = (limits::LOG_TAILS_MAX, limits::LOG_TAILS_PER_OPERATOR_MAX);
        Self {
            records,
            searches: Places::new("searches", searches, searches_each),
            searches_of_nodes: Places::new(
                "searches of other nodes",
                limits::LOG_SEARCHES_OF_NODES_MAX,
                // A timeline of a number with two spellings makes two at once.
                2 * searches_each,
            ),
            tails: Places::new("tails", tails, tails_each),
            tails_of_nodes: Places::new(
                "tails of other nodes",
                limits::LOG_TAILS_OF_NODES_MAX,
                tails_each,
            ),
        }
    }

    /// The headers of an answer to the call: which records it cannot have.
    fn headers<C: Call>(&self) -> ReadHeaders {
        let of_log = C::READS_RECORDS.then_some(&self.records);
        [
            (HIDDEN_UNTIL, of_log.and_then(Records::hidden_until)),
            (HORIZON, of_log.map(Records::horizon)),
        ]
    }
}

/// A call of an operator whose role is enough for it.
pub(super) struct Asked<C> {
    pub(super) request: C,
    pub(super) authority: Authority,
    pub(super) reads: Reads,
    accepted: Accepted,
}

impl<C: Call + DeserializeOwned + IntoParams, S: Sync> FromRequestParts<S> for Asked<C>
where
    Gate: FromRef<S>,
    Reads: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let admitted = Admitted::of::<C>(&parts.headers, Gate::from_ref(state)).await?;
        let request = query::read::<C>(&parts.uri)?;
        admitted.asked(request, &parts.headers, Reads::from_ref(state))
    }
}

/// The same with the request as a JSON body of another type.
pub(super) struct AskedByBody<B, C = B> {
    pub(super) asked: Asked<C>,
    body: PhantomData<B>,
}

impl<B: Posted, C: Call + From<B>, S: Sync> FromRequest<S> for AskedByBody<B, C>
where
    Gate: FromRef<S>,
    Reads: FromRef<S>,
{
    type Rejection = Problem;

    /// A token is looked at before the body is read.
    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let admitted = Admitted::of::<C>(&parts.headers, Gate::from_ref(state)).await;
        let admitted = match admitted.and_then(|it| query::check_none(&parts.uri).map(|()| it)) {
            Ok(admitted) => admitted,
            Err(problem) => {
                body::discard(&parts.headers, body).await;
                return Err(problem);
            }
        };
        let text = body::read_json_text(&parts.headers, body, limits::SMALL_BODY_BYTES_MAX).await?;
        let Fields(given) = api::read_json::<Fields<B>>(&text)?;
        let asked = admitted.asked(given.into(), &parts.headers, Reads::from_ref(state))?;
        Ok(Self { asked, body: PhantomData })
    }
}

/// An operator whose role is enough for a call.
struct Admitted {
    role: Role,
    authority: Authority,
    /// Whether a reader must name a case.
    require_case: bool,
}

impl Admitted {
    async fn of<C: Call>(headers: &HeaderMap, gate: Gate) -> Result<Self, Problem> {
        // An operator who sends the header asks in the own name all the same.
        let is_for_operator =
            || C::NODES_MAY && headers.contains_key(ON_BEHALF) && gate.is_node(headers);
        let (role, authority) = match C::REFUSED_AS {
            _ if C::NODES_ONLY || is_for_operator() => {
                gate.admit_through_node(headers, C::ROLE, C::REFUSED_AS).await?
            }
            Some(call) => (C::ROLE, gate.admit_admin(headers, call).await?),
            None => gate.admit(headers, C::ROLE)?,
        };
        Ok(Self { role, authority, require_case: gate.require_case })
    }

    fn asked<C: Call>(
        self,
        request: C,
        headers: &HeaderMap,
        reads: Reads,
    ) -> Result<Asked<C>, Problem> {
        let Self { role, authority, require_case } = self;
        let must_name_case = require_case && C::NEEDS_CASE && role == Role::Reader;
        if must_name_case && request.case().is_none() {
            let detail = "this server asks readers for a case (operators.require_case): send the parameter `case`, such as a \
                          ticket's number; the audit log keeps it";
            return Err(Problem::new(Code::CaseRequired, detail));
        }
        // A node that asked all nodes for one of them would ask itself.
        if authority.is_through_node() && request.scope()? != Scope::Node {
            let detail = "a node asks another one for its own part: send `scope=node`";
            return Err(Problem::new(Code::RequestInvalid, detail));
        }
        Ok(Asked { request, authority, reads, accepted: Accepted::by(headers) })
    }
}

impl<C> Asked<C> {
    async fn search(&self) -> Result<Place, Problem> {
        let Reads { searches, searches_of_nodes, .. } = &self.reads;
        let of_nodes = self.authority.is_through_node();
        let places = if of_nodes { searches_of_nodes } else { searches };
        places.take(self.authority.name()).await
    }
}

impl<C: Answer> Asked<C> {
    /// Answers the call as a whole. Reading stops when the client goes away or the operator is revoked.
    pub(super) async fn answer(self) -> Result<Response, Problem> {
        self.answer_with(async {}, |answer, ()| answer).await
    }

    /// The same, joined with what `more` gives meanwhile.
    pub(super) async fn answer_with<T>(
        self,
        more: impl Future<Output = T>,
        joined: impl FnOnce(C::Answer, T) -> C::Answer,
    ) -> Result<Response, Problem> {
        let place = self.search().await?;
        let Self { request, authority, reads, .. } = self;
        let by = authority.name().to_owned();
        // Dropped with this future, at the latest when the client goes away.
        let client = CancellationToken::new();
        let _here = client.clone().drop_guard();
        let stop: Stop = Arc::new(move || client.is_cancelled());
        let headers = reads.headers::<C>();
        let read = spawn_blocking(move || {
            let answer = request.answer(&reads.records, &by, &stop);
            drop(place);
            answer
        });
        let read = async {
            let (read, more) = join(read, more).await;
            let read = read.map_err(|_| Problem::new(Code::Internal, "reading failed"))?;
            Ok::<_, Problem>(joined(read?, more))
        };
        Ok(with_instants(headers, Json(authority.while_held(read).await?)))
    }
}

impl<C: Rows> Asked<C> {
    /// Streams the rows of the call as NDJSON.
    pub(super) async fn rows(self) -> Result<Response, Problem> {
        let place = self.search().await?;
        let Self { request, authority, reads, accepted } = self;
        let by = authority.name().to_owned();
        let headers = reads.headers::<C>();
        let is_gathered = reads.records.is_gathered(&request)?;
        let begun = spawn_blocking(move || request.begin(&reads.records, &by)).await;
        let reading = begun.map_err(|_| Problem::new(Code::Internal, "reading failed"))??;
        let lines = lines::stream(reading, place, (accepted.trailers, is_gathered));
        Ok(authority.watched_rows(with_instants(headers, lines)))
    }
}

impl<C: Rows> Asked<C> {
    /// Streams the rows of the call, or gives all of them as a JSON array: as the client accepts it. The array is for few rows. Then the
    /// header `dispatchd-missing` names the nodes whose rows are missing.
    pub(super) async fn rows_or_list(self) -> Result<Response, Problem> {
        if self.accepted.lines {
            return self.rows().await;
        }
        // It waits for other nodes.
        let place = self.search().await?;
        let Self { request, authority, reads, .. } = self;
        let (by, headers) = (authority.name().to_owned(), reads.headers::<C>());
        // Dropped with this future, at the latest when the client goes away.
        let client = CancellationToken::new();
        let _here = client.clone().drop_guard();
        let stop: Stop = Arc::new(move || client.is_cancelled());
        let read = spawn_blocking(move || {
            let _place = place;
            let mut rows = Vec::new();
            let outcome = request.begin(&reads.records, &by)?.each(&stop, |row| {
                rows.push(row);
                true
            })?;
            Ok::<_, ReadingError>((rows, outcome))
        });
        let read = async {
            let read = read.await.map_err(|_| Problem::new(Code::Internal, "reading failed"))?;
            Ok::<_, Problem>(read?)
        };
        let (rows, outcome) = authority.while_held(read).await?;
        let mut response = with_instants(headers, Json(rows));
        // Such an answer reads no copies.
        let missing = outcome.node_trailers().into_iter().find(|(name, _)| *name == MISSING);
        let missing = missing.and_then(|(_, text)| HeaderValue::from_str(&text).ok());
        response.headers_mut().extend(missing.map(|it| (HeaderName::from_static(MISSING), it)));
        Ok(response)
    }
}

impl<C: Rows + Answer> Asked<C> {
    /// Streams the rows of the call, or answers it as a whole: as the client accepts it.
    pub(super) async fn rows_or_answer(self) -> Result<Response, Problem> {
        if self.accepted.lines { self.rows().await } else { self.answer().await }
    }
}

/// The answer, with each header that has an instant. `dispatchd-hidden-until` comes while the clocks hide records: without it an
/// answer looks as if there were no such records. `dispatchd-horizon` is the instant up to which the log has forgotten.
pub(super) fn with_instants(
    instants: impl IntoIterator<Item = (HeaderName, Option<Timestamp>)>,
    answer: impl IntoResponse,
) -> Response {
    let mut response = answer.into_response();
    let headers = instants
        .into_iter()
        .filter_map(|(name, at)| Some((name, HeaderValue::from_str(&at?.to_string()).ok()?)));
    response.headers_mut().extend(headers);
    response
}

impl From<ReadingError> for Problem {
    fn from(error: ReadingError) -> Self {
        let (code, detail) = match error {
            ReadingError::Invalid(invalid) => return invalid.into(),
            ReadingError::NotNoted(_) => (
                Code::AuditUnwritable,
                "the audit log must note who reads, and it cannot be written; is the disk full? The server's \
                 messages say more",
            ),
            ReadingError::Segment(_) | ReadingError::Open(_) | ReadingError::Forgotten(_) => {
                (Code::Internal, "the query log cannot be read; the server's messages say why")
            }
            ReadingError::AuditLog(_) => {
                (Code::Internal, "the audit log cannot be read; the server's messages say why")
            }
            ReadingError::Stopped => (Code::Internal, "the client went away"),
        };
        if !matches!(error, ReadingError::Stopped) {
            tracing::error!(%error, "an operator's call failed");
        }
        Self::new(code, detail)
    }
}
