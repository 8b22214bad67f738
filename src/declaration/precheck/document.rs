//! The declaration's part of the pre-check: one pass that validates, keeps the fields of the document being read, and
//! asks the rules at the end of every field, line, document and message.

use std::collections::HashSet;

use super::super::documents::quoted_document_limit;
use super::super::family::{self, MessageType};
use super::super::scanner::{Event, Namespace, Scanner};
use super::super::schema::value::trim;
use super::super::schema::{Content, Message, Must, Node, Ns};
use super::super::{CEB_NS, DXP_NS};
use super::across::Facts;
use super::finding::{Place, Say, Sheet};
use super::judge::Judge;
use super::record::Record;
use super::rules::{self, Parts, Sums};
use super::structure::{Ended, Structure, is_signature};
use super::{BusinessKey, Expectations, disagree, fields, read_on};
use crate::bilingual;
use crate::ground::limits::Limits;
use crate::ground::text::printable;

/// Keys kept of one message: ten of each of a hundred documents and some room.
const MAX_KEYS: usize = 2000;
/// Guids remembered to find repeated ones.
const MAX_GUIDS: usize = 10_000;

/// Characters kept of a `dxpId`.
const LONGEST_DXPID: usize = 64;

/// What the document is about.
#[derive(Debug, Default)]
pub(super) struct Summary {
    pub(super) message_type: Option<String>,
    pub(super) documents: u32,
    pub(super) keys: Vec<BusinessKey>,
    /// Where the first signature stands.
    pub(super) signature: Option<Place>,
    /// `BaseTransfer/dxpId`, whether valid or not; of several, one that belongs to another environment of the station.
    pub(super) dxpid: Option<String>,
}

/// Code of a finding: it carries a DXPID that the station has in another environment.
pub const FOREIGN_DXPID: &str = "environment-foreign-dxpid";

/// Takes what a document says to others.
pub(super) type OnFacts<'f> = &'f mut dyn FnMut(Facts);

/// Checks the document whose root the scanner just started, to its end.
pub(super) fn check(
    scanner: &mut Scanner<'_>,
    expect: &Expectations<'_>,
    limits: &Limits,
    sheet: &mut Sheet<'_>,
    on_facts: Option<OnFacts<'_>>,
) -> Summary {
    let Some(root) = scanner.element() else { return Summary::default() };
    let (is_ceb, name) = (root.namespace == Namespace::Ceb, root.local().to_owned());
    let row = family::find(&name).zip(expect.edition.find(Ns::Ceb, &name)).filter(|_| is_ceb);
    if let Some((row, message)) = row {
        sheet.message = Some(row.name);
        check_charset(scanner, sheet);
        return Pass::new(row, message, expect, limits, on_facts).run(scanner, sheet);
    }
    check_charset(scanner, sheet);
    wrong_root(scanner, &name, sheet);
    read_on(scanner, sheet);
    Summary { message_type: is_ceb.then_some(name), ..Summary::default() }
}

/// R01 for a root that is no known message, and R03, because no schema of the edition declares it.
fn wrong_root(scanner: &Scanner<'_>, name: &str, sheet: &mut Sheet<'_>) {
    let namespace = scanner.element().map_or("", |root| root.namespace.as_str());
    let (shown, given) = (printable(name), printable(namespace));
    let wanted = match name {
        "DxpMsg" | "DxpRep" | "DxpMsgSv" => Some(DXP_NS),
        _ if family::find(name).is_some() => Some(CEB_NS),
        _ => None,
    };
    if let Some(wanted) = wanted.filter(|wanted| *wanted != namespace) {
        let text = bilingual!(
            "{shown} 的命名空间是“{given}”，应为 {wanted}",
            "{shown} is in namespace {given:?}; it belongs in {wanted}"
        );
        sheet.at(scanner, Say::error("R01", "namespace-wrong", text));
    } else {
        let note = disagree::about_root(name);
        let (note_zh, note_en) = (note.zh, note.en);
        let text = bilingual!(
            "根元素 {shown}（命名空间“{given}”）不是已知的报文类型，请核对报文规范{note_zh}",
            "root {shown} in namespace {given:?} is no known message type; see the specification{note_en}"
        );
        sheet.at(scanner, Say::error("R01", "root-unknown", text));
    }
    let text = bilingual!(
        "XSD 中没有命名空间“{given}”下的根元素 {shown}",
        "no schema of the specification declares a root {shown} in namespace {given:?}"
    );
    sheet.at(scanner, Say::error("R03", "root-undeclared", text));
}

/// The encoding: UTF-8 is the only one the specification shows.
fn check_charset(scanner: &Scanner<'_>, sheet: &mut Sheet<'_>) {
    let Some(charset) = scanner.charset().filter(|charset| charset.encoding != encoding_rs::UTF_8) else { return };
    let name = charset.encoding.name();
    let text = bilingual!(
        "文件编码为 {name}，海关规范只使用 UTF-8，建议转存为 UTF-8",
        "the file is {name}; the specification uses UTF-8 only, save it as UTF-8"
    );
    sheet.at(scanner, Say::warning("R01", "encoding-not-utf8", text));
}

/// The group whose fields are being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Group {
    Head,
    Line,
    /// `BaseTransfer`.
    Transfer,
    Other,
}

/// One pass over a message.
struct Pass<'e, 'f> {
    row: &'static MessageType,
    message: &'static Message,
    expect: &'e Expectations<'e>,
    on_facts: Option<OnFacts<'f>>,
    usual_item: usize,
    structure: Structure,
    summary: Summary,
    group: Group,
    head: Record,
    line: Record,
    sums: Sums,
    parts: Parts,
    facts: Option<Facts>,
    guids: HashSet<String>,
    wants_signature: bool,
}

impl<'e, 'f> Pass<'e, 'f> {
    fn new(
        row: &'static MessageType,
        message: &'static Message,
        expect: &'e Expectations<'e>,
        limits: &Limits,
        on_facts: Option<OnFacts<'f>>,
    ) -> Pass<'e, 'f> {
        Pass {
            row,
            message,
            expect,
            on_facts,
            usual_item: limits.xml_text,
            structure: Structure::new(message, expect.to_be_signed),
            summary: Summary { message_type: Some(row.name.to_owned()), ..Summary::default() },
            group: Group::Other,
            head: Record::default(),
            line: Record::default(),
            sums: Sums::default(),
            parts: Parts::default(),
            facts: None,
            guids: HashSet::new(),
            wants_signature: false,
        }
    }

    fn run(mut self, scanner: &mut Scanner<'_>, sheet: &mut Sheet<'_>) -> Summary {
        self.structure.start(scanner, sheet);
        root_attributes(scanner, sheet);
        loop {
            match scanner.next() {
                Ok(Event::Start) => {
                    if self.row.name == "CEB900Message" {
                        quoted_document_limit(scanner, self.usual_item);
                    }
                    let node = self.structure.start(scanner, sheet);
                    self.start(node, scanner, sheet);
                }
                Ok(Event::End) => {
                    scanner.allow_items_of(self.usual_item);
                    let ended = self.structure.end(scanner, sheet);
                    self.end(ended, scanner, sheet);
                }
                Ok(Event::Eof) => return self.summary,
                Err(error) => {
                    sheet.fault(&error);
                    return self.summary;
                }
            }
        }
    }

    fn start(&mut self, node: Option<&'static Node>, scanner: &Scanner<'_>, sheet: &mut Sheet<'_>) {
        let Some(node) = node else { return };
        match scanner.depth() {
            2 if is_signature(node) => drop(self.summary.signature.get_or_insert_with(|| Place::of(scanner))),
            2 if node.name == self.row.node => {
                self.summary.documents = self.summary.documents.saturating_add(1);
                sheet.enter(self.summary.documents);
                self.head.clear();
                self.sums = Sums::default();
                self.facts = self.on_facts.is_some().then(|| Facts::new(self.row, self.summary.documents));
                self.group = if self.row.head.is_none() { Group::Head } else { Group::Other };
            }
            2 => self.group = if node.name == "BaseTransfer" { Group::Transfer } else { Group::Other },
            3 if self.row.head == Some(node.name.as_str()) => self.group = Group::Head,
            3 if matches!(node.content, Content::Sequence) && self.row.head.is_some() => {
                self.line.clear();
                self.group = Group::Line;
            }
            _ => {}
        }
    }

    fn end(&mut self, ended: Ended, scanner: &Scanner<'_>, sheet: &mut Sheet<'_>) {
        let Some(node) = ended.node.filter(|node| node.namespace == Ns::Ceb) else {
            if scanner.depth() == 1 {
                self.end_of_root(scanner, sheet);
            }
            return;
        };
        match (&node.content, scanner.depth()) {
            (Content::Value(..), depth) if depth > 2 => self.field(node, ended.valid, scanner, sheet),
            (_, 1) => self.end_of_root(scanner, sheet),
            (_, 2) if node.name == self.row.node => {
                self.absent(node, ended, scanner, sheet);
                self.end_of_document(scanner, sheet);
            }
            (Content::Sequence, 3) => {
                self.absent(node, ended, scanner, sheet);
                if self.group == Group::Line {
                    self.end_of_line(node, scanner, sheet);
                }
                self.group = Group::Other;
            }
            _ => {}
        }
    }

    fn field(&mut self, node: &'static Node, valid: bool, scanner: &Scanner<'_>, sheet: &mut Sheet<'_>) {
        let value = scanner.text();
        if self.group == Group::Transfer && node.name == "dxpId" {
            self.sender(value);
        }
        let mut judge = Judge { scanner, sheet: &mut *sheet, expect: self.expect, row: self.row };
        if !valid {
            let blank = value.trim().is_empty();
            if node.min == 0 && blank {
                fields::empty_optional(node, &mut judge);
            } else if node.name == "currency" {
                // The schema fixes it; the business reason is another rule.
                fields::check(node, value, &self.head, &mut judge);
            }
            if !blank {
                self.refused(node, scanner);
            }
            return;
        }
        fields::check(node, value, &self.head, &mut judge);
        let Some(at) = scanner.element().map(|element| element.at) else { return };
        match self.group {
            Group::Head => {
                self.head.push(node, value, at);
                if node.name == "guid" {
                    self.guid(value, scanner, sheet);
                }
            }
            Group::Line => self.line.push(node, value, at),
            Group::Transfer => self.transfer_field(&node.name, value, scanner, sheet),
            Group::Other => {}
        }
    }

    /// Keeps whom the document names as its sender. No second one hides one that belongs elsewhere.
    fn sender(&mut self, given: &str) {
        let is_settled = self.summary.dxpid.as_deref().is_some_and(|known| self.expect.is_foreign(known));
        if !is_settled {
            self.summary.dxpid = Some(trim(given).chars().take(LONGEST_DXPID).collect());
        }
    }

    /// A value that the schema refuses is told as such, and not as missing to the rules that ask for it.
    fn refused(&mut self, node: &'static Node, scanner: &Scanner<'_>) {
        let Some(at) = scanner.element().map(|element| element.at) else { return };
        match self.group {
            Group::Head => self.head.refuse(node, at),
            Group::Line => self.line.refuse(node, at),
            Group::Transfer | Group::Other => {}
        }
    }

    /// R04: fields that the text of the specification demands and the schema does not.
    fn absent(&self, node: &Node, ended: Ended, scanner: &Scanner<'_>, sheet: &mut Sheet<'_>) {
        for (place, id) in node.children.iter().enumerate() {
            let Some(child) = self.message.node(*id) else { continue };
            if child.min == 0 && child.notes.must == Must::Yes && !ended.has(place) {
                let mut judge = Judge { scanner, sheet: &mut *sheet, expect: self.expect, row: self.row };
                fields::absent(child, &mut judge);
            }
        }
    }

    fn guid(&mut self, guid: &str, scanner: &Scanner<'_>, sheet: &mut Sheet<'_>) {
        if self.guids.len() < MAX_GUIDS && !self.guids.insert(guid.to_owned()) {
            let text = bilingual!(
                "guid 与本报文中另一份单证重复，每份单证应使用新的 guid",
                "guid repeats that of another document; give each document its own"
            );
            sheet.at(scanner, Say::warning("R02", "guid-repeated", text).of(guid, false));
        }
    }

    fn end_of_line(&mut self, node: &'static Node, scanner: &Scanner<'_>, sheet: &mut Sheet<'_>) {
        let mut judge = Judge { scanner, sheet, expect: self.expect, row: self.row };
        rules::line(&self.head, &self.line, &mut self.sums, &mut judge);
        if let Some(facts) = &mut self.facts {
            facts.add_line(node, &self.line, self.sums.lines);
        }
    }

    fn end_of_document(&mut self, scanner: &Scanner<'_>, sheet: &mut Sheet<'_>) {
        let mut judge = Judge { scanner, sheet: &mut *sheet, expect: self.expect, row: self.row };
        rules::document(&self.head, &self.sums, &mut judge);
        self.parts.next(&self.head, &mut judge);
        self.wants_signature |= rules::wants_signature(&self.head, self.row);
        let document = self.summary.documents;
        let keys = self.row.keys.iter().filter_map(|name| {
            let value = self.head.get(name)?.to_owned();
            Some(BusinessKey { document, name: (*name).to_owned(), value })
        });
        let room = MAX_KEYS.saturating_sub(self.summary.keys.len());
        let mut keys = keys.take(room.max(1)).peekable();
        let first = keys.peek().map(|key| format!("{}={}", key.name, printable(&key.value)));
        sheet.leave(first.as_deref());
        if let (Some(mut facts), Some(on_facts)) = (self.facts.take(), self.on_facts.as_deref_mut()) {
            facts.finish(&self.head, self.sums.total, first, scanner);
            on_facts(facts);
        }
        if room > 0 {
            self.summary.keys.extend(keys);
        }
        self.group = Group::Other;
    }

    /// R38: the sender inside the document is ours.
    fn transfer_field(&self, field: &str, given: &str, scanner: &Scanner<'_>, sheet: &mut Sheet<'_>) {
        let (wanted, code) = match field {
            "dxpId" if self.expect.is_foreign(trim(given)) => (self.expect.dxpid, FOREIGN_DXPID),
            "dxpId" => (self.expect.dxpid, "dxpid-mismatch"),
            "copCode" => (self.expect.cop_code, "cop-code-mismatch"),
            _ => return,
        };
        if let Some(wanted) = wanted.filter(|wanted| *wanted != given) {
            let shown = printable(given);
            let text = bilingual!("{field} 为“{shown}”，应为“{wanted}”", "{field} is {shown:?}; it must be {wanted:?}");
            sheet.at(scanner, Say::error("R38", code, text).of(given, false));
        }
    }

    fn end_of_root(&mut self, scanner: &Scanner<'_>, sheet: &mut Sheet<'_>) {
        if self.wants_signature && self.summary.signature.is_none() && !self.expect.to_be_signed {
            let text = bilingual!(
                "申报此类单证必须有数字签名（ds:Signature），请签名后再发送",
                "documents of this kind must be signed (ds:Signature); sign them before sending"
            );
            sheet.at(scanner, Say::error("R07", "signature-missing", text));
        }
    }
}

/// Attributes of the root beyond their form, and whether an enterprise sends this type at all.
fn root_attributes(scanner: &Scanner<'_>, sheet: &mut Sheet<'_>) {
    let Some(root) = scanner.element() else { return };
    if let Some(other) = root.attribute("version").filter(|version| *version != "1.0") {
        let shown = printable(other);
        let text = bilingual!("version 为“{shown}”，应为“1.0”", "version is {shown:?}; it should be \"1.0\"");
        sheet.at(scanner, Say::warning("R01", "version-unusual", text).of(other, false));
    }
    let guid = root.attribute("guid").filter(|guid| guid.chars().count() == 36);
    if let Some((guid, say)) = guid.and_then(|guid| Some((guid, fields::guid_form(guid)?))) {
        sheet.at(scanner, say.of(guid, false));
    }
    if let Some(row) = family::find(root.local()).filter(|row| !matches!(row.role, family::Role::Request { .. })) {
        let (zh, en) = (row.zh, row.en);
        let text = bilingual!(
            "{zh}由海关发出，企业不申报此类报文",
            "a {en} comes from customs; an enterprise does not send it"
        );
        sheet.at(scanner, Say::warning("R01", "from-customs", text));
    }
}
