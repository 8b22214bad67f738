//! `connectivity show --watch`: a run of the running gateway, told as it happens: the case in work, what becomes of its
//! messages (报文传输状态查询), and each case when it has ended.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{conclude, told};
use crate::bilingual;
use crate::cli::Context;
use crate::cli::api_client::{ApiClient, encoded};
use crate::cli::arguments::{Format, RunName};
use crate::cli::exit_code::ExitCode;
use crate::cli::failure::Failure;
use crate::cli::voice::Voice;
use crate::cli::{output, runs};
use crate::connectivity::run::CaseState;
use crate::connectivity::runner::name_of_run;
use crate::console::wire::MessageList;
use crate::console::wire::runs::RunDetail;
use crate::ground::id::Id;
use crate::store::record::State;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(500);
/// Messages of a run that are followed: a case sends a few.
const MESSAGES: usize = 500;

/// Follows a run until it goes on no longer; the exit code is that of `show`.
pub(super) fn follow(context: &mut Context<'_>, name: RunName) -> Result<ExitCode, Failure> {
    let api = ApiClient::from_config(context)?;
    let format = context.global.format;
    let mut following = Following::default();
    let voice = &mut context.voice;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let last = runtime.block_on(async {
        // `last` is the newest one now, and no other later.
        let mut name = name;
        loop {
            let detail = runs::of_running(&api, name).await?.ok_or_else(runs::unknown)?;
            name = RunName::Id(detail.run.id);
            if format == Format::Human {
                following.tell(&api, &detail, voice).await?;
            }
            if !detail.running {
                return Ok::<_, Failure>(detail);
            }
            tokio::time::sleep(LOOK).await;
        }
    })?;
    conclude(voice, (format, true), &last.run)
}

/// What was told already.
#[derive(Debug, Default)]
struct Following {
    ended: usize,
    working: Option<String>,
    messages: BTreeMap<Id, State>,
}

impl Following {
    async fn tell(&mut self, api: &ApiClient, detail: &RunDetail, voice: &mut Voice<'_>) -> Result<(), Failure> {
        self.tell_messages(api, detail, voice).await?;
        let ended: Vec<_> = detail.run.cases.iter().filter(|case| case.state != CaseState::Pending).collect();
        for case in ended.get(self.ended..).unwrap_or_default() {
            voice.line(&told::line(case, voice.language))?;
        }
        self.ended = ended.len();
        if detail.working != self.working {
            self.working.clone_from(&detail.working);
            let begins = detail.run.cases.iter().find(|case| Some(&case.id) == detail.working.as_ref());
            if let Some(case) = begins {
                let (id, zh, en) = (&case.id, &case.title.zh, &case.title.en);
                voice.say(&bilingual!("· {id}  {zh}  进行中", "· {id}  {en}  in work"))?;
            }
        }
        Ok(voice.out.flush()?)
    }

    /// Each new state of each message, oldest message first.
    async fn tell_messages(
        &mut self,
        api: &ApiClient,
        detail: &RunDetail,
        voice: &mut Voice<'_>,
    ) -> Result<(), Failure> {
        let (partner, names) = (encoded(&detail.run.partner.id), encoded(&name_of_run(detail.run.id)));
        let path = format!("/api/v1/messages?direction=outbound&partner={partner}&name={names}&limit={MESSAGES}");
        let list: MessageList = api.get(&path).await?;
        for message in list.messages.iter().rev() {
            if self.messages.insert(message.id, message.state) == Some(message.state) {
                continue;
            }
            let (name, id) = (&message.file_name, message.id);
            let state = output::state(message.state);
            let (zh, en) = (state.zh, state.en);
            voice.say(&bilingual!("    {name}  {zh}  （{id}）", "    {name}  {en}  ({id})"))?;
        }
        Ok(())
    }
}
