//! TLS material and the client's side (RFC 8446, RFC 5246): versions 1.2 and 1.3, AEAD suites with ephemeral keys, one
//! provider (aws-lc), `http/1.1` as the only protocol offered (RFC 7301).
//!
//! Partners of AS2 often use self-signed certificates and hand them over beforehand. [`Trust::Pinned`] is made for
//! them: the certificate that the server shows must be one of those, byte for byte; host name and dates then add
//! nothing, and the handshake signature proves that the server holds the key. Nothing else of it is read, so that it may
//! be of X.509 v1, as old products make them, or have critical extensions that rustls does not know. There is no "accept
//! any". The listener's side is in [`server_tls`](super::server_tls).

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use openssl::pkey::PKey;
use openssl::sha::sha256;
use openssl::x509::X509;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
    verify_tls13_signature_with_raw_key,
};
use rustls::pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime,
};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, PeerMisbehaved, RootCertStore, SignatureScheme};

use crate::bilingual;
use crate::cms::Certificate;
use crate::cms::der::{self, Fields};
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
        let certificates = X509::stack_from_pem(chain).map_err(|_| TlsError::NoCertificate)?;
        let own = certificates.first().ok_or(TlsError::NoCertificate)?;
        // A passphrase is always given, or OpenSSL would ask for one on the terminal.
        let passphrase = passphrase.map_or(&[][..], |secret| secret.expose().as_bytes());
        let key = PKey::private_key_from_pem_passphrase(key, passphrase).map_err(|_| TlsError::BadKey)?;
        if !own.public_key().is_ok_and(|public| public.public_eq(&key)) {
            return Err(TlsError::Mismatch);
        }
        let chain = certificates.iter().map(|certificate| certificate.to_der()).collect::<Result<_, _>>();
        let chain = chain.map_err(|_| TlsError::NoCertificate)?;
        let key = key.private_key_to_pkcs8().map_err(|_| TlsError::BadKey)?;
        Ok(Identity { chain, key: Secret::new(key) })
    }

    /// DER of the certificate itself.
    pub(super) fn own(&self) -> Option<&[u8]> {
        self.chain.first().map(Vec::as_slice)
    }

    /// DER of the certificate of the chain that ends first: from then on the whole of it convinces nobody.
    pub(super) fn first_to_end(&self) -> Option<&[u8]> {
        let end = |der: &&Vec<u8>| Certificate::from_der(der).map_or(Timestamp::MAX, |one| one.not_after());
        self.chain.iter().min_by_key(end).map(Vec::as_slice)
    }

    /// The certificates and the key (PKCS#8), in DER.
    pub(super) fn der(&self) -> (&[Vec<u8>], &[u8]) {
        (&self.chain, self.key.expose())
    }

    /// Distinguishes identities, without being the key.
    pub(super) fn digest(&self) -> [u8; 32] {
        let mut hasher = openssl::sha::Sha256::new();
        for certificate in &self.chain {
            hasher.update(&sha256(certificate));
        }
        hasher.finish()
    }

    pub(super) fn rustls_chain(&self) -> Vec<CertificateDer<'static>> {
        self.chain.iter().cloned().map(CertificateDer::from).collect()
    }

    pub(super) fn rustls_key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.expose().clone()))
    }
}

impl From<&crate::keys::TlsIdentity> for Identity {
    fn from(identity: &crate::keys::TlsIdentity) -> Identity {
        let chain = identity.chain.iter().map(|certificate| certificate.der().to_vec()).collect();
        Identity { chain, key: identity.key_der.clone() }
    }
}

/// Whom a client believes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum Trust {
    /// The machine's root certificates, as they were read last ([`read_roots_again`]), and the host name.
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
        match self {
            TlsError::NoCertificate => bilingual!(
                "没有找到 PEM 格式的证书；请检查证书文件",
                "no certificate in PEM form was found; check the certificate file"
            ),
            TlsError::BadKey => bilingual!(
                "无法读取私钥；请检查文件格式和口令",
                "the private key cannot be read; check its form and its passphrase"
            ),
            TlsError::Mismatch => bilingual!(
                "私钥与证书不匹配，或不能用于 TLS（RSA 密钥不足 2048 位，或证书不是 X.509 v3）；请检查两个文件是否成对",
                "the private key and the certificate cannot be used together, or not for TLS (an RSA key of less than 2048 bits, a certificate that is not X.509 v3); check that the two files are a pair"
            ),
            TlsError::NoRoots => bilingual!(
                "本机没有根证书；请安装 ca-certificates，或为合作方指定 TLS 证书",
                "this machine has no root certificates; install ca-certificates or name the partner's TLS certificate"
            ),
        }
    }
}

/// Reads the machine's root certificates again (blocking I/O). Once they are others, every client that believes them goes by
/// them, with new connections. Where none is found any more, those that are known stay.
pub fn read_roots_again() {
    MACHINE.read_again();
}

/// What the machine has.
static MACHINE: LazyLock<Arc<Roots>> = LazyLock::new(|| {
    Arc::new(Roots::new(|| rustls_native_certs::load_native_certs().certs.iter().map(|found| found.to_vec()).collect()))
});

/// Root certificates: read when they are first needed, and from then on when somebody says so.
pub(super) struct Roots {
    source: Box<dyn Fn() -> BTreeSet<Vec<u8>> + Send + Sync>,
    /// In DER; none before they are needed.
    known: Mutex<BTreeSet<Vec<u8>>>,
    changes: AtomicU64,
}

impl Roots {
    /// Those that `source` gives, in DER.
    pub(super) fn new(source: impl Fn() -> BTreeSet<Vec<u8>> + Send + Sync + 'static) -> Roots {
        Roots { source: Box::new(source), known: Mutex::default(), changes: AtomicU64::new(0) }
    }

    /// The machine's.
    pub(super) fn of_machine() -> Arc<Roots> {
        MACHINE.clone()
    }

    /// How often others were found than before.
    pub(super) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    pub(super) fn read_again(&self) {
        let found = (self.source)();
        let mut known = self.known();
        if found == *known {
            return;
        }
        if found.is_empty() {
            tracing::warn!(event = "roots-missing", "the machine's root certificates are not found; those known stay");
            return;
        }
        tracing::info!(event = "roots-changed", roots = found.len(), "the machine's root certificates were read again");
        *known = found;
        self.changes.fetch_add(1, Ordering::Release);
    }

    /// In DER; read now if they never were.
    pub(super) fn certificates(&self) -> Vec<Vec<u8>> {
        let mut known = self.known();
        if known.is_empty() {
            *known = (self.source)();
        }
        known.iter().cloned().collect()
    }

    fn store(&self) -> Result<RootCertStore, TlsError> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(self.certificates().into_iter().map(CertificateDer::from));
        if roots.is_empty() { Err(TlsError::NoRoots) } else { Ok(roots) }
    }

    fn known(&self) -> MutexGuard<'_, BTreeSet<Vec<u8>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Roots")
    }
}

/// The client side of a TLS profile on this machine.
pub(super) fn client_config(trust: &Trust, identity: Option<&Identity>) -> Result<Arc<ClientConfig>, TlsError> {
    client_config_with(&MACHINE, trust, identity)
}

/// The same with `roots` for those of the machine.
pub(super) fn client_config_with(
    roots: &Roots,
    trust: &Trust,
    identity: Option<&Identity>,
) -> Result<Arc<ClientConfig>, TlsError> {
    let provider = provider();
    let verifier: Arc<dyn ServerCertVerifier> = match trust {
        Trust::System => roots_verifier(roots.store()?, &provider).ok_or(TlsError::NoRoots)?,
        Trust::Pinned(certificates) => Arc::new(PinnedCertificates::new(certificates, &provider)),
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| TlsError::Mismatch)?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => builder
            .with_client_auth_cert(identity.rustls_chain(), identity.rustls_key())
            .map_err(|_| TlsError::Mismatch)?,
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn roots_verifier(roots: RootCertStore, provider: &Arc<CryptoProvider>) -> Option<Arc<WebPkiServerVerifier>> {
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build().ok()
}

/// Believes the certificates it was given, and what they issued for the host's name.
#[derive(Debug)]
struct PinnedCertificates {
    /// SHA-256 of the DER of each.
    fingerprints: Vec<[u8; 32]>,
    /// The same certificates as issuers.
    issuers: Option<Arc<WebPkiServerVerifier>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl PinnedCertificates {
    fn new(certificates: &[Vec<u8>], provider: &Arc<CryptoProvider>) -> PinnedCertificates {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(certificates.iter().cloned().map(CertificateDer::from));
        PinnedCertificates {
            fingerprints: certificates.iter().map(|der| sha256(der)).collect(),
            issuers: roots_verifier(roots, provider),
            algorithms: provider.signature_verification_algorithms,
        }
    }

    fn knows(&self, certificate: &CertificateDer<'_>) -> bool {
        self.fingerprints.contains(&sha256(certificate))
    }
}

impl ServerCertVerifier for PinnedCertificates {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.knows(end_entity) {
            return Ok(ServerCertVerified::assertion());
        }
        match &self.issuers {
            Some(issuers) => issuers.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now),
            None => Err(CertificateError::UnknownIssuer.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        if self.knows(cert) {
            return verify_tls12_by_key(message, cert, dss, &self.algorithms);
        }
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        if self.knows(cert) {
            return verify_tls13_by_key(message, cert, dss, &self.algorithms);
        }
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Verifies a handshake's signature (RFC 5246 7.4.3 and 7.4.8) with the public key of a certificate that is known byte for
/// byte, and reads nothing else of it.
pub(super) fn verify_tls12_by_key(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    dss: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, rustls::Error> {
    let public_key = public_key_of(certificate)?;
    let (kind, key) = kind_and_bits(&public_key).ok_or(CertificateError::BadEncoding)?;
    let scheme = algorithms.mapping.iter().find(|(scheme, _)| *scheme == dss.scheme);
    let (_, candidates) = scheme.ok_or(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme)?;
    // In 1.2 a scheme says nothing about the curve (RFC 8422 5.1.1): it is that of the key.
    let algorithm = candidates.iter().find(|algorithm| *algorithm.public_key_alg_id() == *kind);
    match algorithm.map(|algorithm| algorithm.verify_signature(key, message, dss.signature())) {
        Some(Ok(())) => Ok(HandshakeSignatureValid::assertion()),
        _ => Err(CertificateError::BadSignature.into()),
    }
}

/// The same for RFC 8446 4.4.3.
pub(super) fn verify_tls13_by_key(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    dss: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, rustls::Error> {
    let public_key = SubjectPublicKeyInfoDer::from(public_key_of(certificate)?);
    verify_tls13_signature_with_raw_key(message, &public_key, dss, algorithms)
}

/// The SubjectPublicKeyInfo of a certificate of any version (RFC 5280 4.1.2.7), in DER.
fn public_key_of(certificate: &[u8]) -> Result<Vec<u8>, CertificateError> {
    let key = X509::from_der(certificate).and_then(|certificate| certificate.public_key()?.public_key_to_der());
    key.map_err(|_| CertificateError::BadEncoding)
}

/// What is in its AlgorithmIdentifier, and the key itself.
fn kind_and_bits(public_key: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut fields = Fields::only(public_key, der::SEQUENCE).ok()?.fields();
    let kind = fields.expect(der::SEQUENCE).ok()?.content;
    let (unused, key) = fields.expect(der::BIT_STRING).ok()?.content.split_first()?;
    (*unused == 0).then_some((kind, key))
}

#[cfg(test)]
#[path = "tls_tests.rs"]
mod tests;
