//! What can go wrong with CMS, by whose fault. No variant carries bytes of a message or of a key.

use std::io;

use openssl::error::ErrorStack;

use super::ber::BerError;
use super::der::DerError;
use super::{ContentCipher, DigestAlgorithm, KeyTransport};
use crate::bilingual;
use crate::ground::text::Bilingual;

/// Why an envelope, compressed data, a key or a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CmsError {
    // The sender's fault.
    /// The bytes are not the CMS structure expected, or break a limit.
    #[error("malformed CMS structure: {0}")]
    Malformed(&'static str),
    /// The ContentInfo is of another type than the one asked for.
    #[error("another CMS content type than expected")]
    WrongContentType,
    /// The content is encrypted with a cipher that dxgate does not know.
    #[error("unknown content cipher")]
    UnknownCipher,
    /// The cipher is known but the agreement does not allow it.
    #[error("content cipher {0} is not allowed")]
    CipherNotAllowed(ContentCipher),
    /// The cipher is allowed, but this installation of OpenSSL cannot compute it: RC2 without the legacy provider, SM4
    /// where it was built without.
    #[error("this installation of OpenSSL cannot compute the content cipher {0}")]
    CipherUnavailable(ContentCipher),
    /// A GCM cipher in EnvelopedData, unless the agreement allows that form, or a CBC cipher in AuthEnvelopedData (RFC 5083, RFC 5084).
    #[error("content cipher does not belong in this kind of envelope")]
    CipherMisplaced,
    /// No recipient entry names a certificate of ours.
    #[error("not encrypted for any of our certificates")]
    NotForUs,
    /// The key of our recipient entry is encrypted in a way that dxgate does not know.
    #[error("unknown key transport")]
    UnknownKeyTransport,
    /// The key transport is known but this key may not be used with it.
    #[error("key transport {0} is not allowed for this key")]
    KeyTransportNotAllowed(KeyTransport),
    /// Wrong key, wrong padding or wrong tag: one answer for all (RFC 3218 2.3).
    #[error("decryption failed")]
    Decrypt,
    /// The compressed bytes are not zlib, or end early.
    #[error("compressed data is damaged")]
    Inflate,
    /// The decompressed content passes `Limits::payload` or `Limits::inflate_ratio`.
    #[error("decompressed content is too large")]
    InflateLimit,

    // The operator's fault.
    /// The file holds no private key that can be read.
    #[error("not a readable private key")]
    NotAKey,
    /// The private key or PKCS#12 file needs a passphrase, or another one.
    #[error("wrong or missing passphrase")]
    Passphrase,
    /// The PKCS#12 file is encrypted in a way that OpenSSL 3 keeps in its legacy provider: RC2 of 40 bits, once the default.
    #[error("key file encrypted in an outdated way")]
    OutdatedEncryption,
    /// The file holds no certificate that can be read.
    #[error("not a readable certificate")]
    NotACertificate,
    /// A key that cannot be used here, with the reason.
    #[error("key cannot be used: {0}")]
    UnusableKey(&'static str),
    /// The text is not 64 hex digits.
    #[error("not a SHA-256 fingerprint")]
    NotAFingerprint,

    // Ours, or the machine's.
    /// Another number of content bytes was written than announced.
    #[error("content length differs from the announced one")]
    ContentLength,
    /// OpenSSL refused an operation that cannot depend on a partner's bytes.
    #[error("OpenSSL: {0}")]
    Primitive(#[from] ErrorStack),
    /// Reading or writing failed, or the reader below refused its input.
    #[error(transparent)]
    Io(io::Error),
}

impl CmsError {
    /// Stable name of the problem, for logs and JSON.
    pub fn code(&self) -> &'static str {
        match self {
            CmsError::Malformed(_) => "cms-malformed",
            CmsError::WrongContentType => "cms-wrong-content-type",
            CmsError::UnknownCipher => "cms-unknown-cipher",
            CmsError::CipherNotAllowed(_) => "cms-cipher-not-allowed",
            CmsError::CipherUnavailable(_) => "cms-cipher-unavailable",
            CmsError::CipherMisplaced => "cms-cipher-misplaced",
            CmsError::NotForUs => "cms-not-for-us",
            CmsError::UnknownKeyTransport => "cms-unknown-key-transport",
            CmsError::KeyTransportNotAllowed(_) => "cms-key-transport-not-allowed",
            CmsError::Decrypt => "cms-decryption-failed",
            CmsError::Inflate => "cms-decompression-failed",
            CmsError::InflateLimit => "cms-decompressed-too-large",
            CmsError::NotAKey => "key-unreadable",
            CmsError::Passphrase => "key-passphrase",
            CmsError::OutdatedEncryption => "key-encryption-outdated",
            CmsError::NotACertificate => "certificate-unreadable",
            CmsError::UnusableKey(_) => "key-unusable",
            CmsError::NotAFingerprint => "fingerprint-malformed",
            CmsError::ContentLength => "cms-content-length",
            CmsError::Primitive(_) => "cms-openssl",
            CmsError::Io(_) => "cms-read-failed",
        }
    }

    /// The problem and what to do about it, for the operator (never for the partner: see the module text of `enveloped`).
    pub fn text(&self) -> Bilingual {
        match self {
            CmsError::NotAKey => bilingual!(
                "无法读取私钥：需要 PEM 格式（PKCS#8 或 PKCS#1）或 PKCS#12 文件",
                "the private key cannot be read: PEM (PKCS#8 or PKCS#1) or a PKCS#12 file is expected"
            ),
            CmsError::Passphrase => {
                bilingual!(
                    "私钥口令缺失或不正确：请检查口令文件",
                    "passphrase missing or wrong: check the passphrase file"
                )
            }
            CmsError::OutdatedEncryption => bilingual!(
                "密钥文件采用了 OpenSSL 3 默认不支持的旧加密方式：请执行 openssl pkcs12 -legacy -in old.p12 -out k.pem，再用 openssl pkcs12 -export -in k.pem -out new.p12 重新导出",
                "the key file is encrypted in a way that OpenSSL 3 does not support by default: run openssl pkcs12 -legacy -in old.p12 -out k.pem, then export it anew with openssl pkcs12 -export -in k.pem -out new.p12"
            ),
            CmsError::NotACertificate => bilingual!(
                "无法读取证书：需要 PEM 或 DER 格式的 X.509 证书",
                "the certificate cannot be read: an X.509 certificate in PEM or DER is expected"
            ),
            CmsError::UnusableKey(why) => {
                bilingual!(
                    "密钥不可用（{why}）：请换用符合要求的密钥",
                    "the key cannot be used ({why}): provide another one"
                )
            }
            CmsError::NotForUs => bilingual!(
                "报文不是用本站证书加密的：请把当前证书发给对方",
                "the message is not encrypted for our certificate: send the partner the current one"
            ),
            CmsError::CipherNotAllowed(cipher) => bilingual!(
                "协议不允许加密算法 {cipher}：请对方更换，或修改合作方的 [accept]",
                "cipher {cipher} is not allowed by the agreement: ask the partner to change it, or change [accept]"
            ),
            CmsError::CipherMisplaced => bilingual!(
                "加密算法与信封类型不符：若对方使用 Bouncy Castle 或 PKI.js 的 AES-GCM，请在 [accept] 中设置 gcm_in_enveloped_data = true",
                "the content cipher does not belong in this kind of envelope: for AES-GCM as Bouncy Castle or PKI.js write it, set gcm_in_enveloped_data = true under [accept]"
            ),
            CmsError::CipherUnavailable(ContentCipher::Sm4Cbc) => bilingual!(
                "无法使用 SM4：本机的 OpenSSL 编译时未包含国密算法。请换用包含 SM2、SM3、SM4 的 OpenSSL",
                "SM4 cannot be used: this machine's OpenSSL was built without it. Install one that has SM2, SM3 and SM4"
            ),
            CmsError::CipherUnavailable(cipher) => bilingual!(
                "无法使用加密算法 {cipher}：未安装 OpenSSL 的 legacy 模块（legacy.so）",
                "cipher {cipher} cannot be used: the legacy provider of OpenSSL (legacy.so) is not installed"
            ),
            other => {
                let code = other.code();
                bilingual!("CMS 处理失败（{code}）", "CMS processing failed ({code}): {other}")
            }
        }
    }
}

impl From<io::Error> for CmsError {
    /// Takes a CMS error out of the `io::Error` in which a reader of this module reported it.
    fn from(error: io::Error) -> CmsError {
        error.downcast::<CmsError>().unwrap_or_else(CmsError::Io)
    }
}

/// Readers report CMS errors through `io::Error`.
impl From<CmsError> for io::Error {
    fn from(error: CmsError) -> io::Error {
        match error {
            CmsError::Io(inner) => inner,
            other => io::Error::new(io::ErrorKind::InvalidData, other),
        }
    }
}

impl From<BerError> for CmsError {
    fn from(error: BerError) -> CmsError {
        match error {
            BerError::Io(inner) => CmsError::from(inner),
            other => CmsError::Malformed(other.reason()),
        }
    }
}

impl From<DerError> for CmsError {
    fn from(error: DerError) -> CmsError {
        CmsError::Malformed(error.0)
    }
}

/// Why a signature does not count. Everything but [`SignatureError::Io`] and `Primitive` is the signer's doing.
#[derive(Debug, thiserror::Error)]
pub enum SignatureError {
    /// The bytes are not SignedData, or break a limit.
    #[error("malformed SignedData: {0}")]
    Malformed(&'static str),
    /// There is not exactly one SignerInfo.
    #[error("exactly one signer is required")]
    NotOneSigner,
    /// A detached signature carries content (RFC 8551 3.5.3), which could be mistaken for what was signed.
    #[error("detached signature with content inside")]
    ContentPresent,
    /// Opaque SignedData without content.
    #[error("signed data without content")]
    ContentAbsent,
    /// The signer's digest algorithm is unknown.
    #[error("unknown digest algorithm")]
    UnknownDigest,
    /// The signer's digest was not computed over the content: the caller does not accept it, or it was not announced.
    #[error("digest {0} is not acceptable")]
    DigestNotComputed(DigestAlgorithm),
    /// The signature algorithm is unknown, or its parameters contradict the digest (RFC 4056 3).
    #[error("signature algorithm not supported")]
    UnknownScheme,
    /// The signed attributes are not as RFC 5652 5.3 and 11 demand.
    #[error("signed attributes: {0}")]
    Attributes(&'static str),
    /// No pinned certificate matches the signer identifier.
    #[error("the signer is none of the expected certificates")]
    UnknownSigner,
    /// The signer's key is none of [`KeyKind`](super::KeyKind), or not of the kind that its signature algorithm needs.
    #[error("the signer's key is too weak or of the wrong kind")]
    WeakKey,
    /// The content is not what was signed.
    #[error("content digest differs from the signed one")]
    DigestMismatch,
    /// The signature is not by the expected key.
    #[error("signature is wrong")]
    BadSignature,
    /// Content read through the opaque reader failed.
    #[error(transparent)]
    Io(io::Error),
}

impl SignatureError {
    /// Stable name of the problem, for logs and JSON.
    pub fn code(&self) -> &'static str {
        match self {
            SignatureError::Malformed(_) => "signature-malformed",
            SignatureError::NotOneSigner => "signature-not-one-signer",
            SignatureError::ContentPresent => "signature-content-present",
            SignatureError::ContentAbsent => "signature-content-absent",
            SignatureError::UnknownDigest => "signature-unknown-digest",
            SignatureError::DigestNotComputed(_) => "signature-digest-not-accepted",
            SignatureError::UnknownScheme => "signature-unknown-scheme",
            SignatureError::Attributes(_) => "signature-attributes",
            SignatureError::UnknownSigner => "signature-unknown-signer",
            SignatureError::WeakKey => "signature-weak-key",
            SignatureError::DigestMismatch => "signature-digest-mismatch",
            SignatureError::BadSignature => "signature-wrong",
            SignatureError::Io(_) => "signature-read-failed",
        }
    }

    /// The signature may be good, for other content than this.
    pub fn is_about_content(&self) -> bool {
        matches!(self, SignatureError::DigestMismatch | SignatureError::BadSignature)
    }

    /// The problem and what to do about it, for the operator.
    pub fn text(&self) -> Bilingual {
        match self {
            SignatureError::UnknownSigner => bilingual!(
                "签名者不是该合作方登记的证书：请核对对方是否更换了证书",
                "the signer is none of the partner's registered certificates: ask whether the partner changed its certificate"
            ),
            SignatureError::DigestNotComputed(digest) => bilingual!(
                "协议不接受摘要算法 {digest}：请对方更换，或修改合作方的 [accept]",
                "digest {digest} is not accepted by the agreement: ask the partner to change it, or change [accept]"
            ),
            SignatureError::DigestMismatch | SignatureError::BadSignature => bilingual!(
                "签名与内容不符：报文在签名后被改动，或不是用登记的私钥签名",
                "signature and content do not agree: the message was changed after signing, or another key signed it"
            ),
            other => {
                let code = other.code();
                bilingual!("签名验证失败（{code}）", "the signature was refused ({code}): {other}")
            }
        }
    }
}

impl From<BerError> for SignatureError {
    fn from(error: BerError) -> SignatureError {
        match error {
            BerError::Io(inner) => SignatureError::Io(inner),
            other => SignatureError::Malformed(other.reason()),
        }
    }
}

impl From<DerError> for SignatureError {
    fn from(error: DerError) -> SignatureError {
        SignatureError::Malformed(error.0)
    }
}

/// Readers report signature errors through `io::Error`.
impl From<SignatureError> for io::Error {
    fn from(error: SignatureError) -> io::Error {
        match error {
            SignatureError::Io(inner) => inner,
            other => io::Error::new(io::ErrorKind::InvalidData, other),
        }
    }
}
