//! The road as a checklist: what is done, what is next, what is missing, until when, and who answers.

use jiff::civil::Date;
use serde::Serialize;

use super::dossier::Dossier;
use super::materials::Material;
use super::portal::{Stage, State};
use super::production::may_go_to_production;
use super::profile::Field;
use crate::bilingual;
use crate::ground::text::Bilingual;

/// Where a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// It is behind us.
    Done,
    /// The enterprise can do it now.
    Next,
    /// The other side has it.
    Waiting,
    /// The other side has it longer than it promised, or a window closed.
    Overdue,
    /// Something before it is not done.
    Later,
}

/// Who answers questions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hotline {
    /// Who.
    pub who: Bilingual,
    /// Telephone.
    pub phone: String,
    /// For what, and when.
    pub what: Bilingual,
}

/// A step of the road.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Stable name.
    pub code: &'static str,
    /// What it is.
    pub title: Bilingual,
    /// Where it stands.
    pub standing: Standing,
    /// What is known, or missing.
    pub details: Vec<Bilingual>,
    /// The last day, where there is one.
    pub due: Option<Date>,
    /// What to type.
    pub command: Option<String>,
}

/// The whole road.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Road {
    /// The day it was looked at.
    pub today: Date,
    /// In their order.
    pub steps: Vec<Step>,
    /// Production without a whole dossier, and why.
    pub waiver: Option<Bilingual>,
    /// Who answers, the nearest first.
    pub hotlines: Vec<Hotline>,
}

impl Road {
    /// Whether production may begin.
    pub fn is_open(&self) -> bool {
        self.steps.iter().all(|step| step.standing == Standing::Done)
    }
}

/// The road of a dossier, as of a day.
pub fn of(dossier: &Dossier, today: Date) -> Road {
    let survey = Survey { dossier, today };
    let mut steps = vec![
        survey.profile(),
        survey.files("materials", &[Material::Authorization, Material::Identity]),
        survey.portal(Stage::Opening),
        survey.files("commitment", &[Material::Commitment]),
        survey.portal(Stage::Test),
        survey.account(),
        survey.run(),
        survey.report(),
        survey.files("stamped-report", &[Material::StampedReport]),
        survey.portal(Stage::Report),
        survey.portal(Stage::Access),
        survey.issued(),
        survey.production(),
    ];
    // One thing at a time: what depends on an open step is not the next one yet.
    let mut open = false;
    for step in &mut steps {
        if open && step.standing == Standing::Next {
            step.standing = Standing::Later;
            step.command = None;
        }
        open |= matches!(step.standing, Standing::Next | Standing::Waiting | Standing::Overdue);
    }
    let waiver = dossier.waiver.as_ref().map(|waiver| {
        let (reason, day) = (&waiver.reason, super::today(waiver.at));
        bilingual!("例外（{day}）：可直接进入正式环境，{reason}", "exception of {day}: production may begin, {reason}")
    });
    Road { today, steps, waiver, hotlines: hotlines(dossier) }
}

/// The telephones of the two documents; the data centre's may be another one.
pub fn hotlines(dossier: &Dossier) -> Vec<Hotline> {
    let own = dossier.profile.get(Field::DataCentre);
    let centre = own.unwrap_or("石家庄海关数据分中心");
    let phone = dossier.profile.get(Field::DataCentrePhone).or(own.is_none().then_some("0311-66709979"));
    let mut hotlines = vec![Hotline {
        who: bilingual!("{centre}", "{centre} (data centre of the region)"),
        phone: phone.unwrap_or("—").to_owned(),
        what: bilingual!(
            "申请、联通测试、接入，工作日 8 小时",
            "application, connectivity test, access; working days, 8 hours"
        ),
    }];
    if own.is_none() {
        hotlines.push(Hotline {
            who: bilingual!(
                "河北省电子口岸发展股份有限公司，王天琦",
                "河北省电子口岸发展股份有限公司, 王天琦 (vendor)"
            ),
            phone: "0311-86950230".to_owned(),
            what: bilingual!("服务厂商", "the vendor that the application names"),
        });
    }
    hotlines.push(Hotline {
        who: bilingual!("全国海关统一服务热线", "the national customs hotline"),
        phone: "12360".to_owned(),
        what: bilingual!("咨询、报障和投诉", "questions, faults and complaints"),
    });
    hotlines
}

struct Survey<'d> {
    dossier: &'d Dossier,
    today: Date,
}

fn step(code: &'static str, title: Bilingual, done: bool, command: &str) -> Step {
    let standing = if done { Standing::Done } else { Standing::Next };
    let command = (!done && !command.is_empty()).then(|| command.to_owned());
    Step { code, title, standing, details: Vec::new(), due: None, command }
}

impl Survey<'_> {
    fn profile(&self) -> Step {
        let missing = self.dossier.profile.missing();
        let first = missing.first().map_or("name", |field| field.name());
        let command = format!("dxgate onboarding set {first}=…");
        let mut step = step("profile", bilingual!("企业资料", "enterprise profile"), missing.is_empty(), &command);
        step.details.extend(missing.into_iter().map(|field| {
            let (text, name) = (field.text(), field.name());
            let (zh, en) = (text.zh, text.en);
            bilingual!("缺少{zh}（{name}）", "{en} is missing ({name})")
        }));
        step
    }

    fn files(&self, code: &'static str, materials: &[Material]) -> Step {
        let good = |material: &Material| self.dossier.materials.get(material).is_some_and(|filed| filed.is_good());
        let title = match code {
            "materials" => bilingual!("申请材料", "materials of the application"),
            "commitment" => bilingual!("安全承诺书", "security commitment"),
            _ => bilingual!("盖章的测试报告", "stamped test report"),
        };
        let open = materials.iter().find(|material| !good(material));
        let name = open.map_or("", |material| material.name());
        let mut step = step(code, title, open.is_none(), &format!("dxgate onboarding material {name} FILE"));
        for material in materials {
            let (zh, en) = (material.text().zh, material.text().en);
            let Some(filed) = self.dossier.materials.get(material) else {
                step.details.push(bilingual!("缺少{zh}", "{en} is missing"));
                continue;
            };
            let (file, on) = (&filed.file, filed.on);
            step.details.push(bilingual!("{zh}：{file}（{on}）", "{en}: {file} ({on})"));
            step.details.extend(filed.findings.iter().map(|finding| {
                let (code, zh, en) = (&finding.code, &finding.message_zh, &finding.message_en);
                bilingual!("{zh} [{code}]", "{en} [{code}]")
            }));
        }
        step
    }

    fn portal(&self, stage: Stage) -> Step {
        let code = match stage {
            Stage::Opening => "opening",
            Stage::Test => "test-application",
            Stage::Report => "report-handed-in",
            Stage::Access => "access",
        };
        let granted = self.dossier.is_granted(stage);
        let name = stage.name();
        let mut step = step(code, stage.text(), granted, &format!("dxgate onboarding advance {name} 已申请"));
        let Some(shown) = self.dossier.shown(stage) else { return step };
        let (state, on, note) = (shown.state.text(), shown.on, shown.note.as_deref().unwrap_or_default());
        let (zh, en) = (state.zh, state.en);
        let between = if note.is_empty() { "" } else { " " };
        step.details.push(bilingual!("{zh}（{on}）{between}{note}", "{en} since {on}{between}{note}"));
        if granted || !shown.state.is_pending() {
            return step;
        }
        step.command = Some(format!("dxgate onboarding advance {name} 已通过"));
        step.standing = Standing::Waiting;
        step.due = self.dossier.due(stage);
        if let (Some(due), Some(days)) = (step.due, stage.working_days()) {
            let late = self.today > due;
            step.standing = if late { Standing::Overdue } else { Standing::Waiting };
            let left = self.dossier.calendar.between(self.today, due);
            step.details.push(if late {
                bilingual!(
                    "应于 {due} 前答复（{days} 个工作日），已逾期，请致电询问",
                    "an answer was due by {due} ({days} working days): ask by telephone"
                )
            } else {
                bilingual!(
                    "应于 {due} 前答复（{days} 个工作日，还剩 {left} 个）",
                    "an answer is due by {due} ({days} working days, {left} left)"
                )
            });
        }
        step
    }

    fn account(&self) -> Step {
        let account = self.dossier.test.as_ref();
        let title = bilingual!("测试账号和测试窗口", "test account and window");
        let command = "dxgate onboarding issue test DXPID --from 日期";
        let mut step = step("test-account", title, account.is_some(), command);
        let unassigned = self.dossier.shown(Stage::Test).is_some_and(|shown| shown.state == State::Unassigned);
        if account.is_none() && unassigned {
            step.standing = Standing::Waiting;
            step.details.push(bilingual!("待分配账号", "an account is yet to be assigned"));
        }
        let Some(account) = account else { return step };
        let (dxpid, from, to) = (&account.dxpid, account.from, account.to);
        step.due = Some(to);
        step.details.push(bilingual!("{dxpid}，{from} 至 {to}", "{dxpid}, from {from} to {to}"));
        let proven = self.dossier.passed_run().is_some();
        if !proven && self.today > to {
            step.standing = Standing::Overdue;
            step.command = Some(command.to_owned());
            step.details.push(bilingual!("测试窗口已过，请申请新的窗口", "the window has closed: ask for another one"));
        } else if !proven && self.today >= from {
            let yesterday = self.today.yesterday().unwrap_or(self.today);
            let left = self.dossier.calendar.between(yesterday, to);
            step.details.push(bilingual!(
                "窗口内还剩 {left} 个工作日（含今天）",
                "{left} working days are left, today included"
            ));
        }
        step
    }

    fn run(&self) -> Step {
        let passed = self.dossier.passed_run();
        let title = bilingual!("联通测试", "connectivity test");
        let command = "dxgate connectivity run PLAN；dxgate onboarding file RUN";
        let mut step = step("run", title, passed.is_some(), command);
        if let Some(run) = passed.or(self.dossier.runs.last()) {
            let (id, plan, cases, good, on) = (run.id, &run.plan, run.cases, run.passed, run.on);
            step.details.push(bilingual!(
                "{plan}：{cases} 项中通过 {good} 项（{on}，{id}）",
                "{plan}: {good} of {cases} cases passed ({on}, {id})"
            ));
            if run.rehearsal {
                step.details
                    .push(bilingual!("这是本机演练，不能作为测试结果", "a rehearsal on this machine proves nothing"));
            }
        }
        step
    }

    fn report(&self) -> Step {
        let report = self.dossier.report_of_passed_run();
        let title = bilingual!("测试报告", "test report");
        let command = "dxgate onboarding document report --run RUN --out 测试报告.pdf";
        let mut step = step("report", title, report.is_some(), command);
        if let Some(report) = report {
            let (file, on) = (&report.file, report.on);
            step.details.push(bilingual!("{file}（{on}）", "{file} ({on})"));
        }
        step
    }

    fn issued(&self) -> Step {
        let issued = self.dossier.production.as_ref();
        let title = bilingual!("正式 DXPID", "DXPID for production");
        let mut step = step("dxpid", title, issued.is_some(), "dxgate onboarding issue production DXPID");
        if let Some(issued) = issued {
            let (dxpid, on) = (&issued.dxpid, issued.on);
            step.details.push(bilingual!("{dxpid}（{on}）", "{dxpid} ({on})"));
        }
        step
    }

    fn production(&self) -> Step {
        let open = may_go_to_production(self.dossier);
        let title = bilingual!("进入正式环境", "production");
        let mut step = step("production", title, open.is_ok(), "");
        step.details.extend(open.err().map(|missing| missing.text()));
        step
    }
}

#[cfg(test)]
#[path = "road_tests.rs"]
mod tests;
