//! dispatchd: the dispatch directory of a messaging service.
//!
//! A phone is about to send a message to a *handle* (a phone number or an e-mail address). It asks dispatchd which
//! way the message goes: over the messaging service (`imessage`) or by text message (`sms`). The answer comes from an
//! in-memory registry of handles that live devices back. Every query is appended to an encrypted metadata log that
//! operators read to find out why a message went the wrong way, and that forgets everything after 30 days.
//!
//! # The path of one query
//!
//! [`http`] (limits, request id, who asks) → [`handle`] (text to canonical handle, or a named refusal) → [`dispatch`]
//! (quota, decide from the [`registry`], record, answer) → [`query_log`] (in the log, as durable as configured) →
//! [`http`] (body) → out. If the log cannot take the record there is no answer, only a 503 that says so.
//!
//! # One order
//!
//! A lookup holds a read view of the registry while it decides *and* hands its record to the log's buffer; a change
//! holds the write side while it hands its record over *and* becomes visible. So the log's order is the order in which
//! things were true, and a batch is answered from one point in time. Both critical sections are free of I/O.
//!
//! # Rooms, bottom up
//!
//! | room | what it is for |
//! | --- | --- |
//! | [`limits`] | every cap, with unit and reason |
//! | [`clock`] | the only reader of wall time |
//! | [`ids`] | opaque ids of accounts, devices, requests, verifications |
//! | [`shutdown`] | soft and hard stop, tracked tasks |
//! | [`telemetry`] | the service's own messages, without personal values |
//! | [`fresh_file`] | a file that is there whole or not at all |
//! | [`background`] | named periodic ticks; a crash of one stops the service |
//! | [`handle`] | text to canonical handle |
//! | [`envelope`] | encrypted bytes on disk: frames, chunks with their parity, keyring, rotating root key |
//! | [`registry`] | devices, accounts, bindings, leases; the index and its durable store |
//! | [`exchange`] | files of accounts, in and out: CSV, Parquet, staged |
//! | [`intake`] | an import that a running server was given: accepted, applied in the background |
//! | [`ownership`] | proofs: verification sessions, codes, their delivery by outbox, mail and text gateway |
//! | [`quota`] | who may ask how much |
//! | [`query_log`] | the log: record, writer, recovery, sealing, retention, search, flips |
//! | [`audit`] | who read the log: a chain of entries kept longer than the log |
//! | [`export`] | rows of the log, to a file: Parquet, CSV, NDJSON, plain or encrypted |
//! | [`timeline`] | why one handle is blue or green: its changes and lookups in sentences |
//! | [`dispatch`] | one lookup from question to answer |
//! | [`operators`] | operators' tokens and roles |
//! | [`http`] | the edge: two listeners |
//! | [`config`] | sum of the rooms' configurations |
//! | [`server`] | composition root: opens, binds, serves, drains |
//! | [`cli`] | one file for each command |
//!
//! Who may import whom is a table in `tests/integration/rooms.rs`, checked against the `use crate::` lines.

pub mod audit;
pub mod background;
pub mod cli;
pub mod clock;
pub mod config;
pub mod dispatch;
pub mod envelope;
pub mod exchange;
pub mod export;
pub mod fresh_file;
pub mod handle;
pub mod http;
pub mod ids;
pub mod intake;
pub mod limits;
pub mod operators;
pub mod ownership;
pub mod query_log;
pub mod quota;
pub mod registry;
pub mod server;
pub mod shutdown;
pub mod telemetry;
pub mod timeline;
