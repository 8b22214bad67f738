//! Documents about one order, and returns beside their lists.

use super::super::super::amount::Amount;
use super::super::super::finding::Say;
use super::super::Facts;
use super::{Court, Party};
use crate::bilingual;

impl<'l> Court<'l> {
    /// R10, R17, R18, R33, R41, R42.
    pub(super) fn orders(&mut self) {
        for places in self.alike(|facts| facts.get("orderNo")).into_iter().filter(|places| places.len() > 1) {
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
            if let Some((list, back)) = self.pair(&places, "CEB621Message", "CEB625Message") {
                self.quantities(list, back);
            }
        }
        // An export's return names no order, but the number that customs gave the list.
        for places in self.alike(|facts| facts.get("invtNo")).into_iter().filter(|places| places.len() > 1) {
            if let Some((list, back)) = self.pair(&places, "CEB603Message", "CEB213Message") {
                self.quantities(list, back);
            }
        }
    }

    /// Of several documents of a type the latest counts; a deletion says nothing about values.
    fn latest(&self, places: &[usize], message: &str) -> Option<Party<'l>> {
        let of_type = |place: usize| {
            let facts = self.at(place)?;
            let counts = facts.message == message && facts.whole && facts.get("appType") != Some("3");
            counts.then_some((place, facts))
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
            self.differ(order, payment, Say::error("R10", "payment-amount", text));
        }
        self.payer(order, payment);
        for (field, code) in [("payCode", "payment-company"), ("payTransactionId", "payment-transaction")] {
            if let (Some(wanted), Some(given)) = (order.1.get(field), payment.1.get(field))
                && wanted != given
            {
                let text =
                    bilingual!("支付单的 {field} 与订单不一致", "{field} of the payment is not that of the order");
                self.differ(order, payment, Say::error("R42", code, text));
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
                self.differ(buyer, payment, Say::error("R41", "payer-not-buyer", text));
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
                self.differ(order, list, Say::error("R41", "buyer-differs", text));
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
                self.differ(order, waybill, Say::error("R17", "consignee-differs", text));
            }
        }
    }

    /// R18: the list has the lines of the order.
    fn lines(&mut self, order: Party<'_>, list: Party<'_>) {
        let (wanted, given) = (order.1.lines.len(), list.1.lines.len());
        if wanted != given || order.1.lines.iter().zip(&list.1.lines).any(|(a, b)| a != b) {
            let text = bilingual!(
                "清单表体（{given} 项）与订单（{wanted} 项）的序号或数量不一一对应",
                "the lines of the list ({given}) and of the order ({wanted}) differ in number or quantity"
            );
            self.differ(order, list, Say::error("R18", "lines-differ", text));
        }
    }

    /// R33: no more comes back than went out.
    fn quantities(&mut self, list: Party<'_>, back: Party<'_>) {
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
            self.differ(list, back, Say::error("R33", "return-quantity", text));
        }
    }
}
