//! One comparison of everything: documents by their keys here and in [`changes`], those about one order in [`orders`].

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::super::amount::Amount;
use super::super::catalogue;
use super::super::finding::{Finding, Level, Levels, Say, Sheet};
use super::{About, Entry, Facts, Purchase};
use crate::bilingual;

mod changes;
mod orders;

/// Largest value of all imports of one buyer in one year, in yuan (as reported; the error code -621018 proves a limit).
const ANNUAL_LIMIT: Amount = Amount::whole(26_000);

/// The comparison.
pub(super) struct Court<'l> {
    levels: &'l Levels,
    /// Everything that was sent before is among the entries.
    history: bool,
    entries: &'l [Entry],
    found: Vec<(usize, Finding)>,
}

/// A document and its place among the entries.
type Party<'f> = (usize, &'f Facts);

impl<'l> Court<'l> {
    pub(super) fn new(levels: &'l Levels, history: bool, entries: &'l [Entry]) -> Court<'l> {
        Court { levels, history, entries, found: Vec::new() }
    }

    /// The findings, each with the place of the entry that it is about.
    pub(super) fn judge(mut self) -> Vec<(usize, Finding)> {
        self.parcels();
        self.keys();
        self.guids();
        self.parts();
        self.purchases();
        self.orders();
        self.found
    }

    fn at(&self, place: usize) -> Option<&'l Facts> {
        self.entries.get(place).map(|(_, facts)| facts)
    }

    /// It was sent before.
    fn is_earlier(&self, place: usize) -> bool {
        self.entries.get(place).is_none_or(|(file, _)| file.is_none())
    }

    /// Places of the documents for which `name` says the same, in the order of the first of each.
    fn alike<K: std::hash::Hash + Eq>(&self, name: impl Fn(&'l Facts) -> Option<K>) -> Vec<Vec<usize>> {
        let mut groups: HashMap<K, Vec<usize>> = HashMap::new();
        for (place, (_, facts)) in self.entries.iter().enumerate() {
            if let Some(name) = name(facts) {
                groups.entry(name).or_default().push(place);
            }
        }
        let mut groups: Vec<Vec<usize>> = groups.into_values().collect();
        groups.sort();
        groups
    }

    fn say(&mut self, (place, facts): Party<'_>, about: About, say: Say<'_>) {
        let shown = facts.shown(about);
        let mut sheet = Sheet::new(1, self.levels);
        sheet.message = Some(facts.message);
        sheet.enter(facts.document);
        sheet.say(shown.path, shown.at, Say { value: shown.value.as_deref(), personal: shown.personal, ..say });
        sheet.leave(facts.key.as_deref());
        self.found.extend(sheet.findings.into_iter().map(|finding| (place, finding)));
    }

    /// About the second document; about the first one when the second was sent before.
    fn differ(&mut self, first: (Party<'_>, About), second: (Party<'_>, About), say: Say<'_>) {
        let customs = say.customs.or_else(|| catalogue::customs_code(second.0.1.message, say.code));
        let before = self.found.len();
        let (party, about) = if self.is_earlier(second.0.0) { first } else { second };
        self.say(party, about, say);
        for (_, finding) in self.found.iter_mut().skip(before) {
            finding.customs_code = customs.map(str::to_owned);
        }
    }

    /// R02 between messages: no two documents of a type share a guid. A change may repeat that of its original, and within one
    /// message it is told where the guid stands.
    fn guids(&mut self) {
        for places in self.alike(|facts| Some((facts.message, facts.get("guid").filter(|_| facts.is_new())?))) {
            let mut known: Option<usize> = None;
            for place in places {
                let (Some(facts), Some(first)) = (self.at(place), known) else {
                    known = known.or(Some(place));
                    continue;
                };
                let file = |place: usize| self.entries.get(place).and_then(|(file, _)| *file);
                let same_file = file(place).is_some() && file(place) == file(first);
                let key = facts.business_key();
                let same_key = key.is_some() && self.at(first).and_then(Facts::business_key) == key;
                if !same_file && !same_key {
                    let text = bilingual!(
                        "guid 与另一份报文中的单证重复，每份单证应使用新的 guid",
                        "guid repeats that of a document in another message; give each document its own"
                    );
                    self.say((place, facts), About::Field("guid"), Say::warning("R02", "guid-repeated", text));
                }
            }
        }
    }

    /// R31 between messages: part 3 of a message does not go without part 2. Unless everything that was sent before is
    /// known, what lies before the first of them may have gone earlier.
    fn parts(&mut self) {
        for places in self.alike(|facts| facts.part().map(|(whole, _)| whole)) {
            let number = |place: &usize| self.at(*place).and_then(Facts::part).map(|(_, number)| number);
            let numbers: BTreeSet<i64> = places.iter().filter_map(number).collect();
            let first = if self.history { 1 } else { numbers.first().copied().unwrap_or(1) };
            for place in places {
                let Some((facts, (_, number))) = self.at(place).and_then(|facts| Some((facts, facts.part()?))) else {
                    continue;
                };
                let before = number.saturating_sub(1);
                if number > first && facts.is_new() && !numbers.contains(&before) {
                    let text = bilingual!(
                        "缺少同一 copNo 的第 {before} 部分：报文序号应连续，不得跳号",
                        "part {before} of the same copNo is missing: parts are numbered without gap"
                    );
                    let say = Say::error("R31", "message-part-missing", text);
                    // Files of an outbox may be looked at in another order than they were numbered in.
                    let say = if self.history { Say { level: Level::Warning, ..say } } else { say };
                    self.say((place, facts), About::Field("msgSeqNo"), say);
                }
            }
        }
    }

    /// R40: what one buyer imports in one year, as far as it is among the documents. The list of an order counts instead
    /// of the order, and the latest of several.
    fn purchases(&mut self) {
        for places in self.alike(|facts| facts.purchase().map(|purchase| purchase.buyer)) {
            let mut orders: BTreeMap<(&str, &str), (bool, Amount)> = BTreeMap::new();
            let mut documents: Vec<&Facts> = places.iter().filter_map(|place| self.at(*place)).collect();
            documents.sort_by_key(|facts| facts.get("appTime"));
            for facts in documents {
                let Some(Purchase { order, worth, .. }) = facts.purchase() else { continue };
                let (is_list, is_gone) = (facts.message == "CEB621Message", facts.get("appType") == Some("3"));
                let known = orders.get(&order).is_some_and(|(list, _)| *list);
                if is_list || !known {
                    orders.insert(order, (is_list, if is_gone { Amount::ZERO } else { worth }));
                }
            }
            let total = orders.values().try_fold(Amount::ZERO, |sum, (_, worth)| sum.plus(*worth));
            let last = places.into_iter().rev().find(|place| !self.is_earlier(*place));
            let (Some(total), Some((place, facts))) = (total, last.and_then(|place| Some((place, self.at(place)?))))
            else {
                continue;
            };
            if total > ANNUAL_LIMIT {
                let text = bilingual!(
                    "该订购人本年度在这些单证中的购买金额合计 {total} 元，超过跨境零售进口年度交易限值 {ANNUAL_LIMIT} 元",
                    "this buyer's documents of the year add up to {total} yuan, more than the annual limit of {ANNUAL_LIMIT}"
                );
                self.say((place, facts), About::Field("buyerIdNumber"), Say::warning("R40", "annual-limit", text));
            }
        }
    }

    /// R16: one waybill number of a carrier belongs to one order, one order number of a platform to one shop. A change may say
    /// another one; what was deleted frees its number.
    fn parcels(&mut self) {
        let mut seen: HashMap<(&str, &str, &str), (&str, Option<String>)> = HashMap::new();
        // By time, as under a key: files are named in any order, and identifiers follow the time to the hour only.
        let time = |place: usize| self.at(place).and_then(|facts| facts.get("appTime"));
        let mut places: Vec<usize> = (0..self.entries.len()).collect();
        places.sort_by_key(|place| (!self.is_earlier(*place), time(*place), *place));
        for place in places {
            let Some(facts) = self.at(place) else { continue };
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
            let (number, document) = ((facts.message, one, two), facts.business_key());
            let same = seen.get(&number).is_none_or(|(_, known)| *known == document);
            match facts.get("appType") {
                Some("3") if same => drop(seen.remove(&number)),
                Some("2") if same => drop(seen.insert(number, (owner, document))),
                _ => drop(seen.entry(number).or_insert((owner, document))),
            }
            if seen.get(&number).is_some_and(|(known, _)| *known != owner) {
                let field = key.1;
                let text = bilingual!(
                    "{field} 已用于另一个 {other}，编号必须唯一",
                    "{field} is used for another {other} already; the number must be unique"
                );
                self.say((place, facts), About::Field(field), Say::error("R16", code, text));
            }
        }
    }
}
