//! What the journal holds of a message, as evidence of a case.

use data_encoding::HEXLOWER;

use super::book::Book;
use crate::as2::Mic;
use crate::cms::Certificate;
use crate::connectivity::run::{CertificateEvidence, MessageEvidence, MicValue};
use crate::store::Store;
use crate::store::record::{CertificateRole, Message};

impl<G> Book<'_, G> {
    /// Keeps the message as it is now.
    pub(super) fn note(&mut self, message: &Message) {
        let proof = proof_of(message, &self.parts.store);
        let messages = &mut self.record.evidence.messages;
        messages.retain(|known| known.id != proof.id);
        messages.push(proof);
    }
}

fn proof_of(message: &Message, store: &Store) -> MessageEvidence {
    let last = |fact: &str| message.timeline.iter().rev().find(|event| event.fact == fact).map(|event| event.at);
    let (sent, confirmed) = (last("attempted"), last("delivered"));
    let round_trip = sent.zip(confirmed).map(|(sent, confirmed)| confirmed.duration_since(sent).as_millis());
    let receipt = message.receipt.as_ref();
    let terms = message.evidence.iter().flat_map(|evidence| &evidence.terms);
    MessageEvidence {
        id: message.id,
        message_id: message.message_id.clone(),
        file_name: message.file_name.clone(),
        payload_bytes: message.payload.map_or(0, |payload| payload.len),
        wire_bytes: message.wire.map_or(0, |wire| wire.len),
        wire_sha256: message.wire.and_then(|wire| wire.sha256).map(|sha256| HEXLOWER.encode(&sha256)),
        attempts: message.attempts,
        sent,
        confirmed,
        round_trip_ms: round_trip.and_then(|millis| u64::try_from(millis).ok()),
        terms: terms.map(|term| format!("{}: {}", term.name, term.demanded)).collect(),
        disposition: receipt.map(|receipt| receipt.disposition.clone()),
        mic_ours: ours(message),
        mic_theirs: receipt.and_then(|receipt| receipt.mic.clone()),
        mic_matches: receipt.and_then(|receipt| receipt.mic_matches),
        mdn_sha256: receipt.and_then(|receipt| receipt.body.sha256).map(|sha256| HEXLOWER.encode(&sha256)),
        certificates: certificates(message, store),
        platform: None,
        receipts: Vec::new(),
    }
}

/// In the algorithm that the MDN names, else all.
fn ours(message: &Message) -> Vec<MicValue> {
    let named = message.receipt.as_ref().and_then(|receipt| receipt.mic.as_ref()?.parse::<Mic>().ok());
    let exact = named.and_then(|named| message.mics.exact(named.algorithm));
    let value = |mic: &Mic| MicValue { value: mic.to_string() };
    match exact {
        Some(mic) => vec![value(mic)],
        None => message.mics.expected.iter().map(|sent| value(&sent.mic)).collect(),
    }
}

fn certificates(message: &Message, store: &Store) -> Vec<CertificateEvidence> {
    let used = message.evidence.iter().flat_map(|evidence| &evidence.certificates).map(|used| {
        let role = match used.role {
            CertificateRole::Signer => "signer",
            CertificateRole::Recipient => "recipient",
        };
        (role, &used.fingerprint)
    });
    let mdn = message.receipt.iter().filter_map(|receipt| Some(("mdn-signer", receipt.signer.as_ref()?)));
    let known = |(role, fingerprint): (&str, &String)| {
        let certificate = store.certificate(fingerprint).and_then(|der| Certificate::from_der(&der).ok());
        CertificateEvidence {
            role: role.to_owned(),
            fingerprint: fingerprint.clone(),
            subject: certificate.as_ref().map(Certificate::subject).unwrap_or_default(),
            until: certificate.map(|certificate| certificate.not_after()),
        }
    };
    used.chain(mdn).map(known).collect()
}
