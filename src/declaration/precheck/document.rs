//! The declaration's part of the pre-check: identity and frame.

use std::collections::HashSet;

use super::super::documents::{Fields, is_field, quoted_document_limit};
use super::super::family::{self, Family, MessageType, Role};
use super::super::scanner::{Event, Namespace, Scanner, is_blank};
use super::super::{CEB_NS, DXP_NS};
use super::{BusinessKey, Expectations, Level, Sheet, read_on};
use crate::bilingual;
use crate::ground::limits::Limits;
use crate::ground::text::printable;

/// Keys kept of one message: ten of each of a hundred documents and some room.
const MAX_KEYS: usize = 2000;
/// Guids remembered to find repeated ones.
const MAX_GUIDS: usize = 10_000;

/// What the document is about.
#[derive(Debug, Default)]
pub(super) struct Summary {
    pub(super) message_type: Option<String>,
    pub(super) documents: u32,
    pub(super) keys: Vec<BusinessKey>,
}

/// Checks the document whose root the scanner just started, to its end.
pub(super) fn check(
    scanner: &mut Scanner<'_>,
    expect: &Expectations<'_>,
    limits: &Limits,
    sheet: &mut Sheet,
) -> Summary {
    check_charset(scanner, sheet);
    let Some(root) = scanner.element() else { return Summary::default() };
    let (namespace, name) = (root.namespace.clone(), root.local.clone());
    let row = family::find(&name);
    let is_ceb = namespace == Namespace::Ceb;
    if let (true, Some(row)) = (is_ceb, row) {
        check_root(scanner, row, sheet);
        return Pass::new(row, expect, limits).run(scanner, sheet);
    }
    wrong_root(scanner, &name, namespace.as_str(), sheet);
    read_on(scanner, sheet);
    Summary { message_type: is_ceb.then_some(name), ..Summary::default() }
}

/// R01 for a root that is no known message.
fn wrong_root(scanner: &Scanner<'_>, name: &str, namespace: &str, sheet: &mut Sheet) {
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
        sheet.at(scanner, "R01", Level::Error, "namespace-wrong", text);
    } else {
        let text = bilingual!(
            "根元素 {shown}（命名空间“{given}”）不是已知的报文类型，请核对报文规范",
            "root {shown} in namespace {given:?} is no known message type; see the specification"
        );
        sheet.at(scanner, "R01", Level::Error, "root-unknown", text);
    }
}

/// The encoding: UTF-8 is the only one the specification shows.
fn check_charset(scanner: &Scanner<'_>, sheet: &mut Sheet) {
    let Some(charset) = scanner.charset().filter(|charset| charset.encoding != encoding_rs::UTF_8) else { return };
    let name = charset.encoding.name();
    let text = bilingual!(
        "文件编码为 {name}，海关规范只使用 UTF-8，建议转存为 UTF-8",
        "the file is {name}; the specification uses UTF-8 only, save it as UTF-8"
    );
    sheet.at(scanner, "R03", Level::Warning, "encoding-not-utf8", text);
}

/// Attributes of the root, and whether an enterprise sends this type at all.
fn check_root(scanner: &Scanner<'_>, row: &MessageType, sheet: &mut Sheet) {
    let attribute = |name| scanner.element().and_then(|root| root.attribute(name));
    match attribute("version") {
        Some("1.0") => {}
        Some(other) => {
            let other = printable(other);
            let text = bilingual!("version 为“{other}”，应为“1.0”", "version is {other:?}; it should be \"1.0\"");
            sheet.at(scanner, "R01", Level::Warning, "version-unusual", text);
        }
        None => {
            let text = bilingual!(
                "根元素缺少 version 属性，应为“1.0”",
                "the root has no version attribute; add version=\"1.0\""
            );
            sheet.at(scanner, "R01", Level::Error, "version-missing", text);
        }
    }
    check_guid(scanner, attribute("guid").unwrap_or_default(), sheet);
    if !matches!(row.role, Role::Request { .. }) {
        let (zh, en) = (row.zh, row.en);
        let text = bilingual!(
            "{zh}由海关发出，企业不申报此类报文",
            "a {en} comes from customs; an enterprise does not send it"
        );
        sheet.at(scanner, "R01", Level::Warning, "from-customs", text);
    }
}

/// R02 for one guid, at the element the scanner is at.
fn check_guid(scanner: &Scanner<'_>, guid: &str, sheet: &mut Sheet) {
    let length = guid.chars().count();
    if guid.is_empty() {
        let text =
            bilingual!("缺少 guid，应为 36 位大写 UUID", "guid is missing; give an upper-case UUID of 36 characters");
        sheet.at(scanner, "R02", Level::Error, "guid-missing", text);
    } else if length != GUID_LENGTH {
        let text = bilingual!("guid 长度为 {length}，应为 36 位", "guid has {length} characters; it must have 36");
        sheet.at(scanner, "R02", Level::Error, "guid-length", text);
    } else if uuid::Uuid::try_parse(guid).is_err() {
        let text = bilingual!(
            "guid 不是 UUID 形式，建议使用大写 UUID 以保证唯一",
            "guid is not a UUID; an upper-case UUID keeps it unique"
        );
        sheet.at(scanner, "R02", Level::Warning, "guid-not-uuid", text);
    } else if guid.chars().any(|c| c.is_ascii_lowercase()) {
        let text = bilingual!(
            "guid 含小写字母，规范要求大写",
            "guid has lower-case letters; the specification wants upper case"
        );
        sheet.at(scanner, "R02", Level::Warning, "guid-lower-case", text);
    }
}

const GUID_LENGTH: usize = 36;

/// One pass over the children of the root.
struct Pass<'e> {
    row: &'static MessageType,
    expect: &'e Expectations<'e>,
    usual_item: usize,
    summary: Summary,
    fields: Fields,
    transfers: u32,
    /// Fields of the `BaseTransfer` being read.
    transfer_fields: Vec<String>,
    /// Rank of the last child of the root, see [`rank`].
    rank: usize,
    guids: HashSet<String>,
    foreign: bool,
}

impl<'e> Pass<'e> {
    fn new(row: &'static MessageType, expect: &'e Expectations<'e>, limits: &Limits) -> Pass<'e> {
        Pass {
            row,
            expect,
            usual_item: limits.xml_text,
            summary: Summary { message_type: Some(row.name.to_owned()), ..Summary::default() },
            fields: Fields::default(),
            transfers: 0,
            transfer_fields: Vec::new(),
            rank: 0,
            guids: HashSet::new(),
            foreign: false,
        }
    }

    fn run(mut self, scanner: &mut Scanner<'_>, sheet: &mut Sheet) -> Summary {
        loop {
            match scanner.next() {
                Ok(Event::Start) => {
                    quoted_document_limit(scanner, self.usual_item);
                    self.start(scanner, sheet);
                }
                Ok(Event::End) if scanner.depth() == 1 => self.end_of_root(scanner, sheet),
                Ok(Event::End) => {
                    scanner.allow_items_of(self.usual_item);
                    self.end(scanner, sheet);
                }
                Ok(Event::Eof) => return self.summary,
                Err(error) => {
                    sheet.fault(&error);
                    return self.summary;
                }
            }
        }
    }

    fn start(&mut self, scanner: &Scanner<'_>, sheet: &mut Sheet) {
        let Some(element) = scanner.element() else { return };
        let signature = scanner.depth() == 2 && element.is(&Namespace::Dsig, "Signature");
        if is_opaque(scanner) || signature {
            if signature {
                self.child(scanner, "Signature", sheet);
            }
            return;
        }
        if element.namespace != Namespace::Ceb {
            if !self.foreign {
                self.foreign = true;
                let (local, given) = (printable(&element.local), printable(element.namespace.as_str()));
                let text = bilingual!(
                    "元素 {local} 的命名空间是“{given}”，应为 {CEB_NS}",
                    "element {local} is in namespace {given:?}; it belongs in {CEB_NS}"
                );
                sheet.at(scanner, "R03", Level::Error, "element-namespace", text);
            }
        } else if scanner.depth() == 2 {
            self.child(scanner, &element.local, sheet);
        }
    }

    /// A child of the root: counted, and in its place.
    fn child(&mut self, scanner: &Scanner<'_>, local: &str, sheet: &mut Sheet) {
        let shown = printable(local);
        let Some(rank) = rank(self.row, local) else {
            let text = bilingual!(
                "元素 {shown} 不属于 {0}，请删除或核对报文类型",
                "element {shown} is no part of {0}; remove it or check the message type",
                self.row.name
            );
            return sheet.at(scanner, "R03", Level::Error, "element-unexpected", text);
        };
        if rank < self.rank {
            let text = bilingual!(
                "元素 {shown} 的位置不对，请按报文规范的顺序排列",
                "element {shown} is out of place; follow the order of the specification"
            );
            sheet.at(scanner, "R03", Level::Error, "element-order", text);
        }
        self.rank = self.rank.max(rank);
        if local == self.row.node {
            self.summary.documents = self.summary.documents.saturating_add(1);
            self.fields = Fields::default();
            let max = self.row.max_documents;
            if self.summary.documents.checked_sub(1) == Some(max) {
                let text = bilingual!(
                    "单证超过 {max} 份，请拆分为多份报文",
                    "more than {max} documents; split them into several messages"
                );
                sheet.at(scanner, "R03", Level::Error, "too-many-documents", text);
            }
        } else if local == "BaseTransfer" {
            self.transfers = self.transfers.saturating_add(1);
            if self.transfers == 2 {
                let text = bilingual!("BaseTransfer 只能出现一次", "BaseTransfer may appear only once");
                sheet.at(scanner, "R03", Level::Error, "base-transfer-repeated", text);
            }
        }
    }

    fn end(&mut self, scanner: &Scanner<'_>, sheet: &mut Sheet) {
        let Some(element) = scanner.element() else { return };
        if is_opaque(scanner) {
            return;
        }
        if scanner.depth() == 2 && element.is(&Namespace::Ceb, self.row.node) {
            self.end_of_document(scanner, sheet);
        } else if scanner.depth() == 2 && element.is(&Namespace::Ceb, "BaseTransfer") {
            self.end_of_transfer(scanner, sheet);
        }
        if element.parent {
            check_mixed(scanner, sheet);
        } else if is_field(scanner, self.row) {
            self.fields.push(&element.local, scanner.text());
            if element.local == "guid" {
                self.document_guid(scanner, sheet);
            }
        } else if scanner.depth() == 3
            && element.namespace == Namespace::Ceb
            && scanner.parent().is_some_and(|parent| parent.is(&Namespace::Ceb, "BaseTransfer"))
        {
            self.transfer_field(scanner, &element.local, sheet);
        }
    }

    fn document_guid(&mut self, scanner: &Scanner<'_>, sheet: &mut Sheet) {
        let guid = scanner.text();
        check_guid(scanner, guid, sheet);
        if guid.chars().count() != GUID_LENGTH || self.guids.len() >= MAX_GUIDS {
            return;
        }
        if !self.guids.insert(guid.to_owned()) {
            let text = bilingual!(
                "guid 与本报文中另一份单证重复，每份单证应使用新的 guid",
                "guid repeats that of another document; give each document its own"
            );
            sheet.at(scanner, "R02", Level::Warning, "guid-repeated", text);
        }
    }

    fn end_of_document(&mut self, scanner: &Scanner<'_>, sheet: &mut Sheet) {
        if self.fields.get("guid").is_none() && matches!(self.row.role, Role::Request { .. }) {
            check_guid(scanner, "", sheet);
        }
        let keys = self.fields.keys(self.row, self.summary.documents);
        let room = MAX_KEYS.saturating_sub(self.summary.keys.len());
        self.summary.keys.extend(keys.into_iter().take(room));
    }

    /// R38: the sender inside the document is ours.
    fn transfer_field(&mut self, scanner: &Scanner<'_>, field: &str, sheet: &mut Sheet) {
        let given = scanner.text();
        let (wanted, code) = match field {
            "dxpId" => (self.expect.dxpid, "dxpid-mismatch"),
            "copCode" => (self.expect.cop_code, "cop-code-mismatch"),
            "dxpMode" => (Some("DXP"), "dxp-mode"),
            _ => return,
        };
        if !self.transfer_fields.iter().any(|name| name == field) {
            self.transfer_fields.push(field.to_owned());
        }
        if let Some(wanted) = wanted.filter(|wanted| *wanted != given) {
            let given = printable(given);
            let text = bilingual!("{field} 为“{given}”，应为“{wanted}”", "{field} is {given:?}; it must be {wanted:?}");
            sheet.at(scanner, "R38", Level::Error, code, text);
        }
    }

    fn end_of_transfer(&mut self, scanner: &Scanner<'_>, sheet: &mut Sheet) {
        let given = std::mem::take(&mut self.transfer_fields);
        for field in ["copCode", "dxpMode", "dxpId"] {
            if !given.iter().any(|name| name == field) {
                let text = bilingual!("BaseTransfer 缺少 {field}，请补充", "BaseTransfer has no {field}; add it");
                sheet.at(scanner, "R38", Level::Error, "base-transfer-incomplete", text);
            }
        }
    }

    fn end_of_root(&mut self, scanner: &Scanner<'_>, sheet: &mut Sheet) {
        check_mixed(scanner, sheet);
        if self.summary.documents == 0 {
            let node = self.row.node;
            let text = bilingual!("报文中没有单证（{node}）", "the message holds no document ({node})");
            sheet.at(scanner, "R03", Level::Error, "no-documents", text);
        }
        if self.transfers == 0 && matches!(self.row.role, Role::Request { .. }) {
            let text = bilingual!(
                "缺少 BaseTransfer（传输企业信息），请补充",
                "BaseTransfer, the sending enterprise, is missing; add it"
            );
            sheet.at(scanner, "R38", Level::Error, "base-transfer-missing", text);
        }
    }
}

/// Text between child elements, which no element of these messages may have.
fn check_mixed(scanner: &Scanner<'_>, sheet: &mut Sheet) {
    if scanner.element().is_some_and(|element| element.parent && (element.mixed || !is_blank(scanner.text()))) {
        let text = bilingual!("子元素之间有多余的文字，请删除", "there is text between the child elements; remove it");
        sheet.at(scanner, "R03", Level::Error, "text-between-elements", text);
    }
}

/// Inside the signature or the extension, whose content is free.
fn is_opaque(scanner: &Scanner<'_>) -> bool {
    scanner.depth() > 2
        && scanner
            .ancestor(2)
            .is_some_and(|at| at.is(&Namespace::Dsig, "Signature") || at.is(&Namespace::Ceb, "ExtendMessage"))
}

/// Place of a child of the root among its siblings; imports end with the signature, exports with the extension.
fn rank(row: &MessageType, local: &str) -> Option<usize> {
    if local == row.node {
        return Some(0);
    }
    if !matches!(row.role, Role::Request { .. }) {
        return None;
    }
    let import = row.family == Some(Family::Import);
    match local {
        "BaseTransfer" => Some(1),
        "BaseSubscribe" => Some(2),
        "ExtendMessage" => Some(if import { 3 } else { 4 }),
        "Signature" => Some(if import { 4 } else { 3 }),
        _ => None,
    }
}
