//! The list of operators, in the store and as a server knows it.

use std::{path::Path, sync::Arc, thread};

use futures_util::{FutureExt as _, future};

use super::{list::NewOperator, *};
use crate::{
    clock::{SharedClock, SystemClock},
    registry::{self, ChangeSink, Recording, Registry, SinkFailed, StoppedRegistry, Unrecorded},
    shutdown::Shutdown,
};

struct NoLog;

impl ChangeSink for NoLog {
    fn is_writable(&self) -> bool {
        true
    }

    fn record(&self, _: &[Unrecorded]) -> Result<Recording, SinkFailed> {
        Ok(future::ready(Ok(())).boxed())
    }
}

fn opened(directory: &Path) -> Arc<Registry> {
    let config = registry::Config::default();
    Arc::new(Registry::open(directory, config, Arc::new(SystemClock)).unwrap())
}

/// A registry that takes changes.
pub(crate) fn started(directory: &Path, clock: &SharedClock) -> Arc<Registry> {
    let config = registry::Config::default();
    let registry = Arc::new(Registry::open(directory, config, Arc::clone(clock)).unwrap());
    load(&registry);
    registry
}

/// The operators of a registry that takes changes.
pub(crate) fn running(directory: &Path) -> Operators {
    let clock: SharedClock = Arc::new(SystemClock);
    Operators::new(started(directory, &clock))
}

fn load(registry: &Registry) {
    registry.load().unwrap();
    registry.start(Arc::new(NoLog), &|_| Default::default()).unwrap();
}

/// Adds an operator as the socket does.
pub(crate) async fn add(operators: &Operators, new: &NewOperator) -> Result<(), OperatorsError> {
    operators.add(new.name.clone(), new.role, new.token_hash()).await
}

/// Removes a node as the socket does.
pub(crate) async fn remove_node(
    registry: &Arc<Registry>,
    name: &str,
) -> Result<(), OperatorsError> {
    Operators::new(Arc::clone(registry)).remove_node(name.to_owned()).await
}

/// Takes an operator off the list as the socket does.
pub(crate) async fn revoke(operators: &Operators, name: &str) -> Result<(), OperatorsError> {
    operators.revoke(name.to_owned()).await
}

/// The operators of a registry with a row that no version wrote, and the token of that operator.
pub(crate) fn damaged(directory: &Path) -> (Operators, NewOperator) {
    let ann = new("ann", Role::Reader);
    let config = registry::Config::default();
    let mut store = StoppedRegistry::open(directory, config, Arc::new(SystemClock)).unwrap();
    let mut row = ann.token_hash().bytes().to_vec();
    row.extend([77, 0]);
    let put = |rows: &mut registry::Rows<'_>| {
        rows.put(list::KIND, b"ann", None, row);
        Ok::<_, OperatorsError>(())
    };
    store.change_rows(list::KIND, put).unwrap();
    drop(store);
    (Operators::new(opened(directory)), ann)
}

fn new(name: &str, role: Role) -> NewOperator {
    NewOperator::new(name, role).unwrap()
}

fn names(list: &[Operator]) -> Vec<&str> {
    list.iter().map(|operator| operator.name.as_str()).collect()
}

#[tokio::test]
async fn a_token_works_from_its_addition_until_it_is_revoked() {
    let directory = tempfile::tempdir().unwrap();
    let operators = running(directory.path());
    assert_eq!(operators.list(), Ok(Vec::new()));
    assert_eq!(operators.authenticate("do_x"), Ok(None));

    let (zoe, bob) = (new("zoe", Role::Reader), new("bob", Role::Admin));
    assert_eq!(operators.authenticate(zoe.token().reveal()), Ok(None), "it is not added yet");
    add(&operators, &zoe).await.unwrap();
    add(&operators, &bob).await.unwrap();
    let found = operators.authenticate(zoe.token().reveal()).unwrap().unwrap();
    assert_eq!((found.name.as_str(), found.role), ("zoe", Role::Reader));
    let admin = operators.authenticate(bob.token().reveal()).unwrap().unwrap();
    assert_eq!((admin.name.as_str(), admin.role), ("bob", Role::Admin));
    let shorter = &zoe.token().reveal()[..zoe.token().reveal().len() - 1];
    assert_eq!(operators.authenticate(shorter), Ok(None));
    assert_eq!(names(&operators.list().unwrap()), ["zoe", "bob"], "in the order of addition");

    assert!(operators.has(&found));
    revoke(&operators, "zoe").await.unwrap();
    assert!(!operators.has(&found));
    assert_eq!(operators.authenticate(zoe.token().reveal()), Ok(None));
    assert_eq!(revoke(&operators, "zoe").await, Err(OperatorsError::Unknown));
    add(&operators, &new("zoe", Role::Reader)).await.unwrap();
    assert!(!operators.has(&found), "the token is another");
    assert!(operators.has(&admin));
}

#[tokio::test]
async fn a_stopped_list_and_a_running_one_are_the_same_and_known_before_the_registry_is_loaded() {
    let data = tempfile::tempdir().unwrap();
    let ann = new("ann", Role::Metrics);
    let mut stopped = StoppedOperators::open(data.path()).unwrap();
    stopped.add(&ann).unwrap();
    stopped.add(&new("eve", Role::Admin)).unwrap();
    drop(stopped);

    let directory = data.path().join("registry");
    let loading = Operators::new(opened(&directory));
    let found = loading.authenticate(ann.token().reveal()).unwrap().unwrap();
    assert!(loading.has(&found));
    assert_eq!(names(&loading.list().unwrap()), ["ann", "eve"]);
    assert!(revoke(&loading, "eve").await.is_err(), "it takes no changes yet");
    drop(loading);

    let operators = running(&directory);
    revoke(&operators, "eve").await.unwrap();
    assert_eq!(operators.list().unwrap(), [found]);
    drop(operators);
    let mut stopped = StoppedOperators::open(data.path()).unwrap();
    assert_eq!(names(&stopped.list().unwrap()), ["ann"]);
    stopped.revoke("ann").unwrap();
    assert_eq!(stopped.revoke("ann"), Err(OperatorsError::Unknown));
}

#[test]
fn a_server_that_loads_lists_its_operators_at_once_and_changes_wait_for_it() {
    let data = tempfile::tempdir().unwrap();
    let (ann, bob) = (new("ann", Role::Reader), new("bob", Role::Reader));
    StoppedOperators::open(data.path()).unwrap().add(&ann).unwrap();
    let (registry, shutdown) = (opened(&data.path().join("registry")), Shutdown::new());
    let operators = Operators::new(Arc::clone(&registry));
    let socket = Socket::serve(data.path(), operators, shutdown.clone()).unwrap();
    let mut reached = Reached::find(data.path()).unwrap();
    assert!(matches!(reached, Reached::Running { .. }));
    assert_eq!(names(&reached.list().unwrap()), ["ann"]);
    reached.check(&bob).unwrap();
    assert_eq!(reached.add(&bob), Err(OperatorsError::Loading));
    thread::scope(|scope| {
        let adding = scope.spawn(|| reached.add(&bob));
        load(&registry);
        adding.join().unwrap().unwrap();
    });
    assert_eq!(names(&reached.list().unwrap()), ["ann", "bob"]);
    shutdown.stop();
    assert!(socket.join());
}

#[test]
fn names_are_unique_and_plain_and_the_list_has_an_end() {
    let data = tempfile::tempdir().unwrap();
    let mut operators = StoppedOperators::open(data.path()).unwrap();
    let ann = new("ann", Role::Reader);
    operators.check_new(&ann).unwrap();
    operators.add(&ann).unwrap();
    let again = new("ann", Role::Admin);
    assert_eq!(operators.check_new(&again), Err(OperatorsError::Exists));
    assert_eq!(operators.add(&again), Err(OperatorsError::Exists));
    assert_eq!(operators.list().unwrap()[0].role, Role::Reader);
    for name in ["", "a b", "ann\n", &"x".repeat(65)] {
        let refused = NewOperator::new(name, Role::Reader);
        assert_eq!(refused.map(drop), Err(OperatorsError::Name), "{name:?}");
    }
    operators.add(&new(&"x".repeat(64), Role::Reader)).unwrap();
    let max = crate::limits::OPERATORS_MAX;
    assert_eq!(list::check_room(false, max - 1), Ok(()));
    assert_eq!(list::check_room(false, max), Err(OperatorsError::Full));
}

#[test]
fn neither_the_store_nor_a_copy_of_it_holds_a_token_and_a_copy_has_no_operator() {
    let data = tempfile::tempdir().unwrap();
    let ann = new("ann", Role::Admin);
    let mut operators = StoppedOperators::open(data.path()).unwrap();
    operators.add(&ann).unwrap();
    drop(operators);
    let (directory, copy) = (data.path().join("registry"), data.path().join("copy"));
    crate::files::create_dir(&copy).unwrap();
    opened(&directory).snapshot(&copy.join("registry.redb"), registry::CopyFor::Backup).unwrap();
    let holds = |path: &Path, part: &[u8]| {
        let bytes = crate::files::read(path).unwrap();
        bytes.windows(part.len()).any(|window| window == part)
    };
    for store in [directory.join("registry.redb"), copy.join("registry.redb")] {
        assert!(!holds(&store, &ann.token().reveal().as_bytes()[3..]));
    }
    assert!(holds(&directory.join("registry.redb"), b"\x0aann"));
    assert!(!holds(&copy.join("registry.redb"), b"\x0aann"));
    assert_eq!(Operators::new(opened(&copy)).list(), Ok(Vec::new()));
    let of_node = data.path().join("node");
    crate::files::create_dir(&of_node).unwrap();
    opened(&directory).snapshot(&of_node.join("registry.redb"), registry::CopyFor::Joiner).unwrap();
    assert_eq!(names(&Operators::new(opened(&of_node)).list().unwrap()), ["ann"]);
}

#[test]
fn a_damaged_row_is_an_error_and_not_a_missing_operator() {
    let directory = tempfile::tempdir().unwrap();
    let (operators, ann) = damaged(directory.path());
    assert_eq!(operators.list(), Err(OperatorsError::Damaged));
    assert_eq!(operators.authenticate(ann.token().reveal()), Err(OperatorsError::Damaged));
    assert_eq!(operators.authenticate("do_x"), Ok(None));
}
