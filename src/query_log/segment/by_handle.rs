//! How handles stood, handle by handle: the columns that say so, of the pages that may hold a range of handles.

use std::{io, ops::Range};

use super::{
    footer::Group,
    outcome::Outcome,
    page::{Page, PageFault, Segment},
    reader::Sealed,
};
use crate::{
    clock::Timestamp,
    handle::{Handle, PhoneKey},
};

/// Handles that follow one another: those behind the first bound up to the second, itself included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::query_log) struct HandleRange {
    /// None: from the first on.
    pub(in crate::query_log) after: Option<Handle>,
    /// None: up to the last.
    pub(in crate::query_log) upto: Option<Handle>,
}

impl HandleRange {
    /// Whether it holds `handle`.
    pub(in crate::query_log) fn contains(&self, handle: &Handle) -> bool {
        self.after.as_ref().is_none_or(|after| handle > after)
            && self.upto.as_ref().is_none_or(|upto| handle <= upto)
    }

    fn meets_phones(&self, group: &Group, page: usize) -> bool {
        let Some((min, max)) = group.phones[page] else { return false };
        let is_behind = match &self.after {
            None => true,
            Some(Handle::Phone(after)) => max > after.bits(),
            Some(Handle::Email(_)) => false,
        };
        is_behind
            && match &self.upto {
                Some(Handle::Phone(upto)) => min <= upto.bits(),
                None | Some(Handle::Email(_)) => true,
            }
    }

    fn meets_emails(&self, group: &Group, page: usize) -> bool {
        let Some((min, max)) = &group.emails[page] else { return false };
        let is_behind = match &self.after {
            None | Some(Handle::Phone(_)) => true,
            Some(Handle::Email(after)) => &**max > after.as_str().as_bytes(),
        };
        is_behind
            && match &self.upto {
                None => true,
                Some(Handle::Email(upto)) => &**min <= upto.as_str().as_bytes(),
                Some(Handle::Phone(_)) => false,
            }
    }
}

/// What a row says of its handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::query_log) struct HandleEvent {
    /// When.
    pub(in crate::query_log) at: Timestamp,
    /// What came of a query, or what changed.
    pub(in crate::query_log) outcome: Outcome,
}

/// Moments of handles, by handle and time.
#[derive(Debug, Default)]
pub(in crate::query_log) struct HandleRun {
    /// With the number of moments up to the handle's last.
    handles: Vec<(Handle, usize)>,
    moments: Vec<HandleEvent>,
}

impl HandleRun {
    /// Adds a moment behind all others.
    pub(in crate::query_log) fn push(&mut self, handle: Handle, moment: HandleEvent) {
        self.moments.push(moment);
        let end = self.moments.len();
        match self.handles.last_mut() {
            Some(last) if last.0 == handle => last.1 = end,
            _ => self.handles.push((handle, end)),
        }
    }

    /// Each handle with its moments.
    pub(in crate::query_log) fn iter(&self) -> impl Iterator<Item = (&Handle, &[HandleEvent])> {
        let mut start = 0;
        self.handles.iter().map(move |(handle, end)| {
            let moments = &self.moments[start..*end];
            start = *end;
            (handle, moments)
        })
    }
}

/// One step through a sealed segment.
#[derive(Debug)]
pub(in crate::query_log) enum HandlePage {
    /// The rows of a page that are asked for.
    Run(HandleRun),
    /// A page that may hold some and is damaged.
    Damaged,
    /// No further page may hold any.
    End,
}

/// Reads a sealed segment page by page. The range may become smaller from one page to the next.
pub(in crate::query_log) struct ByHandle {
    segment: Segment,
    since: Timestamp,
    until: Timestamp,
    /// The row group, and the next page of it.
    at: (usize, usize),
    last: Option<Handle>,
}

impl Sealed {
    /// The rows that have a handle, from `since` on and before `until`.
    pub(in crate::query_log) fn by_handle(&self, since: Timestamp, until: Timestamp) -> ByHandle {
        ByHandle { segment: self.segment().clone(), since, until, at: (0, 0), last: None }
    }

    /// The last handle of each page, ascending; of every so many pages if there would be more than `most`.
    pub(in crate::query_log) fn page_ends(&self, most: usize) -> Vec<Handle> {
        let groups = &self.segment().footer.groups;
        let pages = groups.iter().map(Group::pages).sum::<usize>();
        let stride = pages.div_ceil(most.max(1)).max(1);
        let ends = groups.iter().flat_map(|group| (0..group.pages()).map(|page| end(group, page)));
        ends.skip(stride - 1).step_by(stride).flatten().collect()
    }
}

/// The last handle of a page; none if it has none.
fn end(group: &Group, page: usize) -> Option<Handle> {
    match (&group.emails[page], group.phones[page]) {
        (Some((_, max)), _) => Handle::from_canonical(std::str::from_utf8(max).ok()?),
        (None, Some((_, max))) => Some(Handle::Phone(PhoneKey::from_bits(max)?)),
        (None, None) => None,
    }
}

impl ByHandle {
    /// The next page that may hold something of `range`.
    pub(in crate::query_log) fn next_page(
        &mut self,
        range: &HandleRange,
    ) -> io::Result<HandlePage> {
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
            let kinds = (range.meets_phones(group, page), range.meets_emails(group, page));
            if in_time && (kinds.0 || kinds.1) {
                let mut page = Page::new(&self.segment, self.at.0, page);
                let read = self.read(&mut page, range, kinds);
                return match read {
                    Ok(run) => {
                        self.last =
                            run.handles.last().map(|last| last.0.clone()).or(self.last.take());
                        Ok(HandlePage::Run(run))
                    }
                    Err(PageFault::Damaged) => Ok(HandlePage::Damaged),
                    Err(PageFault::Io(error)) => Err(error),
                };
            }
        }
        Ok(HandlePage::End)
    }

    /// The rows of a page. Those of other handles are not looked at, whatever they are.
    fn read(
        &self,
        page: &mut Page<'_>,
        range: &HandleRange,
        (phones, emails): (bool, bool),
    ) -> Result<HandleRun, PageFault> {
        let mut spans = Vec::new();
        if phones {
            phone_spans(page.phones()?, range, &mut spans)?;
        }
        if emails {
            email_spans(page.emails()?, range, &mut spans)?;
        }
        // Whoever merges runs relies on it.
        let handles = self.last.iter().chain(spans.iter().map(|span| &span.0));
        if !handles.is_sorted() {
            return Err(PageFault::Damaged);
        }
        if spans.is_empty() {
            return Ok(HandleRun::default());
        }
        let start = self.segment.hour.start().as_micros();
        let ats = page.ats()?;
        let at = |at: &i32| Timestamp::from_micros(start + u64::from(at.cast_unsigned()));
        let ats: Vec<_> = ats.iter().map(at).collect();
        let outcomes = page.outcomes()?;
        let mut run = HandleRun::default();
        for (handle, rows) in spans {
            let before = run.moments.len();
            for row in rows {
                let at = ats[row];
                if (self.since..self.until).contains(&at) {
                    let outcome = Outcome::from_bits(outcomes[row].cast_unsigned());
                    run.moments
                        .push(HandleEvent { at, outcome: outcome.ok_or(PageFault::Damaged)? });
                }
            }
            if run.moments.len() > before {
                run.handles.push((handle, run.moments.len()));
            }
        }
        Ok(run)
    }
}

type Span = (Handle, Range<usize>);

fn phone_spans(
    phones: &[Option<i64>],
    range: &HandleRange,
    spans: &mut Vec<Span>,
) -> Result<(), PageFault> {
    let mut start = 0;
    for same in phones.chunk_by(|a, b| a == b) {
        let rows = start..start + same.len();
        start = rows.end;
        if let Some(bits) = same[0] {
            let key = PhoneKey::from_bits(bits.cast_unsigned()).ok_or(PageFault::Damaged)?;
            let handle = Handle::Phone(key);
            if range.contains(&handle) {
                spans.push((handle, rows));
            }
        }
    }
    Ok(())
}

fn email_spans(
    emails: &[Option<parquet::data_type::ByteArray>],
    range: &HandleRange,
    spans: &mut Vec<Span>,
) -> Result<(), PageFault> {
    let mut start = 0;
    for same in emails.chunk_by(|a, b| a == b) {
        let rows = start..start + same.len();
        start = rows.end;
        if let Some(text) = &same[0] {
            let text = text.as_utf8().map_err(|_| PageFault::Damaged)?;
            let handle = Handle::from_canonical(text).ok_or(PageFault::Damaged)?;
            if range.contains(&handle) {
                spans.push((handle, rows));
            }
        }
    }
    Ok(())
}
