//! The annexes as offices will see them.

#![expect(clippy::disallowed_methods, reason = "files of a test need not survive a power cut")]

use std::process::Command;

use jiff::civil::date;

use super::super::specimens::{profile, rich, run};
use super::*;
use crate::connectivity::plan::Kind;
use crate::connectivity::run::CaseState;
use crate::report::{Format, render};

/// The text of a PDF, page by page, as pdftotext reads it from the file.
fn pages(filled: &Filled, name: &str) -> Vec<String> {
    let rendered = render(&filled.document, Format::Pdf).expect("a PDF");
    assert!(rendered.missing.is_empty(), "{:?}", rendered.missing);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(name);
    std::fs::write(&path, &rendered.bytes).expect("written");
    let output = Command::new("pdftotext").arg("-raw").arg(&path).arg("-").output();
    let text = String::from_utf8(output.expect("pdftotext (Debian: poppler-utils)").stdout).expect("UTF-8");
    let mut pages: Vec<String> = text.split('\u{c}').map(|page| page.replace('\n', "")).collect();
    assert_eq!(pages.pop().as_deref(), Some(""), "each page ends with a form feed");
    pages
}

fn without_blanks(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}

#[test]
fn the_authorization_has_the_words_of_annex_1_and_the_names_of_the_profile() {
    let filled = authorization(&profile(), None);
    assert_eq!(filled.blank, []);
    let pages = pages(&filled, "authorization.pdf");
    assert_eq!(pages.len(), 1);
    let text = without_blanks(&pages[0]);
    let words = "本授权委托书声明：我王五（姓名）系示例贸易有限公司（单位名称）的法定代表人，现授权示例贸易有限公司（单位名称）\
                 （代理人姓名）张三为我的合法代理人，办理□预录入系统客户端授权开通/☑预录入系统业务数据交换接口开通（不可复选）\
                 有关事宜。代理人签署的一切文件和处理与之有关的一切事务，我均予以承认。本授权书的有效期自相关事宜办理完毕止。";
    for part in [
        words,
        "代理人无权转委托，特此委托。",
        "申请单位（企业签章）：示例贸易有限公司",
        "法定代表人（签字或盖章）：",
        "代理人（签字）：",
        "日期：年月日",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn the_commitment_has_the_words_of_annex_2_and_a_date_where_one_is_given() {
    let filled = commitment(&profile(), Some(date(2026, 11, 7)));
    let pages = pages(&filled, "commitment.pdf");
    let text = without_blanks(&pages[0]);
    assert_eq!(pages.len(), 1);
    for part in [
        "海关预录入业务数据交换安全承诺书",
        "1、不对获取的海关预录入业务数据交换所包括的网络、系统等软硬件信息资料进行非授权披露，并采取措施进行防护。",
        "2、所获取的信息资料仅用于与海关预录入系统进行业务数据交换，不用于其他用途。",
        "3、不利用海关预录入业务数据接口对海关预录入系统进行恶意攻击、破坏。",
        "我方承诺如违反本安全承诺书，将承担相应法律责任及赔偿责任。",
        "承诺方：示例贸易有限公司（签字盖章）日期：2026年11月7日",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn what_is_not_known_is_a_blank_and_is_told() {
    let empty = Profile::default();
    assert_eq!(authorization(&empty, None).blank, [Field::LegalRepresentative, Field::Name, Field::Agent]);
    assert_eq!(commitment(&empty, None).blank, [Field::Name]);
    let filled = test_report::report(&empty, &run(1, &[CaseState::Passed]), None);
    let blank = [Field::Name, Field::Address, Field::CustomsCode, Field::CreditCode, Field::Tester, Field::TestPlace];
    assert_eq!(filled.blank, blank);
    assert_eq!(pages(&authorization(&empty, None), "blank.pdf").len(), 1);
}

#[test]
fn the_form_of_annex_3_is_one_page_and_the_appendix_has_every_fact_of_the_run() {
    let mut states = vec![CaseState::Passed; 12];
    states[3] = CaseState::Failed;
    let run = rich(&states);
    let filled = test_report::report(&profile(), &run, Some(date(2026, 11, 27)));
    assert_eq!(filled.blank, []);
    let pages = pages(&filled, "report.pdf");
    let form = without_blanks(&pages[0]);
    for part in [
        "海关预录入系统业务数据交换接口联通测试报告",
        "企业名称",
        "示例贸易有限公司",
        "联系地址",
        "河北省石家庄市示例路1号",
        "海关十位编码",
        "1301960001",
        "组织机构代码（或统一社会信用代码）",
        "91350100M000100Y43",
        "测试内容",
        "数据交换和业务接口测试（10项和2项）",
        "测试时间",
        "2026年11月27日09:00至10:00",
        "测试人员",
        "李四",
        "测试地点",
        "石家庄",
        "测试结论",
        "测试未通过：共12项，通过11项，未通过1项。",
        "数据交换接口测试：共10项，通过9项，未通过1项（丢失应答后重发相同字节）。",
        "业务接口测试：共2项，通过2项。",
        "企业签章",
        "分中心签章",
        "日期：2026年11月27日",
        "说明：接口联调测试包括",
    ] {
        assert!(form.contains(part), "{part} in {form}");
    }
    assert!(!form.contains("附录一") && pages[1].contains("附录一"), "the form is one page");
    let all = without_blanks(&pages.concat());
    for (number, case) in run.cases.iter().enumerate() {
        let message = &case.evidence.messages[0];
        let mic = message.mic_theirs.as_deref().expect("a MIC");
        for fact in
            [message.message_id.as_deref().expect("an id"), mic, &message.certificates[0].fingerprint, &case.title.zh]
        {
            assert!(all.contains(&without_blanks(fact)), "{fact} of case {number}");
        }
    }
    for part in [
        "附录三报文往返时间",
        "回执中的MIC与发出的内容不符[mdn-mic-mismatch]",
        "请数据分中心核对MIC的计算范围和算法",
        "120入库成功",
    ] {
        assert!(all.contains(part), "{part}");
    }
    assert_eq!(all.matches("不一致").count(), 1);
}

#[test]
fn the_form_stays_one_page_with_the_longest_values_and_a_conclusion_is_never_better_than_the_run() {
    let mut profile = profile();
    for field in [Field::Name, Field::Tester, Field::TestPlace] {
        profile.set(field, &"长".repeat(40)).expect("as long as it may be");
    }
    profile.set(Field::Address, &"址".repeat(100)).expect("as long as it may be");
    let mut run = rich(&[CaseState::Failed, CaseState::Skipped, CaseState::Pending].repeat(60));
    run.cases.iter_mut().for_each(|case| case.title.zh = "很长的用例名称".repeat(9));
    run.cases.iter_mut().skip(90).for_each(|case| case.kind = Kind::Business);
    run.rehearsal = true;
    run.ended = Some(run.started + std::time::Duration::from_secs(90_000));
    let pages = pages(&test_report::report(&profile, &run, None), "longest.pdf");
    let form = without_blanks(&pages[0]);
    assert!(form.contains("说明：") && form.contains("分中心签章") && pages[1].contains("附录一"), "{form}");
    assert!(
        form.contains("测试未通过：共180项，通过0项，未通过60项，跳过60项，未执行60项。")
            && form.contains("不能作为测试报告提交")
    );
    for (states, ended, verdict) in [
        (vec![CaseState::Passed; 2], true, "测试通过：共2项，通过2项。"),
        (vec![CaseState::Passed; 2], false, "测试未完成：共2项，通过2项。"),
        (vec![CaseState::Passed, CaseState::Skipped], true, "测试未完成：共2项，通过1项，跳过1项。"),
        (vec![CaseState::Passed, CaseState::Failed], true, "测试未通过：共2项，通过1项，未通过1项。"),
        (vec![], true, "测试未完成：共0项，通过0项。"),
    ] {
        let mut run = super::super::specimens::run(3, &states);
        run.ended = run.ended.filter(|_| ended);
        let facts = test_report::facts(&profile, &run);
        assert!(without_blanks(&facts.statement).contains(verdict), "{}", facts.statement);
        let told = serde_json::to_value(&facts).expect("written");
        assert_eq!(told["run"]["conclusion"], serde_json::to_value(run.conclusion()).expect("written"));
    }
}
