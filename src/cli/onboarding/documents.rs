//! `dxgate onboarding document` and `dxgate connectivity report`: an annex as a file, and what is on file about it.

use std::path::Path;

use data_encoding::HEXLOWER;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::bilingual;
use crate::cli::Context;
use crate::cli::arguments::{Annex, DocumentArguments, RunName, RunSource, Target};
use crate::cli::exit_code::ExitCode;
use crate::cli::failure::Failure;
use crate::cli::runs;
use crate::cli::voice::Voice;
use crate::connectivity::run::Run;
use crate::ground::clock::{Clock, SystemClock};
use crate::ground::durable;
use crate::onboarding::documents::{self, Filled, test_report};
use crate::onboarding::dossier::FiledReport;
use crate::onboarding::{file, today};
use crate::report::{Format, Rendered, render};

/// `onboarding document`.
pub(super) fn write(
    context: &mut Context<'_>,
    home: &Path,
    arguments: &DocumentArguments,
) -> Result<ExitCode, Failure> {
    let target = &arguments.target;
    let profile = || file::read(home).map(|dossier| dossier.profile);
    let filled = match (arguments.annex, &arguments.run) {
        (Annex::Report, Some(run)) => return report(context, run, target),
        (Annex::Commitment, _) => documents::commitment(&profile()?, target.date),
        (Annex::Authorization | Annex::Report, _) => documents::authorization(&profile()?, target.date),
    };
    let format = format(target, &[Format::Pdf, Format::Docx, Format::Html])?;
    let rendered = render(&filled.document, format).map_err(|error| Failure::file(&target.out, &error))?;
    put(target, &rendered.bytes)?;
    told(&mut context.voice, target, &filled, &rendered, None)?;
    Ok(ExitCode::Done)
}

/// `connectivity report`, and `onboarding document report`. A run of the journal is filed in the dossier together with its
/// report; one in a file is not, because a file proves nothing.
pub(in crate::cli) fn report(
    context: &mut Context<'_>,
    source: &RunSource,
    target: &Target,
) -> Result<ExitCode, Failure> {
    let format = format(target, &[Format::Pdf, Format::Docx, Format::Html, Format::Json])?;
    let home = super::home(context);
    let (run, journalled) = match source {
        RunSource::Journal(name) => (runs::find(context, *name)?, true),
        RunSource::File(path) => (runs::of_file(path)?, false),
    };
    let profile = file::read(&home)?.profile;
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
    if journalled {
        // What nobody can sign is no report for the road.
        let report = (format != Format::Json).then(|| filed(&run, target, &rendered));
        file::change(&home, |dossier| {
            dossier.file_run(&run, today(SystemClock.now()));
            report.into_iter().for_each(|report| dossier.file_report(report));
            Ok::<(), Failure>(())
        })?;
    }
    told(&mut context.voice, target, &filled, &rendered, Some(&run))?;
    Ok(ExitCode::Done)
}

fn filed(run: &Run, target: &Target, rendered: &Rendered) -> FiledReport {
    let sha256 = HEXLOWER.encode(&Sha256::digest(&rendered.bytes));
    FiledReport { run: run.id, file: target.out.display().to_string(), sha256, on: today(SystemClock.now()) }
}

/// `onboarding file`.
pub(super) fn file_run(context: &mut Context<'_>, home: &Path, name: RunName) -> Result<ExitCode, Failure> {
    let run = runs::find(context, name)?;
    file::change(home, |dossier| {
        dossier.file_run(&run, today(SystemClock.now()));
        Ok::<(), Failure>(())
    })?;
    let (id, conclusion) = (run.id, run.conclusion().text());
    let (zh, en) = (conclusion.zh, conclusion.en);
    let mut text = bilingual!("已归档：{id}，{zh}", "filed: {id}, {en}");
    if run.rehearsal || run.environment != "test" {
        text.zh.push_str("；不是测试环境中的联通测试，不能作为接入依据");
        text.en.push_str("; not a test in the test environment, so it opens nothing");
    }
    super::recorded(&mut context.voice, home, &text)
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
