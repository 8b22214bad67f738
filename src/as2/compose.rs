//! From the payload to the wire.

use std::io::Write;

use super::error::ComposeError;
use super::{SendPlan, SentMics, Stamp};
use crate::mime::{Headers, Scratch, Source};

/// What a composed message needs to be sent and its receipt to be judged.
#[derive(Debug, Clone)]
pub struct Composed {
    /// Every field of the POST except `Host`, `Content-Length` and the connection's own.
    pub headers: Headers,
    /// Bytes written.
    pub wire_len: u64,
    /// The digests a receipt may carry.
    pub mics: SentMics,
    /// The algorithm a receipt should use, for [`Sent::algorithm`](super::Sent::algorithm).
    pub algorithm: crate::cms::DigestAlgorithm,
}

/// Writes the body of the POST to `out` in two passes over the payload: one for the digests, one for the bytes.
pub fn compose(
    plan: &SendPlan,
    stamp: &Stamp,
    payload: &dyn Source,
    scratch: &dyn Scratch,
    out: &mut dyn Write,
) -> Result<Composed, ComposeError> {
    let _ = (plan, stamp, payload, scratch, out);
    unimplemented!()
}
