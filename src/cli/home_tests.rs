//! `init`, `doctor`, `partner` and `cert` over a home in a temporary folder.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::cli::cert::{self, GenerateTarget, Purpose};
use crate::cli::exit_code::ExitCode;
use crate::cli::voice::Voice;
use crate::cli::{doctor, init, partner};
use crate::config::home::{HomePlan, PartnerPlan, add_partner};
use crate::declaration::dsig::Algorithm;
use crate::ground::secret::Secret;
use crate::ground::text::Language;
use crate::keys::generate::{KeyRequest, generate};
use crate::keys::{load, save};
use crate::partner::Profile;

fn now() -> Timestamp {
    "2026-06-01T00:00:00Z".parse().expect("an instant")
}

/// The command line asks the machine's clock, so what it works on is made by that.
fn today() -> Timestamp {
    crate::ground::clock::Clock::now(&crate::ground::clock::SystemClock)
}

fn no_variables(_: &str) -> Option<String> {
    None
}

/// Runs a command and returns its exit code and output.
fn spoken(
    language: Language,
    json: bool,
    command: impl FnOnce(&mut Voice<'_>) -> std::io::Result<ExitCode>,
) -> (ExitCode, String) {
    let mut out = Vec::new();
    let code = command(&mut Voice { out: &mut out, language, json, colours: false, environment: None })
        .expect("a vector takes everything");
    (code, String::from_utf8(out).expect("text"))
}

fn request() -> KeyRequest {
    KeyRequest { common_name: "customs".into(), organization: None, hosts: Vec::new(), bits: 2048, days: 365 }
}

/// A home with one partner; its `gateway.toml`.
fn home(folder: &Path) -> PathBuf {
    home_at(folder, now())
}

/// The same, made at this instant.
fn home_at(folder: &Path, now: Timestamp) -> PathBuf {
    let plan = HomePlan {
        dxpid: None,
        as2_name: "STATION".to_owned(),
        name: None,
        as2_listen: ([127, 0, 0, 1], 4080).into(),
        console_listen: ([127, 0, 0, 1], 4081).into(),
        key_bits: 2048,
    };
    let (code, said) = spoken(Language::English, false, |voice| init::run(folder, &plan, now, voice));
    assert_eq!(code, ExitCode::Done, "{said}");
    let (code, said) = spoken(Language::Chinese, false, |voice| init::run(folder, &plan, now, voice));
    assert_eq!(code, ExitCode::Usage);
    assert!(said.starts_with("[folder-not-empty] ") && said.contains("不是空文件夹"), "{said}");
    let partner = PartnerPlan {
        id: "customs".to_owned(),
        as2_name: "CUSTOMS".to_owned(),
        url: "https://as2.example.com/as2".to_owned(),
        profile: Profile::Plain,
        certificate_pem: generate(&request(), None, now).expect("made").certificate_pem,
    };
    add_partner(folder, &partner).expect("added");
    folder.join("gateway.toml")
}

#[test]
fn a_new_home_passes_the_doctor() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = home(folder.path());
    let (code, said) = spoken(Language::English, false, |voice| doctor::run(&file, &no_variables, now(), voice));
    assert_eq!(code, ExitCode::Done, "{said}");
    assert!(said.contains("0 errors, 0 warnings") && said.contains("1 partners"), "{said}");
}

#[test]
fn the_doctor_reports_every_problem_in_both_forms() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = home(folder.path());
    let text = std::fs::read_to_string(&file).expect("read").replace("127.0.0.1", "nowhere");
    crate::ground::durable::replace(&file, text.as_bytes()).expect("written");
    let (code, said) = spoken(Language::Chinese, false, |voice| doctor::run(&file, &no_variables, now(), voice));
    assert_eq!(code, ExitCode::Usage);
    assert_eq!(said.matches("错误 [value-invalid]").count(), 2, "{said}");
    assert!(said.contains("2 个错误，0 个警告"), "{said}");
    let (_, said) = spoken(Language::English, true, |voice| doctor::run(&file, &no_variables, now(), voice));
    let value: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(value["errors"], 2);
    assert_eq!(value["problems"][0]["key"], "as2.listen");
    assert!(value["problems"][0]["text"]["zh"].is_string() && value["problems"][0]["line"].is_u64());
}

#[test]
fn the_doctor_finds_a_key_with_which_no_listener_would_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = home(folder.path());
    let text = std::fs::read_to_string(&file).expect("read");
    let listener = "[[as2.listeners]]\nlisten = \"127.0.0.1:4443\"\n";
    let tls = "[as2.listeners.tls]\ncertificate = \"weak.crt\"\nprivate_key = \"weak.key\"\n";
    crate::ground::durable::replace(&file, format!("{text}\n{listener}{tls}").as_bytes()).expect("written");
    let (certificate, key) =
        (include_bytes!("../../certs-example/weak.crt"), include_bytes!("../../certs-example/weak.key"));
    save::private(&folder.path().join("weak.crt"), certificate).expect("written");
    save::private(&folder.path().join("weak.key"), key).expect("written");
    let (code, said) = spoken(Language::English, true, |voice| doctor::run(&file, &no_variables, now(), voice));
    let value: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!((code, &value["errors"]), (ExitCode::Usage, &1.into()), "{said}");
    assert_eq!(value["problems"][0]["key"], "as2.listeners[0].tls.certificate", "{said}");
}

#[test]
fn partners_are_listed_and_checked() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = home(folder.path());
    let (code, said) = spoken(Language::English, false, |voice| partner::list(&file, &no_variables, now(), voice));
    assert_eq!((code, said.trim()), (ExitCode::Done, "customs  CUSTOMS  plain  https://as2.example.com/as2  enabled"));
    let check =
        |id, at| spoken(Language::English, false, |voice| partner::check(&file, Some(id), &no_variables, at, voice));
    assert_eq!(check("customs", now()).0, ExitCode::Done);
    let (code, said) = check("nobody", now());
    assert_eq!(code, ExitCode::Usage);
    assert!(said.contains("[partner-unknown]") && said.contains("customs"), "{said}");
    let (code, said) = check("customs", "2031-01-01T00:00:00Z".parse().expect("an instant"));
    assert_eq!(code, ExitCode::No);
    assert!(said.contains("[no-active-signing-key]"), "{said}");
}

#[test]
fn certificates_are_listed_with_their_state() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = home(folder.path());
    let (code, said) = spoken(Language::English, true, |voice| cert::list(&file, &no_variables, now(), voice));
    assert_eq!(code, ExitCode::Done, "{said}");
    let rows: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!((rows[0]["holder"].as_str(), rows[1]["holder"].as_str()), (Some("station"), Some("customs")));
    let soon = "2027-05-20T00:00:00Z".parse().expect("an instant");
    let (code, said) = spoken(Language::English, false, |voice| cert::list(&file, &no_variables, soon, voice));
    assert_eq!(code, ExitCode::No);
    assert!(said.contains("expires soon"), "{said}");
}

#[test]
fn a_made_key_is_private_encrypted_and_never_overwrites() {
    let folder = tempfile::tempdir().expect("a folder");
    let target = GenerateTarget { certificate: folder.path().join("a.crt"), key: folder.path().join("a.key") };
    let phrase = Secret::new("open sesame".to_owned());
    let make = || {
        spoken(Language::English, false, |voice| {
            cert::make((&request(), Purpose::Messages), &target, Some(&phrase), now(), voice)
        })
    };
    assert_eq!(make().0, ExitCode::Done);
    load::key_pair(&target.certificate, &target.key, Some(&phrase)).expect("they fit and the key is private");
    let before = std::fs::read(&target.key).expect("there");
    let (code, said) = make();
    assert_eq!((code, said.contains("[file-exists]")), (ExitCode::Unreachable, true), "{said}");
    assert_eq!(std::fs::read(&target.key).expect("there"), before);
}

#[test]
fn a_key_for_declarations_is_made_used_and_listed() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = home(folder.path());
    let text = std::fs::read_to_string(&file)
        .expect("read")
        .replace("[station]\n", "[station]\ndxpid = \"DXPENT0000012345\"\n");
    let text = text.replace("# dxpid", "# issued");
    crate::ground::durable::replace(&file, text.as_bytes()).expect("written");
    let target = GenerateTarget {
        certificate: folder.path().join("keys/declarations.crt"),
        key: folder.path().join("keys/declarations.key"),
    };
    let purpose = Purpose::Declarations(Algorithm::Sm2Sm3);
    let (code, said) =
        spoken(Language::English, false, |voice| cert::make((&request(), purpose), &target, None, now(), voice));
    assert!(code == ExitCode::Done && said.contains("customs issues the real ones"), "{said}");
    let partner = folder.path().join("partners/customs.toml");
    let plain = std::fs::read_to_string(&partner).expect("read").replace("\"plain\"", "\"dxp\"");
    let signing = "[dxp.signature]\nsign = true\ncertificate = \"keys/declarations.crt\"\nprivate_key = \"keys/declarations.key\"\n";
    crate::ground::durable::replace(&partner, format!("{plain}{signing}").as_bytes()).expect("written");
    let doctor = || spoken(Language::English, false, |voice| doctor::run(&file, &no_variables, now(), voice));
    let (code, said) = doctor();
    assert!(code == ExitCode::Done && said.contains("0 errors, 0 warnings"), "{said}");
    let (_, said) = spoken(Language::English, false, |voice| cert::list(&file, &no_variables, now(), voice));
    assert!(said.contains("customs  sign-declarations  ") && said.contains("SM2-256"), "{said}");
    std::fs::remove_file(&target.key).expect("removed");
    let (code, said) = doctor();
    assert!(
        code == ExitCode::Usage && said.contains("[file-unreadable]") && said.contains("dxp.signature.private_key"),
        "{said}"
    );
}

/// Runs the whole command line over a home.
fn command_line(config: &Path, line: &[&str]) -> (ExitCode, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let given = line.iter().copied().map(std::ffi::OsString::from);
    let config = [std::ffi::OsString::from("--config"), config.as_os_str().to_owned()];
    let arguments = std::iter::once("dxgate".into()).chain(given).chain(config).collect();
    let exit = crate::cli::run(arguments, &no_variables, &mut out, &mut err);
    (exit, String::from_utf8([out, err].concat()).expect("text"))
}

fn files(folder: &Path) -> usize {
    std::fs::read_dir(folder).expect("a folder").count()
}

#[test]
fn a_partners_new_certificate_is_imported_beside_the_old_one_and_only_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = home_at(folder.path(), today());
    let new = generate(&request(), None, today()).expect("made");
    let file = folder.path().join("new.crt");
    crate::ground::durable::write_new(&file, &new.certificate_pem).expect("written");
    let file = file.to_str().expect("text");
    let line = ["cert", "import", file, "--partner", "customs", "--from", "2026-07-01T00:00:00Z", "--use", "verify"];
    let (exit, said) = command_line(&config, &line);
    assert_eq!(exit, ExitCode::Done, "{said}");
    let read = crate::config::load(&config, &no_variables, today()).expect("it holds");
    let partner = read.partners.by_id("customs").expect("known");
    let [_, _] = partner.certificates.certificates() else { panic!("two certificates") };
    let uses = partner.certificates.certificates().iter().filter(|held| held.uses.verify && !held.uses.encrypt);
    assert_eq!(uses.count(), 1, "as it was said");
    let (exit, said) = command_line(&config, &line);
    assert_eq!(exit, ExitCode::No, "{said}");
    assert!(said.contains("[certificate-known]"), "{said}");
    assert_eq!(command_line(&config, &["cert", "import", file, "--partner", "nobody"]).0, ExitCode::Usage);
}

#[test]
fn what_would_not_hold_is_taken_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = home_at(folder.path(), today());
    let partner_file = folder.path().join("partners/customs.toml");
    let before = (std::fs::read(&partner_file).expect("read"), files(&folder.path().join("keys")));
    let new = generate(&request(), None, today()).expect("made");
    let file = folder.path().join("new.crt");
    crate::ground::durable::write_new(&file, &new.certificate_pem).expect("written");
    let window = ["--from", "2027-01-01T00:00:00Z", "--until", "2026-01-01T00:00:00Z"];
    let line = [&["cert", "import", file.to_str().expect("text"), "--partner", "customs"], &window[..]].concat();
    let (exit, said) = command_line(&config, &line);
    assert_eq!(exit, ExitCode::Usage, "a window that ends before it begins: {said}");
    let after = (std::fs::read(&partner_file).expect("read"), files(&folder.path().join("keys")));
    assert_eq!(after, before, "neither the file nor a certificate is left");
}

#[test]
fn a_key_that_follows_signs_from_its_instant_on_and_the_old_one_until_then() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = home_at(folder.path(), today());
    let begins: Timestamp = today() + jiff::SignedDuration::from_hours(24 * 7);
    let (exit, said) = command_line(&config, &["cert", "rotate", "--bits", "2048", "--from", &begins.to_string()]);
    assert_eq!(exit, ExitCode::Done, "{said}");
    assert!(said.contains("keys/station-") && said.contains("SHA-256"), "{said}");
    let read = crate::config::load(&config, &no_variables, today()).expect("it holds");
    let keys = &read.station.keys;
    assert_eq!(keys.keys().len(), 2);
    let signing = |at| keys.signing_key(at, None).map(|key| key.certificate.fingerprint());
    let second = jiff::SignedDuration::from_secs(1);
    let (before, after) = (signing(begins - second), signing(begins + second));
    assert!(before.is_some() && after.is_some() && before != after, "it changes at the instant");
    let (exit, said) = command_line(&config, &["cert", "rotate", "--bits", "2048", "--format", "json"]);
    let told: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    assert!(exit == ExitCode::Done && told["from"].is_string(), "in two weeks, when nothing is said: {said}");
}

#[test]
fn a_key_that_follows_one_which_ends_within_two_weeks_leaves_no_gap() {
    let folder = tempfile::tempdir().expect("a folder");
    let days = |days: i64| jiff::SignedDuration::from_hours(24 * days);
    // The key of a home lasts three years: five days are left.
    let config = home_at(folder.path(), today() - days(3 * 365 - 5));
    let (exit, said) = command_line(&config, &["cert", "rotate", "--bits", "2048"]);
    assert_eq!(exit, ExitCode::Done, "{said}");
    let read = crate::config::load(&config, &no_variables, today()).expect("it holds");
    let signing = |day: i64| read.station.keys.signing_key(today() + days(day), None).map(|key| key.certificate);
    for day in 0..20 {
        assert!(signing(day).is_some(), "nothing signs in {day} days: {said}");
    }
    assert_ne!(signing(0), signing(6));
    let (exit, said) = command_line(&config, &["cert", "rotate", "--bits", "2048"]);
    assert_eq!(exit, ExitCode::Done, "{said}");
    let read = crate::config::load(&config, &no_variables, today()).expect("it holds");
    let last = read.station.keys.keys().iter().map(|key| key.window.from).max();
    assert!(last > Some(today() + days(10)), "nothing ends before two weeks: {last:?}");
}

#[test]
fn a_key_of_another_kind_that_lasts_longer_leaves_no_gap_either() {
    let folder = tempfile::tempdir().expect("a folder");
    let days = |days: i64| jiff::SignedDuration::from_hours(24 * days);
    let config = home_at(folder.path(), today() - days(3 * 365 - 5));
    let at = today().to_string();
    for more in [&["cert", "rotate", "--bits", "256", "--from", &at][..], &["cert", "rotate", "--bits", "2048"]] {
        let (exit, said) = command_line(&config, more);
        assert_eq!(exit, ExitCode::Done, "{said}");
    }
    let read = crate::config::load(&config, &no_variables, today()).expect("it holds");
    let rsa = Some(crate::cms::SignatureScheme::RsaPkcs1);
    for day in 0..20 {
        assert!(read.station.keys.signing_key(today() + days(day), rsa).is_some(), "no RSA key signs in {day} days");
    }
}
