//! The API's pre-check judges as the outbox does: by the partner's settings, the gateway's levels and code tables, and what
//! was sent before.

use std::fs;

use dxgate::declaration::envelope::{self, Unwrapped};
use dxgate::declaration::sample;
use dxgate::ground::limits::Limits;
use jiff::Timestamp;
use serde_json::Value;

use crate::support::correspondent::{Kind, acknowledge, open};
use crate::support::gateway::Gateway;
use crate::support::home::{Home, change, customs_home};
use crate::support::http;
use crate::support::scripted::Scripted;

const DXPID: &str = "DXPENT0000012345";
const LEVELS: &str = "[precheck.levels]\ncode-unknown = \"error\"\nR12 = \"off\"\n";

fn peer() -> Scripted {
    Scripted::start(|_, posted| Some(acknowledge(posted, Kind::default())))
}

/// A customs home whose table of currencies has one that no sample uses.
fn home(peer: &Scripted) -> Home {
    let home = customs_home(DXPID, peer.url(), LEVELS);
    fs::create_dir_all(home.path("tables")).unwrap();
    fs::write(home.path("tables/customs.csv"), "code,name\n9999,不存在的关区\n").unwrap();
    home
}

fn ask(home: &Home, query: &str, body: &[u8]) -> (u16, Value) {
    let bearer = format!("Authorization: Bearer {}\r\n", home.token().unwrap());
    let answer = http::post(home.console, &format!("/api/v1/precheck?name=a.xml{query}"), &bearer, body).unwrap();
    (answer.status, serde_json::from_slice(&answer.body).unwrap_or_default())
}

/// Codes of the findings of this level.
fn codes(report: &Value, level: &str) -> Vec<String> {
    let all = report["findings"].as_array().unwrap_or_else(|| panic!("{report:#}"));
    let of = all.iter().filter(|finding| finding["level"] == level);
    of.map(|finding| finding["code"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_file_is_judged_by_the_tables_and_levels_that_the_gateway_has() {
    let peer = peer();
    let home = home(&peer);
    let gateway = Gateway::start(&home);
    let list = sample::inventory(1, DXPID, Timestamp::now(), 1);
    let (status, report) = ask(&home, "", &list);
    assert_eq!((status, &report["partner"]), (200, &Value::from("customs")), "{report:#}");
    assert!(codes(&report, "error").contains(&"code-unknown".to_owned()), "{report:#}");
    let table = |name: &str| report["tables"].as_array().unwrap().iter().find(|table| table["table"] == name).cloned();
    assert_eq!(table("customs").expect("loaded")["codes"], 1);
    assert_eq!(table("unit").expect("built in")["codes"], 122);
    assert_eq!(table("country"), None);
    // The same file in the outbox.
    home.submit("customs", "list.xml", &list);
    let refused = gateway.wait_for("customs", "rejected", "list.xml.findings.json");
    let refused: Value = serde_json::from_slice(&refused).unwrap();
    assert_eq!(codes(&report, "error"), codes(&refused, "error"));
    // A table that changes is taken without a restart, here too.
    fs::write(home.path("tables/customs.csv"), "code,name\n9999,x\n0100,北京关区\n0400,石家庄区\n0401,石家庄关\n")
        .unwrap();
    let gone = || {
        let table = ask(&home, "", &list).1["tables"].as_array().unwrap().iter().any(|table| table["codes"] == 4);
        table.then_some(())
    };
    crate::support::eventually("the new table is used", gone);
    // So is what findings weigh, also where no partner is judged for.
    change(&home.path("partners/customs.toml"), "profile = \"dxp\"\n", "");
    change(&home.config(), "code-unknown = \"error\"", "code-unknown = \"warning\"");
    let lighter = || {
        let report = ask(&home, "", &list).1;
        (report["partner"].is_null() && !codes(&report, "error").contains(&"code-unknown".to_owned())).then_some(())
    };
    crate::support::eventually("the new levels are used", lighter);
    change(&home.path("partners/customs.toml"), "", "profile = \"dxp\"\n");
    crate::support::eventually("there is a customs partner again", || {
        (ask(&home, "&partner=customs", &list).0 == 200).then_some(())
    });
    assert_eq!(ask(&home, "&partner=nobody", &list).0, 404);
    assert_eq!(ask(&home, "&partner=customs", &list).0, 200);
}

#[test]
fn a_partners_settings_and_what_was_sent_before_count() {
    let peer = peer();
    let home = home(&peer);
    let settings = "\n[dxp]\ncop_code = \"1301960001\"\nmore_receivers = [\"DXPOTHER00000001\"]\n\
                    levels = [\"cop-code-mismatch = warning\"]\n";
    let file = home.path("partners/customs.toml");
    let partner = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{partner}{settings}")).unwrap();
    let gateway = Gateway::start(&home);
    let order = sample::order(1, DXPID, Timestamp::now(), 2);
    let (_, report) = ask(&home, "", &order);
    assert_eq!((codes(&report, "error"), codes(&report, "warning")), (vec![], vec!["cop-code-mismatch".to_owned()]));
    home.submit("customs", "order.xml", &order);
    gateway.wait_for("customs", "sent", "order.xml");
    let received = open(&peer.posted()[0]).payload;
    let unwrapped = envelope::unwrap(&mut &received[..], &mut Vec::new(), &Limits::default()).unwrap();
    let Unwrapped::Message { head, .. } = unwrapped else { panic!("an envelope") };
    assert_eq!(head.receiver_ids, ["DXPEDCCEB0000002", "DXPOTHER00000001"], "every receiver is named");
    let (_, report) = ask(&home, "", &order);
    assert_eq!(
        (codes(&report, "error"), &report["verdict"]),
        (vec!["key-repeated".to_owned()], &Value::from("refused"))
    );
    // Asking sends nothing and keeps nothing: a change is no repetition of itself.
    let changed = String::from_utf8(order).unwrap().replace("<ceb:appType>1<", "<ceb:appType>2<");
    assert_eq!(codes(&ask(&home, "", changed.as_bytes()).1, "error"), [] as [&str; 0]);
    home.submit("customs", "change.xml", changed.as_bytes());
    gateway.wait_for("customs", "sent", "change.xml");
    // By default another enterprise's code refuses.
    change(&file, "levels = [\"cop-code-mismatch = warning\"]\n", "");
    let refused = || codes(&ask(&home, "", changed.as_bytes()).1, "error").contains(&"cop-code-mismatch".to_owned());
    crate::support::eventually("the partner's new settings count", || refused().then_some(()));
}
