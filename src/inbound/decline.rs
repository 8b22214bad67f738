//! Step 4, where the answer is no: why a message is refused, and what is kept of it.

use std::io::Read as _;

use super::Inbound;
use super::asynchronous::{add_mdn_job, asks_later};
use super::candidate::Candidate;
use super::exchange::Heard;
use super::failures::Whose;
use super::no_answer::NoAnswer;
use super::open::Verified;
use super::reply::{Answer, Told, receipt_of};
use crate::as2::request::Request;
use crate::as2::{AcceptPolicy, Disposition, Mic, OpenFailure};
use crate::bilingual;
use crate::ground::drain;
use crate::ground::id::Id;
use crate::ground::text::Bilingual;
use crate::store::Transaction;
use crate::store::draft::Draft;
use crate::store::record::{Body, Fact, Reason};

/// Bytes kept of a message that is not accepted, refused or repeated: anybody can send one, and as often as they like,
/// so it must not fill the disk.
const EVIDENCE: u64 = 64 * 1024;

/// Why a message is refused, for the partner and for us.
pub(super) struct Refusal {
    pub(super) may_sign: bool,
    pub(super) told: Disposition,
    /// The digest of what was received, where it may be told.
    pub(super) mic: Option<Mic>,
    pub(super) explanation: &'static str,
    pub(super) code: &'static str,
    pub(super) text: Bilingual,
}

impl Refusal {
    pub(super) fn of(failure: OpenFailure) -> Refusal {
        Refusal {
            may_sign: true,
            told: failure.told,
            mic: failure.mic.map(|mic| *mic),
            explanation: failure.explanation,
            code: failure.cause.code(),
            text: failure.cause.text(),
        }
    }

    pub(super) fn other_content(mic: Option<Mic>) -> Refusal {
        Refusal {
            may_sign: true,
            told: Disposition::unexpected_processing_error(),
            mic,
            explanation: "A message with the same Message-ID and different content was received before.",
            code: "duplicate-other-content",
            text: bilingual!(
                "对方用同一 Message-ID 发送了内容不同的报文，未投递。请联系对方：同一 Message-ID 只能用于相同内容的重发。",
                "the partner reused a Message-ID for different content; it was not delivered. Ask the partner: a Message-ID may only be repeated for the same content."
            ),
        }
    }
}

impl Inbound {
    /// Whether a message that opens would be refused all the same. Who cannot tell says yes.
    pub(super) async fn would_refuse(&self, candidate: &Candidate, verified: Verified) -> bool {
        let (flow, partner) = (self.clone(), candidate.partner.clone());
        let judge = move || {
            let unusable = match &verified.heard {
                Some(Heard::Unusable(_)) => true,
                Some(Heard::Asked(..)) => flow.asks_too_often(&partner),
                Some(Heard::Answered(..)) | None => false,
            };
            unusable || flow.misnamed(&partner, &verified).is_some()
        };
        drain::blocking(judge).await.unwrap_or(true)
    }

    /// Records a refusal and its MDN; of what does not come from where the partner is known to be so many in an hour, signed or
    /// not, and the others are told alone.
    pub(super) async fn decline(
        &self,
        candidate: &Candidate,
        whose: Whose,
        wire: Draft,
        refusal: Refusal,
    ) -> Result<Answer, NoAnswer> {
        let Candidate { partner, request, .. } = candidate;
        let (id, now) = (candidate.id, self.clock.now());
        // What is answered later was recorded when it was taken, and has its place among what is kept.
        let kept = asks_later(request) || self.failures.keep(&partner.id, whose);
        tracing::warn!(%id, partner = %partner.id, code = refusal.code, kept, "refused: {}", refusal.text);
        let told = Told {
            disposition: refusal.told.clone(),
            mic: refusal.mic,
            explanation: refusal.explanation,
            may_sign: refusal.may_sign,
        };
        let mic = told.mic.clone();
        let built = self.build_mdn(partner, request, told).await?;
        if !kept {
            return Ok(Answer { mdn: built.map(|built| (built.headers, built.body)), queued: false });
        }
        let mut transaction = Transaction::new(now);
        let mdn = built.as_ref().map(|built| receipt_of(built, &refusal.told, mic.as_ref(), &mut transaction));
        let wire = wire.into_body(&mut transaction);
        let reason = Reason { code: refusal.code.to_owned(), text: refusal.text };
        let fact = Fact::Declined {
            partner: partner.id.clone(),
            message_id: request.message_id.as_str().to_owned(),
            headers: request.headers.clone(),
            wire,
            reason: reason.clone(),
            mdn,
        };
        transaction.fact(id, fact);
        self.let_go_of_the_rest(id, wire, &mut transaction);
        let queued = asks_later(request) && built.is_some();
        if let Some(built) = built.as_ref().filter(|_| queued) {
            add_mdn_job(&mut transaction, now, id, partner, &built.headers, built.body.clone());
        }
        self.store.commit(transaction).await.map_err(NoAnswer::Journal)?;
        if matches!(whose, Whose::Partners | Whose::SignedElsewhere) {
            self.refusals.note(&partner.id, &reason, built.is_some(), now);
        }
        Ok(Answer { mdn: built.map(|built| (built.headers, built.body)), queued })
    }

    /// What is kept of a message that is not accepted: its beginning.
    pub(super) fn evidence(&self, wire: Draft) -> Result<Draft, NoAnswer> {
        if wire.len() <= EVIDENCE {
            return Ok(wire);
        }
        let mut beginning = Vec::new();
        let read = wire.open(&self.store).and_then(|body| body.take(EVIDENCE).read_to_end(&mut beginning));
        read.map_err(NoAnswer::Storage)?;
        Ok(Draft::Inline(beginning))
    }

    /// A reception that is answered later has all its bytes, since it was taken with them; refused, it keeps `kept`.
    pub(super) fn let_go_of_the_rest(&self, id: Id, kept: Body, transaction: &mut Transaction) {
        let taken = self.store.message(&id).filter(|record| record.legal_hold.is_none());
        let Some(taken) = taken.and_then(|record| record.wire).filter(|taken| taken.id != kept.id) else { return };
        let text =
            bilingual!("未接收的报文只保留开头部分。", "of a message that is not accepted the beginning is kept.");
        let why = Reason { code: "refused-shortened".to_owned(), text };
        transaction.fact(id, Fact::BodiesDropped { why, bodies: vec![taken.id] });
    }
}

/// What can be refused before any cryptography.
pub(super) fn precondition(request: &Request, policy: &AcceptPolicy) -> Option<Refusal> {
    let told = request.unmet(policy)?;
    let may_sign = request.receipt_can_be_signed(policy);
    let explanation = "The receipt that the message asks for is not supported.";
    let text = bilingual!(
        "对方要求的回执格式或算法不受支持，未接收。请与对方商定回执选项。",
        "the receipt that the partner asks for is not supported; the message was not accepted. Agree on the receipt options."
    );
    Some(Refusal { may_sign, told, mic: None, explanation, code: "mdn-options-unsupported", text })
}
