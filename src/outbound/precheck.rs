//! Step 3 for partners with profile `dxp`: refuse what customs could not read, wrap a bare declaration in a DxpMsg.
//!
//! A signature that is there must hold; one that the gateway will add need not be there yet (`signing`).
//! A file that already is a DxpMsg goes as it is. What is refused lands in `rejected/` with its findings beside it.

use std::io::{self, BufReader, Read};

use jiff::Timestamp;

use super::Outbound;
use super::earlier::{New, Underway};
use crate::bilingual;
use crate::declaration::dsig::SignatureProblem;
use crate::declaration::envelope::{EnvelopeHead, Kind};
use crate::declaration::family;
use crate::declaration::precheck::{self, BusinessKey, Expectations, FOREIGN_DXPID, Facts, Level, Report, Verdict};
use crate::declaration::schema;
use crate::declaration::standing::Key;
use crate::ground::id::Id;
use crate::ground::text::{Bilingual, Language};
use crate::mime::BytesSource;
use crate::partner::{Dxp, Environment, Partner, Precheck, Profile};
use crate::store::draft::Draft;
use crate::store::record::{Content, DeclarationSummary, Findings, Folder, Publication, Reason};

/// Business keys kept in the message's summary.
const KEYS: usize = 8;
/// Documents of one message that are followed; the schema allows a hundred.
const DOCUMENTS: u32 = 1000;
/// Characters of a key, beyond the longest that the schema allows.
const LONGEST_KEY: usize = 128;
/// Findings told of what is recorded already.
const TOLD: usize = 3;

/// What the pre-check decided.
pub(super) enum Decision {
    /// Send the payload itself, under its own name.
    AsIs(Option<Declaration>),
    /// Send it inside this envelope.
    Wrap(EnvelopeHead, Declaration),
    /// Do not send it.
    Refuse(Refusal),
}

/// What the journal keeps of a declaration.
pub(super) struct Declaration {
    pub(super) summary: DeclarationSummary,
    /// The keys of each document, as far as the pre-check lists them.
    pub(super) documents: Vec<Vec<Key>>,
    /// What was found although it is sent.
    pub(super) findings: Option<Findings>,
    /// Kept until the message is in the journal.
    pub(super) underway: Option<Underway>,
}

/// Why a file is refused, for the journal and for the folder.
pub(super) struct Refusal {
    pub(super) reason: Reason,
    pub(super) findings_json: String,
    pub(super) findings_text: String,
    /// Why, where no file says more.
    told: Bilingual,
}

impl Outbound {
    /// Decides about a payload, of a file with this name, under the partner's profile.
    pub(super) fn precheck(
        &self,
        partner: &Partner,
        (payload, name): (&Draft, &str),
        id: Id,
        now: Timestamp,
    ) -> io::Result<Decision> {
        if payload.is_empty() {
            let text = bilingual!(
                "文件为空，未发送。请重新生成后放入发件箱。",
                "the file is empty and was not sent. Write it again and drop it into the outbox."
            );
            return Ok(Decision::Refuse(Refusal::from_text("payload-empty", text)));
        }
        if payload.is_blank(&self.store)? {
            let text = bilingual!(
                "文件全部由零字节组成，未发送：断电后，未同步到磁盘的文件会成为这样。请重新生成后放入发件箱。",
                "the file consists of NUL bytes alone and was not sent: this is what a power cut leaves of a file that was \
                 not synced. Write it again and drop it into the outbox."
            );
            return Ok(Decision::Refuse(Refusal::from_text("payload-blank", text)));
        }
        let (Profile::Dxp, Some(dxp)) = (partner.profile, &partner.dxp) else { return Ok(Decision::AsIs(None)) };
        let (mut report, documents) = self.check_declaration(dxp, payload, now)?;
        if let Some(foreign) = self.foreign_dxpid(&report) {
            return Ok(Decision::Refuse(Refusal::from_text(FOREIGN_DXPID, foreign)));
        }
        let mut underway = None;
        if dxp.precheck != Precheck::Off && (dxp.precheck == Precheck::Warn || report.errors() == 0) {
            let (found, kept) = self.compare(&New { partner, dxp, id, now }, documents);
            found.into_iter().for_each(|finding| report.add(finding, self.limits.findings));
            underway = Some(kept);
        }
        if report.verdict() == Verdict::Refused {
            match dxp.precheck {
                Precheck::Enforce => return Ok(Decision::Refuse(Refusal::from_report(&report))),
                Precheck::Warn => {
                    let (errors, warnings) = (report.errors(), report.warnings());
                    tracing::warn!(partner = %partner.id, message = %id, errors, warnings, "sent in spite of the pre-check");
                }
                Precheck::Off => {}
            }
        }
        let findings = if dxp.precheck == Precheck::Off { None } else { Findings::of(&report) };
        let (mut summary, documents) = (summary(&report), self::documents(&report));
        summary.dxpid = summary.dxpid.or_else(|| self.station.dxpid.clone());
        let mut declaration = Declaration { summary, documents, findings, underway };
        match &report.kind {
            Kind::Ceb { message_type } => match self.envelope_head(dxp, (message_type, name), &report, id, now) {
                Ok(head) => {
                    declaration.summary.cop_msg_id = Some(head.cop_msg_id.clone());
                    Ok(Decision::Wrap(head, declaration))
                }
                Err(text) => Ok(Decision::Refuse(Refusal::from_text("no-receiver", text))),
            },
            _ => Ok(Decision::AsIs(Some(declaration))),
        }
    }

    /// Why the payload belongs to another environment of the station, whatever the pre-check weighs.
    fn foreign_dxpid(&self, report: &Report) -> Option<Bilingual> {
        let environment = &self.station.environment;
        let sender = report.envelope.as_ref().map(|head| &head.sender_id);
        let foreign = sender.into_iter().chain(&report.dxpid).find(|dxpid| environment.is_foreign(dxpid))?;
        Some(other_environment(environment, foreign))
    }

    /// The report, and what the documents say to others.
    fn check_declaration(&self, dxp: &Dxp, payload: &Draft, now: Timestamp) -> io::Result<(Report, Vec<Facts>)> {
        let watched = Watched { input: payload.open(&self.store)?, failed: None };
        let mut input = BufReader::with_capacity(64 * 1024, watched);
        let checked = self.under_agreement(dxp, self.limits.payload, now, |expect| {
            let mut facts = Vec::new();
            let mut report = precheck::check_for_ledger(&mut input, expect, &self.limits, &mut |one| {
                if facts.len() < precheck::COMPARED {
                    facts.push(one);
                }
            });
            if dxp.signature.verify {
                self.with_source(payload, |source| {
                    precheck::verify_signatures(source, &mut report, expect, &self.limits);
                });
            }
            (report, facts)
        });
        // Damage shows at the end of the bytes, and a malformed document is not read that far.
        drop(io::copy(&mut input, &mut io::sink()));
        input.into_inner().failed.map_or(Ok(checked), Err)
    }

    /// What the outbox of this partner would say of a file; without one, an outbox with these settings. Nothing is kept.
    pub fn would_find(&self, partner: Option<&Partner>, dxp: &Dxp, bytes: &[u8], now: Timestamp) -> Report {
        let most = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let (mut report, documents) = self.under_agreement(dxp, most, now, |expect| {
            let (mut input, mut facts) = (bytes, Vec::new());
            let mut report = precheck::check_for_ledger(&mut input, expect, &self.limits, &mut |one| {
                if facts.len() < precheck::COMPARED {
                    facts.push(one);
                }
            });
            if dxp.signature.verify {
                precheck::verify_signatures(&BytesSource(bytes), &mut report, expect, &self.limits);
            }
            (report, facts)
        });
        if let Some(partner) = partner.filter(|_| report.errors() == 0) {
            let found = self.would_differ(&New { partner, dxp, id: Id::new(now), now }, &documents);
            found.into_iter().for_each(|finding| report.add(finding, self.limits.findings));
        }
        report
    }

    /// What this partner's declarations are judged by.
    fn under_agreement<T>(
        &self,
        dxp: &Dxp,
        max_bytes: u64,
        now: Timestamp,
        judge: impl FnOnce(&Expectations<'_>) -> T,
    ) -> T {
        let tables = self.tables.load();
        judge(&Expectations {
            tables: &tables,
            dxpid: self.station.dxpid.as_deref(),
            foreign_dxpids: &self.station.environment.other_dxpids,
            cop_code: dxp.cop_code.as_deref(),
            max_bytes,
            import_receivers: &[dxp.import_receiver.as_str()],
            export_receivers: &[dxp.export_receiver.as_str()],
            edition: schema::edition(dxp.edition).unwrap_or_else(schema::current),
            levels: &dxp.levels,
            signer: dxp.signature.enterprise.as_ref().map(|(code, name)| (code.as_str(), name.as_str())),
            to_be_signed: dxp.signature.key.is_some(),
            now: Some(now),
        })
    }
}

/// Bytes of the store on their way into the pre-check, to which a failed read is a fault of the document.
struct Watched<R> {
    input: R,
    failed: Option<io::Error>,
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.input.read(buffer).map_err(|error| {
            let told = io::Error::new(error.kind(), error.to_string());
            if error.kind() != io::ErrorKind::Interrupted {
                self.failed.get_or_insert(error);
            }
            told
        })
    }
}

/// What carries this DXPID may not leave from this environment.
pub(super) fn other_environment(environment: &Environment, dxpid: &str) -> Bilingual {
    let (zh, en) = (environment.name.text().zh, environment.name.text().en);
    bilingual!(
        "带有本企业在其他环境的 DXPID {dxpid}，不能从{zh}发出。请从 {dxpid} 所属环境的网关发送。",
        "it carries {dxpid}, the station's DXPID in another environment, and cannot leave from the {en}. Send it from the gateway of the environment that {dxpid} belongs to."
    )
}

fn summary(report: &Report) -> DeclarationSummary {
    DeclarationSummary {
        message_type: report.message_type.clone().unwrap_or_default(),
        documents: report.documents,
        cop_msg_id: report.envelope.as_ref().map(|head| head.cop_msg_id.clone()),
        keys: report.keys.iter().take(KEYS).map(|key| (key.name.clone(), key.value.clone())).collect(),
        dxpid: report.envelope.as_ref().map(|head| head.sender_id.clone()),
    }
}

/// What identifies each document of a request: receipts name them by these keys.
fn documents(report: &Report) -> Vec<Vec<Key>> {
    if report.message_type.as_deref().and_then(family::receipt_type).is_none() {
        return Vec::new();
    }
    let mut documents: Vec<Vec<Key>> = Vec::new();
    for key in report.keys.iter().filter(|key| (1..=DOCUMENTS).contains(&key.document)) {
        let place = usize::try_from(key.document).unwrap_or_default().saturating_sub(1);
        if documents.len() <= place {
            documents.resize(place.saturating_add(1), Vec::new());
        }
        if let (Some(document), Some(key)) = (documents.get_mut(place), kept(key)) {
            document.push(key);
        }
    }
    documents
}

/// A key of the length that the schema allows.
fn kept(key: &BusinessKey) -> Option<Key> {
    (key.value.chars().count() <= LONGEST_KEY).then(|| (key.name.clone(), key.value.clone()))
}

impl Refusal {
    /// Why what is recorded already is not sent: no file with findings is made of it.
    pub(super) fn told(self) -> Reason {
        Reason { text: self.told, ..self.reason }
    }

    /// The document cannot be signed.
    pub(super) fn unsignable(problem: &SignatureProblem) -> Refusal {
        Refusal::from_text(problem.code(), problem.text())
    }

    /// The file is longer than `max` bytes.
    pub(super) fn oversize(max: u64) -> Refusal {
        let text = bilingual!(
            "文件超过 {max} 字节的上限，未发送。请拆分，或提高 gateway.toml 中 [limits] 的 payload。",
            "the file is longer than {max} bytes and was not sent. Split it, or raise payload in [limits] of gateway.toml."
        );
        Refusal::from_text("payload-too-large", text)
    }

    fn from_text(code: &str, text: Bilingual) -> Refusal {
        let finding =
            serde_json::json!({ "code": code, "level": "error", "message_zh": &text.zh, "message_en": &text.en });
        let findings = serde_json::json!({ "findings": [finding] });
        Refusal {
            findings_json: format!("{findings:#}\n"),
            findings_text: format!("{}\n{}\n", text.zh, text.en),
            told: text.clone(),
            reason: Reason { code: code.to_owned(), text },
        }
    }

    fn from_report(report: &Report) -> Refusal {
        let count = report.findings.len();
        let text = bilingual!(
            "预检发现 {count} 个问题，未发送。请按同名 .findings.txt 修正后重新放入发件箱。",
            "the pre-check has {count} findings and the file was not sent. Mend what the .findings.txt beside it says and drop it again."
        );
        let mut lines = report.lines(Language::Chinese).join("\n");
        lines.push_str("\n\n");
        lines.push_str(&report.lines(Language::English).join("\n"));
        lines.push('\n');
        let errors = |language| {
            let errors = report.findings.iter().filter(|finding| finding.level == Level::Error).take(TOLD);
            errors.map(|finding| finding.line_for(language)).collect::<Vec<_>>().join("; ")
        };
        let (zh, en) = (errors(Language::Chinese), errors(Language::English));
        let told = bilingual!(
            "预检现有 {count} 个问题：{zh}。请修正后作为新文件放入发件箱。",
            "by now it has {count} findings: {en}. Mend the file and drop it as a new one."
        );
        Refusal {
            told,
            reason: Reason { code: "precheck-refused".to_owned(), text },
            findings_json: serde_json::to_string_pretty(report).unwrap_or_default() + "\n",
            findings_text: lines,
        }
    }

    /// The refused file with its findings, in `rejected/`; the findings alone when the file itself moves there.
    pub(super) fn publications(&self, file_name: &str, payload: Option<Content>) -> Vec<Publication> {
        let json = Content::Text(self.findings_json.clone());
        let text = Content::Text(self.findings_text.clone());
        let publication = |name: String, files| Publication { folder: Folder::Rejected, name, files };
        match payload {
            Some(payload) => {
                let companions = [(".findings.json".to_owned(), json), (".findings.txt".to_owned(), text)];
                let files = companions.into_iter().chain([(String::new(), payload)]).collect();
                vec![publication(file_name.to_owned(), files)]
            }
            None => [(".findings.json", json), (".findings.txt", text)]
                .into_iter()
                .map(|(suffix, content)| publication(format!("{file_name}{suffix}"), vec![(String::new(), content)]))
                .collect(),
        }
    }
}
