//! Homes of gateways: a folder with `gateway.toml`, partner files, and the exchange folders that users see.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::free_port;
use super::keys::{self, Party};

/// A home in a temporary folder.
pub struct Home {
    folder: tempfile::TempDir,
    log: PathBuf,
    pub as2: SocketAddr,
    pub console: SocketAddr,
}

/// What `gateway.toml` shall say.
pub struct Station<'a> {
    pub as2_name: &'a str,
    pub party: &'static Party,
    /// Lines of further tables.
    pub more: &'a str,
}

impl Home {
    /// A station called `ours` with the keys of [`keys::ours`].
    pub fn ours() -> Home {
        Home::of(&Station { as2_name: "ours", party: keys::ours(), more: "" })
    }

    /// A home with a configuration that picks files up at once.
    pub fn of(station: &Station<'_>) -> Home {
        Home::within(Path::new(env!("CARGO_TARGET_TMPDIR")), None, station)
    }

    /// The same inside `parent`; the log goes to a file elsewhere, if one is named.
    pub fn within(parent: &Path, log: Option<&Path>, station: &Station<'_>) -> Home {
        let folder = tempfile::Builder::new().prefix("dxgate-").tempdir_in(parent).unwrap();
        let home = Home {
            log: log.map_or_else(|| folder.path().join("gateway.log"), Path::to_path_buf),
            folder,
            as2: SocketAddr::from(([127, 0, 0, 1], free_port())),
            console: SocketAddr::from(([127, 0, 0, 1], free_port())),
        };
        fs::create_dir_all(home.path("partners")).unwrap();
        let mut limits = "[limits]\nfree_space_floor = 0\n".to_owned();
        if station.more.contains("[limits]") {
            limits.clear();
        }
        let text = format!(
            r#"[station]
as2_name = "{name}"
[[station.keys]]
certificate = "{certificate}"
private_key = "{key}"
[folders]
allow_any_filesystem = true
[as2]
listen = "{as2}"
public_url = "http://{as2}/as2"
[console]
listen = "{console}"
token_file = "console.token"
[outbox]
sweep = "200ms"
settle = "200ms"
{limits}{more}
"#,
            name = station.as2_name,
            certificate = station.party.certificate_file.display(),
            key = station.party.key_file.display(),
            as2 = home.as2,
            console = home.console,
            more = station.more,
        );
        fs::write(home.config(), text).unwrap();
        home
    }

    /// Adds a partner.
    pub fn partner(&self, id: &str, partner: &PartnerFile<'_>) -> &Home {
        replace(&self.path("partners").join(format!("{id}.toml")), &partner.to_toml());
        self
    }

    pub fn config(&self) -> PathBuf {
        self.path("gateway.toml")
    }

    /// What the gateway said, over all its starts.
    pub fn log(&self) -> &Path {
        &self.log
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    /// `exchange/<partner>/<folder>`.
    pub fn exchange(&self, partner: &str, folder: &str) -> PathBuf {
        self.path("exchange").join(partner).join(folder)
    }

    /// Puts a file into a partner's outbox the way a careful program does: write aside, rename.
    pub fn submit(&self, partner: &str, name: &str, content: &[u8]) {
        let outbox = self.exchange(partner, "outbox");
        fs::create_dir_all(&outbox).unwrap();
        let aside = outbox.join(format!(".{name}"));
        fs::write(&aside, content).unwrap();
        fs::rename(&aside, outbox.join(name)).unwrap();
    }

    /// Names in one of a partner's folders, sorted; dotfiles are nobody's business.
    pub fn names(&self, partner: &str, folder: &str) -> Vec<String> {
        names(&self.exchange(partner, folder))
    }

    pub fn token(&self) -> Option<String> {
        fs::read_to_string(self.path("console.token")).ok().map(|token| token.trim().to_owned())
    }

    /// Where this gateway takes AS2 messages.
    pub fn url(&self) -> String {
        format!("http://{}/as2", self.as2)
    }
}

/// Visible names in a folder, sorted; none when it is not there.
pub fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with('.'))
        .collect();
    names.sort();
    names
}

/// A partner file; the defaults sign and encrypt and ask for a signed synchronous MDN.
pub struct PartnerFile<'a> {
    pub as2_name: &'a str,
    pub url: String,
    pub party: &'static Party,
    /// Further lines of its `[[certificates]]`.
    pub certificate: &'a str,
    /// Lines of `[agreement]`.
    pub agreement: &'a str,
    /// Lines of `[agreement.mdn]`.
    pub mdn: &'a str,
    /// Lines of `[accept]`.
    pub accept: &'a str,
    /// Lines of `[delivery]`.
    pub delivery: &'a str,
}

impl Default for PartnerFile<'_> {
    fn default() -> Self {
        PartnerFile {
            as2_name: "theirs",
            url: "http://127.0.0.1:9/as2".to_owned(),
            party: keys::theirs(),
            certificate: "",
            agreement: "sign = \"rsa-pkcs1\"\nencrypt = \"aes256-cbc\"\nkey_transport = \"rsa-pkcs1\"",
            mdn: "mode = \"sync\"\nsigned = true",
            accept: "signature = false\nencryption = false",
            delivery: "retry = [\"1s\"]\ngive_up_after = \"1h\"\njitter = 0.0",
        }
    }
}

impl PartnerFile<'_> {
    fn to_toml(&self) -> String {
        let mut text = format!(
            "as2_name = \"{}\"\nurl = \"{}\"\n[[certificates]]\nfile = \"{}\"\n{}\n",
            self.as2_name,
            self.url,
            self.party.certificate_file.display(),
            self.certificate,
        );
        let tables = [
            ("agreement", self.agreement),
            ("agreement.mdn", self.mdn),
            ("accept", self.accept),
            ("delivery", self.delivery),
        ];
        for (table, lines) in tables {
            writeln!(text, "[{table}]\n{lines}").unwrap();
        }
        text
    }
}

/// Replaces the first `from` in a file, which must have one.
pub fn change(file: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(file).unwrap();
    assert!(text.contains(from), "{from} in {text}");
    replace(file, &text.replacen(from, to, 1));
}

/// Writes a file in one step, under a name that no gateway reads until then: nobody ever sees half of it.
pub fn replace(file: &Path, text: &str) {
    let aside = file.with_extension("new");
    fs::write(&aside, text).unwrap();
    fs::rename(&aside, file).unwrap();
}

/// A station with this DXPID and customs at `url`; `more` goes into its configuration.
#[allow(dead_code, reason = "the benches have no customs")]
pub fn customs_home(dxpid: &str, url: String, more: &str) -> Home {
    let home = Home::of(&Station { as2_name: "ours", party: keys::ours(), more });
    change(&home.config(), "[station]\n", &format!("[station]\ndxpid = \"{dxpid}\"\n"));
    home.partner("customs", &PartnerFile { url, ..PartnerFile::default() });
    change(&home.path("partners/customs.toml"), "as2_name", "profile = \"dxp\"\nas2_name");
    home
}
