//! Alerts by mail (RFC 5321, RFC 5322), many in one.

use std::time::Duration;

use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};

use super::Untold;
use super::notice::Delivery;
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

    pub(super) async fn tell(&self, delivery: &Delivery) -> Result<(), Untold> {
        let message = self.message(delivery)?;
        let server = self.server()?;
        // The library's own limit is per command.
        let sent = tokio::time::timeout(self.settings.timeout, server.send(message)).await;
        let sent = sent.map_err(|_| Untold("the mail server took too long".to_owned()))?;
        sent.map(drop).map_err(|error| untold(&error))
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

    /// A connection is made for each mail: there are few of them, and a kept one would be stale.
    fn server(&self) -> Result<AsyncSmtpTransport<Tokio1Executor>, Untold> {
        let MailSettings { host, port, security, credentials, timeout, .. } = &self.settings;
        let tls = match security {
            MailSecurity::Plain => Tls::None,
            MailSecurity::StartTls => Tls::Required(self.tls()?),
            MailSecurity::Tls => Tls::Wrapper(self.tls()?),
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host).port(*port).tls(tls);
        if let Some((user, password)) = credentials {
            builder = builder.credentials(Credentials::new(user.clone(), password.expose().clone()));
        }
        Ok(builder.timeout(Some(*timeout)).build())
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
