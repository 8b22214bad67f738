//! Proofs: values that exist only when something was really done, so that a positive receipt cannot be sent by mistake.
//!
//! | proof | says | minted only in |
//! |---|---|---|
//! | [`SignatureValid`](crate::cms::SignatureValid) | a pinned certificate signed exactly these octets | `cms/signed.rs` |
//! | [`PolicyMet`] | the message satisfies every demand of the agreement | `as2/open.rs` |
//! | [`Stored`] | payload and verdict survive a power cut | `inbound/publish.rs` |

use super::{Disposition, Opened};

/// The message satisfies every demand of the agreement, whatever the message itself claims.
#[must_use]
#[derive(Debug)]
pub struct PolicyMet(());

impl PolicyMet {
    /// To be called only where every layer was checked against the policy.
    pub(super) fn assertion() -> PolicyMet {
        PolicyMet(())
    }
}

/// The payload and its verdict are durable.
#[must_use]
#[derive(Debug)]
pub struct Stored(());

impl Stored {
    /// To be called only where the journal's `fdatasync` for the payload and the verdict has returned, or where the
    /// receipt becomes durable in one transaction with them and is handed out only after that has returned.
    #[cfg_attr(not(feature = "server"), allow(dead_code))]
    pub(crate) fn assertion() -> Stored {
        Stored(())
    }
}

/// The positive disposition `processed` (RFC 4130 7.5.2), with a warning where the agreement takes a signature by somebody
/// unknown for none (7.5.5): for a message that was opened under its policy and stored.
///
/// There is no other for sending but [`processed_by_record`] and [`Disposition::duplicate_document`].
pub fn processed(opened: &Opened, _stored: &Stored) -> Disposition {
    let Opened { policy: PolicyMet(()), unknown_signer, .. } = opened;
    if *unknown_signer { Disposition::processing_continued() } else { Disposition::processed_ok() }
}

/// The same for a message that was accepted before, by its record: it would not be accepted if it had not been opened under its
/// policy then.
pub fn processed_by_record(unknown_signer: bool, _stored: &Stored) -> Disposition {
    if unknown_signer { Disposition::processing_continued() } else { Disposition::processed_ok() }
}
