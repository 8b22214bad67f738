//! Alerts of the second life: documents that customs refused, envelopes that the platform refused.

use jiff::Timestamp;

use super::{Level, raise};
use crate::bilingual;
use crate::declaration::envelope::response_meaning;
use crate::declaration::receipt::meaning;
use crate::declaration::standing::{Document, Standing};
use crate::ground::id::Id;
use crate::ground::text::{Bilingual, printable};
use crate::store::record::{Message, PlatformAnswer, Reason};

const REJECTED: &str = "declaration-rejected";
const ERROR: &str = "declaration-error";
const ENVELOPE: &str = "envelope-refused";

/// What an MDN does not mend.
pub(super) fn outlives_delivery(code: &str) -> bool {
    matches!(code, REJECTED | ERROR | ENVELOPE)
}

/// A receipt came: who is refused by it is for a person to know, until no document stands so any more.
pub(super) fn follow_receipt(message: &mut Message, at: Timestamp, receipt: Id) {
    end(message, ENVELOPE, at);
    for (code, standing) in [(REJECTED, Standing::Rejected), (ERROR, Standing::Error)] {
        let standing_so = |document: &&Document| document.standing == standing;
        let by_this = |document: &&Document| document.answer.as_ref().is_some_and(|answer| answer.receipt == receipt);
        let refused = message.documents.iter().filter(standing_so).find(by_this);
        match refused.map(|document| Reason { code: code.to_owned(), text: refusal(message, document) }) {
            Some(reason) => raise(message, &reason, Level::Error, at),
            None if !message.documents.iter().any(|document| document.standing == standing) => end(message, code, at),
            None => {}
        }
    }
}

/// The platform said what became of the envelope: what counts is what all its answers say together.
pub(super) fn follow_platform(message: &mut Message, at: Timestamp, heard: &PlatformAnswer) {
    let Some(answer) = message.platform.as_ref() else { return };
    if !answer.refused {
        return end(message, ENVELOPE, at);
    }
    if answer.response != heard.response {
        return;
    }
    let (code, meaning) = (printable(&answer.code), response_meaning(&answer.code));
    let (zh, en, id) = (meaning.zh, meaning.en, message.id);
    let text = bilingual!(
        "交换平台未能处理本报文的信封：{zh}（{code}）。用 dxgate messages show {id} 查看说明，排除原因后用 dxgate messages resend {id} 作为新报文重发。",
        "the exchange platform did not pass the envelope on: {en} ({code}). See dxgate messages show {id}; once the cause is removed, dxgate messages resend {id} sends it as a new message."
    );
    raise(message, &Reason { code: ENVELOPE.to_owned(), text }, Level::Error, at);
}

/// Not `returnInfo`: alerts go to the log, and it may name a person.
fn refusal(message: &Message, document: &Document) -> Bilingual {
    let bad = message.documents.iter().filter(|other| other.standing == document.standing).count();
    let (of, id) = (message.documents.len(), message.id);
    let key = document.keys.first().map(|(name, value)| format!("{name}={}", printable(value))).unwrap_or_default();
    let said = document.answer.as_ref().map(|answer| (meaning(&answer.message_type, &answer.status).1, &answer.status));
    let (zh, en, status) = said.map_or_else(Default::default, |(text, status)| (text.zh, text.en, printable(status)));
    bilingual!(
        "{of} 份单证中有 {bad} 份未获海关接受，例如 {key}：{zh}（{status}）。用 dxgate messages show {id} 查看回执说明，改正后重新申报。",
        "{bad} of {of} documents refused, such as {key}: {en} ({status}). See the receipt's words with dxgate messages show {id}, correct the document and declare it again."
    )
}

fn end(message: &mut Message, code: &str, at: Timestamp) {
    let open = message.alerts.iter_mut().filter(|alert| alert.code == code && alert.is_open());
    open.for_each(|alert| alert.resolved = Some(at));
}
