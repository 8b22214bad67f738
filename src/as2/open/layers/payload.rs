//! The innermost thing: the payload's entity, what of it the MIC covers, and what reaches the sink.

use std::io::{self, BufRead, BufReader, Read, Write};

use super::super::head::Head;
use super::super::readers::{BUFFER, Copying, Covered, Peeked, drain, mime_error};
use super::{Payload, Walk};
use crate::as2::error::OpenError;
use crate::as2::headers::{CONTENT_TYPE, shown};
use crate::cms::{self, DigestAlgorithm, MultiHasher};
use crate::mime::{Headers, LineEnds, file_name, transfer_decoder};

impl Payload {
    /// With the name that the POST gives it (`Content-Disposition`), if it has none of its own.
    pub(super) fn or_named(self, post: &Headers) -> Payload {
        let named = || {
            let mut post = post.clone();
            // A name beside its type would be that of the layer.
            post.remove(CONTENT_TYPE);
            file_name(&post)
        };
        Payload { file_name: self.file_name.or_else(named), ..self }
    }
}

impl Walk<'_> {
    /// The payload's entity: to the sink, if the layers seen so far are those the policy demands. Else it is read for its
    /// MIC; but neither what was decompressed nor what could have been tampered with, without a signature.
    pub(super) fn payload(&mut self, head: Head, body: &mut dyn BufRead) -> Result<Payload, OpenError> {
        self.demand_envelope(head.octets.is_none());
        let lacks_signature = self.policy.require_signature && !self.signed;
        if lacks_signature && (self.malleable() || self.found.compressed) {
            return Err(OpenError::NotSigned);
        }
        let ahead = if self.receipts { 0 } else { head.shows_receipt_within() };
        let mut body = Peeked::ahead_by(ahead.max(head.shows_encoding_within()), body);
        let receipt = !self.receipts && head.is_receipt(body.start(), self.limits);
        let outcome = self.payload_octets(&head, &mut body, lacks_signature || self.lacks_envelope || receipt);
        match outcome {
            _ if lacks_signature => Err(OpenError::NotSigned),
            Ok(_) if receipt => Err(OpenError::Layers("a receipt in the place of a message")),
            outcome => outcome,
        }
    }

    /// The octets of the payload, for the MIC and, unless `refused`, for the sink.
    fn payload_octets<R: BufRead>(
        &mut self,
        head: &Head,
        body: &mut Peeked<R>,
        refused: bool,
    ) -> Result<Payload, OpenError> {
        let algorithms = if self.signed { [].as_slice() } else { self.algorithms.as_slice() };
        let copy = if self.signed { None } else { self.again.covered.take() };
        let mut covered =
            Covered::new(MultiHasher::new(algorithms), copy, self.canonical_mic(head).then(LineEnds::default));
        // Plain messages are hashed without their header fields, all others with them (RFC 4130 7.3.1).
        covered.write_all(head.octets.as_deref().unwrap_or_default()).map_err(OpenError::Sink)?;
        let encoding = head.encoding_of_payload(body.start());
        let mut encoded = Copying::new(body, Some(&mut covered));
        let mut content = transfer_decoder(encoding, Box::new(&mut encoded)).map_err(OpenError::Mime)?;
        let sink: &mut dyn Write = if refused { &mut io::sink() } else { &mut *self.sink };
        let (len, sha256) = pour(&mut content, sink, self.policy.max_payload.min(self.limits.payload))?;
        drop(content);
        drain(&mut BufReader::new(encoded)).map_err(mime_error)?;
        if !self.signed {
            self.found.digests = covered.finish();
        }
        let content_type = head.headers.get(CONTENT_TYPE).map(shown);
        Ok(Payload { content_type, file_name: file_name(&head.headers), len, sha256 })
    }

    /// The MIC of a message that is encrypted and nothing else covers the canonical form (RFC 4130 7.3.1), which text has and
    /// binary content has not.
    fn canonical_mic(&self, head: &Head) -> bool {
        !self.signed && !self.found.compressed && self.found.cipher.is_some() && head.says_text()
    }
}

/// Writes the payload to the sink and returns its length and SHA-256.
fn pour(content: &mut dyn Read, sink: &mut dyn Write, most: u64) -> Result<(u64, [u8; 32]), OpenError> {
    let mut hasher = cms::Hasher::new(DigestAlgorithm::Sha256);
    let mut buffer = vec![0u8; BUFFER];
    let mut len = 0u64;
    loop {
        let n = match content.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(mime_error(error)),
        };
        len = len.saturating_add(u64::try_from(n).unwrap_or(u64::MAX));
        if len > most {
            return Err(OpenError::TooLarge);
        }
        let bytes = buffer.get(..n).unwrap_or_default();
        hasher.update(bytes);
        sink.write_all(bytes).map_err(OpenError::Sink)?;
    }
    let sha256 = hasher.finish().try_into().unwrap_or([0u8; 32]);
    Ok((len, sha256))
}
