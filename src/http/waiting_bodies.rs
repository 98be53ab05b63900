//! The memory of long request bodies that have not arrived whole, bounded for all connections together.
//!
//! A body waits in memory until its last byte has come. Without a bound, a client with many connections could send all but one byte
//! of a batch on each. Short bodies are not counted: a connection holds as much
//! anyway.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::problem::{Code, Problem};
use crate::limits;

/// Bytes of all long bodies of this process.
static ALL: AtomicUsize = AtomicUsize::new(0);

/// The counted memory of one body, until it is dropped.
pub(super) struct Held {
    bytes: usize,
    all: &'static AtomicUsize,
}

impl Default for Held {
    fn default() -> Self {
        Self { bytes: 0, all: &ALL }
    }
}

impl Held {
    /// Counts that the body has `bytes` now.
    ///
    /// # Errors
    /// `overloaded` if all bodies together have more than [`limits::WAITING_BODIES_BYTES_MAX`].
    pub(super) fn grow_to(&mut self, bytes: usize) -> Result<(), Problem> {
        if bytes <= limits::WAITING_BODY_BYTES_FREE {
            return Ok(());
        }
        let more = bytes.saturating_sub(self.bytes);
        self.bytes += more;
        if self.all.fetch_add(more, Relaxed) + more > limits::WAITING_BODIES_BYTES_MAX {
            let detail = "too many long bodies arrive at once; try again, or send smaller batches";
            return Err(Problem::new(Code::Overloaded, detail));
        }
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.all.fetch_sub(self.bytes, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_bodies_have_a_bound_together_and_short_ones_none() {
        let all: &AtomicUsize = Box::leak(Box::default());
        let body = || Held { bytes: 0, all };
        let mut first = body();
        first.grow_to(limits::BATCH_BODY_BYTES_MAX).unwrap();
        first.grow_to(limits::WAITING_BODIES_BYTES_MAX).unwrap();
        let mut second = body();
        second.grow_to(limits::WAITING_BODY_BYTES_FREE).unwrap();
        let refused = second.grow_to(limits::WAITING_BODY_BYTES_FREE + 1).unwrap_err();
        assert_eq!(refused.code, Code::Overloaded);
        drop((first, second));
        assert_eq!(all.load(Relaxed), 0);
        body().grow_to(limits::WAITING_BODIES_BYTES_MAX).unwrap();
    }
}
