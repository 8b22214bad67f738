//! Canonical XML 1.0, inclusive (REC-xml-c14n-20010315), with or without comments, heard from the scanner.
//!
//! What an enveloped signature needs of it: the document without its `ds:Signature`, and the `SignedInfo` inside that as
//! an apex of its own, which shows every namespace in scope there and inherits `xml:` attributes (section 2.4). There is no
//! document type, so no default attribute and no entity but the five of XML. Attribute values are normalised as CDATA.
//!
//! There is one reader of XML: what is digested here is told by the scanner that also tells the pre-check its fields, so
//! that a document cannot mean one thing to the signature and another to the rules.

use std::io::Write;

use super::super::charset::uncarry;
use super::super::error::Fault;
use super::super::scanner::{Element, Listener, Namespace};

/// What is written where.
pub(super) struct Outputs<'o> {
    /// The document, its signature left out.
    pub(super) document: &'o mut dyn Write,
    /// `SignedInfo` of the signature that is a child of the root.
    pub(super) signed_info: &'o mut dyn Write,
    /// Whether comments stay in both.
    pub(super) comments: bool,
}

/// Writes the canonical forms of the document that the scanner reads.
pub(super) struct Canonicaliser<'o> {
    outputs: Outputs<'o>,
    open: Vec<Frame>,
    /// Prefix (empty: default) and namespace, innermost last.
    bindings: Vec<(String, String)>,
    root_seen: bool,
    /// Text of the document that is not written yet.
    pending: String,
    /// Why an output failed.
    failed: Option<Fault>,
}

/// An open element.
struct Frame {
    /// Where its own namespace declarations begin in [`Canonicaliser::bindings`].
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

/// Bytes collected before they are written.
const PENDING: usize = 16 * 1024;

impl<'o> Canonicaliser<'o> {
    pub(super) fn new(outputs: Outputs<'o>) -> Canonicaliser<'o> {
        Canonicaliser {
            outputs,
            open: Vec::new(),
            bindings: Vec::new(),
            root_seen: false,
            pending: String::new(),
            failed: None,
        }
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// An output failed.
    pub(super) fn finish(mut self) -> Result<(), Fault> {
        self.flush();
        self.failed.map_or(Ok(()), Err)
    }

    fn flush(&mut self) {
        let written = self.outputs.document.write_all(self.pending.as_bytes());
        self.note(written);
        self.pending.clear();
    }

    fn note(&mut self, written: std::io::Result<()>) {
        if let Err(error) = written {
            self.failed.get_or_insert_with(|| uncarry(&error));
        }
    }

    /// Where the element goes, and whether it is an apex.
    fn sink_of(&self, element: &Element) -> (Sink, bool) {
        match self.open.last().map(|parent| parent.sink) {
            None => (Sink::Document, false),
            Some(Sink::Document) if self.open.len() == 1 && element.is(&Namespace::Dsig, "Signature") => {
                (Sink::Nowhere, false)
            }
            Some(Sink::Nowhere) if self.open.len() == 2 && element.is(&Namespace::Dsig, "SignedInfo") => {
                (Sink::SignedInfo, true)
            }
            Some(sink) => (sink, false),
        }
    }

    /// Takes an element's declarations in; returns those that change something.
    fn declare(&mut self, attributes: &[(String, String)]) -> Vec<(String, String)> {
        // The prefix `xml` needs no declaration and is never shown.
        let declared = |(name, uri): &(String, String)| match name.strip_prefix("xmlns") {
            Some("") => Some((String::new(), uri.clone())),
            Some(":xml") => None,
            Some(prefix) => Some((prefix.strip_prefix(':')?.to_owned(), uri.clone())),
            None => None,
        };
        let declarations: Vec<(String, String)> = attributes.iter().filter_map(declared).collect();
        let changed = declarations.iter().filter(|(prefix, uri)| self.bound(prefix) != uri).cloned().collect();
        self.bindings.extend(declarations);
        changed
    }

    /// The namespace of a prefix; the scanner has seen to it that there is one.
    fn bound(&self, prefix: &str) -> &str {
        let bound = self.bindings.iter().rev().find(|(bound, _)| bound == prefix);
        let unbound = if prefix == "xml" { XML_NS } else { "" };
        bound.map_or(unbound, |(_, uri)| uri.as_str())
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

    /// Attributes by namespace, then local name; those without prefix have none and come first. An apex takes the nearest
    /// `xml:` attributes of its ancestors.
    fn ordered(&self, attributes: &[(String, String)], apex: bool) -> Vec<(String, String)> {
        let own = attributes.iter().filter(|(name, _)| name != "xmlns" && !name.starts_with("xmlns:"));
        let mut all: Vec<(String, String)> = own.cloned().collect();
        if apex {
            for (name, value) in self.open.iter().rev().flat_map(|frame| &frame.inherited) {
                if !all.iter().any(|(known, _)| known == name) {
                    all.push((name.clone(), value.clone()));
                }
            }
        }
        all.sort_by_cached_key(|(name, _)| match name.split_once(':') {
            None => (String::new(), name.clone()),
            Some((prefix, local)) => (self.bound(prefix).to_owned(), local.to_owned()),
        });
        all
    }

    /// A comment or instruction; outside the root it has a line of its own.
    fn aside(&mut self, text: &str) {
        let sink = self.sink();
        match (self.open.is_empty(), self.root_seen) {
            (false, _) => self.write(sink, text),
            (true, false) => self.write(sink, &format!("{text}\n")),
            (true, true) => self.write(sink, &format!("\n{text}")),
        }
    }

    fn sink(&self) -> Sink {
        self.open.last().map_or(Sink::Document, |frame| frame.sink)
    }

    fn write(&mut self, sink: Sink, text: &str) {
        match sink {
            Sink::Document => {
                self.pending.push_str(text);
                if self.pending.len() >= PENDING {
                    self.flush();
                }
            }
            Sink::SignedInfo => {
                let written = self.outputs.signed_info.write_all(text.as_bytes());
                self.note(written);
            }
            Sink::Nowhere => {}
        }
    }
}

impl Listener for Canonicaliser<'_> {
    fn start(&mut self, element: &Element, attributes: &[(String, String)]) {
        self.root_seen = true;
        let (sink, apex) = self.sink_of(element);
        let mark = self.bindings.len();
        let changed = self.declare(attributes);
        if sink != Sink::Nowhere {
            let mut shown = if apex { self.in_scope() } else { changed };
            shown.sort();
            let mut tag = String::from("<");
            push_name(&mut tag, element);
            for (prefix, uri) in &shown {
                tag.push_str(if prefix.is_empty() { " xmlns" } else { " xmlns:" });
                tag.push_str(prefix);
                push_value(&mut tag, uri);
            }
            for (name, value) in self.ordered(attributes, apex) {
                tag.push(' ');
                tag.push_str(&name);
                push_value(&mut tag, &value);
            }
            tag.push('>');
            self.write(sink, &tag);
        }
        let inherited = attributes.iter().filter(|(name, _)| name.starts_with("xml:")).cloned().collect();
        self.open.push(Frame { bindings: mark, sink, inherited });
    }

    fn end(&mut self, element: &Element) {
        let Some(frame) = self.open.pop() else { return };
        self.bindings.truncate(frame.bindings);
        let mut tag = String::from("</");
        push_name(&mut tag, element);
        tag.push('>');
        self.write(frame.sink, &tag);
    }

    fn text(&mut self, text: &str) {
        let sink = self.sink();
        let mut rest = text;
        while let Some(place) = rest.find(['&', '<', '>', '\r']) {
            let (plain, special) = rest.split_at_checked(place).unwrap_or((rest, ""));
            let (escaped, behind) = match special.as_bytes().first() {
                Some(b'&') => ("&amp;", special.strip_prefix('&')),
                Some(b'<') => ("&lt;", special.strip_prefix('<')),
                Some(b'>') => ("&gt;", special.strip_prefix('>')),
                _ => ("&#xD;", special.strip_prefix('\r')),
            };
            self.write(sink, plain);
            self.write(sink, escaped);
            rest = behind.unwrap_or_default();
        }
        self.write(sink, rest);
    }

    fn comment(&mut self, text: &str) {
        if self.outputs.comments {
            self.aside(&format!("<!--{text}-->"));
        }
    }

    fn instruction(&mut self, target: &str, content: &str) {
        let blank = if content.is_empty() { "" } else { " " };
        self.aside(&format!("<?{target}{blank}{content}?>"));
    }
}

/// Namespace of the prefix `xml`, which needs no declaration.
const XML_NS: &str = "http://www.w3.org/XML/1998/namespace";

fn push_name(tag: &mut String, element: &Element) {
    tag.push_str(element.qualified());
}

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

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests hand files to other programs")]
#[path = "c14n_tests.rs"]
mod tests;
