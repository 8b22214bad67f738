//! Running a plan: its cases one after the other, each ended by a fact in the journal before the next begins.
//!
//! A case that failed does not keep the others from being run. Whoever stops awaiting [`Runner::run`], or loses the
//! process, has an interrupted run: [`Runner::resume`] goes on with the cases that have not ended, and ends what the
//! interrupted one has left open.

use std::path::PathBuf;
use std::sync::Arc;

use super::gateway::Gateway;
use super::ledger;
use super::plan::{Case, Check, Plan, Work};
use super::run::{CaseRecord, CaseState, Evidence, PartnerOfRun, Run, RunFact, StationOfRun};
use crate::bilingual;
use crate::ground::clock::Clock;
use crate::ground::id::Id;
use crate::ground::limits::Limits;
use crate::ground::text::Bilingual;
use crate::partner::environment::Closed;
use crate::partner::{EnvironmentName, Partner, Station};
use crate::store::record::{Direction, Message};
use crate::store::{CommitError, Filter, Store};

mod book;
mod business;
mod interface;
mod proof;
mod sending;

pub use sending::name_of_run;

/// What a run stands on.
pub struct Parts<G> {
    /// The flow.
    pub gateway: G,
    /// Journal and messages.
    pub store: Store,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Our side.
    pub station: Arc<Station>,
    /// The other side, as configured now.
    pub partner: Arc<Partner>,
    /// Caps on input.
    pub limits: Limits,
    /// Where the files of a plan begin.
    pub folder: PathBuf,
    /// Who runs it, for the audit trail.
    pub who: String,
}

/// What people say about a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Briefing {
    /// 测试人员.
    pub tester: Option<String>,
    /// 测试地点.
    pub place: Option<String>,
    /// Against a testbed on this machine.
    pub rehearsal: bool,
}

/// Why a run cannot begin or go on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It is not the test environment.
    #[error("the environment is not \"test\"")]
    Production,
    /// Nothing is sent at this time.
    #[error("the environment's window is closed: {}", .0.code)]
    Window(Closed),
    /// The run that is to be resumed is of another plan or has ended.
    #[error("the run cannot be resumed with this plan")]
    NotResumable,
    /// The journal refused.
    #[error(transparent)]
    Journal(#[from] CommitError),
}

impl RunError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            RunError::Production => "environment-not-test",
            RunError::Window(closed) => closed.code,
            RunError::NotResumable => "run-not-resumable",
            RunError::Journal(error) => error.code(),
        }
    }

    /// What is wrong and what to do.
    pub fn text(&self) -> Bilingual {
        match self {
            RunError::Production => bilingual!(
                "本目录属于生产环境，联通测试会发送样例报文，已拒绝。请使用 [environment] name = \"test\" 的目录。",
                "this home is of the production environment, and a connectivity test sends samples: refused. Use a home with name = \"test\" in [environment]."
            ),
            RunError::Window(closed) => closed.text.clone(),
            RunError::NotResumable => bilingual!(
                "该次测试属于另一个计划（或计划的用例已变），或本站、伙伴的标识或伙伴的 URL 已变，或已经结束，不能继续。请重新执行。",
                "the run is of another plan, its cases, our names or the partner's names or URL have changed, or it has ended: it cannot be resumed. Begin a new one."
            ),
            RunError::Journal(error) => error.text(),
        }
    }
}

/// One execution of a plan.
pub struct Runner<G> {
    parts: Parts<G>,
    plan: Plan,
    run: Run,
    standing: Standing,
}

/// How far a runner is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// The run is not in the journal.
    New,
    /// It is, and was interrupted.
    Interrupted,
    /// That it began, or goes on, is in the journal.
    Begun,
}

impl<G: Gateway> Runner<G> {
    /// A run that has not begun.
    ///
    /// # Errors
    /// The station's environment is production, or its window is closed.
    pub fn new(parts: Parts<G>, plan: Plan, briefing: Briefing) -> Result<Runner<G>, RunError> {
        let environment = may_run(&parts)?;
        let now = parts.clock.now();
        let keys = parts.station.keys.keys();
        let certificates = keys.iter().map(|key| key.certificate.fingerprint().to_string());
        let pinned = parts.partner.certificates.certificates().iter();
        let run = Run {
            id: Id::new(now),
            plan: plan.name.clone(),
            title: plan.title.clone(),
            environment: environment.name().to_owned(),
            rehearsal: briefing.rehearsal,
            station: StationOfRun {
                name: parts.station.name.clone(),
                dxpid: parts.station.dxpid.clone(),
                as2_name: parts.station.as2_name.as_str().to_owned(),
                certificates: certificates.collect(),
            },
            partner: PartnerOfRun {
                id: parts.partner.id.clone(),
                name: parts.partner.name.clone(),
                as2_name: parts.partner.as2_name.as_str().to_owned(),
                url: parts.partner.url.as_str().to_owned(),
                certificates: pinned.map(|pinned| pinned.certificate.fingerprint().to_string()).collect(),
            },
            software: concat!("dxgate ", env!("CARGO_PKG_VERSION")).to_owned(),
            started: now,
            ended: None,
            resumed: Vec::new(),
            tester: briefing.tester,
            place: briefing.place,
            cases: plan.cases.iter().map(pending).collect(),
        };
        Ok(Runner { parts, plan, run, standing: Standing::New })
    }

    /// Goes on with an interrupted run.
    ///
    /// # Errors
    /// The run has ended, its cases are not those of the plan, or it was of other sides; the environment is production, or its window is
    /// closed.
    pub fn resume(parts: Parts<G>, plan: Plan, run: Run) -> Result<Runner<G>, RunError> {
        may_run(&parts)?;
        if !is_of(&run, &plan) || !is_between(&run, &parts) || run.ended.is_some() {
            return Err(RunError::NotResumable);
        }
        Ok(Runner { parts, plan, run, standing: Standing::Interrupted })
    }

    /// The run's id.
    pub fn id(&self) -> Id {
        self.run.id
    }

    /// The run as it is by now.
    pub fn record(&self) -> &Run {
        &self.run
    }

    /// Enters into the journal that the run begins or goes on, unless that was done; it can be found from then on.
    ///
    /// # Errors
    /// The journal refused.
    pub async fn begin(&mut self) -> Result<&Run, RunError> {
        match self.standing {
            Standing::New => {
                let begun = RunFact::Started { run: Box::new(self.run.clone()) };
                ledger::record(&self.parts.store, self.run.id, &self.parts.who, &begun).await?;
            }
            Standing::Interrupted => {
                self.add(RunFact::Resumed { at: self.parts.clock.now() }).await?;
                self.end_leftovers().await;
            }
            Standing::Begun => {}
        }
        self.standing = Standing::Begun;
        Ok(&self.run)
    }

    /// Runs every case that has not ended. `watch` is told before and after each, with the id of the one that begins.
    ///
    /// # Errors
    /// The journal refused: what has ended so far is in it.
    pub async fn run(mut self, watch: &mut impl FnMut(&Run, Option<&str>)) -> Result<Run, RunError> {
        self.begin().await?;
        let waiting: Vec<usize> =
            (0..).zip(&self.run.cases).filter(|(_, case)| case.state == CaseState::Pending).map(|(at, _)| at).collect();
        for place in waiting {
            let Some(case) = self.plan.cases.get(place).cloned() else { continue };
            self.parts.gateway.works(self.run.id, &case.id);
            watch(&self.run, Some(&case.id));
            let record = self.case(&case, place).await;
            self.add(RunFact::CaseEnded { case: Box::new(record) }).await?;
            watch(&self.run, None);
        }
        self.add(RunFact::Ended { at: self.parts.clock.now() }).await?;
        Ok(self.run)
    }

    async fn add(&mut self, fact: RunFact) -> Result<(), RunError> {
        ledger::record(&self.parts.store, self.run.id, &self.parts.who, &fact).await?;
        self.run.apply(fact);
        Ok(())
    }

    async fn case(&self, case: &Case, place: usize) -> CaseRecord {
        let mut book = book::Book::open(&self.parts, case, pending(case), self.run.id, place);
        match &case.work {
            Work::Interface { check, size } => book.interface(*check, *size).await,
            Work::Business(business) => book.business(business).await,
        }
        book.close()
    }

    /// What an interrupted case has left open.
    async fn end_leftovers(&self) {
        let filter = Filter {
            direction: Some(Direction::Outbound),
            partner: Some(self.run.partner.id.clone()),
            from: Some(self.run.started),
            name: Some(sending::name_of_run(self.run.id)),
            limit: usize::MAX,
            ..Filter::default()
        };
        let open = |message: &Message| !message.state.is_final();
        for message in self.parts.store.messages(&filter).into_iter().filter(open) {
            self.parts.gateway.end(message.id, "an interrupted connectivity test is resumed".to_owned()).await;
        }
    }
}

/// Samples go to the test environment only, and only while its account is ours.
fn may_run<G: Gateway>(parts: &Parts<G>) -> Result<EnvironmentName, RunError> {
    let environment = &parts.station.environment;
    if environment.name != EnvironmentName::Test {
        return Err(RunError::Production);
    }
    match environment.closed(parts.clock.now()) {
        Some(closed) => Err(RunError::Window(closed)),
        None => Ok(environment.name),
    }
}

/// The run's cases are those of the plan: what has ended must be about the same as what is left.
fn is_of(run: &Run, plan: &Plan) -> bool {
    let told = |case: &CaseRecord| (case.id.clone(), case.kind, case.subject.clone());
    run.plan == plan.name && run.cases.iter().map(told).eq(plan.cases.iter().map(|case| told(&pending(case))))
}

/// The run's sides are those of now: one report tells of both halves.
fn is_between<G: Gateway>(run: &Run, parts: &Parts<G>) -> bool {
    let (station, partner) = (&run.station, &run.partner);
    station.dxpid == parts.station.dxpid
        && station.as2_name == parts.station.as2_name.as_str()
        && partner.id == parts.partner.id
        && partner.as2_name == parts.partner.as2_name.as_str()
        && partner.url == parts.partner.url.as_str()
}

fn pending(case: &Case) -> CaseRecord {
    CaseRecord {
        id: case.id.clone(),
        kind: case.kind(),
        subject: match &case.work {
            Work::Interface { check, .. } => Check::name(*check).to_owned(),
            Work::Business(business) => business.message_type.clone(),
        },
        title: case.title.clone(),
        state: CaseState::Pending,
        started: None,
        ended: None,
        steps: Vec::new(),
        failure: None,
        evidence: Evidence::default(),
    }
}
