//! The writer: the one thread that changes the registry.
//!
//! It gathers waiting commands that touch different accounts and handles into a batch. For each batch, in this order, it
//!
//! 1. plans every command against the index and the stored accounts, which nobody else changes meanwhile;
//! 2. with a shared log: appends the steps and the change records as one entry (see `appending.rs`);
//! 3. commits all steps in one durable transaction, with a row for each change record (see
//!    [`change_outbox`](super::change_outbox));
//! 4. takes the gate, which no lookup then holds, hands the records to the query log's buffer and makes the steps visible;
//! 5. answers the callers, who then wait for the query log's own commit.
//!
//! What a crash leaves: before 3 nothing, or an entry of the shared log, which the restart applies; after 3 a durable change that
//! was not acknowledged, which the restart shows and records; after 4 the same, unless the query log committed the record.
//!
//! A store that fails is opened again with growing pauses. What is then durable decides whether the batch in doubt took
//! effect. A batch that is an entry of the shared log has taken effect, so it is committed again until it is durable. If the query
//! log refuses records, the batch stays invisible until the log takes them: the log's order is the order in
//! which changes became visible. Meanwhile all other changes are refused but check-ins and changes of expiring rows, which
//! need no record. These rows become visible as soon as they are durable: a later commit, which may not wait for the log,
//! must see them. With a shared log these are refused, too, because entries become visible in their order.

mod appending;
mod committer;
mod following;
mod log_end;
mod work;

pub(super) use work::Writer;
