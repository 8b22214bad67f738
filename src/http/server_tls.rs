//! TLS of a listener: what it shows, and what it asks of its clients (RFC 8446 4.3.2, RFC 5246 7.4.4).
//!
//! A client certificate says who speaks before a byte of AS2 is read. Whom it belongs to is a matter of partners, which
//! this layer does not know: it proves that the client holds the certificate's key, says whether the listener's own
//! issuers vouch for it, and, where a certificate is required, lets only those in that are issued so or known.

use std::fmt;
use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig, SignatureScheme,
};

use super::exchange::ClientCertificate;
use super::tls::{Identity, TlsError, provider, verify_tls12_by_key, verify_tls13_by_key};

/// What a server asks of its clients.
#[derive(Clone, Default)]
pub enum ClientAuth {
    /// No certificate is asked for.
    #[default]
    None,
    /// A certificate is asked for and may be withheld. Any certificate whose key the client holds is let through: who
    /// it belongs to is decided by whoever reads [`Exchange::client`](super::Exchange::client).
    Ask(ClientTrust),
    /// Without a certificate that is issued or known the handshake fails.
    Require(ClientTrust),
}

/// Which client certificates count.
#[derive(Clone)]
pub struct ClientTrust {
    /// DER of the certificates whose holders issue client certificates; may be empty.
    pub issuers: Vec<Vec<u8>>,
    /// Whether somebody knows this certificate (DER) as its own; asked twice in each handshake, so it must be quick.
    pub known: Known,
}

/// See [`ClientTrust::known`].
pub type Known = Arc<dyn Fn(&[u8]) -> bool + Send + Sync>;

impl ClientAuth {
    /// A certificate is required.
    pub fn is_required(&self) -> bool {
        matches!(self, ClientAuth::Require(_))
    }

    fn trust(&self) -> Option<&ClientTrust> {
        match self {
            ClientAuth::None => None,
            ClientAuth::Ask(trust) | ClientAuth::Require(trust) => Some(trust),
        }
    }
}

impl fmt::Debug for ClientAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ClientAuth::None => "None",
            ClientAuth::Ask(_) => "Ask",
            ClientAuth::Require(_) => "Require",
        })
    }
}

/// The TLS side of a listener. Clones share one setting; [`ServerTls::replace`] changes it for new connections; what is
/// asked for counts for the next request of open ones too.
#[derive(Clone)]
pub struct ServerTls {
    side: Arc<ArcSwap<Side>>,
    instead: Arc<ArcSwapOption<Vec<u8>>>,
}

/// The setting of the moment.
pub(super) struct Side {
    pub(super) config: Arc<ServerConfig>,
    pub(super) required: bool,
    /// DER of the certificate that is shown.
    own: Vec<u8>,
    /// DER of the one of its chain that ends first; it may be that itself.
    first_to_end: Vec<u8>,
    issuers: Option<Arc<dyn ClientCertVerifier>>,
}

impl ServerTls {
    /// A listener that shows `identity`.
    ///
    /// # Errors
    /// Key and certificate, or the issuers, cannot be used.
    pub fn new(identity: &Identity, clients: &ClientAuth) -> Result<ServerTls, TlsError> {
        Ok(ServerTls { side: Arc::new(ArcSwap::from_pointee(side(identity, clients)?)), instead: Arc::default() })
    }

    /// Shows `identity` to every connection from now on.
    ///
    /// # Errors
    /// As for [`ServerTls::new`]; nothing is changed then.
    pub fn replace(&self, identity: &Identity, clients: &ClientAuth) -> Result<(), TlsError> {
        self.side.store(Arc::new(side(identity, clients)?));
        Ok(())
    }

    /// Shows what `other` shows, and asks what it asks, from now on: several listeners can be judged before the first of
    /// them changes.
    pub fn show_as(&self, other: &ServerTls) {
        self.side.store(other.current());
    }

    /// From now on every client hears these bytes instead of a handshake, and the connection ends; `None`: no more of
    /// that. For a server that is there to be tried against, never for one that is to be reached.
    pub fn answer_instead(&self, bytes: Option<Vec<u8>>) {
        self.instead.store(bytes.map(Arc::new));
    }

    /// What is said instead of a handshake.
    pub(super) fn instead(&self) -> Option<Arc<Vec<u8>>> {
        self.instead.load_full()
    }

    /// DER of the certificate that new connections are shown.
    pub fn certificate(&self) -> Vec<u8> {
        self.side.load().own.clone()
    }

    /// DER of the certificate that ends first among those that new connections are shown: that one, or one of its issuers.
    pub fn first_to_end(&self) -> Vec<u8> {
        self.side.load().first_to_end.clone()
    }

    pub(super) fn current(&self) -> Arc<Side> {
        self.side.load_full()
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerTls")
    }
}

impl Side {
    /// The certificate that a client has shown, judged now: a resumed session brings one that was judged earlier.
    pub(super) fn client(&self, shown: Option<&[CertificateDer<'_>]>) -> Option<ClientCertificate> {
        let (own, intermediates) = shown?.split_first()?;
        let issued = |issuers: &Arc<dyn ClientCertVerifier>| {
            issuers.verify_client_cert(own, intermediates, UnixTime::now()).is_ok()
        };
        Some(ClientCertificate { der: own.to_vec(), issued: self.issuers.as_ref().is_some_and(issued) })
    }
}

fn side(identity: &Identity, clients: &ClientAuth) -> Result<Side, TlsError> {
    let provider = provider();
    let issuers = match clients.trust().filter(|trust| !trust.issuers.is_empty()) {
        None => None,
        Some(trust) => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(trust.issuers.iter().cloned().map(CertificateDer::from));
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build();
            Some(verifier.map_err(|_| TlsError::NoCertificate)?)
        }
    };
    let verifier = clients.trust().map(|trust| HeldCertificate {
        required: clients.is_required(),
        issuers: issuers.clone(),
        known: trust.known.clone(),
        algorithms: provider.signature_verification_algorithms,
    });
    let builder = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| TlsError::Mismatch)?;
    let builder = match verifier {
        None => builder.with_no_client_auth(),
        Some(verifier) => builder.with_client_cert_verifier(Arc::new(verifier)),
    };
    let mut config =
        builder.with_single_cert(identity.rustls_chain(), identity.rustls_key()).map_err(|_| TlsError::Mismatch)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let own = identity.own().ok_or(TlsError::NoCertificate)?.to_vec();
    let first_to_end = identity.first_to_end().ok_or(TlsError::NoCertificate)?.to_vec();
    Ok(Side { config: Arc::new(config), required: clients.is_required(), own, first_to_end, issuers })
}

/// The client holds the key of the certificate that it shows; where one is required, somebody vouches for it as well.
struct HeldCertificate {
    required: bool,
    issuers: Option<Arc<dyn ClientCertVerifier>>,
    known: Known,
    algorithms: WebPkiSupportedAlgorithms,
}

impl fmt::Debug for HeldCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeldCertificate").field("required", &self.required).finish_non_exhaustive()
    }
}

impl ClientCertVerifier for HeldCertificate {
    fn client_auth_mandatory(&self) -> bool {
        self.required
    }

    /// None: a client with a self-signed certificate that a partner handed over must not be led to withhold it.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        if !self.required || (self.known)(end_entity) {
            return Ok(ClientCertVerified::assertion());
        }
        match &self.issuers {
            Some(issuers) => issuers.verify_client_cert(end_entity, intermediates, now),
            None => Err(CertificateError::UnknownIssuer.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        if (self.known)(cert) {
            return verify_tls12_by_key(message, cert, dss, &self.algorithms);
        }
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        if (self.known)(cert) {
            return verify_tls13_by_key(message, cert, dss, &self.algorithms);
        }
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
#[path = "server_tls_tests.rs"]
mod tests;
