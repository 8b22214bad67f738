//! One line per declaration while the demonstration runs; nothing when nobody looks at a terminal.

use std::io::IsTerminal as _;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::table::Row;
use crate::cli::voice::Voice;
use crate::ground::text::Language;

/// A spinner for each file.
pub(super) struct Progress {
    bars: Vec<ProgressBar>,
    language: Language,
}

impl Progress {
    pub(super) fn new(files: &[String], voice: &Voice<'_>) -> Progress {
        let visible = !voice.json && std::io::stderr().is_terminal();
        let group = MultiProgress::new();
        let style = ProgressStyle::with_template("{spinner} {prefix:28} {msg}");
        let bars = if visible {
            files
                .iter()
                .map(|file| {
                    let bar = group.add(ProgressBar::new_spinner().with_prefix(file.clone()));
                    style.iter().for_each(|style| bar.set_style(style.clone()));
                    bar.enable_steady_tick(std::time::Duration::from_millis(100));
                    bar
                })
                .collect()
        } else {
            Vec::new()
        };
        Progress { bars, language: voice.language }
    }

    pub(super) fn show(&mut self, rows: &[Row]) {
        for (bar, row) in self.bars.iter().zip(rows) {
            bar.set_message(row.step().text(self.language).to_owned());
        }
    }

    pub(super) fn finish(self) {
        self.bars.iter().for_each(ProgressBar::finish_and_clear);
    }
}
