//! R43 and R44: what is declared as new, changed and deleted under one key.

use super::super::super::super::standing::Standing;
use super::super::super::finding::Say;
use super::super::{About, Facts};
use super::{Court, Party};
use crate::bilingual;

/// What precedes a document under its key.
#[derive(Debug, Clone, Copy, Default)]
struct Before<'f> {
    /// The new document that was not deleted since, or else the first one of all.
    new: Option<&'f Facts>,
    /// The best that customs said of it and of its changes; none when that is not known.
    standing: Option<Standing>,
    /// It, or one before it, was deleted last.
    deleted: Option<Party<'f>>,
    /// Something was sent under this key, or is about to be.
    known: bool,
}

impl<'l> Court<'l> {
    /// One key, several documents: what was sent before first, then by time.
    pub(super) fn keys(&mut self) {
        for mut places in self.alike(Facts::business_key) {
            let time = |place: &usize| self.at(*place).and_then(|facts| facts.get("appTime"));
            places.sort_by_key(|place| (!self.is_earlier(*place), time(place), *place));
            let of_kind =
                |kind| places.iter().filter_map(|place| self.at(*place)).find(|facts| facts.get("appType") == kind);
            let first = of_kind(Some("1"));
            let known = first.is_some() || places.iter().any(|place| self.is_earlier(*place));
            let (mut new, mut standing, mut deleted) = (None::<&Facts>, None, None);
            for place in places {
                let Some(facts) = self.at(place) else { continue };
                if facts.is_new() {
                    let declared = new.filter(|new| !new.is_only_saved());
                    if declared.is_some() {
                        self.repeated((place, facts));
                    }
                    if new.is_some() && declared.is_none() {
                        // What customs said of what was only saved says nothing of this.
                        standing = None;
                    }
                    (new, deleted) = (declared.or(Some(facts)), None);
                } else if !self.is_earlier(place) {
                    self.change((place, facts), Before { new: new.or(first), standing, deleted, known });
                }
                standing = standing.max(facts.standing);
                if facts.get("appType") == Some("3") {
                    (new, standing, deleted) = (None, None, Some((place, facts)));
                }
            }
        }
    }

    /// R43.
    fn repeated(&mut self, new: Party<'_>) {
        let text = bilingual!(
            "业务主键重复：同一主键以新增（appType 1）申报了多次",
            "the same business key is declared as new (appType 1) more than once"
        );
        self.say(new, new.1.number(), Say::error("R43", "key-repeated", text));
    }

    /// R44: a change or deletion and the document that it is about.
    fn change(&mut self, change: Party<'_>, before: Before<'_>) {
        let facts = change.1;
        if !matches!(facts.get("appType"), Some("2" | "3")) {
            return;
        }
        let later = |other: &Facts| facts.get("appTime").zip(other.get("appTime")).is_some_and(|(one, two)| one > two);
        let earlier =
            |other: &Facts| facts.get("appTime").zip(other.get("appTime")).is_some_and(|(one, two)| one < two);
        let gone = before.deleted.filter(|(place, deletion)| self.is_earlier(*place) || later(deletion));
        let (about, code, text) = match before.new {
            _ if gone.is_some() => {
                let text = bilingual!(
                    "原单证此前已申报删除（appType 3），请核对业务主键，或以新增申报",
                    "the document that this is about was deleted (appType 3) before; check the business key, or declare it anew"
                );
                (facts.number(), "change-after-deletion", text)
            }
            _ if self.history && !before.known => {
                let text = bilingual!(
                    "变更或删除的原单证没有从本网关发送过，或已被退单、取消，请核对业务主键",
                    "the document that this changes or deletes was never sent from here, or was refused or cancelled; check \
                     the business key"
                );
                (facts.number(), "change-without-original", text)
            }
            Some(_) if before.standing == Some(Standing::Released) => {
                let text = bilingual!(
                    "原单证已放行或结关，海关一般不再接受变更或删除",
                    "customs has released the original and takes changes and deletions no more as a rule"
                );
                (facts.number(), "change-after-release", text)
            }
            Some(_) if matches!(before.standing, Some(Standing::Waiting | Standing::InProgress)) => {
                let text = bilingual!(
                    "原单证尚未被海关接受（没有回执或仍在处理），变更或删除可能因状态不符被退回，请等待其回执",
                    "customs has not accepted the original yet (no receipt, or in progress) and may refuse this for its state; \
                     wait for its receipt"
                );
                (facts.number(), "change-before-acceptance", text)
            }
            Some(new) if earlier(new) => {
                let text = bilingual!(
                    "变更或删除的报送时间早于同一单证的新增",
                    "this change or deletion is older than the new document it is about"
                );
                (About::Field("appTime"), "change-before-new", text)
            }
            _ => return,
        };
        self.say(change, about, Say::warning("R44", code, text));
    }

    /// R44 about one order: what is behind a list that was declared is not changed any more, until the list is cancelled.
    pub(super) fn changes_behind_a_list(&mut self, places: &[usize]) {
        let of_type = |message: &str| {
            let facts = places.iter().filter_map(|place| self.at(*place)).filter(|facts| facts.message == message);
            facts.max_by_key(|facts| facts.get("appTime")).filter(|facts| facts.get("appType") != Some("3"))
        };
        let since =
            |facts: &Facts, other: &Facts| facts.get("appTime").zip(other.get("appTime")).is_some_and(|(a, b)| a >= b);
        let Some(list) = of_type("CEB621Message") else { return };
        if of_type("CEB623Message").is_some_and(|cancellation| since(cancellation, list)) {
            return;
        }
        for place in places {
            let Some(facts) = self.at(*place).filter(|_| !self.is_earlier(*place)) else { continue };
            let is_change = matches!(facts.get("appType"), Some("2" | "3")) && !since(list, facts);
            if is_change && matches!(facts.message, "CEB311Message" | "CEB411Message" | "CEB511Message") {
                let text = bilingual!(
                    "该订单的清单（CEB621）已申报，海关一般不再接受订单、支付单、运单的变更或删除；如需更改，请先撤销清单（CEB623）",
                    "the list (CEB621) of this order was declared; customs takes changes of its order, payment and waybill no more as \
                     a rule. Cancel the list first (CEB623)"
                );
                self.say((*place, facts), facts.number(), Say::warning("R44", "change-behind-list", text));
            }
        }
    }
}
