//! The bytes of a sealed segment, with its footer.

use std::sync::Arc;

use super::{footer::Footer, part::PartSource};
use crate::clock::Hour;

/// The bytes of a sealed segment, with its footer. Clones share them.
#[derive(Clone)]
pub(super) struct SegmentData {
    pub(super) source: Arc<dyn PartSource>,
    pub(super) footer: Arc<Footer>,
    pub(super) hour: Hour,
}
