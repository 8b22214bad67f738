//! Configuration: the files of a home are the input, the keys they may name are there. And files of keys and tables of codes, which
//! are read from a home's folders.

use std::collections::BTreeSet;
use std::fs;
use std::io::Cursor;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use dxgate::config::tables::{self, TableError};
use dxgate::config::{self, Severity};
use dxgate::declaration::precheck::codes::List;
use dxgate::declaration::precheck::{self, Expectations};
use dxgate::ground::secret::Secret;
use dxgate::keys::{KeyFileError, TlsIdentity, declarations, load};
use dxgate::partner::Partner;

use super::limits;

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

/// A file that is taken for everything that may stand in a file of the folder `keys`.
pub fn key_file(data: &[u8]) {
    let file = HOME.join("keys").join("fuzzed");
    write(&file, data);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("its mode");
    let passphrase = Secret::new("pass".to_owned());
    let passphrase = Some(&passphrase);
    if let Ok(chain) = told(load::certificates(&file)) {
        let first = load::certificate(&file).expect("a chain has a first");
        assert_eq!(chain.first().map(|one| one.fingerprint()), Some(first.fingerprint()));
    }
    let _ = told(load::secret_line(&file));
    let _ = told(declarations::from_pkcs12(&file, None));
    if let Ok((certificate, key)) = told(load::pkcs12(&file, passphrase)) {
        assert!(key.matches(&certificate));
        let _ = told(declarations::from_pkcs12(&file, passphrase));
    }
    match told(load::key_pair(&file, &file, passphrase)) {
        Ok((certificate, key)) => {
            assert!(key.matches(&certificate));
            let identity = TlsIdentity::from_files(&file, &file, passphrase);
            assert!(identity.is_err() || identity.is_ok_and(|identity| identity.chain.first() == Some(&certificate)));
        }
        // To hash a passphrase once is enough.
        Err(KeyFileError::Passphrase { .. }) => return,
        Err(_) => drop(told(TlsIdentity::from_files(&file, &file, passphrase))),
    }
    let _ = told(declarations::from_pair(&file, &file, passphrase));
}

/// Whatever is wrong with a file has a code and is told in both languages.
fn told<T>(read: Result<T, KeyFileError>) -> Result<T, KeyFileError> {
    if let Err(error) = &read {
        let text = error.text();
        assert!(!error.code().is_empty() && !text.zh.is_empty() && !text.en.is_empty());
    }
    read
}

/// A table of codes as a spreadsheet saves it, in UTF-8 or GB18030; the first octet says for which list.
///
/// It is taken, and then has every code that a line of it begins with, or it has none; and the pre-check can use it.
pub fn code_table(data: &[u8]) {
    let Some((which, file)) = data.split_first() else { return };
    let list = List::ALL[usize::from(*which) % List::ALL.len()];
    let folder = HOME.join("codes");
    for (other, path) in tables::files(&folder) {
        if other == list { write(&path, file) } else { drop(fs::remove_file(path)) }
    }
    let codes = codes(file);
    match tables::load(&folder) {
        Ok(tables) => {
            assert!(codes.iter().all(|code| tables.has(list, code) == Some(true)), "{codes:?}");
            assert!(tables.loaded().iter().any(|(loaded, count)| *loaded == list && *count >= codes.len()));
            assert!(!tables::describe(&tables).is_empty());
            let (limits, expectations) = (limits(), Expectations { tables: &tables, ..Expectations::default() });
            let report = precheck::check(&mut Cursor::new(ORDER), &expectations, &limits);
            assert!(report.findings.len() <= limits.findings);
        }
        Err(error) => {
            let text = error.text();
            assert!(!error.code().is_empty() && !text.zh.is_empty() && !text.en.is_empty());
            assert!(codes.is_empty() && matches!(error, TableError::Empty { .. }), "{error}");
        }
    }
}

/// Each code that stands alone or before a comma in a line of UTF-8, once.
fn codes(file: &[u8]) -> BTreeSet<&str> {
    let lines = std::str::from_utf8(file).unwrap_or_default().lines();
    let firsts = lines.filter_map(|line| line.split(',').next());
    let is_code =
        |text: &&str| !text.is_empty() && *text != "code" && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    firsts.filter(is_code).collect()
}

/// A declaration that names codes.
const ORDER: &[u8] = include_bytes!("../corpus/precheck/order");

/// A partner with these [`SERVERS`].
pub(super) fn partner() -> &'static Partner {
    static PARTNER: LazyLock<Arc<Partner>> = LazyLock::new(|| {
        let gateway = b"[station]\nas2_name = \"A\"\n[[station.keys]]\ncertificate = \"keys/station.crt\"\n\
            private_key = \"keys/station.key\"\n";
        let partner =
            b"as2_name = \"B\"\nurl = \"https://b.example/as2\"\n[[certificates]]\nfile = \"keys/customs.crt\"\n\
            [accept]\nasync_mdn_urls = [\"http://[2001:db8::1]:8080/mdn\", \"https://C.example:8443/\"]\n";
        write(&HOME.join("gateway.toml"), gateway);
        write(&HOME.join("partners").join("other.toml"), partner);
        let now = "2026-11-27T00:00:00Z".parse().expect("an instant");
        let config = config::load(&HOME.join("gateway.toml"), &|_: &str| None, now);
        let config = config.unwrap_or_else(|problems| panic!("{problems}"));
        config.partners.by_id("other").expect("it is there").clone()
    });
    &PARTNER
}

/// Where that partner's receipts may go: TLS or not, host, port.
pub(super) const SERVERS: [(bool, &str, u16); 3] =
    [(true, "b.example", 443), (false, "2001:db8::1", 8080), (true, "c.example", 8443)];

const PARTNERS: [&str; 3] = ["customs.toml", "other.toml", "third.toml"];

/// A home of this process with the keys that the examples name.
static HOME: LazyLock<PathBuf> = LazyLock::new(|| {
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("target/homes/{}", std::process::id()));
    let keys = Path::new(env!("CARGO_MANIFEST_DIR")).join("keys");
    for folder in ["keys", "partners", "codes"] {
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
