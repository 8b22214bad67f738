//! Facts that stand aside of the picture of states: evidence, and what a restore from a backup leaves behind.
//!
//! After a restore nobody knows what happened after the backup: an open message may have been delivered, a file may have
//! been taken. So [`Fact::Restored`] puts everything that would go on by itself on hold, and a person lets it go on:
//! `Resumed` and then `Released` for an outbound message, [`Fact::Resumed`] for files that wait to be published and receptions that wait to
//! be opened or answered.

use super::apply::BadTransition;
use super::record::{Evidence, Fact, Message, PublicationStage, Reason, State};
use crate::bilingual;

/// Evidence kept in the view of a message; the journal has all of it.
const EVIDENCE: usize = 16;
/// Code of the reason for which a restore holds.
pub const RESTORED: &str = "restored";

/// Lets such a fact happen; `None` for all other facts.
pub(super) fn apply(message: &mut Message, fact: &Fact) -> Option<Result<(), BadTransition>> {
    match fact {
        Fact::Evidence { evidence } => {
            // What was composed anew many times shows how it was at last.
            let like = |earlier: &Evidence| earlier.step == evidence.step;
            if message.evidence.len() >= EVIDENCE
                && let Some(oldest) = message.evidence.iter().position(like)
            {
                message.evidence.make_mut().remove(oldest);
            }
            if message.evidence.len() < EVIDENCE {
                message.evidence.make_mut().push(evidence.clone());
            }
        }
        Fact::Restored { sequence } => {
            if goes_on(message.state) {
                (message.state, message.due) = (State::Held, None);
                message.reason = Some(reason(*sequence));
            }
            message.restored = true;
            message.reach.follow(message.attempts, fact);
        }
        Fact::Resumed { anew, .. } => {
            if !message.restored {
                return Some(Err(BadTransition::State { fact: fact.name(), state: message.state }));
            }
            message.restored = false;
            let staged = |stage: &&mut PublicationStage| *anew && matches!(**stage, PublicationStage::Staged);
            let stages = message.publications.iter_mut().map(|(_, stage)| stage).filter(staged);
            stages.for_each(|stage| *stage = PublicationStage::Committed);
        }
        _ => return None,
    }
    Some(Ok(()))
}

/// An outbound message in this state is sent, or waits for an MDN, by itself.
pub(super) fn goes_on(state: State) -> bool {
    matches!(state, State::Queued | State::Composed | State::Sending | State::AwaitingReceipt)
}

fn reason(sequence: u64) -> Reason {
    let text = bilingual!(
        "已从备份恢复（日志序号 {sequence}）：备份之后本报文可能已经送达。请与对方核对，再用 dxgate messages release 放行或 cancel 取消。",
        "restored from a backup (journal sequence {sequence}): the message may have been delivered since. Ask the partner, then dxgate messages release or cancel."
    );
    Reason { code: RESTORED.to_owned(), text }
}
