//! What a person may do to a message. Each action is a fact in the journal, with who and why.

use serde_json::json;

use super::Outbound;
use super::intake::IntakeError;
use super::outcome::failed_files;
use crate::bilingual;
use crate::ground::id::Id;
use crate::ground::text::Bilingual;
use crate::store::record::{Came, Direction, Fact, Message, Reason, State};
use crate::store::trail::Change;
use crate::store::{CommitError, Precondition, Transaction, apply};

/// An operator's decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Send the same bytes again, now.
    Retry,
    /// Stop sending until released.
    Hold,
    /// Let a held message go on.
    Release,
    /// End it; it lands in `failed/`.
    Cancel,
    /// Keep everything of it until released, whatever the retention says. For messages of both directions.
    LegalHold,
    /// Let it expire again.
    LegalRelease,
    /// Send its payload again as a new business message.
    Resend,
}

impl Action {
    /// All of them.
    pub const ALL: [Action; 7] = [
        Action::Retry,
        Action::Hold,
        Action::Release,
        Action::Cancel,
        Action::LegalHold,
        Action::LegalRelease,
        Action::Resend,
    ];

    /// Its name in commands and routes.
    pub fn name(self) -> &'static str {
        match self {
            Action::Retry => "retry",
            Action::Hold => "hold",
            Action::Release => "release",
            Action::Cancel => "cancel",
            Action::LegalHold => "legal-hold",
            Action::LegalRelease => "legal-release",
            Action::Resend => "resend",
        }
    }

    /// Its name in the audit trail. Facts alone do not tell a retry from a release.
    fn done(self) -> &'static str {
        match self {
            Action::Retry => "message-retried",
            Action::Hold => "message-held",
            Action::Release => "message-released",
            Action::Cancel => "message-cancelled",
            Action::LegalHold => "message-legal-held",
            Action::LegalRelease => "message-legal-released",
            Action::Resend => "message-resent",
        }
    }

    /// The action of that name.
    pub fn named(name: &str) -> Option<Action> {
        Action::ALL.into_iter().find(|action| action.name() == name)
    }

    /// What may be done to a message as it is.
    pub fn possible(message: &Message) -> Vec<Action> {
        let possible = |action: &Action| match action {
            // What waits since a restore is let go on by it, whatever its state and direction.
            Action::Release if message.restored => true,
            Action::Resend => {
                let kept = message.payload.is_some() && message.payload_purged.is_none();
                message.successor.is_none() && kept && action.judge(message).is_ok()
            }
            _ => action.judge(message).is_ok(),
        };
        Action::ALL.into_iter().filter(possible).collect()
    }

    /// Whether the action makes sense for a message.
    fn judge(self, message: &Message) -> Result<(), ActionError> {
        match self {
            Action::LegalHold | Action::LegalRelease => {
                let held = message.legal_hold.is_some();
                if held == (self == Action::LegalRelease) { Ok(()) } else { Err(ActionError::LegalHold { held }) }
            }
            _ if message.direction != Direction::Outbound => Err(ActionError::Unknown(message.id)),
            Action::Retry | Action::Release if message.payload_purged.is_some() => Err(ActionError::Expired),
            Action::Retry | Action::Release if message.successor.is_some() => {
                Err(message.successor.map_or(ActionError::State(message.state), ActionError::Resent))
            }
            _ if self.allowed().contains(&message.state) => Ok(()),
            _ => Err(ActionError::State(message.state)),
        }
    }

    /// The states of an outbound message in which the action makes sense.
    fn allowed(self) -> &'static [State] {
        match self {
            Action::LegalHold | Action::LegalRelease => &[],
            Action::Retry => &[State::Composed, State::AwaitingReceipt, State::Held, State::Failed, State::Queued],
            Action::Hold => &[State::Queued, State::Composed, State::AwaitingReceipt],
            Action::Release => &[State::Held],
            Action::Cancel => &[State::Queued, State::Composed, State::AwaitingReceipt, State::Held],
            Action::Resend => &[State::Held, State::Failed, State::Cancelled, State::Delivered],
        }
    }
}

/// Why an action was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum ActionError {
    /// There is no such message.
    #[error("no message has the id {0}")]
    Unknown(Id),
    /// Its state does not allow it.
    #[error("the message is {0:?}, which does not allow this")]
    State(State),
    /// It is under legal hold already, or is not.
    #[error("legal hold: {held}")]
    LegalHold {
        /// Whether it is.
        held: bool,
    },
    /// It was resent before.
    #[error("it was resent as {0} before")]
    Resent(Id),
    /// What would be sent is kept no longer.
    #[error("the time for which its payload is kept is over")]
    Expired,
    /// There is no payload to be sent: it is an MDN, or the payload is kept no longer.
    #[error("the message has no payload that could be sent")]
    NoPayload,
    /// The pre-check refuses the payload by now.
    #[error("the pre-check refuses the payload: {}", .0.text)]
    Refused(Reason),
    /// The partner is unusable, or the payload cannot be read.
    #[error(transparent)]
    NotPrepared(IntakeError),
    /// Every action needs a reason.
    #[error("a reason is required")]
    NoReason,
    /// The journal refused.
    #[error(transparent)]
    Journal(#[from] CommitError),
}

impl ActionError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            ActionError::Unknown(_) => "message-unknown",
            ActionError::State(_) => "message-state",
            ActionError::LegalHold { .. } => "message-legal-hold",
            ActionError::Resent(_) => "message-resent",
            ActionError::Expired => "message-expired",
            ActionError::NoPayload => "payload-missing",
            ActionError::Refused(_) => "precheck-refused",
            ActionError::NotPrepared(_) => "not-prepared",
            ActionError::NoReason => "reason-required",
            ActionError::Journal(_) => "journal-failed",
        }
    }

    /// What is wrong and what to do.
    pub fn text(&self) -> Bilingual {
        match self {
            ActionError::Unknown(id) => bilingual!(
                "没有编号为 {id} 的报文。用 dxgate messages list 查看。",
                "no message has the id {id}. See dxgate messages list."
            ),
            ActionError::State(state) => bilingual!(
                "报文处于 {state:?} 状态，不能这样操作。",
                "the message is {state:?}; this action does not apply to it."
            ),
            ActionError::LegalHold { held: true } => {
                bilingual!("报文已处于法定保留中。", "the message is under legal hold already.")
            }
            ActionError::LegalHold { held: false } => {
                bilingual!("报文不在法定保留中。", "the message is not under legal hold.")
            }
            ActionError::Resent(successor) => bilingual!(
                "该报文此前已作为新报文 {successor} 重发；如有必要，请重发那一份。",
                "it was resent as {successor} before; resend that one if need be."
            ),
            ActionError::Expired => bilingual!(
                "报文内容的保存期限已满，已删除，不能再次发送。如仍需发送，请把原文件重新放入该伙伴的 outbox。",
                "the time for which its payload is kept is over, so it cannot be sent again. If it must be, put the original file into the partner's outbox once more."
            ),
            ActionError::NoPayload => bilingual!(
                "没有可发送的内容：这是回执，或其内容已不再保存。",
                "there is no payload to be sent: it is an MDN, or the payload is kept no longer."
            ),
            ActionError::Refused(reason) => {
                let (zh, en) = (&reason.text.zh, &reason.text.en);
                bilingual!("预检未通过：{zh}", "the pre-check refuses the payload: {en}")
            }
            ActionError::NotPrepared(error) => bilingual!(
                "新报文无法生成：{error}。请检查伙伴配置和磁盘。",
                "the new message cannot be made: {error}. Check the partner's file and the disk."
            ),
            ActionError::NoReason => bilingual!("请说明原因。", "give a reason."),
            ActionError::Journal(error) => {
                bilingual!("日志无法写入：{error}", "the journal cannot be written: {error}")
            }
        }
    }
}

impl Outbound {
    /// Carries out `action` on a message; `asked` says who wants it, why and from where, what is added for the audit
    /// trail. Only legal holds concern inbound ones.
    pub async fn act(&self, id: Id, action: Action, asked: Change) -> Result<Message, ActionError> {
        let (reason, by) = (asked.reason.as_deref().unwrap_or_default(), asked.who.as_str());
        if reason.trim().is_empty() {
            return Err(ActionError::NoReason);
        }
        if let Some(message) = self.store.message(&id).filter(|message| action == Action::Release && message.restored) {
            return self.release_restored(message, &asked).await;
        }
        let message = self.store.message(&id).ok_or(ActionError::Unknown(id))?;
        action.judge(&message)?;
        let Some(fact) = self.operator_fact(&message, action, reason, by) else {
            return self.resend(&message, &asked).await;
        };
        let mut transaction = Transaction::new(self.clock.now());
        transaction.require(Precondition::StateIs(id, vec![message.state]));
        transaction.change(self.entry(&message, action, &fact, &asked));
        if message.restored && matches!(action, Action::Retry | Action::Cancel) {
            transaction.fact(id, resumed(&asked));
        }
        transaction.fact(id, fact);
        match self.store.commit(transaction).await {
            Ok(_) => {}
            Err(CommitError::Conflict(_)) => return Err(ActionError::State(self.state_of(&message))),
            Err(error) => return Err(error.into()),
        }
        if matches!(action, Action::Retry | Action::Release) {
            self.circuits.probe_now(&message.partner);
        }
        tracing::info!(%id, ?action, by, "operator action");
        self.store.message(&id).ok_or(ActionError::Unknown(id))
    }

    /// Ends a message of the connectivity test that is still open, be it on its way: what its attempt comes to changes nothing
    /// any more.
    ///
    /// # Errors
    /// The journal refused.
    pub async fn end_trial(&self, id: Id, asked: Change) -> Result<(), ActionError> {
        let (reason, by) = (asked.reason.as_deref().unwrap_or_default(), asked.who.as_str());
        loop {
            let message = self.store.message(&id).filter(|message| !message.state.is_final());
            let Some(message) = message else { return Ok(()) };
            let Some(fact) = self.operator_fact(&message, Action::Cancel, reason, by) else { return Ok(()) };
            let mut transaction = Transaction::new(self.clock.now());
            transaction.require(Precondition::StateIs(id, vec![message.state]));
            transaction.change(self.entry(&message, Action::Cancel, &fact, &asked));
            transaction.fact(id, fact);
            match self.store.commit(transaction).await {
                // Its attempt has ended meanwhile, or its MDN came: it is looked at once more.
                Err(CommitError::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
                Ok(_) => return Ok(()),
            }
        }
    }

    /// Lets a message go on that a restore has held: it is sent, and its files are published. A reception that waits to be
    /// opened is in the inbound flow's hands then.
    async fn release_restored(&self, message: Message, asked: &Change) -> Result<Message, ActionError> {
        let (id, now) = (message.id, self.clock.now());
        let (reason, by) = (asked.reason.clone().unwrap_or_default(), asked.who.clone());
        let mut transaction = Transaction::new(now);
        transaction.require(Precondition::StateIs(id, vec![message.state]));
        tracing::info!(%id, by, "released after a restore");
        let sent = (message.state == State::Held).then_some(Fact::Released { reason, by, due: now });
        let resumed = resumed(asked);
        transaction.change(self.entry(&message, Action::Release, sent.as_ref().unwrap_or(&resumed), asked));
        transaction.fact(id, resumed);
        if let Some(sent) = sent {
            transaction.fact(id, sent);
        }
        match self.store.commit(transaction).await {
            Ok(_) => self.store.message(&id).ok_or(ActionError::Unknown(id)),
            Err(CommitError::Conflict(_)) => {
                Err(ActionError::State(self.store.message(&id).map_or(message.state, |message| message.state)))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// What the audit trail says of an action.
    pub(super) fn entry(&self, message: &Message, action: Action, fact: &Fact, asked: &Change) -> Change {
        let after = match fact {
            Fact::Resent { successor, .. } => Some(json!(successor)),
            _ => apply(Some(message.clone()), message.id, self.clock.now(), fact).ok().map(|after| json!(after.state)),
        };
        Change {
            what: action.done().to_owned(),
            on: format!("message:{}", message.id),
            before: Some(json!(message.state)),
            after,
            ..asked.clone()
        }
    }

    /// The state that a message has meanwhile.
    pub(super) fn state_of(&self, message: &Message) -> State {
        self.store.message(&message.id).map_or(message.state, |message| message.state)
    }

    /// What the action does to the message itself; none when it makes a new one.
    fn operator_fact(&self, message: &Message, action: Action, reason: &str, by: &str) -> Option<Fact> {
        let now = self.clock.now();
        let (reason, by) = (reason.to_owned(), by.to_owned());
        Some(match action {
            Action::Resend => return None,
            Action::Retry | Action::Release => Fact::Released { reason, by, due: now },
            Action::LegalHold => Fact::LegalHeld { reason, by },
            Action::LegalRelease => Fact::LegalReleased { reason, by },
            Action::Hold => {
                let text = bilingual!("操作员 {by} 暂停：{reason}", "held by {by}: {reason}");
                Fact::Held { reason: Reason { code: "held-by-operator".to_owned(), text }, by, came: Came::Unknown }
            }
            Action::Cancel => {
                let text = bilingual!("操作员 {by} 取消：{reason}", "cancelled by {by}: {reason}");
                let why = Reason { code: "cancelled-by-operator".to_owned(), text };
                let files = failed_files(message, &why, None, now, message.attempts);
                Fact::Cancelled { reason, by, files }
            }
        })
    }
}

/// A restored message goes on. What its backup had as staged is not in the folders of this home, so this comes before what
/// lets it go on otherwise: absence would be taken for publication.
pub(super) fn resumed(asked: &Change) -> Fact {
    Fact::Resumed { reason: asked.reason.clone().unwrap_or_default(), by: asked.who.clone(), anew: true }
}

#[cfg(test)]
#[path = "operator_tests.rs"]
mod tests;
