//! Algorithms by their configuration names, object identifiers and AlgorithmIdentifiers (RFC 3370, 4055, 5084, 5754).
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A name that stands for no algorithm of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown algorithm name")]
pub struct UnknownAlgorithm;

/// Display, FromStr and serde by one table of names.
macro_rules! named {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name { $($(#[$vmeta])* #[serde(rename = $text)] $variant,)+ }

        impl $name {
            /// Every one, in the order of declaration.
            pub const ALL: &'static [$name] = &[$($name::$variant,)+];

            /// The name in configuration files, reports and JSON.
            pub fn name(self) -> &'static str {
                match self { $($name::$variant => $text,)+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }

        impl FromStr for $name {
            type Err = UnknownAlgorithm;

            fn from_str(text: &str) -> Result<$name, UnknownAlgorithm> {
                $name::ALL.iter().copied().find(|one| one.name().eq_ignore_ascii_case(text)).ok_or(UnknownAlgorithm)
            }
        }
    };
}

named! {
    /// How a digest is signed (RFC 8017 8).
    SignatureScheme {
        /// RSASSA-PKCS1-v1_5: what every AS2 product understands.
        RsaPkcs1 = "rsa-pkcs1",
        /// RSASSA-PSS (RFC 4056) with MGF1 of the same digest and a salt as long as it.
        RsaPss = "rsa-pss",
    }
}

named! {
    /// How content is encrypted.
    ContentCipher {
        /// AES-128-CBC in EnvelopedData (RFC 3565).
        Aes128Cbc = "aes128-cbc",
        /// AES-192-CBC in EnvelopedData.
        Aes192Cbc = "aes192-cbc",
        /// AES-256-CBC in EnvelopedData.
        Aes256Cbc = "aes256-cbc",
        /// AES-128-GCM in AuthEnvelopedData (RFC 5083, 5084).
        Aes128Gcm = "aes128-gcm",
        /// AES-256-GCM in AuthEnvelopedData.
        Aes256Gcm = "aes256-gcm",
    }
}

named! {
    /// How the content key is encrypted for a recipient.
    KeyTransport {
        /// RSAES-PKCS1-v1_5 (RFC 3370 4.2.1).
        RsaPkcs1 = "rsa-pkcs1",
        /// RSAES-OAEP (RFC 3560) with SHA-1, its default.
        RsaOaepSha1 = "rsa-oaep-sha1",
        /// RSAES-OAEP with SHA-256.
        RsaOaepSha256 = "rsa-oaep-sha256",
        /// RSAES-OAEP with SHA-384.
        RsaOaepSha384 = "rsa-oaep-sha384",
        /// RSAES-OAEP with SHA-512.
        RsaOaepSha512 = "rsa-oaep-sha512",
    }
}

impl ContentCipher {
    /// Whether the cipher authenticates what it encrypts.
    pub fn is_aead(self) -> bool {
        matches!(self, ContentCipher::Aes128Gcm | ContentCipher::Aes256Gcm)
    }

    /// Bytes of the content key.
    pub fn key_len(self) -> usize {
        match self {
            ContentCipher::Aes128Cbc | ContentCipher::Aes128Gcm => 16,
            ContentCipher::Aes192Cbc => 24,
            ContentCipher::Aes256Cbc | ContentCipher::Aes256Gcm => 32,
        }
    }
}
