//! The connectivity test: plans and runs.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::connectivity::run::{Counts, PartnerOfRun};
use crate::connectivity::{Conclusion, Run};
use crate::ground::id::Id;
use crate::ground::text::Bilingual;
use crate::store::record::Reason;

/// `GET /api/v1/connectivity/plans`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlanList {
    /// By name.
    pub plans: Vec<PlanWire>,
}

/// A plan at hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlanWire {
    /// What a run is started by.
    pub name: String,
    /// For people; absent when the plan cannot be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<Bilingual>,
    /// The partner's id that it is run against.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partner: Option<String>,
    /// How many cases.
    pub cases: usize,
    /// Why it cannot be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Reason>,
}

/// `GET /api/v1/connectivity/runs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RunList {
    /// Newest first.
    pub runs: Vec<RunLine>,
    /// Give it as `before` to read on; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Id>,
}

/// A run in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RunLine {
    /// Names it.
    pub id: Id,
    /// The plan's name.
    pub plan: String,
    /// The plan's name for people.
    pub title: Bilingual,
    /// `test` or `production`.
    pub environment: String,
    /// Against a testbed: it proves nothing to the data centre.
    pub rehearsal: bool,
    /// The other side.
    pub partner: PartnerOfRun,
    /// When it began.
    pub started: Timestamp,
    /// When its last case ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    /// It goes on now.
    pub running: bool,
    /// Never better than its cases.
    pub conclusion: Conclusion,
    /// How many cases stand where.
    pub counts: Counts,
}

/// `GET /api/v1/connectivity/runs/{id}`: the whole record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RunDetail {
    /// The record.
    #[serde(flatten)]
    pub run: Run,
    /// Never better than its cases.
    pub conclusion: Conclusion,
    /// How many cases stand where.
    pub counts: Counts,
    /// It goes on now.
    pub running: bool,
    /// The id of the case in work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working: Option<String>,
}

impl RunDetail {
    /// `working` is the case in work, none within when the run has not come to one; none when it does not go on.
    pub fn of(run: Run, working: Option<Option<String>>) -> RunDetail {
        let (conclusion, counts, running) = (run.conclusion(), run.counts(), working.is_some());
        RunDetail { run, conclusion, counts, running, working: working.flatten() }
    }
}

impl From<RunDetail> for RunLine {
    fn from(detail: RunDetail) -> RunLine {
        let RunDetail { run, conclusion, counts, running, .. } = detail;
        RunLine {
            id: run.id,
            plan: run.plan,
            title: run.title,
            environment: run.environment,
            rehearsal: run.rehearsal,
            partner: run.partner,
            started: run.started,
            ended: run.ended,
            running,
            conclusion,
            counts,
        }
    }
}

/// Body that starts a run: a plan at hand by its name, or the text of one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RunRequest {
    /// Name of a plan at hand.
    #[serde(default)]
    pub plan: Option<String>,
    /// A plan in TOML, without files.
    #[serde(default)]
    pub text: Option<String>,
    /// Who tests, for the report.
    #[serde(default)]
    pub tester: Option<String>,
    /// Where, for the report.
    #[serde(default)]
    pub place: Option<String>,
}

/// Body that resumes a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResumeRequest {
    /// Name of a plan at hand; absent: the one that the run names.
    #[serde(default)]
    pub plan: Option<String>,
    /// The plan in TOML, if it is not at hand.
    #[serde(default)]
    pub text: Option<String>,
}
