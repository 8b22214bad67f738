//! Values that came without the quotes they need, or in quotes with backslashes that escape nothing (RFC 2045 5.1, RFC 822 3.3).
//!
//! mail-parser takes every bracket outside of quotes for the start of a comment, and every backslash for an escape. Products
//! write both in names as they are, `invoice(1).edi` and `C:\orders\a.xml`: so such values are put into quotes before it reads
//! them. A bracket behind a blank still begins a comment, if that ends where the value ends.

use std::borrow::Cow;

use super::header::is_token;
use super::sections::{pieces, without_comment};

/// A field in which every unquoted value that holds a bracket stands in quotes.
pub(super) fn brackets_in_quotes(field: &str) -> Cow<'_, str> {
    if !field.contains('(') {
        return Cow::Borrowed(field);
    }
    Cow::Owned(with_values(field, |_, value| {
        let text = without_comment(value);
        let comment_first = value.starts_with([' ', '\t']) && text.starts_with('(');
        let needs_quotes = text.contains('(') && !text.contains('"') && !comment_first;
        needs_quotes.then(|| format!("\"{}\"", text.replace('\\', "\\\\")))
    }))
}

/// A field in which the backslashes of a parameter, in whichever form it stands, are doubled, unless they escape a quote or
/// another one. An unquoted value that has some gets quotes.
pub(super) fn backslashes_doubled<'f>(field: &'f str, parameter: &str) -> Cow<'f, str> {
    if !field.contains('\\') {
        return Cow::Borrowed(field);
    }
    Cow::Owned(with_values(field, |name, value| {
        let form = name.strip_prefix(parameter).filter(|form| form.is_empty() || form.starts_with('*'))?;
        if value.trim_start().starts_with('"') {
            return Some(doubled(value));
        }
        let text = without_comment(value);
        // Sections and the extended form hold no escapes outside of quotes.
        let needs_quotes = form.is_empty() && text.contains('\\') && !text.contains('"');
        needs_quotes.then(|| format!("\"{}\"", doubled(text)))
    }))
}

/// A field with what `rewrite` makes of its parameters, given their names in lower case and their values. `None`: as it stands.
fn with_values(field: &str, rewrite: impl Fn(&str, &str) -> Option<String>) -> String {
    let rewritten = |piece: &str| -> Option<String> {
        let (name, value) = piece.split_once('=').filter(|(name, _)| is_token(name.trim().as_bytes()))?;
        let value = rewrite(&name.trim().to_ascii_lowercase(), value)?;
        Some(format!("{name}={value}"))
    };
    let all: Vec<String> =
        pieces(field).into_iter().map(|piece| rewritten(piece).unwrap_or_else(|| piece.to_owned())).collect();
    all.join(";")
}

/// A quoted string, or what shall become one, in which each backslash escapes something or is escaped. With what follows one that
/// escapes no component of a path begins.
fn doubled(text: &str) -> String {
    let mut doubled = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        doubled.push(c);
        if c == '\\' {
            doubled
                .push(chars.next_if(|next| matches!(*next, '"' | '\\' | '\'' | ' ' | ')' | ';' | ',')).unwrap_or('\\'));
        }
    }
    doubled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_with_a_bracket_gets_quotes_and_a_comment_none() {
        for (field, quoted) in [
            ("a/b; x=y(1); z=2", "a/b; x=\"y(1)\"; z=2"),
            ("a/b;x=(1)y;z=2", "a/b;x=\"(1)y\";z=2"),
            ("a/b; x=y(1 ; z=2", "a/b; x=\"y(1\"; z=2"),
            ("a/b; x=y (1; z=2", "a/b; x=\"y (1\"; z=2"),
            ("a/b; x=y (1).z", "a/b; x=\"y (1).z\""),
            ("a/b; x=y(1) (c)", "a/b; x=\"y(1)\""),
            ("a/b; x=y\\(1)", "a/b; x=\"y\\\\(1)\""),
            ("a/b; x*=UTF-8''y(1)", "a/b; x*=\"UTF-8''y(1)\""),
        ] {
            assert_eq!(brackets_in_quotes(field), quoted, "{field}");
        }
        for field in [
            "a/b; x=y (c); z=2",
            "a/b; x=y (c)(d; e=f); z=2",
            "a/b; x=y\t(c); z=2",
            "a/b; x=y (c; d=e(f) \\); g=h); z=2",
            "a/b; x= (c) y",
            "a/b (x=y(1)); z=2",
            "a/b; (c) x=y; z=2",
            "a/b; x=\"y;(1)\" (c); z=2",
            "a/b; x=y",
        ] {
            assert_eq!(brackets_in_quotes(field), field);
        }
    }

    #[test]
    fn a_backslash_that_escapes_nothing_is_doubled_in_the_parameter_that_is_asked_for() {
        for (field, read) in [
            (r"a; x=b\c; y=d\e", r#"a; x="b\\c"; y=d\e"#),
            (r#"a; X="b\c\\d\"e\"; y=f"#, r#"a; X="b\\c\\d\"e\"; y=f"#),
            (r"a; x=b\c\ (d\e)", r#"a; x="b\\c\\""#),
            (r#"a; x*0="b\c"; x*1=d\e"#, r#"a; x*0="b\\c"; x*1=d\e"#),
            (r"a; x=b (c\d)", r"a; x=b (c\d)"),
            (r#"a; x="O\'Brien\ \;\,\).xml""#, r#"a; x="O\'Brien\ \;\,\).xml""#),
            (r"a; xy=b\c", r"a; xy=b\c"),
        ] {
            assert_eq!(backslashes_doubled(field, "x"), read, "{field}");
        }
    }
}
