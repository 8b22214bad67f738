//! Configuration: the files of a home are the input, the keys they may name are there.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use dxgate::config::{self, Severity};

/// `gateway.toml`, and after each line `####` a partner file.
pub fn config(data: &[u8]) {
    // Files of the machine are no part of the input, and some of them never end.
    if [b"/proc".as_slice(), b"/dev", b"/sys"].iter().any(|outside| contains(data, outside)) {
        return;
    }
    let home = HOME.as_path();
    let lines: Vec<&[u8]> = data.split_inclusive(|byte| *byte == b'\n').collect();
    let mut texts = lines.split(|line| line.trim_ascii_end() == b"####").map(<[&[u8]]>::concat);
    write(&home.join("gateway.toml"), &texts.next().unwrap_or_default());
    for name in PARTNERS {
        let file = home.join("partners").join(name);
        match texts.next() {
            Some(text) => write(&file, &text),
            None => drop(fs::remove_file(file)),
        }
    }
    let environment = |name: &str| name.starts_with('S').then(|| "secret".to_owned());
    let now = "2026-11-27T00:00:00Z".parse().expect("an instant");
    match config::load(&home.join("gateway.toml"), &environment, now) {
        Ok(config) => {
            let standing = &config.partners;
            let again = config::reload(&config, (standing, None), &environment, now);
            let gateway = again.gateway.expect("what was read can be read again");
            assert!(gateway.restart.is_empty(), "{:?}", gateway.restart);
            assert_eq!(again.partners.all().count(), standing.all().count());
        }
        Err(problems) => {
            assert!(problems.problems.iter().any(|problem| problem.severity == Severity::Error));
            for problem in &problems.problems {
                let (text, line) = (&problem.text, problem.line.unwrap_or(1));
                assert!(!problem.code.is_empty() && !text.zh.is_empty() && !text.en.is_empty() && line > 0);
                assert!(!problem.to_string().contains('\x1b'), "nothing of the file reaches a terminal as it is");
            }
        }
    }
}

const PARTNERS: [&str; 3] = ["customs.toml", "other.toml", "third.toml"];

/// A home of this process with the keys that the examples name.
static HOME: LazyLock<PathBuf> = LazyLock::new(|| {
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("target/homes/{}", std::process::id()));
    let keys = Path::new(env!("CARGO_MANIFEST_DIR")).join("keys");
    for folder in ["keys", "partners"] {
        fs::create_dir_all(home.join(folder)).expect("a folder");
    }
    for (name, from) in [
        ("station.crt", "receiver.crt"),
        ("station.key", "receiver.key"),
        ("elliptic.crt", "elliptic.crt"),
        ("elliptic.key", "elliptic.key"),
        ("customs.crt", "sender.crt"),
        ("trading-partner.crt", "sender.crt"),
    ] {
        let to = home.join("keys").join(name);
        fs::copy(keys.join(from), &to).expect("a key");
        fs::set_permissions(&to, fs::Permissions::from_mode(0o600)).expect("its mode");
    }
    home
});

fn write(file: &Path, text: &[u8]) {
    fs::write(file, text).expect("a file of the home");
}

fn contains(data: &[u8], piece: &[u8]) -> bool {
    data.windows(piece.len()).any(|window| window == piece)
}
