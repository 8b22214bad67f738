//! Message integrity checks (RFC 4130 7.3.1, RFC 5402 4): which octets are hashed, and how the result is written.
//!
//! | message | octets |
//! |---|---|
//! | plain | the body alone, without header fields |
//! | signed | the first part of multipart/signed, exactly as signed |
//! | compressed, then signed | the signed octets, that is the compressed entity with its header fields |
//! | signed, then compressed | the signed octets inside |
//! | encrypted only | the decrypted entity with its header fields; where it says that it is text, with lines that end in CR LF |
//! | encrypted only, without an entity | the plaintext |
//! | compressed and not signed | the decompressed entity with its header fields |
//! | encrypted around any of these | as above after decryption |
//!
//! Partners disagree about the digest algorithm and, for unsigned messages, about the header fields. The sender
//! therefore keeps every plausible value ([`SentMics`]) and compares with the one the receipt names; a match that
//! is not the one the table demands is accepted by name ([`MicVariant`]), never silently.

use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::{Deserialize, Serialize};

use super::MicalgStyle;
use crate::cms::{DigestAlgorithm, Digests, MultiHasher};

/// The standard alphabet; padding may be missing.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// One message integrity check: a digest and its algorithm. Printed as `base64, algorithm`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Mic {
    /// The digest algorithm.
    pub algorithm: DigestAlgorithm,
    /// The digest, raw bytes of the algorithm's length.
    pub value: Vec<u8>,
}

/// Why a `Received-Content-MIC` value cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MicError {
    /// No comma between value and algorithm.
    #[error("a MIC is written as base64, algorithm")]
    Shape,
    /// An algorithm that dxgate does not know.
    #[error("the algorithm of the MIC is not supported")]
    Algorithm,
    /// Not base64, or not of the algorithm's length.
    #[error("the value of the MIC is not a digest of its algorithm")]
    Value,
}

impl Mic {
    /// `base64, algorithm` in the partner's spelling of the algorithm.
    pub fn spelled(&self, style: MicalgStyle) -> String {
        format!("{}, {}", BASE64.encode(&self.value), style.name(self.algorithm))
    }

    /// Same algorithm and same bytes, compared in constant time.
    pub fn matches(&self, other: &Mic) -> bool {
        self.algorithm == other.algorithm && same_bytes(&self.value, &other.value)
    }
}

/// Equality whose duration depends on the length alone.
fn same_bytes(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0u8, |difference, (x, y)| difference | (x ^ y)) == 0
}

/// `base64, algorithm`, in the spelling of the registry (`sha1`, `sha-256`); never folded.
impl fmt::Display for Mic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.spelled(MicalgStyle::Hyphenated))
    }
}

/// Reads any spelling: missing blank, upper case, hyphens, a `rsa-` prefix, trailing comments.
impl FromStr for Mic {
    type Err = MicError;

    fn from_str(text: &str) -> Result<Mic, MicError> {
        let (value, algorithm) = text.split_once(',').ok_or(MicError::Shape)?;
        let algorithm = algorithm.trim_matches([' ', '\t', '"', '\'']);
        let word = algorithm.split([' ', '\t', '(', ';', ',', '"']).next().unwrap_or_default();
        let word = match word.get(..4) {
            Some(prefix) if prefix.eq_ignore_ascii_case("rsa-") => word.get(4..).unwrap_or_default(),
            _ => word,
        };
        let algorithm = DigestAlgorithm::parse(word).ok_or(MicError::Algorithm)?;
        let value: String = value.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        let value = BASE64.decode(value).map_err(|_| MicError::Value)?;
        if value.len() != algorithm.size() {
            return Err(MicError::Value);
        }
        Ok(Mic { algorithm, value })
    }
}

impl TryFrom<String> for Mic {
    type Error = MicError;

    fn try_from(text: String) -> Result<Mic, MicError> {
        text.parse()
    }
}

impl From<Mic> for String {
    fn from(mic: Mic) -> String {
        mic.to_string()
    }
}

/// Which octets a MIC covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MicVariant {
    /// The octets that the table in the module head demands.
    Exact,
    /// An unsigned message hashed without its header fields although they belong to it.
    BodyOnly,
    /// A plain message hashed with its header fields although they do not belong to it.
    WithHeaders,
    /// A message that was compressed and then signed, hashed after decompression although the compressed entity was
    /// signed.
    Decompressed,
    /// An encrypted and unsigned message hashed with lines that end in CR LF (RFC 4130 7.3.1) although its payload, which is
    /// binary, has others.
    CanonicalLines,
}

/// A digest that the partner's receipt may carry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentMic {
    /// The digest.
    pub mic: Mic,
    /// The octets it covers.
    pub variant: MicVariant,
}

/// Every plausible digest of one sent message.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SentMics {
    /// The digests; for every algorithm the [`Exact`](MicVariant::Exact) one comes first.
    pub expected: Vec<SentMic>,
    /// Where not every digest was computed: the header block, with its blank line, that the digests cover in front of the
    /// payload. With it any other digest can be computed from the kept payload.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "octets")]
    pub head: Option<Vec<u8>>,
}

/// Octets as text; a header block of ours is ASCII.
mod octets {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(octets: &Option<Vec<u8>>, serializer: S) -> Result<S::Ok, S::Error> {
        octets.as_deref().map(String::from_utf8_lossy).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<u8>>, D::Error> {
        Ok(Option::<String>::deserialize(deserializer)?.map(String::into_bytes))
    }
}

impl SentMics {
    /// The digest a receipt with this algorithm should carry.
    pub fn exact(&self, algorithm: DigestAlgorithm) -> Option<&Mic> {
        self.expected
            .iter()
            .find(|sent| sent.variant == MicVariant::Exact && sent.mic.algorithm == algorithm)
            .map(|sent| &sent.mic)
    }

    /// The digest in `algorithm` was not computed when the message was composed, but can be from the payload.
    pub fn lacks(&self, algorithm: DigestAlgorithm) -> bool {
        self.head.is_some() && self.exact(algorithm).is_none()
    }

    /// These digests and that in `algorithm`, computed from the payload, which must be the one that was composed.
    ///
    /// # Errors
    /// The payload cannot be read.
    pub fn with(&self, algorithm: DigestAlgorithm, payload: &mut dyn Read) -> io::Result<SentMics> {
        let mut mics = self.clone();
        if let Some(head) = self.head.as_ref().filter(|_| self.lacks(algorithm)) {
            let mut hasher = MultiHasher::new(&[algorithm]);
            hasher.update(head);
            io::copy(payload, &mut hasher)?;
            mics.add(&hasher.finish(), MicVariant::Exact);
        }
        Ok(mics)
    }

    /// The octets that `mic` covers, if it is one of ours.
    pub fn find(&self, mic: &Mic) -> Option<MicVariant> {
        self.expected.iter().find(|sent| sent.mic.matches(mic)).map(|sent| sent.variant)
    }

    /// The message was signed: the signature fixes the octets, so there is one way to compute the digest.
    pub(super) fn is_of_signed_message(&self) -> bool {
        self.expected.iter().all(|sent| matches!(sent.variant, MicVariant::Exact | MicVariant::Decompressed))
    }

    /// Adds the digests of one choice of octets.
    pub(super) fn add(&mut self, digests: &Digests, variant: MicVariant) {
        for (algorithm, value) in digests.iter() {
            self.expected.push(SentMic { mic: Mic { algorithm, value: value.to_vec() }, variant });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHA1_EMPTY: &str = "2jmj7l5rSw0yVb/vlWAYkK/YBwk=";

    #[test]
    fn every_spelling_of_a_mic_is_the_same_mic() {
        let canonical: Mic = format!("{SHA1_EMPTY}, sha1").parse().expect("canonical");
        for text in [
            format!("{SHA1_EMPTY},sha1"),
            format!("{SHA1_EMPTY}, SHA1"),
            format!("{SHA1_EMPTY}, sha-1"),
            format!("{SHA1_EMPTY} , rsa-sha1"),
            format!("{SHA1_EMPTY}, sha1 (computed by X)"),
            format!("{SHA1_EMPTY}, \"sha1\""),
            format!("{}, sha1", SHA1_EMPTY.trim_end_matches('=')),
        ] {
            assert_eq!(text.parse(), Ok(canonical.clone()), "{text}");
        }
        assert_eq!(canonical.to_string(), format!("{SHA1_EMPTY}, sha1"));
    }

    #[test]
    fn what_is_not_a_mic_is_refused() {
        assert_eq!("abc".parse::<Mic>(), Err(MicError::Shape));
        assert_eq!(format!("{SHA1_EMPTY}, md4").parse::<Mic>(), Err(MicError::Algorithm));
        assert_eq!(format!("{SHA1_EMPTY}, sha-256").parse::<Mic>(), Err(MicError::Value));
        assert_eq!("%%%, sha1".parse::<Mic>(), Err(MicError::Value));
        assert_eq!(", sha1".parse::<Mic>(), Err(MicError::Value));
    }

    #[test]
    fn bytes_are_compared_whole() {
        assert!(same_bytes(b"abc", b"abc"));
        assert!(!same_bytes(b"abc", b"abd"));
        assert!(!same_bytes(b"abc", b"ab"));
    }
}
