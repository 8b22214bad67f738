//! What operators hear of messages that are refused.

use std::time::Duration;

use dxgate::as2::{MdnAsk, MdnMode, SendPlan};

use crate::support::correspondent::{letter, plan};
use crate::support::home::{Home, PartnerFile};
use crate::support::inside::{self, Inside, pass};
use crate::support::{eventually, http};

#[test]
fn refused_messages_are_an_alert_for_a_day_also_after_a_restart_and_a_grave_one_when_their_sender_does_not_know() {
    let home = Home::ours();
    let accept = "signature = true\nencryption = true";
    home.partner("theirs", &PartnerFile { accept, ..PartnerFile::default() });
    let clock = inside::clock();
    let post = |mode: MdnMode, message_id: &str| {
        let mdn = MdnAsk { mode, signed: true, micalgs: Vec::new() };
        let letter = letter(&SendPlan { signing: None, mdn, ..plan() }, message_id, b"<a/>");
        assert_eq!(http::post(home.as2, "/as2", &letter.headers, &letter.body).unwrap().status, 200);
    };
    let told = |gateway: &Inside<'_>, wanted: &str| {
        eventually(wanted, || {
            let open = gateway.api("/api/v1/alerts")["alerts"].as_array().unwrap().clone();
            let found = open.into_iter().find(|alert| alert["code"] == "messages-refused");
            found.filter(|alert| alert["level"] == wanted)
        })
    };
    {
        let gateway = Inside::start(&home, &clock);
        post(MdnMode::Sync, "<told@theirs>");
        let found = told(&gateway, "warning");
        assert_eq!(found["partner"], "theirs", "{found:#}");
        assert!(!found["text"]["en"].as_str().unwrap().contains("does not know"), "{found:#}");
        post(MdnMode::None, "<untold@theirs>");
        told(&gateway, "error");
    }
    pass(&clock, Duration::from_secs(23 * 3600));
    let gateway = Inside::start(&home, &clock);
    let found = told(&gateway, "error");
    let text = found["text"]["en"].as_str().unwrap();
    assert!(text.contains("refused of late: 2,") && text.contains("does not know of 1 of them"), "{text}");
    pass(&clock, Duration::from_secs(3600));
    eventually("it is over", || gateway.alerts().is_empty().then_some(()));
}
