//! Work on several threads, its results in order.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{Mutex, mpsc},
    thread,
};

/// Takes items from `inputs` on this thread, has them worked on by `threads` others, and gives the results to `take` on
/// this thread again, in the order of the inputs. What is under way is bounded, so a slow part holds up the others.
///
/// # Errors
/// The first error of an input or of `take`; nothing after it is taken.
pub(super) fn in_order<I: Send, O: Send, E>(
    threads: usize,
    inputs: impl Iterator<Item = Result<I, E>>,
    work: impl Fn(I) -> O + Sync,
    mut take: impl FnMut(O) -> Result<(), E>,
) -> Result<(), E> {
    let threads = threads.max(1);
    let (to_workers, from_here) = mpsc::channel::<(u64, I)>();
    let (to_here, from_workers) = mpsc::channel();
    let from_here = Mutex::new(from_here);
    thread::scope(|scope| {
        for _ in 0..threads {
            let (to_here, from_here, work) = (to_here.clone(), &from_here, &work);
            scope.spawn(move || {
                // No lock is held while an item is worked on, so it cannot be poisoned.
                while let Ok(Ok((number, input))) = from_here.lock().map(|inputs| inputs.recv()) {
                    let output = catch_unwind(AssertUnwindSafe(|| work(input)));
                    if to_here.send((number, output)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(to_here);
        let mut ordered = Ordered::default();
        let mut receive = || {
            // Workers live until `to_workers` is dropped, which is after the last item has come back.
            let (number, output) = from_workers.recv().expect("a worker answers for each item");
            ordered.add(number, output.unwrap_or_else(|panic| resume_unwind(panic)));
            ordered.ready().try_for_each(&mut take)?;
            Ok(ordered.next)
        };
        // Moved in here, so that it goes away before the scope waits for the workers.
        let to_workers = to_workers;
        let (mut sent, mut taken) = (0, 0);
        for input in inputs {
            to_workers.send((sent, input?)).expect("workers wait for items");
            sent += 1;
            while sent - taken > 2 * threads as u64 {
                taken = receive()?;
            }
        }
        while taken < sent {
            taken = receive()?;
        }
        Ok(())
    })
}

/// Results that wait for those before them.
struct Ordered<O> {
    waiting: BTreeMap<u64, O>,
    next: u64,
}

impl<O> Default for Ordered<O> {
    fn default() -> Self {
        Self { waiting: BTreeMap::new(), next: 0 }
    }
}

impl<O> Ordered<O> {
    fn add(&mut self, number: u64, output: O) {
        self.waiting.insert(number, output);
    }

    fn ready(&mut self) -> impl Iterator<Item = O> {
        std::iter::from_fn(|| {
            let output = self.waiting.remove(&self.next)?;
            self.next += 1;
            Some(output)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_inputs() {
        let mut taken = Vec::new();
        let inputs = (0..200_u64).map(Ok::<_, ()>);
        let work = |number: u64| {
            thread::sleep(Duration::from_micros(number % 7 * 100));
            number * 2
        };
        let outcome = in_order(3, inputs, work, |output| {
            taken.push(output);
            Ok(())
        });
        assert_eq!(outcome, Ok(()));
        assert_eq!(taken, (0..200).map(|number| number * 2).collect::<Vec<_>>());
    }

    #[test]
    fn an_error_on_either_end_stops_it() {
        let inputs = || (0..100).map(|n| if n == 50 { Err("input") } else { Ok(n) });
        assert_eq!(in_order(2, inputs(), |n| n, |_| Ok(())), Err("input"));
        let take = |n| if n == 10 { Err("take") } else { Ok(()) };
        assert_eq!(in_order(2, inputs(), |n| n, take), Err("take"));
    }

    #[test]
    fn a_worker_that_panics_is_heard() {
        let inputs = (0..100).map(Ok::<_, ()>);
        let work = |number| assert_ne!(number, 30);
        let outcome = catch_unwind(AssertUnwindSafe(|| in_order(2, inputs, work, |()| Ok(()))));
        assert!(outcome.is_err());
    }
}
