//! `[dxp.signature]` of a partner file: how declarations are signed.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::document::Section;
use super::material::{Reading, note, note_pair};
use super::station::one_of;
use crate::bilingual;
use crate::declaration::dsig::{Algorithm, DocumentSigner as _, KeySigner};
use crate::ground::text::Bilingual;
use crate::keys::declarations;
use crate::partner::{DocumentKey, DocumentSigning};

/// Most signatures a second that can be set.
const FASTEST: f64 = 10_000.0;
/// Longest pause between two signatures, for `rate = 0.01`.
const SLOWEST: f64 = 0.01;

/// Reads the table; an absent one means that nothing is signed and signatures that are there are verified.
pub(super) fn read(section: &Section<'_>, reading: &Reading<'_>) -> DocumentSigning {
    let sign = section.boolean("sign", false);
    let envelope = section.boolean("envelope", false);
    let verify = section.parsed("signed", |text| one_of(text, &["verify", "keep"])) != Some("keep");
    let algorithm = section.parsed("algorithm", algorithm);
    let key_name = section.parsed("key_name", key_name);
    let interval = interval(section);
    let enterprise = enterprise(section);
    let key = key(section, reading, sign);
    if let (Some((signer, _)), Some(wanted)) = (&key, algorithm)
        && signer.algorithm() != wanted
    {
        let text = bilingual!(
            "密钥类型与 algorithm 不符：\"sm2\" 需要 SM2 密钥，\"rsa-sha1\" 需要 RSA 密钥。请更换密钥或更正此项。",
            "the key is of another kind: \"sm2\" needs an SM2 key, \"rsa-sha1\" an RSA key. Change the key or this value."
        );
        section.error("algorithm", "signing-key-algorithm", text);
    }
    if !sign && (key.is_some() || envelope) {
        let text = bilingual!(
            "sign = false，网关不会签名；密钥和 envelope 不起作用。请设置 sign = true 或删除这些配置项。",
            "sign is false, so the gateway signs nothing: key and envelope have no effect. Set sign = true or remove them."
        );
        section.warning("sign", "signing-key-unused", text);
    }
    let key = key.filter(|_| sign).map(|(signer, file)| {
        let signer = Arc::new(signer.named(key_name));
        DocumentKey { signer, interval, file }
    });
    DocumentSigning { envelope: envelope && key.is_some(), key, verify, enterprise }
}

fn algorithm(text: &str) -> Result<Algorithm, Bilingual> {
    one_of(text, &["sm2", "rsa-sha1"]).map(|name| match name {
        "sm2" => Algorithm::Sm2Sm3,
        _ => Algorithm::RsaSha1,
    })
}

/// `KeyName`: printable, without markup.
fn key_name(text: &str) -> Result<String, Bilingual> {
    let fits = (1..=128).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"<>&\"'".contains(&byte));
    fits.then(|| text.to_owned()).ok_or_else(|| {
        bilingual!(
            "不是 KeyName。应为 1 至 128 个可打印 ASCII 字符，不含空格和 < > & 引号。",
            "not a KeyName. Use 1 to 128 printable ASCII characters without blanks, quotes, <, > and &."
        )
    })
}

/// `rate` is signatures a second; 0 means as many as the processor can.
fn interval(section: &Section<'_>) -> Duration {
    let rate = section.fraction("rate", 0.0, 0.0, FASTEST);
    if rate == 0.0 { Duration::ZERO } else { Duration::from_secs_f64(1.0 / rate.max(SLOWEST)) }
}

fn enterprise(section: &Section<'_>) -> Option<(String, String)> {
    let (code, name) = (section.text("enterprise_code"), section.text("enterprise_name"));
    match (code, name) {
        (Some(code), Some(name)) => Some((code, name)),
        (None, None) => None,
        (code, _) => {
            section.missing(if code.is_none() { "enterprise_code" } else { "enterprise_name" });
            None
        }
    }
}

/// The signer and the file that holds its certificate.
fn key(section: &Section<'_>, reading: &Reading<'_>, wanted: bool) -> Option<(KeySigner, PathBuf)> {
    let passphrase = reading.passphrase(section);
    let pkcs12 = reading.path(section, "pkcs12");
    let certificate = reading.path(section, "certificate");
    let private_key = reading.path(section, "private_key");
    let (place, file, signer) = match (pkcs12, certificate, private_key) {
        (Some(file), None, None) => {
            let read = declarations::from_pkcs12(&file, passphrase.as_ref());
            ("pkcs12", file, note(section, "pkcs12", read)?)
        }
        (None, Some(file), Some(key)) => {
            let read = declarations::from_pair(&file, &key, passphrase.as_ref());
            let signer = note_pair(section, &file, read)?;
            ("certificate", file, signer)
        }
        (None, None, None) => {
            if wanted {
                section.missing("certificate");
            }
            return None;
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
    reading.report_expiry(section, place, signer.certificate(), &file);
    Some((signer, file))
}
