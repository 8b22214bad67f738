//! What an entity says about itself: its header block, how its body is encoded, which CMS structure that is.

use std::io::{BufRead, BufReader, Read};

use super::super::error::OpenError;
use super::super::headers::{CONTENT_TRANSFER_ENCODING, CONTENT_TYPE};
use super::readers::{BUFFER, mime_error};
use crate::ground::limits::Limits;
use crate::mime::{ContentType, Headers, begins_with_delimiter, read_entity_head, transfer_decoder};

/// A header block and its octets; there are none for the fields of the POST.
pub(super) struct Head {
    pub(super) headers: Headers,
    pub(super) content_type: ContentType,
    pub(super) octets: Option<Vec<u8>>,
}

/// The CMS structures of `application/pkcs7-mime`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CmsKind {
    Enveloped,
    Compressed,
    Signed,
}

impl Head {
    /// A Content-Type that is missing or cannot be read is that of any octets; two of them are refused.
    pub(super) fn new(headers: Headers, octets: Option<Vec<u8>>) -> Result<Head, OpenError> {
        let value = headers.get(CONTENT_TYPE).unwrap_or("application/octet-stream");
        if headers.count(CONTENT_TYPE) > 1 || headers.count(CONTENT_TRANSFER_ENCODING) > 1 {
            return Err(OpenError::Layers("a header field of an entity occurs twice"));
        }
        let content_type = ContentType::parse(value).unwrap_or_else(|_| ContentType::new("application/octet-stream"));
        Ok(Head { headers, content_type, octets })
    }

    /// Some products send S/MIME as a file, its own header block in front: those fields say how the rest is encoded then. No CMS
    /// structure begins like a field, in base64 or not.
    pub(super) fn or_repeated(self, body: &mut dyn BufRead, limits: &Limits) -> Result<Head, OpenError> {
        let start = body.fill_buf().map_err(mime_error)?;
        let begins = |field: &[u8]| start.get(..field.len()).is_some_and(|start| start.eq_ignore_ascii_case(field));
        if !self.is_cms() || !(begins(b"MIME-Version:") || begins(b"Content-")) {
            return Ok(self);
        }
        let repeated = Head::new(read_entity_head(body, limits).map_err(OpenError::Mime)?, None)?;
        if repeated.is_cms() {
            Ok(repeated)
        } else {
            Err(OpenError::Layers("a body of another type than its own fields say"))
        }
    }

    pub(super) fn is_cms(&self) -> bool {
        matches!(self.content_type.essence.as_str(), "application/pkcs7-mime" | "application/x-pkcs7-mime")
    }

    /// The entity holds another one.
    pub(super) fn is_layer(&self) -> bool {
        self.is_cms() || self.content_type.essence == "multipart/signed"
    }

    /// The entity is a receipt (RFC 4130 7.4.3), whole or the part of it that programs read.
    pub(super) fn is_receipt(&self) -> bool {
        matches!(self.content_type.essence.as_str(), "multipart/report" | "message/disposition-notification")
    }

    /// The body is said to be text in some encoding, whose lines end in CR LF in its canonical form.
    pub(super) fn says_text(&self) -> bool {
        self.transfer_encoding().is_some_and(|encoding| !is_binary(encoding))
    }

    /// The body is said to be binary: every octet of it counts as it is.
    pub(super) fn says_binary(&self) -> bool {
        self.transfer_encoding().is_some_and(is_binary)
    }

    /// `None` means binary (RFC 4130 5.2.1).
    pub(super) fn transfer_encoding(&self) -> Option<&str> {
        self.headers.get(CONTENT_TRANSFER_ENCODING)
    }
}

fn is_binary(encoding: &str) -> bool {
    encoding.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("binary")
}

/// A multipart with this boundary, without the transfer encoding that it should not have.
pub(super) fn decoded_multipart<'b>(
    head: &Head,
    boundary: &str,
    body: &'b mut dyn BufRead,
) -> Result<BufReader<Box<dyn Read + 'b>>, OpenError> {
    let raw = begins_with_delimiter(body.fill_buf().map_err(mime_error)?, boundary);
    let encoding = head.transfer_encoding().filter(|_| !raw);
    let content = transfer_decoder(encoding, Box::new(body)).map_err(OpenError::Mime)?;
    Ok(BufReader::with_capacity(BUFFER, content))
}

/// A CMS structure without its transfer encoding, whatever is said about that: some products declare base64 and send
/// binary, others send base64 and declare nothing. Every structure starts with a SEQUENCE of more than 127 bytes.
pub(super) fn decoded_cms<'b>(
    head: &Head,
    body: &'b mut dyn BufRead,
) -> Result<BufReader<Box<dyn Read + 'b>>, OpenError> {
    let encoding = match body.fill_buf().map_err(mime_error)? {
        [0x30, 0x80..=0xff, ..] => None,
        [b'M', b'I', ..] => Some("base64"),
        _ => head.transfer_encoding(),
    };
    let content = transfer_decoder(encoding, Box::new(body)).map_err(OpenError::Mime)?;
    Ok(BufReader::with_capacity(BUFFER, content))
}

/// By `smime-type`; where it is missing or unknown, by the content type inside the structure.
pub(super) fn cms_kind(content_type: &ContentType, body: &mut dyn BufRead) -> Result<CmsKind, OpenError> {
    match content_type.param("smime-type").map(str::to_ascii_lowercase).as_deref() {
        Some("enveloped-data" | "authenveloped-data") => return Ok(CmsKind::Enveloped),
        Some("compressed-data") => return Ok(CmsKind::Compressed),
        Some("signed-data") => return Ok(CmsKind::Signed),
        Some("certs-only") => return Err(OpenError::Layers("certificates instead of a message")),
        Some(_) | None => {}
    }
    let start = body.fill_buf().map_err(mime_error)?;
    let start = start.get(..64).unwrap_or(start);
    let has = |oid: &[u8]| memchr::memmem::find(start, oid).is_some();
    if has(OID_COMPRESSED) {
        return Ok(CmsKind::Compressed);
    }
    if has(OID_SIGNED) {
        return Ok(CmsKind::Signed);
    }
    Ok(CmsKind::Enveloped)
}

/// Whether the fields of a POST say that its body is an envelope.
pub fn says_enveloped(headers: &Headers) -> bool {
    let Ok(head) = Head::new(headers.clone(), None) else { return false };
    // Without a word about it only the structure itself tells; most are envelopes.
    let kind = head.content_type.param("smime-type").map(str::to_ascii_lowercase);
    head.is_cms() && matches!(kind.as_deref(), Some("enveloped-data" | "authenveloped-data") | None)
}

/// Whether the body of a POST is an envelope, so that whoever sees it sees nothing of its payload: the structure itself,
/// whatever is said about it. What cannot be read is none.
pub fn is_enveloped(headers: &Headers, body: &mut dyn Read, limits: &Limits) -> bool {
    let mut body = BufReader::with_capacity(BUFFER, body);
    let head = Head::new(headers.clone(), None).and_then(|head| head.or_repeated(&mut body, limits));
    let Some(head) = head.ok().filter(Head::is_cms) else { return false };
    let Ok(mut structure) = decoded_cms(&head, &mut body) else { return false };
    let mut start = Vec::new();
    if (&mut structure).take(START).read_to_end(&mut start).is_err() {
        return false;
    }
    // ContentInfo (RFC 5652 3): its content type is the first thing in the SEQUENCE.
    let long = start.get(1).filter(|length| **length > 0x80).map_or(0, |length| usize::from(length & 0x7f));
    let content_type = start.get(long.saturating_add(2)..).unwrap_or_default();
    start.first() == Some(&0x30) && [OID_ENVELOPED, OID_AUTH_ENVELOPED].iter().any(|oid| content_type.starts_with(oid))
}

/// Bytes of a structure in which its content type ends.
const START: u64 = 64;
/// id-envelopedData, 1.2.840.113549.1.7.3 (RFC 5652 6.1), with tag and length.
const OID_ENVELOPED: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03";
/// id-ct-authEnvelopedData, 1.2.840.113549.1.9.16.1.23 (RFC 5083 2.1), with tag and length.
const OID_AUTH_ENVELOPED: &[u8] = b"\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x17";
/// id-ct-compressedData, 1.2.840.113549.1.9.16.1.9 (RFC 3274 1.1), with tag and length.
const OID_COMPRESSED: &[u8] = b"\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x09";
/// id-signedData, 1.2.840.113549.1.7.2 (RFC 5652 5.1), with tag and length.
const OID_SIGNED: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02";
