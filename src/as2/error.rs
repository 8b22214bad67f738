//! What can go wrong, sorted by whose fault it is, and the one map from failures to what the partner is told.
//!
//! Every failure has three faces: the partner's ([`Disposition`] and a fixed sentence, the same for everything between
//! decryption and verification of an unauthenticated envelope), the operator's (`code()` and `text()`), and the log's
//! (`Display` with its sources).

use std::io;

use super::Disposition;
use super::message_id::MessageIdError;
use super::name::NameError;
use crate::bilingual;
use crate::cms::{CmsError, ContentCipher, DigestAlgorithm, SignatureError, SignatureScheme};
use crate::ground::text::Bilingual;
use crate::mime::MimeError;

/// The header fields of a POST are not those of an AS2 message. The sender's fault; answered with 400, without MDN.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// A field that every AS2 message has.
    #[error("header field {0} is missing")]
    Missing(&'static str),
    /// A field that may occur once occurs twice.
    #[error("header field {0} occurs more than once")]
    Repeated(&'static str),
    /// `AS2-From` or `AS2-To` holds no AS2 name.
    #[error("header field {field} is not an AS2 name: {cause}")]
    Name {
        /// Which of the two.
        field: &'static str,
        /// What is wrong with it.
        cause: NameError,
    },
    /// `Message-ID` cannot be used.
    #[error("header field Message-ID: {0}")]
    MessageId(#[from] MessageIdError),
    /// `AS2-Version` is not 1.x.
    #[error("AS2-Version is not 1.x")]
    Version,
    /// `Content-Type` cannot be read.
    #[error("Content-Type cannot be read")]
    ContentType,
}

impl RequestError {
    /// Stable name of the problem.
    pub fn code(&self) -> &'static str {
        match self {
            RequestError::Missing(_) => "as2-header-missing",
            RequestError::Repeated(_) => "as2-header-repeated",
            RequestError::Name { .. } => "as2-name-invalid",
            RequestError::MessageId(_) => "as2-message-id-invalid",
            RequestError::Version => "as2-version-unsupported",
            RequestError::ContentType => "as2-content-type-invalid",
        }
    }

    /// The same for people.
    pub fn text(&self) -> Bilingual {
        bilingual!(
            "收到的请求不是有效的 AS2 报文：{self}。请对方检查其 AS2 软件的请求头",
            "the request is not a valid AS2 message: {self}; ask the partner to check the header fields its software sends"
        )
    }
}

/// A message or MDN of ours could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ComposeError {
    /// A value of the plan cannot stand in a header field.
    #[error("a value cannot be written as a header field: {0}")]
    Header(#[from] MimeError),
    /// Signing, encrypting or compressing failed.
    #[error("the message could not be protected: {0}")]
    Cms(#[from] CmsError),
    /// The payload has not the length it announced.
    #[error("the payload changed while it was read")]
    PayloadChanged,
    /// The plan names no recipient certificate although it encrypts.
    #[error("no certificate to encrypt for")]
    NoRecipient,
    /// Reading the payload or writing the result failed.
    #[error("the message could not be read or written: {0}")]
    Io(#[from] io::Error),
}

impl ComposeError {
    /// Stable name of the problem.
    pub fn code(&self) -> &'static str {
        match self {
            ComposeError::Header(_) => "compose-header-invalid",
            ComposeError::Cms(_) => "compose-protection-failed",
            ComposeError::PayloadChanged => "compose-payload-changed",
            ComposeError::NoRecipient => "compose-no-recipient",
            ComposeError::Io(_) => "compose-io",
        }
    }

    /// The same for people.
    pub fn text(&self) -> Bilingual {
        match self {
            ComposeError::Header(cause) => bilingual!(
                "报文头无法写出（{cause}）：请检查伙伴配置中的内容类型、主题和文件名",
                "a header field cannot be written ({cause}): check content type, subject and file name of the partner's configuration"
            ),
            ComposeError::Cms(cause) => bilingual!(
                "签名、加密或压缩失败（{cause}）：请检查该伙伴的密钥和证书",
                "signing, encrypting or compressing failed ({cause}): check the keys and certificates of this partner"
            ),
            ComposeError::PayloadChanged => {
                bilingual!("文件在读取时发生变化：请重新投递", "the file changed while it was read: submit it again")
            }
            ComposeError::NoRecipient => bilingual!(
                "没有可用于加密的伙伴证书：请导入对方的加密证书",
                "there is no partner certificate to encrypt for: import the partner's encryption certificate"
            ),
            ComposeError::Io(cause) => bilingual!(
                "读写失败（{cause}）：请检查磁盘空间和权限",
                "reading or writing failed ({cause}): check disk space and permissions"
            ),
        }
    }
}

/// Why a received message was not accepted. For the operator and the log; the partner sees [`OpenError::told`] at most.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    // Ours, and [`OpenError::Decryption`] in part.
    /// The payload could not be written.
    #[error("the payload could not be written: {0}")]
    Sink(#[source] io::Error),
    /// The received bytes could not be read back or the transfer broke off.
    #[error("the received body could not be read: {0}")]
    Body(#[source] io::Error),

    // The agreement's.
    /// The message is not signed.
    #[error("the agreement demands a signature, the message has none")]
    NotSigned,
    /// The message is not encrypted.
    #[error("the agreement demands encryption, the message is not encrypted")]
    NotEncrypted,
    /// The signature's digest is not allowed.
    #[error("the agreement does not allow signatures with {0}")]
    Digest(DigestAlgorithm),
    /// The signature's scheme is not allowed.
    #[error("the agreement does not allow {0} signatures")]
    Scheme(SignatureScheme),
    /// The envelope's cipher is not allowed.
    #[error("the agreement does not allow {0}")]
    Cipher(ContentCipher),
    /// The payload is larger than allowed.
    #[error("the payload is larger than allowed")]
    TooLarge,

    // The partner's.
    /// The envelope could not be opened: not for us, damaged, or not an envelope.
    #[error("decryption failed: {0}")]
    Decryption(#[source] CmsError),
    /// The compressed layer could not be read.
    #[error("decompression failed: {0}")]
    Decompression(#[source] CmsError),
    /// Two compression layers (RFC 5402 3: one at most).
    #[error("the message is compressed twice")]
    CompressedTwice,
    /// The signature does not hold.
    #[error("the signature is not valid: {0}")]
    Signature(#[source] SignatureError),
    /// The MIME structure cannot be read.
    #[error("the MIME structure cannot be read: {0}")]
    Mime(#[source] MimeError),
    /// Layers in an order that AS2 does not know, or too many of them.
    #[error("the layers of the message are not those of AS2: {0}")]
    Layers(&'static str),
    /// Bytes after the end of a CMS structure.
    #[error("bytes follow the end of the message")]
    TrailingBytes,
}

impl OpenError {
    /// What the partner is told when it may be told the truth: the message was not hidden in an unauthenticated
    /// envelope, or its signature was verified.
    pub fn told(&self) -> Disposition {
        match self {
            OpenError::Sink(_) | OpenError::Body(_) => Disposition::unexpected_processing_error(),
            OpenError::NotSigned | OpenError::NotEncrypted => Disposition::insufficient_message_security(),
            OpenError::Digest(_) | OpenError::Scheme(_) => Disposition::insufficient_message_security(),
            OpenError::Cipher(_) | OpenError::Decryption(_) => Disposition::decryption_failed(),
            OpenError::TooLarge => Disposition::unexpected_processing_error(),
            OpenError::Decompression(_) | OpenError::CompressedTwice => Disposition::decompression_failed(),
            OpenError::Signature(cause) => signature_told(cause),
            OpenError::Mime(_) | OpenError::Layers(_) | OpenError::TrailingBytes => {
                Disposition::unexpected_processing_error()
            }
        }
    }

    /// The sentence for the human-readable part of the MDN that goes with [`OpenError::told`]; fixed per disposition.
    pub fn explanation(&self) -> &'static str {
        match self {
            OpenError::Sink(_) | OpenError::Body(_) => {
                "The message could not be processed. Please send it again later."
            }
            OpenError::NotSigned => "The message is not signed, although the agreement demands a signature.",
            OpenError::NotEncrypted => "The message is not encrypted, although the agreement demands encryption.",
            OpenError::Digest(_) | OpenError::Scheme(_) => "The agreement does not allow the signature algorithm used.",
            OpenError::Cipher(_) | OpenError::Decryption(_) => UNIFORM_EXPLANATION,
            OpenError::TooLarge => "The payload is larger than the agreement allows.",
            OpenError::Decompression(_) => "The compressed content could not be read.",
            OpenError::CompressedTwice => "The message is compressed more than once.",
            OpenError::Signature(_) => "The signature could not be verified.",
            OpenError::Mime(_) | OpenError::Layers(_) => "The structure of the message could not be read.",
            OpenError::TrailingBytes => "Unexpected data follow the end of the message.",
        }
    }

    /// The failure is on our side: the same message may succeed later, so it should be answered with 503, not an MDN. That this
    /// machine lacks a cipher, or OpenSSL fails, is found before any key is used: it tells nothing of one.
    pub fn is_ours(&self) -> bool {
        matches!(
            self,
            OpenError::Sink(_)
                | OpenError::Body(_)
                | OpenError::Decryption(CmsError::CipherUnavailable(_) | CmsError::Primitive(_))
        )
    }

    /// Stable name of the problem.
    pub fn code(&self) -> &'static str {
        match self {
            OpenError::Sink(_) => "open-payload-not-written",
            OpenError::Body(_) => "open-body-not-read",
            OpenError::NotSigned => "open-not-signed",
            OpenError::NotEncrypted => "open-not-encrypted",
            OpenError::Digest(_) => "open-digest-not-allowed",
            OpenError::Scheme(_) => "open-scheme-not-allowed",
            OpenError::Cipher(_) => "open-cipher-not-allowed",
            OpenError::TooLarge => "open-payload-too-large",
            OpenError::Decryption(_) => "open-decryption-failed",
            OpenError::Decompression(_) => "open-decompression-failed",
            OpenError::CompressedTwice => "open-compressed-twice",
            OpenError::Signature(_) => "open-signature-invalid",
            OpenError::Mime(_) => "open-mime-malformed",
            OpenError::Layers(_) => "open-layers-unexpected",
            OpenError::TrailingBytes => "open-trailing-bytes",
        }
    }

    /// The cause and the remedy, for the operator.
    pub fn text(&self) -> Bilingual {
        match self {
            OpenError::Sink(_) | OpenError::Body(_) => {
                bilingual!("{self}：请检查磁盘空间和权限", "{self}: check disk space and permissions")
            }
            OpenError::NotSigned
            | OpenError::NotEncrypted
            | OpenError::Digest(_)
            | OpenError::Scheme(_)
            | OpenError::Cipher(_) => {
                bilingual!(
                    "报文不符合与对方约定的安全要求（{self}）：请对方调整，或修改协议配置",
                    "the message does not meet the agreed security ({self}): ask the partner to change it, or change the agreement"
                )
            }
            OpenError::TooLarge => bilingual!(
                "报文超过允许的大小：请提高该伙伴的上限，或请对方拆分",
                "the payload exceeds the limit: raise it for this partner, or ask for smaller messages"
            ),
            OpenError::Decryption(cause) if self.is_ours() => cause.text(),
            OpenError::Decryption(cause) => bilingual!(
                "解密失败（{cause}）：请确认对方使用的是我方当前的加密证书",
                "decryption failed ({cause}): make sure the partner encrypts for our current certificate"
            ),
            OpenError::Decompression(_) | OpenError::CompressedTwice => bilingual!(
                "解压失败（{self}）：请对方检查压缩设置",
                "{self}: ask the partner to check its compression settings"
            ),
            OpenError::Signature(cause) => bilingual!(
                "签名验证失败（{cause}）：请确认已导入对方当前的签名证书",
                "the signature is not valid ({cause}): make sure the partner's current signing certificate is imported"
            ),
            OpenError::Mime(_) | OpenError::Layers(_) | OpenError::TrailingBytes => bilingual!(
                "报文结构无法解析（{self}）：请对方检查其 AS2 软件",
                "{self}: ask the partner to check its AS2 software"
            ),
        }
    }
}

/// The one sentence for every failure of a message in an unauthenticated envelope.
pub(super) const UNIFORM_EXPLANATION: &str = "The message could not be decrypted and verified.";

/// Who signed is a matter of authentication, what was signed a matter of integrity, and how a matter of the agreement.
fn signature_told(cause: &SignatureError) -> Disposition {
    match cause {
        SignatureError::Malformed(_)
        | SignatureError::ContentPresent
        | SignatureError::ContentAbsent
        | SignatureError::Attributes(_)
        | SignatureError::DigestMismatch
        | SignatureError::BadSignature => Disposition::integrity_check_failed(),
        SignatureError::NotOneSigner | SignatureError::UnknownSigner => Disposition::authentication_failed(),
        SignatureError::UnknownDigest
        | SignatureError::DigestNotComputed(_)
        | SignatureError::UnknownScheme
        | SignatureError::WeakKey => Disposition::insufficient_message_security(),
        SignatureError::Io(_) => Disposition::unexpected_processing_error(),
    }
}
