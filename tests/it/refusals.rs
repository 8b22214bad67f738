//! What operators hear of messages that are refused.

use std::time::Duration;

use dxgate::as2::{MdnAsk, MdnMode, SendPlan};

use crate::support::correspondent::{letter, plan};
use crate::support::home::{Home, PartnerFile, Station, change};
use crate::support::inside::{self, Inside, pass};
use crate::support::{eventually, http, keys};

#[test]
fn refused_messages_of_a_partner_are_an_alert_for_a_day_and_a_grave_one_when_it_does_not_know() {
    let home = Home::of(&Station { as2_name: "ours", party: keys::ours(), more: "" });
    change(&home.config(), "[as2]\n", "[as2]\ntrusted_proxies = [\"127.0.0.1\"]\n");
    let accept = "signature = true\nencryption = true";
    home.partner("theirs", &PartnerFile { accept, ..PartnerFile::default() });
    let clock = inside::clock();
    let gateway = Inside::start(&home, &clock);
    let post = |mode: MdnMode, signed: bool, message_id: &str| {
        let mdn = MdnAsk { mode, signed: true, micalgs: Vec::new() };
        let signing = plan().signing.filter(|_| signed);
        let letter = letter(&SendPlan { signing, mdn, ..plan() }, message_id, b"<a/>");
        let headers = format!("{}X-Forwarded-For: 203.0.113.1\r\n", letter.headers);
        assert_eq!(http::post(home.as2, "/as2", &headers, &letter.body).unwrap().status, 200);
    };
    let told = |wanted: &str| {
        eventually(wanted, || {
            let open = gateway.api("/api/v1/alerts")["alerts"].as_array().unwrap().clone();
            let found = open.into_iter().find(|alert| alert["code"] == "messages-refused");
            found.filter(|alert| alert["level"] == wanted)
        })
    };
    post(MdnMode::None, false, "<stranger@theirs>");
    // Where this comes from the partner is at home from now on.
    post(MdnMode::Sync, true, "<accepted@theirs>");
    post(MdnMode::Sync, false, "<told@theirs>");
    let found = told("warning");
    let text = found["text"]["en"].as_str().unwrap();
    assert_eq!(found["partner"], "theirs", "{found:#}");
    assert!(text.contains("of late: 1.") && !text.contains("does not know"), "{text}");
    post(MdnMode::None, false, "<untold@theirs>");
    let found = told("error");
    let text = found["text"]["en"].as_str().unwrap();
    assert!(text.contains("of late: 2;") && text.contains("does not know of 1 of them"), "{text}");
    pass(&clock, Duration::from_secs(24 * 3600));
    eventually("it is over", || gateway.alerts().is_empty().then_some(()));
}
