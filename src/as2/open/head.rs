//! What an entity says about itself: its header block, how its body is encoded, which CMS structure that is.

use std::io::{BufRead, BufReader, Read};

use super::super::error::OpenError;
use super::super::headers::{CONTENT_TRANSFER_ENCODING, CONTENT_TYPE};
use super::super::request;
use super::readers::{BUFFER, Peeked};
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

    /// Some products send S/MIME as a file, its own header block in front: those fields say how the rest is encoded then.
    pub(super) fn or_repeated<R: BufRead>(self, body: &mut Peeked<R>, limits: &Limits) -> Result<Head, OpenError> {
        if !self.is_cms() || !begins_with_fields(body.start()) {
            return Ok(self);
        }
        let repeated = Head::new(read_entity_head(body, limits).map_err(OpenError::Mime)?, None)?;
        if repeated.is_cms() {
            Ok(repeated)
        } else {
            Err(OpenError::Layers("a body of another type than its own fields say"))
        }
    }

    /// These fields, of a POST whose body begins with `start`, are those of a payload that is compressed in the body, and the
    /// compressed structure has its own in front of it there: what mendelson sends that is neither signed nor encrypted.
    /// A payload that merely begins like an entity is none.
    pub(super) fn hides_compressed(&self, start: &[u8], limits: &Limits) -> bool {
        !self.is_layer() && begins_with_fields(start) && begins_compressed(start, limits)
    }

    pub(super) fn is_cms(&self) -> bool {
        matches!(self.content_type.essence.as_str(), "application/pkcs7-mime" | "application/x-pkcs7-mime")
    }

    /// The entity holds another one.
    pub(super) fn is_layer(&self) -> bool {
        self.is_cms() || self.content_type.essence == "multipart/signed"
    }

    /// How much of the body shows whether the entity is a receipt: nothing, where its type says so.
    pub(super) fn shows_receipt_within(&self) -> u64 {
        if request::body_shows_receipt(&self.content_type) { RECEIPT_AHEAD } else { 0 }
    }

    /// The entity, whose body begins with `start`, is a receipt (RFC 4130 7.4.3): whole, the part of it that programs read, or
    /// another multipart with that part in it.
    pub(super) fn is_receipt(&self, start: &[u8], limits: &Limits) -> bool {
        request::is_receipt(&self.content_type, self.transfer_encoding(), start, limits)
    }

    /// How much of the body shows whether it has the transfer encoding that is said: only of a multipart it may well have none.
    pub(super) fn shows_encoding_within(&self) -> u64 {
        match self.transfer_encoding() {
            Some(_) if !self.is_multipart() => 0,
            Some(encoding) if request::is_quoted_printable(encoding) => RECEIPT_AHEAD,
            Some(_) => DELIMITER_AHEAD,
            None => 0,
        }
    }

    /// The transfer encoding of a body that begins with `start`.
    fn encoding_of(&self, start: &[u8]) -> Option<&str> {
        let begins = |boundary| begins_with_delimiter(start, boundary);
        let raw = self.is_multipart() && self.content_type.boundary().is_ok_and(begins);
        self.transfer_encoding().filter(|_| !raw)
    }

    /// The same of a payload. Quoted-printable leaves the delimiters of files as they are, so that more has to show whether there
    /// is any.
    pub(super) fn encoding_of_payload(&self, start: &[u8]) -> Option<&str> {
        let said = self.transfer_encoding();
        let is_quoted = |boundary| request::is_quoted_multipart(said, boundary, start);
        let quoted = self.is_multipart() && self.content_type.boundary().is_ok_and(is_quoted);
        if quoted { said } else { self.encoding_of(start) }
    }

    /// The same of a multipart/signed, of which quoted-printable leaves the delimiters as they are too. In a layer one that begins
    /// with its delimiter counts as it is all the same: no octet that stands for none gets into an envelope without integrity so.
    fn encoding_of_signed(&self, start: &[u8]) -> Option<&str> {
        let said = self.transfer_encoding();
        let is_quoted = |boundary| request::is_quoted_multipart(said, boundary, start);
        let quoted = self.octets.is_none() && self.content_type.boundary().is_ok_and(is_quoted);
        if quoted { said } else { self.encoding_of(start) }
    }

    fn is_multipart(&self) -> bool {
        self.content_type.essence.starts_with("multipart/")
    }

    /// The body is said to be text in some encoding, whose lines end in CR LF in its canonical form.
    pub(super) fn says_text(&self) -> bool {
        self.transfer_encoding().is_some_and(|encoding| !is_binary(encoding))
    }

    /// The body is said to be binary: every octet of it counts as it is.
    pub(super) fn says_binary(&self) -> bool {
        self.transfer_encoding().is_some_and(is_binary)
    }

    /// What is said of it; `None` means binary (RFC 4130 5.2.1).
    fn transfer_encoding(&self) -> Option<&str> {
        self.headers.get(CONTENT_TRANSFER_ENCODING)
    }
}

fn is_binary(encoding: &str) -> bool {
    encoding.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("binary")
}

/// A multipart/signed without the transfer encoding that it should not have.
pub(super) fn decoded_multipart<'b>(
    head: &Head,
    body: &'b mut dyn BufRead,
) -> Result<BufReader<Box<dyn Read + 'b>>, OpenError> {
    let body = Peeked::ahead_by(head.shows_encoding_within(), body);
    let encoding = head.encoding_of_signed(body.start());
    let content = transfer_decoder(encoding, Box::new(body)).map_err(OpenError::Mime)?;
    Ok(BufReader::with_capacity(BUFFER, content))
}

/// A CMS structure without its transfer encoding, whatever is said about that: some products declare base64 and send
/// binary, others send base64 and declare nothing. Every structure starts with a SEQUENCE of more than 127 bytes.
pub(super) fn decoded_cms<'b>(
    head: &Head,
    body: &'b mut dyn BufRead,
) -> Result<BufReader<Box<dyn Read + 'b>>, OpenError> {
    let body = Peeked::new(body);
    let encoding = match body.start() {
        [0x30, 0x80..=0xff, ..] => None,
        [b'M', b'I', ..] => Some("base64"),
        _ => head.transfer_encoding(),
    };
    let content = transfer_decoder(encoding, Box::new(body)).map_err(OpenError::Mime)?;
    Ok(BufReader::with_capacity(BUFFER, content))
}

/// Whether a body begins with a header block. No CMS structure begins like a field, in base64 or not.
fn begins_with_fields(start: &[u8]) -> bool {
    let begins = |field: &[u8]| start.get(..field.len()).is_some_and(|start| start.eq_ignore_ascii_case(field));
    begins(b"MIME-Version:") || begins(b"Content-")
}

/// Whether a body begins with a header block that announces a compressed structure, and with that structure.
fn begins_compressed(mut start: &[u8], limits: &Limits) -> bool {
    let head = read_entity_head(&mut start, limits).ok().and_then(|headers| Head::new(headers, None).ok());
    let Some(head) = head.filter(Head::is_cms) else { return false };
    let kind = head.content_type.param("smime-type");
    kind.is_some_and(|kind| kind.eq_ignore_ascii_case("compressed-data"))
        && kind_of(&head, &mut start) == Some(CmsKind::Compressed)
}

/// What the structure in a body is, whatever is said about it.
fn kind_of(head: &Head, body: &mut dyn BufRead) -> Option<CmsKind> {
    let mut start = Vec::new();
    decoded_cms(head, body).ok()?.take(START).read_to_end(&mut start).ok()?;
    kind_in(&start)
}

/// By the content type inside the structure, which begins with `start`; where that is none of these, by `smime-type`. Of the two
/// the structure cannot be wrong: some products have one label for everything.
pub(super) fn cms_kind(content_type: &ContentType, start: &[u8]) -> Result<CmsKind, OpenError> {
    let label = content_type.param("smime-type").map(str::to_ascii_lowercase);
    match (kind_in(start), label.as_deref()) {
        (None | Some(CmsKind::Signed), Some("certs-only")) => {
            Err(OpenError::Layers("certificates instead of a message"))
        }
        (Some(kind), _) => Ok(kind),
        (None, Some("compressed-data")) => Ok(CmsKind::Compressed),
        (None, Some("signed-data")) => Ok(CmsKind::Signed),
        (None, _) => Ok(CmsKind::Enveloped),
    }
}

/// What a structure with these first octets is: the content type of ContentInfo (RFC 5652 3) is the first thing in its SEQUENCE.
fn kind_in(start: &[u8]) -> Option<CmsKind> {
    let long = start.get(1).filter(|length| **length > 0x80).map_or(0, |length| usize::from(length & 0x7f));
    let content_type = start.get(long.saturating_add(2)..).filter(|_| start.first() == Some(&0x30))?;
    KINDS.iter().find(|(oid, _)| content_type.starts_with(oid)).map(|(_, kind)| *kind)
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
    let mut body = Peeked::new(BufReader::with_capacity(BUFFER, body));
    let head = Head::new(headers.clone(), None).and_then(|head| head.or_repeated(&mut body, limits));
    let Some(head) = head.ok().filter(Head::is_cms) else { return false };
    kind_of(&head, &mut body) == Some(CmsKind::Enveloped)
}

/// Bytes of a body in which a header block, and the beginning of the structure behind it, are looked for.
pub(super) const FIELDS_AHEAD: u64 = 2 * 1024;
/// Bytes of a multipart in which the part of a receipt for programs begins, as [`request::classify`] wants them, and which show
/// whether it is in quoted-printable.
const RECEIPT_AHEAD: u64 = 8 * 1024;
/// Bytes of a multipart in which its first delimiter ends, behind the longest preamble and boundary.
const DELIMITER_AHEAD: u64 = 512;
/// Bytes of a structure in which its content type ends.
const START: u64 = 64;
/// The content types of the structures.
const KINDS: [(&[u8], CmsKind); 4] = [
    (OID_ENVELOPED, CmsKind::Enveloped),
    (OID_AUTH_ENVELOPED, CmsKind::Enveloped),
    (OID_COMPRESSED, CmsKind::Compressed),
    (OID_SIGNED, CmsKind::Signed),
];
/// id-envelopedData, 1.2.840.113549.1.7.3 (RFC 5652 6.1), with tag and length.
const OID_ENVELOPED: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03";
/// id-ct-authEnvelopedData, 1.2.840.113549.1.9.16.1.23 (RFC 5083 2.1), with tag and length.
const OID_AUTH_ENVELOPED: &[u8] = b"\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x17";
/// id-ct-compressedData, 1.2.840.113549.1.9.16.1.9 (RFC 3274 1.1), with tag and length.
const OID_COMPRESSED: &[u8] = b"\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x09";
/// id-signedData, 1.2.840.113549.1.7.2 (RFC 5652 5.1), with tag and length.
const OID_SIGNED: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02";
