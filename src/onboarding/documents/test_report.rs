//! 附件 3: 海关预录入系统业务数据交换接口联通测试报告. One page that is the form, then an appendix with the evidence.
//!
//! What the form concludes is what the run concludes ([`Run::conclusion`]), in these words; a rehearsal says so first.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::{self, TimeZone};
use serde::Serialize;

use super::super::chinese_date;
use super::super::profile::{Field, Profile};
use super::{Filled, Filling, NO_DATE, appendix};
use crate::connectivity::plan::Kind;
use crate::connectivity::run::{CaseRecord, CaseState, Conclusion, Run};
use crate::report::{Block, Cell, Grid, Kind as Look, Paragraph, Row};

/// Its title on the form.
pub const TITLE: &str = "海关预录入系统业务数据交换接口联通测试报告";
/// The note at the form's foot.
const NOTE: &str = "说明：接口联调测试包括数据交换接口和业务接口两方面的测试，请根据测试内容，在测试结论中填写测试情况。\
                    测试情况包括：数据交换接口测试、业务接口测试、数据交换和业务接口测试。";
/// Cases named in the conclusion; the others are in the appendix.
const NAMED: usize = 2;
/// Characters of a case's name in the conclusion.
const SHORT: usize = 16;
/// Characters of testers and places: the form is one page.
const NAMES: usize = 24;

/// The facts of a report, for programs.
#[derive(Debug, Serialize)]
pub struct Facts<'r> {
    /// Name of the form.
    pub title: &'static str,
    /// The enterprise.
    pub profile: &'r Profile,
    /// What is written into the form.
    pub content: String,
    /// 测试时间.
    pub time: String,
    /// 测试人员.
    pub tester: Option<&'r str>,
    /// 测试地点.
    pub place: Option<&'r str>,
    /// 测试结论, as it stands in the form.
    pub statement: String,
    /// The run, with its conclusion and counts.
    pub run: crate::connectivity::run::Told<'r>,
}

/// The facts of a report.
pub fn facts<'r>(profile: &'r Profile, run: &'r Run) -> Facts<'r> {
    Facts {
        title: TITLE,
        profile,
        content: content(run),
        time: time(run),
        tester: tester(profile, run),
        place: place(profile, run),
        statement: statement(run),
        run: run.told(),
    }
}

/// The report of a run; `on` is the enterprise's date.
pub fn report(profile: &Profile, run: &Run, on: Option<Date>) -> Filled {
    let mut form = Filling { profile, blank: Vec::new() };
    let mut blocks = vec![
        Block::Title { text: TITLE.to_owned() },
        Block::Grid(grid(&mut form, run, on)),
        Block::Paragraph(Paragraph::small(NOTE)),
        Block::PageBreak,
    ];
    appendix::of(run, &mut blocks);
    form.done(TITLE, blocks)
}

fn grid(form: &mut Filling<'_>, run: &Run, on: Option<Date>) -> Grid {
    let mut known = |field| form.known(field).unwrap_or_default();
    let (name, address, customs) = (known(Field::Name), known(Field::Address), known(Field::CustomsCode));
    let profile = form.profile;
    let code = profile.enterprise_code().map(str::to_owned);
    let code = code.unwrap_or_else(|| form.known(Field::CreditCode).unwrap_or_default());
    let who = tester(profile, run).map(str::to_owned);
    let who = who.unwrap_or_else(|| form.known(Field::Tester).unwrap_or_default());
    let place = place(profile, run).map(str::to_owned);
    let place = place.unwrap_or_else(|| form.known(Field::TestPlace).unwrap_or_default());
    let row = |height, cells| Row { cells, height };
    let pair = |label: &str, value: &str| vec![Cell::label(label), Cell::value(value).over(3)];
    let four =
        |a: &str, b: &str, c: &str, d: &str| vec![Cell::label(a), Cell::value(b), Cell::label(c), Cell::value(d)];
    let date = format!("日期：{}", on.map_or_else(|| NO_DATE.to_owned(), chinese_date));
    let stamp = |name: &str, date: &str| Cell::value(name).over(2).with_foot(date);
    let rows = vec![
        row(13, pair("企业名称", &name)),
        row(13, pair("联系地址", &address)),
        row(18, four("海关十位编码", &customs, "组织机构代码（或统一社会信用代码）", &code)),
        row(16, four("测试内容", &content(run), "测试时间", &time(run))),
        row(13, four("测试人员", &shortened(&who, NAMES), "测试地点", &shortened(&place, NAMES))),
        row(70, vec![Cell::label("测试结论"), Cell::value(&statement(run)).over(3).of(Look::Top)]),
        row(58, vec![stamp("企业签章", &date), stamp("分中心签章", &format!("日期：{NO_DATE}"))]),
    ];
    Grid { columns: vec![29, 48, 31, 54], rows, head: 0, small: false }
}

fn tester<'r>(profile: &'r Profile, run: &'r Run) -> Option<&'r str> {
    run.tester.as_deref().or(profile.get(Field::Tester))
}

fn place<'r>(profile: &'r Profile, run: &'r Run) -> Option<&'r str> {
    run.place.as_deref().or(profile.get(Field::TestPlace))
}

/// 测试内容: which of the two kinds, as the form's note names them.
fn content(run: &Run) -> String {
    let of = |kind: Kind| run.cases.iter().filter(|case| case.kind == kind).count();
    match (of(Kind::Interface), of(Kind::Business)) {
        (0, 0) => "无测试用例".to_owned(),
        (interface, 0) => format!("数据交换接口测试（{interface} 项）"),
        (0, business) => format!("业务接口测试（{business} 项）"),
        (interface, business) => format!("数据交换和业务接口测试（{interface} 项和 {business} 项）"),
    }
}

/// 测试时间 in the customs' zone, to the minute.
fn time(run: &Run) -> String {
    let Some(ended) = run.ended else { return format!("{}起，未结束", moment(run.started)) };
    let (from, to) = (local(run.started), local(ended));
    if from.date() == to.date() {
        format!("{} {} 至 {}", chinese_date(from.date()), from.strftime("%H:%M"), to.strftime("%H:%M"))
    } else {
        format!("{} 至 {}", moment(run.started), moment(ended))
    }
}

fn local(at: Timestamp) -> jiff::Zoned {
    at.to_zoned(TimeZone::fixed(tz::offset(8)))
}

/// 2026年11月27日 09:30.
pub(super) fn moment(at: Timestamp) -> String {
    let at = local(at);
    format!("{} {}", chinese_date(at.date()), at.strftime("%H:%M"))
}

/// 测试结论: never better than the run.
fn statement(run: &Run) -> String {
    let counts = run.counts();
    let mut lines = Vec::new();
    if run.rehearsal {
        lines.push("【本次为企业本机演练，不是与数据分中心的联通测试，不能作为测试报告提交】".to_owned());
    }
    let verdict = match run.conclusion() {
        Conclusion::Passed => "测试通过",
        Conclusion::Failed => "测试未通过",
        Conclusion::Incomplete => "测试未完成",
    };
    let mut sum = format!("{verdict}：共 {} 项，通过 {} 项", counts.cases, counts.passed);
    for (count, name) in [(counts.failed, "未通过"), (counts.skipped, "跳过"), (counts.pending, "未执行")] {
        if count > 0 {
            let _ = write!(sum, "，{name} {count} 项");
        }
    }
    lines.push(format!("{sum}。"));
    let both = [(Kind::Interface, "数据交换接口测试"), (Kind::Business, "业务接口测试")];
    for (kind, name) in both {
        let cases: Vec<&CaseRecord> = run.cases.iter().filter(|case| case.kind == kind).collect();
        if !cases.is_empty() {
            lines.push(of_kind(name, &cases));
        }
    }
    if run.conclusion() != Conclusion::Failed && run.ended.is_none() {
        lines.push("测试中断，未执行完毕。".to_owned());
    }
    let environment = if run.environment == "production" { "正式环境" } else { "测试环境" };
    let dxpid = run.station.dxpid.as_deref().map(|dxpid| format!("，DXPID {dxpid}")).unwrap_or_default();
    lines.push(format!("{environment}{dxpid}；测试编号 {}。各项的时间、Message-ID、MIC、证书和回执见附录。", run.id));
    lines.join("\n")
}

fn of_kind(name: &str, cases: &[&CaseRecord]) -> String {
    let of = |state: CaseState| cases.iter().filter(move |case| case.state == state);
    let (all, passed) = (cases.len(), of(CaseState::Passed).count());
    let mut said = format!("{name}：共 {all} 项，通过 {passed} 项");
    let failed: Vec<String> = of(CaseState::Failed).map(|case| shortened(&case.title.zh, SHORT)).collect();
    if !failed.is_empty() {
        let count = failed.len();
        let more = if count > NAMED { "等" } else { "" };
        let first: Vec<String> = failed.into_iter().take(NAMED).collect();
        let _ = write!(said, "，未通过 {count} 项（{}{more}）", first.join("、"));
    }
    for (state, word) in [(CaseState::Skipped, "跳过"), (CaseState::Pending, "未执行")] {
        let count = of(state).count();
        if count > 0 {
            let _ = write!(said, "，{word} {count} 项");
        }
    }
    said.push('。');
    said
}

/// 2026-11-27 09:30:15.
pub(super) fn instant(at: Timestamp) -> String {
    local(at).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// At most so many characters, with dots for the others.
pub(super) fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}
