//! Step 3: the wire bytes, made once. What is made here is what every attempt sends.

use std::io;
use std::sync::Arc;

use jiff::Timestamp;

use super::envelope::name_of;
use super::signing::NotSigned;
use super::{Outbound, terms};
use crate::as2::{self, ComposeError, Compression, MessageId, Stamp};
use crate::bilingual;
use crate::cms::CmsError;
use crate::ground::drain;
use crate::ground::id::Id;
use crate::mime::{BytesSource, MimeError, Source};
use crate::partner::Partner;
use crate::store::draft::{Draft, Sink};
use crate::store::record::{Evidence, Fact, Message, Reason, State};
use crate::store::{Precondition, Transaction};

/// Bytes of a wire around a payload that is not compressed: signature, certificate, envelope.
const AROUND_A_PAYLOAD: u64 = 4 * 1024;

/// A composed message before it is committed.
pub(super) struct Wire {
    pub(super) message_id: MessageId,
    pub(super) composed: as2::Composed,
    pub(super) bytes: Draft,
    /// Boxed: a wire is often passed by value.
    pub(super) evidence: Box<Evidence>,
}

/// What is to be composed.
pub(super) struct Content<'a> {
    pub(super) payload: &'a Draft,
    pub(super) file_name: &'a str,
    /// The payload is the message's own, which the store keeps; an envelope around it is not.
    pub(super) kept: bool,
}

impl Outbound {
    /// Signs, compresses and encrypts under the partner's agreement at `now`.
    pub(super) fn compose(
        &self,
        partner: &Partner,
        content: &Content<'_>,
        id: Id,
        now: Timestamp,
    ) -> Result<Wire, NotComposed> {
        let packed = self.packed_type(content).map_err(NotComposed::Storage)?;
        // The files inside have names of their own.
        let name = packed.is_none().then_some(content.file_name);
        let awaited = self.store.awaited_certificates(&partner.id);
        let plan = partner.send_plan(&self.station.withholding(&awaited), now, name, packed.as_deref());
        let plan = plan
            .map_err(|error| NotComposed::Impossible(Reason { code: error.code().to_owned(), text: error.text() }))?;
        let message_id = MessageId::generate(id, &self.settings.message_id_host);
        let stamp = Stamp { message_id: message_id.clone(), date: now };
        let mut sink = Sink::of_wire(&self.store);
        if plan.compression == Compression::None {
            let wire = content.payload.len().saturating_add(AROUND_A_PAYLOAD);
            sink = sink.expecting(wire).map_err(NotComposed::Storage)?;
        }
        let mut out = sink.gathered();
        let compose = if content.kept { as2::compose_kept } else { as2::compose };
        let composed = self
            .with_source(content.payload, |source| compose(&plan, &stamp, source, &self.store.scratch(), &mut out))
            .map_err(NotComposed::of)?;
        let sink = out.into_inner().map_err(|error| NotComposed::Storage(error.into_error()))?;
        let bytes = sink.finish().map_err(NotComposed::Storage)?;
        let evidence = Box::new(terms::composed(&plan, composed.content_key.as_ref(), partner.url.as_str()));
        Ok(Wire { message_id, composed, bytes, evidence })
    }

    pub(super) fn with_source<T>(&self, draft: &Draft, work: impl FnOnce(&dyn Source) -> T) -> T {
        match draft {
            Draft::Inline(bytes) | Draft::Digested(bytes, _) => work(&BytesSource(bytes.as_slice())),
            Draft::File(file) => work(&self.store.source(file.body())),
            Draft::Stored(body) => work(&self.store.source(body)),
        }
    }

    /// The fact that makes a composition of message `id` binding; its bytes and its evidence become part of
    /// `transaction`.
    pub(super) fn composed_fact(id: Id, wire: Wire, due: Timestamp, transaction: &mut Transaction) -> Fact {
        transaction.fact(id, Fact::Evidence { evidence: *wire.evidence });
        Fact::Composed {
            message_id: wire.message_id.as_str().to_owned(),
            headers: wire.composed.headers,
            mics: wire.composed.mics,
            wire: wire.bytes.into_body(transaction),
            due,
        }
    }

    /// Composes a message that was queued without wire bytes (its partner was unusable then), and commits it.
    pub(super) async fn compose_late(&self, partner: Arc<Partner>, message: &Message) -> Result<(), ComposeLate> {
        let wire = self.compose_stored(partner, message, message.id).await.map_err(ComposeLate::Not)?;
        let now = self.clock.now();
        let mut transaction = Transaction::new(now);
        transaction.require(Precondition::StateIs(message.id, vec![State::Queued]));
        let fact = Outbound::composed_fact(message.id, wire, now, &mut transaction);
        transaction.fact(message.id, fact);
        self.store.commit(transaction).await.map(drop).map_err(ComposeLate::Journal)
    }

    /// Composes a message anew for its next attempt, under another Message-ID: for partners that refuse one they have
    /// seen (`fresh_message_id`).
    pub(super) async fn recompose(&self, partner: Arc<Partner>, message: &Message) -> Result<(), ComposeLate> {
        let now = self.clock.now();
        let wire = self.compose_stored(partner, message, Id::new(now)).await.map_err(ComposeLate::Not)?;
        let mut transaction = Transaction::new(now);
        transaction.require(Precondition::StateIs(message.id, vec![message.state]));
        transaction.fact(message.id, Fact::Evidence { evidence: *wire.evidence });
        let fact = Fact::Recomposed {
            message_id: wire.message_id.as_str().to_owned(),
            headers: wire.composed.headers,
            mics: wire.composed.mics,
            wire: wire.bytes.into_body(&mut transaction),
            due: now,
        };
        transaction.fact(message.id, fact);
        let bodies = superseded(message);
        if !bodies.is_empty() {
            let text = bilingual!(
                "只保留最近 {WIRES} 次发送的线路原文；各次的 Message-ID 和摘要均保留。",
                "the wire bytes of the latest {WIRES} attempts are kept; of all of them Message-IDs and digests are."
            );
            let why = Reason { code: "wire-superseded".to_owned(), text };
            transaction.fact(message.id, Fact::BodiesDropped { why, bodies });
        }
        self.store.commit(transaction).await.map(drop).map_err(ComposeLate::Journal)
    }

    /// Wire bytes from the stored payload; their Message-ID follows from `id`.
    async fn compose_stored(&self, partner: Arc<Partner>, message: &Message, id: Id) -> Result<Wire, NotComposed> {
        let payload = message.payload.ok_or_else(|| NotComposed::Impossible(no_payload()))?;
        let (flow, of, own, name) = (self.clone(), partner.clone(), message.id, message.file_name.clone());
        let again = self
            .composing(payload.len, move || flow.envelope_again(&of, (&Draft::Stored(payload), &name), own))
            .await?;
        let (content, name, kept) = match again {
            None => (Draft::Stored(payload), message.file_name.clone(), true),
            Some((envelope, name)) => (self.sealed(&partner, envelope).await?, name, false),
        };
        let flow = self.clone();
        self.composing(content.len(), move || {
            let content = Content { payload: &content, file_name: &name, kept };
            flow.compose(&partner, &content, id, flow.clock.now())
        })
        .await
    }

    /// The envelope of a declaration that waited without one.
    fn envelope_again(
        &self,
        partner: &Partner,
        (payload, name): (&Draft, &str),
        id: Id,
    ) -> Result<Option<(Draft, String)>, NotComposed> {
        match self.precheck(partner, (payload, name), id, self.clock.now()).map_err(NotComposed::Storage)? {
            super::precheck::Decision::AsIs(_) => Ok(None),
            super::precheck::Decision::Wrap(head, _) => {
                // Signing would change the payload, which facts name by now.
                if self.is_to_be_signed(partner, payload).map_err(NotComposed::Storage)? {
                    return Err(NotComposed::Impossible(unsigned()));
                }
                let envelope = self.wrap(&head, payload).map_err(NotComposed::Storage)?;
                Ok(Some((envelope, name_of(&head))))
            }
            super::precheck::Decision::Refuse(refusal) => Err(NotComposed::Impossible(refusal.told())),
        }
    }

    /// Runs a composition of so many bytes on the blocking pool, a few at a time.
    pub(super) async fn composing<T: Send + 'static>(
        &self,
        bytes: u64,
        work: impl FnOnce() -> Result<T, NotComposed> + Send + 'static,
    ) -> Result<T, NotComposed> {
        let broken = |error: String| NotComposed::Impossible(failed(&error));
        let _permit = self.compositions.turn(bytes).await.map_err(|error| broken(error.to_string()))?;
        drain::blocking(work).await.map_err(|error| broken(error.to_string()))?
    }
}

/// Wires of one message that are kept when each retry has its own. An MDN about an older one still counts, by the digests
/// that are kept of it; its bytes are evidence that hardly anybody will ask for, and a message may be retried for weeks.
const WIRES: usize = 4;

/// Wires of earlier attempts that are not kept beside those of the next attempt and the last one.
fn superseded(message: &Message) -> Vec<Id> {
    let earlier: Vec<Id> = message.earlier.iter().filter_map(|earlier| earlier.wire).map(|wire| wire.id).collect();
    let surplus = earlier.len().saturating_sub(WIRES.saturating_sub(2));
    if message.legal_hold.is_some() { Vec::new() } else { earlier.into_iter().take(surplus).collect() }
}

/// Why there are no wire bytes.
pub(super) enum NotComposed {
    /// Key, certificate or payload do not allow it: a person must look.
    Impossible(Reason),
    /// The key that signs the envelope cannot be used now: it is tried again.
    Later(Reason),
    /// Our own storage failed, or is full: it is tried again.
    Storage(io::Error),
}

impl NotComposed {
    fn of(error: ComposeError) -> NotComposed {
        match error {
            ComposeError::Io(error)
            | ComposeError::Cms(CmsError::Io(error))
            | ComposeError::Header(MimeError::Io(error)) => NotComposed::Storage(error),
            other => NotComposed::Impossible(failed(&other.to_string())),
        }
    }
}

/// Why a late composition did not happen.
pub(super) enum ComposeLate {
    /// There are no wire bytes.
    Not(NotComposed),
    /// The journal refused.
    Journal(crate::store::CommitError),
}

fn failed(error: &str) -> Reason {
    let text = bilingual!(
        "无法生成 AS2 报文：{error}。修正后用 dxgate messages retry 继续。",
        "the AS2 message could not be composed: {error}. Mend the cause, then continue with dxgate messages retry."
    );
    Reason { code: "compose-failed".to_owned(), text }
}

fn unsigned() -> Reason {
    let text = bilingual!(
        "报文登记时尚未启用网关签名，内容未签名。请用 dxgate messages resend 重发：将签名后作为新报文发送。",
        "it was recorded before the gateway signed declarations, and is not signed. Use dxgate messages resend: it is signed and goes as a new message."
    );
    Reason { code: "declaration-unsigned".to_owned(), text }
}

impl From<NotSigned> for NotComposed {
    fn from(error: NotSigned) -> NotComposed {
        match error {
            NotSigned::Later(reason) => NotComposed::Later(reason),
            NotSigned::Document(problem) => {
                NotComposed::Impossible(Reason { code: problem.code().to_owned(), text: problem.text() })
            }
            NotSigned::Storage(error) => NotComposed::Storage(error),
        }
    }
}

fn no_payload() -> Reason {
    failed("the message has no payload")
}
