//! What a receipt of customs or a response of the platform answers: the documents that we sent, found by their keys.
//!
//! Judged before the message is recorded and made durable with it, in one transaction: a receipt that was accepted has
//! been heard, and one that is repeated is a repetition of its message and not heard again. Which of two receipts is the
//! newer is decided where it is applied ([`Document::hear`](crate::declaration::standing::Document::hear)), whatever
//! order they come in. Only messages to the partner that sent the receipt are looked at.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write as _};

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::Inbound;
use super::unwrap::Unwrapped;
use crate::declaration::envelope::{self, TransportResponse};
use crate::declaration::family;
use crate::declaration::receipt::{self, Receipt, ReceiptEntry};
use crate::declaration::standing::{self, FORMAT_RECEIPT, KEPT_INFO, Key, Standing};
use crate::ground::clock::customs_time;
use crate::ground::id::Id;
use crate::partner::Partner;
use crate::store::draft::{Draft, Sink};
use crate::store::record::{
    Answered, Content, Fact, Folder, Message, NAMED, PlatformAnswer, PlatformResult, Publication, Said,
};
use crate::store::{Declared, Transaction};

/// What a receipt answers.
pub(super) struct Answers {
    message_type: String,
    said: BTreeMap<Id, Vec<Said>>,
    platform: Vec<(Id, PlatformWord)>,
    unknown: u32,
    /// A name of its own for the file in `receipts/`, and its bytes.
    report: (Option<String>, Draft),
}

/// The file in `receipts/`.
pub(super) struct ReportFile {
    name: String,
    bytes: Draft,
}

impl ReportFile {
    /// Makes the bytes part of the transaction.
    pub(super) fn into_publication(self, transaction: &mut Transaction) -> Publication {
        let files = vec![(String::new(), Content::Body(self.bytes.into_body(transaction)))];
        Publication { folder: Folder::Receipts, name: self.name, files }
    }
}

/// What is left to be recorded once the file is published.
pub(super) struct Facts {
    message_type: String,
    said: BTreeMap<Id, Vec<Said>>,
    platform: Vec<(Id, PlatformWord)>,
    unknown: u32,
}

/// What the platform said of one envelope.
struct PlatformWord {
    node: Option<String>,
    code: String,
    info: Option<String>,
    notice: String,
    results: Box<[PlatformResult]>,
}

/// `receipts/<name>.json`.
#[derive(Serialize)]
struct Report<'a> {
    id: String,
    partner: &'a str,
    received_at: String,
    message_type: &'a str,
    /// `CopMsgId` of the receipt's own envelope.
    cop_msg_id: Option<&'a str>,
    entries: Vec<Line>,
    /// Entries about documents that this station did not send.
    unknown: u32,
    /// Entries that are only in the receipt itself.
    left_out: u32,
}

#[derive(Serialize)]
struct Line {
    /// The document that is answered; none when this station did not send it.
    document: Option<Target>,
    keys: Vec<Key>,
    status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    standing: Option<Standing>,
    meaning_zh: String,
    meaning_en: String,
    time: String,
    info: String,
}

#[derive(Serialize)]
struct Target {
    message: Id,
    file: String,
    message_type: String,
    /// Which document of the message; 0 for all of it.
    number: u32,
}

impl Target {
    fn of(message: &Message, number: u32) -> Target {
        let declaration = message.declaration.as_ref();
        Target {
            message: message.id,
            file: message.file_name.clone(),
            message_type: declaration.map(|declaration| declaration.message_type.clone()).unwrap_or_default(),
            number,
        }
    }
}

/// Where a receipt came in.
struct Origin<'a> {
    id: Id,
    partner: &'a Partner,
    at: Timestamp,
    cop_msg_id: Option<&'a str>,
}

impl Inbound {
    /// What a message from a partner with profile `dxp` answers; none when it is no answer. Reads the index and may write a
    /// draft (blocking I/O). Errors are those of our own storage.
    pub(super) fn heard(
        &self,
        id: Id,
        partner: &Partner,
        unwrapped: Option<&mut Unwrapped>,
        at: Timestamp,
    ) -> io::Result<Option<Answers>> {
        let Some(unwrapped) = unwrapped else { return Ok(None) };
        let (receipt, response) = (unwrapped.receipt.take(), unwrapped.dxp.transport_response.take());
        let cop_msg_id = unwrapped.dxp.envelope.as_ref().map(|head| head.cop_msg_id.as_str());
        let origin = Origin { id, partner, at, cop_msg_id };
        match (&receipt, &response) {
            (Some(receipt), _) => self.answers(receipt, &origin).map(Some),
            (None, Some(response)) => self.platform_answers(response, &origin).map(Some),
            (None, None) => Ok(None),
        }
    }

    /// What a business receipt answers. Errors are those of our own storage.
    fn answers(&self, receipt: &Receipt, origin: &Origin<'_>) -> io::Result<Answers> {
        let mut said: BTreeMap<Id, Vec<Said>> = BTreeMap::new();
        let (mut lines, mut unknown) = (Vec::with_capacity(receipt.entries.len()), 0u32);
        for entry in &receipt.entries {
            let time = time_of(entry, origin.at);
            let target = self.target(receipt, entry, &time, origin);
            match &target {
                None => unknown = unknown.saturating_add(1),
                Some(target) => {
                    said.entry(target.message).or_default().push(words(entry, target.number, time.clone()));
                }
            }
            lines.push(line(&receipt.message_type, entry, time, target));
        }
        let name = own_name(&receipt.message_type, &lines);
        let report = self.report(&receipt.message_type, lines, (unknown, receipt.left_out), origin)?;
        let message_type = receipt.message_type.clone();
        Ok(Answers { message_type, said, platform: Vec::new(), unknown, report: (name, report) })
    }

    /// The document that an entry is about.
    fn target(&self, receipt: &Receipt, entry: &ReceiptEntry, time: &str, origin: &Origin<'_>) -> Option<Target> {
        if receipt.message_type == FORMAT_RECEIPT {
            let key = entry.keys.iter().find(|key| key.name == "oriCopMsgId")?;
            let message = self.store.by_cop_msg_id(&origin.partner.id, &key.value)?;
            return Some(Target::of(&message, 0));
        }
        let (request, main) = standing::subject(&receipt.message_type)?;
        let value = &entry.keys.iter().find(|key| key.name == main)?.value;
        let meant = |declared: &Declared| {
            declared.message().partner == origin.partner.id
                && declared.message_type() == request
                && declared.document().is_meant_by(&entry.keys, main)
        };
        let declared = self.store.declared(main, value).take(LOOKED_AT).filter(meant);
        let mut candidates: Vec<Declared> = declared.take(DECLARED_AGAIN).collect();
        // By their identifiers, messages that were submitted with a key are of the beginning of their hour.
        candidates.sort_by_key(|declared| Reverse(declared.message().created));
        let newest = candidates.first().cloned();
        let mut candidates = candidates.into_iter();
        // A document that was declared again under the same number: what customs said before that is about the earlier, and so
        // is what it says while the later one has not left.
        let said_at = receipt::instant(time);
        let latest = said_at.and_then(|at| at.checked_add(CLOCKS_APART).ok());
        let found = candidates.find(|declared| {
            let message = declared.message();
            !message.reach.is_none(message.attempts) && latest.is_none_or(|latest| message.created <= latest)
        });
        // Within the doubt of the clocks: what an earlier one was told already is told of that one again.
        let is_doubtful = found.as_ref().zip(said_at).is_some_and(|(found, at)| at < found.message().created);
        let was_told = |declared: &Declared| declared.document().was_told(&receipt.message_type, &entry.status, time);
        let repeated = if is_doubtful { candidates.find(was_told) } else { None };
        repeated.or(found).or(newest).map(|declared| Target::of(declared.message(), declared.number()))
    }

    /// What the platform's response answers.
    fn platform_answers(&self, response: &TransportResponse, origin: &Origin<'_>) -> io::Result<Answers> {
        let (mut platform, mut lines, mut unknown) = (Vec::new(), Vec::new(), 0u32);
        for response in &response.responses {
            let (code, info) = worst(response);
            let original = &response.original.cop_msg_id;
            let message = self.store.by_cop_msg_id(&origin.partner.id, original);
            let meaning = envelope::response_meaning(&code);
            lines.push(Line {
                document: message.as_ref().map(|message| Target::of(message, 0)),
                keys: vec![("CopMsgId".to_owned(), original.clone())],
                status: code.clone(),
                standing: None,
                meaning_zh: meaning.zh,
                meaning_en: meaning.en,
                time: response.notice_time.clone().unwrap_or_default(),
                info: info.clone().unwrap_or_default(),
            });
            match message {
                None => unknown = unknown.saturating_add(1),
                Some(message) => {
                    let info = info.map(|info| info.chars().take(KEPT_INFO).collect());
                    let (node, results) = (response.node_id.clone(), results(response));
                    let notice = notice_day(response.notice_time.as_deref(), origin.at);
                    platform.push((message.id, PlatformWord { node, code, info, notice, results }));
                }
            }
        }
        let left_out = response.left_out;
        let message_type = standing::TRANSPORT_RESPONSE.to_owned();
        let report = self.report(&message_type, lines, (unknown, left_out), origin)?;
        Ok(Answers { message_type, said: BTreeMap::new(), platform, unknown, report: (None, report) })
    }

    fn report(
        &self,
        message_type: &str,
        entries: Vec<Line>,
        (unknown, left_out): (u32, u32),
        origin: &Origin<'_>,
    ) -> io::Result<Draft> {
        let report = Report {
            id: origin.id.to_string(),
            partner: &origin.partner.id,
            received_at: customs_time(origin.at),
            message_type,
            cop_msg_id: origin.cop_msg_id,
            entries,
            unknown,
            left_out,
        };
        let mut sink = Sink::new(&self.store);
        serde_json::to_writer_pretty(&mut sink, &report).map_err(io::Error::from)?;
        sink.write_all(b"\n")?;
        sink.finish()
    }
}

/// Documents with the same main key that are looked at: parts of a split message, declared again and again, or of other partners.
const LOOKED_AT: usize = 10_000;
/// Of those, documents that a receipt may mean: one that was declared again and again.
const DECLARED_AGAIN: usize = 1_000;
/// Our clock may be ahead of that of customs by this much.
const CLOCKS_APART: SignedDuration = SignedDuration::from_mins(10);
/// A receipt may be ahead of our clock by this much; one that claims to be of a later time would outlive all others.
const AHEAD: SignedDuration = SignedDuration::from_hours(24);
/// Results kept of one response; an envelope has at most five receivers.
const RESULTS: usize = 5;

impl Answers {
    /// The file in `receipts/`, called after `inbox_name` unless it has a name of its own, and the rest.
    pub(super) fn published(self, inbox_name: &str) -> (ReportFile, Facts) {
        let Answers { message_type, said, platform, unknown, report: (name, bytes) } = self;
        let name = name.unwrap_or_else(|| format!("{inbox_name}.json"));
        (ReportFile { name, bytes }, Facts { message_type, said, platform, unknown })
    }
}

impl Facts {
    /// Makes the answers part of the transaction that accepts `receipt`.
    pub(super) fn record(self, transaction: &mut Transaction, receipt: Id) {
        // The platform may say several things about one envelope.
        let messages: BTreeSet<Id> = self.said.keys().chain(self.platform.iter().map(|(id, _)| id)).copied().collect();
        let of = u32::try_from(messages.len()).unwrap_or(u32::MAX);
        tracing::info!(id = %receipt, message_type = self.message_type, messages = of, unknown = self.unknown, "a receipt");
        for (id, entries) in self.said {
            let message_type = self.message_type.clone();
            transaction.fact(id, Fact::BusinessReceipt { receipt, message_type, entries });
        }
        let at = transaction.at();
        for (id, PlatformWord { node, code, info, notice, results }) in self.platform {
            let refused = !envelope::response_is_success(&code);
            let notice = Some(notice);
            let answer = PlatformAnswer { at, response: receipt, node, code, info, refused, notice, results };
            transaction.fact(id, Fact::PlatformAnswered { answer });
        }
        let messages = messages.into_iter().take(NAMED).collect();
        transaction.fact(receipt, Fact::Matched { answered: Answered { messages, of, unknown: self.unknown } });
    }
}

/// What an entry says, as the journal keeps it.
fn words(entry: &ReceiptEntry, document: u32, time: String) -> Said {
    Said {
        document,
        status: entry.status.chars().take(STATUS).collect(),
        time,
        info: entry.info.chars().take(KEPT_INFO).collect(),
        given: standing::numbers(&entry.keys),
    }
}

/// Characters of a status; the schema allows ten.
const STATUS: usize = 20;

/// `returnTime`; where it cannot be read or lies in the future, the time of reception.
fn time_of(entry: &ReceiptEntry, received: Timestamp) -> String {
    let latest = received.checked_add(AHEAD).unwrap_or(received);
    let own = receipt::instant(&entry.time).filter(|at| *at <= latest);
    receipt::return_time(own.unwrap_or(received))
}

/// The day of `NoticeTime` (`xs:date`); where it cannot be read or lies ahead, that of reception.
fn notice_day(given: Option<&str>, received: Timestamp) -> String {
    let day = |at: Timestamp| customs_time(at).chars().take("2026-03-01".len()).collect::<String>();
    let latest = day(received.checked_add(AHEAD).unwrap_or(received));
    let own = given.and_then(|given| given.trim().get(.."2026-03-01".len())).map(str::to_owned);
    own.filter(|own| own.parse::<jiff::civil::Date>().is_ok() && *own <= latest).unwrap_or_else(|| day(received))
}

fn line(message_type: &str, entry: &ReceiptEntry, time: String, document: Option<Target>) -> Line {
    let (_, meaning) = receipt::meaning(message_type, &entry.status);
    let notice = standing::is_notice(message_type);
    Line {
        document,
        keys: entry.keys.iter().map(|key| (key.name.clone(), key.value.clone())).collect(),
        status: entry.status.clone(),
        standing: (!notice).then(|| Standing::told_by(message_type, &entry.status)),
        meaning_zh: meaning.zh,
        meaning_en: meaning.en,
        time,
        info: entry.info.clone(),
    }
}

/// A receipt about one message has its name, the receipt's type and its newest time: `orders.xml.CEB312.….json`.
fn own_name(message_type: &str, lines: &[Line]) -> Option<String> {
    let targets = || lines.iter().map(|line| line.document.as_ref());
    let first = targets().next()??;
    let one = targets().all(|target| target.is_some_and(|target| target.message == first.message));
    let time = lines.iter().map(|line| line.time.as_str()).max()?;
    let kind = family::find(message_type).map(|row| row.name.trim_end_matches("Message"))?;
    one.then(|| format!("{}.{kind}.{time}.json", first.file))
}

/// What a response says of each receiver, as the journal keeps it.
fn results(response: &envelope::Response) -> Box<[PlatformResult]> {
    let first = |text: &str, most| text.chars().take(most).collect::<String>();
    let result = |result: &envelope::ResponseResult| PlatformResult {
        receiver: first(&result.receiver_id, STATUS),
        code: first(&result.code, STATUS),
        info: result.info.as_deref().map(|info| first(info, KEPT_INFO)),
        notice: None,
    };
    response.results.iter().take(RESULTS).map(result).collect()
}

/// The code of a response, or that of a receiver whose result is worse.
fn worst(response: &envelope::Response) -> (String, Option<String>) {
    let mut all = std::iter::once((&response.code, &response.info))
        .chain(response.results.iter().map(|result| (&result.code, &result.info)));
    let refused = all.clone().find(|(code, _)| !envelope::response_is_success(code));
    let (code, info) = refused.or_else(|| all.next()).unwrap_or((&response.code, &response.info));
    (code.chars().take(STATUS).collect(), info.clone())
}
