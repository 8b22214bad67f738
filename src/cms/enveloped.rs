//! EnvelopedData (RFC 5652 6) with AES-CBC or SM4-CBC and AuthEnvelopedData (RFC 5083, 5084) with AES-GCM, as streams.
//!
//! Reading is where decryption oracles come from, so:
//!
//! * the recipient entry is chosen by *our* certificate, never by trying, and one private operation (RSA, ECDH or
//!   SM2) is done for a message. Where it names several of our certificates (made anew with the same serial number), the
//!   newest whose key and configuration fit what stands in the entry is used: a message to an older one of the same kind fails.
//!   Of several entries for us the first is used whose key transport our configuration allows;
//! * whatever that operation yields, decryption goes on: a key that is not well formed is replaced by a random one
//!   drawn before (RFC 3218 2.3.2), and the message fails later, in the same way as any other wrong key;
//! * PKCS#1 v1.5 padding is checked here in constant time on the bare RSA result, because OpenSSL before 3.2 reports
//!   it as an error;
//! * every failure from the private operation to the last block is [`CmsError::Decrypt`](super::CmsError::Decrypt);
//! * CBC belongs in EnvelopedData and GCM in AuthEnvelopedData; a relabelled envelope is refused (RFC 9709 1). GCM in
//!   EnvelopedData, as Bouncy Castle and PKI.js write it, is read only where the caller says so ([`Allowed`]), and its
//!   tag is demanded like any other.
//!
//! Plaintext flows before the end is known to be right: **the caller keeps what it reads in quarantine until the
//! reader reported its end without an error.** CBC says nothing about authenticity even then.

mod content_key;
mod read;
mod recipients;
mod write;

pub use read::{Allowed, EnvelopeKind, EnvelopeReader};
pub use write::{EnvelopeWriter, Recipient, wire_len};

/// Bytes processed at a time, in both directions.
const CHUNK: usize = 32 * 1024;

/// Bytes of a content of this length processed at a time: a short one needs no long buffers.
fn chunk_for(content_len: u64) -> usize {
    usize::try_from(content_len).map_or(CHUNK, |len| len.min(CHUNK))
}

/// Bytes of the GCM tag; shorter ones are neither written nor accepted.
const TAG_LEN: usize = 16;

#[cfg(test)]
#[path = "enveloped_tests.rs"]
mod tests;
