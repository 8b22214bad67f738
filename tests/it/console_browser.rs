//! The console in a real browser (Debian's chromium, headless): each test is a scene of `tests/browser/console.py`, with a
//! gateway and a partner of its own.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use jiff::Timestamp;
use serde_json::json;

use dxgate::as2::SendPlan;
use dxgate::declaration::sample;

use crate::certificate_exchange::{fingerprint_of, foreign_request};
use crate::support::correspondent::{Kind, acknowledge, letter, plan};
use crate::support::gateway::Gateway;
use crate::support::home::{Home, PartnerFile, Station};
use crate::support::scripted::{Scripted, answer};
use crate::support::{eventually, http, keys};

const REFUSED: &str = "automatic-action/MDN-sent-automatically; processed/error: unexpected-processing-error";

/// Plays one scene against a gateway whose partner refuses the first message if it is told to.
fn play(scene: &str, refuses_first: bool) {
    let peer = Scripted::start(move |number, posted| {
        let disposition = if refuses_first && number == 0 { REFUSED } else { Kind::default().disposition };
        Some(acknowledge(posted, Kind { disposition, ..Kind::default() }))
    });
    let more = "[alerts.command]\nprogram = \"/bin/true\"\n";
    let home = Home::of(&Station { as2_name: "ours", party: keys::ours(), more });
    home.partner("theirs", &PartnerFile { url: peer.url(), ..PartnerFile::default() });
    let gateway = Gateway::start(&home);
    let outbox = home.exchange("theirs", "outbox");
    eventually("the outbox is there", || outbox.is_dir().then_some(()));
    let bad = String::from_utf8(sample::order(1, "DXPENT0000012345", Timestamp::now(), 1)).unwrap();
    let facts = json!({
        "console": format!("http://{}", home.console),
        "setup": home.path("console.setup"),
        "outbox": outbox,
        "bad": bad.replace("</ceb:OrderHead>", "<ceb:surplus/>\n</ceb:OrderHead>"),
    });
    run(scene, &facts, &gateway);
}

/// Plays one scene with these facts.
pub fn run(scene: &str, facts: &serde_json::Value, gateway: &Gateway<'_>) {
    if let Err(said) = played(scene, facts) {
        panic!("{said}\nthe gateway: {}", gateway.log());
    }
}

/// The same at a gateway of which nothing else is known.
pub fn play_with(scene: &str, facts: &serde_json::Value) {
    if let Err(said) = played(scene, facts) {
        panic!("{said}");
    }
}

fn played(scene: &str, facts: &serde_json::Value) -> Result<(), String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python: PathBuf = root.join(".venv/bin/python");
    assert!(python.exists(), "the browser's driver is not installed; run tests/peers/setup.sh (or tests/run.sh)");
    let mut child = Command::new(python)
        .arg(root.join("tests/browser/console.py"))
        .arg(scene)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(facts.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

#[test]
fn a_person_makes_the_first_administrator_and_signs_in() {
    play("sign_in", false);
}

#[test]
fn who_mistypes_the_current_password_stays_signed_in_and_is_told() {
    play("mistyped", false);
}

#[test]
fn who_signs_out_is_signed_out_or_told_that_it_failed() {
    play("signed_out", false);
}

#[test]
fn whoever_reads_on_while_much_happens_gets_further_lines_and_keeps_the_row() {
    play("lively", false);
}

#[test]
fn a_page_that_is_left_before_it_is_there_ends() {
    play("left_early", false);
}

#[test]
fn that_the_gateway_was_out_of_reach_is_said_once_and_not_for_ever() {
    play("out_of_reach", false);
}

#[test]
fn a_message_appears_in_the_open_list_and_its_page_tells_its_way() {
    play("live", false);
}

#[test]
fn a_failed_message_is_retried_with_a_reason_and_not_without() {
    play("retry", true);
}

#[test]
fn every_page_speaks_the_chosen_language() {
    play("language", false);
}

#[test]
fn the_times_of_a_filter_are_those_of_the_zone_that_is_shown() {
    play("times", false);
}

#[test]
fn a_bad_file_is_shown_with_its_findings_beside_its_lines() {
    play("precheck", false);
}

#[test]
fn a_viewer_can_change_nothing_in_the_page_and_beside_it() {
    play("roles", true);
}

#[test]
fn a_million_rows_scroll_smoothly_and_keep_the_focus() {
    play("million", false);
}

#[test]
fn an_alert_is_silenced_and_a_test_goes_out_by_its_channel() {
    play("alarms", true);
}

#[test]
fn the_certificates_say_what_is_used_now_and_what_comes_next() {
    play("rotation", false);
}

#[test]
fn a_certificate_that_a_partner_asks_for_is_accepted_once_its_fingerprint_was_compared() {
    let peer = Scripted::start(move |_, posted| Some(acknowledge(posted, Kind::default())));
    let home = Home::ours();
    home.partner("theirs", &PartnerFile { url: peer.url(), ..PartnerFile::default() });
    let gateway = Gateway::start(&home);
    let (content_type, payload) = foreign_request(|_| ());
    let letter = letter(&SendPlan { content_type, ..plan() }, "<exchange@theirs>", &payload);
    let answer = http::post(home.as2, "/as2", &letter.headers, &letter.body).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    let facts = json!({
        "console": format!("http://{}", home.console),
        "setup": home.path("console.setup"),
        "fingerprint": fingerprint_of(keys::stranger()),
    });
    run("exchange", &facts, &gateway);
}

#[test]
fn the_pages_fit_a_phone_and_have_dark_colours() {
    play("phone", false);
}

#[test]
fn every_page_is_walked_through_by_keyboard_with_the_focus_seen() {
    play("keyboard", false);
}

#[test]
fn a_failed_message_is_found_and_retried_with_its_reason_by_keyboard() {
    play("keyboard_actions", true);
}

#[test]
fn language_theme_and_filters_are_used_by_keyboard_and_what_comes_meanwhile_takes_no_focus() {
    play("keyboard_looks", true);
}

#[test]
fn a_filter_is_kept_used_and_removed() {
    play("filters", true);
}

#[test]
fn the_first_page_says_that_there_are_more_alerts_and_shows_them() {
    let peer = Scripted::start(|_, _| Some(answer(404, "", b"")));
    let home = Home::ours();
    home.partner("theirs", &PartnerFile { url: peer.url(), ..PartnerFile::default() });
    let gateway = Gateway::start(&home);
    let outbox = home.exchange("theirs", "outbox");
    eventually("the outbox is there", || outbox.is_dir().then_some(()));
    let facts = json!({
        "console": format!("http://{}", home.console),
        "setup": home.path("console.setup"),
        "outbox": outbox,
    });
    run("further", &facts, &gateway);
}

#[test]
fn an_agreement_is_read_in_both_languages() {
    play("agreement", false);
}

#[test]
fn a_page_whose_session_is_over_says_so_by_itself() {
    play("session_over", false);
}

#[test]
fn a_browser_with_many_pages_of_the_console_reads_each_of_them() {
    play("many", false);
}
