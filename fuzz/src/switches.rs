//! What an agreement may say of little things, who is known, and how an envelope is written.
//!
//! They are taken from the end of an input: its last octet, where a `#` stands before it. Any other input means what inputs meant
//! before there was this choice, so none of those lost its depth.

use dxgate::as2::AcceptPolicy;
use dxgate::cms::{Certificate, DigestAlgorithm};

use super::{KEYS, policy};

/// The bits of that octet, the lowest first.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Switches {
    /// The sender lists algorithms for its MIC, and the first of them counts more than that of the signature.
    pub(super) mic_as_listed: bool,
    /// Where no signature is demanded, one by somebody unknown counts as none.
    pub(super) unknown_signers: bool,
    /// None of those who sign is known.
    pub(super) strangers: bool,
    /// The envelope travels in base64.
    pub(super) base64: bool,
    /// The body begins with header fields of its own.
    pub(super) repeated: bool,
    /// The envelope is one of RC2.
    pub(super) rc2: bool,
    /// Signatures may use every digest that can be read.
    pub(super) every_digest: bool,
    /// The label of the envelope is that of a signature.
    pub(super) mislabelled: bool,
}

impl Switches {
    /// The input without them, and what they say.
    pub(super) fn of(data: &[u8]) -> (&[u8], Switches) {
        let [rest @ .., b'#', octet] = data else { return (data, Switches::default()) };
        let bit = |place: u8| octet >> place & 1 == 1;
        let switches = Switches {
            mic_as_listed: bit(0),
            unknown_signers: bit(1),
            strangers: bit(2),
            base64: bit(3),
            repeated: bit(4),
            rc2: bit(5),
            every_digest: bit(6),
            mislabelled: bit(7),
        };
        (rest, switches)
    }

    /// The agreement with the sender.
    pub(super) fn policy(self, demands: bool) -> AcceptPolicy {
        let usual = policy(demands);
        AcceptPolicy {
            mic_as_listed: self.mic_as_listed,
            unknown_signers: self.unknown_signers,
            digests: if self.every_digest { DigestAlgorithm::READABLE.to_vec() } else { usual.digests },
            ..usual
        }
    }

    /// Whose signatures count.
    pub(super) fn trusted(self) -> Vec<Certificate> {
        if self.strangers { vec![KEYS.receiver.certificate.clone()] } else { KEYS.trusted().to_vec() }
    }
}
