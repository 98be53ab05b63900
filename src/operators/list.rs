//! The list of operators: its rows, and how they change.

use std::sync::Arc;

use super::{
    error::OperatorsError,
    node_token::NodeToken,
    operator::{Operator, OperatorToken, Role, TokenHash, is_name},
};
use crate::{
    limits,
    registry::{Registry, RowKind, Rows},
};

pub(super) const KIND: RowKind = RowKind::Operator;

/// An operator that is not on the list yet. Its token can be shown before it is valid: no valid token is ever one that nobody saw.
#[derive(Debug)]
pub struct NewOperator {
    pub(super) name: String,
    pub(super) role: Role,
    token: OperatorToken,
}

impl NewOperator {
    /// One with a fresh token.
    ///
    /// # Errors
    /// If no operator can have this name.
    pub fn new(name: &str, role: Role) -> Result<Self, OperatorsError> {
        if !is_name(name) {
            return Err(OperatorsError::Name);
        }
        Ok(Self { name: name.to_owned(), role, token: OperatorToken::random() })
    }

    /// Its token, which is not valid before the operator is on the list.
    pub const fn token(&self) -> &OperatorToken {
        &self.token
    }

    pub(super) fn token_hash(&self) -> TokenHash {
        TokenHash::of(self.token.reveal())
    }
}

/// Whether one more operator can be added, whose name `is_taken` or not, to so many.
pub(super) fn check_room(is_taken: bool, operators: usize) -> Result<(), OperatorsError> {
    if is_taken {
        return Err(OperatorsError::Exists);
    }
    if operators < limits::OPERATORS_MAX { Ok(()) } else { Err(OperatorsError::Full) }
}

/// Puts an operator on the list.
pub(super) fn add(
    rows: &mut Rows<'_>,
    name: &str,
    role: Role,
    token_sha256: TokenHash,
) -> Result<(), OperatorsError> {
    // The name also comes from other processes.
    if !is_name(name) {
        return Err(OperatorsError::Name);
    }
    check_room(rows.get(KIND, name.as_bytes()).is_some(), rows.count(KIND))?;
    let operator = Operator { name: name.to_owned(), role, added_at: rows.now(), token_sha256 };
    put(rows, &operator);
    Ok(())
}

pub(super) fn put(rows: &mut Rows<'_>, operator: &Operator) {
    rows.put(KIND, operator.name.as_bytes(), None, operator.row());
}

/// Takes an operator off the list.
pub(super) fn revoke(rows: &mut Rows<'_>, name: &str) -> Result<(), OperatorsError> {
    if !is_name(name) || rows.get(KIND, name.as_bytes()).is_none() {
        return Err(OperatorsError::Unknown);
    }
    rows.remove(KIND, name.as_bytes());
    Ok(())
}

/// In the order in which they were added.
pub(super) fn in_order(operators: Option<Vec<Operator>>) -> Result<Vec<Operator>, OperatorsError> {
    let mut operators = operators.ok_or(OperatorsError::Damaged)?;
    operators.sort_by(|one, other| (one.added_at, &one.name).cmp(&(other.added_at, &other.name)));
    Ok(operators)
}

/// The operators of a running server.
#[derive(Clone, Debug)]
pub struct Operators {
    pub(super) registry: Arc<Registry>,
}

impl Operators {
    /// Those in the registry. They are known as soon as it is open.
    pub const fn new(registry: Arc<Registry>) -> Self {
        Self { registry }
    }

    /// Everyone on the list, in the order they were added.
    pub fn list(&self) -> Result<Vec<Operator>, OperatorsError> {
        let mut found = Vec::new();
        let each = |name: &[u8], row: &[u8]| found.push(Operator::read(name, row));
        self.registry.rows_so_far().each(KIND, each);
        in_order(found.into_iter().collect())
    }

    /// The operator whose token this is. The comparison takes the same time wherever tokens differ. A node's token must be for this node, and
    /// of about this hour.
    pub fn authenticate(&self, token: &str) -> Result<Option<Operator>, OperatorsError> {
        let now = self.registry.rows_so_far().now();
        self.find(token, |token| token.is_of(now))
    }

    /// The same, but a node's token may be of any hour.
    pub fn authenticate_at_any_hour(
        &self,
        token: &str,
    ) -> Result<Option<Operator>, OperatorsError> {
        self.find(token, |_| true)
    }

    fn find(
        &self,
        token: &str,
        is_timely: impl FnOnce(&NodeToken) -> bool,
    ) -> Result<Option<Operator>, OperatorsError> {
        let own = self.registry.node();
        let of_node = NodeToken::read(token)
            .filter(|token| is_timely(token) && own.is_some_and(|own| token.is_for(own)));
        let hash = of_node.as_ref().map_or_else(|| TokenHash::of(token), NodeToken::hash);
        let mut found = None;
        // Every operator is compared, so that the time does not tell which one it is.
        self.registry.rows_so_far().each(KIND, |name, row| {
            if hash.is_of_row(row) {
                found = Some(Operator::read(name, row));
            }
        });
        let found = found.map(|read| read.ok_or(OperatorsError::Damaged)).transpose()?;
        // Who has the bytes of a node's public key has not its signature.
        Ok(found.filter(|operator| (operator.role == Role::Member) == of_node.is_some()))
    }

    /// The operator of this name.
    pub fn named(&self, name: &str) -> Result<Option<Operator>, OperatorsError> {
        let rows = self.registry.rows_so_far();
        let row = rows.get(KIND, name.as_bytes());
        row.map(|row| Operator::read(name.as_bytes(), row).ok_or(OperatorsError::Damaged))
            .transpose()
    }

    /// Whether the operator is on the list exactly as it is here: not revoked, and with the same role and token.
    pub fn has(&self, operator: &Operator) -> bool {
        let rows = self.registry.rows_so_far();
        rows.get(KIND, operator.name.as_bytes()) == Some(&operator.row())
    }

    /// Whether an operator of this name can be added now.
    pub(super) fn check_new(&self, name: &str) -> Result<(), OperatorsError> {
        let rows = self.registry.rows_so_far();
        check_room(rows.get(KIND, name.as_bytes()).is_some(), rows.count(KIND))
    }

    /// Adds an operator, durable when this returns.
    pub(super) async fn add(
        &self,
        name: String,
        role: Role,
        token: TokenHash,
    ) -> Result<(), OperatorsError> {
        self.registry.change_rows(move |rows| add(rows, &name, role, token)).await
    }

    /// Takes an operator off the list, durable when this returns. Its token is refused from the next call on.
    pub(super) async fn revoke(&self, name: String) -> Result<(), OperatorsError> {
        self.registry.change_rows(move |rows| revoke(rows, &name)).await
    }
}
