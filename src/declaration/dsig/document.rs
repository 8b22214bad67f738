//! Where the signed document lies: in a file of its own, or in `Data` of an envelope; and one reading of it.

use std::io::{BufRead, BufReader, Write};

use openssl::hash::Hasher;

use super::super::base64_data::DataReader;
use super::super::charset::carry;
use super::super::envelope;
use super::super::error::{DeclarationError, Fault};
use super::super::scanner::{Event, Listener, Namespace, Scanner};
use super::algorithm::ReferenceDigest;
use super::c14n::{Canonicaliser, Outputs};
use super::problem::SignatureProblem;
use crate::ground::limits::Limits;
use crate::mime::Source;

/// A document that can be read more than once.
#[derive(Clone, Copy)]
pub(super) struct Document<'d> {
    source: &'d dyn Source,
    enveloped: bool,
    limits: &'d Limits,
}

/// Bytes of one text. The longest is a document quoted by a CEB900; `Data` of an envelope comes in pieces.
const LONGEST_TEXT: usize = 8 * 1024 * 1024;

/// Looks at an event of the scanner.
type OnEvent<'f> = &'f mut dyn FnMut(Event, &Scanner<'_>) -> Result<(), SignatureProblem>;

impl<'d> Document<'d> {
    /// All of `source`.
    pub(super) fn whole(source: &'d dyn Source, limits: &'d Limits) -> Document<'d> {
        Document { source, enveloped: false, limits }
    }

    /// What the DxpMsg in `source` carries in `Data`.
    pub(super) fn enveloped(source: &'d dyn Source, limits: &'d Limits) -> Document<'d> {
        Document { source, enveloped: true, limits }
    }

    /// Reads it once.
    pub(super) fn read(
        &self,
        mut listener: Option<&mut dyn Listener>,
        on_event: OnEvent<'_>,
    ) -> Result<(), SignatureProblem> {
        self.with_reader(&mut |input| {
            let scanner = Scanner::new(input, self.source.len(), self.limits);
            let mut scanner = match &mut listener {
                Some(listener) => scanner.heard_by(&mut **listener),
                None => scanner,
            };
            scanner.allow_items_of(LONGEST_TEXT);
            loop {
                let event = scanner.next()?;
                on_event(event, &scanner)?;
                if event == Event::Eof {
                    return Ok(());
                }
                let is_data = event == Event::Start
                    && scanner.depth() == 2
                    && scanner.element().is_some_and(|element| element.is(&Namespace::Dxp, "Data"));
                if is_data {
                    DataReader::new(&mut scanner, self.limits.payload).finish()?;
                }
            }
        })
    }

    /// The digest of the document without its signature, and the canonical `SignedInfo`.
    pub(super) fn digests(
        &self,
        digest: ReferenceDigest,
        comments: bool,
    ) -> Result<(Vec<u8>, Vec<u8>), SignatureProblem> {
        let failed = |_| SignatureProblem::Signer("OpenSSL".to_owned());
        let mut hasher = Hasher::new(digest.message_digest()).map_err(failed)?;
        let mut signed_info = Bounded(Vec::new());
        let outputs = Outputs { document: &mut hasher, signed_info: &mut signed_info, comments };
        let mut canonicaliser = Canonicaliser::new(outputs);
        self.read(Some(&mut canonicaliser), &mut |_, _| Ok(()))?;
        canonicaliser.finish().map_err(DeclarationError::placeless)?;
        Ok((hasher.finish().map_err(failed)?.to_vec(), signed_info.0))
    }

    /// Writes the canonical form of the document without its signature.
    pub(super) fn canonicalise(&self, comments: bool, out: &mut dyn Write) -> Result<(), SignatureProblem> {
        let mut signed_info = Bounded(Vec::new());
        let outputs = Outputs { document: out, signed_info: &mut signed_info, comments };
        let mut canonicaliser = Canonicaliser::new(outputs);
        self.read(Some(&mut canonicaliser), &mut |_, _| Ok(()))?;
        Ok(canonicaliser.finish().map_err(DeclarationError::placeless)?)
    }

    fn with_reader(
        &self,
        work: &mut dyn FnMut(&mut dyn BufRead) -> Result<(), SignatureProblem>,
    ) -> Result<(), SignatureProblem> {
        let opened = self.source.open().map_err(|error| {
            let fault = Fault::Io { reason: error.to_string() };
            DeclarationError::placeless(fault)
        })?;
        let mut input = BufReader::with_capacity(BUFFER, opened);
        if !self.enveloped {
            return work(&mut input);
        }
        let mut scanner = Scanner::new(&mut input, self.source.len(), self.limits);
        scanner.next()?;
        let mut outcome = Err(SignatureProblem::Missing);
        envelope::pass(&mut scanner, self.limits, &mut |data| {
            outcome = work(&mut BufReader::with_capacity(BUFFER, data));
        })?;
        outcome
    }
}

const BUFFER: usize = 64 * 1024;

/// `SignedInfo` has a few hundred bytes; a long one is an attack on memory.
struct Bounded(Vec<u8>);

const SIGNED_INFO: usize = 64 * 1024;

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.0.len().saturating_add(bytes.len()) > SIGNED_INFO {
            let fault = Fault::ItemTooLong { max: SIGNED_INFO };
            return Err(carry(fault));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
