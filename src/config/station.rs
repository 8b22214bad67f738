//! `[station]` of `gateway.toml`: who we are and the keys we hold.

use super::document::{Place, Section};
use super::material::{Reading, note, note_pair};
use super::quantity;
use crate::as2::As2Name;
use crate::bilingual;
use crate::cms::{Certificate, DecryptionKey, DigestAlgorithm, KeyTransport, PrivateKey};
use crate::ground::text::Bilingual;
use crate::keys::{KeyRing, KeyUses, StationKey, Window, load, specimen};
use crate::partner::{Environment, Station};

/// What was read of `[station]`, as far as it could be.
pub(super) struct StationDraft {
    /// The station, when nothing essential is missing.
    pub(super) station: Option<Station>,
    /// Where keys of `certs-example/` are configured.
    pub(super) specimens: Vec<Place>,
}

/// Reads the section. The URL and host of receipts come from `[as2]`, the environment from `[environment]`.
pub(super) fn read(
    section: &Section<'_>,
    reading: &Reading<'_>,
    receipt_url: Option<String>,
    message_id_host: Option<String>,
    environment: Environment,
) -> StationDraft {
    let dxpid = section.parsed("dxpid", dxpid);
    let as2_name = section.parsed("as2_name", as2_name);
    let has_identity = section.has("dxpid") || section.has("as2_name");
    if !has_identity {
        section.missing("as2_name");
    }
    let name = section.text("name");
    let mut specimens = Vec::new();
    let keys = keys(section, reading, &mut specimens);
    let identity = as2_name.or_else(|| dxpid.as_deref().and_then(|id| As2Name::from_plain(id).ok()));
    let station = identity.map(|as2_name| Station {
        message_id_host: message_id_host.unwrap_or_else(|| host_of(&as2_name)),
        dxpid,
        as2_name,
        name,
        environment,
        keys,
        receipt_url,
    });
    StationDraft { station, specimens }
}

/// An AS2 name as people write it (RFC 4130 6.2).
pub(super) fn as2_name(text: &str) -> Result<As2Name, Bilingual> {
    As2Name::from_plain(text).map_err(|_| {
        bilingual!(
            "不是 AS2 名称。应为 1 至 128 个可打印 ASCII 字符。",
            "not an AS2 name. Use 1 to 128 printable ASCII characters."
        )
    })
}

/// A DXPID: 1 to 16 ASCII letters and digits.
pub(super) fn dxpid(text: &str) -> Result<String, Bilingual> {
    let fits = (1..=16).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    fits.then(|| text.to_owned()).ok_or_else(|| {
        bilingual!(
            "不是 DXPID。应为海关核发的 1 至 16 位字母和数字。",
            "not a DXPID. It has 1 to 16 letters and digits, as issued by customs."
        )
    })
}

/// A right half for Message-IDs (RFC 5322 3.6.4) made of the AS2 name.
fn host_of(name: &As2Name) -> String {
    let host: String = name.as_str().chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
    if host.is_empty() { "dxgate".to_owned() } else { host }
}

fn keys(section: &Section<'_>, reading: &Reading<'_>, specimens: &mut Vec<Place>) -> KeyRing {
    let sections = section.sections("keys");
    if sections.is_empty() {
        let text = bilingual!(
            "没有配置本站密钥。请用 dxgate cert generate 生成，并加入 [[station.keys]]。",
            "the station has no key. Make one with dxgate cert generate and add it as [[station.keys]]."
        );
        section.error("keys", "station-without-key", text);
    }
    let mut keys = Vec::new();
    for section in &sections {
        if let Some(key) = key(section, reading) {
            if specimen::is_specimen(&key.certificate) {
                specimens.push(section.place(certificate_key(section)));
            }
            keys.push(key);
        }
    }
    let complete = keys.len() == sections.len();
    let ring = KeyRing::new(keys);
    if complete && !sections.is_empty() {
        check_ring(section, reading, &ring);
    }
    ring
}

fn check_ring(section: &Section<'_>, reading: &Reading<'_>, ring: &KeyRing) {
    if ring.signing_key(reading.now, None).is_none() {
        let text = bilingual!(
            "当前没有可用于签名的密钥：全部过期、未到启用时间或未标注用途 sign。请加入新密钥。",
            "no key signs now: all are expired, not yet begun or not for use \"sign\". Add one."
        );
        section.warning("keys", "no-active-signing-key", text);
    }
    if ring.decryption_keys().is_empty() {
        let text = bilingual!(
            "没有用途为 decrypt 的密钥，伙伴发来的加密报文将无法解密。",
            "no key is for use \"decrypt\": what partners encrypt for us cannot be opened."
        );
        section.warning("keys", "no-decryption-key", text);
    }
    if !are_told_apart(ring) {
        let text = bilingual!(
            "两把解密密钥的证书颁发者与序列号相同：收到的报文无法区分二者，按旧证书加密的报文将无法解密。请换用序列号不同的新证书。",
            "two keys for \"decrypt\" have certificates with the same issuer and serial number: messages cannot tell them apart, and what is encrypted to the older cannot be opened. Issue the new one with another serial number."
        );
        section.warning("keys", "keys-share-serial-number", text);
    }
}

/// Messages name the key that they are encrypted to by issuer and serial number; of those of one kind each has its own.
fn are_told_apart(ring: &KeyRing) -> bool {
    let keys = ring.decryption_keys();
    let alike = |one: &DecryptionKey, other: &DecryptionKey| {
        one.key.kind() == other.key.kind() && one.certificate.shares_its_name_with(&other.certificate)
    };
    keys.iter()
        .enumerate()
        .all(|(place, one)| !keys.iter().skip(place.saturating_add(1)).any(|other| alike(one, other)))
}

/// The key under which the certificate's file is named.
fn certificate_key(section: &Section<'_>) -> &'static str {
    if section.has("pkcs12") { "pkcs12" } else { "certificate" }
}

fn key(section: &Section<'_>, reading: &Reading<'_>) -> Option<StationKey> {
    let uses = uses(section);
    let transports = section.choices("transports", algorithm::<KeyTransport>);
    let window = wishes(section);
    let passphrase = reading.passphrase(section);
    let pkcs12 = reading.path(section, "pkcs12");
    let certificate_file = reading.path(section, "certificate");
    let key_file = reading.path(section, "private_key");
    let (file, read) = match (pkcs12, certificate_file, key_file) {
        (Some(file), None, None) => {
            let read = note(section, "pkcs12", load::pkcs12(&file, passphrase.as_ref()));
            (file, read)
        }
        (None, Some(file), Some(key_file)) => {
            let read = load::key_pair(&file, &key_file, passphrase.as_ref());
            let read = note_pair(section, &file, read);
            (file, read)
        }
        (Some(_), _, _) => {
            let text = bilingual!(
                "pkcs12 不能与 certificate、private_key 同时使用。请保留其一。",
                "pkcs12 excludes certificate and private_key. Keep one way."
            );
            section.error("pkcs12", "keys-exclusive", text);
            return None;
        }
        (None, certificate, _) => {
            section.missing(if certificate.is_none() { "certificate" } else { "private_key" });
            return None;
        }
    };
    let (certificate, key): (Certificate, PrivateKey) = read?;
    let place = certificate_key(section);
    reading.check_strength(section, place, &certificate);
    reading.report_expiry(section, place, &certificate, &file);
    let window = narrowed(section, &certificate, window);
    let transports = transports.unwrap_or_else(|| KeyTransport::ALL.to_vec());
    Some(StationKey { certificate, key, uses, window, transports, file, withheld: false })
}

fn uses(section: &Section<'_>) -> KeyUses {
    let mut uses = KeyUses { sign: true, decrypt: true };
    if let Some(named) = section.choices("use", |text| one_of(text, &["sign", "decrypt"])) {
        uses = KeyUses { sign: named.contains(&"sign"), decrypt: named.contains(&"decrypt") };
    }
    uses
}

/// The operator's wishes for the window: `from` and `until`.
pub(super) fn wishes(section: &Section<'_>) -> (Option<jiff::Timestamp>, Option<jiff::Timestamp>) {
    (section.parsed("from", quantity::instant), section.parsed("until", quantity::instant))
}

/// The window of a certificate under these wishes; wishes without effect are reported.
pub(super) fn narrowed(
    section: &Section<'_>,
    certificate: &Certificate,
    (from, until): (Option<jiff::Timestamp>, Option<jiff::Timestamp>),
) -> Window {
    let own = Window::of(certificate);
    for (key, wish) in [("from", from), ("until", until)] {
        if wish.is_some_and(|at| !own.holds(at)) {
            let (begin, end) = (own.from, own.until);
            let text = bilingual!(
                "不在证书有效期（{begin} 至 {end}）之内，证书有效期优先。",
                "lies outside the certificate's validity ({begin} to {end}), which wins."
            );
            section.warning(key, "window-outside-certificate", text);
        }
    }
    let window = Window::narrowed(certificate, from, until);
    if window.is_empty() {
        let text = bilingual!(
            "启用时间晚于停用时间，该证书永远不会使用。",
            "begins after it ends: the certificate is never used."
        );
        section.error(if from.is_some() { "from" } else { "until" }, "window-empty", text);
    }
    window
}

/// One of a few words.
pub(super) fn one_of<'w>(text: &str, words: &[&'w str]) -> Result<&'w str, Bilingual> {
    words.iter().copied().find(|word| *word == text).ok_or_else(|| expected(words))
}

/// An algorithm by its configuration name.
pub(super) fn algorithm<A: Named>(text: &str) -> Result<A, Bilingual> {
    A::named(text).ok_or_else(|| {
        let names: Vec<String> = A::choices().iter().map(ToString::to_string).collect();
        expected(&names.iter().map(String::as_str).collect::<Vec<&str>>())
    })
}

/// An algorithm with a closed list of configuration names.
pub(super) trait Named: Copy + std::fmt::Display + 'static {
    /// All of them.
    fn choices() -> &'static [Self];

    /// The one of this name.
    fn named(text: &str) -> Option<Self> {
        Self::choices().iter().copied().find(|one| one.to_string() == text)
    }
}

impl Named for KeyTransport {
    fn choices() -> &'static [Self] {
        KeyTransport::ALL
    }
}

impl Named for crate::cms::SignatureScheme {
    fn choices() -> &'static [Self] {
        crate::cms::SignatureScheme::ALL
    }
}

impl Named for crate::cms::ContentCipher {
    fn choices() -> &'static [Self] {
        crate::cms::ContentCipher::ALL
    }
}

impl Named for DigestAlgorithm {
    fn choices() -> &'static [Self] {
        const CHOICES: [DigestAlgorithm; 5] = [
            DigestAlgorithm::Sha1,
            DigestAlgorithm::Sha256,
            DigestAlgorithm::Sha384,
            DigestAlgorithm::Sha512,
            DigestAlgorithm::Sm3,
        ];
        &CHOICES
    }

    /// `sha-256` and `sha256` are both in use.
    fn named(text: &str) -> Option<Self> {
        DigestAlgorithm::parse(text)
    }
}

fn expected(words: &[&str]) -> Bilingual {
    let words = words.join(", ");
    bilingual!("应为以下之一：{words}。", "expected is one of {words}.")
}
