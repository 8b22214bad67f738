//! Alerts as signed JSON over HTTP.
//!
//! The receiver computes HMAC-SHA256 (RFC 2104) with the shared secret over the value of `Dxgate-Timestamp`, a full
//! stop, and the body as it came, compares it with `Dxgate-Signature` (`v1=` and lower-case hex) in constant time, and
//! refuses timestamps more than five minutes from its own clock: then nobody can forge or replay a delivery.

use std::time::Duration;

use data_encoding::HEXLOWER;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::sign::Signer;

use super::Untold;
use super::notice::Delivery;
use crate::config::WebhookSettings;
use crate::ground::secret::Secret;
use crate::ground::text::printable;
use crate::http::{Addresses, Client, ClientSettings, Timeouts, TlsError, Trust};

/// The field with the instant of sending, in seconds since 1970.
pub const TIMESTAMP: &str = "Dxgate-Timestamp";
/// The field with the signature.
pub const SIGNATURE: &str = "Dxgate-Signature";
/// Bytes of an answer; it is thrown away.
const ANSWER: usize = 64 * 1024;

/// One receiver.
pub(super) struct Webhook {
    client: Client,
    url: String,
    secret: Secret<String>,
    timeout: Duration,
}

impl Webhook {
    pub(super) fn new(settings: &WebhookSettings) -> Result<Webhook, TlsError> {
        let pinned: Vec<Vec<u8>> = settings.trusted.iter().map(|certificate| certificate.der().to_vec()).collect();
        let client = Client::new(ClientSettings {
            trust: if pinned.is_empty() { Trust::System } else { Trust::Pinned(pinned) },
            // The operator named it, not a peer.
            addresses: Addresses::Any,
            answer_limit: ANSWER,
            ..ClientSettings::default()
        })?;
        let url = settings.url.as_str().to_owned();
        Ok(Webhook { client, url, secret: settings.secret.clone(), timeout: settings.timeout })
    }

    pub(super) async fn tell(&self, delivery: &Delivery) -> Result<(), Untold> {
        let body = delivery.json();
        let timestamp = delivery.sent.as_second().to_string();
        let signed = signature(self.secret.expose().as_bytes(), &timestamp, &body);
        let signed = signed.ok_or_else(|| Untold("the delivery could not be signed".to_owned()))?;
        let headers = [
            ("Content-Type".to_owned(), "application/json".to_owned()),
            ("User-Agent".to_owned(), concat!("dxgate/", env!("CARGO_PKG_VERSION")).to_owned()),
            (TIMESTAMP.to_owned(), timestamp),
            (SIGNATURE.to_owned(), signed),
        ];
        let timeouts = Timeouts { connect: self.timeout, total: self.timeout };
        let answer = self.client.post(&self.url, &headers, body.into(), timeouts).await;
        let answer = answer.map_err(|error| Untold(printable(&error.to_string())))?;
        match answer.status {
            200..=299 => Ok(()),
            status => Err(Untold(format!("the receiver answered with status {status}"))),
        }
    }
}

/// The value of [`SIGNATURE`]; none when OpenSSL cannot compute it.
pub fn signature(secret: &[u8], timestamp: &str, body: &[u8]) -> Option<String> {
    let key = PKey::hmac(secret).ok()?;
    let mut signer = Signer::new(MessageDigest::sha256(), &key).ok()?;
    for part in [timestamp.as_bytes(), b".", body] {
        signer.update(part).ok()?;
    }
    Some(format!("v1={}", HEXLOWER.encode(&signer.sign_to_vec().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `printf '1700000000.{}' | openssl dgst -sha256 -hmac 'a shared secret!'`
    #[test]
    fn the_signature_is_that_of_the_openssl_command() {
        let signed = signature(b"a shared secret!", "1700000000", b"{}").unwrap();
        assert_eq!(signed, "v1=780b7cf2d63dcab86e312a728c65c50b851172384eacbacc80c92aa4e5b58ede");
    }
}
