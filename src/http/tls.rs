//! TLS settings in both directions (RFC 8446, RFC 5246): versions 1.2 and 1.3, AEAD suites with ephemeral keys, one
//! provider (aws-lc).

use std::sync::Arc;

use crate::ground::secret::Secret;
use crate::ground::text::Bilingual;

/// Key and certificates with which one side proves who it is.
#[derive(Debug, Clone)]
pub struct Identity {
    /// DER, own certificate first, then its issuers.
    chain: Vec<Vec<u8>>,
    /// PKCS#8 DER.
    key: Secret<Vec<u8>>,
}

impl Identity {
    /// From PEM: one or more certificates (own first) and a private key, encrypted or not.
    pub fn from_pem(chain: &[u8], key: &[u8], passphrase: Option<&Secret<String>>) -> Result<Identity, TlsError> {
        let _ = (chain, key, passphrase);
        unimplemented!()
    }
}

/// What a server asks of its clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClientAuth {
    /// No certificate is asked for.
    #[default]
    None,
    /// A certificate is asked for and may be withheld. Any certificate whose key the client holds is let through: who
    /// it belongs to is decided by whoever reads [`Exchange::client_certificate`](super::Exchange).
    Ask,
}

/// The TLS side of a listener. Clones share one setting; [`ServerTls::replace`] changes it for new connections.
#[derive(Clone)]
pub struct ServerTls {
    pub(super) config: Arc<arc_swap::ArcSwap<rustls::ServerConfig>>,
}

impl ServerTls {
    /// A listener that shows `identity`.
    pub fn new(identity: &Identity, clients: ClientAuth) -> Result<ServerTls, TlsError> {
        let _ = (identity, clients);
        unimplemented!()
    }

    /// Shows `identity` to every connection from now on.
    pub fn replace(&self, identity: &Identity, clients: ClientAuth) -> Result<(), TlsError> {
        let _ = (identity, clients);
        unimplemented!()
    }
}

/// Whom a client believes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum Trust {
    /// The machine's root certificates and the host name.
    #[default]
    System,
    /// Exactly these certificates (DER), typically self-signed ones that a partner handed over; or a server whose
    /// chain leads to one of them and whose certificate names the host.
    Pinned(Vec<Vec<u8>>),
}

/// TLS material that cannot be used. The operator's doing.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// No certificate could be read from the PEM text.
    #[error("no certificate in PEM form was found")]
    NoCertificate,
    /// The private key could not be read, or its passphrase is wrong.
    #[error("the private key cannot be read; check its form and passphrase")]
    BadKey,
    /// Key and certificate do not belong together, or their algorithm is not usable in TLS.
    #[error("the private key and the certificate cannot be used together")]
    Mismatch,
    /// The machine has no root certificates.
    #[error("no root certificates were found on this machine")]
    NoRoots,
}

impl TlsError {
    /// Stable name.
    pub fn code(&self) -> &'static str {
        match self {
            TlsError::NoCertificate => "tls-no-certificate",
            TlsError::BadKey => "tls-bad-key",
            TlsError::Mismatch => "tls-key-mismatch",
            TlsError::NoRoots => "tls-no-roots",
        }
    }

    /// What is wrong and what to do.
    pub fn text(&self) -> Bilingual {
        unimplemented!()
    }
}
