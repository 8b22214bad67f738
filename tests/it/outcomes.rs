//! The table of outcomes, row by row, for synchronous and for asynchronous MDNs; the schedule; a partner that is down.
//! Gateways run inside the test, on a clock that the test moves.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dxgate::as2::Mic;
use dxgate::cms::DigestAlgorithm;
use dxgate::ground::clock::Clock;
use dxgate::ground::text::Bilingual;
use dxgate::store::record::State;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use crate::support::correspondent::{Kind, acknowledge, open};
use crate::support::home::{Home, PartnerFile, Station};
use crate::support::inside::{self, Inside, pass};
use crate::support::scripted::{Posted, Scripted, answer};
use crate::support::{eventually, free_port, keys};

const ORDER: &[u8] = b"<order/>\n";
const RETRY: &str = "retry = [\"1m\", \"2m\", \"5m\"]\njitter = 0.0\ngive_up_after = \"72h\"";

/// Where redirects lead.
const ELSEWHERE: &str = "http://127.0.0.1:9/elsewhere";

/// What the first attempt leaves.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Leaves {
    Delivered,
    /// Waits for the next attempt, so many seconds away.
    Retry(i64),
    /// Waits for the asynchronous MDN, half an hour.
    Awaits,
    Held,
    Failed,
}

use Leaves::{Awaits, Delivered, Failed, Held, Retry};

type Script = Box<dyn Fn(&Posted) -> Option<Vec<u8>> + Send>;

struct Row {
    name: String,
    script: Script,
    /// With a synchronous and with an asynchronous MDN.
    leaves: [Leaves; 2],
    /// The reason and its alert; an alert only where a person has to act.
    code: &'static str,
    delivery: &'static str,
}

fn row(
    name: &str,
    code: &'static str,
    leaves: [Leaves; 2],
    script: impl Fn(&Posted) -> Option<Vec<u8>> + Send + 'static,
) -> Row {
    Row { name: name.to_owned(), script: Box::new(script), leaves, code, delivery: "" }
}

fn receipt(disposition: &'static str) -> impl Fn(&Posted) -> Option<Vec<u8>> + Send {
    move |posted| Some(acknowledge(posted, Kind { disposition, ..Kind::default() }))
}

fn status(code: u16) -> impl Fn(&Posted) -> Option<Vec<u8>> + Send {
    move |_| Some(answer(code, "", b""))
}

const SENT: &str = "automatic-action/MDN-sent-automatically; ";
const OK: &str = "automatic-action/MDN-sent-automatically; processed";
const WARNING: &str = "automatic-action/MDN-sent-automatically; processed/warning: duplicate-document";
const DECRYPTION: &str = "automatic-action/MDN-sent-automatically; processed/error: decryption-failed";
const FAILURE: &str = "automatic-action/MDN-sent-automatically; failed/failure: sender-equals-receiver";
const UNEXPECTED: &str = "automatic-action/MDN-sent-automatically; processed/error: unexpected-processing-error";

fn receipts() -> Vec<Row> {
    assert!([OK, WARNING, DECRYPTION, FAILURE, UNEXPECTED].iter().all(|known| known.starts_with(SENT)));
    let altered = |posted: &Posted| {
        let mic = Some(Mic { algorithm: DigestAlgorithm::Sha256, value: vec![7; 32] });
        Some(acknowledge(posted, Kind { mic, ..Kind::default() }))
    };
    let unsigned = |posted: &Posted| Some(acknowledge(posted, Kind { signer: None, ..Kind::default() }));
    let forged =
        |posted: &Posted| Some(acknowledge(posted, Kind { signer: Some(keys::stranger()), ..Kind::default() }));
    let without = |posted: &Posted| Some(acknowledge(posted, Kind { without_mic: true, ..Kind::default() }));
    let other = |posted: &Posted| Some(acknowledge(posted, Kind { about: Some("<other@ours>"), ..Kind::default() }));
    let elsewhere = |posted: &Posted| {
        let recipient = Some("somebody else");
        Some(acknowledge(posted, Kind { recipient, ..Kind::default() }))
    };
    let half = |posted: &Posted| {
        let whole = acknowledge(posted, Kind::default());
        let (head, body) = whole.split_at(whole.windows(4).position(|end| end == b"\r\n\r\n").unwrap());
        let fields = String::from_utf8_lossy(head).into_owned();
        let kept = fields.lines().skip(3).map(|line| format!("{line}\r\n")).collect::<String>();
        Some(answer(200, &kept, &body[4..body.len() / 2]))
    };
    let cut = |_: &Posted| Some(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf".to_vec());
    let html = |_: &Posted| Some(answer(200, "Content-Type: text/html\r\n", b"<p>Thank you!</p>"));
    let informed = |posted: &Posted| {
        let whole = acknowledge(posted, Kind::default());
        Some([b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n", whole.as_slice()].concat())
    };
    let retry = [Retry(60), Awaits];
    vec![
        row("processed", "", [Delivered; 2], receipt(OK)),
        row("processed with a warning", "", [Delivered; 2], receipt(WARNING)),
        row("processed for another name", "mdn-recipient-differs", [Delivered; 2], elsewhere),
        row("102 twice, then processed", "", [Delivered; 2], informed),
        row("another MIC", "mdn-mic-mismatch", [Held; 2], altered),
        row("processed/error", "mdn-negative", [Failed; 2], receipt(DECRYPTION)),
        row("failed/failure", "mdn-negative", [Failed; 2], receipt(FAILURE)),
        row("unexpected-processing-error", "mdn-negative", [Failed; 2], receipt(UNEXPECTED)),
        Row {
            delivery: "\nretry_processing_error = true",
            ..row("a passing processing error", "mdn-negative", [Retry(60); 2], receipt(UNEXPECTED))
        },
        Row {
            delivery: "\nretry_processing_error = true",
            ..row("another error with the switch", "mdn-negative", [Failed; 2], receipt(DECRYPTION))
        },
        row("no MDN", "mdn-missing", retry, status(200)),
        row("no MDN, 204", "mdn-missing", retry, status(204)),
        row("words instead of an MDN", "mdn-unreadable", retry, html),
        row("half an MDN", "mdn-unreadable", retry, half),
        row("an answer that breaks off", "connection-closed", retry, cut),
        row("an unsigned MDN", "mdn-unsigned", retry, unsigned),
        row("a stranger's MDN", "mdn-bad-signature", retry, forged),
        row("an MDN without MIC", "mdn-without-mic", retry, without),
        row("an MDN about another message", "mdn-wrong-message", retry, other),
    ]
}

fn statuses() -> Vec<Row> {
    let mut rows = vec![
        row("closed before the status", "connection-closed", [Retry(60); 2], |_| None),
        row("half a status line", "connection-closed", [Retry(60); 2], |_| Some(b"HTTP/1.1 2".to_vec())),
        row("not HTTP", "not-http", [Retry(60); 2], |_| Some(b"220 mail ready\r\n\r\n".to_vec())),
        row("429 with Retry-After", "http-429", [Retry(600); 2], |_| Some(answer(429, "Retry-After: 600\r\n", b""))),
        Row {
            delivery: "\nretry_status = [404, 423]",
            ..row("404 that the agreement retries", "http-404", [Retry(60); 2], status(404))
        },
    ];
    for (code, name) in [
        (408, "http-408"),
        (425, "http-425"),
        (429, "http-429"),
        (500, "http-500"),
        (502, "http-502"),
        (503, "http-503"),
        (504, "http-504"),
        (507, "http-507"),
        (501, "http-501"),
        (505, "http-505"),
    ] {
        rows.push(row(&format!("status {code}"), name, [Retry(60); 2], status(code)));
    }
    for (code, name) in [
        (400, "http-400"),
        (401, "http-401"),
        (403, "http-403"),
        (404, "http-404"),
        (405, "http-405"),
        (406, "http-406"),
        (409, "http-409"),
        (410, "http-410"),
        (411, "http-411"),
        (413, "http-413"),
        (414, "http-414"),
        (415, "http-415"),
        (417, "http-417"),
        (422, "http-422"),
        (431, "http-431"),
    ] {
        rows.push(row(&format!("status {code}"), name, [Held; 2], status(code)));
    }
    for (code, name) in [(301, "http-301"), (302, "http-302"), (303, "http-303"), (307, "http-307"), (308, "http-308")]
    {
        rows.push(row(&format!("status {code}"), name, [Held; 2], move |_| {
            Some(answer(code, &format!("Location: {ELSEWHERE}\r\n"), b""))
        }));
    }
    rows
}

#[test]
fn every_row_of_the_table_leaves_its_state_reason_and_alert() {
    let home = Home::ours();
    let asynchronous = "mode = \"async\"\nsigned = true\ndeadline = \"30m\"";
    let mut peers = Vec::new();
    for (number, mode) in [(0, "mode = \"sync\"\nsigned = true"), (1, asynchronous)] {
        for Row { name, script, leaves, code, delivery } in receipts().into_iter().chain(statuses()) {
            let id = format!("row{}", peers.len());
            let peer = Scripted::start(move |_, posted| script(posted));
            let delivery = format!("{RETRY}{delivery}");
            let file = PartnerFile {
                as2_name: &id,
                url: peer.url(),
                mdn: mode,
                delivery: &delivery,
                ..PartnerFile::default()
            };
            home.partner(&id, &file);
            let way = ["synchronous", "asynchronous"][number];
            peers.push((id, format!("{name}, {way}"), leaves[number], code, peer));
        }
    }
    assert!(peers.len() >= 2 * 24, "all rows: {}", peers.len());
    let clock = inside::clock();
    let gateway = Inside::start(&home, &clock);
    for (id, ..) in &peers {
        gateway.submit(id, "order.xml", ORDER);
    }
    for (id, name, leaves, code, peer) in &peers {
        let message = gateway.until(id, name, |message| message.attempts > 0 && message.state != State::Sending);
        let wait = message.due.map(|due| due.duration_since(clock.now()).as_secs());
        let found = match (message.state, wait) {
            (State::Delivered, None) => Delivered,
            (State::Held, None) => Held,
            (State::Failed, None) => Failed,
            (State::Composed, Some(wait)) => Retry(wait),
            (State::AwaitingReceipt, Some(1800)) => Awaits,
            other => panic!("{name}: {other:?}"),
        };
        assert_eq!(found, *leaves, "{name}: {:?}", message.reason);
        let reason = message.reason.as_ref().map_or("", |reason| reason.code.as_str());
        let expected = if *leaves == Awaits { "" } else { code };
        assert_eq!(reason, expected, "{name}");
        let open: Vec<&str> =
            message.alerts.iter().filter(|alert| alert.is_open()).map(|alert| alert.code.as_str()).collect();
        let alerted = matches!(leaves, Held | Failed);
        if code.starts_with("http-3") {
            let texts =
                [message.reason.as_ref().map(|reason| &reason.text), message.alerts.first().map(|alert| &alert.text)];
            let tells = |text: &Bilingual| text.zh.contains(ELSEWHERE) && text.en.contains(ELSEWHERE);
            assert!(texts.into_iter().all(|text| text.is_some_and(tells)), "{name}: the Location in {texts:?}");
        }
        assert_eq!(open, if alerted { vec![*code] } else { vec![] }, "{name}");
        assert_eq!(peer.posted().len(), 1, "{name}");
        let folders = [("sent", Delivered), ("failed", Failed)];
        for (folder, when) in folders {
            let there = home.names(id, folder).iter().any(|name| name == "order.xml");
            if *leaves == when {
                eventually(&format!("{name}: {folder}/order.xml"), || {
                    home.names(id, folder).contains(&"order.xml".to_owned()).then_some(())
                });
            } else {
                assert!(!there, "{name}: in {folder}");
            }
        }
    }
    let open = gateway.api("/api/v1/alerts?limit=500")["alerts"].as_array().unwrap().len();
    let alerted = peers.iter().filter(|(_, _, leaves, ..)| matches!(leaves, Held | Failed)).count();
    assert_eq!(open, alerted, "one alert for each message that waits for a person");
}

#[test]
fn an_mdn_that_settles_nothing_is_kept_with_its_message() {
    let home = Home::ours();
    let peer = Scripted::start(|_, posted| {
        let mic = Some(Mic { algorithm: DigestAlgorithm::Sha256, value: vec![7; 32] });
        Some(acknowledge(posted, Kind { mic, ..Kind::default() }))
    });
    home.partner("theirs", &PartnerFile { url: peer.url(), delivery: RETRY, ..PartnerFile::default() });
    let gateway = Inside::start(&home, &inside::clock());
    gateway.submit("theirs", "order.xml", ORDER);
    let held = gateway.until("theirs", "held", |message| message.state == State::Held);
    assert_eq!(held.strays.len(), 1, "{held:#?}");
    assert!(held.strays[0].receipt.signer.is_some() && held.strays[0].receipt.body.len > 1000);
    let shown = gateway.api(&format!("/api/v1/messages/{}", held.id));
    assert_eq!(shown["stray_receipts"][0]["reason"]["code"], "mdn-mic-mismatch", "{shown:#}");
    assert_eq!(shown["alerts"][0]["level"], "security", "{shown:#}");
    assert_eq!(shown["alerts"][0]["times"], 1, "{shown:#}");
}

#[test]
fn other_server_errors_are_held_with_the_third_attempt() {
    let home = Home::ours();
    let peer = Scripted::start(|_, _| Some(answer(501, "", b"")));
    home.partner("theirs", &PartnerFile { url: peer.url(), delivery: RETRY, ..PartnerFile::default() });
    let clock = inside::clock();
    let gateway = Inside::start(&home, &clock);
    gateway.submit("theirs", "order.xml", ORDER);
    for attempt in 1..=2 {
        gateway.until("theirs", "tried", |message| message.attempts == attempt && message.state == State::Composed);
        pass(&clock, Duration::from_secs(600));
    }
    let held = gateway.until("theirs", "held", |message| message.state == State::Held);
    assert_eq!((held.attempts, peer.posted().len()), (3, 3));
}

#[test]
fn a_server_with_another_certificate_gets_no_byte_of_a_message_and_a_security_alert_says_so() {
    let their_home = Home::of(&Station {
        as2_name: "theirs",
        party: keys::theirs(),
        more: &format!(
            "[as2.tls]\ncertificate = \"{}\"\nprivate_key = \"{}\"",
            keys::stranger().certificate_file.display(),
            keys::stranger().key_file.display()
        ),
    });
    let ours = PartnerFile { as2_name: "ours", party: keys::ours(), ..PartnerFile::default() };
    their_home.partner("ours", &ours);
    let home = Home::ours();
    let url = format!("https://{}/as2", their_home.as2);
    home.partner("theirs", &PartnerFile { url, delivery: RETRY, ..PartnerFile::default() });
    let clock = inside::clock();
    let (theirs, gateway) = (Inside::start(&their_home, &clock), Inside::start(&home, &clock));
    gateway.submit("theirs", "order.xml", ORDER);
    let held = gateway.until("theirs", "held", |message| message.state == State::Held);
    assert_eq!(held.reason.map(|reason| reason.code).as_deref(), Some("tls-certificate-refused"));
    let alerts = gateway.api("/api/v1/alerts")["alerts"].clone();
    assert_eq!((&alerts[0]["code"], &alerts[0]["level"]), (&"tls-certificate-refused".into(), &"security".into()));
    assert!(theirs.messages().is_empty());
}

#[test]
fn a_retry_after_may_be_a_date() {
    let home = Home::ours();
    let clock = inside::clock();
    let at = clock.now().checked_add(SignedDuration::from_secs(7200)).unwrap();
    let date = at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let peer = Scripted::start(move |_, _| Some(answer(503, &format!("Retry-After: {date}\r\n"), b"")));
    home.partner("theirs", &PartnerFile { url: peer.url(), delivery: RETRY, ..PartnerFile::default() });
    let gateway = Inside::start(&home, &clock);
    gateway.submit("theirs", "order.xml", ORDER);
    let waiting = gateway.until("theirs", "tried", |message| message.attempts == 1 && message.state == State::Composed);
    assert_eq!(waiting.due, Some(at));
}

#[test]
fn twenty_attempts_are_the_same_bytes_on_the_schedule_of_the_agreement() {
    let home = Home::ours();
    let clock = inside::clock();
    let instants: Arc<Mutex<Vec<Timestamp>>> = Arc::default();
    let (seen, watch) = (instants.clone(), clock.clone());
    let peer = Scripted::start(move |number, posted| {
        seen.lock().unwrap().push(watch.now());
        Some(if number < 19 { answer(503, "", b"") } else { acknowledge(posted, Kind::default()) })
    });
    // The defaults: 1, 2, 5, 10, 20, 40, 60, 60, … minutes, a fifth more or less.
    home.partner("theirs", &PartnerFile { url: peer.url(), delivery: "", ..PartnerFile::default() });
    let gateway = Inside::start(&home, &clock);
    gateway.submit("theirs", "order.xml", ORDER);
    inside::settle(&[&gateway], "twenty attempts");
    let posted = peer.posted();
    assert_eq!((posted.len(), gateway.sent_to("theirs").state), (20, State::Delivered));
    let distinct: BTreeSet<Vec<u8>> = posted
        .iter()
        .map(|one| Sha256::digest([one.headers.to_bytes().as_slice(), b"\r\n", one.body.as_slice()].concat()).to_vec())
        .collect();
    assert_eq!(distinct.len(), 1, "header fields and bodies are the same each time");
    assert_eq!(open(&posted[19]).payload, ORDER);
    let instants = instants.lock().unwrap().clone();
    let planned = [1, 2, 5, 10, 20, 40].into_iter().chain(std::iter::repeat(60));
    for (pair, minutes) in instants.windows(2).zip(planned) {
        let pause = pair[1].duration_since(pair[0]).as_secs_f64() / 60.0;
        let minutes = f64::from(minutes);
        assert!((0.79 * minutes..1.21 * minutes).contains(&pause), "{pause} instead of {minutes}: {instants:?}");
    }
}

#[test]
fn an_asynchronous_mdn_that_never_comes_is_asked_for_ten_times_and_alerted() {
    let home = Home::ours();
    let peer = Scripted::start(|_, _| Some(answer(202, "", b"")));
    let mdn = "mode = \"async\"\nsigned = true";
    home.partner("theirs", &PartnerFile { url: peer.url(), mdn, delivery: "", ..PartnerFile::default() });
    let clock = inside::clock();
    let gateway = Inside::start(&home, &clock);
    gateway.submit("theirs", "order.xml", ORDER);
    gateway.until("theirs", "transferred", |message| message.state == State::AwaitingReceipt);
    let begin = clock.now();
    assert_eq!(gateway.alerts(), Vec::<String>::new());
    pass(&clock, Duration::from_secs(1801));
    gateway.until("theirs", "sent again", |message| message.transfers == 2);
    assert_eq!(gateway.alerts(), ["mdn-deadline-missed"]);
    inside::settle(&[&gateway], "no MDN");
    let failed = gateway.sent_to("theirs");
    assert_eq!((failed.state, failed.attempts, peer.posted().len()), (State::Failed, 10, 10));
    let said = failed.reason.unwrap();
    assert_eq!(said.code, "mdn-overdue");
    let is_wrong = said.text.en.contains("time for retries") || said.text.zh.contains("期限");
    assert!(!is_wrong, "days of it are left: {said:?}");
    assert!(peer.posted().iter().all(|one| one.body == peer.posted()[0].body), "the same bytes each time");
    let waited = clock.now().duration_since(begin).as_secs();
    assert!((18_000..18_100).contains(&waited), "half an hour each: {waited}");
    // Hours have passed, so the gateway may also have said that something waits for long.
    let of_message: Vec<String> = gateway.alerts().into_iter().filter(|code| code != "queue-old").collect();
    assert_eq!(of_message, ["mdn-deadline-missed", "mdn-overdue"]);
}

#[test]
fn a_partner_that_is_down_is_probed_by_one_connection_and_holds_nobody_else_up() {
    let home = Home::ours();
    let nowhere = format!("http://127.0.0.1:{}/as2", free_port());
    let alive = Scripted::start(|_, posted| Some(acknowledge(posted, Kind::default())));
    home.partner(
        "dead",
        &PartnerFile { as2_name: "dead", url: nowhere.clone(), delivery: "concurrency = 3", ..PartnerFile::default() },
    );
    home.partner("theirs", &PartnerFile { url: alive.url(), delivery: "", ..PartnerFile::default() });
    let clock = inside::clock();
    let gateway = Inside::start(&home, &clock);
    for number in 0..12 {
        gateway.submit("dead", &format!("{number}.xml"), ORDER);
    }
    gateway.submit("theirs", "order.xml", ORDER);
    gateway.until("theirs", "delivered", |message| message.state == State::Delivered);
    let tried =
        || gateway.messages().iter().filter(|message| message.attempts > 0 && message.partner == "dead").count();
    eventually("the partner counts as down", || (gateway.alerts() == ["partner-down"]).then_some(()));
    assert_eq!(tried(), 3, "the first three found out");
    // One that is under way keeps the next probe from beginning, and counts from when it ends.
    let under_way = || gateway.messages().iter().any(|message| message.state == State::Sending);
    eventually("they are over", || (!under_way()).then_some(()));
    let attempts = || gateway.messages().iter().map(|message| message.attempts).sum::<u32>();
    let before = attempts();
    // Until the probe nobody tries, though nine messages are due; then one does.
    for probes in 1..=3 {
        pass(&clock, Duration::from_secs(301));
        eventually("the probe is over", || (attempts() == before + probes && !under_way()).then_some(()));
    }
    // What a person retries is a probe at once.
    let waiting = gateway.messages().into_iter().find(|message| message.partner == "dead" && message.attempts == 0);
    let id = waiting.unwrap().id;
    let answer = gateway.post(&format!("/api/v1/messages/{id}/retry"), br#"{"reason":"they say it works"}"#);
    assert_eq!(answer.0, 200, "{:#}", answer.1);
    eventually("it is tried at once", || (attempts() > before + 3).then_some(()));
    // The partner comes back under the same address.
    let port: u16 = nowhere.rsplit_once(':').unwrap().1.trim_end_matches("/as2").parse().unwrap();
    let back = Scripted::start_at(port, |_, posted| Some(acknowledge(posted, Kind::default())));
    inside::settle(&[&gateway], "the partner is back");
    assert_eq!(back.posted().len(), 12, "each once");
    assert!(gateway.messages().iter().all(|message| message.state == State::Delivered));
    assert_eq!(gateway.alerts(), Vec::<String>::new());
}

#[test]
fn with_fresh_message_id_each_retry_has_one_of_its_own_and_a_receipt_for_any_settles_the_message() {
    let home = Home::ours();
    let ids: Arc<Mutex<Vec<String>>> = Arc::default();
    let first: Arc<Mutex<Option<Posted>>> = Arc::default();
    let (seen, kept) = (ids.clone(), first.clone());
    let peer = Scripted::start(move |number, posted| {
        seen.lock().unwrap().push(posted.header("Message-ID").to_owned());
        match number {
            0 => {
                *kept.lock().unwrap() = Some(posted.clone());
                None
            }
            1 => Some(answer(503, "", b"")),
            // Late, in the answer to the third attempt: the receipt of the first.
            _ => Some(acknowledge(kept.lock().unwrap().as_ref().unwrap(), Kind::default())),
        }
    });
    let delivery = format!("{RETRY}\nfresh_message_id = true");
    home.partner("theirs", &PartnerFile { url: peer.url(), delivery: &delivery, ..PartnerFile::default() });
    let gateway = Inside::start(&home, &inside::clock());
    gateway.submit("theirs", "order.xml", ORDER);
    inside::settle(&[&gateway], "fresh Message-IDs");
    let ids = ids.lock().unwrap().clone();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 3, "{ids:?}");
    let message = gateway.sent_to("theirs");
    assert_eq!((message.state, message.attempts), (State::Delivered, 3));
    assert_eq!(message.receipt.as_ref().and_then(|receipt| receipt.mic_matches), Some(true));
    let shown = gateway.api(&format!("/api/v1/messages/{}", message.id));
    assert_eq!((&shown["message_id"], &shown["earlier_message_ids"]), (&ids[2].as_str().into(), &ids[..2].into()));
    for posted in peer.posted() {
        assert_eq!(open(&posted).payload, ORDER);
    }
}

#[test]
fn of_many_attempts_under_message_ids_of_their_own_the_latest_wires_are_kept_and_a_receipt_for_the_first_counts() {
    let home = Home::ours();
    let first: Arc<Mutex<Option<Posted>>> = Arc::default();
    let kept = first.clone();
    let peer = Scripted::start(move |number, posted| {
        kept.lock().unwrap().get_or_insert_with(|| posted.clone());
        let late = || acknowledge(kept.lock().unwrap().as_ref().unwrap(), Kind::default());
        Some(if number < 7 { answer(503, "", b"") } else { late() })
    });
    let delivery = format!("{RETRY}\nfresh_message_id = true");
    home.partner("theirs", &PartnerFile { url: peer.url(), delivery: &delivery, ..PartnerFile::default() });
    let gateway = Inside::start(&home, &inside::clock());
    gateway.submit("theirs", "order.xml", ORDER);
    inside::settle(&[&gateway], "many fresh Message-IDs");
    let message = gateway.sent_to("theirs");
    assert_eq!((message.state, message.attempts, message.earlier.len()), (State::Delivered, 8, 7));
    let wires: Vec<bool> = message.earlier.iter().map(|earlier| earlier.wire.is_some()).collect();
    assert_eq!(wires, [false, false, false, false, true, true, true], "and that of the last attempt");
    // Payload, four wires, the receipt.
    assert_eq!(message.bodies().len(), 6, "{:#?}", message.bodies());
    assert_eq!(gateway.post("/api/v1/journal/verify", b"{}").0, 200);
}
