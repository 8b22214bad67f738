//! What a message was sent as, and what the partner may have of it.

use serde::{Deserialize, Serialize};

use super::{Body, Fact};
use crate::as2::SentMics;
use crate::as2::verdict::Doubt;

/// What an attempt before [`Fact::Recomposed`](super::Fact::Recomposed) was sent as.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EarlierWire {
    /// Its Message-ID, exact syntax.
    pub message_id: String,
    /// Every MIC that an honest MDN about it may carry.
    pub mics: SentMics,
    /// Its wire bytes, while they are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wire: Option<Body>,
}

/// Earlier Message-IDs that the view of a message keeps: those of the latest attempts.
pub const EARLIER: usize = 256;

/// How far an attempt is known to have come that ended without a receipt that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Came {
    /// The partner may have all, a part or nothing. So it is with attempts that a crash cut off, and with those in
    /// facts of earlier versions.
    #[default]
    Unknown,
    /// It ended before the connection stood.
    Nowhere,
    /// The partner answered 2xx, so it had read the request; its receipt was lost, is none, or comes later.
    Answered,
    /// It says in a receipt that counts that it did not take the message: what it had of it, it may have thrown away.
    Refused,
}

impl Came {
    /// For what facts leave out.
    pub fn is_unknown(&self) -> bool {
        *self == Came::Unknown
    }

    /// What goes without saying of a transfer.
    pub fn answered() -> Came {
        Came::Answered
    }

    /// For what facts leave out about it.
    pub fn is_answered(&self) -> bool {
        *self == Came::Answered
    }
}

/// What the first attempt under the present Message-ID left with the partner. Some products keep the Message-ID of a
/// request that broke off in the middle: from then on they call the whole message its duplicate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reach {
    /// Not known: an earlier version sent it, or it was not sent at all.
    #[default]
    Unknown,
    /// No attempt can have reached the partner.
    Untried,
    /// Attempt `attempt` was the first that may have.
    First {
        /// Its number; 0 for one that a restore from a backup has forgotten.
        attempt: u32,
        /// It was [answered](Came::Answered).
        answered: bool,
    },
}

impl Reach {
    /// For what records leave out.
    pub fn is_unknown(&self) -> bool {
        *self == Reach::Unknown
    }

    /// Whether the partner can call what it got in attempt `number` a duplicate of something whole.
    pub fn was_answered_before(self, number: u32) -> bool {
        matches!(self, Reach::First { attempt, answered: true } if attempt < number)
    }

    /// Whether no attempt of so many can have reached the partner.
    pub fn is_none(self, attempts: u32) -> bool {
        match self {
            Reach::Untried => true,
            Reach::Unknown => attempts == 0,
            Reach::First { .. } => false,
        }
    }

    /// What `fact` tells, of a message with so many attempts before it.
    pub(in crate::store) fn follow(&mut self, attempts: u32, fact: &Fact) {
        match fact {
            Fact::Composed { .. } | Fact::Recomposed { .. } => *self = Reach::Untried,
            Fact::Attempted { number } => self.begin(*number),
            Fact::Failed { receipt: Some(_), .. } => self.doubt(),
            Fact::Held { reason, .. } if CONTRARY.map(Doubt::code).contains(&reason.code.as_str()) => self.doubt(),
            Fact::RetryAt { came, .. } | Fact::AwaitingReceipt { came, .. } | Fact::Held { came, .. } => {
                self.end(attempts, *came);
            }
            // Attempts after the backup are not known any more; what was answered before it was.
            Fact::Restored { .. } if !self.was_answered_before(u32::MAX) => {
                *self = Reach::First { attempt: 0, answered: false };
            }
            _ => {}
        }
    }

    /// Until more is known of the attempt, it may have left a fragment.
    fn begin(&mut self, number: u32) {
        if *self == Reach::Untried || (*self == Reach::Unknown && number == 1) {
            *self = Reach::First { attempt: number, answered: false };
        }
    }

    fn end(&mut self, number: u32, came: Came) {
        let first = *self == Reach::First { attempt: number, answered: false };
        match came {
            Came::Nowhere if first => *self = Reach::Untried,
            Came::Answered if first => *self = Reach::First { attempt: number, answered: true },
            Came::Refused => self.doubt(),
            Came::Unknown | Came::Nowhere | Came::Answered => {}
        }
    }

    /// A receipt of the partner contradicts that it has the message whole, or that it had it before: whatever it calls a
    /// duplicate under this Message-ID, it is not believed again.
    fn doubt(&mut self) {
        if let Reach::First { answered, .. } = self {
            *answered = false;
        }
    }
}

/// Receipts after which nothing is believed about duplicates.
const CONTRARY: [Doubt; 2] = [Doubt::Duplicate, Doubt::MicMismatch];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bilingual;
    use crate::store::record::Reason;

    /// What a composed message's attempts that came so far leave.
    fn after(attempts: &[Came]) -> Reach {
        let mut reach = Reach::Untried;
        for (number, came) in (1..).zip(attempts) {
            let reason = Reason { code: "test".to_owned(), text: bilingual!("测试", "a test") };
            let due = jiff::Timestamp::UNIX_EPOCH;
            reach.follow(number - 1, &Fact::Attempted { number });
            reach.follow(number, &Fact::RetryAt { due, reason, came: *came });
        }
        reach
    }

    #[test]
    fn what_may_have_arrived_once_may_have_arrived_however_later_attempts_end() {
        assert!(after(&[]).is_none(0));
        assert!(after(&[Came::Nowhere]).is_none(1));
        assert!(after(&[Came::Nowhere, Came::Nowhere]).is_none(2));
        for came in [Came::Unknown, Came::Answered, Came::Refused] {
            assert!(!after(&[came]).is_none(1), "{came:?}");
            assert!(!after(&[came, Came::Nowhere]).is_none(2), "{came:?}");
            assert!(!after(&[Came::Nowhere, came, Came::Nowhere]).is_none(3), "{came:?}");
        }
        assert!(Reach::Unknown.is_none(0) && !Reach::Unknown.is_none(1), "an earlier version sent it");
    }
}
