//! Reading a sealed segment: by time, in the order of storage, or as a whole.

use std::sync::Arc;

use super::{
    footer::Footer,
    part::PartSource,
    read_back::{self, Digest},
    scan::Scan,
    sealed::Sealed,
    time_histogram::TimeHistogram,
    time_slice::{self, SliceRequest, TimeSlice},
};
use crate::{
    clock::Hour,
    query_log::{filter::Filter, segment_error::SegmentError},
};

impl Sealed {
    /// Reads the footer of the segment of `hour`.
    ///
    /// # Errors
    /// [`SegmentError::Unreadable`] if footer and copy are damaged or belong to another hour.
    pub(crate) fn open(source: Arc<dyn PartSource>, hour: Hour) -> Result<Self, SegmentError> {
        let footer = Arc::new(Footer::read(&*source, hour)?);
        Ok(Self { source, footer, hour })
    }

    /// Rows in it, damaged ones included.
    pub(crate) fn records(&self) -> u64 {
        self.footer.records
    }

    /// The next matching rows strictly after (`Asc`) or before (`Desc`) an instant, in that order.
    ///
    /// For a handle it reads the pages that hold it. Otherwise it reads all pages of the columns that the filter needs, and
    /// then the pages of the rows that it gives. The next slice of the same search takes the counts of the first step from
    /// `histogram`. Ask for many rows at once: each slice reads its pages again.
    ///
    /// # Errors
    /// [`SegmentError::Io`]. Damage is no error; the slice counts it.
    pub(crate) fn time_slice(
        &self,
        request: &SliceRequest<'_>,
        histogram: &mut Option<TimeHistogram>,
    ) -> Result<TimeSlice, SegmentError> {
        time_slice::read(self, request, histogram)
    }

    /// Every matching row in the order of storage, (handle, at).
    pub(crate) fn scan(&self, filter: &Filter) -> Scan {
        Scan::new(self.clone(), filter.clone())
    }

    /// Reads the whole segment. With the writer's seed the sum equals the writer's unless a row is lost or changed.
    ///
    /// # Errors
    /// [`SegmentError::Io`].
    pub(crate) fn digest(&self, seed: u64) -> Result<Digest, SegmentError> {
        Ok(read_back::digest(self, seed)?)
    }
}
