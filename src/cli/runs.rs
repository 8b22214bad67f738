//! Finds runs: by the API of the running gateway, or in the journal of a stopped one.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use super::Context;
use super::api_client::{ApiClient, UNREACHABLE, block_on};
use super::arguments::RunName;
use super::exit_code::ExitCode;
use super::failure::Failure;
use crate::app;
use crate::bilingual;
use crate::connectivity::{Run, ledger};
use crate::console::wire::runs::{RunDetail, RunLine, RunList};
use crate::ground::id::Id;
use crate::store::Store;

/// Bytes of the largest file with a run.
const MAX_RUN: u64 = 64 * 1024 * 1024;
/// Runs asked for at a time.
const PAGE: usize = 500;
/// Code of the failure to find a run.
const UNKNOWN: &str = "run-unknown";

/// A run by its name.
pub(super) fn find(context: &Context<'_>, name: RunName) -> Result<Run, Failure> {
    let asked = while_running(context, |api| block_on(of_running(&api, name)))?;
    let found = match asked {
        Some(detail) => detail.map(|detail| detail.run),
        None => of_store(&stopped(context)?, name),
    };
    found.ok_or_else(unknown)
}

/// Every run, newest first.
pub(super) fn all(context: &Context<'_>) -> Result<Vec<RunLine>, Failure> {
    match while_running(context, |api| block_on(pages(&api)))? {
        Some(runs) => Ok(runs),
        None => {
            let line = |run| RunLine::from(RunDetail::of(run, None));
            Ok(ledger::runs(&stopped(context)?).into_iter().map(line).collect())
        }
    }
}

/// A run of the running gateway.
pub(super) async fn of_running(api: &ApiClient, name: RunName) -> Result<Option<RunDetail>, Failure> {
    let id = match name {
        RunName::Id(id) => Some(id),
        RunName::Last => page(api, 1, None).await?.runs.first().map(|run| run.id),
    };
    let Some(id) = id else { return Ok(None) };
    match api.get(&format!("/api/v1/connectivity/runs/{id}")).await {
        Ok(detail) => Ok(Some(detail)),
        Err(failure) if failure.code() == UNKNOWN => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// A run of a store that is open here.
pub(super) fn of_store(store: &Store, name: RunName) -> Option<Run> {
    match name {
        RunName::Id(id) => ledger::run(store, &id),
        RunName::Last => ledger::runs(store).into_iter().next(),
    }
}

/// There is no such run.
pub(super) fn unknown() -> Failure {
    let text = bilingual!(
        "没有这次测试。用 dxgate connectivity list 查看。",
        "there is no such run. See dxgate connectivity list."
    );
    Failure::new(ExitCode::Usage, UNKNOWN, text)
}

/// What the running gateway says; none when there is no gateway running on this home.
fn while_running<T>(
    context: &Context<'_>,
    ask: impl FnOnce(ApiClient) -> Result<T, Failure>,
) -> Result<Option<T>, Failure> {
    let api = match ApiClient::from_config(context) {
        Ok(api) => api,
        Err(failure) if failure.exit_code() == ExitCode::Unreachable => return Ok(None),
        Err(failure) => return Err(failure),
    };
    match ask(api) {
        Err(failure) if failure.code() == UNREACHABLE => Ok(None),
        answered => answered.map(Some),
    }
}

async fn pages(api: &ApiClient) -> Result<Vec<RunLine>, Failure> {
    let (mut runs, mut before) = (Vec::new(), None);
    loop {
        let list = page(api, PAGE, before).await?;
        runs.extend(list.runs);
        match list.next {
            None => return Ok(runs),
            next => before = next,
        }
    }
}

async fn page(api: &ApiClient, limit: usize, before: Option<Id>) -> Result<RunList, Failure> {
    let before = before.map(|before| format!("&before={before}")).unwrap_or_default();
    api.get(&format!("/api/v1/connectivity/runs?limit={limit}{before}")).await
}

/// The journal of the home, whose gateway does not run.
fn stopped(context: &Context<'_>) -> Result<Store, Failure> {
    let opened = app::open_stopped(&Arc::new(context.config()?));
    let opened = opened.map_err(|error| Failure::new(ExitCode::Unreachable, error.code(), error.text()))?;
    Ok(opened.0)
}

/// A run as `connectivity show --format json` printed it into a file.
pub(super) fn of_file(path: &Path) -> Result<Run, Failure> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_RUN).read_to_end(&mut bytes));
    read.map_err(|error| Failure::file(path, &error))?;
    serde_json::from_slice(&bytes).map_err(|error| {
        let path = path.display();
        let text = bilingual!(
            "{path} 不是 dxgate connectivity show --format json 的输出：{error}",
            "{path} was not written by dxgate connectivity show --format json: {error}"
        );
        Failure::new(ExitCode::Usage, "run-unreadable", text)
    })
}
