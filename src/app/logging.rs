//! Logs: structured, to standard error, for people or as JSON lines. Never payloads or keys, and nothing that a stranger
//! wrote so that it would be obeyed where it is read: control characters are escaped by the formatter, characters that
//! turn or hide text by [`Plain`], in a way that JSON reads as the same text.

use std::io::{self, IsTerminal as _, Write};

use tracing_subscriber::EnvFilter;

use crate::config::{LogFormat, LogSettings};
use crate::ground::text::is_format_control;

/// Starts logging for the process, coloured for a terminal alone; later calls change nothing.
pub fn start_logging(settings: &LogSettings) {
    let filter = EnvFilter::try_new(&settings.level).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(|| Plain(io::stderr()));
    let builder = if io::stderr().is_terminal() { builder } else { builder.with_ansi(false) };
    let _ = match settings.format {
        LogFormat::Human => builder.with_target(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
}

/// Writes what it is given with `\u202e` for such a character. Lines come whole.
struct Plain<W>(W);

impl<W: Write> Write for Plain<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match std::str::from_utf8(bytes) {
            Ok(text) if text.contains(is_format_control) => self.0.write_all(escaped(text).as_bytes())?,
            _ => self.0.write_all(bytes)?,
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if is_format_control(c) {
            safe.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            safe.push(c);
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_that_turn_text_around_reach_no_log_and_json_stays_the_same() {
        let line = serde_json::json!({ "path": "outbox/\u{202e}lmx.redro 订单\u{feff}" });
        let mut written = Vec::new();
        Plain(&mut written).write_all(line.to_string().as_bytes()).expect("memory");
        let text = String::from_utf8(written).expect("text");
        assert!(!text.contains(is_format_control) && text.contains("订单"), "{text}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).expect("JSON"), line);
    }
}
