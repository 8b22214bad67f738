//! `dxgate connectivity rehearse`: a made-up enterprise and the testbed on loopback, and the plan between them.

use std::path::Path;
use std::sync::Arc;

use super::{carry_out, read_plan, unknown_partner};
use crate::app::{self, Role, Running};
use crate::bilingual;
use crate::cli::Context;
use crate::cli::arguments::RehearseArguments;
use crate::cli::demo::homes::{DXPID, Homes, HomesPlan};
use crate::cli::exit_code::ExitCode;
use crate::cli::failure::Failure;
use crate::config::{self, Config};
use crate::connectivity::{Briefing, Plan, Runner};
use crate::ground::clock::{Clock, SystemClock};
use crate::testbed::{Scenario, Setting};

/// Runs the command.
pub fn run(context: &mut Context<'_>, arguments: &RehearseArguments) -> Result<ExitCode, Failure> {
    let plan = read_plan(&arguments.plan)?;
    let scenario = arguments.scenario.as_deref().map_or_else(|| Ok(Scenario::default()), Scenario::read);
    let scenario = scenario.map_err(|error| Failure::new(ExitCode::Usage, "scenario-invalid", error.text))?;
    let temporary = tempfile::Builder::new().prefix("dxgate-rehearsal-").tempdir()?;
    let root = arguments.dir.clone().unwrap_or_else(|| temporary.path().to_owned());
    let homes = HomesPlan {
        dxpid: arguments.dxpid.as_deref().unwrap_or(DXPID),
        partner: &plan.partner,
        asynchronous: true,
        tls: true,
    };
    let homes = Homes::create(&root, &homes, SystemClock.now());
    let homes = homes.map_err(|error| Failure::file(&root, &error))?;
    let folder = arguments.plan.parent().map(Path::to_owned).unwrap_or_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let setting = Setting { scenario, control: arguments.control };
        let customs = started(&homes.customs, Role::Testbed(setting)).await?;
        announce(context, &customs)?;
        let enterprise = started(&homes.enterprise, Role::Gateway).await?;
        let ended = match runner(&enterprise, plan, folder) {
            Ok(runner) => Box::pin(carry_out(context, runner)).await,
            Err(failure) => Err(failure),
        };
        enterprise.stop().await;
        customs.stop().await;
        ended
    })
}

/// Where the scenario can be changed; the output belongs to the run.
fn announce(context: &mut Context<'_>, customs: &Running) -> Result<(), Failure> {
    let Some(control) = &customs.control else { return Ok(()) };
    let (listen, token) = (control.listen, control.token.display());
    let text = bilingual!(
        "场景控制 http://{listen}/scenario，令牌在 {token}",
        "scenario control at http://{listen}/scenario, its token in {token}"
    );
    writeln!(context.err, "{}", text.text(context.voice.language))?;
    Ok(context.err.flush()?)
}

fn runner(
    enterprise: &Running,
    plan: Plan,
    folder: std::path::PathBuf,
) -> Result<Runner<app::GatewayBackend>, Failure> {
    let parts = enterprise.backend.trial_parts(&plan.partner, folder, "cli".to_owned());
    let parts = parts.ok_or_else(|| unknown_partner(&plan.partner))?;
    let briefing = Briefing { rehearsal: true, ..Briefing::default() };
    Runner::new(parts, plan, briefing).map_err(|error| super::cannot_run(&error))
}

async fn started(home: &Path, role: Role) -> Result<Running, Failure> {
    let config: Config = config::load(&home.join("gateway.toml"), &|_| None, SystemClock.now())?;
    app::start_logging(&config.log);
    let running = app::start(config, role, Arc::new(SystemClock)).await;
    running.map_err(|error| Failure::new(ExitCode::Unreachable, error.code(), error.text()))
}
