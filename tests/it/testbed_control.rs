//! The control listener of a testbed: what it plays is read and changed while it runs, by those who have its token.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Stdio};

use serde_json::{Value, json};

use crate::connectivity::{Desk, HEAD, case, json as said_by};
use crate::support::eventually;
use crate::support::gateway::{dxgate, run};
use crate::support::http::{self, Answer};

/// A testbed with its control listener.
struct Testbed {
    child: Child,
    /// Kept open, so that it can go on writing.
    _out: BufReader<ChildStdout>,
    control: SocketAddr,
    token: String,
}

impl Testbed {
    fn start(config: &str) -> Testbed {
        let mut command = dxgate();
        command.args(["testbed", "--control", "127.0.0.1:0", "--format", "json", "--config", config]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut text = String::new();
        let said: Value = loop {
            assert!(out.read_line(&mut text).unwrap() > 0, "it ended: {text}");
            if let Ok(said) = serde_json::from_str(&text) {
                break said;
            }
        };
        let control = said["control"]["listen"].as_str().unwrap().parse().unwrap();
        let file = said["control"]["token"].as_str().unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o077, 0, "closed to others");
        }
        let token = fs::read_to_string(file).unwrap().trim().to_owned();
        Testbed { child, _out: out, control, token }
    }

    fn ask(&self, method: &str, token: &str, body: &str) -> Answer {
        ask(self.control, method, token, body)
    }

    fn play(&self, scenario: &Value) {
        let answer = self.ask("PUT", &self.token, &scenario.to_string());
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    fn playing(&self) -> Value {
        serde_json::from_slice(&self.ask("GET", &self.token, "").body).unwrap()
    }
}

fn ask(control: SocketAddr, method: &str, token: &str, body: &str) -> Answer {
    let length = body.len();
    let head = format!(
        "{method} /scenario HTTP/1.1\r\nHost: {control}\r\nConnection: close\r\n\
         Authorization: Bearer {token}\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    http::exchange(control, head.as_bytes()).unwrap()
}

impl Drop for Testbed {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn plan(desk: &Desk, name: &str, cases: &[(&str, &str)]) -> String {
    let mut text = format!("name = '{name}'\nwait = '60s'\n{HEAD}");
    for (id, work) in cases {
        text += &format!("[[case]]\nid = '{id}'\n{work}\n");
    }
    desk.file(&format!("{name}.toml"), &text)
}

const TLS: (&str, &str) = ("tls", "kind = 'interface'\ncheck = 'tls'");
const MIC: (&str, &str) = ("mic", "kind = 'interface'\ncheck = 'mic'");
const ORDER: (&str, &str) = ("order", "kind = 'business'\nmessage_type = 'CEB311Message'");

#[test]
fn what_a_testbed_plays_is_changed_while_it_runs_and_each_run_sees_the_change() {
    let desk = Desk::new();
    // Where no handshake succeeds, the other cases would only wait.
    let (handshake, plan) = (plan(&desk, "handshake", &[TLS]), plan(&desk, "control", &[TLS, MIC, ORDER]));
    let (enterprise, customs) = desk.homes(&plan);
    let testbed = Testbed::start(&customs);
    let ran = |plan: &str| said_by(&run(&["connectivity", "run", plan, "--config", &enterprise, "--format", "json"]));
    let failure = |said: &Value, id: &str| case(said, id)["failure"]["code"].as_str().unwrap_or("none").to_owned();
    let failures = || {
        let said = ran(&plan);
        ["tls", "mic", "order"].map(|id| failure(&said, id))
    };
    assert_eq!(failures(), ["none", "none", "none"]);
    testbed.play(&json!({ "fault": [{ "fault": "negative", "reason": "decryption-failed" }] }));
    assert_eq!(failures(), ["none", "mdn-negative", "none"]);
    testbed.play(&json!({ "outcome": [{ "type": "CEB311Message", "end": "rejected" }] }));
    assert_eq!(failures(), ["none", "none", "business-refused"]);
    testbed.play(&json!({ "handshake": "closed", "receipts": "none" }));
    assert_eq!(failure(&ran(&handshake), "tls"), "tls-failed");
    testbed.play(&json!({ "server_certificate": "wrong-name" }));
    assert_eq!(failure(&ran(&handshake), "tls"), "tls-certificate-name");
    testbed.play(&json!({}));
    assert_eq!(failures(), ["none", "none", "none"]);
}

#[test]
fn what_a_rehearsal_meets_is_changed_while_it_runs() {
    let desk = Desk::new();
    // Nothing is heard of the order, so there is time to change what comes next.
    let silent = desk.file("silent.toml", "receipts = 'none'\n");
    let order = (ORDER.0, &*format!("{}\nwait = '30s'", ORDER.1));
    let plan = plan(&desk, "control", &[order, TLS]);
    let mut command = dxgate();
    command.args(["connectivity", "rehearse", &plan, "--scenario", &silent, "--control", "127.0.0.1:0"]);
    let homes = desk.path("rehearsal");
    command
        .args(["--format", "json", "--lang", "en", "--dir"])
        .arg(&homes)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    let line = said.by_ref().map(Result::unwrap).find(|line| line.starts_with("scenario control")).unwrap();
    let control = line.split("http://").nth(1).unwrap().split('/').next().unwrap().parse().unwrap();
    let token = fs::read_to_string(line.split("its token in ").nth(1).unwrap().trim()).unwrap();
    eventually("the order is delivered", || {
        let sent = fs::read_dir(homes.join("enterprise/exchange/customs/sent")).ok()?;
        let mut names = sent.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        names.any(|name| name.ends_with("-order.xml")).then_some(())
    });
    let answer = ask(control, "PUT", token.trim(), "{\"receipts\": \"none\", \"handshake\": \"old-version\"}");
    assert_eq!(answer.status, 200, "{}", answer.text());
    let told = std::thread::spawn(move || said.count());
    let run = said_by(&child.wait_with_output().unwrap());
    told.join().unwrap();
    assert_eq!(case(&run, "order")["failure"]["code"], "receipt-missing", "{run:#}");
    assert_eq!(case(&run, "tls")["failure"]["code"], "tls-version", "{run:#}");
}

#[test]
fn only_who_has_the_token_changes_what_is_played_and_what_cannot_be_played_changes_nothing() {
    let desk = Desk::new();
    let plan = plan(&desk, "control", &[("tcp", "kind = 'interface'\ncheck = 'tcp'")]);
    let (_, customs) = desk.homes(&plan);
    let testbed = Testbed::start(&customs);
    let before = testbed.playing();
    assert_eq!((&before["receipts"], &before["precheck"]), (&"sequence".into(), &true.into()));
    for token in ["", "x", &testbed.token[1..]] {
        for method in ["GET", "PUT"] {
            let answer = testbed.ask(method, token, "{}");
            assert!(answer.status == 401 && !answer.text().contains(&testbed.token), "{}", answer.text());
        }
    }
    let large = format!("{{\"receipts\": \"{}\"}}", "x".repeat(300 * 1024));
    let rows = [
        ("no JSON", 400),
        ("{\"recipts\": \"none\"}", 400),
        ("{\"copies\": 11}", 400),
        ("{\"fault\": [{\"fault\": \"late\", \"delay\": \"2h\"}]}", 400),
        ("{\"fault\": [{\"fault\": \"http-status\", \"status\": 700}]}", 400),
        (large.as_str(), 413),
    ];
    for (body, status) in rows {
        let answer = testbed.ask("PUT", &testbed.token, body);
        let shown: String = body.chars().take(60).collect();
        assert_eq!(answer.status, status, "{shown}: {}", answer.text());
        if status == 400 {
            let said: Value = serde_json::from_slice(&answer.body).unwrap();
            assert!(said["code"] == "scenario-invalid" && said["message_zh"].as_str().unwrap().len() > 4, "{said}");
        }
    }
    assert_eq!(testbed.ask("DELETE", &testbed.token, "").status, 405);
    assert_eq!(testbed.playing(), before);
    testbed.play(&json!({ "receipts": "last", "copies": 2 }));
    let after = testbed.playing();
    assert_eq!(
        (&after["receipts"], &after["copies"], &after["order"]),
        (&"last".into(), &2.into(), &"as-happened".into())
    );
    let refused = run(&["testbed", "--control", "0.0.0.0:0", "--config", &customs]);
    assert_eq!(refused.status.code(), Some(2), "not beyond this machine");
}
