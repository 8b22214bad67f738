//! Rules between documents: R02, R10, R16 to R18, R31, R33, R40 to R44 (三单对碰), over everything one call looked at and,
//! for the gateway, what was sent before under the same keys. What documents say is here, the comparison in [`court`].

use super::super::charset::Position;
use super::super::family::{self, MessageType};
use super::super::scanner::Scanner;
use super::super::schema::Node;
use super::super::standing::Standing;
use super::amount::Amount;
use super::finding::{Finding, Levels};
use super::record::Record;

mod court;

use court::Court;

/// Fields that documents are compared by.
const FIELDS: [&str; 29] = [
    "guid",
    "appType",
    "appTime",
    "appStatus",
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
    /// The node that holds its fields, when they are not its own.
    head: Option<&'static str>,
    document: u32,
    key: Option<String>,
    path: String,
    at: Spot,
    fields: Vec<Fact>,
    lines: Vec<Line>,
    /// The node of its lines.
    line: &'static str,
    /// What its lines add up to.
    total: Option<Amount>,
    /// More than its keys is known.
    whole: bool,
    /// Where it stands with customs, as far as changes are concerned; none when that is not known.
    standing: Option<Standing>,
    /// Whether its newest receipt says that the platform has only saved it (暂存); none without a receipt.
    saved: Option<bool>,
}

/// A field of a document's head.
#[derive(Debug, Clone)]
struct Fact {
    name: &'static str,
    value: String,
    at: Spot,
    personal: bool,
}

impl Fact {
    /// A field of which it is not known where it stands.
    fn known(name: &'static str, value: &str) -> Fact {
        Fact { name, value: value.to_owned(), at: None, personal: false }
    }
}

/// A line of a document.
#[derive(Debug, Clone)]
struct Line {
    number: i64,
    quantity: Option<Amount>,
    number_at: Spot,
    quantity_at: Spot,
    /// Which of the document's lines it is, from 1.
    ordinal: u32,
}

/// Line and column of a field, where they are known; half as wide as elsewhere, because there may be millions.
type Spot = Option<(u32, u32)>;

fn spot(at: Position) -> Spot {
    u32::try_from(at.line).ok().zip(u32::try_from(at.column).ok())
}

/// What of a document a finding is about.
#[derive(Debug, Clone, Copy)]
enum About {
    /// A field of its head.
    Field(&'static str),
    /// A field, `gnum` or `qty`, of the line in this place.
    Line(usize, &'static str),
}

/// Where a finding between documents stands, and what stands there.
struct Shown {
    path: String,
    at: Option<Position>,
    value: Option<String>,
    personal: bool,
}

impl Facts {
    pub(super) fn new(row: &'static MessageType, document: u32) -> Facts {
        Facts {
            message: row.name,
            head: row.head,
            document,
            key: None,
            path: String::new(),
            at: None,
            fields: Vec::new(),
            lines: Vec::new(),
            line: "",
            total: None,
            whole: true,
            standing: None,
            saved: None,
        }
    }

    /// A new document of which only the keys are known; `None` for a type that nothing is compared with.
    pub fn of_keys<'k>(message: &str, keys: impl IntoIterator<Item = (&'k str, &'k str)>) -> Option<Facts> {
        let mut facts = Facts::new(family::find(message)?, 0);
        let known = |name: &str| FIELDS.into_iter().find(|field| *field == name);
        facts.fields.push(Fact::known("appType", "1"));
        facts.fields.extend(keys.into_iter().filter_map(|(name, value)| Some(Fact::known(known(name)?, value))));
        facts.whole = false;
        Some(facts)
    }

    /// The same after the six months for which a carrier's number belongs to one parcel.
    pub fn with_free_waybill(mut self) -> Facts {
        self.fields.retain(|fact| fact.name != "logisticsNo");
        self
    }

    /// The same with the numbers that customs gave it.
    pub fn with_given<'k>(mut self, given: impl IntoIterator<Item = (&'k str, &'k str)>) -> Facts {
        for (name, value) in given {
            if let Some(field) = FIELDS.into_iter().find(|field| *field == name).filter(|_| self.get(name).is_none()) {
                self.fields.push(Fact::known(field, value));
            }
        }
        self
    }

    /// The same, known to stand so with customs; `status` is that of its newest receipt.
    pub fn standing(self, standing: Standing, status: Option<&str>) -> Facts {
        // What the platform has only stored may be changed.
        let standing = if status == Some("1") { Standing::Accepted } else { standing };
        Facts { standing: Some(standing), saved: status.map(|status| status == "1"), ..self }
    }

    pub(super) fn add_line(&mut self, node: &'static Node, line: &Record, ordinal: u32) {
        let Some(number) = line.number("gnum").filter(|_| self.lines.len() < MAX_LINES) else { return };
        self.line = &node.name;
        let [number_at, quantity_at] = ["gnum", "qty"].map(|field| line.at(field).and_then(spot));
        self.lines.push(Line { number, quantity: line.amount("qty"), number_at, quantity_at, ordinal });
    }

    pub(super) fn finish(&mut self, head: &Record, total: Option<Amount>, key: Option<String>, scanner: &Scanner<'_>) {
        self.total = total;
        let fact = |name: &&'static str| {
            let field = head.field(name)?;
            Some(Fact { name, value: field.value.to_owned(), at: spot(field.at), personal: field.personal })
        };
        self.fields = FIELDS.iter().filter_map(fact).collect();
        self.key = key;
        self.path = scanner.path();
        self.at = scanner.element().and_then(|element| spot(element.at));
    }

    /// Where a part of the document stands; where the document does, when it has none such.
    fn shown(&self, about: About) -> Shown {
        let field = match about {
            About::Field(name) => self.fields.iter().find(|fact| fact.name == name && fact.at.is_some()).map(|fact| {
                let head = self.head.map_or(String::new(), |head| format!("/{head}"));
                (format!("{head}/{name}"), fact.at, fact.value.clone(), fact.personal)
            }),
            About::Line(place, name) => self.lines.get(place).map(|line| {
                let ordinal = if line.ordinal > 1 { format!("[{}]", line.ordinal) } else { String::new() };
                let (at, value) = match name {
                    "gnum" => (line.number_at, Some(line.number.to_string())),
                    _ => (line.quantity_at, line.quantity.map(|quantity| quantity.to_string())),
                };
                (format!("/{}{ordinal}/{name}", self.line), at.or(line.number_at), value.unwrap_or_default(), false)
            }),
        };
        let (below, at, value, personal) = match field {
            Some((below, at, value, personal)) => (below, at, Some(value).filter(|it| !it.is_empty()), personal),
            None => (String::new(), self.at, None, false),
        };
        let at = at.map(|(line, column)| Position { line: line.into(), column: column.into() });
        Shown { path: format!("{}{below}", self.path), at, value, personal }
    }

    /// Which document of its message it is, from 1.
    pub fn document(&self) -> u32 {
        self.document
    }

    /// The value of a field that documents are compared by.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|fact| fact.name == name).map(|fact| fact.value.as_str())
    }

    /// Names and values by which documents about the same thing are found.
    pub fn leads(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let leads = self.fields.iter().filter(|fact| LEADS.contains(&fact.name));
        leads.map(|fact| (fact.name, fact.value.as_str()))
    }

    fn is_new(&self) -> bool {
        self.get("appType") == Some("1")
    }

    /// It is saved on the platform and not declared: it may be sent again to be saved or declared.
    fn is_only_saved(&self) -> bool {
        self.saved.unwrap_or_else(|| self.get("appStatus") == Some("1"))
    }

    /// The fields that no other new document of its type may share: those by which its receipt names it.
    fn key_fields(&self) -> &'static [&'static str] {
        match self.message {
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
            _ => &[],
        }
    }

    /// The field of its key that the sender numbered.
    fn number(&self) -> About {
        About::Field(self.key_fields().iter().find(|name| LEADS.contains(name)).unwrap_or(&"guid"))
    }

    /// Message type and the values of its key.
    fn business_key(&self) -> Option<String> {
        let names = Some(self.key_fields()).filter(|names| !names.is_empty())?;
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
