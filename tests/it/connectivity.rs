//! The connectivity test: whole plans against the testbed, each fault in the case that is about it, runs that are
//! interrupted, and what a run says of itself.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Output, Stdio};

use dxgate::declaration::sample;
use dxgate::ground::clock::{Clock as _, SystemClock};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::gateway::{dxgate, run};
use crate::support::{eventually, http};

/// A folder for a plan, a scenario and the homes of a rehearsal.
pub struct Desk(TempDir);

impl Desk {
    pub fn new() -> Desk {
        let prefix = "dxgate-connectivity-";
        Desk(tempfile::Builder::new().prefix(prefix).tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap())
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.0.path().join(below)
    }

    pub fn file(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// The homes of a rehearsal, made by one of the plan.
    pub fn homes(&self, plan: &str) -> (String, String) {
        let homes = self.path("homes").display().to_string();
        run(&["connectivity", "rehearse", plan, "--dir", &homes]);
        let config = |home: &str| self.path("homes").join(home).join("gateway.toml").display().to_string();
        (config("enterprise"), config("customs"))
    }
}

/// A process that ends with the test.
pub struct Running(Child);

impl Running {
    pub fn start(arguments: &[&str]) -> Running {
        let mut command = dxgate();
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Running(command.spawn().unwrap())
    }

    /// The testbed of this home, once it is ready.
    pub fn testbed(config: &str, scenario: &str) -> Running {
        let testbed = Running::start(&["testbed", "--config", config, "--scenario", scenario]);
        let console = console_of(config);
        eventually("the testbed is ready", || {
            let answer = http::get(console, "/readyz", None).ok()?;
            (answer.status == 200).then_some(())
        });
        testbed
    }

    pub fn kill(&mut self) {
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

pub fn console_of(config: &str) -> SocketAddr {
    let text = fs::read_to_string(config).unwrap();
    let table = text.split("[console]").nth(1).unwrap();
    table.split('"').nth(1).unwrap().parse().unwrap()
}

fn example(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config/connectivity").join(name).display().to_string()
}

pub fn json(output: &Output) -> Value {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("not JSON ({error}): {out}\n{err}"))
}

pub fn case<'r>(run: &'r Value, id: &str) -> &'r Value {
    let cases = run["cases"].as_array().unwrap();
    cases.iter().find(|case| case["id"] == id).unwrap_or_else(|| panic!("no case {id}: {run:#}"))
}

pub const HEAD: &str = "partner = 'customs'\ntitle = { zh = '测试', en = 'test' }\n";

#[test]
fn every_plan_of_the_examples_passes_against_the_testbed_and_brings_its_evidence() {
    for (plan, cases) in [("transport.toml", 15), ("inventory-import.toml", 8), ("inventory-export.toml", 11)] {
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
            let list = plan.replace("inventory-", "").replace(".toml", "-inventory");
            let receipts = case(&said, &list)["evidence"]["messages"][0]["receipts"].as_array().unwrap();
            assert!(receipts.len() >= 3, "{said:#}");
        }
    }
}

#[test]
fn a_run_is_in_the_journal_and_an_interrupted_one_goes_on_with_what_is_left() {
    let desk = Desk::new();
    // What customs could not deliver while nobody was there is tried again after some seconds, as its home says.
    let plan = desk.file(
        "plan.toml",
        &format!(
            "name = 'two'\nwait = '300s'\n{HEAD}[[case]]\nid = 'mic'\nkind = 'interface'\ncheck = 'mic'\n\
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

    let mut testbed = Running::testbed(&customs, &silent);
    let mut begun = Running::start(&["connectivity", "run", &plan, "--env", "test", "--config", &enterprise]);
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

    let written = fs::read_to_string(&plan).unwrap();
    let other = desk.file("other.toml", &written.replace("check = 'mic'", "check = 'signed'"));
    assert_eq!(
        shown(&["run", &other, "--resume", "last"]).status.code(),
        Some(2),
        "its cases are about something else"
    );

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

/// A fault that happens once, the check whose message it happens to, and what that case then says.
const FAULTS: [(&str, &str, &str, &str); 22] = [
    ("fault = 'negative'\nreason = 'authentication-failed'", "mic", "as2", "mdn-negative"),
    ("fault = 'negative'\nreason = 'decryption-failed'", "encrypted", "as2", "mdn-negative"),
    ("fault = 'negative'\nreason = 'decompression-failed'", "compressed", "as2", "mdn-negative"),
    ("fault = 'negative'\nreason = 'integrity-check-failed'", "signed", "as2", "mdn-negative"),
    ("fault = 'negative'\nreason = 'insufficient-message-security'", "signed", "as2", "mdn-negative"),
    ("fault = 'negative'\nreason = 'unexpected-processing-error'", "sync-mdn", "as2", "mdn-negative"),
    ("fault = 'negative'\nreason = 'unsupported-format'", "signed-receipt", "as2", "mdn-negative"),
    ("fault = 'negative'\nreason = 'unsupported-mic-algorithms'", "mic", "as2", "mdn-negative"),
    ("fault = 'negative'\nreason = 'sender-equals-receiver'", "sync-mdn", "as2", "mdn-negative"),
    ("fault = 'negative'\nreason = 'decryption-failed'", "async-mdn", "as2", "mdn-negative"),
    ("fault = 'wrong-mic'", "mic", "mdn", "mdn-mic-mismatch"),
    ("fault = 'wrong-mic'", "async-mdn", "mdn", "mdn-mic-mismatch"),
    ("fault = 'no-mic'", "mic", "mdn", "mdn-without-mic"),
    ("fault = 'unsigned'", "signed-receipt", "mdn", "mdn-unsigned"),
    ("fault = 'bad-signature'", "signed-receipt", "mdn", "mdn-bad-signature"),
    ("fault = 'wrong-message'", "sync-mdn", "mdn", "mdn-wrong-message"),
    ("fault = 'no-mdn'", "async-mdn", "mdn", "mdn-overdue"),
    ("fault = 'lost-answer'", "sync-mdn", "http", "connection-closed"),
    ("fault = 'closed'", "large-file", "http", "connection-closed"),
    ("fault = 'http-status'\nstatus = 404", "signed", "http", "http-404"),
    ("fault = 'http-status'\nstatus = 503", "signed", "http", "http-503"),
    ("fault = 'late'\ndelay = '6s'", "async-mdn", "mdn", "mdn-overdue"),
];

#[test]
fn each_fault_makes_exactly_its_case_fail_and_the_case_says_where_and_why() {
    let desk = Desk::new();
    let mut plan = format!("name = 'faults'\nwait = '20s'\n{HEAD}");
    let mut scenario = "receipts = 'none'\n".to_owned();
    for (number, (fault, check, _, code)) in FAULTS.iter().enumerate() {
        // The first end as soon as they are answered. All else is tried again later: nothing comes in the case's time.
        let wait = match (*check, *code) {
            (_, "mdn-negative" | "mdn-mic-mismatch" | "http-404") => "20s",
            ("large-file", _) => "10s",
            _ => "3s",
        };
        plan += &format!("[[case]]\nid = 'bad{number}'\nkind = 'interface'\ncheck = '{check}'\nwait = '{wait}'\n");
        plan += &format!("[[case]]\nid = 'good{number}'\nkind = 'interface'\ncheck = 'mic'\n");
        scenario += &format!("[[fault]]\n{fault}\nskip = {}\n", 2 * number);
    }
    let (plan, scenario) = (desk.file("plan.toml", &plan), desk.file("scenario.toml", &scenario));
    let output = run(&["connectivity", "rehearse", &plan, "--scenario", &scenario, "--format", "json"]);
    let said = json(&output);
    assert_eq!((output.status.code(), &said["conclusion"]), (Some(1), &"failed".into()), "{said:#}");
    for (number, (fault, check, layer, code)) in FAULTS.iter().enumerate() {
        let (bad, good) = (case(&said, &format!("bad{number}")), case(&said, &format!("good{number}")));
        assert_eq!(bad["state"], "failed", "{fault} {check}: {bad:#}");
        explained(&bad["failure"], layer, code);
        assert_eq!(good["state"], "passed", "after {fault} {check}: {good:#}");
    }
}

#[test]
fn what_only_delays_or_repeats_an_mdn_within_the_time_does_no_harm() {
    let desk = Desk::new();
    let mut plan = format!("name = 'patience'\nwait = '30s'\n{HEAD}");
    for (id, check) in [("late", "sync-mdn"), ("later", "async-mdn"), ("twice", "async-mdn"), ("slow", "sync-mdn")] {
        plan += &format!("[[case]]\nid = '{id}'\nkind = 'interface'\ncheck = '{check}'\n");
    }
    let scenario = "receipts = 'none'\n[[fault]]\nfault = 'late'\ndelay = '1s'\ntimes = 2\n\
                    [[fault]]\nfault = 'duplicated'\nskip = 2\n[[fault]]\nfault = 'slow-body'\ndelay = '1s'\nskip = 3\n";
    let (plan, scenario) = (desk.file("plan.toml", &plan), desk.file("scenario.toml", scenario));
    let output = run(&["connectivity", "rehearse", &plan, "--scenario", &scenario, "--format", "json"]);
    let said = json(&output);
    assert_eq!((output.status.code(), &said["conclusion"]), (Some(0), &"passed".into()), "{said:#}");
    for id in ["late", "later", "slow"] {
        let took = case(&said, id)["evidence"]["messages"][0]["round_trip_ms"].as_u64().unwrap();
        assert!(took >= 800, "{id}: {took} ms");
    }
}

/// What a scenario says of TLS, and what a case then says.
const TLS: [(&str, &str); 6] = [
    ("server_certificate = 'other'", "tls-certificate-refused"),
    ("server_certificate = 'expired'", "tls-certificate-expired"),
    ("server_certificate = 'wrong-name'", "tls-certificate-name"),
    ("handshake = 'closed'", "tls-failed"),
    ("handshake = 'aborted'", "tls-failed"),
    ("handshake = 'old-version'", "tls-version"),
];

#[test]
fn a_handshake_that_fails_is_explained_by_the_way_it_fails() {
    let desk = Desk::new();
    let plan = format!(
        "name = 'tls'\nwait = '60s'\n{HEAD}[[case]]\nid = 'tcp'\nkind = 'interface'\ncheck = 'tcp'\n\
         [[case]]\nid = 'tls'\nkind = 'interface'\ncheck = 'tls'\n\
         [[case]]\nid = 'mic'\nkind = 'interface'\ncheck = 'mic'\nwait = '8s'\n"
    );
    let plan = desk.file("plan.toml", &plan);
    for (scenario, code) in TLS {
        let scenario = desk.file("s.toml", &format!("{scenario}\n"));
        let output = run(&["connectivity", "rehearse", &plan, "--scenario", &scenario, "--format", "json"]);
        let said = json(&output);
        assert_eq!(case(&said, "tcp")["state"], "passed", "{said:#}");
        explained(&case(&said, "tls")["failure"], "tls", code);
        explained(&case(&said, "mic")["failure"], "tls", code);
    }
}

#[test]
fn what_fails_before_a_byte_of_tls_is_explained_too() {
    let desk = Desk::new();
    let road = |id: &str| format!("[[case]]\nid = '{id}'\nkind = 'interface'\ncheck = '{id}'\n");
    let plan = desk
        .file("plan.toml", &format!("name = 'road'\nwait = '10s'\n{HEAD}{}{}", road("name-resolution"), road("tcp")));
    let (enterprise, _) = desk.homes(&plan);
    let failed = |id: &str| {
        let said = json(&run(&["connectivity", "run", &plan, "--config", &enterprise, "--format", "json"]));
        case(&said, id)["failure"].clone()
    };
    // Nobody listens: the testbed of the rehearsal has ended.
    explained(&failed("tcp"), "tcp", "connect-failed");
    let file = PathBuf::from(&enterprise).parent().unwrap().join("partners/customs.toml");
    let text = fs::read_to_string(&file).unwrap();
    // Longer than a label may be: no name server is asked.
    let nowhere = format!("https://{}.invalid/as2", "a".repeat(64));
    let url = text.lines().find(|line| line.starts_with("url = ")).unwrap();
    fs::write(&file, text.replace(url, &format!("url = \"{nowhere}\""))).unwrap();
    explained(&failed("name-resolution"), "name-resolution", "resolve-failed");
}

/// The failure is of this layer and code, and says in both languages what was seen, why, and what to ask.
fn explained(failure: &Value, layer: &str, code: &str) {
    assert_eq!((&failure["layer"], &failure["code"]), (&layer.into(), &code.into()), "{failure:#}");
    for words in ["seen", "cause", "ask"] {
        for language in ["zh", "en"] {
            assert!(!failure[words][language].as_str().unwrap().is_empty(), "{code}: {failure:#}");
        }
    }
}

/// A business plan of these types, and what each case says under a scenario in its time.
fn business(outcomes: &[(&str, &str, &str)]) -> Value {
    let desk = Desk::new();
    let mut plan = format!("name = 'business'\n{HEAD}");
    let mut scenario = String::new();
    for (kind, outcome, wait) in outcomes {
        plan += &format!("[[case]]\nid = '{kind}'\nkind = 'business'\nmessage_type = '{kind}Message'\n");
        plan += &format!("wait = '{wait}'\n");
        scenario += &format!("[[outcome]]\ntype = '{kind}Message'\n{outcome}\n");
    }
    let (plan, scenario) = (desk.file("plan.toml", &plan), desk.file("scenario.toml", &scenario));
    let output = run(&["connectivity", "rehearse", &plan, "--scenario", &scenario, "--format", "json"]);
    assert_eq!(output.status.code(), Some(1));
    json(&output)
}

#[test]
fn what_customs_does_not_take_is_explained_by_the_layer_that_says_so() {
    let outcomes = [
        ("CEB311", "end = 'rejected'", "60s"),
        ("CEB621", "end = 'format-error'", "60s"),
        ("CEB303", "end = 'error'\nstatus = '-1'", "60s"),
        ("CEB603", "end = 'silent'", "15s"),
    ];
    let said = business(&outcomes);
    let expected = [
        ("CEB311", "business", "business-refused"),
        ("CEB621", "format", "format-refused"),
        ("CEB303", "business", "business-refused"),
        ("CEB603", "business", "receipt-missing"),
    ];
    for (id, layer, code) in expected {
        let failure = &case(&said, id)["failure"];
        assert_eq!((&failure["layer"], &failure["code"]), (&layer.into(), &code.into()), "{id}: {said:#}");
    }
    assert!(case(&said, "CEB311")["failure"]["seen"]["zh"].as_str().unwrap().contains("海关退单"), "{said:#}");
}

#[test]
fn what_an_enterprise_sends_in_spite_of_the_pre_check_is_answered_with_the_codes_of_customs() {
    let desk = Desk::new();
    let order = sample::order(1, "DXPENT0000012345", SystemClock.now(), 1);
    let order = String::from_utf8(order).unwrap();
    let wrong = |name: &str, from: &str, to: &str| {
        assert!(order.contains(from), "{from}");
        desk.file(name, &order.replacen(from, to, 1));
    };
    wrong("gnum.xml", "<ceb:gnum>1<", "<ceb:gnum>7<");
    wrong("type.xml", "<ceb:orderType>I</ceb:orderType>", "");
    wrong("word.xml", "<ceb:orderType>I<", "<ceb:orderType>Q<");
    let mut plan = format!("name = 'own'\nwait = '60s'\n{HEAD}");
    for id in ["gnum", "type", "word"] {
        plan +=
            &format!("[[case]]\nid = '{id}'\nkind = 'business'\nmessage_type = 'CEB311Message'\nfile = '{id}.xml'\n");
    }
    let plan = desk.file("own.toml", &plan);
    let (enterprise, customs) = desk.homes(&plan);
    let file = PathBuf::from(&enterprise).parent().unwrap().join("partners/customs.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replacen("[dxp]\n", "[dxp]\nprecheck = \"warn\"\n", 1)).unwrap();
    let _testbed = Running::testbed(&customs, &desk.file("usual.toml", ""));
    let said = json(&run(&["connectivity", "run", &plan, "--config", &enterprise, "--format", "json"]));
    // They may overtake each other on their way.
    let came = |id: &str, status: &str| {
        let receipts = case(&said, id)["evidence"]["messages"][0]["receipts"].as_array().unwrap();
        receipts.iter().any(|receipt| receipt["status"] == status)
    };
    for (id, layer, code, end) in [
        ("gnum", "business", "business-refused", "-301002"),
        ("type", "format", "format-refused", "-1"),
        ("word", "business", "business-refused", "100"),
    ] {
        explained(&case(&said, id)["failure"], layer, code);
        assert!(came(id, end), "{id}: {said:#}");
    }
}

#[test]
fn what_does_not_fit_an_earlier_document_is_refused_by_the_testbed_as_customs_refuses_it() {
    let desk = Desk::new();
    let (dxpid, now) = ("DXPENT0000012345", SystemClock.now());
    let document = |kind: &str| String::from_utf8(sample::of(kind, 1, dxpid, now, 7).unwrap()).unwrap();
    let (order, payment) = (document("CEB311Message"), document("CEB411Message"));
    let paid = payment.split("amountPaid>").nth(1).unwrap().split('<').next().unwrap().to_owned();
    let differs = payment.replace(&format!("amountPaid>{paid}<"), "amountPaid>987654.32<");
    assert_ne!(payment, differs);
    for (name, text) in [("order.xml", &order), ("differs.xml", &differs), ("payment.xml", &payment)] {
        desk.file(name, text);
    }
    let mut plan = format!("name = 'three'\nwait = '60s'\n{HEAD}");
    for (id, kind, file) in [
        ("order", "CEB311Message", "order.xml"),
        ("differs", "CEB411Message", "differs.xml"),
        ("payment", "CEB411Message", "payment.xml"),
        ("again", "CEB411Message", "payment.xml"),
    ] {
        plan += &format!("[[case]]\nid = '{id}'\nkind = 'business'\nmessage_type = '{kind}'\nfile = '{file}'\n");
    }
    let plan = desk.file("three.toml", &plan);
    let quick = "[[case]]\nid = 'tcp'\nkind = 'interface'\ncheck = 'tcp'\n";
    let quick = desk.file("quick.toml", &format!("name = 'quick'\n{HEAD}{quick}"));
    let (enterprise, customs) = desk.homes(&quick);
    let file = PathBuf::from(&enterprise).parent().unwrap().join("partners/customs.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replacen("[dxp]\n", "[dxp]\nprecheck = \"warn\"\n", 1)).unwrap();
    let _testbed = Running::testbed(&customs, &desk.file("usual.toml", ""));
    let said = json(&run(&["connectivity", "run", &plan, "--config", &enterprise, "--format", "json"]));
    for id in ["order", "payment"] {
        assert_eq!(case(&said, id)["state"], "passed", "{id}: {said:#}");
    }
    for (id, word) in [("differs", "987654.32"), ("again", "")] {
        explained(&case(&said, id)["failure"], "business", "business-refused");
        let seen = case(&said, id)["failure"]["seen"]["zh"].as_str().unwrap();
        assert!(seen.contains(word), "{id}: {seen}");
    }
}

#[test]
fn an_envelope_that_the_platform_refuses_is_explained_whatever_the_class_of_its_code() {
    let outcomes = [("CEB311", "0001"), ("CEB621", "1001"), ("CEB303", "2001"), ("CEB603", "3001")];
    let texts = outcomes.map(|(kind, code)| (kind, format!("end = 'refused'\nstatus = '{code}'")));
    let said = business(&texts.each_ref().map(|(kind, text)| (*kind, text.as_str(), "60s")));
    for (id, status) in outcomes {
        let case = case(&said, id);
        let failure = &case["failure"];
        assert_eq!((&failure["layer"], &failure["code"]), (&"envelope".into(), &"envelope-refused".into()), "{case:#}");
        assert_eq!(case["evidence"]["messages"][0]["platform"]["code"], status, "{case:#}");
    }
    let causes: BTreeSet<&str> =
        outcomes.iter().map(|(id, _)| case(&said, id)["failure"]["cause"]["zh"].as_str().unwrap()).collect();
    assert_eq!(causes.len(), outcomes.len(), "each class has a cause of its own: {causes:?}");
}

#[test]
fn a_plan_that_demands_transport_receipts_gets_them_or_says_so() {
    let desk = Desk::new();
    let plan = desk.file(
        "plan.toml",
        &format!(
            "name = 'transport'\nwait = '20s'\n{HEAD}[[case]]\nid = 'order'\nkind = 'business'\n\
             message_type = 'CEB311Message'\ntransport_receipt = true\nreceipts = ['120']\n"
        ),
    );
    let (with, without) = (desk.file("with.toml", "transport_receipts = true\n"), desk.file("without.toml", ""));
    let rehearse =
        |scenario: &str| json(&run(&["connectivity", "rehearse", &plan, "--scenario", scenario, "--format", "json"]));
    let said = rehearse(&with);
    assert_eq!(said["conclusion"], "passed", "{said:#}");
    assert_eq!(case(&said, "order")["evidence"]["messages"][0]["platform"]["code"], "0000");
    let said = rehearse(&without);
    assert_eq!(case(&said, "order")["failure"]["code"], "transport-receipt-missing", "{said:#}");
}
