//! Canonical XML 1.0, inclusive (REC-xml-c14n-20010315), with or without comments, as one pass over the decoded text.
//!
//! What an enveloped signature needs of it: the document without its `ds:Signature`, and the `SignedInfo` inside that as
//! an apex of its own, which shows every namespace in scope there and inherits `xml:` attributes (section 2.4). There is no
//! document type, so no default attribute and no entity but the five of XML. Attribute values are normalised as CDATA.
//!
//! The text was read by the scanner before, which is the judge of its form; what is refused here as well is what this pass
//! itself would stumble over.

use std::io::Write;

use quick_xml::XmlVersion;
use quick_xml::events::{BytesRef, BytesStart, Event as Token};
use quick_xml::reader::Reader;

use super::super::DSIG_NS;
use super::super::charset::uncarry;
use super::super::error::{DeclarationError, Fault};

/// What is written where.
pub(super) struct Outputs<'o> {
    /// The document, its signature left out.
    pub(super) document: &'o mut dyn Write,
    /// Whether comments stay in it.
    pub(super) comments: bool,
    /// `SignedInfo` of the signature that is a child of the root.
    pub(super) signed_info: &'o mut dyn Write,
    /// Whether comments stay in that.
    pub(super) signed_info_comments: bool,
}

/// Writes the canonical forms of a document.
///
/// # Errors
/// The document is not well-formed, or an output failed.
pub(super) fn canonicalise(text: &str, outputs: Outputs<'_>) -> Result<(), DeclarationError> {
    let mut reader = Reader::from_str(text);
    let mut pass = Pass { outputs, open: Vec::new(), bindings: Vec::new(), root_seen: false };
    loop {
        let token = reader.read_event().map_err(|error| DeclarationError::placeless(malformed(&error.to_string())))?;
        if matches!(token, Token::Eof) {
            return pass.finish().map_err(DeclarationError::placeless);
        }
        pass.token(token).map_err(DeclarationError::placeless)?;
    }
}

/// An open element.
struct Frame {
    /// Its end tag's name.
    name: String,
    /// Where its own namespace declarations begin in [`Pass::bindings`].
    bindings: usize,
    sink: Sink,
    /// Its `xml:` attributes, for an apex below it.
    inherited: Vec<(String, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sink {
    Document,
    SignedInfo,
    /// Inside the signature, beside `SignedInfo`.
    Nowhere,
}

struct Pass<'o> {
    outputs: Outputs<'o>,
    open: Vec<Frame>,
    /// Prefix (empty: default) and namespace, innermost last.
    bindings: Vec<(String, String)>,
    root_seen: bool,
}

type Step<T> = Result<T, Fault>;

impl Pass<'_> {
    fn token(&mut self, token: Token<'_>) -> Step<()> {
        match token {
            Token::Start(start) => self.start(&start),
            Token::Empty(start) => {
                self.start(&start)?;
                self.end()
            }
            Token::End(_) => self.end(),
            Token::Text(text) => self.text(&text.xml10_content()),
            Token::CData(text) if !self.open.is_empty() => self.text(&text.xml10_content()),
            Token::GeneralRef(reference) if !self.open.is_empty() => self.text(&resolved(&reference)?),
            Token::CData(_) | Token::GeneralRef(_) => Err(malformed("text outside the root")),
            Token::Comment(comment) => self.comment(&comment),
            Token::PI(instruction) => self.instruction(instruction.target(), instruction.content()),
            Token::DocType(_) => Err(Fault::Doctype),
            Token::Decl(_) | Token::Eof => Ok(()),
        }
    }

    fn finish(&self) -> Step<()> {
        match self.open.last() {
            Some(frame) => Err(malformed(&format!("<{}> is not closed", frame.name))),
            None if !self.root_seen => Err(Fault::Empty),
            None => Ok(()),
        }
    }

    fn start(&mut self, start: &BytesStart<'_>) -> Step<()> {
        if self.open.is_empty() && self.root_seen {
            return Err(malformed("a second root element"));
        }
        self.root_seen = true;
        let Attributes { declarations, attributes } = attributes_of(start)?;
        let mark = self.bindings.len();
        let changed = self.declare(declarations);
        let name: &str = start.name().0;
        let (prefix, local) = name.split_once(':').unwrap_or(("", name));
        let namespace = self.namespace(prefix)?.to_owned();
        let inherited = attributes.iter().filter(|(key, _)| key.starts_with("xml:")).cloned().collect();
        let (sink, apex) = self.sink_of(&namespace, local);
        let shown = if apex { self.in_scope() } else { changed };
        let attributes = self.ordered(if apex { self.with_inherited(attributes) } else { attributes })?;
        self.open.push(Frame { name: name.to_owned(), bindings: mark, sink, inherited });
        self.write_start(sink, name, shown, &attributes)
    }

    /// Where the element goes, and whether it is an apex.
    fn sink_of(&self, namespace: &str, local: &str) -> (Sink, bool) {
        match self.open.last().map(|parent| parent.sink) {
            None => (Sink::Document, false),
            Some(Sink::Document) if self.open.len() == 1 && namespace == DSIG_NS && local == "Signature" => {
                (Sink::Nowhere, false)
            }
            Some(Sink::Nowhere) if self.open.len() == 2 && namespace == DSIG_NS && local == "SignedInfo" => {
                (Sink::SignedInfo, true)
            }
            Some(sink) => (sink, false),
        }
    }

    /// Takes an element's declarations in; returns those that change something.
    fn declare(&mut self, declarations: Vec<(String, String)>) -> Vec<(String, String)> {
        let changed = declarations.iter().filter(|(prefix, uri)| self.bound(prefix).unwrap_or_default() != uri);
        let changed = changed.cloned().collect();
        self.bindings.extend(declarations);
        changed
    }

    fn bound(&self, prefix: &str) -> Option<&str> {
        self.bindings.iter().rev().find(|(bound, _)| bound == prefix).map(|(_, uri)| uri.as_str())
    }

    fn namespace(&self, prefix: &str) -> Step<&str> {
        match (prefix, self.bound(prefix)) {
            (_, Some(uri)) => Ok(uri),
            ("", None) => Ok(""),
            ("xml", None) => Ok(XML_NS),
            (prefix, None) => Err(Fault::UnboundPrefix { prefix: prefix.chars().take(60).collect() }),
        }
    }

    /// Every namespace in scope, the default one unless it is none.
    fn in_scope(&self) -> Vec<(String, String)> {
        let mut scope: Vec<(String, String)> = Vec::new();
        for (prefix, uri) in self.bindings.iter().rev() {
            if !scope.iter().any(|(known, _)| known == prefix) {
                scope.push((prefix.clone(), uri.clone()));
            }
        }
        scope.retain(|(_, uri)| !uri.is_empty());
        scope
    }

    /// An apex takes the nearest `xml:` attributes of its ancestors.
    fn with_inherited(&self, mut attributes: Vec<(String, String)>) -> Vec<(String, String)> {
        for (name, value) in self.open.iter().rev().flat_map(|frame| &frame.inherited) {
            if !attributes.iter().any(|(known, _)| known == name) {
                attributes.push((name.clone(), value.clone()));
            }
        }
        attributes
    }

    /// Attributes by namespace, then local name; those without prefix have none and come first.
    fn ordered(&self, attributes: Vec<(String, String)>) -> Step<Vec<(String, String)>> {
        let mut keyed = Vec::with_capacity(attributes.len());
        for (name, value) in attributes {
            let key = match name.split_once(':') {
                None => (String::new(), name.clone()),
                Some((prefix, local)) => (self.namespace(prefix)?.to_owned(), local.to_owned()),
            };
            keyed.push((key, name, value));
        }
        keyed.sort();
        if keyed.windows(2).any(|pair| matches!(pair, [(a, ..), (b, ..)] if a == b)) {
            return Err(malformed("an attribute twice"));
        }
        Ok(keyed.into_iter().map(|(_, name, value)| (name, value)).collect())
    }

    fn write_start(
        &mut self,
        sink: Sink,
        name: &str,
        mut shown: Vec<(String, String)>,
        attributes: &[(String, String)],
    ) -> Step<()> {
        if sink == Sink::Nowhere {
            return Ok(());
        }
        shown.sort();
        let mut tag = format!("<{name}");
        for (prefix, uri) in &shown {
            tag.push_str(if prefix.is_empty() { " xmlns" } else { " xmlns:" });
            tag.push_str(prefix);
            push_value(&mut tag, uri);
        }
        for (name, value) in attributes {
            tag.push(' ');
            tag.push_str(name);
            push_value(&mut tag, value);
        }
        tag.push('>');
        self.write(sink, &tag)
    }

    fn end(&mut self) -> Step<()> {
        // The reader has checked that start and end tags match.
        let Some(frame) = self.open.pop() else { return Err(malformed("an end tag without a start tag")) };
        self.bindings.truncate(frame.bindings);
        self.write(frame.sink, &format!("</{}>", frame.name))
    }

    fn text(&mut self, text: &str) -> Step<()> {
        // Outside the root the scanner has seen nothing but blanks.
        let Some(frame) = self.open.last() else { return Ok(()) };
        let sink = frame.sink;
        let mut rest = text;
        while let Some(place) = rest.find(['&', '<', '>', '\r']) {
            let (plain, special) = rest.split_at(place);
            let (escaped, behind) = match special.as_bytes().first() {
                Some(b'&') => ("&amp;", special.strip_prefix('&')),
                Some(b'<') => ("&lt;", special.strip_prefix('<')),
                Some(b'>') => ("&gt;", special.strip_prefix('>')),
                _ => ("&#xD;", special.strip_prefix('\r')),
            };
            self.write(sink, plain)?;
            self.write(sink, escaped)?;
            rest = behind.unwrap_or_default();
        }
        self.write(sink, rest)
    }

    fn comment(&mut self, comment: &str) -> Step<()> {
        let sink = self.open.last().map_or(Sink::Document, |frame| frame.sink);
        let kept = match sink {
            Sink::Document => self.outputs.comments,
            Sink::SignedInfo => self.outputs.signed_info_comments,
            Sink::Nowhere => false,
        };
        if kept { self.aside(sink, &format!("<!--{}-->", line_ends(comment))) } else { Ok(()) }
    }

    fn instruction(&mut self, target: &str, content: &str) -> Step<()> {
        let sink = self.open.last().map_or(Sink::Document, |frame| frame.sink);
        let content = line_ends(content);
        let content = content.trim_start_matches([' ', '\t', '\n']);
        let blank = if content.is_empty() { "" } else { " " };
        self.aside(sink, &format!("<?{target}{blank}{content}?>"))
    }

    /// A comment or instruction; outside the root it has a line of its own.
    fn aside(&mut self, sink: Sink, text: &str) -> Step<()> {
        match (self.open.is_empty(), self.root_seen) {
            (false, _) => self.write(sink, text),
            (true, false) => self.write(sink, &format!("{text}\n")),
            (true, true) => self.write(sink, &format!("\n{text}")),
        }
    }

    fn write(&mut self, sink: Sink, text: &str) -> Step<()> {
        let out = match sink {
            Sink::Document => &mut self.outputs.document,
            Sink::SignedInfo => &mut self.outputs.signed_info,
            Sink::Nowhere => return Ok(()),
        };
        out.write_all(text.as_bytes()).map_err(|error| uncarry(&error))
    }
}

/// An element's attributes, apart from its namespace declarations.
fn attributes_of(start: &BytesStart<'_>) -> Step<Attributes> {
    let mut read = Attributes { declarations: Vec::new(), attributes: Vec::new() };
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|error| malformed(&error.to_string()))?;
        let value =
            attribute.normalized_value(XmlVersion::Explicit1_0).map_err(|error| malformed(&error.to_string()))?;
        let (name, value) = (attribute.key.0, value.into_owned());
        match (name, name.strip_prefix("xmlns:")) {
            ("xmlns", _) => read.declarations.push((String::new(), value)),
            (_, Some("xml")) => {}
            (_, Some(prefix)) => read.declarations.push((prefix.to_owned(), value)),
            (name, None) => read.attributes.push((name.to_owned(), value)),
        }
    }
    Ok(read)
}

struct Attributes {
    declarations: Vec<(String, String)>,
    attributes: Vec<(String, String)>,
}

/// Namespace of the prefix `xml`, which needs no declaration.
const XML_NS: &str = "http://www.w3.org/XML/1998/namespace";

/// `="value"`, escaped as section 2.3 says for attribute nodes.
fn push_value(tag: &mut String, value: &str) {
    tag.push_str("=\"");
    for c in value.chars() {
        match c {
            '&' => tag.push_str("&amp;"),
            '<' => tag.push_str("&lt;"),
            '"' => tag.push_str("&quot;"),
            '\t' => tag.push_str("&#x9;"),
            '\n' => tag.push_str("&#xA;"),
            '\r' => tag.push_str("&#xD;"),
            other => tag.push(other),
        }
    }
    tag.push('"');
}

/// The text of a character reference or of one of the five entities of XML.
fn resolved(reference: &BytesRef<'_>) -> Step<String> {
    match reference.resolve_char_ref() {
        Ok(Some(character)) => Ok(character.to_string()),
        Err(_) => Err(malformed("a character reference that names no character")),
        Ok(None) => quick_xml::escape::resolve_xml_entity(reference)
            .map(str::to_owned)
            .ok_or_else(|| Fault::UnknownEntity { name: reference.chars().take(60).collect() }),
    }
}

/// Line ends as XML 1.0 section 2.11 makes them.
fn line_ends(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

fn malformed(reason: &str) -> Fault {
    Fault::Malformed { reason: reason.chars().take(200).collect() }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests hand files to other programs")]
#[path = "c14n_tests.rs"]
mod tests;
