//! The customs side for tests and demonstrations: plays the platform behind an AS2 endpoint of its own.
//!
//! The endpoint is an ordinary gateway whose partner is the enterprise. The [`Responder`] is what customs would be
//! behind it: it consumes the inbox, unwraps each DxpMsg, and drops the business receipts that belong to the message
//! type (CEB312 for CEB311, CEB622 for CEB621, …) into the outbox, each wrapped in a DxpMsg of its own: the whole sequence
//! that a declaration sees; what customs says of errors, for it makes the same pre-check as the gateway's outbox
//! (`verdict`); or what a [`Scenario`] says, which may be changed while it runs ([`Bench`], [`control`]). What it consumed is
//! kept in `archive/`. In front of the endpoint, [`Endpoint`] makes the faults of a scenario happen.

mod bench;
mod books;
mod certificate;
pub mod control;
mod endpoint;
pub mod fault;
mod forgery;
pub mod scenario;
mod verdict;

use std::cell::RefCell;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::{SignedDuration, Timestamp};

pub use self::bench::{Bench, Server};
use self::books::Books;
pub use self::control::Control;
pub use self::endpoint::{Endpoint, Surroundings};
pub use self::scenario::Scenario;
use self::scenario::{Case, End, Order};
use self::verdict::{Verdict, Whole};
use crate::declaration::envelope::{self, EnvelopeHead, NodeHead, Response, TransportResponse, Unwrapped};
use crate::declaration::family;
use crate::declaration::precheck::codes::CodeTables;
use crate::declaration::precheck::{BusinessKey, Facts};
use crate::declaration::receipt::{self, OriginalMessage, Outcome, Step};
use crate::ground::clock::Clock;
use crate::ground::drain::{self, Shutdown};
use crate::ground::durable;
use crate::ground::id::Id;
use crate::ground::limits::Limits;

/// Where consumed messages go, beside the partner's other folders.
pub const ARCHIVE: &str = "archive";
/// What the name of an archived message ends in when it could not be answered.
const UNANSWERED: &str = ".unanswered";
/// Time between two looks at the inboxes.
const SWEEP: Duration = Duration::from_millis(100);
/// Files answered before the next look at the shutdown signal.
const BATCH: usize = 64;

/// What a testbed is started with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Setting {
    /// What it plays first.
    pub scenario: Scenario,
    /// Where its control listener is to be; none without.
    pub control: Option<SocketAddr>,
}

/// Answers what lands in the inboxes below an exchange folder.
#[derive(Debug, Clone)]
pub struct Responder {
    exchange: PathBuf,
    bench: Bench,
    tables: Arc<ArcSwap<CodeTables>>,
    clock: Arc<dyn Clock>,
    limits: Limits,
    books: Books,
}

impl Responder {
    /// A responder for every partner folder below `exchange`; `tables` are the code lists of its pre-check.
    pub fn new(
        exchange: &Path,
        bench: Bench,
        tables: Arc<ArcSwap<CodeTables>>,
        clock: Arc<dyn Clock>,
        limits: Limits,
    ) -> Responder {
        Responder { exchange: exchange.to_owned(), bench, tables, clock, limits, books: Books::default() }
    }

    /// Answers until shutdown.
    pub async fn run(self, shutdown: Shutdown) {
        while !shutdown.is_triggered() {
            let this = self.clone();
            let answered = match drain::blocking(move || this.answer_waiting()).await {
                Ok(Ok(answered)) => answered,
                Ok(Err(error)) => {
                    tracing::error!(%error, "the testbed cannot answer: check its exchange folder");
                    0
                }
                Err(error) => {
                    tracing::error!(%error, "the testbed's responder ended unexpectedly");
                    0
                }
            };
            if answered < BATCH {
                tokio::select! {
                    () = shutdown.triggered() => {}
                    () = tokio::time::sleep(SWEEP) => {}
                }
            }
        }
    }

    /// Answers at most a batch of waiting messages; returns how many. One that cannot be answered moves to `archive/`
    /// with the suffix `.unanswered`, so that the others get their turn.
    pub fn answer_waiting(&self) -> io::Result<usize> {
        let mut answered = 0;
        for partner in fs::read_dir(&self.exchange)? {
            let home = partner?.path();
            if !home.join("inbox").is_dir() {
                continue;
            }
            durable::create_dir_all(&home.join(ARCHIVE))?;
            for name in waiting(&home.join("inbox"))? {
                if answered == BATCH {
                    return Ok(answered);
                }
                if let Err(error) = self.answer(&home, &name) {
                    tracing::error!(%error, file = name, "the testbed cannot answer a message: it is put aside");
                    archive(&home, &name, UNANSWERED)?;
                }
                answered += 1;
            }
        }
        Ok(answered)
    }

    /// Writes the answers into the outbox, then archives the message with its companions.
    fn answer(&self, home: &Path, name: &str) -> io::Result<()> {
        let scenario = self.bench.scenario();
        let mut answers = self.answers(&home.join("inbox").join(name), self.clock.now(), &scenario)?;
        if scenario.order == Order::Reversed {
            answers.reverse();
        }
        for answer in &answers {
            for _ in 0..scenario.copies.0 {
                let (file_name, bytes) = self.wrapped(answer)?;
                durable::write_new(&home.join("outbox").join(file_name), &bytes)?;
            }
        }
        archive(home, name, "")
    }

    /// What customs says about the message in `path`, in the order of time.
    fn answers(&self, path: &Path, now: Timestamp, scenario: &Scenario) -> io::Result<Vec<Answer>> {
        let (mut bytes, mut document) = (Vec::new(), Vec::new());
        File::open(path)?.take(self.limits.payload).read_to_end(&mut bytes)?;
        let unwrapped = envelope::unwrap(&mut bytes.as_slice(), &mut document, &self.limits);
        let Ok(Unwrapped::Message { head, .. }) = unwrapped else { return Ok(Vec::new()) };
        if family::is_receipt(&head.msg_type) {
            return Ok(Vec::new());
        }
        let documents = RefCell::new(Vec::new());
        let collect = |_: u32, keys: &[BusinessKey]| {
            documents.borrow_mut().push(keys.to_vec());
            None
        };
        let read = Step { since: now, at: now, outcome: &collect };
        let read = receipt::answer_step(&mut document.as_slice(), &read, &self.limits);
        let (error, documents) = (read.err().map(|error| error.text().zh), documents.into_inner());
        let whole = documents.iter().find_map(|keys| scenario.of_message(&head.msg_type, keys));
        let verdict = match scenario.precheck && whole.is_none() {
            true => {
                let earlier = |documents: &[Facts]| self.books.about(&home_of(path), documents);
                Verdict::of(&bytes, &head, (&self.tables.load(), &self.limits), now, earlier)
            }
            false => Verdict::none(),
        };
        let request = Request { head, document, now };
        if let Some(case) = whole {
            return Ok(vec![if case.end == End::Refused { request.refused(case) } else { request.malformed_as(case) }]);
        }
        match (&verdict.whole, error, family::receipt_type(&request.head.msg_type)) {
            (Some(Whole::Refused(code, info)), ..) => Ok(vec![request.transport_receipt(code.clone(), info.clone())]),
            (Some(Whole::Malformed(error)), ..) => Ok(vec![request.malformed(error)]),
            (None, Some(error), _) => Ok(vec![request.malformed(&error)]),
            (None, None, None) => Ok(vec![request.malformed("未知报文类型")]),
            (None, None, Some(receipt_type)) => {
                let told = self.told(&request, receipt_type, &documents, scenario, &verdict)?;
                self.enter(&home_of(path), &request.head.msg_type, &documents, scenario, verdict);
                Ok(told)
            }
        }
    }

    /// Takes the documents that are not refused into the books.
    fn enter(
        &self,
        home: &Path,
        message_type: &str,
        documents: &[Vec<BusinessKey>],
        scenario: &Scenario,
        mut verdict: Verdict,
    ) {
        for facts in std::mem::take(&mut verdict.facts) {
            let number = facts.document();
            let place = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
            let keys = place.and_then(|place| documents.get(place)).map(Vec::as_slice).unwrap_or_default();
            if verdict.of_document(number).is_none() && scenario.takes(message_type, keys) {
                self.books.take(home, facts);
            }
        }
    }

    /// The answers to a message that could be read.
    fn told(
        &self,
        request: &Request,
        receipt_type: &str,
        documents: &[Vec<BusinessKey>],
        scenario: &Scenario,
        verdict: &Verdict,
    ) -> io::Result<Vec<Answer>> {
        let message_type = request.head.msg_type.as_str();
        let told = |(number, keys): (u32, &Vec<BusinessKey>)| match verdict.of_document(number) {
            Some((status, info)) => scenario.refusal(status, info),
            None => scenario.steps(message_type, receipt_type, keys),
        };
        let steps: Vec<Vec<Outcome>> = (1..).zip(documents).map(told).collect();
        let rounds = steps.iter().map(Vec::len).max().unwrap_or(0);
        let mut answers = Vec::with_capacity(rounds.saturating_add(1));
        answers.extend(scenario.transport_receipts.then(|| request.passed_on()));
        for round in 0..rounds {
            let outcome = |number: u32, _: &[BusinessKey]| {
                let place = usize::try_from(number).ok()?.checked_sub(1)?;
                steps.get(place)?.get(round).cloned()
            };
            // A millisecond apart: the time of a receipt tells which is the newer.
            let later = SignedDuration::from_millis(i64::try_from(round).unwrap_or(i64::MAX));
            let at = request.now.saturating_add(later).map_err(io::Error::other)?;
            let step = Step { since: request.now, at, outcome: &outcome };
            let receipt = receipt::answer_step(&mut request.document.as_slice(), &step, &self.limits);
            let bytes = receipt.map_err(io::Error::other)?;
            answers.extend(bytes.map(|bytes| request.message(receipt_type, bytes)));
        }
        Ok(answers)
    }

    /// The file for the outbox. Each copy is an envelope of its own.
    fn wrapped(&self, answer: &Answer) -> io::Result<(String, Vec<u8>)> {
        let now = self.clock.now();
        let id = Id::new(now).hyphenated().to_uppercase();
        let kind = &answer.msg_type;
        let file_name = format!("{kind}_{id}.xml");
        if answer.bare {
            return Ok((file_name, answer.bytes.clone()));
        }
        let head = EnvelopeHead {
            file_name: Some(file_name.clone()),
            cop_msg_id: id,
            sender_id: answer.from.clone(),
            receiver_ids: vec![answer.to.clone()],
            creat_time: envelope::creat_time(now),
            msg_type: kind.clone(),
            ..EnvelopeHead::default()
        };
        let mut wrapped = Vec::new();
        envelope::wrap(&head, &mut answer.bytes.as_slice(), &mut wrapped).map_err(io::Error::other)?;
        if self.bench.scenario().node {
            wrapped = envelope::wrap_for_node(&node_head(now), &wrapped).map_err(io::Error::other)?;
        }
        Ok((file_name, wrapped))
    }
}

/// The folder of the partner whose inbox holds this file.
fn home_of(path: &Path) -> PathBuf {
    path.ancestors().nth(2).unwrap_or(path).to_owned()
}

/// What the node of the testbed writes around a message.
fn node_head(now: Timestamp) -> NodeHead {
    let digits = |text: String| text.chars().filter(char::is_ascii_digit).collect::<String>();
    let (time, serial) = (digits(envelope::creat_time(now)), now.subsec_nanosecond());
    NodeHead {
        msg_id: format!("{NODE}{time}{serial:010}"),
        sub_msg_id: None,
        send_time: envelope::creat_time(now),
        end_node: END_NODE.to_owned(),
        start_node: NODE.to_owned(),
    }
}

/// A message that came in.
struct Request {
    head: EnvelopeHead,
    document: Vec<u8>,
    now: Timestamp,
}

/// A message that is to go out.
struct Answer {
    msg_type: String,
    from: String,
    to: String,
    bytes: Vec<u8>,
    /// Without an envelope: it is the platform's own.
    bare: bool,
}

impl Request {
    fn message(&self, msg_type: &str, bytes: Vec<u8>) -> Answer {
        let from = self.head.receiver_ids.first().cloned().unwrap_or_default();
        Answer { msg_type: msg_type.to_owned(), from, to: self.head.sender_id.clone(), bytes, bare: false }
    }

    fn malformed(&self, info: &str) -> Answer {
        let head = &self.head;
        let original = OriginalMessage {
            cop_msg_id: &head.cop_msg_id,
            message_type: Some(&head.msg_type),
            document: &self.document,
        };
        self.message("CEB900Message", receipt::format_error(&original, info, self.now))
    }

    fn malformed_as(&self, case: &Case) -> Answer {
        self.malformed(case.info.as_deref().unwrap_or("报文不符合规范"))
    }

    /// DxpRep: the platform has passed the envelope on.
    fn passed_on(&self) -> Answer {
        self.transport_receipt("0000".to_owned(), envelope::response_meaning("0000").zh)
    }

    fn refused(&self, case: &Case) -> Answer {
        let code = case.status.clone().unwrap_or_else(|| "0002".to_owned());
        let info = case.info.clone().unwrap_or_else(|| envelope::response_meaning(&code).zh);
        self.transport_receipt(code, info)
    }

    fn transport_receipt(&self, code: String, info: String) -> Answer {
        let day = envelope::creat_time(self.now).chars().take(10).collect();
        let one = Response {
            node_id: Some(NODE.to_owned()),
            code,
            info: Some(info),
            notice_time: Some(day),
            original: EnvelopeHead { file_name: None, ..self.head.clone() },
            ..Response::default()
        };
        let response =
            TransportResponse { receiver_id: self.head.sender_id.clone(), responses: vec![one], left_out: 0 };
        Answer { bare: true, ..self.message("DxpRep", envelope::write_response(&response)) }
    }
}

/// The transport node that the testbed plays.
const NODE: &str = "00000002";
/// The one that the enterprise is connected to.
const END_NODE: &str = "46000002";

/// Moves a message with its companions out of the inbox.
fn archive(home: &Path, name: &str, mark: &str) -> io::Result<()> {
    for suffix in [".meta.json", ".envelope.xml", ""] {
        let from = home.join("inbox").join(format!("{name}{suffix}"));
        if from.exists() {
            durable::rename(&from, &home.join(ARCHIVE).join(format!("{name}{suffix}{mark}")))?;
        }
    }
    Ok(())
}

/// Messages whose meta file says that they are complete, oldest name first.
fn waiting(inbox: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(inbox)? {
        let name = entry?.file_name();
        let Some(name) = name.to_str().and_then(|name| name.strip_suffix(".meta.json")) else { continue };
        if inbox.join(name).is_file() {
            names.push(name.to_owned());
        }
    }
    names.sort_unstable();
    Ok(names)
}

#[cfg(test)]
mod tests;
