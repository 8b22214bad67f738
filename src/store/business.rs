//! Facts of the second life: which documents a message declares, what customs and the transport platform say about
//! them, and which messages a receipt answers. They are lawful in any state, since receipts come when they come; only
//! what was never sent has none. The rules are those of [`standing`](crate::declaration::standing).

use super::apply::BadTransition;
use super::declared::COP_MSG_ID;
use super::platform;
use super::record::{Direction, Documents, Fact, Message, PlatformAnswer, Said, State};
use crate::declaration::standing::{Answer, Document, TRANSPORT_RESPONSE};
use crate::ground::id::Id;

/// Lets such a fact happen; `None` for all other facts.
pub(super) fn apply(message: &mut Message, fact: &Fact) -> Option<Result<(), BadTransition>> {
    let state = message.state;
    let outbound = message.direction == Direction::Outbound;
    let lawful = match fact {
        Fact::Declared { .. } => outbound && state == State::Queued && message.documents.are_none(),
        Fact::Prechecked { .. } => outbound && state == State::Queued && message.findings.is_none(),
        Fact::BusinessReceipt { .. } | Fact::PlatformAnswered { .. } => outbound && state != State::Rejected,
        Fact::Matched { .. } => state == State::Accepted && message.answered.is_none(),
        _ => return None,
    };
    if !lawful {
        return Some(Err(BadTransition::State { fact: fact.name(), state }));
    }
    match fact {
        Fact::Declared { documents } => message.documents = Documents::sent(documents),
        Fact::BusinessReceipt { receipt, message_type, entries } => hear(message, *receipt, message_type, entries),
        Fact::PlatformAnswered { answer } => hear_platform(message, answer),
        Fact::Prechecked { findings } => message.findings = Some(findings.clone()),
        Fact::Matched { answered } => message.answered = Some(answered.clone()),
        _ => {}
    }
    Some(Ok(()))
}

fn hear(message: &mut Message, receipt: Id, message_type: &str, entries: &[Said]) {
    if message.documents.are_none() && entries.iter().any(|said| said.document == 0) {
        // Nothing is known of its documents: the envelope stands for them.
        let envelope = message.declaration.as_ref().and_then(|declaration| declaration.cop_msg_id.clone());
        message.documents = Documents::sent(&[envelope.map(|id| (COP_MSG_ID.to_owned(), id)).into_iter().collect()]);
    }
    let documents = message.documents.make_mut();
    for said in entries {
        let answer = Answer {
            message_type: message_type.to_owned(),
            status: said.status.clone(),
            time: said.time.clone(),
            info: said.info.clone(),
            receipt,
        };
        let number = usize::try_from(said.document).unwrap_or(usize::MAX);
        match number.checked_sub(1) {
            None => hear_all(documents, &answer),
            Some(place) => {
                if let Some(document) = documents.get_mut(place) {
                    document.hear(&answer, &said.given);
                }
            }
        }
    }
}

/// Documents in an envelope that was refused do not get any further; any receipt knows better. What several answers say
/// together is told in [`platform`].
fn hear_platform(message: &mut Message, answer: &PlatformAnswer) {
    let answer = message.platform.as_ref().map_or_else(|| answer.clone(), |known| platform::together(known, answer));
    let answer = message.platform.insert(answer);
    message.documents.make_mut().iter_mut().for_each(Document::passed_on);
    if !answer.refused {
        return;
    }
    let refusal = Answer {
        message_type: TRANSPORT_RESPONSE.to_owned(),
        status: answer.code.clone(),
        time: String::new(),
        info: answer.info.clone().unwrap_or_default(),
        receipt: answer.response,
    };
    hear_all(message.documents.make_mut(), &refusal);
}

fn hear_all(documents: &mut [Document], answer: &Answer) {
    for document in documents {
        document.hear(answer, &[]);
    }
}
