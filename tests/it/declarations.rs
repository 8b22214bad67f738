//! The second life of messages: what customs says about the documents that were sent, whatever it says and in whatever
//! order, as users see it: API, command line, folders, alerts.

use std::fs;
use std::path::PathBuf;

use dxgate::cms::{Certificate, read_pem};
use dxgate::declaration::dsig::{self, Algorithm, KeySigner};
use dxgate::declaration::envelope::{self, EnvelopeHead, Response, TransportResponse};
use dxgate::declaration::receipt::{self, Outcome, Step};
use dxgate::declaration::sample;
use dxgate::ground::limits::Limits;
use dxgate::keys::declarations::generate;
use dxgate::keys::generate::KeyRequest;
use dxgate::mime::BytesSource;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::support::gateway::{Gateway, run};
use crate::support::home::{Home, PartnerFile, Station, change};
use crate::support::{eventually, http, keys};

const DXPID: &str = "DXPENT0000012345";
const IMPORT: &str = "DXPEDCCEB0000002";

/// An enterprise and a customs side with a scenario.
struct Homes {
    enterprise: Home,
    customs: Home,
}

impl Homes {
    fn new(scenario: &str) -> Homes {
        let enterprise = Home::of(&Station { as2_name: "ours", party: keys::ours(), more: "" });
        let customs = Home::of(&Station { as2_name: "theirs", party: keys::theirs(), more: "" });
        change(&enterprise.config(), "[station]\n", &format!("[station]\ndxpid = \"{DXPID}\"\n"));
        enterprise.partner("customs", &PartnerFile { url: customs.url(), ..PartnerFile::default() });
        change(&enterprise.path("partners/customs.toml"), "as2_name", "profile = \"dxp\"\nas2_name");
        let ours =
            PartnerFile { as2_name: "ours", url: enterprise.url(), party: keys::ours(), ..PartnerFile::default() };
        customs.partner("enterprise", &ours);
        fs::write(customs.path("scenario.toml"), scenario).unwrap();
        Homes { enterprise, customs }
    }

    fn start(&self) -> (Gateway<'_>, Gateway<'_>) {
        (Gateway::start(&self.enterprise), Gateway::testbed(&self.customs, &self.customs.path("scenario.toml")))
    }

    fn cli(&self, arguments: &[&str]) -> String {
        let config = self.enterprise.config();
        let all: Vec<&str> = arguments.iter().copied().chain(["--config", config.to_str().unwrap()]).collect();
        let output = run(&all);
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {out}\n{err}");
        out.into_owned()
    }
}

/// The same, signed: lists are not taken without a signature that holds.
fn signed(document: &[u8], signer: &KeySigner) -> Vec<u8> {
    let limits = Limits::default();
    dsig::sign(&BytesSource(document), signer, &limits).unwrap().to_vec().unwrap()
}

fn signer(now: Timestamp) -> KeySigner {
    let (common_name, organization) = ("declarant".to_owned(), None);
    let request = KeyRequest { common_name, organization, hosts: Vec::new(), bits: 256, days: 30 };
    let pair = generate(&request, Algorithm::Sm2Sm3, None, now).unwrap();
    let key = read_pem(pair.key_pem.expose(), None).unwrap();
    KeySigner::new(key, Certificate::from_pem(&pair.certificate_pem).unwrap()).unwrap()
}

/// The first `name` of a declaration gets this value.
fn with(document: Vec<u8>, name: &str, value: &str) -> Vec<u8> {
    let text = String::from_utf8(document).unwrap();
    let (from, to) = (format!("<ceb:{name}>"), format!("</ceb:{name}>"));
    let start = text.find(&from).unwrap_or_else(|| panic!("no {name}")) + from.len();
    let end = start + text[start..].find(&to).unwrap();
    format!("{}{value}{}", &text[..start], &text[end..]).into_bytes()
}

/// Documents with a number; empty when there is none.
fn found(gateway: &Gateway<'_>, key: &str) -> Vec<Value> {
    let path = format!("/api/v1/declarations/{key}");
    let answer = http::get(gateway.home.console, &path, gateway.home.token().as_deref()).unwrap();
    if answer.status == 404 {
        return Vec::new();
    }
    let list: Value = serde_json::from_slice(&answer.body).unwrap();
    list["declarations"].as_array().unwrap().clone()
}

/// Waits until the document with a number has this status of a receipt.
fn until_told(gateway: &Gateway<'_>, key: &str, status: &str) -> Value {
    let told = || found(gateway, key).into_iter().find(|one| one["receipt"]["status"] == status);
    let waited = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| eventually(key, told)));
    waited.unwrap_or_else(|_| panic!("{key} never told {status}: {:#?}\n{}", found(gateway, key), gateway.log()))
}

fn alerts(gateway: &Gateway<'_>) -> Vec<String> {
    let list = gateway.api("/api/v1/alerts");
    let mut codes: Vec<String> =
        list["alerts"].as_array().unwrap().iter().map(|alert| alert["code"].as_str().unwrap().to_owned()).collect();
    codes.sort();
    codes
}

/// Files in `receipts/` whose names begin so.
fn receipts(home: &Home, begin: &str) -> Vec<PathBuf> {
    let names = home.names("customs", "receipts").into_iter().filter(|name| name.starts_with(begin));
    names.map(|name| home.exchange("customs", "receipts").join(name)).collect()
}

const SCENARIO: &str = r#"
order = "reversed"
node = true
copies = 2
[[outcome]]
type = "CEB621Message"
key = "REJECT"
end = "rejected"
info = "[Code:1313;Desc:订购人购买超过年度限额]"
[[outcome]]
key = "ERROR"
end = "error"
status = "-301010"
[[outcome]]
key = "MALFORMED"
end = "format-error"
info = "报文不符合规范"
[[outcome]]
key = "REFUSED"
end = "refused"
status = "2001"
[[outcome]]
type = "CEB603Message"
review = true
"#;

#[test]
fn every_declaration_goes_its_road_through_receipts_that_come_in_reverse_and_twice() {
    let homes = Homes::new(SCENARIO);
    let (gateway, testbed) = homes.start();
    let now = Timestamp::now();
    let home = &homes.enterprise;
    let key = signer(now);
    let list = with(sample::inventory(3, DXPID, now, 1), "copNo", "REJECT-1");
    home.submit("customs", "list.xml", &signed(&list, &key));
    home.submit("customs", "order.xml", &with(sample::order(2, DXPID, now, 2), "orderNo", "GOOD-1"));
    home.submit("customs", "error.xml", &with(sample::order(1, DXPID, now, 3), "orderNo", "ERROR-1"));
    home.submit("customs", "bad.xml", &with(sample::order(2, DXPID, now, 4), "orderNo", "MALFORMED-1"));
    home.submit("customs", "refused.xml", &with(sample::order(1, DXPID, now, 5), "orderNo", "REFUSED-1"));
    let export = with(sample::export_inventory(1, DXPID, now, 6), "copNo", "EXPORT-1");
    home.submit("customs", "export.xml", &signed(&export, &key));

    let rejected = until_told(&gateway, "REJECT-1", "100");
    assert_eq!((&rejected["status"], &rejected["number"]), (&json!("rejected"), &json!(1)), "{rejected:#}");
    assert_eq!(rejected["receipt"]["info"], "[Code:1313;Desc:订购人购买超过年度限额]");
    assert_eq!(rejected["receipt"]["meaning"]["zh"], "海关退单");
    let error = until_told(&gateway, "ERROR-1", "-301010");
    assert_eq!(error["receipt"]["meaning"]["zh"], "已存在相同编号的订单", "the code of an import: {error:#}");
    let malformed = until_told(&gateway, "MALFORMED-1", "-1");
    assert_eq!(
        (&malformed["status"], &malformed["receipt"]["message_type"]),
        (&json!("error"), &json!("CEB900Message"))
    );
    until_told(&gateway, "REFUSED-1", "2001");
    let delivered = || found(&gateway, "REFUSED-1").iter().any(|one| one["transport"] == "delivered").then_some(());
    eventually("the AS2 side of what the platform refused went well", delivered);
    assert_eq!(until_told(&gateway, "GOOD-1", "120")["status"], "accepted");
    let export = until_told(&gateway, "EXPORT-1", "899");
    assert_eq!(export["status"], "released");
    assert!(export["given"].as_array().unwrap().iter().any(|key| key[0] == "invtNo"), "{export:#}");

    // Every receipt was heard: all the road, each step twice, in whatever order it came.
    let list = rejected["message"].as_str().unwrap();
    let said = |id: &str| {
        let message = gateway.api(&format!("/api/v1/messages/{id}"));
        let events = message["timeline"].as_array().unwrap().clone();
        events.iter().filter(|event| event["fact"] == "business-receipt").count()
    };
    eventually("all receipts of the list came", || (said(list) == 12).then_some(()));
    let message = gateway.api(&format!("/api/v1/messages/{list}"));
    let standings: Vec<&Value> =
        message["business"]["documents"].as_array().unwrap().iter().map(|document| &document["status"]).collect();
    assert_eq!(standings, ["rejected", "released", "released"]);
    eventually("all receipts of the export list came", || {
        (said(export["message"].as_str().unwrap()) == 14).then_some(())
    });
    assert_eq!(until_told(&gateway, "EXPORT-1", "899")["status"], "released");
    // Two orders share the alert of their kind each with itself only.
    assert_eq!(
        alerts(&gateway),
        ["declaration-error", "declaration-error", "declaration-rejected", "envelope-refused"]
    );
    assert!(testbed.is_ready());

    seen_on_the_command_line(&homes, list);
    seen_in_the_folders(&homes, list);
    found_by_every_key(&gateway, list);
}

fn seen_on_the_command_line(homes: &Homes, list: &str) {
    let shown = homes.cli(&["messages", "show", list]);
    for wanted in ["delivered", "[rejected]", "[released]", "CEB622Message 100", "订购人购买超过年度限额"] {
        assert!(shown.contains(wanted), "{wanted} in {shown}");
    }
    let table = homes.cli(&["declarations", "list", "--status", "rejected"]);
    assert!(table.contains("REJECT-1") && !table.contains("GOOD-1"), "{table}");
    let one: Value =
        serde_json::from_str(&homes.cli(&["--format", "json", "declarations", "show", "REJECT-1"])).unwrap();
    assert_eq!(one["declarations"][0]["status"], "rejected", "{one:#}");
    assert!(homes.cli(&["declarations", "show", "EXPORT-1"]).contains("[released]"));
    let config = homes.enterprise.config();
    let unknown = run(&["declarations", "show", "NOBODY-1", "--config", config.to_str().unwrap()]);
    assert_ne!(unknown.status.code(), Some(0));
    let wrong = run(&["declarations", "list", "--status", "lost", "--config", config.to_str().unwrap()]);
    assert_eq!(wrong.status.code(), Some(2));
}

fn seen_in_the_folders(homes: &Homes, list: &str) {
    let files = eventually("each receipt is a file", || {
        let files = receipts(&homes.enterprise, "list.xml.CEB622.");
        (files.len() == 12).then_some(files)
    });
    let reports: Vec<Value> =
        files.iter().map(|file| serde_json::from_slice(&fs::read(file).unwrap()).unwrap()).collect();
    let entries = reports.iter().flat_map(|report| report["entries"].as_array().unwrap());
    let rejection = entries.clone().find(|entry| entry["status"] == "100").expect("a rejection");
    assert_eq!(rejection["document"]["message"], list);
    assert_eq!((&rejection["document"]["file"], &rejection["document"]["number"]), (&json!("list.xml"), &json!(1)));
    assert_eq!((&rejection["standing"], &rejection["meaning_zh"]), (&json!("rejected"), &json!("海关退单")));
    assert!(entries.clone().all(|entry| entry["document"]["message"] == list), "{reports:#?}");
    let platform = homes.enterprise.names("customs", "receipts");
    assert!(platform.iter().any(|name| name.starts_with("DxpRep") && name.ends_with(".json")), "{platform:?}");
}

fn found_by_every_key(gateway: &Gateway<'_>, list: &str) {
    let message = gateway.api(&format!("/api/v1/messages/{list}"));
    let document = &message["business"]["documents"][1];
    let keys = document["keys"].as_array().unwrap().iter().chain(document["given"].as_array().unwrap());
    let wanted = ["orderNo", "copNo", "invtNo", "logisticsNo", "preNo"];
    let mut names = Vec::new();
    for key in keys.filter(|key| wanted.contains(&key[0].as_str().unwrap())) {
        let found = found(gateway, key[1].as_str().unwrap());
        let hit = |one: &Value| one["message"] == list && one["number"] == 2;
        assert!(found.iter().any(hit), "{key}: {found:#?}");
        names.push(key[0].as_str().unwrap());
    }
    names.sort_unstable();
    assert_eq!(names, ["copNo", "invtNo", "logisticsNo", "orderNo", "preNo"]);
    let page = gateway.api("/api/v1/declarations?limit=2");
    let next = page["next"].as_str().expect("there is more");
    let rest = gateway.api(&format!("/api/v1/declarations?limit=500&before={next}"));
    let count = |page: &Value| page["declarations"].as_array().unwrap().len();
    assert_eq!((count(&page), count(&page) + count(&rest)), (2, 10));
    for wrong in ["status=lost", "before=x", "colour=red"] {
        let path = format!("/api/v1/declarations?{wrong}");
        assert_eq!(http::get(gateway.home.console, &path, gateway.home.token().as_deref()).unwrap().status, 400);
    }
}

/// A hand that writes what customs sends, step by step.
struct Customs<'h> {
    home: &'h Home,
    request: Vec<u8>,
    since: Timestamp,
    sent: u32,
}

impl Customs<'_> {
    /// Says `status` about document 1, `seconds` after the request.
    fn says(&mut self, status: &str, seconds: i64) {
        let at = self.since + SignedDuration::from_secs(seconds);
        let outcome =
            |number, _: &[_]| (number == 1).then(|| Outcome::Status { code: status.to_owned(), info: String::new() });
        let step = Step { since: self.since, at, outcome: &outcome };
        let limits = Limits::default();
        let bytes = receipt::answer_step(&mut self.request.as_slice(), &step, &limits).unwrap().unwrap();
        self.wrapped("CEB312Message", &bytes);
    }

    fn wrapped(&mut self, msg_type: &str, document: &[u8]) {
        self.sent += 1;
        let head = EnvelopeHead {
            cop_msg_id: format!("R-{}", self.sent),
            sender_id: IMPORT.to_owned(),
            receiver_ids: vec![DXPID.to_owned()],
            creat_time: envelope::creat_time(self.since),
            msg_type: msg_type.to_owned(),
            file_name: None,
            ..EnvelopeHead::default()
        };
        let mut bytes = Vec::new();
        envelope::wrap(&head, &mut &document[..], &mut bytes).unwrap();
        self.home.submit("enterprise", &format!("receipt-{}.xml", self.sent), &bytes);
    }

    fn platform(&mut self, code: &str, cop_msg_id: &str) {
        self.sent += 1;
        let original = EnvelopeHead {
            cop_msg_id: cop_msg_id.to_owned(),
            sender_id: DXPID.to_owned(),
            receiver_ids: vec![IMPORT.to_owned()],
            creat_time: envelope::creat_time(self.since),
            msg_type: "CEB311Message".to_owned(),
            file_name: None,
            ..EnvelopeHead::default()
        };
        let notice_time = Some("2026-03-01".to_owned());
        let one = Response { code: code.to_owned(), notice_time, original, ..Response::default() };
        let response = TransportResponse { receiver_id: DXPID.to_owned(), responses: vec![one], left_out: 0 };
        let bytes = envelope::write_response(&response);
        self.home.submit("enterprise", &format!("response-{}.xml", self.sent), &bytes);
    }
}

/// Waits until so many messages of customs have come.
fn until_received(gateway: &Gateway<'_>, count: usize) {
    eventually("what customs sent has come", || {
        let list = gateway.api("/api/v1/messages?direction=inbound&state=accepted&limit=500");
        (list["messages"].as_array().unwrap().len() == count).then_some(())
    });
}

#[test]
fn a_rejection_alerts_until_a_later_receipt_and_what_is_older_or_unknown_changes_nothing() {
    let homes = Homes::new("receipts = \"none\"\n");
    let (gateway, _testbed) = homes.start();
    let since = Timestamp::now() - SignedDuration::from_secs(60);
    let request = with(sample::order(2, DXPID, since, 7), "orderNo", "TAUGHT-1");
    homes.enterprise.submit("customs", "order.xml", &request);
    gateway.wait_for("customs", "sent", "order.xml");
    let waiting = &found(&gateway, "TAUGHT-1")[0];
    assert_eq!((&waiting["status"], &waiting["transport"]), (&json!("waiting"), &json!("delivered")));
    let id = waiting["message"].as_str().unwrap().to_owned();
    let cop_msg_id = gateway.api(&format!("/api/v1/messages/{id}"))["cop_msg_id"].as_str().unwrap().to_owned();
    let mut customs = Customs { home: &homes.customs, request: request.clone(), since, sent: 0 };

    // The platform refuses, and then customs knows the order all the same.
    customs.platform("3002", &cop_msg_id);
    until_received(&gateway, 1);
    assert_eq!(alerts(&gateway), ["envelope-refused"]);
    let refused = &found(&gateway, "TAUGHT-1")[0];
    assert_eq!((&refused["status"], &refused["transport"]), (&json!("error"), &json!("delivered")));
    assert_eq!((&refused["platform"]["code"], &refused["platform"]["refused"]), (&json!("3002"), &json!(true)));
    let message = gateway.api(&format!("/api/v1/messages/{id}"));
    assert_eq!((&message["business"]["platform"]["code"], &message["state"]), (&json!("3002"), &json!("delivered")));
    // It was passed on after all; that the trouble is told once more, and late, does not count.
    customs.platform("0000", &cop_msg_id);
    customs.platform("3002", &cop_msg_id);
    until_received(&gateway, 3);
    assert_eq!(alerts(&gateway), Vec::<String>::new());
    let passed_on = &found(&gateway, "TAUGHT-1")[0];
    assert_eq!((&passed_on["status"], &passed_on["platform"]["refused"]), (&json!("waiting"), &json!(false)));
    customs.says("100", 20);
    until_received(&gateway, 4);
    assert_eq!(found(&gateway, "TAUGHT-1")[0]["status"], "rejected");
    assert_eq!(alerts(&gateway), ["declaration-rejected"]);
    // Older ones that come late.
    customs.says("2", 1);
    customs.says("3", 2);
    until_received(&gateway, 6);
    assert_eq!(found(&gateway, "TAUGHT-1")[0]["receipt"]["status"], "100");
    assert_eq!(alerts(&gateway), ["declaration-rejected"]);
    // A newer one, twice.
    customs.says("120", 30);
    customs.says("120", 30);
    until_received(&gateway, 8);
    assert_eq!(found(&gateway, "TAUGHT-1")[0]["status"], "accepted");
    assert_eq!(alerts(&gateway), Vec::<String>::new());
    // About an order that was never sent, and in the name of a platform about an envelope that nobody knows.
    customs.request = with(request, "orderNo", "FOREIGN-1");
    customs.says("100", 40);
    customs.platform("0002", "NO-SUCH-ENVELOPE");
    until_received(&gateway, 10);
    assert!(found(&gateway, "FOREIGN-1").is_empty());
    assert_eq!(alerts(&gateway), Vec::<String>::new());
    let last = gateway.api("/api/v1/messages?direction=inbound&limit=1");
    let last = gateway.api(&format!("/api/v1/messages/{}", last["messages"][0]["id"].as_str().unwrap()));
    assert_eq!(last["business"]["unknown"], 1, "{last:#}");
    assert_eq!(found(&gateway, "TAUGHT-1")[0]["status"], "accepted", "the other document of the order waits");

    // All of it survives a kill.
    let before = found(&gateway, "TAUGHT-1");
    gateway.kill();
    fs::remove_dir_all(homes.enterprise.path("data/index")).unwrap();
    let gateway = Gateway::start(&homes.enterprise);
    assert_eq!(found(&gateway, "TAUGHT-1"), before);
}

#[test]
fn a_change_of_what_customs_has_accepted_is_sent_without_a_word() {
    let homes = Homes::new("receipts = \"none\"\n");
    let (gateway, _testbed) = homes.start();
    let since = Timestamp::now() - SignedDuration::from_secs(60);
    let request = with(sample::order(1, DXPID, since, 9), "orderNo", "CHANGED-1");
    homes.enterprise.submit("customs", "order.xml", &request);
    gateway.wait_for("customs", "sent", "order.xml");
    let findings = |name: &str| {
        homes.enterprise.submit("customs", name, &with(request.clone(), "appType", "2"));
        gateway.wait_for("customs", "sent", name);
        let list = gateway.api(&format!("/api/v1/messages?name={name}"));
        let id = list["messages"][0]["id"].as_str().unwrap().to_owned();
        gateway.api(&format!("/api/v1/messages/{id}"))["findings"]["kept"][0]["code"].clone()
    };
    assert_eq!(findings("early.xml"), "change-before-acceptance");
    let mut customs = Customs { home: &homes.customs, request: request.clone(), since, sent: 0 };
    customs.says("120", 20);
    until_received(&gateway, 1);
    assert_eq!(findings("change.xml"), Value::Null);
    customs.says("800", 30);
    until_received(&gateway, 2);
    assert_eq!(findings("late.xml"), "change-after-release");
}

/// The last receipt alone; the numbers of the second document are known when it has come.
const LAST: &str = r#"
receipts = "last"
[[outcome]]
key = "REJECT"
end = "rejected"
info = "[Code:1313;Desc:订购人购买超过年度限额]"
[[outcome]]
end = "accepted"
status = "800"
"#;

#[test]
fn a_person_finds_a_document_by_any_of_its_numbers_and_sees_what_customs_said() {
    let homes = Homes::new(LAST);
    let (gateway, _testbed) = homes.start();
    let now = Timestamp::now();
    let list = with(sample::inventory(3, DXPID, now, 1), "copNo", "REJECT-1");
    homes.enterprise.submit("customs", "list.xml", &signed(&list, &signer(now)));
    let message = until_told(&gateway, "REJECT-1", "100")["message"].as_str().unwrap().to_owned();
    let documents = || gateway.api(&format!("/api/v1/messages/{message}"))["business"]["documents"].clone();
    let released = |documents: &Value| (1..3).all(|number| documents[number]["status"] == "released");
    let documents = eventually("the others are released", || Some(documents()).filter(released));
    let both = documents[1]["keys"].as_array().unwrap().iter().chain(documents[1]["given"].as_array().unwrap());
    let wanted = ["orderNo", "copNo", "invtNo", "logisticsNo"];
    let numbers: serde_json::Map<String, Value> = both
        .filter(|key| wanted.contains(&key[0].as_str().unwrap()))
        .map(|key| (key[0].as_str().unwrap().to_owned(), key[1].clone()))
        .collect();
    assert_eq!(numbers.len(), wanted.len(), "{numbers:?}");
    let facts = json!({
        "console": format!("http://{}", homes.enterprise.console),
        "setup": homes.enterprise.path("console.setup"),
        "language": "zh-CN",
        "released": numbers,
        "rejected": "REJECT-1",
    });
    crate::console_browser::run("declarations", &facts, &gateway);
}

#[test]
fn a_receipt_is_about_the_document_that_left_and_a_repeated_one_about_that_which_was_told_it() {
    let homes = Homes::new("receipts = \"none\"\n");
    let (gateway, _testbed) = homes.start();
    let since = Timestamp::now() - SignedDuration::from_secs(60);
    let request = with(sample::order(1, DXPID, since, 7), "orderNo", "AGAIN-1");
    homes.enterprise.submit("customs", "order.xml", &request);
    gateway.wait_for("customs", "sent", "order.xml");
    let mut customs = Customs { home: &homes.customs, request: request.clone(), since, sent: 0 };
    let statuses = || {
        let mut all: Vec<Value> = found(&gateway, "AGAIN-1");
        all.sort_by_key(|one| std::cmp::Reverse(one["created"].as_str().unwrap().parse::<Timestamp>().unwrap()));
        all.iter().map(|one| one["status"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    customs.says("100", 20);
    until_received(&gateway, 1);
    // What was rejected is declared anew within the minutes by which clocks may differ, and the rejection comes once more.
    // By its key it has the identifier of the full hour, which is before that of the first.
    let again = homes.enterprise.path("again.xml");
    fs::write(&again, with(request.clone(), "consigneeAddress", "corrected")).unwrap();
    homes.cli(&["send", again.to_str().unwrap(), "--partner", "customs", "--wait"]);
    customs.says("100", 20);
    until_received(&gateway, 2);
    assert_eq!(statuses(), ["waiting", "rejected"]);
    // A change that is held back cannot be what customs speaks of.
    let bearer = homes.enterprise.token().unwrap();
    let headers = format!("Content-Type: application/json\r\nAuthorization: Bearer {bearer}\r\n");
    let path = "/api/v1/partners/customs/pause";
    let paused = http::post(homes.enterprise.console, path, &headers, br#"{"reason":"maintenance"}"#).unwrap();
    assert_eq!(paused.status, 200);
    homes.enterprise.submit("customs", "change.xml", &with(request, "appType", "2"));
    eventually("the change is queued", || (found(&gateway, "AGAIN-1").len() == 3).then_some(()));
    customs.says("120", 30);
    until_received(&gateway, 3);
    assert_eq!(statuses(), ["waiting", "accepted", "rejected"]);
}
