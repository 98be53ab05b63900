//! The outbox: one line of JSON for each code. Another program sends them.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use futures_util::{FutureExt as _, future::BoxFuture};
use serde::Serialize;
use tokio::{sync::Mutex, task::spawn_blocking, time::timeout};
use zeroize::Zeroizing;

use super::{
    config::{Config, OutboxKind},
    delivery::{Delivery, DeliveryError, Message, Purpose},
};
use crate::{
    files::{self, File, FileStamp},
    handle::Handle,
    ids::VerificationId,
    limits,
};

/// Writes codes to a file, or to standard output if it has none.
pub struct Outbox(Option<Arc<Mutex<OutboxFile>>>);

struct OutboxFile {
    path: PathBuf,
    file: File,
}

#[derive(Serialize)]
struct Line<'a> {
    at: String,
    to: &'a str,
    code: &'a str,
    verification: VerificationId,
    purpose: Purpose,
}

impl Outbox {
    /// Opens the outbox that `config` names, with its file in the directory `data`. Only the owner can read the file.
    pub fn open(config: &Config, data: &Path) -> io::Result<Self> {
        match config.outbox {
            OutboxKind::File => {
                let file = OutboxFile::open(data.join("outbox.ndjson"))?;
                Ok(Self(Some(Arc::new(Mutex::new(file)))))
            }
            OutboxKind::Stdout => Ok(Self::stdout()),
        }
    }

    /// An outbox that prints to standard output.
    pub const fn stdout() -> Self {
        Self(None)
    }

    /// Writes the line on a thread that may wait for a disk: a runtime's thread must not.
    ///
    /// One line at a time: if the disk hangs, one thread waits for it.
    async fn append(&self, message: &Message) -> Result<(), DeliveryError> {
        let text = line(message).map_err(|error| not_written(message, &error))?;
        let Some(file) = &self.0 else {
            let printed = io::stdout().lock().write_all(&text);
            return printed.map_err(|error| not_written(message, &error));
        };
        let hangs = |outcome| {
            tracing::error!("the outbox file cannot be written: its disk hangs");
            outcome
        };
        let file = timeout(limits::OUTBOX_PATIENCE, Arc::clone(file).lock_owned()).await;
        let mut file = file.map_err(|_| hangs(DeliveryError::NotSent))?;
        let writing = spawn_blocking(move || file.append_line(&text));
        match timeout(limits::OUTBOX_PATIENCE, writing).await {
            Ok(Ok(written)) => written.map_err(|error| not_written(message, &error)),
            Ok(Err(_)) => Err(DeliveryError::PerhapsSent),
            Err(_) => Err(hangs(DeliveryError::PerhapsSent)),
        }
    }
}

fn not_written(message: &Message, error: &io::Error) -> DeliveryError {
    tracing::error!(%error, verification = %message.verification, "the outbox file cannot be written");
    DeliveryError::NotSent
}

fn line(message: &Message) -> io::Result<Zeroizing<Vec<u8>>> {
    let line = Line {
        at: message.at.to_string(),
        to: &message.to.canonical(),
        code: message.code.expose(),
        verification: message.verification,
        purpose: message.purpose,
    };
    let mut text = Zeroizing::new(serde_json::to_vec(&line)?);
    text.push(b'\n');
    Ok(text)
}

impl OutboxFile {
    /// Opens the file, or creates it.
    ///
    /// If the server was killed during a write, the last line is partial. Opening ends that line, so that the next code
    /// gets a line of its own. The code of the partial line was never acknowledged.
    fn open(path: PathBuf) -> io::Result<Self> {
        let mut file = files::append_private(&path)?;
        let mut last = [b'\n'];
        if let Some(at) = file.metadata()?.len().checked_sub(1) {
            files::read_exact_at(&file, &mut last, at)?;
        }
        if last != *b"\n" {
            file.write_all(b"\n")?;
        }
        Ok(Self { path, file })
    }

    /// Begins a new file if somebody has moved this one away or removed it: no program would find the code in the old one.
    fn follow_name(&mut self) -> io::Result<()> {
        let named = files::if_exists(FileStamp::of(&self.path))?;
        let open = FileStamp::of_open(&self.file)?;
        if !named.is_some_and(|named| named.is_same_file(open)) {
            *self = Self::open(self.path.clone())?;
        }
        Ok(())
    }

    fn append_line(&mut self, text: &[u8]) -> io::Result<()> {
        self.follow_name()?;
        let before_bytes = self.file.metadata()?.len();
        let written = self.file.write_all(text);
        if written.is_err() {
            // A partial line, as on a full disk, would corrupt the next line as well. If this fails too, the reader gets a
            // line that is not JSON.
            let _ = self.file.set_len(before_bytes);
        }
        written
    }
}

impl Delivery for Outbox {
    /// Makes one short write, without flushing it to the disk. After a power failure the owner requests another code.
    fn deliver(&self, message: Message) -> BoxFuture<'_, Result<(), DeliveryError>> {
        async move { self.append(&message).await }.boxed()
    }

    fn is_local(&self, _: &Handle) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::{clock::Timestamp, ids::MessageId, verification::Code};

    fn message(to: &str) -> Message {
        Message {
            id: MessageId::from_bits(8),
            to: Handle::from_canonical(to).expect("canonical"),
            code: Code::random(),
            verification: VerificationId::from_bits(7),
            purpose: Purpose::Deregister,
            at: Timestamp::from_micros(1_795_423_267_123_456),
        }
    }

    #[tokio::test]
    async fn a_line_has_the_documented_fields_and_only_the_owner_can_read_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("outbox.ndjson");
        std::fs::write(&path, "").expect("a file with everyday permissions");
        let outbox = Outbox::open(&Config::default(), dir.path()).expect("it opens");
        let sent = message("+14155550123");
        outbox.deliver(sent.clone()).await.expect("it is written");
        outbox.deliver(message("a\"b@example.org")).await.expect("it is written");
        let text = std::fs::read_to_string(&path).expect("it is there");
        let first = format!(
            "{{\"at\":\"2026-11-23T08:41:07.123456Z\",\"to\":\"+14155550123\",\"code\":\"{}\",\
             \"verification\":\"{}\",\"purpose\":\"deregister\"}}",
            sent.code.expose(),
            sent.verification,
        );
        assert_eq!(text.lines().next(), Some(&*first));
        assert!(text.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
        assert_eq!(text.lines().count(), 2);
        let mode = std::fs::metadata(&path).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    fn full_outbox() -> Outbox {
        let path = PathBuf::from("/dev/full");
        let file = File::create(&path).expect("exists on Linux");
        Outbox(Some(Arc::new(Mutex::new(OutboxFile { path, file }))))
    }

    #[tokio::test]
    async fn a_full_disk_is_an_error() {
        let outbox = full_outbox();
        assert_eq!(outbox.deliver(message("+14155550123")).await, Err(DeliveryError::NotSent));
    }

    #[tokio::test]
    async fn a_file_that_is_moved_away_or_removed_is_begun_anew() {
        let dir = tempfile::tempdir().expect("a directory");
        let (path, moved) = (dir.path().join("outbox.ndjson"), dir.path().join("moved"));
        let outbox = Outbox::open(&Config::default(), dir.path()).expect("it opens");
        outbox.deliver(message("+14155550123")).await.expect("it is written");
        std::fs::rename(&path, &moved).expect("it is there");
        for _ in 0..2 {
            outbox.deliver(message("+14155550123")).await.expect("it is written");
        }
        let lines = |path| std::fs::read_to_string(path).expect("it is there").lines().count();
        assert_eq!((lines(&moved), lines(&path)), (1, 2));
        std::fs::remove_file(&path).expect("it is there");
        outbox.deliver(message("+14155550123")).await.expect("it is written");
        assert_eq!((lines(&moved), lines(&path)), (1, 1));
    }

    #[tokio::test]
    async fn a_partial_line_of_a_killed_server_does_not_corrupt_the_next() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("outbox.ndjson");
        std::fs::write(&path, "{\"at\":\"2026-11-2").expect("a partial line");
        for _ in 0..2 {
            let outbox = Outbox::open(&Config::default(), dir.path()).expect("it opens");
            outbox.deliver(message("+14155550123")).await.expect("it is written");
        }
        let text = std::fs::read_to_string(&path).expect("it is there");
        let is_json = |line| serde_json::from_str::<serde_json::Value>(line).is_ok();
        assert_eq!(text.lines().map(is_json).collect::<Vec<_>>(), [false, true, true]);
    }
}
