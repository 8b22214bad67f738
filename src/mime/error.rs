//! What can be wrong with a MIME entity. All of it is the sender's doing, except [`MimeError::Io`].

use std::io;

use crate::bilingual;
use crate::ground::text::Bilingual;

/// A MIME entity that cannot be read. Carries no bytes of the entity.
#[derive(Debug, thiserror::Error)]
pub enum MimeError {
    /// A header block is longer than `Limits::header_block`.
    #[error("header block too large")]
    HeaderBlockTooLarge,
    /// A header block has more lines than `Limits::header_lines`.
    #[error("too many header lines")]
    TooManyHeaderLines,
    /// A header line is not `name: value` (RFC 5322 2.2).
    #[error("malformed header field")]
    MalformedHeader,
    /// A header name or value holds CR, LF, NUL or another control character.
    #[error("control character in a header field")]
    ForbiddenCharacter,
    /// The input ended inside a header block.
    #[error("entity ended inside its header")]
    TruncatedHead,
    /// A Content-Type field cannot be read (RFC 2045 5.1).
    #[error("malformed content type")]
    MalformedContentType,
    /// The boundary parameter is missing or not 1 to 70 characters (RFC 2046 5.1.1).
    #[error("missing or illegal boundary")]
    IllegalBoundary,
    /// The multipart has no opening delimiter or no close delimiter.
    #[error("multipart delimiter missing")]
    MissingDelimiter,
    /// `multipart/signed` has not exactly two parts (RFC 1847 2.1).
    #[error("multipart/signed must have exactly two parts")]
    NotTwoParts,
    /// Octets before, between or after the parts that no signature covers, where none are tolerated.
    #[error("octets outside the parts of multipart/signed")]
    OutsideParts,
    /// More parts or deeper nesting than allowed.
    #[error("too many MIME parts or too deep nesting")]
    TooManyParts,
    /// The signature part is longer than `Limits::signature_part`.
    #[error("body part too large")]
    PartTooLarge,
    /// Content-Transfer-Encoding is none of 7bit, 8bit, binary, base64, quoted-printable (RFC 2045 6).
    #[error("unknown transfer encoding")]
    UnknownTransferEncoding,
    /// The body contradicts its Content-Transfer-Encoding.
    #[error("body does not match its transfer encoding")]
    MalformedEncoding,
    /// The input could not be read, or a reader below refused it.
    #[error(transparent)]
    Io(io::Error),
}

impl MimeError {
    /// Stable name of the problem, for logs and JSON.
    pub fn code(&self) -> &'static str {
        match self {
            MimeError::HeaderBlockTooLarge => "mime-header-too-large",
            MimeError::TooManyHeaderLines => "mime-too-many-headers",
            MimeError::MalformedHeader => "mime-malformed-header",
            MimeError::ForbiddenCharacter => "mime-forbidden-character",
            MimeError::TruncatedHead => "mime-truncated-head",
            MimeError::MalformedContentType => "mime-malformed-content-type",
            MimeError::IllegalBoundary => "mime-illegal-boundary",
            MimeError::MissingDelimiter => "mime-missing-delimiter",
            MimeError::NotTwoParts => "mime-not-two-parts",
            MimeError::OutsideParts => "mime-octets-outside-parts",
            MimeError::TooManyParts => "mime-too-many-parts",
            MimeError::PartTooLarge => "mime-part-too-large",
            MimeError::UnknownTransferEncoding => "mime-unknown-transfer-encoding",
            MimeError::MalformedEncoding => "mime-malformed-encoding",
            MimeError::Io(_) => "mime-read-failed",
        }
    }

    /// The same for a reader of the console or the command line.
    pub fn text(&self) -> Bilingual {
        let code = self.code();
        bilingual!(
            "MIME 结构无法解析（{code}）：请对方检查其 AS2 软件的输出",
            "the MIME structure cannot be read ({code}): ask the partner to check what its AS2 software sends"
        )
    }
}

impl From<io::Error> for MimeError {
    /// Takes a MIME error out of the `io::Error` in which a reader of this module reported it.
    fn from(error: io::Error) -> MimeError {
        error.downcast::<MimeError>().unwrap_or_else(MimeError::Io)
    }
}

/// Readers report MIME errors through `io::Error`.
impl From<MimeError> for io::Error {
    fn from(error: MimeError) -> io::Error {
        match error {
            MimeError::Io(inner) => inner,
            other => io::Error::new(io::ErrorKind::InvalidData, other),
        }
    }
}
