//! dispatchd: the dispatch directory of a messaging service.
//!
//! A phone is about to send a message to a *handle* (a phone number or an e-mail address). It asks dispatchd which
//! way the message goes: over the messaging service (`imessage`) or by text message (`sms`). The answer comes from an
//! in-memory registry of handles that live devices back. Every query is appended to an encrypted metadata log.
//! Operators read it to find out why a message went the wrong way. It forgets everything after 30 days.
//!
//! `docs/ARCHITECTURE.md` walks through one lookup, one change and one hour of the log, and says where to add something.
//!
//! # One order
//!
//! A lookup holds a read view of the registry while it decides *and* hands its record to the log's buffer; a change
//! holds the write side while it hands its record over *and* becomes visible. So the log's order is the order in which
//! things were true, and a batch is answered from one point in time. Both critical sections are free of I/O.
//!
//! # Modules, bottom up
//!
//! | module | what it is for |
//! | --- | --- |
//! | [`limits`] | every limit, with unit and reason |
//! | [`metrics`] | counters and histograms that cost a lookup some nanoseconds |
//! | [`host`] | hosts as requests and the configuration name them |
//! | [`lock`] | locks a mutex whatever happened to its last holder |
//! | [`redacted`] | `Debug` of types that hold secrets or personal data |
//! | [`ids`] | opaque ids of accounts, devices, requests, verifications |
//! | [`shutdown`] | soft and hard stop, tracked tasks |
//! | [`console`] | the files of the operators' console |
//! | [`telemetry`] | the service's own messages, without personal values |
//! | [`files`] | opens, replaces, locks and removes files; the format version of a data directory; a reserve for a full disk |
//! | [`clock`] | the only reader of wall time; trusted time, which a wrong wall clock does not move |
//! | [`background`] | named periodic ticks; a crash of one stops the service |
//! | [`handle`] | text to canonical handle |
//! | [`object_storage`] | objects in S3 or in a directory, which are created and never overwritten |
//! | [`shared_log`] | the one order of the registry's changes, when several machines serve one directory |
//! | [`vocabulary`] | routes, reasons, changes, causes, platforms, problem codes: one enum each |
//! | [`envelope`] | encryption of what lies on disk: frames, chunks with their parity, keyring, rotating root key |
//! | [`registry`] | devices, accounts, bindings, leases; the index and its durable store |
//! | [`verification`] | proofs: sessions, codes, their delivery by outbox, mail and text gateway; section `ownership` |
//! | [`quota`] | who may ask how much |
//! | [`query_log`] | the log: record, writer, recovery, sealing, retention, search, flips |
//! | [`audit`] | who read the log: a chain of entries kept longer than the log |
//! | [`tables`] | accounts in and out of files, rows of the log out: CSV, Parquet, NDJSON |
//! | [`import_jobs`] | an import that a running server was given: accepted, applied in the background |
//! | [`dispatch`] | one lookup from question to answer |
//! | [`timeline`] | why one handle is blue or green: its changes and lookups in sentences |
//! | [`operators`] | operators' tokens and roles |
//! | [`cluster`] | a node of a cluster: its identity, the keys of the shared log's entries, the rows about members |
//! | [`api`] | the API: one type for each request, answer, row and problem |
//! | [`doctor`] | what is wrong with a deployment, and what to do about it |
//! | [`reading`] | each of these calls once: noted in the audit log, then read |
//! | [`http`] | the edge: two listeners |
//! | [`config`] | sum of the modules' configurations |
//! | [`server`] | composition root: opens, binds, serves, drains |
//! | [`cli`] | one file for each command |
//!
//! Who may import whom is a table in `tests/integration/imports/mod.rs`. The test
//! reads every file with a parser. No two files import each other.

pub mod api;
pub mod audit;
pub mod background;
pub mod cli;
pub mod clock;
pub mod cluster;
pub mod config;
pub mod console;
pub mod dispatch;
pub mod doctor;
pub mod envelope;
pub mod files;
pub mod handle;
pub mod host;
pub mod http;
pub mod ids;
pub mod import_jobs;
pub mod limits;
pub mod lock;
pub mod metrics;
pub mod object_storage;
pub mod operators;
pub mod query_log;
pub mod quota;
pub mod reading;
pub mod redacted;
pub mod registry;
pub mod server;
pub mod shared_log;
pub mod shutdown;
pub mod tables;
pub mod telemetry;
pub mod timeline;
pub mod verification;
pub mod vocabulary;
