//! The algorithms of the customs specification (企业对接报文规范 202205 section 6), and the spellings met in their place.

use openssl::hash::MessageDigest;

/// How a declaration is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// SM2 with SM3, the first choice; certificates issued since July 2022 must use it.
    Sm2Sm3,
    /// RSA with SHA-1, for older certificates: the specification demands it. Nothing else that is made here is signed
    /// over SHA-1.
    RsaSha1,
    /// RSA with SHA-256, of the 2018 edition: read, never written.
    RsaSha256,
}

/// A digest of a `Reference`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum ReferenceDigest {
    Sm3,
    Sha1,
    Sha256,
}

impl Algorithm {
    /// The URI of its `SignatureMethod`.
    pub fn uri(self) -> &'static str {
        match self {
            Algorithm::Sm2Sm3 => "http://www.chinaport.gov.cn/2022/04/xmldsig#sm2-sm3",
            Algorithm::RsaSha1 => "http://www.w3.org/2000/09/xmldsig#rsa-sha1",
            Algorithm::RsaSha256 => "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
        }
    }

    /// The algorithm of a URI, and whether the URI is one of the specification in force.
    pub(super) fn of(uri: &str) -> Option<(Algorithm, bool)> {
        match uri {
            "http://www.w3.org/2000/09/xmldsig#sm2-sm3" => Some((Algorithm::Sm2Sm3, false)),
            uri if uri == Algorithm::Sm2Sm3.uri() => Some((Algorithm::Sm2Sm3, true)),
            uri if uri == Algorithm::RsaSha1.uri() => Some((Algorithm::RsaSha1, true)),
            uri if uri == Algorithm::RsaSha256.uri() => Some((Algorithm::RsaSha256, false)),
            _ => None,
        }
    }

    /// The digest that goes with it.
    pub(super) fn digest(self) -> ReferenceDigest {
        match self {
            Algorithm::Sm2Sm3 => ReferenceDigest::Sm3,
            Algorithm::RsaSha1 => ReferenceDigest::Sha1,
            Algorithm::RsaSha256 => ReferenceDigest::Sha256,
        }
    }
}

impl ReferenceDigest {
    pub(super) fn uri(self) -> &'static str {
        match self {
            ReferenceDigest::Sm3 => "http://www.chinaport.gov.cn/2022/04/xmldsig#sm3",
            ReferenceDigest::Sha1 => "http://www.w3.org/2000/09/xmldsig#sha1",
            ReferenceDigest::Sha256 => "http://www.w3.org/2001/04/xmlenc#sha256",
        }
    }

    pub(super) fn of(uri: &str) -> Option<ReferenceDigest> {
        [ReferenceDigest::Sm3, ReferenceDigest::Sha1, ReferenceDigest::Sha256]
            .into_iter()
            .find(|digest| digest.uri() == uri)
    }

    pub(super) fn message_digest(self) -> MessageDigest {
        match self {
            ReferenceDigest::Sm3 => MessageDigest::sm3(),
            ReferenceDigest::Sha1 => MessageDigest::sha1(),
            ReferenceDigest::Sha256 => MessageDigest::sha256(),
        }
    }
}

/// Canonical XML 1.0 without comments, the one that the specification fixes.
pub(super) const C14N: &str = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315";
/// The same with comments, met in practice.
pub(super) const C14N_WITH_COMMENTS: &str = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315#WithComments";
/// The one transform.
pub(super) const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";
