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
pub(in crate::cli) const DXPID: &str = "DXPENT0000012345";
/// AS2 name of the demonstration's customs side.
const CUSTOMS: &str = "DXPEDCCEB0000002";
/// The partner's id in the enterprise's home.
pub(in crate::cli) const PARTNER: &str = "customs";

/// Where everything lies.
pub(in crate::cli) struct Homes {
    pub(in crate::cli) enterprise: PathBuf,
    pub(in crate::cli) customs: PathBuf,
}

/// What the homes shall be like.
pub(in crate::cli) struct HomesPlan<'p> {
    /// The enterprise's.
    pub(in crate::cli) dxpid: &'p str,
    /// The customs side in the enterprise's home.
    pub(in crate::cli) partner: &'p str,
    /// The enterprise has a URL for asynchronous MDNs.
    pub(in crate::cli) asynchronous: bool,
    /// The customs side serves TLS, its certificate pinned.
    pub(in crate::cli) tls: bool,
}

impl Default for HomesPlan<'_> {
    fn default() -> Self {
        HomesPlan { dxpid: DXPID, partner: PARTNER, asynchronous: false, tls: false }
    }
}

impl Homes {
    /// Writes both homes below `root`.
    pub(in crate::cli) fn create(root: &Path, plan: &HomesPlan<'_>, now: Timestamp) -> io::Result<Homes> {
        let homes = Homes { enterprise: root.join("enterprise"), customs: root.join("customs") };
        let [as2, console, their_as2, their_console] = free_ports()?;
        let ours = key_pair("Demo Enterprise", now)?;
        let theirs = key_pair("Demo Customs", now)?;
        let mut gateway = station(Some(plan.dxpid), plan.dxpid, as2, console);
        if plan.asynchronous {
            gateway = with_as2(&gateway, &format!("public_url = \"http://{as2}/as2\"\n"));
        }
        let partner = customs_partner(their_as2, plan.tls);
        home(&homes.enterprise, &gateway, plan.partner, &partner, [&ours, &theirs])?;
        declarations_key(&homes.enterprise.join("keys"), now)?;
        let partner = enterprise_partner(as2, plan.dxpid);
        let mut gateway = station(None, CUSTOMS, their_as2, their_console);
        if plan.tls {
            gateway.push_str("[as2.tls]\ncertificate = \"keys/tls.crt\"\nprivate_key = \"keys/tls.key\"\n");
        }
        home(&homes.customs, &gateway, "enterprise", &partner, [&theirs, &ours])?;
        if plan.tls {
            homes.tls_key(now)?;
        }
        Ok(homes)
    }

    /// The key of the customs side's server; the enterprise pins its certificate.
    fn tls_key(&self, now: Timestamp) -> io::Result<()> {
        let pair = tls_pair(now)?;
        let keys = self.customs.join("keys");
        durable::write_new(&keys.join("tls.crt"), &pair.certificate_pem)?;
        save::private(&keys.join("tls.key"), pair.key_pem.expose())?;
        Ok(durable::write_new(&self.enterprise.join("keys/customs-tls.crt"), &pair.certificate_pem)?)
    }

    /// A folder of the enterprise's exchange with customs.
    pub(in crate::cli) fn folder(&self, name: &str) -> PathBuf {
        self.enterprise.join("exchange").join(PARTNER).join(name)
    }
}

/// Adds a line to the table `[as2]`.
fn with_as2(gateway: &str, line: &str) -> String {
    gateway.replacen("[as2]\n", &format!("[as2]\n{line}"), 1)
}

fn tls_pair(now: Timestamp) -> io::Result<KeyPair> {
    let request = KeyRequest {
        common_name: "Demo Customs Server".to_owned(),
        organization: None,
        hosts: vec!["127.0.0.1".to_owned()],
        bits: 256,
        days: 30,
    };
    generate(&request, None, now).map_err(io::Error::other)
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
[environment]
name = "test"
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

fn customs_partner(as2: SocketAddr, tls: bool) -> String {
    let (scheme, pinned) = if tls {
        ("https", "[[certificates]]\nfile = \"keys/customs-tls.crt\"\nuse = [\"tls\"]\n")
    } else {
        ("http", "")
    };
    format!(
        r#"as2_name = "{CUSTOMS}"
name = "Customs (testbed)"
url = "{scheme}://{as2}/as2"
profile = "dxp"
[[certificates]]
file = "keys/partner.crt"
{pinned}[dxp]
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

fn enterprise_partner(as2: SocketAddr, dxpid: &str) -> String {
    format!(
        r#"as2_name = "{dxpid}"
name = "Enterprise"
url = "http://{as2}/as2"
profile = "plain"
[[certificates]]
file = "keys/partner.crt"
[delivery]
private_network = true
# Who rehearses stops and starts the enterprise and does not want to wait for its receipts.
retry = ["1s", "2s", "5s", "10s", "30s", "1m"]
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::environment_at;
    use crate::ground::clock::{Clock as _, SystemClock};
    use crate::partner::EnvironmentName;

    #[test]
    fn both_homes_say_that_they_are_no_production() {
        let root = tempfile::tempdir().unwrap();
        let homes = Homes::create(root.path(), &HomesPlan::default(), SystemClock.now()).unwrap();
        for home in [&homes.enterprise, &homes.customs] {
            assert_eq!(environment_at(&home.join("gateway.toml")), Some(EnvironmentName::Test), "{}", home.display());
        }
    }
}
