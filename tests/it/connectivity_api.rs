//! Runs of the connectivity test over the API of a running gateway, and from the command line beside it.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};

use crate::connectivity::{Desk, HEAD, Running, case, console_of, json as said_by};
use crate::support::gateway::run;
use crate::support::{eventually, http};

/// The gateway of an enterprise and a testbed, both running.
struct Site {
    desk: Desk,
    enterprise: String,
    console: SocketAddr,
    token: String,
    gateway: Running,
    _testbed: Running,
}

impl Site {
    /// The testbed plays this scenario.
    fn start(scenario: &str) -> Site {
        let desk = Desk::new();
        let quick = desk.file(
            "quick.toml",
            &format!("name = 'quick'\n{HEAD}[[case]]\nid = 'tcp'\nkind = 'interface'\ncheck = 'tcp'\n"),
        );
        let (enterprise, customs) = desk.homes(&quick);
        let scenario = desk.file("scenario.toml", scenario);
        let testbed = Running::testbed(&customs, &scenario);
        let (gateway, console, token) = serve(&enterprise);
        Site { desk, enterprise, console, token, gateway, _testbed: testbed }
    }

    fn get(&self, path: &str) -> http::Answer {
        http::get(self.console, &format!("/api/v1/connectivity{path}"), Some(&self.token)).unwrap()
    }

    fn shown(&self, path: &str) -> Value {
        let answer = self.get(path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        serde_json::from_slice(&answer.body).unwrap()
    }

    fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let token = &self.token;
        let headers = format!("Authorization: Bearer {token}\r\nContent-Type: application/json\r\n");
        let path = format!("/api/v1/connectivity{path}");
        let answer = http::post(self.console, &path, &headers, body.to_string().as_bytes()).unwrap();
        (answer.status, serde_json::from_slice(&answer.body).unwrap_or_default())
    }

    fn command(&self, words: &[&str]) -> std::process::Output {
        run(&[&["connectivity"], words, &["--config", &self.enterprise, "--lang", "en"]].concat())
    }

    /// Once it goes on no longer.
    fn ended(&self, id: &str) -> Value {
        eventually("the run has ended", || {
            let shown = self.shown(&format!("/runs/{id}"));
            (shown["running"] == false).then_some(shown)
        })
    }
}

fn serve(config: &str) -> (Running, SocketAddr, String) {
    let gateway = Running::start(&["serve", "--config", config]);
    let console = console_of(config);
    eventually("the gateway is ready", || {
        http::get(console, "/readyz", None).ok().filter(|answer| answer.status == 200).map(|_| ())
    });
    let data = Path::new(config).parent().unwrap().join("keys/console.token");
    let token = fs::read_to_string(&data).unwrap_or_else(|error| panic!("{}: {error}", data.display()));
    (gateway, console, token.trim().to_owned())
}

fn plan(cases: &str) -> String {
    format!("name = 'own'\nwait = '60s'\n{HEAD}{cases}")
}

const MIC: &str = "[[case]]\nid = 'mic'\nkind = 'interface'\ncheck = 'mic'\n";
const ORDER: &str = "[[case]]\nid = 'order'\nkind = 'business'\nmessage_type = 'CEB311Message'\n";

#[test]
fn a_run_is_started_over_the_api_shown_case_by_case_and_reported_in_every_format() {
    let site = Site::start("");
    let names: Vec<Value> =
        site.shown("/plans")["plans"].as_array().unwrap().iter().map(|plan| plan["name"].clone()).collect();
    assert_eq!(names, ["inventory-export", "inventory-import", "transport"]);
    let order = json!({ "text": plan(&format!("{MIC}{ORDER}")), "tester": "李四", "place": "石家庄" });
    let (status, begun) = site.post("/runs", &order);
    assert_eq!((status, &begun["running"]), (202, &json!(true)), "{begun:#}");
    let id = begun["id"].as_str().unwrap();
    let (status, refused) = site.post("/runs", &json!({ "plan": "transport" }));
    assert_eq!((status, &refused["code"]), (409, &json!("run-running")));

    let followed = site.command(&["show", id, "--watch"]);
    let told = String::from_utf8_lossy(&followed.stdout).into_owned();
    assert_eq!(followed.status.code(), Some(0), "{told}");
    for line in ["✓ mic", "✓ order", "-order.xml  delivered"] {
        assert!(told.contains(line), "{line}: {told}");
    }
    let whole = site.ended(id);
    assert_eq!((&whole["conclusion"], &whole["tester"]), (&json!("passed"), &json!("李四")), "{whole:#}");
    let message = &case(&whole, "order")["evidence"]["messages"][0];
    assert!(message["receipts"].as_array().is_some_and(|receipts| !receipts.is_empty()), "{message:#}");

    let same = said_by(&site.command(&["show", "last", "--format", "json"]));
    assert_eq!((&same["id"], &same["cases"]), (&whole["id"], &whole["cases"]), "the command line says the same");
    let listed = said_by(&site.command(&["list", "--format", "json"]));
    let ids: Vec<&Value> = listed.as_array().unwrap().iter().map(|run| &run["id"]).collect();
    assert_eq!((ids.len(), ids[0]), (2, &whole["id"]), "newest first, the rehearsal's last");
    for (format, begins) in [("pdf", &b"%PDF-"[..]), ("docx", b"PK"), ("html", b"<!DOCTYPE html>"), ("json", b"{")] {
        let report = site.get(&format!("/runs/{id}/report?format={format}"));
        assert!(report.status == 200 && report.body.starts_with(begins), "{format}: {}", report.head);
        assert!(report.head.contains(&format!("{id}.{format}")), "{}", report.head);
    }
    let facts: Value = serde_json::from_slice(&site.get(&format!("/runs/{id}/report?format=json")).body).unwrap();
    assert_eq!((&facts["run"]["cases"], &facts["tester"]), (&whole["cases"], &json!("李四")));
    let file = site.desk.path("report.pdf");
    let made = site.command(&["report", id, "--out", &file.display().to_string()]);
    assert!(
        made.status.success() && file.exists(),
        "while the gateway runs: {}",
        String::from_utf8_lossy(&made.stderr)
    );

    let trail = http::get(site.console, "/api/v1/audit?what=connectivity-run-started", Some(&site.token)).unwrap();
    let trail: Value = serde_json::from_slice(&trail.body).unwrap();
    let entry = &trail["entries"][0];
    assert_eq!((&entry["on"], &entry["who"]), (&json!(format!("run:{id}")), &json!("api-token")), "{trail:#}");
    assert!(entry["from"] == "127.0.0.1" && entry["after"]["plan"] == "own", "{entry:#}");
}

#[test]
fn a_run_that_the_end_of_the_gateway_interrupts_is_resumed_over_the_api() {
    let mut site = Site::start("receipts = 'none'\n");
    let folder = Path::new(&site.enterprise).parent().unwrap().join("connectivity");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("own.toml"), plan(&format!("{MIC}{}wait = '300s'\n", ORDER))).unwrap();
    let (status, begun) = site.post("/runs", &json!({ "plan": "own" }));
    assert_eq!(status, 202, "{begun:#}");
    let id = begun["id"].as_str().unwrap().to_owned();
    eventually("the second case is in work", || {
        (site.shown(&format!("/runs/{id}"))["working"] == "order").then_some(())
    });
    site.gateway.kill();
    let left = said_by(&site.command(&["show", &id, "--format", "json"]));
    assert_eq!((&left["conclusion"], &left["counts"]["passed"]), (&json!("incomplete"), &json!(1)), "{left:#}");
    // Under another identity its second half would be another test.
    let text = fs::read_to_string(&site.enterprise).unwrap();
    let own = text.lines().find(|line| line.starts_with("dxpid")).unwrap();
    fs::write(&site.enterprise, text.replacen(own, "dxpid = \"DXPENT0000099999\"", 1)).unwrap();
    (site.gateway, site.console, site.token) = serve(&site.enterprise);
    let (status, refused) = site.post(&format!("/runs/{id}/resume"), &json!({}));
    assert_eq!((status, &refused["code"]), (409, &json!("run-not-resumable")), "{refused:#}");
    site.gateway.kill();
    fs::write(&site.enterprise, text).unwrap();
    (site.gateway, site.console, site.token) = serve(&site.enterprise);
    assert_eq!(site.shown(&format!("/runs/{id}"))["running"], false);
    // Nothing is heard this time either: the case ends when its time is over.
    fs::write(folder.join("own.toml"), plan(&format!("{MIC}{}wait = '15s'\n", ORDER))).unwrap();
    let (status, resumed) = site.post(&format!("/runs/{id}/resume"), &json!({}));
    assert_eq!((status, &resumed["id"]), (202, &json!(id)), "{resumed:#}");
    let whole = site.ended(&id);
    assert_eq!(case(&whole, "mic"), case(&left, "mic"), "what has ended is not run again");
    assert_eq!(case(&whole, "order")["failure"]["code"], "receipt-missing", "{whole:#}");
    let (status, refused) = site.post(&format!("/runs/{id}/resume"), &json!({}));
    assert_eq!((status, &refused["code"]), (409, &json!("run-not-resumable")));
}

#[test]
fn a_run_is_refused_with_its_reason_where_and_when_it_may_not_be() {
    let mut site = Site::start("");
    let with_file = ORDER.to_owned() + "file = '/etc/passwd'\n";
    for (order, status, code) in [
        (json!({ "plan": "none" }), 404, "plan-unknown"),
        (json!({ "plan": "../../gateway" }), 404, "plan-unknown"),
        (json!({ "text": "name = 1" }), 422, "plan-invalid"),
        (json!({ "text": plan(&with_file) }), 422, "plan-names-file"),
        (json!({ "text": plan(MIC).replace("customs", "nobody") }), 422, "partner-unknown"),
    ] {
        let (answered, refused) = site.post("/runs", &order);
        assert_eq!((answered, &refused["code"]), (status, &json!(code)), "{refused:#}");
    }
    site.gateway.kill();
    let text = fs::read_to_string(&site.enterprise).unwrap();
    let over = text.replacen("[environment]\n", "[environment]\nuntil = \"2026-01-05T00:00:00+08:00\"\n", 1);
    assert_ne!(text, over);
    fs::write(&site.enterprise, over).unwrap();
    (site.gateway, site.console, site.token) = serve(&site.enterprise);
    let (status, refused) = site.post("/runs", &json!({ "text": plan(MIC) }));
    assert_eq!((status, &refused["code"]), (409, &json!("environment-window-over")), "{refused:#}");
    assert!(refused["text"]["zh"].as_str().unwrap().contains("2026-01-05"), "{refused:#}");
    assert_eq!(site.shown("/runs")["runs"].as_array().unwrap().len(), 1, "the rehearsal's alone");
}

#[test]
fn a_person_runs_a_plan_in_the_console_sees_its_cases_and_takes_the_report_in_every_format() {
    let site = Site::start(
        "[[outcome]]\ntype = 'CEB311Message'\nend = 'rejected'\n[[outcome]]\ntype = 'CEB621Message'\nend = 'silent'\n",
    );
    // Nothing is heard of the list: there is time to see the run go on.
    let list = ORDER.replace("order", "list").replace("CEB311", "CEB621") + "wait = '12s'\n";
    let home = Path::new(&site.enterprise).parent().unwrap().to_owned();
    let facts = json!({
        "console": format!("http://{}", site.console),
        "setup": home.join("keys/console.setup"),
        "plan": plan(&format!("{MIC}{ORDER}{list}")),
    });
    crate::console_browser::play_with("connectivity", &facts);
}
