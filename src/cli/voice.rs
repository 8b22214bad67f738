//! Where and how a command speaks: an output, a language, a form.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::{Map, Value};

use crate::ground::text::{Bilingual, Language, printable};
use crate::partner::EnvironmentName;

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
    /// The station's environment, if it has several: every output says which one it is about.
    pub environment: Option<EnvironmentName>,
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

    /// One JSON value, indented. Objects, and those of a list, say of which environment they are.
    ///
    /// # Errors
    /// The output is closed.
    pub fn value(&mut self, value: &impl Serialize) -> io::Result<()> {
        match self.environment {
            None => serde_json::to_writer_pretty(&mut *self.out, value)?,
            Some(environment) => {
                serde_json::to_writer_pretty(&mut *self.out, &marked(serde_json::to_value(value)?, environment))?;
            }
        }
        writeln!(self.out)
    }

    /// For people: of which environment what follows is, coloured on a terminal.
    ///
    /// # Errors
    /// The output is closed.
    pub fn mark(&mut self) -> io::Result<()> {
        let Some(environment) = self.environment.filter(|_| !self.json) else { return Ok(()) };
        let name = environment.text();
        let name = name.text(self.language);
        // Black on yellow, and white on red: nobody takes one for the other.
        let colour = match environment {
            EnvironmentName::Test => "30;43",
            EnvironmentName::Production => "97;41",
        };
        match self.colours {
            true => writeln!(self.out, "\u{1b}[1;{colour}m {name} \u{1b}[0m"),
            false => writeln!(self.out, "[{name}]"),
        }
    }
}

fn marked(value: Value, environment: EnvironmentName) -> Value {
    let mark = |mut object: Map<String, Value>| {
        object.entry("environment").or_insert_with(|| environment.name().into());
        Value::Object(object)
    };
    match value {
        Value::Object(object) => mark(object),
        Value::Array(values) => {
            let values = values.into_iter().map(|value| match value {
                Value::Object(object) => mark(object),
                other => other,
            });
            Value::Array(values.collect())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(environment: Option<EnvironmentName>, json: bool, colours: bool) -> String {
        let mut out = Vec::new();
        let mut voice = Voice { out: &mut out, language: Language::Chinese, json, colours, environment };
        voice.mark().expect("written");
        if json {
            voice.value(&serde_json::json!([{ "id": 1 }, { "environment": "own" }, 2])).expect("written");
        }
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn every_output_of_a_station_with_environments_says_which_one_and_in_colour_only_on_a_terminal() {
        let (test, production) = (Some(EnvironmentName::Test), Some(EnvironmentName::Production));
        assert_eq!((said(test, false, false), said(None, false, true)), ("[测试环境]\n".to_owned(), String::new()));
        let (yellow, red) = (said(test, false, true), said(production, false, true));
        assert!(
            yellow.contains("\u{1b}[1;30;43m 测试环境") && red.contains("\u{1b}[1;97;41m 生产环境"),
            "{yellow}{red}"
        );
        let values: Value = serde_json::from_str(&said(test, true, true)).expect("JSON and nothing else");
        assert_eq!(values, serde_json::json!([{ "id": 1, "environment": "test" }, { "environment": "own" }, 2]));
    }

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
            let mut voice =
                Voice { out: &mut out, language: Language::English, json: false, colours, environment: None };
            voice.toned((Tone::Bad, "error"), "\u{1b}[2Jname").expect("written");
            assert_eq!(String::from_utf8(out).expect("text"), format!("{begin}\\u{{1b}}[2Jname\n"));
        }
    }
}
