//! [`Objects`]: the calls of a store.

use std::{fmt, future::Future, ops::Range, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use object_store::{
    ClientOptions, Error, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, RetryConfig,
    aws::{AmazonS3, AmazonS3Builder, S3ConditionalPut},
    local::LocalFileSystem,
    path::Path as ObjectPath,
    prefix::PrefixStore,
};
use tokio::{
    runtime::{self, Runtime},
    time::{sleep, timeout},
};

use super::{
    config::{Config, Place},
    credentials::Credentials,
    error::StoreError,
};
use crate::limits;

/// How often the library repeats a call whose answer was an error of the server. The caller repeats it later.
const RETRIES: usize = 2;

/// Asked now and then while a call waits: whether nobody waits for the answer any more.
pub type Stop<'a> = &'a dyn Fn() -> bool;

/// An object in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its name, with parts between slashes.
    pub name: String,
    /// Its length.
    pub bytes: u64,
}

/// A store. Clones share it.
#[derive(Clone)]
pub struct Objects {
    shared: Arc<Shared>,
}

struct Shared {
    store: Arc<dyn ObjectStore>,
    /// None only while this is dropped.
    runtime: Option<Runtime>,
}

impl Objects {
    /// The store that the configuration names. This calls nobody, but reads the file of credentials.
    ///
    /// # Errors
    /// If a file or the directory cannot be read, or the configuration makes no sense.
    pub fn open(config: &Config) -> Result<Self, StoreError> {
        match config.place() {
            None => Err(StoreError::Failed("log.store.url names no store".to_owned())),
            Some(Place::Directory(directory)) => {
                // It is not made: whoever writes below a mount point without a mount writes to this machine.
                if !directory.is_dir() {
                    let why = "is no directory; it may not be mounted";
                    return Err(StoreError::Failed(format!("{} {why}", directory.display())));
                }
                let store = LocalFileSystem::new_with_prefix(directory)?;
                let store = store.with_fsync(true).with_automatic_cleanup(true);
                Self::over(Arc::new(store))
            }
            Some(Place::Bucket(bucket, prefix)) => {
                let store = bucket_of(config, bucket)?;
                Self::over(match prefix {
                    "" => Arc::new(store),
                    prefix => Arc::new(PrefixStore::new(store, prefix)),
                })
            }
        }
    }

    /// Any store of the library.
    pub(super) fn over(store: Arc<dyn ObjectStore>) -> Result<Self, StoreError> {
        // Of its own, so that a call waits for the store on its own thread, also where there is no runtime.
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        let failed = |error: std::io::Error| StoreError::Failed(error.to_string());
        let runtime = Some(runtime.map_err(failed)?);
        Ok(Self { shared: Arc::new(Shared { store, runtime }) })
    }

    /// Creates an object.
    ///
    /// # Errors
    /// [`StoreError::Exists`] if there is one of this name, which may be the same one. After most others it may exist.
    pub fn create(&self, name: &str, content: Bytes) -> Result<(), StoreError> {
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        let path = path(name)?;
        let store = &self.shared.store;
        self.call(limits::STORE_CALL_PATIENCE, store.put_opts(&path, content.into(), options))
            .map(drop)
    }

    /// Reads a range of an object. It is shorter if the object ends before.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is no such object.
    pub fn read(&self, name: &str, range: Range<u64>) -> Result<Bytes, StoreError> {
        let path = path(name)?;
        self.call(limits::STORE_CALL_PATIENCE, self.shared.store.get_range(&path, range))
    }

    /// Every object whose name begins with the part `folder`, or every object. It ends soon after `stop` returns true.
    ///
    /// # Errors
    /// If the listing is not complete.
    pub fn list(&self, folder: Option<&str>, stop: Stop<'_>) -> Result<Vec<Object>, StoreError> {
        let folder = folder.map(path).transpose()?;
        let listed = self.shared.store.list(folder.as_ref());
        let objects = listed.map_ok(|it| Object { name: it.location.to_string(), bytes: it.size });
        self.call_until(stop, limits::STORE_LIST_PATIENCE, objects.try_collect::<Vec<_>>())
    }

    /// The first parts of the names of all objects. It ends soon after `stop` returns true.
    ///
    /// # Errors
    /// If the listing is not complete.
    pub fn folders(&self, stop: Stop<'_>) -> Result<Vec<String>, StoreError> {
        let listed = self.shared.store.list_with_delimiter(None);
        let listed = self.call_until(stop, limits::STORE_CALL_PATIENCE, listed)?;
        Ok(listed.common_prefixes.iter().map(ToString::to_string).collect())
    }

    /// Deletes objects. Those that do not exist are deleted already. It ends soon after `stop` returns true.
    ///
    /// # Errors
    /// If one was not deleted; others may have been.
    pub fn delete(&self, names: &[String], stop: Stop<'_>) -> Result<(), StoreError> {
        let paths: Vec<_> = names.iter().map(|name| path(name)).collect::<Result<_, _>>()?;
        let paths = stream::iter(paths.into_iter().map(Ok)).boxed();
        let mut deleted = self.shared.store.delete_stream(paths);
        let each = async {
            let mut outcome = Ok(());
            while let Some(one) = deleted.next().await {
                match one {
                    Ok(_) | Err(Error::NotFound { .. }) => {}
                    Err(error) => outcome = Err(error),
                }
            }
            outcome
        };
        self.call_until(stop, limits::STORE_LIST_PATIENCE, each)
    }

    /// Checks that the store refuses to create an object that exists, by the object `name`. It stays.
    ///
    /// # Errors
    /// [`StoreError::Overwrites`] if it does not refuse.
    pub fn check_creation(&self, name: &str) -> Result<(), StoreError> {
        let try_to = |content| self.create(name, Bytes::from_static(content));
        match try_to(b"first\n") {
            // A former start made it, and this store refuses.
            Err(StoreError::Exists) => return Ok(()),
            made => made?,
        }
        match try_to(b"second\n") {
            Err(StoreError::Exists) => Ok(()),
            Ok(()) => Err(StoreError::Overwrites),
            Err(error) => Err(error),
        }
    }

    fn call<T>(
        &self,
        patience: Duration,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, StoreError> {
        self.call_until(&|| false, patience, call)
    }

    fn call_until<T>(
        &self,
        stop: Stop<'_>,
        patience: Duration,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, StoreError> {
        let Some(runtime) = &self.shared.runtime else {
            return Err(StoreError::Failed("the store is closed".to_owned()));
        };
        let stopped = async {
            while !stop() {
                sleep(limits::STORE_STOP_CHECK_PAUSE).await;
            }
        };
        runtime.block_on(async {
            tokio::select! {
                biased;
                outcome = timeout(patience, call) => match outcome {
                    Ok(outcome) => outcome.map_err(StoreError::from),
                    Err(_) => Err(StoreError::TimedOut(patience)),
                },
                () = stopped => Err(StoreError::Stopped),
            }
        })
    }
}

impl fmt::Debug for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Objects").finish_non_exhaustive()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // The last clone may be dropped on a thread of another runtime, which must not wait.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn bucket_of(config: &Config, bucket: &str) -> Result<AmazonS3, StoreError> {
    let client = ClientOptions::new()
        .with_allow_http(config.endpoint.starts_with("http://"))
        .with_timeout(limits::STORE_CALL_PATIENCE)
        .with_connect_timeout(limits::STORE_CALL_PATIENCE / 2);
    let retry = RetryConfig {
        max_retries: RETRIES,
        retry_timeout: limits::STORE_CALL_PATIENCE,
        ..RetryConfig::default()
    };
    // First the environment, for the ways in which machines and containers get credentials.
    let mut builder = AmazonS3Builder::from_env()
        .with_bucket_name(bucket)
        .with_client_options(client)
        .with_retry(retry)
        .with_conditional_put(S3ConditionalPut::ETagMatch);
    if !config.region.is_empty() {
        builder = builder.with_region(&config.region);
    }
    if !config.endpoint.is_empty() {
        builder = builder.with_endpoint(config.endpoint.trim_end_matches('/'));
    }
    if !config.credentials_file.as_os_str().is_empty() {
        let credentials = Credentials::read(&config.credentials_file)?;
        builder = builder
            .with_access_key_id(credentials.id.as_str())
            .with_secret_access_key(credentials.secret.as_str());
        if let Some(token) = &credentials.token {
            builder = builder.with_token(token.as_str());
        }
    }
    Ok(builder.build()?)
}

fn path(name: &str) -> Result<ObjectPath, StoreError> {
    ObjectPath::parse(name)
        .map_err(|_| StoreError::Failed("a name is not one of an object".to_owned()))
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;

    const NEVER: Stop<'static> = &|| false;

    fn stores() -> [(Objects, Option<tempfile::TempDir>); 2] {
        let folder = tempfile::tempdir().unwrap();
        let config =
            Config { url: format!("file://{}", folder.path().display()), ..Config::default() };
        let memory = Objects::over(Arc::new(InMemory::new())).unwrap();
        [(memory, None), (Objects::open(&config).unwrap(), Some(folder))]
    }

    #[test]
    fn an_object_is_created_once_read_listed_and_deleted() {
        for (objects, _folder) in stores() {
            let content = |text: &'static str| Bytes::from_static(text.as_bytes());
            assert_eq!(objects.create("a/b/1", content("one")), Ok(()));
            assert_eq!(objects.create("a/b/1", content("two")), Err(StoreError::Exists));
            assert_eq!(objects.create("c/1", content("three")), Ok(()));
            assert_eq!(objects.read("a/b/1", 1..3), Ok(content("ne")));
            assert_eq!(objects.read("a/b/2", 0..1), Err(StoreError::Missing));
            let listed = objects.list(Some("a"), NEVER).unwrap();
            assert_eq!(listed, [Object { name: "a/b/1".to_owned(), bytes: 3 }]);
            assert_eq!(objects.list(None, NEVER).unwrap().len(), 2);
            let mut folders = objects.folders(NEVER).unwrap();
            folders.sort();
            assert_eq!(folders, ["a", "c"]);
            let names = ["a/b/1", "a/b/2"].map(str::to_owned);
            assert_eq!(objects.delete(&names, NEVER), Ok(()));
            assert_eq!(objects.list(Some("a"), NEVER).unwrap(), []);
            assert_eq!(objects.list(None, NEVER).unwrap().len(), 1);
        }
    }

    #[test]
    fn a_store_that_refuses_a_second_creation_passes_each_time() {
        for (objects, _folder) in stores() {
            assert_eq!(objects.check_creation("n/probe"), Ok(()));
            assert_eq!(objects.check_creation("n/probe"), Ok(()));
        }
    }

    #[test]
    fn a_directory_that_is_missing_is_not_made() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("mount");
        let config = Config { url: format!("file://{}", missing.display()), ..Config::default() };
        assert!(matches!(Objects::open(&config), Err(StoreError::Failed(_))));
        assert!(!missing.exists());
    }
}
