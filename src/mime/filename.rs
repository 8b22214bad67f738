//! Names that partners give their payloads: kept as data, and made safe before they come near a folder.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::Headers;
use super::content_type::{ENCODED_WORD, has_many_words, parse_parameters};
use super::sections::in_one_form;

/// Longest safe name in bytes: leaves room for suffixes below the 255 of common file systems.
const MAX_BYTES: usize = 180;
/// Longest extension that survives shortening, in bytes, dot included.
const MAX_EXTENSION: usize = 16;
/// The name of a payload whose own name leaves nothing usable.
const NAMELESS: &str = "payload";

/// The name a partner gave a payload, as received and made safe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileName {
    /// As received, decoded (RFC 2231, RFC 2047, raw UTF-8). Data only: never a path, escaped before it is shown.
    pub original: String,
    /// Made by [`safe_file_name`].
    pub safe: String,
}

/// The file name of an entity: `filename` of Content-Disposition (RFC 2183 2.3), else `name` of Content-Type.
pub fn file_name(headers: &Headers) -> Option<FileName> {
    let from = |field: &str, parameter: &str| name_in(&quoted_once(headers.get(field)?), parameter);
    let original = from("Content-Disposition", "filename").or_else(|| from("Content-Type", "name"))?;
    let safe = safe_file_name(&original);
    Some(FileName { original, safe })
}

/// The value of a parameter of a field, unless it is empty, decoded.
fn name_in(value: &str, parameter: &str) -> Option<String> {
    let rewritten = in_one_form(value, parameter);
    let extended = rewritten.as_ref().is_some_and(|rewritten| rewritten.extended);
    let value = rewritten.as_ref().map_or(value, |rewritten| rewritten.value.as_str());
    // The extended form has an encoding of its own; encoded words in it are meant as they stand.
    let value = if extended { Cow::Borrowed(value) } else { joined_words(value) };
    let (_, params) = parse_parameters(&value)?;
    let (_, name) = params.into_iter().find(|(name, value)| name == parameter && !value.is_empty())?;
    Some(if extended { name } else { decode_words(&name) })
}

/// A field without the blanks between two encoded words, which are part of neither (RFC 2047 6.2): mail-parser keeps them in
/// quotes, where products write such words although they must not stand there.
fn joined_words(value: &str) -> Cow<'_, str> {
    if value.matches(ENCODED_WORD).nth(1).is_none() || has_many_words(value) {
        return Cow::Borrowed(value);
    }
    let mut joined = String::with_capacity(value.len());
    let mut rest = value;
    while let Some((before, word)) = rest.find(ENCODED_WORD).and_then(|at| rest.split_at_checked(at)) {
        joined.push_str(before);
        let whole = word_len(word);
        let (word, after) = word.split_at_checked(whole.unwrap_or(ENCODED_WORD.len())).unwrap_or((word, ""));
        joined.push_str(word);
        let next = after.trim_start_matches([' ', '\t']);
        rest = if whole.is_some() && word_len(next).is_some() { next } else { after };
    }
    joined.push_str(rest);
    Cow::Owned(joined)
}

/// Bytes of the encoded word with which `text` begins (RFC 2047 2). Blanks in it are tolerated.
fn word_len(text: &str) -> Option<usize> {
    let (charset, rest) = text.strip_prefix(ENCODED_WORD)?.split_once('?')?;
    let (encoding, rest) = rest.split_once('?')?;
    let (content, rest) = rest.split_once('?')?;
    let rest = rest.strip_prefix('=')?;
    let encoding = matches!(encoding, "B" | "b" | "Q" | "q");
    let whole = encoding && !charset.is_empty() && !charset.contains([' ', '"']) && !content.contains('"');
    whole.then(|| text.len().saturating_sub(rest.len()))
}

/// A field in which a value stands in quotes that were doubled, as `filename=""a.xml""`, with the usual ones.
fn quoted_once(value: &str) -> Cow<'_, str> {
    let doubled = value.split_once("=\"\"").and_then(|(before, rest)| {
        let (name, after) = rest.split_once("\"\"")?;
        // Two quotes before a semicolon are an empty value.
        (!name.is_empty() && !name.trim_start().starts_with(';')).then_some((before, name, after))
    });
    doubled.map_or(Cow::Borrowed(value), |(before, name, after)| Cow::Owned(format!("{before}=\"{name}\"{after}")))
}

/// One path component that is safe on Linux and Windows, never empty, never hidden, at most 180 bytes.
///
/// Letters of any script and ASCII digits stay, `.`, `-`, `_`, blank, round brackets and the Chinese brackets and comma
/// `（）【】、` too; everything else becomes `_`. What precedes the last `/` or `\` goes, as do dots, blanks and dashes at the start and dots and blanks at the
/// end; names of Windows devices get a `_` in front.
pub fn safe_file_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let allowed = |c: char| {
        c.is_alphabetic()
            || c.is_ascii_digit()
            || matches!(c, '.' | '-' | '_' | ' ' | '(' | ')' | '（' | '）' | '【' | '】' | '、')
    };
    let clean: String = last.chars().map(|c| if allowed(c) { c } else { '_' }).collect();
    let clean = shorten(trim(&clean));
    let clean = trim(&clean);
    if clean.chars().all(|c| matches!(c, '_' | '.' | ' ')) {
        return NAMELESS.to_owned();
    }
    if is_device(clean) { format!("_{clean}") } else { clean.to_owned() }
}

fn trim(name: &str) -> &str {
    name.trim_start_matches(['.', ' ', '-']).trim_end_matches(['.', ' '])
}

/// Cuts the stem, keeps a short extension.
fn shorten(name: &str) -> String {
    if name.len() <= MAX_BYTES {
        return name.to_owned();
    }
    let (stem, extension) = match name.rfind('.').and_then(|dot| name.split_at_checked(dot)) {
        Some((stem, extension)) if extension.len() <= MAX_EXTENSION => (stem, extension),
        _ => (name, ""),
    };
    let room = MAX_BYTES.saturating_sub(extension.len());
    let cut = (0..=room).rev().find(|place| stem.is_char_boundary(*place)).unwrap_or(0);
    format!("{}{extension}", stem.get(..cut).unwrap_or_default())
}

/// Names that Windows gives to devices, with any extension.
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end().to_ascii_uppercase();
    let numbered = |prefix: &str| stem.strip_prefix(prefix).is_some_and(|rest| rest.len() == 1);
    matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL" | "CONIN_" | "CONOUT_" | "CLOCK_")
        || numbered("COM")
        || numbered("LPT")
}

/// Text with its encoded words (RFC 2047) decoded: of a subject, or of a parameter, where some products use them although
/// RFC 2231 forbids it. Where there seem to be more than 64 of them, the text is left as it stands.
pub fn decode_words(text: &str) -> String {
    if !text.contains(ENCODED_WORD) || has_many_words(text) {
        return text.to_owned();
    }
    let field = format!("Subject: {}\r\n\r\n", text.replace(['\r', '\n'], " "));
    let parser = mail_parser::MessageParser::new().header_text("Subject");
    let decoded = parser.parse_headers(field.as_bytes());
    decoded.and_then(|message| message.subject().map(str::to_owned)).unwrap_or_else(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(field: &str, value: &str) -> Option<FileName> {
        let mut headers = Headers::new();
        headers.push(field, value).unwrap();
        file_name(&headers)
    }

    #[test]
    fn every_way_to_write_a_name_is_read() {
        for value in [
            "attachment; filename=\"订单.xml\"",
            "attachment; filename*=UTF-8''%E8%AE%A2%E5%8D%95.xml",
            "attachment; filename=\"=?UTF-8?B?6K6i5Y2VLnhtbA==?=\"",
            "inline;\tfilename=订单.xml",
            "attachment; filename=\"=?UTF-8?Q?=E8=AE=A2=E5=8D=95.xml?=\"",
            "attachment; filename=\"=?GB2312?B?tqm1pS54bWw=?=\"",
            "attachment; filename*=GB18030''%B6%A9%B5%A5.xml",
            "attachment; filename*=utf-8'zh'%E8%AE%A2%E5%8D%95.xml; filename=\"__.xml\"",
            "attachment; filename=\"__.xml\"; filename*=UTF-8''%E8%AE%A2%E5%8D%95.xml",
            "attachment; FileName=\"a;b\\\"c.xml\" ; FILENAME*=UTF-8''%E8%AE%A2%E5%8D%95.xml; size=1",
            "attachment; filename*0*=UTF-8''%E8%AE%A2; filename*1*=%E5%8D%95; filename*2=.xml",
            "attachment; filename*0=\"订\"; filename*1=\"单.xml\"",
            "attachment; filename=\"=?UTF-8?B?6K6i?= =?UTF-8?B?5Y2VLnhtbA==?=\"",
            "attachment; filename=\"=?UTF-8?Q?=E8=AE=A2?=\t =?gb2312?b?taUueG1s?=\"; size=1",
            "attachment; filename==?UTF-8?B?6K6i?= =?UTF-8?B?5Y2VLnhtbA==?=",
            "attachment; filename*0*=GB18030''%B6%A9; filename*1*=%B5%A5.xml",
            "attachment; filename*0*=UTF-8''%E8%AE; filename*1*=%A2%E5%8D%95.xml",
            "attachment; filename*0*=GB18030''%B6; filename*1*=%A9%B5; filename*2*=%A5; filename*3=.xml",
            "attachment; filename*2=l; filename*1*=%B5%A5.xm; filename*0*=gb2312'zh-CN'%B6%A9; filename=\"__.xml\"",
            "attachment; filename*0*=\"UTF-8''%E8%AE\"; filename*1*=\"%A2%E5%8D%95.xml\"",
            "attachment; filename*0*=GBK''%B6%A9; filename*1*=gbk''%B5%A5.xml",
            "attachment; filename*0*=GB18030''%B6%A9; filename*1=\"单\"; filename*2*=.%78ml",
            "attachment; filename*0=\"=?UTF-8?B?6K6i\"; filename*1=\"5Y2VLnhtbA==?=\"",
            "attachment; filename*10=l; filename*9*=%E5%8D%95.xm; FILENAME*0*=''%E8%AE%A2",
        ] {
            assert_eq!(named("Content-Disposition", value).map(|n| n.original), Some("订单.xml".to_owned()), "{value}");
        }
        assert_eq!(named("Content-Type", "application/xml; name=\"a b.xml\"").unwrap().original, "a b.xml");
        let plain = "attachment; filename=\"a;filename*=b.xml\"";
        assert_eq!(named("Content-Disposition", plain).unwrap().original, "a;filename*=b.xml");
        let both = "application/xml; name=\"__.xml\"; name*=UTF-8''%E8%AE%A2%E5%8D%95.xml";
        assert_eq!(named("Content-Type", both).unwrap().original, "订单.xml");
        assert_eq!(named("Content-Disposition", "attachment"), None);
    }

    #[test]
    fn blanks_between_words_stay_where_one_of_them_is_no_encoded_word() {
        for (value, name) in [
            ("\"=?UTF-8?Q?a?= b =?UTF-8?Q?c?=\"", "a b c"),
            ("\"=?UTF-8?Q?a_?= =?UTF-8?Q?b?=\"", "a b"),
            ("\"a?= =?b =?c\"", "a?= =?b =?c"),
        ] {
            let read = named("Content-Type", &format!("a/b; name={value}")).unwrap();
            assert_eq!(read.original, name, "{value}");
        }
    }

    #[test]
    fn names_of_words_or_sections_without_end_are_left_as_they_stand() {
        let words = |number: usize| "=?UTF-8?B?5Y2V?= ".repeat(number).trim_end().to_owned();
        let in_name = |words: &str| named("Content-Disposition", &format!("x; filename=\"{words}\"")).unwrap().original;
        assert_eq!(in_name(&words(64)), "单".repeat(64));
        assert_eq!(in_name(&words(65)), words(65));
        assert_eq!(decode_words(&words(64)), "单".repeat(64));
        assert_eq!(decode_words(&words(65)), words(65));
        let hostile = " =?aa?Q?".repeat(8000);
        assert_eq!(decode_words(&hostile), hostile);
        let sections = |number: usize| {
            let sections: String = (0..number).map(|n| format!("; filename*{n}*=a")).collect();
            named("Content-Disposition", &format!("x; filename=\"b.xml\"{sections}")).unwrap().original
        };
        assert_eq!((sections(64), sections(65)), ("a".repeat(64), "b.xml".to_owned()));
    }

    #[test]
    fn doubled_quotes_are_read_as_one_pair() {
        for (value, name) in [
            ("attachment; filename=\"\"a.xml\"\"", Some("a.xml")),
            ("attachment; filename=\"\"a b;c.xml\"\"; size=3", Some("a b;c.xml")),
            ("attachment; filename=\"\"单.xml\"\"", Some("单.xml")),
            ("attachment; filename=\"\"", None),
            ("attachment; filename=\"\"; x=\"\"", None),
            ("attachment; filename=\"\\\"a.xml\\\"\"", Some("\"a.xml\"")),
        ] {
            let read = named("Content-Disposition", value).map(|name| name.original);
            assert_eq!(read.as_deref(), name, "{value}");
        }
        assert_eq!(named("Content-Type", "a/b; name=\"\"a.xml\"\"").unwrap().original, "a.xml");
    }

    #[test]
    fn what_looks_like_an_encoded_word_in_the_extended_form_is_meant_as_it_stands() {
        let value = "attachment; filename*=UTF-8''%3D%3FUTF-8%3FB%3F5Y2V%3F%3D; filename=\"a\"";
        assert_eq!(named("Content-Disposition", value).unwrap().original, "=?UTF-8?B?5Y2V?=");
    }

    #[test]
    fn a_name_in_the_extended_form_keeps_its_brackets_and_apostrophes_and_an_empty_one_does_not_count() {
        for (value, name) in [
            ("filename*=UTF-8''order%20(1).xml", Some("order (1).xml")),
            ("filename=\"a.xml\"; filename*=UTF-8''it's%20me.xml", Some("it's me.xml")),
            ("filename*=UTF-8'en'(100%)%20it's'me'.xml", Some("(100%) it's'me'.xml")),
            ("filename*=GB18030''(%B6%A9)'%B5%A5.xml", Some("(订)'单.xml")),
            ("filename*=UTF-8''; filename=\"a.xml\"", Some("a.xml")),
            ("filename=\"a.xml\"; filename*=", Some("a.xml")),
            ("filename*=\"\"; filename*=UTF-8''b.xml; filename=\"a.xml\"", Some("b.xml")),
            ("filename*=UTF-8''; filename*0=a; filename*1=.xml", Some("a.xml")),
            ("filename*=UTF-8''", None),
            ("filename*=\"UTF-8''a%20b.xml\"", Some("a b.xml")),
            ("filename*=UTF-8''\"a;%20b.xml\"; size=1", Some("a; b.xml")),
            ("filename*=%E8%AE%A2.xml", Some("订.xml")),
            ("filename*==?UTF-8?B?6K6i5Y2VLnhtbA==?=", Some("订单.xml")),
            ("filename*=UTF-8''=?UTF-8?B?6K6i5Y2VLnhtbA==?=", Some("订单.xml")),
            ("filename*=UTF-8''a.xml (generated)", Some("a.xml")),
            ("filename*=UTF-8''a%20(1).xml (generated)", Some("a (1).xml")),
        ] {
            let read = named("Content-Disposition", &format!("attachment; {value}")).map(|name| name.original);
            assert_eq!(read.as_deref(), name, "{value}");
        }
        assert_eq!(named("Content-Type", "a/b; name*=UTF-8''it's(1).xml").unwrap().original, "it's(1).xml");
    }

    #[test]
    fn no_name_leaves_its_folder() {
        let cases = [
            ("../../etc/passwd", "passwd"),
            ("..\\..\\boot.ini", "boot.ini"),
            ("/abs/x.xml", "x.xml"),
            ("C:evil.xml", "C_evil.xml"),
            ("\\\\host\\share\\f", "f"),
            ("a\0b.xml", "a_b.xml"),
            ("a\r\nb", "a__b"),
            ("%2e%2e%2fx", "_2e_2e_2fx"),
            ("..", NAMELESS),
            (".", NAMELESS),
            ("", NAMELESS),
            ("x/", NAMELESS),
            ("-rf", "rf"),
            (".bashrc", "bashrc"),
            ("~root", "_root"),
            ("name. . ", "name"),
            ("con", "_con"),
            ("NUL.txt", "_NUL.txt"),
            ("com1.xml", "_com1.xml"),
            ("Com¹.xml", "_Com_.xml"),
            ("a\u{202e}lmx.exe", "a_lmx.exe"),
            ("订单 (1).xml", "订单 (1).xml"),
            ("订单、清单（终稿）【一】.xml", "订单、清单（终稿）【一】.xml"),
            ("全角／斜线＼.xml", "全角_斜线_.xml"),
        ];
        for (name, safe) in cases {
            assert_eq!(safe_file_name(name), safe, "{name:?}");
        }
    }

    #[test]
    fn long_names_keep_their_extension() {
        let safe = safe_file_name(&format!("{}.xml", "订".repeat(2000)));
        assert!(safe.len() <= MAX_BYTES && safe.ends_with(".xml"), "{safe}");
        assert!(safe_file_name(&"x".repeat(4096)).len() <= MAX_BYTES);
    }

    proptest::proptest! {
        #[test]
        fn any_name_becomes_one_harmless_component(name in "\\PC{0,300}|[./\\\\: -]{0,20}") {
            let safe = safe_file_name(&name);
            proptest::prop_assert!(!safe.is_empty() && safe.len() <= MAX_BYTES + 1);
            proptest::prop_assert!(!safe.contains(['/', '\\', '\0', ':']) && !safe.starts_with(['.', '-', ' ']));
            proptest::prop_assert_eq!(safe_file_name(&safe), safe.clone());
        }
    }
}
