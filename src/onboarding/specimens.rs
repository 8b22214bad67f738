//! A profile and runs for the tests of the road and of the documents.

use jiff::Timestamp;

use super::profile::{Field, Profile};
use crate::bilingual;
use crate::connectivity::plan::Kind;
use crate::connectivity::run::{
    BusinessAnswer, CaseRecord, CaseState, CertificateEvidence, Evidence, Explanation, Layer, MessageEvidence,
    MicValue, PartnerOfRun, Run, StationOfRun, Step,
};
use crate::ground::id::Id;

/// An enterprise of which the annexes know all.
pub(crate) fn profile() -> Profile {
    let mut profile = Profile::default();
    for (field, value) in [
        (Field::Name, "示例贸易有限公司"),
        (Field::Address, "河北省石家庄市示例路 1 号"),
        (Field::CustomsCode, "1301960001"),
        (Field::CreditCode, "91350100M000100Y43"),
        (Field::LegalRepresentative, "王五"),
        (Field::Agent, "张三"),
        (Field::Tester, "李四"),
        (Field::TestPlace, "石家庄"),
    ] {
        profile.set(field, value).expect("a good value");
    }
    profile
}

/// A run with cases in these states.
pub(crate) fn run(id: u8, states: &[CaseState]) -> Run {
    let cases = states.iter().enumerate().map(|(number, state)| CaseRecord {
        id: format!("case-{number}"),
        kind: Kind::Interface,
        subject: "mic".to_owned(),
        title: bilingual!("用例 {number}", "case {number}"),
        state: *state,
        started: None,
        ended: None,
        steps: Vec::new(),
        failure: None,
        evidence: Evidence::default(),
    });
    Run {
        id: Id::from_bytes([id; 16]),
        plan: "transport".to_owned(),
        title: bilingual!("数据交换接口测试", "data exchange interface"),
        environment: "test".to_owned(),
        rehearsal: false,
        station: StationOfRun::default(),
        partner: PartnerOfRun::default(),
        software: "dxgate".to_owned(),
        started: "2026-11-27T01:00:00Z".parse().expect("a time"),
        ended: Some("2026-11-27T02:00:00Z".parse().expect("a time")),
        resumed: Vec::new(),
        tester: None,
        place: None,
        cases: cases.collect(),
    }
}

/// A run with everything that can be in one.
pub(crate) fn rich(states: &[CaseState]) -> Run {
    let mut run = run(7, states);
    run.station = StationOfRun {
        name: Some("示例贸易有限公司".to_owned()),
        dxpid: Some("DXPTEST000000001".to_owned()),
        as2_name: "DXPTEST000000001".to_owned(),
        certificates: vec!["5f".repeat(32)],
    };
    run.partner = PartnerOfRun {
        id: "customs".to_owned(),
        name: Some("石家庄海关数据分中心".to_owned()),
        as2_name: "CUSTOMS-TEST".to_owned(),
        url: "https://dxp.example/as2".to_owned(),
        certificates: vec!["a0".repeat(32)],
    };
    let started = run.started;
    run.cases.iter_mut().enumerate().for_each(|(number, case)| enrich(started, number, case));
    run
}

fn enrich(started: Timestamp, number: usize, case: &mut CaseRecord) {
    const NAMES: [&str; 6] =
        ["签名并加密，同步签名回执", "压缩", "异步 MDN", "丢失应答后重发相同字节", "大文件", "CEB621Message 进口清单"];
    let at = |second: u64| started + std::time::Duration::from_secs(60 * number as u64 + second);
    let name = NAMES[number % NAMES.len()];
    let good = case.state == CaseState::Passed;
    case.title = bilingual!("{name}", "{name}");
    case.kind = if name.starts_with("CEB") { Kind::Business } else { Kind::Interface };
    case.started = Some(at(0));
    case.ended = Some(at(3));
    let step = |second, layer, good, seen| Step { at: at(second), layer, good, seen, milliseconds: Some(431) };
    case.steps = vec![
        step(0, Layer::Tls, true, bilingual!("TLSv1.3 握手完成", "TLS")),
        step(1, Layer::Mdn, good, bilingual!("收到签名回执 processed", "MDN")),
    ];
    if case.state == CaseState::Failed {
        case.failure = Some(Explanation {
            code: "mdn-mic-mismatch".to_owned(),
            layer: Layer::Mdn,
            seen: bilingual!("回执中的 MIC 与发出的内容不符", "x"),
            cause: bilingual!("对方计算摘要时包含或去掉了首部", "x"),
            ask: bilingual!("请数据分中心核对 MIC 的计算范围和算法", "x"),
        });
    }
    case.evidence.messages = vec![message(number, good, &at)];
}

fn message(number: usize, good: bool, at: &dyn Fn(u64) -> Timestamp) -> MessageEvidence {
    let certificate = |role: &str| CertificateEvidence {
        role: role.to_owned(),
        fingerprint: format!("{number:02x}").repeat(32),
        subject: "CN=CUSTOMS-TEST".to_owned(),
        until: Some("2030-01-01T00:00:00Z".parse().expect("a time")),
    };
    let answer = |document| BusinessAnswer {
        at: at(2),
        message: Id::from_bytes([9; 16]),
        message_type: "CEB622Message".to_owned(),
        document,
        status: "120".to_owned(),
        meaning: bilingual!("入库成功", "stored"),
        info: "[Code:1000;Desc:入库成功]".to_owned(),
    };
    let mic = format!("qZk+NkcGgWq6PiVxeFDCbJzQ2J0{number}=, sha-256");
    MessageEvidence {
        id: Id::from_bytes([number as u8; 16]),
        message_id: Some(format!("<01a2b3c4-{number:04}@DXPTEST000000001>")),
        file_name: format!("order-{number}.xml"),
        payload_bytes: 17_611,
        wire_bytes: 9_217,
        wire_sha256: Some("c3".repeat(32)),
        attempts: 2,
        sent: Some(at(0)),
        confirmed: Some(at(1)),
        round_trip_ms: Some(97 + 211 * number as u64),
        terms: vec!["signature: rsa-pkcs1 sha-256".to_owned(), "encryption: aes-256-cbc".to_owned()],
        disposition: Some("automatic-action/MDN-sent-automatically; processed".to_owned()),
        mic_ours: vec![MicValue { value: mic.clone() }],
        mic_theirs: Some(mic),
        mic_matches: Some(good),
        mdn_sha256: Some("d4".repeat(32)),
        certificates: ["signer", "recipient", "mdn-signer"].map(certificate).into(),
        platform: None,
        receipts: (1..=3).map(answer).collect(),
    }
}
