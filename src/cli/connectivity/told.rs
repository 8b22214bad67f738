//! A run for people, as JSON, and as JUnit XML.

use std::io;

use crate::bilingual;
use crate::cli::arguments::Format;
use crate::cli::output;
use crate::cli::precheck::escaped;
use crate::cli::voice::Voice;
use crate::connectivity::run::CaseState;
use crate::connectivity::{CaseRecord, Run};
use crate::console::wire::runs::RunLine;
use crate::ground::text::Language;

/// A run and who listens.
pub(super) struct Told<'r, 'v, 'w> {
    pub(super) run: &'r Run,
    pub(super) voice: &'v mut Voice<'w>,
    /// The line of each case is known to the reader: those that failed are explained.
    pub(super) lines_told: bool,
}

impl Told<'_, '_, '_> {
    /// All of it, in the form asked for.
    pub(super) fn all(&mut self, format: Format) -> io::Result<()> {
        match format {
            Format::Json => self.voice.value(&self.run.told()),
            Format::Junit => self.junit(),
            Format::Human | Format::Sarif => self.human(),
        }
    }

    fn human(&mut self) -> io::Result<()> {
        let (run, voice, lines_told) = (self.run, &mut *self.voice, self.lines_told);
        let (id, plan, environment) = (run.id, &run.plan, &run.environment);
        let kind = if run.rehearsal {
            bilingual!("演练（对本机测试端）", "rehearsal (against a testbed)")
        } else {
            bilingual!("联通测试", "connectivity test")
        };
        let (zh, en) = (kind.zh, kind.en);
        voice.say(&bilingual!("{zh} {plan} [{environment}] 编号 {id}", "{en} {plan} [{environment}], run {id}"))?;
        for case in &run.cases {
            if !lines_told || case.failure.is_some() {
                voice.line(&line(case, voice.language))?;
            }
            explain(voice, case)?;
        }
        let (counts, conclusion) = (run.counts(), run.conclusion().text());
        let (cases, passed, failed) = (counts.cases, counts.passed, counts.failed);
        let (skipped, pending) = (counts.skipped, counts.pending);
        let (zh, en) = (conclusion.zh, conclusion.en);
        voice.say(&bilingual!(
            "{zh}：共 {cases} 个用例，通过 {passed}，未通过 {failed}，跳过 {skipped}，未执行 {pending}",
            "{en}: {cases} cases, {passed} passed, {failed} failed, {skipped} skipped, {pending} pending"
        ))
    }

    fn junit(&mut self) -> io::Result<()> {
        let (run, language) = (self.run, self.voice.language);
        let counts = run.counts();
        let skipped = counts.skipped.saturating_add(counts.pending);
        let mut xml = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n<testsuite name=\"dxgate connectivity {}\" \
             id=\"{}\" tests=\"{}\" failures=\"{}\" skipped=\"{skipped}\" timestamp=\"{}\">\n",
            escaped(&run.plan),
            run.id,
            counts.cases,
            counts.failed,
            run.started
        );
        let environment = escaped(&run.environment);
        let name = "<properties><property name=\"environment\" value=\"";
        xml.push_str(&format!("{name}{environment}\"/></properties>\n"));
        for case in &run.cases {
            xml.push_str(&format!(
                "<testcase classname=\"{}\" name=\"{}\" time=\"{:.3}\">",
                escaped(&format!("{}.{}", run.plan, case.subject)),
                escaped(&case.id),
                seconds(case)
            ));
            match (&case.failure, case.state) {
                (Some(failure), CaseState::Failed) => {
                    let lines = [&failure.seen, &failure.cause, &failure.ask].map(|text| text.text(language));
                    xml.push_str(&format!(
                        "<failure type=\"{}\" message=\"{}\">{}</failure>",
                        escaped(&failure.code),
                        escaped(lines.first().copied().unwrap_or_default()),
                        escaped(&lines.join("\n"))
                    ));
                }
                (_, CaseState::Passed) => {}
                _ => xml.push_str("<skipped/>"),
            }
            xml.push_str("</testcase>\n");
        }
        xml.push_str("</testsuite>\n</testsuites>\n");
        self.voice.out.write_all(xml.as_bytes())
    }
}

/// One case in one line.
pub(super) fn line(case: &CaseRecord, language: Language) -> String {
    let mark = match case.state {
        CaseState::Passed => "✓",
        CaseState::Failed => "✗",
        CaseState::Skipped => "–",
        CaseState::Pending => "·",
    };
    let (id, title, state) = (&case.id, case.title.text(language), case.state.text());
    let state = state.text(language);
    format!("{mark} {id}  {title}  {state}  {:.1} s", seconds(case))
}

fn explain(voice: &mut Voice<'_>, case: &CaseRecord) -> io::Result<()> {
    let Some(failure) = &case.failure else { return Ok(()) };
    let (layer, code) = (failure.layer.text(), &failure.code);
    let (zh, en) = (layer.zh, layer.en);
    let rows = [
        (bilingual!("  层次", "  layer"), bilingual!("{zh} [{code}]", "{en} [{code}]")),
        (bilingual!("  现象", "  seen"), failure.seen.clone()),
        (bilingual!("  可能原因", "  likely cause"), failure.cause.clone()),
        (bilingual!("  处理", "  to do"), failure.ask.clone()),
    ];
    let language = voice.language;
    let rows = rows.map(|(name, text)| (name, Some(text.text(language).to_owned())));
    output::fields(voice, &rows)?;
    for message in &case.evidence.messages {
        let (id, message_id) = (message.id, message.message_id.as_deref().unwrap_or("–"));
        voice.say(&bilingual!("  报文：{id}  Message-ID {message_id}", "  message: {id}  Message-ID {message_id}"))?;
    }
    Ok(())
}

fn seconds(case: &CaseRecord) -> f64 {
    case.started.zip(case.ended).map_or(0.0, |(from, to)| to.duration_since(from).as_secs_f64())
}

/// Runs, one in a line.
pub(super) fn list(voice: &mut Voice<'_>, runs: &[RunLine]) -> io::Result<()> {
    if voice.json {
        return voice.value(&runs);
    }
    if runs.is_empty() {
        return voice.say(&bilingual!("没有联通测试记录", "no connectivity test has been run"));
    }
    let headings = [
        bilingual!("编号", "run"),
        bilingual!("计划", "plan"),
        bilingual!("环境", "environment"),
        bilingual!("开始", "started"),
        bilingual!("结论", "conclusion"),
        bilingual!("通过", "passed"),
    ];
    let language = voice.language;
    let rows: Vec<Vec<String>> = runs
        .iter()
        .map(|run| {
            let (counts, conclusion) = (run.counts, run.conclusion.text());
            vec![
                run.id.to_string(),
                run.plan.clone(),
                run.environment.clone(),
                output::local_time(run.started),
                conclusion.text(language).to_owned(),
                format!("{}/{}", counts.passed, counts.cases),
            ]
        })
        .collect();
    output::table(voice, &headings, &rows)
}
