//! Step 6, second half: what an attempt or an MDN came to becomes one fact, with the files that users see.
//!
//! Only a receipt that counts becomes that of a message, also where delivery is given up: any other is kept beside it.

use jiff::Timestamp;
use serde::Serialize;

use super::Outbound;
use super::retry::{self, Circumstances, Next, Outcome};
use crate::as2::verdict::Doubt;
use crate::bilingual;
use crate::ground::clock::customs_time;
use crate::ground::random;
use crate::ground::text::Bilingual;
use crate::mime::Headers;
use crate::partner::Partner;
use crate::store::record::{
    Came, Content, Fact, Folder, GATEWAY, JobKind, Message, Publication, Reason, Receipt, STRAYS, State,
};
use crate::store::{CommitError, Precondition, Transaction};

/// What was learned about a message.
pub(super) struct Examined {
    pub(super) outcome: Outcome,
    pub(super) reason: Option<Reason>,
    pub(super) receipt: Option<Seen>,
    /// How far the attempt came.
    pub(super) came: Came,
}

/// An MDN as it arrived and what was found in it.
pub(super) struct Seen {
    pub(super) headers: Headers,
    /// Header block, blank line, body.
    pub(super) raw: Vec<u8>,
    pub(super) disposition: String,
    pub(super) mic: Option<String>,
    pub(super) mic_matches: Option<bool>,
    pub(super) signer: Option<String>,
}

impl Examined {
    /// An outcome that needs no words.
    pub(super) fn plain(outcome: Outcome) -> Examined {
        Examined { outcome, reason: None, receipt: None, came: Came::Unknown }
    }
}

impl Outbound {
    /// Records what follows. `false`: it was settled meanwhile (its asynchronous MDN was faster) and stays as it is.
    pub(super) async fn settle(
        &self,
        partner: &Partner,
        message: &Message,
        attempts: u32,
        examined: Examined,
    ) -> Result<bool, CommitError> {
        let now = self.clock.now();
        let next = retry::next(
            examined.outcome,
            &Circumstances {
                attempts,
                patient_since: self.patient_since(partner, message),
                now,
                receipt_deadline: partner.agreement.mdn.deadline,
                schedule: &partner.delivery.retry,
                noise: noise(),
            },
        );
        let mut transaction = Transaction::new(now);
        transaction.require(Precondition::StateIs(message.id, SETTLEABLE.to_vec()));
        let receipt = examined.receipt.map(|seen| seen.into_receipt(&mut transaction));
        log(message, examined.outcome, next, examined.reason.as_ref());
        let ended = Ended { number: attempts, at: now, came: examined.came, outcome: examined.outcome };
        for fact in follow_up(message, next, examined.reason, receipt, ended) {
            transaction.fact(message.id, fact);
        }
        // An MDN that is not worth keeping leaves no bytes either.
        transaction.keep_named_bodies();
        match self.store.commit(transaction).await {
            Ok(_) => Ok(true),
            Err(CommitError::Conflict(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// States in which an answer may settle a message: in an attempt, between attempts, or held meanwhile.
const SETTLEABLE: [State; 4] = [State::Composed, State::Sending, State::AwaitingReceipt, State::Held];

impl Seen {
    pub(super) fn into_receipt(self, transaction: &mut Transaction) -> Receipt {
        Receipt {
            body: transaction.body(self.raw),
            headers: self.headers,
            disposition: self.disposition,
            mic: self.mic,
            mic_matches: self.mic_matches,
            signer: self.signer,
        }
    }
}

/// An attempt that is over.
#[derive(Clone, Copy)]
struct Ended {
    number: u32,
    at: Timestamp,
    came: Came,
    outcome: Outcome,
}

fn follow_up(
    message: &Message,
    next: Next,
    reason: Option<Reason>,
    receipt: Option<Receipt>,
    ended: Ended,
) -> Vec<Fact> {
    let Ended { number, at, came, outcome } = ended;
    let why = || reason.clone().unwrap_or_else(no_receipt);
    // What proves nothing is no answer of the partner, also where nothing is tried any more.
    let settles = match next {
        Next::Deliver => true,
        Next::Fail => matches!(outcome, Outcome::Refused | Outcome::Troubled),
        Next::RetryAt(_) | Next::Hold | Next::Await { .. } => false,
    };
    let (receipt, stray) = if settles { (receipt, None) } else { (None, receipt) };
    let stray = stray.filter(|stray| is_worth_keeping(message, stray, &why().code));
    let fact = match next {
        Next::Deliver => {
            let files = delivered_files(message, receipt.as_ref(), at, number);
            Fact::Delivered { receipt, note: reason.clone(), files }
        }
        Next::Await { deadline } => Fact::AwaitingReceipt { deadline, came },
        Next::RetryAt(due) => Fact::RetryAt { due, reason: why(), came },
        Next::Hold => Fact::Held { reason: why(), by: GATEWAY.to_owned(), came },
        Next::Fail => {
            let refused = outcome == Outcome::Refused && receipt.is_some();
            let reason = if refused { why() } else { given_up(why()) };
            let files = failed_files(message, &reason, receipt.as_ref(), at, number);
            Fact::Failed { reason, receipt, files }
        }
    };
    let kept = stray.map(|receipt| Fact::StrayReceipt { reason: why(), receipt });
    kept.into_iter().chain([fact]).collect()
}

/// MDNs of one message, not proven to be the partner's, that are kept: anybody may have sent them.
const UNPROVEN: usize = 4;

/// MDNs of one message about earlier Message-IDs that are kept: each attempt may bring one, and graver ones need room.
const SUPERSEDED: usize = 4;

/// MDNs of one message that prove nothing, of whatever kind, that are kept: the rest of the room is for those that a person must
/// hear of.
const DOUBTFUL: usize = 6;

/// Reasons for which a person must hear of an MDN, however many came before it.
const GRAVE: [&str; 4] = ["mdn-mic-mismatch", "mdn-duplicate-unproven", "mdn-contradicts", "mdn-late"];

/// An MDN that settles nothing, for the reason `code`, is evidence, once; of those that nobody signed a few are enough, of those
/// about earlier Message-IDs, and of all that prove nothing.
pub(super) fn is_worth_keeping(message: &Message, receipt: &Receipt, code: &str) -> bool {
    let known = message.strays.iter().map(|stray| &stray.receipt).chain(&message.receipt);
    let unproven = message.strays.iter().filter(|stray| stray.receipt.signer.is_none()).count();
    let superseded = |code: &str| code == Doubt::Superseded.code();
    let earlier = message.strays.iter().filter(|stray| superseded(&stray.reason.code)).count();
    let grave = |code: &str| GRAVE.contains(&code);
    let doubtful = message.strays.iter().filter(|stray| !grave(&stray.reason.code)).count();
    known.into_iter().all(|known| known.body.sha256 != receipt.body.sha256)
        && message.strays.len() < STRAYS
        && (receipt.signer.is_some() || unproven < UNPROVEN)
        && (!superseded(code) || earlier < SUPERSEDED)
        && (grave(code) || doubtful < DOUBTFUL)
}

/// `sent/<name>`, and `receipts/<name>.mdn` with `.json` beside it.
fn delivered_files(message: &Message, receipt: Option<&Receipt>, now: Timestamp, attempts: u32) -> Vec<Publication> {
    let mut files = Vec::new();
    if let (JobKind::Payload, Some(payload)) = (message.kind, message.payload) {
        let content = vec![(String::new(), Content::Body(payload))];
        files.push(Publication { folder: Folder::Sent, name: message.file_name.clone(), files: content });
    }
    files.extend(receipt.map(|receipt| receipt_files(message, State::Delivered, receipt, now, attempts)));
    files
}

/// `failed/<name>` with `.error.json` beside it, and the MDN when there is one.
pub(super) fn failed_files(
    message: &Message,
    reason: &Reason,
    receipt: Option<&Receipt>,
    now: Timestamp,
    attempts: u32,
) -> Vec<Publication> {
    let mut files = Vec::new();
    if let (JobKind::Payload, Some(payload)) = (message.kind, message.payload) {
        let report = serde_json::json!({
            "id": message.id, "file": message.file_name, "partner": message.partner, "at": customs_time(now),
            "message_id": message.message_id, "attempts": attempts, "code": reason.code, "text": reason.text,
        });
        let content = vec![
            (".error.json".to_owned(), Content::Text(format!("{report:#}\n"))),
            (String::new(), Content::Body(payload)),
        ];
        files.push(Publication { folder: Folder::Failed, name: message.file_name.clone(), files: content });
    }
    files.extend(receipt.map(|receipt| receipt_files(message, State::Failed, receipt, now, attempts)));
    files
}

/// What `receipts/<name>.mdn.json` says.
#[derive(Serialize)]
struct ReceiptReport<'a> {
    id: String,
    file: &'a str,
    partner: &'a str,
    state: State,
    message_id: Option<&'a str>,
    disposition: &'a str,
    mic: Option<&'a str>,
    mic_matches: Option<bool>,
    signed_by: Option<&'a str>,
    queued_at: String,
    received_at: String,
    attempts: u32,
    message_type: Option<&'a str>,
    documents: Option<u32>,
    cop_msg_id: Option<&'a str>,
}

fn receipt_files(message: &Message, state: State, receipt: &Receipt, now: Timestamp, attempts: u32) -> Publication {
    let declaration = message.declaration.as_ref();
    let report = ReceiptReport {
        id: message.id.to_string(),
        file: &message.file_name,
        partner: &message.partner,
        state,
        message_id: message.message_id.as_deref(),
        disposition: &receipt.disposition,
        mic: receipt.mic.as_deref(),
        mic_matches: receipt.mic_matches,
        signed_by: receipt.signer.as_deref(),
        queued_at: customs_time(message.created),
        received_at: customs_time(now),
        attempts,
        message_type: declaration.map(|declaration| declaration.message_type.as_str()),
        documents: declaration.map(|declaration| declaration.documents),
        cop_msg_id: declaration.and_then(|declaration| declaration.cop_msg_id.as_deref()),
    };
    let text = serde_json::to_string_pretty(&report).unwrap_or_default() + "\n";
    Publication {
        folder: Folder::Receipts,
        name: format!("{}.mdn", message.file_name),
        files: vec![(".json".to_owned(), Content::Text(text)), (String::new(), Content::Body(receipt.body))],
    }
}

fn noise() -> f64 {
    let step = u32::try_from(random::below(2001)).unwrap_or(1000);
    f64::from(step) / 1000.0 - 1.0
}

fn no_receipt() -> Reason {
    let text = bilingual!(
        "对方已接收传输，但没有返回要求的回执（MDN）。",
        "the transfer succeeded, but the MDN that was asked for did not come back."
    );
    Reason { code: "mdn-missing".to_owned(), text }
}

/// What the last attempt came to, once no other one follows. Reasons themselves say nothing of what follows them.
fn given_up(last: Reason) -> Reason {
    let Reason { code, text: Bilingual { zh, en } } = last;
    let text = bilingual!(
        "已放弃投递，网关不再自动发送。请排除原因，然后用 dxgate messages retry 继续。最后一次的结果：{zh}",
        "delivery was given up, and nothing more is sent by itself. Mend the cause, then go on with dxgate messages retry. The last attempt: {en}"
    );
    Reason { code, text }
}

fn log(message: &Message, outcome: Outcome, next: Next, reason: Option<&Reason>) {
    let code = reason.map_or("", |reason| reason.code.as_str());
    let (id, partner) = (message.id, message.partner.as_str());
    match next {
        Next::Deliver => tracing::info!(%id, partner, code, "delivered"),
        Next::Await { deadline } => tracing::info!(%id, partner, %deadline, "transferred; the MDN is awaited"),
        Next::RetryAt(due) => tracing::warn!(%id, partner, code, %due, ?outcome, "not delivered; sent again later"),
        Next::Hold => tracing::warn!(%id, partner, code, ?outcome, "held: a person has to decide"),
        Next::Fail => tracing::warn!(%id, partner, code, ?outcome, "failed"),
    }
}

#[cfg(test)]
#[path = "outcome_tests.rs"]
mod tests;
