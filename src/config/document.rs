//! TOML with line numbers, its values decoded by serde. A [`Section`] hands out the values of one table, remembers which keys were asked for, and
//! reports the others when it is dropped; so a key that no code reads is a problem, and the list of keys that can be
//! asked for is the schema.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::problem::{Problem, Severity};
use super::quantity;
use super::stamps::Stamps;
use crate::bilingual;
use crate::ground::text::{Bilingual, printable};

/// One value, decoded by serde on its own: a whole file decoded at once would stop at its first mistake.
fn decoded<T: DeserializeOwned>(value: &DeValue<'_>) -> Option<T> {
    T::deserialize(ValueDeserializer::from(Spanned::new(0..0, value.clone()))).ok()
}

/// Problems and asked keys of one file.
#[derive(Debug)]
pub(crate) struct Sheet {
    /// The file's path, for problems.
    file: PathBuf,
    /// Offset of the first byte of every line.
    lines: Vec<usize>,
    problems: RefCell<Vec<Problem>>,
    /// Key paths that were asked for, `[n]` of lists left out.
    asked: RefCell<BTreeSet<String>>,
    /// Files and folders that were named, whether they are there or not.
    files: RefCell<BTreeSet<PathBuf>>,
    /// How they were when they were named.
    stamps: RefCell<Stamps>,
}

impl Sheet {
    /// A sheet for `text`, which is the content of `file`.
    pub(crate) fn new(file: &Path, text: &str) -> Sheet {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let lines = std::iter::once(0).chain(ends.map(|(at, _)| at.saturating_add(1))).collect();
        Sheet {
            file: file.to_owned(),
            lines,
            problems: RefCell::default(),
            asked: RefCell::default(),
            files: RefCell::default(),
            stamps: RefCell::default(),
        }
    }

    /// The file's tables; syntax errors become problems and leave nothing to read.
    pub(crate) fn parse<'t>(&self, text: &'t str) -> Option<DeTable<'t>> {
        let (table, errors) = DeTable::parse_recoverable(text);
        if errors.is_empty() {
            return Some(table.into_inner());
        }
        for error in errors {
            let message = printable(error.message());
            let line = error.span().map(|span| self.line_of(span.start));
            let text = bilingual!("TOML 语法错误：{message}。", "this is not TOML: {message}.");
            self.push(Severity::Error, "toml-syntax", line, String::new(), text);
        }
        None
    }

    /// The outermost section.
    pub(crate) fn root<'s>(&'s self, table: &'s DeTable<'s>) -> Section<'s> {
        Section {
            sheet: self,
            path: String::new(),
            table: Some(table),
            line: None,
            asked: RefCell::default(),
            open: Cell::default(),
        }
    }

    /// Notes a problem.
    pub(crate) fn push(
        &self,
        severity: Severity,
        code: &'static str,
        line: Option<usize>,
        key: String,
        text: Bilingual,
    ) {
        self.problems.borrow_mut().push(Problem { severity, code, file: self.file.clone(), line, key, text });
    }

    /// Notes a problem of a place remembered from a section.
    pub(crate) fn push_at(&self, severity: Severity, code: &'static str, place: &Place, text: Bilingual) {
        self.push(severity, code, place.line, place.key.clone(), text);
    }

    /// Whether an error was noted.
    pub(crate) fn has_errors(&self) -> bool {
        self.problems.borrow().iter().any(|problem| problem.severity == Severity::Error)
    }

    /// The files and folders that were named so far.
    pub(crate) fn files(&self) -> BTreeSet<PathBuf> {
        self.files.borrow().clone()
    }

    /// How they were when they were named, which comes before any of them is read.
    pub(crate) fn stamps(&self) -> Stamps {
        self.stamps.borrow().clone()
    }

    /// The problems in the order of their lines, and the keys that were asked for.
    pub(crate) fn finish(self) -> (Vec<Problem>, BTreeSet<String>) {
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(|problem| problem.line);
        (problems, self.asked.into_inner())
    }

    fn line_of(&self, offset: usize) -> usize {
        self.lines.partition_point(|start| *start <= offset)
    }
}

/// Where a value stands, for problems that are found later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// Line from 1.
    pub(crate) line: Option<usize>,
    /// Key path.
    pub(crate) key: String,
}

/// One table of a file; absent tables are sections without values.
#[derive(Debug)]
pub(crate) struct Section<'s> {
    sheet: &'s Sheet,
    path: String,
    table: Option<&'s DeTable<'s>>,
    line: Option<usize>,
    asked: RefCell<Vec<&'static str>>,
    /// Its keys are the user's.
    open: Cell<bool>,
}

impl<'s> Section<'s> {
    /// Whether the table is there.
    pub(crate) fn is_present(&self) -> bool {
        self.table.is_some()
    }

    /// Whether the key has a value.
    pub(crate) fn has(&self, key: &'static str) -> bool {
        self.value(key).is_some()
    }

    /// The place of a key: its own line, or the section's when it is absent.
    pub(crate) fn place(&self, key: &str) -> Place {
        let own = self.entry(key).map(|(line, _)| line);
        Place { line: own.or(self.line), key: self.path_of(key) }
    }

    /// Notes an error about a key.
    pub(crate) fn error(&self, key: &str, code: &'static str, text: Bilingual) {
        self.sheet.push_at(Severity::Error, code, &self.place(key), text);
    }

    /// Notes a warning about a key.
    pub(crate) fn warning(&self, key: &str, code: &'static str, text: Bilingual) {
        self.sheet.push_at(Severity::Warning, code, &self.place(key), text);
    }

    /// Remembers a file that the section names, and looks at it: called before the file is read.
    pub(crate) fn names_file(&self, file: &Path) {
        self.sheet.stamps.borrow_mut().add([file.to_owned()]);
        self.sheet.files.borrow_mut().insert(file.to_owned());
    }

    /// A table inside this one.
    pub(crate) fn section(&self, key: &'static str) -> Section<'s> {
        let found = self.value(key);
        let table = found.and_then(|(_, value)| {
            if value.as_table().is_none() {
                self.wrong_type(key, &bilingual!("表 [{key}]", "a table [{key}]"));
            }
            value.as_table()
        });
        let line = found.map(|(line, _)| line).or(self.line);
        let (asked, open) = (RefCell::default(), Cell::default());
        Section { sheet: self.sheet, path: self.path_of(key), table, line, asked, open }
    }

    /// A list of tables (`[[key]]`) inside this one.
    pub(crate) fn sections(&self, key: &'static str) -> Vec<Section<'s>> {
        let Some((_, value)) = self.value(key) else { return Vec::new() };
        let items = value.as_array().filter(|items| items.iter().all(|item| item.get_ref().is_table()));
        let Some(items) = items else {
            self.wrong_type(key, &bilingual!("一个或多个 [[{key}]]", "one or more [[{key}]]"));
            return Vec::new();
        };
        let sections = items.iter().enumerate().map(|(index, item)| Section {
            sheet: self.sheet,
            path: format!("{}[{index}]", self.path_of(key)),
            table: item.get_ref().as_table(),
            line: Some(self.sheet.line_of(item.span().start)),
            asked: RefCell::default(),
            open: Cell::default(),
        });
        sections.collect()
    }

    /// A text. Empty text counts as a mistake: leave the key out instead.
    pub(crate) fn text(&self, key: &'static str) -> Option<String> {
        let (_, value) = self.value(key)?;
        let Some(text) = decoded::<String>(value) else {
            self.wrong_type(key, &bilingual!("加引号的文本", "text in quotes"));
            return None;
        };
        if text.trim().is_empty() {
            self.error(
                key,
                "value-empty",
                bilingual!("值为空。请填写或删除该项。", "is empty. Give a value or remove the key."),
            );
            return None;
        }
        Some(text)
    }

    /// Every key of a table whose keys are the user's, with its text.
    pub(crate) fn open_texts(&self) -> Vec<(String, Option<String>)> {
        self.open.set(true);
        let entries = self.table.into_iter().flatten();
        entries.map(|(name, value)| (name.get_ref().to_string(), decoded(value.get_ref()))).collect()
    }

    /// A text that must be there and that `read` understands.
    pub(crate) fn required<T>(&self, key: &'static str, read: impl FnOnce(&str) -> Result<T, Bilingual>) -> Option<T> {
        if !self.has(key) {
            self.missing(key);
        }
        self.parsed(key, read)
    }

    /// Refuses a key that people may be tempted to write, with a better advice than "unknown".
    pub(crate) fn forbid(&self, key: &'static str, code: &'static str, advice: &Bilingual) {
        self.asked.borrow_mut().push(key);
        if self.entry(key).is_some() {
            self.error(key, code, advice.clone());
        }
    }

    /// Notes that a key is missing.
    pub(crate) fn missing(&self, key: &str) {
        self.error(
            key,
            "key-missing",
            bilingual!("缺少必填项 {key}。请补充。", "the required key {key} is missing. Add it."),
        );
    }

    /// A text that `read` understands.
    pub(crate) fn parsed<T>(&self, key: &'static str, read: impl FnOnce(&str) -> Result<T, Bilingual>) -> Option<T> {
        let text = self.text(key)?;
        read(&text).map_err(|why| self.bad_value(key, &text, &why)).ok()
    }

    /// A duration between two bounds.
    pub(crate) fn duration(&self, key: &'static str, default: Duration, least: Duration, most: Duration) -> Duration {
        let Some(value) = self.parsed(key, quantity::duration) else { return default };
        if (least..=most).contains(&value) {
            return value;
        }
        self.out_of_range(key, &quantity::show_duration(least), &quantity::show_duration(most));
        default
    }

    /// A size between two bounds, as text or as a number of bytes.
    pub(crate) fn size(&self, key: &'static str, default: u64, least: u64, most: u64) -> u64 {
        let Some((_, value)) = self.value(key) else { return default };
        let read = match value {
            DeValue::Integer(_) => self.whole_number(key, value),
            _ => self.parsed(key, quantity::size),
        };
        let Some(read) = read else { return default };
        if (least..=most).contains(&read) {
            return read;
        }
        self.out_of_range(key, &quantity::show_size(least), &quantity::show_size(most));
        default
    }

    /// A whole number between two bounds.
    pub(crate) fn count(&self, key: &'static str, default: u32, least: u32, most: u32) -> usize {
        let Some((_, value)) = self.value(key) else { return default as usize };
        let Some(number) = self.whole_number(key, value) else { return default as usize };
        match u32::try_from(number) {
            Ok(number) if (least..=most).contains(&number) => number as usize,
            _ => {
                self.out_of_range(key, &least.to_string(), &most.to_string());
                default as usize
            }
        }
    }

    /// A number with a fraction between two bounds.
    pub(crate) fn fraction(&self, key: &'static str, default: f64, least: f64, most: f64) -> f64 {
        let Some((_, value)) = self.value(key) else { return default };
        match decoded::<f64>(value) {
            Some(number) if (least..=most).contains(&number) => number,
            Some(_) => {
                self.out_of_range(key, &least.to_string(), &most.to_string());
                default
            }
            None => {
                self.wrong_type(key, &bilingual!("数字", "a number"));
                default
            }
        }
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&self, key: &'static str, default: bool) -> bool {
        let Some((_, value)) = self.value(key) else { return default };
        decoded::<bool>(value).unwrap_or_else(|| {
            self.wrong_type(key, &bilingual!("true 或 false（不加引号）", "true or false, without quotes"));
            default
        })
    }

    /// A list of texts.
    pub(crate) fn texts(&self, key: &'static str) -> Option<Vec<String>> {
        let (_, value) = self.value(key)?;
        let texts = decoded::<Vec<String>>(value);
        if texts.is_none() {
            self.wrong_type(
                key,
                &bilingual!("文本列表，例如 [\"a\", \"b\"]", "a list of texts such as [\"a\", \"b\"]"),
            );
        }
        texts
    }

    /// A list of texts, each of which `read` understands; `None` when the key is absent or anything in it is wrong.
    pub(crate) fn parsed_list<T>(
        &self,
        key: &'static str,
        read: impl Fn(&str) -> Result<T, Bilingual>,
    ) -> Option<Vec<T>> {
        let texts = self.texts(key)?;
        let mut values = Vec::new();
        for text in &texts {
            match read(text) {
                Ok(value) => values.push(value),
                Err(why) => self.bad_value(key, text, &why),
            }
        }
        (values.len() == texts.len()).then_some(values)
    }

    /// The same of which at least one has to be chosen: with none nothing would be allowed.
    pub(crate) fn choices<T>(&self, key: &'static str, read: impl Fn(&str) -> Result<T, Bilingual>) -> Option<Vec<T>> {
        let values = self.parsed_list(key, read)?;
        if values.is_empty() {
            self.empty_list(key);
        }
        (!values.is_empty()).then_some(values)
    }

    /// Notes that a list has nothing in it.
    pub(crate) fn empty_list(&self, key: &str) {
        let text =
            bilingual!("列表为空。请删除该项或至少写明一个。", "is an empty list. Remove it or name at least one.");
        self.error(key, "value-empty", text);
    }

    /// A list of whole numbers.
    pub(crate) fn numbers(&self, key: &'static str, least: u16, most: u16) -> Option<Vec<u16>> {
        let (_, value) = self.value(key)?;
        let Some(items) = value.as_array() else {
            self.wrong_type(key, &bilingual!("数字列表，例如 [404, 423]", "a list of numbers such as [404, 423]"));
            return None;
        };
        let mut numbers = Vec::new();
        for item in items {
            match self.whole_number(key, item.get_ref()).map(u16::try_from)? {
                Ok(number) if (least..=most).contains(&number) => numbers.push(number),
                _ => self.out_of_range(key, &least.to_string(), &most.to_string()),
            }
        }
        Some(numbers)
    }

    /// Notes that a value is not understood and why.
    pub(crate) fn bad_value(&self, key: &str, value: &str, why: &Bilingual) {
        let shown = printable(value.get(..value.floor_char_boundary(80)).unwrap_or_default());
        let text = Bilingual { zh: format!("\"{shown}\":{}", why.zh), en: format!("\"{shown}\": {}", why.en) };
        self.error(key, "value-invalid", text);
    }

    fn out_of_range(&self, key: &str, least: &str, most: &str) {
        let text = bilingual!(
            "超出范围。应在 {least} 与 {most} 之间。",
            "out of range. Choose a value from {least} to {most}."
        );
        self.error(key, "value-out-of-range", text);
    }

    fn wrong_type(&self, key: &str, expected: &Bilingual) {
        let text = Bilingual {
            zh: format!("类型不对。应为{}。", expected.zh),
            en: format!("has the wrong type. Expected is {}.", expected.en),
        };
        self.error(key, "value-wrong-type", text);
    }

    fn whole_number(&self, key: &'static str, value: &DeValue<'_>) -> Option<u64> {
        let number = decoded::<u64>(value);
        if number.is_none() {
            self.wrong_type(key, &bilingual!("不加引号的非负整数", "a whole number without quotes, 0 or more"));
        }
        number
    }

    /// The value of a key and its line. Asking makes the key a known one.
    fn value(&self, key: &'static str) -> Option<(usize, &'s DeValue<'s>)> {
        self.asked.borrow_mut().push(key);
        self.sheet.asked.borrow_mut().insert(without_indices(&self.path_of(key)));
        self.entry(key)
    }

    fn entry(&self, key: &str) -> Option<(usize, &'s DeValue<'s>)> {
        let (name, value) = self.table?.iter().find(|(name, _)| name.get_ref() == key)?;
        Some((self.sheet.line_of(name.span().start), value.get_ref()))
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

/// Reports the keys that nobody asked for.
impl Drop for Section<'_> {
    fn drop(&mut self) {
        let asked = self.asked.borrow();
        for (name, _) in self.table.into_iter().flatten().filter(|_| !self.open.get()) {
            let key: &str = name.get_ref();
            if asked.contains(&key) {
                continue;
            }
            let shown = printable(key);
            let text = match nearest(key, &asked) {
                Some(near) => bilingual!(
                    "未知的配置项 {shown}。是否想写 {near}?",
                    "the key {shown} is not known. Did you mean {near}?"
                ),
                None => bilingual!(
                    "未知的配置项 {shown}。请删除，或对照 config/ 中的示例检查其所在的表。",
                    "the key {shown} is not known. Remove it, or compare with the examples in config/ whether it stands in the right table."
                ),
            };
            let line = Some(self.sheet.line_of(name.span().start));
            self.sheet.push(Severity::Error, "key-unknown", line, self.path_of(&shown), text);
        }
    }
}

/// The known key closest to a misspelt one, if any is close.
fn nearest(key: &str, known: &[&'static str]) -> Option<&'static str> {
    let distances = known.iter().map(|candidate| (distance(key, candidate), *candidate));
    distances.filter(|(distance, candidate)| *distance <= 2.max(candidate.len() / 4)).min().map(|(_, near)| near)
}

/// Levenshtein distance, over at most 64 characters.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, l) in left.chars().take(64).enumerate() {
        let mut next = vec![index + 1];
        for ((r, above_left), above) in right.iter().zip(&row).zip(row.iter().skip(1)) {
            let before = next.last().copied().unwrap_or(0);
            next.push((above_left + usize::from(l != *r)).min(above + 1).min(before + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

/// `station.keys[1].from` as `station.keys.from`.
fn without_indices(path: &str) -> String {
    let mut inside = false;
    path.chars()
        .filter(|c| {
            inside = (inside || *c == '[') && *c != ']';
            !inside && *c != ']'
        })
        .collect()
}
