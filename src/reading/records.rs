//! The way to the log's records, which leads past the audit log.

use std::{path::PathBuf, sync::Arc, time::Duration};

use crate::{
    api::{self, Expiring, Invalid, Scope},
    audit::{Audit, AuditError, Audited, Call, Filters},
    clock::{ClockFileError, ClockStatus, SharedClock, Timestamp, TrustedClock},
    cluster::{HourKeys, MemberKeyFiles, MemberKeyrings, Others},
    dispatch::{self, Dispatch},
    envelope::{KeyFiles, KeyringError},
    limits,
    query_log::{
        CopyOptions, Finding, ForgottenError, ForgottenReport, LogReader, OpenError, QueryLog,
        ReadError,
    },
};

/// Why a call gives nothing, or not everything.
#[derive(Debug, thiserror::Error)]
pub enum ReadingError {
    /// The request is wrong.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// It cannot be noted who reads, so nothing is read.
    #[error("nothing is read unless the audit log notes it first: {0}")]
    NotNoted(#[source] AuditError),
    /// A segment of the query log cannot be read.
    #[error(transparent)]
    Segment(#[from] ReadError),
    /// The query log of a data directory cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The audit log cannot be read.
    #[error(transparent)]
    AuditLog(#[from] AuditError),
    /// The log's directory or its keys cannot be read.
    #[error(transparent)]
    Forgotten(#[from] ForgottenError),
    /// Nobody waits for the answer any more.
    #[error("the call was ended before its answer was complete")]
    Stopped,
}

/// A data directory that is read without its server, and what of the configuration matters to readers.
#[derive(Clone, Debug)]
pub struct DataFiles {
    /// The data directory.
    pub data: PathBuf,
    /// Where the root key lies, if not in the data directory.
    pub root_key: Option<PathBuf>,
    /// How long records are kept.
    pub retention: Duration,
    /// How long audit entries are kept.
    pub audit_retention: Duration,
    /// How long askers may reuse an answer.
    pub dispatch: dispatch::Config,
    /// The directory's trusted clock.
    pub clock: SharedClock,
    /// Where the log is copied to, if anywhere.
    pub copies: Option<CopyOptions>,
}

impl DataFiles {
    fn reader(&self) -> Result<LogReader, OpenError> {
        let keys = KeyFiles::new(&self.data.join("keys"), self.root_key.as_deref());
        let clock = Arc::clone(&self.clock);
        let reader =
            LogReader::open_read_only(&self.data.join("log"), keys, clock, self.retention)?;
        Ok(match &self.copies {
            Some(copies) => reader.with_copies(copies.clone()),
            None => reader,
        })
    }

    fn unforgotten(&self) -> Result<Vec<Finding>, KeyringError> {
        let files = MemberKeyFiles::new(&self.data, self.root_key.as_deref());
        MemberKeyrings::open_read_only(files)?.unforgotten(&*self.clock, self.retention)
    }
}

/// Opens the log of a data directory for a call that is audited.
pub(super) struct FilesReader(Arc<DataFiles>);

impl FilesReader {
    /// The log, opened anew: the key of a new hour is in a new keyring.
    pub(super) fn open(&self) -> Result<LogReader, ReadingError> {
        Ok(self.0.reader()?)
    }
}

/// The query log and the audit log of a running server, or of a data directory. Cheap to clone. Its calls read and write
/// files, so they belong on a thread that may wait.
#[derive(Clone)]
pub struct Records {
    source: Source,
    audit: Audit,
    clock: SharedClock,
    /// The other nodes, if this server is one of a cluster.
    others: Option<Others>,
}

#[derive(Clone)]
enum Source {
    Server { log: QueryLog, dispatch: Dispatch, hour_keys: Option<HourKeys> },
    Files { log: LogReader, files: Arc<DataFiles> },
}

impl Records {
    /// Those of a running server. `dispatch` says what would be answered now. A node of a cluster has `hour_keys`.
    pub const fn of_server(
        log: QueryLog,
        audit: Audit,
        dispatch: Dispatch,
        hour_keys: Option<HourKeys>,
        clock: SharedClock,
    ) -> Self {
        Self { source: Source::Server { log, dispatch, hour_keys }, audit, clock, others: None }
    }

    /// The same on a node of a cluster: a call is answered over all nodes.
    #[must_use]
    pub fn in_cluster(self, others: Option<Others>) -> Self {
        Self { others, ..self }
    }

    /// The other nodes, if a call is about them, too.
    pub(super) fn asks_others(&self, call: &impl api::Call) -> Result<Option<Others>, Invalid> {
        let is_of_all = call.scope()? == Scope::Cluster;
        Ok(self.others.clone().filter(|_| is_of_all))
    }

    /// The name of this node, in a cluster.
    pub(super) fn node(&self) -> Option<String> {
        self.others.as_ref().map(|others| others.own_name().to_owned())
    }

    /// Whether a call is answered over all nodes of a cluster.
    pub fn is_gathered(&self, call: &impl api::Call) -> Result<bool, Invalid> {
        Ok(self.asks_others(call)?.is_some())
    }

    /// The other nodes of the cluster, which have parts of the answers. None if there is no cluster.
    pub(crate) const fn others(&self) -> Option<&Others> {
        self.others.as_ref()
    }

    /// Those in a data directory, whether or not a server writes there: it notes its own readers in the same audit log.
    pub fn of_files(files: DataFiles) -> Result<Self, ReadingError> {
        let (log, clock) = (files.reader()?, Arc::clone(&files.clock));
        let (dir, retention) = (files.data.join("audit"), files.audit_retention);
        let audit = Audit::new(dir, log.keyring(), Arc::clone(&clock), retention);
        let source = Source::Files { log, files: Arc::new(files) };
        Ok(Self { source, audit, clock, others: None })
    }

    /// The time by which records are read.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Up to this instant records are hidden that have not expired by trusted time, because the wall clock is ahead of it. None
    /// while the two agree.
    pub fn hidden_until(&self) -> Option<Timestamp> {
        let is_ahead = self.clock.latest() > self.clock.now().plus(limits::CLOCK_JUMP);
        is_ahead.then(|| self.unaudited().horizon())
    }

    /// The log has no record of this instant or an earlier one: it has forgotten those.
    pub fn horizon(&self) -> Timestamp {
        self.unaudited().horizon()
    }

    /// A reader of the query log, once it is noted who reads what: there is no other way to one.
    pub(super) fn read(
        &self,
        by: &str,
        call: Call,
        filters: &Filters,
    ) -> Result<(LogReader, Audited), ReadingError> {
        Ok((self.unaudited(), self.note(by, call, filters)?))
    }

    /// The audit log, once it is noted who reads it.
    pub(super) fn read_audit(
        &self,
        by: &str,
        call: Call,
        filters: &Filters,
    ) -> Result<(Audit, Audited), ReadingError> {
        Ok((self.audit.clone(), self.note(by, call, filters)?))
    }

    /// What of the log would have expired at `then`, if trusted time jumped there.
    pub fn expiring(&self, then: Timestamp) -> Expiring {
        let (log_hours, log_hours_total) = self.unaudited().expired_hours(then);
        Expiring { log_hours, log_hours_total }
    }

    /// Has `clock` follow the wall clock, once it is noted who says that it is right.
    pub fn trust_clock(
        &self,
        clock: &TrustedClock,
        by: &str,
    ) -> Result<Result<ClockStatus, ClockFileError>, ReadingError> {
        self.noted(by, Call::ClockTrust, &Filters::none(), |_| clock.trust())
    }

    /// Does `work` and returns what it gives, once it is noted who makes the call. Blocks as long as `work` does.
    pub fn noted<T>(
        &self,
        by: &str,
        call: Call,
        filters: &Filters,
        work: impl FnOnce(&mut Audited) -> T,
    ) -> Result<T, ReadingError> {
        let mut audited = self.note(by, call, filters)?;
        let done = work(&mut audited);
        audited.finish();
        Ok(done)
    }

    /// Notes that the operator `by` makes a call that gives no record of the log: durable when this returns.
    pub fn note(&self, by: &str, call: Call, filters: &Filters) -> Result<Audited, ReadingError> {
        self.audit.begin(by, call, filters).map_err(ReadingError::NotNoted)
    }

    /// What opens the files for an audited call. None of a running server, whose reader sees what is new.
    pub(super) fn files_reader(&self, _: &Audited) -> Option<FilesReader> {
        match &self.source {
            Source::Server { .. } => None,
            Source::Files { files, .. } => Some(FilesReader(Arc::clone(files))),
        }
    }

    /// What decides lookups now; none for files.
    pub(super) const fn dispatch(&self) -> Option<&Dispatch> {
        match &self.source {
            Source::Server { dispatch, .. } => Some(dispatch),
            Source::Files { .. } => None,
        }
    }

    /// How long askers may reuse an answer.
    pub(super) fn dispatch_config(&self) -> &dispatch::Config {
        match &self.source {
            Source::Server { dispatch, .. } => dispatch.config(),
            Source::Files { files, .. } => &files.dispatch,
        }
    }

    /// What this machine should have forgotten and has not: of its log, and of the keys of other nodes' hours.
    pub fn forgotten(&self) -> Result<ForgottenReport, ReadingError> {
        let mut report = self.unaudited().prove_forgotten()?;
        let of_others = match &self.source {
            Source::Server { hour_keys: None, .. } => Vec::new(),
            Source::Server { hour_keys: Some(keys), .. } => {
                keys.unforgotten().map_err(ForgottenError::from)?
            }
            Source::Files { files, .. } => files.unforgotten().map_err(ForgottenError::from)?,
        };
        report.proved &= of_others.is_empty();
        report.findings.extend(of_others);
        Ok(report)
    }

    /// A reader without an entry: only for what gives no record away, such as sizes of segments.
    pub(super) fn unaudited(&self) -> LogReader {
        match &self.source {
            Source::Server { log, .. } => log.reader(),
            Source::Files { log, .. } => log.clone(),
        }
    }
}
