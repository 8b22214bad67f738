//! A file of the configuration gets a mistake while the gateway runs: it goes on, somebody is told, commands still reach it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use crate::support::correspondent::{Kind, acknowledge};
use crate::support::eventually;
use crate::support::gateway::{Gateway, dxgate};
use crate::support::home::{Home, PartnerFile, change};
use crate::support::scripted::Scripted;

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
