//! Words for people: two languages side by side, and untrusted text made safe to show.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The languages in which dxgate speaks to people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    /// Simplified Chinese.
    Chinese,
    /// English.
    #[default]
    English,
}

impl Language {
    /// The language of a POSIX locale name such as `zh_CN.UTF-8` (RFC 5646 tags work too).
    pub fn from_locale(locale: &str) -> Language {
        let chinese = locale.get(..2).is_some_and(|tag| tag.eq_ignore_ascii_case("zh"));
        if chinese { Language::Chinese } else { Language::English }
    }
}

/// One statement in Chinese and in English. Built by [`bilingual!`](crate::bilingual).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bilingual {
    /// Simplified Chinese.
    pub zh: String,
    /// English.
    pub en: String,
}

impl Bilingual {
    /// The statement in the reader's language.
    pub fn text(&self, language: Language) -> &str {
        match language {
            Language::Chinese => &self.zh,
            Language::English => &self.en,
        }
    }
}

/// English, for logs and `Display` chains.
impl fmt::Display for Bilingual {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.en)
    }
}

/// `bilingual!("中文 {x}", "english {x}")`: a [`Bilingual`](crate::ground::text::Bilingual) with captured arguments.
#[macro_export]
macro_rules! bilingual {
    ($zh:literal, $en:literal $(, $arg:expr)* $(,)?) => {
        $crate::ground::text::Bilingual { zh: format!($zh $(, $arg)*), en: format!($en $(, $arg)*) }
    };
}

/// Untrusted text for a terminal or a log line: control and bidirectional-override characters become `\u{…}`.
pub fn printable(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || is_format_control(c) {
            safe.extend(c.escape_unicode());
        } else {
            safe.push(c);
        }
    }
    safe
}

/// Bidirectional controls, line separators and zero-width characters that can disguise a name.
pub fn is_format_control(c: char) -> bool {
    matches!(c, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_and_direction_characters_are_shown_not_obeyed() {
        assert_eq!(printable("a\r\nb\u{202E}c"), "a\\u{d}\\u{a}b\\u{202e}c");
        assert_eq!(printable("订单 1"), "订单 1");
    }

    #[test]
    fn both_languages_take_the_same_arguments() {
        let file = "a.xml";
        let text = bilingual!("文件 {file}", "file {file}");
        assert_eq!((text.text(Language::Chinese), text.text(Language::English)), ("文件 a.xml", "file a.xml"));
    }
}
