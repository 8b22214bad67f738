//! Whether octets are in quoted-printable (RFC 2045 6.7). It leaves the delimiters of a multipart as they are, so that one which
//! begins with its delimiter may be encoded all the same, though none should be (RFC 2045 6.4).

use crate::mime::is_plain_text;

/// Octets of a multipart that are looked at: what is read as it comes shows no more of itself beforehand.
const AHEAD: usize = 8 * 1024;

/// Whether this is the name of the encoding.
pub(in crate::as2) fn is_quoted_printable(encoding: &str) -> bool {
    encoding.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("quoted-printable")
}

/// Whether there are octets in quoted-printable, and nothing that could be none. The parameters of a part's fields are nearly
/// always something else.
fn is_quoted(start: &[u8]) -> bool {
    let stands_for_an_octet = |at: usize| match start.get(at.saturating_add(1)..).unwrap_or_default() {
        // The end of what is looked at.
        [] => true,
        [only] => only.is_ascii_hexdigit() || only.is_ascii_whitespace(),
        [first, second, ..] if first.is_ascii_hexdigit() && second.is_ascii_hexdigit() => true,
        // The end of a line that goes on.
        rest => {
            let blanks = rest.iter().take_while(|octet| matches!(octet, b' ' | b'\t')).count();
            matches!(rest.get(blanks), None | Some(b'\r' | b'\n'))
        }
    };
    let mut signs = memchr::memchr_iter(b'=', start).peekable();
    signs.peek().is_some() && signs.all(stands_for_an_octet)
}

/// Whether a multipart that may begin with its delimiter as it is has the encoding that is said of it, quoted-printable, as its
/// first `octets` show. Some products say so of one that has none: whatever could be in it as it is decides for that.
pub(in crate::as2) fn is_quoted_multipart(encoding: Option<&str>, boundary: &str, octets: &[u8]) -> bool {
    let start = octets.get(..AHEAD).unwrap_or(octets);
    encoding.is_some_and(is_quoted_printable)
        && is_plain_text(start)
        && is_quoted(start)
        && has_parameters_in_figures(start)
        && !has_ends_of_base64(start, boundary)
        && !says_quoted_within(start)
}

/// A part that says it of itself may be all that is encoded.
fn says_quoted_within(start: &[u8]) -> bool {
    const FIELD: &[u8] = b"content-transfer-encoding:";
    let of_field = |line: &'_ [u8]| {
        let (name, value) = line.split_at_checked(FIELD.len()).unwrap_or_default();
        name.eq_ignore_ascii_case(FIELD) && value.trim_ascii().eq_ignore_ascii_case(b"quoted-printable")
    };
    lines(start).any(of_field)
}

/// The first such sign in a field of a part is that of a parameter, and in figures itself. As it is, it may be followed by what
/// looks like figures: `name=20261122.edi`.
fn has_parameters_in_figures(start: &[u8]) -> bool {
    let mut in_field = false;
    lines(start).all(|line| {
        let folded = matches!(line.first(), Some(b' ' | b'\t'));
        in_field = begins_field(line) || (in_field && folded);
        !in_field || first_sign_is_in_figures(line)
    })
}

fn begins_field(line: &[u8]) -> bool {
    line.get(..8).is_some_and(|name| name.eq_ignore_ascii_case(b"content-"))
}

fn first_sign_is_in_figures(line: &[u8]) -> bool {
    let sign = memchr::memchr(b'=', line);
    let Some(behind) = sign.and_then(|at| line.get(at.saturating_add(1)..)) else { return true };
    let in_figures = behind.get(..2).is_some_and(|figures| figures.eq_ignore_ascii_case(b"3d"));
    // A blank at the end of a line that is folded there (RFC 2045 6.7, rule 3).
    let is_last_blank = behind.trim_ascii_end() == b"20" && line.trim_ascii_end().ends_with(b";=20");
    // The end of what is looked at, or of a line that goes on.
    in_figures || is_last_blank || behind.len() < 2 || behind.trim_ascii().is_empty()
}

/// An empty line and a delimiter are the rest of no line: the sign in front of one is the last of something in base64.
fn has_ends_of_base64(start: &[u8], boundary: &str) -> bool {
    let delimiter = format!("--{boundary}");
    let goes_on = |line: &[u8]| line.ends_with(b"\n") && line.trim_ascii_end().ends_with(b"=");
    let is_no_rest = |line: &[u8]| matches!(line, b"\n" | b"\r\n") || line.starts_with(delimiter.as_bytes());
    lines(start).zip(lines(start).skip(1)).any(|(line, next)| goes_on(line) && is_no_rest(next))
}

/// The lines, with their ends.
fn lines(octets: &[u8]) -> impl Iterator<Item = &[u8]> {
    octets.split_inclusive(|octet| *octet == b'\n')
}

/// As an ordinary encoder writes octets: in figures only what has to be, so that delimiters stay as they are, and no line is long.
#[cfg(test)]
pub(in crate::as2) fn quoted_as_usual(octets: &[u8]) -> Vec<u8> {
    let mut quoted = Vec::new();
    let mut width = 0;
    for (at, octet) in octets.iter().enumerate() {
        let ends_line = matches!(octet, b'\r' | b'\n');
        let is_last_blank = matches!(octet, b'\t' | b' ') && matches!(octets.get(at + 1), None | Some(b'\r' | b'\n'));
        let as_it_is = ends_line || !is_last_blank && matches!(octet, b'\t' | b' '..=b'<' | b'>'..=b'~');
        let piece = if as_it_is { vec![*octet] } else { format!("={octet:02X}").into_bytes() };
        if !ends_line && width + piece.len() > 75 {
            quoted.extend_from_slice(b"=\r\n");
            width = 0;
        }
        width = if ends_line { 0 } else { width + piece.len() };
        quoted.extend_from_slice(&piece);
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: Option<&str> = Some("Quoted-Printable ; x");

    #[test]
    fn what_an_ordinary_encoder_makes_of_a_multipart_is_known_for_it_by_any_beginning_that_has_a_sign() {
        let long = "more than a line can hold ".repeat(9);
        let long = format!("--b1\r\nContent-Type: a/b\r\n\r\n{long}\r\n--b1--\r\n");
        for multipart in [
            "--b1\r\nContent-Type: a/b; name=\"1.xml\"\r\n\r\n<a b=\"c\"/>\r\n--b1--\r\n",
            "--b1\r\ncontent-type: a/b;\r\n\tname=20261122.edi; x=y\r\n\r\nx\r\n--b1--\r\n",
            "--b1\r\nContent-Disposition: attachment; \r\n\tfilename=a.edi\r\n\r\nx\r\n--b1--\r\n",
            "--b1\r\nContent-Type: a/b\r\n\r\n\u{e9}; \u{e9}=20\r\n\r\n\u{e9}\r\n--b1--\r\n",
            "--b1\r\nContent-Type: a/b\r\n\r\nAAA=\r\n\r\n--b1\r\n\r\nAAA=\r\n--b1--\r\n",
            long.as_str(),
        ] {
            let quoted = quoted_as_usual(multipart.as_bytes());
            assert!(quoted.starts_with(b"--b1\r\n") && quoted.ends_with(b"\r\n--b1--\r\n"));
            let sign = memchr::memchr(b'=', &quoted).unwrap();
            for len in sign + 1..=quoted.len() {
                let beginning = &quoted[..len];
                assert!(is_quoted_multipart(SAID, "b1", beginning), "{}", String::from_utf8_lossy(beginning));
            }
        }
        let far = [b"--b1\r\n\r\n=3D\r\n".as_slice(), &b"x\r\n".repeat(AHEAD), b"=zz\r\n\xff"].concat();
        assert!(is_quoted_multipart(SAID, "b1", &far), "what is far behind shows nothing");
    }

    #[test]
    fn a_multipart_that_could_be_meant_as_it_is_is_not_taken_for_one_in_quoted_printable() {
        for raw in [
            "--b1\r\nContent-Type: a/b\r\n\r\nx\r\n--b1--\r\n",
            "--b1\r\nContent-Type: a/b; name=\"ab\"\r\n\r\nx\r\n--b1--\r\n",
            "--b1\r\nContent-Type: a/b; name=20261122.edi\r\n\r\nx\r\n--b1--\r\n",
            "--b1\r\nCONTENT-DISPOSITION: attachment;\r\n\tfilename=ABC.edi\r\n\r\nx=3D\r\n--b1--\r\n",
            "--b1\r\nContent-Type: multipart/report; boundary=b2\r\n\r\n--b2\r\n",
            "--b1\r\n\r\nAAA=\r\n--b1--\r\n",
            "--b1\r\n\r\nAAA=\r\n--b1--",
            "--b1\r\n\r\nAAA=\r\n\r\n--b1--\r\n",
            "--b1\n\nAAA=\n\n--b1--\n",
            "--b1\r\n\r\n=3D\u{e9}\r\n--b1--\r\n",
            "--b1\r\nContent-Type: a/b\r\ncontent-transfer-encoding: Quoted-Printable\r\n\r\n<a b=3D\"1\"/>\r\n--b1--\r\n",
        ] {
            assert!(!is_quoted_multipart(SAID, "b1", raw.as_bytes()), "{raw}");
        }
        let quoted = b"--b1\r\n\r\nAAA=3D=\r\nx\r\n--b1--\r\n";
        assert!(is_quoted_multipart(SAID, "b1", quoted));
        for said in [None, Some("base64"), Some("binary"), Some("quoted"), Some("")] {
            assert!(!is_quoted_multipart(said, "b1", quoted), "{said:?}");
        }
    }
}
