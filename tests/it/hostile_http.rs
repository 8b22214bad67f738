//! Requests that no honest peer sends, and questions that any scanner asks, against a running gateway.

use dxgate::as2::SendPlan;

use crate::support::correspondent::{self, Letter};
use crate::support::gateway::Gateway;
use crate::support::home::{Home, PartnerFile, Station};
use crate::support::keys;
use crate::support::{eventually, free_port, http};

fn home() -> Home {
    let more = "[log]\nformat = \"json\"\nlevel = \"debug\"\n";
    let home = Home::of(&Station { as2_name: "ours", party: keys::ours(), more });
    home.partner("theirs", &PartnerFile::default());
    home
}

/// Neither signed nor encrypted, which this partner may; a receipt is wanted.
fn letter(number: usize) -> Letter {
    let plan = SendPlan { signing: None, encryption: None, ..correspondent::plan() };
    correspondent::letter(&plan, &format!("<{number}@theirs>"), b"<order/>")
}

/// The head and body of a POST, as bytes, with `Connection: close`.
fn post(fields: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("POST /as2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
    [head.as_bytes(), fields.as_bytes(), b"\r\n", body].concat()
}

#[test]
fn questions_to_the_as2_address_are_answered_shortly() {
    let home = home();
    let gateway = Gateway::start(&home);
    let ask = |request: &str| http::exchange(home.as2, request.as_bytes()).unwrap();
    let end = "Host: a\r\nConnection: close\r\n\r\n";
    for (line, status) in [
        ("GET /as2 HTTP/1.1", 200),
        ("HEAD /as2 HTTP/1.1", 200),
        ("HEAD /as2?x=1 HTTP/1.1", 200),
        ("GET / HTTP/1.1", 404),
        ("GET /as2/ HTTP/1.1", 404),
        ("GET /AS2 HTTP/1.1", 404),
        ("POST /as2/../as2 HTTP/1.1", 404),
        ("GET /api/v1/messages HTTP/1.1", 404),
        ("GET /healthz HTTP/1.1", 404),
        ("PUT /as2 HTTP/1.1", 405),
        ("DELETE /as2 HTTP/1.1", 405),
        ("PATCH /as2 HTTP/1.1", 405),
        ("OPTIONS /as2 HTTP/1.1", 405),
        ("TRACE /as2 HTTP/1.1", 405),
        ("BREW /as2 HTTP/1.1", 405),
        ("POST /as2 HTTP/1.1", 400),
    ] {
        let answer = ask(&format!("{line}\r\n{end}"));
        assert_eq!(answer.status, status, "{line}: {}", answer.head);
        let head = answer.head.to_ascii_lowercase();
        assert!(answer.body.len() < 80, "{line}: {}", answer.text());
        assert!(head.contains("content-length: "), "{line}: {head}");
        assert!(!head.contains("server:") && !head.contains("dxgate"), "{line}: {head}");
        if status == 200 {
            assert!(head.contains("content-length: 0") && answer.body.is_empty(), "{line}: {head}");
        }
        if status == 405 {
            assert!(head.contains("allow: post, get, head"), "{line}: {head}");
        }
    }
    // What is compressed on the way is not what was signed.
    let zipped = letter(0);
    let answer = ask(&String::from_utf8(post(&format!("{}Content-Encoding: gzip\r\n", zipped.headers), b"x")).unwrap());
    assert_eq!(answer.status, 415);
    // Credentials that nobody asked for do no harm.
    let letter = letter(1);
    let fields = format!("{}Authorization: Basic eDp5\r\n", letter.headers);
    let answer = http::exchange(home.as2, &post(&fields, &letter.body)).unwrap();
    assert!(correspondent::receipt_in(&answer).disposition.to_string().contains("processed"));
    assert!(gateway.is_ready());
}

#[test]
fn a_request_that_can_be_read_in_two_ways_is_refused() {
    let home = home();
    let gateway = Gateway::start(&home);
    let Letter { headers, body } = letter(0);
    let length = body.len();
    let chunked = format!("{length:x}\r\n{}\r\n0\r\n\r\n", String::from_utf8(body.clone()).unwrap());
    let plain = String::from_utf8(body).unwrap();
    let start = "POST /as2 HTTP/1.1\r\nHost: a\r\n";
    let both = "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n";
    let table = [
        format!("{start}{headers}{both}\r\n{chunked}"),
        format!("{start}{headers}Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n\r\n{chunked}"),
        format!("{start}{headers}Content-Length: {length}\r\nContent-Length: {length}\r\n\r\n{plain}"),
        format!("{start}{headers}Content-Length: {length}\r\nContent-Length: 1\r\n\r\n{plain}"),
        format!("{start}{headers}Content-Length: {length}, {length}\r\n\r\n{plain}"),
        format!("{start}{headers}Content-Length: +{length}\r\n\r\n{plain}"),
        format!("{start}{headers}Content-Length: -1\r\n\r\n{plain}"),
        format!("{start}{headers}Content-Length: 0x10\r\n\r\n{plain}"),
        format!("{start}{headers}Content-Length: 99999999999999999999999\r\n\r\n{plain}"),
        format!("{start}{headers}Transfer-Encoding: chunked, identity\r\n\r\n{chunked}"),
        format!("{start}{headers}Transfer-Encoding: gzip, chunked\r\nTransfer-Encoding: chunked\r\n\r\n{chunked}"),
        format!("{start}{headers}Transfer-Encoding: xchunked\r\n\r\n{chunked}"),
        format!("{start}{headers}Transfer-Encoding : chunked\r\n\r\n{chunked}"),
        format!("{start}{headers}Transfer-Encoding: chunked\r\n\r\n{length:x};{}\r\n", "x".repeat(100_000)),
        format!("{start}{headers}Transfer-Encoding: chunked\r\n\r\nzz\r\n{plain}\r\n0\r\n\r\n"),
        format!("{start}{headers}Transfer-Encoding: chunked\r\n\r\n-1\r\n{plain}\r\n0\r\n\r\n"),
        format!("{start}{headers}Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n{plain}\r\n0\r\n\r\n"),
        format!("{start}{headers}Transfer-Encoding: chunked\r\n\r\n{length:x}\r\n{plain}X\r\n0\r\n\r\n"),
        format!("{start}{headers}Content-Length: {length}\r\nX: a\r\n folded\r\n\r\n{plain}"),
        format!("{start}{headers}Content-Length: {length}\r\nX: a\rY: b\r\n\r\n{plain}"),
        format!("{start}{headers}Content-Length: {length}\r\n: nameless\r\n\r\n{plain}"),
        format!("{start}{headers}Content-Length: {length}\r\nno colon here\r\n\r\n{plain}"),
        format!("{start}{headers}Content-Length: {length}\r\nX Y: a\r\n\r\n{plain}"),
        format!("POST  /as2 HTTP/1.1\r\nHost: a\r\n{headers}Content-Length: {length}\r\n\r\n{plain}"),
        format!("POST /as2 HTTP/9.9\r\nHost: a\r\n{headers}Content-Length: {length}\r\n\r\n{plain}"),
        format!("POST /as2\r\nHost: a\r\n{headers}Content-Length: {length}\r\n\r\n{plain}"),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}\u{1}\u{fc}\u{3}\u{3}\r\n\r\n".to_owned(),
    ];
    for request in &table {
        let shown: String = request.chars().filter(|c| !c.is_control()).skip(20).take(300).collect();
        // Closed without a word is a refusal as well.
        let status = http::exchange(home.as2, request.as_bytes()).map_or(400, |answer| answer.status);
        assert_eq!(status, 400, "{shown}");
    }
    // A coding that nobody here takes off (RFC 9112 6.1).
    let coded = format!("{start}{headers}Transfer-Encoding: gzip, chunked\r\n\r\n{chunked}");
    assert_eq!(http::exchange(home.as2, coded.as_bytes()).unwrap().status, 501);
    assert_eq!(home.names("theirs", "inbox"), Vec::<String>::new());
    // A second request hidden behind the first is never carried out.
    let hidden = letter(1);
    let smuggled = String::from_utf8(post(&hidden.headers, &hidden.body)).unwrap();
    let outer =
        format!("{start}{headers}Content-Length: {}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{smuggled}", 5);
    assert_eq!(http::exchange(home.as2, outer.as_bytes()).unwrap().status, 400);
    assert_eq!(home.names("theirs", "inbox"), Vec::<String>::new());
    assert!(gateway.is_ready());
}

#[test]
fn chunks_may_be_as_small_and_talkative_as_http_allows_and_no_more() {
    let home = home();
    let gateway = Gateway::start(&home);
    let start = "POST /as2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n";
    let in_bytes = |letter: &Letter, extension: &str, trailer: &str| {
        let mut request = format!("{start}{}\r\n", letter.headers).into_bytes();
        for byte in &letter.body {
            request.extend([format!("1{extension}\r\n").as_bytes(), &[*byte][..], b"\r\n"].concat());
        }
        request.extend(format!("0{extension}\r\n{trailer}\r\n").into_bytes());
        request
    };
    let spoken = in_bytes(&letter(1), ";name=\"va;lue\"", "X-Trailer: AS2-From: nobody\r\n");
    let answer = http::exchange(home.as2, &spoken).unwrap();
    assert!(correspondent::receipt_in(&answer).disposition.is_positive(), "{}", answer.text());
    let refused = [
        // Extensions beyond all measure, one by one and all together, and a trailer without end.
        in_bytes(&letter(2), &format!(";x={}", "y".repeat(20_000)), ""),
        in_bytes(&letter(3), "", &format!("X: {}\r\n", "y".repeat(100_000))),
        in_bytes(&letter(4), "", &"X: y\r\n".repeat(20_000)),
        // A line break that is none, and a length with signs or blanks inside.
        in_bytes(&letter(5), "\n", ""),
        in_bytes(&letter(6), " 1", ""),
        in_bytes(&letter(7), "\u{0}", ""),
    ];
    for (number, request) in refused.iter().enumerate() {
        // Closed without a word is a refusal as well.
        let status = http::exchange(home.as2, request).map_or(400, |answer| answer.status);
        assert_eq!(status, 400, "{number}");
    }
    let payloads = || home.names("theirs", "inbox").iter().filter(|name| !name.ends_with(".meta.json")).count();
    eventually("the one that was accepted arrives", || (payloads() > 0).then_some(()));
    assert!(gateway.is_ready());
    assert!(gateway.stop().success());
    assert_eq!(payloads(), 1, "{:?}", home.names("theirs", "inbox"));
}

#[test]
fn any_version_1_x_and_none_at_all_are_read_and_twenty_other_spellings_are_refused() {
    let home = home();
    let gateway = Gateway::start(&home);
    let ask = |number: usize, version: Option<&str>| {
        let Letter { headers, body } = letter(number);
        let others = headers.lines().filter(|line| !line.starts_with("AS2-Version:"));
        let others: String = others.map(|line| format!("{line}\r\n")).collect();
        let field = version.map(|version| format!("AS2-Version: {version}\r\n")).unwrap_or_default();
        http::exchange(home.as2, &post(&format!("{others}{field}"), &body)).unwrap()
    };
    let none_and_known = [None, Some("1.0"), Some("1.1"), Some("1.2"), Some("1.3")];
    let to_come = ["1.4", "1.9", "1.10", "1.99", " 1.1 ", "\t1.2"].map(Some);
    let read: Vec<Option<&str>> = none_and_known.into_iter().chain(to_come).collect();
    for (number, version) in read.iter().enumerate() {
        let answer = ask(number, *version);
        assert_eq!(answer.status, 200, "{version:?}: {}", answer.text());
        assert!(correspondent::receipt_in(&answer).disposition.is_positive(), "{version:?}: {}", answer.text());
    }
    let refused = [
        "2", "2.0", "2.1", "0", "0.9", "10.0", "11.1", "01.0", "-1.0", "+1.0", ".1", ".1.0", "v1.2", "V1.1", "\"1.2\"",
        "1,2", "1;2", "one", "AS2-1.2", "2, 1.2", "*",
    ];
    assert!(refused.len() >= 20);
    for (number, version) in refused.into_iter().enumerate() {
        let answer = ask(100 + number, Some(version));
        assert_eq!((answer.status, answer.text().as_str()), (400, "not an AS2 request\n"), "{version:?}");
    }
    let payloads = || home.names("theirs", "inbox").iter().filter(|name| !name.ends_with(".meta.json")).count();
    eventually("what is read arrives", || (payloads() == read.len()).then_some(()));
    assert!(gateway.stop().success());
    assert_eq!(payloads(), read.len(), "{:?}", home.names("theirs", "inbox"));
}

#[test]
fn fields_that_say_who_or_what_may_not_come_twice() {
    let home = home();
    let gateway = Gateway::start(&home);
    let Letter { headers, body } = letter(0);
    let twice = ["AS2-From", "AS2-To", "Message-ID", "Content-Type", "AS2-Version"];
    for name in twice {
        let line = headers.lines().find(|line| line.to_ascii_lowercase().starts_with(&name.to_ascii_lowercase()));
        let line = line.unwrap_or_else(|| panic!("{name} is not in {headers}"));
        for second in [line.to_owned(), format!("{name}: other")] {
            let answer = http::exchange(home.as2, &post(&format!("{headers}{second}\r\n"), &body)).unwrap();
            assert_eq!(answer.status, 400, "{second}: {}", answer.text());
        }
    }
    let many: String = (0..200).map(|number| format!("X-{number}: 1\r\n")).collect();
    let large = format!("X: {}\r\n", "y".repeat(100_000));
    for fields in [many, large] {
        let answer = http::exchange(home.as2, &post(&format!("{headers}{fields}"), &body)).unwrap();
        assert_eq!(answer.status, 431);
    }
    assert_eq!(home.names("theirs", "inbox"), Vec::<String>::new());
    assert!(gateway.is_ready());
}

/// A letter with this in the middle of a field, which has some text if the letter has no such field.
fn bent(number: usize, name: &str, inserted: &str) -> Vec<u8> {
    let Letter { headers, body } = letter(number);
    let is_it = |line: &&str| line.to_ascii_lowercase().starts_with(&name.to_ascii_lowercase());
    let value = headers.lines().find(is_it).and_then(|line| line.split_once(": ")).map_or("text", |(_, value)| value);
    let others: String = headers.lines().filter(|line| !is_it(line)).map(|line| format!("{line}\r\n")).collect();
    let (before, after) = value.split_at(value.len() / 2);
    post(&format!("{others}{name}: {before}{inserted}{after}\r\n"), &body)
}

#[test]
fn no_character_in_a_field_reaches_a_receipt_or_a_log_line_as_a_command() {
    let home = home();
    let gateway = Gateway::start(&home);
    let names = [
        "AS2-From",
        "AS2-To",
        "Message-ID",
        "Subject",
        "From",
        "Date",
        "AS2-Version",
        "EDIINT-Features",
        "User-Agent",
        "Content-Disposition",
        "Disposition-Notification-To",
        "Disposition-Notification-Options",
        "Receipt-Delivery-Option",
        "Content-Type",
    ];
    let mut characters: Vec<String> = (0u8..0x20).chain([0x7f]).map(|code| char::from(code).to_string()).collect();
    characters.extend(["\u{202e}".to_owned(), "\u{2028}".to_owned(), "\r\nX-Injected: yes".to_owned()]);
    let control = |c: char| c.is_control() && !"\r\n\t".contains(c) || "\u{202e}\u{2028}".contains(c);
    let mut number = 0;
    for name in names {
        // The control: the same request without anything in the middle of the field is answered, and well.
        number += 1;
        let answer = http::exchange(home.as2, &bent(number, name, "")).unwrap();
        assert!([200, 202].contains(&answer.status), "{name} as it is: {}", answer.head);
        let mut silent = 0;
        for character in &characters {
            number += 1;
            // Closed without a word is a refusal as well.
            let Ok(answer) = http::exchange(home.as2, &bent(number, name, character)) else {
                silent += 1;
                continue;
            };
            let shown = format!("{name} with {:?}: {}", character, answer.status);
            assert!([200, 202, 400, 403].contains(&answer.status), "{shown}");
            let refused = character.len() == 1 && character != "\t";
            assert!(answer.status == 400 || !refused, "{shown}");
            assert!(!answer.head.to_ascii_lowercase().contains("x-injected"), "{shown}: {}", answer.head);
            let text = answer.text();
            assert!(!text.contains("X-Injected") && !text.contains(control), "{shown}: {text}");
        }
        assert!(silent < characters.len() / 2, "{name}: {silent} of {} were not answered", characters.len());
    }
    assert!(gateway.is_ready());
    let log = std::fs::read_to_string(home.log()).unwrap();
    // The last line may be in the making.
    let log = &log[..log.rfind('\n').unwrap()];
    // What the program says to whoever started it stands in the same file.
    let said = |line: &&str| line.starts_with("running: ") || line.starts_with("the console has no user yet");
    for line in log.lines().filter(|line| !said(line)) {
        let parsed: Result<serde_json::Value, _> = serde_json::from_str(line);
        assert!(parsed.is_ok_and(|value| value.is_object()), "not one event: {line}");
        assert!(!line.contains(['\u{202e}', '\u{2028}', '\u{1b}']), "{line}");
    }
}

#[test]
fn only_http_1_1_is_spoken_over_tls() {
    let tls = format!(
        "[[as2.listeners]]\nlisten = \"127.0.0.1:{port}\"\n[as2.listeners.tls]\ncertificate = \"{}\"\nprivate_key = \"{}\"\n",
        keys::ours().certificate_file.display(),
        keys::ours().key_file.display(),
        port = free_port(),
    );
    let port: u16 = tls.split("127.0.0.1:").nth(1).and_then(|rest| rest.split('"').next()).unwrap().parse().unwrap();
    let home = Home::of(&Station { as2_name: "ours", party: keys::ours(), more: &tls });
    home.partner("theirs", &PartnerFile::default());
    let gateway = Gateway::start(&home);
    let speaks = |arguments: &[&str]| {
        let mut command = std::process::Command::new("openssl");
        command.args(["s_client", "-connect", &format!("127.0.0.1:{port}")]).args(arguments);
        let output = command.stdin(std::process::Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        (said.contains("Cipher is ") && !said.contains("Cipher is (NONE)")).then_some(said)
    };
    let chosen = speaks(&["-alpn", "h2,http/1.1"]).expect("a handshake");
    assert!(chosen.contains("ALPN protocol: http/1.1"), "{chosen}");
    let other = speaks(&["-alpn", "h2"]).unwrap_or_default();
    assert!(!other.contains("ALPN protocol: h2"), "nothing but HTTP/1.1 is offered: {other}");
    assert!(speaks(&["-tls1_2"]).is_some() && speaks(&["-tls1_3"]).is_some());
    for old in [["-tls1", "-cipher", "ALL:@SECLEVEL=0"], ["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"]] {
        assert!(speaks(&old).is_none(), "{old:?}");
    }
    for weak in ["AES128-SHA", "AES128-SHA256", "ECDHE-RSA-AES128-SHA", "DES-CBC3-SHA", "AES128-GCM-SHA256"] {
        assert!(speaks(&["-tls1_2", "-cipher", &format!("{weak}:@SECLEVEL=0")]).is_none(), "{weak}");
    }
    assert!(gateway.is_ready());
}
