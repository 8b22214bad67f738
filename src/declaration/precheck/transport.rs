//! The envelope's part of the pre-check.

use std::io::BufReader;

use super::super::envelope::{EnvelopeHead, Kind, Unwrapped, pass};
use super::super::family::{self, Family};
use super::super::scanner::Scanner;
use super::{Expectations, Level, Report, Sheet, document};
use crate::bilingual;
use crate::ground::limits::Limits;
use crate::ground::text::printable;

/// Checks the envelope whose root the scanner just started, and the document inside.
pub(super) fn check(
    scanner: &mut Scanner<'_>,
    expect: &Expectations<'_>,
    limits: &Limits,
    report: &mut Report,
    sheet: &mut Sheet,
) {
    let mut inside = Sheet::new(limits);
    let mut summary = document::Summary::default();
    let result = pass(scanner, limits, &mut |data| {
        let mut data = BufReader::new(data);
        let mut scanner = Scanner::new(&mut data, expect.max_bytes, limits).under("DxpMsg/Data/");
        match scanner.next() {
            Ok(_) => summary = document::check(&mut scanner, expect, limits, &mut inside),
            Err(error) => inside.fault(&error),
        }
    });
    match result {
        Err(error) => {
            // A fault of the envelope also cuts the document short, which is no finding of its own.
            inside.findings.retain(|finding| finding.code != error.code());
            sheet.fault(&error);
        }
        Ok(Unwrapped::Response { .. }) => {
            let text = bilingual!(
                "这是传输平台的响应 DxpRep，不是可以申报的报文",
                "this is a response of the transport (DxpRep), not a message to declare"
            );
            sheet.about("DxpRep", "R01", Level::Error, "not-a-declaration", text);
        }
        Ok(Unwrapped::Message { head, deviations, .. }) => {
            deviations.iter().for_each(|deviation| sheet.fault(deviation));
            if report.kind == Kind::DxpMsgSv {
                let text = bilingual!(
                    "外层为传输节点报文 DxpMsgSv，企业直连应发送 DxpMsg",
                    "wrapped in DxpMsgSv, the form of transport nodes; an enterprise sends DxpMsg"
                );
                sheet.about("DxpMsgSv", "R03", Level::Warning, "node-message", text);
            }
            check_head(&head, summary.message_type.as_deref(), expect, sheet);
            report.envelope = Some(head);
        }
    }
    sheet.append(inside);
    report.take(summary);
}

fn check_head(head: &EnvelopeHead, message_type: Option<&str>, expect: &Expectations<'_>, sheet: &mut Sheet) {
    let sender = printable(&head.sender_id);
    if let Some(dxpid) = expect.dxpid
        && dxpid != head.sender_id
    {
        let text = bilingual!(
            "SenderId 为“{sender}”，应为本企业的 DXPID“{dxpid}”",
            "SenderId is {sender:?} but our DXPID is {dxpid:?}"
        );
        sheet.about("DxpMsg/TransInfo/SenderId", "R38", Level::Error, "sender-id-mismatch", text);
    }
    let Some(message_type) = message_type else { return };
    if head.msg_type != message_type {
        let (given, root) = (printable(&head.msg_type), printable(message_type));
        let text = bilingual!(
            "MsgType 为“{given}”，但 Data 中的报文是 {root}，两者必须一致",
            "MsgType is {given:?} but Data holds a {root}; make them equal"
        );
        sheet.about("DxpMsg/TransInfo/MsgType", "R01", Level::Error, "msg-type-mismatch", text);
    }
    let receivers = match family::receiver_for(message_type) {
        Some(Family::Import) => expect.import_receivers,
        Some(Family::Export) => expect.export_receivers,
        None => return,
    };
    if !head.receiver_ids.iter().any(|receiver| receivers.contains(&receiver.as_str())) {
        let wanted = receivers.join(", ");
        let text = bilingual!(
            "ReceiverId 中没有 {message_type} 的接收方 {wanted}",
            "no ReceiverId is a receiver of {message_type}: {wanted}"
        );
        sheet.about("DxpMsg/TransInfo/ReceiverIds", "R01", Level::Error, "receiver-mismatch", text);
    }
}
