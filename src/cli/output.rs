//! Tables and names for people. Whatever came from outside passes [`printable`] before it reaches a terminal.

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use comfy_table::{Cell, Color, ContentArrangement, Table, presets};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::exit_code::ExitCode;
use super::failure::Failure;
use super::voice::{Tone, Voice};
use crate::bilingual;
use crate::ground::text::{Bilingual, Language, printable};
use crate::store::record::{Direction, State};

/// A table with headings in the reader's language.
pub fn table(voice: &mut Voice<'_>, headings: &[Bilingual], rows: &[Vec<String>]) -> io::Result<()> {
    toned_table(voice, headings, rows, (0, &[]))
}

/// The same, whose cells in one column (counted from 0) have these tones, row by row.
pub fn toned_table(
    voice: &mut Voice<'_>,
    headings: &[Bilingual],
    rows: &[Vec<String>],
    (toned, tones): (usize, &[Option<Tone>]),
) -> io::Result<()> {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    if voice.colours {
        table.enforce_styling();
    }
    table.set_header(headings.iter().map(|heading| heading.text(voice.language).to_owned()));
    for (number, row) in rows.iter().enumerate() {
        let tone = tones.get(number).copied().flatten().filter(|_| voice.colours);
        table.add_row(row.iter().enumerate().map(|(column, text)| {
            let cell = Cell::new(printable(text));
            tone.filter(|_| column == toned).map_or_else(|| cell.clone(), |tone| cell.clone().fg(colour(tone)))
        }));
    }
    writeln!(voice.out, "{table}")
}

fn colour(tone: Tone) -> Color {
    match tone {
        Tone::Good => Color::DarkGreen,
        Tone::Notable => Color::DarkYellow,
        Tone::Bad => Color::DarkRed,
    }
}

/// The tone of a message's state.
pub fn tone(state: State) -> Option<Tone> {
    match state {
        State::Delivered | State::Accepted => Some(Tone::Good),
        State::Held | State::Rejected => Some(Tone::Notable),
        State::Failed | State::Declined => Some(Tone::Bad),
        State::Queued
        | State::Composed
        | State::Sending
        | State::AwaitingReceipt
        | State::Cancelled
        | State::Received => None,
    }
}

/// `name: value` lines, aligned by a tab stop; absent values are left out.
pub fn fields(voice: &mut Voice<'_>, fields: &[(Bilingual, Option<String>)]) -> io::Result<()> {
    for (name, value) in fields {
        let Some(value) = value else { continue };
        let name = name.text(voice.language).to_owned();
        let separator = if voice.language == Language::Chinese { "：" } else { ": " };
        voice.line(&format!("{name}{separator}{value}"))?;
    }
    Ok(())
}

/// Shows something once, or again and again with so many seconds between, until somebody ends it. A terminal is cleared
/// before each time.
///
/// # Errors
/// That of `show`; the output is closed.
pub fn watched(
    voice: &mut Voice<'_>,
    every: Option<u16>,
    show: impl Fn(&mut Voice<'_>) -> Result<ExitCode, Failure>,
) -> Result<ExitCode, Failure> {
    let Some(every) = every else { return show(voice) };
    loop {
        if !voice.json && io::stdout().is_terminal() {
            write!(voice.out, "\u{1b}[H\u{1b}[2J")?;
            voice.mark()?;
        }
        show(voice)?;
        voice.out.flush()?;
        std::thread::sleep(Duration::from_secs(u64::from(every.max(1))));
    }
}

/// An instant in the machine's zone, to the second.
pub fn local_time(at: Timestamp) -> String {
    at.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// A number of bytes, short.
pub fn size(bytes: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    for (unit, one) in UNITS {
        if bytes >= one {
            let tenths = bytes.saturating_mul(10).checked_div(one).unwrap_or(0);
            return format!("{}.{} {unit}", tenths / 10, tenths % 10);
        }
    }
    format!("{bytes} B")
}

/// A state in words.
pub fn state(state: State) -> Bilingual {
    match state {
        State::Queued => bilingual!("排队中", "queued"),
        State::Composed => bilingual!("待发送", "composed"),
        State::Sending => bilingual!("发送中", "sending"),
        State::AwaitingReceipt => bilingual!("等待回执", "awaiting receipt"),
        State::Delivered => bilingual!("已送达", "delivered"),
        State::Failed => bilingual!("失败", "failed"),
        State::Held => bilingual!("已挂起", "held"),
        State::Cancelled => bilingual!("已取消", "cancelled"),
        State::Rejected => bilingual!("预检未通过", "rejected"),
        State::Received => bilingual!("已接收", "received"),
        State::Accepted => bilingual!("已接受", "accepted"),
        State::Declined => bilingual!("已拒收", "declined"),
    }
}

/// A direction in words.
pub fn direction(direction: Direction) -> Bilingual {
    match direction {
        Direction::Outbound => bilingual!("发出", "out"),
        Direction::Inbound => bilingual!("收到", "in"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_shows_control_characters_instead_of_obeying_them() {
        let mut out = Vec::new();
        let mut voice =
            Voice { out: &mut out, language: Language::Chinese, json: false, colours: false, environment: None };
        let rows = [vec!["a\u{1b}[31m\u{202e}b".to_owned(), "订单.xml".to_owned()]];
        table(&mut voice, &[bilingual!("名称", "name"), bilingual!("文件", "file")], &rows).expect("written");
        let text = String::from_utf8(out).expect("UTF-8");
        assert!(text.contains("名称") && text.contains("订单.xml"), "{text}");
        assert!(text.contains("\\u{1b}[31m\\u{202e}b"), "{text}");
        assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'), "{text}");
    }

    #[test]
    fn sizes_are_short() {
        assert_eq!((size(0), size(1023), size(1536)), ("0 B".into(), "1023 B".into(), "1.5 KiB".into()));
        assert_eq!(size(512 * 1024 * 1024), "512.0 MiB");
    }
}
