//! The signature inside declarations, made by the gateway on their way out: what is signed is what is kept, sent and sent
//! again; what is signed already must hold; a slow key slows nobody else.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use dxgate::declaration::dsig::{self, Algorithm, KeySigner};
use dxgate::declaration::envelope::{self, EnvelopeHead, Unwrapped};
use dxgate::declaration::sample;
use dxgate::ground::limits::Limits;
use dxgate::keys::declarations;
use dxgate::keys::generate::KeyRequest;
use dxgate::mime::BytesSource;
use dxgate::store::record::{Message, State};
use jiff::Timestamp;

use crate::support::correspondent::{Kind, acknowledge, letter, open, plan, receipt_in};
use crate::support::gateway::Gateway;
use crate::support::home::{Home, PartnerFile, Station};
use crate::support::inside::{self, Inside, pass};
use crate::support::scripted::{Scripted, answer};
use crate::support::{eventually, http, keys};

const DXPID: &str = "DXPENT0000012345";

#[test]
fn an_unsigned_declaration_is_signed_once_kept_signed_and_sent_again_as_it_is() {
    let peer = Scripted::start(|count, posted| {
        Some(if count < 2 { answer(503, "", b"later") } else { acknowledge(posted, Kind::default()) })
    });
    let home = home(&peer, "");
    let gateway = Gateway::start(&home);
    let document = sample::inventory(3, DXPID, Timestamp::now(), 1);
    home.submit("customs", "list.xml", &document);
    let sent = gateway.wait_for("customs", "sent", "list.xml");
    let verified = verify(&sent).expect("the file in sent/ is signed");
    assert_eq!((verified.algorithm, verified.variants.len()), (Algorithm::Sm2Sm3, 0));
    let without = String::from_utf8(sent.clone()).unwrap();
    let (front, rest) = without.split_once("<ds:Signature>").unwrap();
    let back = rest.split_once("</ds:Signature>").unwrap().1;
    let added = " xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"";
    assert_eq!(format!("{front}{back}").replacen(added, "", 1).as_bytes(), document, "nothing else was changed");
    let posted = peer.posted();
    assert_eq!(posted.len(), 3);
    assert!(posted.iter().all(|one| one.body == posted[0].body), "signed and composed once");
    assert!(unwrap(&open(&posted[0]).payload) == sent, "Data holds exactly the signed bytes");
    assert_eq!(
        dsig::verify(&BytesSource(open(&posted[0]).payload), &Limits::default()).unwrap_err().code(),
        "signature-missing"
    );
}

#[test]
fn the_envelope_is_signed_too_when_it_is_asked_for() {
    let peer = Scripted::start(|_, posted| Some(acknowledge(posted, Kind::default())));
    let home = home(&peer, "envelope = true\n");
    let gateway = Gateway::start(&home);
    home.submit("customs", "order.xml", &sample::order(2, DXPID, Timestamp::now(), 1));
    gateway.wait_for("customs", "sent", "order.xml");
    let received = open(&peer.posted()[0]).payload;
    assert!(verify(&received).is_ok() && verify(&unwrap(&received)).is_ok());
    let rerouted = String::from_utf8(received).unwrap().replace("DXPEDCCEB0000002", "DXPEDCCEB0000003");
    assert_eq!(verify(rerouted.as_bytes()).unwrap_err().code(), "signature-digest");
}

#[test]
fn what_is_signed_already_goes_as_it_is_and_must_hold() {
    let peer = Scripted::start(|_, posted| Some(acknowledge(posted, Kind::default())));
    let home = home(&peer, "");
    let gateway = Gateway::start(&home);
    let (_, signer) = signer();
    let (document, limits) = (BytesSource(sample::inventory(1, DXPID, Timestamp::now(), 1)), Limits::default());
    let signed = dsig::sign(&document, &signer, &limits).unwrap().to_vec().unwrap();
    home.submit("customs", "signed.xml", &signed);
    assert!(gateway.wait_for("customs", "sent", "signed.xml") == signed);
    assert!(unwrap(&open(&peer.posted()[0]).payload) == signed, "not a byte was changed");
    let changed = String::from_utf8(signed).unwrap().replacen("<ceb:copNo>", "<ceb:copNo>X", 1);
    home.submit("customs", "changed.xml", changed.as_bytes());
    assert!(gateway.wait_for("customs", "rejected", "changed.xml") == changed.as_bytes());
    let findings = String::from_utf8(gateway.wait_for("customs", "rejected", "changed.xml.findings.json")).unwrap();
    assert!(findings.contains("\"R07\"") && findings.contains("\"signature-digest\""), "{findings}");
    assert_eq!(peer.posted().len(), 1);
}

#[test]
fn a_slow_key_keeps_its_own_outbox_waiting_and_no_other_and_ends_with_the_gateway() {
    let peer = Scripted::start(|_, posted| Some(acknowledge(posted, Kind::default())));
    let home = home(&peer, "rate = 0.02\n");
    let second = Scripted::start(|_, posted| Some(acknowledge(posted, Kind::default())));
    home.partner("plain", &PartnerFile { as2_name: "plain", url: second.url(), ..PartnerFile::default() });
    let gateway = Gateway::start(&home);
    for number in 0..60 {
        let document = sample::order(1, DXPID, Timestamp::now(), number);
        home.submit("customs", &format!("{number:02}.xml"), &document);
    }
    eventually("the key has signed once", || (!home.names("customs", "sent").is_empty()).then_some(()));
    home.submit("plain", "hello.txt", b"hello");
    eventually("the other partner gets its file", || (!second.posted().is_empty()).then_some(()));
    assert!(home.names("customs", "outbox").len() >= 40, "{:?}", home.names("customs", "outbox"));
    let begun = Instant::now();
    assert!(gateway.stop().success());
    assert!(begun.elapsed() < Duration::from_secs(60), "what waits for the key does not keep the gateway");

    // Nothing of what waited is lost or doubled: with a fast key all of it goes.
    let file = home.path("partners/customs.toml");
    fs::write(&file, fs::read_to_string(&file).unwrap().replace("rate = 0.02\n", "")).unwrap();
    let gateway = Gateway::start(&home);
    eventually("every file is delivered", || (home.names("customs", "sent").len() == 60).then_some(()));
    assert_eq!(home.names("customs", "outbox"), [] as [&str; 0]);
    let mut seen = std::collections::BTreeSet::new();
    for posted in peer.posted() {
        assert!(seen.insert(posted.header("message-id").to_owned()), "a message went twice");
    }
    assert_eq!(seen.len(), 60);
    drop(gateway);
}

#[test]
fn an_expired_key_signs_nothing_and_its_successor_takes_over_without_a_restart() {
    let peer = Scripted::start(|_, posted| Some(acknowledge(posted, Kind::default())));
    let home = home(&peer, "");
    let valid = replace_key(&home, expired());
    let gateway = Gateway::start(&home);
    home.submit("customs", "a.xml", &sample::order(1, DXPID, Timestamp::now(), 1));
    eventually("it says so", || gateway.log().contains("signing-certificate-expired").then_some(()));
    home.submit("customs", "b.xml", &sample::order(1, DXPID, Timestamp::now(), 2));
    assert!(peer.posted().is_empty() && home.names("customs", "rejected").is_empty());
    replace_key(&home, valid);
    for name in ["a.xml", "b.xml"] {
        assert!(verify(&gateway.wait_for("customs", "sent", name)).is_ok());
    }
}

#[test]
fn what_no_key_can_sign_is_an_alert_until_it_is_signed_and_so_is_the_end_of_the_key_before() {
    let peer = Scripted::start(|_, posted| Some(acknowledge(posted, Kind::default())));
    let home = home(&peer, "");
    let clock = inside::clock();
    let gateway = Inside::start(&home, &clock);
    let alert = |code: &str| {
        let open = gateway.api("/api/v1/alerts")["alerts"].clone();
        open.as_array().unwrap().iter().find(|alert| alert["code"] == code).cloned()
    };
    // The key is valid for 30 days, everything else for longer.
    let ending = eventually("the key ends soon", || alert("certificate-expires-30d"));
    assert_eq!(ending["partner"], "customs", "{ending:#}");
    let certificates = gateway.api("/api/v1/certificates")["certificates"].clone();
    let ours = certificates.as_array().unwrap().iter().find(|one| one["uses"] == serde_json::json!(["declarations"]));
    let (owner, partner) = ours.map(|ours| (&ours["owner"], &ours["partner"])).unwrap();
    assert!(owner == "station" && partner == "customs", "{certificates:#}");
    let metrics = http::get(home.console, "/metrics", home.token().as_deref()).unwrap().text();
    assert!(
        metrics.contains("dxgate_certificate_left_seconds{owner=\"declarations\",partner=\"customs\""),
        "{metrics}"
    );

    let valid = replace_key(&home, expired());
    assert_eq!(gateway.post("/api/v1/partners/reload", b"{}").0, 200);
    eventually("it has ended", || alert("certificate-expired"));
    home.submit("customs", "a.xml", &sample::order(1, DXPID, Timestamp::now(), 1));
    let stuck = |what: &str| {
        eventually(what, || {
            pass(&clock, Duration::from_secs(60));
            alert("outbox-stuck")
        })
    };
    let found = stuck("a declaration is stuck");
    let text = found["text"]["en"].as_str().unwrap();
    assert_eq!((&found["partner"], &found["level"]), (&"customs".into(), &"error".into()));
    assert!(text.contains(": 1, the first a.xml. the signing certificate"), "{text}");
    replace_key(&home, valid);
    assert_eq!(gateway.post("/api/v1/partners/reload", b"{}").0, 200);
    eventually("it is signed and sent", || (home.names("customs", "sent") == ["a.xml"]).then_some(()));
    eventually("that is over", || alert("outbox-stuck").is_none().then_some(()));

    let link = home.exchange("customs", "outbox").join("link.xml");
    std::os::unix::fs::symlink("/etc/hostname", &link).unwrap();
    let found = stuck("a link is stuck");
    assert!(found["text"]["en"].as_str().unwrap().contains("the first link.xml"), "{found:#}");
    fs::remove_file(link).unwrap();
    eventually("that is over too", || alert("outbox-stuck").is_none().then_some(()));
}

#[test]
fn a_message_whose_envelope_cannot_be_signed_for_the_moment_waits_and_is_not_held() {
    let peer = Scripted::start(|count, posted| {
        Some(if count == 0 { answer(503, "", b"later") } else { acknowledge(posted, Kind::default()) })
    });
    let home = home(&peer, "envelope = true\n");
    let file = home.path("partners/customs.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replacen("[delivery]\n", "[delivery]\nfresh_message_id = true\n", 1)).unwrap();
    let clock = inside::clock();
    let gateway = Inside::start(&home, &clock);
    gateway.submit("customs", "order.xml", &sample::order(1, DXPID, Timestamp::now(), 1));
    gateway.until("customs", "tried", |message| message.state == State::Composed && message.attempts == 1);
    let valid = replace_key(&home, expired());
    assert_eq!(gateway.post("/api/v1/partners/reload", b"{}").0, 200);
    pass(&clock, Duration::from_secs(10));
    let reason = |message: &Message| message.reason.as_ref().map(|reason| reason.code.clone());
    let waiting = gateway
        .until("customs", "tried again", |message| reason(message).as_deref() == Some("signing-certificate-expired"));
    assert_eq!(waiting.state, State::Composed);
    replace_key(&home, valid);
    assert_eq!(gateway.post("/api/v1/partners/reload", b"{}").0, 200);
    pass(&clock, Duration::from_secs(61));
    gateway.until("customs", "delivered", |message| message.state == State::Delivered);
    assert_eq!(peer.posted().len(), 2);
}

#[test]
fn files_that_wait_for_their_signature_survive_a_kill() {
    let peer = Scripted::start(|_, posted| Some(acknowledge(posted, Kind::default())));
    let home = home(&peer, "rate = 1\n");
    let gateway = Gateway::start(&home);
    for number in 0..6 {
        let document = sample::order(1, DXPID, Timestamp::now(), number);
        home.submit("customs", &format!("{number}.xml"), &document);
    }
    eventually("some are sent, others wait", || (!home.names("customs", "sent").is_empty()).then_some(()));
    gateway.kill();
    let _gateway = Gateway::start(&home);
    eventually("every file is delivered", || (home.names("customs", "sent").len() == 6).then_some(()));
    for number in 0..6 {
        let sent = fs::read(home.exchange("customs", "sent").join(format!("{number}.xml"))).unwrap();
        assert!(verify(&sent).is_ok(), "{number}.xml is signed");
    }
}

#[test]
fn signatures_of_what_arrives_are_noted_and_refuse_nothing() {
    let peer = Scripted::start(|_, posted| Some(acknowledge(posted, Kind::default())));
    let home = home(&peer, "");
    let gateway = Gateway::start(&home);
    let (_, signer) = signer();
    let limits = Limits::default();
    let signed = |document: &[u8]| dsig::sign(&BytesSource(document), &signer, &limits).unwrap().to_vec().unwrap();
    let inside = signed(&sample::order(1, DXPID, Timestamp::now(), 1));
    let changed =
        String::from_utf8(inside.clone()).unwrap().replacen("<ceb:orderNo>", "<ceb:orderNo>X", 1).into_bytes();
    for (name, document) in [("good.xml", &inside), ("changed.xml", &changed)] {
        let head = EnvelopeHead {
            cop_msg_id: name.to_owned(),
            sender_id: "DXPEDCCEB0000002".to_owned(),
            receiver_ids: vec![DXPID.to_owned()],
            creat_time: envelope::creat_time(Timestamp::now()),
            msg_type: "CEB311Message".to_owned(),
            file_name: Some(name.to_owned()),
            ..EnvelopeHead::default()
        };
        let mut wrapped = Vec::new();
        envelope::wrap(&head, &mut document.as_slice(), &mut wrapped).unwrap();
        let letter = letter(&plan(), &format!("<{name}@theirs>"), &signed(&wrapped));
        let answer = http::post(home.as2, "/as2", &letter.headers, &letter.body).unwrap();
        assert!(receipt_in(&answer).disposition.is_positive());
        let meta: serde_json::Value =
            serde_json::from_slice(&gateway.wait_for("customs", "inbox", &format!("{name}.meta.json"))).unwrap();
        let signatures = &meta["dxp"]["signatures"];
        assert_eq!(
            (signatures[0]["of"].as_str(), signatures[0]["valid"].as_bool()),
            (Some("envelope"), Some(true)),
            "{meta:#}"
        );
        assert_eq!(signatures[1]["valid"].as_bool(), Some(name == "good.xml"), "{meta:#}");
        let code = (name == "changed.xml").then_some("signature-digest");
        assert_eq!(
            (signatures[1]["of"].as_str(), signatures[1]["code"].as_str()),
            (Some("document"), code),
            "{meta:#}"
        );
    }
}

fn verify(document: &[u8]) -> Result<dsig::Verified, dsig::SignatureProblem> {
    dsig::verify(&BytesSource(document), &Limits::default())
}

/// The key that signs declarations, as files hold it: certificate and private key.
type KeyFiles = (Vec<u8>, Vec<u8>);

/// One whose certificate ended yesterday.
fn expired() -> KeyFiles {
    let request =
        KeyRequest { common_name: "declarant".into(), organization: None, hosts: Vec::new(), bits: 256, days: 1 };
    let then = Timestamp::now() - jiff::SignedDuration::from_hours(48);
    let pair = declarations::generate(&request, Algorithm::Sm2Sm3, None, then).unwrap();
    (pair.certificate_pem, pair.key_pem.expose().clone())
}

/// Puts another key in place of the one that signs; the former one.
fn replace_key(home: &Home, (certificate, key): KeyFiles) -> KeyFiles {
    let [crt, private] = ["declarations.crt", "declarations.key"].map(|name| home.path(name));
    let former = (fs::read(&crt).unwrap(), fs::read(&private).unwrap());
    fs::write(private, key).unwrap();
    fs::write(crt, certificate).unwrap();
    former
}

/// A new key, as files and as a signer.
fn signer() -> (dxgate::keys::generate::KeyPair, KeySigner) {
    let request =
        KeyRequest { common_name: "declarant".into(), organization: None, hosts: Vec::new(), bits: 256, days: 30 };
    let pair = declarations::generate(&request, Algorithm::Sm2Sm3, None, Timestamp::now()).unwrap();
    let key = dxgate::cms::read_pem(pair.key_pem.expose(), None).unwrap();
    let certificate = dxgate::cms::Certificate::from_pem(&pair.certificate_pem).unwrap();
    (pair, KeySigner::new(key, certificate).unwrap())
}

/// A station with a DXPID whose declarations to `peer` are signed; `more` are lines of `[dxp.signature]`.
fn home(peer: &Scripted, more: &str) -> Home {
    let home = Home::of(&Station { as2_name: "ours", party: keys::ours(), more: "" });
    let config = fs::read_to_string(home.config()).unwrap();
    fs::write(home.config(), config.replacen("[station]\n", &format!("[station]\ndxpid = \"{DXPID}\"\n"), 1)).unwrap();
    let (pair, _) = signer();
    fs::write(home.path("declarations.crt"), &pair.certificate_pem).unwrap();
    fs::write(home.path("declarations.key"), pair.key_pem.expose()).unwrap();
    fs::set_permissions(home.path("declarations.key"), fs::Permissions::from_mode(0o600)).unwrap();
    let delivery = "retry = [\"1s\"]";
    home.partner("customs", &PartnerFile { url: peer.url(), delivery, ..PartnerFile::default() });
    let file = home.path("partners/customs.toml");
    let text = fs::read_to_string(&file).unwrap().replacen("as2_name", "profile = \"dxp\"\nas2_name", 1);
    let signing =
        "[dxp.signature]\nsign = true\ncertificate = \"declarations.crt\"\nprivate_key = \"declarations.key\"\n";
    fs::write(&file, format!("{text}\n{signing}{more}")).unwrap();
    home
}

fn unwrap(received: &[u8]) -> Vec<u8> {
    let mut inside = Vec::new();
    match envelope::unwrap(&mut &received[..], &mut inside, &Limits::default()).unwrap() {
        Unwrapped::Message { .. } => inside,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_becomes_utf8_by_its_signature_is_called_so_in_the_envelope() {
    let peer = Scripted::start(|_, posted| Some(acknowledge(posted, Kind::default())));
    let home = home(&peer, "[dxp.add_info]\nis_text = true\n");
    let gateway = Gateway::start(&home);
    let document = String::from_utf8(sample::order(1, DXPID, Timestamp::now(), 1)).unwrap().replacen("UTF-8", "GBK", 1);
    let (bytes, ..) = encoding_rs::GBK.encode(&document);
    home.submit("customs", "gbk.xml", &bytes);
    gateway.wait_for("customs", "sent", "gbk.xml");
    let received = open(&peer.posted()[0]).payload;
    let mut inside = Vec::new();
    let read = envelope::unwrap(&mut &received[..], &mut inside, &Limits::default()).unwrap();
    let Unwrapped::Message { head, .. } = read else { panic!("a message") };
    assert!(String::from_utf8(inside).unwrap().contains("encoding=\"UTF-8\""));
    assert_eq!(head.add_info.encoding.as_deref(), Some("UTF-8"));
}

#[test]
fn a_declaration_that_its_signature_makes_too_long_is_refused_and_keeps_nobody_waiting() {
    let peer = Scripted::start(|_, posted| Some(acknowledge(posted, Kind::default())));
    let home = home(&peer, "envelope = true\n");
    let config = fs::read_to_string(home.config()).unwrap();
    fs::write(home.config(), config.replacen("[limits]\n", "[limits]\npayload = \"64KiB\"\n", 1)).unwrap();
    let gateway = Gateway::start(&home);
    // Exactly as long as a payload may be; comments, because one text of that length would be refused by the pre-check.
    let mut long = sample::order(2, DXPID, Timestamp::now(), 1);
    while long.len() + 9 <= 64 * 1024 {
        long.extend_from_slice(b"<!-- -->\n");
    }
    long.resize(64 * 1024, b' ');
    home.submit("customs", "long.xml", &long);
    let findings = String::from_utf8(gateway.wait_for("customs", "rejected", "long.xml.findings.json")).unwrap();
    assert!(findings.contains("document-too-large"), "{findings}");
    assert!(gateway.wait_for("customs", "rejected", "long.xml") == long, "as it was submitted");
    home.submit("customs", "short.xml", &sample::order(1, DXPID, Timestamp::now(), 2));
    gateway.wait_for("customs", "sent", "short.xml");
    assert_eq!(peer.posted().len(), 1);
}
