//! A file of the configuration gets a mistake while the gateway runs: it goes on, somebody is told, commands still reach it.

use std::fs::{self, Permissions};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::process::Command;

use dxgate::app::{self, Role};
use dxgate::config;
use dxgate::ground::clock::Clock as _;
use serde_json::Value;

use crate::support::correspondent::{Kind, acknowledge};
use crate::support::gateway::{Gateway, dxgate};
use crate::support::home::{Home, PartnerFile, Station, change, replace};
use crate::support::keys::{self, Party};
use crate::support::scripted::Scripted;
use crate::support::{eventually, free_port, http, inside};

fn home(peer: &Scripted) -> Home {
    let home = Home::ours();
    home.partner("theirs", &PartnerFile { url: peer.url(), ..PartnerFile::default() });
    home
}

fn peer() -> Scripted {
    Scripted::start(|_, posted| Some(acknowledge(posted, Kind::default())))
}

/// The standing alert with this code.
fn standing(gateway: &Gateway<'_>, code: &str) -> Option<Value> {
    let alerts = gateway.api("/api/v1/alerts")["alerts"].clone();
    alerts.as_array().unwrap().iter().find(|alert| alert["code"] == code).cloned()
}

/// Waits for the alert with this code and all these words, in both languages.
fn told(gateway: &Gateway<'_>, code: &str, words: &[&str]) -> Value {
    let says = |alert: &Value, word: &str| {
        ["zh", "en"].iter().all(|language| alert["text"][language].as_str().unwrap().contains(word))
    };
    eventually(&format!("{code} says {words:?}"), || {
        standing(gateway, code).filter(|alert| words.iter().all(|word| says(alert, word)))
    })
}

fn ended(gateway: &Gateway<'_>, code: &str) {
    eventually(&format!("{code} has ended"), || standing(gateway, code).is_none().then_some(()));
}

#[test]
fn a_refused_configuration_is_alerted_with_its_file_until_a_reading_succeeds() {
    let peer = peer();
    let home = home(&peer);
    let gateway = Gateway::start(&home);
    assert_eq!(standing(&gateway, "configuration-refused"), None);
    let partner = home.path("partners/theirs.toml");
    let sound = fs::read_to_string(&partner).unwrap();
    fs::write(&partner, format!("surprise = 1\n{sound}")).unwrap();
    let alert = told(&gateway, "configuration-refused", &["theirs.toml:1", "surprise", "dxgate doctor"]);
    assert_eq!(alert["level"], "error");
    assert!(alert["text"]["en"].as_str().unwrap().contains("a restart would not succeed"), "{alert:#}");
    // What the alert says of a restart is true, and the running gateway goes on.
    let restart = dxgate().args(["serve", "--config"]).arg(home.config()).output().unwrap();
    assert_eq!(restart.status.code(), Some(2));
    home.submit("theirs", "a.xml", b"<a/>");
    assert_eq!(gateway.wait_for("theirs", "sent", "a.xml"), b"<a/>");
    // Another mistake has other words.
    let aside = home.path("gateway.aside");
    fs::rename(home.config(), &aside).unwrap();
    told(&gateway, "configuration-refused", &["gateway.toml"]);
    fs::rename(&aside, home.config()).unwrap();
    told(&gateway, "configuration-refused", &["theirs.toml:1"]);
    fs::write(&partner, sound).unwrap();
    ended(&gateway, "configuration-refused");
}

#[test]
fn refused_code_tables_are_alerted_until_they_are_sound() {
    let peer = peer();
    let home = home(&peer);
    let gateway = Gateway::start(&home);
    fs::create_dir_all(home.path("tables")).unwrap();
    fs::write(home.path("tables/country.csv"), "code,name\n").unwrap();
    told(&gateway, "code-tables-refused", &["country.csv"]);
    fs::write(home.path("tables/country.csv"), "code,name\n142,CN\n").unwrap();
    ended(&gateway, "code-tables-refused");
}

#[test]
fn a_file_that_is_opened_to_the_gateway_is_read_again() {
    let peer = peer();
    let home = home(&peer);
    let gateway = Gateway::start(&home);
    let times = || fs::read_to_string(home.log()).unwrap().matches("the configuration was read again").count();
    let before = times();
    fs::set_permissions(home.path("partners/theirs.toml"), Permissions::from_mode(0o640)).unwrap();
    eventually(&format!("it is read again: {}", gateway.log()), || (times() > before).then_some(()));
}

#[test]
fn commands_reach_the_running_gateway_whatever_is_wrong_in_a_partner_file() {
    let peer = peer();
    let home = home(&peer);
    let gateway = Gateway::start(&home);
    fs::write(home.path("partners/acme.toml"), "as2_name = \"acme\"\nsurprise = \n").unwrap();
    change(&home.path("partners/theirs.toml"), "as2_name", "surprise = 1\nas2_name");
    told(&gateway, "configuration-refused", &["acme.toml"]);
    let run = |arguments: &[&str]| {
        let output = dxgate().args(arguments).args(["--lang", "en", "--config"]).arg(home.config()).output().unwrap();
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        (output.status.code().unwrap(), text)
    };
    let file = home.path("order.xml");
    fs::write(&file, "<order/>").unwrap();
    let (code, text) = run(&["send", file.to_str().unwrap(), "--partner", "theirs"]);
    assert_eq!(code, 0, "{text}");
    let (code, text) = run(&["messages", "list"]);
    assert!(code == 0 && text.contains("order.xml"), "{code}: {text}");
    assert_eq!(run(&["partner", "pause", "theirs", "--reason", "x"]).0, 0);
    let (code, text) = run(&["alerts", "acknowledge", "gateway.configuration-refused", "--reason", "seen"]);
    assert_eq!(code, 0, "{text}");
    assert_eq!(run(&["doctor"]).0, 2, "what the configuration itself is about still tells the mistakes");
    change(&home.config(), "listen = \"127", "listn = \"127");
    assert_eq!(run(&["messages", "list"]).0, 0, "that was [as2]");
    let text = fs::read_to_string(home.config()).unwrap();
    fs::write(home.config(), text.replace("token_file", "token_fil")).unwrap();
    let (code, text) = run(&["messages", "list"]);
    assert!(code == 2 && text.contains("token_file"), "{code}: {text}");
}

fn pair(party: &Party) -> String {
    format!("certificate = \"{}\"\nprivate_key = \"{}\"\n", party.certificate_file.display(), party.key_file.display())
}

#[test]
fn a_key_that_no_listener_can_use_refuses_the_file_and_no_other_listener_changes() {
    let peer = peer();
    let (theirs, port) = (pair(keys::theirs()), free_port());
    let further = format!("[[as2.listeners]]\nlisten = \"127.0.0.1:{port}\"\n[as2.listeners.tls]\n{theirs}");
    let more = format!("[as2.tls]\n{theirs}{further}");
    let home = Home::of(&Station { as2_name: "ours", party: keys::ours(), more: &more });
    home.partner("theirs", &PartnerFile { url: peer.url(), ..PartnerFile::default() });
    // An RSA key of 1024 bits.
    for name in ["weak.crt", "weak.key"] {
        fs::copy(format!("{}/certs-example/{name}", env!("CARGO_MANIFEST_DIR")), home.path(name)).unwrap();
        fs::set_permissions(home.path(name), Permissions::from_mode(0o600)).unwrap();
    }
    let gateway = Gateway::start(&home);
    let shown = || -> Vec<String> {
        let certificates = gateway.api("/api/v1/certificates")["certificates"].as_array().unwrap().clone();
        let of_listeners = certificates.iter().filter(|one| one["uses"][0] == "tls");
        of_listeners.map(|one| one["fingerprint"].as_str().unwrap().to_owned()).collect()
    };
    let before = shown();
    let weak = "certificate = \"weak.crt\"\nprivate_key = \"weak.key\"\n";
    let text = fs::read_to_string(home.config()).unwrap();
    let [head, between, tail] = text.split(&theirs).collect::<Vec<_>>().try_into().unwrap();
    let stranger = pair(keys::stranger());
    replace(&home.config(), &[head, &stranger, between, weak, tail].concat());
    told(&gateway, "configuration-refused", &["gateway.toml", "as2.listeners[0].tls.certificate"]);
    assert_eq!(shown(), before, "the first listener has changed and the second has not");
    replace(&home.config(), &[head, &stranger, between, &stranger, tail].concat());
    ended(&gateway, "configuration-refused");
    eventually("both have changed", || shown().iter().all(|one| !before.contains(one)).then_some(()));
}

#[test]
fn what_changes_between_the_reading_of_the_files_and_the_first_look_is_found_by_it() {
    let peer = peer();
    let home = home(&peer);
    let clock = inside::clock();
    let config = config::load(&home.config(), &|_| None, clock.now()).unwrap_or_else(|error| panic!("{error:?}"));
    // While a full disk or a long recovery keeps the start waiting.
    change(&home.path("partners/theirs.toml"), "as2_name", "name = \"renamed\"\nas2_name");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let running = runtime.block_on(app::start(config, Role::Gateway, clock)).unwrap();
    eventually("the change is taken", || {
        let partners = running.in_force().configuration().partners;
        (partners.by_id("theirs")?.name.as_deref() == Some("renamed")).then_some(())
    });
    assert_eq!(runtime.block_on(running.stop()), Vec::<String>::new());
}

#[test]
fn a_reading_of_the_files_that_does_not_end_holds_up_no_stop() {
    let limits = "[limits]\nfree_space_floor = 0\nshutdown = \"1s\"\n";
    let home = Home::of(&Station { as2_name: "ours", party: keys::ours(), more: limits });
    home.partner("theirs", &PartnerFile::default());
    let mut gateway = Gateway::start(&home);
    let slow = home.path("partners/slow.toml");
    assert!(Command::new("mkfifo").arg(&slow).status().unwrap().success());
    // It opens for writing as soon as somebody reads, who waits for what is never written.
    let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap();
    let writer =
        eventually("the gateway reads it", || fs::OpenOptions::new().write(true).custom_flags(flags).open(&slow).ok());
    let pid = rustix::process::Pid::from_raw(i32::try_from(gateway.pid()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    eventually(&format!("all parts stop:\n{}", gateway.log()), || {
        fs::read_to_string(home.log()).unwrap().contains("dxgate has stopped").then_some(())
    });
    let status = eventually("the process ends", || gateway.ended());
    assert_eq!(status.code(), Some(0), "{}", gateway.log());
    drop(writer);
}

#[test]
fn a_check_of_a_partner_tells_what_the_last_reading_found() {
    let peer = peer();
    let home = home(&peer);
    let gateway = Gateway::start(&home);
    let headers = format!("Authorization: Bearer {}\r\nContent-Type: application/json\r\n", home.token().unwrap());
    let codes = |path: &str| -> Vec<String> {
        let answer = http::post(home.console, path, &headers, b"{}").unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        let said: Value = serde_json::from_slice(&answer.body).unwrap();
        said["findings"].as_array().unwrap().iter().map(|one| one["code"].as_str().unwrap().to_owned()).collect()
    };
    let check = || codes("/api/v1/partners/theirs/check");
    let unsigned = "sent-unsigned".to_owned();
    assert!(!check().contains(&unsigned));
    change(&home.path("partners/theirs.toml"), "sign = \"rsa-pkcs1\"", "sign = \"none\"");
    codes("/api/v1/partners/reload");
    assert!(check().contains(&unsigned), "{:?}", check());
    change(&home.path("partners/theirs.toml"), "sign = \"none\"", "sign = \"rsa-pkcs1\"");
    codes("/api/v1/partners/reload");
    assert!(!check().contains(&unsigned), "what was mended is told no more");
    drop(gateway);
}
