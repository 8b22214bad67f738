//! Faults: how the customs side misbehaves towards an AS2 message, by a scenario.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::as2::Disposition;
use crate::config::quantity;

/// Something that goes wrong with some of the messages that arrive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// What.
    pub fault: FaultKind,
    /// Messages that are let through before, since the scenario is in force.
    #[serde(default)]
    pub skip: u64,
    /// How many messages it happens to; 0: to all from there on.
    #[serde(default = "once")]
    pub times: u64,
    /// `http-status`: which one.
    #[serde(default = "unavailable")]
    pub status: u16,
    /// `late` and `slow-body`: how long.
    #[serde(default)]
    pub delay: Delay,
    /// `negative`: why.
    #[serde(default)]
    pub reason: NegativeReason,
}

fn once() -> u64 {
    1
}

fn unavailable() -> u16 {
    503
}

impl Fault {
    /// Whether it happens to the message with this number, from 0.
    pub(super) fn happens_to(&self, number: u64) -> bool {
        number.checked_sub(self.skip).is_some_and(|place| self.times == 0 || place < self.times)
    }
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// The MDN is negative, and the message is not taken.
    Negative,
    /// The MDN has another MIC.
    WrongMic,
    /// The MDN has no MIC.
    NoMic,
    /// The MDN is not signed.
    Unsigned,
    /// The MDN's signature does not hold.
    BadSignature,
    /// The MDN is about another message.
    WrongMessage,
    /// The message is taken, and there is no MDN.
    NoMdn,
    /// The message is taken, and the connection ends in the middle of the answer.
    LostAnswer,
    /// The MDN comes after a delay.
    Late,
    /// An asynchronous MDN comes twice.
    Duplicated,
    /// The request is refused with an HTTP status.
    HttpStatus,
    /// The message is not taken, and the connection ends in the middle of the answer.
    Closed,
    /// The answer trickles.
    SlowBody,
}

impl FaultKind {
    /// All of them.
    pub const ALL: [FaultKind; 13] = [
        FaultKind::Negative,
        FaultKind::WrongMic,
        FaultKind::NoMic,
        FaultKind::Unsigned,
        FaultKind::BadSignature,
        FaultKind::WrongMessage,
        FaultKind::NoMdn,
        FaultKind::LostAnswer,
        FaultKind::Late,
        FaultKind::Duplicated,
        FaultKind::HttpStatus,
        FaultKind::Closed,
        FaultKind::SlowBody,
    ];
}

/// Why a message is refused (RFC 4130 7.5.3, 7.5.4; RFC 5402 5).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "each is the RFC's own word")]
pub enum NegativeReason {
    AuthenticationFailed,
    DecryptionFailed,
    DecompressionFailed,
    IntegrityCheckFailed,
    InsufficientMessageSecurity,
    #[default]
    UnexpectedProcessingError,
    UnsupportedFormat,
    UnsupportedMicAlgorithms,
    SenderEqualsReceiver,
}

impl NegativeReason {
    pub(super) fn disposition(self) -> Disposition {
        match self {
            NegativeReason::AuthenticationFailed => Disposition::authentication_failed(),
            NegativeReason::DecryptionFailed => Disposition::decryption_failed(),
            NegativeReason::DecompressionFailed => Disposition::decompression_failed(),
            NegativeReason::IntegrityCheckFailed => Disposition::integrity_check_failed(),
            NegativeReason::InsufficientMessageSecurity => Disposition::insufficient_message_security(),
            NegativeReason::UnexpectedProcessingError => Disposition::unexpected_processing_error(),
            NegativeReason::UnsupportedFormat => Disposition::unsupported_format(),
            NegativeReason::UnsupportedMicAlgorithms => Disposition::unsupported_mic_algorithms(),
            NegativeReason::SenderEqualsReceiver => Disposition::sender_equals_receiver(),
        }
    }
}

/// A time, written as `"5s"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Delay(pub Duration);

impl Default for Delay {
    fn default() -> Delay {
        Delay(Duration::from_secs(5))
    }
}

impl TryFrom<String> for Delay {
    type Error = String;

    fn try_from(text: String) -> Result<Delay, String> {
        quantity::duration(&text).map(Delay).map_err(|why| format!("delay: {}", why.en))
    }
}

impl From<Delay> for String {
    fn from(delay: Delay) -> String {
        quantity::show_duration(delay.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_happens_to_so_many_messages_after_those_that_it_lets_through() {
        let read = |text: &str| toml::from_str::<Fault>(text).expect("a fault");
        let hit = |fault: &Fault| (0..6).filter(|number| fault.happens_to(*number)).collect::<Vec<u64>>();
        assert_eq!(hit(&read("fault = 'wrong-mic'")), [0]);
        assert_eq!(hit(&read("fault = 'late'\nskip = 2\ntimes = 2")), [2, 3]);
        assert_eq!(hit(&read("fault = 'closed'\nskip = 3\ntimes = 0")), [3, 4, 5]);
        for wrong in ["fault = 'odd'", "fault = 'late'\ndelay = 'soon'", "fault = 'late'\nuntil = 1"] {
            assert!(toml::from_str::<Fault>(wrong).is_err(), "{wrong}");
        }
    }
}
