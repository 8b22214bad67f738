//! For partners with profile `dxp`: the declaration or receipt inside a DxpMsg is taken out; the envelope is kept
//! beside it. What cannot be taken out is delivered as it came: nothing that a partner signed is refused here.

use std::io::{self, BufReader};

use serde::Serialize;

use super::Inbound;
use crate::declaration::envelope::{self, EnvelopeHead, Kind, TransportResponse, Unwrapped as Content};
use crate::declaration::family;
use crate::declaration::receipt::{self, ReceiptEntry};
use crate::ground::text::Bilingual;
use crate::mime::safe_file_name;
use crate::partner::{Partner, Profile};
use crate::store::draft::{Draft, Sink};

/// Receipt entries copied into the meta file.
const ENTRIES: usize = 100;

/// What was found in a DXP payload.
pub(super) struct Unwrapped {
    /// The document; `None` for a DxpRep or what could not be taken out.
    pub(super) document: Option<Draft>,
    /// A file name for the document.
    pub(super) file_name: Option<String>,
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
        let unwrapped = match kind {
            Ok(Kind::DxpMsg | Kind::DxpRep | Kind::DxpMsgSv) => self.open_envelope(payload)?,
            Ok(Kind::Ceb { message_type }) => self.bare(payload, message_type)?,
            Ok(Kind::Other { root, .. }) => Unwrapped::without_document(DxpMeta { kind: root, ..DxpMeta::default() }),
            Err(error) => Unwrapped::without_document(DxpMeta {
                kind: "unreadable".to_owned(),
                problem: Some(error.text()),
                ..DxpMeta::default()
            }),
        };
        Ok(Some(unwrapped))
    }

    fn reader<'a>(&self, draft: &'a Draft) -> io::Result<BufReader<Box<dyn io::Read + Send + 'a>>> {
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
        let dxp = DxpMeta {
            kind: "DxpMsg".to_owned(),
            receipt: self.receipt_entries(&message_type, &document)?,
            message_type: Some(message_type),
            envelope: Some(head),
            ..DxpMeta::default()
        };
        Ok(Unwrapped { document: Some(document), file_name: Some(safe_file_name(&named)), dxp })
    }

    fn bare(&self, payload: &Draft, message_type: String) -> io::Result<Unwrapped> {
        let receipt = self.receipt_entries(&message_type, payload)?;
        let dxp =
            DxpMeta { kind: message_type.clone(), receipt, message_type: Some(message_type), ..DxpMeta::default() };
        Ok(Unwrapped::without_document(dxp))
    }

    fn receipt_entries(&self, message_type: &str, document: &Draft) -> io::Result<Vec<ReceiptEntry>> {
        if !family::is_receipt(message_type) {
            return Ok(Vec::new());
        }
        let read = receipt::read(&mut self.reader(document)?, &self.limits);
        Ok(read.map(|receipt| receipt.entries.into_iter().take(ENTRIES).collect()).unwrap_or_default())
    }
}

impl Unwrapped {
    fn without_document(dxp: DxpMeta) -> Unwrapped {
        Unwrapped { document: None, file_name: None, dxp }
    }
}
