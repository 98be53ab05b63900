//! Places of long calls: as many as the server bears, of which one operator gets a part.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};

use crate::{
    http::problem::{Code, Problem},
    limits,
    lock::lock,
};

/// Places for one kind of call. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Places {
    free: Arc<Semaphore>,
    each: usize,
    taken: Arc<Mutex<HashMap<String, usize>>>,
    /// Wakes those who wait for a place.
    freed: Arc<Notify>,
    /// What the calls are, for refusals.
    what: &'static str,
}

/// A place that an operator has until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    permit: Option<OwnedSemaphorePermit>,
    of: String,
    taken: Arc<Mutex<HashMap<String, usize>>>,
    freed: Arc<Notify>,
}

impl Places {
    /// `all` places, of which one operator gets at most `each`.
    pub(super) fn new(what: &'static str, all: usize, each: usize) -> Self {
        let (taken, freed) = (Arc::default(), Arc::default());
        Self { free: Arc::new(Semaphore::new(all)), each, taken, freed, what }
    }

    /// A place for `operator`. It waits for one for [`limits::PLACE_PATIENCE`]: a call gives its place back only after the audit log
    /// has noted its end, and its client may have sent the next one by then.
    ///
    /// # Errors
    /// `overloaded`, which says whether the operator or all operators together have as many as they may.
    pub(super) async fn take(&self, operator: &str) -> Result<Place, Problem> {
        let until = Instant::now() + limits::PLACE_PATIENCE;
        loop {
            // Before the attempt, so that it misses no place that becomes free after it.
            let freed = self.freed.notified();
            let refused = match self.try_take(operator) {
                Ok(place) => return Ok(place),
                Err(refused) => refused,
            };
            if timeout_at(until, freed).await.is_err() {
                return Err(refused);
            }
        }
    }

    fn try_take(&self, operator: &str) -> Result<Place, Problem> {
        let (what, each) = (self.what, self.each);
        let mut taken = lock(&self.taken);
        let own = taken.get(operator).copied().unwrap_or(0);
        if own >= each {
            let detail = format!(
                "this operator has {own} {what} under way, as many as one operator may; wait until one ends, or end one"
            );
            return Err(Problem::new(Code::Overloaded, detail));
        }
        let permit = Arc::clone(&self.free).try_acquire_owned().map_err(|_| {
            let detail =
                format!("as many {what} are under way as the server bears; try again soon");
            Problem::new(Code::Overloaded, detail)
        })?;
        taken.insert(operator.to_owned(), own + 1);
        let (taken, freed) = (Arc::clone(&self.taken), Arc::clone(&self.freed));
        Ok(Place { permit: Some(permit), of: operator.to_owned(), taken, freed })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = lock(&self.taken);
        let left = taken.remove(&self.of).unwrap_or(1) - 1;
        // Operators come and go: one without a place is not kept.
        if left > 0 {
            taken.insert(std::mem::take(&mut self.of), left);
        }
        drop(taken);
        // Free before anybody is woken.
        self.permit = None;
        self.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_operator_leaves_places_to_others() {
        let places = Places::new("tails", 3, 2);
        let ann = [places.try_take("ann").unwrap(), places.try_take("ann").unwrap()];
        let refused = places.try_take("ann").unwrap_err();
        assert_eq!(refused.code, Code::Overloaded);
        assert!(refused.detail.starts_with("this operator has 2 tails"), "{}", refused.detail);
        let bob = places.try_take("bob").unwrap();
        let refused = places.try_take("eve").unwrap_err();
        assert!(refused.detail.starts_with("as many tails are under way"), "{}", refused.detail);
        drop(ann);
        let _eve = [places.try_take("eve").unwrap(), places.try_take("eve").unwrap()];
        drop(bob);
        places.try_take("ann").unwrap();
        assert_eq!(lock(&places.taken).len(), 1, "operators without a place are kept");
    }

    #[tokio::test]
    async fn a_place_that_becomes_free_soon_is_waited_for() {
        let places = Places::new("searches", 1, 1);
        let first = places.take("ann").await.unwrap();
        let end = async {
            tokio::task::yield_now().await;
            drop(first);
        };
        let (second, ()) = tokio::join!(places.take("ann"), end);
        second.unwrap();
    }
}
