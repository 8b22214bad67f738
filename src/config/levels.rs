//! Levels of the pre-check: `[precheck.levels]` of the gateway, and `levels` of a partner over them.

use super::document::Section;
use crate::bilingual;
use crate::declaration::precheck::{Levels, Weight, catalogue};
use crate::ground::text::Bilingual;

/// `levels = ["R24 = error", "value-fixed = warning"]` of a partner.
pub(super) fn list(section: &Section<'_>) -> Levels {
    of(section.parsed_list("levels", line).unwrap_or_default())
}

/// `R24 = "error"` and so on in a table of its own.
pub(super) fn table(section: &Section<'_>) -> Levels {
    let mut levels = Vec::new();
    for (name, weight) in section.open_texts() {
        let read = weight.as_deref().and_then(read_weight).filter(|_| catalogue::knows(&name));
        match read {
            Some(weight) => levels.push((name, weight)),
            None => section.error(&name, "value-invalid", advice()),
        }
    }
    of(levels)
}

fn of(pairs: Vec<(String, Weight)>) -> Levels {
    let mut levels = Levels::default();
    for (name, weight) in pairs {
        // Only known names come here.
        let _ = levels.set(&name, weight);
    }
    levels
}

fn line(text: &str) -> Result<(String, Weight), Bilingual> {
    let (name, weight) = text.split_once('=').ok_or_else(advice)?;
    let (name, weight) = (name.trim(), read_weight(weight.trim()).ok_or_else(advice)?);
    if catalogue::knows(name) { Ok((name.to_owned(), weight)) } else { Err(advice()) }
}

fn read_weight(text: &str) -> Option<Weight> {
    match text {
        "off" => Some(Weight::Off),
        "warning" => Some(Weight::Warning),
        "error" => Some(Weight::Error),
        _ => None,
    }
}

fn advice() -> Bilingual {
    bilingual!(
        "应写成“规则或代码 = off|warning|error”，例如 \"R24 = error\"；规则和代码见 dxgate precheck 的输出。",
        "write a rule or code = off, warning or error, such as \"R24 = error\"; dxgate precheck shows rules and codes."
    )
}
