//! The end of the road: the report of a run says what the journal says, and production waits for it.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::gateway::{dxgate, run};
use crate::support::{eventually, free_port, http};

struct Desk(TempDir);

impl Desk {
    fn new() -> Desk {
        let prefix = "dxgate-onboarding-";
        Desk(tempfile::Builder::new().prefix(prefix).tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap())
    }

    fn path(&self, below: &str) -> String {
        self.0.path().join(below).display().to_string()
    }

    fn file(&self, name: &str, text: &str) -> String {
        fs::write(self.0.path().join(name), text).unwrap();
        self.path(name)
    }

    /// A home in production whose dossier is in `dossier`; its configuration.
    fn production(&self, dossier: &str) -> String {
        let home = self.path("production");
        let (as2, console) = (format!("127.0.0.1:{}", free_port()), format!("127.0.0.1:{}", free_port()));
        let made = run(&[
            "init",
            &home,
            "--dxpid",
            DXPID,
            "--as2-listen",
            &as2,
            "--console-listen",
            &console,
            "--key-bits",
            "2048",
        ]);
        assert!(made.status.success(), "{}", said(&made));
        let config = format!("{home}/gateway.toml");
        let text = fs::read_to_string(&config).unwrap();
        fs::write(&config, format!("{text}\n[onboarding]\nhome = {dossier:?}\nrequired = true\n")).unwrap();
        config
    }
}

/// A `serve` or `testbed` that ends with the test.
struct Running(Child, String);

impl Running {
    fn start(words: &[&str], config: &str) -> Running {
        let mut command = dxgate();
        command.args(words).args(["--config", config]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let running = Running(command.spawn().unwrap(), config.to_owned());
        eventually("it is ready", || {
            let answer = http::get(running.console(), "/readyz", None).ok()?;
            (answer.status == 200).then_some(())
        });
        running
    }

    fn console(&self) -> SocketAddr {
        let text = fs::read_to_string(&self.1).unwrap();
        text.split("[console]").nth(1).unwrap().split('"').nth(1).unwrap().parse().unwrap()
    }

    fn api(&self, path: &str) -> Value {
        let home = Path::new(&self.1).parent().unwrap();
        let token = fs::read_to_string(home.join("keys/console.token")).unwrap();
        let answer = http::get(self.console(), path, Some(token.trim())).unwrap();
        serde_json::from_str(&answer.text()).unwrap_or_else(|error| panic!("{path}: {error}: {}", answer.text()))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("not JSON ({error}): {}", said(output)))
}

/// The text of a PDF on one line without blanks, page by page.
fn pages(path: &str) -> Vec<String> {
    let output = Command::new("pdftotext").args(["-raw", path, "-"]).output().expect("Debian: poppler-utils");
    let text = String::from_utf8(output.stdout).unwrap();
    text.split('\u{c}').map(|page| page.chars().filter(|c| !c.is_whitespace()).collect()).collect()
}

const DXPID: &str = "DXPENT0000012345";
const PLAN: &str = "name = 'small'\nwait = '60s'\npartner = 'customs'\ntitle = { zh = '小型测试', en = 'small' }\n\
    [[case]]\nid = 'tcp'\nkind = 'interface'\ncheck = 'tcp'\n\
    [[case]]\nid = 'mic'\nkind = 'interface'\ncheck = 'mic'\n\
    [[case]]\nid = 'order'\nkind = 'business'\nmessage_type = 'CEB311Message'\nreceipts = ['120']\n";

/// What the journal knows of each message stands in each form of the report.
fn compared(desk: &Desk, facts: &Value, gateway: &Running) {
    let out = |name: &str| desk.path(name);
    let (text, html) = (pages(&out("report.pdf")), fs::read_to_string(out("report.html")).unwrap());
    let unpack =
        "import sys, zipfile; sys.stdout.write(zipfile.ZipFile(sys.argv[1]).read('word/document.xml').decode())";
    let docx = Command::new("python3").args(["-c", unpack, &out("report.docx")]).output().unwrap();
    let docx = String::from_utf8(docx.stdout).unwrap();
    let mut seen = 0;
    for case in facts["run"]["cases"].as_array().unwrap() {
        assert!(text.concat().contains(&case["title"]["zh"].as_str().unwrap().replace(' ', "")), "{case:#}");
        for message in case["evidence"]["messages"].as_array().into_iter().flatten() {
            let kept = gateway.api(&format!("/api/v1/messages/{}", message["id"].as_str().unwrap()));
            let message_id = kept["message_id"].as_str().unwrap();
            assert_eq!(message["message_id"], message_id);
            assert_eq!(kept["state"], "delivered", "{kept:#}");
            let mic = message["mic_theirs"].as_str().unwrap();
            assert!(kept.to_string().contains(mic.split(',').next().unwrap()), "{mic} in {kept:#}");
            for fact in [message_id.trim_matches(['<', '>']), mic, message["wire_sha256"].as_str().unwrap()] {
                let packed: String = fact.chars().filter(|c| !c.is_whitespace()).collect();
                assert!(text.concat().contains(&packed) && html.contains(fact) && docx.contains(fact), "{fact}");
            }
            seen += 1;
        }
    }
    assert!(seen >= 2, "messages travelled");
}

/// The dossier of `home` holds a passed run and its report; the DXPID is what production waits for.
fn opened(desk: &Desk, home: &str, at: &dyn Fn(&[&str]) -> Output) {
    let production = desk.production(home);
    let serve = || run(&["serve", "--config", &production]);
    let refused = serve();
    assert!(
        refused.status.code() == Some(3) && said(&refused).contains("production-not-cleared"),
        "{}",
        said(&refused)
    );
    assert!(said(&refused).contains("a DXPID for production") && !said(&refused).contains("a report of it"));
    assert!(at(&["onboarding", "issue", "production", "DXPENT0000054321"]).status.success());
    assert!(said(&serve()).contains("the DXPID that was issued"), "another DXPID than the station's");
    assert!(at(&["onboarding", "issue", "production", DXPID]).status.success());
    drop(Running::start(&["serve"], &production));
}

#[test]
fn the_report_of_a_run_says_what_the_journal_says_and_opens_the_way_to_production() {
    let desk = Desk::new();
    let (plan, usual) = (desk.file("plan.toml", PLAN), desk.file("usual.toml", ""));
    let rehearsed = run(&["connectivity", "rehearse", &plan, "--dir", &desk.path("homes")]);
    assert!(rehearsed.status.success(), "{}", said(&rehearsed));
    let (home, customs) = (desk.path("homes/enterprise"), desk.path("homes/customs/gateway.toml"));
    let config = format!("{home}/gateway.toml");
    let at = |words: &[&str]| run(&[words, &["--config", &config]].concat());
    let out = |name: &str| desk.path(name);

    let profile =
        ["onboarding", "set", "name=示例贸易有限公司", "customs-code=1301960001", "credit-code=91350100M000100Y43"];
    assert!(at(&profile).status.success());
    let rehearsal = at(&["connectivity", "report", "last", "--out", &out("rehearsal.pdf")]);
    assert!(rehearsal.status.success(), "{}", said(&rehearsal));
    assert!(pages(&out("rehearsal.pdf"))[0].contains("本次为企业本机演练"));
    let road = json(&at(&["onboarding", "status", "--format", "json"]));
    let step = |road: &Value, code: &str| {
        let steps = road["road"]["steps"].as_array().unwrap().clone();
        steps.into_iter().find(|step| step["code"] == code).unwrap()["standing"].clone()
    };
    assert_eq!((step(&road, "run"), &road["dossier"]["runs"][0]["rehearsal"]), ("later".into(), &true.into()));

    let testbed = Running::start(&["testbed", "--scenario", &usual], &customs);
    let done = at(&["connectivity", "run", &plan, "--env", "test", "--tester", "李四", "--place", "石家庄"]);
    assert!(done.status.success(), "{}", said(&done));
    drop(testbed);
    for name in ["report.pdf", "report.docx", "report.html", "report.json"] {
        let made = at(&["connectivity", "report", "last", "--out", &out(name)]);
        assert!(made.status.success(), "{}", said(&made));
    }
    let facts: Value = serde_json::from_slice(&fs::read(out("report.json")).unwrap()).unwrap();
    let shown = json(&at(&["connectivity", "show", "last", "--format", "json"]));
    assert_eq!(facts["run"], shown, "the report is of the run as the journal has it");
    assert_eq!((&facts["run"]["conclusion"], &facts["tester"]), (&"passed".into(), &"李四".into()));

    // What the journal knows of each message stands in each form of the report.
    let gateway = Running::start(&["serve"], &config);
    let text = pages(&out("report.pdf"));
    compared(&desk, &facts, &gateway);
    let (form, appendix) = (&text[0], &text[1]);
    for part in [
        "测试通过：共3项，通过3项。",
        "业务接口测试：共1项，通过1项。",
        "李四",
        "石家庄",
        "示例贸易有限公司",
        "企业签章",
        "分中心签章",
    ] {
        assert!(form.contains(part), "{part} in {form}");
    }
    assert!(!form.contains("附录") || form.contains("见附录"), "{form}");
    assert!(appendix.contains("附录一"), "the form is one page: {appendix}");

    // The running gateway tells the same of the same run.
    let again = at(&["onboarding", "document", "report", "--run", "last", "--out", &out("running.json")]);
    assert!(again.status.success(), "{}", said(&again));
    let told: Value = serde_json::from_slice(&fs::read(out("running.json")).unwrap()).unwrap();
    assert_eq!(told, facts);
    drop(gateway);

    opened(&desk, &home, &at);
}

#[test]
fn production_without_a_dossier_needs_a_reason_which_is_in_the_journal() {
    let desk = Desk::new();
    let config = desk.production(".");
    let refused = run(&["serve", "--config", &config]);
    assert!(
        refused.status.code() == Some(3) && said(&refused).contains("production-not-cleared"),
        "{}",
        said(&refused)
    );
    let reason = "总署通知的应急切换";
    assert!(run(&["onboarding", "waive", "--reason", reason, "--config", &config]).status.success());
    let gateway = Running::start(&["serve"], &config);
    let trail = gateway.api("/api/v1/audit?what=production-waived");
    assert_eq!(trail["entries"].as_array().map(Vec::len), Some(1), "{trail:#}");
    assert_eq!((&trail["entries"][0]["reason"], &trail["entries"][0]["on"]), (&reason.into(), &"station".into()));
    drop(gateway);
    assert!(run(&["onboarding", "waive", "--end", "--config", &config]).status.success());
    assert_eq!(run(&["serve", "--config", &config]).status.code(), Some(3), "the exception has ended");
    let dossier: PathBuf = Path::new(&config).with_file_name("onboarding").join("dossier.json");
    fs::remove_file(dossier).unwrap();
    let text = fs::read_to_string(&config).unwrap().replace("required = true", "required = false");
    fs::write(&config, text).unwrap();
    drop(Running::start(&["serve"], &config));
}
