use std::io::BufReader;

use proptest::prelude::*;

use super::*;

const SIGNATURE: &str = "Content-Type: application/pkcs7-signature\r\n\r\nSIG";

fn message(preamble: &str, first: &[u8], rest: &str) -> Vec<u8> {
    [preamble.as_bytes(), b"--b\r\n", first, rest.as_bytes()].concat()
}

fn split(body: &[u8], chunk: usize) -> Result<(Vec<u8>, Vec<u8>), MimeError> {
    let mut parts = SignedParts::new(BufReader::with_capacity(chunk, body), "b", &Limits::default())?;
    let mut first = Vec::new();
    parts.first_part().read_to_end(&mut first)?;
    let (_, second) = parts.second_part()?;
    parts.finish()?;
    Ok((first, second))
}

#[test]
fn the_line_break_before_the_delimiter_is_not_signed() {
    let entity = b"Content-Type: text/plain\r\n\r\nline\r\n\r\n";
    let body = message("Date: x\r\n\r\n", entity, &format!("\r\n--b\r\n{SIGNATURE}\r\n--b--\r\nepilogue"));
    let (first, second) = split(&body, 7).unwrap();
    assert_eq!((first.as_slice(), second.as_slice()), (&entity[..], &b"SIG"[..]));
}

#[test]
fn a_delimiter_is_seen_at_the_beginning_and_behind_a_preamble_of_a_few_lines() {
    let dated = b"Date: Sun, 22 Nov 2026 06:00:00 +0000\r\n\r\n--b\r\nA: 1\r\n\r\nx";
    for start in [&b"--b\r\n"[..], b"\r\n--b\n", b"x\n--b\r\n", dated] {
        assert!(begins_with_delimiter(start, "b"), "{start:?}");
    }
    for start in [&b""[..], b"-b", b"LS1i", b"=2D-b\r\n", b"x--b\r\n", b"Date: x\r\n --b\r\n", b"--c\r\n\r\nx"] {
        assert!(!begins_with_delimiter(start, "b"), "{start:?}");
    }
    let behind = |preamble: usize| [&vec![b'a'; preamble][..], b"\n--b\r\n"].concat();
    assert!(begins_with_delimiter(&behind(256), "b") && !begins_with_delimiter(&behind(257), "b"));
}

#[test]
fn bare_line_feeds_and_padding_around_delimiters_are_understood() {
    let body = b"--b  \nA: 1\n\nx\n--b\t\nB: 2\n\ny\n--b--";
    let (first, second) = split(body, 3).unwrap();
    assert_eq!((first.as_slice(), second.as_slice()), (&b"A: 1\n\nx"[..], &b"y"[..]));
}

#[test]
fn text_that_only_begins_like_a_delimiter_is_content() {
    let entity = b"A: 1\r\n\r\n--b x\r\n--bb\r\n--b-\r\n --b\r\n--b--x\r\n\r\r";
    let body = message("", entity, &format!("\r\n--b\r\n{SIGNATURE}\r\n--b--\r\n"));
    for chunk in 1..40 {
        assert_eq!(split(&body, chunk).unwrap().0, entity);
    }
}

#[test]
fn a_third_part_in_multipart_signed_is_refused() {
    let body = message("", b"A: 1\r\n\r\nx", &format!("\r\n--b\r\n{SIGNATURE}\r\n--b\r\nC: 1\r\n\r\nz\r\n--b--\r\n"));
    assert!(matches!(split(&body, 64), Err(MimeError::NotTwoParts)));
}

#[test]
fn one_part_or_none_is_refused() {
    assert!(matches!(split(b"--b\r\nA: 1\r\n\r\nx\r\n--b--\r\n", 64), Err(MimeError::NotTwoParts)));
    assert!(split(b"--b--\r\n", 64).is_err());
    assert!(split(b"nothing", 64).is_err());
}

#[test]
fn what_was_refused_once_stays_refused() {
    let body = message("", b"A: 1\r\n\r\nx", &format!("\r\n--b\r\n{SIGNATURE}\r\n--b--\r\n"));
    let pieces = ["a".repeat(200), "\r\n--bb\r\n".to_owned(), "b".repeat(200), "\r\n".to_owned()].concat();
    for preamble in ["--b--\r\n", "\u{1}\r\n", &pieces] {
        let body = [preamble.as_bytes(), &body].concat();
        let parts = SignedParts::new(BufReader::with_capacity(64, body.as_slice()), "b", &Limits::default());
        let mut parts = parts.unwrap().pinned();
        for _ in 0..3 {
            assert!(parts.first_part().read(&mut [0; 16]).is_err(), "{preamble:?}");
        }
        assert!(parts.second_part().is_err() && parts.next_part().is_err(), "{preamble:?}");
        assert!(parts.finish().is_err(), "{preamble:?}");
    }
}

#[test]
fn a_truncated_multipart_is_refused() {
    let whole = message("", b"A: 1\r\n\r\nx", &format!("\r\n--b\r\n{SIGNATURE}\r\n--b--"));
    assert!(split(&whole, 64).is_ok());
    for len in 0..whole.len() {
        assert!(split(&whole[..len], 16).is_err(), "{len}");
    }
}

#[test]
fn a_signature_part_over_the_limit_is_refused() {
    let body = message("", b"A: 1\r\n\r\nx", &format!("\r\n--b\r\nB: 1\r\n\r\n{}\r\n--b--\r\n", "s".repeat(1_100_000)));
    assert!(matches!(split(&body, 4096), Err(MimeError::PartTooLarge)));
}

#[test]
fn memory_stays_flat_in_a_large_first_part() {
    let head = std::io::Cursor::new(b"--b\r\nA: 1\r\n\r\n".to_vec());
    let tail = std::io::Cursor::new(format!("\r\n--b\r\n{SIGNATURE}\r\n--b--").into_bytes());
    let input = head.chain(std::io::repeat(b'\n').take(8 << 20)).chain(tail);
    let mut parts = SignedParts::new(BufReader::new(input), "b", &Limits::default()).unwrap();
    let copied = io::copy(&mut parts.first_part(), &mut io::sink()).unwrap();
    assert_eq!(copied, (8 << 20) + 8);
    assert!(parts.window.capacity() <= 4 * WINDOW);
    assert_eq!(parts.second_part().unwrap().1, b"SIG");
}

#[test]
fn delimiter_floods_take_linear_time() {
    let body = [b"--b\r\n".to_vec(), b"\n--b".repeat(300_000)].concat();
    assert!(split(&body, 8192).is_err());
    let body =
        [b"--b\r\nA: 1\r\n\r\n".to_vec(), b"\n--bx".repeat(300_000), b"\r\n--b\r\nB: 1\r\n\r\ny\r\n--b--".to_vec()];
    assert!(split(&body.concat(), 8192).is_ok());
}

fn split_pinned(body: &[u8], chunk: usize) -> Result<Vec<u8>, MimeError> {
    let mut parts = SignedParts::new(BufReader::with_capacity(chunk, body), "b", &Limits::default())?.pinned();
    let mut first = Vec::new();
    parts.first_part().read_to_end(&mut first)?;
    let (_, second) = parts.second_part()?;
    parts.finish()?;
    assert_eq!(second, b"SIG");
    Ok(first)
}

#[test]
fn pinned_parts_leave_no_room_for_foreign_octets() {
    let whole = |preamble: &[u8], head: &str, epilogue: &[u8]| {
        let parts = format!("--b\r\nA: 1\r\n\r\nx\r\n--b\r\n{head}{SIGNATURE}\r\n--b--");
        [preamble, parts.as_bytes(), epilogue].concat()
    };
    let long = [b'p'; 300];
    let long = [long.as_slice(), b"\r\n"].concat();
    for chunk in [1, 3, 64, 4096] {
        for (preamble, epilogue) in
            [("", ""), ("", "\r\n"), ("", "\n"), ("\r\n", "\r\n\r\n"), ("Date: Sun, 22 Nov 2026\r\n\r\n", " \r\n\r\n")]
        {
            let body = whole(preamble.as_bytes(), "", epilogue.as_bytes());
            assert_eq!(split_pinned(&body, chunk).unwrap(), b"A: 1\r\n\r\nx", "{preamble:?} {epilogue:?}");
        }
        let refused: [(&[u8], &str, &[u8]); 7] = [
            (b"\x80\r\n", "", b""),
            (b"\0\r\n", "", b""),
            (&long, "", b""),
            (b"", "X: \u{e9}\r\n", b"\r\n"),
            (b"", "", b"\r\nx"),
            (b"", "", b"\r\n\x01"),
            (b"", "", b"\r\n\r\n\r\n\r\n"),
        ];
        for (preamble, head, epilogue) in refused {
            let error = split_pinned(&whole(preamble, head, epilogue), chunk).unwrap_err();
            assert!(matches!(error, MimeError::OutsideParts), "{preamble:?} {head:?} {epilogue:?}: {error}");
            assert!(split(&whole(preamble, head, epilogue), chunk).is_ok(), "tolerated where nothing depends on it");
        }
    }
}

#[test]
fn illegal_boundaries_are_refused() {
    for boundary in ["", "a ", "é", &"x".repeat(71)] {
        assert!(SignedParts::new(&b""[..], boundary, &Limits::default()).is_err(), "{boundary:?}");
    }
}

fn report(parts: &str) -> (Headers, Vec<u8>) {
    let mut headers = Headers::new();
    headers.push("Content-Type", "multipart/report; report-type=disposition-notification; boundary=\"r\"").unwrap();
    (headers, parts.as_bytes().to_vec())
}

#[test]
fn the_parts_of_a_report_are_ranges_of_what_was_received() {
    let (headers, body) = report(
        "preamble\r\n--r\r\nContent-Type: text/plain\r\n\r\nhello\r\n\r\n--r\r\n\
         Content-Type: message/disposition-notification\r\nContent-Transfer-Encoding: 7bit\r\n\r\nOriginal-Message-ID: <1>\r\n\
         \r\n--r\r\n\r\nheadless\r\n--r--\r\n",
    );
    let found = parts(&headers, &body, &Limits::default()).unwrap();
    let texts: Vec<_> = found.iter().map(|p| std::str::from_utf8(&body[p.body_range.clone()]).unwrap()).collect();
    assert_eq!(texts, ["hello\r\n", "Original-Message-ID: <1>\r\n", "headless"]);
    assert_eq!(found[1].headers.as_ref().unwrap().get("content-transfer-encoding"), Some("7bit"));
    assert_eq!(&body[found[0].head_range.clone()], b"Content-Type: text/plain\r\n\r\n");
}

#[test]
fn nested_parts_and_messages_keep_their_whole_range() {
    let (headers, body) = report(
        "--r\r\nContent-Type: multipart/mixed; boundary=i\r\n\r\n--i\r\n\r\na\r\n--i--\r\n\r\n--r\r\n\
         Content-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\nbody\r\n--r--",
    );
    let found = parts(&headers, &body, &Limits::default()).unwrap();
    let texts: Vec<_> = found.iter().map(|p| std::str::from_utf8(&body[p.body_range.clone()]).unwrap()).collect();
    assert_eq!(texts, ["--i\r\n\r\na\r\n--i--\r\n", "Subject: x\r\n\r\nbody"]);
}

#[test]
fn what_a_part_holds_is_not_looked_into() {
    for content in ["Content-Type: message/rfc822\r\n\r\n", "Content-Type: message/rfc822\n\n\n", "x\r\n\r\n"] {
        let (headers, body) = report(&format!("--r\r\nContent-Type: message/rfc822\r\n\r\n{content}\r\n--r--\r\n"));
        let found = parts(&headers, &body, &Limits::default()).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(&body[found[0].body_range.clone()], content.as_bytes());
    }
}

#[test]
fn parts_may_be_empty() {
    let (headers, body) = report("--r\r\nContent-Type: text/plain\r\n\r\n--r\r\n\r\n\r\n--r\r\n--r--");
    let found = parts(&headers, &body, &Limits::default()).unwrap();
    assert_eq!(found.len(), 3);
    assert!(found.iter().all(|part| part.body_range.is_empty()));
    assert_eq!(found[0].headers.as_ref().unwrap().get("content-type"), Some("text/plain"));
}

#[test]
fn an_inner_boundary_that_starts_like_the_outer_one_is_no_delimiter() {
    let (headers, body) = report(
        "--r\r\nContent-Type: multipart/mixed; boundary=r1\r\n\r\n--r1\r\n\r\na\r\n--r1--\r\n\r\n--r\r\n\r\nb\r\n--r--\r\n",
    );
    let found = parts(&headers, &body, &Limits::default()).unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!(&body[found[1].body_range.clone()], b"b");
}

#[test]
fn reports_that_can_be_read_in_two_ways_are_refused() {
    for text in ["", "--r\r\n\r\nx", "--r--", "--r\r\nbad line\r\n\r\nx\r\n--r--"] {
        let (headers, body) = report(text);
        let found = parts(&headers, &body, &Limits::default());
        let readable = |parts: &Vec<Part>| parts.iter().any(|part| part.headers.is_some());
        assert!(!found.as_ref().is_ok_and(readable), "{text:?} {found:?}");
    }
    let (headers, body) = report(&("--r\r\n\r\nx\r\n".repeat(40) + "--r--"));
    assert!(matches!(parts(&headers, &body, &Limits::default()), Err(MimeError::TooManyParts)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_content_survives_at_any_chunk_size(content in "[ab\r\n-]{0,60}", chunk in 1usize..20) {
        prop_assume!(!content.contains("--b"));
        let entity = format!("A: 1\r\n\r\n{content}");
        let body = message("", entity.as_bytes(), &format!("\r\n--b\r\n{SIGNATURE}\r\n--b--\r\n"));
        prop_assert_eq!(split(&body, chunk).unwrap(), (entity.into_bytes(), b"SIG".to_vec()));
    }

    #[test]
    fn no_bytes_make_the_splitters_panic(body in "[abr\r\n:-]{0,200}", chunk in 1usize..40) {
        let _ = split(body.as_bytes(), chunk);
        let (headers, body) = report(&body);
        let _ = parts(&headers, &body, &Limits::default());
    }
}
