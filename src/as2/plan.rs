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
    /// The `AS2-Version` that we show this partner.
    pub version: As2Version,
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
    /// The envelope goes out in lines of base64 instead of as it is.
    pub base64: bool,
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

/// The `AS2-Version` of what we send. Received messages and receipts may have any 1.x.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum As2Version {
    /// RFC 4130 alone: libas2 writes it, and some old products refuse anything newer.
    V1_0,
    /// Compression (RFC 5402 6): OpenAS2, phase2, Camel.
    V1_1,
    /// `EDIINT-Features` (RFC 6017).
    #[default]
    V1_2,
    /// The algorithms of draft-ietf-ediint-rfc4130bis, and `AS2-Product`.
    V1_3,
}

impl As2Version {
    /// Every version, oldest first.
    pub const ALL: [As2Version; 4] = [As2Version::V1_0, As2Version::V1_1, As2Version::V1_2, As2Version::V1_3];

    /// The field's value.
    pub fn value(self) -> &'static str {
        match self {
            As2Version::V1_0 => "1.0",
            As2Version::V1_1 => "1.1",
            As2Version::V1_2 => "1.2",
            As2Version::V1_3 => "1.3",
        }
    }
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
    /// The MIC of a signed message has the first algorithm that the sender lists, even if the list holds that of the
    /// signature: for senders that compute that one only (OpenAS2, phase2, mendelson).
    pub mic_as_listed: bool,
    /// The MIC of an unsigned message whose sender lists no algorithm: RFC 4130 7.4.3 says SHA-1, its successor SHA-256.
    pub mic_unlisted: DigestAlgorithm,
    /// Where no signature is demanded, one by none of the partner's certificates counts as none and is answered with a
    /// warning (RFC 4130 7.5.5). Not inside of an envelope without integrity.
    pub unknown_signers: bool,
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
            schemes: SignatureScheme::STANDARD.to_vec(),
            ciphers: ContentCipher::STANDARD.to_vec(),
            gcm_in_enveloped: false,
            mic_algorithms: DigestAlgorithm::ALL.to_vec(),
            mic_as_listed: false,
            mic_unlisted: DigestAlgorithm::Sha256,
            unknown_signers: false,
            max_payload: u64::MAX,
        }
    }
}
