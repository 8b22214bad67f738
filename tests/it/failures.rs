//! How often opening may fail: by the address it fails from, and in whose name. Addresses are those that a trusted proxy
//! tells, so that a test can come from anywhere.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use dxgate::as2::{As2Name, MdnAsk, MdnMode, SendPlan};
use dxgate::cms::ContentCipher;
use openssl::ssl::{SslConnector, SslMethod, SslVerifyMode};

use crate::oracle::{STRICT, enveloped, failures, fields};
use crate::support::correspondent::{Letter, letter, plan, receipt_in};
use crate::support::home::{Home, PartnerFile, Station, change};
use crate::support::http::{self, Answer};
use crate::support::inside::{self, Inside, pass};
use crate::support::keys::{self, Party};
use crate::support::{eventually, free_port};

const HOUR: Duration = Duration::from_secs(3600);
const THEIRS: &str = "203.0.113.1";

/// `theirs` and `others`, behind a proxy on this machine.
fn home() -> Home {
    let home = Home::of(&Station { as2_name: "ours", party: keys::ours(), more: "" });
    change(&home.config(), "[as2]\n", "[as2]\ntrusted_proxies = [\"127.0.0.1\"]\n");
    home.partner("theirs", &PartnerFile { accept: STRICT, ..PartnerFile::default() });
    home.partner("others", &PartnerFile { as2_name: "others", accept: STRICT, ..PartnerFile::default() });
    home
}

fn post(home: &Home, from: &str, letter: &Letter) -> Answer {
    let headers = format!("{}X-Forwarded-For: 1.2.3.4, {from}\r\n", letter.headers);
    http::post(home.as2, "/as2", &headers, &letter.body).unwrap()
}

fn intact(id: &str) -> Letter {
    letter(&plan(), &format!("<{id}@theirs>"), id.as_bytes())
}

fn accepted(answer: &Answer) -> bool {
    answer.status == 200 && receipt_in(answer).disposition.is_positive()
}

/// Posts as many messages that fail, each in another way, all at once.
fn guess(home: &Home, times: usize, from: impl Fn(usize) -> String + Sync) {
    let ways = failures();
    std::thread::scope(|scope| {
        for number in 0..times {
            let (from, body) = (from(number), ways[number % ways.len()].1.clone());
            scope.spawn(move || {
                let headers = fields(&format!("<guess-{number}-{from}@theirs>"));
                let answer = post(home, &from, &Letter { headers, body });
                assert!(!receipt_in(&answer).disposition.is_positive());
            });
        }
    });
}

/// The answer of somebody who is refused unopened.
fn assert_refused(answer: &Answer, seconds: u64) {
    assert_eq!((answer.status, answer.text().as_str()), (503, "temporarily unavailable\n"), "{}", answer.head);
    let wanted = format!("retry-after: {seconds}");
    assert!(answer.head.to_ascii_lowercase().lines().any(|line| line == wanted), "{}", answer.head);
}

#[test]
fn ten_failures_from_an_address_keep_it_out_for_an_hour_and_nobody_else() {
    let home = home();
    let gateway = Inside::start(&home, &inside::clock());
    guess(&home, 10, |_| "198.51.100.1".to_owned());
    let known = gateway.messages().len();
    let failing = enveloped(&[0x8f; 400], &[keys::ours()], ContentCipher::Aes256Cbc);
    for refused in [intact("good"), Letter { headers: fields("<bad@theirs>"), body: failing }] {
        assert_refused(&post(&home, "198.51.100.1", &refused), 3600);
    }
    let other = SendPlan { from: As2Name::parse("others").unwrap(), ..plan() };
    assert_refused(&post(&home, "198.51.100.1", &letter(&other, "<o@others>", b"o")), 3600);
    assert_eq!(gateway.messages().len(), known, "nothing of it is recorded");
    // A receipt opens nothing, so it is read.
    let receipt = format!("{}X-Forwarded-For: 198.51.100.1\r\n", fields("<mdn@theirs>"));
    let receipt = receipt.replace(
        "application/pkcs7-mime; smime-type=enveloped-data; name=\"smime.p7m\"",
        "multipart/report; boundary=b",
    );
    assert_eq!(http::post(home.as2, "/as2", &receipt, b"--b--").unwrap().status, 400);
    assert!(accepted(&post(&home, "198.51.100.2", &intact("neighbour"))));
    assert!(gateway.alerts().is_empty(), "ten are no alert");
    let page = http::get(home.console, "/metrics", home.token().as_deref()).unwrap().text();
    assert!(page.contains("dxgate_crypto_refusals_total{limit=\"ip\"} 3\n"), "{page}");
    pass(&gateway.clock, HOUR);
    assert!(accepted(&post(&home, "198.51.100.1", &intact("later"))));
}

#[test]
fn whoever_fails_in_a_partners_name_shuts_out_strangers_and_never_the_partner() {
    let home = home();
    let clock = inside::clock();
    let gateway = Inside::start(&home, &clock);
    assert!(accepted(&post(&home, THEIRS, &intact("first"))));
    let attack = || guess(&home, 20, |number| format!("198.51.100.{}", number / 5));
    attack();
    assert_refused(&post(&home, "198.51.100.77", &intact("stranger")), 3600);
    assert!(accepted(&post(&home, THEIRS, &intact("second"))), "the partner itself is heard");
    let other = SendPlan { from: As2Name::parse("others").unwrap(), ..plan() };
    assert!(accepted(&post(&home, "198.51.100.77", &letter(&other, "<o@others>", b"o"))), "and so are others");
    let alerts = || gateway.api("/api/v1/alerts")["alerts"].clone();
    let alert = eventually("people are told", || alerts().as_array().unwrap().first().cloned());
    let told = (&alert["code"], &alert["level"], &alert["partner"]);
    assert_eq!(told, (&"crypto-failures".into(), &"security".into(), &"theirs".into()), "{alert:#}");
    pass(&clock, HOUR);
    assert!(accepted(&post(&home, "198.51.100.78", &intact("newcomer"))));
    eventually("the alert ends", || gateway.alerts().is_empty().then_some(()));
    drop(gateway);
    // Where a partner is at home is known after a restart; who failed is not.
    let gateway = Inside::start(&home, &clock);
    attack();
    assert_refused(&post(&home, "198.51.100.77", &intact("stranger")), 3600);
    assert!(accepted(&post(&home, THEIRS, &intact("third"))), "{:?}", gateway.alerts());
}

#[test]
fn a_recorded_message_sent_again_from_elsewhere_makes_nobody_at_home_there() {
    let home = home();
    let _gateway = Inside::start(&home, &inside::clock());
    let recorded = intact("recorded");
    assert!(accepted(&post(&home, THEIRS, &recorded)));
    assert!(accepted(&post(&home, "198.51.100.66", &recorded)), "a repetition gets its receipt");
    guess(&home, 20, |number| format!("198.51.100.{}", number / 5));
    assert_refused(&post(&home, "198.51.100.66", &intact("next")), 3600);
    assert!(accepted(&post(&home, THEIRS, &intact("genuine"))));
}

#[test]
fn failures_that_are_answered_later_count_before_the_next_message_is_opened() {
    let home = home();
    let _gateway = Inside::start(&home, &inside::clock());
    let receipts = "http://127.0.0.1:9/as2";
    let later = |headers: String| format!("{headers}Receipt-Delivery-Option: {receipts}\r\n");
    let failing = &failures()[3].1;
    for number in 0..10 {
        let headers = later(fields(&format!("<later-{number}@theirs>")));
        assert_eq!(post(&home, "198.51.100.1", &Letter { headers, body: failing.clone() }).status, 202);
    }
    let mode = MdnMode::Async { url: receipts.to_owned() };
    let asked = SendPlan { mdn: MdnAsk { mode, ..plan().mdn }, ..plan() };
    assert_refused(&post(&home, "198.51.100.1", &letter(&asked, "<asked@theirs>", b"a")), 3600);
    assert!(accepted(&post(&home, "198.51.100.2", &intact("other"))));
}

/// Unsigned, where the partner must sign.
fn plain(id: &str) -> Letter {
    let headers = fields(&format!("<{id}@theirs>"));
    let kind = "application/pkcs7-mime; smime-type=enveloped-data; name=\"smime.p7m\"";
    assert!(headers.contains(kind));
    Letter { headers: headers.replace(kind, "text/plain"), body: vec![b'x'; 2000] }
}

#[test]
fn of_unsigned_messages_in_a_partners_name_twenty_are_kept_in_an_hour_and_all_are_told() {
    let home = home();
    let gateway = Inside::start(&home, &inside::clock());
    let told = |from: &str, id: String| {
        let disposition = receipt_in(&post(&home, from, &plain(&id))).disposition;
        assert_eq!(
            disposition.to_string(),
            "automatic-action/MDN-sent-automatically; processed/error: insufficient-message-security"
        );
    };
    for number in 0..25 {
        told(&format!("198.51.100.{number}"), format!("plain-{number}"));
    }
    assert_eq!(gateway.messages().len(), 20);
    // One that is answered later would be kept first.
    let later = plain("later");
    let headers = format!("{}Receipt-Delivery-Option: http://127.0.0.1:9/as2\r\n", later.headers);
    let later = Letter { headers, ..later };
    assert_refused(&post(&home, "198.51.100.99", &later), 3600);
    assert!(accepted(&post(&home, "198.51.100.98", &intact("signed"))), "nobody is kept out by that");
    told("198.51.100.98", "at-home".to_owned());
    assert_eq!(gateway.messages().len(), 22, "what comes from where the partner is at home is kept");
    pass(&gateway.clock, HOUR);
    told("198.51.100.1", "an-hour-later".to_owned());
    assert_eq!(post(&home, "198.51.100.99", &later).status, 202);
    eventually("both are kept", || (gateway.messages().len() == 24).then_some(()));
}

#[test]
fn a_partner_that_shows_its_certificate_is_heard_from_anywhere_and_at_home_there_afterwards() {
    let (certificate, key) = (keys::ours().certificate_file.display(), keys::ours().key_file.display());
    let plain = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let tls = format!("certificate = \"{certificate}\"\nprivate_key = \"{key}\"\nclient_certificates = \"ask\"\n");
    let more = format!("[as2.tls]\n{tls}[[as2.listeners]]\nlisten = \"{plain}\"\n");
    let home = Home::of(&Station { as2_name: "ours", party: keys::ours(), more: &more });
    change(&home.config(), "[as2]\n", "[as2]\ntrusted_proxies = [\"127.0.0.1\"]\n");
    let certificate = "use = [\"verify\", \"encrypt\", \"client\"]";
    home.partner("theirs", &PartnerFile { accept: STRICT, certificate, ..PartnerFile::default() });
    let _gateway = Inside::start(&home, &inside::clock());
    let post = |from: &str, shown: Option<&Party>, letter: &Letter| {
        let headers = format!("{}X-Forwarded-For: {from}\r\n", letter.headers);
        let Some(party) = shown else { return http::post(plain, "/as2", &headers, &letter.body).unwrap() };
        let mut builder = SslConnector::builder(SslMethod::tls()).unwrap();
        builder.set_verify(SslVerifyMode::NONE);
        builder.set_certificate(&party.certificate).unwrap();
        builder.set_private_key(&party.key).unwrap();
        let configuration = builder.build().configure().unwrap().verify_hostname(false);
        let mut socket = configuration.connect("localhost", TcpStream::connect(home.as2).unwrap()).unwrap();
        let head =
            format!("POST /as2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n", letter.body.len());
        http::over(&mut socket, &[head.as_bytes(), headers.as_bytes(), b"\r\n", &letter.body].concat()).unwrap()
    };
    let failing = &failures()[3].1;
    for number in 0..20 {
        let letter = Letter { headers: fields(&format!("<guess-{number}@theirs>")), body: failing.clone() };
        assert_eq!(post(&format!("198.51.100.{}", number / 5), None, &letter).status, 200);
    }
    assert_refused(&post("203.0.113.9", None, &intact("nothing-shown")), 3600);
    assert_refused(&post("203.0.113.9", Some(keys::stranger()), &intact("of-another")), 3600);
    assert!(accepted(&post("203.0.113.9", Some(keys::theirs()), &intact("shown"))));
    assert!(accepted(&post("203.0.113.9", None, &intact("at-home"))));
}

#[test]
fn where_addresses_cannot_be_told_apart_nobody_is_refused_but_people_are_told() {
    let home = Home::ours();
    home.partner("theirs", &PartnerFile { accept: STRICT, ..PartnerFile::default() });
    let gateway = Inside::start(&home, &inside::clock());
    // The proxy of this machine that nobody has named as trusted: what it says does not count.
    guess(&home, 20, |_| "198.51.100.1".to_owned());
    assert!(accepted(&post(&home, "198.51.100.1", &intact("good"))));
    eventually("people are told", || gateway.alerts().contains(&"crypto-failures".to_owned()).then_some(()));
}

#[test]
fn zero_is_no_limit() {
    let more = "[limits]\nfree_space_floor = 0\nfailures_per_ip = 0\nfailures_per_partner = 0\n";
    let home = Home::of(&Station { as2_name: "ours", party: keys::ours(), more });
    change(&home.config(), "[as2]\n", "[as2]\ntrusted_proxies = [\"127.0.0.1\"]\n");
    home.partner("theirs", &PartnerFile { accept: STRICT, ..PartnerFile::default() });
    let _gateway = Inside::start(&home, &inside::clock());
    guess(&home, 24, |_| "198.51.100.1".to_owned());
    assert!(accepted(&post(&home, "198.51.100.1", &intact("good"))));
}

#[test]
fn an_unsigned_message_makes_nobody_at_home_where_padding_could_be_guessed() {
    let home = home();
    let accept = "signature = false\nencryption = false";
    home.partner("lax", &PartnerFile { as2_name: "lax", accept, ..PartnerFile::default() });
    let _gateway = Inside::start(&home, &inside::clock());
    let from = "198.51.100.9";
    let open = SendPlan { from: As2Name::parse("lax").unwrap(), signing: None, ..plan() };
    assert!(accepted(&post(&home, from, &letter(&open, "<one@lax>", b"one"))));
    let (what, body) = failures().swap_remove(3);
    assert_eq!(what, "padding of the content");
    let guess = |number: usize| {
        let headers = fields(&format!("<{number}@lax>")).replace("AS2-From: theirs", "AS2-From: lax");
        post(&home, from, &Letter { headers, body: body.clone() })
    };
    (0..10).for_each(|number| assert!(!receipt_in(&guess(number)).disposition.is_positive()));
    assert_eq!(guess(10).status, 503);
}

#[test]
fn an_unsigned_message_makes_nobody_at_home_while_a_waiver_lets_a_cipher_without_a_tag_in() {
    let home = home();
    let accept = "signature = false\nencryption = false\nciphers = [\"aes256-gcm\"]\n\
                  [[waivers]]\nalgorithm = \"3des-cbc\"\nuntil = \"2099-12-31\"\nreason = \"until their upgrade\"";
    home.partner("lax", &PartnerFile { as2_name: "lax", accept, ..PartnerFile::default() });
    let _gateway = Inside::start(&home, &inside::clock());
    let from = "198.51.100.9";
    let open = SendPlan { from: As2Name::parse("lax").unwrap(), signing: None, encryption: None, ..plan() };
    assert!(accepted(&post(&home, from, &letter(&open, "<one@lax>", b"one"))));
    let body = enveloped(&[0x8f; 400], &[keys::ours()], ContentCipher::DesEde3Cbc);
    let guess = |number: usize| {
        let headers = fields(&format!("<{number}@lax>")).replace("AS2-From: theirs", "AS2-From: lax");
        post(&home, from, &Letter { headers, body: body.clone() })
    };
    (0..10).for_each(|number| assert!(!receipt_in(&guess(number)).disposition.is_positive()));
    assert_eq!(guess(10).status, 503);
}
