//! Step 4: the answer. A positive MDN needs the proofs of verification and storage; it is committed before it is sent.

use std::io;
use std::sync::Arc;

use tokio::time::Instant;

use super::Inbound;
use super::asynchronous::{add_mdn_job, asks_later};
use super::candidate::{Arrival, Candidate};
use super::decline::{Refusal, precondition};
use super::failures::Admission;
use super::no_answer::NoAnswer;
use super::open::{Examined, NotOpened};
use super::owed::Known;
use super::publish::{Prepared, Published, Vouched};
use super::reasons::{repetition, signed_by_revoked};
use super::receive::{MessageArrived, Reception, busy, too_many};
use super::recordings::Sight;
use super::restart::not_judged;
use super::waiting::wait_out;
use crate::as2::headers;
use crate::as2::mdn::{self, BuiltMdn, MdnPlan};
use crate::as2::request::{MdnRequest, Request};
use crate::as2::{Disposition, MessageId, Mic};
use crate::cms::DigestAlgorithm;
use crate::ground::drain;
use crate::ground::id::Id;
use crate::http::Reply;
use crate::mime::Headers;
use crate::partner::Partner;
use crate::store::draft::Draft;
use crate::store::record::{Fact, Message, Receipt, State};
use crate::store::{CommitError, Transaction};

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
        let received = self.clock.now();
        let MessageArrived { partner, request, wire, origin, room: _room, turn, pieced } = arrived;
        let admission = match self.failures.enter(&partner.id, origin.clone()).await {
            Ok(admission) => admission,
            Err(refusal) => return too_many(&partner, &origin, refusal),
        };
        let candidate = Candidate::new(Id::new(received), partner, Arc::new(request), received);
        let reception = Reception { wire, admission: Some(admission), remote: Some(origin.remote), pieced };
        match self.settle(&candidate, reception).await {
            Ok(Answer { mdn: Some((headers, body)), .. }) => {
                let mut reply = Reply::new(200).body(body);
                for (name, value) in headers.iter() {
                    reply = reply.header(name, value);
                }
                reply
            }
            Ok(Answer { mdn: None, .. }) => Reply::new(200),
            Err(NoAnswer::Pieced(failure)) => not_judged(&candidate.partner, &failure, turn),
            Err(error) => {
                tracing::error!(code = error.code(), "a message could not be answered: {}", error.text());
                busy()
            }
        }
    }

    /// Opens, publishes and answers a message; everything the answer promises is durable when this returns.
    pub(super) async fn settle(&self, candidate: &Candidate, reception: Reception) -> Result<Answer, NoAnswer> {
        let begun = Instant::now();
        let Reception { wire, mut admission, remote, pieced } = reception;
        let whose = Admission::whose(admission.as_ref());
        if let Some(refusal) = precondition(&candidate.request, &candidate.agreed.policy) {
            return self.decline(candidate, whose, self.evidence(wire)?, refusal).await;
        }
        let (wire, why) = match self.examine(candidate, Arrival::new(wire, remote, admission.as_ref())).await {
            Examined::Prepared(turns, prepared) => {
                let answer = self.record(candidate, prepared, admission).await;
                drop(turns);
                return answer;
            }
            Examined::Unopened(wire, why) => (wire, why),
        };
        let (failure, revoked) = match why {
            NotOpened::Storage(error) => {
                admission.iter_mut().for_each(Admission::undecided);
                return Err(NoAnswer::Storage(error));
            }
            NotOpened::Refused(failure) => (failure, false),
            NotOpened::Revoked(failure) => (failure, true),
        };
        let len = wire.len();
        let known = match self.known(candidate, wire).await {
            Ok(Known::Accepted(earlier)) => {
                let answer = self.answer_repetition(candidate, &earlier.record, &earlier.vouched).await;
                drop(earlier);
                return answer;
            }
            Ok(Known::Nothing(wire)) => Ok(wire),
            Err(error) => Err(NoAnswer::Storage(error)),
        };
        // It did not open, whatever else goes wrong: that is neither told by the time of the answer nor left uncounted.
        wait_out(begun, len).await;
        Admission::note(admission, &failure);
        let wire = known?;
        if pieced {
            return Err(NoAnswer::Pieced(failure));
        }
        let mut refusal = Refusal::of(*failure);
        if revoked {
            (refusal.code, refusal.text) = ("certificate-revoked", signed_by_revoked());
        }
        self.decline(candidate, whose, self.evidence(wire)?, refusal).await
    }

    /// Makes durable what a message that opens turned out to be, and answers it. The caller keeps its turn until then.
    async fn record(
        &self,
        candidate: &Candidate,
        prepared: Result<Prepared, NoAnswer>,
        mut admission: Option<Admission>,
    ) -> Result<Answer, NoAnswer> {
        let prepared = prepared.inspect_err(|_| admission.iter_mut().for_each(Admission::undecided));
        match prepared? {
            Prepared::New(new) => {
                let published = self.publish(candidate, *new).await;
                let published = published.inspect_err(|_| admission.iter_mut().for_each(Admission::undecided));
                let Published { answer, sight, signed_at } = published?;
                if let Some(admission) = &mut admission {
                    let believed = candidate.partner.is_believed_unsigned(candidate.agreed.at);
                    admission.accepted(sight == Some(Sight::Fresh) || believed);
                }
                if let Some(Sight::Reused(first)) = sight {
                    let elsewhere = admission.as_ref().is_some_and(Admission::is_strange);
                    let told = (signed_at, candidate.agreed.at, elsewhere);
                    self.tell_of_reuse(candidate.id, &candidate.partner, first, told);
                }
                answer
            }
            Prepared::Duplicate(vouched, existing) => self.answer_repetition(candidate, &existing, &vouched).await,
            Prepared::Refused { refusal, wire, signed } => {
                let whose = Admission::whose(admission.as_ref());
                let whose = if signed { whose.and_signed() } else { whose };
                self.decline(candidate, whose, self.evidence(wire)?, *refusal).await
            }
        }
    }

    /// The answer to a message that was accepted before: what answered it then, or, where nothing did or something else is asked
    /// for, what is made now of what its MDN says.
    pub(super) async fn answer_repetition(
        &self,
        candidate: &Candidate,
        existing: &Message,
        vouched: &Vouched,
    ) -> Result<Answer, NoAnswer> {
        let Candidate { id, partner, request, .. } = candidate;
        let unanswered = existing.receipt.is_none();
        let warned = partner.accept.warned_of_repetitions && !unanswered;
        let disposition = match warned {
            true => Disposition::duplicate_document(&vouched.stored),
            false => vouched.disposition.clone(),
        };
        tracing::info!(id = %existing.id, partner = %partner.id, warned, "a repetition; it is not delivered again");
        let mic = vouched.mic.as_ref();
        let answer = match self.stored_answer(existing, request, (warned, mic)).map_err(NoAnswer::Storage)? {
            Some(answer) => answer,
            None if unanswered => {
                let asked = Asked { id: existing.id, asking: *id, partner, request };
                self.answer(&asked, &disposition, mic).await?
            }
            None => self.answer_otherwise(existing.id, partner, request, &disposition, mic).await?,
        };
        self.close_repetition(*id, partner, existing.id, answer).await
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
        let Some(built) = self.build_mdn(partner, request, Told::accepted(disposition, mic)).await? else {
            return Ok(Answer { mdn: None, queued: false });
        };
        let mut transaction = Transaction::new(self.clock.now());
        let receipt = receipt_of(&built, disposition, mic, &mut transaction);
        transaction.fact(existing, Fact::Answered { mdn: receipt });
        match self.store.commit(transaction).await {
            // The record takes so many MDNs; what this one says was durable before it.
            Ok(_) | Err(CommitError::Conflict(_)) => {}
            Err(error) => return Err(NoAnswer::Journal(error)),
        }
        Ok(Answer { mdn: Some((built.headers, built.body)), queued: false })
    }

    /// Builds the MDN of a message that was accepted earlier and commits it.
    pub(super) async fn answer(
        &self,
        asked: &Asked<'_>,
        disposition: &Disposition,
        mic: Option<&Mic>,
    ) -> Result<Answer, NoAnswer> {
        let built = self.build_mdn(asked.partner, asked.request, Told::accepted(disposition, mic)).await?;
        let Some(built) = built else { return Ok(Answer { mdn: None, queued: false }) };
        let mut transaction = Transaction::new(self.clock.now());
        let answer = answered(&mut transaction, asked, built, disposition, mic);
        self.store.commit(transaction).await.map_err(NoAnswer::Journal)?;
        Ok(answer)
    }

    /// Builds the MDN of a message that is being accepted and makes it part of `transaction`, without which it must not be
    /// sent. Signs, so it runs on the blocking pool.
    pub(super) fn answer_in(
        &self,
        transaction: &mut Transaction,
        asked: &Asked<'_>,
        disposition: &Disposition,
        mic: Option<&Mic>,
    ) -> Result<Answer, NoAnswer> {
        if asked.request.mdn.is_none() {
            return Ok(Answer { mdn: None, queued: false });
        }
        let told = Told::accepted(disposition, mic);
        let built = self.build_mdn_blocking(asked.partner, asked.request, &told)?;
        Ok(answered(transaction, asked, built, disposition, mic))
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

    /// The MDN that answered a message before, byte for byte, when the repetition asks for the same kind and has the same digest:
    /// who composes anew gets one about what it has now. `warned`: one that answered a repetition, where the agreement wants a
    /// warning.
    fn stored_answer(
        &self,
        existing: &Message,
        request: &Request,
        (warned, mic): (bool, Option<&Mic>),
    ) -> io::Result<Option<Answer>> {
        if existing.receipt.is_none() {
            return Ok(None);
        }
        let Some(asked) = &request.mdn else { return Ok(Some(Answer { mdn: None, queued: false })) };
        let mut kept = existing.receipt.iter().chain(&existing.further_receipts);
        let mic = mic.map(ToString::to_string);
        let alike = |kept: &&Receipt| {
            let same_kind = asked.options.signed == is_signed(&kept.headers) && warned == is_warning(&kept.disposition);
            same_kind && kept.mic == mic
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

impl Told {
    fn accepted(disposition: &Disposition, mic: Option<&Mic>) -> Told {
        Told { disposition: disposition.clone(), mic: mic.cloned(), explanation: RECEIVED, may_sign: true }
    }
}

/// Makes the MDN of an accepted message part of `transaction`.
fn answered(
    transaction: &mut Transaction,
    asked: &Asked<'_>,
    built: BuiltMdn,
    disposition: &Disposition,
    mic: Option<&Mic>,
) -> Answer {
    let receipt = receipt_of(&built, disposition, mic, transaction);
    transaction.fact(asked.id, Fact::Answered { mdn: receipt });
    let (queued, now) = (asks_later(asked.request), transaction.at());
    if queued {
        add_mdn_job(transaction, now, asked.asking, asked.partner, &built.headers, built.body.clone());
    }
    Answer { mdn: Some((built.headers, built.body)), queued }
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
