//! Dispositions (RFC 4130 7.4.3, 7.5; RFC 8098 3.2.6): what became of a message, in one header line.
//!
//! ```text
//! automatic-action/MDN-sent-automatically; processed
//! automatic-action/MDN-sent-automatically; processed/error: decryption-failed
//! automatic-action/MDN-sent-automatically; failed/Failure: unsupported format
//! ```
//!
//! Read in any case and spacing; written in the form above.

use std::fmt;

use super::proof::Stored;

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disposition {
    kind: Kind,
    modifier: Option<Modifier>,
}

/// The disposition type (RFC 8098 3.2.6.2).
#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Processed,
    Failed,
    /// `displayed`, `deleted`, …; meaningless in AS2, lower case.
    Other(String),
}

/// The disposition modifier (RFC 8098 3.2.6.3).
#[derive(Debug, Clone, PartialEq, Eq)]
struct Modifier {
    severity: Severity,
    text: String,
}

/// How grave a disposition modifier is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Severity {
    /// The message was processed, with a remark.
    Warning,
    /// The message was not accepted.
    Error,
    /// The request for a receipt could not be met.
    Failure,
    /// A modifier that AS2 does not define; not a success.
    Unknown,
}

/// Not a `Disposition` value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a disposition is written as action-mode/sending-mode; type[/modifier: text]")]
pub struct BadDisposition;

impl Disposition {
    /// Reads the `Disposition` field of a received MDN.
    ///
    /// Not for building answers: a positive answer comes from [`processed`](super::processed).
    pub fn parse_received(value: &str) -> Result<Disposition, BadDisposition> {
        let (mode, rest) = value.split_once(';').ok_or(BadDisposition)?;
        let (action, sending) = mode.split_once('/').ok_or(BadDisposition)?;
        if action.trim().is_empty() || sending.trim().is_empty() {
            return Err(BadDisposition);
        }
        let (kind, modifier) = match rest.split_once('/') {
            Some((kind, modifier)) => (kind, Some(modifier)),
            None => (rest, None),
        };
        let kind = match kind.trim().to_ascii_lowercase() {
            word if word == "processed" => Kind::Processed,
            word if word == "failed" => Kind::Failed,
            word if word.is_empty() || word.contains([' ', ':', ';']) => return Err(BadDisposition),
            word => Kind::Other(word),
        };
        Ok(Disposition { kind, modifier: modifier.and_then(read_modifier) })
    }

    /// The message was accepted: `processed`, or `processed` with a warning.
    pub fn is_positive(&self) -> bool {
        let grave = self.modifier.as_ref().is_some_and(|modifier| modifier.severity != Severity::Warning);
        self.kind == Kind::Processed && !grave
    }

    /// How grave the modifier is, if there is one.
    pub fn severity(&self) -> Option<Severity> {
        self.modifier.as_ref().map(|modifier| modifier.severity)
    }

    /// The modifier's text as written, e.g. `decryption-failed`.
    pub fn modifier_text(&self) -> Option<&str> {
        self.modifier.as_ref().map(|modifier| modifier.text.as_str())
    }

    /// The modifier names this reason, in any case and with the misspellings seen in the field.
    pub fn says(&self, reason: &str) -> bool {
        let fold = |text: &str| {
            let text = text.trim().to_ascii_lowercase().replace([' ', '_'], "-");
            if text == "decompresion-failed" { "decompression-failed".to_owned() } else { text }
        };
        self.modifier_text().is_some_and(|text| fold(text) == fold(reason))
    }

    /// Minted through [`processed`](super::processed) only.
    pub(super) fn processed_ok() -> Disposition {
        Disposition { kind: Kind::Processed, modifier: None }
    }

    /// `processed/error: authentication-failed`: signer unknown or not the partner (RFC 4130 7.5.4).
    pub fn authentication_failed() -> Disposition {
        Disposition::error("authentication-failed")
    }

    /// `processed/warning: authentication-failed, processing continued` (RFC 4130 7.5.5): the payload is stored although
    /// nobody known has signed it.
    pub(super) fn processing_continued() -> Disposition {
        Disposition::warning("authentication-failed, processing continued")
    }

    /// `processed/error: unknown-trading-relationship` (draft-ietf-ediint-rfc4130bis 8.4): nobody agreed on this pair of
    /// names. RFC 4130 has no word for it but [`authentication-failed`](Disposition::authentication_failed).
    pub fn unknown_trading_relationship() -> Disposition {
        Disposition::error("unknown-trading-relationship")
    }

    /// `processed/error: invalid-message-id` (draft-ietf-ediint-rfc4130bis 8.4).
    pub fn invalid_message_id() -> Disposition {
        Disposition::error("invalid-message-id")
    }

    /// `processed/error: illegal-filename` (draft-ietf-ediint-rfc4130bis 8.4).
    pub fn illegal_filename() -> Disposition {
        Disposition::error("illegal-filename")
    }

    /// `processed/error: duplicate-filename` (draft-ietf-ediint-rfc4130bis 8.4).
    pub fn duplicate_filename() -> Disposition {
        Disposition::error("duplicate-filename")
    }

    /// `processed/error: decryption-failed` (RFC 4130 7.5.4).
    pub fn decryption_failed() -> Disposition {
        Disposition::error("decryption-failed")
    }

    /// `processed/error: decompression-failed` (RFC 5402 5).
    pub fn decompression_failed() -> Disposition {
        Disposition::error("decompression-failed")
    }

    /// `processed/error: integrity-check-failed` (RFC 4130 7.5.4).
    pub fn integrity_check_failed() -> Disposition {
        Disposition::error("integrity-check-failed")
    }

    /// `processed/error: insufficient-message-security` (RFC 4130 7.5.4).
    pub fn insufficient_message_security() -> Disposition {
        Disposition::error("insufficient-message-security")
    }

    /// `processed/error: unexpected-processing-error` (RFC 4130 7.5.4).
    pub fn unexpected_processing_error() -> Disposition {
        Disposition::error("unexpected-processing-error")
    }

    /// `failed/Failure: unsupported format`: the receipt asked for cannot be made (RFC 4130 7.5.3).
    pub fn unsupported_format() -> Disposition {
        Disposition::failure("unsupported format")
    }

    /// `failed/Failure: unsupported MIC-algorithms` (RFC 4130 7.5.3).
    pub fn unsupported_mic_algorithms() -> Disposition {
        Disposition::failure("unsupported MIC-algorithms")
    }

    /// `failed/Failure: sender-equals-receiver` (RFC 4130 7.5.6).
    pub fn sender_equals_receiver() -> Disposition {
        Disposition::failure("sender-equals-receiver")
    }

    /// `processed/warning: duplicate-document` (RFC 4130 7.5.6): the first copy is stored.
    pub fn duplicate_document(_stored: &Stored) -> Disposition {
        Disposition::warning("duplicate-document")
    }

    fn warning(text: &str) -> Disposition {
        let modifier = Modifier { severity: Severity::Warning, text: text.to_owned() };
        Disposition { kind: Kind::Processed, modifier: Some(modifier) }
    }

    fn error(text: &str) -> Disposition {
        let modifier = Modifier { severity: Severity::Error, text: text.to_owned() };
        Disposition { kind: Kind::Processed, modifier: Some(modifier) }
    }

    fn failure(text: &str) -> Disposition {
        let modifier = Modifier { severity: Severity::Failure, text: text.to_owned() };
        Disposition { kind: Kind::Failed, modifier: Some(modifier) }
    }
}

/// `error: text`, `Error:text`, `error`; nothing when the slash stands alone.
fn read_modifier(text: &str) -> Option<Modifier> {
    let (word, text) = text.split_once(':').unwrap_or((text, ""));
    let severity = match word.trim().to_ascii_lowercase().as_str() {
        "" => return None,
        "warning" => Severity::Warning,
        "error" => Severity::Error,
        "failure" => Severity::Failure,
        _ => Severity::Unknown,
    };
    let text = if severity == Severity::Unknown { word } else { text };
    Some(Modifier { severity, text: text.trim().to_owned() })
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Warning => "warning",
            Severity::Error => "error",
            Severity::Failure => "Failure",
            Severity::Unknown => "unknown",
        })
    }
}

impl fmt::Display for Disposition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.kind {
            Kind::Processed => "processed",
            Kind::Failed => "failed",
            Kind::Other(word) => word,
        };
        write!(f, "automatic-action/MDN-sent-automatically; {kind}")?;
        match &self.modifier {
            None => Ok(()),
            Some(Modifier { severity: Severity::Unknown, text }) => write!(f, "/{text}"),
            Some(Modifier { severity, text }) if text.is_empty() => write!(f, "/{severity}"),
            Some(Modifier { severity, text }) => write!(f, "/{severity}: {text}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Disposition {
        Disposition::parse_received(text).expect(text)
    }

    #[test]
    fn positive_dispositions_are_recognised_in_every_spelling() {
        for text in [
            "automatic-action/MDN-sent-automatically; processed",
            "automatic-action/MDN-sent-automatically ; processed",
            "Automatic-action/mdn-sent-automatically;processed",
            "AUTOMATIC-ACTION/MDN-SENT-AUTOMATICALLY;\tProcessed",
            "manual-action/MDN-sent-manually; processed",
            "automatic-action/MDN-sent-automatically; processed/warning: duplicate-document",
            "automatic-action/MDN-sent-automatically; processed/Warning: authentication-failed, processing continued",
            "automatic-action/MDN-sent-automatically; processed/",
        ] {
            assert!(read(text).is_positive(), "{text}");
        }
    }

    #[test]
    fn negative_dispositions_are_recognised_in_every_spelling() {
        for (text, reason) in [
            ("automatic-action/MDN-sent-automatically; processed/error: decryption-failed", "decryption-failed"),
            ("automatic-action/MDN-sent-automatically;processed/Error:decompresion-failed", "decompression-failed"),
            ("automatic-action/MDN-sent-automatically; processed / ERROR : Decryption-Failed", "decryption-failed"),
            ("automatic-action/MDN-sent-automatically; failed/Failure: unsupported format", "unsupported format"),
            (
                "automatic-action/MDN-sent-automatically; failed/failure: sender-equals-receiver",
                "sender-equals-receiver",
            ),
            ("a/b; processed/error: unexpected-processing-error", "unexpected-processing-error"),
        ] {
            let disposition = read(text);
            assert!(!disposition.is_positive(), "{text}");
            assert!(disposition.says(reason), "{text}");
        }
        for text in
            ["a/b; failed", "a/b; displayed", "a/b; deleted", "a/b; processed/superseded", "a/b;processed/error"]
        {
            assert!(!read(text).is_positive(), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_disposition_is_refused() {
        for text in
            ["", "processed", "a; processed", "/b; processed", "a/b;", "a/b; ", "a/b; proc essed", "a/b;;processed"]
        {
            assert_eq!(Disposition::parse_received(text), Err(BadDisposition), "{text:?}");
        }
    }

    #[test]
    fn every_row_is_written_canonically_and_read_back() {
        let lead = "automatic-action/MDN-sent-automatically; ";
        for (disposition, text) in [
            (Disposition::processed_ok(), "processed"),
            (Disposition::authentication_failed(), "processed/error: authentication-failed"),
            (Disposition::decryption_failed(), "processed/error: decryption-failed"),
            (Disposition::decompression_failed(), "processed/error: decompression-failed"),
            (Disposition::integrity_check_failed(), "processed/error: integrity-check-failed"),
            (Disposition::insufficient_message_security(), "processed/error: insufficient-message-security"),
            (Disposition::unexpected_processing_error(), "processed/error: unexpected-processing-error"),
            (Disposition::unsupported_format(), "failed/Failure: unsupported format"),
            (Disposition::unsupported_mic_algorithms(), "failed/Failure: unsupported MIC-algorithms"),
            (Disposition::sender_equals_receiver(), "failed/Failure: sender-equals-receiver"),
            (Disposition::duplicate_document(&Stored::assertion()), "processed/warning: duplicate-document"),
            (Disposition::processing_continued(), "processed/warning: authentication-failed, processing continued"),
            (Disposition::unknown_trading_relationship(), "processed/error: unknown-trading-relationship"),
            (Disposition::invalid_message_id(), "processed/error: invalid-message-id"),
            (Disposition::illegal_filename(), "processed/error: illegal-filename"),
            (Disposition::duplicate_filename(), "processed/error: duplicate-filename"),
        ] {
            assert_eq!(disposition.to_string(), format!("{lead}{text}"));
            assert_eq!(read(&disposition.to_string()), disposition);
        }
    }
}
