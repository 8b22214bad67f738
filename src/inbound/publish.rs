//! Step 3: what a verified message turns out to be, and a new one becomes durable and claims its key; the only place where
//! `Stored` is minted.

use jiff::Timestamp;
use serde::Serialize;

use super::Inbound;
use super::candidate::{Arrival, Candidate};
use super::decline::Refusal;
use super::exchange::Heard;
use super::no_answer::NoAnswer;
use super::open::{Verified, cipher_name};
use super::recordings::Sight;
use super::reply::{Answer, Asked};
use super::terms::{self, Provenance};
use super::unwrap::{DxpMeta, Unwrapped};
use crate::as2::attachments::Attachment;
use crate::as2::proof::{self, Stored};
use crate::as2::request::Request;
use crate::as2::{Disposition, Mic, Opened};
use crate::cms::SignatureValid;
use crate::ground::clock::customs_time;
use crate::ground::id::Id;
use crate::ground::text::printable;
use crate::partner::Partner;
use crate::store::Transaction;
use crate::store::draft::Draft;
use crate::store::record::{Body, Content, DeclarationSummary, DedupKey, Fact, Folder, Message, Publication, State};

/// What a verified message turned out to be. Nothing of it is durable yet.
pub(super) enum Prepared {
    /// New.
    New(Box<New>),
    /// The same message with the same content was accepted before; here is its record.
    Duplicate(Vouched, Box<Message>),
    /// It cannot be accepted, though it opens; the wire bytes come back. `signed`: by the partner.
    Refused { refusal: Box<Refusal>, wire: Draft, signed: bool },
}

impl Prepared {
    fn refused(refusal: Refusal, wire: Draft, opened: &Opened) -> Prepared {
        Prepared::Refused { refusal: Box::new(refusal), wire, signed: opened.signature.is_some() }
    }
}

/// A new message with all that makes it durable. Its answer is handed out once that is done.
pub(super) struct New {
    transaction: Transaction,
    answer: Result<Answer, NoAnswer>,
    opened: Opened,
    sight: Option<Sight>,
}

/// A new message that is durable, together with its answer, and on its way into the inbox.
pub(super) struct Published {
    pub(super) answer: Result<Answer, NoAnswer>,
    /// What its signature tells of where it comes from.
    pub(super) sight: Option<Sight>,
    /// When it was signed, by its signer's clock.
    pub(super) signed_at: Option<Timestamp>,
}

/// What the MDN of an accepted message says.
pub(super) struct Vouched {
    pub(super) disposition: Disposition,
    pub(super) mic: Option<Mic>,
    pub(super) stored: Stored,
}

impl Vouched {
    /// Of a message that was opened again; `None`: that is not what the record has.
    pub(super) fn opened_again(record: &Message, opened: &Opened) -> Option<Vouched> {
        let same = record.payload.is_some_and(|payload| payload.sha256 == Some(opened.payload_sha256));
        (same && record.state == State::Accepted).then(|| {
            let stored = Stored::assertion();
            Vouched { disposition: proof::processed(opened, &stored), mic: opened.mic.clone(), stored }
        })
    }

    /// By the record alone: that a message is accepted says that it was opened under its policy and is stored. `None`: it is
    /// not, or the record of an earlier program does not tell the MIC, and it was not answered.
    pub(super) fn by_record(record: &Message) -> Option<Vouched> {
        if record.state != State::Accepted {
            return None;
        }
        let Some((unknown_signer, mic)) = terms::read_back(record) else { return Vouched::by_receipt(record) };
        let stored = Stored::assertion();
        Some(Vouched { disposition: proof::processed_by_record(unknown_signer, &stored), mic, stored })
    }

    /// What the first MDN of an accepted message said.
    fn by_receipt(record: &Message) -> Option<Vouched> {
        let receipt = record.receipt.as_ref()?;
        let mic = receipt.mic.as_deref().map(str::parse::<Mic>).transpose().ok()?;
        let stored = Stored::assertion();
        let said = [false, true].map(|unknown| proof::processed_by_record(unknown, &stored));
        let disposition = said.into_iter().find(|said| said.to_string() == receipt.disposition)?;
        Some(Vouched { disposition, mic, stored })
    }
}

/// What `<name>.meta.json` says.
#[derive(Serialize)]
struct Meta<'a> {
    id: String,
    partner: &'a str,
    as2_from: &'a str,
    as2_to: &'a str,
    message_id: &'a str,
    subject: Option<&'a str>,
    received_at: String,
    file_name: Option<String>,
    content_type: Option<&'a str>,
    bytes: u64,
    signed_by: Option<String>,
    encrypted_with: Option<String>,
    compressed: bool,
    mic: Option<String>,
    /// Which file of a message with several this is, and of how many.
    #[serde(skip_serializing_if = "Option::is_none")]
    attachment: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dxp: Option<&'a DxpMeta>,
}

/// One file of a message with several.
struct Place<'a> {
    number: usize,
    of: usize,
    attachment: &'a Attachment,
}

impl Place<'_> {
    fn file_name(&self, id: Id) -> String {
        let given = self.attachment.file_name.as_ref().map(|name| name.safe.clone());
        given.unwrap_or_else(|| format!("{id}-{}.{}", self.number, extension(self.attachment.content_type.as_deref())))
    }

    fn publication(&self, id: Id, meta: String, draft: Draft, transaction: &mut Transaction) -> Publication {
        let content = Content::Body(draft.into_body(transaction));
        let files = vec![(".meta.json".to_owned(), Content::Text(meta)), (String::new(), content)];
        Publication { folder: Folder::Inbox, name: self.file_name(id), files }
    }
}

impl Inbound {
    /// What a verified message turns out to be; a new one comes with the transaction that accepts it, its answer in it, unless
    /// it cannot be answered for now: it is accepted all the same, and its repetition will be answered. The caller has the
    /// turn at `key`, and keeps it until that is committed. Reads, writes and signs, so it runs on the blocking pool.
    pub(super) fn prepare(
        &self,
        candidate: &Candidate,
        key: &DedupKey,
        mut verified: Verified,
        arrival: Arrival,
    ) -> Result<Prepared, NoAnswer> {
        let sight = self.sight(candidate, key, &verified.opened);
        if let Some(existing) = self.store.by_dedup_key(key) {
            return Ok(earlier(&verified.opened, existing, arrival.wire));
        }
        if let Some(refusal) = self.misnamed(&candidate.partner, &verified) {
            return Ok(Prepared::refused(refusal, arrival.wire, &verified.opened));
        }
        if let Some(heard) = verified.heard.take() {
            match self.keep_heard(&candidate.partner, heard).map_err(NoAnswer::Storage)? {
                Heard::Unusable(why) => {
                    let refusal = Refusal::unusable(&why, verified.opened.mic.clone());
                    return Ok(Prepared::refused(refusal, arrival.wire, &verified.opened));
                }
                heard => verified.heard = Some(heard),
            }
        }
        self.accepting(candidate, key, verified, arrival, sight).map(Prepared::New)
    }

    /// The transaction that accepts a message, and its answer.
    fn accepting(
        &self,
        candidate: &Candidate,
        key: &DedupKey,
        verified: Verified,
        arrival: Arrival,
        sight: Option<Sight>,
    ) -> Result<Box<New>, NoAnswer> {
        let Candidate { partner, request, agreed, .. } = candidate;
        let Verified { opened, payload, mut unwrapped, heard, attachments } = verified;
        let (id, now) = (candidate.id, self.clock.now());
        let answers = self.heard(id, partner, unwrapped.as_mut(), agreed.at).map_err(NoAnswer::Storage)?;
        let provenance = Provenance {
            at_home: arrival.shows_home(sight == Some(Sight::Fresh)),
            ahead: self.recordings.ahead(signing_time(&opened)),
            remote: arrival.remote,
        };
        let mut transaction = Transaction::new(now);
        let meta = meta_text(id, partner, request, &opened, unwrapped.as_ref(), None, &customs_time(agreed.at));
        let declaration = unwrapped.as_ref().and_then(|unwrapped| summary(&unwrapped.dxp));
        let name = file_name(id, &opened, unwrapped.as_ref());
        let wire = arrival.wire.into_body(&mut transaction);
        let payload = payload.into_body(&mut transaction);
        let enclosed = attachments.len();
        let enclosed = attachments.into_iter().enumerate().map(|(number, (attachment, draft))| {
            let place = Place { number: number.saturating_add(1), of: enclosed, attachment: &attachment };
            let meta = meta_text(id, partner, request, &opened, None, Some(&place), &customs_time(agreed.at));
            place.publication(id, meta, draft, &mut transaction)
        });
        let mut publications: Vec<Publication> = enclosed.collect();
        let files = inbox_files(meta, payload, unwrapped.and_then(|unwrapped| unwrapped.document), &mut transaction);
        // What certificate exchange says is for people, not for whoever empties the inbox.
        if publications.is_empty() && heard.is_none() {
            publications.push(Publication { folder: Folder::Inbox, name: name.clone(), files });
        }
        let answers = answers.map(|answers| {
            let (report, answers) = answers.published(&name);
            publications.push(report.into_publication(&mut transaction));
            answers
        });
        let fact = Fact::Accepted {
            partner: partner.id.clone(),
            key: key.clone(),
            headers: request.headers.clone(),
            wire,
            payload,
            file_name: name,
            declaration,
            signer: opened.signature.as_ref().map(|valid| valid.signer().to_string()),
            files: publications,
        };
        transaction.fact(id, fact);
        if let Some(change) = heard.and_then(|heard| heard.change(id, partner)) {
            transaction.change(change);
        }
        let evidence = terms::accepted(&agreed.policy, &opened, provenance);
        transaction.fact(id, Fact::Evidence { evidence });
        if let Some(answers) = answers {
            answers.record(&mut transaction, id);
        }
        // The MDN becomes durable with what it vouches for, and leaves here after that.
        let disposition = proof::processed(&opened, &Stored::assertion());
        let asked = Asked { id, asking: id, partner, request };
        let answer = self.answer_in(&mut transaction, &asked, &disposition, opened.mic.as_ref());
        Ok(Box::new(New { transaction, answer, opened, sight }))
    }

    /// Makes a new message durable.
    pub(super) async fn publish(&self, candidate: &Candidate, new: New) -> Result<Published, NoAnswer> {
        let New { transaction, answer, opened, sight } = new;
        self.store.commit(transaction).await.map_err(NoAnswer::Journal)?;
        let (id, partner) = (candidate.id, &candidate.partner);
        tracing::info!(%id, partner = %partner.id, bytes = opened.payload_len, "received");
        report_tolerated(id, partner, &opened);
        Ok(Published { answer, sight, signed_at: signing_time(&opened) })
    }
}

/// When a message was signed, by its signer's clock.
fn signing_time(opened: &Opened) -> Option<Timestamp> {
    opened.signature.as_ref().and_then(SignatureValid::signing_time)
}

/// The payload with its meta file, or the document from inside it with the envelope beside it.
fn inbox_files(
    meta: String,
    payload: Body,
    document: Option<Draft>,
    transaction: &mut Transaction,
) -> Vec<(String, Content)> {
    let mut files = vec![(".meta.json".to_owned(), Content::Text(meta))];
    match document {
        Some(document) => {
            files.push((".envelope.xml".to_owned(), Content::Body(payload)));
            files.push((String::new(), Content::Body(document.into_body(transaction))));
        }
        None => files.push((String::new(), Content::Body(payload))),
    }
    files
}

/// What a waiver or a switch allowed: whoever watches the log sees how much still depends on it.
fn report_tolerated(id: Id, partner: &Partner, opened: &Opened) {
    let digest = opened.signature.as_ref().map(SignatureValid::digest).filter(|digest| digest.is_legacy());
    let cipher = opened.encrypted.filter(|cipher| cipher.is_legacy());
    let used = [digest.map(|digest| digest.to_string()), cipher.map(|cipher| cipher.to_string())];
    for algorithm in used.into_iter().flatten() {
        tracing::warn!(%id, partner = %partner.id, algorithm, code = "waiver-used", "an outdated algorithm was accepted under a waiver");
    }
    if opened.unknown_signer {
        tracing::warn!(%id, partner = %partner.id, code = "unknown-signer-accepted", "signed by nobody known; accepted as unsigned, as agreed (accept.unknown_signer)");
    }
}

/// A key that is taken: by the same content, which is stored, or by another.
fn earlier(opened: &Opened, existing: Message, wire: Draft) -> Prepared {
    match Vouched::opened_again(&existing, opened) {
        Some(vouched) => Prepared::Duplicate(vouched, Box::new(existing)),
        None => Prepared::refused(Refusal::other_content(opened.mic.clone()), wire, opened),
    }
}

fn summary(dxp: &DxpMeta) -> Option<DeclarationSummary> {
    Some(DeclarationSummary {
        message_type: dxp.message_type.clone()?,
        documents: u32::try_from(dxp.receipt_total.unwrap_or(dxp.receipt.len())).unwrap_or(u32::MAX),
        cop_msg_id: dxp.envelope.as_ref().map(|head| head.cop_msg_id.clone()),
        keys: dxp
            .receipt
            .iter()
            .take(2)
            .flat_map(|entry| entry.keys.iter().map(|key| (key.name.clone(), key.value.clone())))
            .collect(),
        dxpid: None,
    })
}

fn file_name(id: Id, opened: &Opened, unwrapped: Option<&Unwrapped>) -> String {
    let inner = unwrapped.and_then(|unwrapped| unwrapped.file_name.clone());
    let given = || opened.file_name.as_ref().map(|name| name.safe.clone());
    let named = inner.or_else(given).filter(|name| !name.is_empty());
    named.unwrap_or_else(|| format!("{id}.{}", extension(opened.content_type.as_deref())))
}

/// For files that came without a name.
fn extension(content_type: Option<&str>) -> &'static str {
    let content_type = content_type.unwrap_or_default().to_ascii_lowercase();
    match content_type.split(';').next().unwrap_or_default().trim() {
        "application/xml" | "text/xml" => "xml",
        "application/edifact" | "application/edi-x12" | "application/edi-consent" => "edi",
        "application/pdf" => "pdf",
        "text/plain" => "txt",
        "application/json" => "json",
        _ => "bin",
    }
}

fn meta_text(
    id: Id,
    partner: &Partner,
    request: &Request,
    opened: &Opened,
    unwrapped: Option<&Unwrapped>,
    place: Option<&Place<'_>>,
    received_at: &str,
) -> String {
    let own = place.map(|place| place.attachment);
    let file_name = own.map_or(opened.file_name.as_ref(), |own| own.file_name.as_ref());
    let meta = Meta {
        id: id.to_string(),
        partner: &partner.id,
        as2_from: request.from.as_str(),
        as2_to: request.to.as_str(),
        message_id: request.message_id.as_str(),
        subject: request.subject.as_deref(),
        received_at: received_at.to_owned(),
        file_name: file_name.map(|name| printable(&name.original)),
        content_type: own.map_or(opened.content_type.as_deref(), |own| own.content_type.as_deref()),
        bytes: own.map_or(opened.payload_len, |own| own.len),
        signed_by: opened.signature.as_ref().map(|valid| valid.signer().to_string()),
        encrypted_with: cipher_name(opened.encrypted),
        compressed: opened.compressed,
        mic: opened.mic.as_ref().map(ToString::to_string),
        attachment: place.map(|place| format!("{}/{}", place.number, place.of)),
        dxp: unwrapped.map(|unwrapped| &unwrapped.dxp),
    };
    serde_json::to_string_pretty(&meta).unwrap_or_default() + "\n"
}
