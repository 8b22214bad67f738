use super::*;
use crate::declaration::precheck::{Expectations, check};

fn head() -> EnvelopeHead {
    EnvelopeHead {
        cop_msg_id: "8D1C3A52-77C6-4F0E-9B0C-2F4A6D5E1B90".into(),
        sender_id: "DXPENT0000012345".into(),
        receiver_ids: vec!["DXPEDCCEB0000002".into()],
        creat_time: "2026-03-01T09:30:00".into(),
        msg_type: "CEB311Message".into(),
        file_name: Some("订单<1>.xml".into()),
        ..EnvelopeHead::default()
    }
}

fn wrapped(document: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    wrap(&head(), &mut &document[..], &mut out).expect("a correct head");
    out
}

fn read(envelope: &[u8]) -> Result<(Unwrapped, Vec<u8>), DeclarationError> {
    let mut document = Vec::new();
    unwrap(&mut &envelope[..], &mut document, &Limits::default()).map(|unwrapped| (unwrapped, document))
}

fn deviations(envelope: &str) -> Vec<&'static str> {
    match read(envelope.as_bytes()).expect("readable").0 {
        Unwrapped::Message { deviations, .. } => deviations.iter().map(DeclarationError::code).collect(),
        Unwrapped::Response { .. } => panic!("a message"),
    }
}

#[test]
fn what_was_wrapped_comes_out_byte_for_byte() {
    for length in [0, 1, 2, 3, 1000, 200_000] {
        let document: Vec<u8> = (0..length).map(|n: u32| n.to_le_bytes()[0]).collect();
        let (unwrapped, out) = read(&wrapped(&document)).expect("our own envelope");
        assert_eq!(out, document);
        let Unwrapped::Message { head: read_head, document_len, deviations, node_msg_id } = unwrapped else {
            panic!("a message")
        };
        assert_eq!((read_head, document_len), (head(), u64::from(length)));
        assert_eq!((deviations, node_msg_id), (vec![], None));
    }
}

#[test]
fn a_default_namespace_a_mark_and_line_breaks_in_base64_are_read() {
    let envelope = format!(
        "\u{FEFF}<?xml version=\"1.0\"?><DxpMsg xmlns=\"{DXP_NS}\" ver=\"1.0\"><TransInfo><CopMsgId>1</CopMsgId>\
         <SenderId>S</SenderId><ReceiverIds><ReceiverId>R</ReceiverId></ReceiverIds>\
         <CreatTime>2026-03-01T09:30:00+08:00</CreatTime><MsgType>Anything</MsgType></TransInfo>\
         <Data>\n aGVs\r\n&#13;\nbG8= <!-- x -->\n</Data></DxpMsg>"
    );
    assert_eq!(read(envelope.as_bytes()).expect("readable").1, b"hello");
    assert_eq!(deviations(&envelope), Vec::<&str>::new());
}

#[test]
fn an_outer_node_message_is_taken_off() {
    let inner = String::from_utf8(wrapped(b"hello")).expect("UTF-8");
    let inner = inner.split_once("?>").expect("a declaration").1;
    let envelope = format!(
        "<s:DxpMsgSv xmlns:s=\"{DXP_NS}\"><s:SvNo Ver=\"1.0\"><s:MsgId>00000002</s:MsgId></s:SvNo>{inner}</s:DxpMsgSv>"
    );
    let (unwrapped, document) = read(envelope.as_bytes()).expect("readable");
    assert_eq!(document, b"hello");
    assert!(matches!(unwrapped, Unwrapped::Message { node_msg_id: Some(id), .. } if id == "00000002"));
}

#[test]
fn a_transport_response_carries_the_original_message_id() {
    let envelope = format!(
        "<DxpRep xmlns=\"{DXP_NS}\" ver=\"1.0\"><RecevierId>DXPENT0000012345</RecevierId><Response><NodeId>00000002</NodeId>\
         <ResponseCode>0002</ResponseCode><ResponseInfo>schema</ResponseInfo><Results><Result><RecId>R</RecId>\
         <Code>2001</Code></Result></Results><NoticeTime>2026-03-01</NoticeTime><OriHead><CopMsgId>M1</CopMsgId>\
         <SenderId>S</SenderId><ReceiverIds><ReceiverId>R</ReceiverId></ReceiverIds><CreatTime>2026-03-01T09:30:00\
         </CreatTime><MsgType>CEB311Message</MsgType></OriHead></Response></DxpRep>"
    );
    let Unwrapped::Response { response } = read(envelope.as_bytes()).expect("readable").0 else { panic!("a response") };
    let first = &response.responses[0];
    assert_eq!((first.code.as_str(), first.original.cop_msg_id.as_str()), ("0002", "M1"));
    assert_eq!((first.results[0].code.as_str(), first.original.receiver_ids.len()), ("2001", 1));
}

#[test]
fn a_transport_response_about_very_many_envelopes_is_read_and_what_is_left_out_is_counted() {
    let one = |number: usize| {
        format!(
            "<Response><ResponseCode>0001</ResponseCode><OriHead><CopMsgId>M{number}</CopMsgId></OriHead></Response>"
        )
    };
    let all: String = (0..1010).map(one).collect();
    let envelope = format!("<DxpRep xmlns=\"{DXP_NS}\" ver=\"1.0\"><RecevierId>E</RecevierId>{all}</DxpRep>");
    let Unwrapped::Response { response } = read(envelope.as_bytes()).expect("readable").0 else { panic!("a response") };
    assert_eq!((response.responses.len(), response.left_out), (1000, 10));
    assert_eq!(response.responses[999].original.cop_msg_id, "M999", "what is left out is nobody else's");
}

fn response(xml: &[u8]) -> TransportResponse {
    match read(xml).expect("readable").0 {
        Unwrapped::Response { response } => response,
        Unwrapped::Message { .. } => panic!("a response"),
    }
}

/// A response with every field as long as the schema allows, its texts left aside, and the results of five receivers.
fn longest(number: usize) -> Response {
    let result = |receiver: usize| ResponseResult {
        receiver_id: format!("{receiver}{}", "订".repeat(15)),
        code: "订".repeat(9),
        ..ResponseResult::default()
    };
    let original = EnvelopeHead {
        cop_msg_id: format!("{number:05}{}", "订".repeat(250)),
        sender_id: "订".repeat(16),
        receiver_ids: vec!["订".repeat(16); 5],
        msg_type: "订".repeat(30),
        file_name: None,
        ..head()
    };
    Response {
        node_id: Some("订".repeat(8)),
        code: "订".repeat(9),
        results: (1..=5).map(result).collect(),
        notice_time: Some("2026-03-01".into()),
        original,
        ..Response::default()
    }
}

#[test]
fn a_transport_response_within_the_schema_loses_nothing_that_decides_and_a_small_one_nothing_at_all() {
    let all = |responses| TransportResponse { receiver_id: "E".into(), responses, left_out: 0 };
    let large = all((0..1000).map(longest).collect());
    assert!(response(&write_response(&large)) == large, "a thousand of the longest");
    let mut small = all((0..100).map(longest).collect());
    for one in &mut small.responses {
        (one.info, one.note) = (Some("文".repeat(300)), Some("注".repeat(500)));
        for result in &mut one.results {
            (result.info, result.note) = (one.info.clone(), one.note.clone());
        }
    }
    assert!(response(&write_response(&small)) == small, "a hundred of the longest with all their texts");
}

#[test]
fn a_transport_response_of_many_large_fields_is_cut_to_its_bounds_and_says_how_many_it_left_out() {
    let mut one = longest(0);
    one.results.iter_mut().for_each(|result| result.code = "7".repeat(60_000));
    let mut responses: Vec<Response> = vec![one; 30];
    responses.extend((1..=3).map(longest));
    let written = TransportResponse { receiver_id: "E".into(), responses, left_out: 0 };
    let read = response(&write_response(&written));
    let bytes: usize = read.responses.iter().flat_map(|one| &one.results).map(|result| result.code.len()).sum();
    assert!(read.responses.len() > 10 && bytes < 4 * 1024 * 1024, "{} responses, {bytes} bytes", read.responses.len());
    assert_eq!(read.responses.len() + read.left_out as usize, 33);
    // None is held in part, and there is room again for what is small.
    let large = read.responses.len() - 3;
    assert!(
        read.responses[..large] == written.responses[..large] && read.responses[large..] == written.responses[30..]
    );

    let huge = Response { results: vec![written.responses[0].results[0].clone(); 80], ..longest(1) };
    let read = response(&write_response(&TransportResponse { responses: vec![huge], ..written }));
    assert_eq!((read.responses.len(), read.left_out), (0, 1), "one that is too large by itself is counted, not denied");
}

#[test]
fn texts_of_a_transport_response_give_way_before_a_code_does() {
    let one = |number: usize| {
        let (info, note) = (Some("i".repeat(600)), Some("n".repeat(600)));
        let result =
            ResponseResult { receiver_id: "R".into(), code: "2001".into(), info: info.clone(), note: note.clone() };
        let original = EnvelopeHead { cop_msg_id: format!("M{number}"), file_name: None, ..head() };
        Response { code: "0002".into(), info, note, results: vec![result; 5], original, ..Response::default() }
    };
    let written = TransportResponse { receiver_id: "E".into(), responses: (0..1000).map(one).collect(), left_out: 0 };
    let read = response(&write_response(&written));
    assert_eq!((read.responses.len(), read.left_out), (1000, 0));
    assert_eq!(read.responses[0].info, written.responses[0].info);
    let last = &read.responses[999];
    assert_eq!((last.code.as_str(), last.original.cop_msg_id.as_str(), last.results.len()), ("0002", "M999", 5));
    assert_eq!(
        (last.results[4].code.as_str(), last.info.as_deref(), last.results[4].note.as_deref()),
        ("2001", Some("…"), Some("…"))
    );
    let texts = |one: &Response| {
        let own = one.results.iter().flat_map(|result| [&result.info, &result.note]).chain([&one.info, &one.note]);
        own.flatten().map(String::len).sum::<usize>()
    };
    assert!(read.responses.iter().map(texts).sum::<usize>() < 5 * 1024 * 1024);
}

#[test]
fn no_result_of_a_transport_response_is_written_over_another_and_none_is_lost() {
    let result = |number: usize| ResponseResult {
        receiver_id: format!("R{number}"),
        code: if number == 99 { "2001" } else { "0000" }.into(),
        ..ResponseResult::default()
    };
    let one = Response { results: (0..100).map(result).collect(), ..longest(1) };
    let written = TransportResponse { receiver_id: "E".into(), responses: vec![one], left_out: 0 };
    assert_eq!(response(&write_response(&written)), written);
}

#[test]
fn truncated_and_wrong_base64_are_refused_with_a_place() {
    let code = |data: &str| {
        let envelope = format!("<DxpMsg xmlns='{DXP_NS}' ver='1.0'><TransInfo/>\n<Data>{data}</Data></DxpMsg>");
        read(envelope.as_bytes()).map(|_| ()).map_err(|error| (error.code(), error.line, error.column))
    };
    assert_eq!(code("aGVsbG"), Err(("envelope-base64-truncated", 2, 1)));
    assert_eq!(code("aGVsbG8"), Err(("envelope-base64-truncated", 2, 1)));
    assert_eq!(code("aGVs*G8="), Err(("envelope-base64", 2, 11)));
    assert_eq!(code("aGVsbG8=aGVs"), Err(("envelope-base64", 2, 15)));
    assert_eq!(code("<x/>").map_err(|error| error.0), Err("element-unexpected"));
    assert_eq!(code(""), Ok(()));
    let whole = wrapped(&[7; 50_000]);
    assert_eq!(read(&whole[..40_000]).map_err(|error| error.code()), Err("xml-malformed"));
}

#[test]
fn deviations_are_listed_not_refused() {
    let head = "<TransInfo><SenderId>01234567890123456</SenderId><CopMsgId>1</CopMsgId><CreatTime>today</CreatTime></TransInfo>";
    let envelope = format!("<DxpMsg xmlns='{DXP_NS}'><Data/>{head}</DxpMsg>");
    assert_eq!(
        deviations(&envelope),
        [
            "envelope-field",
            "element-unexpected",
            "envelope-field",
            "element-unexpected",
            "envelope-field",
            "element-missing",
            "element-missing",
        ]
    );
}

#[test]
fn an_envelope_without_or_with_two_data_is_refused() {
    for inside in ["<TransInfo/>", "<Data/><Data/>"] {
        assert!(read(format!("<DxpMsg xmlns='{DXP_NS}'>{inside}</DxpMsg>").as_bytes()).is_err());
    }
    assert_eq!(read(b"<DxpMsg ver='1.0'/>").map_err(|error| error.code()), Err("envelope-root"));
}

#[test]
fn a_payload_beyond_the_limit_is_refused_while_it_is_read() {
    let limits = Limits { payload: 1000, ..Limits::default() };
    let envelope = wrapped(&[1; 100_000]);
    let error = unwrap(&mut &envelope[..], &mut Vec::new(), &limits).expect_err("too large");
    assert_eq!(error.fault, Fault::TooLarge { max: 1000 });
}

#[test]
fn a_head_the_schema_would_refuse_is_not_written() {
    let faulty = [
        EnvelopeHead { cop_msg_id: String::new(), ..head() },
        EnvelopeHead { sender_id: "DXPENT00000123456".into(), ..head() },
        EnvelopeHead { receiver_ids: vec![], ..head() },
        EnvelopeHead { receiver_ids: vec!["R".into(); 6], ..head() },
        EnvelopeHead { creat_time: "2026-02-30T00:00:00".into(), ..head() },
        EnvelopeHead { msg_type: "x".repeat(31), ..head() },
        EnvelopeHead { file_name: Some(String::new()), ..head() },
    ];
    for head in faulty {
        let mut out = Vec::new();
        assert!(wrap(&head, &mut &b"x"[..], &mut out).is_err() && out.is_empty(), "{head:?}");
    }
}

#[test]
fn the_root_tells_the_kind_without_reading_on() {
    let kind = |xml: &str| sniff(&mut xml.as_bytes(), &Limits::default());
    assert_eq!(
        kind("<c:CEB311Message xmlns:c='http://www.chinaport.gov.cn/ceb'><broken"),
        Ok(Kind::Ceb { message_type: "CEB311Message".into() })
    );
    assert_eq!(kind(&format!("<DxpMsg xmlns='{DXP_NS}'>")), Ok(Kind::DxpMsg));
    assert_eq!(kind("<DxpMsg>"), Ok(Kind::Other { root: "DxpMsg".into(), namespace: String::new() }));
    assert!(kind("EDIFACT").is_err());
}

#[test]
fn creation_time_is_the_local_time_of_china() {
    let at: Timestamp = "2026-02-28T18:30:00.7Z".parse().expect("a timestamp");
    assert_eq!(creat_time(at), "2026-03-01T02:30:00");
}

#[test]
fn several_receivers_and_all_of_add_info_are_written_by_the_schema_and_read_again() {
    let keys = vec![
        BizKey { name: Some("orderNo".into()), value: "DD<1>".into() },
        BizKey { name: None, value: "B-2".into() },
    ];
    let add_info = Box::new(AddInfo {
        ic_card: Some("2013000000001".into()),
        keys,
        encoding: Some("UTF-8".into()),
        map_id: Some("M1".into()),
    });
    let receivers = (1..=5).map(|number| format!("DXPEDCCEB000000{number}")).collect();
    let written = EnvelopeHead { receiver_ids: receivers, add_info, ..head() };
    let mut out = Vec::new();
    wrap(&written, &mut &b"<order/>"[..], &mut out).expect("a correct head");
    let Unwrapped::Message { head: again, deviations, .. } = read(&out).expect("readable").0 else {
        panic!("a message")
    };
    assert_eq!((again, deviations), (written.clone(), vec![]));
    let report = check(&mut &out[..], &Expectations::default(), &Limits::default());
    let against = report.findings.iter().filter(|finding| !finding.path.starts_with("DxpMsg/Data/"));
    assert!(against.clone().all(|finding| finding.rule != "R03"), "{:?}", against.collect::<Vec<_>>());

    let faulty = [
        AddInfo { ic_card: Some("1".repeat(14)), ..AddInfo::default() },
        AddInfo { encoding: Some("x".repeat(51)), ..AddInfo::default() },
        AddInfo { keys: vec![BizKey { name: None, value: "x".repeat(65) }], ..AddInfo::default() },
        AddInfo { keys: vec![BizKey { name: Some(String::new()), value: "x".into() }], ..AddInfo::default() },
        AddInfo { keys: vec![BizKey { name: None, value: "x".into() }; 6], ..AddInfo::default() },
    ];
    for add_info in faulty {
        let (head, mut out) = (EnvelopeHead { add_info: Box::new(add_info), ..head() }, Vec::new());
        assert!(wrap(&head, &mut &b"x"[..], &mut out).is_err() && out.is_empty(), "{head:?}");
    }
}

#[test]
fn a_sixth_key_is_a_deviation_and_a_key_outside_of_biz_key_is_none() {
    let keys = (1..=6).map(|number| format!("<dxp:Key name=\"n\">{number}</dxp:Key>")).collect::<String>();
    let with = |add_info: &str| {
        let text = String::from_utf8(wrapped(b"hello")).expect("text");
        let xml = text.replacen("</dxp:AddInfo>", &format!("{add_info}</dxp:AddInfo>"), 1);
        match read(xml.as_bytes()).expect("readable").0 {
            Unwrapped::Message { head, deviations, .. } => (head.add_info.keys.len(), deviations.len()),
            Unwrapped::Response { .. } => panic!("a message"),
        }
    };
    assert_eq!(with(&format!("<dxp:BizKey>{keys}</dxp:BizKey>")), (5, 1));
    assert_eq!(with("<dxp:Key>1</dxp:Key>").0, 0);
}

#[test]
fn what_a_transport_node_wraps_is_valid_and_comes_out_again() {
    let node = NodeHead {
        msg_id: "00000002202603010930000000000001".into(),
        sub_msg_id: Some("1".into()),
        send_time: "2026-03-01T09:30:00".into(),
        end_node: "46000002".into(),
        start_node: "00000002".into(),
    };
    let out = wrap_for_node(&node, &wrapped(b"hello")).expect("a correct head");
    let (unwrapped, document) = read(&out).expect("readable");
    assert_eq!(document, b"hello");
    let Unwrapped::Message { head: inside, node_msg_id, deviations, .. } = unwrapped else { panic!("a message") };
    assert_eq!((inside, node_msg_id, deviations), (head(), Some(node.msg_id.clone()), vec![]));
    let report = check(&mut &out[..], &Expectations::default(), &Limits::default());
    let codes = report.findings.iter().filter(|it| !it.path.contains("/Data/")).map(|it| it.code.as_str());
    assert_eq!(codes.collect::<Vec<_>>(), ["node-message"], "{:?}", report.findings);
    for wrong in [
        NodeHead { msg_id: "x".repeat(33), ..node.clone() },
        NodeHead { send_time: "20260301093000".into(), ..node.clone() },
        NodeHead { end_node: String::new(), ..node },
    ] {
        assert!(wrap_for_node(&wrong, b"<x/>").is_err());
    }
}

#[test]
fn long_base64_is_read_with_references_at_its_line_ends_and_in_cdata() {
    let document: Vec<u8> = (0..200_000u32).map(|n| n.to_le_bytes()[0]).collect();
    let text = String::from_utf8(wrapped(&document)).expect("UTF-8");
    let (front, rest) = text.split_once("<dxp:Data>").expect("its start");
    let (data, back) = rest.split_once("</dxp:Data>").expect("its end");
    let lines: Vec<&str> = data.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).expect("ASCII")).collect();
    let (first, others) = data.split_at(8);
    for long in [
        lines.join("&#13;\n"),
        lines.join("&#xA;"),
        format!("<![CDATA[{}]]>", lines.join("\r\n")),
        format!("{first}<![CDATA[{others}]]>\n"),
    ] {
        let envelope = format!("{front}<dxp:Data>{long}</dxp:Data>{back}");
        assert!(read(envelope.as_bytes()).expect("readable").1 == document);
        let report = check(&mut envelope.as_bytes(), &Expectations::default(), &Limits::default());
        assert!(report.findings.iter().all(|one| one.code != "xml-item-too-long"), "{:?}", report.findings);
    }
}
