//! `dxgate form check`: the application form and its attachments, before it is typed into the portal.
//!
//! The form is a TOML file (`config/form.example.toml`); files that it names are looked for from its own folder. Exit 0
//! without errors, 1 with, 2 when the file is no TOML, 3 when it cannot be read.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use serde_json::json;
use toml::de::{DeTable, DeValue};

use super::Context;
use super::arguments::FormArguments;
use super::exit_code::ExitCode;
use super::failure::Failure;
use super::voice::Voice;
use crate::bilingual;
use crate::declaration::form::{self, Answer, Attachment, Content, Form, LARGEST, Value};
use crate::declaration::precheck::{Finding, Level};
use crate::ground::text::printable;

/// Bytes of the largest form.
const MAX_FORM: u64 = 1024 * 1024;

/// Runs the command.
pub fn run(context: &mut Context<'_>, arguments: &FormArguments) -> Result<ExitCode, Failure> {
    let form = read(&arguments.file)?;
    let folder = arguments.file.parent().unwrap_or(Path::new(""));
    let files = form.files();
    let attachments: Vec<_> = files.iter().map(|(path, name)| attachment(folder, path, name)).collect();
    let findings = form::check(&form, &attachments);
    let errors = findings.iter().filter(|finding| finding.level == Level::Error).count();
    let warnings = findings.len() - errors;
    let voice = &mut context.voice;
    if voice.json {
        let file = json!({
            "path": arguments.file.display().to_string(), "message": null, "documents": 0,
            "errors": errors, "warnings": warnings, "findings": findings, "findings_left_out": 0,
        });
        voice.value(&json!({ "files": [file], "errors": errors, "warnings": warnings }))?;
    } else {
        print(voice, &arguments.file, &findings, (errors, warnings))?;
    }
    Ok(if errors > 0 { ExitCode::No } else { ExitCode::Done })
}

/// Reads a form.
pub(super) fn read(path: &Path) -> Result<Form, Failure> {
    parse(path, &read_text(path)?)
}

fn read_text(path: &Path) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_FORM + 1).read_to_end(&mut bytes))
        .map_err(|error| Failure::file(path, &error))?;
    let small = u64::try_from(bytes.len()).is_ok_and(|length| length <= MAX_FORM);
    String::from_utf8(bytes).ok().filter(|_| small).ok_or_else(|| {
        let path = path.display();
        let text = bilingual!(
            "{path} 不是 1 MiB 以内的 UTF-8 文本；申请表是 TOML 文件，见 config/form.example.toml",
            "{path} is no UTF-8 text of at most 1 MiB; a form is a TOML file, see config/form.example.toml"
        );
        Failure::new(ExitCode::Usage, "form-not-text", text)
    })
}

/// The answers with their places; tables nest one deep.
fn parse(path: &Path, text: &str) -> Result<Form, Failure> {
    let (table, errors) = DeTable::parse_recoverable(text);
    if let Some(error) = errors.first() {
        let (path, why) = (path.display(), printable(error.message()));
        let (line, column) = error.span().map_or((0, 0), |span| place(text, span.start));
        let text = bilingual!(
            "{path} 第 {line} 行第 {column} 列不是正确的 TOML：{why}",
            "{path} line {line} column {column} is not TOML: {why}"
        );
        return Err(Failure::new(ExitCode::Usage, "toml-syntax", text));
    }
    let mut form = Form::default();
    for (name, value) in table.get_ref() {
        let Some(inner) = value.get_ref().as_table() else {
            form.put(name.get_ref(), answer(text, value.span().start, value.get_ref()));
            continue;
        };
        for (key, value) in inner {
            let path = format!("{}.{}", name.get_ref(), key.get_ref());
            form.put(&path, answer(text, value.span().start, value.get_ref()));
        }
    }
    Ok(form)
}

fn answer(text: &str, offset: usize, value: &DeValue<'_>) -> Answer {
    let (line, column) = place(text, offset);
    let value = match value {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Value::Number(number.as_str().to_owned()),
        DeValue::Array(items) => {
            let texts: Option<Vec<String>> =
                items.iter().map(|item| item.get_ref().as_str().map(str::to_owned)).collect();
            texts.map_or(Value::Other, Value::List)
        }
        _ => Value::Other,
    };
    Answer { value, line, column }
}

/// Line and column of a byte, from 1.
fn place(text: &str, offset: usize) -> (u64, u64) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count();
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count();
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX).saturating_add(1);
    (count(line), count(column))
}

/// A file that the form names, read no further than the limit needs.
fn attachment(folder: &Path, path: &'static str, name: &str) -> Attachment {
    let read = || {
        let file = File::open(folder.join(name))?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(std::io::Error::other("not a file"));
        }
        let mut bytes = Vec::new();
        file.take(LARGEST).read_to_end(&mut bytes)?;
        Ok(Content::Bytes { bytes, size: metadata.len() })
    };
    let content = read().unwrap_or_else(|error| Content::Unreadable(error.to_string()));
    Attachment { path, name: name.to_owned(), content }
}

fn print(
    voice: &mut Voice<'_>,
    path: &Path,
    findings: &[Finding],
    (errors, warnings): (usize, usize),
) -> std::io::Result<()> {
    let file = path.display();
    let verdict = if errors > 0 { bilingual!("未通过", "refused") } else { bilingual!("通过", "accepted") };
    let (verdict_zh, verdict_en) = (verdict.zh, verdict.en);
    voice.say(&bilingual!("{file}：{verdict_zh}", "{file}: {verdict_en}"))?;
    for finding in findings {
        voice.line(&format!("  {}", finding.line_for(voice.language)))?;
        if let (Some(value), Some(key)) = (&finding.value, finding.path.rsplit('.').next()) {
            let start = format!("{key} = ");
            voice.line(&format!("    {:>5} | {start}\"{value}\"", finding.line))?;
            voice.line(&format!("    {:>5} | {}^", "", " ".repeat(start.chars().count())))?;
        }
    }
    voice.say(&bilingual!("错误 {errors} 项，警告 {warnings} 项", "{errors} errors, {warnings} warnings"))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "files of a test need not survive a power cut")]

    use std::ffi::OsString;

    use super::*;
    use crate::ground::text::Language;

    const EXAMPLE: &str = include_str!("../../config/form.example.toml");
    const PDF: &[u8] = b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\nxref\n0 1\ntrailer\n<<>>\nstartxref\n29\n%%EOF\n";
    const JPEG: &[u8] = b"\xFF\xD8\xFF\xC0\x00\x0B\x08\x00\x01\x00\x01\x01\x01\x11\x00\xFF\xDA\x00\x08\x01\x01\x00\x00\x3F\x00\x55\xFF\xD9";

    /// A folder with this form and the files that the example names.
    fn folder(form: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).expect("written");
        write("form.toml", form.as_bytes());
        write("企业法人授权书.pdf", PDF);
        write("安全承诺书.pdf", PDF);
        write("经办人身份证正面.jpg", JPEG);
        write("经办人身份证反面.jpg", JPEG);
        folder
    }

    fn say(folder: &Path, words: &[&str]) -> (ExitCode, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let file = folder.join("form.toml").into_os_string();
        let words = ["dxgate", "form", "check"].iter().chain(words).map(OsString::from).chain([file]).collect();
        let exit = crate::cli::run(words, &|_| None, &mut out, &mut err);
        out.extend(err);
        (exit, String::from_utf8(out).expect("UTF-8"))
    }

    #[test]
    fn the_example_passes_with_its_attachments_and_not_without_them() {
        let whole = folder(EXAMPLE);
        let (exit, said) = say(whole.path(), &[]);
        assert!(exit == ExitCode::Done && said.contains("0 errors, 0 warnings"), "{said}");
        std::fs::remove_file(whole.path().join("企业法人授权书.pdf")).expect("removed");
        let (exit, said) = say(whole.path(), &[]);
        assert!(exit == ExitCode::No && said.contains("[attachment-unreadable]"), "{said}");
    }

    #[test]
    fn every_field_stands_in_the_example() {
        let form = parse(Path::new("form.example.toml"), EXAMPLE).expect("TOML");
        for field in form::field_names() {
            assert!(form.answer(field).is_some(), "{field}");
        }
    }

    #[test]
    fn findings_have_the_shape_of_the_pre_check() {
        let bad = EXAMPLE.replace("business_phone = \"13800000000\"", "business_phone = \"138-0000-0000\"");
        let folder = folder(&bad.replace("organisation_code = \"34801880X\"", "organisation_code = \"348018801\""));
        let (exit, said) = say(folder.path(), &["--format", "json"]);
        let value: serde_json::Value = serde_json::from_str(&said).expect("JSON");
        let finding = &value["files"][0]["findings"][0];
        let line = bad.lines().position(|line| line.starts_with("business_phone")).expect("a line") as u64 + 1;
        assert_eq!((exit, value["errors"].as_u64()), (ExitCode::No, Some(2)), "{said}");
        assert_eq!((finding["line"].as_u64(), finding["column"].as_u64()), (Some(line), Some(18)), "{said}");
        let text = ["rule", "level", "code", "path", "message_zh", "message_en"];
        assert!(text.iter().all(|key| finding[key].is_string()), "{said}");
        assert!(!said.contains("138-0000-0000"), "{said}");
        let (_, said) = say(folder.path(), &["--lang", "zh-CN"]);
        assert!(said.contains("business_phone = \"13") && said.contains("| ") && said.contains('^'), "{said}");
        assert!(said.contains("只能填写数字") && said.contains("错误 2 项"), "{said}");
    }

    #[test]
    fn what_is_no_form_is_a_wrong_usage_and_what_cannot_be_read_is_out_of_reach() {
        let broken = folder("[company\n");
        let (exit, said) = say(broken.path(), &[]);
        assert!(exit == ExitCode::Usage && said.contains("[toml-syntax]") && said.contains("line 1"), "{said}");
        let empty = tempfile::tempdir().expect("a folder");
        assert_eq!(say(empty.path(), &[]).0, ExitCode::Unreachable);
        let mut out = Vec::new();
        let mut voice =
            Voice { out: &mut out, language: Language::English, json: false, colours: false, environment: None };
        print(&mut voice, Path::new("x"), &[], (0, 0)).expect("written");
        assert!(String::from_utf8(out).expect("UTF-8").contains("x: accepted"));
    }
}
