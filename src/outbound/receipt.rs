//! Step 6, first half: an MDN, in the response or POSTed later, is held against what was sent.
//!
//! Only an MDN of this partner, about this message, signed as asked and with a digest of ours changes a state. All
//! others are kept as stray receipts and reported.

use super::Outbound;
use super::outcome::{Examined, Seen};
use super::retry::Outcome;
use crate::as2::mdn::{self, Mdn};
use crate::as2::verdict::{self, Doubt, Sent, Verdict};
use crate::as2::{As2Name, MessageId, SentMics, headers};
use crate::bilingual;
use crate::ground::text::{Bilingual, printable};
use crate::mime::Headers;
use crate::partner::Partner;
use crate::store::record::{Fact, Message, Reason, State};
use crate::store::{CommitError, Transaction};

/// What became of an MDN that was POSTed to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// It settled its message.
    Settled,
    /// Its message was settled already; it is kept.
    Late,
    /// It is about no message of ours to this partner.
    Unknown,
    /// It is no MDN.
    Unreadable,
}

impl Outbound {
    /// Reads an MDN about `message` and says what it comes to.
    pub(super) async fn examine_mdn(
        &self,
        partner: &Partner,
        message: &Message,
        head: &Headers,
        body: &[u8],
    ) -> Examined {
        let trusted = partner.trusted(self.clock.now());
        let parsed = match mdn::parse(head, body, &trusted, &self.limits) {
            Ok(parsed) => parsed,
            Err(error) => {
                let reason = unreadable(&error.to_string());
                return Examined { outcome: Outcome::NoReceipt, reason: Some(reason), receipt: None };
            }
        };
        let mics = self.mics_for(message, &parsed).await;
        let verdict = self.judge(partner, message, &mics, &parsed);
        let receipt = Some(seen(head, body, &parsed, &verdict));
        let (outcome, reason) = match &verdict {
            Verdict::Accepted { matched: None } if asked_for_signature(message) => {
                (Outcome::Accepted, Some(reason(Doubt::NoMic.code(), Doubt::NoMic.text())))
            }
            Verdict::Accepted { matched } => {
                let variant = matched.filter(|matched| !matched.is_ordinary());
                (Outcome::Accepted, variant.map(|matched| mic_variant(&format!("{:?}", matched.variant))))
            }
            Verdict::Refused { .. } => (Outcome::Refused, Some(reason("mdn-negative", verdict.text()))),
            Verdict::Doubtful(Doubt::MicMismatch) => {
                (Outcome::Contradicted, Some(reason(Doubt::MicMismatch.code(), verdict.text())))
            }
            Verdict::Doubtful(doubt) => (Outcome::NoReceipt, Some(reason(doubt.code(), doubt.text()))),
        };
        Examined { outcome, reason, receipt }
    }

    /// The message's digests, with the one that the MDN names if it was not computed when the message was composed.
    /// Only the partner, by its signature, can make us compute one.
    async fn mics_for(&self, message: &Message, parsed: &Mdn) -> SentMics {
        let signed = matches!(parsed.signature, Ok(Some(_)));
        let named = parsed.mic.as_ref().filter(|_| signed).map(|mic| mic.algorithm);
        let named = named.filter(|algorithm| message.mics.lacks(*algorithm));
        let (Some(algorithm), Some(payload)) = (named, message.payload) else { return message.mics.clone() };
        let (store, mics) = (self.store.clone(), message.mics.clone());
        let work = move || mics.with(algorithm, &mut store.read(&payload)?);
        match tokio::task::spawn_blocking(work).await.map_err(std::io::Error::other).and_then(|mics| mics) {
            Ok(mics) => mics,
            Err(error) => {
                tracing::error!(id = %message.id, %error, code = "storage-failed", "the digest that an MDN names could not be computed");
                message.mics.clone()
            }
        }
    }

    fn judge(&self, partner: &Partner, message: &Message, mics: &SentMics, parsed: &Mdn) -> Verdict {
        let sent_id = message.message_id.as_deref().and_then(|id| MessageId::parse(id).ok());
        let Some(message_id) = sent_id else { return Verdict::Doubtful(Doubt::WrongMessage) };
        let from = message.headers.get(headers::AS2_FROM).and_then(|name| As2Name::parse(name).ok());
        let to = message.headers.get(headers::AS2_TO).and_then(|name| As2Name::parse(name).ok());
        let (from, to) = (from.unwrap_or(self.station.as2_name.clone()), to.unwrap_or(partner.as2_name.clone()));
        let signed_wanted = asked_for_signature(message);
        let sent = Sent {
            message_id: &message_id,
            from: &from,
            to: &to,
            mics,
            signed_wanted,
            digests: &partner.signature_digests(self.clock.now()),
            algorithm: partner.agreement.sign.map(|_| partner.agreement.digest),
        };
        verdict::judge(parsed, &sent)
    }

    /// Takes an MDN that arrived as a message of its own. `partner` is the one named in `AS2-From`.
    ///
    /// # Errors
    /// The journal refused; the partner must be told to send it again.
    pub async fn mdn_arrived(&self, partner: &Partner, head: &Headers, body: &[u8]) -> Result<Arrival, CommitError> {
        let trusted = partner.trusted(self.clock.now());
        let parsed = match mdn::parse(head, body, &trusted, &self.limits) {
            Ok(parsed) => parsed,
            Err(error) => {
                tracing::warn!(partner = %partner.id, code = "mdn-unreadable", "what arrived as an MDN cannot be read: {error}");
                return Ok(Arrival::Unreadable);
            }
        };
        let about = parsed.original_message_id.as_ref();
        let Some(message) = about.and_then(|id| self.store.by_message_id(&partner.id, id.as_str())) else {
            let id = about.map_or(String::new(), |id| printable(id.as_str()));
            tracing::warn!(partner = %partner.id, original_message_id = %id, code = "mdn-unknown-message", "an MDN about no message of ours");
            return Ok(Arrival::Unknown);
        };
        let examined = self.examine_mdn(partner, &message, head, body).await;
        let open = !message.state.is_final() && message.attempts > 0;
        let decisive = matches!(examined.outcome, Outcome::Accepted | Outcome::Refused | Outcome::Contradicted);
        if open && decisive && self.settle(partner, &message, message.attempts, examined).await? {
            return Ok(Arrival::Settled);
        }
        // Examined once more: what it came to before is spent, and the message may have moved on.
        let message = self.store.message(&message.id).unwrap_or(message);
        let examined = self.examine_mdn(partner, &message, head, body).await;
        self.keep_stray(&message, examined).await?;
        Ok(Arrival::Late)
    }

    async fn keep_stray(&self, message: &Message, examined: Examined) -> Result<(), CommitError> {
        let Some(seen) = examined.receipt else { return Ok(()) };
        let same = message.receipt.as_ref().is_some_and(|kept| kept.disposition == seen.disposition);
        if same && examined.outcome == Outcome::Accepted {
            return Ok(());
        }
        let reason = examined.reason.unwrap_or_else(|| late(message.state));
        tracing::warn!(id = %message.id, partner = %message.partner, code = %reason.code, "a receipt without effect: {}", reason.text);
        let mut transaction = Transaction::new(self.clock.now());
        let receipt = seen.into_receipt(&mut transaction);
        transaction.fact(message.id, Fact::StrayReceipt { reason, receipt });
        self.store.commit(transaction).await.map(drop)
    }
}

fn asked_for_signature(message: &Message) -> bool {
    message.headers.get(headers::NOTIFICATION_OPTIONS).is_some()
}

fn seen(head: &Headers, body: &[u8], parsed: &Mdn, verdict: &Verdict) -> Seen {
    let mut raw = head.to_bytes();
    raw.extend_from_slice(b"\r\n");
    raw.extend_from_slice(body);
    let mic_matches = match verdict {
        Verdict::Accepted { matched } => matched.map(|_| true),
        Verdict::Doubtful(Doubt::MicMismatch) => Some(false),
        _ => None,
    };
    Seen {
        headers: head.clone(),
        raw,
        disposition: parsed.disposition.to_string(),
        mic: parsed.mic.as_ref().map(ToString::to_string),
        mic_matches,
        signer: parsed.signature.as_ref().ok().and_then(Option::as_ref).map(|valid| valid.signer().to_string()),
    }
}

fn reason(code: &str, text: Bilingual) -> Reason {
    Reason { code: code.to_owned(), text }
}

fn unreadable(error: &str) -> Reason {
    let text = bilingual!(
        "对方的答复不是可识别的 MDN（{error}）。将重发相同的字节；如持续出现，请联系对方。",
        "the partner's answer is no readable MDN ({error}). The same bytes are sent again; if it persists, ask the partner."
    );
    reason("mdn-unreadable", text)
}

fn mic_variant(variant: &str) -> Reason {
    let text = bilingual!(
        "MIC 与另一种计算方式（{variant}）相符，已接受。建议请对方核对其 MIC 算法。",
        "the MIC matches in another variant ({variant}) and was accepted. The partner should check how it computes MICs."
    );
    reason("mic-variant", text)
}

fn late(state: State) -> Reason {
    let text = bilingual!(
        "报文已处于 {state:?} 状态，后来的回执不改变它，仅存档。",
        "the message is {state:?} already; this later receipt changes nothing and is kept."
    );
    reason("mdn-late", text)
}
