//! One streaming pass over a document: start, end, text of leaves, and where.
//!
//! What XML 1.0 and Namespaces in XML demand and the parser below does not check is checked here: one root, nothing but
//! blanks around it, legal characters and names, no undefined entity, every element closed, every prefix bound. A document
//! type declaration is refused outright, so there is nothing to expand. Memory is bounded by the limits, not by the file.

use std::io::BufRead;

use quick_xml::XmlVersion;
use quick_xml::events::{BytesRef, BytesStart, Event as Token};
use quick_xml::name::{NamespaceResolver, QName, ResolveResult};
use quick_xml::reader::Reader;

use super::charset::{Charset, Position, Utf8Source, uncarry};
use super::error::{DeclarationError, Fault};
use super::{CEB_NS, DXP_NS};
use crate::ground::limits::Limits;

/// Namespace of XML-DSig.
const DSIG_NS: &str = "http://www.w3.org/2000/09/xmldsig#";

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
    pub(super) local: String,
    /// Place of its start tag.
    pub(super) at: Position,
    /// Attributes without prefix, normalised.
    pub(super) attributes: Vec<(String, String)>,
    /// It has child elements.
    pub(super) parent: bool,
    /// It has text between child elements.
    pub(super) mixed: bool,
    /// Which of the consecutive siblings of its name it is, from 1.
    ordinal: u32,
    last_child: String,
    last_child_ordinal: u32,
}

impl Element {
    pub(super) fn is(&self, namespace: &Namespace, local: &str) -> bool {
        self.namespace == *namespace && self.local == local
    }

    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// What [`Scanner::next`] came to. The element is [`Scanner::element`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    Start,
    /// The element's text is [`Scanner::text`].
    End,
    Eof,
}

/// The pass.
pub(super) struct Scanner<'a> {
    reader: Reader<Utf8Source<'a>>,
    resolver: NamespaceResolver,
    max_depth: usize,
    max_attributes: usize,
    max_item: usize,
    open: Vec<Element>,
    text: String,
    buffer: Vec<u8>,
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
            reader: Reader::from_reader(Utf8Source::new(input, max_bytes, limits.xml_text)),
            resolver: NamespaceResolver::default(),
            max_depth: limits.xml_depth,
            max_attributes: limits.xml_attributes,
            max_item: limits.xml_text,
            open: Vec::new(),
            text: String::new(),
            buffer: Vec::new(),
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

    /// Allows tags and texts of this many bytes from here on.
    pub(super) fn allow_items_of(&mut self, bytes: usize) {
        self.max_item = bytes;
    }

    /// The element of the last event.
    pub(super) fn element(&self) -> Option<&Element> {
        self.open.last()
    }

    /// The parent of the element of the last event.
    pub(super) fn parent(&self) -> Option<&Element> {
        self.open.iter().rev().nth(1)
    }

    /// Open elements, the one of the last event included; the root alone is 1.
    pub(super) fn depth(&self) -> usize {
        self.open.len()
    }

    /// The open element at this depth, the root being 1.
    pub(super) fn ancestor(&self, depth: usize) -> Option<&Element> {
        self.open.get(depth.checked_sub(1)?)
    }

    /// Text of the leaf whose end was just met, blanks kept.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Encoding of the document.
    pub(super) fn charset(&self) -> Option<Charset> {
        self.reader.get_ref().charset()
    }

    /// Path of the element of the last event.
    pub(super) fn path(&self) -> String {
        let mut path = String::from(self.prefix);
        for element in &self.open {
            if !path.is_empty() && !path.ends_with('/') {
                path.push('/');
            }
            path.push_str(&element.local);
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
        let at = self.element().map_or_else(|| self.reader.get_ref().position(), |element| element.at);
        self.error_at(fault, at)
    }

    /// The next start or end.
    pub(super) fn next(&mut self) -> Result<Event, DeclarationError> {
        if self.pop_due {
            self.pop_due = false;
            self.text.clear();
            self.resolver.pop();
            self.open.pop();
        }
        if self.end_due {
            return Ok(self.end());
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        let result = loop {
            match self.token(&mut buffer) {
                Ok(None) => {}
                Ok(Some(event)) => break Ok(event),
                Err(error) => break Err(error),
            }
        };
        buffer.clear();
        self.buffer = buffer;
        result
    }

    /// The next piece of the text of the element just started, into `piece`, for texts too long to hold; its place. `None`
    /// at the element's end, which is then told. Child elements are refused.
    pub(super) fn next_piece(&mut self, piece: &mut Vec<u8>) -> Result<Option<Position>, DeclarationError> {
        piece.clear();
        if self.end_due {
            self.end();
            return Ok(None);
        }
        loop {
            let max = self.max_item;
            self.reader.get_mut().start_item(max);
            let at = self.reader.get_ref().position();
            let mut stream = self.reader.stream();
            let plain = match stream.fill_buf() {
                Err(error) => {
                    let fault = uncarry(&error);
                    return Err(self.error_at(fault, at));
                }
                Ok(available) => {
                    let plain = memchr::memchr2(b'<', b'&', available).unwrap_or(available.len());
                    piece.extend_from_slice(available.get(..plain).unwrap_or_default());
                    plain
                }
            };
            if plain > 0 {
                stream.consume(plain);
                return Ok(Some(at));
            }
            let mut buffer = std::mem::take(&mut self.buffer);
            let event = self.token(&mut buffer);
            self.buffer = buffer;
            match event? {
                Some(Event::End) => return Ok(None),
                Some(Event::Start) => {
                    let element = self.element().map(|element| element.local.clone()).unwrap_or_default();
                    return Err(self.error(Fault::UnexpectedElement { element }));
                }
                // An unclosed element is a fault already; CDATA and references went to `text`.
                Some(Event::Eof) | None => {}
            }
            if !self.text.is_empty() {
                piece.extend_from_slice(self.text.as_bytes());
                self.text.clear();
                return Ok(Some(at));
            }
        }
    }

    /// Reads one token; `None` for those that make no event.
    fn token(&mut self, buffer: &mut Vec<u8>) -> Result<Option<Event>, DeclarationError> {
        buffer.clear();
        let max = self.max_item;
        self.reader.get_mut().start_item(max);
        let at = self.reader.get_ref().position();
        let token = match self.reader.read_event_into(buffer) {
            Ok(token) => token,
            Err(error) => return Err(self.parser_error(&error, at)),
        };
        let first = std::mem::replace(&mut self.first, false);
        match token {
            Token::Start(start) => self.start(&start, at).map(|()| Some(Event::Start)),
            Token::Empty(start) => {
                self.start(&start, at)?;
                self.end_due = true;
                Ok(Some(Event::Start))
            }
            Token::End(_) => Ok(Some(self.end())),
            Token::Text(text) => {
                if text.contains("]]>") {
                    return Err(self.malformed("]]> in text", at));
                }
                self.characters(&text.xml10_content(), at).map(|()| None)
            }
            Token::CData(text) if self.open.is_empty() => {
                drop(text);
                Err(self.malformed("CDATA outside the root", at))
            }
            Token::CData(text) => self.characters(&text.xml10_content(), at).map(|()| None),
            Token::GeneralRef(reference) => self.reference(&reference, at).map(|()| None),
            Token::Comment(_) => Ok(None),
            Token::PI(instruction) => {
                if instruction.target().eq_ignore_ascii_case("xml") {
                    return Err(self.malformed("XML declaration not at the start", at));
                }
                Ok(None)
            }
            Token::Decl(declaration) => {
                if !first || declaration.version().is_err() {
                    return Err(self.malformed("XML declaration misplaced or without version", at));
                }
                Ok(None)
            }
            Token::DocType(_) => Err(self.error_at(Fault::Doctype, at)),
            Token::Eof => self.eof(at).map(Some),
        }
    }

    fn eof(&self, at: Position) -> Result<Event, DeclarationError> {
        if let Some(element) = self.open.last() {
            let reason = format!("<{}> is not closed", element.local);
            return Err(self.malformed(&reason, at));
        }
        if self.root_seen { Ok(Event::Eof) } else { Err(self.error_at(Fault::Empty, at)) }
    }

    fn end(&mut self) -> Event {
        self.end_due = false;
        self.pop_due = true;
        Event::End
    }

    fn start(&mut self, start: &BytesStart<'_>, at: Position) -> Result<(), DeclarationError> {
        if self.open.is_empty() && self.root_seen {
            return Err(self.malformed("a second root element", at));
        }
        if self.open.len() >= self.max_depth {
            return Err(self.error_at(Fault::TooDeep { max: self.max_depth }, at));
        }
        let attributes = self.attributes(start, at)?;
        if let Err(error) = self.resolver.push(start) {
            return Err(self.malformed(&error.to_string(), at));
        }
        let (result, local) = self.resolver.resolve_element(start.name());
        let namespace = match result {
            ResolveResult::Bound(namespace) => Namespace::of(namespace.0),
            ResolveResult::Unbound => Namespace::None,
            ResolveResult::Unknown(prefix) => {
                return Err(self.error_at(Fault::UnboundPrefix { prefix }, at));
            }
        };
        let local = local.as_ref().to_owned();
        let ordinal = self.count_child(&local);
        self.root_seen = true;
        self.text.clear();
        self.open.push(Element {
            namespace,
            local,
            at,
            attributes,
            parent: false,
            mixed: false,
            ordinal,
            last_child: String::new(),
            last_child_ordinal: 0,
        });
        Ok(())
    }

    /// Tells the parent of a new child; which of its name it is.
    fn count_child(&mut self, local: &str) -> u32 {
        let mixed = !is_blank(&self.text);
        let Some(parent) = self.open.last_mut() else { return 1 };
        parent.parent = true;
        parent.mixed |= mixed;
        if parent.last_child == local {
            parent.last_child_ordinal = parent.last_child_ordinal.saturating_add(1);
        } else {
            local.clone_into(&mut parent.last_child);
            parent.last_child_ordinal = 1;
        }
        parent.last_child_ordinal
    }

    /// Checks every attribute and keeps those without prefix.
    fn attributes(&self, start: &BytesStart<'_>, at: Position) -> Result<Vec<(String, String)>, DeclarationError> {
        if !is_name(start.name()) {
            return Err(self.malformed("not a name", at));
        }
        let mut kept = Vec::new();
        for (index, attribute) in start.attributes().enumerate() {
            if index >= self.max_attributes {
                return Err(self.error_at(Fault::TooManyAttributes { max: self.max_attributes }, at));
            }
            let attribute = attribute.map_err(|error| self.malformed(&error.to_string(), at))?;
            if !is_name(attribute.key) || attribute.value.contains('<') {
                return Err(self.malformed("an attribute's name or value", at));
            }
            let value = attribute
                .normalized_value(XmlVersion::Explicit1_0)
                .map_err(|error| self.malformed(&error.to_string(), at))?;
            if !value.chars().all(is_legal) {
                return Err(self.malformed("a character that XML does not allow", at));
            }
            if attribute.key.as_namespace_binding().is_none() && attribute.key.prefix().is_none() {
                kept.push((attribute.key.local_name().as_ref().to_owned(), value.into_owned()));
            }
        }
        Ok(kept)
    }

    fn characters(&mut self, text: &str, at: Position) -> Result<(), DeclarationError> {
        if !text.chars().all(is_legal) {
            return Err(self.malformed("a character that XML does not allow", at));
        }
        if self.open.is_empty() {
            return if is_blank(text) { Ok(()) } else { Err(self.malformed("text outside the root", at)) };
        }
        if self.text.len().saturating_add(text.len()) > self.max_item {
            return Err(self.error_at(Fault::ItemTooLong { max: self.max_item }, at));
        }
        self.text.push_str(text);
        Ok(())
    }

    fn reference(&mut self, reference: &BytesRef<'_>, at: Position) -> Result<(), DeclarationError> {
        if self.open.is_empty() {
            return Err(self.malformed("text outside the root", at));
        }
        let character = match reference.resolve_char_ref() {
            Ok(Some(character)) => character,
            Err(_) => return Err(self.malformed("a character reference that names no character", at)),
            Ok(None) => match &**reference {
                "amp" => '&',
                "lt" => '<',
                "gt" => '>',
                "apos" => '\'',
                "quot" => '"',
                name => {
                    let name = name.chars().take(60).collect();
                    return Err(self.error_at(Fault::UnknownEntity { name }, at));
                }
            },
        };
        self.characters(character.encode_utf8(&mut [0; 4]), at)
    }

    fn malformed(&self, reason: &str, at: Position) -> DeclarationError {
        let reason = reason.chars().take(200).collect();
        self.error_at(Fault::Malformed { reason }, at)
    }

    /// The parser's own complaint, or the fault it carries from below.
    fn parser_error(&self, error: &quick_xml::Error, at: Position) -> DeclarationError {
        match error {
            quick_xml::Error::Io(inner) => self.error_at(uncarry(inner), self.reader.get_ref().position()),
            other => self.malformed(&other.to_string(), at),
        }
    }
}

/// White space of XML only.
pub(super) fn is_blank(text: &str) -> bool {
    text.chars().all(|c| matches!(c, ' ' | '\t' | '\r' | '\n'))
}

/// XML 1.0 production 2.
fn is_legal(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

/// Namespaces in XML, production 7, with every character beyond ASCII taken as a letter.
fn is_name(name: QName<'_>) -> bool {
    fn is_part(part: &str) -> bool {
        let letter = |c: char| c.is_ascii_alphabetic() || c == '_' || !c.is_ascii();
        part.starts_with(letter) && part.chars().all(|c| letter(c) || c.is_ascii_digit() || matches!(c, '-' | '.'))
    }
    let name: &str = name.as_ref();
    match name.split_once(':') {
        None => is_part(name),
        Some((prefix, local)) => is_part(prefix) && is_part(local),
    }
}

#[cfg(test)]
mod tests;
