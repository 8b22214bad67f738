//! The message around the XML: a `multipart/related` with the certificates as parts of their own.

use std::io::{BufRead, Read as _};

use super::reading::{self, ReadTrust};
use super::{
    CERTIFICATES_TYPE, CemError, DOCUMENT_TYPE, Exchange, ExchangeRequest, ExchangeResponse, MAX_BYTES,
    MAX_CERTIFICATE, TrustRequest, document,
};
use crate::as2::attachments::{self, Attachment, Enclosure, Related, bare_content_id, related_boundary};
use crate::as2::error::ComposeError;
use crate::cms::{Certificate, certs_only};
use crate::ground::id::Id;
use crate::ground::limits::Limits;
use crate::mime::{BytesSource, ContentType, MimeError, Source};

/// Whether a payload of this type is a certificate exchange message.
pub fn is_exchange(content_type: Option<&str>) -> bool {
    let Some(parsed) = content_type.and_then(|text| ContentType::parse(text).ok()) else { return false };
    let root = parsed.param("type").is_some_and(|root| root.eq_ignore_ascii_case(DOCUMENT_TYPE));
    parsed.is(DOCUMENT_TYPE) || (parsed.is("multipart/related") && root)
}

/// A request as a payload; by its first bytes it is known later for a multipart whose boundary is made of `id`
/// ([`attachments::type_of_named`]). `host` stands behind the `@` of Content-IDs.
///
/// # Errors
/// [`ComposeError::Header`].
pub fn request_payload(request: &ExchangeRequest, id: Id, host: &str) -> Result<Vec<u8>, ComposeError> {
    let content_id = |number: usize| format!("{id}.{}@{host}", number.saturating_add(1));
    let certificates = request.trust.iter().enumerate();
    let certificates: Vec<(String, Vec<u8>)> =
        certificates.map(|(number, trust)| (content_id(number), certificates_of(trust))).collect();
    payload(&document::request(request, &content_id), &certificates, id, host)
}

/// A response as a payload, as for [`request_payload`].
///
/// # Errors
/// [`ComposeError::Header`].
pub fn response_payload(response: &ExchangeResponse, id: Id, host: &str) -> Result<Vec<u8>, ComposeError> {
    payload(&document::response(response), &[], id, host)
}

fn certificates_of(trust: &TrustRequest) -> Vec<u8> {
    let all: Vec<Certificate> = std::iter::once(&trust.certificate).chain(&trust.chain).cloned().collect();
    certs_only::write(&all)
}

/// The XML and the certificates with their Content-IDs.
fn payload(xml: &str, certificates: &[(String, Vec<u8>)], id: Id, host: &str) -> Result<Vec<u8>, ComposeError> {
    let root_id = format!("{id}@{host}");
    let root = (root_id.as_str(), DOCUMENT_TYPE, BytesSource(xml.as_bytes()));
    let enclosed =
        certificates.iter().map(|(id, bytes)| (id.as_str(), CERTIFICATES_TYPE, BytesSource(bytes.as_slice())));
    let parts: Vec<(&str, &str, BytesSource<&[u8]>)> = std::iter::once(root).chain(enclosed).collect();
    let enclosures = parts.iter().map(|(content_id, content_type, content)| Enclosure {
        content_type,
        file_name: None,
        content_id: Some(content_id),
        content,
    });
    let related = Related::named(&enclosures.collect::<Vec<Enclosure<'_>>>(), id)?;
    let mut bytes = Vec::new();
    related.open().and_then(|mut all| all.read_to_end(&mut bytes)).map_err(MimeError::from)?;
    Ok(bytes)
}

/// Reads a payload for whose type [`is_exchange`] holds.
///
/// # Errors
/// [`CemError`]; [`CemError::Mime`] with [`MimeError::Io`] where the payload cannot be read.
pub fn read(content_type: &str, payload: &mut dyn BufRead, limits: &Limits) -> Result<Exchange, CemError> {
    let mut bytes = Vec::new();
    payload.take(MAX_BYTES.saturating_add(1)).read_to_end(&mut bytes).map_err(MimeError::from)?;
    if u64::try_from(bytes.len()).map_or(true, |len| len > MAX_BYTES) {
        return Err(CemError::TooLong);
    }
    let parts = match related_boundary(Some(content_type)) {
        Some(boundary) => split(&bytes, &boundary, limits)?,
        None => vec![Part { content_type: Some(content_type.to_owned()), content_id: None, bytes }],
    };
    let document = parts.iter().find(|part| part.is_document()).ok_or(CemError::NoDocument)?;
    match reading::read(&document.bytes)? {
        reading::Read::Response(response) => Ok(Exchange::Response(response)),
        reading::Read::Request { request_id, from, trust } => {
            let trust = trust.into_iter().map(|one| with_certificate(one, &parts, limits));
            Ok(Exchange::Request(ExchangeRequest { request_id, from, trust: trust.collect::<Result<_, _>>()? }))
        }
    }
}

struct Part {
    content_type: Option<String>,
    content_id: Option<String>,
    bytes: Vec<u8>,
}

impl Part {
    fn is_document(&self) -> bool {
        let parsed = self.content_type.as_deref().and_then(|text| ContentType::parse(text).ok());
        parsed.is_some_and(|parsed| parsed.is(DOCUMENT_TYPE))
    }
}

fn split(payload: &[u8], boundary: &str, limits: &Limits) -> Result<Vec<Part>, CemError> {
    let mut contents: Vec<Vec<u8>> = Vec::new();
    let attachments = attachments::split(&mut &*payload, boundary, limits, &mut |number, bytes| {
        if contents.len() <= number {
            contents.push(Vec::new());
        }
        contents.last_mut().map_or(Ok(()), |content| {
            content.extend_from_slice(bytes);
            Ok(())
        })
    })?;
    let part = |(Attachment { content_type, content_id, .. }, bytes)| Part { content_type, content_id, bytes };
    Ok(attachments.into_iter().zip(contents).map(part).collect())
}

/// Finds the certificate that a `TrustRequest` names; the others of its part are its chain.
fn with_certificate(read: ReadTrust, parts: &[Part], limits: &Limits) -> Result<TrustRequest, CemError> {
    let id = bare_content_id(&read.content_id);
    let is_named = |part: &&Part| part.content_id.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(&id));
    let part = parts.iter().find(is_named);
    let part = part.ok_or_else(|| CemError::NoPart(id.clone()))?;
    let mut held =
        certs_only::read(&part.bytes, limits).map_err(|source| CemError::Certificates { id: id.clone(), source })?;
    let place = read.reference.pick(&held);
    let certificate = held.remove(place.ok_or_else(|| CemError::OtherCertificate(id.clone()))?);
    if certificate.der().len() > MAX_CERTIFICATE {
        return Err(CemError::LongCertificate(id));
    }
    let ReadTrust { usages, respond_by, response_url, reference, .. } = read;
    Ok(TrustRequest { usages, respond_by, response_url, certificate, reference, chain: held })
}
