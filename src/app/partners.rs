//! Partners, certificates and the station as the console shows them.

use jiff::Timestamp;

use super::backend::{GatewayBackend, refusal};
use super::listeners::Whose;
use crate::as2::{Compression, MdnMode};
use crate::bilingual;
use crate::cms::Certificate;
use crate::config::{Problem, Severity};
use crate::console::Refusal;
use crate::console::wire::partners::{
    CertificateWire, PartnerCheck, PartnerDetail, PartnerWire, PauseWire, ProblemLine, SettingWire, StationWire,
    WaiverWire,
};
use crate::keys::{CertificateUses, Window};
use crate::partner::{Partner, PlanError};
use crate::store::trail::Change;

/// Messages of one partner that are counted.
const COUNTED: usize = 10_000;

/// Every partner (blocking I/O).
pub(super) fn all(backend: &GatewayBackend) -> Vec<PartnerWire> {
    backend.directory.load().all().map(|partner| line(backend, partner)).collect()
}

/// One partner (blocking I/O).
pub(super) fn detail(backend: &GatewayBackend, id: &str) -> Option<PartnerDetail> {
    let directory = backend.directory.load();
    let partner = directory.by_id(id)?;
    let waivers = partner.waivers.0.iter().map(|waiver| WaiverWire {
        algorithm: waiver.algorithm.name().to_owned(),
        until: waiver.until,
        reason: waiver.reason.clone(),
    });
    Some(PartnerDetail {
        line: line(backend, partner),
        agreement: agreement(partner),
        certificates: theirs(partner, backend.clock.now()),
        waivers: waivers.collect(),
    })
}

fn line(backend: &GatewayBackend, partner: &Partner) -> PartnerWire {
    let now = backend.clock.now();
    let certificates = partner.certificates.certificates().iter().map(|held| held.certificate.not_after());
    let pause = backend.store.pauses().remove(&partner.id);
    PartnerWire {
        id: partner.id.clone(),
        as2_name: partner.as2_name.as_str().to_owned(),
        name: partner.name.clone(),
        profile: partner.profile.as_str().to_owned(),
        url: partner.url.as_str().to_owned(),
        enabled: partner.enabled,
        paused: pause.map(|pause| PauseWire { at: pause.at, by: pause.by, reason: pause.reason }),
        down: backend.outbound.is_down(&partner.id),
        waiting: backend.store.queue_of(&partner.id, now, COUNTED).waiting,
        certificate_until: certificates.filter(|until| *until >= now).min(),
    }
}

pub(super) fn agreement(partner: &Partner) -> Vec<SettingWire> {
    let agreement = &partner.agreement;
    let none = || "none".to_owned();
    let mdn = match &agreement.mdn.ask.mode {
        MdnMode::None => none(),
        MdnMode::Sync => "sync".to_owned(),
        MdnMode::Async { url } => format!("async to {url}"),
    };
    let compress = match agreement.compress {
        Compression::None => "none",
        Compression::BeforeSigning => "before-signing",
        Compression::AfterSigning => "after-signing",
    };
    let must = |must: bool| if must { "required" } else { "optional" }.to_owned();
    let setting = |name: &str, value: String| SettingWire { name: name.to_owned(), value };
    vec![
        setting("sign", agreement.sign.map_or_else(none, |scheme| format!("{scheme} {}", agreement.digest))),
        setting("encrypt", agreement.encrypt.map_or_else(none, |cipher| cipher.to_string())),
        setting("key_transport", agreement.key_transport.to_string()),
        setting("compress", compress.to_owned()),
        setting("mdn", mdn),
        setting("mdn_signed", if agreement.mdn.ask.signed { "yes" } else { "no" }.to_owned()),
        setting("accept_signature", must(partner.accept.signature)),
        setting("accept_encryption", must(partner.accept.encryption)),
        setting("concurrency", partner.delivery.concurrency.to_string()),
        setting("give_up_after", format!("{}s", partner.delivery.retry.give_up_after.as_secs())),
    ]
}

/// What keeps messages from being exchanged with a partner now.
pub(super) fn check(backend: &GatewayBackend, id: &str) -> Option<PartnerCheck> {
    let directory = backend.directory.load();
    let partner = directory.by_id(id)?;
    let problems = backend.reloading.problems();
    let own = problems.iter().filter(|problem| problem.file == partner.file);
    let mut findings: Vec<ProblemLine> = own.map(problem_line).collect();
    let now = backend.clock.now();
    match partner.send_plan(&backend.config.station, now, None, None) {
        Ok(_) => {}
        Err(error) => findings.push(ProblemLine {
            severity: if error == PlanError::Disabled { "warning" } else { "error" }.to_owned(),
            code: error.code().to_owned(),
            file: file_name(&partner.file),
            line: None,
            key: String::new(),
            text: error.text(),
        }),
    }
    if partner.trusted(now).is_empty() && partner.accept.signature {
        let text = bilingual!(
            "没有当前有效的伙伴证书可验证其签名，对方的报文将被拒收。请向对方索取新证书。",
            "no certificate of the partner verifies signatures now: its messages are refused. Obtain a new one."
        );
        let code = "no-active-verification-certificate".to_owned();
        let file = file_name(&partner.file);
        findings.push(ProblemLine { severity: "error".to_owned(), code, file, line: None, key: String::new(), text });
    }
    Some(checked(findings, 1))
}

/// Reads the configuration again now (blocking I/O).
pub(super) fn reload(backend: &GatewayBackend, asked: &Change) -> Result<PartnerCheck, Refusal> {
    let read = backend.reloading.read_again(asked);
    let problems = read.map_err(|untaken| refusal(503, untaken.code(), untaken.text()))?;
    let partners = backend.directory.load().all().len();
    Ok(checked(problems.iter().map(problem_line).collect(), partners))
}

fn checked(findings: Vec<ProblemLine>, partners: usize) -> PartnerCheck {
    let ok = findings.iter().all(|finding| finding.severity != "error");
    PartnerCheck { ok, partners: u64::try_from(partners).unwrap_or(u64::MAX), findings }
}

/// The folder is the operator's business, not every viewer's.
fn problem_line(problem: &Problem) -> ProblemLine {
    ProblemLine {
        severity: if problem.severity == Severity::Error { "error" } else { "warning" }.to_owned(),
        code: problem.code.to_owned(),
        file: file_name(&problem.file),
        line: problem.line.and_then(|line| u64::try_from(line).ok()),
        key: problem.key.clone(),
        text: problem.text.clone(),
    }
}

fn file_name(path: &std::path::Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Certificates of the station, also of what signs declarations, of the console and of all partners.
pub(super) fn certificates(backend: &GatewayBackend) -> Vec<CertificateWire> {
    let now = backend.clock.now();
    let keys = backend.config.station.keys.keys();
    let keys = keys.iter().map(|key| {
        let uses = [("sign", key.uses.sign), ("decrypt", key.uses.decrypt)];
        certificate("station", None, &uses, &key.certificate, Some(&key.window), now)
    });
    let shown = backend.reloading.shown.certificates();
    let listeners = shown.iter().map(|(whose, shown)| {
        let owner = if *whose == Whose::As2 { "station" } else { "console" };
        certificate(owner, None, &[("tls", true)], shown, None, now)
    });
    let directory = backend.directory.load();
    let declarations = directory.all().filter_map(|partner| {
        let signs = partner.document_key()?.signer.certificate();
        Some(certificate("station", Some(partner.id.clone()), &[("declarations", true)], signs, None, now))
    });
    let partners = directory.all().flat_map(|partner| theirs(partner, now));
    keys.chain(declarations).chain(listeners).chain(partners).collect()
}

fn theirs(partner: &Partner, now: Timestamp) -> Vec<CertificateWire> {
    let held = partner.certificates.certificates().iter();
    held.map(|held| {
        let CertificateUses { verify, encrypt, tls, client } = held.uses;
        let carried = held.uses.is_none();
        let uses = [("verify", verify), ("encrypt", encrypt), ("tls", tls), ("client", client), ("carried", carried)];
        let shown = certificate("partner", Some(partner.id.clone()), &uses, &held.certificate, Some(&held.window), now);
        CertificateWire { active: shown.active && !held.revoked, ..shown }
    })
    .collect()
}

fn certificate(
    owner: &str,
    partner: Option<String>,
    uses: &[(&str, bool)],
    certificate: &Certificate,
    window: Option<&Window>,
    now: Timestamp,
) -> CertificateWire {
    let until = certificate.not_after();
    CertificateWire {
        owner: owner.to_owned(),
        partner,
        uses: uses.iter().filter(|(_, used)| *used).map(|(name, _)| (*name).to_owned()).collect(),
        subject: certificate.subject(),
        issuer: certificate.issuer(),
        serial: certificate.serial(),
        fingerprint: certificate.fingerprint().to_string(),
        not_before: certificate.not_before(),
        not_after: until,
        from: window.map(|window| window.from),
        until: window.map(|window| window.until),
        days_left: until.duration_since(now).as_secs().div_euclid(86_400),
        active: window.map_or_else(|| certificate.is_valid_at(now), |window| window.holds(now)),
        algorithm: format!("{} {}", certificate.key_algorithm(), certificate.key_bits()),
    }
}

/// Who we are.
pub(super) fn station(backend: &GatewayBackend) -> StationWire {
    let station = &backend.config.station;
    StationWire {
        as2_name: station.as2_name.as_str().to_owned(),
        dxpid: station.dxpid.clone(),
        name: station.name.clone(),
        as2_url: backend.config.as2.public_url.clone(),
        environment: station.environment.name,
        environment_from: station.environment.from,
        environment_until: station.environment.until,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started: backend.started,
    }
}
