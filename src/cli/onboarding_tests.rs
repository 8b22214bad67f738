//! `dxgate onboarding` as people and scripts meet it.

#![expect(clippy::disallowed_methods, reason = "files of a test need not survive a power cut")]

use std::ffi::OsString;

use serde_json::Value as Json;

use super::*;

struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Home {
        Home(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn say(&self, words: &[&str]) -> (ExitCode, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let config = self.path("gateway.toml");
        let all = ["dxgate", "--lang", "zh-CN", "--config", &config, "onboarding"];
        let all = all.iter().chain(words).map(OsString::from).collect();
        let exit = crate::cli::run(all, &|_| None, &mut out, &mut err);
        out.extend(err);
        (exit, String::from_utf8(out).expect("UTF-8"))
    }

    fn done(&self, words: &[&str]) -> String {
        let (exit, said) = self.say(words);
        assert_eq!(exit, ExitCode::Done, "{words:?}: {said}");
        said
    }

    fn refused(&self, words: &[&str], code: &str) {
        let (exit, said) = self.say(words);
        assert!(exit == ExitCode::Usage && said.contains(&format!("[{code}]")), "{words:?}: {said}");
    }
}

#[test]
fn the_road_begins_with_the_form_and_is_shown_step_by_step() {
    let home = Home::new();
    let said = home.done(&["status"]);
    assert!(
        said.contains("▶  1. 企业资料（下一步）") && said.contains("缺少法定代表人（legal-representative）"),
        "{said}"
    );
    assert!(said.contains("0311-66709979") && said.contains("12360"), "{said}");
    let form = home.path("form.toml");
    std::fs::write(&form, include_str!("../../config/form.example.toml")).expect("written");
    assert!(home.done(&["set", "--form", &form, "tester=李四"]).contains("已登记 13 项"));
    let said = home.done(&["status"]);
    assert!(said.contains("✓  1. 企业资料（已完成）") && said.contains("接入进度：示例贸易有限公司"), "{said}");
    let (exit, said) = home.say(&["material", "authorization", &form]);
    assert!(exit == ExitCode::No && said.contains("[not-a-pdf]") && said.contains("会被退回"), "{said}");
    home.refused(&["advance", "test", "已申请"], "stage-out-of-order");
    home.refused(&["advance", "opening", "已通过"], "state-cannot-follow");
    assert!(home.done(&["advance", "opening", "已申请", "--on", "2026-01-05"]).contains("应于 2026-01-08 前答复"));
    home.done(&["advance", "opening", "reviewed", "--on", "2026-01-06", "--note", "电话通知"]);
    home.refused(&["advance", "opening", "passed", "--on", "2026-01-05"], "day-out-of-order");
    home.done(&["advance", "opening", "passed", "--on", "2026-01-07"]);
    let told: Json = serde_json::from_str(&home.done(&["status", "--format", "json"])).expect("JSON");
    assert_eq!((&told["open"], &told["dossier"]["stages"]["opening"][1]["note"]), (&false.into(), &"电话通知".into()));
    assert_eq!(told["road"]["steps"][2]["standing"], "done");
}

#[test]
fn due_dates_follow_the_calendar() {
    let home = Home::new();
    let said = home.done(&["calendar", "--holiday", "2026-01-01..2026-01-03,2026-01-06", "--workday", "2026-01-04"]);
    assert!(
        said.contains("放假：2026-01-01 2026-01-02 2026-01-03 2026-01-06") && said.contains("上班：2026-01-04"),
        "{said}"
    );
    // Handed in on New Year's Eve: the 4th, the 5th and the 7th are worked.
    assert!(home.done(&["advance", "opening", "applied", "--on", "2025-12-31"]).contains("2026-01-07"));
    home.done(&["calendar", "--forget", "2026-01-06"]);
    let told: Json = serde_json::from_str(&home.done(&["calendar", "--format", "json"])).expect("JSON");
    assert_eq!(told["holidays"].as_array().map(Vec::len), Some(3));
    let said = home.done(&["issue", "test", "DXPTEST000000001", "--from", "2025-12-31"]);
    assert!(said.contains("2025-12-31 至 2026-01-07"), "{said}");
    home.refused(&["issue", "production", "DXPTEST000000001"], "dxpid-of-test");
    home.refused(&["issue", "production", "DXPENT0000012345", "--to", "2026-12-31"], "issue-without-end");
    home.done(&["issue", "production", "DXPENT0000012345"]);
}

#[test]
fn an_annex_is_written_once_and_tells_what_is_blank() {
    let home = Home::new();
    home.done(&["set", "name=示例贸易有限公司", "legal-representative=王五", "agent=張三丰𠮷"]);
    let out = home.path("授权书.pdf");
    let said = home.done(&["document", "authorization", "--out", &out]);
    assert!(said.contains("已写入") && said.contains("U+20BB7") && !said.contains("留空"), "{said}");
    let bytes = std::fs::read(&out).expect("written");
    assert!(bytes.starts_with(b"%PDF-"));
    // What dxgate writes, dxgate takes.
    assert!(home.done(&["material", "authorization", &out]).contains("已登记"));
    home.refused(&["document", "authorization", "--out", &out], "file-exists");
    home.done(&["document", "authorization", "--out", &out, "--force", "--date", "2026-11-27"]);
    let docx = home.path("承诺书.docx");
    home.done(&["document", "commitment", "--out", &docx]);
    assert!(std::fs::read(&docx).expect("written").starts_with(b"PK\x03\x04"));
    home.refused(&["document", "commitment", "--out", &home.path("a.txt")], "document-format");
    home.refused(&["document", "commitment", "--out", &home.path("a.json")], "document-format");
    let (exit, _) = home.say(&["document", "report", "--out", &home.path("a.pdf")]);
    assert_eq!(exit, ExitCode::Usage, "a report is of a run");
}

#[test]
fn values_that_cannot_be_are_refused_and_nothing_is_written() {
    let home = Home::new();
    home.refused(&["set", "name=甲", "credit-code=91350100M000100Y44"], "profile-value");
    for wrong in [
        &["set", "nme=甲"][..],
        &["set"],
        &["advance", "opening", "passt"],
        &["waive"],
        &["calendar", "--holiday", "x"],
    ] {
        assert_eq!(home.say(wrong).0, ExitCode::Usage, "{wrong:?}");
    }
    assert_eq!(file::read(home.0.path()).expect("empty"), Dossier::default());
    home.refused(&["waive", "--reason", " "], "note-form");
    home.done(&["waive", "--reason", "总署通知的应急切换"]);
    assert!(home.done(&["status"]).contains("例外（"));
    home.done(&["waive", "--end"]);
    assert!(!home.done(&["status"]).contains("例外（"));
}

#[test]
fn a_report_can_be_made_of_a_run_in_a_file_but_a_file_proves_nothing() {
    let home = Home::new();
    let run = crate::onboarding::specimens::rich(&[crate::connectivity::run::CaseState::Passed; 3]);
    let source = home.path("run.json");
    std::fs::write(&source, serde_json::to_vec(&run.told()).expect("JSON")).expect("written");
    for name in ["a.pdf", "a.docx", "a.html", "a.json"] {
        let said = home.done(&["document", "report", "--run", &source, "--out", &home.path(name)]);
        assert!(said.contains("测试结论：测试通过"), "{said}");
    }
    let facts: Json = serde_json::from_slice(&std::fs::read(home.path("a.json")).expect("read")).expect("JSON");
    assert_eq!((&facts["run"]["conclusion"], &facts["run"]["counts"]["passed"]), (&"passed".into(), &3.into()));
    assert_eq!(file::read(home.0.path()).expect("empty"), Dossier::default());
    std::fs::write(&source, "{}").expect("written");
    home.refused(&["document", "report", "--run", &source, "--out", &home.path("b.pdf")], "run-unreadable");
}
