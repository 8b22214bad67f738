//! `[environment]` of `gateway.toml`: test or production, and when.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use super::document::Section;
use super::quantity;
use super::station::{dxpid, one_of};
use crate::bilingual;
use crate::partner::{Environment, EnvironmentName, Station};

/// Bytes looked at for a mark.
const LARGEST: u64 = 4 * 1024 * 1024;

/// Reads the section.
pub(super) fn read(section: &Section<'_>) -> Environment {
    let name = section.parsed("name", |text| one_of(text, &["test", "production"]));
    let other_dxpids = section.parsed_list("other_dxpids", dxpid).unwrap_or_default();
    let (from, until) = (section.parsed("from", quantity::instant), section.parsed("until", quantity::instant));
    if let (Some(from), Some(until)) = (from, until)
        && from >= until
    {
        let text = bilingual!(
            "时间窗口的结束不晚于开始，任何报文都不会发送。",
            "the window ends before it begins: nothing would ever be sent."
        );
        section.error("until", "environment-window-empty", text);
    }
    let name = if name == Some("test") { EnvironmentName::Test } else { EnvironmentName::Production };
    Environment { name, other_dxpids, from, until }
}

/// The environment of a home by its `gateway.toml` alone, for a mark; none when the file says nothing of environments, or
/// cannot be read.
pub fn environment_at(file: &Path) -> Option<EnvironmentName> {
    let mut text = String::new();
    File::open(file).and_then(|file| file.take(LARGEST).read_to_string(&mut text)).ok()?;
    let table: toml::Table = toml::from_str(&text).ok()?;
    let name = table.get("environment")?.get("name").and_then(toml::Value::as_str);
    Some(if name == Some("test") { EnvironmentName::Test } else { EnvironmentName::Production })
}

/// What can be judged with the station alone.
pub(super) fn check(section: &Section<'_>, station: &Station) {
    if let Some(own) = station.dxpid.as_ref().filter(|own| station.environment.is_foreign(own)) {
        let text = bilingual!(
            "含有本环境自己的 DXPID {own}。此处只列出本企业在其他环境的 DXPID。",
            "holds this environment's own DXPID {own}. List those of the station's other environments."
        );
        section.error("other_dxpids", "environment-own-dxpid", text);
    }
}
