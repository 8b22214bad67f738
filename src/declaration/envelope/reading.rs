//! The reading side of the envelope.

use super::super::base64_data::DataReader;
use super::add_info::{BizKey, MAX_KEYS};
use super::{DeclarationError, EnvelopeHead, Event, Fault, Limits, Namespace, Response, ResponseResult, Scanner};
use super::{MAX_RECEIVERS, TransportResponse, Unwrapped, field_fault};

/// Children of `DxpMsg` in order.
const MESSAGE_ORDER: [&str; 4] = ["TransInfo", "Data", "AddInfo", "Signature"];
/// Children of `TransInfo` in order.
const HEAD_ORDER: [&str; 5] = ["CopMsgId", "SenderId", "ReceiverIds", "CreatTime", "MsgType"];
/// Responses kept of one `DxpRep`.
const MAX_RESPONSES: usize = 1000;
/// Bytes of what decides in the responses of one `DxpRep`: envelopes, receivers, codes, times. A thousand of the longest that
/// the schema allows, each with the results of five receivers, take less.
const MAX_DECIDING_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of what explains it (`ResponseInfo`, `Info`, `Note`). They have a room of their own, so that no text takes the place
/// of a code.
const MAX_TEXT_BYTES: usize = 4 * 1024 * 1024;
/// What a response takes beside its fields, about.
const RESPONSE_BYTES: usize = 512;
/// What a result takes beside its fields, about.
const RESULT_BYTES: usize = 256;
/// Stands for a text that found no room.
const TEXT_LEFT_OUT: &str = "…";
/// Depths below `DxpRep` and parents of the leaves of a response.
const RESPONSE_PARENTS: [(usize, &str); 4] = [(2, "Response"), (3, "OriHead"), (4, "ReceiverIds"), (4, "Result")];

/// Takes the document out of `Data`; what it leaves unread is read past.
pub(in super::super) type OnData<'f> = &'f mut dyn FnMut(&mut DataReader<'_, '_>);

/// Reads the envelope whose root the scanner just started, to the end of the file.
pub(in super::super) fn pass(
    scanner: &mut Scanner<'_>,
    limits: &Limits,
    on_data: OnData<'_>,
) -> Result<Unwrapped, DeclarationError> {
    let node_msg_id = enter(scanner)?;
    let is_message = scanner.element().is_some_and(|element| element.local() == "DxpMsg");
    let unwrapped = if is_message {
        MessagePass::new(scanner, limits).read(node_msg_id, on_data)?
    } else {
        Unwrapped::Response { response: read_response(scanner)? }
    };
    while scanner.next()? != Event::Eof {}
    Ok(unwrapped)
}

/// Goes inside a `DxpMsgSv`, to the start of the message; its node's message id.
fn enter(scanner: &mut Scanner<'_>) -> Result<Option<String>, DeclarationError> {
    let inner = |scanner: &Scanner<'_>| {
        scanner.element().is_some_and(|e| e.is(&Namespace::Dxp, "DxpMsg") || e.is(&Namespace::Dxp, "DxpRep"))
    };
    if inner(scanner) {
        return Ok(None);
    }
    if !scanner.element().is_some_and(|element| element.is(&Namespace::Dxp, "DxpMsgSv")) {
        let (root, namespace) = scanner
            .element()
            .map(|element| (element.local().to_owned(), element.namespace.as_str().to_owned()))
            .unwrap_or_default();
        return Err(scanner.error(Fault::NotAnEnvelope { root, namespace }));
    }
    let mut node_msg_id = None;
    loop {
        match scanner.next()? {
            Event::Start if scanner.depth() == 2 && inner(scanner) => return Ok(node_msg_id),
            Event::Start => {}
            Event::End if scanner.depth() == 1 => {
                return Err(scanner.error(Fault::MissingElement { element: "DxpMsg".into() }));
            }
            Event::End => {
                if leaf(scanner, 3, "SvNo") == Some("MsgId") {
                    node_msg_id = Some(scanner.text().trim().to_owned());
                }
            }
            Event::Eof => return Err(scanner.error(Fault::MissingElement { element: "DxpMsg".into() })),
        }
    }
}

/// Local name of the element just ended when it is of the transport, at this depth and in this parent.
fn leaf<'s>(scanner: &'s Scanner<'_>, depth: usize, parent: &str) -> Option<&'s str> {
    let element = scanner.element().filter(|element| element.namespace == Namespace::Dxp)?;
    let fits = scanner.depth() == depth && scanner.parent().is_some_and(|p| p.is(&Namespace::Dxp, parent));
    fits.then_some(element.local())
}

/// One reading of a `DxpMsg`.
struct MessagePass<'s, 'a> {
    scanner: &'s mut Scanner<'a>,
    /// Depth of the `DxpMsg` element.
    base: usize,
    max_payload: u64,
    max_deviations: usize,
    head: EnvelopeHead,
    document_len: Option<u64>,
    deviations: Vec<DeclarationError>,
    /// How far in [`MESSAGE_ORDER`] and [`HEAD_ORDER`] we are.
    message_seen: Vec<usize>,
    head_seen: Vec<usize>,
}

impl<'s, 'a> MessagePass<'s, 'a> {
    fn new(scanner: &'s mut Scanner<'a>, limits: &Limits) -> MessagePass<'s, 'a> {
        let base = scanner.depth();
        MessagePass {
            scanner,
            base,
            max_payload: limits.payload,
            max_deviations: limits.findings,
            head: EnvelopeHead::default(),
            document_len: None,
            deviations: Vec::new(),
            message_seen: Vec::new(),
            head_seen: Vec::new(),
        }
    }

    fn read(mut self, node_msg_id: Option<String>, on_data: OnData<'_>) -> Result<Unwrapped, DeclarationError> {
        if self.scanner.element().and_then(|element| element.attribute("ver")) != Some("1.0") {
            self.deviate(Fault::BadField { element: "ver".into(), expected: "1.0".into() });
        }
        loop {
            match self.scanner.next()? {
                Event::Start => self.start(on_data)?,
                Event::End if self.scanner.depth() <= self.base => break,
                Event::End => self.end(),
                Event::Eof => break,
            }
        }
        self.require("TransInfo", &MESSAGE_ORDER, &self.message_seen.clone());
        let Some(document_len) = self.document_len else {
            return Err(self.scanner.error(Fault::MissingElement { element: "Data".into() }));
        };
        Ok(Unwrapped::Message { head: self.head, document_len, node_msg_id, deviations: self.deviations })
    }

    fn start(&mut self, on_data: OnData<'_>) -> Result<(), DeclarationError> {
        let depth = self.scanner.depth().saturating_sub(self.base);
        let Some(element) = self.scanner.element() else { return Ok(()) };
        let (local, is_dxp) = (element.local().to_owned(), element.namespace == Namespace::Dxp);
        let is_signature = element.is(&Namespace::Dsig, "Signature");
        if depth == 1 {
            self.in_order(&local, is_dxp || is_signature, &MESSAGE_ORDER, true)?;
            if is_dxp && local == "Data" {
                let mut data = DataReader::new(self.scanner, self.max_payload);
                on_data(&mut data);
                self.document_len = Some(data.finish()?);
            }
        } else if depth == 2 && self.scanner.parent().is_some_and(|p| p.is(&Namespace::Dxp, "TransInfo")) {
            self.in_order(&local, is_dxp, &HEAD_ORDER, false)?;
        }
        Ok(())
    }

    /// Notes an element out of its place; one given twice makes the message ambiguous and is a fault.
    fn in_order(&mut self, local: &str, known: bool, order: &[&str], message: bool) -> Result<(), DeclarationError> {
        let index = order.iter().position(|name| known && *name == local);
        let seen = if message { &mut self.message_seen } else { &mut self.head_seen };
        let fault = Fault::UnexpectedElement { element: local.to_owned() };
        let Some(index) = index else {
            self.deviate(fault);
            return Ok(());
        };
        if seen.contains(&index) {
            return Err(self.scanner.error(fault));
        }
        let late = seen.iter().any(|before| *before > index);
        seen.push(index);
        if late {
            self.deviate(fault);
        }
        Ok(())
    }

    fn end(&mut self) {
        let base = self.base;
        let value = self.scanner.text();
        let in_head = leaf(self.scanner, base.saturating_add(2), "TransInfo").map(str::to_owned);
        let receiver = leaf(self.scanner, base.saturating_add(3), "ReceiverIds") == Some("ReceiverId");
        let fault = match &in_head {
            Some(element) => field_fault(element, value),
            None if receiver => field_fault("ReceiverId", value),
            None => None,
        };
        let value = value.trim().to_owned();
        match in_head.as_deref() {
            Some("CopMsgId") => self.head.cop_msg_id = value,
            Some("SenderId") => self.head.sender_id = value,
            Some("CreatTime") => self.head.creat_time = value,
            Some("MsgType") => self.head.msg_type = value,
            Some("ReceiverIds") => self.count_receivers(),
            _ if receiver && self.head.receiver_ids.len() <= MAX_RECEIVERS => self.head.receiver_ids.push(value),
            None => self.add_info(value),
            _ => {}
        }
        if let Some(fault) = fault {
            self.deviate(fault);
        }
        let at_head = self.scanner.depth() == base.saturating_add(1);
        if at_head && self.scanner.element().is_some_and(|element| element.is(&Namespace::Dxp, "TransInfo")) {
            for element in HEAD_ORDER {
                self.require(element, &HEAD_ORDER, &self.head_seen.clone());
            }
        }
    }

    /// A part of `AddInfo` that just ended, or anything else.
    fn add_info(&mut self, value: String) {
        let (base, scanner) = (self.base, &*self.scanner);
        let attribute = |name: &str| scanner.element().and_then(|it| it.attribute(name)).map(str::to_owned);
        let key = leaf(scanner, base.saturating_add(3), "BizKey") == Some("Key");
        let part = leaf(scanner, base.saturating_add(2), "AddInfo").filter(|part| *part != "Key");
        let element = if key { Some("Key") } else { part };
        let (encoding, name) = (attribute("Encode"), attribute("name"));
        let fault = match element {
            Some("Key") if self.head.add_info.keys.len() >= MAX_KEYS => {
                Some(Fault::BadField { element: "BizKey".into(), expected: format!("1..{MAX_KEYS} Key") })
            }
            Some("IsText") => field_fault("Encode", encoding.as_deref().unwrap_or_default()),
            Some("Key") => name.as_deref().and_then(|name| field_fault("name", name)).or(field_fault("Key", &value)),
            Some(element @ ("FileName" | "IcCard")) => field_fault(element, &value),
            _ => None,
        };
        let head = &mut self.head;
        match element {
            Some("FileName") => head.file_name = Some(value),
            Some("IcCard") => head.add_info.ic_card = Some(value),
            Some("RecMapId") => head.add_info.map_id = Some(value),
            Some("IsText") => head.add_info.encoding = encoding,
            Some("Key") if head.add_info.keys.len() < MAX_KEYS => head.add_info.keys.push(BizKey { name, value }),
            _ => {}
        }
        if let Some(fault) = fault {
            self.deviate(fault);
        }
    }

    fn count_receivers(&mut self) {
        if self.head.receiver_ids.is_empty() || self.head.receiver_ids.len() > MAX_RECEIVERS {
            let expected = format!("1..{MAX_RECEIVERS} ReceiverId");
            self.deviate(Fault::BadField { element: "ReceiverIds".into(), expected });
            self.head.receiver_ids.truncate(MAX_RECEIVERS);
        }
    }

    fn require(&mut self, element: &str, order: &[&str], seen: &[usize]) {
        let index = order.iter().position(|name| *name == element);
        if index.is_some_and(|index| !seen.contains(&index)) {
            self.deviate(Fault::MissingElement { element: element.to_owned() });
        }
    }

    fn deviate(&mut self, fault: Fault) {
        if self.deviations.len() < self.max_deviations {
            self.deviations.push(self.scanner.error(fault));
        }
    }
}

/// Reads a `DxpRep`; unknown elements are passed over.
///
/// Memory is bounded whatever the file holds. Texts without room are replaced by a mark; a response without room for what
/// decides is left out whole and counted, and never held in part: half of it could say something else.
fn read_response(scanner: &mut Scanner<'_>) -> Result<TransportResponse, DeclarationError> {
    let mut pass = ResponsePass::new(scanner.depth());
    loop {
        match scanner.next()? {
            Event::Start => pass.start(scanner),
            Event::End if scanner.depth() <= pass.base => break,
            Event::End => pass.end(scanner),
            Event::Eof => break,
        }
    }
    if pass.response.responses.is_empty() && pass.response.left_out == 0 {
        return Err(scanner.error(Fault::MissingElement { element: "Response".into() }));
    }
    Ok(pass.response)
}

/// One reading of a `DxpRep`.
struct ResponsePass {
    /// Depth of the `DxpRep` element.
    base: usize,
    response: TransportResponse,
    room: Room,
    /// The room there was before the response that is being read.
    before: Room,
    /// The response that is being read is left out.
    over: bool,
}

impl ResponsePass {
    fn new(base: usize) -> ResponsePass {
        let room = Room { deciding: MAX_DECIDING_BYTES, texts: MAX_TEXT_BYTES };
        ResponsePass { base, response: TransportResponse::default(), room, before: room, over: false }
    }

    fn start(&mut self, scanner: &Scanner<'_>) {
        let Some(local) = scanner.element().map(|element| element.local()) else { return };
        let depth = scanner.depth().saturating_sub(self.base);
        if depth == 1 && local == "Response" {
            (self.before, self.over) = (self.room, false);
            let fits = self.response.responses.len() < MAX_RESPONSES && self.room.take(RESPONSE_BYTES);
            self.response.responses.push(Response::default());
            self.give_up_unless(fits);
        } else if depth == 3
            && local == "Result"
            && !self.over
            && let Some(last) = self.response.responses.last_mut()
        {
            let fits = self.room.take(RESULT_BYTES);
            last.results.push(ResponseResult::default());
            self.give_up_unless(fits);
        }
    }

    /// Takes the field whose end was just met.
    fn end(&mut self, scanner: &Scanner<'_>) {
        let (base, value) = (self.base, scanner.text().trim());
        if leaf(scanner, base.saturating_add(1), "DxpRep") == Some("RecevierId") {
            value.clone_into(&mut self.response.receiver_id);
            return;
        }
        let named = |(below, parent): &(usize, &'static str)| {
            leaf(scanner, base.saturating_add(*below), parent).map(|name| (*parent, name))
        };
        let Some(field) = RESPONSE_PARENTS.iter().find_map(named).filter(|_| !self.over) else { return };
        let Some(last) = self.response.responses.last_mut() else { return };
        let fits = take_field(last, &mut self.room, field, value);
        self.give_up_unless(fits);
    }

    /// Leaves out the response that is being read unless it `fits`; its room is for those that follow.
    fn give_up_unless(&mut self, fits: bool) {
        if !fits {
            self.response.responses.pop();
            self.response.left_out = self.response.left_out.saturating_add(1);
            (self.room, self.over) = (self.before, true);
        }
    }
}

/// Takes a field of a response. `false`: there is no room for it.
fn take_field(last: &mut Response, room: &mut Room, (parent, name): (&str, &str), value: &str) -> bool {
    let original = &mut last.original;
    match (parent, name) {
        ("Response", "NodeId") => room.word(last.node_id.get_or_insert_default(), value),
        ("Response", "ResponseCode") => room.word(&mut last.code, value),
        ("Response", "ResponseInfo") => room.text(&mut last.info, value),
        ("Response", "NoticeTime") => room.word(last.notice_time.get_or_insert_default(), value),
        ("Response", "Note") => room.text(&mut last.note, value),
        ("OriHead", "CopMsgId") => room.word(&mut original.cop_msg_id, value),
        ("OriHead", "SenderId") => room.word(&mut original.sender_id, value),
        ("OriHead", "CreatTime") => room.word(&mut original.creat_time, value),
        ("OriHead", "MsgType") => room.word(&mut original.msg_type, value),
        ("ReceiverIds", "ReceiverId") if original.receiver_ids.len() < MAX_RECEIVERS => {
            let fits = room.take(value.len());
            original.receiver_ids.extend(fits.then(|| value.to_owned()));
            fits
        }
        ("Result", _) => last.results.last_mut().is_none_or(|result| take_result_field(result, room, name, value)),
        _ => true,
    }
}

/// The same for a field of a result.
fn take_result_field(result: &mut ResponseResult, room: &mut Room, name: &str, value: &str) -> bool {
    match name {
        "RecId" => room.word(&mut result.receiver_id, value),
        "Code" => room.word(&mut result.code, value),
        "Info" => room.text(&mut result.info, value),
        "Note" => room.text(&mut result.note, value),
        _ => true,
    }
}

/// Bytes that the rest of a `DxpRep` may take.
#[derive(Clone, Copy)]
struct Room {
    deciding: usize,
    texts: usize,
}

impl Room {
    /// Takes room for what decides. `false`: there is none.
    fn take(&mut self, bytes: usize) -> bool {
        let rest = self.deciding.checked_sub(bytes);
        self.deciding = rest.unwrap_or(self.deciding);
        rest.is_some()
    }

    /// Fills a field that decides. `false`: there is no room.
    fn word(&mut self, field: &mut String, value: &str) -> bool {
        let fits = self.take(value.len());
        if fits {
            value.clone_into(field);
        }
        fits
    }

    /// Fills a field that explains, with [`TEXT_LEFT_OUT`] where there is no room: that costs no response.
    fn text(&mut self, field: &mut Option<String>, value: &str) -> bool {
        let rest = self.texts.checked_sub(value.len());
        self.texts = rest.unwrap_or(self.texts);
        *field = Some(rest.map_or(TEXT_LEFT_OUT, |_| value).to_owned());
        true
    }
}
