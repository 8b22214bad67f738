//! `dxgate onboarding status`: the road as a checklist.

use std::path::Path;

use serde_json::json;

use crate::bilingual;
use crate::cli::exit_code::ExitCode;
use crate::cli::failure::Failure;
use crate::cli::voice::Voice;
use crate::ground::clock::{Clock, SystemClock};
use crate::ground::text::Language;
use crate::onboarding::profile::Field;
use crate::onboarding::road::{self, Road, Standing, Step};
use crate::onboarding::{chinese_date, file, today};

/// Runs the command.
pub(super) fn show(voice: &mut Voice<'_>, home: &Path) -> Result<ExitCode, Failure> {
    let dossier = file::read(home)?;
    let road = road::of(&dossier, today(SystemClock.now()));
    if voice.json {
        voice.value(&json!({ "open": road.is_open(), "road": road, "dossier": dossier }))?;
        return Ok(ExitCode::Done);
    }
    let name = dossier.profile.get(Field::Name).unwrap_or("—");
    let (day, written) = (road.today, chinese_date(road.today));
    voice.say(&bilingual!("接入进度：{name}（{written}）", "The road to production: {name} ({day})"))?;
    for (number, step) in (1usize..).zip(&road.steps) {
        line(voice, number, step)?;
    }
    if let Some(waiver) = &road.waiver {
        voice.say(waiver)?;
    }
    answers(voice, &road)?;
    Ok(ExitCode::Done)
}

fn line(voice: &mut Voice<'_>, number: usize, step: &Step) -> Result<(), Failure> {
    let (mark, word) = match step.standing {
        Standing::Done => ("✓", bilingual!("已完成", "done")),
        Standing::Next => ("▶", bilingual!("下一步", "next")),
        Standing::Waiting => ("…", bilingual!("等待答复", "waiting for an answer")),
        Standing::Overdue => ("!", bilingual!("已逾期", "overdue")),
        Standing::Later => ("·", bilingual!("以后", "later")),
    };
    let word = word.text(voice.language).to_owned();
    let title = step.title.text(voice.language).to_owned();
    let said = match voice.language {
        Language::Chinese => format!("{mark} {number:>2}. {title}（{word}）"),
        Language::English => format!("{mark} {number:>2}. {title} ({word})"),
    };
    voice.line(&said)?;
    if step.standing == Standing::Later {
        return Ok(());
    }
    for detail in &step.details {
        let detail = detail.text(voice.language).to_owned();
        voice.line(&format!("       {detail}"))?;
    }
    if let Some(command) = &step.command {
        voice.line(&format!("     → {command}"))?;
    }
    Ok(())
}

fn answers(voice: &mut Voice<'_>, road: &Road) -> Result<(), Failure> {
    voice.say(&bilingual!("咨询电话：", "Who answers:"))?;
    for hotline in &road.hotlines {
        let (who, what) = (hotline.who.text(voice.language).to_owned(), hotline.what.text(voice.language).to_owned());
        voice.line(&format!("  {}  {who}  {what}", hotline.phone))?;
    }
    Ok(())
}
