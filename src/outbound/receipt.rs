//! Step 6, first half: an MDN, in the response or POSTed later, is held against what was sent.
//!
//! Only an MDN of this partner, about this message, signed as asked and with a digest of ours changes a state.
//!
//! | MDN | state | kept | alert |
//! |---|---|---|---|
//! | decisive, message open (waiting, retried, held) | Delivered, Failed or Held | with the message | when it fails or holds |
//! | the same as the one that settled, also once a person has retried the message that it failed | stays | no | – |
//! | positive after a negative one, or the reverse | stays | as stray receipt | `mdn-contradicts` |
//! | positive or negative, after delivery was given up or cancelled | stays | as stray receipt | `mdn-late` |
//! | with another MIC, message settled | stays | as stray receipt | `mdn-mic-mismatch` |
//! | `duplicate-document` without a MIC, and nothing shows that the partner had the message whole | Held | as stray receipt | `mdn-duplicate-unproven` |
//! | the same about an earlier Message-ID (`fresh_message_id`) | stays | a few | a warning that ends with delivery |
//! | negative about an earlier Message-ID, message not delivered | stays | as stray receipt | `mdn-superseded`, which ends with delivery |
//! | unsigned though asked, bad signature, other parties, no MIC | stays, or Failed where it comes with the last attempt | a few | a warning that ends with delivery; an error with Failed |
//! | about no message of ours, signed by the partner | – | as a record of its own | `mdn-unknown-message` |
//! | about no message of ours, not proven to be the partner's; unreadable | – | counted and logged: anybody can send it | – |

use std::sync::atomic::Ordering;

use sha2::{Digest, Sha256};

use super::Outbound;
use super::outcome::{Examined, Seen, is_worth_keeping};
use super::retry::Outcome;
use crate::as2::mdn::{self, Mdn};
use crate::as2::verdict::{self, Doubt, MicMatch, Sent, Verdict};
use crate::as2::{As2Name, MessageId, Mic, MicVariant, NotificationOptions, SentMic, SentMics, headers};
use crate::bilingual;
use crate::cms::DigestAlgorithm;
use crate::ground::drain;
use crate::ground::id::Id;
use crate::ground::text::{Bilingual, printable};
use crate::mime::Headers;
use crate::partner::Partner;
use crate::store::record::{Came, Fact, JobKind, Message, Reason, Receipt, State};
use crate::store::{CommitError, Transaction};

/// What became of an MDN that was POSTed to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// It settled its message.
    Settled,
    /// Its message was settled already; it is kept, unless it says what is known.
    Late,
    /// It is about no message of ours to this partner.
    Unknown,
    /// It is no MDN.
    Unreadable,
}

impl Outbound {
    /// Reads an MDN about `message` and says what it comes to. Attempt `attempt` has brought it about, or an earlier one.
    pub(super) async fn examine_mdn(
        &self,
        partner: &Partner,
        message: &Message,
        attempt: u32,
        head: &Headers,
        body: &[u8],
    ) -> Examined {
        let trusted = partner.trusted(self.clock.now());
        let parsed = match mdn::parse(head, body, &trusted, &self.limits) {
            Ok(parsed) => parsed,
            Err(error) => {
                let reason = unreadable(&error.to_string());
                return Examined { reason: Some(reason), ..Examined::plain(Outcome::NoReceipt) };
            }
        };
        let mics = self.mics_for(message, &parsed).await;
        let verdict = self.judge(partner, message, attempt, &mics, &parsed);
        let receipt = Some(seen(head, body, &parsed, &verdict));
        let (outcome, reason) = match &verdict {
            Verdict::Accepted { matched: None } if asked_for_signature(message) => {
                (Outcome::Accepted, Some(reason(Doubt::NoMic.code(), Doubt::NoMic.text())))
            }
            Verdict::Accepted { matched } => {
                let variant = matched.filter(|matched| !matched.is_ordinary());
                let variant = variant.map(|matched| mic_variant(matched, expected_algorithm(partner, message)));
                (Outcome::Accepted, variant.or_else(|| other_recipient(message, &parsed)))
            }
            Verdict::Refused { disposition } => {
                let passing =
                    partner.delivery.retry_processing_error && disposition.says("unexpected-processing-error");
                let outcome = if passing { Outcome::Troubled } else { Outcome::Refused };
                (outcome, Some(reason("mdn-negative", refused(&verdict, &parsed))))
            }
            Verdict::Doubtful(doubt @ (Doubt::MicMismatch | Doubt::Duplicate)) => {
                (Outcome::Contradicted, Some(reason(doubt.code(), verdict.text())))
            }
            Verdict::Doubtful(Doubt::BadSignature) if self.is_by_distrusted(partner, head, body) => {
                (Outcome::NoReceipt, Some(signed_by_revoked()))
            }
            Verdict::Doubtful(doubt) => (Outcome::NoReceipt, Some(reason(doubt.code(), doubted(*doubt, &parsed)))),
        };
        let came = if outcome == Outcome::Troubled { Came::Refused } else { Came::Unknown };
        Examined { outcome, reason, receipt, came }
    }

    /// Whether the receipt is signed with a certificate that was taken back.
    fn is_by_distrusted(&self, partner: &Partner, head: &Headers, body: &[u8]) -> bool {
        let distrusted = partner.distrusted(self.clock.now());
        let parsed = mdn::parse(head, body, &distrusted, &self.limits);
        !distrusted.is_empty() && parsed.is_ok_and(|parsed| matches!(parsed.signature, Ok(Some(_))))
    }

    /// The message's digests, with the one that the MDN names if it was not computed when the message was composed.
    /// Only the partner, by its signature, can make us compute one.
    async fn mics_for(&self, message: &Message, parsed: &Mdn) -> SentMics {
        let about = parsed.original_message_id.as_ref();
        let mics = about.and_then(|about| sent_as(message, about)).map_or(&message.mics, |sent| sent.mics).clone();
        let signed = matches!(parsed.signature, Ok(Some(_)));
        let named = parsed.mic.as_ref().filter(|_| signed).map(|mic| mic.algorithm);
        let named = named.filter(|algorithm| mics.lacks(*algorithm));
        if let Some(mic) = confirmed(message, named) {
            let mut mics = mics;
            mics.expected.push(SentMic { mic, variant: MicVariant::Exact });
            return mics;
        }
        let (Some(algorithm), Some(payload)) = (named, message.payload) else { return mics };
        let (store, known) = (self.store.clone(), mics.clone());
        let work = move || known.with(algorithm, &mut store.read(&payload)?);
        match drain::blocking(work).await.map_err(std::io::Error::other).and_then(|mics| mics) {
            Ok(mics) => mics,
            Err(error) => {
                tracing::error!(id = %message.id, %error, code = "storage-failed", "the digest that an MDN names could not be computed");
                mics
            }
        }
    }

    fn judge(&self, partner: &Partner, message: &Message, attempt: u32, mics: &SentMics, parsed: &Mdn) -> Verdict {
        let about = parsed.original_message_id.as_ref();
        let Some(SentAs { message_id, superseded, .. }) = about.and_then(|about| sent_as(message, about)) else {
            return Verdict::Doubtful(Doubt::WrongMessage);
        };
        let believed = partner.delivery.believe_duplicates || message.reach.was_answered_before(attempt);
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
            // What is delivered is no fragment; what went out under an earlier Message-ID went out once.
            had_before: message.state == State::Delivered || (believed && !superseded),
            digests: &partner.signature_digests(self.clock.now()),
            algorithm: expected_algorithm(partner, message),
        };
        let counts = !superseded || message.state.is_final() || is_latest(message, attempt, &message_id);
        match verdict::judge(parsed, &sent) {
            // They say nothing about the message as it is on its way now.
            Verdict::Doubtful(Doubt::Duplicate) if superseded => Verdict::Doubtful(Doubt::NoMic),
            Verdict::Refused { .. } if !counts => Verdict::Doubtful(Doubt::Superseded),
            verdict => verdict,
        }
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
                self.count_unproven(partner, "mdn-unreadable", &error.to_string());
                return Ok(Arrival::Unreadable);
            }
        };
        let about = parsed.original_message_id.as_ref();
        let Some(message) = about.and_then(|id| self.store.by_message_id(&partner.id, id.as_str())) else {
            self.keep_unknown(partner, head, body, &parsed).await?;
            return Ok(Arrival::Unknown);
        };
        let examined = self.examine_mdn(partner, &message, message.attempts, head, body).await;
        if is_known(&message, &examined) {
            tracing::info!(id = %message.id, partner = %message.partner, "the refusal that settled the message came once more");
            return Ok(Arrival::Late);
        }
        let open = !message.state.is_final() && message.may_have_arrived();
        let decisive = examined.outcome != Outcome::NoReceipt;
        if open && decisive && self.settle(partner, &message, message.attempts, examined).await? {
            return Ok(Arrival::Settled);
        }
        // Examined once more: what it came to before is spent, and the message may have moved on.
        let message = self.store.message(&message.id).unwrap_or(message);
        let examined = self.examine_mdn(partner, &message, message.attempts, head, body).await;
        self.keep_stray(&message, examined).await?;
        Ok(Arrival::Late)
    }

    async fn keep_stray(&self, message: &Message, examined: Examined) -> Result<(), CommitError> {
        let Some(seen) = examined.receipt else { return Ok(()) };
        let reason = match examined.outcome {
            Outcome::Accepted | Outcome::Refused | Outcome::Troubled => {
                let positive = examined.outcome == Outcome::Accepted;
                match afterwards(message, positive) {
                    Some(reason) => reason,
                    None => return Ok(()),
                }
            }
            _ => examined.reason.unwrap_or_else(|| late(message, false)),
        };
        let mut transaction = Transaction::new(self.clock.now());
        let receipt = seen.into_receipt(&mut transaction);
        if !is_worth_keeping(message, &receipt, &reason.code) {
            return Ok(());
        }
        tracing::warn!(id = %message.id, partner = %message.partner, code = %reason.code, "a receipt without effect: {}", reason.text);
        transaction.fact(message.id, Fact::StrayReceipt { reason, receipt });
        self.store.commit(transaction).await.map(drop)
    }

    /// An MDN about no message of ours. With the partner's signature it is evidence, and perhaps a sign that something
    /// was lost here; without, anybody can have sent it.
    async fn keep_unknown(
        &self,
        partner: &Partner,
        head: &Headers,
        body: &[u8],
        parsed: &Mdn,
    ) -> Result<(), CommitError> {
        let about = parsed.original_message_id.as_ref().map_or("", |id| id.as_str());
        if !matches!(parsed.signature, Ok(Some(_))) {
            self.count_unproven(partner, "mdn-unknown-message", about);
            return Ok(());
        }
        let seen = seen(head, body, parsed, &Verdict::Doubtful(Doubt::WrongMessage));
        let known = self.store.received_under(&partner.id, about).filter(|known| known.kind == JobKind::Mdn);
        if known.and_then(|known| known.receipt).is_some_and(|known| known.disposition == seen.disposition) {
            return Ok(());
        }
        let now = self.clock.now();
        let mut transaction = Transaction::new(now);
        let receipt = seen.into_receipt(&mut transaction);
        let (partner, message_id) = (partner.id.clone(), about.to_owned());
        let fact = Fact::UnknownReceipt { partner, message_id, reason: unknown(about), receipt };
        transaction.fact(Id::new(now), fact);
        self.store.commit(transaction).await.map(drop)
    }

    /// Notes an MDN that nobody vouches for. The log gets the first, the second, the fourth …: it must not fill either.
    fn count_unproven(&self, partner: &Partner, code: &str, detail: &str) {
        let count = self.unproven.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        if count.is_power_of_two() {
            let detail = printable(detail);
            tracing::warn!(partner = %partner.id, code, count, "an MDN that nobody vouches for is dropped: {detail}");
        }
    }
}

/// The digest of a settled message in this algorithm, if a receipt with it was held against the payload before: whoever sends that
/// once more, as often as he likes, has nothing read again.
fn confirmed(message: &Message, named: Option<DigestAlgorithm>) -> Option<Mic> {
    let kept = message.receipt.iter().chain(message.strays.iter().map(|stray| &stray.receipt));
    let held = kept.filter(|kept| message.state.is_final() && kept.mic_matches == Some(true));
    held.filter_map(|held| held.mic.as_ref()?.parse::<Mic>().ok()).find(|mic| Some(mic.algorithm) == named)
}

fn signed_by_revoked() -> Reason {
    let text = bilingual!(
        "回执由已吊销的证书签名，不予采信。请与对方核实并换用新证书。",
        "the receipt is signed with a certificate that its issuer has revoked, so it proves nothing. Ask the partner, then replace the certificate."
    );
    Reason { code: "certificate-revoked".to_owned(), text }
}

/// What a message was sent as.
struct SentAs<'m> {
    message_id: MessageId,
    /// Those that were computed for it.
    mics: &'m SentMics,
    /// By now it is sent as something else.
    superseded: bool,
}

/// As what this message was sent that an MDN is about.
fn sent_as<'m>(message: &'m Message, about: &MessageId) -> Option<SentAs<'m>> {
    let now = message.message_id.iter().map(|id| (id, &message.mics, false));
    let earlier = message.earlier.iter().map(|earlier| (&earlier.message_id, &earlier.mics, true));
    let mut all = now
        .chain(earlier)
        .filter_map(|(id, mics, superseded)| Some(SentAs { message_id: MessageId::parse(id).ok()?, mics, superseded }));
    all.find(|sent| sent.message_id.key() == about.key())
}

/// Whether the partner can have seen nothing of the message since it was sent under this Message-ID. An attempt `attempt` that the
/// message does not know yet is the one that is answered.
fn is_latest(message: &Message, attempt: u32, message_id: &MessageId) -> bool {
    let last = message.earlier.last().and_then(|earlier| MessageId::parse(&earlier.message_id).ok());
    let unseen = attempt == message.attempts && message.reach.is_none(message.attempts);
    unseen && last.is_some_and(|last| last.key() == message_id.key())
}

/// Whether this is the refusal that settled the message before, sent once more before what a person has retried since was
/// transferred. Behind that it may be the answer to it: whoever gets a Message-ID again repeats what it said.
fn is_known(message: &Message, examined: &Examined) -> bool {
    let refused = matches!(examined.outcome, Outcome::Refused | Outcome::Troubled);
    let both = message.receipt.as_ref().zip(examined.receipt.as_ref());
    refused && message.transfers == 0 && both.is_some_and(|(known, seen)| is_repetition(known, seen))
}

/// By the MDN's own Message-ID, else by its bytes. It must say the same besides, by the same key: a Message-ID need not be unique.
fn is_repetition(known: &Receipt, seen: &Seen) -> bool {
    let own = |fields: &Headers| fields.get(headers::MESSAGE_ID).and_then(|id| MessageId::parse(id).ok());
    let same = match (own(&known.headers), own(&seen.headers)) {
        (Some(known), Some(seen)) => known.key() == seen.key(),
        _ => {
            let digest: [u8; 32] = Sha256::digest(&seen.raw).into();
            known.body.sha256 == Some(digest)
        }
    };
    same && known.disposition == seen.disposition && known.signer == seen.signer
}

/// What a credible MDN about a settled message is; `None` when it says what is known already.
fn afterwards(message: &Message, positive: bool) -> Option<Reason> {
    let answered = message.receipt.is_some();
    match message.state {
        State::Delivered => (!positive).then(|| contradicts(message.state)),
        State::Failed if answered => positive.then(|| contradicts(message.state)),
        _ => Some(late(message, positive)),
    }
}

fn asked_for_signature(message: &Message) -> bool {
    message.headers.get(headers::NOTIFICATION_OPTIONS).is_some()
}

/// The algorithm that the receipt should use. Where the message lists none, that of its signature; `None`: any.
fn expected_algorithm(partner: &Partner, message: &Message) -> Option<DigestAlgorithm> {
    let signature = partner.agreement.sign.map(|_| partner.agreement.digest);
    let asked = message.headers.get(headers::NOTIFICATION_OPTIONS).map(NotificationOptions::parse);
    asked.map_or(signature, |asked| NotificationOptions::expected(&asked.micalgs, signature))
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
        "对方的答复不是可识别的 MDN（{error}）；如持续出现，请联系对方。",
        "the partner's answer is no readable MDN ({error}); if it persists, ask the partner."
    );
    reason("mdn-unreadable", text)
}

fn mic_variant(matched: MicMatch, expected: Option<DigestAlgorithm>) -> Reason {
    let MicMatch { algorithm, variant, .. } = matched;
    let text = match (variant, expected) {
        (MicVariant::Exact, Some(expected)) => bilingual!(
            "MIC 相符，但对方使用的算法是 {algorithm}，而非所要求的 {expected}，已接受。建议与对方核对 micalg。",
            "the MIC matches, in {algorithm} instead of {expected} that was asked for, and was accepted. Settle micalg with the partner."
        ),
        _ => bilingual!(
            "MIC 与另一种计算方式（{variant:?}）相符，已接受。建议请对方核对其 MIC 算法。",
            "the MIC matches in another variant ({variant:?}) and was accepted. The partner should check how it computes MICs."
        ),
    };
    reason("mic-variant", text)
}

/// The receipt counts although it says that the message reached somebody else: products put all sorts of names there.
fn other_recipient(message: &Message, parsed: &Mdn) -> Option<Reason> {
    let to = message.headers.get(headers::AS2_TO).and_then(|name| As2Name::parse(name).ok())?;
    let said = parsed.final_recipient.as_deref().filter(|said| *said != to.as_str())?;
    let text = bilingual!(
        "已接受回执，但其 Final-Recipient 为 {said}，不是报文的接收方 {to}。建议请对方核对其 AS2 标识。",
        "the receipt was accepted, but its Final-Recipient is {said}, not {to} to whom the message went. The partner should check its AS2 name."
    );
    Some(reason("mdn-recipient-differs", text))
}

/// The refusal, with what the partner adds to it in fields of its own (RFC 8098 3.2.7).
fn refused(verdict: &Verdict, parsed: &Mdn) -> Bilingual {
    if parsed.remarks.is_empty() {
        return verdict.text();
    }
    let Bilingual { zh, en } = verdict.text();
    let remarks = parsed.remarks.join("; ");
    let remarks: String = remarks.chars().take(500).collect();
    bilingual!("{zh}（{remarks}）", "{en} ({remarks})")
}

/// Who does not know us cannot sign for us: a receipt that proves nothing often says all the same what is wrong.
fn doubted(doubt: Doubt, parsed: &Mdn) -> Bilingual {
    let Bilingual { zh, en } = match &parsed.signature {
        Err(cause) if doubt == Doubt::BadSignature => {
            let Bilingual { zh, en } = cause.text();
            bilingual!("回执签名无效：{zh}", "the signature of the receipt is not valid: {en}")
        }
        _ => doubt.text(),
    };
    if doubt == Doubt::Superseded {
        let said = printable(&parsed.disposition.to_string());
        return bilingual!("{zh}。该回执称：{said}", "{en}. It says: {said}");
    }
    if parsed.disposition.is_positive() || !matches!(doubt, Doubt::Unsigned | Doubt::BadSignature) {
        return Bilingual { zh, en };
    }
    let said = printable(&parsed.disposition.to_string());
    bilingual!(
        "{zh}。该回执称（未经证实）：{said}。请先核对双方的 AS2 标识和证书",
        "{en}. It says, unproven: {said}. First check both AS2 names and the certificates"
    )
}

fn late(message: &Message, positive: bool) -> Reason {
    let state = message.state;
    let text = match (positive, state, message.successor) {
        (true, State::Failed | State::Cancelled, Some(successor)) => bilingual!(
            "报文已处于 {state:?} 状态，并已作为新报文 {successor} 重发，对方此后才确认收到原报文：对方可能收到两份。请与对方核对以哪一份为准；新报文若尚未发出，可用 dxgate messages cancel {successor} 取消。",
            "the message is {state:?} and was resent as {successor}, and only now the partner confirms it: it may have both. Ask which of the two it counts; if the new one has not left yet, end it with dxgate messages cancel {successor}."
        ),
        (true, State::Failed, None) => bilingual!(
            "报文已处于 {state:?} 状态，对方此后才确认收到。请勿作为新报文重发；用 dxgate messages retry 可发送相同的字节，取得同样的回执后记为已送达。",
            "the message is {state:?}, and only now the partner confirms it. Do not resend it as a new message; dxgate messages retry sends the same bytes, and the same receipt then marks it delivered."
        ),
        _ => bilingual!(
            "报文已处于 {state:?} 状态，后来的回执不改变它，仅存档。",
            "the message is {state:?} already; this later receipt changes nothing and is kept."
        ),
    };
    reason("mdn-late", text)
}

fn contradicts(state: State) -> Reason {
    let text = bilingual!(
        "报文已凭先前的回执记为 {state:?}，对方又返回了相反的回执；两份均已存档，状态不变。请与对方核实其是否收到该报文。",
        "the message is {state:?} by an earlier receipt, and the partner now says the contrary; both receipts are kept, the state stays. Ask the partner whether it has the message."
    );
    reason("mdn-contradicts", text)
}

fn unknown(about: &str) -> Reason {
    let about = printable(about);
    let text = bilingual!(
        "对方返回了经签名的回执，但本网关没有发送过报文 {about}。如曾从备份恢复，可能有报文丢失；否则请与对方核对。",
        "the partner signed a receipt about {about}, which this gateway never sent. After a restore from a backup, messages may be missing here; otherwise ask the partner."
    );
    reason("mdn-unknown-message", text)
}

#[cfg(test)]
#[path = "receipt_tests.rs"]
mod tests;
