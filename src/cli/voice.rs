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
    /// States and levels have colours.
    pub colours: bool,
}

/// How something is, in a colour where there are any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// As it should be: green.
    Good,
    /// A person should look: yellow.
    Notable,
    /// Something failed: red.
    Bad,
}

impl Tone {
    /// The colour of ECMA-48 8.3.117.
    fn code(self) -> u8 {
        match self {
            Tone::Good => 32,
            Tone::Notable => 33,
            Tone::Bad => 31,
        }
    }
}

/// Whether there are colours: on a terminal that has them, unless `NO_COLOR` says anything (no-color.org).
pub fn colours(environment: &dyn Fn(&str) -> Option<String>, terminal: bool) -> bool {
    let unwanted = environment("NO_COLOR").is_some_and(|value| !value.is_empty());
    terminal && !unwanted && environment("TERM").is_some_and(|kind| kind != "dumb" && !kind.is_empty())
}

impl Voice<'_> {
    /// A line for people; control characters are shown, not obeyed.
    ///
    /// # Errors
    /// The output is closed.
    pub fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{}", printable(text))
    }

    /// The same with a word in its tone before it.
    ///
    /// # Errors
    /// The output is closed.
    pub fn toned(&mut self, (tone, word): (Tone, &str), text: &str) -> io::Result<()> {
        let (word, text) = (printable(word), printable(text));
        if self.colours {
            return writeln!(self.out, "\u{1b}[{}m{word}\u{1b}[0m  {text}", tone.code());
        }
        writeln!(self.out, "{word}  {text}")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_for_terminals_that_want_them_and_never_for_what_is_shown() {
        let on = |no_color: Option<&str>, term: Option<&str>, terminal: bool| {
            let ask = |name: &str| if name == "NO_COLOR" { no_color } else { term }.map(str::to_owned);
            colours(&ask, terminal)
        };
        assert!(on(None, Some("xterm"), true) && on(Some(""), Some("xterm"), true));
        assert!(!on(Some("1"), Some("xterm"), true) && !on(None, Some("dumb"), true) && !on(None, None, true));
        assert!(!on(None, Some("xterm"), false));
        for (colours, begin) in [(true, "\u{1b}[31merror\u{1b}[0m  "), (false, "error  ")] {
            let mut out = Vec::new();
            let mut voice = Voice { out: &mut out, language: Language::English, json: false, colours };
            voice.toned((Tone::Bad, "error"), "\u{1b}[2Jname").expect("written");
            assert_eq!(String::from_utf8(out).expect("text"), format!("{begin}\\u{{1b}}[2Jname\n"));
        }
    }
}
