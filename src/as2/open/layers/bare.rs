//! A payload in an envelope without an entity around it. mendelson sends a file so that it neither signs nor compresses, where
//! S/MIME has a MIME entity (RFC 8551 3.1).
//!
//! It is taken where nothing need be signed, and **out of AEAD ciphers alone**. Whatever else fails in such an envelope, a
//! wrong key, an octet that somebody changed, fails by its tag, which is held against all of it before anything counts: what the
//! plaintext looks like decides nothing that is told to anybody.
//!
//! Out of CBC it stays refused, like all that is no entity. There a wrong key leaves well-formed padding once in 256 times: what
//! it makes of a message would be delivered, and confirmed to its sender as received. And any blocks would do for a message, so
//! that an attacker could ask of any block of a captured one whether it ends in padding (Vaudenay), and be told a digest of what
//! it decrypts to, the MIC, besides. That a header block has to be there first is little, but all that such an agreement has.

use std::io::{BufRead, Read};

use super::super::head::Head;
use super::{Payload, Walk};
use crate::as2::error::OpenError;
use crate::as2::headers::CONTENT_TYPE;
use crate::mime::{Headers, MimeError};

impl Walk<'_> {
    /// The payload is all that is in the envelope: `begun`, and what follows. The MIC covers just that.
    pub(super) fn bare(&mut self, begun: &[u8], rest: &mut dyn BufRead) -> Result<Payload, OpenError> {
        self.named_by_post = true;
        let head = Head::new(Headers::new(), Some(Vec::new()))?;
        self.payload(head, &mut begun.chain(rest))
    }
}

/// Whether what begins with these octets, read as a header block, is no entity. One whose header block is merely broken is none
/// either, but no payload.
pub(super) fn is_bare(head: &Result<Headers, MimeError>, octets: &[u8]) -> bool {
    match head {
        // Nobody's layer has no type, so that what is signed never depends on this.
        Ok(headers) => {
            let says_nothing = !headers.is_empty() && headers.get(CONTENT_TYPE).is_none();
            says_nothing && (octets.starts_with(EDIFACT) || !begins_with_field(octets))
        }
        Err(MimeError::Io(_)) => false,
        Err(_) => octets.starts_with(EDIFACT) || !begins_with_field(octets),
    }
}

/// Whether the first line could be a header field (RFC 5322 2.2) of anybody: of all the characters that a name may have, names
/// have these.
fn begins_with_field(octets: &[u8]) -> bool {
    let line = octets.split(|octet| *octet == b'\n').next().unwrap_or_default();
    let name = line.split(|octet| *octet == b':').next().unwrap_or_default();
    let is_followed = name.len() < line.len();
    let name = name.trim_ascii_end();
    let is_name = |octet: &u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_' | b'.');
    is_followed && !name.is_empty() && name.iter().all(is_name)
}

/// How an interchange begins (ISO 9735): its colon is no field's.
const EDIFACT: &[u8] = b"UNA";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ground::limits::Limits;
    use crate::mime::read_entity_head;

    #[test]
    fn what_has_no_header_block_and_does_not_begin_like_one_is_no_entity() {
        let bare = |octets: &[u8]| is_bare(&read_entity_head(&mut &*octets, &Limits::default()), octets);
        for payload in [
            &b"UNA:+.? 'UNB+UNOC:3+A:14+B:14'UNZ+0+1'"[..],
            b"UNA:+.? '\r\n\r\n",
            b"UNB+UNOC:3+A:14+B:14'\r\nUNZ+0+1'\r\n",
            // All of it one line, which is a field by RFC 5322.
            b"UNB+UNOC:3+A:14+B:14'UNZ+0+1'\r\n\r\n",
            b"ISA*00*          *00*:~\n\n",
            b"<?xml version=\"1.0\"?>\r\n<a:b/>\r\n\r\n",
            b"{\"a\": 1}",
            b"%PDF-1.7\n\n",
            b"\x00\xff",
            b" a: b",
            b": b",
            b"",
        ] {
            assert!(bare(payload), "{payload:?}");
        }
        for entity in [
            &b"Content-Type: a/b\r\n\r\n"[..],
            b"\r\nno fields",
            b"X-Nothing: here\n\n",
            b"UNA: x\r\nContent-Type: multipart/signed; boundary=b\r\n\r\n",
            // These are broken.
            b"Content-Type: a/b",
            b"Content-Type: a/b\r\nno field\r\n\r\n",
            b"x_1.2 : \x01\r\n\r\n",
            b"Order: 1\r\nof 2\r\n",
        ] {
            assert!(!bare(entity), "{entity:?}");
        }
        assert!(!is_bare(&Err(MimeError::Io(std::io::ErrorKind::Other.into())), b""), "it could not be read");
    }
}
