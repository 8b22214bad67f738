//! Runs of the connectivity test as the console sees them: one at a time, carried out by a task of the gateway.
//!
//! Whatever ends the process interrupts the run; what has ended of it is in the journal, and it can be resumed.

use std::io::Cursor;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::backend::{GatewayBackend, refusal};
use super::show::blocking;
use crate::bilingual;
use crate::connectivity::{Briefing, Case, Plan, PlanError, Run, RunError, Runner, Shelf, Work, ledger};
use crate::console::runs::{Order, PlanSource, Runs};
use crate::console::wire::runs::{PlanWire, RunDetail};
use crate::console::{Download, Refusal};
use crate::ground::drain::{self, Shutdown, Tasks};
use crate::ground::id::Id;
use crate::ground::text::printable;
use crate::onboarding::documents::test_report;
use crate::onboarding::file;
use crate::report::{Format, render};
use crate::store::record::Reason;
use crate::store::trail::Change;

/// The one run that may go on.
#[derive(Debug, Clone)]
pub(super) struct RunJob {
    tasks: Tasks,
    stop: Shutdown,
    working: Arc<Mutex<Option<Working>>>,
}

/// A run that goes on.
#[derive(Debug, Clone)]
struct Working {
    run: Id,
    /// The case in work.
    case: Option<String>,
}

impl RunJob {
    pub(super) fn new(tasks: Tasks) -> RunJob {
        RunJob { tasks, stop: Shutdown::new(), working: Arc::default() }
    }

    /// The process ends.
    pub(super) fn interrupt(&self) {
        self.stop.trigger();
    }

    /// This run has come to this case.
    pub(super) fn works(&self, run: Id, case: &str) {
        *self.working() = Some(Working { run, case: Some(case.to_owned()) });
    }

    fn working(&self) -> MutexGuard<'_, Option<Working>> {
        self.working.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the place of the one run; none when another one has it. It is free again when this is dropped.
    fn claim(&self, run: Id) -> Option<Claim> {
        let mut working = self.working();
        if working.is_some() {
            return None;
        }
        *working = Some(Working { run, case: None });
        Some(Claim(self.clone()))
    }

    /// What goes on. Asked before a run is read, so that one which does not go on is shown as it ended.
    fn now(&self) -> Option<Working> {
        self.working().clone()
    }
}

fn detail(run: Run, working: Option<&Working>) -> RunDetail {
    let case = working.filter(|working| working.run == run.id).map(|working| working.case.clone());
    RunDetail::of(run, case)
}

/// The place of the one run.
struct Claim(RunJob);

impl Drop for Claim {
    fn drop(&mut self) {
        *self.0.working() = None;
    }
}

impl Runs for GatewayBackend {
    async fn plans(&self) -> Vec<PlanWire> {
        let shelf = self.shelf();
        let plans = drain::blocking(move || shelf.plans()).await.unwrap_or_default();
        let wire = plans.into_iter().map(|shelved| {
            let (plan, problem) = match shelved.plan {
                Ok(plan) => (Some(plan), None),
                Err(error) => (None, Some(Reason { code: error.code.to_owned(), text: error.text })),
            };
            PlanWire {
                name: shelved.name,
                title: plan.as_ref().map(|plan| plan.title.clone()),
                partner: plan.as_ref().map(|plan| plan.partner.clone()),
                cases: plan.map_or(0, |plan| plan.cases.len()),
                problem,
            }
        });
        wire.collect()
    }

    async fn runs(&self) -> Vec<RunDetail> {
        let (store, working) = (self.store.clone(), self.runs.now());
        let runs = drain::blocking(move || ledger::runs(&store)).await.unwrap_or_default();
        runs.into_iter().map(|run| detail(run, working.as_ref())).collect()
    }

    async fn run(&self, id: Id) -> Option<RunDetail> {
        let (store, working) = (self.store.clone(), self.runs.now());
        let run = drain::blocking(move || ledger::run(&store, &id)).await.ok().flatten();
        run.map(|run| detail(run, working.as_ref()))
    }

    async fn start_run(&self, order: Order, asked: Change) -> Result<RunDetail, Refusal> {
        let runner = self.runner(order, &asked).await?;
        let id = runner.id();
        let claim = self.runs.claim(id).ok_or_else(busy)?;
        self.enter(&runner, asked).await?;
        let mut runner = runner;
        let begun = runner.begin().await.map_err(|error| cannot_run(&error))?.clone();
        let (job, stop, working) = (self.runs.clone(), self.runs.stop.clone(), self.runs.now());
        job.tasks.spawn("connectivity-run", async move {
            let _claim = claim;
            let mut unwatched = |_: &Run, _: Option<&str>| {};
            tokio::select! {
                ended = runner.run(&mut unwatched) => match ended {
                    Ok(run) => tracing::info!(%id, conclusion = run.conclusion().text().en, "a connectivity test has ended"),
                    Err(error) => tracing::error!(%id, %error, code = error.code(), "a connectivity test broke off"),
                },
                () = stop.triggered() => tracing::warn!(%id, "a connectivity test is interrupted; it can be resumed"),
            }
        });
        Ok(detail(begun, working.as_ref()))
    }

    async fn run_report(&self, id: Id, format: Format) -> Result<Download, Refusal> {
        let (store, home) = (self.store.clone(), self.config.onboarding.home.clone());
        blocking(move || {
            let run = ledger::run(&store, &id).ok_or_else(unknown)?;
            let dossier = file::read(&home).map_err(|error| refusal(503, error.code(), error.text()))?;
            let written = match format {
                Format::Json => {
                    serde_json::to_vec_pretty(&test_report::facts(&dossier.profile, &run)).map_err(Into::into)
                }
                format => render(&test_report::report(&dossier.profile, &run, None).document, format)
                    .map(|rendered| rendered.bytes),
            };
            let bytes = written.map_err(|error: std::io::Error| {
                let text = bilingual!("报告未能生成：{error}", "the report could not be written: {error}");
                refusal(503, "report-failed", text)
            })?;
            let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            let file_name = format!("connectivity-{id}.{}", format.extension());
            Ok(Download { file_name, len, bytes: Box::new(Cursor::new(bytes)) })
        })
        .await
    }
}

impl GatewayBackend {
    /// The plans of this home.
    fn shelf(&self) -> Shelf {
        Shelf::of(self.config.file.parent().unwrap_or(Path::new(".")))
    }

    /// What carries the order out.
    async fn runner(&self, order: Order, asked: &Change) -> Result<Runner<GatewayBackend>, Refusal> {
        let interrupted = match order.resume {
            Some(id) => Some(self.run(id).await.ok_or_else(unknown)?.run),
            None => None,
        };
        let named = interrupted.as_ref().map(|run| PlanSource::Named(run.plan.clone()));
        let (shelf, folder) = (self.shelf(), self.shelf().folder().to_owned());
        let plan = match order.plan.or(named) {
            Some(PlanSource::Named(name)) => blocking(move || shelf.read(&name).map_err(unusable)).await?,
            Some(PlanSource::Text(text)) => without_files(Plan::read(&text, "text").map_err(unusable)?)?,
            None => return Err(unknown()),
        };
        let partner = plan.partner.clone();
        let parts = self.trial_parts(&partner, folder, asked.who.clone()).ok_or_else(|| no_partner(&partner))?;
        let made = match interrupted {
            Some(run) => Runner::resume(parts, plan, run),
            None => Runner::new(parts, plan, Briefing { tester: order.tester, place: order.place, rehearsal: false }),
        };
        made.map_err(|error| cannot_run(&error))
    }

    /// Who wanted it, in the audit trail before it begins.
    async fn enter(&self, runner: &Runner<GatewayBackend>, asked: Change) -> Result<(), Refusal> {
        let (run, on) = (runner.record(), format!("{}{}", crate::connectivity::run::ON, runner.id()));
        let after = serde_json::json!({ "plan": run.plan, "partner": run.partner.id, "cases": run.cases.len() });
        let change = Change { on, after: Some(after), ..asked };
        self.store.record(change).await.map(drop).map_err(|error| refusal(503, error.code(), error.text()))
    }
}

/// A plan from afar names no files of this machine.
fn without_files(plan: Plan) -> Result<Plan, Refusal> {
    let names_file = |case: &&Case| matches!(&case.work, Work::Business(business) if business.file.is_some());
    let Some(case) = plan.cases.iter().find(names_file) else { return Ok(plan) };
    let id = printable(&case.id);
    let text = bilingual!(
        "用例 {id} 指定了 file：通过接口提交的计划不能引用网关上的文件。请把计划和文件放入 connectivity 目录，再按名称执行。",
        "the case {id} names a file: a plan that is submitted may name none of the gateway's machine. Put plan and file into the folder connectivity and start it by name."
    );
    Err(refusal(422, "plan-names-file", text))
}

fn unusable(error: PlanError) -> Refusal {
    let status = if error.code == "plan-unknown" { 404 } else { 422 };
    refusal(status, error.code, error.text)
}

fn no_partner(id: &str) -> Refusal {
    let id = printable(id);
    let text =
        bilingual!("计划中的伙伴 {id} 未配置或已停用。", "the partner {id} of the plan is not configured or disabled.");
    refusal(422, "partner-unknown", text)
}

fn cannot_run(error: &RunError) -> Refusal {
    let status = if matches!(error, RunError::Journal(_)) { 503 } else { 409 };
    refusal(status, error.code(), error.text())
}

fn unknown() -> Refusal {
    refusal(404, "run-unknown", bilingual!("没有这次联通测试", "there is no such run of the connectivity test"))
}

fn busy() -> Refusal {
    let text = bilingual!(
        "另一次联通测试正在进行，请等待其结束。",
        "another run of the connectivity test goes on; wait until it has ended."
    );
    refusal(409, "run-running", text)
}
