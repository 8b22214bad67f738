//! From the wire to the payload.

use std::io::{Read, Write};

use super::error::OpenError;
use super::{AcceptPolicy, Disposition, Mic, PolicyMet, Request};
use crate::cms::{Certificate, ContentCipher, DecryptionKey, SignatureValid};
use crate::ground::limits::Limits;
use crate::mime::FileName;

/// The keys a message from this partner may need.
#[derive(Debug, Clone, Copy)]
pub struct OpenKeys<'a> {
    /// Our decryption keys: current, and during a rollover the previous one.
    pub decryption: &'a [DecryptionKey],
    /// The partner's signing certificates that are valid now.
    pub trusted: &'a [Certificate],
}

/// A message that satisfies its policy. The payload is in the sink.
#[derive(Debug)]
pub struct Opened {
    /// `Content-Type` of the payload, printable.
    pub content_type: Option<String>,
    /// The payload's file name as the partner gave it, and made safe.
    pub file_name: Option<FileName>,
    /// Bytes of the payload.
    pub payload_len: u64,
    /// SHA-256 of the payload.
    pub payload_sha256: [u8; 32],
    /// The digest for the receipt; `None` when none of the algorithms asked for is supported.
    pub mic: Option<Mic>,
    /// The proof of the signature, if the message is signed.
    pub signature: Option<SignatureValid>,
    /// The content cipher, if the message was encrypted.
    pub encrypted: Option<ContentCipher>,
    /// The message was compressed.
    pub compressed: bool,
    /// The proof that the agreement's demands are met.
    pub policy: PolicyMet,
}

/// A message that was not accepted. What the sink got must be thrown away.
#[derive(Debug)]
pub struct OpenFailure {
    /// For the MDN.
    pub told: Disposition,
    /// For the human-readable part of the MDN: a fixed sentence.
    pub explanation: &'static str,
    /// For the operator and the log alone.
    pub cause: OpenError,
}

/// Opens a message: decrypts, decompresses, verifies under `policy`, and writes the payload to `sink`.
pub fn open(
    request: &Request,
    body: &mut dyn Read,
    policy: &AcceptPolicy,
    keys: &OpenKeys<'_>,
    limits: &Limits,
    sink: &mut dyn Write,
) -> Result<Opened, OpenFailure> {
    let _ = (request, body, policy, keys, limits, sink);
    unimplemented!()
}
