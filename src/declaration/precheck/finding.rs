//! One result of the pre-check, its weight, and the sheet on which results are collected.

use serde::{Deserialize, Serialize};

use super::super::charset::Position;
use super::super::error::DeclarationError;
use super::super::scanner::Scanner;
use super::catalogue;
use crate::bilingual;
use crate::ground::text::{Bilingual, Language, printable};

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Worth a look; the document may be sent.
    Warning,
    /// Customs would refuse it; it is not sent.
    Error,
}

/// What a table of levels says about a rule or a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Weight {
    /// Not reported.
    Off,
    /// A warning.
    Warning,
    /// An error.
    Error,
}

/// Levels that differ from the default ones, by finding code (`value-fixed`) or by rule (`R24`); a code wins over its rule.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Levels(Vec<(String, Weight)>);

impl Levels {
    /// Sets the weight of a rule or code; a later one replaces an earlier one.
    ///
    /// # Errors
    /// The name is neither a rule nor a code of the pre-check.
    pub fn set(&mut self, name: &str, weight: Weight) -> Result<(), UnknownRule> {
        if !catalogue::knows(name) {
            return Err(UnknownRule { name: name.to_owned() });
        }
        self.0.retain(|(known, _)| known != name);
        self.0.push((name.to_owned(), weight));
        Ok(())
    }

    /// These levels over `base`: what is said here wins, a rule here over its codes there too.
    pub fn over(&self, base: &Levels) -> Levels {
        let hidden = |name: &str| {
            let of = |own: &str| catalogue::rule(own).is_some_and(|rule| rule.codes.contains(&name));
            self.0.iter().any(|(own, _)| own == name || of(own))
        };
        let kept = base.0.iter().filter(|(name, _)| !hidden(name));
        Levels(kept.chain(&self.0).cloned().collect())
    }

    /// The level of a finding; `None` when it is not reported.
    fn level(&self, rule: &str, code: &str, usual: Level) -> Option<Level> {
        let named = |name: &str| self.0.iter().find(|(known, _)| known == name).map(|(_, weight)| *weight);
        match named(code).or_else(|| named(rule)) {
            None => Some(usual),
            Some(Weight::Off) => None,
            Some(Weight::Warning) => Some(Level::Warning),
            Some(Weight::Error) => Some(Level::Error),
        }
    }
}

/// A name in a table of levels that is neither a rule nor a code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name} is neither a rule of the pre-check nor a code of its findings")]
pub struct UnknownRule {
    /// The name.
    pub name: String,
}

/// An element's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Path of elements.
    pub path: String,
    /// Line, from 1.
    pub line: u64,
    /// Column in characters, from 1.
    pub column: u64,
}

impl Place {
    /// The element of the scanner's last event.
    pub(super) fn of(scanner: &Scanner<'_>) -> Place {
        let at = scanner.element().map_or(Position::START, |element| element.at);
        Place { path: scanner.path(), line: at.line, column: at.column }
    }
}

/// One result of the pre-check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Rule, `R01` to `R44`.
    pub rule: String,
    /// Its weight.
    pub level: Level,
    /// Stable kebab-case code.
    pub code: String,
    /// Type of the message, when it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Path of elements; `DxpMsg/Data/CEB311Message/…` inside an envelope, whose lines then count inside the document.
    pub path: String,
    /// Line, from 1; 0 when the finding is about the file as a whole.
    pub line: u64,
    /// Column in characters, from 1; 0 as above.
    pub column: u64,
    /// Which document of the message, from 1; 0 when it is about none.
    #[serde(default)]
    pub document: u32,
    /// The document's first business key, such as `orderNo=D1`.
    #[serde(default)]
    pub key: Option<String>,
    /// The value, shortened; masked when it is personal data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// The value is personal data.
    #[serde(default)]
    pub personal: bool,
    /// The error code with which customs would answer, where it is known; `CEB900` for a fault of form, which is answered with
    /// that receipt, whose codes are not public.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customs_code: Option<String>,
    /// Where the rule stands.
    #[serde(default)]
    pub source: String,
    /// What, and what to do, in Chinese.
    pub message_zh: String,
    /// The same in English.
    pub message_en: String,
}

impl Finding {
    /// What, and what to do.
    pub fn text(&self, language: Language) -> &str {
        match language {
            Language::Chinese => &self.message_zh,
            Language::English => &self.message_en,
        }
    }

    /// The finding as one line.
    pub fn line_for(&self, language: Language) -> String {
        let level = match self.level {
            Level::Error => bilingual!("错误", "error"),
            Level::Warning => bilingual!("警告", "warning"),
        };
        let (line, column) = (self.line, self.column);
        let place = if line == 0 {
            bilingual!("", "")
        } else {
            bilingual!(" 第 {line} 行第 {column} 列", " line {line} column {column}")
        };
        let path = if self.path.is_empty() { String::new() } else { format!(" {}", printable(&self.path)) };
        let (level, place) = (level.text(language), place.text(language));
        let mut text = format!("{level} {}{place}{path}: {} [{}]", self.rule, self.text(language), self.code);
        if let Some(code) = &self.customs_code {
            let customs = bilingual!("海关代码 {code}", "customs code {code}");
            text.push_str(&format!(" ({})", customs.text(language)));
        }
        text
    }
}

/// What a rule says, before it becomes a finding.
#[derive(Debug)]
pub(super) struct Say<'s> {
    pub(super) rule: &'static str,
    pub(super) level: Level,
    pub(super) code: &'static str,
    pub(super) text: Bilingual,
    /// The value as it may be shown.
    pub(super) value: Option<&'s str>,
    pub(super) personal: bool,
    /// The error code of customs, where more than message and code decide about it.
    pub(super) customs: Option<&'static str>,
}

impl<'s> Say<'s> {
    pub(super) fn error(rule: &'static str, code: &'static str, text: Bilingual) -> Say<'s> {
        Say { rule, level: Level::Error, code, text, value: None, personal: false, customs: None }
    }

    pub(super) fn warning(rule: &'static str, code: &'static str, text: Bilingual) -> Say<'s> {
        Say { level: Level::Warning, ..Say::error(rule, code, text) }
    }

    /// With the value shown.
    pub(super) fn of(mut self, value: &'s str, personal: bool) -> Say<'s> {
        self.value = Some(value);
        self.personal = personal;
        self
    }
}

/// The findings while they are made.
pub(super) struct Sheet<'e> {
    pub(super) findings: Vec<Finding>,
    pub(super) left_out: u32,
    levels: &'e Levels,
    max: usize,
    /// Type of the message being read.
    pub(super) message: Option<&'static str>,
    /// Document being read, 0 between them.
    document: u32,
    /// First finding of that document.
    first: usize,
}

impl<'e> Sheet<'e> {
    pub(super) fn new(max: usize, levels: &'e Levels) -> Sheet<'e> {
        Sheet { findings: Vec::new(), left_out: 0, levels, max: max.max(1), message: None, document: 0, first: 0 }
    }

    /// Findings from here on are about this document.
    pub(super) fn enter(&mut self, document: u32) {
        self.document = document;
        self.first = self.findings.len();
    }

    /// The document ends; its findings get its key.
    pub(super) fn leave(&mut self, key: Option<&str>) {
        let document = std::mem::take(&mut self.document);
        // A full sheet may have dropped warnings before these, so the document decides and not the place alone.
        for finding in self.findings.iter_mut().rev().take_while(|finding| finding.document == document) {
            finding.key = key.map(str::to_owned);
        }
    }

    /// Adds a finding. When the sheet is full an error takes the place of the last warning.
    fn add(&mut self, finding: Finding) {
        if self.findings.len() < self.max {
            self.findings.push(finding);
            return;
        }
        self.left_out = self.left_out.saturating_add(1);
        if finding.level == Level::Error
            && let Some(at) = self.findings.iter().rposition(|old| old.level == Level::Warning)
        {
            self.findings.remove(at);
            self.findings.push(finding);
        }
    }

    /// A finding at a place.
    pub(super) fn say(&mut self, path: String, at: Option<Position>, say: Say<'_>) {
        let Some(level) = self.levels.level(say.rule, say.code, say.level) else { return };
        let (line, column) = at.map_or((0, 0), |at| (at.line, at.column));
        let usual = || self.message.and_then(|name| catalogue::customs_code(name, say.code));
        let customs = say.customs.or_else(usual);
        let show = |value: &str| if say.personal { masked(value) } else { shortened(value) };
        self.add(Finding {
            rule: say.rule.to_owned(),
            level,
            code: say.code.to_owned(),
            message: self.message.map(str::to_owned),
            path,
            line,
            column,
            document: self.document,
            key: None,
            value: say.value.map(show),
            personal: say.personal,
            customs_code: customs.map(str::to_owned),
            source: catalogue::source(say.rule).to_owned(),
            message_zh: say.text.zh,
            message_en: say.text.en,
        });
    }

    /// A finding at the start tag of the element the scanner is at.
    pub(super) fn at(&mut self, scanner: &Scanner<'_>, say: Say<'_>) {
        self.say(scanner.path(), scanner.element().map(|element| element.at), say);
    }

    /// Goes on with the findings of an earlier pass.
    pub(super) fn resumed(mut self, findings: Vec<Finding>, left_out: u32) -> Sheet<'e> {
        (self.findings, self.left_out) = (findings, left_out);
        self
    }

    /// A finding at an element that an earlier pass has met.
    pub(super) fn at_place(&mut self, place: &Place, say: Say<'_>) {
        self.say(place.path.clone(), Some(Position { line: place.line, column: place.column }), say);
    }

    /// What ended the pass.
    pub(super) fn fault(&mut self, error: &DeclarationError) {
        let at = (error.line > 0).then_some(Position { line: error.line, column: error.column });
        self.say(error.path.clone(), at, Say::error("R03", error.code(), error.fault.text()));
    }

    /// Everything another sheet found, after this one's.
    pub(super) fn append(&mut self, other: Sheet<'_>) {
        self.left_out = self.left_out.saturating_add(other.left_out);
        for finding in other.findings {
            self.add(finding);
        }
    }
}

/// Characters of a value that a finding shows.
const MAX_SHOWN: usize = 60;

/// A value as a finding shows it.
pub(in crate::declaration) fn shortened(value: &str) -> String {
    let mut shown: String = value.chars().take(MAX_SHOWN).collect();
    if shown.len() < value.len() {
        shown.push('…');
    }
    printable(&shown)
}

/// Personal data, recognisable to whom it belongs and to nobody else: the first and the last character.
pub fn masked(value: &str) -> String {
    let count = value.chars().count();
    let kept = if count < 6 { 1 } else { 2 };
    let hide = |(at, c): (usize, char)| {
        let last = count > 3 && at.saturating_add(1) == count;
        if at < kept || last { c } else { '*' }
    };
    printable(&value.chars().enumerate().map(hide).take(MAX_SHOWN).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn personal_data_is_masked() {
        assert_eq!(masked("张三"), "张*");
        assert_eq!(masked("11010519491231002X"), "11***************X");
        assert_eq!(masked(""), "");
    }

    #[test]
    fn a_level_is_set_by_code_before_rule_and_only_for_what_exists() {
        let mut levels = Levels::default();
        levels.set("R24", Weight::Error).expect("a rule");
        levels.set("net-above-gross", Weight::Off).expect("a code");
        assert_eq!(levels.level("R24", "net-above-gross", Level::Warning), None);
        assert_eq!(levels.level("R24", "weight-not-positive", Level::Warning), Some(Level::Error));
        assert_eq!(levels.level("R12", "goods-value", Level::Warning), Some(Level::Warning));
        let mut own = Levels::default();
        own.set("R24", Weight::Warning).expect("a rule");
        let both = own.over(&levels);
        assert_eq!(both.level("R24", "net-above-gross", Level::Error), Some(Level::Warning), "a rule hides its codes");
        own.set("guid-not-uuid", Weight::Off).expect("a code");
        levels.set("R02", Weight::Error).expect("a rule");
        let both = own.over(&levels);
        assert_eq!(both.level("R02", "guid-not-uuid", Level::Warning), None);
        assert_eq!(both.level("R02", "guid-repeated", Level::Warning), Some(Level::Error));
        assert!(levels.set("R99", Weight::Off).is_err() && levels.set("no-such-code", Weight::Off).is_err());
    }
}
