//! Parameters in the extended form and in sections (RFC 2231 3, 4): `name*=charset'language'%E8…`, `name*0*=…; name*1=…`.
//!
//! mail-parser decodes each section by itself, in the charset that stands in it. But only the first names one, and products
//! cut wherever the length is reached, inside of a character too. So the octets are put together before they are decoded.
//! It also takes brackets for a comment and every apostrophe for one of those around the language, where products write both
//! in a name as they are: so the extended form is rewritten as one section, every octet of it in percent form.

use super::content_type::ENCODED_WORD;

/// A field in which a parameter that had more than its plain form has one form only.
pub(super) struct OneForm {
    /// The field, for mail-parser.
    pub(super) value: String,
    /// The parameter is in the extended form, whose encoding is its own.
    pub(super) extended: bool,
}

/// Rewrites a field in which `parameter` stands in the extended form or in sections; these count more than its plain form,
/// wherever that stands (RFC 6266 4.3). `None`: it does not, and the field is read as it is.
pub(super) fn in_one_form(value: &str, parameter: &str) -> Option<OneForm> {
    let (mut others, mut plain, mut extended, mut sections) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for piece in pieces(value) {
        match form(piece, parameter) {
            Form::Other => others.push(piece),
            Form::Plain => plain.push(piece),
            Form::Extended(section) => extended.push(section),
            Form::Section(section) => sections.push(section),
        }
    }
    let with = |last: &[&str], extended: bool| {
        let all: Vec<&str> = others.iter().chain(last).copied().collect();
        OneForm { value: all.join(";"), extended }
    };
    if let Some(section) = extended.iter().find(|section| !section.is_empty()) {
        // Without a charset in front it may be the plain form under the name of the extended one.
        let says_charset = charset_and_text(&section.text).is_some_and(|(_, text)| !text.contains(ENCODED_WORD));
        let whole = octets_together(std::slice::from_ref(section), parameter);
        return Some(with(&whole.iter().map(String::as_str).collect::<Vec<&str>>(), says_charset));
    }
    if sections.is_empty() {
        return if extended.is_empty() { None } else { Some(with(&plain, false)) };
    }
    if sections.len() > MAX_SECTIONS {
        return Some(with(&plain, false));
    }
    sections.sort_by_key(|section| section.number);
    sections.dedup_by_key(|section| section.number);
    if sections.iter().any(|section| section.encoded) {
        let whole = octets_together(&sections, parameter);
        return Some(with(&whole.iter().map(String::as_str).collect::<Vec<&str>>(), true));
    }
    let text: String = sections.iter().map(|section| section.text.as_str()).collect();
    let quoted = format!("{parameter}=\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    Some(with(&[quoted.as_str()], false))
}

/// Sections of one parameter; a line of 76 characters holds twenty octets of a name in each.
const MAX_SECTIONS: usize = 64;

/// How a piece of a field gives a parameter.
enum Form {
    /// It gives another one, or none.
    Other,
    Plain,
    /// As one section that is all of it.
    Extended(Section),
    Section(Section),
}

/// One of `name*0`, `name*1*`, …, or all of `name*`.
struct Section {
    number: u16,
    /// An asterisk at its end: the text has octets as `%E8`, that of the first the charset in front.
    encoded: bool,
    text: String,
}

impl Section {
    /// There is no text behind the charset.
    fn is_empty(&self) -> bool {
        charset_and_text(&self.text).map_or(self.text.as_str(), |(_, text)| text).is_empty()
    }
}

fn form(piece: &str, parameter: &str) -> Form {
    let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
    let name = name.trim().to_ascii_lowercase();
    let Some(rest) = name.strip_prefix(parameter) else { return Form::Other };
    match rest {
        "" => return Form::Plain,
        "*" => {
            return Form::Extended(Section { number: 0, encoded: true, text: extended_text(without_comment(value)) });
        }
        _ => {}
    }
    let Some(place) = rest.strip_prefix('*') else { return Form::Other };
    let digits = place.strip_suffix('*').unwrap_or(place);
    match digits.parse::<u16>().ok().filter(|_| digits.bytes().all(|byte| byte.is_ascii_digit())) {
        Some(number) => Form::Section(Section { number, encoded: digits.len() < place.len(), text: unquoted(value) }),
        None => Form::Other,
    }
}

/// An unquoted value without the comment that stands behind it. No blank stands in the extended form itself.
pub(super) fn without_comment(value: &str) -> &str {
    let value = value.trim();
    let comment = [" (", "\t("].into_iter().filter_map(|start| value.find(start)).min();
    let comment = comment.filter(|_| value.ends_with(')') && !value.contains('"'));
    comment.and_then(|at| value.get(..at)).map_or(value, str::trim_end)
}

/// A value in the extended form; some products put what follows its charset into quotes.
fn extended_text(value: &str) -> String {
    let text = unquoted(value);
    match charset_and_text(&text) {
        Some((charset, quoted)) if quoted.starts_with('"') => format!("{charset}''{}", unquoted(quoted)),
        _ => text,
    }
}

/// A value without its quotes, and without the backslashes in them.
fn unquoted(value: &str) -> String {
    let value = value.trim();
    let Some(quoted) = value.strip_prefix('"') else { return value.to_owned() };
    let mut text = String::new();
    let mut chars = quoted.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => break,
            '\\' => text.extend(chars.next()),
            other => text.push(other),
        }
    }
    text
}

/// The parameter in as few sections as its charsets allow: one, unless text outside ASCII stands there without being encoded.
fn octets_together(sections: &[Section], parameter: &str) -> Vec<String> {
    let first = sections.iter().find(|section| section.encoded);
    let charset = first.and_then(|first| charset_and_text(&first.text)).map_or("", |(charset, _)| charset);
    let mut runs: Vec<(&str, Vec<u8>)> = Vec::new();
    for section in sections {
        let text = section.text.as_str();
        let (charset, mut octets) = match section.encoded {
            true => (charset, percent_decoded(without_charset(text, charset).as_bytes())),
            false if text.is_ascii() => (charset, text.as_bytes().to_vec()),
            false => (UTF_8, text.as_bytes().to_vec()),
        };
        match runs.last_mut() {
            Some((last, run)) if *last == charset => run.append(&mut octets),
            _ => runs.push((charset, octets)),
        }
    }
    let written = |(number, (charset, octets)): (usize, &(&str, Vec<u8>))| {
        let octets: String = octets.iter().map(|octet| format!("%{octet:02X}")).collect();
        format!("{parameter}*{number}*={charset}''{octets}")
    };
    runs.iter().enumerate().map(written).collect()
}

/// The charset of text that has not said another one.
const UTF_8: &str = "utf-8";

/// `charset'language'text`; `None` where there are no two apostrophes, or what is in front names no charset.
fn charset_and_text(text: &str) -> Option<(&str, &str)> {
    let (charset, rest) = text.split_once('\'')?;
    let (_, text) = rest.split_once('\'')?;
    let named = charset.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':'));
    named.then_some((charset, text))
}

/// The text of a section. Some products say the charset in each of them.
fn without_charset<'t>(text: &'t str, charset: &str) -> &'t str {
    match charset_and_text(text) {
        Some((own, rest)) if own.eq_ignore_ascii_case(charset) => rest,
        _ => text,
    }
}

/// `%40` and so on; what is no octet in percent form stands as it is.
pub(crate) fn percent_decoded(text: &[u8]) -> Vec<u8> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).filter(|digits| *first == b'%' && digits.iter().all(u8::is_ascii_hexdigit));
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(octet) => {
                octets.push(octet);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                octets.push(*first);
                rest = after;
            }
        }
    }
    octets
}

/// What stands between the semicolons of a field, those in quotes and in comments not counted. Brackets that are glued to a
/// value are part of it.
pub(super) fn pieces(value: &str) -> Vec<&str> {
    let (mut pieces, mut start) = (Vec::new(), 0);
    let (mut quoted, mut escaped) = (false, false);
    let (mut last, mut comment_end) = (b' ', Some(0_usize));
    for (at, byte) in value.bytes().enumerate() {
        let is_glued = !last.is_ascii_whitespace() && last != b';' && comment_end != Some(at);
        last = byte;
        match byte {
            _ if comment_end.is_some_and(|end| at < end) => {}
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            // After one without an end no other is looked for: each would be looked for in all of the rest.
            b'(' if !quoted && !is_glued && comment_end.is_some() => {
                comment_end = value.get(at..).and_then(comment_len).map(|len| at.saturating_add(len));
            }
            b';' if !quoted => {
                pieces.push(value.get(start..at).unwrap_or_default());
                start = at.saturating_add(1);
            }
            _ => {}
        }
    }
    pieces.push(value.get(start..).unwrap_or_default());
    pieces
}

/// Bytes of the comment with which `text` begins, those in it included (RFC 822 3.4.3). `None`: it does not end.
fn comment_len(text: &str) -> Option<usize> {
    let (mut depth, mut escaped) = (0_usize, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'(' => depth = depth.saturating_add(1),
            b')' if depth <= 1 => return at.checked_add(1),
            b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}
