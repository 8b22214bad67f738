//! A signature taken apart, for those who check it with other tools.

use std::io::Read;

use super::uncovered::Uncovered;
use super::{close_signed_data, open_signed_data, retag};
use crate::cms::ber::BerReader;
use crate::cms::der;
use crate::ground::limits::Limits;

/// A signature taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Apart {
    /// What its one signer signed: the attributes as received, their tag that of a SET (RFC 5652 5.4). Without any it signed the
    /// content itself.
    pub attributes: Option<Vec<u8>>,
    /// The value of the signature.
    pub value: Vec<u8>,
    /// `openssl cms` does not check it: it is of SM2, or of PSS and says nothing of its parameters (pyas2lib), or names the
    /// signature for its digest (.NET).
    pub is_odd: bool,
}

/// Takes a signature apart. `None` for what is no SignedData with one signer.
pub fn signed_attributes(ber: impl Read) -> Option<Apart> {
    let limits = Limits::default();
    let mut reader = BerReader::new(ber, &limits);
    if open_signed_data(&mut reader, &limits).ok()?.has_content {
        reader.skip().ok()?;
        reader.leave().ok()?;
        reader.leave().ok()?;
    }
    let signer = close_signed_data(&mut reader, &limits, Uncovered::passed_over()).ok()?;
    let is_odd = signer.odd;
    let attributes = signer.attributes.as_deref().map(|received| retag(received, der::SET));
    Some(Apart { attributes, value: signer.signature, is_odd })
}
