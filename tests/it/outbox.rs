//! Outboxes: what is taken when, what customs declarations become on their way, and partners that come and change while
//! the gateway runs.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dxgate::declaration::envelope::{self, AddInfo, BizKey, EnvelopeHead, Unwrapped};
use dxgate::declaration::precheck::{self, Expectations};
use dxgate::declaration::sample;
use dxgate::ground::limits::Limits;
use dxgate::store::record::{Message, State};
use jiff::Timestamp;
use serde_json::Value;

use crate::support::correspondent::{Kind, acknowledge, open};
use crate::support::gateway::{Gateway, dxgate, run};
use crate::support::home::{Home, PartnerFile, change, customs_home};
use crate::support::inside::{self, Inside};
use crate::support::scripted::{Scripted, answer};
use crate::support::{eventually, eventually_within, http, keys};

const DXPID: &str = "DXPENT0000012345";
const IMPORT: &str = "DXPEDCCEB0000002";
const EXPORT: &str = "DXPEDCCEB0000003";

#[test]
fn a_bare_declaration_travels_in_an_envelope_to_the_receiver_of_its_family() {
    let peer = peer();
    let home = customs_home(DXPID, peer.url(), "");
    let gateway = Gateway::start(&home);
    let now = Timestamp::now();
    let rows = [
        ("order.xml", sample::order(3, DXPID, now, 1), "CEB311Message", IMPORT),
        ("export.xml", sample::export_order(1, DXPID, now, 1), "CEB303Message", EXPORT),
    ];
    for (index, (name, document, message_type, receiver)) in rows.iter().enumerate() {
        home.submit("customs", name, document);
        assert!(gateway.wait_for("customs", "sent", name) == *document, "sent/ holds the original {name}");
        let received = open(&peer.posted()[index]).payload;
        let (head, inside) = unwrap(&received);
        assert!(inside == *document, "{name} arrived byte for byte");
        assert_eq!((head.sender_id.as_str(), head.msg_type.as_str()), (DXPID, *message_type), "{head:?}");
        assert_eq!(head.receiver_ids, [*receiver], "{head:?}");
        assert!(head.file_name.as_ref().unwrap().starts_with(message_type), "{head:?}");
        let receipt = json(&gateway.wait_for("customs", "receipts", &format!("{name}.mdn.json")));
        assert_eq!(receipt["cop_msg_id"], head.cop_msg_id.as_str(), "{receipt:#}");
        assert_eq!(receipt["message_type"], *message_type, "{receipt:#}");
    }
}

#[test]
fn the_additional_information_of_an_envelope_is_what_the_partners_file_asks_for() {
    let peer = peer();
    let home = customs_home(DXPID, peer.url(), "");
    let settings = "\n[dxp.add_info]\nfile_name = \"original\"\nic_card = \"2100001234567\"\n\
                    biz_keys = [\"orderNo\", \"copNo\", \"dept=A&1\"]\nis_text = true\nrec_map_id = \"M001\"\n";
    let file = home.path("partners/customs.toml");
    let partner = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{partner}{settings}")).unwrap();
    let gateway = Gateway::start(&home);
    let order = sample::order(3, DXPID, Timestamp::now(), 11);
    home.submit("customs", "订单 11.xml", &order);
    gateway.wait_for("customs", "sent", "订单 11.xml");
    let (head, inside) = unwrap(&open(&peer.posted()[0]).payload);
    assert!(inside == order);
    assert_eq!(head.file_name.as_deref(), Some("订单 11.xml"));
    let first = String::from_utf8(order).unwrap();
    let number = first.split("<ceb:orderNo>").nth(1).unwrap().split('<').next().unwrap();
    let key = |name: &str, value: &str| BizKey { name: Some(name.to_owned()), value: value.to_owned() };
    let wanted = AddInfo {
        ic_card: Some("2100001234567".to_owned()),
        keys: vec![key("orderNo", number), key("dept", "A&1")],
        encoding: Some("UTF-8".to_owned()),
        map_id: Some("M001".to_owned()),
    };
    assert_eq!(*head.add_info, wanted, "an order has no copNo");
    // The schema takes it: the pre-check of the received envelope says nothing of its form.
    let received = open(&peer.posted()[0]).payload;
    let report = precheck::check(&mut &received[..], &Expectations::default(), &Limits::default());
    assert!(report.findings.iter().all(|finding| finding.rule != "R03"), "{:?}", report.findings);
}

#[test]
fn an_envelope_goes_as_it_is() {
    let peer = peer();
    let home = customs_home(DXPID, peer.url(), "");
    let gateway = Gateway::start(&home);
    let now = Timestamp::now();
    let head = EnvelopeHead {
        cop_msg_id: "A5E0C1F2-0000-4000-8000-000000000001".to_owned(),
        sender_id: DXPID.to_owned(),
        receiver_ids: vec![IMPORT.to_owned()],
        creat_time: envelope::creat_time(now),
        msg_type: "CEB311Message".to_owned(),
        file_name: None,
        ..EnvelopeHead::default()
    };
    let mut dropped = Vec::new();
    envelope::wrap(&head, &mut sample::order(2, DXPID, now, 2).as_slice(), &mut dropped).unwrap();
    home.submit("customs", "ready.xml", &dropped);
    assert!(gateway.wait_for("customs", "sent", "ready.xml") == dropped);
    assert!(open(&peer.posted()[0]).payload == dropped, "not a byte was changed");
}

#[test]
fn what_customs_could_not_read_is_rejected_with_its_findings() {
    let peer = peer();
    let home = customs_home(DXPID, peer.url(), "[limits]\nfree_space_floor = 0\npayload = \"64KiB\"");
    let gateway = Gateway::start(&home);
    let now = Timestamp::now();
    let order = String::from_utf8(sample::order(1, DXPID, now, 3)).unwrap();
    let mut foreign = Vec::new();
    let head = EnvelopeHead {
        cop_msg_id: "A5E0C1F2-0000-4000-8000-000000000002".to_owned(),
        sender_id: "DXPENT0000099999".to_owned(),
        receiver_ids: vec![IMPORT.to_owned()],
        creat_time: envelope::creat_time(now),
        msg_type: "CEB311Message".to_owned(),
        file_name: None,
        ..EnvelopeHead::default()
    };
    envelope::wrap(&head, &mut order.as_bytes(), &mut foreign).unwrap();
    let rows: [(&str, Vec<u8>); 9] = [
        ("malformed.xml", order.replace("</ceb:Order>", "").into_bytes()),
        ("broken-off.xml", order.as_bytes()[..order.len() / 2].to_vec()),
        ("not-xml.xml", b"orderNo,amount\n1,2\n".to_vec()),
        ("other-root.xml", b"<?xml version=\"1.0\"?><invoice/>".to_vec()),
        ("other-dxpid.xml", order.replace(DXPID, "DXPENT0000099999").into_bytes()),
        ("other-sender.xml", foreign),
        ("oversize.xml", sample::order(100, DXPID, now, 3)),
        ("empty.xml", Vec::new()),
        // What a power cut may leave of a file that its owner did not sync.
        ("blank.xml", vec![0; 3366]),
    ];
    assert!(rows[6].1.len() > 64 * 1024, "the sample is longer than the limit: {}", rows[6].1.len());
    for (name, content) in &rows {
        home.submit("customs", name, content);
    }
    for (name, content) in &rows {
        assert!(gateway.wait_for("customs", "rejected", name) == *content, "{name}");
        let findings = json(&gateway.wait_for("customs", "rejected", &format!("{name}.findings.json")));
        let errors: Vec<&Value> =
            findings["findings"].as_array().unwrap().iter().filter(|finding| finding["level"] == "error").collect();
        assert!(!errors.is_empty(), "{name}: {findings:#}");
        assert!(errors[0]["code"].is_string() && errors[0]["message_zh"].is_string(), "{name}: {findings:#}");
        let words = gateway.wait_for("customs", "rejected", &format!("{name}.findings.txt"));
        assert!(String::from_utf8(words).unwrap().lines().count() >= 2, "{name}");
    }
    let good = sample::order(1, DXPID, now, 4);
    home.submit("customs", "good.xml", &good);
    assert!(gateway.wait_for("customs", "sent", "good.xml") == good, "what is refused holds up nothing");
    assert_eq!(peer.posted().len(), 1, "nothing else went out");
    assert_eq!(home.names("customs", "outbox"), Vec::<String>::new());
}

#[test]
fn code_tables_of_the_home_count_and_are_read_again_when_they_change() {
    let peer = peer();
    let home = customs_home(DXPID, peer.url(), "[precheck.levels]\ncode-unknown = \"error\"");
    fs::create_dir(home.path("tables")).unwrap();
    fs::write(home.path("tables/country.csv"), "code,name\n999,elsewhere\n").unwrap();
    let gateway = Gateway::start(&home);
    assert!(gateway.log().contains("country (1)"), "the log names the tables:\n{}", gateway.log());
    let order = sample::order(1, DXPID, Timestamp::now(), 5);
    home.submit("customs", "unknown.xml", &order);
    let findings = json(&gateway.wait_for("customs", "rejected", "unknown.xml.findings.json"));
    let unknown = findings["findings"].as_array().unwrap().iter().find(|finding| finding["code"] == "code-unknown");
    assert_eq!(unknown.unwrap()["level"], "error", "the gateway's level counts: {findings:#}");
    let codes: String = (0..1000).map(|code| format!("{code:03}\n")).collect();
    fs::write(home.path("tables/country.csv"), codes).unwrap();
    eventually("the table was read again", || gateway.log().contains("country (1000)").then_some(()));
    home.submit("customs", "known.xml", &order);
    assert!(gateway.wait_for("customs", "sent", "known.xml") == order);
    fs::write(home.path("tables/country.csv"), "code,name\n").unwrap();
    eventually("the mistake is reported", || gateway.log().contains("the old code tables stay").then_some(()));
}

#[test]
fn a_file_that_is_still_being_written_is_not_taken() {
    let peer = peer();
    let home = plain_home(&peer);
    change(&home.config(), "settle = \"200ms\"", "settle = \"3s\"");
    let gateway = Gateway::start(&home);
    let outbox = home.exchange("theirs", "outbox");
    eventually("the outbox is there", || outbox.is_dir().then_some(()));
    let line = b"one line of a slow program\n";
    let mut file = File::create(outbox.join("slow.txt")).unwrap();
    for _ in 0..120 {
        file.write_all(line).unwrap();
        // The slowness of the writer, not a wait: longer in all than the settle time, each pause much shorter.
        std::thread::sleep(Duration::from_millis(50));
        assert!(outbox.join("slow.txt").exists(), "taken while it was being written");
    }
    file.write_all(b"end\n").unwrap();
    drop(file);
    let whole = [line.repeat(120), b"end\n".to_vec()].concat();
    assert!(gateway.wait_for("theirs", "sent", "slow.txt") == whole);
    assert!(open(&peer.posted()[0]).payload == whole);
    assert_eq!(peer.posted().len(), 1);
}

#[test]
fn a_temporary_name_is_left_alone_until_it_is_renamed() {
    let peer = peer();
    let home = plain_home(&peer);
    let gateway = Gateway::start(&home);
    let outbox = home.exchange("theirs", "outbox");
    eventually("the outbox is there", || outbox.is_dir().then_some(()));
    let left_alone = ["a.tmp", "b.part", ".hidden.xml", "c.xml~", "~d.xml", "e.TMP"];
    for name in left_alone {
        fs::write(outbox.join(name), "not yet").unwrap();
    }
    fs::write(outbox.join("order.tmp"), "<order/>").unwrap();
    home.submit("theirs", "marker.xml", b"<marker/>");
    gateway.wait_for("theirs", "sent", "marker.xml");
    assert_eq!(peer.posted().len(), 1);
    fs::rename(outbox.join("order.tmp"), outbox.join("order.xml")).unwrap();
    assert_eq!(gateway.wait_for("theirs", "sent", "order.xml"), b"<order/>");
    for name in left_alone {
        assert!(outbox.join(name).exists(), "{name}");
    }
    assert_eq!(peer.posted().len(), 2);
}

#[test]
fn a_long_file_comes_to_sent_itself_and_leaves_nothing_behind() {
    let peer = peer();
    let home = plain_home(&peer);
    let gateway = Gateway::start(&home);
    let outbox = home.exchange("theirs", "outbox");
    eventually("the outbox is there", || outbox.is_dir().then_some(()));
    let content = b"<order/>".repeat(20_000);
    let elsewhere = home.path("long.xml");
    fs::write(&elsewhere, &content).unwrap();
    let file = fs::metadata(&elsewhere).unwrap().ino();
    fs::hard_link(&elsewhere, outbox.join("long.xml")).unwrap();
    assert!(gateway.wait_for("theirs", "sent", "long.xml") == content);
    assert_eq!(fs::metadata(home.exchange("theirs", "sent").join("long.xml")).unwrap().ino(), file);
    assert!(open(&peer.posted()[0]).payload == content);
    gateway.wait_for("theirs", "receipts", "long.xml.mdn");
    assert!(gateway.stop().success());
    for folder in ["outbox", ".claimed", ".staged"] {
        assert_eq!(home.names("theirs", folder), Vec::<String>::new(), "{folder}");
    }
}

#[test]
fn what_became_of_a_file_after_it_was_taken_does_not_come_to_sent() {
    let (ready, is_ready) = std::sync::mpsc::channel();
    let is_ready = std::sync::Mutex::new(is_ready);
    let peer = Scripted::start(move |_, posted| {
        is_ready.lock().unwrap().recv().unwrap();
        Some(acknowledge(posted, Kind::default()))
    });
    let home = plain_home(&peer);
    let gateway = Gateway::start(&home);
    let outbox = home.exchange("theirs", "outbox");
    eventually("the outbox is there", || outbox.is_dir().then_some(()));
    let (content, elsewhere) = (b"<order/>".repeat(20_000), home.path("long.xml"));
    fs::write(&elsewhere, &content).unwrap();
    fs::hard_link(&elsewhere, outbox.join("long.xml")).unwrap();
    eventually("its original waits", || (home.names("theirs", ".staged").len() == 1).then_some(()));
    let changed = b"<other/>".repeat(20_000);
    fs::write(&elsewhere, &changed).unwrap();
    ready.send(()).unwrap();
    assert!(gateway.wait_for("theirs", "sent", "long.xml") == content);
    assert!(fs::read(elsewhere).unwrap() == changed);
    assert!(gateway.stop().success());
}

#[test]
fn a_partner_can_be_added_while_the_gateway_runs() {
    let (first, second) = (peer(), peer());
    let home = plain_home(&first);
    let gateway = Gateway::start(&home);
    home.partner("late", &PartnerFile { as2_name: "late", url: second.url(), ..PartnerFile::default() });
    for folder in ["outbox", "sent", "rejected", "failed", "receipts", "inbox"] {
        let path = home.exchange("late", folder);
        eventually(&format!("{folder} is there"), || path.is_dir().then_some(()));
    }
    fs::write(home.exchange("late", "outbox").join("order.xml"), "<order/>").unwrap();
    assert_eq!(gateway.wait_for("late", "sent", "order.xml"), b"<order/>");
    assert_eq!(second.posted()[0].header("AS2-To"), "late");
    home.submit("theirs", "order.xml", b"<order/>");
    gateway.wait_for("theirs", "sent", "order.xml");
}

#[test]
fn a_partner_file_with_a_mistake_leaves_the_partner_as_it_was() {
    let peer = peer();
    let home = plain_home(&peer);
    let gateway = Gateway::start(&home);
    let file = home.path("partners/theirs.toml");
    let sound = fs::read_to_string(&file).unwrap();
    for (broken, code) in [
        (sound.replace("[agreement]", "[agreement"), "syntax"),
        (sound.replace("rsa-pkcs1", "rsa-pkcs7"), "value"),
        (format!("surprise = 1\n{sound}"), "key"),
    ] {
        let before = reports(&home);
        fs::write(&file, broken).unwrap();
        eventually(&format!("the mistake ({code}) is reported"), || (reports(&home) > before).then_some(()));
        let name = format!("{code}.xml");
        home.submit("theirs", &name, b"<order/>");
        assert_eq!(gateway.wait_for("theirs", "sent", &name), b"<order/>", "{code}");
    }
    assert!(gateway.log().contains("theirs.toml"), "the log names the file:\n{}", gateway.log());
    // Mended: the new settings count.
    let other = self::peer();
    fs::write(&file, sound.replace(&peer.url(), &other.url())).unwrap();
    let mut number = 0;
    eventually("the new address is used", || {
        number += 1;
        let name = format!("mended{number}.xml");
        home.submit("theirs", &name, b"<order/>");
        gateway.wait_for("theirs", "sent", &name);
        (!other.posted().is_empty()).then_some(())
    });
}

#[test]
fn what_waits_for_a_partner_that_was_taken_away_goes_on_when_it_is_back() {
    waits_and_goes_on(false);
}

#[test]
fn what_waits_for_a_partner_goes_on_too_when_it_came_back_while_the_gateway_was_stopped() {
    waits_and_goes_on(true);
}

fn waits_and_goes_on(by_restart: bool) {
    let peer = Scripted::start(|number, posted| match number {
        0 => None,
        _ => Some(acknowledge(posted, Kind::default())),
    });
    let home = plain_home(&peer);
    let gateway = Inside::start(&home, &inside::clock());
    gateway.submit("theirs", "order.xml", b"<order/>");
    let failed = |message: &Message| message.attempts == 1 && message.state == State::Composed;
    let mut message = gateway.until("theirs", "the first attempt failed", failed);
    let (file, aside) = (home.path("partners/theirs.toml"), home.path("theirs.toml"));
    let reload = || assert_eq!(gateway.post("/api/v1/partners/reload", b"{}").0, 200);
    fs::rename(&file, &aside).unwrap();
    reload();
    let mut waits = Vec::new();
    for _ in 0..12 {
        let due = message.due.unwrap();
        gateway.clock.set(due);
        message = gateway.until("theirs", "it waits", |message| message.due.is_some_and(|later| later > due));
        assert_eq!(message.reason.as_ref().map(|reason| reason.code.as_str()), Some("partner-missing"));
        waits.push(message.due.unwrap().duration_since(message.updated).as_mins());
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 360, 360, 360]);
    fs::rename(&aside, &file).unwrap();
    let delivered = |message: &Message| message.state == State::Delivered;
    if by_restart {
        let clock = gateway.clock.clone();
        drop(gateway);
        Inside::start(&home, &clock).until("theirs", "it goes on at once", delivered);
    } else {
        reload();
        gateway.until("theirs", "it goes on at once", delivered);
    }
    assert_eq!(peer.posted().len(), 2);
}

#[test]
fn what_waits_for_a_partner_goes_on_as_soon_as_its_file_is_read_again_and_not_when_it_would_be_due() {
    let open = Arc::new(AtomicBool::new(false));
    let is_open = open.clone();
    let peer = Scripted::start(move |_, posted| match is_open.load(Ordering::Relaxed) {
        true => Some(acknowledge(posted, Kind::default())),
        false => Some(answer(503, "", b"")),
    });
    let home = plain_home(&peer);
    let gateway = Gateway::start(&home);
    home.submit("theirs", "order.xml", b"<order/>");
    let code = || gateway.api("/api/v1/messages")["messages"][0]["reason"]["code"].clone();
    eventually("it was refused", || (code() == "http-503").then_some(()));
    let (file, aside) = (home.path("partners/theirs.toml"), home.path("theirs.toml"));
    fs::rename(&file, &aside).unwrap();
    eventually("it waits for its partner", || (code() == "partner-missing").then_some(()));
    open.store(true, Ordering::Relaxed);
    fs::rename(&aside, &file).unwrap();
    // It is due in a minute, for which the dispatcher sleeps.
    let sent = || home.names("theirs", "sent").contains(&"order.xml".to_owned()).then_some(());
    assert!(eventually_within(Duration::from_secs(30), sent).is_some(), "it waits still:\n{}", gateway.log());
}

#[test]
fn published_example_keys_are_refused_where_other_machines_can_connect() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("certs-example");
    let home = Home::ours();
    home.partner("theirs", &PartnerFile::default());
    for name in ["station.crt", "station.key", "customs.crt"] {
        fs::copy(root.join(name), home.path(name)).unwrap();
        fs::set_permissions(home.path(name), fs::Permissions::from_mode(0o600)).unwrap();
    }
    let ours = keys::ours();
    change(&home.config(), ours.certificate_file.to_str().unwrap(), "station.crt");
    change(&home.config(), ours.key_file.to_str().unwrap(), "station.key");
    let config = home.config();
    let serve = ["serve", "--config", config.to_str().unwrap()];
    drop(Gateway::start(&home));

    let everywhere = format!("0.0.0.0:{}", home.as2.port());
    change(&config, &format!("listen = \"{}\"", home.as2), &format!("listen = \"{everywhere}\""));
    let refused = run(&serve);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("certs-example") && said.contains("gateway.toml"), "{said}");

    // The partner's side of it: our own keys are real, the partner's certificate is a published one.
    change(&config, "\"station.crt\"", &format!("{:?}", ours.certificate_file));
    change(&config, "\"station.key\"", &format!("{:?}", ours.key_file));
    let file = home.path("partners/theirs.toml");
    change(&file, keys::theirs().certificate_file.to_str().unwrap(), home.path("customs.crt").to_str().unwrap());
    let refused = run(&serve);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("certs-example") && said.contains("theirs.toml"), "{said}");
}

/// A partner that takes everything.
fn peer() -> Scripted {
    Scripted::start(|_, posted| Some(acknowledge(posted, Kind::default())))
}

fn plain_home(peer: &Scripted) -> Home {
    let home = Home::ours();
    home.partner("theirs", &PartnerFile { url: peer.url(), ..PartnerFile::default() });
    home
}

fn unwrap(received: &[u8]) -> (EnvelopeHead, Vec<u8>) {
    let mut inside = Vec::new();
    match envelope::unwrap(&mut &received[..], &mut inside, &Limits::default()).unwrap() {
        Unwrapped::Message { head, deviations, .. } => {
            assert!(deviations.is_empty(), "{deviations:?}");
            (head, inside)
        }
        other => panic!("{other:?}"),
    }
}

/// How often the log says that a partner keeps its old settings.
fn reports(home: &Home) -> usize {
    fs::read_to_string(home.path("gateway.log")).unwrap().matches("the old settings stay").count()
}

fn json(text: &[u8]) -> Value {
    serde_json::from_slice(text).unwrap()
}

#[test]
fn a_partner_that_is_down_is_an_alert_until_it_is_taken_away() {
    let peer = Scripted::start(|_, _| None);
    let home = plain_home(&peer);
    let gateway = Inside::start(&home, &inside::clock());
    for number in 0..3 {
        gateway.submit("theirs", &format!("{number}.xml"), b"<order/>");
    }
    eventually("it counts as down", || (gateway.alerts() == ["partner-down"]).then_some(()));
    fs::remove_file(home.path("partners/theirs.toml")).unwrap();
    assert_eq!(gateway.post("/api/v1/partners/reload", b"{}").0, 200);
    eventually("it is no partner any more", || gateway.alerts().is_empty().then_some(()));
}

#[test]
fn a_slow_sync_of_claimed_files_holds_up_no_answer() {
    let home = Home::ours();
    home.partner("theirs", &PartnerFile::default());
    let mut command = dxgate();
    command.env("TOKIO_WORKER_THREADS", "1").env("FAILPOINTS", "dirsync@.claimed=sleep(600000)");
    let _gateway = Gateway::spawn_by(&home, command);
    // Until somebody else of the one thread has had a turn.
    eventually("it answers", || {
        http::get(home.console, "/healthz", None).is_ok_and(|answer| answer.status == 200).then_some(())
    });
}
