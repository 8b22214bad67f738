//! The envelope's part of the pre-check: DxpMsg, DxpRep and DxpMsgSv by their tables, and the document inside.

use std::io::BufReader;

use super::super::base64_data::DataReader;
use super::super::envelope::EnvelopeHead;
use super::super::error::Fault;
use super::super::family::{self, Family};
use super::super::scanner::{Event, Namespace, Scanner};
use super::super::schema::Ns;
use super::document::FOREIGN_DXPID;
use super::document::OnFacts;
use super::finding::{Place, Say, Sheet};
use super::structure::Structure;
use super::{Expectations, Report, document, read_on};
use crate::bilingual;
use crate::ground::limits::Limits;
use crate::ground::text::printable;

/// Checks the envelope whose root the scanner just started, and the document inside.
pub(super) fn check<'e>(
    scanner: &mut Scanner<'_>,
    expect: &Expectations<'e>,
    limits: &Limits,
    report: &mut Report,
    sheet: &mut Sheet<'e>,
    on_facts: Option<OnFacts<'_>>,
) {
    let root = scanner.element().map(|root| root.local().to_owned()).unwrap_or_default();
    let Some(message) = expect.edition.find(Ns::Dxp, &root) else { return read_on(scanner, sheet) };
    sheet.message = message.root().map(|root| root.name.as_str());
    let structure = Structure::new(message, false);
    let head = EnvelopeHead::default();
    let mut pass = Pass { structure, head, seen: false, expect, limits, on_facts, report };
    let mut inside = Sheet::new(limits.findings, expect.levels);
    pass.run(scanner, sheet, &mut inside);
    let (head, seen) = (pass.head, pass.seen);
    if root == "DxpRep" {
        let text = bilingual!(
            "这是传输平台的响应 DxpRep，不是可以申报的报文",
            "this is a response of the transport (DxpRep), not a message to declare"
        );
        sheet.say("DxpRep".to_owned(), None, Say::error("R01", "not-a-declaration", text));
    }
    if root == "DxpMsgSv" {
        let text = bilingual!(
            "外层为传输节点报文 DxpMsgSv，企业直连应发送 DxpMsg",
            "wrapped in DxpMsgSv, the form of transport nodes; an enterprise sends DxpMsg"
        );
        sheet.say("DxpMsgSv".to_owned(), None, Say::warning("R01", "node-message", text));
    }
    if seen {
        check_head(&head, report.message_type.as_deref(), expect, sheet);
        report.envelope = Some(head);
    }
    sheet.append(inside);
}

/// One pass over an envelope.
struct Pass<'p, 'e, 'f> {
    structure: Structure,
    head: EnvelopeHead,
    /// There was a `TransInfo`.
    seen: bool,
    expect: &'p Expectations<'e>,
    limits: &'p Limits,
    on_facts: Option<OnFacts<'f>>,
    report: &'p mut Report,
}

impl<'e> Pass<'_, 'e, '_> {
    fn run(&mut self, scanner: &mut Scanner<'_>, sheet: &mut Sheet<'e>, inside: &mut Sheet<'e>) {
        self.structure.start(scanner, sheet);
        loop {
            match scanner.next() {
                Ok(Event::Start) => {
                    self.structure.start(scanner, sheet);
                    self.signature(scanner);
                    let data = scanner.element().is_some_and(|element| element.is(&Namespace::Dxp, "Data"))
                        && scanner.parent().is_some_and(|parent| parent.is(&Namespace::Dxp, "DxpMsg"));
                    if data && !self.data(scanner, sheet, inside) {
                        return;
                    }
                }
                Ok(Event::End) => self.end(scanner, sheet),
                Ok(Event::Eof) => return,
                Err(error) => return sheet.fault(&error),
            }
        }
    }

    /// Notes where the envelope's own signature stands.
    fn signature(&mut self, scanner: &Scanner<'_>) {
        let is_signature = scanner.depth() == 2
            && scanner.element().is_some_and(|element| element.is(&Namespace::Dsig, "Signature"))
            && scanner.parent().is_some_and(|parent| parent.is(&Namespace::Dxp, "DxpMsg"));
        if is_signature {
            self.report.signatures.envelope.get_or_insert_with(|| Place::of(scanner));
        }
    }

    /// The document inside `Data`; false when the envelope cannot be read further.
    fn data(&mut self, scanner: &mut Scanner<'_>, sheet: &mut Sheet<'e>, inside: &mut Sheet<'e>) -> bool {
        // Nobody signs inside of an envelope any more.
        let expect = Expectations { to_be_signed: false, ..*self.expect };
        let mut reader = DataReader::new(scanner, self.limits.payload);
        {
            let mut data = BufReader::new(&mut reader);
            let mut scanner = Scanner::new(&mut data, expect.max_bytes, self.limits).under("DxpMsg/Data/");
            match scanner.next() {
                Ok(_) => {
                    let on_facts: Option<OnFacts<'_>> = match &mut self.on_facts {
                        Some(on_facts) => Some(&mut **on_facts),
                        None => None,
                    };
                    let summary = document::check(&mut scanner, &expect, self.limits, inside, on_facts);
                    self.report.take(summary);
                }
                Err(error) => inside.fault(&error),
            }
        }
        match reader.finish() {
            Ok(_) => {
                // The value was looked at while it was decoded; its end is told here, for `next` will not.
                self.structure.end(scanner, sheet);
                true
            }
            Err(mut error) => {
                // Paths below `Data` are those of the document inside.
                if let Some(below) = error.path.find("/Data/") {
                    error.path.truncate(below.saturating_add("/Data".len()));
                }
                // A fault of the envelope also cuts the document short, which is no finding of its own.
                inside.findings.retain(|finding| finding.code != error.code());
                sheet.fault(&error);
                let goes_on = matches!(error.fault, Fault::TruncatedBase64);
                if goes_on {
                    self.structure.end(scanner, sheet);
                }
                goes_on
            }
        }
    }

    fn end(&mut self, scanner: &Scanner<'_>, sheet: &mut Sheet<'e>) {
        self.structure.end(scanner, sheet);
        let Some(element) = scanner.element().filter(|element| element.namespace == Namespace::Dxp) else { return };
        let parent = scanner.parent().filter(|parent| parent.namespace == Namespace::Dxp);
        let value = || scanner.text().trim().to_owned();
        match (parent.map(|parent| parent.local()), element.local()) {
            (_, "TransInfo") => self.seen = true,
            (Some("TransInfo"), "CopMsgId") => self.head.cop_msg_id = value(),
            (Some("TransInfo"), "SenderId") => self.head.sender_id = value(),
            (Some("TransInfo"), "CreatTime") => self.head.creat_time = value(),
            (Some("TransInfo"), "MsgType") => self.head.msg_type = value(),
            (Some("ReceiverIds"), "ReceiverId") if self.head.receiver_ids.len() < MAX_RECEIVERS => {
                self.head.receiver_ids.push(value());
            }
            (Some("AddInfo"), "FileName") => self.head.file_name = Some(value()),
            _ => {}
        }
    }
}

/// Receivers kept of one envelope.
const MAX_RECEIVERS: usize = 5;

fn check_head(head: &EnvelopeHead, message_type: Option<&str>, expect: &Expectations<'_>, sheet: &mut Sheet<'_>) {
    let sender = printable(&head.sender_id);
    if let Some(dxpid) = expect.dxpid
        && dxpid != head.sender_id
    {
        let code = if expect.is_foreign(&head.sender_id) { FOREIGN_DXPID } else { "sender-id-mismatch" };
        let text = bilingual!(
            "SenderId 为“{sender}”，应为本企业的 DXPID“{dxpid}”",
            "SenderId is {sender:?} but our DXPID is {dxpid:?}"
        );
        sheet.say("DxpMsg/TransInfo/SenderId".to_owned(), None, Say::error("R38", code, text));
    }
    let Some(message_type) = message_type else { return };
    if head.msg_type != message_type {
        let (given, root) = (printable(&head.msg_type), printable(message_type));
        let text = bilingual!(
            "MsgType 为“{given}”，但 Data 中的报文是 {root}，两者必须一致",
            "MsgType is {given:?} but Data holds a {root}; make them equal"
        );
        sheet.say("DxpMsg/TransInfo/MsgType".to_owned(), None, Say::error("R01", "msg-type-mismatch", text));
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
        sheet.say("DxpMsg/TransInfo/ReceiverIds".to_owned(), None, Say::error("R01", "receiver-mismatch", text));
    }
}
