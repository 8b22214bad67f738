//! What is stuck before the journal: nothing else counts files that no message names yet.

use std::collections::BTreeSet;

use super::conditions::Condition;
use crate::ground::text::Bilingual;
use crate::outbound::Stuck;
use crate::store::alert::Level;
use crate::store::record::Reason;

/// One condition for each partner whose files cannot be taken.
pub(super) fn conditions(stuck: Vec<Stuck>) -> impl Iterator<Item = Condition> {
    stuck.into_iter().map(|Stuck { partner, count, name, reason }| {
        let (zh, en) = (reason.text.zh, reason.text.en);
        let text = Bilingual {
            zh: format!("伙伴 {partner} 的发件箱有 {count} 个文件数分钟以来无法取走，未发送。最早的是 {name}：{zh}"),
            en: format!(
                "files in the outbox of partner {partner} cannot be taken for some minutes and are not sent: {count}, the first {name}. {en}"
            ),
        };
        let reason = Reason { code: "outbox-stuck".to_owned(), text };
        Condition { level: Level::Error, reason, partner: Some(partner), subjects: BTreeSet::new() }
    })
}
