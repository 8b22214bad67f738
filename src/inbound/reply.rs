//! Step 4: the answer. A positive MDN needs the proofs of verification and storage; it is committed before it is sent.

use std::io;
use std::sync::Arc;

use tokio::time::Instant;

use super::Inbound;
use super::asynchronous::{add_mdn_job, asks_later};
use super::decline::{Refusal, precondition};
use super::failures::Admission;
use super::no_answer::NoAnswer;
use super::open::{NotOpened, Verified};
use super::publish::{Published, dedup_key};
use super::reasons::{repetition, signed_by_revoked};
use super::receive::{MessageArrived, Reception, busy, too_many};
use super::recordings::Sight;
use super::restart::not_judged;
use super::terms::Provenance;
use super::waiting::wait_out;
use crate::as2::headers;
use crate::as2::mdn::{self, BuiltMdn, MdnPlan};
use crate::as2::proof;
use crate::as2::request::{MdnRequest, Request};
use crate::as2::{Disposition, MessageId, Mic};
use crate::cms::{DigestAlgorithm, SignatureValid};
use crate::ground::drain;
use crate::ground::id::Id;
use crate::http::Reply;
use crate::mime::Headers;
use crate::partner::Partner;
use crate::store::Transaction;
use crate::store::draft::Draft;
use crate::store::record::{Fact, Message, Receipt, State};

/// The human-readable part of a positive MDN.
const RECEIVED: &str = "The message was received, verified and stored.";

/// The answer to a message: the MDN as header fields and body, if one was asked for.
pub(super) struct Answer {
    pub(super) mdn: Option<(Headers, Vec<u8>)>,
    /// The MDN is a job of the queue already, committed together with what it answers.
    pub(super) queued: bool,
}

/// Which message is to be answered, and on whose request.
pub(super) struct Asked<'a> {
    /// The accepted message.
    pub(super) id: Id,
    /// The reception that asks: the message itself or a repetition.
    pub(super) asking: Id,
    pub(super) partner: &'a Arc<Partner>,
    pub(super) request: &'a Arc<Request>,
}

impl Inbound {
    /// Settles a message and answers it on the same connection, or, where it asked for that, takes it and answers later.
    pub async fn accept(&self, arrived: MessageArrived) -> Reply {
        if asks_later(&arrived.request) {
            return self.accept_asynchronously(arrived).await;
        }
        let id = Id::new(self.clock.now());
        let MessageArrived { partner, request, wire, origin, room: _room, turn, pieced } = arrived;
        let admission = match self.failures.enter(&partner.id, origin.clone()).await {
            Ok(admission) => admission,
            Err(refusal) => return too_many(&partner, &origin, refusal),
        };
        let reception = Reception { wire, admission: Some(admission), remote: Some(origin.remote), pieced };
        let settled = self.settle(id, &partner, &Arc::new(request), reception).await;
        match settled {
            Ok(Answer { mdn: Some((headers, body)), .. }) => {
                let mut reply = Reply::new(200).body(body);
                for (name, value) in headers.iter() {
                    reply = reply.header(name, value);
                }
                reply
            }
            Ok(Answer { mdn: None, .. }) => Reply::new(200),
            Err(NoAnswer::Pieced(failure)) => not_judged(&partner, &failure, turn),
            Err(error) => {
                tracing::error!(code = error.code(), "a message could not be answered: {}", error.text());
                busy()
            }
        }
    }

    /// Opens, publishes and answers a message; everything the answer promises is durable when this returns.
    pub(super) async fn settle(
        &self,
        id: Id,
        partner: &Arc<Partner>,
        request: &Arc<Request>,
        reception: Reception,
    ) -> Result<Answer, NoAnswer> {
        let begun = Instant::now();
        let Reception { wire, mut admission, remote, pieced } = reception;
        let whose = Admission::whose(admission.as_ref());
        if let Some(refusal) = precondition(request, &partner.accept_policy(self.clock.now())) {
            return self.decline(id, (partner, whose), request, self.evidence(wire)?, refusal).await;
        }
        let (wire, opened) = self.open(partner, request, wire).await;
        let refusal = match opened {
            Ok(verified) => {
                return self.record(id, partner, request, verified, (wire, remote), admission).await;
            }
            Err(NotOpened::Storage(error)) => {
                admission.iter_mut().for_each(Admission::undecided);
                return Err(NoAnswer::Storage(error));
            }
            Err(NotOpened::Refused(failure) | NotOpened::Revoked(failure)) if pieced => {
                wait_out(begun, wire.len()).await;
                Admission::note(admission, &failure);
                return Err(NoAnswer::Pieced(failure));
            }
            Err(NotOpened::Refused(failure)) => {
                wait_out(begun, wire.len()).await;
                Admission::note(admission, &failure);
                Refusal::of(*failure)
            }
            Err(NotOpened::Revoked(failure)) => {
                wait_out(begun, wire.len()).await;
                Admission::note(admission, &failure);
                Refusal { code: "certificate-revoked", text: signed_by_revoked(), ..Refusal::of(*failure) }
            }
        };
        self.decline(id, (partner, whose), request, self.evidence(wire)?, refusal).await
    }

    async fn record(
        &self,
        id: Id,
        partner: &Arc<Partner>,
        request: &Arc<Request>,
        verified: Verified,
        (wire, remote): (Draft, Option<String>),
        mut admission: Option<Admission>,
    ) -> Result<Answer, NoAnswer> {
        let key = dedup_key(request);
        let _in_turn = self.keys.lock(&key).await;
        let _names_in_turn = self.names_in_turn(partner, request, &verified.opened).await;
        let signed = verified.opened.signature.is_some();
        let sight = self.sight(id, partner, &key, &verified.opened);
        let fresh = sight == Some(Sight::Fresh);
        let at_home = admission.as_ref().is_some_and(|admission| admission.shows_home(fresh));
        let signed_at = verified.opened.signature.as_ref().and_then(SignatureValid::signing_time);
        let provenance = Provenance { remote, at_home, ahead: self.recordings.ahead(signed_at) };
        let published = self.publish(id, partner, request, verified, (wire, provenance)).await;
        let published = published.inspect_err(|_| admission.iter_mut().for_each(Admission::undecided));
        match published? {
            Published::New(answer) => {
                if let Some(admission) = &mut admission {
                    admission.accepted(fresh || !partner.accept.signature);
                }
                if let Some(Sight::Reused(first)) = sight {
                    let elsewhere = admission.as_ref().is_some_and(Admission::is_strange);
                    self.tell_of_reuse(id, partner, first, (signed_at, elsewhere));
                }
                answer
            }
            Published::Duplicate(opened, stored, existing) => {
                let unanswered = existing.receipt.is_none();
                let warned = partner.accept.warned_of_repetitions && !unanswered;
                let disposition = match warned {
                    true => Disposition::duplicate_document(&stored),
                    false => proof::processed(&opened, &stored),
                };
                tracing::info!(id = %existing.id, partner = %partner.id, warned, "a repetition; it is not delivered again");
                let mic = opened.mic.as_ref();
                let answer = match self.stored_answer(&existing, request, warned).map_err(NoAnswer::Storage)? {
                    Some(answer) => answer,
                    None if unanswered => {
                        let asked = Asked { id: existing.id, asking: id, partner, request };
                        self.answer(&asked, &disposition, mic).await?
                    }
                    None => self.answer_otherwise(existing.id, partner, request, &disposition, mic).await?,
                };
                self.close_repetition(id, partner, existing.id, answer).await
            }
            Published::Refused(refusal, wire) => {
                let whose = Admission::whose(admission.as_ref());
                let whose = if signed { whose.and_signed() } else { whose };
                self.decline(id, (partner, whose), request, self.evidence(wire)?, refusal).await
            }
        }
    }

    /// A repetition that was taken for an asynchronous answer has a record of its own: it ends here, together with the
    /// job that sends the earlier MDN again.
    async fn close_repetition(
        &self,
        id: Id,
        partner: &Partner,
        earlier: Id,
        answer: Answer,
    ) -> Result<Answer, NoAnswer> {
        let Some(record) = self.store.message(&id).filter(|record| record.state == State::Received) else {
            return Ok(answer);
        };
        let Some(wire) = record.wire else { return Ok(answer) };
        let now = self.clock.now();
        let mut transaction = Transaction::new(now);
        let wire = self.evidence(Draft::Stored(wire))?.into_body(&mut transaction);
        let fact = Fact::Declined {
            partner: partner.id.clone(),
            message_id: record.message_id.unwrap_or_default(),
            headers: record.headers,
            wire,
            reason: repetition(earlier),
            mdn: None,
        };
        transaction.fact(id, fact);
        self.let_go_of_the_rest(id, wire, &mut transaction);
        if let (false, Some((head, body))) = (answer.queued, &answer.mdn) {
            add_mdn_job(&mut transaction, now, id, partner, head, body.clone());
        }
        self.store.commit(transaction).await.map_err(NoAnswer::Journal)?;
        Ok(Answer { queued: true, ..answer })
    }

    /// The MDN for a repetition that asks for another kind than the message did at first: same disposition, same MIC,
    /// and kept like the first one.
    async fn answer_otherwise(
        &self,
        existing: Id,
        partner: &Arc<Partner>,
        request: &Arc<Request>,
        disposition: &Disposition,
        mic: Option<&Mic>,
    ) -> Result<Answer, NoAnswer> {
        let told = Told { disposition: disposition.clone(), mic: mic.cloned(), explanation: RECEIVED, may_sign: true };
        let Some(built) = self.build_mdn(partner, request, told).await? else {
            return Ok(Answer { mdn: None, queued: false });
        };
        let mut transaction = Transaction::new(self.clock.now());
        let receipt = receipt_of(&built, disposition, mic, &mut transaction);
        transaction.fact(existing, Fact::Answered { mdn: receipt });
        self.store.commit(transaction).await.map_err(NoAnswer::Journal)?;
        Ok(Answer { mdn: Some((built.headers, built.body)), queued: false })
    }

    /// Builds the MDN of a message that was accepted earlier and commits it.
    async fn answer(
        &self,
        asked: &Asked<'_>,
        disposition: &Disposition,
        mic: Option<&Mic>,
    ) -> Result<Answer, NoAnswer> {
        let mut transaction = Transaction::new(self.clock.now());
        let answer = self.answer_in(&mut transaction, asked, disposition, mic).await?;
        if answer.mdn.is_some() {
            self.store.commit(transaction).await.map_err(NoAnswer::Journal)?;
        }
        Ok(answer)
    }

    /// Builds the MDN of an accepted message and makes it part of `transaction`, without which it must not be sent.
    pub(super) async fn answer_in(
        &self,
        transaction: &mut Transaction,
        asked: &Asked<'_>,
        disposition: &Disposition,
        mic: Option<&Mic>,
    ) -> Result<Answer, NoAnswer> {
        let Asked { id, asking, partner, request } = *asked;
        let told = Told { disposition: disposition.clone(), mic: mic.cloned(), explanation: RECEIVED, may_sign: true };
        let Some(built) = self.build_mdn(partner, request, told).await? else {
            return Ok(Answer { mdn: None, queued: false });
        };
        let receipt = receipt_of(&built, disposition, mic, transaction);
        transaction.fact(id, Fact::Answered { mdn: receipt });
        let (queued, now) = (asks_later(request), transaction.at());
        if queued {
            add_mdn_job(transaction, now, asking, partner, &built.headers, built.body.clone());
        }
        Ok(Answer { mdn: Some((built.headers, built.body)), queued })
    }

    /// The MDN as the request asks for it; `None` when it asks for none. Signing is computation, so it runs on the
    /// blocking pool.
    pub(super) async fn build_mdn(
        &self,
        partner: &Arc<Partner>,
        request: &Arc<Request>,
        told: Told,
    ) -> Result<Option<BuiltMdn>, NoAnswer> {
        if request.mdn.is_none() {
            return Ok(None);
        }
        let (flow, partner, request) = (self.clone(), partner.clone(), request.clone());
        let built = drain::blocking(move || flow.build_mdn_blocking(&partner, &request, &told)).await;
        built.map_err(|error| NoAnswer::Storage(io::Error::other(error)))?.map(Some)
    }

    fn build_mdn_blocking(&self, partner: &Partner, request: &Request, told: &Told) -> Result<BuiltMdn, NoAnswer> {
        let now = self.clock.now();
        let message_id = MessageId::generate(Id::new(now), &self.station.message_id_host);
        let asked = request.mdn.as_ref().filter(|asked| told.may_sign && asked.options.signed);
        let signing = match asked {
            None => None,
            Some(asked) => {
                let digest = mdn_digest(asked, told.mic.as_ref());
                let awaited = self.store.awaited_certificates(&partner.id);
                let signing = self.station.withholding(&awaited).signing(now, digest, partner.agreement.sign);
                // An unsigned MDN would be no answer, and would be repeated for ever.
                Some(signing.ok_or(NoAnswer::NoKey)?)
            }
        };
        let plan = MdnPlan {
            from: &request.to,
            to: &request.from,
            original_message_id: Some(request.message_id.as_str()),
            disposition: &told.disposition,
            mic: told.mic.as_ref(),
            explanation: told.explanation,
            signing: signing.as_ref(),
            micalg_style: partner.agreement.micalg_style,
            version: partner.agreement.version,
            message_id: &message_id,
            date: now,
        };
        mdn::build(&plan).map_err(|error| NoAnswer::Storage(io::Error::other(error)))
    }

    /// The MDN that answered a message before, byte for byte, when the repetition asks for the same kind. `warned`: one that
    /// answered a repetition, where the agreement wants a warning.
    fn stored_answer(&self, existing: &Message, request: &Request, warned: bool) -> io::Result<Option<Answer>> {
        if existing.receipt.is_none() {
            return Ok(None);
        }
        let Some(asked) = &request.mdn else { return Ok(Some(Answer { mdn: None, queued: false })) };
        let mut kept = existing.receipt.iter().chain(&existing.further_receipts);
        let alike = |kept: &&Receipt| {
            asked.options.signed == is_signed(&kept.headers) && warned == is_warning(&kept.disposition)
        };
        let Some(receipt) = kept.find(alike) else {
            return Ok(None);
        };
        let raw = self.store.read_all(&receipt.body, receipt.body.len)?;
        let head = receipt.headers.to_bytes().len().saturating_add(2);
        let body = raw.get(head..).unwrap_or_default().to_vec();
        Ok(Some(Answer { mdn: Some((receipt.headers.clone(), body)), queued: false }))
    }
}

/// What an MDN shall say.
pub(super) struct Told {
    pub(super) disposition: Disposition,
    pub(super) mic: Option<Mic>,
    pub(super) explanation: &'static str,
    /// Signed if that was asked for. Not when the very request for a signature cannot be met (RFC 4130 7.5.3).
    pub(super) may_sign: bool,
}

fn is_signed(mdn: &Headers) -> bool {
    mdn.get(headers::CONTENT_TYPE).is_some_and(|value| value.to_ascii_lowercase().starts_with("multipart/signed"))
}

fn is_warning(disposition: &str) -> bool {
    Disposition::parse_received(disposition).is_ok_and(|disposition| disposition.says("duplicate-document"))
}

/// The digest that signs the MDN: that of its MIC, else the sender's first choice, else SHA-256. SM2 has its own.
pub(super) fn mdn_digest(asked: &MdnRequest, mic: Option<&Mic>) -> DigestAlgorithm {
    let floor = [DigestAlgorithm::Sha256, DigestAlgorithm::Sha384, DigestAlgorithm::Sha512];
    let by_mic = mic.map(|mic| mic.algorithm).filter(|algorithm| floor.contains(algorithm));
    by_mic.or_else(|| asked.options.preferred(&floor)).unwrap_or(DigestAlgorithm::Sha256)
}

pub(super) fn receipt_of(
    built: &BuiltMdn,
    disposition: &Disposition,
    mic: Option<&Mic>,
    transaction: &mut Transaction,
) -> Receipt {
    let mut raw = built.headers.to_bytes();
    raw.extend_from_slice(b"\r\n");
    raw.extend_from_slice(&built.body);
    Receipt {
        body: transaction.body(raw),
        headers: built.headers.clone(),
        disposition: disposition.to_string(),
        mic: mic.map(ToString::to_string),
        mic_matches: None,
        signer: built.signer.map(|signer| signer.to_string()),
    }
}
