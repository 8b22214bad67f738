//! Where rules say what they found.

use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};

use super::super::family::{MessageType, Role};
use super::super::scanner::Scanner;
use super::super::schema::Node;
use super::Expectations;
use super::finding::{Say, Sheet};
use super::record::Record;

/// How far another clock may be ahead of ours.
const SKEW: SignedDuration = SignedDuration::from_mins(10);

/// The place of a rule: the document as it is read, the sheet, and what is expected.
pub(super) struct Judge<'j, 's, 'e> {
    pub(super) scanner: &'j Scanner<'s>,
    pub(super) sheet: &'j mut Sheet<'e>,
    pub(super) expect: &'j Expectations<'j>,
    pub(super) row: &'static MessageType,
}

impl Judge<'_, '_, '_> {
    /// A finding about the field that just ended.
    pub(super) fn here(&mut self, node: &Node, say: Say<'_>, value: &str) {
        let say = Say { value: Some(value).filter(|value| !value.is_empty()), ..say };
        let personal = node.notes.personal.is_some();
        self.sheet.at(self.scanner, Say { personal, ..say });
    }

    /// A finding about the group that just ended.
    pub(super) fn at_group(&mut self, say: Say<'_>) {
        self.sheet.at(self.scanner, say);
    }

    /// A finding about a field of `record`, which is the head of the document or the line that just ended.
    pub(super) fn about(&mut self, record: &Record, field: &str, say: Say<'_>) {
        let mut path = self.scanner.path();
        if let Some(head) = self.row.head.filter(|_| self.scanner.depth() == 2) {
            path.push('/');
            path.push_str(head);
        }
        let at = match record.at(field) {
            Some(at) => {
                path.push('/');
                path.push_str(field);
                Some(at)
            }
            None => self.scanner.element().map(|element| element.at),
        };
        let field = record.field(field);
        let personal = say.personal || field.is_some_and(|field| field.personal);
        let value = say.value.or(field.map(|field| field.value));
        self.sheet.say(path, at, Say { value, personal, ..say });
    }

    /// An enterprise sends this type.
    pub(super) fn is_request(&self) -> bool {
        matches!(self.row.role, Role::Request { .. })
    }

    /// The latest time on China's clocks that is not yet the future.
    pub(super) fn latest(&self) -> Option<DateTime> {
        let latest: Timestamp = self.expect.now?.checked_add(SKEW).ok()?;
        Some(latest.to_zoned(TimeZone::fixed(Offset::constant(8))).datetime())
    }

    /// Rule and code for a value outside a closed list.
    pub(super) fn list_rule(&self, node: &Node) -> (&'static str, &'static str) {
        match (node.name.as_str(), self.row.name) {
            ("currency", _) => ("R13", "currency-not-cny"),
            ("buyerIdType" | "payerIdType", _) => ("R14", "identity-type"),
            ("orderType", _) => ("R15", "order-type"),
            ("packNo", _) => ("R21", "pack-count"),
            ("tradeMode", "CEB621Message") => ("R19", "trade-mode"),
            ("tradeMode", "CEB603Message") => ("R26", "trade-mode-export"),
            ("tradeMode", _) => ("R33", "trade-mode-return"),
            ("statisticsFlag" | "fFlag" | "iFlag", _) => ("R28", "flag-unknown"),
            ("dxpMode", _) => ("R38", "dxp-mode"),
            _ => ("R06", "value-not-listed"),
        }
    }
}
