//! The segments of the window in the order of time, visited once for each range of handles.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    super::{
        catalog::{Form, Segment, SegmentState},
        filter::Order,
        frames::segment_reader::{ReadStep, SegmentReader},
        record::{LogRow, Record, RowView},
        sealer::sealed_file,
        search::{ReadError, SearchOutcome, Sources},
        segment::{HandleEvent, HandlePage, HandleRange, HandleRun},
        segment_error::SegmentError,
        segment_name::SegmentId,
    },
    kept::Kept,
    range::RangedLog,
    read::{FlipWindow, FlipsRead},
    states::States,
};
use crate::{
    clock::{Hour, Timestamp},
    handle::Handle,
    limits,
};

pub(in crate::query_log) struct Visit<'a> {
    sources: &'a Sources,
    stop: &'a dyn Fn() -> bool,
    /// What was older when reading began is left out.
    alive: Timestamp,
    asked_since: Timestamp,
    /// The later of both.
    since: Timestamp,
    until: Timestamp,
    segments: Vec<SegmentId>,
    /// Damaged places by segment: each damaged frame, or 1 for a damaged sealed segment. Each range meets some of them again.
    damaged: BTreeMap<SegmentId, u64>,
    /// Segments inside the retention of which nothing could be read.
    unreadable: BTreeSet<SegmentId>,
    pub(super) stopped: bool,
}

impl<'a> Visit<'a> {
    pub(in crate::query_log) fn new(
        sources: &'a Sources,
        window: &FlipWindow,
        stop: &'a dyn Fn() -> bool,
    ) -> Self {
        let alive = after(sources.clock.latest().minus(sources.retention));
        let asked_since = window.since.unwrap_or(Timestamp::EPOCH);
        let mut visit = Self {
            sources,
            stop,
            alive,
            asked_since,
            since: asked_since.max(alive),
            until: window.until.unwrap_or(Timestamp::MAX),
            segments: Vec::new(),
            damaged: BTreeMap::new(),
            unreadable: BTreeSet::new(),
            stopped: false,
        };
        let is_met = |hour: Hour| hour.end() > visit.since_in(hour) && hour.start() < visit.until;
        // Files of one hour follow one another in time, by their numbers.
        let segments = sources.catalog.segments();
        let segments = segments.iter().map(|segment| segment.id).filter(|id| is_met(id.hour));
        visit.segments = segments.collect();
        visit
    }

    /// The first instant of an hour's era that is to be read.
    fn since_in(&self, hour: Hour) -> Timestamp {
        self.asked_since.max(self.alive.moved(-self.sources.clock.shift_us(hour.era())))
    }

    /// What was read, and what could not be.
    pub(in crate::query_log) fn read(self) -> FlipsRead {
        let (damaged, unreadable_segments) =
            (self.damaged.values().sum(), self.unreadable.len() as u64);
        FlipsRead {
            since: self.since,
            until: self.until,
            passed_over: SearchOutcome { damaged, unreadable_segments },
            stopped: self.stopped,
        }
    }

    fn segment<K: Kept>(
        &mut self,
        id: SegmentId,
        states: &mut States<K>,
    ) -> Result<(), SegmentError> {
        let segment = self.sources.catalog.get(id).ok_or(SegmentError::Gone)?;
        if segment.state() == SegmentState::Unreadable {
            return Err(SegmentError::Unreadable);
        }
        let mut since = self.since_in(id.hour);
        if segment.form == Form::Frames {
            match self.frames(&segment, &mut since, states) {
                // Sealed meanwhile: the rest is in the sealed file.
                Err(SegmentError::Gone) => {}
                done => return done,
            }
        }
        let now = self.sources.catalog.get(id).filter(|now| now.form == Form::Sealed);
        self.sealed(&*now.ok_or(SegmentError::Gone)?, since, states)
    }

    fn sealed<K: Kept>(
        &mut self,
        segment: &Segment,
        since: Timestamp,
        states: &mut States<K>,
    ) -> Result<(), SegmentError> {
        let sealed = sealed_file::open(segment, &self.sources.keyring)?;
        let mut pages = sealed.by_handle(since, self.until, K::WITH_IDS);
        states.begin_run();
        loop {
            if (self.stop)() {
                self.stopped = true;
                return Ok(());
            }
            match pages.next_page(states.range())? {
                HandlePage::Run(run) => states.apply(&run),
                HandlePage::Damaged => _ = self.damaged.insert(segment.id, 1),
                HandlePage::End => return Ok(()),
            }
        }
    }

    /// Takes the rows of frames, some at a time; moves `since` behind those that were taken.
    fn frames<K: Kept>(
        &mut self,
        segment: &Segment,
        since: &mut Timestamp,
        states: &mut States<K>,
    ) -> Result<(), SegmentError> {
        let mut reader = SegmentReader::open(segment, &self.sources.keyring)?;
        let mut offset = reader.seek(*since)?.0;
        let mut waiting = Vec::new();
        let mut damaged = 0;
        let ended = loop {
            if (self.stop)() {
                self.stopped = true;
                return Ok(());
            }
            let rows = match reader.next(Order::Asc, &mut offset) {
                Err(error) => break Err(error),
                Ok(ReadStep::Edge) => break Ok(()),
                Ok(ReadStep::Damaged) => {
                    damaged += 1;
                    continue;
                }
                Ok(ReadStep::Frame(rows)) => rows,
            };
            let (first, last) = (rows.first().map(|row| row.at), rows.last().map(|row| row.at));
            if first.is_some_and(|first| first >= self.until) {
                break Ok(());
            }
            let (from, to) = (*since, self.until);
            let in_time = rows.into_iter().filter(|row| (from..to).contains(&row.at));
            waiting.extend(in_time.filter_map(|row| handle_moment(row, states.range())));
            *since = last.map_or(*since, |last| after(last).max(*since));
            if waiting.len() >= limits::LOG_FLIPS_FRAME_ROWS {
                apply_waiting(&mut waiting, states);
            }
        };
        apply_waiting(&mut waiting, states);
        let known = self.damaged.entry(segment.id).or_default();
        *known = damaged.max(*known);
        ended
    }
}

impl RangedLog for Visit<'_> {
    type Error = ReadError;

    fn visit<K: Kept>(&mut self, states: &mut States<K>) -> Result<bool, ReadError> {
        for at in 0..self.segments.len() {
            let id = self.segments[at];
            if let Err(error) = self.segment(id, states)
                && self.sources.is_lost(id, error)?
            {
                self.unreadable.insert(id);
            }
            if self.stopped {
                break;
            }
        }
        Ok(!self.stopped)
    }

    /// The page ends of the largest sealed segment, if it can be read.
    fn milestones(&self) -> Vec<Handle> {
        let segments = self.segments.iter().filter_map(|id| self.sources.catalog.get(*id));
        let sealed = segments.filter(|segment| segment.form == Form::Sealed);
        let largest = sealed.max_by_key(|segment| segment.bytes());
        let opened = largest.and_then(|it| sealed_file::open(&it, &self.sources.keyring).ok());
        opened.map_or(Vec::new(), |it| it.page_ends(limits::LOG_FLIPS_MILESTONES_MAX))
    }
}

/// The first instant after `at`.
const fn after(at: Timestamp) -> Timestamp {
    Timestamp::from_micros(at.as_micros().saturating_add(1))
}

/// What a row says of its handle, if that is asked for.
fn handle_moment(row: LogRow, range: &HandleRange) -> Option<(Handle, HandleEvent)> {
    let (outcome, change) = (RowView::from(&row).outcome, row.record.change_id());
    let handle = match row.record {
        Record::Lookup(lookup) => lookup.handle,
        Record::Change(change) => change.handle,
        Record::Refusals(_) => None,
    };
    let handle = handle.filter(|handle| range.contains(handle))?;
    Some((handle, HandleEvent { at: row.at, outcome, change }))
}

/// Brings rows in the order of time into the order of handles, and takes them.
fn apply_waiting<K: Kept>(waiting: &mut Vec<(Handle, HandleEvent)>, states: &mut States<K>) {
    waiting.sort_by(|a, b| a.0.cmp(&b.0));
    let mut run = HandleRun::default();
    for (handle, moment) in waiting.drain(..) {
        run.push(handle, moment);
    }
    states.begin_run();
    states.apply(&run);
}
