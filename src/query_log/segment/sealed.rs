//! A sealed segment, open for reading: its bytes with its footer.

use std::sync::Arc;

use super::{footer::Footer, part::PartSource};
use crate::clock::Hour;

/// A sealed segment. Clones share its bytes and its footer, which is read once.
#[derive(Clone)]
pub(crate) struct Sealed {
    pub(super) source: Arc<dyn PartSource>,
    pub(super) footer: Arc<Footer>,
    pub(super) hour: Hour,
}
