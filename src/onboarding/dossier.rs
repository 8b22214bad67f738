//! The dossier: everything on file about one enterprise's way to production, and the changes that it takes.
//!
//! It is read for ever: fields are only added, each with a default.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::Refused;
use super::calendar::Calendar;
use super::materials::{Filed, Material};
use super::portal::{self, Stage, State, TEST_WINDOW};
use super::profile::Profile;
use super::{chinese_date, production};
use crate::bilingual;
use crate::connectivity::run::{Conclusion, Counts, Run};
use crate::ground::id::Id;

/// The form of the file; a newer one is not read.
pub const VERSION: u32 = 1;
/// Runs, reports and states kept of each kind: more is no road.
const MOST: usize = 200;
/// Characters of a note or a reason.
const NOTE: usize = 200;

/// What is on file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dossier {
    /// [`VERSION`].
    pub version: u32,
    /// The enterprise.
    #[serde(default)]
    pub profile: Profile,
    /// What differs from the plain week.
    #[serde(default)]
    pub calendar: Calendar,
    /// What each application went through, oldest first.
    #[serde(default)]
    pub stages: BTreeMap<Stage, Vec<Shown>>,
    /// The latest file of each material.
    #[serde(default)]
    pub materials: BTreeMap<Material, Filed>,
    /// The DXPID of the test account.
    #[serde(default)]
    pub test: Option<TestAccount>,
    /// The DXPID for production.
    #[serde(default)]
    pub production: Option<Issued>,
    /// Runs of the connectivity test that were filed, oldest first.
    #[serde(default)]
    pub runs: Vec<FiledRun>,
    /// Reports that were made of them, oldest first.
    #[serde(default)]
    pub reports: Vec<FiledReport>,
    /// Production without a whole dossier, and why.
    #[serde(default)]
    pub waiver: Option<production::Waiver>,
}

impl Default for Dossier {
    fn default() -> Dossier {
        Dossier {
            version: VERSION,
            profile: Profile::default(),
            calendar: Calendar::default(),
            stages: BTreeMap::new(),
            materials: BTreeMap::new(),
            test: None,
            production: None,
            runs: Vec::new(),
            reports: Vec::new(),
            waiver: None,
        }
    }
}

/// A state that the portal showed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// Which.
    pub state: State,
    /// Since when.
    pub on: Date,
    /// What was said with it.
    #[serde(default)]
    pub note: Option<String>,
}

/// The public account of the test environment; it is lent for a window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestAccount {
    /// Its DXPID.
    pub dxpid: String,
    /// First day of the window.
    pub from: Date,
    /// Last day of the window.
    pub to: Date,
}

/// A DXPID that was issued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issued {
    /// It.
    pub dxpid: String,
    /// When.
    pub on: Date,
}

/// A run of the connectivity test, as far as the road needs it; the run itself is in the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FiledRun {
    /// Its id.
    pub id: Id,
    /// Its plan.
    pub plan: String,
    /// The environment it ran in.
    pub environment: String,
    /// Whether it was against a testbed on the enterprise's own machine.
    pub rehearsal: bool,
    /// What it came to.
    pub conclusion: Conclusion,
    /// Its cases.
    pub cases: usize,
    /// Those that passed.
    pub passed: usize,
    /// When it ended, or when it was filed.
    pub on: Date,
}

impl FiledRun {
    /// Whether it proves something to the data centre: passed, in the test environment, against the real other side.
    pub fn counts(&self) -> bool {
        self.conclusion == Conclusion::Passed && !self.rehearsal && self.environment == "test"
    }
}

/// A report that was made of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FiledReport {
    /// The run.
    pub run: Id,
    /// The file, as it was named.
    pub file: String,
    /// SHA-256 of its bytes, lower-case hex.
    pub sha256: String,
    /// When.
    pub on: Date,
}

impl Dossier {
    /// What the portal shows of an application now.
    pub fn shown(&self, stage: Stage) -> Option<&Shown> {
        self.stages.get(&stage).and_then(|shown| shown.last())
    }

    /// Whether what an application asked for was granted.
    pub fn is_granted(&self, stage: Stage) -> bool {
        self.shown(stage).is_some_and(|shown| shown.state.is_granted())
    }

    /// When an application was handed in that is not decided yet.
    pub fn handed_in(&self, stage: Stage) -> Option<Date> {
        let shown = self.stages.get(&stage)?;
        let pending = shown.last().is_some_and(|last| last.state.is_pending() && !last.state.is_granted());
        let applied = shown.iter().rev().find(|shown| shown.state == State::Applied);
        applied.filter(|_| pending).map(|shown| shown.on)
    }

    /// When an application that is not decided yet is due, by the working days of the calendar.
    pub fn due(&self, stage: Stage) -> Option<Date> {
        Some(self.calendar.after(self.handed_in(stage)?, stage.working_days()?))
    }

    /// Records what the portal shows of an application since a day.
    ///
    /// # Errors
    /// The state cannot follow, the day is in the future or before the last one, or the application before is not granted.
    pub fn advance(&mut self, stage: Stage, shown: Shown, today: Date) -> Result<(), Refused> {
        self.in_order(stage)?;
        let last = self.shown(stage);
        portal::follows(stage, last.map(|last| last.state), shown.state)?;
        let earliest = last.map(|last| last.on);
        if shown.on > today || earliest.is_some_and(|earliest| shown.on < earliest) {
            let (on, today) = (shown.on, today);
            let from = earliest.map_or_else(|| "…".to_owned(), |earliest| earliest.to_string());
            let text = bilingual!("日期 {on} 应在 {from} 和 {today} 之间", "{on} is no day between {from} and {today}");
            return Err(Refused::new("day-out-of-order", text));
        }
        checked_note(shown.note.as_deref())?;
        let states = self.stages.entry(stage).or_default();
        if states.len() >= MOST {
            return Err(Refused::new("dossier-full", bilingual!("记录已满", "there is no room for more of these")));
        }
        states.push(shown);
        Ok(())
    }

    /// Each application begins when the one before is granted; access when the report was handed in.
    fn in_order(&self, stage: Stage) -> Result<(), Refused> {
        let before = match stage {
            Stage::Opening => return Ok(()),
            Stage::Test => self.is_granted(Stage::Opening).then_some(()).ok_or(Stage::Opening),
            Stage::Report => self.is_granted(Stage::Test).then_some(()).ok_or(Stage::Test),
            Stage::Access => {
                let with_us = |shown: &Shown| matches!(shown.state, State::Saved | State::Returned);
                let handed_in = self.shown(Stage::Report).is_some_and(|shown| !with_us(shown));
                handed_in.then_some(()).ok_or(Stage::Report)
            }
        };
        before.map_err(|before| {
            let ((zh, en), name) = ((before.text().zh, before.text().en), before.name());
            let text = bilingual!(
                "“{zh}”（{name}）尚未通过，之后的步骤还不能登记",
                "{en} ({name}) comes first and is not granted yet"
            );
            Refused::new("stage-out-of-order", text)
        })
    }

    /// Records the account lent for the test; without a last day the window has five working days.
    ///
    /// # Errors
    /// It is no DXPID, or the window ends before it begins.
    pub fn lend(&mut self, dxpid: &str, from: Date, to: Option<Date>) -> Result<(), Refused> {
        checked_dxpid(dxpid)?;
        let to = to.unwrap_or_else(|| self.calendar.window(from, TEST_WINDOW));
        if to < from {
            let text = bilingual!("窗口 {from} 至 {to} 倒置", "a window from {from} to {to} ends before it begins");
            return Err(Refused::new("window-reversed", text));
        }
        self.test = Some(TestAccount { dxpid: dxpid.to_owned(), from, to });
        Ok(())
    }

    /// Records the DXPID for production.
    ///
    /// # Errors
    /// It is no DXPID, or that of the test account.
    pub fn issue(&mut self, dxpid: &str, on: Date) -> Result<(), Refused> {
        checked_dxpid(dxpid)?;
        if self.test.as_ref().is_some_and(|test| test.dxpid == dxpid) {
            let text = bilingual!(
                "{dxpid} 是测试账号的 DXPID，不能作为正式 DXPID",
                "{dxpid} is the DXPID of the test account and cannot be that of production"
            );
            return Err(Refused::new("dxpid-of-test", text));
        }
        self.production = Some(Issued { dxpid: dxpid.to_owned(), on });
        Ok(())
    }

    /// Files a run; one that was filed before is replaced.
    pub fn file_run(&mut self, run: &Run, today: Date) {
        let Counts { cases, passed, .. } = run.counts();
        let filed = FiledRun {
            id: run.id,
            plan: run.plan.clone(),
            environment: run.environment.clone(),
            rehearsal: run.rehearsal,
            conclusion: run.conclusion(),
            cases,
            passed,
            on: run.ended.map_or(today, super::today),
        };
        self.runs.retain(|known| known.id != run.id);
        self.runs.push(filed);
        // What proves nothing goes first.
        while self.runs.len() > MOST {
            let spare = self.runs.iter().position(|run| !run.counts()).unwrap_or(0);
            self.runs.remove(spare);
        }
    }

    /// Files a report.
    pub fn file_report(&mut self, report: FiledReport) {
        self.reports.retain(|known| (known.run, &known.file) != (report.run, &report.file));
        self.reports.push(report);
        let spare = self.reports.len().saturating_sub(MOST);
        self.reports.drain(..spare);
    }

    /// The newest run that proves something.
    pub fn passed_run(&self) -> Option<&FiledRun> {
        self.runs.iter().rev().find(|run| run.counts())
    }

    /// The newest report of a run that proves something.
    pub fn report_of_passed_run(&self) -> Option<&FiledReport> {
        let proves = |id: Id| self.runs.iter().any(|run| run.id == id && run.counts());
        self.reports.iter().rev().find(|report| proves(report.run))
    }
}

/// A DXPID has 1 to 16 letters and digits.
fn checked_dxpid(dxpid: &str) -> Result<(), Refused> {
    if (1..=16).contains(&dxpid.len()) && dxpid.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Ok(());
    }
    let shown = crate::ground::text::printable(dxpid);
    let text =
        bilingual!("{shown} 不是 DXPID：应为 1 至 16 位字母和数字", "{shown} is no DXPID: 1 to 16 letters and digits");
    Err(Refused::new("dxpid-form", text))
}

/// A note or reason is one line that people can read.
pub(super) fn checked_note(note: Option<&str>) -> Result<(), Refused> {
    let good = note.is_none_or(|note| {
        let length = note.trim().chars().count();
        (1..=NOTE).contains(&length) && crate::ground::text::printable(note) == note
    });
    let text =
        bilingual!("说明应为 1 至 {NOTE} 个字符的一行文字", "a note or reason is one line of 1 to {NOTE} characters");
    good.then_some(()).ok_or(Refused { code: "note-form", text })
}

/// For documents: a window as people write it.
pub fn window(account: &TestAccount) -> String {
    format!("{}至{}", chinese_date(account.from), chinese_date(account.to))
}

#[cfg(test)]
#[path = "dossier_tests.rs"]
mod tests;
