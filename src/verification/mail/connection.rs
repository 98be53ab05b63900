//! A connection to a mail server: commands and their replies (RFC 5321), and login (RFC 4954).
//!
//! Libraries insist on EHLO and on replies with text. This module greets a server that refuses EHLO with HELO, and accepts
//! replies of a status alone. It sends one command at a time, so its caller knows which one failed.

use std::{io, time::Duration};

use data_encoding::BASE64;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader},
    net::{TcpStream, lookup_host},
    time::timeout,
};
use zeroize::Zeroizing;

use super::{super::method_config::Secret, reply::Reply};

/// The stream of a connection, encrypted or not.
pub(super) trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

pub(super) struct Connection<T>(BufReader<T>);

/// What the server offers beside the commands that every server has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Extensions {
    pub(super) starttls: bool,
    pub(super) smtp_utf8: bool,
    pub(super) auth_plain: bool,
    pub(super) auth_login: bool,
}

/// Who logs in.
pub(super) struct Credentials {
    pub(super) user: String,
    pub(super) password: Secret,
}

/// Why a step failed.
#[derive(Debug)]
pub(super) enum StepError {
    /// The server refused it with this status.
    Refused(u16),
    /// The connection failed, or the server sent something that is no reply.
    Broken(io::Error),
}

impl From<io::Error> for StepError {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

/// Connects to one of the addresses of `host`, each of which may take `limit`.
pub(super) async fn connect(host: &str, port: u16, limit: Duration) -> io::Result<TcpStream> {
    let mut last = io::ErrorKind::NotFound.into();
    for address in lookup_host((host, port)).await? {
        match timeout(limit, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = error,
            Err(_) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(last)
}

impl<T: Transport> Connection<T> {
    pub(super) fn new(stream: T) -> Self {
        Self(BufReader::new(stream))
    }

    /// Waits for the server's greeting and introduces this machine as `name`.
    pub(super) async fn open(&mut self, name: &str) -> Result<Extensions, StepError> {
        self.reply().await?;
        self.hello(name).await
    }

    /// Introduces this machine. A server that refuses EHLO offers nothing.
    pub(super) async fn hello(&mut self, name: &str) -> Result<Extensions, StepError> {
        match self.command(&format!("EHLO {name}")).await {
            Ok(reply) => Ok(Extensions::of(&reply)),
            Err(StepError::Refused(500..=599)) => {
                self.command(&format!("HELO {name}")).await?;
                Ok(Extensions::default())
            }
            Err(error) => Err(error),
        }
    }

    /// Asks for TLS. The caller continues with a handshake on the stream.
    pub(super) async fn start_tls(&mut self) -> Result<(), StepError> {
        self.command("STARTTLS").await?;
        if !self.0.buffer().is_empty() {
            // Somebody on the way added bytes, to have them taken for encrypted ones (CVE-2011-0411).
            return Err(StepError::Broken(io::ErrorKind::InvalidInput.into()));
        }
        Ok(())
    }

    /// Logs in by a mechanism that the server offers.
    pub(super) async fn log_in(
        &mut self,
        offered: Extensions,
        credentials: &Credentials,
    ) -> Result<(), StepError> {
        let (user, password) = (&credentials.user, credentials.password.expose());
        let reply = if offered.auth_plain {
            let text = Zeroizing::new(format!("\0{user}\0{password}"));
            let text = Zeroizing::new(BASE64.encode(text.as_bytes()));
            let reply = self.command(&Zeroizing::new(format!("AUTH PLAIN {}", *text))).await?;
            if reply.status == 334 { self.command(&text).await? } else { reply }
        } else {
            self.command("AUTH LOGIN").await?;
            self.command(&BASE64.encode(user.as_bytes())).await?;
            self.command(&Zeroizing::new(BASE64.encode(password.as_bytes()))).await?
        };
        match reply.status {
            200..300 => Ok(()),
            status => Err(StepError::Refused(status)),
        }
    }

    /// Sends a line, and returns the reply if it is positive.
    pub(super) async fn command(&mut self, line: &str) -> Result<Reply, StepError> {
        let line = Zeroizing::new(format!("{line}\r\n"));
        self.0.write_all(line.as_bytes()).await?;
        self.0.flush().await?;
        self.reply().await
    }

    /// Asks to send the content. Only 354 allows it: a server that says anything else would read the mail as commands.
    pub(super) async fn data(&mut self) -> Result<(), StepError> {
        match self.command("DATA").await?.status {
            354 => Ok(()),
            _ => Err(StepError::Broken(io::ErrorKind::InvalidInput.into())),
        }
    }

    /// Sends the content of a mail, whose lines end with CRLF, and waits until the server has accepted it. A 3xx accepts
    /// nothing.
    pub(super) async fn content(&mut self, content: &[u8]) -> Result<(), StepError> {
        self.0.write_all(&ended_by_dot(content)).await?;
        self.0.flush().await?;
        match self.reply().await?.status {
            200..300 => Ok(()),
            _ => Err(StepError::Broken(io::ErrorKind::InvalidInput.into())),
        }
    }

    async fn reply(&mut self) -> Result<Reply, StepError> {
        let reply = Reply::read(&mut self.0).await?;
        if reply.is_positive() { Ok(reply) } else { Err(StepError::Refused(reply.status)) }
    }
}

impl Extensions {
    /// Reads the reply to EHLO. Its first line is the server's name.
    fn of(reply: &Reply) -> Self {
        let mut all = Self::default();
        for line in reply.lines.iter().skip(1) {
            // Old servers write `AUTH=PLAIN`.
            let mut words = line.split([' ', '=']).map(str::to_ascii_uppercase);
            match words.next().as_deref() {
                Some("STARTTLS") => all.starttls = true,
                Some("SMTPUTF8") => all.smtp_utf8 = true,
                Some("AUTH") => words.for_each(|mechanism| match &*mechanism {
                    "PLAIN" => all.auth_plain = true,
                    "LOGIN" => all.auth_login = true,
                    _ => {}
                }),
                _ => {}
            }
        }
        all
    }
}

/// The content with its end mark. A dot that begins a line is doubled (RFC 5321, section 4.5.2).
fn ended_by_dot(content: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut sent = Zeroizing::new(Vec::with_capacity(2 * content.len() + 5));
    for line in content.split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(b".") {
            sent.push(b'.');
        }
        sent.extend_from_slice(line);
    }
    if !content.ends_with(b"\r\n") {
        sent.extend_from_slice(b"\r\n");
    }
    sent.extend_from_slice(b".\r\n");
    sent
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    #[test]
    fn offers_are_read_in_any_case() {
        let of = |lines: &[&str]| {
            let lines = lines.iter().map(|line| (*line).to_owned()).collect();
            Extensions::of(&Reply { status: 250, lines })
        };
        assert_eq!(of(&["starttls", "", "SIZE 1", "8BITMIME"]), Extensions::default());
        let all =
            Extensions { starttls: true, smtp_utf8: true, auth_plain: true, auth_login: true };
        assert_eq!(of(&["mail.test", "StartTLS", "SMTPUTF8", "AUTH CRAM-MD5 plain LOGIN"]), all);
        let old = Extensions { auth_login: true, ..Extensions::default() };
        assert_eq!(of(&["mail.test hello", "AUTH=LOGIN"]), old);
    }

    /// The outcome of one step with a server that says only `reply`, and what the server was sent.
    async fn step(
        reply: &str,
        step: impl AsyncFnOnce(&mut Connection<tokio::io::DuplexStream>) -> Result<(), StepError>,
    ) -> (Result<(), StepError>, String) {
        let (ours, mut theirs) = tokio::io::duplex(1024);
        theirs.write_all(reply.as_bytes()).await.expect("it fits");
        let mut connection = Connection::new(ours);
        let outcome = step(&mut connection).await;
        drop(connection);
        let mut sent = String::new();
        theirs.read_to_string(&mut sent).await.expect("text");
        (outcome, sent)
    }

    #[tokio::test]
    async fn only_354_lets_the_content_be_sent_and_only_2xx_accepts_it() {
        use StepError::{Broken, Refused};

        for (reply, allows, accepts) in [
            ("354 go on\r\n", true, false),
            ("250 OK\r\n", false, true),
            ("200\r\n", false, true),
            ("334 \r\n", false, false),
            ("355 go on\r\n", false, false),
        ] {
            let (outcome, sent) = step(reply, async |it| it.data().await).await;
            assert_eq!(sent, "DATA\r\n");
            assert!(
                if allows { outcome.is_ok() } else { matches!(outcome, Err(Broken(_))) },
                "{reply}"
            );
            let (outcome, sent) = step(reply, async |it| it.content(b"a\r\n").await).await;
            assert_eq!(sent, "a\r\n.\r\n");
            assert!(
                if accepts { outcome.is_ok() } else { matches!(outcome, Err(Broken(_))) },
                "{reply}"
            );
        }
        let (outcome, _) = step("451 later\r\n", async |it| it.data().await).await;
        assert!(matches!(outcome, Err(Refused(451))), "{outcome:?}");
    }

    #[test]
    fn a_dot_that_begins_a_line_does_not_end_the_content() {
        for (content, sent) in [
            ("", "\r\n.\r\n"),
            ("a\r\n", "a\r\n.\r\n"),
            ("a", "a\r\n.\r\n"),
            (".\r\n.a\r\nb.\r\n", "..\r\n..a\r\nb.\r\n.\r\n"),
        ] {
            assert_eq!(*ended_by_dot(content.as_bytes()), sent.as_bytes(), "{content:?}");
        }
    }
}
