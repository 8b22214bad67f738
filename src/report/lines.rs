//! Breaking a text into lines, as Chinese is set (GB/T 15834: no closing sign begins a line, no opening sign ends one).
//!
//! Between ideographs a line may end anywhere; words of other scripts stay whole unless one is longer than a line.

use super::font::{Face, is_ideograph};

/// Signs that never begin a line.
const CLOSING: &str = "、。，．：；？！）》」』】〕〉”’…—～·%℃,.:;?!)]}>";
/// Signs that never end a line.
const OPENING: &str = "（《「『【〔〈“‘([{<￥¥№";
/// Signs inside of a word after which it may be broken.
const JOINTS: &str = "/@-_=&";

/// A character with what it looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inked {
    /// The character; never a control character.
    pub c: char,
    /// Whether a line is drawn below it.
    pub underline: bool,
}

/// Characters without control characters: line feeds end a paragraph's line, others become blanks.
pub fn inked(text: &str, underline: bool) -> impl Iterator<Item = Inked> {
    text.chars().map(move |c| Inked { c: if c.is_control() && c != '\n' { ' ' } else { c }, underline })
}

/// Breaks a text into lines of at most `width` ems, the first one shorter by `indent`. Blanks at the end of a broken
/// line are dropped. A text without characters is one empty line.
pub fn broken(face: &Face, text: &[Inked], width: f32, indent: f32) -> Vec<Vec<Inked>> {
    let mut lines = Vec::new();
    let mut room = width - indent;
    for paragraph in text.split(|inked| inked.c == '\n') {
        let mut rest = paragraph;
        loop {
            let end = end_of_line(face, rest, room);
            let (line, after) = rest.split_at(end);
            room = width;
            if after.is_empty() {
                lines.push(line.to_vec());
                break;
            }
            lines.push(without_blanks(line).to_vec());
            let blanks = after.iter().take_while(|inked| inked.c == ' ').count();
            rest = after.get(blanks..).unwrap_or_default();
        }
    }
    lines
}

fn without_blanks(line: &[Inked]) -> &[Inked] {
    let kept = line.iter().rposition(|inked| inked.c != ' ').map_or(0, |last| last.saturating_add(1));
    line.get(..kept).unwrap_or(line)
}

/// How many characters the first line of a text takes; at least one when there are any.
fn end_of_line(face: &Face, text: &[Inked], room: f32) -> usize {
    let (mut used, mut allowed) = (0.0, None);
    let mut characters = text.iter().map(|inked| inked.c).peekable();
    let mut before = None;
    let mut at = 0usize;
    while let Some(c) = characters.next() {
        if before.is_some_and(|before| may_break(before, c)) {
            allowed = Some(at);
        }
        // The width before a break has no room for the next script in it.
        let own = face.advance(c, None);
        if used + own > room + 0.001 && c != ' ' && at > 0 {
            return allowed.unwrap_or(at);
        }
        used += face.advance(c, characters.peek().copied());
        before = Some(c);
        at = at.saturating_add(1);
    }
    text.len()
}

/// Whether a line may end between two characters.
fn may_break(before: char, after: char) -> bool {
    if after == ' ' || CLOSING.contains(after) && before != ' ' || OPENING.contains(before) {
        return false;
    }
    if before == ' ' || is_wide(before) || is_wide(after) || (OPENING.contains(after) && is_wide(after)) {
        return true;
    }
    JOINTS.contains(before) && !(before == '-' && after.is_ascii_digit())
}

/// Ideographs and the signs that are as wide.
fn is_wide(c: char) -> bool {
    is_ideograph(c)
        || matches!(c, '\u{3000}'..='\u{303F}' | '\u{FF00}'..='\u{FF60}' | '“' | '”' | '‘' | '’' | '…' | '—')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str, width: f32) -> Vec<String> {
        let text: Vec<Inked> = inked(text, false).collect();
        let lines = broken(&Face::bundled(), &text, width, 0.0);
        lines.into_iter().map(|line| line.into_iter().map(|inked| inked.c).collect()).collect()
    }

    #[test]
    fn no_closing_sign_begins_a_line_and_no_opening_sign_ends_one() {
        assert_eq!(set("海关总署公告，第一号", 6.0), ["海关总署公", "告，第一号"]);
        assert_eq!(set("海关数据中心（石家庄）", 7.0), ["海关数据中心", "（石家庄）"]);
        let long = "本授权委托书声明：我系单位（甲）的“法定代表人”，现授权《乙》为我的合法代理人。".repeat(5);
        for width in 4..40u16 {
            for line in set(&long, f32::from(width)) {
                assert!(!line.starts_with(|c| CLOSING.contains(c)), "{width}: {line}");
                assert!(!line.ends_with(|c| OPENING.contains(c)), "{width}: {line}");
                assert!(Face::bundled().width(&line) <= f32::from(width) + 0.01, "{width}: {line}");
            }
        }
    }

    #[test]
    fn words_stay_whole_unless_longer_than_a_line_and_nothing_but_blanks_is_lost() {
        assert_eq!(set("网关 dxgate version", 4.5), ["网关", "dxgate", "version"]);
        let digest = "0123456789abcdef".repeat(8);
        let lines = set(&digest, 10.0);
        assert!(lines.len() > 3 && lines.concat() == digest, "{lines:?}");
        assert_eq!(set("2026-11-27", 3.0).concat(), "2026-11-27");
        assert_eq!(set("第一行\n\n第三行", 10.0), ["第一行", "", "第三行"]);
        assert_eq!(set("", 10.0), [""]);
        assert_eq!(set("a\tb\u{7}c", 10.0), ["a b c"]);
    }

    #[test]
    fn a_first_line_is_set_in() {
        let text: Vec<Inked> = inked("一二三四五六七八", false).collect();
        let lines = broken(&Face::bundled(), &text, 4.0, 2.0);
        assert_eq!(lines.iter().map(Vec::len).collect::<Vec<_>>(), [2, 4, 2]);
    }
}
