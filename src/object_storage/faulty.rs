//! A store in memory that loses requests, loses answers and lists late, for tests.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream::BoxStream};
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt as _, PutMultipartOptions, PutOptions, PutPayload, PutResult,
    Result, memory::InMemory, path::Path,
};

use tokio::sync::Notify;

use super::Objects;
use crate::lock::lock;

/// What becomes of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fault {
    #[default]
    None,
    /// The store never gets it.
    LosesRequest,
    /// The store does it, and the caller gets an error.
    LosesAnswer,
    /// The store refuses the credentials.
    Denies,
    /// A listing lacks what was created since the last one.
    ListsLate,
    /// The store does nothing until [`FaultyStore::release`].
    Hangs,
}

#[derive(Default)]
struct State {
    /// Of the next calls; of all later ones there is none.
    faults: VecDeque<Fault>,
    /// Of every call, while it is not none.
    always: Fault,
    /// Created since the last listing.
    new: BTreeSet<Path>,
    /// What each object held when it was created.
    history: BTreeMap<Path, Bytes>,
    calls: u64,
    /// Objects that begin with this can be neither listed nor deleted.
    refused: Option<String>,
}

/// The store. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct FaultyStore {
    inner: Arc<InMemory>,
    state: Arc<Mutex<State>>,
    gate: Arc<Notify>,
    overwrites: bool,
}

impl FaultyStore {
    /// One that ignores the condition of a creation.
    pub(crate) fn that_overwrites() -> Self {
        Self { overwrites: true, ..Self::default() }
    }

    pub(crate) fn objects(&self) -> Objects {
        Objects::over(Arc::new(self.clone())).unwrap()
    }

    pub(crate) fn plan(&self, faults: impl IntoIterator<Item = Fault>) {
        lock(&self.state).faults.extend(faults);
    }

    /// From now on each call has this fault; none ends what was planned, too.
    pub(crate) fn always(&self, fault: Fault) {
        let mut state = lock(&self.state);
        state.faults.clear();
        state.always = fault;
    }

    /// From now on no object that begins with `prefix` can be listed or deleted; none if it is empty.
    pub(crate) fn refuse(&self, prefix: &str) {
        lock(&self.state).refused = (!prefix.is_empty()).then(|| prefix.to_owned());
    }

    fn is_refused(&self, path: &str) -> bool {
        lock(&self.state).refused.as_ref().is_some_and(|prefix| path.starts_with(prefix))
    }

    pub(crate) fn calls(&self) -> u64 {
        lock(&self.state).calls
    }

    fn fault(&self) -> Fault {
        let mut state = lock(&self.state);
        state.calls += 1;
        let planned = state.faults.pop_front().unwrap_or_default();
        if state.always == Fault::None { planned } else { state.always }
    }

    /// Lets every call that hangs now go on.
    pub(crate) fn release(&self) {
        self.gate.notify_waiters();
    }

    /// Every object, by name.
    pub(crate) fn contents(&self) -> BTreeMap<String, Bytes> {
        let inner = Arc::clone(&self.inner);
        let read = async move {
            let mut contents = BTreeMap::new();
            let mut listed = inner.list(None);
            while let Some(object) = listed.next().await {
                let at = object?.location;
                contents.insert(at.to_string(), inner.get(&at).await?.bytes().await?);
            }
            Ok::<_, Error>(contents)
        };
        futures_util::FutureExt::now_or_never(read).expect("memory does not wait").unwrap()
    }

    /// Creates or replaces an object, as somebody else might.
    pub(crate) fn plant(&self, name: &str, content: &'static [u8]) {
        self.replace(name, Bytes::from_static(content));
    }

    /// The same with bytes that are made.
    pub(crate) fn replace(&self, name: &str, content: Bytes) {
        let at = Path::from(name);
        let put = self.inner.put(&at, content.into());
        drop(futures_util::FutureExt::now_or_never(put).expect("memory does not wait").unwrap());
    }

    async fn before(&self) -> Result<Fault> {
        match self.fault() {
            Fault::Hangs => {
                self.gate.notified().await;
                Ok(Fault::None)
            }
            Fault::LosesRequest => Err(failed()),
            Fault::Denies => {
                Err(Error::PermissionDenied { path: String::new(), source: "planted".into() })
            }
            fault => Ok(fault),
        }
    }
}

fn failed() -> Error {
    Error::Generic { store: "faulty", source: "planted".into() }
}

fn after<T>(fault: Fault, outcome: Result<T>) -> Result<T> {
    if fault == Fault::LosesAnswer { Err(failed()) } else { outcome }
}

impl fmt::Debug for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FaultyStore")
    }
}

impl fmt::Display for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FaultyStore")
    }
}

#[async_trait]
impl ObjectStore for FaultyStore {
    async fn put_opts(
        &self,
        at: &Path,
        content: PutPayload,
        mut options: PutOptions,
    ) -> Result<PutResult> {
        let fault = self.before().await?;
        if self.overwrites {
            options = PutOptions::default();
        }
        let bytes = Bytes::from(content.clone());
        let put = self.inner.put_opts(at, content, options).await;
        if put.is_ok() {
            let mut state = lock(&self.state);
            state.new.insert(at.clone());
            // A name may be made again after its deletion. It never means other bytes.
            if let Some(first) = state.history.insert(at.clone(), bytes.clone()) {
                assert!(
                    bytes.starts_with(&first) || first.starts_with(&bytes) || self.overwrites,
                    "{at}"
                );
            }
        }
        after(fault, put)
    }

    async fn put_multipart_opts(
        &self,
        _: &Path,
        _: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        unreachable!("objects are created by one call")
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
        let fault = self.before().await?;
        after(fault, self.inner.get_opts(at, options).await)
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let (store, inner) = (self.clone(), Arc::clone(&self.inner));
        let each = move |path: Result<Path>| {
            let (store, inner) = (store.clone(), Arc::clone(&inner));
            async move {
                let path = path?;
                let fault = store.before().await?;
                if store.is_refused(path.as_ref()) {
                    return Err(failed());
                }
                let one = futures_util::stream::iter([Ok(path.clone())]).boxed();
                let mut deleted = inner.delete_stream(one);
                while let Some(outcome) = deleted.next().await {
                    outcome?;
                }
                after(fault, Ok(path))
            }
        };
        paths.then(each).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let fault = match self.fault() {
            Fault::LosesRequest | Fault::LosesAnswer | Fault::Denies => {
                return futures_util::stream::iter([Err(failed())]).boxed();
            }
            fault => fault,
        };
        if prefix.is_some_and(|prefix| self.is_refused(prefix.as_ref())) {
            return futures_util::stream::iter([Err(failed())]).boxed();
        }
        let new = std::mem::take(&mut lock(&self.state).new);
        let late = if fault == Fault::ListsLate { new } else { BTreeSet::new() };
        let is_late =
            move |it: &Result<ObjectMeta>| it.as_ref().is_ok_and(|it| late.contains(&it.location));
        let (gate, hangs) = (Arc::clone(&self.gate), fault == Fault::Hangs);
        let hung = futures_util::stream::once(async move {
            if hangs {
                gate.notified().await;
            }
            None
        });
        let hung = hung.filter_map(futures_util::future::ready);
        let listed = hung.chain(self.inner.list(prefix));
        listed.filter(move |it| futures_util::future::ready(!is_late(it))).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let fault = self.before().await?;
        after(fault, self.inner.list_with_delimiter(prefix).await)
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        unreachable!("objects are not copied within the store")
    }
}
