//! The application form for the data-exchange interface (海关预录入系统数据交换接口服务申请), checked before it is typed in.
//!
//! The portal checks little and people at the data centre send back the rest. What its instructions (《DXPID 网上申请流程》,
//! 步骤 4, 8 and 11) demand stands in [`fields`] as a table; [`attachment`] looks at files by their content.
//!
//! | rule | what |
//! |---|---|
//! | F01 | required fields are filled, no unknown key, values of the right kind, no blanks around |
//! | F02 | number-only fields |
//! | F03 | fixed values |
//! | F04 | enterprise codes with their check characters: GB 32100, GB 11714, customs register |
//! | F05 | PDF and JPEG by content |
//! | F06 | at most 4 MB each |

use std::collections::BTreeMap;

use super::checkdigit::{is_credit_code, is_customs_code, is_organisation_code};
use super::precheck::{Finding, Level, masked, shortened};
use crate::bilingual;
use crate::ground::text::{Bilingual, printable};

pub mod attachment;
mod fields;

#[cfg(test)]
mod tests;

pub use attachment::{Attachment, Content, LARGEST};
use fields::{Field, Kind};

/// One answer as it stands in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The value.
    pub value: Value,
    /// Line of the value, from 1.
    pub line: u64,
    /// Column of the value in characters, from 1.
    pub column: u64,
}

/// A value of the form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Text.
    Text(String),
    /// A whole number, in decimal.
    Number(String),
    /// Several texts.
    List(Vec<String>),
    /// Anything else.
    Other,
}

impl Value {
    /// The value as the portal would get it.
    fn shown(&self) -> String {
        match self {
            Value::Text(text) | Value::Number(text) => text.clone(),
            Value::List(texts) => texts.join("、"),
            Value::Other => String::new(),
        }
    }
}

/// The answers by key path, such as `company.address`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Form {
    answers: BTreeMap<String, Answer>,
}

impl Form {
    /// Takes an answer; a later one of the same path replaces it.
    pub fn put(&mut self, path: &str, answer: Answer) {
        self.answers.insert(path.to_owned(), answer);
    }

    /// The answer at a key path.
    pub fn answer(&self, path: &str) -> Option<&Answer> {
        self.answers.get(path)
    }

    /// The files that the form names: key path, and the file as it is written there.
    pub fn files(&self) -> Vec<(&'static str, String)> {
        let mut files = Vec::new();
        for field in fields::ALL.iter().filter(|field| matches!(field.kind, Kind::Pdf | Kind::Jpeg)) {
            match self.answers.get(field.path).map(|answer| &answer.value) {
                Some(Value::Text(name)) if !name.trim().is_empty() => files.push((field.path, name.clone())),
                Some(Value::List(names)) => files.extend(names.iter().map(|name| (field.path, name.clone()))),
                _ => {}
            }
        }
        files
    }
}

/// Key paths of all fields, in the portal's order.
pub fn field_names() -> impl Iterator<Item = &'static str> {
    fields::ALL.iter().map(|field| field.path)
}

/// Checks the form and the files it names, in the order of the table; unknown keys come last.
pub fn check(form: &Form, attachments: &[Attachment]) -> Vec<Finding> {
    let mut sheet = Sheet { form, findings: Vec::new() };
    for field in fields::ALL {
        sheet.field(field, attachments);
    }
    let known = |path: &str| fields::ALL.iter().any(|field| field.path == path);
    for (path, answer) in form.answers.iter().filter(|(path, _)| !known(path)) {
        let shown = printable(path);
        let text = bilingual!(
            "没有 {shown} 这一项；请对照 config/form.example.toml 检查拼写和所在的表",
            "there is no {shown}; compare spelling and table with config/form.example.toml"
        );
        sheet.say(path, Some(answer), false, SOURCE, Say::error("F01", "key-unknown", text));
    }
    sheet.findings
}

const SOURCE: &str = "DXPID 网上申请流程";

/// What a rule says.
struct Say {
    level: Level,
    rule: &'static str,
    code: &'static str,
    text: Bilingual,
}

impl Say {
    fn error(rule: &'static str, code: &'static str, text: Bilingual) -> Say {
        Say { level: Level::Error, rule, code, text }
    }

    fn warning(rule: &'static str, code: &'static str, text: Bilingual) -> Say {
        Say { level: Level::Warning, rule, code, text }
    }
}

struct Sheet<'f> {
    form: &'f Form,
    findings: Vec<Finding>,
}

impl Sheet<'_> {
    fn say(&mut self, path: &str, answer: Option<&Answer>, personal: bool, source: &str, say: Say) {
        let show = |value: &str| if personal { masked(value) } else { shortened(value) };
        let value = answer.map(|answer| answer.value.shown()).filter(|value| !value.is_empty());
        self.findings.push(Finding {
            rule: say.rule.to_owned(),
            level: say.level,
            code: say.code.to_owned(),
            message: None,
            path: path.to_owned(),
            line: answer.map_or(0, |answer| answer.line),
            column: answer.map_or(0, |answer| answer.column),
            document: 0,
            key: None,
            value: value.as_deref().map(show),
            personal,
            customs_code: None,
            source: source.to_owned(),
            message_zh: say.text.zh,
            message_en: say.text.en,
        });
    }

    fn about(&mut self, field: &Field, say: Say) {
        let answer = self.form.answers.get(field.path).cloned();
        self.say(field.path, answer.as_ref(), field.personal, field.source, say);
    }

    fn field(&mut self, field: &Field, attachments: &[Attachment]) {
        let (zh, en) = (field.zh, field.en);
        let Some(answer) = self.form.answers.get(field.path) else {
            if field.required {
                let text = bilingual!("缺少“{zh}”，为必填项，请补充", "{en} is missing; it is required, add it");
                self.about(field, Say::error("F01", "field-missing", text));
            }
            return;
        };
        let value = answer.value.clone();
        match (&value, field.kind) {
            (Value::List(texts), Kind::Choices(wanted)) => self.choices(field, texts, wanted),
            (Value::List(texts), Kind::Pdf | Kind::Jpeg) if !texts.is_empty() => self.files(field, attachments),
            (Value::Text(text), Kind::Pdf | Kind::Jpeg) if !text.trim().is_empty() => self.files(field, attachments),
            (Value::Text(text), _) if text.trim().is_empty() => self.blank(field),
            (Value::List(texts), _) if texts.is_empty() => self.blank(field),
            (Value::Text(text), kind) => self.text(field, kind, text),
            (Value::Number(text), Kind::Digits | Kind::Volume | Kind::Code(_)) => self.text(field, field.kind, text),
            _ => {
                let wanted = match field.kind {
                    Kind::Choices(_) => bilingual!("文本列表，例如 [\"…\"]", "a list of texts such as [\"…\"]"),
                    _ => bilingual!("加引号的文本", "text in quotes"),
                };
                let (wanted_zh, wanted_en) = (wanted.zh, wanted.en);
                let text = bilingual!("“{zh}”应为{wanted_zh}", "{en} must be {wanted_en}");
                self.about(field, Say::error("F01", "value-type", text));
            }
        }
    }

    fn blank(&mut self, field: &Field) {
        let (zh, en) = (field.zh, field.en);
        if field.required {
            let text = bilingual!("“{zh}”为空，为必填项，请填写", "{en} is empty; it is required, fill it in");
            self.about(field, Say::error("F01", "field-blank", text));
        } else {
            let text = bilingual!("“{zh}”为空；没有内容时请删除该项", "{en} is empty; remove it when there is nothing");
            self.about(field, Say::warning("F01", "field-blank", text));
        }
    }

    fn text(&mut self, field: &Field, kind: Kind, text: &str) {
        let (zh, en) = (field.zh, field.en);
        let bare = text.trim();
        if bare != text {
            let text = bilingual!("“{zh}”首尾有空白字符，请删除", "{en} begins or ends with blanks; remove them");
            self.about(field, Say::error("F01", "value-blanks", text));
        }
        match kind {
            Kind::Text => {}
            Kind::Digits => self.digits(field, bare),
            Kind::Volume => self.volume(field, bare),
            Kind::Fixed(wanted) => self.fixed(field, bare, wanted),
            Kind::FixedPhone { printed, digits } => self.fixed_phone(field, bare, printed, digits),
            Kind::Choices(wanted) => self.choices(field, &[bare.to_owned()], wanted),
            Kind::Code(code) => self.code(field, code, bare),
            Kind::Email => self.email(field, bare),
            // Answered before.
            Kind::Pdf | Kind::Jpeg => {}
        }
    }

    fn digits(&mut self, field: &Field, value: &str) {
        if value.bytes().all(|b| b.is_ascii_digit()) {
            return;
        }
        let (zh, en) = (field.zh, field.en);
        let text = if value.chars().any(|c| ('０'..='９').contains(&c)) {
            bilingual!("“{zh}”只能填写数字，请用半角数字", "{en} takes digits only; write half-width ones")
        } else {
            bilingual!(
                "“{zh}”只能填写数字，不能有空格、横线、加号或文字",
                "{en} takes digits only: no blank, hyphen, plus sign or word"
            )
        };
        self.about(field, Say::error("F02", "not-a-number", text));
    }

    fn volume(&mut self, field: &Field, value: &str) {
        self.digits(field, value);
        if value.bytes().all(|b| b == b'0') {
            let (zh, en) = (field.zh, field.en);
            let text = bilingual!("“{zh}”为 0，请填写每月预计票数", "{en} is 0; give the messages expected a month");
            self.about(field, Say::error("F02", "volume-zero", text));
        }
    }

    fn fixed(&mut self, field: &Field, value: &str, wanted: &str) {
        if value != wanted {
            let (zh, en) = (field.zh, field.en);
            let text = bilingual!("“{zh}”应填写“{wanted}”", "{en} must be {wanted:?}");
            self.about(field, Say::error("F03", "fixed-value", text));
        }
    }

    /// The instructions print the number with a hyphen and say that the field takes digits only.
    fn fixed_phone(&mut self, field: &Field, value: &str, printed: &str, digits: &str) {
        if value == printed {
            let (zh, en) = (field.zh, field.en);
            let text = bilingual!(
                "“{zh}”：申请说明印作“{printed}”，又要求只填数字；系统不接受横线时请填“{digits}”",
                "{en}: the instructions print {printed:?} and also say digits only; write {digits:?} when the portal refuses the hyphen"
            );
            return self.about(field, Say::warning("F02", "number-hyphen", text));
        }
        self.fixed(field, value, digits);
    }

    fn choices(&mut self, field: &Field, given: &[String], wanted: &[&str]) {
        let (zh, en) = (field.zh, field.en);
        let list = wanted.join("、");
        let missing = wanted.iter().any(|one| !given.iter().any(|given| given.trim() == *one));
        let other = given.iter().any(|given| !wanted.contains(&given.trim()));
        if given.is_empty() {
            self.blank(field);
        } else if missing || other {
            let text = bilingual!("“{zh}”应勾选：{list}", "{en} must be: {list}");
            self.about(field, Say::error("F03", "fixed-value", text));
        }
    }

    fn code(&mut self, field: &Field, code: fields::Code, value: &str) {
        let (zh, en) = (field.zh, field.en);
        let (fits, name, text) = match code {
            fields::Code::Credit => (
                is_credit_code(value),
                "credit-code-check",
                bilingual!(
                    "“{zh}”不是有效的统一社会信用代码（18 位，GB 32100 校验码不符），请核对",
                    "{en} is no valid unified social credit code (18 characters, check character of GB 32100); check it"
                ),
            ),
            fields::Code::Organisation => (
                is_organisation_code(value),
                "organisation-code-check",
                bilingual!(
                    "“{zh}”不是有效的组织机构代码（8 位加校验码，GB 11714），请核对",
                    "{en} is no valid organisation code (eight characters and a check character, GB 11714); check it"
                ),
            ),
            fields::Code::Customs => (
                is_customs_code(value),
                "customs-code-form",
                bilingual!("“{zh}”应为 10 位海关注册编码", "{en} must be the ten characters of the customs register"),
            ),
        };
        if !fits {
            self.about(field, Say::error("F04", name, text));
        }
    }

    fn email(&mut self, field: &Field, value: &str) {
        let fits = value.split_once('@').is_some_and(|(name, host)| {
            let clean = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_graphic() && c != '@');
            clean(name) && clean(host) && host.contains('.') && !host.starts_with('.') && !host.ends_with('.')
        });
        if !fits {
            let (zh, en) = (field.zh, field.en);
            let text = bilingual!("“{zh}”不是电子邮箱地址", "{en} is no e-mail address");
            self.about(field, Say::error("F01", "email-form", text));
        }
    }

    fn files(&mut self, field: &Field, attachments: &[Attachment]) {
        for attachment in attachments.iter().filter(|attachment| attachment.path == field.path) {
            for say in attachment::judge(field, attachment) {
                self.about(field, say);
            }
        }
    }
}
