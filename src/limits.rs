//! Every cap of the service in one place, with its unit and its reason. Nothing here is configurable: a cap is what
//! keeps a hostile or broken client from growing memory, disk or time without bound.

use std::time::Duration;

/// Bytes of a handle's text as asked, before parsing. The phone-number grammar itself stops at 250 characters.
pub const HANDLE_INPUT_BYTES_MAX: usize = 320;
/// Digits of a phone number as asked: an international prefix (up to 5), the 15 of ITU-T E.164, a trunk prefix (up to 2).
pub const PHONE_DIGITS_MAX: usize = 22;
/// Bytes of a canonical e-mail address (RFC 5321 section 4.5.3.1.3: a path is at most 256 octets with its brackets).
pub const EMAIL_BYTES_MAX: usize = 254;
/// Bytes of the local part of an e-mail address (RFC 5321 section 4.5.3.1.1).
pub const EMAIL_LOCAL_BYTES_MAX: usize = 64;

/// Bytes of a batch's body: 1,000 handles of the longest form, quoted and escaped.
pub const BATCH_BODY_BYTES_MAX: usize = 512 * 1024;
/// Bytes of a body that are read and dropped once it is refused, so that its sender hears why; more is cut off.
pub const BODY_DROPPED_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Bytes of the body of any other request: a handle, a code or a name.
pub const SMALL_BODY_BYTES_MAX: usize = 16 * 1024;
/// Handles in one batch lookup.
pub const BATCH_HANDLES_MAX: usize = 1_000;
/// Bytes of a device's display name.
pub const DEVICE_NAME_BYTES_MAX: usize = 128;
/// Bytes of an `Authorization` header that is looked at; a token is far shorter.
pub const TOKEN_BYTES_MAX: usize = 128;
/// Connections served at once by one listening socket (each phones' thread has one); one more is closed at once.
pub const CONNECTIONS_MAX: usize = 16_384;
/// How long a connection may take to send a request's head (slow-loris).
pub const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(10);
/// How long one request on the phones' listener may take, body included.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

/// Records waiting for the log's next commit, over all askers. One commit takes under a millisecond, so a full queue
/// means that the disk has stopped; memory stays under about 16 MiB.
pub const LOG_QUEUE_RECORDS_MAX: usize = 65_536;
/// Bytes of plaintext in one frame of the log: bounds what a reader must hold to decrypt one.
pub const LOG_FRAME_BYTES_MAX: usize = 256 * 1024;
/// The longest retention that may be configured: the promise to the public.
pub const LOG_RETENTION_MAX: Duration = Duration::from_secs(30 * 24 * 3600);
/// The shortest retention that makes sense with segments of one hour.
pub const LOG_RETENTION_MIN: Duration = Duration::from_secs(2 * 3600);
/// Wall clock and boot clock may drift apart by this much before destruction of log segments freezes.
pub const CLOCK_DISAGREEMENT_MAX: Duration = Duration::from_secs(3600);
/// A wall clock that went back by up to this much is waited for, so that the log keeps its order.
pub const CLOCK_STEP_BACK_MAX: Duration = Duration::from_secs(24 * 3600);
/// Pause before a log that failed to write tries a fresh file.
pub const LOG_RETRY_PAUSE: Duration = Duration::from_secs(1);
/// Rows of a segment that wait to be sorted while it is sealed: 384 MiB, and up to as much again for e-mail addresses and
/// for clients; an hour of a million records takes a tenth of that. A larger segment is read several times, and is a fifth
/// larger, since each part of it has its own table of clients.
pub const LOG_SEAL_ROWS_MAX: usize = 12_000_000;
/// Rows of one page of a sealed segment: what must be decoded to read a single one.
pub const LOG_SEALED_PAGE_ROWS: usize = if cfg!(test) { 16 } else { 8_192 };
/// Rows of a sealed segment that a reader of all its rows has at once, some 60 bytes each with their clients: for each batch
/// the table of clients is read anew.
pub const LOG_SEALED_BATCH_ROWS: usize = if cfg!(test) { 64 } else { 262_144 };
/// Records in one page of a log search.
pub const LOG_PAGE_RECORDS_MAX: usize = 1_000;
/// Records in one page of a log search when the caller names no limit.
pub const LOG_PAGE_RECORDS_DEFAULT: usize = 100;
/// Log searches running at once; each reads on a thread of its own.
pub const LOG_SEARCHES_MAX: usize = 4;
/// How long a stream of records waits for a client that takes nothing.
pub const SLOW_READER_PATIENCE: Duration = Duration::from_secs(30);
/// Rows that a search reads at once of a sealed segment: they are sorted in memory, some 60 bytes each with their clients. In
/// the order of time a segment is read once for each so many rows that match.
pub const LOG_SEARCH_ROWS_MAX: usize = if cfg!(test) { 64 } else { 262_144 };
/// Rows that a search reads first of each segment of an hour that it opens ahead: most searches need no more.
pub const LOG_SEARCH_ROWS_FIRST: usize = if cfg!(test) { 16 } else { 4_096 };
/// Threads that open hours ahead, over all searches, at the lowest priority: beside the one that asks it keeps a small
/// machine's processors busy, and each takes some 20 MiB.
pub const LOG_SEARCH_THREADS_MAX: usize = 1;
/// Hours that wait, opened, until a search comes to them.
pub const LOG_SEARCH_HOURS_AHEAD: usize = 2;
/// Bytes of what is kept of handles while flips are counted: a handle has 48 at least, and the lists that hold them take up
/// to three times as much. When it is more, fewer handles are counted at once, and the log is read once more for the rest.
pub const LOG_FLIPS_BYTES_MAX: usize = if cfg!(test) { 8 * 1024 } else { 6 * 1024 * 1024 };
/// Rows of a segment in the order of time that are brought into the order of handles at once, about 80 bytes each.
pub const LOG_FLIPS_FRAME_ROWS: usize = if cfg!(test) { 64 } else { 65_536 };
/// Page ends by which the handles are divided when they are too many to be counted at once.
pub const LOG_FLIPS_MILESTONES_MAX: usize = if cfg!(test) { 8 } else { 1_024 };
/// Handles in one answer about flips.
pub const LOG_FLIPS_HANDLES_MAX: usize = 1_000;
/// Handles in one answer about flips when the caller names no limit.
pub const LOG_FLIPS_HANDLES_DEFAULT: usize = 100;
/// Changes of one handle's route that an answer about flips shows, the latest.
pub const LOG_FLIPS_CHANGES_SHOWN: usize = 10;
/// How long after its hour a segment stays as it was written, for those who follow it live.
pub const LOG_SEAL_GRACE: Duration = Duration::from_secs(60);
/// How long after it is due an hour may still be there: retention ticks each minute, and a minute to spare.
pub const LOG_FORGOTTEN_WITHIN: Duration = Duration::from_secs(120);
/// Log tails followed at once; between looks a tail holds no thread.
pub const LOG_TAILS_MAX: usize = 32;

/// The shortest retention of the audit log that may be configured: who read a record is known for at least as long as
/// the record could be read.
pub const AUDIT_RETENTION_MIN: Duration = LOG_RETENTION_MAX;
/// The longest retention of the audit log that may be configured, ten years: what operators did is about people too,
/// and no law that asks for such a log asks for longer.
pub const AUDIT_RETENTION_MAX: Duration = Duration::from_secs(3_650 * 24 * 3600);
/// How long an audit entry waits for another process that writes one, which takes milliseconds.
pub const AUDIT_LOCK_PATIENCE: Duration = Duration::from_secs(5);
/// Operators in the list: each call of the operators' API compares its token with every one.
pub const OPERATORS_MAX: usize = 1_000;
/// How long a change of the list of operators waits for another process that changes it, which takes milliseconds.
pub const OPERATORS_LOCK_PATIENCE: Duration = Duration::from_secs(5);
/// How long a stop waits for the last audit entries.
pub const AUDIT_CLOSE_PATIENCE: Duration = Duration::from_secs(5);
/// Places that a verification of the audit log names; more are only counted.
pub const AUDIT_PLACES_MAX: usize = 100;
/// Askers of one handle whose last answer a timeline keeps, to say who still goes by a wrong one. About 60 bytes each; a
/// handle that more devices asked for within the hour has a number that says "at least".
pub const TIMELINE_HOLDERS_MAX: usize = if cfg!(test) { 8 } else { 65_536 };
/// Of these, listed one by one.
pub const TIMELINE_HOLDERS_LISTED_MAX: usize = if cfg!(test) { 4 } else { 1_000 };
/// Different askers counted in one folded entry of a timeline; beyond it the number says "at least".
pub const TIMELINE_ASKERS_MAX: usize = if cfg!(test) { 8 } else { 8_192 };
/// Of these, named.
pub const TIMELINE_ASKERS_NAMED_MAX: usize = 5;

/// Registry changes waiting for the store's writer; beyond it the caller hears `overloaded`.
pub const REGISTRY_QUEUE_CHANGES_MAX: usize = 8_192;
/// Changes in one durable commit of the registry store.
pub const REGISTRY_COMMIT_CHANGES_MAX: usize = 512;
/// Pause before a registry store that failed to write is opened again, doubled after each failure up to
/// [`REGISTRY_REOPEN_PAUSE_MAX`].
pub const REGISTRY_REOPEN_PAUSE: Duration = Duration::from_millis(if cfg!(test) { 2 } else { 100 });
/// The longest pause between two attempts to open a failed registry store: service resumes this soon after space does.
pub const REGISTRY_REOPEN_PAUSE_MAX: Duration =
    Duration::from_millis(if cfg!(test) { 10 } else { 5_000 });
/// Pause before change records that the log did not take are handed to it again.
pub const REGISTRY_RECORD_PAUSE: Duration =
    Duration::from_millis(if cfg!(test) { 5 } else { 1_000 });
/// Bytes of the registry store kept in memory; the index answers all lookups, and the kernel keeps what is read often.
pub const REGISTRY_STORE_CACHE_BYTES: usize = 16 * 1024 * 1024;
/// Lapsed devices and forgotten handles picked by one scan of the index, 1 MiB at most; the next tick takes the rest.
pub const REGISTRY_TICK_ITEMS_MAX: usize = if cfg!(test) { 8 } else { 65_536 };
/// How long it is remembered how a handle ended: as long as the log can ask.
pub const TOMBSTONE_LIFETIME: Duration = LOG_RETENTION_MAX;
/// Lost handles of one account that its devices are told of.
pub const LOST_HANDLES_PER_ACCOUNT_MAX: usize = 16;
/// Handles that one account may hold.
pub const HANDLES_PER_ACCOUNT_MAX: usize = 64;

/// Verification sessions open at once. About 200 bytes each; sessions end by themselves after ten minutes.
pub const VERIFICATIONS_MAX: usize = if cfg!(test) { 16 } else { 100_000 };
/// Wrong codes before a verification session ends.
pub const CODE_ATTEMPTS_MAX: u8 = 5;
/// How long a code is good for.
pub const CODE_LIFETIME: Duration = Duration::from_secs(600);
/// Pause before a code may be sent again, doubled with each sending.
pub const CODE_RESEND_PAUSE: Duration = Duration::from_secs(30);
/// The longest pause before a code may be sent again.
pub const CODE_RESEND_PAUSE_MAX: Duration = Duration::from_secs(3600);
/// The span over which sent codes are counted.
pub const CODE_SENDS_SPAN: Duration = Duration::from_secs(24 * 3600);
/// Codes sent to one handle in [`CODE_SENDS_SPAN`]: whoever asks, nobody's phone is flooded, and with five attempts each
/// a guesser finds a code of six digits in 55 years on average.
pub const CODE_SENDS_PER_HANDLE_MAX: u32 = 10;
/// Codes that one account has sent in [`CODE_SENDS_SPAN`].
pub const CODE_SENDS_PER_ACCOUNT_MAX: u32 = 50;
/// Codes that one network (an IPv4 address, an IPv6 /64) has sent in [`CODE_SENDS_SPAN`]; many phones share an address.
pub const CODE_SENDS_PER_NETWORK_MAX: u32 = 1_000;
/// Handles, accounts or networks whose sendings are counted at once. About 60 bytes each; who has not sent for a day
/// is dropped.
pub const CODE_SENDERS_MAX: usize = if cfg!(test) { 64 } else { 500_000 };
/// Codes on their way at once. Each may hold a connection with its TLS state, under 100 KiB, for
/// [`DELIVERY_TIMEOUT_MAX`] at most.
pub const CODES_IN_FLIGHT_MAX: usize = if cfg!(test) { 4 } else { 512 };
/// The longest that the delivery of one code may be configured to take: its asker waits, and hears of a failure before
/// [`REQUEST_TIMEOUT`].
pub const DELIVERY_TIMEOUT_MAX: Duration = Duration::from_secs(13);
/// When to ask again for a code that certainly was not sent.
pub const DELIVERY_RETRY_PAUSE: Duration = Duration::from_secs(5);
/// Attempts to deliver one message that may be configured.
pub const DELIVERY_ATTEMPTS_MAX: u32 = 10;
/// Bytes of a template's file: a message, not a page.
pub const TEMPLATE_BYTES_MAX: usize = 16 * 1024;
/// Bytes of a file or variable that holds a secret.
pub const SECRET_BYTES_MAX: usize = 4096;
/// Link codes open at once, over all accounts. About 100 bytes each.
pub const LINK_CODES_MAX: usize = if cfg!(test) { 8 } else { 100_000 };
/// Link codes open at once of one account.
pub const LINK_CODES_PER_ACCOUNT_MAX: usize = 3;
/// How long a link code is good for.
pub const LINK_CODE_LIFETIME: Duration = Duration::from_secs(600);

/// Changes that one account may make in a minute: each is a durable commit of the one writer.
pub const CHANGES_PER_MINUTE_MAX: u32 = 120;
/// Refused queries of one network that are recorded in a minute; beyond it they are only counted.
pub const REFUSALS_RECORDED_PER_MINUTE_MAX: u32 = 6_000;
/// Handles of a batch that count as one more request.
pub const BATCH_HANDLES_PER_REQUEST: usize = 10;
/// How long a handle once asked for stays free of quota.
pub const QUOTA_REPEAT_FREE: Duration = Duration::from_secs(30 * 24 * 3600);
/// Handles remembered for one account (12 bytes each); beyond it a further one counts each time it is asked for.
pub const QUOTA_SEEN_PER_ACCOUNT_MAX: usize = 1_000_000;

/// Bytes of an account's or device's foreign id in an import file.
pub const FOREIGN_ID_BYTES_MAX: usize = 128;
/// Devices of one account in a staged file: the most that may be configured, and that an account's packed form can count.
pub const STAGED_DEVICES_PER_ACCOUNT_MAX: usize = 255;
/// Bytes of one block of a staged file: bounds what a reader must hold. An account of the largest size has 0.5 MiB.
pub const STAGED_BLOCK_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bytes of one record of an import file; a longer one is a quote that was never closed.
pub const IMPORT_RECORD_BYTES_MAX: usize = if cfg!(test) { 4 * 1024 } else { 1024 * 1024 };
/// How far ahead of the clock an instant in an import file may lie: clocks of two systems differ, but not by more.
pub const IMPORT_FUTURE_MAX: Duration = Duration::from_secs(24 * 3600);
/// Bytes of a staged file that a running server takes: ten million handles need about 1 GB, and the data disk, which the
/// query log needs too, must not be filled by one call.
pub const IMPORT_UPLOAD_BYTES_MAX: u64 = 8 * 1024 * 1024 * 1024;
/// How long a staged file may take to arrive: 1 GB at 300 kB/s. Meanwhile no other import can begin.
pub const IMPORT_UPLOAD_TIMEOUT: Duration = Duration::from_secs(3600);
/// How long a sender of a staged file may be silent.
pub const IMPORT_UPLOAD_PATIENCE: Duration = Duration::from_secs(60);
/// Accounts of an import that a running server takes in at once: one durable commit, and lookups wait for as long as it
/// takes to make them visible, which is under a millisecond.
pub const IMPORT_PIECE_ACCOUNTS: usize = 500;
/// Pause before a piece of an import that the registry refused for the moment is tried again.
pub const IMPORT_RETRY_PAUSE: Duration = Duration::from_millis(if cfg!(test) { 5 } else { 1_000 });
/// Snapshots of the registry made or sent at once: each takes the registry's size on the data disk until it is sent.
pub const REGISTRY_SNAPSHOTS_MAX: usize = 1;
