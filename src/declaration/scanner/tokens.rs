//! Tokens of XML: tags, text, comments.

use std::rc::Rc;

use super::super::charset::Position;
use super::super::error::{DeclarationError, Fault};
use super::names::{Name, split_name};
use super::text::{is_legal, is_plain, malformed, push_lines, resolve};
use super::{Binding, Element, Event, Namespace, Scanner, XML_NS, XSI_NS, is_blank};

impl Scanner<'_> {
    /// Reads one token; `None` for those that make no event.
    pub(super) fn token(&mut self) -> Result<Option<Event>, DeclarationError> {
        let first = self.first;
        if self.source.bytes().is_empty() && !self.more(0)? {
            return self.eof().map(Some);
        }
        self.first = false;
        self.token_at = self.source.taken();
        if self.source.bytes().first() != Some(&b'<') {
            return self.characters().map(|()| None);
        }
        if self.source.bytes().len() < 2 {
            self.more(0)?;
        }
        match self.source.bytes().get(1) {
            Some(b'/') => self.end_tag().map(Some),
            Some(b'!') => self.declaration().map(|()| None),
            Some(b'?') => self.instruction(first).map(|()| None),
            _ => self.start_tag().map(|()| Some(Event::Start)),
        }
    }

    /// Looks further, for an item of which `length` bytes are there. False at the end of the document.
    pub(super) fn more(&mut self, length: usize) -> Result<bool, DeclarationError> {
        if length > self.max_item {
            return Err(self.too_long());
        }
        self.source.more().map_err(|fault| {
            let at = self.source.position().after(self.source.text().as_bytes());
            self.error_at(fault, at)
        })
    }

    /// The length of the item that begins here and ends with `end`, which may not start before `from`.
    pub(super) fn item(&mut self, from: usize, end: &str) -> Result<usize, DeclarationError> {
        let mut searched = from;
        loop {
            let text = self.source.bytes();
            let rest = text.get(searched..).unwrap_or_default();
            if let Some(found) = memchr::memmem::find(rest, end.as_bytes()) {
                let length = searched.saturating_add(found).saturating_add(end.len());
                return if length > self.max_item { Err(self.too_long()) } else { Ok(length) };
            }
            searched = text.len().saturating_sub(end.len().saturating_sub(1)).max(from);
            if !self.more(text.len())? {
                let at = self.source.position();
                return Err(self.malformed(&format!("the document ends before {end}"), at));
            }
        }
    }

    fn too_long(&self) -> DeclarationError {
        self.error_at(Fault::ItemTooLong { max: self.max_item }, self.source.position())
    }

    fn eof(&self) -> Result<Event, DeclarationError> {
        let at = self.source.position();
        if let Some(element) = self.element() {
            let reason = format!("<{}> is not closed", element.local());
            return Err(self.malformed(&reason, at));
        }
        if self.root_seen { Ok(Event::Eof) } else { Err(self.error_at(Fault::Empty, at)) }
    }

    fn end_tag(&mut self) -> Result<Event, DeclarationError> {
        if let Some(length) = self.expected_end(0) {
            self.source.take_within_line(length);
            return Ok(self.end());
        }
        let length = self.tag_end()?;
        let tag = self.source.text().get(2..length.saturating_sub(1)).unwrap_or_default();
        let name = tag.trim_end_matches([' ', '\t', '\r', '\n']);
        match self.element() {
            None => return Err(self.malformed("an end tag without a start", self.source.position())),
            Some(element) if element.name.qualified() != name => {
                let reason = format!("<{}> ends with </{name}>", element.local());
                return Err(self.malformed(&reason, self.source.position()));
            }
            Some(_) => {}
        }
        self.source.take(length);
        Ok(self.end())
    }

    /// The length of the end tag that begins here.
    fn tag_end(&mut self) -> Result<usize, DeclarationError> {
        loop {
            let text = self.source.bytes();
            if let Some(found) = memchr::memchr(b'>', text) {
                let length = found.saturating_add(1);
                return if length > self.max_item { Err(self.too_long()) } else { Ok(length) };
            }
            if !self.more(text.len())? {
                let at = self.source.position();
                return Err(self.malformed("the document ends inside a tag", at));
            }
        }
    }

    fn start_tag(&mut self) -> Result<(), DeclarationError> {
        // A known name up to the next `>` is a tag without attributes.
        let end = memchr::memchr(b'>', self.source.bytes());
        let known = end.and_then(|end| self.names.known(self.source.bytes().get(1..end)?).map(|name| (name, end)));
        if let Some((name, end)) = known.filter(|(_, end)| *end < self.max_item) {
            self.begin(name, "", end.saturating_add(1), false)
        } else {
            self.any_start_tag()
        }
    }

    fn any_start_tag(&mut self) -> Result<(), DeclarationError> {
        let length = self.tag_length()?;
        let at = self.source.mark();
        let inside = self.source.text().get(1..length.saturating_sub(1)).unwrap_or_default();
        let (inside, empty) = inside.strip_suffix('/').map_or((inside, false), |inside| (inside, true));
        let end = inside.find([' ', '\t', '\r', '\n']).unwrap_or(inside.len());
        let (name, rest) = inside.split_at_checked(end).unwrap_or((inside, ""));
        let Some(name) = self.names.learn(name) else { return Err(self.malformed("not a name", at)) };
        let rest = rest.to_owned();
        self.begin(name, &rest, length, empty)
    }

    /// Opens an element whose tag has this length; `rest` follows the name in it.
    fn begin(&mut self, name: Rc<Name>, rest: &str, length: usize, empty: bool) -> Result<(), DeclarationError> {
        let at = self.source.mark();
        if self.depth == 0 && self.root_seen {
            return Err(self.malformed("a second root element", at));
        }
        if self.depth >= self.max_depth {
            return Err(self.error_at(Fault::TooDeep { max: self.max_depth }, at));
        }
        let mixed = !is_blank(&self.text);
        self.text.clear();
        if self.slots.len() == self.depth {
            self.slots.push(Element::empty());
        }
        let (parents, free) = self.slots.split_at_mut_checked(self.depth).unwrap_or((&mut [], &mut []));
        let Some(slot) = free.first_mut() else { return Ok(()) };
        let ordinal = parents.last_mut().map_or(1, |parent| parent.count_child(&name, mixed));
        slot.reset(name, at);
        slot.ordinal = ordinal;
        self.heard.clear();
        if !is_blank(rest) {
            let heard = self.listener.is_some().then_some(&mut self.heard);
            let tag = Tag { bindings: &mut self.bindings, element: slot, max: self.max_attributes, heard };
            if let Err(fault) = tag.read(rest) {
                return Err(self.error_at(fault, at));
            }
        }
        self.bind(at)?;
        if rest.is_empty() {
            self.source.take_within_line(length)
        } else {
            self.source.take(length)
        }
        self.end_due = empty;
        let opened = self.depth.checked_sub(1).and_then(|last| self.slots.get(last));
        if let (Some(listener), Some(element)) = (self.listener.as_deref_mut(), opened) {
            self.return_told = false;
            listener.start(element, &self.heard);
        }
        Ok(())
    }

    /// Gives the new element its namespace and opens it.
    fn bind(&mut self, at: Position) -> Result<(), DeclarationError> {
        let (parents, free) = self.slots.split_at_mut_checked(self.depth).unwrap_or((&mut [], &mut []));
        let Some(slot) = free.first_mut() else { return Ok(()) };
        let prefix = slot.name.prefix_mark();
        let alike =
            |parent: &&mut Element| slot.bindings == 0 && prefix.is_some() && parent.name.prefix_mark() == prefix;
        if let Some(parent) = parents.last_mut().filter(alike) {
            slot.namespace.clone_from(&parent.namespace);
            self.depth = self.depth.saturating_add(1);
            return Ok(());
        }
        slot.namespace = Namespace::None;
        match bound(&self.bindings, slot.name.prefix()) {
            Some(Namespace::Other(other)) => slot.namespace = Namespace::Other(other.clone()),
            Some(namespace) => slot.namespace = namespace.clone(),
            None if slot.name.prefix().is_empty() => {}
            None => {
                let prefix = slot.name.prefix().to_owned();
                return Err(self.error_at(Fault::UnboundPrefix { prefix }, at));
            }
        }
        self.root_seen = true;
        self.depth = self.depth.saturating_add(1);
        Ok(())
    }

    /// The length of the start tag that begins here; `>` inside quotes does not end it.
    fn tag_length(&mut self) -> Result<usize, DeclarationError> {
        let (mut at, mut quote) = (1usize, None);
        loop {
            let text = self.source.bytes();
            let rest = text.get(at..).unwrap_or_default();
            let found = match quote {
                Some(quote) => memchr::memchr(quote, rest),
                None => memchr::memchr3(b'>', b'"', b'\'', rest),
            };
            match found {
                Some(found) => {
                    at = at.saturating_add(found).saturating_add(1);
                    quote = match (quote, rest.get(found)) {
                        (Some(_), _) => None,
                        (None, Some(b'>')) => {
                            return if at > self.max_item { Err(self.too_long()) } else { Ok(at) };
                        }
                        (None, byte) => byte.copied(),
                    };
                }
                None => {
                    at = text.len();
                    if !self.more(at)? {
                        let place = self.source.position();
                        return Err(self.malformed("the document ends inside a tag", place));
                    }
                }
            }
        }
    }

    /// `<!`: a comment, CDATA, or a document type.
    fn declaration(&mut self) -> Result<(), DeclarationError> {
        while self.source.text().len() < "<![CDATA[".len() && self.more(0)? {}
        let (text, at) = (self.source.text(), self.source.position());
        if text.starts_with("<!--") {
            let length = self.item(4, "-->")?;
            let comment = self.source.text().get(4..length.saturating_sub(3)).unwrap_or_default();
            if comment.contains("--") || comment.ends_with('-') || !comment.chars().all(is_legal) {
                return Err(self.malformed("a comment with -- or an illegal character", at));
            }
            if let Some(listener) = self.listener.as_deref_mut() {
                let mut lines = String::with_capacity(comment.len());
                push_lines(&mut lines, comment);
                self.return_told = false;
                listener.comment(&lines);
            }
            self.source.take(length);
            Ok(())
        } else if text.starts_with("<![CDATA[") {
            if self.depth == 0 {
                return Err(self.malformed("CDATA outside the root", at));
            }
            let length = self.item("<![CDATA[".len(), "]]>")?;
            let raw = self.source.text().get("<![CDATA[".len()..length.saturating_sub(3)).unwrap_or_default();
            if !raw.chars().all(is_legal) {
                return Err(self.malformed("a character that XML does not allow", at));
            }
            let before = self.text.len();
            push_lines(&mut self.text, raw);
            self.tell_text(before);
            self.source.take(length);
            if self.text.len() > self.max_item { Err(self.too_long()) } else { Ok(()) }
        } else if text.starts_with("<!DOCTYPE") {
            // Its end is looked for only so that an endless one is told apart.
            self.item(9, ">")?;
            Err(self.error_at(Fault::Doctype, at))
        } else {
            Err(self.malformed("<! that begins nothing known", at))
        }
    }

    /// `<?`: the XML declaration, or an instruction that is passed over.
    fn instruction(&mut self, first: bool) -> Result<(), DeclarationError> {
        let at = self.source.position();
        let length = self.item(2, "?>")?;
        let inside = self.source.text().get(2..length.saturating_sub(2)).unwrap_or_default();
        let target = inside.split([' ', '\t', '\r', '\n']).next().unwrap_or_default();
        let is_xml = target.eq_ignore_ascii_case("xml");
        let fine = match (is_xml, first) {
            (true, true) => target == "xml" && is_xml_declaration(inside.get(3..).unwrap_or_default()),
            (true, false) => false,
            (false, _) => split_name(target).is_some_and(|(prefix, _)| prefix.is_empty()),
        };
        if !fine || !inside.chars().all(is_legal) {
            return Err(self.malformed("XML declaration or instruction misplaced or incomplete", at));
        }
        if let (false, Some(listener)) = (is_xml, self.listener.as_deref_mut()) {
            let mut content = String::with_capacity(inside.len());
            push_lines(&mut content, inside.get(target.len()..).unwrap_or_default());
            self.return_told = false;
            listener.instruction(target, content.trim_start_matches([' ', '\t', '\n']));
        }
        self.source.take(length);
        Ok(())
    }

    /// Text up to the next tag, or to the end of the document.
    fn characters(&mut self) -> Result<(), DeclarationError> {
        let mut searched = 0usize;
        let length = loop {
            let text = self.source.bytes();
            let rest = text.get(searched..).unwrap_or_default();
            match memchr::memchr(b'<', rest) {
                Some(found) => break searched.saturating_add(found),
                None => {
                    searched = text.len();
                    if !self.more(searched)? {
                        break searched;
                    }
                }
            }
        };
        let text = self.source.text().get(..length).unwrap_or_default();
        if self.depth == 0 {
            if !is_blank(text) {
                return Err(self.malformed("text outside the root", self.source.position()));
            }
        } else if self.text.len().saturating_add(length) > self.max_item {
            return Err(self.too_long());
        } else {
            let before = self.text.len();
            if is_plain(text) {
                self.text.push_str(text);
            } else {
                resolve(text, &mut self.text).map_err(|(offset, fault)| {
                    let before = text.get(..offset).unwrap_or_default();
                    self.error_at(fault, self.source.position().after(before.as_bytes()))
                })?;
            }
            self.tell_text(before);
        }
        self.source.take(length);
        Ok(())
    }

    /// Tells the text that was added behind `before`.
    pub(super) fn tell_text(&mut self, before: usize) {
        if let Some(listener) = self.listener.as_deref_mut() {
            self.return_told = false;
            listener.text(self.text.get(before..).unwrap_or_default());
        }
    }
}

/// The attributes of a start tag.
struct Tag<'t> {
    bindings: &'t mut Vec<Binding>,
    element: &'t mut Element,
    max: usize,
    /// Where every attribute is noted for a listener.
    heard: Option<&'t mut Vec<(String, String)>>,
}

impl Tag<'_> {
    /// Reads what follows the name in a start tag.
    fn read(mut self, mut rest: &str) -> Result<(), Fault> {
        let mut seen: Vec<&str> = Vec::new();
        let mut foreign: Vec<(&str, &str)> = Vec::new();
        while !is_blank(rest) {
            let (name, value, after) = attribute(rest).ok_or_else(|| malformed("an attribute's name or value"))?;
            rest = after;
            if seen.len() >= self.max {
                return Err(Fault::TooManyAttributes { max: self.max });
            }
            if seen.contains(&name) {
                return Err(malformed("an attribute given twice"));
            }
            seen.push(name);
            let value = normalised(value)?;
            if let Some(heard) = self.heard.as_deref_mut() {
                heard.push((name.to_owned(), value.clone()));
            }
            let (prefix, local) = split_name(name).ok_or_else(|| malformed("an attribute's name"))?;
            match (prefix, local) {
                ("", "xmlns") => self.bindings.push(binding("", &value)?),
                ("xmlns", _) => self.bindings.push(binding(local, &value)?),
                ("", _) => {
                    self.element.attributes.push((local.to_owned(), value));
                    continue;
                }
                _ => {
                    foreign.push((prefix, local));
                    continue;
                }
            }
            self.element.bindings = self.element.bindings.saturating_add(1);
        }
        let mut names: Vec<(&str, &str)> = Vec::with_capacity(foreign.len());
        for (prefix, local) in foreign {
            let namespace = match prefix {
                "xml" => XML_NS,
                _ => match bound(self.bindings, prefix) {
                    Some(namespace) => namespace.as_str(),
                    None => return Err(Fault::UnboundPrefix { prefix: prefix.to_owned() }),
                },
            };
            if names.contains(&(namespace, local)) {
                return Err(malformed("an attribute given twice under two prefixes"));
            }
            names.push((namespace, local));
            let hint = namespace == XSI_NS && matches!(local, "schemaLocation" | "noNamespaceSchemaLocation");
            if !hint {
                self.element.foreign_attribute = Some(format!("{prefix}:{local}"));
            }
        }
        Ok(())
    }
}

/// Name, raw value and what follows the first attribute; at least one blank stands before it.
fn attribute(text: &str) -> Option<(&str, &str, &str)> {
    const BLANKS: [char; 4] = [' ', '\t', '\r', '\n'];
    let trimmed = text.trim_start_matches(BLANKS);
    if trimmed.len() == text.len() {
        return None;
    }
    let (name, rest) = trimmed.split_once('=')?;
    let rest = rest.trim_start_matches(BLANKS);
    let quote = rest.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    let (value, rest) = rest.strip_prefix(quote)?.split_once(quote)?;
    (!value.contains('<')).then_some((name.trim_end_matches(BLANKS), value, rest))
}

/// The value of an attribute: references resolved, blanks made spaces (XML 1.0, 3.3.3).
fn normalised(raw: &str) -> Result<String, Fault> {
    let mut value = String::with_capacity(raw.len());
    let spaced: String;
    let raw = if raw.contains(['\t', '\n', '\r']) {
        spaced = raw.replace("\r\n", " ").replace(['\t', '\n', '\r'], " ");
        &spaced
    } else {
        raw
    };
    if is_plain(raw) {
        value.push_str(raw);
        return Ok(value);
    }
    // `]]>` is forbidden in text only.
    for part in raw.split_inclusive(']') {
        resolve(part, &mut value).map_err(|(_, fault)| match fault {
            Fault::UnknownEntity { .. } => malformed("an entity in an attribute"),
            other => other,
        })?;
    }
    Ok(value)
}

fn binding(prefix: &str, namespace: &str) -> Result<Binding, Fault> {
    let wrong = match prefix {
        "xml" => namespace != XML_NS,
        "xmlns" => true,
        "" => namespace == XML_NS,
        _ => namespace.is_empty() || namespace == XML_NS,
    };
    if wrong {
        return Err(malformed("a prefix bound to what it cannot be"));
    }
    Ok(Binding { prefix: prefix.to_owned(), namespace: Namespace::of(namespace) })
}

fn bound<'b>(bindings: &'b [Binding], prefix: &str) -> Option<&'b Namespace> {
    bindings.iter().rev().find(|binding| binding.prefix == prefix).map(|binding| &binding.namespace)
}

/// What follows `xml` in a declaration: version, then perhaps encoding and standalone.
fn is_xml_declaration(mut rest: &str) -> bool {
    let mut place = 0usize;
    while !is_blank(rest) {
        let Some((name, value, after)) = attribute(rest) else { return false };
        let (at, fine) = match name {
            "version" => (1, value.starts_with("1.")),
            "encoding" => (2, value.starts_with(|c: char| c.is_ascii_alphabetic())),
            "standalone" => (3, matches!(value, "yes" | "no")),
            _ => return false,
        };
        if !fine || at <= place || (place == 0 && at != 1) {
            return false;
        }
        place = at;
        rest = after;
    }
    place > 0
}
