//! Writing a `DxpRep`, as the transport platform of a test answers.

use super::{TransportResponse, write_head};
use crate::declaration::DXP_NS;
use crate::declaration::markup::Markup;

/// The bytes of a response; the schema's order, absent parts left out.
pub fn write_response(response: &TransportResponse) -> Vec<u8> {
    let mut markup = Markup::new("dxp:");
    markup.open_with("DxpRep", &[("xmlns:dxp", DXP_NS), ("ver", "1.0")]);
    markup.leaf("RecevierId", &response.receiver_id);
    for one in &response.responses {
        markup.open("Response");
        optional(&mut markup, "NodeId", one.node_id.as_deref());
        markup.leaf("ResponseCode", &one.code);
        optional(&mut markup, "ResponseInfo", one.info.as_deref());
        if !one.results.is_empty() {
            markup.open("Results");
            for result in &one.results {
                markup.open("Result");
                markup.leaf("RecId", &result.receiver_id);
                markup.leaf("Code", &result.code);
                optional(&mut markup, "Info", result.info.as_deref());
                optional(&mut markup, "Note", result.note.as_deref());
                markup.close("Result");
            }
            markup.close("Results");
        }
        markup.leaf("NoticeTime", one.notice_time.as_deref().unwrap_or_default());
        optional(&mut markup, "Note", one.note.as_deref());
        write_head(&mut markup, "OriHead", &one.original);
        markup.close("Response");
    }
    markup.close("DxpRep");
    markup.into_bytes()
}

fn optional(markup: &mut Markup, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        markup.leaf(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{EnvelopeHead, Response, ResponseResult, Unwrapped, unwrap};
    use super::*;
    use crate::declaration::precheck::{Expectations, check};
    use crate::ground::limits::Limits;

    #[test]
    fn what_is_written_is_valid_and_read_again() {
        let head = EnvelopeHead {
            cop_msg_id: "M-1".into(),
            sender_id: "DXPENT0000000001".into(),
            receiver_ids: vec!["DXPEDCCEB0000002".into()],
            creat_time: "2026-03-01T09:30:00".into(),
            msg_type: "CEB311Message".into(),
            file_name: None,
            ..EnvelopeHead::default()
        };
        let result = ResponseResult {
            receiver_id: "DXPEDCCEB0000002".into(),
            code: "2001".into(),
            info: Some("<无>".into()),
            note: None,
        };
        let one = Response {
            node_id: Some("00000002".into()),
            code: "0002".into(),
            info: Some("a & b".into()),
            results: vec![result],
            notice_time: Some("2026-03-01".into()),
            note: None,
            original: head,
        };
        let response = TransportResponse { receiver_id: "DXPENT0000000001".into(), responses: vec![one], left_out: 0 };
        let bytes = write_response(&response);
        let limits = Limits::default();
        let read = unwrap(&mut bytes.as_slice(), &mut Vec::new(), &limits).expect("a response");
        assert_eq!(read, Unwrapped::Response { response });
        let report = check(&mut bytes.as_slice(), &Expectations::default(), &limits);
        // It is no declaration, and nothing else is wrong with it.
        let rules: Vec<&str> = report.findings.iter().map(|finding| finding.rule.as_str()).collect();
        assert_eq!(rules, ["R01"], "{:?}", report.findings);
    }
}
