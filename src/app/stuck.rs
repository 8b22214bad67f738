//! What does not get in: files of outboxes that no message names yet, messages that were taken and cannot be opened or
//! answered, and messages that were refused.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::conditions::Condition;
use crate::bilingual;
use crate::ground::text::Bilingual;
use crate::inbound::{Refused, Unsettled};
use crate::outbound::Stuck;
use crate::store::alert::Level;
use crate::store::record::Reason;

/// After so long a message that cannot be settled is told.
const UNSETTLED_FOR: SignedDuration = SignedDuration::from_mins(3);

/// One condition for each partner whose messages were taken and cannot be opened or answered.
pub(super) fn receptions(unsettled: Vec<Unsettled>, now: Timestamp) -> impl Iterator<Item = Condition> {
    let of = move |one: Unsettled| {
        let waits = now.duration_since(one.since);
        if waits < UNSETTLED_FOR {
            return None;
        }
        let (Unsettled { partner, count, why, .. }, minutes) = (one, waits.as_mins());
        let (zh, en) = (why.zh, why.en);
        let text = bilingual!(
            "伙伴 {partner} 的 {count} 个已收下的报文已有 {minutes} 分钟无法打开或答以回执：{zh} 报文已保存，至少每五分钟重试一次。",
            "messages of partner {partner} were taken and cannot be opened or answered for {minutes} minutes: {count}. {en} They are kept and tried again at least every five minutes."
        );
        let reason = Reason { code: "reception-stuck".to_owned(), text };
        Some(Condition { level: Level::Error, reason, partner: Some(partner), subjects: BTreeSet::new() })
    };
    unsettled.into_iter().filter_map(of)
}

/// Messages of a partner that were refused.
pub(super) fn refused(refused: Refused) -> Condition {
    let Refused { partner, count, untold, codes, reason, .. } = refused;
    let (zh, en) = (reason.text.zh, reason.text.en);
    let (untold_zh, untold_en) = match untold {
        0 => (String::new(), String::new()),
        _ => (
            format!("，其中 {untold} 个未要求回执，对方并不知情"),
            format!("; it does not know of {untold} of them, which asked for no receipt"),
        ),
    };
    let text = bilingual!(
        "伙伴 {partner} 发来的报文近日有 {count} 个被拒收{untold_zh}。可用 dxgate messages list --state declined --partner {partner} 查看。最近一个：{zh}",
        "messages of partner {partner} were refused of late: {count}{untold_en}. dxgate messages list --state declined --partner {partner} shows them. The last one: {en}"
    );
    let level = if untold > 0 { Level::Error } else { Level::Warning };
    let reason = Reason { code: "messages-refused".to_owned(), text };
    Condition { level, reason, partner: Some(partner), subjects: codes }
}

/// One condition for each partner whose files cannot be taken, or not be removed once they were.
pub(super) fn outboxes(stuck: Vec<Stuck>) -> impl Iterator<Item = Condition> {
    stuck.into_iter().map(|Stuck { partner, count, name, reason }| {
        let (zh, en) = (reason.text.zh, reason.text.en);
        let text = Bilingual {
            zh: format!("伙伴 {partner} 的发件箱有 {count} 个文件数分钟以来无法取走或清理。最早的是 {name}：{zh}"),
            en: format!(
                "files of the outbox of partner {partner} cannot be taken, or removed once they were, for some minutes: {count}, the first {name}. {en}"
            ),
        };
        let reason = Reason { code: "outbox-stuck".to_owned(), text };
        Condition { level: Level::Error, reason, partner: Some(partner), subjects: BTreeSet::new() }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stuck_file_is_not_said_to_be_unsent_since_it_may_be_taken_and_only_not_removed() {
        let text = bilingual!("未能清理", "it cannot be removed");
        let reason = Reason { code: "claimed-not-removed".to_owned(), text };
        let stuck = Stuck { partner: "acme".to_owned(), count: 2, name: "a.xml".to_owned(), reason };
        let condition = outboxes(vec![stuck]).next().unwrap();
        let Bilingual { zh, en } = condition.reason.text;
        assert!(!zh.contains("未发送") && !en.contains("not sent"), "{zh} {en}");
        assert!(
            zh.contains("无法取走或清理") && en.contains("cannot be taken, or removed once they were"),
            "{zh} {en}"
        );
        assert!(en.ends_with("2, the first a.xml. it cannot be removed"), "{en}");
    }
}
