//! From what the gateway knows to what the API says.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use data_encoding::HEXLOWER;

use super::super::backend::{BackupStatus, StateCount};
use super::*;
use crate::as2::{MicVariant, says_enveloped};
use crate::evidence::Exported;
use crate::outbound::Action;
use crate::store::record::{Body, Event, Evidence, LegalHold, Message, PublicationStage, Receipt};
use crate::store::{JournalReport, Raised};

impl From<&Message> for MessageLine {
    fn from(message: &Message) -> MessageLine {
        let declaration = message.declaration.as_ref();
        MessageLine {
            id: message.id,
            direction: message.direction,
            kind: message.kind,
            partner: message.partner.clone(),
            state: message.state,
            settled: message.state.is_final(),
            file_name: message.file_name.clone(),
            size: message.payload.map(|payload| payload.len),
            message_id: message.message_id.clone(),
            created: message.created,
            updated: message.updated,
            attempts: message.attempts,
            due: message.due,
            message_type: declaration.map(|declaration| declaration.message_type.clone()),
            documents: declaration.map(|declaration| declaration.documents),
            reason: message.reason.clone(),
            restored: message.restored,
        }
    }
}

impl From<&Message> for MessageDetail {
    fn from(message: &Message) -> MessageDetail {
        let declaration = message.declaration.clone().unwrap_or_default();
        let receipt = message.receipt.as_ref().map(ReceiptWire::from);
        let strays = message.strays.iter().map(|stray| StrayWire {
            at: stray.at,
            reason: stray.reason.clone(),
            receipt: ReceiptWire::from(&stray.receipt),
        });
        let files = message.publications.iter().map(|(publication, stage)| FileWire {
            folder: publication.folder.name().to_owned(),
            name: match stage {
                PublicationStage::Published(name) => name.clone(),
                _ => publication.name.clone(),
            },
            published: matches!(stage, PublicationStage::Published(_)),
        });
        let timeline = message.timeline.iter().map(EventWire::from);
        MessageDetail {
            line: MessageLine::from(message),
            payload: message.payload.as_ref().map(Bytes::from),
            wire: message.wire.as_ref().map(Bytes::from),
            wire_shows_payload: message.wire.is_some()
                && message.kind == JobKind::Payload
                && !says_enveloped(&message.headers),
            receipt,
            keys: declaration.keys,
            cop_msg_id: declaration.cop_msg_id,
            signer: message.signer.clone(),
            about: message.about,
            legal_hold: message.legal_hold.clone().map(|LegalHold { at, by, reason }| LegalHoldWire { at, by, reason }),
            payload_purged: message.payload_purged.as_ref().map(|purge| purge.at),
            successor: message.successor,
            earlier_message_ids: message.earlier.iter().map(|earlier| earlier.message_id.clone()).collect(),
            stray_receipts: strays.collect(),
            findings: message.findings.clone(),
            business: BusinessWire::of(message),
            alerts: message.alerts.clone(),
            mics: mics(message),
            security: message.evidence.iter().map(security).collect(),
            actions: Action::possible(message).into_iter().map(|action| action.name().to_owned()).collect(),
            files: files.collect(),
            timeline: timeline.collect(),
        }
    }
}

impl From<&Receipt> for ReceiptWire {
    fn from(receipt: &Receipt) -> ReceiptWire {
        ReceiptWire {
            disposition: receipt.disposition.clone(),
            mic: receipt.mic.clone(),
            mic_matches: receipt.mic_matches,
            signer: receipt.signer.clone(),
        }
    }
}

impl From<Raised> for AlertWire {
    fn from(raised: Raised) -> AlertWire {
        AlertWire { id: raised.name(), message: raised.message, partner: raised.partner, alert: raised.alert }
    }
}

impl From<&Body> for Bytes {
    fn from(body: &Body) -> Bytes {
        let sha256 = body.sha256.map(|sha256| HEXLOWER.encode(&sha256));
        Bytes { size: body.len, sha256 }
    }
}

impl From<Exported> for ExportWire {
    fn from(Exported { files, signed, mdn_signed }: Exported) -> ExportWire {
        ExportWire { files, signed, mdn_signed }
    }
}

impl From<JournalReport> for JournalWire {
    fn from(report: JournalReport) -> JournalWire {
        let JournalReport { frames, segments, last_sequence, head, bodies, .. } = report;
        JournalWire { frames, segments, last_sequence, head: HEXLOWER.encode(&head), bodies }
    }
}

impl From<BackupStatus> for BackupWire {
    fn from(status: BackupStatus) -> BackupWire {
        let BackupStatus { running, progress, sequence, chain, bytes, files, left_out, failed } = status;
        let (done_bytes, of_bytes) = (progress.bytes, progress.of_bytes);
        let failed = failed.map(|(code, text)| Reason { code, text });
        BackupWire { running, done_bytes, of_bytes, sequence, chain, bytes, files, left_out, failed }
    }
}

impl From<StateCount> for CountWire {
    fn from(StateCount { state, count }: StateCount) -> CountWire {
        CountWire { state, count }
    }
}

impl From<&Event> for EventWire {
    fn from(event: &Event) -> EventWire {
        EventWire { at: event.at, fact: event.fact.clone(), detail: event.detail.clone() }
    }
}

fn mics(message: &Message) -> Vec<MicWire> {
    let exact = message.mics.expected.iter().filter(|sent| sent.variant == MicVariant::Exact);
    exact
        .map(|sent| MicWire {
            algorithm: sent.mic.algorithm.micalg().to_owned(),
            value: STANDARD.encode(&sent.mic.value),
        })
        .collect()
}

fn security(evidence: &Evidence) -> SecurityWire {
    let terms = evidence.terms.iter().map(|term| TermWire {
        name: term.name.clone(),
        demanded: term.demanded.clone(),
        found: term.found.clone(),
        met: term.met,
    });
    let certificates = evidence
        .certificates
        .iter()
        .map(|used| CertificateUseWire { role: kebab(&used.role), fingerprint: used.fingerprint.clone() });
    SecurityWire {
        step: kebab(&evidence.step),
        terms: terms.collect(),
        certificates: certificates.collect(),
        remote: evidence.remote.clone(),
    }
}

/// The name under which a value is stored.
fn kebab(value: &impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}
