//! The customs side for tests and demonstrations: plays the platform behind an AS2 endpoint of its own.
//!
//! The endpoint is an ordinary gateway whose partner is the enterprise. The [`Responder`] is what customs would be
//! behind it: it consumes the inbox, unwraps each DxpMsg, and drops the business receipt that belongs to the message
//! type (CEB312 for CEB311, CEB622 for CEB621, …; CEB900 for what cannot be read, or whose signature is missing or does not
//! hold) into the outbox, wrapped in a DxpMsg of its own. What it consumed is kept in `archive/`.

use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::declaration::dsig::{self, SignatureProblem};
use crate::declaration::envelope::{self, EnvelopeHead, Unwrapped};
use crate::declaration::family;
use crate::declaration::receipt::{self, OriginalMessage, Outcome};
use crate::ground::clock::Clock;
use crate::ground::drain::{self, Shutdown};
use crate::ground::durable;
use crate::ground::id::Id;
use crate::ground::limits::Limits;
use crate::mime::BytesSource;

/// Where consumed messages go, beside the partner's other folders.
pub const ARCHIVE: &str = "archive";
/// What the name of an archived message ends in when it could not be answered.
const UNANSWERED: &str = ".unanswered";
/// Time between two looks at the inboxes.
const SWEEP: Duration = Duration::from_millis(100);
/// Files answered before the next look at the shutdown signal.
const BATCH: usize = 64;

/// Answers what lands in the inboxes below an exchange folder.
#[derive(Debug, Clone)]
pub struct Responder {
    exchange: PathBuf,
    clock: Arc<dyn Clock>,
    limits: Limits,
}

impl Responder {
    /// A responder for every partner folder below `exchange`.
    pub fn new(exchange: &Path, clock: Arc<dyn Clock>, limits: Limits) -> Responder {
        Responder { exchange: exchange.to_owned(), clock, limits }
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

    /// Writes the receipt into the outbox, then archives the message with its companions.
    fn answer(&self, home: &Path, name: &str) -> io::Result<()> {
        let now = self.clock.now();
        let id = Id::new(now);
        if let Some((head, document)) = self.receipt(&home.join("inbox").join(name), id, now)? {
            let mut wrapped = Vec::new();
            envelope::wrap(&head, &mut document.as_slice(), &mut wrapped).map_err(io::Error::other)?;
            let file_name = head.file_name.unwrap_or_else(|| format!("{id}.xml"));
            durable::write_new(&home.join("outbox").join(file_name), &wrapped)?;
        }
        archive(home, name, "")
    }

    /// The receipt for the message in `path` and the head of its envelope; `None` when nothing is to be answered.
    fn receipt(&self, path: &Path, id: Id, now: Timestamp) -> io::Result<Option<(EnvelopeHead, Vec<u8>)>> {
        let mut document = Vec::new();
        let mut input = BufReader::new(File::open(path)?);
        let Ok(Unwrapped::Message { head, .. }) = envelope::unwrap(&mut input, &mut document, &self.limits) else {
            return Ok(None);
        };
        if family::is_receipt(&head.msg_type) {
            return Ok(None);
        }
        let answered = match signature_problem(&head.msg_type, &document, &self.limits) {
            Some(problem) => Err(problem.text()),
            None => receipt::answer(&mut document.as_slice(), now, &Outcome::Accepted, &self.limits)
                .map_err(|error| error.text()),
        };
        let (msg_type, receipt) = match (answered, family::receipt_type(&head.msg_type)) {
            (Ok(receipt), Some(msg_type)) => (msg_type, receipt),
            (Err(why), _) => ("CEB900Message", format_error(&head, &document, &why.zh, now)),
            (Ok(_), None) => ("CEB900Message", format_error(&head, &document, "未知报文类型", now)),
        };
        let cop_msg_id = id.hyphenated().to_uppercase();
        let answer_head = EnvelopeHead {
            file_name: Some(format!("{msg_type}_{cop_msg_id}.xml")),
            cop_msg_id,
            sender_id: head.receiver_ids.first().cloned().unwrap_or_default(),
            receiver_ids: vec![head.sender_id.clone()],
            creat_time: envelope::creat_time(now),
            msg_type: msg_type.to_owned(),
        };
        Ok(Some((answer_head, receipt)))
    }
}

/// What is wrong with the signature of a declaration, if there must be one or is one.
fn signature_problem(msg_type: &str, document: &[u8], limits: &Limits) -> Option<SignatureProblem> {
    let demanded = family::find(msg_type).is_some_and(|row| row.signed);
    match dsig::verify(&BytesSource(document), limits) {
        Ok(_) => None,
        Err(SignatureProblem::Missing) if !demanded => None,
        // What cannot be read is for the answer to say.
        Err(SignatureProblem::Document(_)) => None,
        Err(problem) => Some(problem),
    }
}

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

fn format_error(head: &EnvelopeHead, document: &[u8], info: &str, now: Timestamp) -> Vec<u8> {
    let original = OriginalMessage { cop_msg_id: &head.cop_msg_id, message_type: Some(&head.msg_type), document };
    receipt::format_error(&original, info, now)
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
mod tests {
    use super::*;
    use crate::declaration::sample;
    use crate::ground::clock::SystemClock;

    #[test]
    fn a_message_that_cannot_be_answered_does_not_starve_the_others() {
        let exchange = tempfile::tempdir().expect("temporary folder");
        let inbox = exchange.path().join("enterprise").join("inbox");
        durable::create_dir_all(&inbox).expect("made");
        durable::create_dir_all(&exchange.path().join("enterprise").join("outbox")).expect("made");
        let head = |name: &str| EnvelopeHead {
            cop_msg_id: "C1".into(),
            sender_id: "DXPENT0000000001".into(),
            receiver_ids: vec!["DXPEDCCEB0000002".into()],
            creat_time: envelope::creat_time(SystemClock.now()),
            msg_type: "CEB311Message".into(),
            file_name: Some(name.into()),
        };
        for name in ["a.xml", "b.xml"] {
            let document = sample::order(1, "DXPENT0000000001", SystemClock.now(), 1);
            let mut wrapped = Vec::new();
            envelope::wrap(&head(name), &mut document.as_slice(), &mut wrapped).expect("wrapped");
            durable::write_new(&inbox.join(name), &wrapped).expect("written");
            durable::write_new(&inbox.join(format!("{name}.meta.json")), b"{}").expect("written");
        }
        let blocked = exchange.path().join("enterprise").join(ARCHIVE).join("a.xml");
        durable::create_dir_all(&blocked.join("in the way")).expect("made");
        let responder = Responder::new(exchange.path(), Arc::new(SystemClock), Limits::default());
        assert_eq!(responder.answer_waiting().expect("goes on"), 2);
        let archive = exchange.path().join("enterprise").join(ARCHIVE);
        assert!(archive.join("a.xml.unanswered").is_file() && archive.join("b.xml").is_file());
        assert_eq!(responder.answer_waiting().expect("nothing left"), 0);
    }

    #[test]
    fn a_declaration_without_the_signature_that_it_needs_is_refused() {
        let exchange = tempfile::tempdir().expect("temporary folder");
        let responder = Responder::new(exchange.path(), Arc::new(SystemClock), Limits::default());
        let now = SystemClock.now();
        let key = signer(now);
        let limits = Limits::default();
        let list = sample::inventory(1, "DXPENT0000000001", now, 1);
        let signed = dsig::sign(&BytesSource(&list), &key, &limits).expect("signed").to_vec().expect("in memory");
        let changed = String::from_utf8(signed.clone()).expect("UTF-8").replacen("<ceb:copNo>", "<ceb:copNo>X", 1);
        let order = sample::order(1, "DXPENT0000000001", now, 1);
        let rows = [
            ("CEB621Message", signed, "CEB622Message"),
            ("CEB621Message", list, "CEB900Message"),
            ("CEB621Message", changed.into_bytes(), "CEB900Message"),
            ("CEB311Message", order, "CEB312Message"),
        ];
        for (message_type, document, expected) in rows {
            let head = EnvelopeHead {
                cop_msg_id: "C1".into(),
                sender_id: "DXPENT0000000001".into(),
                receiver_ids: vec!["DXPEDCCEB0000002".into()],
                creat_time: envelope::creat_time(now),
                msg_type: message_type.into(),
                file_name: None,
            };
            let mut wrapped = Vec::new();
            envelope::wrap(&head, &mut document.as_slice(), &mut wrapped).expect("wrapped");
            let file = exchange.path().join(format!("{}.xml", Id::new(now)));
            durable::write_new(&file, &wrapped).expect("written");
            let (head, _) = responder.receipt(&file, Id::new(now), now).expect("read").expect("an answer");
            assert_eq!(head.msg_type, expected);
        }
    }

    fn signer(now: Timestamp) -> dsig::KeySigner {
        let request = crate::keys::generate::KeyRequest {
            common_name: "x".into(),
            organization: None,
            hosts: Vec::new(),
            bits: 256,
            days: 30,
        };
        let pair = crate::keys::declarations::generate(&request, dsig::Algorithm::Sm2Sm3, None, now).expect("made");
        let key = crate::cms::read_pem(pair.key_pem.expose(), None).expect("a key");
        let certificate = crate::cms::Certificate::from_pem(&pair.certificate_pem).expect("a certificate");
        dsig::KeySigner::new(key, certificate).expect("a pair")
    }
}
