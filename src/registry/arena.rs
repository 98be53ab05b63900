//! Where packed accounts lie: pages of bytes, and places in them that fit 32 bits.
//!
//! A place counts words of four bytes, so the arena ends at 16 GiB; a record never crosses a page. A record that grows
//! moves. What is freed is kept by its exact size and given to the next record of that size: sizes are few, since
//! nearly all accounts have one or two devices and one or two handles. A freed record keeps its length and has no
//! devices, so a page can be walked from its start.

use std::collections::BTreeMap;

use super::packed::Packed;

const WORD_BYTES: usize = 4;
const PAGE_BYTES: usize = 1 << 18;
const WORDS_PER_PAGE: u32 = (PAGE_BYTES / WORD_BYTES) as u32;

/// Where a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Slot(u32);

/// Pages of packed accounts.
#[derive(Default)]
pub(super) struct Arena {
    pages: Vec<Page>,
    free: BTreeMap<usize, Vec<Slot>>,
    /// Bytes of the records themselves.
    used_bytes: u64,
}

struct Page {
    bytes: Box<[u8]>,
    /// What lies behind this was never used.
    end: usize,
}

impl Page {
    fn new() -> Self {
        Self { bytes: vec![0; PAGE_BYTES].into_boxed_slice(), end: 0 }
    }

    fn walk(&self, first: u32) -> impl Iterator<Item = (Slot, Packed<'_>)> {
        let mut at = 0;
        let all = std::iter::from_fn(move || {
            let bytes = self.bytes.get(at..self.end).filter(|bytes| !bytes.is_empty())?;
            let (place, packed) = (Slot(first + (at / WORD_BYTES) as u32), Packed::of(bytes));
            at += packed.bytes().len().next_multiple_of(WORD_BYTES);
            Some((place, packed))
        });
        all.filter(|(_, packed)| packed.devices().len() > 0)
    }
}

impl Arena {
    /// Puts a record in.
    ///
    /// # Panics
    /// If 16 GiB are full: some two hundred million accounts.
    pub(super) fn insert(&mut self, packed: Packed<'_>) -> Slot {
        let bytes = packed.bytes();
        let size = bytes.len().next_multiple_of(WORD_BYTES);
        self.used_bytes += bytes.len() as u64;
        let place = self.free.get_mut(&size).and_then(Vec::pop).unwrap_or_else(|| self.grow(size));
        self.slot(place, bytes.len()).copy_from_slice(bytes);
        place
    }

    fn grow(&mut self, size: usize) -> Slot {
        if self.pages.last().is_none_or(|page| PAGE_BYTES - page.end < size) {
            self.pages.push(Page::new());
        }
        let number = self.pages.len() - 1;
        let page = &mut self.pages[number];
        let at = page.end;
        page.end += size;
        let first =
            u32::try_from(number).ok().and_then(|number| number.checked_mul(WORDS_PER_PAGE));
        Slot(first.expect("an index of less than 16 GiB") + (at / WORD_BYTES) as u32)
    }

    fn slot(&mut self, place: Slot, len: usize) -> &mut [u8] {
        let at = (place.0 % WORDS_PER_PAGE) as usize * WORD_BYTES;
        &mut self.pages[(place.0 / WORDS_PER_PAGE) as usize].bytes[at..at + len]
    }

    /// Puts a record in the place of another, if it is as long as that.
    pub(super) fn replace(&mut self, place: Slot, packed: Packed<'_>) -> bool {
        let bytes = packed.bytes();
        let fits = self.get(place).bytes().len() == bytes.len();
        if fits {
            self.slot(place, bytes.len()).copy_from_slice(bytes);
        }
        fits
    }

    /// A record, to be changed where it lies. Its length must stay.
    pub(super) fn get_mut(&mut self, place: Slot) -> &mut [u8] {
        let len = self.get(place).bytes().len();
        self.slot(place, len)
    }

    pub(super) fn remove(&mut self, place: Slot) {
        let len = self.get(place).bytes().len();
        self.used_bytes -= len as u64;
        // Whose account it was must not stay in memory; the length must.
        self.slot(place, len)[2..].fill(0);
        self.free.entry(len.next_multiple_of(WORD_BYTES)).or_default().push(place);
    }

    pub(super) fn get(&self, place: Slot) -> Packed<'_> {
        let page = &self.pages[(place.0 / WORDS_PER_PAGE) as usize];
        Packed::of(&page.bytes[(place.0 % WORDS_PER_PAGE) as usize * WORD_BYTES..])
    }

    /// The place that was used first, unless its record was removed.
    pub(super) fn first(&self) -> Option<Slot> {
        let first = (!self.pages.is_empty()).then_some(Slot(0));
        first.filter(|place| self.get(*place).devices().len() > 0)
    }

    /// How many pages there are: a scan goes through them one by one.
    pub(super) fn pages(&self) -> usize {
        self.pages.len()
    }

    /// The records of one page.
    pub(super) fn page(&self, number: usize) -> impl Iterator<Item = (Slot, Packed<'_>)> {
        let first = number as u32 * WORDS_PER_PAGE;
        self.pages.get(number).into_iter().flat_map(move |page| page.walk(first))
    }

    /// Every record.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Slot, Packed<'_>)> {
        (0..self.pages()).flat_map(|number| self.page(number))
    }

    /// Takes over what another arena holds; its places move.
    pub(super) fn append(&mut self, mut other: Self) {
        let behind = self.pages.len() as u32 * WORDS_PER_PAGE;
        self.pages.append(&mut other.pages);
        self.used_bytes += other.used_bytes;
        for (size, places) in other.free {
            let moved = places.into_iter().map(|place| Slot(place.0 + behind));
            self.free.entry(size).or_default().extend(moved);
        }
    }

    /// Bytes of the records, and of all pages.
    pub(super) fn bytes(&self) -> (u64, u64) {
        (self.used_bytes, (self.pages.len() * PAGE_BYTES) as u64)
    }
}

const _: () = assert!(PAGE_BYTES > u16::MAX as usize);

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::registry::{packed::pack, tests::accounts::account};

    proptest! {
        #[test]
        fn every_record_is_where_it_was_put(steps in prop::collection::vec((account(), any::<prop::sample::Index>(), 0..3u8), 1..60)) {
            let (mut arena, mut model) = (Arena::default(), BTreeMap::new());
            for (account, pick, kind) in steps {
                let bytes = pack(&account);
                let known: Vec<Slot> = model.keys().copied().collect();
                match kind {
                    1 if !known.is_empty() => {
                        let place = *pick.get(&known);
                        arena.remove(place);
                        model.remove(&place);
                    }
                    2 if !known.is_empty() => {
                        let place = *pick.get(&known);
                        if arena.replace(place, Packed::of(&bytes)) {
                            model.insert(place, bytes);
                        }
                    }
                    _ => {
                        let place = arena.insert(Packed::of(&bytes));
                        prop_assert!(model.insert(place, bytes).is_none());
                    }
                }
                let found: BTreeMap<_, _> = arena.iter().map(|(place, packed)| (place, packed.bytes().to_vec())).collect();
                prop_assert_eq!(&found, &model);
                prop_assert_eq!(arena.bytes().0, model.values().map(|bytes| bytes.len() as u64).sum::<u64>());
            }
        }
    }

    #[test]
    fn an_arena_behind_another_keeps_its_records() {
        let one = |id| {
            let mut account =
                crate::registry::account::Account::new(crate::ids::AccountId::from_bits(id));
            account.devices.push(crate::registry::tests::accounts::device(id));
            pack(&account)
        };
        let (mut first, mut second) = (Arena::default(), Arena::default());
        for id in 1..20_000 {
            first.insert(Packed::of(&one(id)));
            second.insert(Packed::of(&one(id + 20_000)));
        }
        let freed = second.iter().next().expect("it is full").0;
        second.remove(freed);
        assert!(first.pages() > 1);
        first.append(second);
        assert_eq!(first.iter().count(), 2 * 19_999 - 1);
        let place = first.insert(Packed::of(&one(7)));
        assert_eq!(first.get(place).account().bits(), 7, "what was freed is used again");
        assert_eq!(first.iter().count(), 2 * 19_999, "and nothing else is");
    }
}
