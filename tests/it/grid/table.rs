//! The grid for people: a section of Markdown for each peer and direction.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use super::cells::{COMPRESSIONS, Cell};

/// What is shown of one cell.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shown {
    Pass,
    /// The peer cannot, and why.
    Cannot(String),
}

/// Where sections go in a full run: `DXGATE_INTEROP` names the folder.
pub fn folder() -> Option<PathBuf> {
    std::env::var_os("DXGATE_INTEROP").map(PathBuf::from)
}

/// Writes the section of a peer and a direction.
pub fn write(file: &str, title: &str, permutations: &[(Cell, Shown)], algorithms: &[(Cell, Shown)]) {
    let Some(folder) = folder() else { return };
    let mut notes = Notes::default();
    let mut text = format!("## {title}\n\n");
    let total = permutations.len() + algorithms.len();
    let passed = permutations.iter().chain(algorithms).filter(|(_, shown)| *shown == Shown::Pass).count();
    writeln!(text, "{passed} of {total} cells pass; the others the peer cannot.\n").unwrap();
    text += &permutation_table(permutations, &mut notes);
    text += &algorithm_table(algorithms, &mut notes);
    text += &notes.text();
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(format!("{file}.md")), text).unwrap();
}

/// Writes the section of a peer and a direction between EC keys.
pub fn write_elliptic(file: &str, title: &str, cells: &[(Cell, Shown)]) {
    let Some(folder) = folder() else { return };
    let mut notes = Notes::default();
    let mut text = format!("## {title}\n\n{} cells pass.\n\n", cells.len());
    text += &cipher_table(cells, &mut notes);
    text += "\n| ECDSA | sync, signed MDN | sync, unsigned | async, signed | async, unsigned |\n|---|---|---|---|---|\n|  |";
    for (mdn, mdn_signed) in [("sync", true), ("sync", false), ("async", true), ("async", false)] {
        let here = cells
            .iter()
            .filter(|(cell, _)| !cell.encrypted() && (cell.mdn, cell.mdn_signed) == (mdn, mdn_signed))
            .map(|(cell, shown)| (cell.digest, shown));
        write!(text, " {} |", notes.digests(&here.collect::<Vec<_>>())).unwrap();
    }
    text += "\n\n";
    text += &notes.text();
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(format!("{file}.md")), text).unwrap();
}

fn permutation_table(cells: &[(Cell, Shown)], notes: &mut Notes) -> String {
    let mut text = "| message | compression | sync, signed MDN | sync, unsigned | async, signed | async, unsigned |\n\
                    |---|---|---|---|---|---|\n"
        .to_owned();
    for (what, signed, encrypted) in [
        ("plain", false, false),
        ("signed", true, false),
        ("encrypted", false, true),
        ("signed, encrypted", true, true),
    ] {
        for compress in COMPRESSIONS {
            write!(text, "| {what} | {compress} |").unwrap();
            for (mdn, mdn_signed) in [("sync", true), ("sync", false), ("async", true), ("async", false)] {
                let here = cells.iter().filter(|(cell, _)| {
                    (cell.signed(), cell.encrypted(), cell.compress) == (signed, encrypted, compress)
                        && (cell.mdn, cell.mdn_signed) == (mdn, mdn_signed)
                });
                let here: Vec<(&str, &Shown)> = here.map(|(cell, shown)| (cell.digest, shown)).collect();
                write!(text, " {} |", notes.digests(&here)).unwrap();
            }
            text.push('\n');
        }
    }
    text + "\n"
}

fn algorithm_table(cells: &[(Cell, Shown)], notes: &mut Notes) -> String {
    let mut text = cipher_table(cells, notes);
    let pss: Vec<(&str, &Shown)> =
        cells.iter().filter(|(cell, _)| cell.sign == "rsa-pss").map(|(cell, shown)| (cell.digest, shown)).collect();
    writeln!(text, "\nRSA-PSS: {}\n", notes.digests(&pss)).unwrap();
    let md5: Vec<(&str, &Shown)> =
        cells.iter().filter(|(cell, _)| cell.digest == "md5").map(|(cell, shown)| (cell.mdn, shown)).collect();
    if !md5.is_empty() {
        writeln!(text, "MD5: {}\n", notes.digests(&md5)).unwrap();
    }
    text
}

/// Ciphers × key transports.
fn cipher_table(cells: &[(Cell, Shown)], notes: &mut Notes) -> String {
    let mut rows: BTreeMap<(&str, &str), Vec<(&str, &Shown)>> = BTreeMap::new();
    for (cell, shown) in cells.iter().filter(|(cell, _)| cell.encrypted()) {
        let form = if cell.encrypt.ends_with("gcm") { cell.gcm_form } else { "" };
        rows.entry((cell.encrypt, form)).or_default().push((cell.key_transport, shown));
    }
    let columns: Vec<&str> = rows.values().next().into_iter().flatten().map(|(transport, _)| *transport).collect();
    let mut text = format!("| cipher | {} |\n|---|{}\n", columns.join(" | "), "---|".repeat(columns.len()));
    for ((cipher, form), cells) in &rows {
        let form = if form.is_empty() { String::new() } else { format!(", {form}") };
        write!(text, "| {cipher}{form} |").unwrap();
        for (_, shown) in cells {
            write!(text, " {} |", notes.one(shown)).unwrap();
        }
        text.push('\n');
    }
    text
}

/// Reasons, numbered as they come up.
#[derive(Default)]
struct Notes(Vec<String>);

impl Notes {
    fn one(&mut self, shown: &Shown) -> String {
        let Shown::Cannot(why) = shown else { return "pass".to_owned() };
        let number = self.0.iter().position(|note| note == why).unwrap_or_else(|| {
            self.0.push(why.clone());
            self.0.len() - 1
        });
        format!("– [{}]", number + 1)
    }

    /// One word when all digests are alike, else a word for each.
    fn digests(&mut self, cells: &[(&str, &Shown)]) -> String {
        let Some((_, first)) = cells.first() else { return String::new() };
        if cells.iter().all(|(_, shown)| shown == first) {
            let count = if cells.len() > 1 { format!(" ×{}", cells.len()) } else { String::new() };
            return format!("{}{count}", self.one(first));
        }
        let each: Vec<String> = cells.iter().map(|(digest, shown)| format!("{digest} {}", self.one(shown))).collect();
        each.join(", ")
    }

    fn text(&self) -> String {
        let lines: String = self.0.iter().enumerate().map(|(at, note)| format!("- [{}] {note}\n", at + 1)).collect();
        if lines.is_empty() { lines } else { lines + "\n" }
    }
}

/// Writes what came of odd names, of the ways that messages travel, and of faults.
pub fn write_faults(file: &str, title: &str, rows: &[(&str, String)]) {
    let Some(folder) = folder() else { return };
    let mut text = format!("### {title}: odd names, transfer and faults\n\n| case | what came of it |\n|---|---|\n");
    for (what, shown) in rows {
        writeln!(text, "| {what} | {shown} |").unwrap();
    }
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(format!("{file}.md")), text + "\n").unwrap();
}

/// Writes which refusals were seen.
pub fn write_refusals(file: &str, title: &str, rows: &[(&str, String)]) {
    let Some(folder) = folder() else { return };
    let mut text = format!("### {title}: refused as agreed\n\n| message | what the peer was told |\n|---|---|\n");
    for (what, told) in rows {
        writeln!(text, "| {what} | `{told}` |").unwrap();
    }
    std::fs::write(folder.join(format!("{file}.md")), text + "\n").unwrap();
}
