//! Keys and certificates made for one run.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::extension::SubjectKeyIdentifier;
use openssl::x509::{X509, X509NameBuilder};

/// A party: private key and self-signed certificate, in memory and as PEM files.
pub struct Party {
    pub key: PKey<Private>,
    pub certificate: X509,
    pub key_file: PathBuf,
    pub certificate_file: PathBuf,
    /// Key and certificate in one file, as the peers want them.
    pub bundle_file: PathBuf,
}

/// The gateway under test.
pub fn ours() -> &'static Party {
    &PARTIES.0
}

/// Its partner.
pub fn theirs() -> &'static Party {
    &PARTIES.1
}

/// Somebody nobody has an agreement with.
pub fn stranger() -> &'static Party {
    &PARTIES.2
}

/// Two who exchange messages.
#[derive(Clone, Copy)]
pub struct Pair {
    pub ours: &'static Party,
    pub theirs: &'static Party,
    /// Lines of `[agreement]` that their keys need, beside the defaults.
    pub agreement: &'static str,
}

/// [`ours`] and [`theirs`].
pub fn rsa() -> Pair {
    Pair { ours: ours(), theirs: theirs(), agreement: "" }
}

/// The same two with EC keys on P-256.
pub fn p256() -> Pair {
    Pair { ours: &P256.0, theirs: &P256.1, agreement: ELLIPTIC }
}

/// The same two with EC keys on P-384.
pub fn p384() -> Pair {
    Pair { ours: &P384.0, theirs: &P384.1, agreement: ELLIPTIC }
}

const ELLIPTIC: &str = "sign = \"ecdsa\"\nkey_transport = \"ecdh-sha256\"";
static P256: LazyLock<(Party, Party)> = LazyLock::new(|| elliptic_parties("p256", Nid::X9_62_PRIME256V1));
static P384: LazyLock<(Party, Party)> = LazyLock::new(|| elliptic_parties("p384", Nid::SECP384R1));

fn elliptic_parties(name: &str, curve: Nid) -> (Party, Party) {
    let folder = folder(&format!("{name}-keys"));
    let group = EcGroup::from_curve_name(curve).unwrap();
    let key = || PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
    (party(&folder, "ours", key()), party(&folder, "theirs", key()))
}

/// The gateway under test, with an SM2 key made by the program.
pub fn sm2_ours() -> &'static Party {
    &SM2_PARTIES.0
}

/// Its partner, likewise.
pub fn sm2_theirs() -> &'static Party {
    &SM2_PARTIES.1
}

static SM2_PARTIES: LazyLock<(Party, Party)> = LazyLock::new(|| {
    let folder = folder("sm2-keys");
    (sm2_party(&folder, "ours"), sm2_party(&folder, "theirs"))
});

fn sm2_party(folder: &Path, name: &str) -> Party {
    let file = |suffix: &str| folder.join(format!("{name}.{suffix}"));
    for suffix in ["crt", "key"] {
        let _ = fs::remove_file(file(suffix));
    }
    let certificate_file = file("crt");
    let out = certificate_file.to_str().unwrap();
    let made = super::gateway::run(&["cert", "generate", "--sm2", "--common-name", name, "--out", out]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let (key_pem, certificate_pem) = (fs::read(file("key")).unwrap(), fs::read(&certificate_file).unwrap());
    fs::write(file("pem"), [key_pem.as_slice(), &certificate_pem].concat()).unwrap();
    Party {
        key: PKey::private_key_from_pem(&key_pem).unwrap(),
        certificate: X509::from_pem(&certificate_pem).unwrap(),
        key_file: file("key"),
        certificate_file,
        bundle_file: file("pem"),
    }
}

static PARTIES: LazyLock<(Party, Party, Party)> = LazyLock::new(|| {
    let folder = folder("keys");
    let key = || PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
    (party(&folder, "ours", key()), party(&folder, "theirs", key()), party(&folder, "stranger", key()))
});

/// A folder of this process.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn party(folder: &Path, name: &str, key: PKey<Private>) -> Party {
    let certificate = certificate(name, &key);
    files(folder, name, key, certificate)
}

/// A party of a test's own making.
#[allow(dead_code, reason = "the benches make none")]
pub fn kept(folder: &Path, name: &str, key: PKey<Private>, certificate: X509) -> &'static Party {
    Box::leak(Box::new(files(folder, name, key, certificate)))
}

fn files(folder: &Path, name: &str, key: PKey<Private>, certificate: X509) -> Party {
    let key_pem = key.private_key_to_pem_pkcs8().unwrap();
    let certificate_pem = certificate.to_pem().unwrap();
    let file = |suffix: &str, content: &[u8]| {
        let path = folder.join(format!("{name}.{suffix}"));
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    };
    Party {
        key_file: file("key", &key_pem),
        certificate_file: file("crt", &certificate_pem),
        bundle_file: file("pem", &[key_pem, certificate_pem].concat()),
        key,
        certificate,
    }
}

fn certificate(name: &str, key: &PKey<Private>) -> X509 {
    let mut subject = X509NameBuilder::new().unwrap();
    subject.append_entry_by_text("C", "CN").unwrap();
    subject.append_entry_by_text("CN", name).unwrap();
    let subject = subject.build();
    let mut serial = BigNum::new().unwrap();
    serial.rand(120, MsbOption::MAYBE_ZERO, false).unwrap();
    let now = jiff::Timestamp::now().as_second();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder.set_serial_number(&serial.to_asn1_integer().unwrap()).unwrap();
    builder.set_subject_name(&subject).unwrap();
    builder.set_issuer_name(&subject).unwrap();
    builder.set_pubkey(key).unwrap();
    builder.set_not_before(&Asn1Time::from_unix(now - 86_400).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::from_unix(now + 400 * 86_400).unwrap()).unwrap();
    let identifier = SubjectKeyIdentifier::new().build(&builder.x509v3_context(None, None)).unwrap();
    builder.append_extension(identifier).unwrap();
    builder.sign(key, MessageDigest::sha256()).unwrap();
    builder.build()
}
