//! Documents about one order, and returns beside their lists.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::super::super::amount::Amount;
use super::super::super::finding::Say;
use super::super::{About, Facts};
use super::{Court, Party};
use crate::bilingual;

impl<'l> Court<'l> {
    /// R10, R17, R18, R33, R41, R42, and R44 as far as it is about an order.
    pub(super) fn orders(&mut self) {
        let alike = self.alike(|facts| facts.get("orderNo"));
        let orders: Vec<Vec<usize>> = alike.into_iter().flat_map(|places| self.by_platform(places)).collect();
        for all in orders.into_iter().filter(|places| places.len() > 1) {
            let places = self.still_there(&all);
            if let Some((order, payment)) = self.pair(&places, "CEB311Message", "CEB411Message") {
                self.payment(order, payment);
            }
            if let Some((order, waybill)) = self.pair(&places, "CEB311Message", "CEB511Message") {
                self.waybill(order, waybill);
            }
            if let Some((order, list)) = self.pair(&places, "CEB311Message", "CEB621Message") {
                self.buyer(order, list);
                self.lines(order, list);
            }
            if self.latest(&places, "CEB311Message").is_none()
                && let Some((list, payment)) = self.pair(&places, "CEB621Message", "CEB411Message")
            {
                self.payer(list, payment);
            }
            if let Some((order, list)) = self.pair(&places, "CEB303Message", "CEB603Message") {
                self.lines(order, list);
            }
            self.returns(&places, "CEB621Message", "CEB625Message");
            self.changes_behind_a_list(&all);
        }
        // An export's return names no order, but the number that customs gave the list.
        for places in self.alike(|facts| facts.get("invtNo")).into_iter().filter(|places| places.len() > 1) {
            self.returns(&self.still_there(&places), "CEB603Message", "CEB213Message");
        }
    }

    /// Without what was deleted since, and lists that were cancelled: whatever comes after those need not agree with them.
    fn still_there(&self, places: &[usize]) -> Vec<usize> {
        let mut latest_first = places.to_vec();
        let time = |place: usize| self.at(place).and_then(|facts| facts.get("appTime"));
        latest_first.sort_by_key(|place| Reverse((!self.is_earlier(*place), time(*place), *place)));
        let (mut deleted, mut is_cancelled) = (BTreeSet::new(), false);
        let mut is_there = |place: &usize| {
            let Some(facts) = self.at(*place) else { return false };
            let key = facts.business_key();
            if facts.get("appType") == Some("3") {
                deleted.extend(key);
                return false;
            }
            let is_deleted = key.is_some_and(|key| deleted.contains(&key));
            is_cancelled |= !is_deleted && facts.message == "CEB623Message";
            !(is_deleted || is_cancelled && facts.message == "CEB621Message")
        };
        latest_first.retain(&mut is_there);
        latest_first
    }

    /// An order's number is its platform's. What names no platform, as a waybill, may be about the order of any, where there are
    /// several.
    fn by_platform(&self, places: Vec<usize>) -> Vec<Vec<usize>> {
        let mut platforms: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for place in &places {
            if let Some(platform) = self.at(*place).and_then(|facts| facts.get("ebpCode")) {
                platforms.entry(platform).or_default().push(*place);
            }
        }
        if platforms.len() > 1 { platforms.into_values().collect() } else { vec![places] }
    }

    /// Of several documents of a type the latest counts.
    fn latest(&self, places: &[usize], message: &str) -> Option<Party<'l>> {
        let of_type = |place: usize| {
            let facts = self.at(place)?;
            (facts.message == message && facts.whole).then_some((place, facts))
        };
        let found = places.iter().filter_map(|place| of_type(*place));
        found.max_by_key(|(place, facts)| (facts.get("appTime"), *place))
    }

    /// The latest of both types, at least one of which is new.
    fn pair(&self, places: &[usize], one: &str, two: &str) -> Option<(Party<'l>, Party<'l>)> {
        let pair = self.latest(places, one).zip(self.latest(places, two));
        pair.filter(|(one, two)| !self.is_earlier(one.0) || !self.is_earlier(two.0))
    }

    /// R10, R41, R42: order and payment.
    fn payment(&mut self, order: Party<'_>, payment: Party<'_>) {
        let amount = |facts: &Facts, field| facts.get(field).and_then(Amount::parse);
        if let (Some(due), Some(paid)) = (amount(order.1, "acturalPaid"), amount(payment.1, "amountPaid"))
            && due != paid
        {
            let text = bilingual!(
                "支付金额 {paid} 与订单实际支付金额 {due} 不一致",
                "the payment is {paid} but the order says {due}"
            );
            let (due, paid) = (About::Field("acturalPaid"), About::Field("amountPaid"));
            self.differ((order, due), (payment, paid), Say::error("R10", "payment-amount", text));
        }
        self.payer(order, payment);
        for (field, code) in [("payCode", "payment-company"), ("payTransactionId", "payment-transaction")] {
            if let (Some(wanted), Some(given)) = (order.1.get(field), payment.1.get(field))
                && wanted != given
            {
                let text =
                    bilingual!("支付单的 {field} 与订单不一致", "{field} of the payment is not that of the order");
                let about = About::Field(field);
                self.differ((order, about), (payment, about), Say::error("R42", code, text));
            }
        }
    }

    /// R41: who pays is who buys.
    fn payer(&mut self, buyer: Party<'_>, payment: Party<'_>) {
        for (bought, paid) in [("buyerName", "payerName"), ("buyerIdNumber", "payerIdNumber")] {
            if let (Some(wanted), Some(given)) = (buyer.1.get(bought), payment.1.get(paid))
                && wanted != given
            {
                let text = bilingual!(
                    "支付人（{paid}）与订购人（{bought}）不一致",
                    "{paid} of the payment is not {bought} of the buyer"
                );
                let (bought, paid) = (About::Field(bought), About::Field(paid));
                self.differ((buyer, bought), (payment, paid), Say::error("R41", "payer-not-buyer", text));
            }
        }
    }

    /// R41 between order and list.
    fn buyer(&mut self, order: Party<'_>, list: Party<'_>) {
        for field in ["buyerName", "buyerIdNumber"] {
            if let (Some(wanted), Some(given)) = (order.1.get(field), list.1.get(field))
                && wanted != given
            {
                let text = bilingual!("清单的 {field} 与订单不一致", "{field} of the list is not that of the order");
                let about = About::Field(field);
                self.differ((order, about), (list, about), Say::error("R41", "buyer-differs", text));
            }
        }
    }

    /// R17: order and waybill go to the same person.
    fn waybill(&mut self, order: Party<'_>, waybill: Party<'_>) {
        for field in ["consignee", "consigneeTelephone", "consigneeAddress"] {
            if let (Some(wanted), Some(given)) = (order.1.get(field), waybill.1.get(field))
                && wanted != given
            {
                let text = bilingual!("运单的 {field} 与订单不一致", "{field} of the waybill is not that of the order");
                let about = About::Field(field);
                self.differ((order, about), (waybill, about), Say::error("R17", "consignee-differs", text));
            }
        }
    }

    /// R18: the list has the lines of the order.
    fn lines(&mut self, order: Party<'_>, list: Party<'_>) {
        let (ours, theirs) = (&order.1.lines, &list.1.lines);
        let (wanted, given) = (ours.len(), theirs.len());
        let mut pairs = ours.iter().zip(theirs);
        let first = pairs.position(|(one, two)| (one.number, one.quantity) != (two.number, two.quantity));
        if let Some(place) = first.or((wanted != given).then(|| wanted.min(given))) {
            let text = bilingual!(
                "清单表体（{given} 项）与订单（{wanted} 项）的序号或数量不一一对应",
                "the lines of the list ({given}) and of the order ({wanted}) differ in number or quantity"
            );
            let numbers = ours.get(place).map(|line| line.number) != theirs.get(place).map(|line| line.number);
            let about = About::Line(place, if numbers { "gnum" } else { "qty" });
            self.differ((order, about), (list, about), Say::error("R18", "lines-differ", text));
        }
    }

    /// R33: no more comes back than went out, in one return or in several.
    fn returns(&mut self, places: &[usize], list: &str, back: &str) {
        let Some(list) = self.latest(places, list) else { return };
        let mut returned: BTreeMap<i64, Amount> = BTreeMap::new();
        for back in self.standing(places, back) {
            for place in 0..back.1.lines.len() {
                self.quantity(list, back, place, &mut returned);
            }
        }
    }

    /// The latest of each document of a type, those that were sent before first.
    fn standing(&self, places: &[usize], message: &str) -> Vec<Party<'l>> {
        let mut groups: BTreeMap<Option<String>, Vec<usize>> = BTreeMap::new();
        for place in places {
            let facts = self.at(*place).filter(|facts| facts.message == message);
            if let Some(facts) = facts {
                groups.entry(facts.business_key()).or_default().push(*place);
            }
        }
        let mut standing: Vec<_> = groups.values().filter_map(|places| self.latest(places, message)).collect();
        standing.sort_by_key(|(place, facts)| (!self.is_earlier(*place), facts.get("appTime"), *place));
        standing
    }

    /// One line of a return, after those in `returned`.
    fn quantity(&mut self, list: Party<'_>, back: Party<'_>, place: usize, returned: &mut BTreeMap<i64, Amount>) {
        let Some(line) = back.1.lines.get(place) else { return };
        let number = line.number;
        let original = list.1.lines.iter().position(|known| known.number == number);
        let (field, text) = match original.and_then(|at| list.1.lines.get(at)) {
            None => {
                let text = bilingual!(
                    "退货项 {number} 在原清单中不存在",
                    "line {number} of the return is not in the original list"
                );
                ("gnum", text)
            }
            Some(original) => {
                let before = returned.get(&number).copied().unwrap_or(Amount::ZERO);
                let Some(sum) = line.quantity.and_then(|quantity| before.plus(quantity)) else { return };
                returned.insert(number, sum);
                let Some(most) = original.quantity.filter(|most| sum > *most) else { return };
                let text = bilingual!(
                    "退货项 {number} 的数量（合计 {sum}）大于原清单（{most}）",
                    "what is returned of line {number} adds up to {sum}, more than the {most} of the original list"
                );
                ("qty", text)
            }
        };
        if self.is_earlier(list.0) && self.is_earlier(back.0) {
            return;
        }
        let in_list = About::Line(original.unwrap_or(usize::MAX), field);
        // The tables have a code for a line that is in no list, and none for too much of one.
        let customs = (field == "gnum" && back.1.message == "CEB625Message").then_some("-625209");
        let say = Say { customs, ..Say::error("R33", "return-quantity", text) };
        self.differ((list, in_list), (back, About::Line(place, field)), say);
    }
}
