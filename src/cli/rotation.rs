//! `dxgate cert import` and `dxgate cert rotate`: a certificate comes into the home beside the one it follows.
//!
//! How it comes is [`crate::config::arrival`]'s business. A running gateway sees the changed file within seconds, and its audit
//! trail has the change.

use std::path::Path;

use jiff::Timestamp;
use jiff::{SignedDuration, Unit};

use super::Context;
use super::arguments::cert::{ImportArguments, RotateArguments};
use super::exit_code::ExitCode;
use super::failure::Failure;
use super::output;
use crate::bilingual;
use crate::cms::{Certificate, KeyKind, SignatureScheme};
use crate::config::arrival::{self, Arrival, ArrivalError, table};
use crate::config::{self, Config, home::quoted};
use crate::ground::clock::{Clock as _, SystemClock};
use crate::keys::StationKey;
use crate::keys::generate::{KeyRequest, generate};
use crate::keys::load::{self, KeyFileError};

/// A new key of ours signs from so many days on when nothing else is said: partners need time to take its certificate.
const NOTICE_DAYS: i64 = 14;

/// A partner's certificate, or, with a key, one of ours.
///
/// # Errors
/// A file that cannot be used, or a configuration that would not hold.
pub fn import(context: &mut Context<'_>, arguments: &ImportArguments) -> Result<ExitCode, Failure> {
    let config = context.config()?;
    let home = config::home_of(&context.global.config);
    let certificate = load::certificate(&arguments.certificate).map_err(|error| unusable(&error))?;
    let bytes = read(&arguments.certificate)?;
    let window = (arguments.from, arguments.until);
    let arrival = match (&arguments.partner, &arguments.key) {
        (Some(id), _) => {
            let partner = config.partners.by_id(id).ok_or_else(|| unknown(&config, id))?;
            known_already(&certificate, partner.certificates.certificates().iter().map(|held| &held.certificate))?;
            let uses: Vec<&str> = arguments.uses.iter().map(String::as_str).collect();
            Arrival::of_partner(home, (id, &partner.file), (&certificate, bytes), &uses, window)
        }
        (None, Some(key)) => {
            let passphrase = arguments.passphrase(context.environment)?;
            load::key_pair(&arguments.certificate, key, passphrase.as_ref()).map_err(|error| unusable(&error))?;
            let passphrase_file = arguments.passphrase_file.as_deref();
            let pair = Pair { certificate: &certificate, bytes: (bytes, read(key)?), passphrase_file };
            ours(&config, &context.global.config, pair, arguments.passphrase_env.as_deref(), window)?
        }
        // One of the two is required.
        (None, None) => return Err(Failure::new(ExitCode::Usage, "usage", bilingual!("缺少参数", "nothing to do"))),
    };
    put(context, &arrival)?;
    tell(context, &certificate, arguments.from, None)
}

/// A new key of ours, which follows the one that signs now.
///
/// # Errors
/// The key cannot be made, a file cannot be written, or the configuration would not hold.
pub fn rotate(context: &mut Context<'_>, arguments: &RotateArguments) -> Result<ExitCode, Failure> {
    let config = context.config()?;
    let now = SystemClock.now();
    let common_name = arguments.common_name.clone();
    let common_name = common_name.unwrap_or_else(|| config.station.as2_name.as_str().to_owned());
    let request = KeyRequest {
        common_name,
        organization: arguments.organization.clone(),
        hosts: Vec::new(),
        bits: arguments.bits,
        days: arguments.days,
    };
    let passphrase = arguments.passphrase(context.environment)?;
    let made = generate(&request, passphrase.as_ref(), now);
    let pair = made.map_err(|error| Failure::new(ExitCode::Usage, error.code(), error.text()))?;
    let certificate = Certificate::from_pem(&pair.certificate_pem).map_err(|error| {
        let text = bilingual!("新证书无法读取：{error}", "the new certificate cannot be read: {error}");
        Failure::new(ExitCode::Unreachable, "certificate-unreadable", text)
    })?;
    let later = now.checked_add(SignedDuration::from_hours(24 * NOTICE_DAYS)).and_then(|at| at.round(Unit::Hour));
    // Where the old key ends sooner, the new one begins with that: in between nothing could be signed.
    let end = end_of_signing(&config, certificate.key_kind(), now);
    let from = arguments.from.or_else(|| end.map(|end| later.unwrap_or(now).min(end)));
    let bytes = (pair.certificate_pem.clone(), pair.key_pem.expose().clone());
    let passphrase_file = arguments.passphrase_file.as_deref();
    let new = Pair { certificate: &certificate, bytes, passphrase_file };
    let arrival = ours(&config, &context.global.config, new, arguments.passphrase_env.as_deref(), (from, None))?;
    put(context, &arrival)?;
    tell(context, &certificate, from, Some(&arrival.certificate_file.0))
}

/// Until when something signs from now on without a gap as a key of this kind does; if none does now, as the key that signs
/// now. An agreement on one kind of signature is met by no other.
fn end_of_signing(config: &Config, new: Option<KeyKind>, now: Timestamp) -> Option<Timestamp> {
    let present = config.station.keys.signing_key(now, None)?.key.kind();
    let keys = config.station.keys.keys();
    let end = |kind: KeyKind| {
        let scheme = SignatureScheme::usual_for(kind);
        let until = |at: Timestamp| {
            let signs = |key: &&StationKey| key.uses.sign && scheme.fits(key.key.kind()) && key.window.holds(at);
            keys.iter().filter(signs).map(|key| key.window.until).max()
        };
        let mut end = until(now)?;
        while let Some(later) = end.checked_add(SignedDuration::from_secs(1)).ok().and_then(&until) {
            end = later;
        }
        Some(end)
    };
    new.and_then(&end).or_else(|| end(present))
}

/// A certificate and key of ours.
struct Pair<'a> {
    certificate: &'a Certificate,
    bytes: (Vec<u8>, Vec<u8>),
    passphrase_file: Option<&'a Path>,
}

fn ours(
    config: &Config,
    file: &Path,
    pair: Pair<'_>,
    passphrase_env: Option<&str>,
    window: (Option<Timestamp>, Option<Timestamp>),
) -> Result<Arrival, Failure> {
    let home = config::home_of(file);
    let keys = config.station.keys.keys();
    known_already(pair.certificate, keys.iter().map(|key| &key.certificate))?;
    let name = arrival::short(pair.certificate);
    let (certificate, key) = (format!("keys/station-{name}.crt"), format!("keys/station-{name}.key"));
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let passphrase_file = pair.passphrase_file.map(|path| quoted(&absolute(path).display().to_string()));
    let table = table(
        "station.keys",
        [
            ("certificate", Some(quoted(&certificate))),
            ("private_key", Some(quoted(&key))),
            ("passphrase_file", passphrase_file),
            ("passphrase_env", passphrase_env.map(quoted)),
        ],
        window,
    );
    Ok(Arrival {
        certificate_file: (home.join(certificate), pair.bytes.0),
        key_file: Some((home.join(key), pair.bytes.1)),
        configuration: (file.to_owned(), table),
    })
}

/// Puts it into the home; see [`Arrival::put`].
fn put(context: &Context<'_>, arrival: &Arrival) -> Result<(), Failure> {
    let put = arrival.put(&context.global.config, context.environment, SystemClock.now());
    put.map_err(|error| match error {
        ArrivalError::Unreadable(path, error) => Failure::file(&path, &error),
        ArrivalError::Unwritten(error) => Failure::new(ExitCode::Unreachable, error.code(), error.text()),
        ArrivalError::Problems(problems) => Failure::from(problems),
    })
}

fn tell(
    context: &mut Context<'_>,
    certificate: &Certificate,
    from: Option<Timestamp>,
    for_partners: Option<&Path>,
) -> Result<ExitCode, Failure> {
    let voice = &mut context.voice;
    let fingerprint = certificate.fingerprint();
    if voice.json {
        voice.value(&serde_json::json!({
            "fingerprint": fingerprint.to_string(), "subject": certificate.subject(), "from": from,
            "notAfter": certificate.not_after(), "certificate": for_partners,
        }))?;
        return Ok(ExitCode::Done);
    }
    let (subject, begins) = (certificate.subject(), output::local_time(from.unwrap_or(certificate.not_before())));
    voice.say(&bilingual!(
        "{subject}：自 {begins} 起使用；运行中的网关数秒内生效",
        "{subject}: used from {begins}; a running gateway knows of it within seconds"
    ))?;
    if let Some(file) = for_partners {
        let file = file.display();
        voice.say(&bilingual!(
            "请在此之前把 {file} 交给各伙伴；旧密钥在此之前继续签名，此后仍可解密",
            "give {file} to your partners before that; the old key signs until then and decrypts afterwards too"
        ))?;
    }
    voice.line(&format!("SHA-256 {fingerprint}"))?;
    Ok(ExitCode::Done)
}

fn known_already<'c>(new: &Certificate, mut known: impl Iterator<Item = &'c Certificate>) -> Result<(), Failure> {
    if !known.any(|known| known.fingerprint() == new.fingerprint()) {
        return Ok(());
    }
    let fingerprint = new.fingerprint();
    let text = bilingual!("证书 {fingerprint} 已在配置中。", "the certificate {fingerprint} is configured already.");
    Err(Failure::new(ExitCode::No, "certificate-known", text))
}

fn unknown(config: &Config, id: &str) -> Failure {
    let known: Vec<&str> = config.partners.all().map(|partner| partner.id.as_str()).collect();
    let known = known.join(", ");
    let text = bilingual!("没有伙伴 {id}。已配置：{known}。", "there is no partner {id}. Configured are: {known}.");
    Failure::new(ExitCode::Usage, "partner-unknown", text)
}

fn unusable(error: &KeyFileError) -> Failure {
    Failure::new(ExitCode::Usage, error.code(), error.text())
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(file).map_err(|error| Failure::file(file, &error))
}
