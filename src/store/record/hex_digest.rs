//! SHA-256 values as hex text.

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use serde::{Deserializer, Serializer, de};

pub(in crate::store) fn serialize<S: Serializer>(digest: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
    let mut text = [0; 64];
    HEXLOWER.encode_mut(digest, &mut text);
    serializer.serialize_str(std::str::from_utf8(&text).unwrap_or_default())
}

pub(in crate::store) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 32], D::Error> {
    deserializer.deserialize_str(Digits)
}

/// Reads the digits where they are.
struct Digits;

impl de::Visitor<'_> for Digits {
    type Value = [u8; 32];

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a SHA-256 value of 64 hex digits")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<[u8; 32], E> {
        let mut digest = [0; 32];
        let read = match text.len() {
            64 => HEXLOWER_PERMISSIVE.decode_mut(text.as_bytes(), &mut digest).is_ok(),
            _ => false,
        };
        if read { Ok(digest) } else { Err(E::invalid_value(de::Unexpected::Str(text), &self)) }
    }
}

/// The same for a value that may be missing.
pub(in crate::store) mod optional {
    use serde::{Deserialize, Deserializer, Serializer};

    #[derive(Deserialize)]
    struct Present(#[serde(with = "super")] [u8; 32]);

    pub(in crate::store) fn serialize<S: Serializer>(
        digest: &Option<[u8; 32]>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match digest {
            Some(digest) => super::serialize(digest, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(in crate::store) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<[u8; 32]>, D::Error> {
        Ok(Option::<Present>::deserialize(deserializer)?.map(|Present(digest)| digest))
    }
}
