//! `dxgate onboarding document`: an annex as a file.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use serde_json::json;

use crate::bilingual;
use crate::cli::arguments::{Annex, DocumentArguments, Target};
use crate::cli::exit_code::ExitCode;
use crate::cli::failure::Failure;
use crate::cli::voice::Voice;
use crate::connectivity::run::Run;
use crate::ground::durable;
use crate::onboarding::documents::{self, Filled, test_report};
use crate::onboarding::file;
use crate::report::{Format, Rendered, render};

/// Bytes of the largest file with a run.
const MAX_RUN: u64 = 64 * 1024 * 1024;

/// `onboarding document`.
pub(super) fn write(voice: &mut Voice<'_>, home: &Path, arguments: &DocumentArguments) -> Result<ExitCode, Failure> {
    let target = &arguments.target;
    let profile = || file::read(home).map(|dossier| dossier.profile);
    let filled = match (arguments.annex, &arguments.run) {
        (Annex::Report, Some(run)) => return report(voice, home, run, target),
        (Annex::Commitment, _) => documents::commitment(&profile()?, target.date),
        (Annex::Authorization | Annex::Report, _) => documents::authorization(&profile()?, target.date),
    };
    let format = format(target, &[Format::Pdf, Format::Docx, Format::Html])?;
    let rendered = render(&filled.document, format).map_err(|error| Failure::file(&target.out, &error))?;
    put(target, &rendered.bytes)?;
    told(voice, target, &filled, &rendered, None)?;
    Ok(ExitCode::Done)
}

/// The report of a run that is in a file: nothing is filed, because a file proves nothing.
fn report(voice: &mut Voice<'_>, home: &Path, source: &Path, target: &Target) -> Result<ExitCode, Failure> {
    let format = format(target, &[Format::Pdf, Format::Docx, Format::Html, Format::Json])?;
    let run = of_file(source)?;
    let profile = file::read(home)?.profile;
    let filled = test_report::report(&profile, &run, target.date);
    let rendered = match format {
        Format::Json => {
            let bytes = serde_json::to_vec_pretty(&test_report::facts(&profile, &run));
            Ok(Rendered { bytes: bytes.map_err(std::io::Error::from)?, missing: Vec::new() })
        }
        format => render(&filled.document, format),
    };
    let rendered = rendered.map_err(|error| Failure::file(&target.out, &error))?;
    put(target, &rendered.bytes)?;
    told(voice, target, &filled, &rendered, Some(&run))?;
    Ok(ExitCode::Done)
}

fn format(target: &Target, allowed: &[Format]) -> Result<Format, Failure> {
    let name = target.out.to_string_lossy();
    Format::of(&name).filter(|format| allowed.contains(format)).ok_or_else(|| {
        let json = if allowed.contains(&Format::Json) { "、.json" } else { "" };
        let text = bilingual!(
            "{name}：文件名应以 .pdf、.docx、.html{json} 结尾",
            "{name}: the name ends with .pdf, .docx, .html{json}"
        );
        Failure::new(ExitCode::Usage, "document-format", text)
    })
}

fn put(target: &Target, bytes: &[u8]) -> Result<(), Failure> {
    let path = &target.out;
    let done = if target.force { durable::replace(path, bytes) } else { durable::write_new(path, bytes) };
    done.map_err(|error| {
        if error.kind() != std::io::ErrorKind::AlreadyExists {
            return Failure::new(ExitCode::Unreachable, error.code(), error.text());
        }
        let path = path.display();
        let text = bilingual!(
            "{path} 已存在；请换一个文件名，或用 --force 覆盖",
            "{path} exists; choose another name, or write over it with --force"
        );
        Failure::new(ExitCode::Usage, "file-exists", text)
    })
}

/// What was written, what is blank in it, and which characters could not be drawn.
fn told(
    voice: &mut Voice<'_>,
    target: &Target,
    filled: &Filled,
    rendered: &Rendered,
    run: Option<&Run>,
) -> Result<(), Failure> {
    let (path, bytes) = (target.out.display(), rendered.bytes.len());
    let codes: Vec<String> = rendered.missing.iter().map(|c| format!("U+{:04X}", u32::from(*c))).collect();
    if voice.json {
        let blank: Vec<&str> = filled.blank.iter().map(|field| field.name()).collect();
        voice.value(&json!({
            "file": path.to_string(), "bytes": bytes, "blank": blank, "missing_characters": codes,
            "run": run.map(|run| run.id), "conclusion": run.map(Run::conclusion),
        }))?;
        return Ok(());
    }
    voice.say(&bilingual!("已写入 {path}（{bytes} 字节）", "{path} is written ({bytes} bytes)"))?;
    if let Some(conclusion) = run.map(|run| run.conclusion().text()) {
        let (zh, en) = (conclusion.zh, conclusion.en);
        voice.say(&bilingual!("测试结论：{zh}", "conclusion: {en}"))?;
    }
    for field in &filled.blank {
        let (zh, en, name) = (field.text().zh, field.text().en, field.name());
        voice.say(&bilingual!("留空：{zh}（{name}）", "left blank: {en} ({name})"))?;
    }
    if !codes.is_empty() {
        let codes = codes.join(" ");
        voice.say(&bilingual!(
            "字体缺少以下字符，文件中以方框代替：{codes}；可改用 .docx",
            "the font lacks these characters, boxes stand in their place: {codes}; a .docx has them"
        ))?;
    }
    Ok(())
}

fn of_file(path: &Path) -> Result<Run, Failure> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_RUN).read_to_end(&mut bytes));
    read.map_err(|error| Failure::file(path, &error))?;
    serde_json::from_slice(&bytes).map_err(|error| {
        let path = path.display();
        let text = bilingual!(
            "{path} 不是 dxgate connectivity show --format json 的输出：{error}",
            "{path} was not written by dxgate connectivity show --format json: {error}"
        );
        Failure::new(ExitCode::Usage, "run-unreadable", text)
    })
}
