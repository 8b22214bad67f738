//! Message digests, several in one pass.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::Digest as _;

use super::algorithm::UnknownAlgorithm;

/// The digests of RFC 8551, for older partners SHA-1 and MD5, and SM3 where an agreement names it. Ordered weakest first,
/// SM3 last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum DigestAlgorithm {
    /// MD5: only read, and only under a waiver.
    Md5,
    /// SHA-1: in signatures of AS2 only read, and only under a waiver.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
    /// SM3 (GB/T 32905, GM/T 0004): only where an agreement names it.
    Sm3,
}

impl DigestAlgorithm {
    /// The algorithms that receipts name (RFC 4130 7.3), weakest first; MD5 and SM3 are not among them.
    pub const ALL: [DigestAlgorithm; 4] =
        [DigestAlgorithm::Sha1, DigestAlgorithm::Sha256, DigestAlgorithm::Sha384, DigestAlgorithm::Sha512];

    /// Those that need no waiver.
    pub const STANDARD: [DigestAlgorithm; 3] =
        [DigestAlgorithm::Sha256, DigestAlgorithm::Sha384, DigestAlgorithm::Sha512];

    /// Every algorithm that can be read.
    pub const READABLE: [DigestAlgorithm; 6] = [
        DigestAlgorithm::Md5,
        DigestAlgorithm::Sha1,
        DigestAlgorithm::Sha256,
        DigestAlgorithm::Sha384,
        DigestAlgorithm::Sha512,
        DigestAlgorithm::Sm3,
    ];

    /// Whether it is too weak for a signature without a waiver.
    pub fn is_legacy(self) -> bool {
        matches!(self, DigestAlgorithm::Md5 | DigestAlgorithm::Sha1)
    }

    /// Any spelling seen on the wire: `sha1`, `SHA-256`, `sha256`, `rsa-sha256`, `sha-256 `.
    pub fn parse(text: &str) -> Option<DigestAlgorithm> {
        let plain: String = text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
        match plain.strip_prefix("rsa").unwrap_or(&plain) {
            "md5" => Some(DigestAlgorithm::Md5),
            "sha1" | "sha" => Some(DigestAlgorithm::Sha1),
            "sha256" | "sha2256" => Some(DigestAlgorithm::Sha256),
            "sha384" | "sha2384" => Some(DigestAlgorithm::Sha384),
            "sha512" | "sha2512" => Some(DigestAlgorithm::Sha512),
            "sm3" => Some(DigestAlgorithm::Sm3),
            _ => None,
        }
    }

    /// The name in `micalg` and `Received-Content-MIC` as RFC 8551 3.5.3.2 writes it, SHA-1 as AS2 writes it (`sha1`).
    pub fn micalg(self) -> &'static str {
        match self {
            DigestAlgorithm::Md5 => "md5",
            DigestAlgorithm::Sha1 => "sha1",
            DigestAlgorithm::Sha256 => "sha-256",
            DigestAlgorithm::Sha384 => "sha-384",
            DigestAlgorithm::Sha512 => "sha-512",
            DigestAlgorithm::Sm3 => "sm3",
        }
    }

    /// Bytes of a digest value.
    pub fn size(self) -> usize {
        match self {
            DigestAlgorithm::Md5 => 16,
            DigestAlgorithm::Sha1 => 20,
            DigestAlgorithm::Sha256 | DigestAlgorithm::Sm3 => 32,
            DigestAlgorithm::Sha384 => 48,
            DigestAlgorithm::Sha512 => 64,
        }
    }

    /// The digest of `data`.
    pub fn digest(self, data: &[u8]) -> Vec<u8> {
        let mut hasher = Hasher::new(self);
        hasher.update(data);
        hasher.finish()
    }
}

impl fmt::Display for DigestAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.micalg())
    }
}

impl FromStr for DigestAlgorithm {
    type Err = UnknownAlgorithm;

    fn from_str(text: &str) -> Result<DigestAlgorithm, UnknownAlgorithm> {
        DigestAlgorithm::parse(text).ok_or(UnknownAlgorithm)
    }
}

impl From<DigestAlgorithm> for String {
    fn from(algorithm: DigestAlgorithm) -> String {
        algorithm.micalg().to_owned()
    }
}

impl TryFrom<String> for DigestAlgorithm {
    type Error = UnknownAlgorithm;

    fn try_from(text: String) -> Result<DigestAlgorithm, UnknownAlgorithm> {
        text.parse()
    }
}

/// One running digest.
#[derive(Clone)]
pub struct Hasher {
    algorithm: DigestAlgorithm,
    state: State,
}

/// The states differ in size little enough not to be boxed.
#[derive(Clone)]
enum State {
    Md5(md5::Md5),
    Sha1(sha1::Sha1),
    Sha256(sha2::Sha256),
    Sha384(sha2::Sha384),
    Sha512(sha2::Sha512),
    Sm3(sm3::Sm3),
}

impl Hasher {
    /// A digest over nothing yet.
    pub fn new(algorithm: DigestAlgorithm) -> Hasher {
        let state = match algorithm {
            DigestAlgorithm::Md5 => State::Md5(md5::Md5::new()),
            DigestAlgorithm::Sha1 => State::Sha1(sha1::Sha1::new()),
            DigestAlgorithm::Sha256 => State::Sha256(sha2::Sha256::new()),
            DigestAlgorithm::Sha384 => State::Sha384(sha2::Sha384::new()),
            DigestAlgorithm::Sha512 => State::Sha512(sha2::Sha512::new()),
            DigestAlgorithm::Sm3 => State::Sm3(sm3::Sm3::new()),
        };
        Hasher { algorithm, state }
    }

    /// Which digest this is.
    pub fn algorithm(&self) -> DigestAlgorithm {
        self.algorithm
    }

    /// Takes in more bytes.
    pub fn update(&mut self, data: &[u8]) {
        match &mut self.state {
            State::Md5(state) => state.update(data),
            State::Sha1(state) => state.update(data),
            State::Sha256(state) => state.update(data),
            State::Sha384(state) => state.update(data),
            State::Sha512(state) => state.update(data),
            State::Sm3(state) => state.update(data),
        }
    }

    /// The digest value.
    pub fn finish(self) -> Vec<u8> {
        match self.state {
            State::Md5(state) => state.finalize().to_vec(),
            State::Sha1(state) => state.finalize().to_vec(),
            State::Sha256(state) => state.finalize().to_vec(),
            State::Sha384(state) => state.finalize().to_vec(),
            State::Sha512(state) => state.finalize().to_vec(),
            State::Sm3(state) => state.finalize().to_vec(),
        }
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Hasher").field(&self.algorithm).finish()
    }
}

/// Several digests of the same bytes in one pass. Also a [`std::io::Write`], so that it can stand behind a copy.
#[derive(Debug, Clone, Default)]
pub struct MultiHasher(Vec<Hasher>);

impl MultiHasher {
    /// One running digest for each distinct algorithm.
    pub fn new(algorithms: &[DigestAlgorithm]) -> MultiHasher {
        let mut distinct = algorithms.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        MultiHasher(distinct.into_iter().map(Hasher::new).collect())
    }

    /// Takes in more bytes.
    pub fn update(&mut self, data: &[u8]) {
        for hasher in &mut self.0 {
            hasher.update(data);
        }
    }

    /// Every digest value.
    pub fn finish(self) -> Digests {
        Digests(self.0.into_iter().map(|hasher| (hasher.algorithm, hasher.finish())).collect())
    }
}

impl std::io::Write for MultiHasher {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        self.update(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The digests of one run of bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Digests(Vec<(DigestAlgorithm, Vec<u8>)>);

impl Digests {
    /// The value for one algorithm, if it was computed.
    pub fn of(&self, algorithm: DigestAlgorithm) -> Option<&[u8]> {
        self.0.iter().find(|(a, _)| *a == algorithm).map(|(_, value)| value.as_slice())
    }

    /// Every algorithm with its value.
    pub fn iter(&self) -> impl Iterator<Item = (DigestAlgorithm, &[u8])> {
        self.0.iter().map(|(algorithm, value)| (*algorithm, value.as_slice()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_on_the_wire_names_the_same_digest() {
        for text in ["sha-256", "SHA256", "sha256", "rsa-sha256", " Sha-256 "] {
            assert_eq!(DigestAlgorithm::parse(text), Some(DigestAlgorithm::Sha256), "{text}");
        }
        assert_eq!(DigestAlgorithm::parse("sha-1"), Some(DigestAlgorithm::Sha1));
        assert_eq!(DigestAlgorithm::parse("MD5"), Some(DigestAlgorithm::Md5));
        for text in ["sm3", "SM3", "sm-3"] {
            assert_eq!(DigestAlgorithm::parse(text), Some(DigestAlgorithm::Sm3), "{text}");
        }
        assert_eq!(DigestAlgorithm::parse("md4"), None);
    }

    /// GB/T 32905 annex A: the two worked examples.
    #[test]
    fn sm3_gives_the_values_of_the_standard() {
        let sm3 = |data: &[u8]| -> String {
            DigestAlgorithm::Sm3.digest(data).iter().map(|byte| format!("{byte:02x}")).collect()
        };
        assert_eq!(sm3(b"abc"), "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0");
        let long = b"abcd".repeat(16);
        assert_eq!(sm3(&long), "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732");
    }

    #[test]
    fn several_digests_in_one_pass_equal_each_alone() {
        let mut hasher = MultiHasher::new(&DigestAlgorithm::READABLE);
        hasher.update(b"ab");
        hasher.update(b"c");
        let digests = hasher.finish();
        for algorithm in DigestAlgorithm::READABLE {
            assert_eq!(digests.of(algorithm), Some(algorithm.digest(b"abc").as_slice()));
            assert_eq!(algorithm.digest(b"").len(), algorithm.size());
        }
    }
}
