//! TLS for partners that never left 1.0 and 1.1 (RFC 2246, 4346; deprecated by RFC 8996), by OpenSSL, because rustls does
//! not speak them. Only used for a partner with `tls = "old"` and while its waiver lasts.
//!
//! Whom to believe is judged as by [`tls`](super::tls): a pinned certificate byte for byte, or a chain and the host's
//! name. Nothing of a request is sent before that.

use std::pin::Pin;

use openssl::pkey::PKey;
use openssl::sha::sha256;
use openssl::ssl::{SslConnector, SslMethod, SslOptions, SslVerifyMode, SslVersion};
use openssl::x509::store::X509StoreBuilder;
use openssl::x509::verify::X509VerifyFlags;
use openssl::x509::{X509, X509VerifyResult};
use tokio::net::TcpStream;
use tokio_openssl::SslStream;

use super::address::Target;
use super::post_error::{PostError, PostErrorKind};
use super::tls::{Identity, Roots, TlsError, Trust};
use super::tls_end::Ending;

/// Everything that OpenSSL still has with authentication and encryption. Level 0 allows the MD5 and SHA-1 that TLS 1.0
/// and 1.1 are made of.
const CIPHERS: &str = "ALL:!aNULL:!eNULL:!EXPORT:!RC4:!LOW:@SECLEVEL=0";
/// `SSL_OP_LEGACY_SERVER_CONNECT`: servers without secure renegotiation (RFC 5746), which such old ones lack; we never
/// renegotiate.
const LEGACY_SERVER_CONNECT: u64 = 0x4;

/// The client side, made once for each TLS profile.
pub(super) struct OldTls {
    connector: SslConnector,
    /// SHA-256 of the DER of pinned certificates; `None`: the machine's roots decide.
    pinned: Option<Vec<[u8; 32]>>,
}

impl std::fmt::Debug for OldTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OldTls")
    }
}

impl OldTls {
    /// `roots`: what [`Trust::System`] leads to. OpenSSL itself may look for them where this machine has none.
    pub(super) fn new(roots: &Roots, trust: &Trust, identity: Option<&Identity>) -> Result<OldTls, TlsError> {
        let unusable = |_| TlsError::Mismatch;
        let mut builder = SslConnector::builder(SslMethod::tls_client()).map_err(unusable)?;
        builder.set_min_proto_version(Some(SslVersion::TLS1)).map_err(unusable)?;
        builder.set_cipher_list(CIPHERS).map_err(unusable)?;
        builder.set_options(SslOptions::from_bits_retain(LEGACY_SERVER_CONNECT) | SslOptions::NO_RENEGOTIATION);
        builder.set_alpn_protos(b"\x08http/1.1").map_err(unusable)?;
        // The handshake goes on in any case; `judge` looks at what it came to, before anything is sent.
        builder.set_verify(SslVerifyMode::NONE);
        let pinned = match trust {
            Trust::System => {
                let mut store = X509StoreBuilder::new().map_err(unusable)?;
                for der in roots.certificates() {
                    // One that OpenSSL cannot read vouches for nobody.
                    let _ = X509::from_der(&der).and_then(|root| store.add_cert(root));
                }
                builder.set_verify_cert_store(store.build()).map_err(unusable)?;
                None
            }
            Trust::Pinned(certificates) => {
                let mut store = X509StoreBuilder::new().map_err(unusable)?;
                store.set_flags(X509VerifyFlags::PARTIAL_CHAIN).map_err(unusable)?;
                for certificate in certificates {
                    let certificate = X509::from_der(certificate).map_err(|_| TlsError::NoCertificate)?;
                    store.add_cert(certificate).map_err(unusable)?;
                }
                builder.set_verify_cert_store(store.build()).map_err(unusable)?;
                Some(certificates.iter().map(|der| sha256(der)).collect())
            }
        };
        if let Some(identity) = identity {
            let (chain, key) = identity.der();
            let mut chain = chain.iter().map(|der| X509::from_der(der));
            let own = chain.next().ok_or(TlsError::NoCertificate)?.map_err(|_| TlsError::NoCertificate)?;
            builder.set_certificate(&own).map_err(unusable)?;
            for issuer in chain {
                builder.add_extra_chain_cert(issuer.map_err(|_| TlsError::NoCertificate)?).map_err(unusable)?;
            }
            let key = PKey::private_key_from_pkcs8(key).map_err(|_| TlsError::BadKey)?;
            builder.set_private_key(&key).map_err(unusable)?;
        }
        Ok(OldTls { connector: builder.build(), pinned })
    }

    /// The handshake with `target` at the other end of `stream`. Like rustls, what comes of it fails at an end without
    /// `close_notify`.
    pub(super) async fn connect(
        &self,
        stream: TcpStream,
        target: &Target,
    ) -> Result<SslStream<Ending<TcpStream>>, PostError> {
        let failed = |error: &dyn std::fmt::Display| PostError::new(PostErrorKind::Tls, error);
        let ssl = self.connector.configure().and_then(|configured| configured.into_ssl(&target.host));
        let ssl = ssl.map_err(|error| failed(&error))?;
        let mut stream = SslStream::new(ssl, Ending::failing(stream)).map_err(|error| failed(&error))?;
        Pin::new(&mut stream).connect().await.map_err(|error| failed(&error))?;
        self.judge(stream.ssl())?;
        Ok(stream)
    }

    fn judge(&self, ssl: &openssl::ssl::SslRef) -> Result<(), PostError> {
        let refused = |why: &dyn std::fmt::Display| PostError::new(PostErrorKind::Certificate, why);
        let shown = ssl.peer_certificate().and_then(|certificate| certificate.to_der().ok());
        let shown = shown.ok_or_else(|| refused(&"the server shows no certificate"))?;
        let pinned = self.pinned.as_ref().is_some_and(|pinned| pinned.contains(&sha256(&shown)));
        let verdict = ssl.verify_result();
        if pinned || verdict == X509VerifyResult::OK { Ok(()) } else { Err(refused(&verdict)) }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests run OpenSSL's server")]
#[path = "old_tls_tests.rs"]
mod tests;
