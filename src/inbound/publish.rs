//! Step 3: the message becomes durable and claims its key; the only place where `Stored` is minted.

use std::sync::Arc;

use serde::Serialize;

use super::Inbound;
use super::decline::Refusal;
use super::exchange::Heard;
use super::no_answer::NoAnswer;
use super::open::{Verified, cipher_name};
use super::reply::{Answer, Asked};
use super::terms::{self, Provenance};
use super::unwrap::{DxpMeta, Unwrapped};
use crate::as2::Opened;
use crate::as2::attachments::Attachment;
use crate::as2::proof::{self, Stored};
use crate::as2::request::Request;
use crate::cms::SignatureValid;
use crate::ground::clock::customs_time;
use crate::ground::id::Id;
use crate::ground::text::printable;
use crate::partner::Partner;
use crate::store::Transaction;
use crate::store::draft::Draft;
use crate::store::record::{Body, Content, DeclarationSummary, DedupKey, Fact, Folder, Message, Publication, State};

/// What a verified message turned out to be.
pub(super) enum Published {
    /// New: durable now together with its answer, and on its way into the inbox.
    New(Result<Answer, NoAnswer>),
    /// The same message with the same content was accepted before; here is its record.
    Duplicate(Box<Opened>, Stored, Box<Message>),
    /// It cannot be accepted, though it opens; the wire bytes come back.
    Refused(Refusal, Draft),
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
    /// Commits a verified message and its answer in one transaction, unless its key is taken. The caller holds the
    /// key's lock. A message that cannot be answered for now is committed all the same: its repetition will be.
    pub(super) async fn publish(
        &self,
        id: Id,
        partner: &Arc<Partner>,
        request: &Arc<Request>,
        verified: Verified,
        (wire, provenance): (Draft, Provenance),
    ) -> Result<Published, NoAnswer> {
        let Verified { opened, payload, mut unwrapped, heard, attachments } = verified;
        let key = dedup_key(request);
        if let Some(existing) = self.store.by_dedup_key(&key) {
            return Ok(earlier(opened, existing, wire));
        }
        if let Some(refusal) = self.misnamed(partner, &opened) {
            return Ok(Published::Refused(refusal, wire));
        }
        let heard = match heard {
            Some(heard) => match self.keep_heard(partner, heard).await.map_err(NoAnswer::Storage)? {
                Heard::Unusable(why) => return Ok(Published::Refused(Refusal::unusable(&why, opened.mic), wire)),
                heard => Some(heard),
            },
            None => None,
        };
        let now = self.clock.now();
        let answers = self.heard(id, partner, unwrapped.as_mut(), now).await?;
        let mut transaction = Transaction::new(now);
        let meta = meta_text(id, partner, request, &opened, unwrapped.as_ref(), None, &customs_time(now));
        let declaration = unwrapped.as_ref().and_then(|unwrapped| summary(&unwrapped.dxp));
        let name = file_name(id, &opened, unwrapped.as_ref());
        let wire = wire.into_body(&mut transaction);
        let payload = payload.into_body(&mut transaction);
        let enclosed = attachments.len();
        let enclosed = attachments.into_iter().enumerate().map(|(number, (attachment, draft))| {
            let place = Place { number: number.saturating_add(1), of: enclosed, attachment: &attachment };
            let meta = meta_text(id, partner, request, &opened, None, Some(&place), &customs_time(now));
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
            key,
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
        let evidence = terms::accepted(&partner.accept_policy(now), &opened, provenance);
        transaction.fact(id, Fact::Evidence { evidence });
        if let Some(answers) = answers {
            answers.record(&mut transaction, id);
        }
        // The MDN becomes durable with what it vouches for, and leaves here after that.
        let disposition = proof::processed(&opened, &Stored::assertion());
        let asked = Asked { id, asking: id, partner, request };
        let answer = self.answer_in(&mut transaction, &asked, &disposition, opened.mic.as_ref()).await;
        self.store.commit(transaction).await.map_err(NoAnswer::Journal)?;
        tracing::info!(%id, partner = %partner.id, bytes = opened.payload_len, "received");
        report_tolerated(id, partner, &opened);
        Ok(Published::New(answer))
    }
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
fn earlier(opened: Opened, existing: Message, wire: Draft) -> Published {
    let same = existing.payload.is_some_and(|payload| payload.sha256 == Some(opened.payload_sha256));
    if same && existing.state == State::Accepted {
        return Published::Duplicate(Box::new(opened), Stored::assertion(), Box::new(existing));
    }
    Published::Refused(Refusal::other_content(opened.mic), wire)
}

/// What identifies a message of a partner.
pub(super) fn dedup_key(request: &Request) -> DedupKey {
    DedupKey {
        from: request.from.as_str().to_owned(),
        to: request.to.as_str().to_owned(),
        message_id: request.message_id.key().to_owned(),
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
