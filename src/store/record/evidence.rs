//! What is kept of a message for non-repudiation beside its bytes: terms, certificates, content key, address.

use std::fmt;

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use serde::{Deserialize, Serialize};

/// The step that an [`Evidence`] tells about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EvidenceStep {
    /// We composed the wire bytes.
    Composed,
    /// Bytes were taken whose MDN goes out later.
    Received,
    /// A message was opened under the agreement.
    Accepted,
}

/// Under which terms a step was done and with which certificates. It changes nothing; it is there for whoever asks
/// years later. MDNs need none: their receipts name the signer, and whether the MIC matched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Which step.
    pub step: EvidenceStep,
    /// What the agreement demanded then, and what was found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub terms: Vec<Term>,
    /// The certificates used; [`Store::certificate`](crate::store::Store::certificate) has them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub certificates: Vec<CertificateUse>,
    /// Opens the envelope of the wire bytes again, whatever became of the private keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_key: Option<ContentKey>,
    /// The other side: the address a request came from, or the URL that is posted to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<String>,
    /// It showed that its sender is where it came from: by a signature that no recording has, or by a TLS client certificate.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub at_home: bool,
    /// By so many seconds the signing time was ahead of our clock.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub ahead: u64,
}

fn is_zero(seconds: &u64) -> bool {
    *seconds == 0
}

/// One term of an agreement at the time of the step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Term {
    /// `signature`, `encryption`, `compression`, `mdn`.
    pub name: String,
    /// What the agreement demanded or allowed, in the words of the partner's file; `none`.
    pub demanded: String,
    /// What was done or found; `none`.
    pub found: String,
    /// What was found satisfies what was demanded.
    pub met: bool,
}

impl Term {
    /// A term that is met because it is how we did it.
    pub fn done(name: &str, how: &str) -> Term {
        Term { name: name.to_owned(), demanded: how.to_owned(), found: how.to_owned(), met: true }
    }
}

/// A certificate in one of its roles.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateUse {
    /// What it was used for.
    pub role: CertificateRole,
    /// SHA-256 of its DER, lower-case hex.
    pub fingerprint: String,
}

/// What a certificate was used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CertificateRole {
    /// Its key signed the message.
    Signer,
    /// The message is encrypted to it.
    Recipient,
}

/// The key of one envelope's content. It guards nothing that does not lie beside it in the clear, but is printed nowhere.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ContentKey(String);

impl ContentKey {
    /// Keeps a key.
    pub fn new(key: &[u8]) -> ContentKey {
        ContentKey(HEXLOWER.encode(key))
    }

    /// The key's bytes; empty when the text is none of ours.
    pub fn bytes(&self) -> Vec<u8> {
        HEXLOWER_PERMISSIVE.decode(self.0.as_bytes()).unwrap_or_default()
    }
}

impl fmt::Debug for ContentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ContentKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_key_survives_its_text_and_is_not_printed() {
        let key = ContentKey::new(&[0, 15, 16, 255]);
        let text = serde_json::to_string(&key).unwrap();
        assert_eq!(serde_json::from_str::<ContentKey>(&text).unwrap().bytes(), [0, 15, 16, 255]);
        assert!(!format!("{key:?}").contains("0f10"));
    }

    #[test]
    fn evidence_of_earlier_programs_shows_nobody_at_home_and_is_written_as_it_was() {
        let text = r#"{"step":"accepted","remote":"203.0.113.1:5000"}"#;
        let earlier: Evidence = serde_json::from_str(text).unwrap();
        assert_eq!((earlier.at_home, earlier.ahead), (false, 0));
        assert_eq!(serde_json::to_string(&earlier).unwrap(), text);
        let shown = Evidence { at_home: true, ahead: 3, ..earlier };
        assert_eq!(serde_json::from_str::<Evidence>(&serde_json::to_string(&shown).unwrap()).unwrap(), shown);
    }
}
