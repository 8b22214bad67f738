//! A run: one execution of a plan, as a record for people, programs and the report.
//!
//! Its truth is in the journal: [`RunFact`]s, each an entry of the audit trail on `run:<id>`, are added one by one while
//! it happens, and [`Run::of`] adds them up. So an interrupted run is a run whose last fact is missing: the cases that
//! ended are known, and it can go on with the others. Fields are only added, with a default.
//!
//! The [`Conclusion`] follows from the cases whenever it is asked for, and is stored nowhere.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::plan::Kind;
use crate::bilingual;
use crate::ground::id::Id;
use crate::ground::text::Bilingual;

mod evidence;

pub use evidence::{
    BusinessAnswer, CertificateEvidence, Evidence, MessageEvidence, MicValue, PlatformReceipt, TlsEvidence,
};

/// `what` of the audit trail's entries that are facts of runs.
pub const FACT: &str = "connectivity-run";
/// Begins `on` of those entries; the run's id follows.
pub const ON: &str = "run:";

/// One execution of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Run {
    /// Names it; sorts by time.
    pub id: Id,
    /// The plan's name.
    pub plan: String,
    /// The plan's name for people.
    pub title: Bilingual,
    /// `test` or `production`: the station's environment.
    pub environment: String,
    /// Against a testbed on this machine: it proves nothing to the data centre.
    #[serde(default)]
    pub rehearsal: bool,
    /// Who sends.
    pub station: StationOfRun,
    /// To whom.
    pub partner: PartnerOfRun,
    /// Version of dxgate.
    pub software: String,
    /// When it began.
    pub started: Timestamp,
    /// When its last case ended; none while it goes on or is interrupted.
    #[serde(default)]
    pub ended: Option<Timestamp>,
    /// When it was taken up again after an interruption.
    #[serde(default)]
    pub resumed: Vec<Timestamp>,
    /// Who tests (测试人员).
    #[serde(default)]
    pub tester: Option<String>,
    /// Where (测试地点).
    #[serde(default)]
    pub place: Option<String>,
    /// In the order of the plan.
    pub cases: Vec<CaseRecord>,
}

/// The enterprise's side of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StationOfRun {
    /// Name for people, the enterprise's as a rule.
    #[serde(default)]
    pub name: Option<String>,
    /// The DXPID of this environment.
    #[serde(default)]
    pub dxpid: Option<String>,
    /// AS2 name.
    pub as2_name: String,
    /// SHA-256 fingerprints of the certificates of its keys.
    #[serde(default)]
    pub certificates: Vec<String>,
}

/// The other side of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PartnerOfRun {
    /// Its id here.
    pub id: String,
    /// Name for people.
    #[serde(default)]
    pub name: Option<String>,
    /// AS2 name.
    pub as2_name: String,
    /// Where its AS2 server is.
    pub url: String,
    /// SHA-256 fingerprints of its pinned certificates.
    #[serde(default)]
    pub certificates: Vec<String>,
}

/// Where a case stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CaseState {
    /// Not run yet.
    #[default]
    Pending,
    /// All that was expected happened in time.
    Passed,
    /// Something did not.
    Failed,
    /// It was left out, for the reason given as its failure.
    Skipped,
}

impl CaseState {
    /// For people.
    pub fn text(self) -> Bilingual {
        match self {
            CaseState::Pending => bilingual!("未执行", "pending"),
            CaseState::Passed => bilingual!("通过", "passed"),
            CaseState::Failed => bilingual!("未通过", "failed"),
            CaseState::Skipped => bilingual!("已跳过", "skipped"),
        }
    }
}

/// One case of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CaseRecord {
    /// Unique in the run.
    pub id: String,
    /// Which part of the report form.
    pub kind: Kind,
    /// The name of what an interface case checks, or the message type of a business case.
    pub subject: String,
    /// Its name for people.
    pub title: Bilingual,
    /// Where it stands.
    pub state: CaseState,
    /// When it began.
    #[serde(default)]
    pub started: Option<Timestamp>,
    /// When it ended.
    #[serde(default)]
    pub ended: Option<Timestamp>,
    /// What happened, in the order of time.
    #[serde(default)]
    pub steps: Vec<Step>,
    /// Why it failed or was skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Explanation>,
    /// What proves it.
    #[serde(default)]
    pub evidence: Evidence,
}

/// Where on the road something happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = RunLayer)]
pub enum Layer {
    /// DNS.
    NameResolution,
    /// The connection.
    Tcp,
    /// The handshake and the server's certificate.
    Tls,
    /// Requests and status codes.
    Http,
    /// Signature, encryption, compression, the parties' names.
    As2,
    /// The receipt of AS2.
    Mdn,
    /// DxpMsg and what the transport platform says about it (DxpRep).
    Envelope,
    /// The pre-check, and CEB900.
    Format,
    /// What customs says about the documents.
    Business,
}

impl Layer {
    /// For people.
    pub fn text(self) -> Bilingual {
        match self {
            Layer::NameResolution => bilingual!("域名解析", "name resolution"),
            Layer::Tcp => bilingual!("TCP 连接", "TCP"),
            Layer::Tls => bilingual!("TLS", "TLS"),
            Layer::Http => bilingual!("HTTP", "HTTP"),
            Layer::As2 => bilingual!("AS2", "AS2"),
            Layer::Mdn => bilingual!("回执 MDN", "MDN"),
            Layer::Envelope => bilingual!("报文信封", "envelope"),
            Layer::Format => bilingual!("报文格式", "format"),
            Layer::Business => bilingual!("业务", "business"),
        }
    }
}

/// Something that happened in a case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = RunStep)]
pub struct Step {
    /// When.
    pub at: Timestamp,
    /// Where on the road.
    pub layer: Layer,
    /// It was as expected.
    pub good: bool,
    /// What was seen.
    pub seen: Bilingual,
    /// How long it took, where that means something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub milliseconds: Option<u64>,
}

/// Why a case did not pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Explanation {
    /// Stable kebab-case code.
    pub code: String,
    /// Where on the road.
    pub layer: Layer,
    /// What was seen.
    pub seen: Bilingual,
    /// The likely cause.
    pub cause: Bilingual,
    /// What to ask the data centre, or to mend before.
    pub ask: Bilingual,
}

/// What a run comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = RunConclusion)]
pub enum Conclusion {
    /// Every case passed.
    Passed,
    /// At least one case failed.
    Failed,
    /// None failed, but some were skipped or not run.
    Incomplete,
}

impl Conclusion {
    /// For people.
    pub fn text(self) -> Bilingual {
        match self {
            Conclusion::Passed => bilingual!("测试通过", "passed"),
            Conclusion::Failed => bilingual!("测试未通过", "failed"),
            Conclusion::Incomplete => bilingual!("测试未完成", "incomplete"),
        }
    }
}

/// How many cases stand where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = RunCounts)]
pub struct Counts {
    /// All of them.
    pub cases: usize,
    /// Passed.
    pub passed: usize,
    /// Failed.
    pub failed: usize,
    /// Skipped.
    pub skipped: usize,
    /// Not run yet.
    pub pending: usize,
}

/// What is added to a run; an entry of the audit trail each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "kebab-case")]
pub enum RunFact {
    /// It begins; every case is pending.
    Started {
        /// The run as it begins.
        run: Box<Run>,
    },
    /// It is taken up again after an interruption.
    Resumed {
        /// When.
        at: Timestamp,
    },
    /// A case has ended.
    CaseEnded {
        /// The case, as it ended.
        case: Box<CaseRecord>,
    },
    /// The last case has ended.
    Ended {
        /// When.
        at: Timestamp,
    },
}

impl Run {
    /// The sum of a run's facts, oldest first; none when the first one is not its beginning. A fact that does not fit
    /// changes nothing.
    pub fn of(facts: impl IntoIterator<Item = RunFact>) -> Option<Run> {
        let mut facts = facts.into_iter();
        let Some(RunFact::Started { run }) = facts.next() else { return None };
        let mut run = *run;
        facts.for_each(|fact| run.apply(fact));
        Some(run)
    }

    /// Adds one fact.
    pub fn apply(&mut self, fact: RunFact) {
        match fact {
            RunFact::Started { .. } => {}
            RunFact::Resumed { at } => self.resumed.push(at),
            RunFact::CaseEnded { case } => {
                if let Some(known) = self.cases.iter_mut().find(|known| known.id == case.id) {
                    *known = *case;
                }
            }
            RunFact::Ended { at } => self.ended = Some(at),
        }
    }

    /// What it comes to: never better than its cases.
    pub fn conclusion(&self) -> Conclusion {
        let counts = self.counts();
        match counts {
            Counts { failed: 1.., .. } => Conclusion::Failed,
            Counts { cases: 1.., passed, .. } if passed == counts.cases && self.ended.is_some() => Conclusion::Passed,
            _ => Conclusion::Incomplete,
        }
    }

    /// How many cases stand where.
    pub fn counts(&self) -> Counts {
        let of = |state| self.cases.iter().filter(|case| case.state == state).count();
        Counts {
            cases: self.cases.len(),
            passed: of(CaseState::Passed),
            failed: of(CaseState::Failed),
            skipped: of(CaseState::Skipped),
            pending: of(CaseState::Pending),
        }
    }

    /// For programs: the record with what follows from it.
    pub fn told(&self) -> Told<'_> {
        Told { run: self, conclusion: self.conclusion(), counts: self.counts() }
    }
}

/// A run with what follows from it, as `--format json` and the API show it.
#[derive(Debug, Serialize)]
pub struct Told<'a> {
    #[serde(flatten)]
    run: &'a Run,
    conclusion: Conclusion,
    counts: Counts,
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
