//! A short list that is nearly always one long.

/// One item without an allocation, or any other number of them. 16 bytes for an id: most handles have one device and
/// most accounts one handle, and there are ten million of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum InlineVec<T> {
    One(T),
    Many(Box<[T]>),
}

impl<T> Default for InlineVec<T> {
    fn default() -> Self {
        Self::Many(Box::default())
    }
}

impl<T> FromIterator<T> for InlineVec<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let mut items = items.into_iter();
        match (items.next(), items.next()) {
            (None, _) => Self::default(),
            (Some(first), None) => Self::One(first),
            (Some(first), Some(second)) => {
                Self::Many([first, second].into_iter().chain(items).collect())
            }
        }
    }
}

impl<T: Clone + PartialEq> InlineVec<T> {
    pub(super) fn as_slice(&self) -> &[T] {
        match self {
            Self::One(item) => std::slice::from_ref(item),
            Self::Many(items) => items,
        }
    }

    pub(super) fn iter(&self) -> std::slice::Iter<'_, T> {
        self.as_slice().iter()
    }

    pub(super) fn contains(&self, item: &T) -> bool {
        self.as_slice().contains(item)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.as_slice().is_empty()
    }

    /// This list with `item` at its end, unless it is there already.
    pub(super) fn with(&self, item: T) -> Self {
        if self.contains(&item) {
            return self.clone();
        }
        self.iter().cloned().chain([item]).collect()
    }

    /// This list without `item`.
    pub(super) fn without(&self, item: &T) -> Self {
        self.iter().filter(|one| *one != item).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_one_needs_no_allocation_and_stays_small() {
        let none = InlineVec::<u64>::default();
        let one = none.with(1);
        assert_eq!(one, InlineVec::One(1));
        assert_eq!(one.with(1), one);
        assert_eq!(one.with(2).as_slice(), [1, 2]);
        assert_eq!(one.with(2).without(&1), InlineVec::One(2));
        assert!(one.without(&1).is_empty());
        assert_eq!(size_of::<InlineVec<u64>>(), 16);
    }
}
