//! One attempt at handing a mail over (RFC 5321), command by command, so that it is known how far it came.

use std::{
    error::Error as _,
    io::{self, ErrorKind},
    path::Path,
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
        attempts::{Again, Deadlines, Failure},
        delivery_router::OpenError,
        secret::Secret,
    },
    config::{Encryption, MailConfig},
    content::Written,
};
use crate::files;

/// How long a server may take to say goodbye; the mail is its own by then.
const GOODBYE: Duration = Duration::from_millis(500);

/// The mail server.
pub(super) struct Server {
    host: String,
    port: u16,
    encryption: Encryption,
    tls: Option<TlsParameters>,
    credentials: Option<Credentials>,
    hello: ClientId,
    connections: Semaphore,
    /// For each address of the host, so that one which is dead leaves time for another.
    connect_timeout: Duration,
}

impl Server {
    pub(super) fn open(config: &MailConfig) -> Result<Self, OpenError> {
        let tls = match config.encryption {
            Encryption::None => None,
            Encryption::StartTls | Encryption::Tls => Some(trust(config)?),
        };
        let login = |user: &String| -> Result<_, OpenError> {
            let key = match config.password_file {
                Some(_) => "delivery.mail.password_file",
                None => "delivery.mail.password_env",
            };
            let (file, variable) =
                (config.password_file.as_deref(), config.password_env.as_deref());
            let password = Secret::read(key, file, variable)?;
            Ok(Credentials::new(user.clone(), password.expose().to_owned()))
        };
        let hello = match (&config.hello, config.letter_head()) {
            (Some(name), _) => name.clone(),
            (None, Ok(head)) => head.domain().to_owned(),
            (None, Err((key, why))) => return Err(OpenError::new(key, why)),
        };
        Ok(Self {
            host: config.host.clone(),
            port: config.port(),
            encryption: config.encryption,
            tls,
            credentials: config.user.as_ref().map(login).transpose()?,
            hello: ClientId::Domain(hello),
            connections: Semaphore::new(config.connections),
            connect_timeout: config.attempt_timeout / 2,
        })
    }

    /// Hands the mail over. Fails for good as soon as its content may have been taken.
    pub(super) async fn send(&self, letter: &Written, deadlines: Deadlines) -> Result<(), Failure> {
        let mut stage = "wait";
        let ready = timeout_at(deadlines.attempt, self.until_content(letter, &mut stage)).await;
        let (_place, mut connection) = match ready {
            Ok(Ok(ready)) => ready,
            Ok(Err(failure)) => return Err(failure),
            Err(_) => return Err(Failure::not_sent(stage, "timeout", Again::Soon)),
        };
        let answer = timeout_at(deadlines.all, connection.message(&letter.content)).await;
        match answer {
            Ok(Ok(_)) => {
                let _ = timeout(GOODBYE, connection.quit()).await;
                Ok(())
            }
            // A refusal is an answer: the server has not taken it.
            Ok(Err(error)) => Err(match error.status() {
                Some(status) => Failure::not_sent("content", "refused", Again::Never)
                    .with_status(u16::from(status)),
                None => Failure::perhaps_sent("content", "connection-lost", Again::Never),
            }),
            Err(_) => Err(Failure::perhaps_sent("content", "timeout", Again::Never)),
        }
    }

    /// From the connection to the server's word that it takes the content.
    async fn until_content(
        &self,
        letter: &Written,
        stage: &mut &'static str,
    ) -> Result<(SemaphorePermit<'_>, AsyncSmtpConnection), Failure> {
        let closed = |_| Failure::not_sent("wait", "closed", Again::Never);
        let place = self.connections.acquire().await.map_err(closed)?;
        let mut connection = self.connect(stage).await?;
        if let Some(credentials) = &self.credentials {
            *stage = "login";
            let mechanisms = [Mechanism::Plain, Mechanism::Login];
            connection.auth(&mechanisms, credentials).await.map_err(|e| failure(stage, &e))?;
        }
        *stage = "sender";
        let mut parameters = Vec::new();
        // An address beyond ASCII needs a server that knows RFC 6531.
        if !(is_ascii(&letter.from) && is_ascii(&letter.to)) {
            if !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
                return Err(Failure::not_sent(stage, "server-without-smtputf8", Again::Never));
            }
            parameters.push(MailParameter::SmtpUtfEight);
        }
        let from = MailFrom::new(Some(letter.from.clone()), parameters);
        connection.command(from).await.map_err(|e| failure(stage, &e))?;
        *stage = "recipient";
        let to = Rcpt::new(letter.to.clone(), Vec::new());
        connection.command(to).await.map_err(|e| failure(stage, &e))?;
        *stage = "data";
        connection.command(Data).await.map_err(|e| failure(stage, &e))?;
        Ok((place, connection))
    }

    async fn connect(&self, stage: &mut &'static str) -> Result<AsyncSmtpConnection, Failure> {
        *stage = "connect";
        let server = (self.host.as_str(), self.port);
        let wrapped = self.tls.clone().filter(|_| self.encryption == Encryption::Tls);
        let limit = Some(self.connect_timeout);
        let connecting =
            AsyncSmtpConnection::connect_tokio1(server, limit, &self.hello, wrapped, None);
        let mut connection = connecting.await.map_err(|e| failure(stage, &e))?;
        if let (Encryption::StartTls, Some(tls)) = (self.encryption, &self.tls) {
            *stage = "starttls";
            if !connection.can_starttls() {
                return Err(Failure::not_sent(stage, "server-without-starttls", Again::Never));
            }
            let starting = connection.starttls(tls.clone(), &self.hello);
            starting.await.map_err(|e| failure(stage, &e))?;
        }
        // The two lines above make this so; it is what keeps code and password secret.
        if self.encryption != Encryption::None && !connection.is_encrypted() {
            return Err(Failure::not_sent(stage, "not-encrypted", Again::Never));
        }
        Ok(connection)
    }
}

fn is_ascii(address: &Address) -> bool {
    let text: &str = address.as_ref();
    text.is_ascii()
}

/// A failure before the content: certainly not sent.
fn failure(stage: &'static str, error: &Error) -> Failure {
    if let Some(status) = error.status() {
        let again = if error.is_transient() { Again::Soon } else { Again::Never };
        return Failure::not_sent(stage, "refused", again).with_status(u16::from(status));
    }
    if error.is_client() {
        return Failure::not_sent(stage, "server-lacks-what-is-needed", Again::Never);
    }
    match is_not_trusted(error) {
        // It will not be trusted in a second either.
        true => Failure::not_sent(stage, "certificate-not-trusted", Again::Never),
        false => Failure::not_sent(stage, "connection-failed", Again::Soon),
    }
}

/// Whether the TLS library found the other side's certificate or messages wanting.
fn is_not_trusted(error: &Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == ErrorKind::InvalidData) {
            return true;
        }
        cause = error.source();
    }
    false
}

fn trust(config: &MailConfig) -> Result<TlsParameters, OpenError> {
    const KEY: &str = "delivery.mail.ca_file";
    let mut tls = TlsParameters::builder(config.host.clone());
    if let Some(path) = &config.ca_file {
        for certificate in certificates(path).map_err(|why| OpenError::new(KEY, why))? {
            tls = tls.add_root_certificate(certificate);
        }
    }
    tls.build().map_err(|error| OpenError::new(KEY, format!("no certificates to trust: {error}")))
}

fn certificates(path: &Path) -> Result<Vec<Certificate>, String> {
    let pem = files::read(path);
    let pem = pem.map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    let none = || format!("{} holds no certificate in PEM form", path.display());
    if !pem.windows(27).any(|line| line == b"-----BEGIN CERTIFICATE-----") {
        return Err(none());
    }
    Ok(vec![Certificate::from_pem(&pem).map_err(|_| none())?])
}
