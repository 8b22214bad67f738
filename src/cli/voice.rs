//! Where and how a command speaks: an output, a language, a form.

use std::io::{self, Write};

use serde::Serialize;

use crate::ground::text::{Bilingual, Language, printable};

/// An output with the reader's language and the form asked for with `--format`.
pub struct Voice<'w> {
    /// Usually standard output.
    pub out: &'w mut dyn Write,
    /// Language of texts for people.
    pub language: Language,
    /// JSON instead of text for people.
    pub json: bool,
}

impl Voice<'_> {
    /// A line for people; control characters are shown, not obeyed.
    ///
    /// # Errors
    /// The output is closed.
    pub fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{}", printable(text))
    }

    /// A bilingual line for people.
    ///
    /// # Errors
    /// The output is closed.
    pub fn say(&mut self, text: &Bilingual) -> io::Result<()> {
        let text = text.text(self.language).to_owned();
        self.line(&text)
    }

    /// Bilingual text of several lines for people; everything but the line ends is shown, not obeyed.
    ///
    /// # Errors
    /// The output is closed.
    pub fn paragraph(&mut self, text: &Bilingual) -> io::Result<()> {
        text.text(self.language).to_owned().lines().try_for_each(|line| self.line(line))
    }

    /// A failure: `code: text`, or `{"code": …, "text": {"zh": …, "en": …}}`.
    ///
    /// # Errors
    /// The output is closed.
    pub fn failure(&mut self, code: &str, text: &Bilingual) -> io::Result<()> {
        if self.json {
            return self.value(&serde_json::json!({ "code": code, "text": text }));
        }
        let line = format!("[{code}] {}", text.text(self.language));
        self.line(&line)
    }

    /// One JSON value, indented.
    ///
    /// # Errors
    /// The output is closed.
    pub fn value(&mut self, value: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut *self.out, value)?;
        writeln!(self.out)
    }
}
