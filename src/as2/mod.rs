//! AS2 (RFC 4130): from a payload to the bytes on the wire, and from the bytes on the wire to a verified payload.
//!
//! Everything here is pure: readers and writers, no sockets, no files, no clock. Time and identifiers are arguments.
//!
//! **Sending.** A [`SendPlan`] says what the agreement demands. [`compose`](compose::compose) writes the wire bytes
//! once and returns the header fields of the POST and the [`SentMics`]: every digest that the partner may name in its
//! receipt. When the receipt comes back, [`mdn::parse`] reads it and [`verdict::judge`] holds it against what was sent:
//! [`Verdict::Accepted`], [`Verdict::Refused`] or [`Verdict::Doubtful`].
//!
//! **Receiving.** [`read_head`] turns the header fields of a POST into a [`Request`] (or an asynchronous MDN).
//! [`open`](open::open) peels the layers (decrypt, decompress, verify, decompress) under an [`AcceptPolicy`], streams
//! the payload to a sink and returns [`Opened`] with its proofs, or an [`OpenFailure`] that says exactly as much to the
//! partner as is safe. Once the payload is durable, [`processed`] is the only way to the positive [`Disposition`],
//! and [`mdn::build`] makes the receipt.
//!
//! Three rules hold throughout:
//!
//! * The octets received are the octets hashed; nothing is re-serialised before it is verified (RFC 1847 2.1).
//! * Policy comes from the agreement, never from the message.
//! * A message that came in an envelope without integrity (CBC) and fails anywhere before its signature is verified
//!   gets one and the same answer, whatever the reason: an MDN must not be a decryption oracle.

#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::cast_possible_truncation, clippy::unwrap_used))]

pub mod message_id;
pub mod name;

pub mod headers;
pub mod options;
pub mod plan;
pub mod request;
pub mod restart;

pub mod attachments;
pub mod cem;
pub mod compose;
mod entity;
pub mod mic;

pub mod open;
pub mod proof;

pub mod disposition;
pub mod error;
pub mod mdn;
pub mod verdict;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod specimens;

pub use compose::{Composed, compose, compose_kept};
pub use disposition::{Disposition, Severity};
pub use error::{ComposeError, OpenError, RequestError};
pub use mdn::{BuiltMdn, Mdn, MdnError, MdnPlan};
pub use message_id::MessageId;
pub use mic::{Mic, MicVariant, SentMic, SentMics};
pub use name::As2Name;
pub use open::{
    Contained, Dissected, Form, OpenFailure, OpenKeys, Opened, Outlets, dissect, is_enveloped, open, open_as_named,
    open_canonical, payload_of, says_enveloped,
};
pub use options::{NotificationOptions, Unmet};
pub use plan::{
    AcceptPolicy, As2Version, Compression, Encryption, MdnAsk, MdnMode, MicalgStyle, SendPlan, Signing, Stamp,
};
pub use proof::{PolicyMet, Stored, processed};
pub use request::{Incoming, Kind, MdnEnvelope, MdnRequest, Request, check_head, classify, read_head};
pub use verdict::{Doubt, MicMatch, Sent, Verdict, judge};
