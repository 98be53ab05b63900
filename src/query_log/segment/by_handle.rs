//! Reads what happened to a range of handles, handle by handle, from the `handle`, `at` and `outcome` columns, and from
//! `change` if the reader needs ids.

use std::{io, ops::Range};

use super::{
    footer::{Group, Sealed},
    page::Page,
    part::PartError,
};
use crate::{
    clock::Timestamp,
    handle::{Handle, PhoneKey},
    ids::ChangeId,
    query_log::record::{HandleView, Outcome},
};

/// A range of handles: those after the first bound, up to the second, itself included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct HandleRange {
    /// None: from the first handle on.
    pub(crate) after: Option<Handle>,
    /// None: up to the last handle.
    pub(crate) upto: Option<Handle>,
}

impl HandleRange {
    pub(crate) fn contains(&self, handle: &Handle) -> bool {
        self.after.as_ref().is_none_or(|after| handle > after)
            && self.upto.as_ref().is_none_or(|upto| handle <= upto)
    }

    fn overlaps_phones(&self, group: &Group, page: usize) -> bool {
        let view = |bits| PhoneKey::from_bits(bits).map(HandleView::Phone);
        group.phones[page].is_some_and(|(min, max)| self.overlaps(view(min), view(max)))
    }

    fn overlaps_emails(&self, group: &Group, page: usize) -> bool {
        let view = |text| str::from_utf8(text).ok().map(HandleView::Email);
        let bounds = group.emails[page].as_ref();
        bounds.is_some_and(|(min, max)| self.overlaps(view(min), view(max)))
    }

    /// Whether a page with these bounds may hold handles of the range. A bound that is no handle excludes nothing, so that the
    /// reader finds the damage.
    fn overlaps(&self, min: Option<HandleView<'_>>, max: Option<HandleView<'_>>) -> bool {
        let is_behind = |after| max.is_none_or(|max| max > HandleView::from(after));
        let is_within = |upto| min.is_none_or(|min| min <= HandleView::from(upto));
        self.after.as_ref().is_none_or(is_behind) && self.upto.as_ref().is_none_or(is_within)
    }
}

/// What happened to a handle, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HandleEvent {
    pub(crate) at: Timestamp,
    pub(crate) outcome: Outcome,
    /// The id of a change, if the reader asked for ids.
    pub(crate) change: Option<ChangeId>,
}

/// Events by handle and time.
#[derive(Debug, Default)]
pub(crate) struct HandleRun {
    /// Each handle, and the index in `events` after its last event.
    handles: Vec<(Handle, usize)>,
    events: Vec<HandleEvent>,
}

impl HandleRun {
    pub(crate) fn push(&mut self, handle: Handle, event: HandleEvent) {
        self.events.push(event);
        let end = self.events.len();
        match self.handles.last_mut() {
            Some(last) if last.0 == handle => last.1 = end,
            _ => self.handles.push((handle, end)),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Handle, &[HandleEvent])> {
        let mut start = 0;
        self.handles.iter().map(move |(handle, end)| {
            let events = &self.events[start..*end];
            start = *end;
            (handle, events)
        })
    }
}

#[derive(Debug)]
pub(crate) enum HandlePage {
    /// The events of the page in the range.
    Run(HandleRun),
    /// The page is damaged and may have held events of the range.
    Damaged,
    /// No further page holds events of the range.
    End,
}

/// Reads a sealed segment page by page. The caller may narrow the range from one page to the next.
pub(crate) struct ByHandle {
    segment: Sealed,
    since: Timestamp,
    until: Timestamp,
    with_ids: bool,
    /// The row group, and its next page.
    at: (usize, usize),
    last: Option<Handle>,
}

impl Sealed {
    /// The events from `since` on and before `until`. `with_ids`: changes have their ids, which is one more column to read.
    pub(crate) fn by_handle(&self, since: Timestamp, until: Timestamp, with_ids: bool) -> ByHandle {
        ByHandle { segment: self.clone(), since, until, with_ids, at: (0, 0), last: None }
    }

    /// The last handle of each page, ascending. It skips pages so that there are at most `most`.
    pub(crate) fn page_ends(&self, most: usize) -> Vec<Handle> {
        let groups = &self.footer.groups;
        let pages = groups.iter().map(Group::pages).sum::<usize>();
        let stride = pages.div_ceil(most.max(1)).max(1);
        let ends = groups.iter().flat_map(|group| (0..group.pages()).map(|page| end(group, page)));
        ends.skip(stride - 1).step_by(stride).flatten().collect()
    }
}

/// The last handle of a page; none if no row of it has a handle.
fn end(group: &Group, page: usize) -> Option<Handle> {
    match (&group.emails[page], group.phones[page]) {
        (Some((_, max)), _) => Handle::from_canonical(std::str::from_utf8(max).ok()?),
        (None, Some((_, max))) => Some(Handle::Phone(PhoneKey::from_bits(max)?)),
        (None, None) => None,
    }
}

impl ByHandle {
    /// Reads the next page that may hold events of `range`.
    pub(crate) fn next_page(&mut self, range: &HandleRange) -> io::Result<HandlePage> {
        let start = self.segment.hour.start().as_micros();
        let micros = |at: Timestamp| at.as_micros().saturating_sub(start);
        let (since, until) = (micros(self.since), micros(self.until));
        while let Some(group) = self.segment.footer.groups.get(self.at.0) {
            let page = self.at.1;
            if page >= group.pages() {
                self.at = (self.at.0 + 1, 0);
                continue;
            }
            self.at.1 += 1;
            let (first, last) = group.ats[page];
            let in_time = u64::from(last) >= since && u64::from(first) < until;
            let kinds = (range.overlaps_phones(group, page), range.overlaps_emails(group, page));
            if in_time && (kinds.0 || kinds.1) {
                let mut page = Page::new(&self.segment, self.at.0, page);
                let read = self.read(&mut page, range, kinds);
                return match read {
                    Ok(run) => {
                        self.last =
                            run.handles.last().map(|last| last.0.clone()).or(self.last.take());
                        Ok(HandlePage::Run(run))
                    }
                    Err(PartError::Damaged) => Ok(HandlePage::Damaged),
                    Err(PartError::Io(error)) => Err(error),
                };
            }
        }
        Ok(HandlePage::End)
    }

    /// The events of a page. It does not decode rows of other handles, so those may be damaged.
    fn read(
        &self,
        page: &mut Page<'_>,
        range: &HandleRange,
        (phones, emails): (bool, bool),
    ) -> Result<HandleRun, PartError> {
        let mut spans = Vec::new();
        if phones {
            add_spans(page.phones()?, range, &mut spans, |bits| {
                PhoneKey::from_bits(bits.cast_unsigned()).map(Handle::Phone)
            })?;
        }
        if emails {
            add_spans(page.emails()?, range, &mut spans, |text| {
                Handle::from_canonical(text.as_utf8().ok()?)
            })?;
        }
        // Callers merge runs, and rely on their order.
        let handles = self.last.iter().chain(spans.iter().map(|span| &span.0));
        if !handles.is_sorted() {
            return Err(PartError::Damaged);
        }
        if spans.is_empty() {
            return Ok(HandleRun::default());
        }
        let start = self.segment.hour.start().as_micros();
        let ats = page.ats()?;
        let at = |at: &i32| Timestamp::from_micros(start + u64::from(at.cast_unsigned()));
        let ats: Vec<_> = ats.iter().map(at).collect();
        let ids = if self.with_ids {
            page.change_ids(spans.iter().flat_map(|span| span.1.clone()))?
        } else {
            Vec::new()
        };
        let outcomes = page.outcomes()?;
        let mut run = HandleRun::default();
        for (handle, rows) in spans {
            let before = run.events.len();
            for row in rows {
                let at = ats[row];
                if (self.since..self.until).contains(&at) {
                    let outcome = Outcome::from_bits(outcomes[row].cast_unsigned());
                    let outcome = outcome.ok_or(PartError::Damaged)?;
                    let change = match outcome {
                        Outcome::Change { .. } if self.with_ids => {
                            let id = ids.get(row).copied().flatten().ok_or(PartError::Damaged)?;
                            Some(ChangeId::from_bits(id.cast_unsigned()))
                        }
                        _ => None,
                    };
                    run.events.push(HandleEvent { at, outcome, change });
                }
            }
            if run.events.len() > before {
                run.handles.push((handle, run.events.len()));
            }
        }
        Ok(run)
    }
}

type Span = (Handle, Range<usize>);

/// Adds the handles of `range`, each with its rows. `values` is the column of phone numbers or that of e-mail addresses.
fn add_spans<T: PartialEq>(
    values: &[Option<T>],
    range: &HandleRange,
    spans: &mut Vec<Span>,
    to_handle: impl Fn(&T) -> Option<Handle>,
) -> Result<(), PartError> {
    let mut start = 0;
    for same in values.chunk_by(|a, b| a == b) {
        let rows = start..start + same.len();
        start = rows.end;
        if let Some(value) = &same[0] {
            let handle = to_handle(value).ok_or(PartError::Damaged)?;
            if range.contains(&handle) {
                spans.push((handle, rows));
            }
        }
    }
    Ok(())
}
