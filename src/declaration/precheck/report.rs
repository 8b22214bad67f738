//! A report in words.

use super::super::family;
use super::finding::{Finding, Level};
use super::{BusinessKey, Report, Verdict};
use crate::bilingual;
use crate::ground::text::{Bilingual, Language, printable};

impl Report {
    /// Refused when there is an error. An error always finds its place among the findings, before warnings.
    pub fn verdict(&self) -> Verdict {
        if self.errors() > 0 { Verdict::Refused } else { Verdict::Accepted }
    }

    /// Errors among the findings.
    pub fn errors(&self) -> usize {
        self.findings.iter().filter(|finding| finding.level == Level::Error).count()
    }

    /// Adds what was found between documents. Where the report holds `most` findings an error takes the place of the last
    /// warning, and anything else is counted alone.
    pub fn add(&mut self, finding: Finding, most: usize) {
        if self.findings.len() < most {
            return self.findings.push(finding);
        }
        self.findings_left_out = self.findings_left_out.saturating_add(1);
        let warning = self.findings.iter().rposition(|old| old.level == Level::Warning);
        if let Some(at) = warning.filter(|_| finding.level == Level::Error) {
            self.findings.remove(at);
            self.findings.push(finding);
        }
    }

    /// Warnings among the findings.
    pub fn warnings(&self) -> usize {
        self.findings.len().saturating_sub(self.errors())
    }

    /// The keys of the first document.
    pub fn first_keys(&self) -> &[BusinessKey] {
        let first = self.keys.first().map_or(0, |key| key.document);
        let count = self.keys.iter().take_while(|key| key.document == first).count();
        self.keys.get(..count).unwrap_or_default()
    }

    /// One line: type, number of documents, keys of the first.
    pub fn summary(&self) -> Bilingual {
        let name = self.message_type.as_deref().map(printable);
        let row = self.message_type.as_deref().and_then(family::find);
        let keys: Vec<String> =
            self.first_keys().iter().map(|key| format!("{}={}", key.name, printable(&key.value))).collect();
        let (keys, documents) = (keys.join(" "), self.documents);
        match (name, row) {
            (Some(name), Some(row)) => {
                let (zh, en) = (row.zh, row.en);
                let noun = if documents == 1 { "document" } else { "documents" };
                bilingual!("{name} {zh}，{documents} 份单证 {keys}", "{name} {en}, {documents} {noun} {keys}")
            }
            (Some(name), None) => bilingual!("未知报文类型 {name}", "unknown message type {name}"),
            (None, _) => bilingual!("不是海关业务报文", "not a customs business message"),
        }
    }

    /// The summary, the findings and the verdict as lines for people.
    pub fn lines(&self, language: Language) -> Vec<String> {
        let mut lines = vec![self.summary().text(language).trim_end().to_owned()];
        lines.extend(self.findings.iter().map(|finding| finding.line_for(language)));
        let left_out = self.findings_left_out;
        if left_out > 0 {
            lines.push(bilingual!("另有 {left_out} 项未列出", "{left_out} more not listed").text(language).to_owned());
        }
        let verdict = match self.verdict() {
            Verdict::Accepted => bilingual!("预检通过", "pre-check passed"),
            Verdict::Refused => bilingual!("预检不通过", "pre-check failed"),
        };
        lines.push(verdict.text(language).to_owned());
        lines
    }
}
