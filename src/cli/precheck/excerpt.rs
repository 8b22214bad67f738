//! The line a finding is about, for people: the one element, and nobody else's data.

use std::io::{self, Read};
use std::path::Path;

use crate::declaration::precheck::{Finding, masked};
use crate::declaration::{decoded, envelope};
use crate::ground::limits::Limits;

/// Largest file that is read again for its lines.
const MAX_BYTES: u64 = 64 * 1024 * 1024;
/// Characters shown.
const MAX_SHOWN: usize = 100;

/// The text that the lines of a file's findings count in, read once.
pub(super) struct Source {
    outer: Lines,
    /// The document inside an envelope.
    inner: Lines,
}

/// A text and where its lines begin: a large file may have a thousand findings.
struct Lines {
    text: String,
    starts: Vec<usize>,
}

impl Lines {
    fn of(text: String) -> Lines {
        let behind = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at.saturating_add(1));
        let starts = std::iter::once(0).chain(behind).collect();
        Lines { text, starts }
    }

    /// The line of this number, from 0, without its end.
    fn get(&self, number: usize) -> Option<&str> {
        let start = *self.starts.get(number)?;
        let end = self.starts.get(number.saturating_add(1)).map_or(self.text.len(), |next| next.saturating_sub(1));
        let line = self.text.get(start..end)?;
        Some(line.strip_suffix('\r').unwrap_or(line))
    }
}

impl Source {
    /// Reads the file; what cannot be read has no lines. Of standard input there is what was `kept`.
    pub(super) fn read(path: &Path, kept: Option<&[u8]>) -> Source {
        let small = std::fs::metadata(path).is_ok_and(|file| file.is_file() && file.len() <= MAX_BYTES);
        let bytes = match kept {
            Some(kept) => kept.to_vec(),
            None if small => std::fs::read(path).unwrap_or_default(),
            None => Vec::new(),
        };
        let mut inside = Vec::new();
        if envelope::unwrap(&mut &bytes[..], &mut inside, &Limits::default()).is_err() {
            inside.clear();
        }
        Source { outer: Lines::of(decoded(&bytes)), inner: Lines::of(decoded(&inside)) }
    }

    /// The element a finding is about, with personal data masked.
    pub(super) fn excerpt(&self, finding: &Finding) -> Option<String> {
        let inside = finding.path.starts_with("DxpMsg/Data/");
        let text = if inside { &self.inner } else { &self.outer };
        let number = usize::try_from(finding.line.checked_sub(1)?).ok()?;
        let line = text.get(number)?.trim_start_matches('\u{FEFF}');
        let skipped = usize::try_from(finding.column.checked_sub(1)?).ok()?;
        let (at, _) = line.char_indices().nth(skipped)?;
        let element = line.get(at..)?;
        let end = match element.find("</") {
            Some(close) => element.get(close..)?.find('>').map_or(element.len(), |more| close + more + 1),
            None => element.len(),
        };
        let element = element.get(..end)?;
        // A finding without a value may stand at any element, one that holds personal data too.
        let hidden = finding.personal || finding.value.is_none();
        let shown = match (element.split_once('>'), hidden) {
            (Some((tag, rest)), true) => match rest.split_once('<') {
                Some((value, close)) if close.starts_with('/') => format!("{tag}>{}<{close}", masked(value)),
                // What it holds, or goes on with, may be personal too.
                Some((value, _)) => format!("{tag}>{}", masked(value)),
                None => format!("{tag}>{}", masked(rest)),
            },
            _ => element.to_owned(),
        };
        let mut short: String = shown.chars().take(MAX_SHOWN).collect();
        if short.len() < shown.len() {
            short.push('…');
        }
        Some(short)
    }
}

/// As much of an input as is kept for its lines.
pub(super) fn beginning(input: &mut dyn Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    input.take(MAX_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_those_of_the_text() {
        let text = "first\r\n\n海关\nlast";
        let lines = Lines::of(text.to_owned());
        let all: Vec<&str> = (0..).map_while(|number| lines.get(number)).collect();
        assert_eq!(all, text.lines().collect::<Vec<_>>());
    }
}
