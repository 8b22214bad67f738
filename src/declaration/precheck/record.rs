//! The fields of one head or one line, kept while its document is read.

use super::super::charset::Position;
use super::super::scanner::same;
use super::super::schema::Node;
use super::super::schema::value::trim;
use super::amount::Amount;

/// Fields of one group and characters of one value that are kept: beyond the longest the schema allows.
const MAX_FIELDS: usize = 128;
const MAX_VALUE: usize = 5000;

#[derive(Debug, Clone, Copy)]
struct Slot {
    name: &'static str,
    start: usize,
    end: usize,
    at: Position,
    personal: bool,
    /// The schema refuses its value, which is not kept.
    refused: bool,
}

/// A value and where it stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field<'r> {
    /// Not blank, without blanks around it.
    pub(super) value: &'r str,
    pub(super) at: Position,
    /// The value is personal data.
    pub(super) personal: bool,
}

/// The fields of one head or line.
#[derive(Debug, Default)]
pub(super) struct Record {
    slots: Vec<Slot>,
    text: String,
}

impl Record {
    pub(super) fn clear(&mut self) {
        self.slots.clear();
        self.text.clear();
    }

    /// Takes a field; those beyond the bound are not kept.
    pub(super) fn push(&mut self, node: &'static Node, value: &str, at: Position) {
        if self.slots.len() >= MAX_FIELDS {
            return;
        }
        let start = self.text.len();
        if value.len() <= MAX_VALUE {
            self.text.push_str(value);
        } else {
            self.text.extend(value.chars().take(MAX_VALUE));
        }
        let personal = node.notes.personal.is_some();
        self.slots.push(Slot { name: &node.name, start, end: self.text.len(), at, personal, refused: false });
    }

    /// Takes note of a field whose value the schema refuses: it is there all the same.
    pub(super) fn refuse(&mut self, node: &'static Node, at: Position) {
        if self.slots.len() < MAX_FIELDS {
            let end = self.text.len();
            let personal = node.notes.personal.is_some();
            self.slots.push(Slot { name: &node.name, start: end, end, at, personal, refused: true });
        }
    }

    fn slot(&self, name: &str) -> Option<&Slot> {
        self.slots.iter().find(|slot| same(slot.name.as_bytes(), name.as_bytes()))
    }

    /// The value of a field that is not blank, without blanks around it.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.field(name).map(|field| field.value)
    }

    /// The same and where it stands.
    pub(super) fn field(&self, name: &str) -> Option<Field<'_>> {
        let slot = self.slot(name)?;
        let value = self.text.get(slot.start..slot.end).map(trim).filter(|value| !value.is_empty())?;
        Some(Field { value, at: slot.at, personal: slot.personal })
    }

    /// Whether a field has this value.
    pub(super) fn is(&self, name: &str, value: &str) -> bool {
        self.get(name) == Some(value)
    }

    /// The element is there, blank or not, with a value that the schema accepts.
    pub(super) fn has(&self, name: &str) -> bool {
        self.slot(name).is_some_and(|slot| !slot.refused)
    }

    /// The element is there with a value that the schema refuses, which has been said.
    pub(super) fn is_refused(&self, name: &str) -> bool {
        self.slot(name).is_some_and(|slot| slot.refused)
    }

    /// The element is missing or blank; one that the schema refuses is neither.
    pub(super) fn lacks(&self, name: &str) -> bool {
        self.get(name).is_none() && !self.is_refused(name)
    }

    /// Where a field stands.
    pub(super) fn at(&self, name: &str) -> Option<Position> {
        self.slot(name).map(|slot| slot.at)
    }

    /// A field as a number.
    pub(super) fn amount(&self, name: &str) -> Option<Amount> {
        Amount::parse(self.get(name)?)
    }

    /// A field as a whole number.
    pub(super) fn number(&self, name: &str) -> Option<i64> {
        self.get(name)?.trim_start_matches('+').parse().ok()
    }
}
