//! Whole homes in temporary folders.

mod alerts;
mod examples;
mod gateway;
mod home;
mod partners;
mod reach;
mod reload;
mod revocation;
mod signature;
mod sm;
mod waivers;

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use jiff::Timestamp;

use super::{Config, Problem, Problems, load};
use crate::ground::durable;
use crate::keys::generate::{KeyPair, KeyRequest, generate};
use crate::keys::save;

/// A home that loads without a problem unless a test spoils it. Ours are the example keys, so everything is loopback.
struct Sandbox {
    folder: tempfile::TempDir,
    now: Timestamp,
}

/// Six lines; tests append to them.
const GATEWAY: &str = "\
[station]
as2_name = \"STATION\"
dxpid = \"DXPENT0000012345\"
[[station.keys]]
certificate = \"keys/station.crt\"
private_key = \"keys/station.key\"
";

/// Four lines; tests append to them.
const PARTNER: &str = "\
as2_name = \"CUSTOMS\"
url = \"http://127.0.0.1:4090/as2\"
[[certificates]]
file = \"keys/customs.crt\"
";

impl Sandbox {
    fn new() -> Sandbox {
        let sandbox = Sandbox { folder: tempfile::tempdir().expect("a folder"), now: at("2026-06-01T00:00:00Z") };
        durable::create_dir_all(&sandbox.path("partners")).expect("made");
        durable::create_dir_all(&sandbox.path("keys")).expect("made");
        for (name, content) in [
            ("station.crt", &include_bytes!("../../../certs-example/station.crt")[..]),
            ("station.key", include_bytes!("../../../certs-example/station.key")),
            ("customs.crt", include_bytes!("../../../certs-example/customs.crt")),
            ("customs.key", include_bytes!("../../../certs-example/customs.key")),
            ("expired.crt", include_bytes!("../../../certs-example/expired.crt")),
            ("expired.key", include_bytes!("../../../certs-example/expired.key")),
            ("weak.crt", include_bytes!("../../../certs-example/weak.crt")),
            ("weak.key", include_bytes!("../../../certs-example/weak.key")),
        ] {
            sandbox.write(&format!("keys/{name}"), content);
        }
        sandbox.write("gateway.toml", GATEWAY.as_bytes());
        sandbox.write("partners/customs.toml", PARTNER.as_bytes());
        sandbox
    }

    /// Adds keys of our own that may be used beyond loopback: `own.crt`, `own.key`, `theirs.crt`.
    fn with_real_keys(self) -> Sandbox {
        let [own, theirs] = &*REAL;
        self.write("keys/own.crt", &own.certificate_pem);
        self.write("keys/own.key", own.key_pem.expose());
        self.write("keys/theirs.crt", &theirs.certificate_pem);
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file over what was there, closed to others.
    fn write(&self, name: &str, content: &[u8]) {
        let file = self.path(name);
        let _ = std::fs::remove_file(&file);
        save::private(&file, content).expect("written");
    }

    /// Appends lines to the standard `gateway.toml`.
    fn gateway(&self, more: &str) -> &Sandbox {
        self.write("gateway.toml", format!("{GATEWAY}{more}").as_bytes());
        self
    }

    /// Appends lines to the standard partner file.
    fn partner(&self, more: &str) -> &Sandbox {
        self.write("partners/customs.toml", format!("{PARTNER}{more}").as_bytes());
        self
    }

    fn load(&self) -> Result<Config, Problems> {
        load(&self.path("gateway.toml"), &environment, self.now)
    }

    fn problems(&self) -> Vec<Problem> {
        match self.load() {
            Ok(config) => config.warnings,
            Err(problems) => problems.problems,
        }
    }

    /// `(code, file name, line, key)` of every problem.
    fn places(&self) -> Vec<(&'static str, String, Option<usize>, String)> {
        self.problems().iter().map(place).collect()
    }

    /// Expects exactly one problem.
    fn expect(&self, code: &str, file: &str, line: Option<usize>, key: &str) {
        let problems = self.problems();
        let found: Vec<_> = problems.iter().map(place).collect();
        let wanted = vec![(code, file.to_owned(), line, key.to_owned())];
        let same = found.len() == 1
            && found.iter().zip(&wanted).all(|(f, w)| (f.0, &f.1, f.2, &f.3) == (w.0, &w.1, w.2, &w.3));
        assert!(same, "expected {wanted:?}, found {problems:#?}");
        for problem in &problems {
            assert!(!problem.text.zh.is_empty() && !problem.text.en.is_empty());
        }
    }
}

fn place(problem: &Problem) -> (&'static str, String, Option<usize>, String) {
    let file = problem.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    (problem.code, file, problem.line, problem.key.clone())
}

fn environment(name: &str) -> Option<String> {
    match name {
        "DXGATE_TEST_PASSPHRASE" => Some("open sesame".to_owned()),
        "DXGATE_TEST_EMPTY" => Some(String::new()),
        _ => None,
    }
}

fn at(text: &str) -> Timestamp {
    text.parse().expect("an instant")
}

/// Two pairs that nobody published, valid for three years from 2026.
static REAL: LazyLock<[KeyPair; 2]> = LazyLock::new(|| {
    ["own", "theirs"].map(|name| {
        let request = KeyRequest {
            common_name: name.to_owned(),
            organization: None,
            hosts: vec!["localhost".to_owned()],
            bits: 2048,
            days: 3 * 365,
        };
        generate(&request, None, at("2026-01-01T00:00:00Z")).expect("made")
    })
});

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("changed");
}

#[test]
fn the_sandbox_loads_without_a_problem() {
    let config = Sandbox::new().load().expect("no problem");
    assert_eq!(config.warnings, Vec::new());
    assert_eq!(config.station.as2_name.as_str(), "STATION");
    assert_eq!(config.partners.all().len(), 1);
    assert_eq!(config.station.message_id_host, "STATION");
    assert!(config.home.is_absolute() && config.folders.data.starts_with(&config.home));
}
