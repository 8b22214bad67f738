//! Conditions of the whole gateway that nothing else reports: certificates that run out, a queue that grows old, a
//! journal that no longer holds together.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::bilingual;
use crate::cms::Certificate;
use crate::ground::clock::customs_time;
use crate::ground::text::{Bilingual, printable};
use crate::keys::KeyRing;
use crate::partner::{Directory, Partner};
use crate::store::alert::Level;
use crate::store::exchange::CertificateExchange;
use crate::store::record::{Direction, Reason};
use crate::store::{Backlog, StoreError};

/// Days before its end at which a certificate is alerted about anew.
const THRESHOLDS: [i64; 5] = [60, 30, 14, 7, 1];
/// From so many days on a person has to act.
const PRESSING: i64 = 14;
/// From so many days before its time is over on an answer is urgent.
const PRESSING_ANSWER: i64 = 3;
/// The whole journal, checked, does not hold.
pub(super) const JOURNAL_DAMAGED: &str = "journal-damaged";
/// The first check of the journal comes so long after a start.
const FIRST_CHECK: Duration = Duration::from_secs(3600);

/// Something that stands until it is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Condition {
    pub(super) level: Level,
    pub(super) reason: Reason,
    pub(super) partner: Option<String>,
}

/// Of the station, of what listeners show and of each enabled partner: certificates of which none that is configured
/// takes over. One condition for each owner, by what is left for the first of them.
pub(super) fn certificates(
    keys: &KeyRing,
    shown: &[Certificate],
    partners: &Directory,
    now: Timestamp,
) -> Vec<Condition> {
    let station = station(keys);
    let ours: Vec<&Certificate> = station.iter().chain(shown).collect();
    let enabled = partners.all().filter(|partner| partner.enabled);
    let theirs = enabled.filter_map(|partner| {
        let condition = expiry(&lasting(partner), now)?;
        Some(Condition { partner: Some(partner.id.clone()), ..condition })
    });
    expiry(&ours, now).into_iter().chain(theirs).collect()
}

/// Certificates of partners that were taken back, lists that should have been replaced, and waivers that end.
pub(super) fn revocation(partners: &Directory, now: Timestamp) -> Vec<Condition> {
    let of = |partner: &Partner| {
        let id = partner.id.as_str();
        let revoked = partner.certificates.revoked().into_iter().map(|one| {
            let file = one.file.display();
            let text = bilingual!(
                "伙伴 {id} 的证书 {file} 已被其签发者吊销：用它签名的报文被拒绝，也不再向其加密。请与对方核实并换用新证书。",
                "the certificate {file} of partner {id} is revoked by its issuer: what it signs is refused, nothing is encrypted to it. Ask the partner, then replace it."
            );
            condition(Level::Security, "certificate-revoked", text)
        });
        let stale = partner.certificates.lists().iter().filter(|list| list.is_stale(now)).map(|list| {
            let file = list.file.display();
            let text = bilingual!(
                "吊销列表 {file} 早该更新，新近被吊销的证书可能仍在使用。请检查获取该列表的任务。",
                "the revocation list {file} should have been replaced: certificates that were revoked since may still be used. Check the job that fetches it."
            );
            condition(Level::Warning, "crl-stale", text)
        });
        let waivers = partner.waivers.0.iter().filter_map(|waiver| {
            let (code, text) = waiver.notice(now)?;
            Some(condition(Level::Warning, code, text))
        });
        let found: Vec<Condition> = revoked.chain(stale).chain(waivers).collect();
        found.into_iter().map(|one| Condition { partner: Some(id.to_owned()), ..one }).collect::<Vec<Condition>>()
    };
    partners.all().filter(|partner| partner.enabled).flat_map(|partner| of(partner)).collect()
}

/// For each use the certificate that lasts longest: when it ends, the use ends.
fn station(keys: &KeyRing) -> Vec<Certificate> {
    let keys = keys.keys();
    let last = |use_of: fn(&crate::keys::KeyUses) -> bool| {
        let used = keys.iter().filter(|key| use_of(&key.uses)).map(|key| &key.certificate);
        used.max_by_key(|certificate| certificate.not_after())
    };
    distinct([last(|uses| uses.sign), last(|uses| uses.decrypt)]).into_iter().cloned().collect()
}

/// The same for a partner, with what we show to its server and what signs its declarations.
fn lasting(partner: &Partner) -> Vec<&Certificate> {
    let held = partner.certificates.certificates();
    let last = |use_of: fn(&crate::keys::CertificateUses) -> bool| {
        let used = held.iter().filter(|held| use_of(&held.uses) && !held.revoked).map(|held| &held.certificate);
        used.max_by_key(|certificate| certificate.not_after())
    };
    let own = partner.http.identity.as_ref().and_then(|identity| identity.chain.first());
    let (verify, encrypt) = (last(|uses| uses.verify), last(|uses| uses.encrypt));
    let signs = partner.document_key().map(|key| key.signer.certificate());
    distinct([verify, encrypt, last(|uses| uses.tls), last(|uses| uses.client), own, signs])
}

fn distinct<const N: usize>(certificates: [Option<&Certificate>; N]) -> Vec<&Certificate> {
    let mut found: Vec<&Certificate> = certificates.into_iter().flatten().collect();
    found.sort_by_key(|certificate| certificate.fingerprint().to_string());
    found.dedup_by_key(|certificate| certificate.fingerprint().to_string());
    found
}

/// What there is to say about certificates of one owner.
fn expiry(certificates: &[&Certificate], now: Timestamp) -> Option<Condition> {
    let left = |certificate: &Certificate| certificate.not_after().duration_since(now);
    let horizon = SignedDuration::from_hours(24 * 60);
    let mut ending: Vec<&&Certificate> =
        certificates.iter().filter(|certificate| left(certificate) <= horizon).collect();
    ending.sort_by_key(|certificate| certificate.not_after());
    let first = left(ending.first()?);
    let named = ending.iter().map(|certificate| {
        let (subject, until) = (printable(&certificate.subject()), customs_time(certificate.not_after()));
        format!("{subject} ({until})")
    });
    let named = named.collect::<Vec<String>>().join("; ");
    if first.is_negative() {
        let text = bilingual!(
            "证书已过期：{named}。请立即加入新证书，并与对方协调。",
            "certificates have expired: {named}. Add their successors now, and tell the other side."
        );
        return Some(condition(Level::Error, "certificate-expired", text));
    }
    let within = |days: &i64| first <= SignedDuration::from_hours(days.saturating_mul(24));
    let days = THRESHOLDS.into_iter().rev().find(within)?;
    let level = if days <= PRESSING { Level::Error } else { Level::Warning };
    let text = bilingual!(
        "证书将在 {days} 天内过期，且没有配置接替的证书：{named}。请现在加入新证书：新旧证书可以同时配置。",
        "certificates expire within {days} days and no successor is configured: {named}. Add it now: both may be configured at the same time."
    );
    Some(condition(level, &format!("certificate-expires-{days}d"), text))
}

/// Certificates that a partner asks us to trust, and what came of those that we asked it to trust.
pub(super) fn exchanges(exchanges: &[CertificateExchange], now: Timestamp) -> Vec<Condition> {
    let latest = |one: &&CertificateExchange| one.superseded_by.is_none();
    exchanges.iter().filter(latest).filter_map(|one| exchange(one, now)).collect()
}

fn exchange(one: &CertificateExchange, now: Timestamp) -> Option<Condition> {
    let (id, partner) = (one.id, one.partner.as_str());
    let left = one.respond_by().map(|by| by.duration_since(now));
    let within = |hours: i64| left.is_some_and(|left| left <= SignedDuration::from_hours(hours));
    let refused = one.answer.as_ref().filter(|answer| answer.words.iter().any(|word| !word.accepted));
    let found = match (one.direction, one.is_answered()) {
        (Direction::Inbound, false) => {
            let level = if within(24 * PRESSING_ANSWER) { Level::Error } else { Level::Warning };
            let text = bilingual!(
                "伙伴 {partner} 请求信任新证书（{id}）。请通过其他渠道核对指纹，再用 dxgate cert accept {id} 接受或 dxgate cert reject {id} 拒绝。",
                "partner {partner} asks us to trust new certificates ({id}). Compare the fingerprints by another way, then dxgate cert accept {id} or dxgate cert reject {id}."
            );
            condition(level, "certificate-offered", text)
        }
        (Direction::Outbound, false) if within(0) => {
            let text = bilingual!(
                "伙伴 {partner} 未在期限内答复我方的证书请求（{id}），其间仍以旧密钥签名。请与对方联系。",
                "partner {partner} has not answered our request about certificates ({id}) in time; the old key signs meanwhile. Ask the partner."
            );
            condition(Level::Warning, "certificate-unanswered", text)
        }
        (Direction::Outbound, true) if refused.is_some_and(|answer| is_recent(answer.at, now)) => {
            let text = bilingual!(
                "伙伴 {partner} 拒绝了我方的证书（{id}）。用 dxgate cert exchanges --all 查看原因并与对方协调，再次请求。",
                "partner {partner} has rejected a certificate of ours ({id}). dxgate cert exchanges --all shows why; agree with the partner, then ask again."
            );
            condition(Level::Warning, "certificate-rejected", text)
        }
        _ => return None,
    };
    Some(Condition { partner: Some(partner.to_owned()), ..found })
}

/// What was refused is told for thirty days, unless it is asked for again.
fn is_recent(at: Timestamp, now: Timestamp) -> bool {
    now.duration_since(at) <= SignedDuration::from_hours(24 * 30)
}

/// The oldest open message is older than it should become.
pub(super) fn queue(backlog: &Backlog, most: Duration, now: Timestamp) -> Option<Condition> {
    let most = SignedDuration::try_from(most).ok().filter(|most| !most.is_zero())?;
    let age = now.duration_since(backlog.oldest?);
    if age < most {
        return None;
    }
    let (depth, hours) = (backlog.depth, age.as_hours());
    let text = bilingual!(
        "最早的待发报文已等待 {hours} 小时以上，共有 {depth} 个报文未完成。用 dxgate messages list --state composed 查看原因。",
        "the oldest open message waits for more than {hours} hours, {depth} messages are open. dxgate messages list --state composed shows why."
    );
    Some(condition(Level::Warning, "queue-old", text))
}

/// Partners in whose name too many messages could not be opened.
pub(super) fn guessing(pressed: Vec<String>, most: usize) -> Vec<Condition> {
    let of = |partner: String| {
        let text = bilingual!(
            "以伙伴 {partner} 名义发来的报文一小时内解密或验签失败达 {most} 次，其他来源的同名报文暂不打开。如非对方更换了密钥或证书，则可能有人在试探我方密钥：请与对方核实，并在日志中查看来源地址。",
            "{most} messages in the name of partner {partner} failed at decryption or signature within an hour; more of them are not opened, except from where the partner is known. Unless it has changed its keys or certificates, somebody may be probing our key: ask the partner, and look for the addresses in the log."
        );
        Condition { partner: Some(partner), ..condition(Level::Security, "crypto-failures", text) }
    };
    pressed.into_iter().map(of).collect()
}

/// What a check of the journal found.
pub(super) fn damaged(error: &StoreError) -> Condition {
    let found = error.text();
    let text = Bilingual {
        zh: format!("日志（审计链）校验未通过：{} 请停止网关前先备份现状，并从备份核对。", found.zh),
        en: format!(
            "the journal, which is the audit trail, does not hold together: {} Keep a copy of things as they are, then compare with a backup.",
            found.en
        ),
    };
    condition(Level::Security, JOURNAL_DAMAGED, text)
}

fn condition(level: Level, code: &str, text: Bilingual) -> Condition {
    Condition { level, reason: Reason { code: code.to_owned(), text }, partner: None }
}

/// When the whole journal is checked: an hour after a start, then each time the configured time has passed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Checks {
    every: SignedDuration,
    next: Option<Timestamp>,
}

impl Checks {
    /// From a start at `now`; none when `every` is zero.
    pub(super) fn new(every: Duration, now: Timestamp) -> Checks {
        let first = SignedDuration::try_from(every.min(FIRST_CHECK)).unwrap_or(SignedDuration::ZERO);
        let every = SignedDuration::try_from(every).unwrap_or(SignedDuration::ZERO);
        let next = now.checked_add(first).ok().filter(|_| !every.is_zero());
        Checks { every, next }
    }

    /// Whether one is due at `now`; the next is due later then.
    pub(super) fn is_due(&mut self, now: Timestamp) -> bool {
        let due = self.next.is_some_and(|next| next <= now);
        if due {
            self.next = now.checked_add(self.every).ok();
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::as2::cem::CertUsage;
    use crate::ground::id::Id;
    use crate::store::exchange::{AskedCertificate, ExchangeAnswer, Word};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn code(left: SignedDuration, certificate: &Certificate) -> Option<(String, Level)> {
        let now = certificate.not_after().checked_sub(left).unwrap();
        expiry(&[certificate], now).map(|condition| (condition.reason.code, condition.level))
    }

    #[test]
    fn a_certificate_is_alerted_about_at_60_30_14_7_and_1_days_and_when_it_has_expired() {
        let certificate = Certificate::read(include_bytes!("../../certs-example/station.crt")).unwrap();
        let hour = |hours: i64| code(SignedDuration::from_hours(hours), &certificate);
        assert_eq!(hour(60 * 24 + 1), None);
        for (days, level) in
            [(60, Level::Warning), (30, Level::Warning), (14, Level::Error), (7, Level::Error), (1, Level::Error)]
        {
            let wanted = Some((format!("certificate-expires-{days}d"), level));
            assert_eq!((hour(days * 24), hour(days * 24 - 1)), (wanted.clone(), wanted), "{days}");
        }
        assert_eq!(hour(7 * 24 + 1).map(|found| found.0).as_deref(), Some("certificate-expires-14d"));
        assert_eq!(hour(0).map(|found| found.0).as_deref(), Some("certificate-expires-1d"));
        assert_eq!(hour(-1), Some(("certificate-expired".to_owned(), Level::Error)));
    }

    fn exchange_of(direction: Direction, respond_by: i64) -> CertificateExchange {
        let asked = AskedCertificate {
            fingerprint: "aa".to_owned(),
            usages: vec![CertUsage::DigitalSignature],
            respond_by: Some(at(respond_by)),
            issuer: "CN=acme".to_owned(),
            serial: "1".to_owned(),
        };
        CertificateExchange {
            id: Id::derived(at(0), &[1; 10]),
            partner: "acme".to_owned(),
            direction,
            request_id: "r".to_owned(),
            asked: at(0),
            certificates: vec![asked],
            answer: None,
            superseded_by: None,
        }
    }

    #[test]
    fn an_open_request_is_told_and_is_urgent_near_its_end() {
        let offered = exchange_of(Direction::Inbound, 86_400 * 10);
        let told = |now: i64| exchanges(std::slice::from_ref(&offered), at(now)).pop().map(|found| found.level);
        assert_eq!(told(86_400 * 7 - 1), Some(Level::Warning));
        assert_eq!(told(86_400 * 7), Some(Level::Error));
        let superseded = CertificateExchange { superseded_by: Some(offered.id), ..offered.clone() };
        assert!(exchanges(&[superseded], at(0)).is_empty());
    }

    #[test]
    fn a_request_of_ours_is_told_when_it_is_late_or_rejected() {
        let ours = exchange_of(Direction::Outbound, 100);
        let code = |one: &CertificateExchange, now: i64| {
            exchanges(std::slice::from_ref(one), at(now)).pop().map(|found| found.reason.code)
        };
        assert_eq!((code(&ours, 99), code(&ours, 100).as_deref()), (None, Some("certificate-unanswered")));
        let answered = |accepted: bool| {
            let words = vec![Word { fingerprint: "aa".to_owned(), accepted, reason: None }];
            let answer = ExchangeAnswer { at: at(50), by: "acme".to_owned(), message: ours.id, words };
            CertificateExchange { answer: Some(answer), ..ours.clone() }
        };
        assert_eq!(code(&answered(true), 200), None);
        assert_eq!(code(&answered(false), 200).as_deref(), Some("certificate-rejected"));
        assert_eq!(code(&answered(false), 86_400 * 31), None, "after a month it is history");
    }

    #[test]
    fn a_queue_is_old_from_the_configured_age_on() {
        let backlog = Backlog { depth: 3, oldest: Some(at(0)), due: Vec::new() };
        let hour = Duration::from_secs(3600);
        assert_eq!(queue(&backlog, hour, at(3599)), None);
        assert_eq!(queue(&backlog, hour, at(3600)).map(|found| found.reason.code).as_deref(), Some("queue-old"));
        assert_eq!(queue(&backlog, Duration::ZERO, at(36_000)), None, "switched off");
        assert_eq!(queue(&Backlog::default(), hour, at(36_000)), None, "nothing waits");
    }

    #[test]
    fn the_journal_is_checked_an_hour_after_a_start_and_then_at_its_intervals() {
        let mut checks = Checks::new(Duration::from_secs(7 * 86_400), at(0));
        assert!(!checks.is_due(at(3599)));
        assert!(checks.is_due(at(3600)));
        assert!(!checks.is_due(at(3601)) && !checks.is_due(at(3599 + 7 * 86_400)));
        assert!(checks.is_due(at(3600 + 7 * 86_400)));
        assert!(!Checks::new(Duration::ZERO, at(0)).is_due(at(i64::from(i32::MAX))));
    }
}
