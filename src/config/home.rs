//! Making a new home: a runnable `gateway.toml`, fresh keys, folders and a console token.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;

use crate::bilingual;
use crate::declaration::dsig::Algorithm;
use crate::ground::durable::{self, DurableError};
use crate::ground::random;
use crate::ground::secret::Secret;
use crate::ground::text::Bilingual;
use crate::keys::generate::{GenerateError, KeyRequest, generate};
use crate::keys::{declarations, save};
use crate::partner::Profile;

/// Days for which the first key is valid; partners rarely accept more than a few years.
const KEY_DAYS: u32 = 3 * 365;

/// What a new home shall be like.
#[derive(Debug, Clone)]
pub struct HomePlan {
    /// Our DXPID, if customs has issued one.
    pub dxpid: Option<String>,
    /// Our AS2 name.
    pub as2_name: String,
    /// A name for people.
    pub name: Option<String>,
    /// The AS2 listener.
    pub as2_listen: SocketAddr,
    /// The console listener.
    pub console_listen: SocketAddr,
    /// RSA key size.
    pub key_bits: u32,
}

/// A partner to add to a home.
#[derive(Debug, Clone)]
pub struct PartnerPlan {
    /// Its id: file and folder name.
    pub id: String,
    /// Its AS2 name.
    pub as2_name: String,
    /// Its AS2 server.
    pub url: String,
    /// What travels.
    pub profile: Profile,
    /// Its certificate.
    pub certificate_pem: Vec<u8>,
}

/// What was made.
#[derive(Debug, Clone)]
pub struct Home {
    /// The folder.
    pub folder: PathBuf,
    /// Its `gateway.toml`.
    pub file: PathBuf,
    /// Our certificate, to be given to partners.
    pub certificate: PathBuf,
    /// The console token's file.
    pub token_file: PathBuf,
}

/// Why no home was made.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// Something is there already.
    #[error("{} is not an empty folder", .0.display())]
    NotEmpty(PathBuf),
    /// The disk.
    #[error(transparent)]
    Files(#[from] DurableError),
    /// The key.
    #[error(transparent)]
    Key(#[from] GenerateError),
}

impl HomeError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            HomeError::NotEmpty(_) => "folder-not-empty",
            HomeError::Files(error) => error.code(),
            HomeError::Key(error) => error.code(),
        }
    }

    /// What happened and what to do.
    pub fn text(&self) -> Bilingual {
        match self {
            HomeError::NotEmpty(folder) => {
                let folder = folder.display();
                bilingual!(
                    "{folder} 不是空文件夹。请指定一个新的或空的文件夹；已有内容不会被改动。",
                    "{folder} is not an empty folder. Name a new or empty one; nothing there was changed."
                )
            }
            HomeError::Files(error) => error.text(),
            HomeError::Key(error) => error.text(),
        }
    }
}

/// Makes a home in `folder`, which must be absent, empty, or what an earlier call left that broke off. `gateway.toml` is
/// written last: where it is, the rest is.
///
/// # Errors
/// The folder is not empty, the disk fails, or the plan asks for an impossible key.
pub fn create(folder: &Path, plan: &HomePlan, now: Timestamp) -> Result<Home, HomeError> {
    begin_anew(folder)?;
    let keys = folder.join("keys");
    for name in FOLDERS {
        durable::create_dir_all(&folder.join(name))?;
    }
    close_to_others(&keys)?;
    let phrase = Secret::new(random::hex(24));
    let request = KeyRequest {
        common_name: plan.as2_name.chars().take(64).collect(),
        organization: plan.name.as_ref().map(|name| name.chars().take(64).collect()),
        hosts: Vec::new(),
        bits: plan.key_bits,
        days: KEY_DAYS,
    };
    let pair = generate(&request, Some(&phrase), now)?;
    let home = Home {
        folder: folder.to_owned(),
        file: folder.join("gateway.toml"),
        certificate: keys.join("station.crt"),
        token_file: keys.join("console.token"),
    };
    save::private(&keys.join("station.pass"), phrase.expose().as_bytes())?;
    save::private(&keys.join("station.key"), pair.key_pem.expose())?;
    durable::write_new(&home.certificate, &pair.certificate_pem)?;
    if plan.dxpid.is_some() {
        declarations_key(&keys, &request, now)?;
    }
    save::private(&home.token_file, token().expose().as_bytes())?;
    durable::write_new(&folder.join("partners/customs.toml.example"), CUSTOMS.as_bytes())?;
    durable::write_new(&folder.join("partners/trading-partner.toml.example"), TRADING_PARTNER.as_bytes())?;
    durable::write_new(&folder.join("gateway.toml.example"), GATEWAY.as_bytes())?;
    durable::write_new(&home.file, gateway_toml(plan).as_bytes())?;
    // The home is whole already.
    let _ = durable::remove(&folder.join(UNFINISHED));
    Ok(home)
}

/// Says in a new or empty folder that a home is being made. What an earlier call left that broke off goes: nothing has
/// ever started on it.
fn begin_anew(folder: &Path) -> Result<(), HomeError> {
    let broke_off = folder.join(UNFINISHED).is_file() && !folder.join("gateway.toml").exists();
    if broke_off {
        for name in FOLDERS.iter().map(|name| folder.join(name)).chain([folder.to_owned()]) {
            durable::sweep(&name, Duration::ZERO);
        }
        for name in FILES {
            let _ = std::fs::remove_file(folder.join(name));
        }
        // One that holds anything else stays.
        for name in FOLDERS {
            let _ = std::fs::remove_dir(folder.join(name));
        }
    }
    let left = |entry: &std::fs::DirEntry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        name != UNFINISHED && !name.starts_with(durable::TEMPORARY_PREFIX)
    };
    let taken = std::fs::read_dir(folder).is_ok_and(|entries| entries.flatten().any(|entry| left(&entry)));
    if taken || (folder.exists() && !folder.is_dir()) {
        return Err(HomeError::NotEmpty(folder.to_owned()));
    }
    durable::create_dir_all(folder)?;
    durable::sweep(folder, Duration::ZERO);
    if !broke_off {
        durable::replace(&folder.join(UNFINISHED), "dxgate init\n".as_bytes())?;
    }
    Ok(())
}

/// A key that signs declarations in tests, until customs has issued the real one: `[dxp.signature]` of a partner may name it.
fn declarations_key(keys: &Path, request: &KeyRequest, now: Timestamp) -> Result<(), HomeError> {
    let phrase = Secret::new(random::hex(24));
    let pair = declarations::generate(request, Algorithm::Sm2Sm3, Some(&phrase), now)?;
    save::private(&keys.join("declarations.pass"), phrase.expose().as_bytes())?;
    save::private(&keys.join("declarations.key"), pair.key_pem.expose())?;
    durable::write_new(&keys.join("declarations.crt"), &pair.certificate_pem)?;
    Ok(())
}

/// Adds a partner with its certificate to a home; both files must be new.
///
/// # Errors
/// The disk fails or a file exists.
pub fn add_partner(home: &Path, plan: &PartnerPlan) -> Result<PathBuf, HomeError> {
    let certificate = format!("keys/{}.crt", plan.id);
    durable::write_new(&home.join(&certificate), &plan.certificate_pem)?;
    let file = home.join("partners").join(format!("{}.toml", plan.id));
    let text = format!(
        "as2_name = {}\nurl = {}\nprofile = {}\n\n[[certificates]]\nfile = {}\n",
        quoted(&plan.as2_name),
        quoted(&plan.url),
        quoted(plan.profile.as_str()),
        quoted(&certificate),
    );
    durable::write_new(&file, text.as_bytes())?;
    Ok(file)
}

/// A new console token: 256 random bits with a prefix by which scanners recognise it.
pub fn token() -> Secret<String> {
    Secret::new(format!("dxg_{}", random::hex(32)))
}

/// In a folder that is becoming a home.
const UNFINISHED: &str = ".init-unfinished";
const FOLDERS: [&str; 4] = ["keys", "partners", "data", "exchange"];
/// Every file of a new home but `gateway.toml`.
const FILES: [&str; 10] = [
    "keys/station.pass",
    "keys/station.key",
    "keys/station.crt",
    "keys/declarations.pass",
    "keys/declarations.key",
    "keys/declarations.crt",
    "keys/console.token",
    "partners/customs.toml.example",
    "partners/trading-partner.toml.example",
    "gateway.toml.example",
];

const GATEWAY: &str = include_str!("../../config/gateway.example.toml");
const CUSTOMS: &str = include_str!("../../config/partners/customs.example.toml");
const TRADING_PARTNER: &str = include_str!("../../config/partners/trading-partner.example.toml");

fn gateway_toml(plan: &HomePlan) -> String {
    let mut lines = vec![
        "# dxgate. Every key is explained in gateway.toml.example. 全部配置项见 gateway.toml.example。".to_owned(),
        "# After a change: dxgate doctor --config gateway.toml".to_owned(),
        String::new(),
        "[station]".to_owned(),
    ];
    match &plan.dxpid {
        Some(dxpid) => lines.push(format!("dxpid = {}", quoted(dxpid))),
        None => lines.push("# dxpid = \"…\"   # issued by customs; needed for profile = \"dxp\"".to_owned()),
    }
    lines.push(format!("as2_name = {}", quoted(&plan.as2_name)));
    lines.extend(plan.name.as_ref().map(|name| format!("name = {}", quoted(name))));
    lines.extend([
        String::new(),
        "[[station.keys]]".to_owned(),
        "certificate = \"keys/station.crt\"   # give this file to your partners".to_owned(),
        "private_key = \"keys/station.key\"".to_owned(),
        "passphrase_file = \"keys/station.pass\"".to_owned(),
        String::new(),
        "[as2]".to_owned(),
        format!("listen = {}", quoted(&plan.as2_listen.to_string())),
        String::new(),
        "[console]".to_owned(),
        format!("listen = {}", quoted(&plan.console_listen.to_string())),
        "token_file = \"keys/console.token\"".to_owned(),
        String::new(),
    ]);
    lines.join("\n")
}

/// Text as a TOML string.
pub(crate) fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

/// Closes the folder of keys to other users.
#[cfg(unix)]
fn close_to_others(folder: &Path) -> Result<(), DurableError> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700)).map_err(|source| DurableError {
        step: "protect",
        path: folder.to_owned(),
        source,
    })
}

#[cfg(not(unix))]
fn close_to_others(_folder: &Path) -> Result<(), DurableError> {
    Ok(())
}
