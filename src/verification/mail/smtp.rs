//! One attempt to hand a mail over by SMTP (RFC 5321).
//!
//! | the server | meaning | another attempt |
//! | --- | --- | --- |
//! | cannot be reached, breaks off, is too slow | it fails; the mail was not sent | yes |
//! | 4xx before the recipient | it fails; the mail was not sent | yes |
//! | 5xx before the recipient: wrong login, unknown sender | it does not let this machine send | no |
//! | 4xx to the recipient or the content | it has not taken this mail yet | yes |
//! | 5xx to the recipient or the content | it will never take this mail | no |
//! | 2xx or 3xx to DATA, other than 354 | it fails; the mail was not sent | yes |
//! | no answer to the content, or 3xx | it may have taken the mail | no |
//!
//! A few statuses are about the connection wherever they come; see [`is_about_session`].

use std::time::Duration;

use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{timeout, timeout_at},
};

use super::{
    super::{
        breaker::Health,
        method_config::{InvalidKey, Secret},
        retry::{AttemptError, Deadlines, Retry},
    },
    composer::ComposedMail,
    config::{Encryption, MailConfig},
    connection::{Connection, Credentials, Extensions, StepError, Transport, connect},
    tls::{Tls, is_refusal},
};

/// How long to wait for the answer to QUIT. The server has accepted the mail by then.
const QUIT_TIMEOUT: Duration = Duration::from_millis(500);

/// The stage before an attempt has a connection of its own.
const WAIT: &str = "wait";

const WITHOUT_UTF8: &str = "server-without-smtputf8";

pub(super) struct SmtpServer {
    config: MailConfig,
    security: Security,
    credentials: Option<Credentials>,
    hello: String,
    connections: Semaphore,
}

/// How connections are encrypted, as [`Encryption`] says.
enum Security {
    StartTls(Tls),
    Tls(Tls),
    None,
}

/// A connection that is ready for commands.
struct Session {
    connection: Connection<Box<dyn Transport>>,
    offered: Extensions,
}

impl SmtpServer {
    /// Reads the password and the trusted certificates. `domain` is the name for EHLO where `config` has none.
    pub(super) fn open(config: &MailConfig, domain: &str) -> Result<Self, InvalidKey> {
        let security = match config.encryption {
            Encryption::StartTls => Security::StartTls(Tls::open(config)?),
            Encryption::Tls => Security::Tls(Tls::open(config)?),
            Encryption::None => Security::None,
        };
        let credentials = |user: &String| -> Result<_, InvalidKey> {
            let password = Secret::read(
                ("password_file", config.password_file.as_deref()),
                ("password_env", config.password_env.as_deref()),
            )?;
            Ok(Credentials { user: user.clone(), password })
        };
        Ok(Self {
            config: config.clone(),
            security,
            credentials: config.user.as_ref().map(credentials).transpose()?,
            hello: config.hello.as_deref().unwrap_or(domain).to_owned(),
            connections: Semaphore::new(config.connections),
        })
    }

    /// Hands the mail over. Unless the server answers that it has not accepted the content, an error after the content's
    /// first byte forbids another attempt.
    pub(super) async fn send(
        &self,
        mail: &ComposedMail,
        deadlines: Deadlines,
    ) -> Result<(), AttemptError> {
        let mut stage = WAIT;
        let preparing = timeout_at(deadlines.attempt, self.prepare(mail, &mut stage)).await;
        let (_permit, mut session) = preparing.unwrap_or_else(|_| {
            let error = AttemptError::not_sent(stage, "timeout", Retry::AfterBackoff);
            let health = if stage == WAIT { Health::Unknown } else { Health::Fails };
            Err(error.with_health(health))
        })?;
        let stage = "content";
        match timeout_at(deadlines.all, session.connection.content(&mail.content)).await {
            Ok(Ok(())) => {
                let _ = timeout(QUIT_TIMEOUT, session.connection.command("QUIT")).await;
                Ok(())
            }
            Ok(Err(StepError::Broken(_))) => {
                Err(AttemptError::perhaps_sent(stage, "connection-lost", Retry::Never))
            }
            Ok(Err(error)) => Err(message_failed(stage, error)),
            Err(_) => Err(AttemptError::perhaps_sent(stage, "timeout", Retry::Never)),
        }
    }

    /// Connects, and sends every command up to DATA. `stage` names the step that is under way.
    async fn prepare(
        &self,
        mail: &ComposedMail,
        stage: &mut &'static str,
    ) -> Result<(SemaphorePermit<'_>, Session), AttemptError> {
        let closed = |_| AttemptError::not_sent(WAIT, "closed", Retry::Never);
        let permit = self.connections.acquire().await.map_err(closed)?;
        let mut session = self.connect(stage).await?;
        let (connection, offered) = (&mut session.connection, session.offered);
        if let Some(credentials) = &self.credentials {
            *stage = "login";
            if !(offered.auth_plain || offered.auth_login) {
                return Err(AttemptError::not_sent(stage, "server-without-login", Retry::Never));
            }
            let login = connection.log_in(offered, credentials);
            login.await.map_err(|error| session_failed(stage, error))?;
        }
        *stage = "sender";
        // Non-ASCII addresses need a server that supports RFC 6531.
        let parameter = match (mail.from.is_ascii(), mail.to.is_ascii()) {
            (true, true) => "",
            _ if offered.smtp_utf8 => " SMTPUTF8",
            (true, false) => return Err(AttemptError::refused(stage, WITHOUT_UTF8)),
            (false, _) => return Err(AttemptError::not_sent(stage, WITHOUT_UTF8, Retry::Never)),
        };
        let line = format!("MAIL FROM:<{}>{parameter}", mail.from);
        connection.command(&line).await.map_err(|error| session_failed(stage, error))?;
        *stage = "recipient";
        let line = format!("RCPT TO:<{}>", mail.to);
        connection.command(&line).await.map_err(|error| message_failed(stage, error))?;
        *stage = "data";
        connection.data().await.map_err(|error| message_failed(stage, error))?;
        Ok((permit, session))
    }

    async fn connect(&self, stage: &mut &'static str) -> Result<Session, AttemptError> {
        *stage = "connect";
        // For each address of the host, so that an unreachable one leaves time for another.
        let limit = self.config.attempt_timeout / 2;
        let failed = |error: StepError| session_failed(stage, error);
        let connecting = connect(&self.config.host, self.config.port(), limit);
        let mut stream = connecting.await.map_err(|error| failed(error.into()))?;
        let stream: Box<dyn Transport> = match &self.security {
            Security::None => Box::new(stream),
            Security::Tls(tls) => {
                Box::new(tls.connect(stream).await.map_err(|error| failed(error.into()))?)
            }
            Security::StartTls(tls) => {
                let mut plain = Connection::new(&mut stream);
                let offered = plain.open(&self.hello).await.map_err(failed)?;
                *stage = "starttls";
                if !offered.starttls {
                    let kind = "server-without-starttls";
                    return Err(AttemptError::not_sent(stage, kind, Retry::Never));
                }
                plain.start_tls().await.map_err(|error| session_failed(stage, error))?;
                let encrypting = tls.connect(stream).await;
                Box::new(encrypting.map_err(|error| session_failed(stage, error.into()))?)
            }
        };
        let mut connection = Connection::new(stream);
        let opening = match self.security {
            // The server has greeted before TLS.
            Security::StartTls(_) => connection.hello(&self.hello).await,
            Security::Tls(_) | Security::None => connection.open(&self.hello).await,
        };
        let offered = opening.map_err(|error| session_failed(stage, error))?;
        Ok(Session { connection, offered })
    }
}

/// The failure of a step that is the same for every mail: the server fails, or does not let this machine send.
fn session_failed(stage: &'static str, error: StepError) -> AttemptError {
    let not_sent = |kind, retry| AttemptError::not_sent(stage, kind, retry);
    match error {
        StepError::Refused(status @ 500..) => not_sent("refused", Retry::Never).with_status(status),
        StepError::Refused(status) => not_sent("refused", Retry::AfterBackoff).with_status(status),
        // A certificate that is not trusted now will not be trusted in a second.
        StepError::Broken(error) if is_refusal(&error) => {
            not_sent("certificate-not-trusted", Retry::Never)
        }
        StepError::Broken(_) => not_sent("connection-failed", Retry::AfterBackoff),
    }
}

/// The failure of a step that depends on the recipient or the content.
fn message_failed(stage: &'static str, error: StepError) -> AttemptError {
    let is_about_message = matches!(error, StepError::Refused(status) if !is_about_session(status));
    let health = if is_about_message { Health::Works } else { Health::Fails };
    session_failed(stage, error).with_health(health)
}

/// Whether a status is about the connection or the login, even as the answer to a recipient or a content. It must not tell a
/// phone that its address is refused for good.
const fn is_about_session(status: u16) -> bool {
    matches!(status, 421 | 454 | 500 | 502..=504 | 521 | 530 | 534 | 535 | 538 | 555)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_answer_about_the_message_refuses_it() {
        use Health::{Fails, Works};
        use Retry::{AfterBackoff, Never};

        for (status, of_session, of_message) in [
            (421, (AfterBackoff, Fails), (AfterBackoff, Fails)),
            (450, (AfterBackoff, Fails), (AfterBackoff, Works)),
            (451, (AfterBackoff, Fails), (AfterBackoff, Works)),
            (452, (AfterBackoff, Fails), (AfterBackoff, Works)),
            (501, (Never, Fails), (Never, Works)),
            (503, (Never, Fails), (Never, Fails)),
            (530, (Never, Fails), (Never, Fails)),
            (535, (Never, Fails), (Never, Fails)),
            (550, (Never, Fails), (Never, Works)),
            (551, (Never, Fails), (Never, Works)),
            (552, (Never, Fails), (Never, Works)),
            (553, (Never, Fails), (Never, Works)),
            (554, (Never, Fails), (Never, Works)),
            (556, (Never, Fails), (Never, Works)),
        ] {
            let session = session_failed("sender", StepError::Refused(status));
            assert_eq!((session.retry, session.health), of_session, "{status}");
            let message = message_failed("recipient", StepError::Refused(status));
            assert_eq!((message.retry, message.health), of_message, "{status}");
            assert!(!session.perhaps_sent && !message.perhaps_sent);
            assert_eq!((session.status, message.status), (Some(status), Some(status)));
        }
        let broken =
            message_failed("recipient", StepError::Broken(std::io::ErrorKind::Other.into()));
        assert_eq!((broken.retry, broken.health, broken.status), (AfterBackoff, Fails, None));
    }
}
