//! The console's API on a real gateway: the first admin, pauses that last, the live stream, the audit trail, and whether
//! answers are what the description says.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::gateway::{Gateway, dxgate};
use crate::support::home::{Home, PartnerFile};
use crate::support::scripted::{Scripted, answer};
use crate::support::{eventually, http, keys};

const ORDER: &[u8] = b"<order/>\n";
const PASSWORD: &str = "correct horse battery";

/// A POST of JSON with these header lines, each ending in CRLF.
fn post(home: &Home, path: &str, headers: &str, body: &Value) -> (u16, String, Value) {
    let headers = format!("Content-Type: application/json\r\n{headers}");
    let answer = http::post(home.console, path, &headers, body.to_string().as_bytes()).unwrap();
    (answer.status, answer.head.clone(), serde_json::from_slice(&answer.body).unwrap_or_default())
}

fn bearer(home: &Home) -> String {
    format!("Authorization: Bearer {}\r\n", home.token().unwrap())
}

/// `ours` with the partners `theirs` and `others`, whose server takes everything and confirms nothing.
fn home(peer: &Scripted) -> Home {
    let home = Home::ours();
    for id in ["theirs", "others"] {
        let as2_name = if id == "theirs" { "theirs" } else { "others" };
        home.partner(id, &PartnerFile { as2_name, url: peer.url(), mdn: "mode = \"none\"", ..PartnerFile::default() });
    }
    home
}

fn submit(home: &Home, partner: &str) -> String {
    let path = format!("/api/v1/partners/{partner}/messages?name=order.xml");
    let answer = http::post(home.console, &path, &bearer(home), ORDER).unwrap();
    assert_eq!(answer.status, 202, "{}", answer.text());
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    body["id"].as_str().unwrap().to_owned()
}

fn delivered(gateway: &Gateway<'_>, id: &str) {
    eventually("delivered", || (gateway.api(&format!("/api/v1/messages/{id}"))["state"] == "delivered").then_some(()));
}

#[test]
fn the_first_admin_is_made_by_the_link_and_signs_in_after_a_restart() {
    let home = Home::ours();
    let gateway = Gateway::start(&home);
    let file = home.path("console.setup");
    eventually("the start says where the link is", || gateway.log().contains("console.setup").then_some(()));
    let text = std::fs::read_to_string(&file).unwrap();
    let link = text.trim().split('#').nth(1).unwrap();
    assert!(!gateway.log().contains(link), "the link itself is in no log");
    let (status, head, body) =
        post(&home, "/api/v1/setup", "", &json!({ "link": link, "name": "ada", "password": PASSWORD }));
    assert_eq!((status, &body["role"]), (201, &json!("admin")), "{head}");
    assert!(!file.exists());
    assert!(gateway.stop().success());
    let gateway = Gateway::start(&home);
    assert!(!file.exists(), "there is a user");
    let (status, head, body) = post(&home, "/api/v1/session", "", &json!({ "name": "ada", "password": PASSWORD }));
    assert_eq!(status, 200);
    let cookie = head.lines().find(|line| line.to_ascii_lowercase().starts_with("set-cookie:"));
    let cookie = cookie.unwrap().split_once(':').unwrap().1.split(';').next().unwrap().trim().to_owned();
    let csrf = body["csrf"].as_str().unwrap();
    let without = format!("Cookie: {cookie}\r\n");
    let new = json!({ "name": "vera", "role": "viewer", "password": PASSWORD });
    assert_eq!(post(&home, "/api/v1/users", &without, &new).0, 403);
    let with = format!("Cookie: {cookie}\r\nX-CSRF-Token: {csrf}\r\n");
    assert_eq!(post(&home, "/api/v1/users", &with, &new).0, 201);
    let trail = gateway.api("/api/v1/audit")["entries"].clone();
    let what: Vec<&str> = trail.as_array().unwrap().iter().map(|entry| entry["what"].as_str().unwrap()).collect();
    let first = "configuration-noted";
    assert_eq!(what, ["user-added", "signed-in", "user-added", first], "newest first, over the restart");
    assert_eq!(
        (&trail[0]["who"], &trail[0]["on"], &trail[0]["from"]),
        (&json!("ada"), &json!("user:vera"), &json!("127.0.0.1"))
    );
    assert_eq!(post(&home, "/api/v1/journal/verify", &bearer(&home), &json!({})).0, 200);
    for secret in [PASSWORD, link, csrf, cookie.split('=').nth(1).unwrap()] {
        assert!(!gateway.log().contains(secret), "secrets stay out of the log");
    }
}

#[test]
fn a_paused_partner_gets_nothing_until_it_is_resumed_restarts_included() {
    let peer = Scripted::start(|_, _| Some(answer(200, "", b"")));
    let home = home(&peer);
    let gateway = Gateway::start(&home);
    let reason = json!({ "reason": "their server moves" });
    assert_eq!(post(&home, "/api/v1/partners/theirs/pause", &bearer(&home), &reason).0, 200);
    let held = submit(&home, "theirs");
    delivered(&gateway, &submit(&home, "others"));
    gateway.kill();
    let gateway = Gateway::start(&home);
    assert_eq!(gateway.api("/api/v1/partners/theirs")["paused"]["reason"], "their server moves");
    delivered(&gateway, &submit(&home, "others"));
    assert_eq!(peer.posted().len(), 2, "nothing for the paused one");
    let queue = gateway.api("/api/v1/queue");
    assert_eq!((&queue["waiting"], &queue["oldest"]["id"]), (&json!(1), &json!(held)));
    assert_eq!(post(&home, "/api/v1/partners/theirs/resume", &bearer(&home), &json!({})).0, 400, "a reason is wanted");
    assert_eq!(post(&home, "/api/v1/partners/theirs/resume", &bearer(&home), &reason).0, 200);
    delivered(&gateway, &held);
    // They are counted after the list has it.
    eventually("the three are counted in 25 hours", || {
        let figures = gateway.api("/api/v1/figures");
        let hours = figures["hours"].as_array().unwrap();
        let delivered: u64 = hours.iter().filter_map(|hour| hour["delivered"].as_u64()).sum();
        ((hours.len(), delivered) == (25, 3)).then_some(())
    });
}

#[test]
fn who_listens_hears_of_a_message_from_beginning_to_end() {
    let peer = Scripted::start(|_, _| Some(answer(200, "", b"")));
    let home = home(&peer);
    let _gateway = Gateway::start(&home);
    let mut socket = TcpStream::connect(home.console).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let (host, bearer) = (home.console, bearer(&home));
    write!(socket, "GET /api/v1/events HTTP/1.1\r\nHost: {host}\r\n{bearer}\r\n").unwrap();
    let mut lines = BufReader::new(socket).lines();
    let mut next = |begin: &str| {
        let found = lines.by_ref().map(Result::unwrap).find(|line| line.starts_with(begin));
        found.unwrap_or_else(|| panic!("the stream ended before {begin}"))
    };
    assert!(next("HTTP/1.1").contains("200"));
    next("retry:");
    let id = submit(&home, "theirs");
    let mut last = String::new();
    while last != "delivered" {
        next("event: message");
        let data: Value = serde_json::from_str(next("data: ").strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(data["id"], json!(id));
        last = data["state"].as_str().unwrap().to_owned();
    }
}

/// Of two messages, one encrypted and one not, whose wire bytes may be seen by those who may not see payloads.
#[test]
fn a_viewer_sees_no_payload_in_the_bytes_on_the_wire() {
    let peer = Scripted::start(|_, _| Some(answer(200, "", b"")));
    let home = home(&peer);
    let agreement = "sign = \"rsa-pkcs1\"\nencrypt = \"none\"";
    let open = PartnerFile { url: peer.url(), agreement, mdn: "mode = \"none\"", ..PartnerFile::default() };
    home.partner("theirs", &open);
    let gateway = Gateway::start(&home);
    let made = json!({ "name": "screen", "scope": "read", "days": 1 });
    let (status, _, made) = post(&home, "/api/v1/tokens", &bearer(&home), &made);
    assert_eq!(status, 201, "{made}");
    let (viewer, admin) = (made["token"].as_str().unwrap(), home.token().unwrap());
    for (partner, shows_payload) in [("theirs", true), ("others", false)] {
        let id = submit(&home, partner);
        delivered(&gateway, &id);
        let detail = gateway.api(&format!("/api/v1/messages/{id}"));
        assert_eq!(detail["wire_shows_payload"], json!(shows_payload), "{partner}");
        let wire = |token: &str| http::get(home.console, &format!("/api/v1/messages/{id}/wire"), Some(token)).unwrap();
        let shown = wire(&admin);
        assert_eq!(shown.status, 200, "{partner}");
        let holds = shown.body.windows(ORDER.len()).any(|window| window == ORDER);
        assert_eq!(holds, shows_payload, "{partner}");
        assert_eq!(wire(viewer).status, if shows_payload { 403 } else { 200 }, "{partner}");
    }
}

/// Downloads and lists of the command line, against the gateway that the API describes.
#[test]
fn the_command_line_steers_users_tokens_partners_and_shows_the_trail() {
    let peer = Scripted::start(|_, _| Some(answer(200, "", b"")));
    let home = home(&peer);
    let gateway = Gateway::start(&home);
    let run = |arguments: &[&str]| {
        let output = dxgate().args(arguments).args(["--lang", "en", "--config"]).arg(home.config()).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8_lossy(&output.stderr);
        (output.status.code().unwrap(), text)
    };
    let (code, text) = run(&["user", "add", "vera", "--role", "viewer"]);
    assert!(code == 0 && text.contains("shown this once"), "{text}");
    assert_eq!(run(&["user", "change", "vera", "--role", "operator", "--reason", "shift lead"]).0, 0);
    let (code, text) = run(&["token", "create", "erp", "--scope", "operate", "--days", "30"]);
    assert!(code == 0 && text.contains("dxgt_"), "{text}");
    assert!(run(&["token", "list"]).1.contains("erp"));
    assert_eq!(run(&["partner", "pause", "theirs", "--reason", "they\u{1b}[31m move"]).0, 0);
    let (code, text) = run(&["partner", "status"]);
    assert!(code == 0 && text.contains("paused") && !text.contains('\u{1b}'), "{text}");
    assert!(text.contains("\\u{1b}[31m"), "what is untrusted is shown, not obeyed: {text}");
    let (code, text) = run(&["cert", "status"]);
    assert!(code == 0 && text.contains("theirs") && text.contains("active"), "{text}");
    submit(&home, "theirs");
    assert!(run(&["queue"]).1.contains("waiting 1"));
    assert!(run(&["messages", "list", "--text", "order", "--state", "queued,composed"]).1.contains("order.xml"));
    let (code, text) = run(&["audit", "list"]);
    for part in ["user-added", "user-changed", "shift lead", "token-added", "partner-paused", "message-submitted"] {
        assert!(code == 0 && text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains('\u{1b}'), "{text}");
    let (code, text) = run(&["audit", "verify"]);
    assert!(code == 0 && text.contains("in one chain"), "{text}");
    let (_, text) = run(&["audit", "list", "--what", "partner-paused", "--format", "json"]);
    let trail: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(trail["entries"].as_array().map(Vec::len), Some(1));
    assert_eq!(run(&["user", "remove", "nobody"]).0, 2);
    assert_eq!(run(&["partner", "reload"]).0, 0);
    let man = home.path("man");
    assert_eq!(run(&["man", man.to_str().unwrap()]).0, 0);
    assert!(std::fs::read_to_string(man.join("dxgate-audit.1")).unwrap().contains("Who changed what"));
    assert!(run(&["completions", "bash"]).1.contains("_dxgate()"));
    drop(gateway);
}

/// The trail's entries of this kind, newest first.
fn trail(gateway: &Gateway<'_>, what: &str) -> Vec<Value> {
    gateway.api(&format!("/api/v1/audit?what={what}"))["entries"].as_array().cloned().unwrap_or_default()
}

#[test]
fn actions_are_in_the_trail_by_their_own_names_with_before_after_and_address() {
    let peer = Scripted::start(|_, _| Some(answer(404, "", b"")));
    let home = home(&peer);
    let gateway = Gateway::start(&home);
    let id = submit(&home, "theirs");
    let held = || (gateway.api(&format!("/api/v1/messages/{id}"))["state"] == "held").then_some(());
    let reason = json!({ "reason": "they mended it" });
    for (action, what) in [("retry", "message-retried"), ("release", "message-released")] {
        eventually("held, since the partner refuses it", held);
        let path = format!("/api/v1/messages/{id}/{action}");
        assert_eq!(post(&home, &path, &bearer(&home), &reason).0, 200);
        let entries = trail(&gateway, what);
        let [entry] = entries.as_slice() else { panic!("{entries:?}") };
        assert_eq!((&entry["who"], &entry["from"]), (&json!("api-token"), &json!("127.0.0.1")));
        assert_eq!((&entry["before"], &entry["after"]), (&json!("held"), &json!("composed")));
        assert_eq!((&entry["on"], &entry["reason"]), (&json!(format!("message:{id}")), &json!("they mended it")));
    }
    eventually("held again", held);
    assert!(gateway.stop().success());
    std::fs::remove_dir_all(home.path("data/index")).unwrap();
    let gateway = Gateway::start(&home);
    let kept = (trail(&gateway, "message-retried").len(), trail(&gateway, "message-released").len());
    assert_eq!(kept, (1, 1), "and when the index is made anew");
    let alerts = gateway.api("/api/v1/alerts")["alerts"].clone();
    let names: Vec<&str> = alerts.as_array().unwrap().iter().map(|alert| alert["id"].as_str().unwrap()).collect();
    assert!(
        names.contains(&"gateway.index-rebuilt") && names.len() == 2,
        "a condition and one of the message: {names:?}"
    );
    for (number, alert) in names.iter().enumerate() {
        let path = format!("/api/v1/alerts/{alert}/acknowledge");
        assert_eq!(post(&home, &path, &bearer(&home), &reason).0, 200);
        assert_eq!(post(&home, &path, &bearer(&home), &reason).0, 404, "nobody has to see it twice");
        let entries = trail(&gateway, "alert-acknowledged");
        assert_eq!(entries.len(), number + 1, "{entries:?}");
        let (on, from) = (&entries[0]["on"], &entries[0]["from"]);
        assert_eq!((on, from), (&json!(format!("alert:{alert}")), &json!("127.0.0.1")));
        assert_eq!((&entries[0]["before"], &entries[0]["after"]), (&json!("open"), &json!("acknowledged")));
    }
}

#[test]
fn partner_files_that_change_are_in_the_trail_whether_seen_or_asked_for() {
    let peer = Scripted::start(|_, _| Some(answer(200, "", b"")));
    let home = home(&peer);
    let gateway = Gateway::start(&home);
    let file = home.path("partners/theirs.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("name = \"Their Works\"\n{text}")).unwrap();
    let seen = || trail(&gateway, "partner-changed").into_iter().next();
    let entry = eventually("the watch sees it", seen);
    assert_eq!((&entry["who"], &entry["on"]), (&json!("gateway"), &json!("partner:theirs")));
    assert_eq!((&entry["before"]["name"], &entry["after"]["name"]), (&Value::Null, &json!("Their Works")));
    assert!(entry["after"].get("url").is_none(), "what stays is left out: {entry}");
    assert_ne!(entry["before"]["file_sha256"], entry["after"]["file_sha256"]);
    std::fs::write(&file, "enabled = maybe").unwrap();
    assert_eq!(post(&home, "/api/v1/partners/reload", &bearer(&home), &json!({})).0, 200);
    assert_eq!(trail(&gateway, "partner-changed").len(), 1, "a file with a mistake changes nothing");
    std::fs::remove_file(&file).unwrap();
    assert_eq!(post(&home, "/api/v1/partners/reload", &bearer(&home), &json!({})).0, 200);
    let entry = eventually("removed", || trail(&gateway, "partner-removed").into_iter().next());
    assert_eq!((&entry["on"], &entry["before"]["name"]), (&json!("partner:theirs"), &json!("Their Works")));
    let asked = trail(&gateway, "partners-reloaded");
    assert!(asked.iter().all(|entry| entry["who"] == "api-token" && entry["from"] == "127.0.0.1"), "{asked:?}");
    assert!(gateway.stop().success());
}

#[test]
fn what_was_changed_while_the_gateway_was_stopped_is_in_the_trail_after_its_next_start() {
    let peer = Scripted::start(|_, _| Some(answer(200, "", b"")));
    let home = home(&peer);
    let gateway = Gateway::start(&home);
    let noted = trail(&gateway, "configuration-noted");
    let mut on: Vec<&str> = noted.iter().filter_map(|entry| entry["on"].as_str()).collect();
    on.sort_unstable();
    assert_eq!(on, ["gateway", "partner:others", "partner:theirs"], "a first start notes everything");
    assert!(gateway.stop().success());
    let gateway = Gateway::start(&home);
    assert_eq!(trail(&gateway, "configuration-noted").len(), 3, "nothing was changed");
    // Seen by the running gateway, so not what was changed while it was stopped.
    let theirs = home.path("partners/theirs.toml");
    let text = std::fs::read_to_string(&theirs).unwrap();
    std::fs::write(&theirs, format!("name = \"Their Works\"\n{text}")).unwrap();
    eventually("the watch sees it", || trail(&gateway, "partner-changed").into_iter().next());
    assert!(gateway.stop().success());
    std::fs::write(&theirs, format!("name = \"Their Yard\"\n{text}")).unwrap();
    std::fs::rename(home.path("partners/others.toml"), home.path("partners/new.toml")).unwrap();
    let config = std::fs::read_to_string(home.config()).unwrap();
    let other = keys::stranger();
    let (old, new) = (&keys::ours().certificate_file, &other.certificate_file);
    let config = config.replace(&old.display().to_string(), &new.display().to_string());
    let (old, new) = (&keys::ours().key_file, &other.key_file);
    std::fs::write(home.config(), config.replace(&old.display().to_string(), &new.display().to_string())).unwrap();
    let gateway = Gateway::start(&home);
    let found = |what: &str| match trail(&gateway, &format!("{what}-while-stopped")).as_slice() {
        [only] => only.clone(),
        several => panic!("{what}: {several:#?}"),
    };
    let changed = found("partner-changed");
    assert_eq!((&changed["who"], &changed["on"]), (&json!("file-system"), &json!("partner:theirs")));
    assert_eq!((&changed["before"]["name"], &changed["after"]["name"]), (&json!("Their Works"), &json!("Their Yard")));
    assert!(changed["before"].get("url").is_none(), "what stays is left out: {changed}");
    assert!(changed["before"]["file_sha256"].is_string(), "{changed}");
    assert_ne!(changed["before"]["file_sha256"], changed["after"]["file_sha256"]);
    assert_eq!(found("partner-removed")["on"], "partner:others");
    assert_eq!(found("partner-added")["on"], "partner:new");
    let ours = found("configuration-changed");
    assert_eq!(ours["on"], "gateway");
    assert_ne!(ours["before"]["keys"], ours["after"]["keys"], "another certificate is another fingerprint: {ours}");
    assert!(gateway.stop().success());
    let gateway = Gateway::start(&home);
    assert_eq!(trail(&gateway, "partner-changed-while-stopped").len(), 1, "told once");
    assert_eq!(post(&home, "/api/v1/journal/verify", &bearer(&home), &json!({})).0, 200);
}

/// `script` (of util-linux, on every Debian) gives the program a terminal.
#[test]
fn colours_are_on_a_terminal_alone_and_untrusted_text_reaches_none_raw() {
    let peer = Scripted::start(|_, _| Some(answer(200, "", b"")));
    let home = home(&peer);
    let gateway = Gateway::start(&home);
    delivered(&gateway, &submit(&home, "theirs"));
    let reason = json!({ "reason": "they\u{1b}]0;title\u{7}\u{9b}31m move\u{202e}" });
    assert_eq!(post(&home, "/api/v1/partners/theirs/pause", &bearer(&home), &reason).0, 200);
    let shown = |arguments: &str, no_color: &str| {
        let (program, config) = (env!("CARGO_BIN_EXE_dxgate"), home.config());
        let line = format!("stty cols 300; '{program}' {arguments} --lang en --config '{}'", config.display());
        let mut script = Command::new("script");
        script.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
        let output = script
            .stdin(Stdio::null())
            .env("TERM", "xterm")
            .env("NO_COLOR", no_color)
            .output()
            .expect("script of util-linux");
        assert!(output.status.success(), "{line}");
        String::from_utf8(output.stdout).unwrap()
    };
    for (command, word) in [("messages list", "delivered"), ("partner status", "paused"), ("cert status", "active")] {
        let coloured = shown(command, "");
        assert!(coloured.contains("\u{1b}[3"), "{command}: {coloured:?}");
        let plain = shown(command, "1");
        assert!(plain.contains(word) && !plain.contains('\u{1b}'), "NO_COLOR, {command}: {plain:?}");
        for raw in ["\u{1b}]", "\u{7}", "\u{9b}", "\u{202e}"] {
            assert!(!coloured.contains(raw), "{command}: {coloured:?}");
        }
    }
    let mut watching = dxgate();
    watching.args(["alerts", "list", "--watch", "1", "--format", "json", "--config"]).arg(home.config());
    let mut watching = watching.stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(watching.stdout.take().unwrap()).lines().map(Result::unwrap);
    let seen = lines.filter(|line| line.contains("\"alerts\"")).take(2).count();
    watching.kill().unwrap();
    watching.wait().unwrap();
    assert_eq!(seen, 2, "it was shown again");
}

/// What writes where it is told to, and what has no end, is left out.
const LEFT_OUT: [&str; 5] = ["/backup", "/messages/{id}/export", "/events", "/openapi.json", "/session"];

#[test]
fn answers_to_whatever_may_be_asked_are_what_the_description_says() {
    let peer = Scripted::start(|_, _| Some(answer(200, "", b"")));
    let home = home(&peer);
    let gateway = Gateway::start(&home);
    delivered(&gateway, &submit(&home, "theirs"));
    let python = concat!(env!("CARGO_MANIFEST_DIR"), "/.venv/bin/python");
    let mut command = Command::new(python);
    command.args([
        "-m",
        "schemathesis.cli",
        "run",
        "--no-color",
        "--seed",
        "7",
        "--max-examples",
        "12",
        "--max-time",
        "45",
    ]);
    command.args(["--phases", "coverage,fuzzing", "--suppress-health-check", "all", "--continue-on-failure"]);
    let checks = [
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_schema_conformance",
        "response_headers_conformance",
        "unsupported_method",
        "ignored_auth",
    ];
    command.args(["--checks", &checks.join(",")]);
    for path in LEFT_OUT {
        command.args(["--exclude-path", path]);
    }
    command.args(["--header", bearer(&home).trim_end()]);
    command.arg(format!("http://{}/api/v1/openapi.json", home.console)).current_dir(home.path(""));
    let output = command.output().expect("tests/peers/setup.sh makes .venv");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert!(gateway.is_ready(), "{}", gateway.log());
}
