//! Identifiers of messages and bodies: UUIDs of version 7, so that their order is the order of time.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};
use uuid::Uuid;

use super::random;

/// A time-ordered identifier, shown as 32 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Id(Uuid);

impl Id {
    /// A new identifier for something that happens at `now`.
    pub fn new(now: Timestamp) -> Id {
        let mut noise = [0u8; 10];
        random::noise(&mut noise);
        Id::derived(now, &noise)
    }

    /// The identifier at `time` that `noise` stands for: the same arguments give the same identifier.
    pub fn derived(time: Timestamp, noise: &[u8; 10]) -> Id {
        let millis = u64::try_from(time.as_millisecond()).unwrap_or(0);
        Id(uuid::Builder::from_unix_timestamp_millis(millis, noise).into_uuid())
    }

    /// The sixteen bytes, big-endian: a key that sorts by time.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// The identifier with these sixteen bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> Id {
        Id(Uuid::from_bytes(bytes))
    }

    /// The usual hyphenated form, lower case.
    pub fn hyphenated(&self) -> String {
        self.0.hyphenated().to_string()
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.simple().encode_lower(&mut Uuid::encode_buffer()))
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.simple().encode_lower(&mut Uuid::encode_buffer()))
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What was given is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a message id: 32 hex digits are expected")]
pub struct BadId;

impl FromStr for Id {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Id, BadId> {
        Uuid::try_parse(text).map(Id).map_err(|_| BadId)
    }
}

impl TryFrom<String> for Id {
    type Error = BadId;

    fn try_from(text: String) -> Result<Id, BadId> {
        text.parse()
    }
}

impl From<Id> for String {
    fn from(id: Id) -> String {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_identifiers_sort_after_earlier_ones() {
        let early = Id::new(Timestamp::from_millisecond(1_000).expect("in range"));
        let late = Id::new(Timestamp::from_millisecond(2_000).expect("in range"));
        assert!(early < late);
        assert_eq!(early.to_string().parse(), Ok(early));
        assert_eq!("x".parse::<Id>(), Err(BadId));
    }
}
