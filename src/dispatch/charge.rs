//! [`Charge`]: what a lookup call was charged.

use crate::quota::{Charged, Standing};

/// What a call was charged, and the standing of its account at that time.
pub(super) struct Charge {
    pub(super) charged: Charged,
    pub(super) standing: Standing,
}
