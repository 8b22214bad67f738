//! The connectivity test: whole plans against the testbed, each fault in the case that is about it, runs that are
//! interrupted, and what a run says of itself.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::gateway::{dxgate, run};
use crate::support::{eventually, http};

/// A folder for a plan, a scenario and the homes of a rehearsal.
struct Desk(TempDir);

impl Desk {
    fn new() -> Desk {
        let prefix = "dxgate-connectivity-";
        Desk(tempfile::Builder::new().prefix(prefix).tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap())
    }

    fn path(&self, below: &str) -> PathBuf {
        self.0.path().join(below)
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// The homes of a rehearsal, made by one of the plan.
    fn homes(&self, plan: &str) -> (String, String) {
        let homes = self.path("homes").display().to_string();
        run(&["connectivity", "rehearse", plan, "--dir", &homes]);
        let config = |home: &str| self.path("homes").join(home).join("gateway.toml").display().to_string();
        (config("enterprise"), config("customs"))
    }
}

/// A process that ends with the test.
struct Running(Child);

impl Running {
    fn start(arguments: &[&str]) -> Running {
        let mut command = dxgate();
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Running(command.spawn().unwrap())
    }

    /// The testbed of this home, once it is ready.
    fn testbed(config: &str, scenario: &str) -> Running {
        let testbed = Running::start(&["testbed", "--config", config, "--scenario", scenario]);
        let console = console_of(config);
        eventually("the testbed is ready", || {
            let answer = http::get(console, "/readyz", None).ok()?;
            (answer.status == 200).then_some(())
        });
        testbed
    }

    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn console_of(config: &str) -> SocketAddr {
    let text = fs::read_to_string(config).unwrap();
    let table = text.split("[console]").nth(1).unwrap();
    table.split('"').nth(1).unwrap().parse().unwrap()
}

fn example(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config/connectivity").join(name).display().to_string()
}

fn json(output: &Output) -> Value {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("not JSON ({error}): {out}\n{err}"))
}

fn case<'r>(run: &'r Value, id: &str) -> &'r Value {
    let cases = run["cases"].as_array().unwrap();
    cases.iter().find(|case| case["id"] == id).unwrap_or_else(|| panic!("no case {id}: {run:#}"))
}

const HEAD: &str = "partner = 'customs'\ntitle = { zh = '测试', en = 'test' }\n";

#[test]
fn every_plan_of_the_examples_passes_against_the_testbed_and_brings_its_evidence() {
    for (plan, cases) in [("transport.toml", 15), ("inventory-import.toml", 2), ("inventory-export.toml", 2)] {
        let output = run(&["connectivity", "rehearse", &example(plan), "--format", "json"]);
        let said = json(&output);
        assert_eq!(output.status.code(), Some(0), "{plan}: {said:#}");
        assert_eq!((&said["conclusion"], &said["rehearsal"]), (&"passed".into(), &true.into()), "{plan}");
        assert_eq!(said["counts"]["passed"], cases, "{plan}: {said:#}");
        for case in said["cases"].as_array().unwrap() {
            assert!(!case["steps"].as_array().unwrap().is_empty(), "{case:#}");
        }
        if plan == "transport.toml" {
            let mic = &case(&said, "mic")["evidence"]["messages"][0];
            assert_eq!(mic["mic_ours"][0]["value"], mic["mic_theirs"], "{mic:#}");
            assert_eq!(case(&said, "lost-response")["evidence"]["messages"][0]["attempts"], 2);
            let tls = &case(&said, "tls")["evidence"]["tls"];
            assert_eq!(tls["chain"][0]["fingerprint"], said["partner"]["certificates"][1], "{tls:#}");
        } else {
            let receipts = said["cases"][1]["evidence"]["messages"][0]["receipts"].as_array().unwrap();
            assert!(receipts.len() >= 3, "{said:#}");
        }
    }
}

#[test]
fn a_run_is_in_the_journal_and_an_interrupted_one_goes_on_with_what_is_left() {
    let desk = Desk::new();
    let plan = desk.file(
        "plan.toml",
        &format!(
            "name = 'two'\nwait = '60s'\n{HEAD}[[case]]\nid = 'mic'\nkind = 'interface'\ncheck = 'mic'\n\
             [[case]]\nid = 'order'\nkind = 'business'\nmessage_type = 'CEB311Message'\nreceipts = ['120']\n"
        ),
    );
    let quick = desk.file(
        "quick.toml",
        &format!("name = 'quick'\n{HEAD}[[case]]\nid = 'tcp'\nkind = 'interface'\ncheck = 'tcp'\n"),
    );
    let (silent, usual) = (desk.file("silent.toml", "receipts = 'none'\n"), desk.file("usual.toml", ""));
    let (enterprise, customs) = desk.homes(&quick);
    let shown = |more: &[&str]| run(&[&["connectivity"], more, &["--config", &enterprise]].concat());

    let testbed = Running::testbed(&customs, &silent);
    let begun = Running::start(&["connectivity", "run", &plan, "--env", "test", "--config", &enterprise]);
    let home = PathBuf::from(&enterprise);
    let sent = home.parent().unwrap().join("exchange/customs/sent");
    eventually("the message of the second case is delivered", || {
        let names = fs::read_dir(&sent).ok()?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        names.into_iter().any(|name| name.ends_with("-order.xml")).then_some(())
    });
    begun.kill();
    testbed.kill();

    let left = json(&shown(&["show", "last", "--format", "json"]));
    assert_eq!((&left["conclusion"], &left["counts"]["pending"]), (&"incomplete".into(), &1.into()), "{left:#}");
    assert_eq!(shown(&["show", "last"]).status.code(), Some(1), "it has not passed");

    let _testbed = Running::testbed(&customs, &usual);
    let resumed = shown(&["run", &plan, "--resume", "last", "--format", "json"]);
    let whole = json(&resumed);
    assert_eq!(resumed.status.code(), Some(0), "{whole:#}");
    assert_eq!((&whole["id"], &whole["conclusion"]), (&left["id"], &"passed".into()));
    assert_eq!(case(&whole, "mic"), case(&left, "mic"), "what has ended is not run again");
    assert_eq!(whole["resumed"].as_array().unwrap().len(), 1);

    let again = shown(&["run", &plan, "--resume", "last"]);
    assert_eq!(again.status.code(), Some(2), "it has ended");
    let listed = json(&shown(&["list", "--format", "json"]));
    let names: Vec<&str> = listed.as_array().unwrap().iter().map(|run| run["plan"].as_str().unwrap()).collect();
    assert_eq!(names, ["two", "quick"], "newest first");
    let xml = String::from_utf8(shown(&["show", "last", "--format", "junit"]).stdout).unwrap();
    assert!(xml.contains("tests=\"2\" failures=\"0\" skipped=\"0\"") && xml.contains("name=\"order\""), "{xml}");
}

#[test]
fn a_test_is_only_run_where_it_may_be() {
    let desk = Desk::new();
    let plan = desk.file(
        "quick.toml",
        &format!("name = 'quick'\n{HEAD}[[case]]\nid = 'tcp'\nkind = 'interface'\ncheck = 'tcp'\n"),
    );
    let (enterprise, _) = desk.homes(&plan);
    let at = |more: &[&str]| {
        let output = run(&[&["connectivity", "run"], more, &["--config", &enterprise]].concat());
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (exit, said) = at(&[&plan, "--env", "production"]);
    assert!(exit == Some(2) && said.contains("environment-mismatch"), "{said}");
    let foreign = desk.file("foreign.toml", &fs::read_to_string(&plan).unwrap().replace("customs", "nobody"));
    let (exit, said) = at(&[&foreign]);
    assert!(exit == Some(2) && said.contains("partner-unknown"), "{said}");
    let broken = desk.file("broken.toml", "name = 1");
    let (exit, said) = at(&[&broken]);
    assert!(exit == Some(2) && said.contains("plan-invalid"), "{said}");
    let text = fs::read_to_string(&enterprise).unwrap();
    fs::write(&enterprise, text.replace("name = \"test\"", "name = \"production\"")).unwrap();
    let (exit, said) = at(&[&plan]);
    assert!(exit == Some(2) && said.contains("environment-not-test"), "{said}");
}
