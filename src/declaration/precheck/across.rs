//! Rules between documents: R02, R10, R16 to R18, R31, R33, R40 to R44 (三单对碰), over everything one call looked at and,
//! for the gateway, what was sent before under the same keys. What documents say is here, the comparison in [`court`].

use super::super::charset::Position;
use super::super::family;
use super::super::scanner::Scanner;
use super::amount::Amount;
use super::finding::{Finding, Levels};
use super::record::Record;

mod court;

use court::Court;

/// Fields that documents are compared by.
const FIELDS: [&str; 28] = [
    "guid",
    "appType",
    "appTime",
    "orderNo",
    "ebpCode",
    "ebcCode",
    "payCode",
    "payTransactionId",
    "payNo",
    "goodsValue",
    "acturalPaid",
    "amountPaid",
    "buyerName",
    "buyerIdNumber",
    "payerName",
    "payerIdNumber",
    "consignee",
    "consigneeTelephone",
    "consigneeAddress",
    "logisticsNo",
    "logisticsCode",
    "logisticsStatus",
    "operatorCode",
    "copNo",
    "msgSeqNo",
    "invtNo",
    "coElNo",
    "agentCode",
];
/// Lines kept of one document; 311 and 621 have at most 99.
const MAX_LINES: usize = 100;
/// Documents compared in one call.
const MAX_DOCUMENTS: usize = 500_000;

/// What one document says that others must agree with. Held in memory only, never written.
#[derive(Debug, Clone)]
pub struct Facts {
    message: &'static str,
    document: u32,
    key: Option<String>,
    path: String,
    at: Position,
    fields: Vec<(&'static str, String)>,
    lines: Vec<(i64, Option<Amount>)>,
    /// What its lines add up to.
    total: Option<Amount>,
    /// More than its keys is known.
    whole: bool,
    /// Customs has released it.
    released: bool,
}

impl Facts {
    pub(super) fn new(message: &'static str, document: u32) -> Facts {
        let (key, path, at) = (None, String::new(), Position::START);
        let (fields, lines, total) = (Vec::new(), Vec::new(), None);
        Facts { message, document, key, path, at, fields, lines, total, whole: true, released: false }
    }

    /// A new document of which only the keys are known; `None` for a type that nothing is compared with.
    pub fn of_keys<'k>(message: &str, keys: impl IntoIterator<Item = (&'k str, &'k str)>) -> Option<Facts> {
        let mut facts = Facts::new(family::find(message)?.name, 0);
        let known = |name: &str| FIELDS.into_iter().find(|field| *field == name);
        facts.fields.push(("appType", "1".to_owned()));
        facts.fields.extend(keys.into_iter().filter_map(|(name, value)| Some((known(name)?, value.to_owned()))));
        facts.whole = false;
        Some(facts)
    }

    /// The same after the six months for which a carrier's number belongs to one parcel.
    pub fn with_free_waybill(mut self) -> Facts {
        self.fields.retain(|(name, _)| *name != "logisticsNo");
        self
    }

    /// The same with the numbers that customs gave it.
    pub fn with_given<'k>(mut self, given: impl IntoIterator<Item = (&'k str, &'k str)>) -> Facts {
        for (name, value) in given {
            if let Some(field) = FIELDS.into_iter().find(|field| *field == name).filter(|_| self.get(name).is_none()) {
                self.fields.push((field, value.to_owned()));
            }
        }
        self
    }

    /// The same, known to be released by customs.
    pub fn released(self) -> Facts {
        Facts { released: true, ..self }
    }

    pub(super) fn add_line(&mut self, line: &Record) {
        if let Some(number) = line.number("gnum").filter(|_| self.lines.len() < MAX_LINES) {
            self.lines.push((number, line.amount("qty")));
        }
    }

    pub(super) fn finish(&mut self, head: &Record, total: Option<Amount>, key: Option<String>, scanner: &Scanner<'_>) {
        self.total = total;
        let field = |name: &&'static str| Some((*name, head.get(name)?.to_owned()));
        self.fields = FIELDS.iter().filter_map(field).collect();
        self.key = key;
        self.path = scanner.path();
        self.at = scanner.element().map_or(Position::START, |element| element.at);
    }

    /// Which document of its message it is, from 1.
    pub fn document(&self) -> u32 {
        self.document
    }

    /// The value of a field that documents are compared by.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_str())
    }

    /// Names and values by which documents about the same thing are found.
    pub fn leads(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let leads = self.fields.iter().filter(|(name, _)| LEADS.contains(name));
        leads.map(|(name, value)| (*name, value.as_str()))
    }

    fn is_new(&self) -> bool {
        self.get("appType") == Some("1")
    }

    /// Message type and the fields that no other new document of it may share: those by which its receipt names it.
    fn business_key(&self) -> Option<String> {
        let names: &[&str] = match self.message {
            "CEB311Message" | "CEB303Message" => &["ebpCode", "orderNo"],
            "CEB411Message" => &["payCode", "payTransactionId"],
            "CEB403Message" => &["ebcCode", "orderNo"],
            "CEB511Message" | "CEB505Message" => &["logisticsCode", "logisticsNo"],
            "CEB513Message" => &["logisticsCode", "logisticsNo", "logisticsStatus"],
            "CEB621Message" | "CEB603Message" => &["agentCode", "copNo"],
            "CEB623Message" | "CEB625Message" | "CEB605Message" => &["agentCode", "copNo"],
            "CEB711Message" => &["operatorCode", "copNo"],
            "CEB213Message" => &["agentCode", "coElNo"],
            "CEB215Message" => &["operatorCode", "coElNo", "logisticsNo"],
            "CEB507Message" => &["operatorCode", "copNo", "msgSeqNo"],
            "CEB509Message" => &["logisticsCode", "copNo", "msgSeqNo"],
            "CEB607Message" | "CEB701Message" => &["agentCode", "copNo", "msgSeqNo"],
            _ => return None,
        };
        let values: Option<Vec<&str>> = names.iter().map(|name| self.get(name)).collect();
        // A collection without a number of its payment is named by its order alone.
        let payment = if self.message == "CEB403Message" { self.get("payNo").unwrap_or_default() } else { "" };
        Some(format!("{} {} {payment}", self.message, values?.join(" ")))
    }

    /// The message whose parts are sent one by one, and which part this is.
    fn part(&self) -> Option<(String, i64)> {
        let sender = match self.message {
            "CEB507Message" => "operatorCode",
            "CEB509Message" => "logisticsCode",
            "CEB607Message" | "CEB701Message" => "agentCode",
            _ => return None,
        };
        let whole = format!("{} {} {}", self.message, self.get(sender)?, self.get("copNo")?);
        Some((whole, self.get("msgSeqNo")?.parse().ok()?))
    }

    /// What the goods of an import are worth, and whose they are.
    fn purchase(&self) -> Option<Purchase<'_>> {
        let worth = match self.message {
            "CEB311Message" => Amount::parse(self.get("goodsValue")?)?,
            "CEB621Message" => self.total?,
            _ => return None,
        };
        Some(Purchase {
            buyer: (self.get("buyerIdNumber")?, self.get("appTime")?.get(..4)?),
            order: (self.get("ebpCode")?, self.get("orderNo")?),
            worth,
        })
    }
}

/// What one buyer imports with one order.
struct Purchase<'f> {
    /// Identity number and year.
    buyer: (&'f str, &'f str),
    /// Platform and number.
    order: (&'f str, &'f str),
    worth: Amount,
}

/// Fields of [`FIELDS`] that lead from one document to others about the same thing.
const LEADS: [&str; 6] = ["orderNo", "payTransactionId", "logisticsNo", "copNo", "invtNo", "coElNo"];

/// The documents of one call, and those sent before that they are compared with.
#[derive(Debug, Default)]
pub struct Ledger {
    entries: Vec<Entry>,
    left_out: usize,
}

/// A document, and the number of its file; none for one that was sent before, of which nothing is said.
type Entry = (Option<usize>, Facts);

impl Ledger {
    /// Adds a document of the file with this number.
    pub fn add(&mut self, file: usize, facts: Facts) {
        self.push(Some(file), facts);
    }

    /// Adds a document that was sent before; older ones first, and before those of [`add`](Ledger::add).
    pub fn add_earlier(&mut self, facts: Facts) {
        self.push(None, facts);
    }

    fn push(&mut self, file: Option<usize>, facts: Facts) {
        if self.entries.len() < MAX_DOCUMENTS {
            self.entries.push((file, facts));
        } else {
            self.left_out = self.left_out.saturating_add(1);
        }
    }

    /// Documents beyond the bound, which were compared with nothing.
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    /// What does not fit together: number of the file, and the finding. In the order in which documents were added.
    pub fn judge(&self, levels: &Levels) -> Vec<(usize, Finding)> {
        self.verdicts(levels, false)
    }

    /// The same, where everything that was sent before is among the entries: a change without its original is told.
    pub fn judge_with_history(&self, levels: &Levels) -> Vec<(usize, Finding)> {
        self.verdicts(levels, true)
    }

    fn verdicts(&self, levels: &Levels, history: bool) -> Vec<(usize, Finding)> {
        let mut found = Court::new(levels, history, &self.entries).judge();
        found.sort_by_key(|(place, _)| *place);
        let of_file = |(place, finding)| self.entries.get(place).and_then(|(file, _)| Some(((*file)?, finding)));
        found.into_iter().filter_map(of_file).collect()
    }
}
