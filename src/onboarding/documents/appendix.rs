//! The appendix of the test report: the run, its cases, the chart, and what proves each case.

use super::test_report::{instant, moment, shortened};
use crate::connectivity::run::{
    BusinessAnswer, CaseRecord, CaseState, CertificateEvidence, Conclusion, MessageEvidence, Run,
};
use crate::ground::text::printable;
use crate::report::chart::{grouped, said};
use crate::report::{Bar, Bars, Block, Cell, Grid, Kind as Look, Paragraph, Row};

/// Business receipts shown of one message; all of them are in the JSON.
const RECEIPTS: usize = 40;
/// Characters of a value in a cell: what would fill a page is cut.
const LONG: usize = 400;

/// Adds the appendix.
pub(super) fn of(run: &Run, blocks: &mut Vec<Block>) {
    heading(blocks, "附录一　测试概况");
    blocks.push(Block::Grid(overview(run)));
    heading(blocks, "附录二　用例和结果");
    blocks.push(Block::Grid(cases(run)));
    let bars = round_trips(run);
    if !bars.bars.is_empty() {
        heading(blocks, "附录三　报文往返时间");
        let note = "从发出报文到核验其回执（MDN）。红色为未通过的用例。";
        blocks.push(Block::Paragraph(Paragraph::small(note)));
        blocks.push(Block::Bars(bars));
    }
    heading(blocks, "附录四　各用例的证据");
    for (number, case) in (1usize..).zip(&run.cases) {
        evidence(number, case, blocks);
    }
    let note = format!(
        "以上内容由 {} 根据其日志生成；日志为只增、逐条散列链接的记录。报文原文、回执和证书可用 dxgate messages export 导出，\
         并可脱离本系统验证。时间为北京时间（UTC+8）。",
        run.software
    );
    blocks.push(Block::Paragraph(Paragraph { above: 2, ..Paragraph::small(&note) }));
}

fn heading(blocks: &mut Vec<Block>, text: &str) {
    blocks.push(Block::Heading { text: text.to_owned() });
}

/// Rows of names and values; values that are empty are left out.
struct Pairs(Vec<Row>);

impl Pairs {
    fn add(&mut self, name: &str, value: &str) {
        self.look(name, value, Look::Value);
    }

    fn look(&mut self, name: &str, value: &str, look: Look) {
        if !value.is_empty() {
            let cells = vec![Cell::label(name), Cell::value(&cut(value)).of(look)];
            self.0.push(Row { cells, height: 0 });
        }
    }

    fn grid(self) -> Grid {
        Grid { columns: vec![26, 136], rows: self.0, head: 0, small: true }
    }
}

fn cut(value: &str) -> String {
    let plain: Vec<String> = value.split('\n').map(printable).collect();
    shortened(&plain.join("\n"), LONG)
}

fn overview(run: &Run) -> Grid {
    let mut pairs = Pairs(Vec::new());
    pairs.add("测试编号", &run.id.to_string());
    pairs.add("测试计划", &format!("{}（{}）", run.title.zh, run.plan));
    let environment = if run.environment == "production" { "正式环境" } else { "测试环境" };
    let rehearsal = if run.rehearsal { "，本机演练" } else { "" };
    pairs.add("环境", &format!("{environment}{rehearsal}"));
    pairs.add("软件", &run.software);
    pairs.add("开始", &instant(run.started));
    pairs.add("结束", &run.ended.map_or_else(|| "未结束".to_owned(), instant));
    let resumed: Vec<String> = run.resumed.iter().map(|at| moment(*at)).collect();
    pairs.add("中断后续测", &resumed.join("、"));
    let (station, partner) = (&run.station, &run.partner);
    let named = |name: Option<&str>, as2: &str| {
        let name = name.filter(|name| *name != as2).map(|name| format!("{name}，")).unwrap_or_default();
        format!("{name}AS2 名称 {as2}")
    };
    pairs.add("本方", &named(station.name.as_deref(), &station.as2_name));
    pairs.add("本方 DXPID", station.dxpid.as_deref().unwrap_or_default());
    pairs.add("本方证书 SHA-256", &station.certificates.join("\n"));
    pairs.add("对方", &named(partner.name.as_deref(), &partner.as2_name));
    pairs.add("对方地址", &partner.url);
    pairs.add("对方证书 SHA-256", &partner.certificates.join("\n"));
    let look = if run.conclusion() == Conclusion::Passed { Look::Good } else { Look::Bad };
    let counts = run.counts();
    let sum = format!("{}（{} 项中通过 {} 项）", run.conclusion().text().zh, counts.cases, counts.passed);
    pairs.look("结论", &sum, look);
    pairs.grid()
}

fn cases(run: &Run) -> Grid {
    let head = ["序号", "用例", "类别", "开始时间", "耗时", "结果"].map(Cell::label);
    let mut rows = vec![Row { cells: head.to_vec(), height: 0 }];
    for (number, case) in (1usize..).zip(&run.cases) {
        let took = case.started.zip(case.ended).map(|(from, to)| said(millis(from, to)));
        let begun = case.started.map(instant).unwrap_or_default();
        let cells = vec![
            Cell::value(&number.to_string()).at(crate::report::Align::Centre),
            Cell::value(&cut(&case.title.zh)),
            Cell::value(&case.kind.text().zh),
            Cell::value(&begun),
            Cell::value(&took.unwrap_or_default()).at(crate::report::Align::Right),
            result(case),
        ];
        rows.push(Row { cells, height: 0 });
    }
    Grid { columns: vec![9, 57, 30, 32, 18, 16], rows, head: 1, small: true }
}

fn millis(from: jiff::Timestamp, to: jiff::Timestamp) -> u64 {
    u64::try_from(to.duration_since(from).as_millis()).unwrap_or(0)
}

fn result(case: &CaseRecord) -> Cell {
    let look = match case.state {
        CaseState::Passed => Look::Good,
        CaseState::Failed => Look::Bad,
        CaseState::Pending | CaseState::Skipped => Look::Value,
    };
    Cell::value(&case.state.text().zh).of(look).at(crate::report::Align::Centre)
}

fn round_trips(run: &Run) -> Bars {
    let mut bars = Vec::new();
    for case in &run.cases {
        let several = case.evidence.messages.len() > 1;
        for (number, message) in (1usize..).zip(&case.evidence.messages) {
            let Some(millis) = message.round_trip_ms else { continue };
            let which = if several { format!("（{number}）") } else { String::new() };
            let label = format!("{}{which}", printable(&case.title.zh));
            bars.push(Bar { label, millis, good: case.state == CaseState::Passed });
        }
    }
    Bars { axis: "报文往返时间".to_owned(), bars }
}

fn evidence(number: usize, case: &CaseRecord, blocks: &mut Vec<Block>) {
    let (title, state) = (cut(&case.title.zh), case.state.text().zh);
    heading(blocks, &format!("{number}. {title}　{state}"));
    if !case.steps.is_empty() {
        blocks.push(Block::Grid(steps(case)));
    }
    let mut pairs = Pairs(Vec::new());
    if let Some(failure) = &case.failure {
        let look = if case.state == CaseState::Failed { Look::Bad } else { Look::Value };
        let name = if case.state == CaseState::Failed { "未通过原因" } else { "说明" };
        pairs.look(name, &format!("{} [{}]", failure.seen.zh, failure.code), look);
        pairs.add("所在层次", &failure.layer.text().zh);
        pairs.add("可能的原因", &failure.cause.zh);
        pairs.add("处理", &failure.ask.zh);
    }
    pairs.add("解析地址", &case.evidence.addresses.join("、"));
    if let Some(tls) = &case.evidence.tls {
        pairs.add("TLS", &format!("{} {}", tls.version, tls.cipher));
        certificates(&mut pairs, &tls.chain);
    }
    pairs.add("HTTP 状态", &case.evidence.http_status.map(|status| status.to_string()).unwrap_or_default());
    if !pairs.0.is_empty() {
        blocks.push(Block::Grid(pairs.grid()));
    }
    for message in &case.evidence.messages {
        blocks.push(Block::Grid(travelled(message)));
        if !message.receipts.is_empty() {
            receipts(&message.receipts, blocks);
        }
    }
    let bare = case.steps.is_empty() && case.failure.is_none() && case.evidence == Default::default();
    if bare {
        blocks.push(Block::Paragraph(Paragraph::small("没有记录。")));
    }
}

fn steps(case: &CaseRecord) -> Grid {
    let head = ["时间", "层次", "所见", "耗时"].map(Cell::label);
    let mut rows = vec![Row { cells: head.to_vec(), height: 0 }];
    for step in &case.steps {
        let look = if step.good { Look::Value } else { Look::Bad };
        let at = instant(step.at);
        let cells = vec![
            Cell::value(at.get(11..19).unwrap_or(&at)),
            Cell::value(&step.layer.text().zh),
            Cell::value(&cut(&step.seen.zh)).of(look),
            Cell::value(&step.milliseconds.map(said).unwrap_or_default()).at(crate::report::Align::Right),
        ];
        rows.push(Row { cells, height: 0 });
    }
    Grid { columns: vec![16, 20, 108, 18], rows, head: 1, small: true }
}

fn travelled(message: &MessageEvidence) -> Grid {
    let mut pairs = Pairs(Vec::new());
    pairs.add("Message-ID", message.message_id.as_deref().unwrap_or_default());
    let sizes = format!("{}，{} 字节", message.file_name, grouped(message.payload_bytes));
    let wire = if message.wire_bytes > 0 {
        format!("；传输 {} 字节", grouped(message.wire_bytes))
    } else {
        String::new()
    };
    pairs.add("文件", &format!("{sizes}{wire}"));
    pairs.add("传输 SHA-256", message.wire_sha256.as_deref().unwrap_or_default());
    pairs.add("条款", &message.terms.join("；"));
    let attempts =
        if message.attempts > 1 { format!("（第 {} 次发送）", message.attempts) } else { String::new() };
    pairs.add("发出", &message.sent.map(|at| format!("{}{attempts}", instant(at))).unwrap_or_default());
    let trip = message.round_trip_ms.map(|millis| format!("（往返 {}）", said(millis))).unwrap_or_default();
    pairs.add("回执核验", &message.confirmed.map(|at| format!("{}{trip}", instant(at))).unwrap_or_default());
    pairs.add("处理结果", message.disposition.as_deref().unwrap_or_default());
    let ours: Vec<&str> = message.mic_ours.iter().map(|mic| mic.value.as_str()).collect();
    pairs.add("MIC（本方）", &ours.join("\n"));
    pairs.add("MIC（对方）", message.mic_theirs.as_deref().unwrap_or_default());
    match message.mic_matches {
        Some(true) => pairs.look("MIC 比对", "一致", Look::Good),
        Some(false) => pairs.look("MIC 比对", "不一致", Look::Bad),
        None => {}
    }
    pairs.add("MDN SHA-256", message.mdn_sha256.as_deref().unwrap_or_default());
    certificates(&mut pairs, &message.certificates);
    if let Some(platform) = &message.platform {
        let look = if platform.refused { Look::Bad } else { Look::Value };
        let info = platform.info.as_deref().unwrap_or_default();
        pairs.look("传输回执", &format!("{} {} {info}", instant(platform.at), platform.code), look);
    }
    pairs.add("日志编号", &message.id.to_string());
    pairs.grid()
}

fn certificates(pairs: &mut Pairs, certificates: &[CertificateEvidence]) {
    for certificate in certificates {
        let role = match certificate.role.as_str() {
            "server" => "服务器证书",
            "issuer" => "签发者证书",
            "signer" => "签名证书",
            "recipient" => "加密证书",
            "mdn-signer" => "回执签名证书",
            other => other,
        };
        let until = certificate.until.map(|until| format!("，有效期至 {}", moment(until))).unwrap_or_default();
        let subject = if certificate.subject.is_empty() { String::new() } else { format!("\n{}", certificate.subject) };
        pairs.add(role, &format!("SHA-256 {}{subject}{until}", certificate.fingerprint));
    }
}

fn receipts(answers: &[BusinessAnswer], blocks: &mut Vec<Block>) {
    let head = ["时间", "回执", "单证", "状态", "说明"].map(Cell::label);
    let mut rows = vec![Row { cells: head.to_vec(), height: 0 }];
    for answer in answers.iter().take(RECEIPTS) {
        let at = instant(answer.at);
        let which = if answer.document == 0 { "全部".to_owned() } else { answer.document.to_string() };
        let cells = vec![
            Cell::value(&at),
            Cell::value(&answer.message_type),
            Cell::value(&which).at(crate::report::Align::Centre),
            Cell::value(&format!("{} {}", answer.status, answer.meaning.zh)),
            Cell::value(&cut(&answer.info)),
        ];
        rows.push(Row { cells, height: 0 });
    }
    let more = answers.len().saturating_sub(RECEIPTS);
    blocks.push(Block::Grid(Grid { columns: vec![32, 30, 12, 40, 48], rows, head: 1, small: true }));
    if more > 0 {
        let note = format!("另有 {more} 条业务回执从略，见 JSON 格式的报告。");
        blocks.push(Block::Paragraph(Paragraph::small(&note)));
    }
}
