//! An example of any message, made from its table: what tests, fuzzing and comparisons with other validators start from.

use super::super::{CEB_NS, DSIG_NS, DXP_NS};
use super::model::{Content, Format, Given, Message, Node, Notes, Ns, Spec};
use super::value::Type;

/// How much of a message is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fullness {
    /// What must be there.
    Least,
    /// Everything that may be there, once.
    All,
}

/// One element of an example; change it at will and write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Namespace.
    pub namespace: Ns,
    /// Local name.
    pub name: String,
    /// Attributes in order.
    pub attributes: Vec<(String, String)>,
    /// Text before the children.
    pub text: String,
    /// Child elements.
    pub children: Vec<Piece>,
}

impl Piece {
    /// The element as a document, with the namespaces declared at the root.
    pub fn write(&self) -> String {
        let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        self.write_into(&mut out, true);
        out.push('\n');
        out
    }

    fn write_into(&self, out: &mut String, root: bool) {
        let prefix = prefix(self.namespace);
        out.push_str(&format!("<{prefix}:{}", self.name));
        if root {
            out.push_str(&format!(" xmlns:ceb=\"{CEB_NS}\" xmlns:dxp=\"{DXP_NS}\" xmlns:ds=\"{DSIG_NS}\""));
        }
        for (name, value) in &self.attributes {
            out.push_str(&format!(" {name}=\"{}\"", escaped(value)));
        }
        out.push('>');
        out.push_str(&escaped(&self.text));
        for child in &self.children {
            child.write_into(out, false);
        }
        out.push_str(&format!("</{prefix}:{}>", self.name));
    }

    /// The element at a path of local names below this one, the first of each name.
    pub fn at(&mut self, path: &str) -> Option<&mut Piece> {
        path.split('/').try_fold(self, |piece, name| piece.children.iter_mut().find(|child| child.name == name))
    }
}

fn prefix(namespace: Ns) -> &'static str {
    match namespace {
        Ns::Ceb => "ceb",
        Ns::Dxp => "dxp",
        Ns::Dsig => "ds",
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

/// An example of a message.
pub fn of(message: &Message, fullness: Fullness) -> Piece {
    towards(message, fullness, "")
}

/// An example in which, of elements that exclude each other, those on the way to `path` are there.
pub fn towards(message: &Message, fullness: Fullness, path: &str) -> Piece {
    let way: Vec<&str> = path.split('/').collect();
    match message.root() {
        Some(root) => {
            let mut whole = piece(message, root, fullness, &way);
            number(&mut whole, &mut 0);
            whole
        }
        None => Piece {
            namespace: Ns::Ceb,
            name: String::new(),
            attributes: Vec::new(),
            text: String::new(),
            children: Vec::new(),
        },
    }
}

/// Gives every `Id` a value of its own.
fn number(piece: &mut Piece, last: &mut u32) {
    for (_, value) in piece.attributes.iter_mut().filter(|(name, _)| name == "Id") {
        *last = last.saturating_add(1);
        *value = format!("a{last}");
    }
    piece.children.iter_mut().for_each(|child| number(child, last));
}

fn piece(message: &Message, node: &Node, fullness: Fullness, way: &[&str]) -> Piece {
    let wanted = |required: bool| required || fullness == Fullness::All;
    let mut children: Vec<&Node> =
        node.children.iter().filter_map(|id| message.node(*id)).filter(|child| child.name != "*").collect();
    let leads = |child: &Node| way.first() == Some(&child.name.as_str());
    match &node.content {
        Content::Choice { .. } if children.iter().any(|child| leads(child)) => children.retain(|child| leads(child)),
        Content::Choice { min, .. } => {
            let count = if wanted(*min > 0) { 1 } else { 0 };
            children.truncate(count);
        }
        _ => children.retain(|child| wanted(child.min > 0)),
    }
    let attributes = node.attributes.iter().filter(|attribute| wanted(attribute.required));
    let attribute = |attribute: &super::Attribute| {
        let value = attribute.fixed.clone().unwrap_or_else(|| value(attribute.kind, &attribute.notes));
        (attribute.name.clone(), value)
    };
    Piece {
        namespace: node.namespace,
        name: node.name.clone(),
        attributes: attributes.map(attribute).collect(),
        text: match &node.content {
            Content::Value(_, Given::Fixed(fixed)) => fixed.clone(),
            Content::Value(kind, _) => value(*kind, &node.notes),
            _ => String::new(),
        },
        children: children
            .into_iter()
            .map(|child| {
                let rest = if leads(child) { way.get(1..).unwrap_or_default() } else { &[] };
                piece(message, child, fullness, rest)
            })
            .collect(),
    }
}

/// A value of this type and form.
pub fn value(kind: Type, notes: &Notes) -> String {
    let by_format = match &notes.format {
        Format::OneOf(values) => values.first().map(|(value, _)| value.as_str()),
        Format::Guid => Some("8D1C3A52-77C6-4F0E-9B0C-000000000001"),
        Format::Time14 => Some("20260301093000"),
        Format::Time17 => Some("20260301093000123"),
        Format::Date8 => Some("20260301"),
        Format::Enterprise(_) => Some("1101000001"),
        Format::Identity => Some("11010519491231002X"),
        Format::Customs => Some("0100"),
        Format::Unit => Some("035"),
        Format::Country | Format::Currency => Some("502"),
        Format::TrafMode => Some("5"),
        Format::Port => Some("5021"),
        Format::District => Some("130102"),
        Format::GoodsCode => Some("1901101010"),
        Format::BarCode => Some("6920000001130"),
        Format::ImportList => Some("01002026I000000001"),
        Format::ExportList => Some("01002026E000000001"),
        Format::PreNo => Some("B20260301000000001"),
        Format::Status => Some("2"),
        Format::Gnum | Format::Positive | Format::Amount => Some("1"),
        Format::Free => None,
    };
    if let Some(value) = by_format {
        return value.to_owned();
    }
    match kind {
        Type::Text { min, max, .. } => {
            let least = match notes.spec {
                Spec::Characters(least, _) => least,
                _ => 0,
            };
            "x".repeat(usize::try_from(min.max(least).max(1).min(max)).unwrap_or(1))
        }
        Type::Decimal { .. } | Type::Int { .. } | Type::Integer => "1".to_owned(),
        Type::DateTime => "2026-03-01T09:30:00".to_owned(),
        Type::Date => "2026-03-01".to_owned(),
        Type::Base64 => "QUJD".to_owned(),
        Type::Uri => "urn:example".to_owned(),
        Type::Id => "a1".to_owned(),
    }
}
