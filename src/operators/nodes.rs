//! Nodes of a cluster: the invites by which they join, and the operators as whom they call each other.
//!
//! An invite is a row with an end: its key is the hash of a token, its value the name of the node. Whoever has the token may join under
//! that name, once, at the node that made it.
//!
//! ```text
//! di_ · 16 hexadecimal digits: the number of that node · _ · base64url of 32 random bytes
//! ```

use super::{
    error::OperatorsError,
    list::{KIND, Operators, add, check_room},
    operator::{Operator, OperatorToken, Role, TokenHash, is_name},
};
use crate::{
    limits,
    registry::{NodeId, NodePublicKey, RowKind, Rows, RowsView},
};

/// What the name of a node's operator begins with.
const OPERATOR_PREFIX: &str = "member-";
/// What the token of an invite begins with.
const INVITE_PREFIX: &str = "di_";

/// An invite that is not valid yet. Its token can be shown before it is valid, as that of an operator.
#[derive(Debug)]
pub struct NewInvite {
    pub(super) node: String,
    token: OperatorToken,
}

impl NewInvite {
    /// An invite with a fresh token for the node of this name, to be used at the node `by`.
    ///
    /// # Errors
    /// If no node can have this name.
    pub fn new(node: &str, by: NodeId) -> Result<Self, OperatorsError> {
        if !is_node_name(node) {
            return Err(OperatorsError::NodeName);
        }
        let prefix = format!("{INVITE_PREFIX}{:016x}_", by.0);
        Ok(Self { node: node.to_owned(), token: OperatorToken::beginning_with(&prefix) })
    }

    /// Its token.
    pub const fn token(&self) -> &OperatorToken {
        &self.token
    }

    pub(super) fn token_hash(&self) -> TokenHash {
        TokenHash::of(self.token.reveal())
    }
}

/// The number of the node at which the invite with this token was made. It is good there only: who joins signs its first calls for that node,
/// and could be told any number by another one. None if the text is no token of an invite.
pub fn inviter(token: &str) -> Option<NodeId> {
    let (number, _) = token.strip_prefix(INVITE_PREFIX)?.split_once('_')?;
    let number = (number.len() == 16).then(|| u64::from_str_radix(number, 16).ok())??;
    Some(NodeId(number))
}

/// Whether a node could have this name: an operator's name, but short enough that the name of its own operator is one, too.
pub fn is_node_name(text: &str) -> bool {
    text.len() <= limits::CLUSTER_NODE_NAME_BYTES_MAX && is_name(text)
}

/// The name of the operator as whom the node of this name calls other nodes.
pub fn operator_name(node: &str) -> String {
    format!("{OPERATOR_PREFIX}{node}")
}

/// How the audit log names an operator for whom another node asks: `ann@b`. No name has an at sign.
pub fn asked_through(operator: &str, of_node: &str) -> String {
    format!("{operator}@{}", of_node.strip_prefix(OPERATOR_PREFIX).unwrap_or(of_node))
}

/// The kinds of rows that a registry has because of its cluster, beside operators that are people.
pub const CLUSTER_KINDS: [RowKind; 4] =
    [RowKind::Member, RowKind::Invite, RowKind::EntryKey, RowKind::Operator];

/// The key of the row of [`RowKind::EntryKey`] that asks for a new key of entries, because a removed node has those that there are.
pub const NEW_KEY_WANTED: &[u8] = b"wanted";

/// Rows, as they are or as a command would leave them.
trait Read {
    fn has(&self, kind: RowKind, key: &str) -> bool;
    fn number(&self, kind: RowKind) -> usize;
}

impl Read for RowsView<'_> {
    fn has(&self, kind: RowKind, key: &str) -> bool {
        self.get(kind, key.as_bytes()).is_some()
    }

    fn number(&self, kind: RowKind) -> usize {
        self.count(kind)
    }
}

impl Read for Rows<'_> {
    fn has(&self, kind: RowKind, key: &str) -> bool {
        self.get(kind, key.as_bytes()).is_some()
    }

    fn number(&self, kind: RowKind) -> usize {
        self.count(kind)
    }
}

impl Operators {
    /// Whether a node of this name can be invited now.
    pub(super) fn check_invite(&self, node: &str) -> Result<(), OperatorsError> {
        check(&self.registry.rows_so_far(), node)
    }

    /// Lets a node join under this name, with the token of this hash. Durable when this returns.
    pub(super) async fn invite(
        &self,
        node: String,
        token: TokenHash,
    ) -> Result<(), OperatorsError> {
        self.registry.change_rows(move |rows| invite(rows, &node, token)).await
    }

    /// Has a node be none of the cluster any more. The other nodes refuse its calls and skip its entries from then on, and make a new key
    /// of entries, which it does not get. It depends on no time, so it is done while the clock holds this node, too: a node that lies about
    /// its clock may be what holds it.
    pub(super) async fn remove_node(&self, node: String) -> Result<(), OperatorsError> {
        self.registry.change_rows_at_any_time(move |rows| remove_node(rows, &node)).await
    }
}

/// Whether a node of this name can join.
fn check(rows: &impl Read, node: &str) -> Result<(), OperatorsError> {
    if !is_node_name(node) {
        return Err(OperatorsError::NodeName);
    }
    if rows.number(RowKind::Member) == 0 {
        return Err(OperatorsError::NoCluster);
    }
    if rows.has(RowKind::Member, node) {
        return Err(OperatorsError::NodeExists);
    }
    if limits::CLUSTER_MEMBERS_MAX <= rows.number(RowKind::Member) + rows.number(RowKind::Invite) {
        return Err(OperatorsError::ClusterFull);
    }
    check_room(rows.has(KIND, &operator_name(node)), rows.number(KIND))
}

fn invite(rows: &mut Rows<'_>, node: &str, token_sha256: TokenHash) -> Result<(), OperatorsError> {
    check(rows, node)?;
    let ends_at = rows.now().plus(limits::CLUSTER_INVITE_LIFETIME);
    rows.put(RowKind::Invite, token_sha256.bytes(), Some(ends_at), node.as_bytes().to_vec());
    Ok(())
}

/// The name of the node that may join with the token of this hash. It is looked up by the hash of 256 random bits, so the time that
/// this takes helps nobody to find a token.
pub fn invited<'r>(rows: &'r RowsView<'_>, token: TokenHash) -> Option<&'r str> {
    str::from_utf8(rows.get(RowKind::Invite, token.bytes())?).ok()
}

/// Takes an invite, which is gone then, and adds the operator of the node, which has the key `key`. None if there is no such invite any
/// more.
///
/// # Errors
/// If a node of this name has joined since, or no operator can be added.
pub fn take_invite(
    rows: &mut Rows<'_>,
    invite: TokenHash,
    key: &NodePublicKey,
) -> Result<Option<String>, OperatorsError> {
    let Some(node) = rows.get(RowKind::Invite, invite.bytes()) else { return Ok(None) };
    let node = String::from_utf8(node.to_vec()).map_err(|_| OperatorsError::Damaged)?;
    if rows.has(RowKind::Member, &node) {
        return Err(OperatorsError::NodeExists);
    }
    remove_invites(rows, &node);
    add_node(rows, &node, key)?;
    Ok(Some(node))
}

/// Adds the operator of a node, which has the key `key`.
///
/// # Errors
/// If an operator has its name, or no more can be added.
pub fn add_node(
    rows: &mut Rows<'_>,
    node: &str,
    key: &NodePublicKey,
) -> Result<(), OperatorsError> {
    add(rows, &operator_name(node), Role::Member, TokenHash::of_node(key))
}

/// Has the registry be that of a single machine: it has no nodes, no invites, and no operators of nodes any more.
pub fn remove_cluster(rows: &mut Rows<'_>) {
    for kind in CLUSTER_KINDS {
        let is_gone = |name: &[u8], row: &[u8]| {
            kind != KIND || Operator::read(name, row).is_some_and(|it| it.role == Role::Member)
        };
        for (key, row) in rows.all(kind) {
            if is_gone(&key, &row) {
                rows.remove(kind, &key);
            }
        }
    }
}

/// Removes all invites of a node: also one that was made because another seemed lost.
fn remove_invites(rows: &mut Rows<'_>, node: &str) {
    for (token, of) in rows.all(RowKind::Invite) {
        if of == node.as_bytes() {
            rows.remove(RowKind::Invite, &token);
        }
    }
}

fn remove_node(rows: &mut Rows<'_>, node: &str) -> Result<(), OperatorsError> {
    if !is_node_name(node) || !rows.has(RowKind::Member, node) {
        return Err(OperatorsError::NodeUnknown);
    }
    rows.remove(RowKind::Member, node.as_bytes());
    rows.put(RowKind::EntryKey, NEW_KEY_WANTED, None, Vec::new());
    remove_invites(rows, node);
    let name = operator_name(node);
    let of_node =
        rows.get(KIND, name.as_bytes()).and_then(|row| Operator::read(name.as_bytes(), row));
    // A person may have the name, too, in a registry that is older than its cluster.
    if of_node.is_none_or(|operator| operator.role == Role::Member) {
        rows.remove(KIND, name.as_bytes());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        clock::{ManualClock, SharedClock, Timestamp},
        operators::{Operators, tests},
        registry::{ChangeError, Hold, Registry},
    };

    const HOUR: std::time::Duration = limits::CLUSTER_INVITE_LIFETIME;

    /// The registry of a cluster whose only node is "a".
    async fn cluster(directory: &std::path::Path, clock: &SharedClock) -> Arc<Registry> {
        let registry = tests::started(directory, clock);
        let found = |rows: &mut Rows<'_>| {
            rows.put(RowKind::Member, b"a", None, vec![1]);
            add_node(rows, "a", &NodePublicKey([1; 32]))
        };
        registry.change_rows(found).await.unwrap();
        registry
    }

    async fn taken(
        registry: &Registry,
        invite: &NewInvite,
    ) -> Result<Option<String>, OperatorsError> {
        let hash = invite.token_hash();
        let take = move |rows: &mut Rows<'_>| {
            let node = take_invite(rows, hash, &NodePublicKey([2; 32]))?;
            if let Some(node) = &node {
                rows.put(RowKind::Member, node.as_bytes(), None, vec![2]);
            }
            Ok::<_, OperatorsError>(node)
        };
        registry.change_rows(take).await
    }

    #[tokio::test]
    async fn an_invite_is_good_once_for_its_name_and_for_an_hour() {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::at(Timestamp::from_secs(1_000_000));
        let shared: SharedClock = Arc::clone(&clock) as _;
        let registry = cluster(folder.path(), &shared).await;
        let operators = Operators::new(Arc::clone(&registry));
        let (one, other, late) = (new("b"), new("b"), new("c"));
        for invite in [&one, &other, &late] {
            operators.check_invite(&invite.node).unwrap();
            operators.invite(invite.node.clone(), invite.token_hash()).await.unwrap();
        }
        assert_eq!(invited(&registry.rows_so_far(), one.token_hash()), Some("b"));
        assert_eq!(invited(&registry.rows_so_far(), TokenHash::of("di_x")), None);
        assert!(
            operators.authenticate(one.token().reveal()).unwrap().is_none(),
            "it opens nothing else"
        );

        assert_eq!(taken(&registry, &one).await, Ok(Some("b".to_owned())));
        let node = operators.list().unwrap().pop().unwrap();
        assert_eq!((node.name.as_str(), node.role), ("member-b", Role::Member));
        assert_eq!(taken(&registry, &one).await, Ok(None), "it is used");
        assert_eq!(taken(&registry, &other).await, Ok(None), "it ended with the first");
        assert_eq!(operators.check_invite("b"), Err(OperatorsError::NodeExists));
        clock.advance(HOUR);
        assert_eq!(invited(&registry.rows_so_far(), late.token_hash()), None);
        assert_eq!(taken(&registry, &late).await, Ok(None), "it has ended");
    }

    #[tokio::test]
    async fn a_node_that_is_removed_is_let_in_no_more_and_may_be_invited_again() {
        let folder = tempfile::tempdir().unwrap();
        let clock: SharedClock = ManualClock::at(Timestamp::from_secs(1_000_000));
        let registry = cluster(folder.path(), &clock).await;
        let operators = Operators::new(Arc::clone(&registry));
        assert_eq!(operators.list().unwrap().len(), 1);
        operators.remove_node("a".to_owned()).await.unwrap();
        assert_eq!(operators.list(), Ok(Vec::new()));
        assert!(registry.rows_so_far().get(RowKind::EntryKey, NEW_KEY_WANTED).is_some());
        assert_eq!(operators.remove_node("a".to_owned()).await, Err(OperatorsError::NodeUnknown));
        assert_eq!(operators.check_invite("a"), Err(OperatorsError::NoCluster));
    }

    #[tokio::test]
    async fn a_node_that_must_take_no_changes_refuses_them_until_it_may() {
        let folder = tempfile::tempdir().unwrap();
        let clock: SharedClock = ManualClock::at(Timestamp::from_secs(1_000_000));
        let registry = cluster(folder.path(), &clock).await;
        let operators = Operators::new(Arc::clone(&registry));
        for hold in Hold::ALL {
            registry.hold(Some(hold));
            assert_eq!(registry.held(), Some(hold));
            let invite = new("b");
            let refused = operators.invite(invite.node.clone(), invite.token_hash()).await;
            assert_eq!(refused, Err(ChangeError::Held.into()));
            if !matches!(hold, Hold::Clock | Hold::EntryAhead) {
                let refused = operators.remove_node("a".to_owned()).await;
                assert_eq!(refused, Err(ChangeError::Held.into()), "{hold}");
            }
        }
        registry.hold(None);
        operators.check_invite("b").unwrap();
    }

    #[tokio::test]
    async fn a_node_that_lies_about_its_clock_can_be_removed_where_that_holds_the_changes() {
        for hold in [Hold::Clock, Hold::EntryAhead] {
            let folder = tempfile::tempdir().unwrap();
            let clock: SharedClock = ManualClock::at(Timestamp::from_secs(1_000_000));
            let registry = cluster(folder.path(), &clock).await;
            registry.hold(Some(hold));
            let operators = Operators::new(Arc::clone(&registry));
            assert_eq!(operators.remove_node("a".to_owned()).await, Ok(()), "{hold}");
            assert!(registry.rows_so_far().get(RowKind::Member, b"a").is_none());
        }
    }

    #[test]
    fn the_longest_node_has_an_operator() {
        let longest = "n".repeat(limits::CLUSTER_NODE_NAME_BYTES_MAX);
        assert!(is_node_name(&longest) && is_name(&operator_name(&longest)));
        assert!(!is_node_name(&format!("{longest}n")) && !is_node_name("") && !is_node_name("a/b"));
        assert_eq!(NewInvite::new("a b", NodeId(7)).map(drop), Err(OperatorsError::NodeName));
    }

    #[test]
    fn an_invite_says_which_node_made_it() {
        assert_eq!(inviter(new("b").token().reveal()), Some(NodeId(7)));
        for none in ["", "di_", "di_x", "do_0000000000000007_x", "di_7_x", "di_0000000000000007"] {
            assert_eq!(inviter(none), None, "{none}");
        }
    }

    fn new(node: &str) -> NewInvite {
        NewInvite::new(node, NodeId(7)).unwrap()
    }
}
