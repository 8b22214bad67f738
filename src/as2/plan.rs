//! What the agreement with a partner demands, as plain values: the caller makes them from its configuration.

use jiff::Timestamp;

use super::{As2Name, MessageId};
use crate::cms::{Certificate, ContentCipher, DigestAlgorithm, GcmForm, KeyTransport, SignatureScheme, SigningKey};

/// How one message is to be sent.
#[derive(Debug, Clone)]
pub struct SendPlan {
    /// Our name, `AS2-From`.
    pub from: As2Name,
    /// The partner's name, `AS2-To`.
    pub to: As2Name,
    /// Sign with this, if at all.
    pub signing: Option<Signing>,
    /// Encrypt with this, if at all.
    pub encryption: Option<Encryption>,
    /// Whether and where to compress (RFC 5402 3.2, 3.3).
    pub compression: Compression,
    /// The receipt to ask for.
    pub mdn: MdnAsk,
    /// The payload's media type, e.g. `application/xml`.
    pub content_type: String,
    /// The payload's file name, carried on the innermost entity.
    pub file_name: Option<String>,
    /// `Subject`, shown by some products.
    pub subject: Option<String>,
    /// How `micalg` and `signed-receipt-micalg` are spelled for this partner.
    pub micalg_style: MicalgStyle,
}

/// What makes one message unique; given by the caller so that a message can be composed once and sent many times.
#[derive(Debug, Clone)]
pub struct Stamp {
    /// `Message-ID`.
    pub message_id: MessageId,
    /// `Date` and signing time.
    pub date: Timestamp,
}

/// How to sign.
#[derive(Debug, Clone)]
pub struct Signing {
    /// The key and its certificate.
    pub key: SigningKey,
    /// The digest algorithm, named in `micalg`.
    pub digest: DigestAlgorithm,
    /// RSA PKCS #1 v1.5, PSS or ECDSA.
    pub scheme: SignatureScheme,
}

/// How to encrypt.
#[derive(Debug, Clone)]
pub struct Encryption {
    /// The certificates that can decrypt: the partner's current one, and during a rollover the next one.
    pub recipients: Vec<Certificate>,
    /// The content cipher.
    pub cipher: ContentCipher,
    /// How a GCM cipher is written.
    pub gcm_form: GcmForm,
    /// How the content key travels.
    pub transport: KeyTransport,
}

/// Whether and where the one allowed compression layer goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// No compression.
    #[default]
    None,
    /// The payload entity is compressed, then signed (RFC 5402 3.2).
    BeforeSigning,
    /// The signed entity is compressed (RFC 5402 3.3). Without a signature the same as `BeforeSigning`.
    AfterSigning,
}

/// The receipt to ask for (RFC 4130 7.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MdnAsk {
    /// None, in the answer to the POST, or later to a URL of ours.
    pub mode: MdnMode,
    /// A signed receipt.
    pub signed: bool,
    /// Acceptable MIC algorithms, best first. Empty: the signature's digest, or SHA-256.
    pub micalgs: Vec<DigestAlgorithm>,
}

impl MdnAsk {
    /// No receipt.
    pub fn none() -> MdnAsk {
        MdnAsk { mode: MdnMode::None, signed: false, micalgs: Vec::new() }
    }
}

/// How the receipt comes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MdnMode {
    /// No receipt is asked for.
    None,
    /// In the HTTP response.
    Sync,
    /// By a POST of the partner.
    Async {
        /// Our URL, `Receipt-Delivery-Option`.
        url: String,
    },
}

/// Spelling of SHA-2 names in `micalg` and `signed-receipt-micalg`; SHA-1 is always `sha1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MicalgStyle {
    /// `sha-256` (RFC 5751 3.4.3.2 and later).
    #[default]
    Hyphenated,
    /// `sha256` (RFC 3851 3.4.3.2), for partners that know nothing else.
    Plain,
}

impl MicalgStyle {
    /// The name of `algorithm` in this spelling.
    pub fn name(self, algorithm: DigestAlgorithm) -> String {
        match self {
            MicalgStyle::Hyphenated => algorithm.micalg().to_owned(),
            MicalgStyle::Plain => algorithm.micalg().replace('-', ""),
        }
    }
}

/// What a received message must satisfy, whatever it says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptPolicy {
    /// Unsigned messages are refused.
    pub require_signature: bool,
    /// Unencrypted messages are refused.
    pub require_encryption: bool,
    /// Digest algorithms a signature may use.
    pub digests: Vec<DigestAlgorithm>,
    /// Signature schemes a signature may use.
    pub schemes: Vec<SignatureScheme>,
    /// Content ciphers an envelope may use.
    pub ciphers: Vec<ContentCipher>,
    /// GCM ciphers may stand in EnvelopedData, as Bouncy Castle and PKI.js write them.
    pub gcm_in_enveloped: bool,
    /// Algorithms in which we answer with a MIC; what a sender asks for outside of these is not supported.
    pub mic_algorithms: Vec<DigestAlgorithm>,
    /// Bytes of the payload; the smaller of this and `Limits::payload` counts.
    pub max_payload: u64,
}

/// Signed and encrypted, SHA-2 and AES only; MICs in any algorithm that receipts name.
impl Default for AcceptPolicy {
    fn default() -> Self {
        AcceptPolicy {
            require_signature: true,
            require_encryption: true,
            digests: DigestAlgorithm::STANDARD.to_vec(),
            schemes: SignatureScheme::ALL.to_vec(),
            ciphers: ContentCipher::STANDARD.to_vec(),
            gcm_in_enveloped: false,
            mic_algorithms: DigestAlgorithm::ALL.to_vec(),
            max_payload: u64::MAX,
        }
    }
}
