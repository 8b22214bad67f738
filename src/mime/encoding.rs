//! Transfer encodings.
use super::MimeError;
use std::io::Read;

/// Decodes a body by its Content-Transfer-Encoding value (`None` = binary).
pub fn transfer_decoder<'a>(cte: Option<&str>, r: Box<dyn Read + 'a>) -> Result<Box<dyn Read + 'a>, MimeError> {
    let _ = (cte, r);
    unimplemented!()
}
