//! A signature taken apart, for those who check it with other tools.

use super::uncovered::Uncovered;
use super::{close_signed_data, open_signed_data, retag};
use crate::cms::ber::BerReader;
use crate::cms::der;
use crate::ground::limits::Limits;

/// What the one signer of SignedData signed (the attributes as received, their tag that of a SET: RFC 5652 5.4) and the
/// value of its signature. `None` without signed attributes, and for what is no SignedData with one signer.
pub fn signed_attributes(ber: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let limits = Limits::default();
    let mut reader = BerReader::new(ber, &limits);
    if open_signed_data(&mut reader, &limits).ok()?.has_content {
        reader.skip().ok()?;
        reader.leave().ok()?;
        reader.leave().ok()?;
    }
    let signer = close_signed_data(&mut reader, &limits, Uncovered::passed_over()).ok()?;
    Some((retag(&signer.attributes?, der::SET), signer.signature))
}
