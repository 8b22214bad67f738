//! `dxgate init DIR`: a runnable home.

use std::io;
use std::path::Path;

use jiff::Timestamp;

use super::exit_code::ExitCode;
use super::voice::Voice;
use crate::bilingual;
use crate::config::home::{self, HomeError, HomePlan};

/// Makes the home and says what to do next.
///
/// # Errors
/// The output is closed.
pub fn run(folder: &Path, plan: &HomePlan, now: Timestamp, voice: &mut Voice<'_>) -> io::Result<ExitCode> {
    let home = match home::create(folder, plan, now) {
        Ok(home) => home,
        Err(error) => {
            voice.failure(error.code(), &error.text())?;
            return Ok(match error {
                HomeError::Files(_) => ExitCode::Unreachable,
                HomeError::NotEmpty(_) | HomeError::Key(_) => ExitCode::Usage,
            });
        }
    };
    if voice.json {
        voice.value(&serde_json::json!({
            "folder": home.folder, "config": home.file, "certificate": home.certificate, "tokenFile": home.token_file,
        }))?;
        return Ok(ExitCode::Done);
    }
    let (config, certificate) = (home.file.display(), home.certificate.display());
    let partners = home.folder.join("partners");
    let partners = partners.display();
    for text in [
        bilingual!("已创建 {config}", "made {config}"),
        bilingual!("1. 把证书 {certificate} 交给伙伴", "1. give the certificate {certificate} to your partners"),
        bilingual!(
            "2. 在 {partners} 中加入伙伴文件（参照其中的 *.toml.example）",
            "2. add a file for each partner to {partners}, after the *.toml.example files there"
        ),
        bilingual!("3. 检查：dxgate doctor --config {config}", "3. check: dxgate doctor --config {config}"),
        bilingual!("4. 启动：dxgate serve --config {config}", "4. start: dxgate serve --config {config}"),
    ] {
        voice.say(&text)?;
    }
    if plan.dxpid.is_some() {
        voice.say(&bilingual!(
            "keys/declarations.key 是自制的 SM2 签名密钥，仅供测试 [dxp.signature]；正式密钥由海关核发",
            "keys/declarations.key is a self-made SM2 key for tests of [dxp.signature]; customs issues the real one"
        ))?;
    }
    Ok(ExitCode::Done)
}

#[cfg(test)]
#[path = "home_tests.rs"]
mod tests;
