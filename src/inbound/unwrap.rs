//! For partners with profile `dxp`: the declaration or receipt inside a DxpMsg is taken out; the envelope is kept
//! beside it. What cannot be taken out is delivered as it came: nothing that a partner signed is refused here.

use std::io::{self, BufReader};

use serde::Serialize;

use super::Inbound;
use super::signature::SignatureMeta;
use crate::declaration::envelope::{self, EnvelopeHead, Kind, TransportResponse, Unwrapped as Content};
use crate::declaration::family::{self, Role};
use crate::declaration::receipt::{self, Receipt, ReceiptEntry};
use crate::ground::text::Bilingual;
use crate::mime::safe_file_name;
use crate::partner::{Partner, Profile};
use crate::store::draft::{Draft, Sink};

/// Receipt entries copied into the meta file.
const ENTRIES: usize = 100;
/// Bytes that the entries may take there as JSON: the meta file is written inside one frame of the journal.
const ENTRIES_BYTES: usize = 64 * 1024;

/// What was found in a DXP payload.
pub(super) struct Unwrapped {
    /// The document; `None` for a DxpRep or what could not be taken out.
    pub(super) document: Option<Draft>,
    /// A file name for the document.
    pub(super) file_name: Option<String>,
    /// A receipt or notice of customs that could be read.
    pub(super) receipt: Option<Receipt>,
    pub(super) dxp: DxpMeta,
}

/// What `<name>.meta.json` says about a DXP payload.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct DxpMeta {
    /// `DxpMsg`, `DxpRep`, a message type, or the root's name.
    pub(super) kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) envelope: Option<EnvelopeHead>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) transport_response: Option<TransportResponse>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) message_type: Option<String>,
    /// Of a business receipt: which documents, which status.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) receipt: Vec<ReceiptEntry>,
    /// How many entries the receipt has, when not all of them are copied here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) receipt_total: Option<usize>,
    /// Entries are missing here; the document has them all.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) truncated: bool,
    /// The signatures (XML-DSig) of envelope and document, as far as they have one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) signatures: Vec<SignatureMeta>,
    /// Why the document could not be taken out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) problem: Option<Bilingual>,
}

impl Inbound {
    /// Looks into a payload. Errors are those of our own storage.
    pub(super) fn unwrap(&self, partner: &Partner, payload: &Draft) -> io::Result<Option<Unwrapped>> {
        if partner.profile != Profile::Dxp {
            return Ok(None);
        }
        let kind = envelope::sniff(&mut self.reader(payload)?, &self.limits);
        let mut unwrapped = match kind {
            Ok(Kind::DxpMsg | Kind::DxpRep | Kind::DxpMsgSv) => self.open_envelope(payload)?,
            Ok(Kind::Ceb { message_type }) => self.bare(payload, message_type)?,
            Ok(Kind::Other { root, .. }) => Unwrapped::without_document(DxpMeta { kind: root, ..DxpMeta::default() }),
            Err(error) => Unwrapped::without_document(DxpMeta {
                kind: "unreadable".to_owned(),
                problem: Some(error.text()),
                ..DxpMeta::default()
            }),
        };
        unwrapped.dxp.signatures = self.signatures(partner, payload, unwrapped.document.as_ref());
        Ok(Some(unwrapped))
    }

    pub(super) fn reader<'a>(&self, draft: &'a Draft) -> io::Result<BufReader<Box<dyn io::Read + Send + 'a>>> {
        Ok(BufReader::with_capacity(64 * 1024, draft.open(&self.store)?))
    }

    fn open_envelope(&self, payload: &Draft) -> io::Result<Unwrapped> {
        let mut sink = Sink::new(&self.store);
        match envelope::unwrap(&mut self.reader(payload)?, &mut sink, &self.limits) {
            Ok(Content::Message { head, .. }) => self.document(head, sink.finish()?),
            Ok(Content::Response { response, .. }) => Ok(Unwrapped::without_document(DxpMeta {
                kind: "DxpRep".to_owned(),
                transport_response: Some(response),
                ..DxpMeta::default()
            })),
            Err(error) => Ok(Unwrapped::without_document(DxpMeta {
                kind: "DxpMsg".to_owned(),
                problem: Some(error.text()),
                ..DxpMeta::default()
            })),
        }
    }

    fn document(&self, head: EnvelopeHead, document: Draft) -> io::Result<Unwrapped> {
        let message_type = match envelope::sniff(&mut self.reader(&document)?, &self.limits) {
            Ok(Kind::Ceb { message_type }) => message_type,
            _ => head.msg_type.clone(),
        };
        let named = head.file_name.clone().unwrap_or_else(|| format!("{message_type}_{}.xml", head.cop_msg_id));
        let receipt = self.receipt(&message_type, &document)?;
        let dxp = DxpMeta {
            kind: "DxpMsg".to_owned(),
            envelope: Some(head),
            message_type: Some(message_type),
            ..DxpMeta::of_entries(receipt.as_ref())
        };
        Ok(Unwrapped { document: Some(document), file_name: Some(safe_file_name(&named)), receipt, dxp })
    }

    fn bare(&self, payload: &Draft, message_type: String) -> io::Result<Unwrapped> {
        let receipt = self.receipt(&message_type, payload)?;
        let (kind, message_type) = (message_type.clone(), Some(message_type));
        let dxp = DxpMeta { kind, message_type, ..DxpMeta::of_entries(receipt.as_ref()) };
        Ok(Unwrapped { receipt, ..Unwrapped::without_document(dxp) })
    }

    /// What customs says, when it can be read. What it cannot be read as is delivered all the same.
    fn receipt(&self, message_type: &str, document: &Draft) -> io::Result<Option<Receipt>> {
        let from_customs = |row: &family::MessageType| matches!(row.role, Role::Receipt | Role::Notice);
        if !family::find(message_type).is_some_and(from_customs) {
            return Ok(None);
        }
        match receipt::read(&mut self.reader(document)?, &self.limits) {
            Ok(receipt) => Ok(Some(receipt)),
            Err(error) => {
                tracing::warn!(message_type, code = error.code(), "a receipt of customs cannot be read: {error}");
                Ok(None)
            }
        }
    }
}

impl DxpMeta {
    /// The first entries, as far as they fit.
    fn of_entries(receipt: Option<&Receipt>) -> DxpMeta {
        let Some(Receipt { entries, left_out, .. }) = receipt else { return DxpMeta::default() };
        let total = entries.len().saturating_add(usize::try_from(*left_out).unwrap_or(usize::MAX));
        let mut bytes = 0usize;
        let mut fits = |entry: &ReceiptEntry| {
            bytes = bytes.saturating_add(serde_json::to_vec(entry).map_or(usize::MAX, |json| json.len()));
            bytes <= ENTRIES_BYTES
        };
        let kept = entries.iter().take(ENTRIES).map_while(|entry| fits(entry).then_some(())).count();
        let truncated = kept < total;
        let entries = entries.iter().take(kept).cloned().collect();
        DxpMeta { receipt: entries, receipt_total: truncated.then_some(total), truncated, ..DxpMeta::default() }
    }
}

impl Unwrapped {
    fn without_document(dxp: DxpMeta) -> Unwrapped {
        Unwrapped { document: None, file_name: None, receipt: None, dxp }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receipt(count: usize, info: usize) -> Receipt {
        let entry = ReceiptEntry { keys: Vec::new(), status: "2".into(), time: String::new(), info: "x".repeat(info) };
        let (message_type, guid) = ("CEB622Message".to_owned(), String::new());
        Receipt { message_type, guid, entries: vec![entry; count], left_out: 0 }
    }

    #[test]
    fn a_receipt_of_any_size_leaves_a_small_meta_file() {
        for (count, info, kept) in [(3, 10, 3), (100, 10, 100), (101, 10, 100), (100, 40_000, 1), (5, 1 << 20, 0)] {
            let meta = DxpMeta::of_entries(Some(&receipt(count, info)));
            assert_eq!(meta.receipt.len(), kept, "{count} of {info}");
            assert_eq!((meta.truncated, meta.receipt_total), (kept < count, (kept < count).then_some(count)));
            assert!(serde_json::to_vec(&meta).expect("JSON").len() < ENTRIES_BYTES + 1024);
        }
    }
}
