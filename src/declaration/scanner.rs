//! One streaming pass over a document: start, end, text of leaves, and where.
//!
//! XML 1.0 and Namespaces in XML as far as a document without a document type can go: one root, nothing but blanks around
//! it, legal characters and names, only the five entities that XML defines, every element closed, every prefix bound. A
//! document type declaration is refused outright, so there is nothing to expand. Memory is bounded by the limits, not by
//! the file; elements, names and texts are kept in slots that are used again.

use std::io::BufRead;
use std::ops::Range;
use std::rc::Rc;

use super::charset::{Charset, Position, Utf8Source};
use super::error::{DeclarationError, Fault};
use super::{CEB_NS, DSIG_NS, DXP_NS};
use crate::ground::limits::Limits;

mod leaf;
mod names;
mod pieces;
mod text;
mod tokens;

use names::{Name, Names};

pub(super) use names::same;

/// Namespace of attributes that speak to schema validators.
const XSI_NS: &str = "http://www.w3.org/2001/XMLSchema-instance";
/// What the prefix `xml` is bound to.
const XML_NS: &str = "http://www.w3.org/XML/1998/namespace";

/// A namespace, known ones first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Namespace {
    Ceb,
    Dxp,
    Dsig,
    None,
    Other(String),
}

impl Namespace {
    fn of(name: &str) -> Namespace {
        match name {
            CEB_NS => Namespace::Ceb,
            DXP_NS => Namespace::Dxp,
            DSIG_NS => Namespace::Dsig,
            "" => Namespace::None,
            other => Namespace::Other(other.chars().take(200).collect()),
        }
    }

    pub(super) fn as_str(&self) -> &str {
        match self {
            Namespace::Ceb => CEB_NS,
            Namespace::Dxp => DXP_NS,
            Namespace::Dsig => DSIG_NS,
            Namespace::None => "",
            Namespace::Other(other) => other,
        }
    }
}

/// An open element.
#[derive(Debug, Clone)]
pub(super) struct Element {
    pub(super) namespace: Namespace,
    name: Rc<Name>,
    /// Place of its start tag.
    pub(super) at: Position,
    /// Attributes without prefix, normalised.
    pub(super) attributes: Vec<(String, String)>,
    /// An attribute with a prefix that is no hint to a schema's place (`xsi:schemaLocation`).
    pub(super) foreign_attribute: Option<String>,
    /// It has child elements.
    pub(super) parent: bool,
    /// It has text between child elements.
    pub(super) mixed: bool,
    /// Which of the consecutive siblings of its name it is, from 1.
    ordinal: u32,
    /// [`Name::mark`] of the last child, and which of its name it was; 0 before the first.
    last_child: u64,
    last_child_ordinal: u32,
    /// Namespace bindings made by it.
    bindings: usize,
}

impl Element {
    fn empty() -> Element {
        Element {
            namespace: Namespace::None,
            name: Rc::default(),
            at: Position::START,
            attributes: Vec::new(),
            foreign_attribute: None,
            parent: false,
            mixed: false,
            ordinal: 1,
            last_child: 0,
            last_child_ordinal: 0,
            bindings: 0,
        }
    }

    /// The name as it is written.
    pub(super) fn qualified(&self) -> &str {
        self.name.qualified()
    }

    /// The name without its prefix.
    pub(super) fn local(&self) -> &str {
        self.name.local()
    }

    pub(super) fn is(&self, namespace: &Namespace, local: &str) -> bool {
        self.namespace == *namespace && self.local() == local
    }

    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Makes the slot ready for another element, but for its namespace and ordinal.
    fn reset(&mut self, name: Rc<Name>, at: Position) {
        self.name = name;
        self.at = at;
        self.attributes.clear();
        self.foreign_attribute = None;
        self.parent = false;
        self.mixed = false;
        self.last_child_ordinal = 0;
        self.bindings = 0;
    }

    /// Counts a child; which of its name it is.
    fn count_child(&mut self, name: &Name, mixed: bool) -> u32 {
        self.parent = true;
        self.mixed |= mixed;
        if self.last_child_ordinal > 0 && self.last_child == name.mark() {
            self.last_child_ordinal = self.last_child_ordinal.saturating_add(1);
        } else {
            self.last_child = name.mark();
            self.last_child_ordinal = 1;
        }
        self.last_child_ordinal
    }
}

/// A prefix and what it stands for.
struct Binding {
    prefix: String,
    namespace: Namespace,
}

/// What [`Scanner::next`] came to. The element is [`Scanner::element`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    Start,
    /// The element's text is [`Scanner::text`].
    End,
    Eof,
}

/// Hears everything of a document that has a meaning, in its order, whoever asks for events: what is canonicalised and what
/// is checked come from one reading.
pub(super) trait Listener {
    /// A start tag with all its attributes, declarations of namespaces included, by their qualified names, normalised.
    fn start(&mut self, element: &Element, attributes: &[(String, String)]);
    /// An end tag, or the end of an empty element.
    fn end(&mut self, element: &Element);
    /// Text, references resolved and line ends normalised; it may come in pieces.
    fn text(&mut self, text: &str);
    /// A comment, line ends normalised.
    fn comment(&mut self, text: &str);
    /// A processing instruction, line ends normalised.
    fn instruction(&mut self, target: &str, content: &str);
}

/// The pass.
pub(super) struct Scanner<'a> {
    source: Utf8Source<'a>,
    listener: Option<&'a mut dyn Listener>,
    /// Qualified names and values of the attributes of a start tag, for the listener.
    heard: Vec<(String, String)>,
    /// The piece told last ended with a carriage return.
    return_told: bool,
    /// The text that is read in pieces is inside of a CDATA section.
    in_cdata: bool,
    /// Bytes of text before the token read last.
    token_at: u64,
    max_depth: usize,
    max_attributes: usize,
    max_item: usize,
    /// Slots of elements; those up to `depth` are open.
    slots: Vec<Element>,
    depth: usize,
    bindings: Vec<Binding>,
    names: Names,
    text: String,
    /// Where the text of the leaf just ended stands in the window, when it needed no second look; `text` is empty then.
    leaf: Range<usize>,
    root_seen: bool,
    first: bool,
    /// The element was `<empty/>`: its end comes next.
    end_due: bool,
    /// The end was told: the element goes before the next event.
    pop_due: bool,
    prefix: &'static str,
}

impl<'a> Scanner<'a> {
    /// Reads `input`, at most `max_bytes` of it.
    pub(super) fn new(input: &'a mut dyn BufRead, max_bytes: u64, limits: &Limits) -> Scanner<'a> {
        Scanner {
            source: Utf8Source::new(input, max_bytes),
            listener: None,
            heard: Vec::new(),
            return_told: false,
            in_cdata: false,
            token_at: 0,
            max_depth: limits.xml_depth,
            max_attributes: limits.xml_attributes,
            max_item: limits.xml_text,
            slots: Vec::new(),
            depth: 0,
            bindings: Vec::new(),
            names: Names::new(),
            text: String::new(),
            leaf: 0..0,
            root_seen: false,
            first: true,
            end_due: false,
            pop_due: false,
            prefix: "",
        }
    }

    /// Puts `prefix` before every path.
    pub(super) fn under(mut self, prefix: &'static str) -> Scanner<'a> {
        self.prefix = prefix;
        self
    }

    /// Tells `listener` what is read.
    pub(super) fn heard_by(mut self, listener: &'a mut dyn Listener) -> Scanner<'a> {
        self.listener = Some(listener);
        self
    }

    /// Bytes of the decoded text that were read.
    pub(super) fn offset(&self) -> u64 {
        self.source.taken()
    }

    /// Bytes of the decoded text before the tag of the last event.
    pub(super) fn tag_offset(&self) -> u64 {
        self.token_at
    }

    /// What a prefix stands for here.
    pub(super) fn bound(&self, prefix: &str) -> Option<&Namespace> {
        self.bindings.iter().rev().find(|binding| binding.prefix == prefix).map(|binding| &binding.namespace)
    }

    /// Allows tags and texts of this many bytes from here on.
    pub(super) fn allow_items_of(&mut self, bytes: usize) {
        self.max_item = bytes;
    }

    /// The element of the last event.
    pub(super) fn element(&self) -> Option<&Element> {
        self.ancestor(self.depth)
    }

    /// The parent of the element of the last event.
    pub(super) fn parent(&self) -> Option<&Element> {
        self.ancestor(self.depth.checked_sub(1)?)
    }

    /// Open elements, the one of the last event included; the root alone is 1.
    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    /// The open element at this depth, the root being 1.
    pub(super) fn ancestor(&self, depth: usize) -> Option<&Element> {
        self.slots.get(..self.depth)?.get(depth.checked_sub(1)?)
    }

    /// Text of the leaf whose end was just met, blanks kept; of an element with children, blanks beside them may be gone.
    pub(super) fn text(&self) -> &str {
        if self.leaf.is_empty() { &self.text } else { self.source.in_place(&self.leaf) }
    }

    /// Encoding of the document.
    pub(super) fn charset(&self) -> Option<Charset> {
        self.source.charset()
    }

    /// Path of the element of the last event.
    pub(super) fn path(&self) -> String {
        let mut path = String::from(self.prefix);
        for element in self.slots.get(..self.depth).unwrap_or_default() {
            if !path.is_empty() && !path.ends_with('/') {
                path.push('/');
            }
            path.push_str(element.local());
            if element.ordinal > 1 {
                path.push_str(&format!("[{}]", element.ordinal));
            }
        }
        path
    }

    /// A fault at a place.
    pub(super) fn error_at(&self, fault: Fault, at: Position) -> DeclarationError {
        DeclarationError { fault, line: at.line, column: at.column, path: self.path() }
    }

    /// A fault at the start tag of the element of the last event.
    pub(super) fn error(&self, fault: Fault) -> DeclarationError {
        let at = self.element().map_or_else(|| self.source.position(), |element| element.at);
        self.error_at(fault, at)
    }

    /// The next start or end.
    pub(super) fn next(&mut self) -> Result<Event, DeclarationError> {
        let ended = self.pop();
        if self.end_due {
            return Ok(self.end());
        }
        // What nearly every document consists of; a listener hears of the rest as well.
        if self.listener.is_none() && self.depth > 0 {
            if ended {
                self.source.take_blanks(self.max_item, |_| true);
            } else if self.simple_leaf() {
                return Ok(self.end());
            }
        }
        loop {
            if let Some(event) = self.token()? {
                return Ok(event);
            }
        }
    }

    /// Tells a raw piece of text, whose line ends are not normalised yet.
    fn tell_piece(&mut self, bytes: usize) {
        let Some(listener) = self.listener.as_deref_mut() else { return };
        let raw = self.source.text().get(..bytes).unwrap_or_default();
        let piece = if self.return_told { raw.strip_prefix('\n').unwrap_or(raw) } else { raw };
        self.return_told = raw.ends_with('\r');
        let mut lines = String::with_capacity(piece.len());
        text::push_lines(&mut lines, piece);
        listener.text(&lines);
    }

    /// The largest count up to `count` that ends between characters.
    fn whole_characters(&self, count: usize) -> usize {
        let text = self.source.text();
        (0..=count).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
    }

    /// Lets go of the element whose end was told; whether there was one.
    fn pop(&mut self) -> bool {
        let due = std::mem::take(&mut self.pop_due);
        if due {
            self.text.clear();
            self.leaf = 0..0;
            if let Some(element) = self.slots.get(self.depth.saturating_sub(1)).filter(|one| one.bindings > 0) {
                let left = self.bindings.len().saturating_sub(element.bindings);
                self.bindings.truncate(left);
            }
            self.depth = self.depth.saturating_sub(1);
        }
        due
    }

    fn end(&mut self) -> Event {
        self.end_due = false;
        self.pop_due = true;
        let element = self.depth.checked_sub(1).and_then(|last| self.slots.get(last));
        if let (Some(listener), Some(element)) = (self.listener.as_deref_mut(), element) {
            listener.end(element);
        }
        Event::End
    }

    fn malformed(&self, reason: &str, at: Position) -> DeclarationError {
        let reason = reason.chars().take(200).collect();
        self.error_at(Fault::Malformed { reason }, at)
    }
}

/// White space of XML only.
pub(super) fn is_blank(text: &str) -> bool {
    text.as_bytes().iter().all(|c| matches!(c, b' ' | b'\t' | b'\r' | b'\n'))
}

#[cfg(test)]
pub(super) mod tests;
