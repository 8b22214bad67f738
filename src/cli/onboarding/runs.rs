//! Finds a run: through the running gateway's audit trail, or in the journal of a stopped one.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use crate::app;
use crate::bilingual;
use crate::cli::Context;
use crate::cli::api_client::{ApiClient, UNREACHABLE, block_on, encoded};
use crate::cli::arguments::RunName;
use crate::cli::exit_code::ExitCode;
use crate::cli::failure::Failure;
use crate::connectivity::ledger;
use crate::connectivity::run::{FACT, ON, Run, RunFact};
use crate::console::wire::people::TrailList;

/// Bytes of the largest file with a run.
const MAX_RUN: u64 = 64 * 1024 * 1024;
/// Entries asked for at a time.
const PAGE: usize = 500;

/// A run of the journal.
pub(super) fn of_journal(context: &Context<'_>, name: RunName) -> Result<Run, Failure> {
    let found = match of_running(context, name)? {
        Some(found) => found,
        None => of_stopped(context, name)?,
    };
    found.ok_or_else(|| {
        let text = bilingual!(
            "没有这次测试。用 dxgate connectivity list 查看。",
            "there is no such run. See dxgate connectivity list."
        );
        Failure::new(ExitCode::Usage, "run-unknown", text)
    })
}

fn of_stopped(context: &Context<'_>, name: RunName) -> Result<Option<Run>, Failure> {
    let opened = app::open_stopped(&Arc::new(context.config()?));
    let (store, _) = opened.map_err(|error| Failure::new(ExitCode::Unreachable, error.code(), error.text()))?;
    Ok(match name {
        RunName::Id(id) => ledger::run(&store, &id),
        RunName::Last => ledger::runs(&store).into_iter().next(),
    })
}

/// None: no gateway runs on this home.
fn of_running(context: &Context<'_>, name: RunName) -> Result<Option<Option<Run>>, Failure> {
    let api = match ApiClient::from_config(context) {
        Ok(api) => api,
        Err(failure) if failure.exit_code() == ExitCode::Unreachable => return Ok(None),
        Err(failure) => return Err(failure),
    };
    let on = match name {
        RunName::Id(id) => format!("{ON}{id}"),
        RunName::Last => ON.to_owned(),
    };
    let query = format!("/api/v1/audit?what={FACT}&on={}&limit={PAGE}", encoded(&on));
    // Newest first; the ids of runs sort by time.
    let mut runs: BTreeMap<String, Vec<RunFact>> = BTreeMap::new();
    let mut before = String::new();
    loop {
        let list: TrailList = match block_on(api.get(&format!("{query}{before}"))) {
            Err(failure) if failure.code() == UNREACHABLE => return Ok(None),
            answered => answered?,
        };
        for entry in list.entries {
            let fact = entry.after.and_then(|after| serde_json::from_value(after).ok());
            runs.entry(entry.on).or_default().extend(fact);
        }
        let Some(next) = list.next else { break };
        before = format!("&before={next}");
    }
    let newest = runs.pop_last().map(|(_, mut facts)| {
        facts.reverse();
        Run::of(facts)
    });
    Ok(Some(newest.flatten()))
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
