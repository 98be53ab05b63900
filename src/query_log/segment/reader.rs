//! A sealed segment, open for reading.

use std::sync::Arc;

use super::{
    error::SealedError,
    footer::Footer,
    page::Segment,
    part::PartSource,
    read_back::{self, Digest},
    scan::Scan,
    time_histogram::TimeHistogram,
    time_slice::{self, TimeSlice, Wanted},
};
use crate::{clock::Hour, query_log::filter::Filter};

/// A sealed segment. The footer is read once; a clone shares it.
#[derive(Clone)]
pub(in crate::query_log) struct Sealed {
    segment: Segment,
}

impl Sealed {
    /// Reads the footer of the segment of `hour`.
    ///
    /// # Errors
    /// [`SealedError::Unreadable`] if neither the footer nor its copy is what was written for this hour.
    pub(in crate::query_log) fn open(
        source: Arc<dyn PartSource>,
        hour: Hour,
    ) -> Result<Self, SealedError> {
        let footer = Arc::new(Footer::read(&*source, hour)?);
        Ok(Self { segment: Segment { source, footer, hour } })
    }

    pub(super) const fn segment(&self) -> &Segment {
        &self.segment
    }

    /// Rows in it, damaged ones too.
    pub(in crate::query_log) fn records(&self) -> u64 {
        self.segment.footer.records
    }

    /// The next matching rows strictly after (`Asc`) or before (`Desc`) an instant, in that order.
    ///
    /// For a handle it reads the pages that hold it. Otherwise it reads the columns that the filter is about, whole, which
    /// `known` spares the next window of the same search; and then the pages of the rows it gives: so ask for many rows at
    /// once.
    ///
    /// # Errors
    /// [`SealedError::Io`]; damage is none, it is counted.
    pub(in crate::query_log) fn window(
        &self,
        wanted: &Wanted<'_>,
        known: &mut Option<TimeHistogram>,
    ) -> Result<TimeSlice, SealedError> {
        time_slice::window(&self.segment, wanted, known)
    }

    /// Every matching row in the order of storage, (handle, at).
    pub(in crate::query_log) fn scan(&self, filter: &Filter) -> Scan {
        Scan::new(self.segment.clone(), filter.clone())
    }

    /// Reads everything back. With the same seed the sum is the writer's if nothing is lost or changed.
    ///
    /// # Errors
    /// [`SealedError::Io`].
    pub(in crate::query_log) fn digest(&self, seed: u64) -> Result<Digest, SealedError> {
        Ok(read_back::digest(&self.segment, seed)?)
    }
}
