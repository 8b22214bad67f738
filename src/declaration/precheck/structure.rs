//! R03: the structure that the tables of the edition demand, while the document streams by.
//!
//! One frame per open element says how far in its row of children we are. What stands in the wrong place is reported
//! there and still looked into; what is missing is reported when its parent ends, so one mistake is one finding.

use std::collections::HashSet;

use super::super::scanner::{Element, Namespace, Scanner, is_blank, same};
use super::super::schema::value::{Type, ValueFault, trim};
use super::super::schema::{Attribute, Content, Format, Given, Message, Node, NodeId, Ns};
use super::finding::{Say, Sheet};
use super::{catalogue, disagree};
use crate::bilingual;
use crate::ground::text::{Bilingual, printable};

/// Ids remembered of one document; a message has a handful.
const MAX_IDS: usize = 10_000;

/// One open element.
#[derive(Debug, Clone, Copy)]
struct Frame {
    /// What the table says about it; `None` where anything may stand.
    node: Option<NodeId>,
    /// The child expected next, and how many of it there were.
    next: usize,
    count: u32,
    /// Children that were there, one bit each.
    seen: u128,
    /// Children in all.
    total: u32,
}

/// What ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ended {
    /// What the table says about it.
    pub(super) node: Option<&'static Node>,
    /// A value that is as the schema demands.
    pub(super) valid: bool,
    seen: u128,
}

impl Ended {
    /// Whether the child in this place of the table was there.
    pub(super) fn has(&self, place: usize) -> bool {
        self.seen & bit(place) != 0
    }
}

/// The validator of one document.
pub(super) struct Structure {
    message: &'static Message,
    frames: Vec<Frame>,
    /// Values of `Id` attributes, each of which is unique in the document.
    ids: HashSet<String>,
    /// The document will be signed before it is sent.
    to_be_signed: bool,
}

impl Structure {
    pub(super) fn new(message: &'static Message, to_be_signed: bool) -> Structure {
        Structure { message, frames: Vec::new(), ids: HashSet::new(), to_be_signed }
    }

    /// The element the scanner just started; what the table says about it.
    pub(super) fn start(&mut self, scanner: &Scanner<'_>, sheet: &mut Sheet<'_>) -> Option<&'static Node> {
        let element = scanner.element()?;
        let id = match self.frames.last_mut() {
            None => Some(0),
            Some(parent) => parent.node.and_then(|id| place(self.message, id, parent, element, scanner, sheet)),
        };
        self.frames.push(Frame { node: id, next: 0, count: 0, seen: 0, total: 0 });
        let node = self.message.node(id?)?;
        if !node.attributes.is_empty() || !element.attributes.is_empty() || element.foreign_attribute.is_some() {
            check_attributes(node, element, &mut self.ids, scanner, sheet);
        }
        Some(node)
    }

    /// The element the scanner just ended.
    pub(super) fn end(&mut self, scanner: &Scanner<'_>, sheet: &mut Sheet<'_>) -> Ended {
        let nothing = Ended { node: None, valid: false, seen: 0 };
        let (Some(frame), Some(element)) = (self.frames.pop(), scanner.element()) else { return nothing };
        let Some(node) = frame.node.and_then(|id| self.message.node(id)) else { return nothing };
        let valid = match &node.content {
            Content::Value(kind, given) => !element.parent && check_value(node, *kind, given, scanner, sheet),
            Content::Sequence => {
                check_text(element, scanner, sheet);
                self.check_missing(node, &frame, scanner, sheet);
                true
            }
            Content::Choice { min, mixed, .. } => {
                if !mixed {
                    check_text(element, scanner, sheet);
                }
                if frame.total < *min {
                    let text = bilingual!("没有任何子元素，请补充", "it holds no element; add one");
                    sheet.at(scanner, Say::error("R03", "element-missing", text));
                }
                true
            }
            Content::Any => {
                check_text(element, scanner, sheet);
                true
            }
            Content::Mixed | Content::Anything => true,
        };
        Ended { node: Some(node), valid, seen: frame.seen }
    }

    fn check_missing(&self, node: &Node, frame: &Frame, scanner: &Scanner<'_>, sheet: &mut Sheet<'_>) {
        for (place, id) in node.children.iter().enumerate() {
            let Some(child) = self.message.node(*id) else { continue };
            if child.min == 0 || frame.seen & bit(place) != 0 || (self.to_be_signed && is_signature(child)) {
                continue;
            }
            let message = self.message.name();
            let (name, zh, note) = (&child.name, &child.notes.name_zh, disagree::about_missing(message, child));
            let (note_zh, note_en) = (note.zh, note.en);
            let text =
                bilingual!("缺少元素 {name}（{zh}），请补充{note_zh}", "element {name} is missing; add it{note_en}");
            let by_schema = disagree::only_the_schema_demands(child);
            let code = if by_schema { "element-required-by-xsd" } else { "element-missing" };
            let customs = catalogue::customs_code_of_missing(message, name);
            sheet.at(scanner, Say { customs, ..Say::error("R03", code, text) });
        }
    }
}

/// The business signature of a message.
pub(super) fn is_signature(node: &Node) -> bool {
    node.namespace == Ns::Dsig && node.name == "Signature"
}

fn bit(place: usize) -> u128 {
    u32::try_from(place).ok().and_then(|place| 1u128.checked_shl(place)).unwrap_or(0)
}

fn is(node: &Node, element: &Element) -> bool {
    let namespace = match node.namespace {
        Ns::Ceb => &Namespace::Ceb,
        Ns::Dxp => &Namespace::Dxp,
        Ns::Dsig => &Namespace::Dsig,
    };
    same(element.local().as_bytes(), node.name.as_bytes()) && element.namespace == *namespace
}

/// Finds a new child its place under `parent`; what the table says about it.
fn place(
    message: &'static Message,
    id: NodeId,
    parent: &mut Frame,
    element: &Element,
    scanner: &Scanner<'_>,
    sheet: &mut Sheet<'_>,
) -> Option<NodeId> {
    let node = message.node(id)?;
    parent.total = parent.total.saturating_add(1);
    match &node.content {
        Content::Sequence => in_sequence(message, node, parent, element, scanner, sheet),
        Content::Choice { max, .. } => {
            if parent.total > *max {
                repeated(element, *max, scanner, sheet);
            }
            in_choice(message, node, element, scanner, sheet)
        }
        Content::Anything => None,
        Content::Any => {
            if parent.total == 2 {
                unexpected(element, scanner, sheet);
            }
            None
        }
        Content::Mixed | Content::Value(..) => {
            unexpected(element, scanner, sheet);
            None
        }
    }
}

fn in_sequence(
    message: &'static Message,
    node: &Node,
    parent: &mut Frame,
    element: &Element,
    scanner: &Scanner<'_>,
    sheet: &mut Sheet<'_>,
) -> Option<NodeId> {
    let child = |place: usize| node.children.get(place).and_then(|id| Some((*id, message.node(*id)?)));
    let mut at = parent.next;
    while let Some((id, candidate)) = child(at) {
        if is(candidate, element) {
            if at == parent.next {
                parent.count = parent.count.saturating_add(1);
            } else {
                (parent.next, parent.count) = (at, 1);
            }
            parent.seen |= bit(at);
            if parent.count.checked_sub(1) == Some(candidate.max) {
                too_many(message, candidate, scanner, sheet);
            }
            return Some(id);
        }
        at = at.saturating_add(1);
    }
    for before in 0..parent.next {
        let Some((id, candidate)) = child(before) else { break };
        if is(candidate, element) {
            if parent.seen & bit(before) != 0 && candidate.max == 1 {
                too_many(message, candidate, scanner, sheet);
            } else {
                let shown = printable(element.local());
                let text = bilingual!(
                    "元素 {shown} 的位置不对，请按报文规范的顺序排列",
                    "element {shown} is out of place; follow the order of the specification"
                );
                sheet.at(scanner, Say::error("R03", "element-order", text));
            }
            parent.seen |= bit(before);
            return Some(id);
        }
    }
    // A known name in a wrong namespace, or misspelt as in the specification, is not missing as well.
    let right = disagree::spelling(element.local());
    let name = right.unwrap_or(element.local());
    let meant = node.children.iter().filter_map(|id| message.node(*id)).position(|child| child.name == name);
    match meant.and_then(|place| Some((place, child(place)?.1))) {
        Some((place, meant)) => {
            parent.seen |= bit(place);
            match right {
                Some(right) => misspelt(element, right, scanner, sheet),
                None => wrong_namespace(meant, element, scanner, sheet),
            }
        }
        None => unexpected(element, scanner, sheet),
    }
    None
}

fn misspelt(element: &Element, right: &str, scanner: &Scanner<'_>, sheet: &mut Sheet<'_>) {
    let shown = printable(element.local());
    let text = bilingual!(
        "元素 {shown} 请改为 {right}（规范正文误写为 {shown}，XSD 为 {right}）",
        "write {right} instead of {shown} (a slip of the specification's text; its XSD has {right})"
    );
    sheet.at(scanner, Say::error("R03", "element-unexpected", text));
}

fn wrong_namespace(meant: &Node, element: &Element, scanner: &Scanner<'_>, sheet: &mut Sheet<'_>) {
    let wanted = match meant.namespace {
        Ns::Ceb => Namespace::Ceb,
        Ns::Dxp => Namespace::Dxp,
        Ns::Dsig => Namespace::Dsig,
    };
    let (local, given, wanted) = (printable(element.local()), printable(element.namespace.as_str()), wanted.as_str());
    let text = bilingual!(
        "元素 {local} 的命名空间是“{given}”，应为 {wanted}",
        "element {local} is in namespace {given:?}; it belongs in {wanted}"
    );
    sheet.at(scanner, Say::error("R03", "element-namespace", text));
}

fn in_choice(
    message: &'static Message,
    node: &Node,
    element: &Element,
    scanner: &Scanner<'_>,
    sheet: &mut Sheet<'_>,
) -> Option<NodeId> {
    for id in &node.children {
        let Some(candidate) = message.node(*id) else { continue };
        if is(candidate, element) {
            return Some(*id);
        }
        // `##other`: any namespace but the parent's and none.
        if candidate.name == "*" && !matches!(element.namespace, Namespace::Dsig | Namespace::None) {
            return None;
        }
    }
    unexpected(element, scanner, sheet);
    None
}

fn unexpected(element: &Element, scanner: &Scanner<'_>, sheet: &mut Sheet<'_>) {
    let shown = printable(element.local());
    let text = bilingual!(
        "规范中此处没有元素 {shown}，请删除或核对拼写和报文类型",
        "element {shown} is no part of the specification here; remove it, or check its spelling and the message type"
    );
    sheet.at(scanner, Say::error("R03", "element-unexpected", text));
}

fn repeated(element: &Element, max: u32, scanner: &Scanner<'_>, sheet: &mut Sheet<'_>) {
    let shown = printable(element.local());
    let text = bilingual!("元素 {shown} 最多 {max} 个", "at most {max} {shown}");
    sheet.at(scanner, Say::error("R03", "element-repeated", text));
}

fn too_many(message: &Message, node: &Node, scanner: &Scanner<'_>, sheet: &mut Sheet<'_>) {
    let (name, zh, max) = (&node.name, &node.notes.name_zh, node.max);
    if scanner.depth() == 2 && node.name != "BaseTransfer" && node.namespace == Ns::Ceb {
        let text = bilingual!(
            "单证（{name}）超过 {max} 份，请拆分为多份报文",
            "more than {max} documents ({name}); split them into several messages"
        );
        return sheet.at(scanner, Say::error("R03", "too-many-documents", text));
    }
    let note = disagree::about_repeated(message.name(), node);
    let (note_zh, note_en) = (note.zh, note.en);
    let text = bilingual!(
        "元素 {name}（{zh}）最多出现 {max} 次{note_zh}",
        "element {name} may appear at most {max} times{note_en}"
    );
    sheet.at(scanner, Say::error("R03", "element-repeated", text));
}

/// Text between child elements, which no element of these messages may have.
fn check_text(element: &Element, scanner: &Scanner<'_>, sheet: &mut Sheet<'_>) {
    if element.mixed || !is_blank(scanner.text()) {
        let text = bilingual!("子元素之间有多余的文字，请删除", "there is text between the child elements; remove it");
        sheet.at(scanner, Say::error("R03", "text-between-elements", text));
    }
}

fn check_attributes(
    node: &Node,
    element: &Element,
    ids: &mut HashSet<String>,
    scanner: &Scanner<'_>,
    sheet: &mut Sheet<'_>,
) {
    if matches!(node.content, Content::Anything) {
        return;
    }
    for attribute in &node.attributes {
        match element.attribute(&attribute.name) {
            Some(value) => {
                check_attribute(attribute, value, scanner, sheet);
                if attribute.kind == Type::Id && ids.len() < MAX_IDS && !ids.insert(trim(value).to_owned()) {
                    let text =
                        bilingual!("标识重复，每个 Id 在报文中应唯一", "this Id stands elsewhere in the document");
                    sheet.at(scanner, Say::error("R03", "id-repeated", text).of(value, false));
                }
            }
            None if attribute.required => {
                let name = &attribute.name;
                let text = bilingual!("缺少属性 {name}，请补充", "attribute {name} is missing; add it");
                sheet.at(scanner, Say::error("R03", "attribute-missing", text));
            }
            None => {}
        }
    }
    let known = |name: &str| node.attributes.iter().any(|attribute| attribute.name == name);
    let given = element.attributes.iter().map(|(name, _)| name.as_str());
    for name in given.filter(|name| !known(name)).chain(element.foreign_attribute.as_deref()) {
        let name = printable(name);
        let text = bilingual!(
            "规范中此处没有属性 {name}，请删除",
            "attribute {name} is no part of the specification here; remove it"
        );
        sheet.at(scanner, Say::error("R03", "attribute-unexpected", text));
    }
}

fn check_attribute(attribute: &Attribute, value: &str, scanner: &Scanner<'_>, sheet: &mut Sheet<'_>) {
    let name = &attribute.name;
    if let Some(fault) = attribute.kind.fault(value) {
        let (what, wanted) = (describe_fault(fault), describe(attribute.kind));
        let ((what_zh, what_en), (wanted_zh, wanted_en)) = ((what.zh, what.en), (wanted.zh, wanted.en));
        let text =
            bilingual!("属性 {name} {what_zh}，应为{wanted_zh}", "attribute {name} {what_en}; it must be {wanted_en}");
        return sheet.at(scanner, Say::error("R03", fault_code(fault), text).of(value, false));
    }
    if let Some(fixed) = attribute.fixed.as_deref().filter(|fixed| !attribute.kind.equal(fixed, value)) {
        let text = bilingual!("属性 {name} 必须是 {fixed}", "attribute {name} must be {fixed}");
        sheet.at(scanner, Say::error("R03", "value-fixed", text).of(value, false));
    }
}

/// Whether the value of the element just ended is as the schema demands; says why not.
fn check_value(node: &Node, kind: Type, given: &Given, scanner: &Scanner<'_>, sheet: &mut Sheet<'_>) -> bool {
    let value = scanner.text();
    if value.is_empty() && *given != Given::Nothing {
        return true;
    }
    let (name, zh, personal) = (&node.name, &node.notes.name_zh, node.notes.personal.is_some());
    if let Some(fault) = kind.fault(value) {
        let (what, wanted, note) = (describe_fault(fault), describe(kind), disagree::about(node));
        let (what_zh, wanted_zh, note_zh) = (what.zh, wanted.zh, note.zh);
        let (what_en, wanted_en, note_en) = (what.en, wanted.en, note.en);
        let text = bilingual!(
            "{name}（{zh}）{what_zh}，应为{wanted_zh}{note_zh}",
            "{name} {what_en}; it must be {wanted_en}{note_en}"
        );
        let code = match fault {
            ValueFault::TooShort { is } | ValueFault::TooLong { is } if disagree::text_takes(node, is) => {
                "value-length-by-xsd"
            }
            _ => fault_code(fault),
        };
        sheet.at(scanner, Say::error("R03", code, text).of(value, personal));
        return false;
    }
    if let Given::Fixed(fixed) = given
        && !kind.equal(fixed, value)
    {
        let text = match &node.notes.format {
            Format::OneOf(values) if values.len() > 1 => bilingual!(
                "{name}（{zh}）必须是 {fixed}（规范正文允许其他值，XSD 固定为此值）",
                "{name} must be {fixed} (the specification's text allows other values, its XSD this one only)"
            ),
            _ => bilingual!("{name}（{zh}）必须是 {fixed}", "{name} must be {fixed}"),
        };
        sheet.at(scanner, Say::error("R03", "value-fixed", text).of(value, personal));
        return false;
    }
    true
}

fn fault_code(fault: ValueFault) -> &'static str {
    match fault {
        ValueFault::TooShort { is: 0 } => "value-empty",
        ValueFault::TooShort { .. } => "value-too-short",
        ValueFault::TooLong { .. } => "value-too-long",
        ValueFault::Form => "value-form",
        ValueFault::Digits => "value-digits",
        ValueFault::Fraction => "value-fraction",
        ValueFault::Range => "value-range",
    }
}

fn describe_fault(fault: ValueFault) -> Bilingual {
    match fault {
        ValueFault::TooShort { is: 0 } => bilingual!("为空", "is empty"),
        ValueFault::TooShort { is } => bilingual!("只有 {is} 个字符", "has only {is} characters"),
        ValueFault::TooLong { is } => bilingual!("有 {is} 个字符", "has {is} characters"),
        ValueFault::Form => bilingual!("的格式不对", "does not have the right form"),
        ValueFault::Digits => bilingual!("的位数过多", "has too many digits"),
        ValueFault::Fraction => bilingual!("的小数位过多", "has too many digits behind the point"),
        ValueFault::Range => bilingual!("超出整数范围", "is beyond the range of whole numbers"),
    }
}

/// A type in words.
pub(super) fn describe(kind: Type) -> Bilingual {
    match kind {
        Type::Text { min, max, .. } if min == max => bilingual!("{min} 个字符", "{min} characters"),
        Type::Text { min, max: u32::MAX, .. } => bilingual!("至少 {min} 个字符", "at least {min} characters"),
        Type::Text { min: 0, max, .. } => bilingual!("最多 {max} 个字符", "at most {max} characters"),
        Type::Text { min, max, .. } => bilingual!("{min} 到 {max} 个字符", "{min} to {max} characters"),
        Type::Decimal { digits, fraction } => bilingual!(
            "最多 {digits} 位、其中小数最多 {fraction} 位的数字，不能有千分位或指数",
            "a number of at most {digits} digits, {fraction} of them behind the point, without separators or exponent"
        ),
        Type::Int { digits: u32::MAX } | Type::Integer => bilingual!("整数", "a whole number"),
        Type::Int { digits } => bilingual!("最多 {digits} 位的整数", "a whole number of at most {digits} digits"),
        Type::DateTime => bilingual!("yyyy-mm-ddThh:mm:ss 形式的时间", "an instant like 2026-03-01T09:30:00"),
        Type::Date => bilingual!("yyyy-mm-dd 形式的日期", "a day like 2026-03-01"),
        Type::Base64 => bilingual!("Base64", "Base64"),
        Type::Uri => bilingual!("URI", "a URI"),
        Type::Id => bilingual!("XML 名称", "an XML name"),
    }
}
