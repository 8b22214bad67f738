//! Rules between documents: R10, R16 to R18, R33, R41 to R44 (三单对碰), over everything one call looked at.

use std::collections::HashMap;

use super::super::charset::Position;
use super::super::scanner::Scanner;
use super::amount::Amount;
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
#[derive(Debug)]
pub struct Facts {
    message: &'static str,
    document: u32,
    key: Option<String>,
    path: String,
    at: Position,
    fields: Vec<(&'static str, String)>,
    lines: Vec<(i64, Option<Amount>)>,
}

impl Facts {
    pub(super) fn new(message: &'static str, document: u32) -> Facts {
        let (key, path, at) = (None, String::new(), Position::START);
        Facts { message, document, key, path, at, fields: Vec::new(), lines: Vec::new() }
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

    fn get(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_str())
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

/// The documents of one call.
#[derive(Debug, Default)]
pub struct Ledger {
    entries: Vec<(usize, Facts)>,
    left_out: usize,
}

impl Ledger {
    /// Adds a document of the file with this number.
    pub fn add(&mut self, file: usize, facts: Facts) {
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
        let mut court = Court { levels, found: Vec::new(), order: HashMap::new(), keys: HashMap::new() };
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
        found
            .into_iter()
            .filter_map(|(place, finding)| self.entries.get(place).map(|(file, _)| (*file, finding)))
            .collect()
    }
}

/// One comparison of everything.
struct Court<'l> {
    levels: &'l Levels,
    found: Vec<(usize, Finding)>,
    order: HashMap<&'l str, Vec<usize>>,
    keys: HashMap<String, Vec<usize>>,
}

type Entries = [(usize, Facts)];

fn at(entries: &Entries, place: usize) -> Option<&Facts> {
    entries.get(place).map(|(_, facts)| facts)
}

impl<'l> Court<'l> {
    fn say(&mut self, place: usize, facts: &Facts, say: Say<'_>) {
        let mut sheet = Sheet::new(1, self.levels);
        sheet.message = Some(facts.message);
        sheet.enter(facts.document);
        sheet.say(facts.path.clone(), Some(facts.at), say);
        sheet.leave(facts.key.as_deref());
        self.found.extend(sheet.findings.into_iter().map(|finding| (place, finding)));
    }

    /// R43 and R44: one key, several documents.
    fn repeated(&mut self, entries: &Entries) {
        let mut groups: Vec<Vec<usize>> =
            std::mem::take(&mut self.keys).into_values().filter(|places| places.len() > 1).collect();
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
                    self.say(*place, facts, Say::error("R43", "key-repeated", text));
                }
                first = first.or(Some(facts));
            }
            let Some(new) = first else { continue };
            for place in &places {
                let Some(facts) = at(entries, *place).filter(|facts| !facts.is_new()) else { continue };
                if facts.get("appTime").zip(new.get("appTime")).is_some_and(|(change, new)| change < new) {
                    let text = bilingual!(
                        "变更或删除的报送时间早于同一单证的新增",
                        "this change or deletion is older than the new document it is about"
                    );
                    self.say(*place, facts, Say::warning("R44", "change-before-new", text));
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
                self.say(place, facts, Say::error("R16", code, text));
            }
        }
    }

    /// Documents about one order.
    fn orders(&mut self, entries: &Entries) {
        let mut groups: Vec<Vec<usize>> =
            std::mem::take(&mut self.order).into_values().filter(|places| places.len() > 1).collect();
        groups.sort();
        for places in groups {
            let find = |message: &str| {
                places.iter().copied().find_map(|place| {
                    let facts = at(entries, place).filter(|facts| facts.message == message)?;
                    Some((place, facts))
                })
            };
            let (order, payment) = (find("CEB311Message"), find("CEB411Message"));
            let (waybill, list) = (find("CEB511Message"), find("CEB621Message"));
            if let (Some((_, order)), Some(payment)) = (order, payment) {
                self.payment(order, payment);
            }
            if let (Some((_, order)), Some(waybill)) = (order, waybill) {
                self.waybill(order, waybill);
            }
            if let (Some((_, order)), Some(list)) = (order, list) {
                self.buyer(order, list);
                self.lines(order, list);
            }
            if let (None, Some((_, list)), Some(payment)) = (order, list, payment) {
                self.payer(list, payment);
            }
            if let (Some((_, order)), Some(list)) = (find("CEB303Message"), find("CEB603Message")) {
                self.lines(order, list);
            }
            if let (Some((_, list)), Some(back)) = (list, find("CEB625Message")) {
                self.quantities(list, back);
            }
        }
    }

    /// R10, R41, R42: order and payment.
    fn payment(&mut self, order: &Facts, (place, payment): (usize, &Facts)) {
        let amount = |facts: &Facts, field| facts.get(field).and_then(Amount::parse);
        if let (Some(due), Some(paid)) = (amount(order, "acturalPaid"), amount(payment, "amountPaid"))
            && due != paid
        {
            let text = bilingual!(
                "支付金额 {paid} 与订单实际支付金额 {due} 不一致",
                "the payment is {paid} but the order says {due}"
            );
            self.say(place, payment, Say::error("R10", "payment-amount", text));
        }
        self.payer(order, (place, payment));
        for (field, code) in [("payCode", "payment-company"), ("payTransactionId", "payment-transaction")] {
            if let (Some(wanted), Some(given)) = (order.get(field), payment.get(field))
                && wanted != given
            {
                let text =
                    bilingual!("支付单的 {field} 与订单不一致", "{field} of the payment is not that of the order");
                self.say(place, payment, Say::error("R42", code, text));
            }
        }
    }

    /// R41: who pays is who buys.
    fn payer(&mut self, buyer: &Facts, (place, payment): (usize, &Facts)) {
        for (bought, paid) in [("buyerName", "payerName"), ("buyerIdNumber", "payerIdNumber")] {
            if let (Some(wanted), Some(given)) = (buyer.get(bought), payment.get(paid))
                && wanted != given
            {
                let text = bilingual!(
                    "支付人（{paid}）与订购人（{bought}）不一致",
                    "{paid} of the payment is not {bought} of the buyer"
                );
                self.say(place, payment, Say::error("R41", "payer-not-buyer", text));
            }
        }
    }

    /// R41 between order and list.
    fn buyer(&mut self, order: &Facts, (place, list): (usize, &Facts)) {
        for field in ["buyerName", "buyerIdNumber"] {
            if let (Some(wanted), Some(given)) = (order.get(field), list.get(field))
                && wanted != given
            {
                let text = bilingual!("清单的 {field} 与订单不一致", "{field} of the list is not that of the order");
                self.say(place, list, Say::error("R41", "buyer-differs", text));
            }
        }
    }

    /// R17: order and waybill go to the same person.
    fn waybill(&mut self, order: &Facts, (place, waybill): (usize, &Facts)) {
        for field in ["consignee", "consigneeTelephone", "consigneeAddress"] {
            if let (Some(wanted), Some(given)) = (order.get(field), waybill.get(field))
                && wanted != given
            {
                let text = bilingual!("运单的 {field} 与订单不一致", "{field} of the waybill is not that of the order");
                self.say(place, waybill, Say::error("R17", "consignee-differs", text));
            }
        }
    }

    /// R18: the list has the lines of the order.
    fn lines(&mut self, order: &Facts, (place, list): (usize, &Facts)) {
        if order.lines.len() != list.lines.len() || order.lines.iter().zip(&list.lines).any(|(a, b)| a != b) {
            let (wanted, given) = (order.lines.len(), list.lines.len());
            let text = bilingual!(
                "清单表体（{given} 项）与订单（{wanted} 项）的序号或数量不一一对应",
                "the lines of the list ({given}) and of the order ({wanted}) differ in number or quantity"
            );
            self.say(place, list, Say::error("R18", "lines-differ", text));
        }
    }

    /// R33: no more comes back than went out.
    fn quantities(&mut self, list: &Facts, (place, back): (usize, &Facts)) {
        for (number, quantity) in &back.lines {
            let original = list.lines.iter().find(|(known, _)| known == number).map(|(_, quantity)| *quantity);
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
            self.say(place, back, Say::error("R33", "return-quantity", text));
        }
    }
}
