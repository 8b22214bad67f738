//! Steps 3 and 4: a claimed file becomes a message, in one transaction; then the claimed file goes away, or waits for `sent/`.

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;

use super::Outbound;
use super::bundle::SUFFIX;
use super::compose::{Content, NotComposed, Wire};
use super::earlier::Underway;
use super::envelope::name_of;
use super::precheck::{Decision, Declaration, Refusal};
use super::scan::{Claim, Trouble};
use super::signing::NotSigned;
use crate::bilingual;
use crate::declaration::envelope::EnvelopeHead;
use crate::ground::drain;
use crate::ground::durable;
use crate::ground::fault;
use crate::ground::id::Id;
use crate::partner::Partner;
use crate::store::draft::{Draft, Sink};
use crate::store::publisher::{ORIGINAL_FROM, original_path};
use crate::store::record::{self, Came, Fact, Folder, GATEWAY, JobKind, Message, Reason, State};
use crate::store::trail::Change;
use crate::store::{CommitError, Precondition, Transaction};

/// A claimed or submitted file that could not be recorded; it stays claimed and is tried again.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// The partner is unknown or disabled.
    #[error("partner {0} is not configured or disabled")]
    Partner(String),
    /// The file could not be read, or its copy not written.
    #[error("the file cannot be read or stored: {0}")]
    File(#[from] io::Error),
    /// The declaration could not be signed for the moment.
    #[error("{}", .0.text.en)]
    Signing(Reason),
    /// What a message of the connectivity test needs is missing.
    #[error("{}", .0.text.en)]
    Trial(Reason),
    /// The journal refused.
    #[error(transparent)]
    Journal(#[from] CommitError),
}

/// Why a claimed file is still in `.claimed`; it is tried again.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotTaken {
    /// No message has come of it yet.
    #[error(transparent)]
    Unrecorded(#[from] IntakeError),
    /// Its message is recorded and goes its way; what was claimed stays all the same. Of what was refused for its size that is the
    /// only copy.
    #[error("it is recorded, but what was claimed cannot be removed, or moved to rejected/: {0}")]
    Unremoved(io::Error),
}

impl NotTaken {
    /// For the operator's list.
    pub(super) fn trouble(&self, claim: &Claim) -> Trouble {
        let (name, id) = (&claim.file_name, claim.id);
        let (code, text) = match self {
            NotTaken::Unrecorded(IntakeError::Signing(reason)) => (reason.code.as_str(), reason.text.clone()),
            NotTaken::Unrecorded(error) => {
                let text = bilingual!(
                    "文件 {name} 已取出但尚未登记：{error}。文件保存在 .claimed 中，将自动重试。",
                    "{name} was claimed but is not recorded yet: {error}. It is kept in .claimed and tried again by itself."
                );
                ("intake-failed", text)
            }
            // Whoever drops it again has it sent twice.
            NotTaken::Unremoved(error) => {
                let text = bilingual!(
                    "文件 {name} 已登记为报文 {id}，只是 .claimed 中的文件无法清理或移入 rejected/：{error}。请勿删除，也请勿重新放入该文件，否则会成为另一个报文；请检查文件夹和权限，系统将自动重试。",
                    "{name} is recorded as message {id}; only what was claimed of it in .claimed cannot be removed, or moved to rejected/: {error}. Leave it there, and do not drop it again, which would be another message. Check folders and permissions; it is tried again by itself."
                );
                ("claimed-not-removed", text)
            }
        };
        Trouble { path: claim.path.clone(), reason: Reason { code: code.to_owned(), text } }
    }
}

/// When a file was claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claimed {
    /// This moment, and its id was made then: nothing can be recorded under it.
    Now,
    /// Earlier, perhaps by another process.
    Before,
}

/// What becomes of a file.
#[allow(clippy::large_enum_variant, reason = "one for each file in work; none is kept")]
pub(super) enum Prepared {
    /// `None`: too large to be copied; the claimed file itself moves to `rejected/`.
    Refused {
        payload: Option<Draft>,
        refusal: Refusal,
    },
    Ready {
        payload: Draft,
        declaration: Option<Declaration>,
        wire: Result<Wire, Reason>,
    },
}

impl Outbound {
    /// Records a claimed file and removes it; both are done when this returns.
    pub(super) async fn take(&self, claim: Claim, claimed: Claimed) -> Result<(), NotTaken> {
        let mut recorded = None;
        if claimed == Claimed::Now || self.store.message(&claim.id).is_none() {
            let partner = self.enabled_partner(&claim.partner)?;
            let (path, id, of) = (claim.path.clone(), claim.id, partner.clone());
            let folder = claim.is_folder;
            let read = move |flow: &Outbound| {
                if folder { flow.pack(&path, id, &of) } else { flow.read_claimed(&path) }
            };
            let name = if folder { format!("{}{SUFFIX}", claim.file_name) } else { claim.file_name.clone() };
            match self.accept(partner, claim.id, &name, None, (claim.bytes(), read)).await {
                Ok(message) => recorded = message,
                Err(IntakeError::Journal(CommitError::Conflict(_))) => {}
                Err(IntakeError::File(error)) if is_gone(&claim.path, &error) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        let path = claim.path.clone();
        match self.dispose_in_turn(claim, recorded).await {
            Err(error) if !is_gone(&path, &error) => Err(NotTaken::Unremoved(self.store.judge_sync(error))),
            _ => Ok(()),
        }
    }

    /// Waits until the claimed file is disposed of, by whoever has the turn.
    async fn dispose_in_turn(&self, claim: Claim, recorded: Option<Arc<Message>>) -> io::Result<()> {
        let (disposed, turn) = self.disposal.add(claim, recorded);
        if let Some(turn) = turn {
            let flow = self.clone();
            drop(drain::blocking(move || turn.run(|claim, recorded| flow.dispose(claim, recorded))));
        }
        disposed.await.map_err(|_| io::Error::other("what removes claimed files broke off"))?
    }

    /// The claimed file has done its service, unless it is kept for `sent/`; one that was too large to be copied becomes the
    /// rejected original. `recorded` is its message as it was committed.
    fn dispose(&self, claim: &Claim, recorded: Option<&Message>) -> io::Result<()> {
        // Of a short payload that says all that counts here. One that may be kept can have gone on since.
        let recorded = recorded.filter(|message| message.payload.is_none_or(|payload| payload.len < ORIGINAL_FROM));
        let looked_up;
        let message = match recorded {
            Some(message) => message,
            None => {
                // An index that has failed knows nobody; the file may be all that there is.
                looked_up = self.store.message(&claim.id);
                let unread = || io::Error::other("the record of a claimed file cannot be read");
                looked_up.as_ref().ok_or_else(unread)?
            }
        };
        if self.keep_original(claim, message) {
            return Ok(());
        }
        let refused_uncopied = message.state == State::Rejected && message.payload.is_none();
        if !refused_uncopied {
            let folder = claim.path.parent().unwrap_or(&claim.path);
            return fault::at(&fault::within("remove", folder), || {
                if claim.is_folder { fs::remove_dir_all(&claim.path) } else { fs::remove_file(&claim.path) }
            });
        }
        let rejected = self.settings.exchange.join(&claim.partner).join(Folder::Rejected.name());
        match durable::rename_noreplace(&claim.path, &rejected.join(&claim.file_name)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let unique = format!("{}.{}", claim.id, claim.file_name);
                Ok(durable::rename_noreplace(&claim.path, &rejected.join(unique))?)
            }
            moved => Ok(moved?),
        }
    }

    /// A long payload is not written once more for `sent/`: what was claimed waits for it. The publisher looks whether it still
    /// is the payload (and it never was when it is a folder, or was signed).
    fn keep_original(&self, claim: &Claim, message: &Message) -> bool {
        let payload = message.payload.filter(|payload| payload.len >= ORIGINAL_FROM);
        let is_payload = payload.is_some_and(|payload| {
            claim.path.symlink_metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() == payload.len)
        });
        if !is_payload || !message.publications.is_empty() || message.state.is_final() {
            return false;
        }
        let original = original_path(&self.settings.exchange.join(&claim.partner), &claim.id);
        let kept = durable::rename_noreplace_unsynced(&claim.path, &original).is_ok();
        // It is composed, and what goes to `sent/` is the claimed file.
        if let (true, State::Composed, Some(payload)) = (kept, message.state, &message.payload) {
            self.store.let_go(payload);
        }
        kept
    }

    /// Records a payload handed over by a program; durable when this returns. With an `id` of a message that exists
    /// it is the same submission once more, and nothing happens. `change` says in the audit trail who did it.
    pub async fn submit(
        &self,
        partner: &str,
        file_name: &str,
        payload: Draft,
        id: Option<Id>,
        change: Option<Change>,
    ) -> Result<Id, IntakeError> {
        if let Some(known) = id.filter(|id| self.store.message(id).is_some()) {
            return Ok(known);
        }
        let partner = self.enabled_partner(partner)?;
        let name = crate::mime::safe_file_name(file_name);
        let message = id.unwrap_or_else(|| Id::new(self.clock.now()));
        let change = change.map(|change| Change {
            on: format!("message:{message}"),
            after: Some(serde_json::json!({ "partner": partner.id, "file": name })),
            ..change
        });
        match self.accept(partner, message, &name, change, at_hand(payload)).await {
            // The first one of two at the same time has won.
            Err(IntakeError::Journal(CommitError::Conflict(_))) if id.is_some() => Ok(message),
            recorded => recorded.map(|_| message),
        }
    }

    pub(super) fn enabled_partner(&self, id: &str) -> Result<Arc<Partner>, IntakeError> {
        let directory = self.directory.load();
        let partner = directory.by_id(id).filter(|partner| partner.enabled);
        partner.cloned().ok_or_else(|| IntakeError::Partner(id.to_owned()))
    }

    /// Records a payload of so many bytes under a name, once it is checked and composed; the message as it is then.
    pub(super) async fn accept(
        &self,
        partner: Arc<Partner>,
        id: Id,
        file_name: &str,
        change: Option<Change>,
        (bytes, read): (u64, impl FnOnce(&Outbound) -> io::Result<Option<Draft>> + Send + 'static),
    ) -> Result<Option<Arc<Message>>, IntakeError> {
        let now = self.clock.now();
        let prepared = self.prepare(&partner, (bytes, read), file_name, id, now).await?;
        let (mut transaction, _underway) = record_of(prepared, &partner, id, file_name, None, now);
        if let Some(change) = change {
            transaction.change(change);
        }
        let committed = self.store.commit(transaction).await?;
        Ok(committed.messages.into_iter().find(|message| message.id == id))
    }

    /// A copy of a claimed file, unless it is longer than the limit.
    fn read_claimed(&self, path: &Path) -> io::Result<Option<Draft>> {
        let file = durable::open_regular(path)?;
        let len = file.metadata()?.len();
        if len > self.limits.payload {
            return Ok(None);
        }
        let mut sink = Sink::new(&self.store).expecting(len)?.gathered();
        let copied = io::copy(&mut file.take(self.limits.payload.saturating_add(1)), &mut sink)?;
        if copied > self.limits.payload {
            return Ok(None);
        }
        sink.into_inner().map_err(io::IntoInnerError::into_error)?.finish().map(Some)
    }

    /// Checks a payload of so many bytes, signs it where the partner's file asks for that, wraps and composes it.
    pub(super) async fn prepare(
        &self,
        partner: &Arc<Partner>,
        (bytes, read): (u64, impl FnOnce(&Outbound) -> io::Result<Option<Draft>> + Send + 'static),
        name: &str,
        id: Id,
        now: Timestamp,
    ) -> Result<Prepared, IntakeError> {
        let (flow, of, file_name) = (self.clone(), partner.clone(), name.to_owned());
        let step = self
            .computing(bytes, move || {
                let payload = read(&flow)?;
                flow.check(&of, payload, &file_name, id, now)
            })
            .await?;
        match step {
            Step::Done(prepared) => Ok(*prepared),
            Step::Sign { payload, head, declaration } => {
                self.sign_and_wrap(partner, payload, *head, declaration, (id, now)).await
            }
        }
    }

    /// Everything up to the signature, and all of it when there is none to make.
    fn check(&self, partner: &Partner, payload: Option<Draft>, name: &str, id: Id, now: Timestamp) -> io::Result<Step> {
        let Some(payload) = payload.filter(|payload| payload.len() <= self.limits.payload) else {
            let refusal = Refusal::oversize(self.limits.payload);
            return Ok(Step::done(Prepared::Refused { payload: None, refusal }));
        };
        match self.precheck(partner, (&payload, name), id, now)? {
            Decision::Refuse(refusal) => Ok(Step::done(Prepared::Refused { payload: Some(payload), refusal })),
            Decision::AsIs(declaration) => {
                let wire = self.compose_content(partner, &payload, (name, true), (id, now))?;
                Ok(Step::done(Prepared::Ready { payload, declaration, wire }))
            }
            Decision::Wrap(head, declaration) if partner.document_key().is_some() => {
                Ok(Step::Sign { payload, head: Box::new(head), declaration })
            }
            Decision::Wrap(head, declaration) => {
                let envelope = self.wrap(&head, &payload)?;
                let wire = self.compose_content(partner, &envelope, (&name_of(&head), false), (id, now))?;
                Ok(Step::done(Prepared::Ready { payload, declaration: Some(declaration), wire }))
            }
        }
    }

    /// The signed document is the payload from here on: what is kept, published and sent again.
    async fn sign_and_wrap(
        &self,
        partner: &Arc<Partner>,
        payload: Draft,
        mut head: EnvelopeHead,
        declaration: Declaration,
        (id, now): (Id, Timestamp),
    ) -> Result<Prepared, IntakeError> {
        let (bytes, payload) = (payload.len(), Arc::new(payload));
        let (flow, of, document) = (self.clone(), partner.clone(), payload.clone());
        let to_be_signed = self.computing(bytes, move || flow.is_to_be_signed(&of, &document)).await?;
        // What is refused goes back as it came.
        let (payload, submitted) = match partner.document_key() {
            Some(key) if to_be_signed => match self.signed(key, payload.clone()).await {
                Ok(signed) => {
                    // What is signed is UTF-8, whatever the file was.
                    if let Some(encoding) = &mut head.add_info.encoding {
                        "UTF-8".clone_into(encoding);
                    }
                    (Arc::new(signed), Some(payload))
                }
                Err(NotSigned::Document(problem)) => {
                    let refusal = Refusal::unsignable(&problem);
                    return Ok(Prepared::Refused { payload: Arc::into_inner(payload), refusal });
                }
                Err(error) => return Err(error.into()),
            },
            _ => (payload, None),
        };
        let file_name = name_of(&head);
        let (flow, document) = (self.clone(), payload.clone());
        let envelope = self.computing(bytes, move || flow.wrap(&head, &document)).await?;
        let envelope = match self.sealed(partner, envelope).await {
            // It will never be signed: tried again and again, it would keep the others in the outbox.
            Err(NotSigned::Document(problem)) => {
                let refusal = Refusal::unsignable(&problem);
                return Ok(Prepared::Refused { payload: Arc::into_inner(submitted.unwrap_or(payload)), refusal });
            }
            sealed => sealed?,
        };
        let (flow, of) = (self.clone(), partner.clone());
        let wire = move || flow.compose_content(&of, &envelope, (&file_name, false), (id, now));
        let wire = self.computing(bytes, wire).await?;
        let payload = Arc::into_inner(payload).ok_or_else(|| io::Error::other("the payload is still in use"))?;
        Ok(Prepared::Ready { payload, declaration: Some(declaration), wire })
    }

    /// Wire bytes, or why there are none, of a payload under a name; whether it is the message's own is `kept`.
    fn compose_content(
        &self,
        partner: &Partner,
        payload: &Draft,
        (file_name, kept): (&str, bool),
        (id, now): (Id, Timestamp),
    ) -> io::Result<Result<Wire, Reason>> {
        match self.compose(partner, &Content { payload, file_name, kept }, id, now) {
            Ok(wire) => Ok(Ok(wire)),
            Err(NotComposed::Impossible(reason)) => Ok(Err(reason)),
            Err(NotComposed::Later(reason)) => Err(io::Error::other(reason.text.en)),
            Err(NotComposed::Storage(error)) => Err(error),
        }
    }

    /// Runs computation over so many bytes on the blocking pool, a few at a time.
    async fn computing<T: Send + 'static>(
        &self,
        bytes: u64,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let _permit = self.compositions.turn(bytes).await.map_err(io::Error::other)?;
        drain::blocking(work).await.map_err(io::Error::other)?
    }
}

/// A payload that need not be read from anywhere, and its bytes.
pub(super) fn at_hand(payload: Draft) -> (u64, impl FnOnce(&Outbound) -> io::Result<Option<Draft>> + Send + 'static) {
    (payload.len(), move |_| Ok(Some(payload)))
}

/// Whether `error` says that the file at `path` is not there, and it is not: a folder beside it may be what is missing.
pub(super) fn is_gone(path: &Path, error: &io::Error) -> bool {
    let is_missing = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    is_missing(error) && path.symlink_metadata().is_err_and(|error| is_missing(&error))
}

/// How far a payload has come.
#[allow(clippy::large_enum_variant, reason = "one for each file in work; none is kept")]
enum Step {
    Done(Box<Prepared>),
    /// It was checked; its signature is to be made.
    Sign {
        payload: Draft,
        head: Box<EnvelopeHead>,
        declaration: Declaration,
    },
}

impl Step {
    fn done(prepared: Prepared) -> Step {
        Step::Done(Box::new(prepared))
    }
}

impl From<NotSigned> for IntakeError {
    fn from(error: NotSigned) -> IntakeError {
        match error {
            NotSigned::Later(reason) => IntakeError::Signing(reason),
            NotSigned::Document(problem) => {
                IntakeError::Signing(Reason { code: problem.code().to_owned(), text: problem.text() })
            }
            NotSigned::Storage(error) => IntakeError::File(error),
        }
    }
}

/// The first facts of a message; `about` is the message that it resends. The second value is kept until they are in the
/// journal.
pub(super) fn record_of(
    prepared: Prepared,
    partner: &Partner,
    id: Id,
    file_name: &str,
    about: Option<Id>,
    now: Timestamp,
) -> (Transaction, Option<Underway>) {
    let (mut transaction, mut kept) = (Transaction::new(now), None);
    transaction.require(Precondition::Absent(id));
    let (partner, file_name) = (partner.id.clone(), file_name.to_owned());
    match prepared {
        Prepared::Refused { payload, refusal } => {
            let payload = payload.map(|payload| payload.into_body(&mut transaction));
            let files = refusal.publications(&file_name, payload.map(record::Content::Body));
            let fact = Fact::Rejected { partner, file_name, payload, reason: refusal.reason, files };
            transaction.fact(id, fact);
        }
        Prepared::Ready { payload, declaration, wire } => {
            let payload = Some(payload.into_body(&mut transaction));
            let kind = JobKind::Payload;
            let summary = declaration.as_ref().map(|declaration| declaration.summary.clone());
            let fact = Fact::Queued { kind, partner, file_name, payload, declaration: summary, about };
            transaction.fact(id, fact);
            if let Some(Declaration { documents, findings, underway, .. }) = declaration {
                if !documents.is_empty() {
                    transaction.fact(id, Fact::Declared { documents });
                }
                if let Some(findings) = findings {
                    transaction.fact(id, Fact::Prechecked { findings });
                }
                kept = underway;
            }
            let next = match wire {
                Ok(wire) => Outbound::composed_fact(id, wire, now, &mut transaction),
                Err(reason) => Fact::Held { reason, by: GATEWAY.to_owned(), came: Came::Unknown },
            };
            transaction.fact(id, next);
        }
    }
    (transaction, kept)
}

#[cfg(test)]
#[path = "intake_tests.rs"]
mod tests;
