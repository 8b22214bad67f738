//! Numbers in the shape the customs systems give them, derived from a digest so that the same input numbers alike.

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::envelope::shanghai;
use super::family::Family;

/// A source of numbers for one document.
pub(super) struct Serials {
    digest: [u8; 32],
    at: Timestamp,
}

impl Serials {
    /// Numbers for what `parts` describe, given at `at`.
    pub(super) fn new(at: Timestamp, parts: &[&[u8]]) -> Serials {
        let mut hasher = Sha256::new();
        hasher.update(at.as_nanosecond().to_be_bytes());
        for part in parts {
            // The length keeps ("ab", "c") apart from ("a", "bc").
            hasher.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hasher.update(part);
        }
        Serials { digest: hasher.finalize().into(), at }
    }

    /// A `guid`: 36 characters, upper case.
    pub(super) fn guid(&self) -> String {
        let bytes = self.digest.first_chunk::<16>().copied().unwrap_or_default();
        uuid::Builder::from_random_bytes(bytes).into_uuid().hyphenated().to_string().to_uppercase()
    }

    /// 预录入编号: `B`, the day, nine digits.
    pub(super) fn pre_no(&self) -> String {
        format!("B{}{:09}", shanghai(self.at, "%Y%m%d"), self.number(16) % 1_000_000_000)
    }

    /// 清单编号 and its kin: customs office, year, `I` or `E`, nine digits.
    pub(super) fn customs_no(&self, office: &str, family: Family) -> String {
        let office = if office.len() == 4 && office.bytes().all(|b| b.is_ascii_digit()) { office } else { "0000" };
        let flag = if family == Family::Import { 'I' } else { 'E' };
        format!("{office}{}{flag}{:09}", shanghai(self.at, "%Y"), self.number(20) % 1_000_000_000)
    }

    /// `returnTime`: seventeen digits down to the millisecond.
    pub(super) fn time(&self) -> String {
        shanghai(self.at, "%Y%m%d%H%M%S%3f")
    }

    fn number(&self, at: usize) -> u32 {
        let bytes = self.digest.get(at..).and_then(|rest| rest.first_chunk::<4>()).copied().unwrap_or_default();
        u32::from_be_bytes(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_shapes_of_the_specification() {
        let at: Timestamp = "2026-02-28T18:30:00.070Z".parse().expect("a timestamp");
        let serials = Serials::new(at, &[b"order 1"]);
        let (guid, pre_no) = (serials.guid(), serials.pre_no());
        assert_eq!((guid.len(), guid.to_uppercase()), (36, guid.clone()));
        assert!(pre_no.len() == 18 && pre_no.starts_with("B20260301"));
        let invt_no = serials.customs_no("0100", Family::Export);
        assert!(invt_no.len() == 18 && invt_no.starts_with("01002026E"));
        assert_eq!(serials.time(), "20260301023000070");
        assert_ne!(guid, Serials::new(at, &[b"order 2"]).guid());
    }
}
