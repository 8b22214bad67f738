//! A plan: a TOML file with the cases of a connectivity test; `config/connectivity/` has commented ones.
//!
//! The report form of the data centre tells two kinds apart: 数据交换接口测试 ([`Kind::Interface`]: the road, whatever travels
//! on it) and 业务接口测试 ([`Kind::Business`]: one message type from pre-check to the last business receipt).

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::bilingual;
use crate::config::{is_partner_id, quantity};
use crate::declaration::family::{self, Role};
use crate::ground::text::Bilingual;

mod check;

pub use check::Check;

/// Cases of one plan, at most: more is no test that people read.
pub const MAX_CASES: usize = 200;
/// Bytes of a plan's file, at most.
pub const MAX_PLAN: usize = 256 * 1024;
/// Documents or KiB of what an interface case sends, at most: it is made in memory.
const MAX_SIZE: u32 = 64 * 1024;
/// Characters of a case's id, at most.
const MAX_ID: usize = 40;
/// How long a case may wait, at most: longer than any window of the test environment.
const MAX_WAIT: Duration = Duration::from_secs(14 * 24 * 3600);
/// How long a case waits, unless the plan says otherwise.
const USUAL_WAIT: Duration = Duration::from_secs(120);

/// The two kinds of the official report form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = CaseKind)]
pub enum Kind {
    /// 数据交换接口测试.
    Interface,
    /// 业务接口测试.
    Business,
}

impl Kind {
    /// Its name on the form.
    pub fn text(self) -> Bilingual {
        match self {
            Kind::Interface => bilingual!("数据交换接口测试", "data exchange interface"),
            Kind::Business => bilingual!("业务接口测试", "business interface"),
        }
    }
}

/// A plan that was read and is sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Stable name: lower-case letters, digits, hyphens.
    pub name: String,
    /// Its name for people.
    pub title: Bilingual,
    /// The partner's id that it is run against.
    pub partner: String,
    /// In the order in which they are run; their ids differ.
    pub cases: Vec<Case>,
}

/// One case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// Unique in its plan: letters, digits, dots, hyphens, underscores.
    pub id: String,
    /// Its name for people.
    pub title: Bilingual,
    /// How long it may take, everything expected included.
    pub wait: Duration,
    /// What is done.
    pub work: Work,
}

impl Case {
    /// Which part of the report it belongs to.
    pub fn kind(&self) -> Kind {
        match self.work {
            Work::Interface { .. } => Kind::Interface,
            Work::Business(_) => Kind::Business,
        }
    }
}

/// What a case does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    /// Tries the road.
    Interface {
        /// Which part of it.
        check: Check,
        /// Documents of the sample that travels, or KiB of text for a partner without the profile `dxp`.
        size: u32,
    },
    /// Sends a declaration and awaits what customs says.
    Business(Business),
}

/// A declaration and what must come back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Business {
    /// Such as `CEB621Message`.
    pub message_type: String,
    /// The enterprise's own file, from the plan's folder; a sample is made when there is none.
    pub file: Option<PathBuf>,
    /// Documents of the sample.
    pub documents: u32,
    /// The transport platform must answer the envelope well (DxpRep).
    pub transport_receipt: bool,
    /// Statuses that must be heard about every document, in any order; the last one is the end.
    pub receipts: Vec<String>,
}

/// A plan that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct PlanError {
    /// Stable code.
    pub code: &'static str,
    /// What is wrong, where, and what to do.
    pub text: Bilingual,
}

impl Plan {
    /// Reads a plan; `name` is how the file is called in errors.
    ///
    /// # Errors
    /// The text is no TOML, has a key or value that is not known, or its cases do not fit together.
    pub fn read(text: &str, name: &str) -> Result<Plan, PlanError> {
        if text.len() > MAX_PLAN {
            let limit = MAX_PLAN / 1024;
            let what = bilingual!("文件超过 {limit} KiB", "the file has more than {limit} KiB");
            return Err(invalid(name, &what));
        }
        let written: Written = toml::from_str(text).map_err(|error| {
            let error = error.to_string();
            invalid(name, &bilingual!("{error}", "{error}"))
        })?;
        written.plan().map_err(|what| invalid(name, &what))
    }
}

fn invalid(name: &str, what: &Bilingual) -> PlanError {
    let (zh, en) = (&what.zh, &what.en);
    let text = bilingual!(
        "测试计划 {name} 不能使用：{zh}。可参照 config/connectivity/ 中的示例。",
        "the plan {name} cannot be used: {en}. See the examples in config/connectivity/."
    );
    PlanError { code: "plan-invalid", text }
}

/// A plan as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    title: Bilingual,
    partner: String,
    wait: Option<String>,
    #[serde(rename = "case", default)]
    cases: Vec<WrittenCase>,
}

/// A case as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenCase {
    id: String,
    kind: Kind,
    title: Option<Bilingual>,
    wait: Option<String>,
    check: Option<Check>,
    size: Option<u32>,
    message_type: Option<String>,
    file: Option<PathBuf>,
    documents: Option<u32>,
    transport_receipt: Option<bool>,
    receipts: Option<Vec<String>>,
}

impl Written {
    fn plan(self) -> Result<Plan, Bilingual> {
        if !is_word(&self.name) {
            let name = self.name;
            return Err(bilingual!(
                "name = {name:?} 只能含字母、数字、点、连字符和下划线",
                "name = {name:?} may hold letters, digits, dots, hyphens and underscores only"
            ));
        }
        if !is_partner_id(&self.partner) {
            let partner = self.partner;
            return Err(bilingual!(
                "partner = {partner:?} 不能作为伙伴编号",
                "partner = {partner:?} cannot be a partner's id"
            ));
        }
        let usual = wait(self.wait.as_deref())?.unwrap_or(USUAL_WAIT);
        if self.cases.is_empty() || self.cases.len() > MAX_CASES {
            let found = self.cases.len();
            return Err(bilingual!(
                "应有 1 至 {MAX_CASES} 个 [[case]]，实有 {found} 个",
                "there must be 1 to {MAX_CASES} [[case]], not {found}"
            ));
        }
        let mut ids = BTreeSet::new();
        let mut cases = Vec::with_capacity(self.cases.len());
        for written in self.cases {
            let id = written.id.clone();
            if !is_word(&id) || !ids.insert(id.clone()) {
                return Err(bilingual!(
                    "case {id:?}：编号重复，或含字母、数字、点、连字符和下划线以外的字符",
                    "case {id:?}: the id is there twice, or holds more than letters, digits, dots, hyphens and underscores"
                ));
            }
            let case = written.case(usual);
            cases.push(case.map_err(|what| {
                let (zh, en) = (what.zh, what.en);
                bilingual!("case {id:?}：{zh}", "case {id:?}: {en}")
            })?);
        }
        Ok(Plan { name: self.name, title: self.title, partner: self.partner, cases })
    }
}

impl WrittenCase {
    fn case(self, usual: Duration) -> Result<Case, Bilingual> {
        let wait = wait(self.wait.as_deref())?.unwrap_or(usual);
        let (work, title) = match self.kind {
            Kind::Interface => self.interface()?,
            Kind::Business => self.business()?,
        };
        Ok(Case { id: self.id, title: self.title.unwrap_or(title), wait, work })
    }

    fn interface(&self) -> Result<(Work, Bilingual), Bilingual> {
        let foreign = [
            ("message_type", self.message_type.is_some()),
            ("file", self.file.is_some()),
            ("documents", self.documents.is_some()),
            ("transport_receipt", self.transport_receipt.is_some()),
            ("receipts", self.receipts.is_some()),
        ];
        only_own(&foreign, "interface")?;
        let check = self.check.ok_or_else(|| bilingual!("缺少 check", "check is missing"))?;
        let size = self.size.unwrap_or_else(|| check.usual_size());
        if size == 0 || size > MAX_SIZE {
            return Err(bilingual!("size 应为 1 至 {MAX_SIZE}", "size must be 1 to {MAX_SIZE}"));
        }
        Ok((Work::Interface { check, size }, check.text()))
    }

    fn business(&self) -> Result<(Work, Bilingual), Bilingual> {
        only_own(&[("check", self.check.is_some()), ("size", self.size.is_some())], "business")?;
        let named = self.message_type.as_deref();
        let named = named.ok_or_else(|| bilingual!("缺少 message_type", "message_type is missing"))?;
        let row = family::find(named).ok_or_else(|| {
            bilingual!("message_type = {named:?} 不是报文类型", "message_type = {named:?} is no message type")
        })?;
        let Role::Request { receipt } = row.role else {
            return Err(bilingual!(
                "{named} 是回执，企业不发送",
                "{named} is a receipt, which the enterprise does not send"
            ));
        };
        let documents = self.documents.unwrap_or(1);
        if documents == 0 || documents > row.max_documents {
            let most = row.max_documents;
            return Err(bilingual!("documents 应为 1 至 {most}", "documents must be 1 to {most}"));
        }
        let usual = || family::find(receipt).and_then(|row| row.good.first()).map(|end| (*end).to_owned());
        let business = Business {
            message_type: named.to_owned(),
            file: self.file.clone(),
            documents,
            transport_receipt: self.transport_receipt.unwrap_or(false),
            receipts: self.receipts.clone().unwrap_or_else(|| usual().into_iter().collect()),
        };
        let (zh, en) = (row.zh, row.en);
        Ok((Work::Business(business), bilingual!("{named} {zh}", "{named} {en}")))
    }
}

/// Keys that belong to the other kind of case.
fn only_own(foreign: &[(&str, bool)], kind: &str) -> Result<(), Bilingual> {
    match foreign.iter().find(|(_, given)| *given) {
        Some((key, _)) => Err(bilingual!("kind = {kind:?} 不能有 {key}", "kind = {kind:?} has no {key}")),
        None => Ok(()),
    }
}

fn wait(text: Option<&str>) -> Result<Option<Duration>, Bilingual> {
    let Some(text) = text else { return Ok(None) };
    let read = quantity::duration(text).map_err(|what| {
        let (zh, en) = (what.zh, what.en);
        bilingual!("wait = {text:?} {zh}", "wait = {text:?} is {en}")
    })?;
    if read.is_zero() {
        return Err(bilingual!("wait 不能为零", "wait cannot be zero"));
    }
    if read > MAX_WAIT {
        return Err(bilingual!("wait 不能超过 14d", "wait cannot be longer than 14d"));
    }
    Ok(Some(read))
}

fn is_word(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    (1..=MAX_ID).contains(&text.len()) && text.chars().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "name = 'p'\npartner = 'customs'\ntitle = { zh = '计划', en = 'plan' }\n";

    fn read(cases: &str) -> Result<Plan, PlanError> {
        Plan::read(&format!("{HEAD}{cases}"), "p.toml")
    }

    #[test]
    fn a_case_says_what_it_does_and_its_plan_says_how_long_it_waits() {
        let plan = read(
            "wait = '9s'\n[[case]]\nid = 'mic'\nkind = 'interface'\ncheck = 'mic'\n\
             [[case]]\nid = '621'\nkind = 'business'\nmessage_type = 'CEB621Message'\nwait = '2m'",
        )
        .expect("a plan");
        assert_eq!(plan.cases.iter().map(|case| case.wait.as_secs()).collect::<Vec<_>>(), [9, 120]);
        assert_eq!(plan.cases.iter().map(Case::kind).collect::<Vec<_>>(), [Kind::Interface, Kind::Business]);
        let Work::Business(business) = &plan.cases[1].work else { panic!("{:?}", plan.cases[1]) };
        assert_eq!(business.receipts, ["800"], "the usual good end of its receipts");
        assert!(plan.cases[1].title.zh.contains("清单"), "{}", plan.cases[1].title.zh);
    }

    #[test]
    fn what_is_wrong_in_a_plan_is_named_in_both_languages() {
        let interface = "[[case]]\nid = 'a'\nkind = 'interface'\n";
        let business = "[[case]]\nid = 'a'\nkind = 'business'\n";
        let rows = [
            (String::new(), "1 to 200"),
            (interface.to_owned(), "check is missing"),
            (format!("{interface}check = 'speed'"), "speed"),
            (format!("{interface}check = 'tcp'\nreceipts = []"), "has no receipts"),
            (format!("{interface}check = 'tcp'\nwait = 'soon'"), "not a duration"),
            (format!("{interface}check = 'tcp'\nwait = '0s'"), "cannot be zero"),
            (format!("{interface}check = 'tcp'\nwait = '213503982334d'"), "longer than 14d"),
            (format!("{interface}check = 'tcp'\n{interface}check = 'tls'"), "there twice"),
            (format!("{interface}check = 'tcp'\ncolour = 'red'"), "colour"),
            (business.to_owned(), "message_type is missing"),
            (format!("{business}message_type = 'CEB999Message'"), "is no message type"),
            (format!("{business}message_type = 'CEB622Message'"), "is a receipt"),
            (format!("{business}message_type = 'CEB621Message'\ndocuments = 101"), "1 to 100"),
            (format!("{business}message_type = 'CEB621Message'\ncheck = 'tcp'"), "has no check"),
            (interface.replace("'a'", "'a b'"), "letters, digits"),
        ];
        let outside = HEAD.replace("customs", "../../customs");
        let error = Plan::read(&format!("{outside}{interface}check = 'tcp'"), "p.toml").expect_err("a path");
        assert!(error.text.en.contains("cannot be a partner's id"), "it becomes a file's name in a rehearsal: {error}");
        for (cases, expected) in rows {
            let error = read(&cases).expect_err(&cases);
            assert!(error.text.en.contains(expected) && error.text.en.contains("p.toml"), "{}", error.text.en);
            assert!(error.text.zh.contains("不能使用"), "{}", error.text.zh);
        }
    }

    #[test]
    fn every_plan_of_the_examples_can_be_used_and_transport_has_every_check() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("config/connectivity");
        let mut checks = BTreeSet::new();
        let mut plans = 0;
        for entry in std::fs::read_dir(folder).expect("the examples") {
            let path = entry.expect("an entry").path();
            let text = std::fs::read_to_string(&path).expect("readable");
            let plan = Plan::read(&text, "example").unwrap_or_else(|error| panic!("{path:?}: {error}"));
            assert_eq!(path.file_stem().and_then(|stem| stem.to_str()), Some(plan.name.as_str()));
            plans += 1;
            checks.extend(plan.cases.iter().filter_map(|case| match &case.work {
                Work::Interface { check, .. } => Some(check.name()),
                Work::Business(_) => None,
            }));
        }
        assert!(plans >= 3, "{plans}");
        assert_eq!(checks, Check::ALL.iter().map(|check| check.name()).collect());
    }
}
