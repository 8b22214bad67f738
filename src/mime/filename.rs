//! Names that partners give their payloads: kept as data, and made safe before they come near a folder.

use std::borrow::Cow;
use std::sync::LazyLock;

use mail_parser::MessageParser;
use serde::{Deserialize, Serialize};

use super::Headers;
use super::content_type::{ENCODED_WORD, has_many_words, out_of_quotes, parse_parameters};
use super::quoting::backslashes_doubled;
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
    let from = |field: &str, parameter: &str| {
        let value = out_of_quotes(headers.get(field)?);
        name_in(&quoted_once(&value), parameter)
    };
    let original = from("Content-Disposition", "filename").or_else(|| from("Content-Type", "name"))?;
    let safe = safe_file_name(&original);
    Some(FileName { original, safe })
}

/// The value of a parameter of a field, unless it is empty, decoded.
fn name_in(value: &str, parameter: &str) -> Option<String> {
    let value = backslashes_doubled(value, parameter);
    let rewritten = in_one_form(&value, parameter);
    let extended = rewritten.as_ref().is_some_and(|rewritten| rewritten.extended);
    let value = rewritten.as_ref().map_or(&*value, |rewritten| rewritten.value.as_str());
    // The extended form has an encoding of its own; encoded words in it are meant as they stand.
    let value = if extended { Cow::Borrowed(value) } else { words_aside(value) };
    let (_, params) = parse_parameters(&value)?;
    let (_, name) = params.into_iter().find(|(name, value)| name == parameter && !value.is_empty())?;
    let name = if extended { name } else { decode_words(&name.replace(WORD_ASIDE, ENCODED_WORD)) };
    Some(name).filter(|name| !name.is_empty())
}

/// Stands for [`ENCODED_WORD`] while a field is parsed: its second character is one that no field can hold.
const WORD_ASIDE: &str = "=\u{1}";

/// A field whose encoded words mail-parser leaves to [`decode_words`]: products write them in quotes, although they must not
/// stand there, and it decodes them before it has read the escapes, and keeps the blanks between two of them. A quote in what
/// looks like a word ends it, and a semicolon may: these are left to mail-parser.
fn words_aside(value: &str) -> Cow<'_, str> {
    words_replaced(value, |word| {
        let aside = if word.contains(';') { word.to_owned() } else { word.replacen(ENCODED_WORD, WORD_ASIDE, 1) };
        (!word.contains('"')).then_some(aside)
    })
}

/// Text with what `replaced` makes of each encoded word, without the blanks between two of them, which are part of neither
/// (RFC 2047 6.2). Other text, and a word of which it makes nothing, stand as they are; so does everything where there seem to
/// be more than 64 words.
fn words_replaced(text: &str, replaced: impl Fn(&str) -> Option<String>) -> Cow<'_, str> {
    if !text.contains(ENCODED_WORD) || has_many_words(text) {
        return Cow::Borrowed(text);
    }
    let mut result = String::with_capacity(text.len());
    let (mut rest, mut behind_word) = (text, false);
    while let Some((before, begun)) = rest.find(ENCODED_WORD).and_then(|at| rest.split_at_checked(at)) {
        let word = word_len(begun).and_then(|len| begun.split_at_checked(len));
        let word = word.and_then(|(word, after)| Some((replaced(word)?, after)));
        let between_words = behind_word && word.is_some() && before.bytes().all(|byte| byte.is_ascii_whitespace());
        result.push_str(if between_words { "" } else { before });
        behind_word = word.is_some();
        let as_it_stands = || (ENCODED_WORD.to_owned(), begun.get(ENCODED_WORD.len()..).unwrap_or_default());
        let (word, after) = word.unwrap_or_else(as_it_stands);
        result.push_str(&word);
        rest = after;
    }
    result.push_str(rest);
    Cow::Owned(result)
}

/// Bytes of the encoded word with which `text` begins (RFC 2047 2). Blanks and question marks in it are tolerated.
fn word_len(text: &str) -> Option<usize> {
    let (charset, rest) = text.strip_prefix(ENCODED_WORD)?.split_once('?')?;
    let (encoding, rest) = rest.split_once('?')?;
    let (content, rest) = rest.split_once("?=")?;
    let named = !charset.is_empty() && !charset.contains([' ', '"', '=']);
    let whole = named && matches!(encoding, "B" | "b" | "Q" | "q") && !content.contains(ENCODED_WORD);
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
    // A figure that is raised (¹) stands as `_` by now.
    let is_number = |rest: &str| matches!(rest.as_bytes(), [b'0'..=b'9' | b'_']);
    let numbered = |prefix: &str| stem.strip_prefix(prefix).is_some_and(is_number);
    matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL" | "CONIN_" | "CONOUT_" | "CLOCK_")
        || numbered("COM")
        || numbered("LPT")
}

/// Text with its encoded words (RFC 2047) decoded: of a subject, or of a parameter, where some products use them although
/// RFC 2231 forbids it. They need no blanks around them. Where there seem to be more than 64 of them, the text is left as it
/// stands.
pub fn decode_words(text: &str) -> String {
    words_replaced(text, decoded_word).into_owned()
}

static SUBJECT: LazyLock<MessageParser> = LazyLock::new(|| MessageParser::new().header_text("Subject"));

/// What mail-parser makes of one encoded word; `None` where that is the word itself, which it could not decode.
fn decoded_word(word: &str) -> Option<String> {
    let word = padded(&word.replace(['\r', '\n'], " "));
    let field = format!("Subject: {word}\r\n\r\n");
    let message = SUBJECT.parse_headers(field.as_bytes())?;
    message.subject().filter(|text| *text != word).map(str::to_owned)
}

/// An encoded word in base64 with the padding that some products leave out: mail-parser would lose its last octets.
fn padded(word: &str) -> String {
    let mut parts = word.splitn(4, '?').skip(2);
    let is_base64 = parts.next().is_some_and(|encoding| encoding.eq_ignore_ascii_case("B"));
    let content = parts.next().and_then(|rest| rest.strip_suffix("?="));
    let content = content.filter(|content| is_base64 && !content.contains('='));
    let digits = content.map_or(0, |content| content.bytes().filter(|byte| !byte.is_ascii_whitespace()).count());
    let missing = match digits % 4 {
        2 => "==",
        3 => "=",
        _ => "",
    };
    word.strip_suffix("?=").map_or_else(|| word.to_owned(), |begun| format!("{begun}{missing}?="))
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
            "attachment; filename=\"=?UTF-8?B?6K6i5Y2VLnhtbA?=\"",
            "attachment; filename==?utf-8?b?6K6i5Y2VLnhtbA?=; size=1",
            "attachment; filename=\"=?GB2312?B?tqm1pS54bWw?=\"",
            "attachment; filename=\"=?UTF-8?B?6K6i5Y2VLg?= =?UTF-8?B?eG1s?=\"",
            "attachment; filename*0=\"=?UTF-8?B?6K6i5Y2V\"; filename*1=\"LnhtbA?=\"",
            "attachment; filename*==?UTF-8?B?6K6i5Y2VLnhtbA?=",
            "attachment; filename=\"订=?UTF-8?B?5Y2V?=.xml\"",
            "attachment; filename=订=?UTF-8?Q?=E5=8D=95?=.xml; size=1",
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
            ("\"INV_=?UTF-8?B?6K6i?=.xml\"", "INV_订.xml"),
            ("INV_=?UTF-8?B?6K6i?=.xml; x=y", "INV_订.xml"),
            ("\"a=?UTF-8?B?6K6i?= =?UTF-8?B?5Y2V?=b  =?UTF-8?Q?c?=\"", "a订单b  c"),
            ("=?UTF-8?B?6K6i?= 1.xml", "订 1.xml"),
            ("\"=?UTF-8?Q?a;b?= =?UTF-8?Q?c?=\"", "a;bc"),
            ("\"=?UTF-8?Q?a(1)?=.xml\"", "a(1).xml"),
            ("=?UTF-8?Q?a(1)?=.xml; x=y", "a(1).xml"),
        ] {
            let read = named("Content-Type", &format!("a/b; name={value}")).unwrap();
            assert_eq!(read.original, name, "{value}");
        }
    }

    #[test]
    fn words_of_a_subject_are_decoded_one_by_one_and_text_between_them_stays() {
        for (subject, text) in [
            ("order =?UTF-8?Q?a?=: =?UTF-8?B?6K6i?= \t=?UTF-8?B?5Y2V?=(2)", "order a: 订单(2)"),
            ("=?UTF-8?B?YQ?= =?UTF-8?B?YWI?= =?UTF-8?b?YWJj?=", "aababc"),
            ("a  b=?UTF-8?Q?_c_?=", "a  b c "),
            ("=?UTF-8?Q?what?_\"yes\"?=", "what? \"yes\""),
            ("=?UTF-8?Q?=ZZ?= =?UTF-8?Q?b?=", "=?UTF-8?Q?=ZZ?= b"),
            ("=?UTF-8?Q?cut =?UTF-8?Q?b?=", "=?UTF-8?Q?cut b"),
            ("=?UTF-8?X?a?= =?UTF-8?Q", "=?UTF-8?X?a?= =?UTF-8?Q"),
            ("=?UTF-8?B?PT9VVEYtOD9CPzVZMlY/PQ==?=", "=?UTF-8?B?5Y2V?="),
        ] {
            assert_eq!(decode_words(subject), text, "{subject}");
        }
    }

    #[test]
    fn a_bracket_is_part_of_a_name_and_a_comment_behind_a_blank_is_not() {
        for (value, name) in [
            ("filename=invoice(1).edi; size=3", "invoice(1).edi"),
            ("size=3; filename=invoice(1)", "invoice(1)"),
            ("filename=(1)订单.edi; size=3", "(1)订单.edi"),
            ("filename=a(1.edi; size=3", "a(1.edi"),
            ("filename=order (1).edi; size=3", "order (1).edi"),
            ("filename=a.edi (the invoice)", "a.edi"),
            ("filename=a.edi\t(the (last); invoice); size=3", "a.edi"),
            ("filename= (the invoice) a.edi", "a.edi"),
            ("filename=invoice(1).edi (the invoice); size=3", "invoice(1).edi"),
            ("filename=\"a (1).edi\" (the invoice); size=3", "a (1).edi"),
        ] {
            let read = named("Content-Disposition", &format!("attachment; {value}")).map(|name| name.original);
            assert_eq!(read.as_deref(), Some(name), "{value}");
        }
        assert_eq!(named("Content-Type", "a/b; name=a(1).edi; charset=utf-8").unwrap().original, "a(1).edi");
    }

    #[test]
    fn a_path_keeps_its_backslashes_in_quotes_or_not_and_its_last_component_is_safe() {
        for (value, original, safe) in [
            (r"filename=dir\a.xml; size=3", r"dir\a.xml", "a.xml"),
            (r#"filename="C:\orders\a.xml""#, r"C:\orders\a.xml", "a.xml"),
            (r#"filename="C:\\orders\\a.xml"; size=3"#, r"C:\orders\a.xml", "a.xml"),
            (r#"filename=""C:\orders\a.xml"""#, r"C:\orders\a.xml", "a.xml"),
            (r#"filename="\\host\orders\a.xml""#, r"\host\orders\a.xml", "a.xml"),
            (r"FileName=C:\orders\a(1).xml (the order)", r"C:\orders\a(1).xml", "a(1).xml"),
            (r#"filename="C:\a \"b\".xml""#, r#"C:\a "b".xml"#, "a _b_.xml"),
            (r#"filename="C:\=?UTF-8?B?5Y2V?=.xml""#, r"C:\单.xml", "单.xml"),
            (r#"filename="=?UTF-8?Q?C:\a.xml?=""#, r"C:\a.xml", "a.xml"),
            (r"filename==?UTF-8?Q?C:\a.xml?=", r"C:\a.xml", "a.xml"),
            (r#"filename*0="C:\orders"; filename*1="\a.xml""#, r"C:\orders\a.xml", "a.xml"),
            (r#"filename*="UTF-8''C:\a.xml""#, r"C:\a.xml", "a.xml"),
            (r"filename=..\..\evil.exe", r"..\..\evil.exe", "evil.exe"),
        ] {
            let read = named("Content-Disposition", &format!("attachment; {value}")).unwrap();
            assert_eq!((read.original.as_str(), read.safe.as_str()), (original, safe), "{value}");
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
    fn the_name_in_a_field_that_stands_in_quotes_as_a_whole_is_read() {
        for (value, name) in [
            (r#""attachment; filename=\"orders 1.xml\"""#, Some("orders 1.xml")),
            (r#""attachment; filename=orders.xml""#, Some("orders.xml")),
            (r#""attachment""#, None),
        ] {
            let read = named("Content-Disposition", value).map(|name| name.original);
            assert_eq!(read.as_deref(), name, "{value}");
        }
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
            ("coma.xml", "coma.xml"),
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

        #[test]
        fn no_field_makes_the_reader_of_names_panic(
            value in "(=\\?UTF-8\\?[BQ]\\?|\\?=|[-\"'\\\\;=?*() aB8%订\t]){0,30}",
        ) {
            let name = named("Content-Disposition", &format!("attachment; filename={value}"));
            proptest::prop_assert!(name.is_none_or(|name| name.safe == safe_file_name(&name.original)));
        }
    }
}
