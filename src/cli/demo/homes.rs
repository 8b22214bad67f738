//! The two homes of the demonstration: an enterprise and the customs side, on loopback, with keys made for the occasion.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::declaration::dsig::Algorithm;
use crate::declaration::sample;
use crate::ground::durable;
use crate::keys::generate::{KeyPair, KeyRequest, generate};
use crate::keys::{declarations, save};

/// DXPID of the demonstration's enterprise.
pub(super) const DXPID: &str = "DXPENT0000012345";
/// AS2 name of the demonstration's customs side.
const CUSTOMS: &str = "DXPEDCCEB0000002";
/// The partner's id in the enterprise's home.
pub(super) const PARTNER: &str = "customs";

/// Where everything lies.
pub(super) struct Homes {
    pub(super) enterprise: PathBuf,
    pub(super) customs: PathBuf,
}

impl Homes {
    /// Writes both homes below `root`.
    pub(super) fn create(root: &Path, now: Timestamp) -> io::Result<Homes> {
        let homes = Homes { enterprise: root.join("enterprise"), customs: root.join("customs") };
        let [as2, console, their_as2, their_console] = free_ports()?;
        let ours = key_pair("Demo Enterprise", now)?;
        let theirs = key_pair("Demo Customs", now)?;
        let partner = customs_partner(their_as2);
        home(&homes.enterprise, &station(Some(DXPID), DXPID, as2, console), PARTNER, &partner, [&ours, &theirs])?;
        declarations_key(&homes.enterprise.join("keys"), now)?;
        let partner = enterprise_partner(as2);
        home(
            &homes.customs,
            &station(None, CUSTOMS, their_as2, their_console),
            "enterprise",
            &partner,
            [&theirs, &ours],
        )?;
        Ok(homes)
    }

    /// A folder of the enterprise's exchange with customs.
    pub(super) fn folder(&self, name: &str) -> PathBuf {
        self.enterprise.join("exchange").join(PARTNER).join(name)
    }
}

fn key_pair(name: &str, now: Timestamp) -> io::Result<KeyPair> {
    let request =
        KeyRequest { common_name: name.to_owned(), organization: None, hosts: Vec::new(), bits: 2048, days: 30 };
    generate(&request, None, now).map_err(io::Error::other)
}

/// The key that signs the declarations, as customs would issue it on a card.
fn declarations_key(keys: &Path, now: Timestamp) -> io::Result<()> {
    let request = KeyRequest {
        common_name: "Demo Declarant".to_owned(),
        organization: Some(sample::IMPORT_DECLARANT.to_owned()),
        hosts: Vec::new(),
        bits: 256,
        days: 30,
    };
    let pair = declarations::generate(&request, Algorithm::Sm2Sm3, None, now).map_err(io::Error::other)?;
    durable::write_new(&keys.join("declarations.crt"), &pair.certificate_pem)?;
    Ok(save::private(&keys.join("declarations.key"), pair.key_pem.expose())?)
}

/// Four ports that were free a moment ago; held together so that they differ.
fn free_ports() -> io::Result<[SocketAddr; 4]> {
    let bind = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let held = [bind()?, bind()?, bind()?, bind()?];
    let [a, b, c, d] = &held;
    Ok([a.local_addr()?, b.local_addr()?, c.local_addr()?, d.local_addr()?])
}

fn home(root: &Path, gateway: &str, partner: &str, settings: &str, keys: [&KeyPair; 2]) -> io::Result<()> {
    let [own, other] = keys;
    durable::create_dir_all(&root.join("keys"))?;
    durable::create_dir_all(&root.join("partners"))?;
    durable::write_new(&root.join("gateway.toml"), gateway.as_bytes())?;
    durable::write_new(&root.join("partners").join(format!("{partner}.toml")), settings.as_bytes())?;
    durable::write_new(&root.join("keys/station.crt"), &own.certificate_pem)?;
    durable::write_new(&root.join("keys/partner.crt"), &other.certificate_pem)?;
    let key = root.join("keys/station.key");
    durable::write_new(&key, own.key_pem.expose())?;
    restrict(&key)
}

#[cfg(unix)]
fn restrict(file: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(file, fs::Permissions::from_mode(0o600))
}

#[cfg(not(unix))]
fn restrict(file: &Path) -> io::Result<()> {
    fs::metadata(file).map(drop)
}

fn station(dxpid: Option<&str>, as2_name: &str, as2: SocketAddr, console: SocketAddr) -> String {
    let dxpid = dxpid.map(|dxpid| format!("dxpid = \"{dxpid}\"\n")).unwrap_or_default();
    format!(
        r#"[station]
{dxpid}as2_name = "{as2_name}"
[[station.keys]]
certificate = "keys/station.crt"
private_key = "keys/station.key"
[folders]
# A demonstration may live on any filesystem; a real gateway may not.
allow_any_filesystem = true
[as2]
listen = "{as2}"
[console]
listen = "{console}"
[limits]
free_space_floor = "16MiB"
[log]
level = "warn"
"#
    )
}

fn customs_partner(as2: SocketAddr) -> String {
    format!(
        r#"as2_name = "{CUSTOMS}"
name = "Customs (testbed)"
url = "http://{as2}/as2"
profile = "dxp"
[[certificates]]
file = "keys/partner.crt"
[dxp]
import_receiver = "DXPEDCCEB0000002"
export_receiver = "DXPEDCCEB0000003"
[dxp.signature]
sign = true
certificate = "keys/declarations.crt"
private_key = "keys/declarations.key"
[agreement]
sign = "rsa-pkcs1"
digest = "sha-256"
encrypt = "aes256-cbc"
[agreement.mdn]
mode = "sync"
signed = true
[delivery]
private_network = true
"#
    )
}

fn enterprise_partner(as2: SocketAddr) -> String {
    format!(
        r#"as2_name = "{DXPID}"
name = "Enterprise"
url = "http://{as2}/as2"
profile = "plain"
[[certificates]]
file = "keys/partner.crt"
[delivery]
private_network = true
"#
    )
}
