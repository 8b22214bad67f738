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
    check_root(&root, scanner, sheet);
    let head = Head { seen: false, fields: EnvelopeHead::default(), root: Place::of(scanner), places: Vec::new() };
    let mut pass = Pass { structure: Structure::new(message, false), head, expect, limits, on_facts, report };
    let mut inside = Sheet::new(limits.findings, expect.levels);
    pass.run(scanner, sheet, &mut inside);
    let head = pass.head;
    if head.seen {
        check_head(&head, report, expect, sheet);
        report.envelope = Some(head.fields);
    }
    sheet.append(inside);
}

/// An enterprise sends `DxpMsg` alone.
fn check_root(root: &str, scanner: &Scanner<'_>, sheet: &mut Sheet<'_>) {
    match root {
        "DxpRep" => {
            let text = bilingual!(
                "这是传输平台的响应 DxpRep，不是可以申报的报文",
                "this is a response of the transport (DxpRep), not a message to declare"
            );
            sheet.at(scanner, Say::error("R01", "not-a-declaration", text));
        }
        "DxpMsgSv" => {
            let text = bilingual!(
                "外层为传输节点报文 DxpMsgSv，企业直连应发送 DxpMsg",
                "wrapped in DxpMsgSv, the form of transport nodes; an enterprise sends DxpMsg"
            );
            sheet.at(scanner, Say::warning("R01", "node-message", text));
        }
        _ => {}
    }
}

/// The envelope's head and where its parts stand: what is said of them waits for the document inside.
struct Head {
    /// There was a `TransInfo`.
    seen: bool,
    fields: EnvelopeHead,
    /// Where the envelope begins, for what is said of a part that is missing.
    root: Place,
    places: Vec<(&'static str, Place)>,
}

impl Head {
    fn place(&self, name: &str) -> &Place {
        self.places.iter().find(|(known, _)| *known == name).map_or(&self.root, |(_, place)| place)
    }
}

/// One pass over an envelope.
struct Pass<'p, 'e, 'f> {
    structure: Structure,
    head: Head,
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
        let fields = &mut self.head.fields;
        let name = match (parent.map(|parent| parent.local()), element.local()) {
            (_, "TransInfo") => return self.head.seen = true,
            (Some("AddInfo"), "FileName") => return fields.file_name = Some(value()),
            (Some("TransInfo"), "CopMsgId") => return fields.cop_msg_id = value(),
            (Some("TransInfo"), "CreatTime") => return fields.creat_time = value(),
            (Some("ReceiverIds"), "ReceiverId") if fields.receiver_ids.len() < MAX_RECEIVERS => {
                return fields.receiver_ids.push(value());
            }
            (Some("TransInfo"), "SenderId") => {
                fields.sender_id = value();
                SENDER
            }
            (Some("TransInfo"), "MsgType") => {
                fields.msg_type = value();
                TYPE
            }
            (Some("TransInfo"), "ReceiverIds") => RECEIVERS,
            _ => return,
        };
        if self.head.places.iter().all(|(known, _)| *known != name) {
            self.head.places.push((name, Place::of(scanner)));
        }
    }
}

/// Parts of the head that are compared.
const SENDER: &str = "SenderId";
const TYPE: &str = "MsgType";
const RECEIVERS: &str = "ReceiverIds";

/// Receivers kept of one envelope.
const MAX_RECEIVERS: usize = 5;

fn check_head(head: &Head, report: &Report, expect: &Expectations<'_>, sheet: &mut Sheet<'_>) {
    check_sender(head, report, expect, sheet);
    let Some(message_type) = report.message_type.as_deref() else { return };
    let fields = &head.fields;
    if fields.msg_type != message_type {
        let (given, root) = (printable(&fields.msg_type), printable(message_type));
        let text = bilingual!(
            "MsgType 为“{given}”，但 Data 中的报文是 {root}，两者必须一致",
            "MsgType is {given:?} but Data holds a {root}; make them equal"
        );
        let say = Say::error("R01", "msg-type-mismatch", text).of(&fields.msg_type, false);
        sheet.at_place(head.place(TYPE), say);
    }
    let receivers = match family::receiver_for(message_type) {
        Some(Family::Import) => expect.import_receivers,
        Some(Family::Export) => expect.export_receivers,
        None => return,
    };
    if !fields.receiver_ids.iter().any(|receiver| receivers.contains(&receiver.as_str())) {
        let wanted = receivers.join(", ");
        let text = bilingual!(
            "ReceiverId 中没有 {message_type} 的接收方 {wanted}",
            "no ReceiverId is a receiver of {message_type}: {wanted}"
        );
        let given = fields.receiver_ids.join(", ");
        let mut all = expect.import_receivers.iter().chain(expect.export_receivers);
        let exists = all.any(|receiver| fields.receiver_ids.iter().any(|given| given == receiver));
        let customs = Some(if exists { "2002" } else { "2001" });
        let say = Say { customs, ..Say::error("R01", "receiver-mismatch", text).of(&given, false) };
        sheet.at_place(head.place(RECEIVERS), say);
    }
}

/// R38: who sends the envelope is us, and who the document inside says.
fn check_sender(head: &Head, report: &Report, expect: &Expectations<'_>, sheet: &mut Sheet<'_>) {
    let given = &head.fields.sender_id;
    let sender = printable(given);
    let (code, text) = match (expect.dxpid, &report.dxpid) {
        (Some(dxpid), _) if dxpid != given => {
            let text = bilingual!(
                "SenderId 为“{sender}”，应为本企业的 DXPID“{dxpid}”",
                "SenderId is {sender:?} but our DXPID is {dxpid:?}"
            );
            (if expect.is_foreign(given) { FOREIGN_DXPID } else { "sender-id-mismatch" }, text)
        }
        // Where the document says another it is not ours, and that was said there.
        (Some(_), _) => return,
        (None, Some(inside)) if inside.trim() != given => {
            let inside = printable(inside.trim());
            let text = bilingual!(
                "SenderId 为“{sender}”，但 Data 内 BaseTransfer/dxpId 为“{inside}”，两者必须是同一 DXPID",
                "SenderId is {sender:?} but BaseTransfer/dxpId inside of Data is {inside:?}; both are the sender's DXPID"
            );
            ("sender-id-mismatch", text)
        }
        _ => return,
    };
    sheet.at_place(head.place(SENDER), Say::error("R38", code, text).of(given, false));
}
