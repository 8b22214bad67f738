//! Traces, as a collector understands them that was made from OpenTelemetry's own definitions.

use dxgate::store::record::State;
use serde_json::Value;

use crate::support::correspondent::{Kind, acknowledge, letter, plan};
use crate::support::home::{Home, PartnerFile, Station};
use crate::support::inside::{self, Inside};
use crate::support::peers::Listener;
use crate::support::scripted::{Scripted, answer};
use crate::support::{eventually, http, keys};

/// Spans of everything that arrived.
fn spans(collector: &Listener) -> Vec<Value> {
    collector.received().iter().flat_map(|export| export["spans"].as_array().unwrap().clone()).collect()
}

#[test]
fn each_message_is_a_trace_of_its_steps_that_a_collector_takes() {
    let collector = Listener::start("otlp_collector.py", &[]);
    let more = format!("[telemetry]\notlp = \"http://127.0.0.1:{}\"\n", collector.port);
    let home = Home::of(&Station { as2_name: "ours", party: keys::ours(), more: &more });
    let peer = Scripted::start(|number, posted| match number {
        0 => Some(answer(503, "", b"")),
        _ => Some(acknowledge(posted, Kind::default())),
    });
    home.partner("theirs", &PartnerFile { url: peer.url(), ..PartnerFile::default() });
    let gateway = Inside::start(&home, &inside::clock());
    gateway.submit("theirs", "secret-name.xml", b"<secret-content/>");
    inside::settle(&[&gateway], "it is delivered");
    let incoming = letter(&plan(), "<one@theirs>", b"<one/>");
    assert_eq!(http::post(home.as2, "/as2", &incoming.headers, &incoming.body).unwrap().status, 200);
    let found = eventually("both traces are there", || {
        Some(spans(&collector)).filter(|spans| spans.iter().filter(|span| span["name"] == "message").count() == 2)
    });
    let sent = gateway.sent_to("theirs");
    assert_eq!(sent.state, State::Delivered);
    let trace = sent.id.hyphenated().replace('-', "");
    let own: Vec<&Value> = found.iter().filter(|span| span["trace_id"] == trace.as_str()).collect();
    let names: Vec<&str> = own.iter().map(|span| span["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["message", "compose", "wait", "send", "wait", "send", "publish"]);
    for (span, name) in own.iter().zip(&names) {
        assert_eq!((span["service"].as_str(), span["span_id"].as_str().map(str::len)), (Some("dxgate"), Some(16)));
        assert_eq!(span["parent_span_id"] == "", *name == "message", "{span:#}");
        let (start, end) = (span["start"].as_u64().unwrap(), span["end"].as_u64().unwrap());
        assert!(start <= end && start > 1_700_000_000_000_000_000, "{span:#}");
    }
    assert_eq!((&own[3]["failed"], &own[5]["failed"]), (&true.into(), &false.into()));
    assert_eq!(own[3]["attributes"]["dxgate.reason"], "http-503", "{:#}", own[3]);
    assert_eq!(own[0]["attributes"]["dxgate.partner"], "theirs");
    let all = Value::Array(found.clone()).to_string();
    assert!(!all.contains("secret"), "neither names nor content: {all}");
}

#[test]
fn a_collector_that_is_not_there_disturbs_nothing() {
    let port = crate::support::free_port();
    let more = format!("[telemetry]\notlp = \"http://127.0.0.1:{port}\"\n");
    let home = Home::of(&Station { as2_name: "ours", party: keys::ours(), more: &more });
    let peer = Scripted::start(|_, posted| Some(acknowledge(posted, Kind::default())));
    home.partner("theirs", &PartnerFile { url: peer.url(), ..PartnerFile::default() });
    let gateway = Inside::start(&home, &inside::clock());
    gateway.submit("theirs", "a.xml", b"<a/>");
    gateway.until("theirs", "delivered", |message| message.state == State::Delivered);
    assert_eq!(gateway.alerts(), Vec::<String>::new());
}
