//! Processes items on several threads, and returns the results in order.

use std::{
    collections::VecDeque,
    panic::resume_unwind,
    thread::{self, ScopedJoinHandle},
};

/// Reads `inputs` on this thread, and calls `work` for each of them on a thread of its own. Calls `consume` with the
/// results on this thread, in the order of the inputs. At most `threads` items are in progress.
///
/// Starting a thread takes some 20 µs, so an item should take much longer.
///
/// # Errors
/// The first error of an input or of `consume`, which ends the processing.
pub(super) fn in_order<I: Send, O: Send, E>(
    threads: usize,
    inputs: impl Iterator<Item = Result<I, E>>,
    work: impl Fn(I) -> O + Sync,
    mut consume: impl FnMut(O) -> Result<(), E>,
) -> Result<(), E> {
    let work = &work;
    let mut finish = |worker: ScopedJoinHandle<'_, O>| {
        consume(worker.join().unwrap_or_else(|panic| resume_unwind(panic)))
    };
    thread::scope(|scope| {
        let mut workers = VecDeque::with_capacity(threads);
        for input in inputs {
            let input = input?;
            if workers.len() >= threads.max(1) {
                workers.pop_front().map_or(Ok(()), &mut finish)?;
            }
            workers.push_back(scope.spawn(move || work(input)));
        }
        workers.into_iter().try_for_each(finish)
    })
}

#[cfg(test)]
mod tests {
    use std::{
        panic::{AssertUnwindSafe, catch_unwind},
        time::Duration,
    };

    use super::*;

    #[test]
    fn results_are_in_the_order_of_the_inputs() {
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
    fn an_error_of_an_input_or_of_the_consumer_ends_the_processing() {
        let inputs = || (0..100).map(|n| if n == 50 { Err("input") } else { Ok(n) });
        assert_eq!(in_order(2, inputs(), |n| n, |_| Ok(())), Err("input"));
        let consume = |n| if n == 10 { Err("consumer") } else { Ok(()) };
        assert_eq!(in_order(2, inputs(), |n| n, consume), Err("consumer"));
    }

    #[test]
    fn a_panic_of_a_worker_is_resumed() {
        let inputs = (0..100).map(Ok::<_, ()>);
        let work = |number| assert_ne!(number, 30);
        let outcome = catch_unwind(AssertUnwindSafe(|| in_order(2, inputs, work, |()| Ok(()))));
        assert!(outcome.is_err());
    }
}
