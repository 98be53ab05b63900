//! One attempt to hand a mail over by SMTP (RFC 5321).
//!
//! It sends each command by itself, and so knows whether a failure came before or after the content.

use std::{
    error::Error as _,
    io::{self, ErrorKind},
    iter,
    time::Duration,
};

use lettre::{
    Address,
    transport::smtp::{
        Error,
        authentication::{Credentials, Mechanism},
        client::{AsyncSmtpConnection, Certificate, TlsParameters},
        commands::{Data, Mail as MailFrom, Rcpt},
        extension::{ClientId, Extension, MailParameter},
    },
};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{timeout, timeout_at},
};

use super::{
    super::{
        method_config::{InvalidKey, Secret, read_certificates},
        retry::{AttemptError, Deadlines, Retry},
    },
    composer::ComposedMail,
    config::{Encryption, MailConfig},
};

/// How long to wait for the answer to QUIT. The server has accepted the mail by then.
const QUIT_TIMEOUT: Duration = Duration::from_millis(500);

pub(super) struct SmtpServer {
    config: MailConfig,
    tls: Option<TlsParameters>,
    credentials: Option<Credentials>,
    hello: ClientId,
    connections: Semaphore,
}

impl SmtpServer {
    /// Reads the password and the trusted certificates. `domain` is the name for EHLO where `config` has none.
    pub(super) fn open(config: &MailConfig, domain: &str) -> Result<Self, InvalidKey> {
        let tls = match config.encryption {
            Encryption::None => None,
            Encryption::StartTls | Encryption::Tls => Some(tls_parameters(config)?),
        };
        let credentials = |user: &String| -> Result<_, InvalidKey> {
            let password = Secret::read(
                ("password_file", config.password_file.as_deref()),
                ("password_env", config.password_env.as_deref()),
            )?;
            Ok(Credentials::new(user.clone(), password.expose().to_owned()))
        };
        Ok(Self {
            config: config.clone(),
            tls,
            credentials: config.user.as_ref().map(credentials).transpose()?,
            hello: ClientId::Domain(config.hello.as_deref().unwrap_or(domain).to_owned()),
            connections: Semaphore::new(config.connections),
        })
    }

    /// Hands the mail over. Once the server may have accepted the content, an error forbids another attempt.
    pub(super) async fn send(
        &self,
        mail: &ComposedMail,
        deadlines: Deadlines,
    ) -> Result<(), AttemptError> {
        let mut stage = "wait";
        let preparing = timeout_at(deadlines.attempt, self.prepare(mail, &mut stage)).await;
        let (_permit, mut connection) = match preparing {
            Ok(prepared) => prepared?,
            Err(_) => return Err(AttemptError::not_sent(stage, "timeout", Retry::AfterBackoff)),
        };
        match timeout_at(deadlines.all, connection.message(&mail.content)).await {
            Ok(Ok(_)) => {
                let _ = timeout(QUIT_TIMEOUT, connection.quit()).await;
                Ok(())
            }
            Ok(Err(error)) => Err(match error.status() {
                // The server answered that it has not accepted the mail.
                Some(status) => AttemptError::not_sent("content", "refused", Retry::Never)
                    .with_status(u16::from(status)),
                None => AttemptError::perhaps_sent("content", "connection-lost", Retry::Never),
            }),
            Err(_) => Err(AttemptError::perhaps_sent("content", "timeout", Retry::Never)),
        }
    }

    /// Connects, and sends every command up to DATA. `stage` names the step that is under way.
    async fn prepare(
        &self,
        mail: &ComposedMail,
        stage: &mut &'static str,
    ) -> Result<(SemaphorePermit<'_>, AsyncSmtpConnection), AttemptError> {
        let closed = |_| AttemptError::not_sent("wait", "closed", Retry::Never);
        let permit = self.connections.acquire().await.map_err(closed)?;
        let mut connection = self.connect(stage).await?;
        if let Some(credentials) = &self.credentials {
            *stage = "login";
            let mechanisms = [Mechanism::Plain, Mechanism::Login];
            connection.auth(&mechanisms, credentials).await.map_err(|e| not_sent(stage, &e))?;
        }
        *stage = "sender";
        let mut parameters = Vec::new();
        // Non-ASCII addresses need a server that supports RFC 6531.
        if !(is_ascii(&mail.from) && is_ascii(&mail.to)) {
            if !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
                return Err(AttemptError::not_sent(stage, "server-without-smtputf8", Retry::Never));
            }
            parameters.push(MailParameter::SmtpUtfEight);
        }
        let from = MailFrom::new(Some(mail.from.clone()), parameters);
        connection.command(from).await.map_err(|e| not_sent(stage, &e))?;
        *stage = "recipient";
        let to = Rcpt::new(mail.to.clone(), Vec::new());
        connection.command(to).await.map_err(|e| not_sent(stage, &e))?;
        *stage = "data";
        connection.command(Data).await.map_err(|e| not_sent(stage, &e))?;
        Ok((permit, connection))
    }

    async fn connect(&self, stage: &mut &'static str) -> Result<AsyncSmtpConnection, AttemptError> {
        *stage = "connect";
        let encryption = self.config.encryption;
        let server = (self.config.host.as_str(), self.config.port());
        let implicit_tls = self.tls.clone().filter(|_| encryption == Encryption::Tls);
        // For each address of the host, so that an unreachable one leaves time for another.
        let limit = Some(self.config.attempt_timeout / 2);
        let connecting =
            AsyncSmtpConnection::connect_tokio1(server, limit, &self.hello, implicit_tls, None);
        let mut connection = connecting.await.map_err(|e| not_sent(stage, &e))?;
        if let (Encryption::StartTls, Some(tls)) = (encryption, &self.tls) {
            *stage = "starttls";
            if !connection.can_starttls() {
                return Err(AttemptError::not_sent(stage, "server-without-starttls", Retry::Never));
            }
            let starting = connection.starttls(tls.clone(), &self.hello);
            starting.await.map_err(|e| not_sent(stage, &e))?;
        }
        // Both branches above guarantee this. It keeps code and password secret.
        if encryption != Encryption::None && !connection.is_encrypted() {
            return Err(AttemptError::not_sent(stage, "not-encrypted", Retry::Never));
        }
        Ok(connection)
    }
}

fn is_ascii(address: &Address) -> bool {
    let text: &str = address.as_ref();
    text.is_ascii()
}

/// The failure of a step before the content.
fn not_sent(stage: &'static str, error: &Error) -> AttemptError {
    if let Some(status) = error.status() {
        let retry = if error.is_transient() { Retry::AfterBackoff } else { Retry::Never };
        return AttemptError::not_sent(stage, "refused", retry).with_status(u16::from(status));
    }
    if error.is_client() {
        return AttemptError::not_sent(stage, "server-lacks-what-is-needed", Retry::Never);
    }
    match is_tls_failure(error) {
        // A certificate that is not trusted now will not be trusted in a second.
        true => AttemptError::not_sent(stage, "certificate-not-trusted", Retry::Never),
        false => AttemptError::not_sent(stage, "connection-failed", Retry::AfterBackoff),
    }
}

/// Whether the TLS library refused the server's certificate or messages.
fn is_tls_failure(error: &Error) -> bool {
    let mut causes = iter::successors(error.source(), |&cause| cause.source());
    causes.any(|cause| {
        cause.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == ErrorKind::InvalidData)
    })
}

fn tls_parameters(config: &MailConfig) -> Result<TlsParameters, InvalidKey> {
    let failed = |why| ("ca_file", why);
    let mut tls = TlsParameters::builder(config.host.clone());
    if let Some(path) = &config.ca_file {
        let parse = |pem: &[u8]| Certificate::from_pem(pem).ok();
        tls = tls.add_root_certificate(read_certificates(path, parse).map_err(failed)?);
    }
    tls.build().map_err(|error| failed(format!("no certificates to trust: {error}")))
}
