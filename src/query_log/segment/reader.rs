//! A sealed segment, open for reading.

use std::sync::Arc;

use super::{
    footer::Footer,
    part::PartSource,
    read_back::{self, Digest},
    scan::Scan,
    segment_data::SegmentData,
    time_histogram::TimeHistogram,
    time_slice::{self, SliceRequest, TimeSlice},
};
use crate::{
    clock::Hour,
    query_log::{filter::Filter, segment_error::SegmentError},
};

/// A sealed segment. It reads the footer once; clones share it.
#[derive(Clone)]
pub(in crate::query_log) struct Sealed {
    data: SegmentData,
}

impl Sealed {
    /// Reads the footer of the segment of `hour`.
    ///
    /// # Errors
    /// [`SegmentError::Unreadable`] if footer and copy are damaged or belong to another hour.
    pub(in crate::query_log) fn open(
        source: Arc<dyn PartSource>,
        hour: Hour,
    ) -> Result<Self, SegmentError> {
        let footer = Arc::new(Footer::read(&*source, hour)?);
        Ok(Self { data: SegmentData { source, footer, hour } })
    }

    pub(super) const fn data(&self) -> &SegmentData {
        &self.data
    }

    /// Rows in it, damaged ones included.
    pub(in crate::query_log) fn records(&self) -> u64 {
        self.data.footer.records
    }

    /// The next matching rows strictly after (`Asc`) or before (`Desc`) an instant, in that order.
    ///
    /// For a handle it reads the pages that hold it. Otherwise it reads all pages of the columns that the filter needs, and
    /// then the pages of the rows that it gives. The next slice of the same search takes the counts of the first step from
    /// `histogram`. Ask for many rows at once: each slice reads its pages again.
    ///
    /// # Errors
    /// [`SegmentError::Io`]. Damage is no error; the slice counts it.
    pub(in crate::query_log) fn time_slice(
        &self,
        request: &SliceRequest<'_>,
        histogram: &mut Option<TimeHistogram>,
    ) -> Result<TimeSlice, SegmentError> {
        time_slice::read(&self.data, request, histogram)
    }

    /// Every matching row in the order of storage, (handle, at).
    pub(in crate::query_log) fn scan(&self, filter: &Filter) -> Scan {
        Scan::new(self.data.clone(), filter.clone())
    }

    /// Reads the whole segment. With the writer's seed the sum equals the writer's unless a row is lost or changed.
    ///
    /// # Errors
    /// [`SegmentError::Io`].
    pub(in crate::query_log) fn digest(&self, seed: u64) -> Result<Digest, SegmentError> {
        Ok(read_back::digest(&self.data, seed)?)
    }
}
