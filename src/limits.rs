//! Every limit of the service in one place, with its unit and its reason.
//!
//! Most are fixed: they keep hostile or broken clients from using memory, disk space or time without bound. Some are the
//! default, the least or the greatest value of a key in the configuration. `docs/reference/limits.md` is made from this file;
//! a comment `Group:` begins a section of it.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

// Group: Handles

/// Bytes of a handle's text before parsing. The library for phone numbers refuses more than 250 characters.
pub const HANDLE_INPUT_BYTES_MAX: usize = 320;
/// Digits of a phone number before parsing: an international prefix (up to 5), 15 of ITU-T E.164, a trunk prefix (up to 2).
pub const PHONE_DIGITS_MAX: usize = 22;
/// Bytes of a canonical e-mail address (RFC 5321 section 4.5.3.1.3: a path is at most 256 octets with its brackets).
pub const EMAIL_BYTES_MAX: usize = 254;
/// Bytes of the local part of an e-mail address (RFC 5321 section 4.5.3.1.1).
pub const EMAIL_LOCAL_BYTES_MAX: usize = 64;

// Group: Requests and connections

/// Bytes of the body of a batch lookup: 1,000 handles of the greatest length, quoted and escaped.
pub const BATCH_BODY_BYTES_MAX: usize = 512 * 1024;
/// Bytes of a refused body that are read and discarded, so that its sender can receive the answer. Beyond it the
/// connection is closed.
pub const BODY_DROPPED_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Bytes of the body of any other request, which holds a handle, a code or a name.
pub const SMALL_BODY_BYTES_MAX: usize = 16 * 1024;
/// Bytes of a body that is not counted among [`WAITING_BODIES_BYTES_MAX`]: what phones send but for batches. An HTTP/2 connection
/// may have 16 of them.
pub const WAITING_BODY_BYTES_FREE: usize = 2 * 1024;
/// Bytes of all bodies above [`WAITING_BODY_BYTES_FREE`] that have not arrived whole: 64 of the greatest length, or over a thousand of
/// an address book. Beyond it a batch is refused as `overloaded`.
pub const WAITING_BODIES_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Handles in one batch lookup.
pub const BATCH_HANDLES_MAX: usize = 1_000;
/// Bytes of a device's display name.
pub const DEVICE_NAME_BYTES_MAX: usize = 128;
/// Bytes of the token in an `Authorization` header. Valid ones are far shorter, but that of a node, which has 137.
pub const TOKEN_BYTES_MAX: usize = 160;
/// Open connections of one listening socket; each thread of the phones' listener has its own. Further ones are closed.
pub const CONNECTIONS_MAX: usize = 16_384;
/// The part of the phones' connections, as a divisor, that one network ([`network_of`]) may hold by default. Phones of a carrier
/// share addresses, and three networks together leave a quarter to all others.
pub const CONNECTIONS_OF_NETWORK_DIVISOR: usize = 4;
/// Descriptors that connections leave to files and deliveries. At the change of the hour the log needs up to 6, keys 4, the
/// sealer 4; an audit entry needs 4 and a search up to 16. Each delivery needs one.
pub const DESCRIPTORS_RESERVED: usize = 128 + DELIVERIES_MAX;
/// A start is refused if fewer are left to files.
pub const DESCRIPTORS_LEAST: usize = 8;
/// With fewer connections than this on the phones' listener, a start warns that the limit of open files is low.
pub const CONNECTIONS_FEW: usize = 1_000;
/// How long a start may ask the service manager for more time. A registry of a hundred million handles loads in minutes; a start
/// that takes longer hangs.
pub const START_MAX: Duration = Duration::from_secs(3_600);
/// How long a connection may take to send the head of a request. It ends slow-loris attacks.
pub const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of the head of a request: request line and headers. It also bounds what the HTTP library reads ahead and keeps of answers
/// that wait for the client. A phone's head has less than 1 KiB.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Headers of a request. A phone sends under ten, and proxies add some.
pub const HEADERS_MAX: usize = 64;
/// Bytes of an answer that are copied at once to be sent. The HTTP library takes pieces until it has [`HEAD_BYTES_MAX`], so a client
/// that reads nothing holds three at most.
pub const ANSWER_PIECE_BYTES: usize = 8 * 1024;
/// How long a client may take no bytes of an answer before its connection is closed. Over HTTP/2 this holds for each answer.
pub const WRITE_TIMEOUT: Duration = Duration::from_millis(if cfg!(test) { 200 } else { 10_000 });
/// Bytes that the kernel keeps of answers for one connection of a phone; Linux doubles it for its own needs. A client that reads
/// nothing costs the server as much work as it takes to fill this. An answer for a thousand handles has some 120 kB: a client that
/// reads it has the half of it on the way at once.
pub const PHONES_SEND_BUFFER_BYTES: usize = 32 * 1024;
/// The same for one connection of an operator, whose exports are long. The kernel reports progress once a third is free. Within
/// [`WRITE_TIMEOUT`], a client must therefore take at least that much of a long answer: some 4 kB/s, and a phone 1 kB/s.
pub const OPERATORS_SEND_BUFFER_BYTES: usize = 128 * 1024;
/// How long sent bytes may stay without an acknowledgement, or the client's window closed, before the kernel ends the connection.
/// It covers answers that the kernel's buffer has taken whole, also after the connection was closed.
pub const UNTAKEN_TIMEOUT: Duration = Duration::from_secs(30);
/// How long an HTTP/2 connection may have no request under way, whatever other frames come. It ends after a second such span at the
/// latest.
pub const IDLE_TIMEOUT: Duration = Duration::from_millis(if cfg!(test) { 200 } else { 60_000 });
/// How long a stop waits for an HTTP/2 client without a request under way: until it knows that the server goes away, and what it
/// asked before has arrived.
pub const GOAWAY_TIMEOUT: Duration = Duration::from_millis(if cfg!(test) { 100 } else { 1_000 });
/// How long what a client sends after a malformed head is read and dropped, so that the client can receive the answer.
pub const REFUSAL_LINGER: Duration = Duration::from_millis(if cfg!(test) { 200 } else { 2_000 });
/// Bytes of addresses and further values in a header of the PROXY protocol: two addresses of UNIX sockets (216), and values such
/// as the name of a TLS server.
pub const PROXY_HEADER_BYTES_MAX: usize = 536;
/// How long one request on the phones' listener may take, including its body.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

/// How late a phones' thread may be with its requests by default before it refuses lookups. A phone does not notice so short a
/// wait, and clients that give up wait ten times as long.
pub const SHED_AFTER: Duration = Duration::from_millis(100);
/// How long a phones' thread must have been late without a break before it refuses lookups. A burst is over earlier.
pub const SHED_WINDOW: Duration = Duration::from_millis(100);
/// How often a phones' thread measures how late it is.
pub const SHED_MEASURED_EVERY: Duration = Duration::from_millis(20);
/// The most seconds in the `Retry-After` of a lookup that a late thread refused. The least is 1. They differ, so that the clients
/// do not return at once.
pub const SHED_RETRY_SECONDS_MAX: u64 = 3;

// Group: TLS and HTTP/2

/// Encrypted bytes of an answer that wait for a connection that does not take them yet: one record of TLS (RFC 8446 section 5.1).
/// The library's default of 64 KiB would be most of what a connection costs.
pub const TLS_BUFFER_BYTES: usize = 16 * 1024;
/// Requests at once on one HTTP/2 connection. A phone has few lookups under way. Each answer that is not taken costs 2 KiB or more, and
/// a connection over TLS shall cost at most 64 KiB.
pub const HTTP2_STREAMS_MAX: u32 = 16;
/// Bytes of the head of an HTTP/2 request, as RFC 9113 section 6.5.2 counts them. A longer one is refused with 431 without a problem.
pub const HTTP2_HEAD_BYTES_MAX: u32 = 16 * 1024;
/// Bytes of a request's body that a client may send before the server has read them.
pub const HTTP2_STREAM_WINDOW_BYTES: u32 = 64 * 1024;
/// The same of all requests of a connection.
pub const HTTP2_CONNECTION_WINDOW_BYTES: u32 = 256 * 1024;
/// Bytes of an answer that wait for a connection that does not take them yet.
pub const HTTP2_SEND_BUFFER_BYTES: usize = 16 * 1024;
/// Requests that a client has reset before the server began with them. With more the connection ends: a client that opens and
/// resets requests (rapid reset) makes work without waiting for answers.
pub const HTTP2_RESETS_PENDING_MAX: usize = 20;
/// Requests of a connection that the server has reset because they were faulty, or more than [`HTTP2_STREAMS_MAX`] before the client
/// could know. With more the connection ends.
pub const HTTP2_ERRORS_MAX: usize = 256;

/// How long a phone may take an answer over HTTP/2, from its head to its end, before its connection is closed. The longest answer
/// that phones get is that of a batch; in this time it arrives at 3 kB/s.
pub const HTTP2_ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

// Group: Records and their retention

/// Records of all clients that wait for the log's next commit. One commit takes under a millisecond, so a full queue means
/// that the disk no longer writes. The queue needs at most about 16 MiB.
pub const LOG_QUEUE_RECORDS_MAX: usize = 65_536;
/// Plaintext bytes in one frame of the log: the memory that a reader needs to decrypt one.
pub const LOG_FRAME_BYTES_MAX: usize = 256 * 1024;
/// The longest retention that the configuration accepts. The public was promised that records disappear by then.
pub const LOG_RETENTION_MAX: Duration = Duration::from_secs(30 * 24 * 3600);
/// The shortest retention that the configuration accepts, since a segment holds one hour.
pub const LOG_RETENTION_MIN: Duration = Duration::from_secs(2 * 3600);

// Group: The clock

/// Trusted time follows a wall clock that differs from it by at most this: drift, leap seconds, a small correction by hand.
pub const CLOCK_AGREEMENT: Duration = Duration::from_secs(3600);
/// Small steps of the wall clock count together for this long.
pub const CLOCK_STEPS_SPAN: Duration = Duration::from_secs(24 * 3600);
/// After a reboot, a wall clock that is ahead by at most this is followed after a probation. A longer time
/// without power needs a time service or an operator.
pub const CLOCK_PROBATION_AHEAD_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// A step of the wall clock by more than this ends a probation, which then begins anew.
pub const CLOCK_JUMP: Duration = Duration::from_secs(60);
/// Trusted time never follows a wall clock beyond 2084-01-01, counted from the Unix epoch: the numbers of the log's hours end
/// in that month.
pub const CLOCK_LATEST: Duration = Duration::from_secs(3_597_523_200);

// Group: Space on the disk

/// Space set aside for keys and audit entries by default: two keyrings of a month (0.1 MiB), and audit entries of some
/// 20,000 reads.
pub const KEYS_RESERVE_BYTES: u64 = 8 << 20;
/// The least that the configuration accepts.
pub const KEYS_RESERVE_BYTES_MIN: u64 = 1 << 20;
/// The most that the configuration accepts.
pub const KEYS_RESERVE_BYTES_MAX: u64 = 1 << 30;
/// Free space below which by default the log takes no records and the registry does not grow: other programs on the disk must not
/// starve.
pub const DISK_RESERVE_BYTES: u64 = 256 << 20;

// Group: Writing and sealing the log

/// How long requests wait for one commit of the log. A disk that takes longer hangs: requests are then refused until it
/// writes again. A healthy disk syncs in milliseconds, and a full queue of a slow one in under a second.
pub const LOG_COMMIT_PATIENCE: Duration = Duration::from_secs(if cfg!(test) { 2 } else { 5 });
/// How often the log checks that its commits make progress.
pub const LOG_PROGRESS_EVERY: Duration = Duration::from_millis(500);
/// Pause after a failed write before the log tries a new file.
pub const LOG_RETRY_PAUSE: Duration = Duration::from_millis(if cfg!(test) { 100 } else { 1_000 });
/// Rows of a segment that the sealer sorts in memory at once: 384 MiB, and as much again at most for e-mail addresses and
/// clients. An hour of a million records takes a tenth of that. The sealer reads a larger segment several times, and the
/// result is a fifth larger, since each part has its own table of clients.
pub const LOG_SEAL_ROWS_MAX: usize = 12_000_000;
/// Rows of one page of a sealed segment. Reading one row decodes a whole page.
pub const LOG_SEALED_PAGE_ROWS: usize = if cfg!(test) { 16 } else { 8_192 };
/// Rows that a reader of a whole sealed segment holds at once, about 60 bytes each with their clients. Each batch reads the
/// table of clients again.
pub const LOG_SEALED_BATCH_ROWS: usize = if cfg!(test) { 64 } else { 262_144 };

// Group: Reading the log

/// Records in one page of a log search.
pub const LOG_PAGE_RECORDS_MAX: usize = 1_000;
/// Characters of the name of a case: a ticket's number and a few words.
pub const CASE_CHARS_MAX: usize = 64;
/// Flagged accounts that one answer lists, the newest ones: as many as a page of records.
pub const QUOTA_FLAGS_LISTED_MAX: usize = 1_000;
/// Records in one page of a log search when the caller names no limit.
pub const LOG_PAGE_RECORDS_DEFAULT: usize = 100;
/// Log searches at once. Each reads on a thread of its own.
pub const LOG_SEARCHES_MAX: usize = 4;
/// Log searches of one operator at once: half of all, so that two operators can search whatever a third one does.
pub const LOG_SEARCHES_PER_OPERATOR_MAX: usize = 2;
/// Log searches at once for which other nodes of the cluster ask. They have places of their own: two nodes that wait for each other's
/// places would refuse both calls.
pub const LOG_SEARCHES_OF_NODES_MAX: usize = 2 * LOG_SEARCHES_MAX;
/// How long a call of an operator waits for a place among those that are under way.
pub const PLACE_PATIENCE: Duration = Duration::from_secs(2);
/// Pause between two looks whether the operator of an answer that is being sent was revoked. The look reads a row in memory.
pub const AUTHORITY_CHECK_PAUSE: Duration = Duration::from_millis(250);
/// How often a node of a cluster finds out, while it sends an answer, whether it is cut off: it would not hear of a revocation then. More
/// often would cost etcd, which may have to sync its disk each time.
pub const AUTHORITY_FENCE_PAUSE: Duration = Duration::from_millis(750);
/// Rows of a sealed segment that a search sorts in memory at once, about 60 bytes each with their clients. In the order of
/// time, a search reads the segment once for each such number of matching rows.
pub const LOG_SEARCH_ROWS_MAX: usize = if cfg!(test) { 64 } else { 262_144 };
/// The same for a search over the logs of several nodes, whose rows take memory, too: in this node's own log and in copies of others. It
/// reads a segment four times as often.
pub const LOG_SEARCH_ROWS_SPARING: usize = if cfg!(test) { 32 } else { 65_536 };
/// How long a node that searches the logs of all nodes reads its own rows of a page ahead, once it has found the first one. If they are rare, the
/// page may need no more of them.
pub const LOG_SEARCH_OWN_AHEAD: Duration = Duration::from_millis(500);
/// Rows that a search reads first from each segment of an hour that it opens ahead. Most searches need no more.
pub const LOG_SEARCH_ROWS_FIRST: usize = if cfg!(test) { 16 } else { 4_096 };
/// Threads that open hours ahead for all searches, at the lowest priority. Each needs about 20 MiB, and with the searching
/// thread it already uses both processors of a small machine.
pub const LOG_SEARCH_THREADS_MAX: usize = 1;
/// Hours that are opened before a search reaches them.
pub const LOG_SEARCH_HOURS_AHEAD: usize = 2;
/// Bytes that the count of flips keeps for handles: at least 48 for each, and up to three times as much in their lists. If
/// this is too little, the count covers fewer handles at once and reads the log again for the others.
pub const LOG_FLIPS_BYTES_MAX: usize = if cfg!(test) { 8 * 1024 } else { 6 * 1024 * 1024 };
/// The same for a node of a cluster, which keeps more of each handle, for the node that counts: 170 bytes for most. At the node that counts,
/// up to twelve other nodes share as much, should their copies have to be read.
pub const LOG_FLIPS_PARTS_BYTES_MAX: usize = if cfg!(test) { 8 * 1024 } else { 12 * 1024 * 1024 };
/// The least share of a node in that, also of each one beyond twelve: with less, its hours would be read too often.
pub const LOG_FLIPS_PARTS_BYTES_MIN: usize = if cfg!(test) { 1024 } else { 1024 * 1024 };
/// Changes and runs of lookups of one handle that a node of a cluster hands over to the node that counts flips. Each takes at most
/// 140 bytes of JSON. If there are more, it joins runs over longer pauses. A handle whose route changed too often for that is cut.
pub const LOG_FLIPS_STEPS_MAX: usize = if cfg!(test) { 64 } else { 4_096 };
/// The longest pause over which runs are joined: as long as records are kept, or longer.
pub const LOG_FLIPS_GAP_MAX: Duration = Duration::from_secs(400 * 24 * 3_600);
/// Handles that another node may hand over in one answer. One that hands over more lies.
pub const LOG_FLIPS_PARTS_MAX: u64 = if cfg!(test) { 1_000 } else { 500_000_000 };
/// Rows of a segment in the order of time that are sorted by handle at once, about 80 bytes each.
pub const LOG_FLIPS_FRAME_ROWS: usize = if cfg!(test) { 64 } else { 65_536 };
/// Page boundaries that divide the handles when there are too many to count at once.
pub const LOG_FLIPS_MILESTONES_MAX: usize = if cfg!(test) { 8 } else { 1_024 };
/// Handles in one answer about flips.
pub const LOG_FLIPS_HANDLES_MAX: usize = 1_000;
/// Handles in one answer about flips when the caller names no limit.
pub const LOG_FLIPS_HANDLES_DEFAULT: usize = 100;
/// Changes of one handle's route that an answer about flips shows, the latest.
pub const LOG_FLIPS_CHANGES_SHOWN: usize = 10;

// Group: Upkeep of the log

/// How long a segment stays unsealed after its hour, for clients that follow the log live.
pub const LOG_SEAL_GRACE: Duration = Duration::from_secs(60);
/// How long an hour may still exist after its retention has ended: retention runs each minute, and one minute is spare.
pub const LOG_FORGOTTEN_WITHIN: Duration = Duration::from_secs(120);
/// Log tails at once. A tail uses a thread only while it reads.
pub const LOG_TAILS_MAX: usize = 32;
/// Log tails of one operator at once: a quarter of all.
pub const LOG_TAILS_PER_OPERATOR_MAX: usize = 8;
/// Tails at once for which other nodes of the cluster ask: those of two other nodes.
pub const LOG_TAILS_OF_NODES_MAX: usize = 2 * LOG_TAILS_MAX;

// Group: Copies of the log

/// How often the log's new bytes are copied to the object store by default: what a lost disk loses at most of its records.
pub const LOG_COPY_INTERVAL: Duration = Duration::from_secs(5);
/// The shortest interval that the configuration accepts. Each copy of the active hour is an object, and stores charge for each.
pub const LOG_COPY_INTERVAL_MIN: Duration = Duration::from_secs(1);
/// The longest interval that the configuration accepts.
pub const LOG_COPY_INTERVAL_MAX: Duration = Duration::from_secs(600);
/// Bytes of one object, which is the memory that copying needs. A sealed hour of 10 million records becomes 35 objects.
pub const LOG_COPY_OBJECT_BYTES_MAX: usize = if cfg!(test) { 512 } else { 4 * 1024 * 1024 };
/// How long one call of the object store may take: the largest object then needs 280 kB/s. A stop waits for an object that is on its way.
pub const STORE_CALL_PATIENCE: Duration = Duration::from_secs(15);
/// How long a listing of the object store may take: a month of one node is some 26 pages of 1,000 names. A stop ends it.
pub const STORE_LIST_PATIENCE: Duration = Duration::from_secs(60);
/// Pause between two looks whether a listing of the object store is to end.
pub const STORE_STOP_CHECK_PAUSE: Duration = Duration::from_millis(250);
/// The longest pause after the object store failed again and again. The first pause is the interval of copying.
pub const LOG_COPY_PAUSE_MAX: Duration = Duration::from_secs(30);
/// How often the object store is listed, to find what should not be there.
pub const LOG_COPY_LIST_EVERY: Duration = Duration::from_secs(3600);
/// How long the last copies may take when the server stops.
pub const LOG_COPY_CLOSE_PATIENCE: Duration = Duration::from_secs(5);
/// How long copies of another node's hours outlive [`LOG_RETENTION_MAX`]: then any node deletes them. The other node may be lost, and
/// its clock may have differed.
pub const LOG_COPY_OTHERS_AFTER: Duration = Duration::from_secs(2 * 24 * 3600);
/// How often the copies of one lost node are listed at most, and the nodes that have copies.
pub const LOST_LOG_LIST_EVERY: Duration = Duration::from_secs(60);
/// How long a question about a lost node gets the error of the last listing that failed, instead of another try.
pub const LOST_LOG_RETRY_PAUSE: Duration = Duration::from_secs(30);
/// Bytes of fetched hours of lost nodes that are kept for the next question.
pub const LOST_LOG_KEPT_BYTES: u64 = if cfg!(test) { 12_288 } else { 1024 * 1024 * 1024 };
/// Segments of one hour that are named as missing from the copies of a lost node.
pub const LOST_SEGMENTS_NAMED_MAX: usize = 100;
/// How long a fetched hour of a lost node is kept after its last use.
pub const LOST_LOG_KEPT_FOR: Duration = Duration::from_secs(600);

// Group: Audit log and operators

/// The shortest retention of the audit log that the configuration accepts. The audit log must name the readers of a record
/// for as long as the record exists.
pub const AUDIT_RETENTION_MIN: Duration = LOG_RETENTION_MAX;
/// The longest retention of the audit log that the configuration accepts, ten years. Operators' actions are personal data
/// too, and no law that requires such a log requires it for longer.
pub const AUDIT_RETENTION_MAX: Duration = Duration::from_secs(3_650 * 24 * 3600);
/// How long an audit entry waits for another process to write one. A write takes milliseconds.
pub const AUDIT_LOCK_PATIENCE: Duration = Duration::from_secs(5);
/// How long a call waits for its own audit entry, and before that for an earlier one. Afterwards it gives nothing. It is
/// longer than [`AUDIT_LOCK_PATIENCE`], so that the error says who holds the lock.
pub const AUDIT_ENTRY_PATIENCE: Duration = Duration::from_secs(if cfg!(test) { 2 } else { 6 });
/// How long the audit log notes no further refusal of the same operator's same call: a token without the role makes some 300 bytes
/// a minute of each call. The metrics count every refusal.
pub const AUDIT_REFUSAL_PAUSE: Duration = Duration::from_secs(60);
/// Bytes of the name of a cluster's node. Its operator has seven more, and a row's key holds 64.
pub const CLUSTER_NODE_NAME_BYTES_MAX: usize = 56;
/// Operators in the list: each call of the operators' API compares its token with every one.
pub const OPERATORS_MAX: usize = 1_000;
/// How long a command on the list of operators waits while a server starts or stops, or another command uses the data directory.
pub const OPERATORS_REACH_PATIENCE: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 30 });
/// Pause between two looks whether the list of operators can be reached.
pub const OPERATORS_TRY_PAUSE: Duration = Duration::from_millis(10);
/// How long a server waits for a command at the socket of operators to send its request, and to take the answer. Others wait
/// meanwhile.
pub const OPERATORS_SOCKET_PATIENCE: Duration = Duration::from_secs(2);
/// How long a command waits for the server's answer about operators. A hanging disk may hold the commands before it, too.
pub const OPERATORS_ANSWER_PATIENCE: Duration = Duration::from_secs(30);
/// How long a stop waits for the last audit entries.
pub const AUDIT_CLOSE_PATIENCE: Duration = Duration::from_secs(5);
/// Damaged places that a verification of the audit log lists; it only counts the others.
pub const AUDIT_PLACES_MAX: usize = 100;

// Group: Timelines

/// Askers of one handle whose last answer a timeline keeps, to report who still uses an outdated one. About 60 bytes each.
/// For a handle that more devices asked for within the hour, the timeline reports "at least" this number.
pub const TIMELINE_HOLDERS_MAX: usize = 65_536;
/// Of [`TIMELINE_HOLDERS_MAX`], the askers that a timeline lists.
pub const TIMELINE_HOLDERS_LISTED_MAX: usize = 1_000;
/// Different askers that one folded entry of a timeline counts; beyond it, the entry reports "at least" this number.
pub const TIMELINE_ASKERS_MAX: usize = 8_192;
/// Of [`TIMELINE_ASKERS_MAX`], the askers that an entry names.
pub const TIMELINE_ASKERS_NAMED_MAX: usize = 5;
/// A node that lacks a change may still apply it for this long after it was decided: more than a node that answers lookups lags. Later it
/// counts as a change that the node never records.
pub const TIMELINE_FRESH: Duration = Duration::from_secs(5);
/// Changes of one handle that a node of a cluster may name for a timeline, about 150 bytes each. A node that names more is left out.
pub const TIMELINE_CHANGES_MAX: usize = if cfg!(test) { 256 } else { 65_536 };

// Group: The registry

/// How often a registry that follows a shared log asks for entries of others, if nothing told it to.
pub const REGISTRY_LOG_POLL: Duration = Duration::from_millis(if cfg!(test) { 20 } else { 1_000 });
/// How long one call of the shared log's engine may take. An election of three members takes 1.6 s.
pub const REGISTRY_LOG_CALL_PATIENCE: Duration = Duration::from_secs(2);
/// Pause before an entry that got no answer is sent again.
pub const REGISTRY_LOG_RETRY_PAUSE: Duration =
    Duration::from_millis(if cfg!(test) { 1 } else { 50 });
/// How long requests wait for an entry of which it is not known whether the log has it.
pub const REGISTRY_LOG_DOUBT_PATIENCE: Duration =
    Duration::from_millis(if cfg!(test) { 100 } else { 5_000 });
/// Pause before it is logged again that the shared log's engine does not do what it is asked for.
pub const REGISTRY_LOG_COMPLAINT_PAUSE: Duration = Duration::from_secs(60);
/// Bytes of entries that a registry reads at once.
pub const REGISTRY_LOG_READ_BYTES: usize = 4 * 1024 * 1024;
/// How often a command may lose the race for a place in the shared log. Then it is refused: the nodes are overloaded.
pub const REGISTRY_LOST_RACES_MAX: u32 = 20;
/// Registry changes that wait for the store's writer; beyond it, the answer is `overloaded`.
pub const REGISTRY_QUEUE_CHANGES_MAX: usize = 8_192;
/// Changes in one durable commit of the registry store.
pub const REGISTRY_COMMIT_CHANGES_MAX: usize = 512;
/// How long a request waits until its change of the registry is durable and recorded: until the commits before it and its own
/// are done. Afterwards it is refused, and the change may still be made. In tests it is longer than what a slow machine needs without
/// optimisation.
pub const REGISTRY_CHANGE_PATIENCE: Duration = Duration::from_secs(if cfg!(test) { 20 } else { 8 });
/// The same for an import or the upkeep, for which no request waits.
pub const REGISTRY_UPKEEP_PATIENCE: Duration = Duration::from_secs(3600);
/// Pause after a failed write before the registry store is reopened. It doubles after each failure, up to
/// [`REGISTRY_REOPEN_PAUSE_MAX`].
pub const REGISTRY_REOPEN_PAUSE: Duration = Duration::from_millis(if cfg!(test) { 2 } else { 100 });
/// The longest pause between two attempts to reopen the registry store. After a full disk has space again, changes resume
/// within this span.
pub const REGISTRY_REOPEN_PAUSE_MAX: Duration =
    Duration::from_millis(if cfg!(test) { 10 } else { 5_000 });
/// Pause before change records that the log refused are offered to it again.
pub const REGISTRY_RECORD_PAUSE: Duration =
    Duration::from_millis(if cfg!(test) { 5 } else { 1_000 });
/// Change records that a start hands to the log at once, half of [`LOG_QUEUE_RECORDS_MAX`]: an import into a stopped
/// server may leave more than the log takes.
pub const REGISTRY_OFFER_CHANGES_MAX: usize = if cfg!(test) { 8 } else { 32_768 };
/// Pause between two looks whether the log has committed them.
pub const REGISTRY_OFFER_PAUSE: Duration = Duration::from_millis(1);
/// Bytes of the registry store's own cache. It is small, since the index answers all lookups and the kernel caches the file.
pub const REGISTRY_STORE_CACHE_BYTES: usize = 16 * 1024 * 1024;
/// Bytes of the key of an expiring row of the registry. Longer names are hashed by whoever makes them.
pub const REGISTRY_ROW_KEY_BYTES_MAX: usize = 64;
/// Bytes of the value of an expiring row. All of these rows are in memory, too.
pub const REGISTRY_ROW_VALUE_BYTES_MAX: usize = 1_024;
/// Ended rows that one commit of the registry drops besides its changes: more than a commit of one request makes, so that they
/// do not pile up between two ticks.
pub const REGISTRY_COMMIT_ENDED_ROWS_MAX: usize = if cfg!(test) { 4 } else { 64 };
/// Change records that the upkeep makes for one account at once. An account with hundreds of devices is finished by the next ticks. With
/// the account itself they fit into one entry of the shared log: a record has at most 330 bytes.
pub const REGISTRY_SWEEP_CHANGES_MAX: usize = 1_024;
/// Lapsed devices and expired tombstones that one scan of the index collects, 1 MiB at most. The next tick collects more.
pub const REGISTRY_TICK_ITEMS_MAX: usize = if cfg!(test) { 8 } else { 65_536 };
/// How long a tombstone keeps the reason why a handle ended: the longest retention of the log.
pub const TOMBSTONE_LIFETIME: Duration = LOG_RETENTION_MAX;
/// Lost handles of one account that its devices are notified of.
pub const LOST_HANDLES_PER_ACCOUNT_MAX: usize = 16;
/// Handles that one account may hold.
pub const HANDLES_PER_ACCOUNT_MAX: usize = 64;

// Group: The shared log

/// How long a request waits by default until this node is known to have every change that any node acknowledged before the request
/// arrived. The election of a new leader among the etcd members takes 1.0 to 1.6 seconds.
pub const FENCE_TIMEOUT: Duration = Duration::from_secs(2);
/// The least `cluster.fence_timeout`: a round takes some milliseconds, and much longer while etcd syncs a slow disk.
pub const FENCE_TIMEOUT_MIN: Duration = Duration::from_millis(100);
/// The greatest `cluster.fence_timeout`: a phone waits for an answer meanwhile.
pub const FENCE_TIMEOUT_MAX: Duration = Duration::from_secs(30);
/// From the beginning of a round of the fence that failed to the next one.
pub const FENCE_RETRY_PAUSE: Duration = Duration::from_millis(200);
/// Nodes of a cluster, with those that are invited: each of them asks every other one each second.
pub const CLUSTER_MEMBERS_MAX: usize = 64;
/// Bytes of the origin at which a node is reached: a name of the DNS has at most 253.
pub const CLUSTER_ADDRESS_BYTES_MAX: usize = 300;
/// How long an invite to a cluster is good.
pub const CLUSTER_INVITE_LIFETIME: Duration = Duration::from_secs(3_600);
/// How often a node that joins or takes another one's state asks for it while that one is behind.
pub const CLUSTER_JOIN_ATTEMPTS_MAX: u32 = 20;
/// Pause between these attempts: about as long as a node takes to store a new key of entries.
pub const CLUSTER_JOIN_PAUSE: Duration = Duration::from_millis(500);
/// From the beginning of a round in which a node asks all others to the next one.
pub const CLUSTER_PEER_PAUSE: Duration = Duration::from_secs(1);
/// How long a node waits for the answer of another one about its place and its clock.
pub const CLUSTER_PEER_PATIENCE: Duration = Duration::from_secs(1);
/// Characters of a text of another node that this one keeps or logs: what is longer is cut.
pub const CLUSTER_TEXT_CHARS_MAX: usize = 300;
/// How long a node must have answered nothing before its part of an answer counts as missing. A node that is slow answers the short call
/// that nodes make each second. A restart of a node takes about as long.
pub const CLUSTER_PART_PATIENCE: Duration = Duration::from_secs(3);
/// How long another node may take nothing of an answer before its connection is closed. It waits for the slowest node meanwhile, which may
/// read a long window before its next row.
pub const CLUSTER_UNREAD_PATIENCE: Duration = Duration::from_secs(3_600);
/// How long a tail waits for other nodes before it begins without them.
pub const CLUSTER_TAIL_PATIENCE: Duration = Duration::from_secs(3);
/// A node whose tail is silent for so long is lost: it sends something every 15 seconds.
pub const CLUSTER_TAIL_SILENCE: Duration = Duration::from_secs(60);
/// Bytes of the answer of another node to an operator that is given in one piece, such as what a verification found in 30 days.
pub const CLUSTER_ANSWER_BYTES_MAX: usize = 16 << 20;
/// Segments that another node may list: 30 days have 720, and each start of the node adds one.
pub const CLUSTER_SEGMENTS_MAX: u64 = 65_536;
/// How much later than the first record of a change the records of it in the logs of other nodes count as the same one. A node applies
/// what others changed within about a second, and their clocks are at most one second apart.
pub const CLUSTER_DOUBLES_SPAN: Duration = Duration::from_secs(30);
/// Records of each node that a gathered answer holds at most while it looks for an earlier record of the same change: about 3 MiB.
pub const CLUSTER_ROWS_AHEAD_MAX: usize = 8_192;
/// Changes of which a gathered answer remembers that it gave them, about 60 bytes each.
pub const CLUSTER_CHANGES_KEPT_MAX: usize = 65_536;
/// Records that a node is asked for beyond those of a page, in place of the changes that other nodes have, too.
pub const CLUSTER_PAGE_SPARE: usize = 32;
/// How long a node that takes the state of another one waits for its next bytes. The other one copies its registry first.
pub const CLUSTER_STATE_PATIENCE: Duration = Duration::from_secs(120);
/// An answer that took longer tells nothing about the other clock: half of this is the greatest error.
pub const CLUSTER_CLOCK_ROUND_TRIP_MAX: Duration = Duration::from_millis(200);
/// How far a node's clock may be from other nodes' clocks. A node takes no changes and is not ready if at least half of all clocks are farther
/// ahead of its own, or at least half are farther behind it.
pub const CLUSTER_CLOCK_DIFFERENCE_MAX: Duration = Duration::from_millis(500);
/// How much later than a node's clock shows the last entry of the shared log may have been decided. The clocks of two nodes that take
/// changes are at most twice [`CLUSTER_CLOCK_DIFFERENCE_MAX`] apart, and each was compared with an error of at most half of
/// [`CLUSTER_CLOCK_ROUND_TRIP_MAX`]. A node whose last entry is later takes no changes.
pub const CLUSTER_ENTRY_AHEAD_MAX: Duration = Duration::from_millis(1_500);
/// Rounds in which a node that starts asks the others for their clocks before it takes changes. The first one also connects, which may
/// take too long to tell the time.
pub const CLUSTER_FIRST_ROUNDS_MAX: usize = 3;
/// How long the nodes of a cluster use one key of the shared log's entries.
pub const CLUSTER_KEY_LIFETIME: Duration = Duration::from_secs(24 * 3_600);
/// How long after it was made a key of entries is destroyed, also if a node that needs it is away. The service promises
/// to forget after 30 days. With a shorter `log.retention` a key lives no longer than that.
pub const CLUSTER_KEY_AGE_MAX: Duration = Duration::from_secs(30 * 24 * 3_600);
/// Also with a shorter `log.retention` a key lives for so long: it is used for a day. A node that comes back may use it until it has the
/// next one.
pub const CLUSTER_KEY_AGE_MIN: Duration = Duration::from_secs(2 * 24 * 3_600);
/// How long a node does not use a new key because another node may not have it yet.
pub const CLUSTER_KEY_PATIENCE: Duration = Duration::from_secs(10);
/// Keys of hours in one answer to another node. It asks again at once if there are more.
pub const CLUSTER_HOUR_KEYS_MAX: usize = if cfg!(test) { 16 } else { 512 };
/// Answers of one node that are taken in a round: one that says there is more for ever keeps no other one waiting.
pub const CLUSTER_HOUR_KEYS_ANSWERS_MAX: usize = 8;
/// Keys of one node's hours that another node keeps: those of 30 days are 720.
pub const CLUSTER_HOUR_KEYS_KEPT_MAX: usize = 4_096;
/// Bytes of a node's question for keys of hours: 64 nodes whose logs have a gap in every second hour of 30 days need half of it.
pub const CLUSTER_HOUR_KEYS_BYTES_MAX: usize = 1 << 20;
/// How long a node waits for keys of hours. The other one may have to pass the fence first.
pub const CLUSTER_HOUR_KEYS_PATIENCE: Duration = Duration::from_secs(5);
/// How far the clocks of two nodes may be apart that take keys of hours from each other: the holder dates the hour by its own clock. Nodes
/// that take changes are much nearer, see [`CLUSTER_CLOCK_DIFFERENCE_MAX`].
pub const CLUSTER_HOUR_KEY_CLOCK_MAX: Duration = Duration::from_secs(60);
/// How far ahead of a node's clock an hour may begin whose key it takes. The log's own time may be ahead by an hour: it does not follow a
/// small step back.
pub const CLUSTER_HOUR_KEY_AHEAD_MAX: Duration = Duration::from_secs(2 * 3_600);
/// Nodes of whose hours a node holds keys, those included that were removed in the last 30 days.
pub const CLUSTER_KEYRINGS_MAX: usize = 2 * CLUSTER_MEMBERS_MAX;
/// Nodes in a cursor of an answer over all nodes: members, and lost ones whose copies are read.
pub const CLUSTER_PLACES_MAX: usize = CLUSTER_MEMBERS_MAX + CLUSTER_KEYRINGS_MAX;
/// For how long an hour of a node may be held by no other node before `doctor` reports it.
pub const CLUSTER_HOUR_UNSHARED_MAX: Duration = Duration::from_secs(600);
/// How often a node looks for new keys of entries: as long as another node's changes may wait for one.
pub const CLUSTER_KEYS_PAUSE: Duration = Duration::from_millis(200);
/// How often entries that every node has applied are removed from the shared log.
pub const CLUSTER_TRIM_PAUSE: Duration = Duration::from_secs(10);
/// Entries that the shared log keeps for nodes that are away. One that lacks more takes a snapshot when it returns. Most entries have less
/// than 2 KiB, and etcd takes 2 GiB by default.
pub const CLUSTER_ENTRIES_KEPT_MAX: u64 = 100_000;

// Group: Verification and delivery of codes

/// Verification sessions at once by default, about 500 bytes each. A session stays for twenty minutes after its last code.
pub const VERIFICATIONS: usize = 50_000;
/// The most that the configuration accepts.
pub const VERIFICATIONS_MAX: usize = 10_000_000;
/// How long the delivery of a code waits for the outbox file. Then the disk hangs, and the code is refused.
pub const OUTBOX_PATIENCE: Duration = Duration::from_secs(5);
/// Wrong codes before a verification session ends.
pub const CODE_ATTEMPTS_MAX: u8 = 5;
/// How long the right code gives the same answer again, for a phone whose connection broke before the first answer.
pub const CODE_OUTCOME_LIFETIME: Duration = Duration::from_secs(60);
/// How long a code is valid.
pub const CODE_LIFETIME: Duration = Duration::from_secs(600);
/// Pause after a code before the next one may be sent. It doubles with each code.
pub const CODE_RESEND_PAUSE: Duration = Duration::from_secs(30);
/// The longest pause after a code.
pub const CODE_RESEND_PAUSE_MAX: Duration = Duration::from_secs(3600);
/// The span of all limits on codes.
pub const CODE_SENDS_SPAN: Duration = Duration::from_secs(24 * 3600);
/// Codes to one person in any [`CODE_SENDS_SPAN`], whatever the spelling and purpose. Nobody can flood a phone, and with five
/// attempts for each code a correct guess takes 55 years on average.
pub const CODES_PER_PERSON_MAX: usize = 10;
/// Of [`CODES_PER_PERSON_MAX`], those that askers without a token may use. A person who lost the phone needs one or two.
pub const CODES_PER_PERSON_TOKENLESS: usize = 3;
/// Of [`CODES_PER_PERSON_MAX`], those that they and accounts without a handle may use together.
pub const CODES_PER_PERSON_UNPROVEN: usize = 6;
/// Of [`CODES_PER_PERSON_MAX`], those that all may use together who do not hold the handle. The others are for devices whose
/// account held it within 30 days: no number of strangers keeps the owner from a code.
pub const CODES_PER_PERSON_PROVEN: usize = 8;
/// Codes that one account may request in [`CODE_SENDS_SPAN`].
pub const CODE_SENDS_PER_ACCOUNT_MAX: u32 = 50;
/// Codes that one network ([`sending_network_of`]) may request in any [`CODE_SENDS_SPAN`] by default. A carrier's shared addresses
/// serve some ten thousand phones, of which a few hundred prove a handle a day.
pub const CODES_PER_NETWORK: u32 = 2_000;
/// Codes to one country in any [`CODE_SENDS_SPAN`] by default. It bounds what fraud with the messages of a network there
/// earns. Ten million phones, of which 3 % are replaced each month, prove 10,000 handles a day.
pub const CODES_PER_COUNTRY: u32 = 20_000;
/// Codes to everybody in any [`CODE_SENDS_SPAN`] by default. It bounds the cost of a day, the rows of counters (three for each
/// code, about 150 bytes each) and the outbox.
pub const CODES_OVERALL: u32 = 100_000;
/// The least that the configuration accepts for the three: below it, nothing could be kept for known askers.
pub const CODES_PER_DAY_MIN: u32 = 8;
/// The most that the configuration accepts for the three.
pub const CODES_PER_DAY_MAX: u32 = 100_000_000;
/// Codes to a country after which their answers say something about it. Fewer could be unanswered by chance. Codes of the last
/// ten to twenty minutes do not count: people may still answer them, and a service that is launched sends hundreds at once.
pub const COUNTRY_PAUSE_SENDS_MIN: u64 = 200;
/// The same for all codes, those of the last minutes too.
pub const COUNTRY_PAUSE_SENDS_AT_ONCE: u64 = 2_000;
/// A country is paused if a smaller part of its codes is answered. People answer more than half of theirs; who is paid for
/// messages answers none.
pub const COUNTRY_PAUSE_ANSWERED_PERCENT: u64 = 5;
/// How long a country stays paused for strangers.
pub const COUNTRY_PAUSE: Duration = Duration::from_secs(3600);
/// Deliveries of codes at once. Each may hold a connection with its TLS state, under 100 KiB, for at most
/// [`DELIVERY_TIMEOUT_MAX`].
pub const DELIVERIES_MAX: usize = if cfg!(test) { 4 } else { 512 };
/// The longest time limit that the configuration accepts for one delivery. The client waits for it, and must receive the
/// answer before [`REQUEST_TIMEOUT`].
pub const DELIVERY_TIMEOUT_MAX: Duration = Duration::from_secs(13);
/// The `Retry-After` of an answer about a code that was certainly not sent.
pub const DELIVERY_RETRY_PAUSE: Duration = Duration::from_secs(5);
/// The most attempts to deliver one message that the configuration accepts.
pub const DELIVERY_ATTEMPTS_MAX: u32 = 10;
/// Failed attempts in a row after which a mail server or gateway is left alone. One message fails at most 4 times with the
/// default configuration, so it takes two.
pub const DELIVERY_FAILURES_MAX: u32 = 5;
/// The first pause of a mail server or gateway that fails. It doubles with each failed probe, up to [`DELIVERY_PAUSE_MAX`].
pub const DELIVERY_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause that the server chooses itself. Codes are sent again at most this long after an outage.
pub const DELIVERY_PAUSE_MAX: Duration = Duration::from_mins(1);
/// How long a gateway that has taken a message is believed to refuse single numbers by 403 or 404. Strangers can name such
/// numbers. After this span it could as well have shut out this service.
pub const DELIVERY_TAKEN_LATELY: Duration = Duration::from_mins(10);
/// The longest pause that a gateway can ask for by `Retry-After`. A longer one could be a mistake that stops all codes.
pub const DELIVERY_PAUSE_ASKED_MAX: Duration = Duration::from_mins(10);
/// Bytes of one reply of a mail server, all lines together. Servers send under 2 KB.
pub const MAIL_REPLY_BYTES_MAX: usize = 16 * 1024;
/// Bytes of the file of a message template.
pub const TEMPLATE_BYTES_MAX: usize = 16 * 1024;
/// Bytes of a file or an environment variable that holds a secret.
pub const SECRET_BYTES_MAX: usize = 4096;
/// Open link codes of all accounts, about 100 bytes each.
pub const LINK_CODES_MAX: usize = if cfg!(test) { 8 } else { 100_000 };
/// Open link codes of one account.
pub const LINK_CODES_PER_ACCOUNT_MAX: usize = 3;
/// How long a link code is valid.
pub const LINK_CODE_LIFETIME: Duration = Duration::from_secs(600);

// Group: Quotas

/// Changes that one account may make in an hour. Each needs a durable commit by the registry's only writer, and most make a
/// record. A phone makes a few a day.
pub const CHANGES_PER_HOUR_MAX: u32 = 600;
/// A record of an e-mail address counts once more against limits for each such number of its bytes. So each unit is at most
/// about 125 bytes on the disk, whatever addresses strangers choose.
pub const RECORD_UNIT_BYTES: usize = 64;
/// The units of the longest batch.
pub const BATCH_UNITS_MAX: usize = BATCH_HANDLES_MAX * (1 + EMAIL_BYTES_MAX / RECORD_UNIT_BYTES);
/// Accounts or networks that one limit counts at once, about 40 bytes each. One without effect is dropped for a new one. A
/// lookup has an effect for two seconds: 250,000 accounts that ask each second fit.
pub const QUOTA_KEYS_MAX: usize = if cfg!(test) { 4_096 } else { 500_000 };
/// Refused lookups of one network ([`network_of`]) that the log records in a minute; it only counts the others.
pub const REFUSALS_RECORDED_PER_MINUTE_MAX: u32 = 6_000;
/// For each such number of handles, a batch is charged one more request.
pub const BATCH_HANDLES_PER_REQUEST: usize = 10;
/// The memory of quotas by default: 100 million asked handles of 30 days, and a million accounts.
pub const QUOTA_MEMORY_BYTES: u64 = 512 << 20;
/// The least that the configuration accepts.
pub const QUOTA_MEMORY_BYTES_MIN: u64 = 4 << 20;
/// The most that the configuration accepts.
pub const QUOTA_MEMORY_BYTES_MAX: u64 = 64 << 30;
/// Of the memory of quotas, one part in this many is for the states of accounts, and the others for asked handles.
pub const QUOTA_ACCOUNTS_PART: u64 = 8;
/// An account is young until it has held a handle for this long.
pub const QUOTA_YOUNG_SPAN: Duration = Duration::from_secs(7 * 24 * 3600);
/// The `Retry-After` of a refusal that only a proof or an operator ends, or the end of a sweep by others.
pub const QUOTA_FLAGGED_PAUSE: Duration = Duration::from_secs(3600);
/// A proof clears one flag of an account in this span. A mail domain has any number of addresses to prove, so proofs alone must not
/// buy new handles.
pub const FLAG_CLEARED_BY_PROOF_EVERY: Duration = Duration::from_secs(7 * 24 * 3600);
/// Pause before an account is flagged again that the registry did not flag. Meanwhile it gets no new handles.
pub const QUOTA_FLAG_RETRY_PAUSE: Duration = Duration::from_secs(5);
/// A young account is refused a call of whose new handles more than one in this many lie in swept blocks. A person who lives where
/// a block is being swept has a few such contacts in an address book; whoever sweeps pays for 20 handles to learn one.
pub const QUOTA_SWEPT_PART: u64 = 20;
/// Asked handles that wait for the quota's next write, eight bytes each. Beyond it the disk hangs: further ones are remembered
/// in memory only.
pub const QUOTA_UNWRITTEN_MAX: usize = if cfg!(test) { 1_024 } else { 1_000_000 };
/// How often the quota writes what has changed. A crash forgives what was asked since the last write.
pub const QUOTA_WRITE_EVERY: Duration = Duration::from_millis(250);
/// The nodes of a cluster together grant at most one in this many units more than an allowance in an hour.
pub const QUOTA_OVERSPEND_PART: u32 = 5;
/// Allowances of which a node tells another one in one call, under 100 bytes each. What does not fit is counted on one node alone.
pub const QUOTA_NEWS_ROWS_MAX: usize = if cfg!(test) { 64 } else { 10_000 };
/// Answered handles of which a node tells another one in one call, about 20 bytes each.
pub const QUOTA_NEWS_HANDLES_MAX: usize = if cfg!(test) { 64 } else { 20_000 };
/// Answered handles of which a node has not told the others, eight bytes each. The oldest are dropped: they cost again on other nodes.
pub const QUOTA_UNTOLD_HANDLES_MAX: usize = if cfg!(test) { 1_024 } else { 1_000_000 };
/// Bytes of what a node tells another one of its quotas in one call.
pub const QUOTA_NEWS_BYTES_MAX: usize = 2 * 1024 * 1024;
/// How long a call waits until other nodes know of its charge. A node that is away is not waited for again after
/// [`CLUSTER_PEER_PATIENCE`].
pub const QUOTA_ROUND_PATIENCE: Duration = Duration::from_secs(2);
/// Blocks of 10,000 numbers of which the sweep detector counts what was asked in a day, about 300 bytes each: 5 MiB, used as blocks
/// are asked in. The least suspicious block is dropped for a new one.
pub const SWEEP_BLOCKS_MAX: usize = 16_384;
/// How often the quota begins a new file of states, so that the former one can be removed.
pub const QUOTA_STATES_EVERY: Duration = Duration::from_secs(24 * 3600);
/// A file of states is also replaced once it is so many times as long as all states: each write then costs a third more at most.
pub const QUOTA_STATES_TIMES: u64 = 4;
/// The length in bytes below which it is not.
pub const QUOTA_STATES_BYTES_MIN: u64 = 1 << 20;

// Group: Imports and snapshots

/// Bytes of the id that an import file gives to an account or a device.
pub const FOREIGN_ID_BYTES_MAX: usize = 128;
/// Devices of one account in a staged file. The configuration accepts no more, and the packed form counts them in a byte.
pub const STAGED_DEVICES_PER_ACCOUNT_MAX: usize = 255;
/// Bytes of rows in one frame of a staged file, which a reader holds in memory. The largest possible account has 8 MB of
/// them: a row for each handle and device.
pub const STAGED_BLOCK_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes of one record of an import file. A longer one has a quote that is not closed.
pub const IMPORT_RECORD_BYTES_MAX: usize = 1024 * 1024;
/// How far in the future an instant of an import file may be: the clocks of two systems differ by less.
pub const IMPORT_FUTURE_MAX: Duration = Duration::from_secs(24 * 3600);
/// Bytes of a staged file that a running server accepts. Ten million handles need under 1 GB. One call must not fill the
/// data disk, which the query log needs as well.
pub const IMPORT_UPLOAD_BYTES_MAX: u64 = 8 * 1024 * 1024 * 1024;
/// How long an upload of a staged file may take: 1 GB at 300 kB/s. No other import can begin meanwhile.
pub const IMPORT_UPLOAD_TIMEOUT: Duration = Duration::from_secs(3600);
/// How long the upload of a staged file may pause.
pub const IMPORT_UPLOAD_PATIENCE: Duration = Duration::from_secs(60);
/// Accounts of an import that a running server applies in one durable commit. Lookups wait while the accounts become
/// visible, which takes under a millisecond.
pub const IMPORT_PIECE_ACCOUNTS: usize = 500;
/// Change records of one import for handles that the log cannot know. One record without a handle stands for all further
/// ones. Ten million records would take 360 MB in one hour of the log, and a gigabyte of the registry's store, which the next
/// start reads into memory. 100,000 take 4 MB of the log. Handles that moved or had ended here are always recorded.
pub const IMPORT_CHANGES_RECORDED_MAX: usize = 100_000;
/// Change records of one account of an import. One record without a handle stands for all further ones. With the account itself
/// they fit into one entry of the shared log.
pub const IMPORT_ACCOUNT_CHANGES_MAX: usize = 1_024;
/// Bytes of the accounts that lose handles to one account of an import. They are in the same entry of the shared log as that one.
/// Accounts of a thousand devices together have so many.
pub const IMPORT_HOLDERS_BYTES_MAX: usize = 256 * 1024;
/// Change records of one piece of an import: the log takes them all at once, or none.
pub const IMPORT_PIECE_CHANGES_MAX: usize = LOG_QUEUE_RECORDS_MAX / 2;
/// Pause before accounts of an import that the registry temporarily refused are applied again.
pub const IMPORT_RETRY_PAUSE: Duration = Duration::from_millis(if cfg!(test) { 5 } else { 1_000 });
/// By how much a lease may seem to end earlier than it does, to askers: a device's check-ins vary by more than that.
pub const LEASE_OFFSET_MAX: Duration = Duration::from_secs(3600);
/// Registry snapshots at once. Each uses the size of the registry on the data disk until it is sent.
pub const REGISTRY_SNAPSHOTS_MAX: usize = 2;
/// Registry snapshots of one operator at once: a slow client must not take another operator's place.
pub const REGISTRY_SNAPSHOTS_PER_OPERATOR_MAX: usize = 1;

/// Bytes of one entry of the shared log. etcd takes 1.5 MiB in a request by default (`--max-request-bytes`).
pub const SHARED_LOG_ENTRY_MAX: usize = 1024 * 1024;
/// How long one etcd member may take to answer before the next one is asked. Changes and lookups wait for it when a member is cut
/// off. Large enough for a disk that is slow to sync; an election takes 1.0 to 1.6 s.
pub const ETCD_TRY_TIMEOUT: Duration = Duration::from_secs(1);
/// Pause between two looks at the versions of the etcd members. Between them a member may be replaced by an older one.
pub const ETCD_MEMBERS_PAUSE: Duration = Duration::from_secs(60);
/// Pings find out that a member's machine is gone, so that the next call connects anew.
pub const ETCD_PING_INTERVAL: Duration = Duration::from_secs(10);
/// As above: the connection is closed if a ping has no answer for so long.
pub const ETCD_PING_TIMEOUT: Duration = Duration::from_secs(5);

/// The network of an address, by which limits count: an IPv4 address, or the /48 of an IPv6 address. A /48 is what providers
/// assign to one site (RFC 6177): whoever has one has 65,536 networks of 64 bits.
pub fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 80 << 80)),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// The network of an address, by which limits on codes count: an IPv4 /24 or an IPv6 /48. Each message costs money, so these
/// limits must hold against somebody with a whole site or a small provider's addresses.
pub fn sending_network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 80 << 80)),
        IpAddr::V4(v4) => IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() >> 8 << 8)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_counted_by_larger_networks() {
        let network = |text: &str| sending_network_of(text.parse().unwrap());
        assert_eq!(network("2001:db8:1:2::1"), network("2001:db8:1:ffff::2"));
        assert_ne!(network("2001:db8:1::1"), network("2001:db8:2::1"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.255"));
        assert_ne!(network("192.0.2.1"), network("192.0.3.1"));
    }

    #[test]
    fn an_ipv6_site_is_one_network_and_a_mapped_address_its_ipv4() {
        let network = |text: &str| network_of(text.parse().unwrap());
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), network("2001:db8:1:ffff:ffff::1"));
        assert_ne!(network("2001:db8:1::1"), network("2001:db8:2::1"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
        assert_ne!(network("192.0.2.2"), network("192.0.2.1"));
    }
}
