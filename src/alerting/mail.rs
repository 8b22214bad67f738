//! Alerts by mail (RFC 5321, RFC 5322), many in one.

use std::time::Duration;

use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail as From, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailBodyParameter, MailParameter, ServerInfo};

use super::notice::Delivery;
use super::{Unreached, Untold};
use crate::config::{MailSecurity, MailSettings};
use crate::ground::text::printable;

/// A server and who is written to.
pub(super) struct Mail {
    settings: MailSettings,
    pub(super) batch: Duration,
}

/// So that nobody's holiday answers come back (RFC 3834 5).
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(AutoSubmitted)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

impl Mail {
    pub(super) fn new(settings: &MailSettings) -> Mail {
        Mail { batch: settings.batch, settings: settings.clone() }
    }

    /// Tells all that the server takes; returns those that it refuses, unless these are all.
    pub(super) async fn tell(&self, delivery: &Delivery) -> Result<Vec<Unreached>, Untold> {
        let message = self.message(delivery)?;
        // The library's own limit is per command.
        let sent = tokio::time::timeout(self.settings.timeout, self.send(&message)).await;
        sent.map_err(|_| Untold("the mail server took too long".to_owned()))?
    }

    /// A connection is made for each mail: there are few of them, and a kept one would be stale.
    async fn send(&self, message: &Message) -> Result<Vec<Unreached>, Untold> {
        let mut server = self.connect().await?;
        let sent = transact(&mut server, message).await;
        server.abort().await;
        sent
    }

    fn message(&self, delivery: &Delivery) -> Result<Message, Untold> {
        let mailbox = |text: &str| text.parse::<Mailbox>().map_err(|error| untold(&error));
        let mut message = Message::builder()
            .from(mailbox(&self.settings.from)?)
            .subject(delivery.subject())
            .date(delivery.sent.into())
            .header(AutoSubmitted)
            .header(ContentType::TEXT_PLAIN);
        for to in &self.settings.to {
            message = message.to(mailbox(to)?);
        }
        message.message_id(None).body(delivery.words()).map_err(|error| untold(&error))
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, Untold> {
        let MailSettings { host, port, security, credentials, timeout, .. } = &self.settings;
        let (address, hello) = ((host.as_str(), *port), ClientId::default());
        let tls = if *security == MailSecurity::Tls { Some(self.tls()?) } else { None };
        let server = AsyncSmtpConnection::connect_tokio1(address, Some(*timeout), &hello, tls, None).await;
        let mut server = server.map_err(|error| untold(&error))?;
        if *security == MailSecurity::StartTls {
            server.starttls(self.tls()?, &hello).await.map_err(|error| untold(&error))?;
        }
        if let Some((user, password)) = credentials {
            let credentials = Credentials::new(user.clone(), password.expose().clone());
            server.auth(DEFAULT_MECHANISMS, &credentials).await.map_err(|error| untold(&error))?;
        }
        Ok(server)
    }

    fn tls(&self) -> Result<TlsParameters, Untold> {
        let mut builder = TlsParameters::builder(self.settings.host.clone());
        if !self.settings.trusted.is_empty() {
            builder = builder.certificate_store(CertificateStore::None);
        }
        for certificate in &self.settings.trusted {
            let certificate = Certificate::from_der(certificate.der().to_vec());
            builder = builder.add_root_certificate(certificate.map_err(|error| untold(&error))?);
        }
        builder.build_rustls().map_err(|error| untold(&error))
    }
}

/// One mail to everybody (RFC 5321 3.3). The library's own way ends at the first recipient that is refused, and nobody
/// is told then.
async fn transact(server: &mut AsyncSmtpConnection, message: &Message) -> Result<Vec<Unreached>, Untold> {
    let (envelope, octets) = (message.envelope(), message.formatted());
    let addresses = envelope.from().into_iter().chain(envelope.to());
    let plain = addresses.map(ToString::to_string).all(|address| address.is_ascii());
    let parameters = parameters(server.server_info(), plain, octets.is_ascii())?;
    let from = From::new(envelope.from().cloned(), parameters);
    server.command(from).await.map_err(|error| untold(&error))?;
    let mut refused = Vec::new();
    for to in envelope.to() {
        match server.command(Rcpt::new(to.clone(), Vec::new())).await {
            Ok(_) => {}
            Err(error) if error.status().is_some() => {
                refused.push(Unreached { who: to.to_string(), why: untold(&error).0 });
            }
            Err(error) => return Err(untold(&error)),
        }
    }
    if refused.len() >= envelope.to().len() {
        let refused: Vec<String> = refused.iter().map(Unreached::to_string).collect();
        return Err(Untold(refused.join("; ")));
    }
    server.command(Data).await.map_err(|error| untold(&error))?;
    server.message(&octets).await.map_err(|error| untold(&error))?;
    Ok(refused)
}

/// Of a mail whose addresses and octets are ASCII or not (RFC 6531, RFC 6152).
fn parameters(server: &ServerInfo, plain: bool, ascii: bool) -> Result<Vec<MailParameter>, Untold> {
    let mut parameters = Vec::new();
    for (needed, extension, parameter) in [
        (!plain, Extension::SmtpUtfEight, MailParameter::SmtpUtfEight),
        (!ascii, Extension::EightBitMime, MailParameter::Body(MailBodyParameter::EightBitMime)),
    ] {
        if needed && !server.supports_feature(extension) {
            return Err(Untold(format!("the mail server does not offer {extension}")));
        }
        parameters.extend(needed.then_some(parameter));
    }
    Ok(parameters)
}

/// The error with its causes, in one line.
fn untold(error: &dyn std::error::Error) -> Untold {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    Untold(printable(&text))
}

#[cfg(test)]
#[path = "mail_tests.rs"]
mod tests;
