//! 业务接口测试: one message type from pre-check to the last business receipt.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, timeout_at};

use super::book::Book;
use super::sending::Sent;
use crate::bilingual;
use crate::connectivity::explain::refused;
use crate::connectivity::gateway::Gateway;
use crate::connectivity::plan::Business;
use crate::connectivity::run::{BusinessAnswer, Layer, PlatformReceipt};
use crate::declaration::envelope::{self, Unwrapped};
use crate::declaration::precheck::BusinessKey;
use crate::declaration::receipt::{self, Progress};
use crate::declaration::sample;
use crate::declaration::standing::FORMAT_RECEIPT;
use crate::ground::drain;
use crate::ground::id::Id;
use crate::ground::limits::Limits;
use crate::ground::text::Bilingual;
use crate::partner::trial::Trial;
use crate::store::record::{Direction, Message};
use crate::store::{Filter, Store};

/// A slow listener may miss a change; it looks by itself that often.
const LOOK: Duration = Duration::from_millis(300);
/// Inbound messages looked at.
const LOOKED_AT: usize = 2_000;
/// Characters kept of `returnInfo`.
const KEPT_INFO: usize = 300;

impl<G: Gateway> Book<'_, G> {
    /// Runs a business case.
    pub(super) async fn business(&mut self, business: &Business) {
        let Some(payload) = self.payload(business).await else { return };
        let Some(message) = self.post(payload, "xml", Trial::default()).await else { return };
        if message.declaration.is_some() {
            let (errors, warnings) =
                message.findings.as_ref().map_or((0, 0), |findings| (findings.errors, findings.warnings));
            let seen = bilingual!(
                "预检：{errors} 个错误，{warnings} 个警告",
                "pre-check: {errors} errors, {warnings} warnings"
            );
            self.good(Layer::Format, seen, None);
        }
        if let Some(cop_msg_id) = message.declaration.as_ref().and_then(|declared| declared.cop_msg_id.clone()) {
            self.good(
                Layer::Envelope,
                bilingual!("信封 CopMsgId {cop_msg_id}", "envelope with CopMsgId {cop_msg_id}"),
                None,
            );
        }
        let Some(Sent { message }) = self.delivered(message).await else { return };
        self.answered(business, message).await;
    }

    /// What is sent: the enterprise's file, or a sample.
    async fn payload(&mut self, business: &Business) -> Option<Vec<u8>> {
        if let Some(file) = &business.file {
            let (path, limit) = (self.parts.folder.join(file), self.parts.limits.payload);
            let shown = path.display().to_string();
            let read = drain::blocking(move || {
                let mut bytes = Vec::new();
                std::fs::File::open(&path)?.take(limit).read_to_end(&mut bytes)?;
                Ok::<_, std::io::Error>(bytes)
            });
            let read = read.await.map_err(std::io::Error::other).and_then(|read| read);
            return match read {
                Ok(bytes) => Some(bytes),
                Err(error) => {
                    let seen = bilingual!("无法读取 {shown}：{error}", "{shown} cannot be read: {error}");
                    self.fails("file-unreadable", seen);
                    None
                }
            };
        }
        let dxpid = self.parts.station.dxpid.clone().unwrap_or_default();
        let count = usize::try_from(business.documents).unwrap_or(1);
        let made = sample::of(&business.message_type, count, &dxpid, self.parts.clock.now(), self.seed());
        if made.is_none() {
            let kind = &business.message_type;
            self.fails("sample-missing", bilingual!("没有 {kind} 的样例", "there is no sample of {kind}"));
        }
        made
    }

    /// Awaits the transport receipt and the business receipts.
    async fn answered(&mut self, business: &Business, message: Message) {
        let (parts, from) = (self.parts, message.created);
        let mut changes = parts.store.follow();
        let mut heard = Heard::default();
        loop {
            let message = parts.store.message(&message.id).unwrap_or_else(|| message.clone());
            let (store, limits, of) = (parts.store.clone(), parts.limits, message.clone());
            let known = std::mem::take(&mut heard);
            heard = drain::blocking(move || known.listen(&store, &of, from, &limits)).await.unwrap_or_default();
            self.keep_answers(&message, &heard);
            let verdict = judge(business, &message, &heard);
            if verdict != Verdict::Waiting || self.left().is_zero() {
                return self.conclude(business, &message, &heard, verdict);
            }
            let look = self.deadline.min(Instant::now() + LOOK);
            let _ = timeout_at(look, changes.recv()).await;
        }
    }

    fn keep_answers(&mut self, message: &Message, heard: &Heard) {
        let Some(proof) = self.record.evidence.messages.iter_mut().find(|proof| proof.id == message.id) else { return };
        proof.receipts = heard.answers();
        proof.platform = message.platform.as_ref().map(|answer| PlatformReceipt {
            at: answer.at,
            message: answer.response,
            code: answer.code.clone(),
            info: answer.info.clone(),
            refused: answer.refused,
        });
    }

    fn conclude(&mut self, business: &Business, message: &Message, heard: &Heard, verdict: Verdict) {
        if let Some(platform) = &message.platform {
            let (code, info) = (&platform.code, platform.info.clone().unwrap_or_default());
            let seen = bilingual!("传输回执 {code} {info}", "transport receipt {code} {info}");
            match platform.refused {
                true => self.failed(refused(code, seen)),
                false => self.good(Layer::Envelope, seen, None),
            }
        }
        for answer in heard.answers() {
            let seen = told(&answer);
            match bad(business, &answer) {
                None => self.good(Layer::Business, seen, None),
                Some(code) => self.fails(code, seen),
            }
        }
        if verdict == Verdict::Waiting {
            if business.transport_receipt && message.platform.is_none() {
                let seen = bilingual!("没有收到传输回执", "no transport receipt came");
                self.fails("transport-receipt-missing", seen);
            }
            let missing = missing(business, message, heard).join(", ");
            if !missing.is_empty() {
                let seen = bilingual!("未收到的回执状态：{missing}", "statuses that were not heard: {missing}");
                self.fails("receipt-missing", seen);
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Waiting,
    Good,
    Bad,
}

/// What customs said about one message, by the inbound message that brought it.
#[derive(Debug, Default)]
struct Heard(BTreeMap<Id, Vec<BusinessAnswer>>);

impl Heard {
    /// Adds what has come since.
    fn listen(mut self, store: &Store, message: &Message, from: Timestamp, limits: &Limits) -> Heard {
        let filter = Filter {
            direction: Some(Direction::Inbound),
            partner: Some(message.partner.clone()),
            from: Some(from),
            limit: LOOKED_AT,
            ..Filter::default()
        };
        for inbound in store.messages(&filter) {
            let answers = inbound.answered.as_ref().is_some_and(|answered| answered.messages.contains(&message.id));
            if answers && !self.0.contains_key(&inbound.id) {
                let read = read(store, &inbound, message, limits);
                self.0.extend(read.map(|answers| (inbound.id, answers)));
            }
        }
        self
    }

    fn answers(&self) -> Vec<BusinessAnswer> {
        self.0.values().flatten().cloned().collect()
    }
}

/// The entries of a receipt that are about the message.
fn read(store: &Store, inbound: &Message, message: &Message, limits: &Limits) -> Option<Vec<BusinessAnswer>> {
    let bytes = store.read_all(&inbound.payload?, limits.payload).ok()?;
    let mut document = Vec::new();
    let wrapped =
        matches!(envelope::unwrap(&mut bytes.as_slice(), &mut document, limits), Ok(Unwrapped::Message { .. }));
    let document = if wrapped { document } else { bytes };
    let receipt = receipt::read(&mut document.as_slice(), limits).ok()?;
    let request = message.declaration.as_ref().map(|declared| declared.message_type.clone()).unwrap_or_default();
    let documents: Vec<(u32, Vec<BusinessKey>)> = (1..)
        .zip(message.documents.iter())
        .map(|(number, document)| {
            let key = |(name, value): &(String, String)| BusinessKey {
                document: number,
                name: name.clone(),
                value: value.clone(),
            };
            (number, document.keys.iter().map(key).collect())
        })
        .collect();
    let whole = receipt.message_type == FORMAT_RECEIPT;
    let answers = receipt.entries.iter().filter_map(|entry| {
        let about = documents.iter().find(|(_, keys)| receipt::concerns(entry, &request, keys));
        let document = about.map(|(number, _)| *number).or(whole.then_some(0))?;
        let (_, meaning) = receipt::meaning(&receipt.message_type, &entry.status);
        Some(BusinessAnswer {
            at: inbound.created,
            message: inbound.id,
            message_type: receipt.message_type.clone(),
            document,
            status: entry.status.clone(),
            meaning,
            info: entry.info.chars().take(KEPT_INFO).collect(),
        })
    });
    Some(answers.collect())
}

fn judge(business: &Business, message: &Message, heard: &Heard) -> Verdict {
    let refused = message.platform.as_ref().is_some_and(|platform| platform.refused);
    if refused || heard.answers().iter().any(|answer| bad(business, answer).is_some()) {
        return Verdict::Bad;
    }
    let transport = !business.transport_receipt || message.platform.is_some();
    if transport && missing(business, message, heard).is_empty() { Verdict::Good } else { Verdict::Waiting }
}

/// Why an answer ends the case badly: it is bad, and the plan does not expect it.
fn bad(business: &Business, answer: &BusinessAnswer) -> Option<&'static str> {
    if business.receipts.contains(&answer.status) {
        return None;
    }
    if answer.message_type == FORMAT_RECEIPT {
        return Some("format-refused");
    }
    let (progress, _) = receipt::meaning(&answer.message_type, &answer.status);
    (progress == Progress::Bad).then_some("business-refused")
}

/// `document: status` of everything that was not heard.
fn missing(business: &Business, message: &Message, heard: &Heard) -> Vec<String> {
    let answers = heard.answers();
    let documents = u32::try_from(message.documents.len()).unwrap_or(u32::MAX);
    let mut missing = Vec::new();
    for document in 1..=documents.max(1) {
        for status in &business.receipts {
            let is_it = |answer: &&BusinessAnswer| answer.status == *status && [0, document].contains(&answer.document);
            if !answers.iter().any(|answer| is_it(&answer)) {
                missing.push(format!("{document}: {status}"));
            }
        }
    }
    missing
}

fn told(answer: &BusinessAnswer) -> Bilingual {
    let BusinessAnswer { message_type, document, status, meaning, info, .. } = answer;
    let (zh, en) = (&meaning.zh, &meaning.en);
    bilingual!(
        "{message_type} 第 {document} 份：{status} {zh} {info}",
        "{message_type}, document {document}: {status} {en} {info}"
    )
}
