//! For partners with profile `dxp`: the declaration or receipt inside a DxpMsg is taken out; the envelope is kept
//! beside it. What cannot be taken out is delivered as it came: nothing that a partner signed is refused here.

use std::io::{self, BufReader};

use serde::Serialize;

use super::Inbound;
use super::signature::SignatureMeta;
use crate::declaration::envelope::{self, EnvelopeHead, Kind, Response, TransportResponse, Unwrapped as Content};
use crate::declaration::family::{self, Role};
use crate::declaration::receipt::{self, Receipt, ReceiptEntry};
use crate::declaration::standing::KEPT_INFO;
use crate::ground::text::Bilingual;
use crate::mime::safe_file_name;
use crate::partner::{Partner, Profile};
use crate::store::draft::{Draft, Sink};

/// Receipt entries copied into the meta file.
const ENTRIES: usize = 100;
/// Bytes that the entries, or the responses of a DxpRep, may take there as JSON: the meta file is written inside one frame of
/// the journal.
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
    /// What a DxpRep says, all that was read, until somebody has heard it.
    #[serde(skip)]
    pub(super) transport_response: Option<TransportResponse>,
    /// As much of it as the meta file holds; `left_out` counts the responses that are not in here.
    #[serde(rename = "transport_response", skip_serializing_if = "Option::is_none")]
    shown_response: Option<TransportResponse>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) message_type: Option<String>,
    /// Of a business receipt: which documents, which status.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) receipt: Vec<ReceiptEntry>,
    /// How many entries the receipt has, when not all of them are copied here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) receipt_total: Option<usize>,
    /// Entries or responses are missing here, or their texts are shortened to end with `…`; the delivered file has them all.
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
            Err(error) if error.fault.is_ours() => return Err(io::Error::other(error)),
            Err(error) => Unwrapped::without_document(DxpMeta {
                kind: "unreadable".to_owned(),
                problem: Some(error.text()),
                ..DxpMeta::default()
            }),
        };
        report_left_out(partner, &unwrapped.dxp);
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
            Ok(Content::Response { response, .. }) => Ok(Unwrapped::without_document(DxpMeta::of_response(response))),
            Err(error) if error.fault.is_ours() => Err(io::Error::other(error)),
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
            Err(error) if error.fault.is_ours() => return Err(io::Error::other(error)),
            _ => head.msg_type.clone(),
        };
        let given = head.file_name.clone().filter(|given| !given.is_empty());
        let named = given.unwrap_or_else(|| format!("{message_type}_{}.xml", head.cop_msg_id));
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
            Err(error) if error.fault.is_ours() => Err(io::Error::other(error)),
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

    fn of_response(response: TransportResponse) -> DxpMeta {
        let shown = shortened(&response);
        let truncated = shown.left_out > 0 || shown != response;
        DxpMeta {
            kind: "DxpRep".to_owned(),
            transport_response: Some(response),
            shown_response: Some(shown),
            truncated,
            ..DxpMeta::default()
        }
    }
}

/// As much of a DxpRep as the meta file holds. Where it is not all of it, texts are shortened before a response is left out:
/// what happened to an envelope is told by codes.
fn shortened(whole: &TransportResponse) -> TransportResponse {
    let size = |one: &Response| serde_json::to_vec(one).map_or(usize::MAX, |json| json.len());
    if whole.responses.iter().map(size).fold(0, usize::saturating_add) <= ENTRIES_BYTES {
        return whole.clone();
    }
    let receiver_id = whole.receiver_id.clone();
    let mut shown = TransportResponse { receiver_id, responses: Vec::new(), left_out: whole.left_out };
    let mut room = ENTRIES_BYTES;
    for one in &whole.responses {
        let mut one = one.clone();
        let texts = one.results.iter_mut().flat_map(|result| [&mut result.info, &mut result.note]);
        texts.chain([&mut one.info, &mut one.note]).flatten().for_each(shorten);
        match room.checked_sub(size(&one)) {
            Some(rest) => {
                room = rest;
                shown.responses.push(one);
            }
            None => shown.left_out = shown.left_out.saturating_add(1),
        }
    }
    shown
}

/// Cuts a text to as much as is kept with a document.
fn shorten(text: &mut String) {
    let end = text.char_indices().nth(KEPT_INFO).map(|(end, _)| end);
    if let Some(end) = end {
        text.truncate(end);
        text.push('…');
    }
}

/// Responses that were not read have no effect: the envelopes they answer stand as they did. Somebody has to know.
fn report_left_out(partner: &Partner, dxp: &DxpMeta) {
    let left_out = dxp.transport_response.as_ref().map_or(0, |response| response.left_out);
    if left_out > 0 {
        tracing::warn!(partner = %partner.id, left_out, code = "responses-left-out", "a DxpRep is larger than what is read of one: envelopes that only the rest answers stand as before; see the file in the inbox");
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

    fn response(info: usize, number: usize) -> Response {
        let original = EnvelopeHead { cop_msg_id: format!("M-{number}"), ..EnvelopeHead::default() };
        Response { code: "0002".into(), info: Some("文".repeat(info)), original, ..Response::default() }
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

    #[test]
    fn a_response_of_the_platform_of_any_size_leaves_a_small_meta_file_that_says_what_is_missing() {
        for (count, info, all) in [(1, 30_000, true), (100, 30_000, false), (1000, 0, false)] {
            let responses = (0..count).map(|number| response(info, number)).collect();
            let whole = TransportResponse { receiver_id: "E".into(), responses, left_out: 3 };
            let meta = DxpMeta::of_response(whole.clone());
            let json = serde_json::to_string(&meta).expect("JSON");
            assert!(json.len() < ENTRIES_BYTES + 1024, "{count} of {info}: {}", json.len());
            let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
            let shown = &json["transport_response"];
            let responses = shown["responses"].as_array().expect("responses");
            assert_eq!((responses.len() == count, responses.is_empty()), (all, false), "{count} of {info}");
            assert_eq!(shown["left_out"], 3 + count - responses.len());
            assert_eq!(json["truncated"], true);
            assert_eq!(responses[0]["code"], "0002");
            let text = responses[0]["info"].as_str().expect("a text");
            assert_eq!((text.ends_with('…'), text.chars().count()), (info > 0, info.min(KEPT_INFO + 1)));
            assert_eq!(meta.transport_response, Some(whole), "who hears it hears all of it");
        }
    }

    #[test]
    fn a_response_of_the_platform_of_the_usual_size_stands_whole_in_the_meta_file() {
        let responses = (0..20).map(|number| response(KEPT_INFO + 100, number)).collect();
        let whole = TransportResponse { receiver_id: "E".into(), responses, left_out: 0 };
        let json = serde_json::to_value(DxpMeta::of_response(whole.clone())).expect("JSON");
        assert_eq!(json, serde_json::json!({ "kind": "DxpRep", "transport_response": whole }));
    }
}
