//! What Prometheus reads, against its documents and against Prometheus's own tools.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use dxgate::app::METRICS;
use dxgate::store::record::State;
use serde_json::Value;

use crate::support::correspondent::{Kind, acknowledge, letter, plan};
use crate::support::home::{Home, PartnerFile, Station};
use crate::support::inside::{self, Inside};
use crate::support::scripted::{Scripted, answer};
use crate::support::{eventually, http, keys};

/// Values of a page by metric and labels as printed.
fn page(home: &Home) -> (String, BTreeMap<String, f64>) {
    let answer = http::get(home.console, "/metrics", home.token().as_deref()).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.head.to_lowercase().contains("content-type: text/plain; version=0.0.4"), "{}", answer.head);
    let text = answer.text();
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let values = lines.map(|line| {
        let (series, value) = line.rsplit_once(' ').unwrap();
        (series.to_owned(), value.parse().unwrap())
    });
    let values = values.collect();
    (text, values)
}

/// Of `name{a="1",b="2"}`: the name, and the names of its labels.
fn taken_apart(series: &str) -> (String, BTreeSet<String>) {
    let (name, labels) = series.split_once('{').unwrap_or((series, ""));
    let labels =
        labels.trim_end_matches('}').split("\",").filter_map(|label| Some(label.split_once('=')?.0.to_owned()));
    (name.to_owned(), labels.collect())
}

/// The documented metric that a series belongs to.
fn metric_of(series: &str) -> Option<(&'static str, BTreeSet<String>)> {
    let (name, mut labels) = taken_apart(series);
    let name = name.strip_prefix("dxgate_")?;
    let known = |name: &str| METRICS.iter().find(|(known, ..)| *known == name);
    if let Some((known, ..)) = known(name) {
        return Some((known, labels));
    }
    labels.remove("le");
    let stem = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end))?;
    known(stem).filter(|(_, kind, ..)| *kind == "histogram").map(|(known, ..)| (*known, labels))
}

#[test]
fn document_and_program_name_the_same_metrics() {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md")).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| `dxgate_"));
    let documented: Vec<Vec<String>> =
        rows.map(|row| row.split('|').map(|cell| cell.trim().replace('`', "")).collect()).collect();
    let program: Vec<Vec<String>> = METRICS
        .iter()
        .map(|(name, kind, labels, help)| {
            let cells = [format!("dxgate_{name}"), (*kind).to_owned(), labels.join(" "), (*help).to_owned()];
            [vec![String::new()], cells.to_vec(), vec![String::new()]].concat()
        })
        .collect();
    assert_eq!(documented, program);
}

#[test]
fn what_happened_is_on_the_page_for_prometheus_and_nothing_undocumented_is() {
    let peer = Scripted::start(|number, posted| match number {
        0 => Some(answer(503, "", b"")),
        1 => Some(acknowledge(posted, Kind::default())),
        _ => Some(answer(404, "", b"")),
    });
    let home = Home::ours();
    home.partner("theirs", &PartnerFile { url: peer.url(), ..PartnerFile::default() });
    let clock = inside::clock();
    let gateway = Inside::start(&home, &clock);
    gateway.submit("theirs", "a.xml", b"<a/>");
    inside::settle(&[&gateway], "a.xml is delivered");
    gateway.submit("theirs", "b.xml", b"<b/>");
    eventually("b.xml is held", || gateway.messages().iter().any(|message| message.state == State::Held).then_some(()));
    let intact = letter(&plan(), "<one@theirs>", b"<one/>");
    assert_eq!(http::post(home.as2, "/as2", &intact.headers, &intact.body).unwrap().status, 200);
    let mut broken = letter(&plan(), "<two@theirs>", b"<two/>");
    let middle = broken.body.len() / 2;
    broken.body[middle] ^= 1;
    assert_eq!(http::post(home.as2, "/as2", &broken.headers, &broken.body).unwrap().status, 200);
    // The refusal comes to stand as a condition with the next look at them.
    let (text, values) = eventually("the refusal stands as an alert", || {
        Some(page(&home)).filter(|(_, values)| values.contains_key("dxgate_alerts_standing{code=\"messages-refused\"}"))
    });
    let value = |series: &str| *values.get(series).unwrap_or_else(|| panic!("{series} is not in\n{text}"));
    let outcome = |direction: &str, outcome: &str| {
        let labels = format!("direction=\"{direction}\",kind=\"payload\",partner=\"theirs\",outcome=\"{outcome}\"");
        value(&format!("dxgate_message_outcomes_total{{{labels}}}"))
    };
    assert_eq!(outcome("outbound", "delivered"), 1.0);
    assert_eq!(outcome("outbound", "held"), 1.0);
    assert_eq!((outcome("inbound", "accepted"), outcome("inbound", "declined")), (1.0, 1.0));
    assert_eq!(value("dxgate_attempts_total{partner=\"theirs\"}"), 3.0);
    assert_eq!(value("dxgate_retries_total{partner=\"theirs\",code=\"http-503\"}"), 1.0);
    assert_eq!(value("dxgate_mdn_latency_seconds_count{partner=\"theirs\",mode=\"sync\"}"), 1.0);
    assert_eq!(value("dxgate_alerts_raised_total{code=\"http-404\",level=\"error\"}"), 1.0);
    let failures: Vec<&String> = values.keys().filter(|series| series.starts_with("dxgate_crypto_failures")).collect();
    assert_eq!(failures.len(), 1, "{failures:?}");
    let sent: u64 = peer.posted().iter().map(|posted| posted.body.len() as u64).sum();
    assert_eq!(value("dxgate_wire_bytes_total{direction=\"outbound\",partner=\"theirs\"}"), sent as f64);
    let received = intact.body.len() + broken.body.len();
    assert_eq!(value("dxgate_wire_bytes_total{direction=\"inbound\",partner=\"theirs\"}"), received as f64);
    assert_eq!((value("dxgate_ready"), value("dxgate_queue_depth")), (1.0, 0.0));
    assert_eq!(value("dxgate_messages{state=\"held\"}"), 1.0);
    assert_eq!(value("dxgate_http_answers_total{listener=\"as2\",status=\"2xx\"}"), 2.0);
    assert!(value("dxgate_http_connections{listener=\"console\"}") >= 1.0, "this one");
    assert_eq!(value("dxgate_index_rebuilds_total"), 0.0);
    assert!(
        value("dxgate_journal_sync_seconds_count") >= 4.0 && value("dxgate_disk_free_bytes{folder=\"data\"}") > 0.0
    );
    let left: Vec<f64> =
        values.iter().filter(|(series, _)| series.starts_with("dxgate_certificate_left")).map(|(_, v)| *v).collect();
    assert!(left.len() == 2 && left.iter().all(|left| *left > 0.0), "{left:?}");
    for series in values.keys() {
        let (name, labels) = metric_of(series).unwrap_or_else(|| panic!("{series} is not documented"));
        let (_, _, documented, _) = METRICS.iter().find(|(known, ..)| *known == name).unwrap();
        assert_eq!(labels, documented.iter().map(|label| (*label).to_owned()).collect(), "labels of {series}");
    }
    assert_eq!(values.keys().filter(|series| series.starts_with("dxgate_alerts_standing")).count(), 1, "{text}");
    // Unused so far: nothing is due, nobody is told, nobody was refused.
    let seen: BTreeSet<&str> = values.keys().filter_map(|series| Some(metric_of(series)?.0)).collect();
    let unused = METRICS.iter().map(|(name, ..)| *name).filter(|name| !seen.contains(name));
    let unused: Vec<&str> = unused.collect();
    let wanted = [
        "queue_overdue_seconds",
        "crypto_refusals_total",
        "alert_deliveries_total",
        "alerts_waiting",
        "http_connections_refused_total",
    ];
    assert_eq!(unused, wanted);
    let (status, said) = promtool(&["check", "metrics"], Some(text.as_bytes()));
    assert!(status, "promtool check metrics: {said}\n{text}");
}

#[test]
fn the_age_of_the_queue_and_what_is_overdue_are_told() {
    let peer = Scripted::start(|_, _| Some(answer(503, "", b"")));
    let home = Home::ours();
    let delivery = "retry = [\"10m\"]\ngive_up_after = \"1d\"\njitter = 0.0";
    home.partner("theirs", &PartnerFile { url: peer.url(), delivery, ..PartnerFile::default() });
    let clock = inside::clock();
    let gateway = Inside::start(&home, &clock);
    gateway.submit("theirs", "a.xml", b"<a/>");
    gateway.until("theirs", "tried", |message| message.state == State::Composed && message.attempts == 1);
    inside::pass(&clock, std::time::Duration::from_secs(300));
    let (_, values) = page(&home);
    assert_eq!(values["dxgate_queue_depth"], 1.0);
    assert_eq!(values["dxgate_queue_oldest_age_seconds"], 300.0);
    assert_eq!(values["dxgate_queue_overdue_seconds{partner=\"theirs\"}"], 0.0, "not due yet");
}

#[test]
fn the_page_wants_the_token_unless_it_is_open_to_this_machine() {
    let station = |more| Station { as2_name: "ours", party: keys::ours(), more };
    let closed = Home::of(&station(""));
    let gateway = Inside::start(&closed, &inside::clock());
    for token in [None, Some("0123456789abcdef0123456789abcdef")] {
        let answer = http::get(closed.console, "/metrics", token).unwrap();
        assert_eq!(answer.status, 401, "{}", answer.text());
        assert!(!answer.text().contains("dxgate_"), "{}", answer.text());
    }
    assert_eq!(http::get(closed.console, "/metrics", closed.token().as_deref()).unwrap().status, 200);
    drop(gateway);
    let open = Home::ours();
    let config =
        std::fs::read_to_string(open.config()).unwrap().replace("[console]\n", "[console]\nopen_metrics = true\n");
    std::fs::write(open.config(), config).unwrap();
    let _gateway = Inside::start(&open, &inside::clock());
    assert_eq!(http::get(open.console, "/metrics", None).unwrap().status, 200);
    assert_eq!(http::get(open.console, "/api/v1/summary", None).unwrap().status, 401, "nothing else is open");
}

#[test]
fn rules_hold_by_promtool_and_rules_and_dashboard_ask_for_documented_metrics_only() {
    let packaging = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging");
    let rules = packaging.join("prometheus/dxgate.rules.yml");
    let tests = packaging.join("prometheus/dxgate.rules.test.yml");
    for arguments in [["check", "rules", rules.to_str().unwrap()], ["test", "rules", tests.to_str().unwrap()]] {
        let (status, said) = promtool(&arguments, None);
        assert!(status, "{arguments:?}: {said}");
    }
    let dashboard = std::fs::read_to_string(packaging.join("grafana/dxgate.json")).unwrap();
    let parsed: Value = serde_json::from_str(&dashboard).unwrap();
    assert!(parsed["panels"].as_array().is_some_and(|panels| panels.len() >= 15));
    let rules = std::fs::read_to_string(&rules).unwrap();
    let mut asked = BTreeSet::new();
    for text in [&rules, &dashboard] {
        for (at, _) in text.match_indices("dxgate_") {
            let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let name = text[at..].split(|c| !word(c)).next().unwrap();
            assert!(metric_of(name).is_some(), "{name} is not documented");
            asked.insert(metric_of(name).unwrap().0);
        }
    }
    assert!(asked.len() >= 18, "most are looked at: {asked:?}");
}

/// Runs Debian's promtool; whether it was content, and what it said.
fn promtool(arguments: &[&str], input: Option<&[u8]>) -> (bool, String) {
    let child = Command::new("promtool")
        .args(arguments)
        .stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.expect("promtool: apt-get install prometheus (tests/run.sh does)");
    if let Some(input) = input {
        child.stdin.take().unwrap().write_all(input).unwrap();
    }
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}
