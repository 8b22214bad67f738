//! The result for people: per file its findings with the line and a caret, then how often each rule spoke.

use std::collections::BTreeMap;
use std::io;

use super::super::output;
use super::super::voice::Voice;
use super::Checked;
use super::excerpt::Source;
use crate::bilingual;
use crate::config::tables::describe;
use crate::declaration::precheck::codes::CodeTables;
use crate::declaration::precheck::{Level, Verdict, catalogue};
use crate::ground::text::Language;

pub(super) fn print(voice: &mut Voice<'_>, checked: &[Checked], tables: &CodeTables) -> io::Result<()> {
    for file in checked {
        one(voice, file)?;
    }
    summary(voice, checked)?;
    let lists = describe(tables);
    voice.say(&bilingual!("使用的代码表：{lists}", "code tables in use: {lists}"))?;
    let all = checked.len();
    let refused = checked.iter().filter(|file| file.report.verdict() == Verdict::Refused).count();
    voice.say(&bilingual!("共 {all} 个文件，未通过 {refused} 个", "{all} files, {refused} refused"))
}

fn one(voice: &mut Voice<'_>, Checked { path, report, kept }: &Checked) -> io::Result<()> {
    let (file, summary) = (path.display(), report.summary());
    let (zh, en) = (summary.zh.trim_end(), summary.en.trim_end());
    let text = match report.verdict() {
        Verdict::Accepted => bilingual!("{file}：通过 {zh}", "{file}: accepted {en}"),
        Verdict::Refused => bilingual!("{file}：未通过 {zh}", "{file}: refused {en}"),
    };
    voice.say(&text)?;
    if report.findings.is_empty() {
        return Ok(());
    }
    let source = Source::read(path, kept.as_deref());
    for finding in &report.findings {
        voice.line(&format!("  {}", finding.line_for(voice.language)))?;
        if let Some(excerpt) = source.excerpt(finding) {
            voice.line(&format!("    {:>5} | {excerpt}", finding.line))?;
            voice.line(&format!("    {:>5} | ^", ""))?;
        }
    }
    let left_out = report.findings_left_out;
    if left_out > 0 {
        voice.say(&bilingual!("  另有 {left_out} 项未列出", "  {left_out} more not listed"))?;
    }
    Ok(())
}

/// How often each rule spoke.
fn summary(voice: &mut Voice<'_>, checked: &[Checked]) -> io::Result<()> {
    let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for finding in checked.iter().flat_map(|file| &file.report.findings) {
        let (errors, warnings) = counts.entry(finding.rule.as_str()).or_default();
        match finding.level {
            Level::Error => *errors += 1,
            Level::Warning => *warnings += 1,
        }
    }
    if counts.is_empty() {
        return Ok(());
    }
    let language = voice.language;
    let rows: Vec<Vec<String>> = counts
        .into_iter()
        .map(|(id, (errors, warnings))| {
            let words =
                catalogue::rule(id).map_or("", |rule| if language == Language::Chinese { rule.zh } else { rule.en });
            vec![id.to_owned(), words.to_owned(), errors.to_string(), warnings.to_string()]
        })
        .collect();
    let headings = [
        bilingual!("规则", "rule"),
        bilingual!("要求", "demands"),
        bilingual!("错误", "errors"),
        bilingual!("警告", "warnings"),
    ];
    output::table(voice, &headings, &rows)
}
