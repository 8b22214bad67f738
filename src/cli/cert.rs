//! `dxgate cert …`: `list` reads the configuration, `status` asks the running gateway, `generate` makes a pair.

use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;

use super::Context;
use super::api_client::{ApiClient, block_on};
use super::doctor::print_problems;
use super::exit_code::ExitCode;
use super::failure::Failure;
use super::output;
use super::voice::{Tone, Voice};
use crate::bilingual;
use crate::cms::Certificate;
use crate::config::{self, Environment};
use crate::console::wire::partners::{CertificateList, CertificateWire};
use crate::declaration::dsig::Algorithm;
use crate::ground::durable;
use crate::ground::secret::Secret;
use crate::keys::generate::{KeyRequest, generate, generate_sm2};
use crate::keys::{CertificateUses, Expiry, Window, declarations, save, specimen};

/// What `cert list` shows of one certificate.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    /// `station` or the partner's id.
    holder: String,
    uses: Vec<&'static str>,
    subject: String,
    fingerprint: String,
    algorithm: &'static str,
    bits: u32,
    from: Timestamp,
    until: Timestamp,
    not_after: Timestamp,
    active: bool,
    /// `certificate-expired`, `certificate-expires-soon` or nothing.
    expiry: Option<&'static str>,
    example: bool,
    file: PathBuf,
}

/// Every certificate of the home. Exit code 1 when one has expired or will within thirty days.
///
/// # Errors
/// The output is closed.
pub fn list(file: &Path, environment: Environment<'_>, now: Timestamp, voice: &mut Voice<'_>) -> io::Result<ExitCode> {
    let config = match config::load(file, environment, now) {
        Ok(config) => config,
        Err(problems) => {
            print_problems(&problems.problems, voice)?;
            return Ok(ExitCode::Usage);
        }
    };
    let keys = config.station.keys.keys();
    let ours = keys.iter().map(|key| {
        let uses = words(&[("sign", key.uses.sign), ("decrypt", key.uses.decrypt)]);
        row("station", uses, &key.certificate, key.window, &key.file, now)
    });
    let theirs = config.partners.all().flat_map(|partner| {
        partner.certificates.certificates().iter().map(move |one| {
            let CertificateUses { verify, encrypt, tls, client } = one.uses;
            let uses = words(&[
                ("verify", verify),
                ("encrypt", encrypt),
                ("tls", tls),
                ("client", client),
                ("carried", one.uses.is_none()),
            ]);
            let row = row(&partner.id, uses, &one.certificate, one.window, &one.file, now);
            Row { active: row.active && !one.revoked, ..row }
        })
    });
    let signing = config.partners.all().filter_map(|partner| {
        let key = partner.dxp.as_ref()?.signature.key.as_ref()?;
        let certificate = key.signer.certificate();
        Some(row(&partner.id, vec!["sign-declarations"], certificate, Window::of(certificate), &key.file, now))
    });
    let rows: Vec<Row> = ours.chain(signing).chain(theirs).collect();
    if voice.json {
        voice.value(&rows)?;
    } else {
        for row in &rows {
            print(row, voice)?;
        }
    }
    Ok(if rows.iter().any(|row| row.expiry.is_some()) { ExitCode::No } else { ExitCode::Done })
}

/// Certificates as the running gateway uses them. Exit code 1 when one that is used has ended or will within thirty days.
pub fn status(context: &mut Context<'_>, watch: Option<u16>) -> Result<ExitCode, Failure> {
    let api = ApiClient::from_config(context)?;
    output::watched(&mut context.voice, watch, |voice| {
        let list: CertificateList = block_on(api.get("/api/v1/certificates"))?;
        print_status(voice, &list)?;
        let ends = |one: &CertificateWire| one.active && one.days_left < SOON;
        Ok(if list.certificates.iter().any(ends) { ExitCode::No } else { ExitCode::Done })
    })
}

/// Days before the end of a certificate from which on its end is near.
const SOON: i64 = 30;

fn print_status(voice: &mut Voice<'_>, list: &CertificateList) -> io::Result<()> {
    if voice.json {
        return voice.value(list);
    }
    let headings = [
        bilingual!("所有者", "owner"),
        bilingual!("用途", "uses"),
        bilingual!("主体", "subject"),
        bilingual!("密钥", "key"),
        bilingual!("有效期至", "valid until"),
        bilingual!("剩余天数", "days left"),
        bilingual!("状态", "state"),
        bilingual!("SHA-256", "SHA-256"),
    ];
    let language = voice.language;
    let row = |one: &CertificateWire| {
        let state = match (one.days_left, one.active) {
            (..0, _) => bilingual!("已过期", "expired"),
            (_, false) => bilingual!("未生效", "not active"),
            (..SOON, true) => bilingual!("即将过期", "expires soon"),
            (_, true) => bilingual!("生效", "active"),
        };
        vec![
            one.partner.clone().unwrap_or_else(|| one.owner.clone()),
            one.uses.join("+"),
            one.subject.clone(),
            one.algorithm.clone(),
            output::local_time(one.not_after),
            one.days_left.to_string(),
            state.text(language).to_owned(),
            one.fingerprint.clone(),
        ]
    };
    let rows: Vec<Vec<String>> = list.certificates.iter().map(row).collect();
    let tones: Vec<_> = list.certificates.iter().map(tone).collect();
    output::toned_table(voice, &headings, &rows, (6, &tones))
}

fn tone(one: &CertificateWire) -> Option<Tone> {
    match (one.days_left, one.active) {
        (..0, _) => Some(Tone::Bad),
        (..SOON, true) => Some(Tone::Notable),
        (_, true) => Some(Tone::Good),
        (_, false) => None,
    }
}

/// Where a new pair goes.
#[derive(Debug, Clone)]
pub struct GenerateTarget {
    /// The certificate's file; must not exist.
    pub certificate: PathBuf,
    /// The key's file; must not exist.
    pub key: PathBuf,
}

/// What a new key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Messages: AS2, or TLS when it names hosts.
    Messages,
    /// Messages under an agreement on SM2, SM3 and SM4.
    Sm2Messages,
    /// The signature inside declarations.
    Declarations(Algorithm),
}

/// Makes a key with a self-signed certificate. The key is encrypted when a passphrase is given.
///
/// # Errors
/// The output is closed.
pub fn make(
    (request, purpose): (&KeyRequest, Purpose),
    target: &GenerateTarget,
    passphrase: Option<&Secret<String>>,
    now: Timestamp,
    voice: &mut Voice<'_>,
) -> io::Result<ExitCode> {
    let made = match purpose {
        Purpose::Messages => generate(request, passphrase, now),
        Purpose::Sm2Messages => generate_sm2(request, passphrase, now),
        Purpose::Declarations(algorithm) => declarations::generate(request, algorithm, passphrase, now),
    };
    let pair = match made {
        Ok(pair) => pair,
        Err(error) => {
            voice.failure(error.code(), &error.text())?;
            return Ok(ExitCode::Usage);
        }
    };
    // The key first: a certificate whose key was lost is the worse half to be left with.
    let written = save::private(&target.key, pair.key_pem.expose())
        .and_then(|()| durable::write_new(&target.certificate, &pair.certificate_pem));
    if let Err(error) = written {
        voice.failure(error.code(), &error.text())?;
        return Ok(ExitCode::Unreachable);
    }
    let fingerprint = Certificate::from_pem(&pair.certificate_pem).map(|made| made.fingerprint().to_string()).ok();
    if voice.json {
        voice.value(&serde_json::json!({
            "certificate": target.certificate, "privateKey": target.key, "fingerprint": fingerprint,
        }))?;
        return Ok(ExitCode::Done);
    }
    let (certificate, key) = (target.certificate.display(), target.key.display());
    let fingerprint = fingerprint.unwrap_or_default();
    voice.say(&match purpose {
        Purpose::Messages | Purpose::Sm2Messages => {
            bilingual!("证书 {certificate}（交给伙伴）", "certificate {certificate} (for your partners)")
        }
        Purpose::Declarations(_) => bilingual!(
            "证书 {certificate}（自签名，仅供测试；正式证书由海关核发）",
            "certificate {certificate} (its own issuer, for tests; customs issues the real ones)"
        ),
    })?;
    voice.say(&bilingual!("私钥 {key}（请妥善保管）", "private key {key} (keep it to yourself)"))?;
    voice.line(&format!("SHA-256 {fingerprint}"))?;
    Ok(ExitCode::Done)
}

fn row(
    holder: &str,
    uses: Vec<&'static str>,
    certificate: &Certificate,
    window: Window,
    file: &Path,
    now: Timestamp,
) -> Row {
    Row {
        holder: holder.to_owned(),
        uses,
        subject: certificate.subject(),
        fingerprint: certificate.fingerprint().to_string(),
        algorithm: certificate.key_algorithm(),
        bits: certificate.key_bits(),
        from: window.from,
        until: window.until,
        not_after: certificate.not_after(),
        active: window.holds(now),
        expiry: Expiry::of(certificate, file, now).map(|expiry| expiry.code()),
        example: specimen::is_specimen(certificate),
        file: file.to_owned(),
    }
}

fn print(row: &Row, voice: &mut Voice<'_>) -> io::Result<()> {
    let Row { holder, subject, algorithm, bits, from, until, fingerprint, .. } = row;
    let mut notes =
        vec![if row.active { bilingual!("生效", "active") } else { bilingual!("未生效", "not active") }];
    match row.expiry {
        Some("certificate-expired") => notes.push(bilingual!("已过期", "expired")),
        Some(_) => notes.push(bilingual!("即将过期", "expires soon")),
        None => {}
    }
    if row.example {
        notes.push(bilingual!("公开的示例密钥", "published example key"));
    }
    let notes: Vec<&str> = notes.iter().map(|note| note.text(voice.language)).collect();
    let (uses, notes) = (row.uses.join("+"), notes.join(", "));
    voice.line(&format!("{holder}  {uses}  {subject}  {algorithm}-{bits}  {from} – {until}  {notes}"))?;
    voice.line(&format!("    SHA-256 {fingerprint}  {}", row.file.display()))
}

fn words(uses: &[(&'static str, bool)]) -> Vec<&'static str> {
    uses.iter().filter(|(_, used)| *used).map(|(word, _)| *word).collect()
}
