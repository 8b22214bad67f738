//! Rules between documents: R10, R16 to R18, R33, R41 to R44 (三单对碰), over everything one call looked at and, for the
//! gateway, what was sent before.

use std::collections::HashMap;

use super::super::charset::Position;
use super::super::family;
use super::super::scanner::Scanner;
use super::amount::Amount;
use super::catalogue;
use super::finding::{Finding, Levels, Say, Sheet};
use super::record::Record;
use crate::bilingual;

/// Fields that documents are compared by.
const FIELDS: [&str; 22] = [
    "appType",
    "appTime",
    "orderNo",
    "ebpCode",
    "ebcCode",
    "payCode",
    "payTransactionId",
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
    "copNo",
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
    /// More than its keys is known.
    whole: bool,
    /// Customs has released it.
    released: bool,
}

impl Facts {
    pub(super) fn new(message: &'static str, document: u32) -> Facts {
        let (key, path, at) = (None, String::new(), Position::START);
        let (fields, lines) = (Vec::new(), Vec::new());
        Facts { message, document, key, path, at, fields, lines, whole: true, released: false }
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

    /// The same, known to be released by customs.
    pub fn released(self) -> Facts {
        Facts { released: true, ..self }
    }

    pub(super) fn add_line(&mut self, line: &Record) {
        if let Some(number) = line.number("gnum").filter(|_| self.lines.len() < MAX_LINES) {
            self.lines.push((number, line.amount("qty")));
        }
    }

    pub(super) fn finish(&mut self, head: &Record, key: Option<String>, scanner: &Scanner<'_>) {
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

    /// Message type and the fields that no other new document of it may share.
    fn business_key(&self) -> Option<String> {
        let names: &[&str] = match self.message {
            "CEB311Message" | "CEB303Message" => &["ebpCode", "orderNo"],
            "CEB411Message" => &["payCode", "payTransactionId"],
            "CEB511Message" | "CEB505Message" => &["logisticsCode", "logisticsNo"],
            "CEB621Message" | "CEB603Message" => &["agentCode", "copNo"],
            "CEB623Message" | "CEB625Message" | "CEB605Message" => &["agentCode", "copNo"],
            "CEB213Message" => &["agentCode", "coElNo"],
            _ => return None,
        };
        let values: Option<Vec<&str>> = names.iter().map(|name| self.get(name)).collect();
        Some(format!("{} {}", self.message, values?.join(" ")))
    }
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
        let mut court = Court { levels, history, found: Vec::new(), order: HashMap::new(), keys: HashMap::new() };
        court.parcels(&self.entries);
        for (place, (_, facts)) in self.entries.iter().enumerate() {
            if let Some(number) = facts.get("orderNo") {
                court.order.entry(number).or_default().push(place);
            }
            if let Some(key) = facts.business_key() {
                court.keys.entry(key).or_default().push(place);
            }
        }
        court.repeated(&self.entries);
        court.orders(&self.entries);
        let mut found = court.found;
        found.sort_by_key(|(place, _)| *place);
        let of_file = |(place, finding)| self.entries.get(place).and_then(|(file, _)| Some(((*file)?, finding)));
        found.into_iter().filter_map(of_file).collect()
    }
}

/// One comparison of everything.
struct Court<'l> {
    levels: &'l Levels,
    history: bool,
    found: Vec<(usize, Finding)>,
    order: HashMap<&'l str, Vec<usize>>,
    keys: HashMap<String, Vec<usize>>,
}

type Entries = [Entry];

/// A document and its place among the entries.
type Party<'f> = (usize, &'f Facts);

fn at(entries: &Entries, place: usize) -> Option<&Facts> {
    entries.get(place).map(|(_, facts)| facts)
}

fn is_earlier(entries: &Entries, place: usize) -> bool {
    entries.get(place).is_none_or(|(file, _)| file.is_none())
}

impl<'l> Court<'l> {
    fn say(&mut self, (place, facts): Party<'_>, say: Say<'_>) {
        let mut sheet = Sheet::new(1, self.levels);
        sheet.message = Some(facts.message);
        sheet.enter(facts.document);
        sheet.say(facts.path.clone(), Some(facts.at), say);
        sheet.leave(facts.key.as_deref());
        self.found.extend(sheet.findings.into_iter().map(|finding| (place, finding)));
    }

    /// About the second document; about the first one when the second was sent before.
    fn differ(&mut self, entries: &Entries, first: Party<'_>, second: Party<'_>, say: Say<'_>) {
        let customs = catalogue::customs_code(second.1.message, say.code);
        let before = self.found.len();
        self.say(if is_earlier(entries, second.0) { first } else { second }, say);
        for (_, finding) in self.found.iter_mut().skip(before) {
            finding.customs_code = customs.map(str::to_owned);
        }
    }

    /// R43 and R44: one key, several documents.
    fn repeated(&mut self, entries: &Entries) {
        let mut groups: Vec<Vec<usize>> = std::mem::take(&mut self.keys).into_values().collect();
        groups.sort();
        for places in groups {
            let mut first: Option<&Facts> = None;
            for place in &places {
                let Some(facts) = at(entries, *place).filter(|facts| facts.is_new()) else { continue };
                if first.is_some() {
                    let text = bilingual!(
                        "业务主键重复：同一主键以新增（appType 1）申报了多次",
                        "the same business key is declared as new (appType 1) more than once"
                    );
                    self.say((*place, facts), Say::error("R43", "key-repeated", text));
                }
                first = first.or(Some(facts));
            }
            let known = places.iter().any(|place| is_earlier(entries, *place)) || first.is_some();
            for place in places.iter().filter(|place| !is_earlier(entries, **place)) {
                let Some(facts) = at(entries, *place).filter(|facts| !facts.is_new()) else { continue };
                match first {
                    _ if self.history && !known && matches!(facts.get("appType"), Some("2" | "3")) => {
                        let text = bilingual!(
                            "变更或删除的原单证没有从本网关发送过，请核对业务主键",
                            "the document that this changes or deletes was never sent from here; check the business key"
                        );
                        self.say((*place, facts), Say::warning("R44", "change-without-original", text));
                    }
                    Some(new) if new.released => {
                        let text = bilingual!(
                            "原单证已放行或结关，海关一般不再接受变更或删除",
                            "customs has released the original and takes changes and deletions no more as a rule"
                        );
                        self.say((*place, facts), Say::warning("R44", "change-after-release", text));
                    }
                    Some(new) if facts.get("appTime").zip(new.get("appTime")).is_some_and(|(one, two)| one < two) => {
                        let text = bilingual!(
                            "变更或删除的报送时间早于同一单证的新增",
                            "this change or deletion is older than the new document it is about"
                        );
                        self.say((*place, facts), Say::warning("R44", "change-before-new", text));
                    }
                    _ => {}
                }
            }
        }
    }

    /// R16: one waybill number of a carrier belongs to one order, one order number of a platform to one shop.
    fn parcels(&mut self, entries: &'l Entries) {
        let mut seen: HashMap<(&str, &str, &str), &str> = HashMap::new();
        for (place, (_, facts)) in entries.iter().enumerate() {
            let (key, other, code) = match facts.message {
                "CEB511Message" | "CEB621Message" | "CEB603Message" => {
                    (("logisticsCode", "logisticsNo"), "orderNo", "waybill-reused")
                }
                "CEB311Message" | "CEB303Message" => (("ebpCode", "orderNo"), "ebcCode", "order-number-reused"),
                _ => continue,
            };
            let (Some(one), Some(two), Some(owner)) = (facts.get(key.0), facts.get(key.1), facts.get(other)) else {
                continue;
            };
            let known = *seen.entry((facts.message, one, two)).or_insert(owner);
            if known != owner {
                let field = key.1;
                let text = bilingual!(
                    "{field} 已用于另一个 {other}，编号必须唯一",
                    "{field} is used for another {other} already; the number must be unique"
                );
                self.say((place, facts), Say::error("R16", code, text));
            }
        }
    }

    /// Documents about one order.
    fn orders(&mut self, entries: &Entries) {
        let mut groups: Vec<Vec<usize>> =
            std::mem::take(&mut self.order).into_values().filter(|places| places.len() > 1).collect();
        groups.sort();
        for places in groups {
            // Of several documents of a type the latest counts; a deletion says nothing about values.
            let find = |message: &str| -> Option<Party<'_>> {
                let of_type = |place: usize| {
                    let facts = at(entries, place)?;
                    (facts.message == message && facts.whole && facts.get("appType") != Some("3"))
                        .then_some((place, facts))
                };
                let found = places.iter().filter_map(|place| of_type(*place));
                found.max_by_key(|(place, facts)| (facts.get("appTime"), *place))
            };
            let new = |one: Party<'_>, two: Party<'_>| !is_earlier(entries, one.0) || !is_earlier(entries, two.0);
            let pair = |one, two| find(one).zip(find(two)).filter(|(one, two)| new(*one, *two));
            if let Some((order, payment)) = pair("CEB311Message", "CEB411Message") {
                self.payment(entries, order, payment);
            }
            if let Some((order, waybill)) = pair("CEB311Message", "CEB511Message") {
                self.waybill(entries, order, waybill);
            }
            if let Some((order, list)) = pair("CEB311Message", "CEB621Message") {
                self.buyer(entries, order, list);
                self.lines(entries, order, list);
            }
            if find("CEB311Message").is_none()
                && let Some((list, payment)) = pair("CEB621Message", "CEB411Message")
            {
                self.payer(entries, list, payment);
            }
            if let Some((order, list)) = pair("CEB303Message", "CEB603Message") {
                self.lines(entries, order, list);
            }
            if let Some((list, back)) = pair("CEB621Message", "CEB625Message") {
                self.quantities(entries, list, back);
            }
        }
    }

    /// R10, R41, R42: order and payment.
    fn payment(&mut self, entries: &Entries, order: Party<'_>, payment: Party<'_>) {
        let amount = |facts: &Facts, field| facts.get(field).and_then(Amount::parse);
        if let (Some(due), Some(paid)) = (amount(order.1, "acturalPaid"), amount(payment.1, "amountPaid"))
            && due != paid
        {
            let text = bilingual!(
                "支付金额 {paid} 与订单实际支付金额 {due} 不一致",
                "the payment is {paid} but the order says {due}"
            );
            self.differ(entries, order, payment, Say::error("R10", "payment-amount", text));
        }
        self.payer(entries, order, payment);
        for (field, code) in [("payCode", "payment-company"), ("payTransactionId", "payment-transaction")] {
            if let (Some(wanted), Some(given)) = (order.1.get(field), payment.1.get(field))
                && wanted != given
            {
                let text =
                    bilingual!("支付单的 {field} 与订单不一致", "{field} of the payment is not that of the order");
                self.differ(entries, order, payment, Say::error("R42", code, text));
            }
        }
    }

    /// R41: who pays is who buys.
    fn payer(&mut self, entries: &Entries, buyer: Party<'_>, payment: Party<'_>) {
        for (bought, paid) in [("buyerName", "payerName"), ("buyerIdNumber", "payerIdNumber")] {
            if let (Some(wanted), Some(given)) = (buyer.1.get(bought), payment.1.get(paid))
                && wanted != given
            {
                let text = bilingual!(
                    "支付人（{paid}）与订购人（{bought}）不一致",
                    "{paid} of the payment is not {bought} of the buyer"
                );
                self.differ(entries, buyer, payment, Say::error("R41", "payer-not-buyer", text));
            }
        }
    }

    /// R41 between order and list.
    fn buyer(&mut self, entries: &Entries, order: Party<'_>, list: Party<'_>) {
        for field in ["buyerName", "buyerIdNumber"] {
            if let (Some(wanted), Some(given)) = (order.1.get(field), list.1.get(field))
                && wanted != given
            {
                let text = bilingual!("清单的 {field} 与订单不一致", "{field} of the list is not that of the order");
                self.differ(entries, order, list, Say::error("R41", "buyer-differs", text));
            }
        }
    }

    /// R17: order and waybill go to the same person.
    fn waybill(&mut self, entries: &Entries, order: Party<'_>, waybill: Party<'_>) {
        for field in ["consignee", "consigneeTelephone", "consigneeAddress"] {
            if let (Some(wanted), Some(given)) = (order.1.get(field), waybill.1.get(field))
                && wanted != given
            {
                let text = bilingual!("运单的 {field} 与订单不一致", "{field} of the waybill is not that of the order");
                self.differ(entries, order, waybill, Say::error("R17", "consignee-differs", text));
            }
        }
    }

    /// R18: the list has the lines of the order.
    fn lines(&mut self, entries: &Entries, order: Party<'_>, list: Party<'_>) {
        let (wanted, given) = (order.1.lines.len(), list.1.lines.len());
        if wanted != given || order.1.lines.iter().zip(&list.1.lines).any(|(a, b)| a != b) {
            let text = bilingual!(
                "清单表体（{given} 项）与订单（{wanted} 项）的序号或数量不一一对应",
                "the lines of the list ({given}) and of the order ({wanted}) differ in number or quantity"
            );
            self.differ(entries, order, list, Say::error("R18", "lines-differ", text));
        }
    }

    /// R33: no more comes back than went out.
    fn quantities(&mut self, entries: &Entries, list: Party<'_>, back: Party<'_>) {
        for (number, quantity) in &back.1.lines {
            let original = list.1.lines.iter().find(|(known, _)| known == number).map(|(_, quantity)| *quantity);
            let text = match original {
                None => bilingual!(
                    "退货项 {number} 在原清单中不存在",
                    "line {number} of the return is not in the original list"
                ),
                Some(original) if quantity > &original => bilingual!(
                    "退货项 {number} 的数量大于原清单",
                    "line {number} returns more than the original list has"
                ),
                Some(_) => continue,
            };
            self.differ(entries, list, back, Say::error("R33", "return-quantity", text));
        }
    }
}
