//! An object store in this process: as much of S3 as copies of the log need, with faults.
//!
//! It refuses to overwrite, as a real one does. A call that it loses is either never carried out or carried out without an answer that says so.

use std::{
    collections::BTreeMap,
    fmt, fs,
    ops::Bound,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{Method, StatusCode, header},
    response::Response,
};
use dispatchd::object_storage::{Config, Objects};
use tokio::{net::TcpListener, task::JoinSet, time::sleep};

use crate::network::Network;

const BUCKET: &str = "logs";
const PREFIX: &str = "cluster";
/// The largest object of a log has 4 MiB.
const BODY_BYTES_MAX: usize = 16 << 20;
/// How slow a slow store is.
const SLOW: Duration = Duration::from_millis(1_500);
/// How often a call that hangs looks whether the fault is over.
const LOOK: Duration = Duration::from_millis(50);

/// What the store does to calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Harm {
    /// Each answer takes long.
    Slow,
    /// Each call is refused.
    Refuses,
    /// Of three calls one is carried out and answered with an error, and one hangs until the fault ends, and is not carried out.
    Loses,
}

#[derive(Default)]
struct Shared {
    objects: Mutex<BTreeMap<String, Bytes>>,
    harm: Mutex<Option<Harm>>,
    calls: AtomicU64,
    harmed: AtomicU64,
}

/// The store. It ends when this is dropped.
pub(crate) struct Store {
    shared: Arc<Shared>,
    config: Config,
    _serving: JoinSet<()>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Store {
    /// Starts an empty store where the nodes reach it. `folder` gets the file of its key.
    pub(crate) async fn start(network: Network, folder: &Path) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((network.own_address(), 0)).await?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let shared = Arc::<Shared>::default();
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            // It ends with the run.
            let _ = axum::serve(listener, router).await;
        });
        let config = Config {
            url: format!("s3://{BUCKET}/{PREFIX}"),
            endpoint,
            credentials_file: key_file(folder)?,
            allow_unencrypted: true,
            ..Config::default()
        };
        Ok(Self { shared, config, _serving: serving })
    }

    /// The section of a node's configuration that names it.
    pub(crate) fn settings(&self) -> String {
        let Config { url, endpoint, credentials_file, .. } = &self.config;
        format!(
            "[log.store]\nurl = {url:?}\nendpoint = {endpoint:?}\ncredentials_file = {credentials_file:?}\n\
             allow_unencrypted = true\n"
        )
    }

    /// Opens it as a reader.
    pub(crate) fn objects(&self) -> anyhow::Result<Objects> {
        Ok(Objects::open(&self.config)?)
    }

    /// Does this to calls from now on, or none of it.
    pub(crate) fn set_harm(&self, harm: Option<Harm>) {
        *lock(&self.shared.harm) = harm;
    }
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |of: &AtomicU64| of.load(Ordering::Relaxed);
        let (objects, calls) = (lock(&self.shared.objects).len(), count(&self.shared.calls));
        let harmed = count(&self.shared.harmed);
        write!(f, "{objects} objects, {calls} calls, of which {harmed} were harmed")
    }
}

/// The file of a key, as no real one is.
fn key_file(folder: &Path) -> anyhow::Result<PathBuf> {
    let path = folder.join("store.key");
    fs::write(&path, "[default]\naws_access_key_id = test\naws_secret_access_key = test\n")?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
    Ok(path)
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let number = shared.calls.fetch_add(1, Ordering::Relaxed);
    let harm = *lock(&shared.harm);
    if harm.is_some() {
        shared.harmed.fetch_add(1, Ordering::Relaxed);
    }
    match (harm, number % 3) {
        (None, _) => carried_out(&shared, request).await,
        (Some(Harm::Slow), _) => {
            sleep(SLOW).await;
            carried_out(&shared, request).await
        }
        (Some(Harm::Refuses), _) => plain(StatusCode::SERVICE_UNAVAILABLE),
        (Some(Harm::Loses), 0) => {
            drop(carried_out(&shared, request).await);
            plain(StatusCode::INTERNAL_SERVER_ERROR)
        }
        (Some(Harm::Loses), 1) => {
            while lock(&shared.harm).is_some() {
                sleep(LOOK).await;
            }
            plain(StatusCode::INTERNAL_SERVER_ERROR)
        }
        (Some(Harm::Loses), _) => carried_out(&shared, request).await,
    }
}

fn plain(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

async fn carried_out(shared: &Shared, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_BYTES_MAX).await else {
        return plain(StatusCode::BAD_REQUEST);
    };
    let path = parts.uri.path().trim_start_matches('/');
    let query = parts.uri.query().unwrap_or_default();
    let (bucket, name) = path.split_once('/').unwrap_or((path, ""));
    if bucket != BUCKET {
        return plain(StatusCode::NOT_FOUND);
    }
    let mut objects = lock(&shared.objects);
    let is_new = parts.headers.get(header::IF_NONE_MATCH).is_some_and(|value| value == "*");
    match (parts.method, name) {
        (Method::GET, "") => list(&objects, query),
        (Method::POST, "") => delete(&mut objects, &String::from_utf8_lossy(&body)),
        (Method::PUT, _) if is_new && objects.contains_key(name) => {
            plain(StatusCode::PRECONDITION_FAILED)
        }
        (Method::PUT, _) => {
            objects.insert(name.to_owned(), body);
            with(StatusCode::OK, Body::empty(), "application/xml")
        }
        (Method::DELETE, _) => {
            objects.remove(name);
            plain(StatusCode::NO_CONTENT)
        }
        (Method::GET | Method::HEAD, _) => {
            let range = parts.headers.get(header::RANGE).and_then(|range| range.to_str().ok());
            objects.get(name).map_or_else(|| plain(StatusCode::NOT_FOUND), |it| read(it, range))
        }
        _ => plain(StatusCode::METHOD_NOT_ALLOWED),
    }
}

fn with(status: StatusCode, body: Body, kind: &str) -> Response {
    let mut response = Response::builder().status(status).header(header::CONTENT_TYPE, kind);
    response = response.header(header::ETAG, "\"0\"");
    response.body(body).unwrap_or_else(|_| plain(StatusCode::INTERNAL_SERVER_ERROR))
}

/// A range of an object. One that ends behind it is shorter.
fn read(object: &Bytes, range: Option<&str>) -> Response {
    let of = |range: &str| -> Option<(usize, usize)> {
        let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
        let end = last.parse().map_or(object.len(), |last: usize| object.len().min(last + 1));
        Some((first.parse().ok()?, end))
    };
    let kind = "application/octet-stream";
    match range.and_then(of) {
        None => with(StatusCode::OK, Body::from(object.clone()), kind),
        Some((first, end)) if first < end => {
            let part = object.slice(first..end);
            let mut response = with(StatusCode::PARTIAL_CONTENT, Body::from(part), kind);
            let range = format!("bytes {first}-{}/{}", end - 1, object.len());
            if let Ok(range) = range.parse() {
                response.headers_mut().insert(header::CONTENT_RANGE, range);
            }
            response
        }
        Some(_) => plain(StatusCode::RANGE_NOT_SATISFIABLE),
    }
}

/// The page of names that the query asks for. Names have no letter that XML or URLs write otherwise, but the slash.
fn list(objects: &BTreeMap<String, Bytes>, query: &str) -> Response {
    let field = |name: &str| {
        let fields = query.split('&').filter_map(|field| field.split_once('='));
        let value = fields.filter(|(key, _)| *key == name).map(|(_, value)| value).next();
        value.unwrap_or_default().replace("%2F", "/")
    };
    let (prefix, after) = (field("prefix"), field("continuation-token"));
    let from = if after.is_empty() { Bound::Unbounded } else { Bound::Excluded(after.as_str()) };
    let names = objects.range::<str, _>((from, Bound::Unbounded));
    let mut names = names.filter(|(name, _)| name.starts_with(&prefix)).peekable();
    let (mut text, mut last) = (String::new(), String::new());
    // Pages are small, so that there are several.
    for (name, object) in names.by_ref().take(100) {
        text += &format!(
            "<Contents><Key>{name}</Key><LastModified>2026-11-23T00:00:00Z</LastModified><ETag>\"0\"</ETag>\
             <Size>{}</Size></Contents>",
            object.len()
        );
        last.clone_from(name);
    }
    let next = match names.peek() {
        Some(_) => format!("<NextContinuationToken>{last}</NextContinuationToken>"),
        None => String::new(),
    };
    let is_cut = !next.is_empty();
    let text = format!(
        "<ListBucketResult><IsTruncated>{is_cut}</IsTruncated>{text}{next}</ListBucketResult>"
    );
    with(StatusCode::OK, Body::from(text), "application/xml")
}

fn delete(objects: &mut BTreeMap<String, Bytes>, body: &str) -> Response {
    let mut text = String::new();
    let names = body.split("<Key>").skip(1).filter_map(|rest| rest.split_once("</Key>"));
    for (name, _) in names {
        objects.remove(name);
        text += &format!("<Deleted><Key>{name}</Key></Deleted>");
    }
    let text = format!("<DeleteResult>{text}</DeleteResult>");
    with(StatusCode::OK, Body::from(text), "application/xml")
}
