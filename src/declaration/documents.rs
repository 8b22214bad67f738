//! Walking over the business documents of one message.

use super::error::{DeclarationError, Fault};
use super::family::MessageType;
use super::precheck::BusinessKey;
use super::scanner::{Element, Event, Namespace, Scanner};
use super::schema::value::trim;

/// Fields of a document's head that are kept, and characters of one value: beyond the longest the schema allows.
const MAX_FIELDS: usize = 128;
const MAX_VALUE: usize = 5000;
/// Bytes of `oriBizMessage`, the one field that may hold a whole document.
const MAX_QUOTED_DOCUMENT: usize = 8 * 1024 * 1024;

/// The fields of one document's head.
#[derive(Debug, Default)]
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    /// The value of a field that is not blank.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        // The same blanks as the pre-check: what it keeps of a number is looked for by what a receipt repeats of it.
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| trim(value)).filter(|value| !value.is_empty())
    }

    /// The keys of the document, in the table's order.
    pub(super) fn keys(&self, row: &MessageType, document: u32) -> Vec<BusinessKey> {
        let key = |name: &&str| {
            self.get(name).map(|value| BusinessKey { document, name: (*name).to_owned(), value: value.to_owned() })
        };
        row.keys.iter().filter_map(key).collect()
    }

    /// Takes a field; later ones of the same name and those beyond the bound are not kept.
    pub(super) fn push(&mut self, name: &str, value: &str) {
        if self.0.len() < MAX_FIELDS && !self.0.iter().any(|(key, _)| key == name) {
            self.0.push((name.to_owned(), value.chars().take(MAX_VALUE).collect()));
        }
    }
}

/// Whether the element just ended is a field of a document's head.
pub(super) fn is_field(scanner: &Scanner<'_>, row: &MessageType) -> bool {
    if !scanner.element().is_some_and(|element| !element.parent && element.namespace == Namespace::Ceb) {
        return false;
    }
    let named = |depth, name| scanner.ancestor(depth).is_some_and(|at: &Element| at.is(&Namespace::Ceb, name));
    match (scanner.depth(), row.head) {
        (3, None) => named(2, row.node),
        (4, Some(head)) => named(2, row.node) && named(3, head),
        _ => false,
    }
}

/// Makes room for the quoted document of a CEB900 while it is read.
pub(super) fn quoted_document_limit(scanner: &mut Scanner<'_>, usual: usize) {
    let quoted = scanner.element().is_some_and(|element| element.is(&Namespace::Ceb, "oriBizMessage"));
    scanner.allow_items_of(if quoted { MAX_QUOTED_DOCUMENT } else { usual });
}

/// Calls `on_document` with every document of the message whose root the scanner just started; how many there were.
pub(super) fn walk(
    scanner: &mut Scanner<'_>,
    row: &MessageType,
    usual_item: usize,
    max: u32,
    on_document: &mut dyn FnMut(u32, &Fields),
) -> Result<u32, DeclarationError> {
    let (mut count, mut fields) = (0u32, Fields::default());
    loop {
        match scanner.next()? {
            Event::Start => {
                quoted_document_limit(scanner, usual_item);
                if scanner.depth() == 2 && scanner.element().is_some_and(|e| e.is(&Namespace::Ceb, row.node)) {
                    count = count.saturating_add(1);
                    fields = Fields::default();
                    if count > max {
                        return Err(scanner.error(Fault::TooManyDocuments { max }));
                    }
                }
            }
            Event::End => {
                scanner.allow_items_of(usual_item);
                let ended = scanner.element().is_some_and(|e| e.is(&Namespace::Ceb, row.node));
                if scanner.depth() == 2 && ended {
                    on_document(count, &fields);
                } else if is_field(scanner, row) {
                    let name = scanner.element().map(|element| element.local().to_owned()).unwrap_or_default();
                    fields.push(&name, scanner.text());
                }
            }
            Event::Eof => return Ok(count),
        }
    }
}
