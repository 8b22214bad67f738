//! Conditions of the whole gateway that nothing else reports: certificates that run out, a queue that grows old, files that
//! cannot be published, a journal that no longer holds together.

mod own_keys;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::bilingual;
use crate::cms::Certificate;
use crate::config::tables::TableError;
use crate::config::{Problem, Severity};
use crate::ground::clock::customs_time;
use crate::ground::text::{Bilingual, Language, printable};
use crate::keys::{KeyRing, PartnerCertificate, Window};
use crate::partner::{Directory, Partner};
use crate::store::alert::Level;
use crate::store::exchange::CertificateExchange;
use crate::store::publisher::Unpublished;
use crate::store::record::{Direction, Reason};
use crate::store::{Backlog, StoreError};

pub(super) use own_keys::Awaited;

/// Days before its end at which a certificate is alerted about anew.
const THRESHOLDS: [i64; 5] = [60, 30, 14, 7, 1];
/// From so many days on a person has to act.
const PRESSING: i64 = 14;
/// From so many days before its time is over on an answer is urgent.
const PRESSING_ANSWER: i64 = 3;
/// From so many seconds on files that cannot be published are told.
const UNPUBLISHED_FOR: i64 = 180;
/// Conditions that are one, and partners that one is about, are spelt out up to so many.
const SPELT_OUT: usize = 10;
/// The whole journal, checked, does not hold.
pub(super) const JOURNAL_DAMAGED: &str = "journal-damaged";
/// The last reading of the configuration found mistakes.
pub(super) const CONFIGURATION_REFUSED: &str = "configuration-refused";
/// The last reading of the code tables failed.
pub(super) const TABLES_REFUSED: &str = "code-tables-refused";
/// The first check of the journal comes so long after a start.
const FIRST_CHECK: Duration = Duration::from_secs(3600);

/// Something that stands until it is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Condition {
    pub(super) level: Level,
    pub(super) reason: Reason,
    pub(super) partner: Option<String>,
    /// See [`Raised::subjects`](crate::store::Raised::subjects).
    pub(super) subjects: BTreeSet<String>,
}

/// Those of one code about one partner are one, as grave as the gravest of them, in the words of each.
pub(super) fn joined(found: Vec<Condition>) -> Vec<Condition> {
    let mut joined: BTreeMap<(String, Option<String>), Condition> = BTreeMap::new();
    for one in found {
        let name = (one.reason.code.clone(), one.partner.clone());
        match joined.get_mut(&name) {
            Some(known) => known.join(one),
            None => drop(joined.insert(name, one)),
        }
    }
    joined.into_values().collect()
}

impl Condition {
    fn about(mut self, subject: impl ToString) -> Condition {
        self.subjects.insert(subject.to_string());
        self
    }

    fn join(&mut self, other: Condition) {
        self.level = self.level.max(other.level);
        let text = &mut self.reason.text;
        if self.subjects.len() < SPELT_OUT {
            text.zh.push_str(&other.reason.text.zh);
            text.en = format!("{} {}", text.en, other.reason.text.en);
        } else if !text.en.ends_with('…') {
            text.zh.push('…');
            text.en.push_str(" …");
        }
        self.subjects.extend(other.subjects);
    }
}

/// Of the station, of what listeners show and of each enabled partner: certificates of which none that is configured
/// takes over, or none that a partner has accepted that is asked to. One condition for each owner, by what is left for the
/// first of them.
pub(super) fn certificates(
    keys: &KeyRing,
    shown: &[Certificate],
    partners: &Directory,
    awaited: &Awaited,
    now: Timestamp,
) -> Vec<Condition> {
    let keys = keys.keys();
    let ours = own_keys::ends(&keys, partners, awaited, now).into_iter().chain(shown.iter().map(Ending::of)).collect();
    let enabled = partners.all().filter(|partner| partner.enabled);
    let theirs = enabled.filter_map(|partner| {
        let condition = expiry(lasting(partner, now), now)?;
        Some(Condition { partner: Some(partner.id.clone()), ..condition })
    });
    expiry(ours, now).into_iter().chain(theirs).collect()
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
            condition(Level::Security, "certificate-revoked", text).about(one.certificate.fingerprint())
        });
        let stale = partner.certificates.lists().iter().filter(|list| list.is_stale(now)).map(|list| {
            let file = list.file.display();
            let text = bilingual!(
                "吊销列表 {file} 早该更新，新近被吊销的证书可能仍在使用。请检查获取该列表的任务。",
                "the revocation list {file} should have been replaced: certificates that were revoked since may still be used. Check the job that fetches it."
            );
            condition(Level::Warning, "crl-stale", text).about(list.file.display())
        });
        let waivers = partner.waivers.0.iter().filter_map(|waiver| {
            let (code, text) = partner.waivers.notice(waiver, now)?;
            Some(condition(Level::Warning, code, text).about(waiver.algorithm.name()))
        });
        let found: Vec<Condition> = revoked.chain(stale).chain(waivers).collect();
        found.into_iter().map(|one| Condition { partner: Some(id.to_owned()), ..one }).collect::<Vec<Condition>>()
    };
    partners.all().filter(|partner| partner.enabled).flat_map(|partner| of(partner)).collect()
}

/// A certificate, and the instant at which a use ends with it: by its own end, or by the `until` that was written for it.
#[derive(Debug, Clone, Copy)]
struct Ending<'c> {
    certificate: &'c Certificate,
    at: Timestamp,
    /// The partner for which it ends so: another takes over then, which this partner has not accepted.
    partner: Option<&'c str>,
}

/// A certificate, and when it is used.
type Held<'c> = (&'c Certificate, Window);

impl<'c> Ending<'c> {
    /// Of one that nothing can take over from.
    fn of(certificate: &'c Certificate) -> Ending<'c> {
        Ending { certificate, at: certificate.not_after(), partner: None }
    }
}

/// Where a use ends that goes on from `now` for as long as one of these windows is followed by another. One that nothing
/// holds now has ended already; one for which none has begun yet does not end.
fn end<'c>(held: &[Held<'c>], now: Timestamp) -> Option<Ending<'c>> {
    let mut end: Option<Ending<'c>> = None;
    loop {
        let reached = end.map_or(now, |end| end.at.max(now));
        // Windows are written to the second: one that begins a second after another ended leaves no gap.
        let reached = reached.checked_add(SignedDuration::from_secs(1)).unwrap_or(reached);
        let begun = held.iter().filter(|(_, window)| window.from <= reached);
        let next = begun.max_by_key(|(_, window)| window.until);
        match next {
            Some(&(certificate, window)) if end.is_none_or(|end| end.at < window.until) => {
                end = Some(Ending { certificate, at: window.until, partner: None });
            }
            _ => return end,
        }
    }
}

/// The ends of a partner's uses, of what we show to its server and of what signs its declarations. Where nothing is encrypted
/// to the partner, no use of that kind ends.
fn lasting(partner: &Partner, now: Timestamp) -> Vec<Ending<'_>> {
    let held = partner.certificates.certificates();
    let transport = partner.agreement.encrypt.map(|_| partner.agreement.key_transport);
    let fits = |one: &PartnerCertificate| {
        transport.zip(one.certificate.key_kind()).is_some_and(|(transport, kind)| transport.fits(kind))
    };
    let used = |is_used: &dyn Fn(&PartnerCertificate) -> bool| {
        let used = held.iter().filter(|one| is_used(one) && !one.revoked);
        end(&used.map(|one| (&one.certificate, one.window)).collect::<Vec<_>>(), now)
    };
    let theirs = [
        used(&|one| one.uses.verify),
        used(&|one| one.uses.encrypt && fits(one)),
        used(&|one| one.uses.tls),
        used(&|one| one.uses.client),
    ];
    let chain = partner.http.identity.as_ref().map_or(&[][..], |identity| identity.chain.as_slice());
    let own = chain.first().into_iter().chain(chain.iter().min_by_key(|one| one.not_after()));
    let signs = partner.document_key().map(|key| key.signer.certificate());
    theirs.into_iter().flatten().chain(own.chain(signs).map(Ending::of)).collect()
}

/// What there is to say about the certificates of one owner: of those from which none takes over and of those from which
/// none does that a partner has accepted, in one. It is named by what ends first.
fn expiry(mut endings: Vec<Ending<'_>>, now: Timestamp) -> Option<Condition> {
    endings.sort_by_key(|ending| ending.at);
    let awaits = endings.first()?.partner.is_some();
    let of_kind = |ending: &Ending<'_>| ending.partner.is_some() == awaits;
    let (first, others): (Vec<Ending<'_>>, Vec<Ending<'_>>) = endings.into_iter().partition(of_kind);
    let mut found = expiring(first, now)?;
    if let Some(other) = expiring(others, now) {
        found.join(other);
    }
    Some(found)
}

/// The same of one kind of them, what ends first before the others.
fn expiring(mut endings: Vec<Ending<'_>>, now: Timestamp) -> Option<Condition> {
    let left = |ending: &Ending<'_>| ending.at.duration_since(now);
    let horizon = SignedDuration::from_hours(24 * 60);
    endings.retain(|ending| left(ending) <= horizon);
    let first = endings.first()?;
    let (left, awaits) = (left(first), first.partner.is_some());
    let within = |days: &i64| left <= SignedDuration::from_hours(days.saturating_mul(24));
    let days = if left.is_negative() { None } else { Some(THRESHOLDS.into_iter().rev().find(within)?) };
    let code = days.map_or_else(|| "certificate-expired".to_owned(), |days| format!("certificate-expires-{days}d"));
    let level = if days.is_none_or(|days| days <= PRESSING) { Level::Error } else { Level::Warning };
    let (named, subjects) = named(&endings);
    Some(Condition { subjects, ..condition(level, &code, ending_words(&named, days, awaits)) })
}

/// Each certificate once, with its end and the partners for which it ends so, and the fingerprints.
fn named(endings: &[Ending<'_>]) -> (String, BTreeSet<String>) {
    let (mut named, mut subjects) = (Vec::new(), BTreeSet::new());
    for ending in endings {
        // Of several uses of one certificate the first counts that ends.
        if !subjects.insert(ending.certificate.fingerprint().to_string()) {
            continue;
        }
        let (subject, until) = (printable(&ending.certificate.subject()), customs_time(ending.at));
        let same = endings.iter().filter(|other| other.certificate == ending.certificate);
        let partners: BTreeSet<&str> = same.filter_map(|other| other.partner).collect();
        named.push(match partners.is_empty() {
            true => format!("{subject} ({until})"),
            false => format!("{subject} ({until}): {}", spelt_out(&partners)),
        });
    }
    (named.join("; "), subjects)
}

fn spelt_out(partners: &BTreeSet<&str>) -> String {
    let named = partners.iter().copied().take(SPELT_OUT).collect::<Vec<&str>>().join(", ");
    match partners.len().saturating_sub(SPELT_OUT) {
        0 => named,
        more => format!("{named}, … (+{more})"),
    }
}

/// `days`: none when the first has ended. `awaits`: others take over, which the named partners have not accepted.
fn ending_words(named: &str, days: Option<i64>, awaits: bool) -> Bilingual {
    match (days, awaits) {
        (None, false) => bilingual!(
            "证书已过期，或其 until 已过：{named}。请立即加入新证书，并与对方协调。",
            "certificates have expired, or their until is over: {named}. Add their successors now, and tell the other side."
        ),
        (None, true) => bilingual!(
            "证书已过期，或其 until 已过，而所列伙伴尚未接受接替的证书：{named}。对方会拒绝我方的签名，或无法向我方加密。请立即与对方协调，并用 dxgate cert request 再次请求；dxgate cert exchanges --all 显示其答复。",
            "certificates have expired, or their until is over, and the partners named with them have not accepted what has taken over: {named}. They refuse what we sign, or cannot encrypt to us. Agree with them now, then ask again with dxgate cert request; dxgate cert exchanges --all shows what they said."
        ),
        (Some(days), false) => bilingual!(
            "证书将在 {days} 天内过期或按其 until 停用，且没有配置届时接替的证书：{named}。请现在加入新证书：新旧证书可以同时配置。",
            "certificates expire, or their until is over, within {days} days and no successor that takes over then is configured: {named}. Add it now: both may be configured at the same time."
        ),
        (Some(days), true) => bilingual!(
            "证书将在 {days} 天内过期或按其 until 停用，而所列伙伴尚未接受届时接替的证书：{named}。此后对方会拒绝我方的签名，或无法向我方加密。请与对方协调，必要时用 dxgate cert request 再次请求；dxgate cert exchanges --all 显示其答复。",
            "certificates expire, or their until is over, within {days} days and the partners named with them have not accepted what takes over then: {named}. From then on they refuse what we sign, or cannot encrypt to us. Agree with them, and ask again with dxgate cert request if need be; dxgate cert exchanges --all shows what they said."
        ),
    }
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
    Some(Condition { partner: Some(partner.to_owned()), ..found }.about(id))
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
        "最早的待发报文已等待 {hours} 小时以上，共有 {depth} 个报文未完成。用 dxgate messages list --state queued,composed,sending,awaiting-receipt 查看原因。",
        "the oldest open message waits for more than {hours} hours, {depth} messages are open. dxgate messages list --state queued,composed,sending,awaiting-receipt shows why."
    );
    Some(condition(Level::Warning, "queue-old", text))
}

/// Partners whose files cannot be put into their folders, by the one that waits longest.
pub(super) fn unpublished(mut waiting: Vec<Unpublished>, now: Timestamp) -> Vec<Condition> {
    waiting.sort_by(|one, other| one.since.cmp(&other.since).then_with(|| one.cause.cmp(&other.cause)));
    let mut partners: BTreeMap<String, Vec<Unpublished>> = BTreeMap::new();
    waiting.into_iter().for_each(|one| partners.entry(one.partner.clone()).or_default().push(one));
    let of = |(partner, waiting): (String, Vec<Unpublished>)| {
        let first = waiting.first()?;
        let wait = now.duration_since(first.since);
        if wait < SignedDuration::from_secs(UNPUBLISHED_FOR) {
            return None;
        }
        let mut folders: BTreeMap<&str, usize> = BTreeMap::new();
        for one in &waiting {
            let count = folders.entry(one.folder.name()).or_default();
            *count = count.saturating_add(1);
        }
        let folders: Vec<String> = folders.iter().map(|(folder, count)| format!("{folder}/ × {count}")).collect();
        let (folders, cause, minutes) = (folders.join(", "), printable(&first.cause), wait.as_mins());
        let text = bilingual!(
            "伙伴 {partner} 的文件已有 {minutes} 分钟无法放入其交换目录（{folders}）：{cause}。内容未丢失，会持续重试。请检查 exchange/{partner} 的磁盘空间、所有者和权限；若为正文损坏，请从备份核对。",
            "files of partner {partner} could not be put into its folders ({folders}) for {minutes} minutes: {cause}. They are kept and tried again. Check space, owner and permissions of exchange/{partner}; if a stored body is damaged, compare with a backup."
        );
        Some(Condition { partner: Some(partner), ..condition(Level::Error, "not-published", text) })
    };
    partners.into_iter().filter_map(of).collect()
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

/// What a reading of the configuration refused, which a start would refuse as well.
pub(super) fn refused(problems: &[Problem]) -> Option<Condition> {
    let errors = || problems.iter().filter(|problem| problem.severity == Severity::Error);
    let (first, count) = (errors().next()?, errors().count());
    // The folder is the operator's business, not that of everybody who is told.
    let named = Problem { file: first.file.file_name().map(PathBuf::from).unwrap_or_default(), ..first.clone() };
    let (zh, en) = (named.line(Language::Chinese), named.line(Language::English));
    let text = bilingual!(
        "配置文件有 {count} 处错误，未被采用：{zh} 运行中的网关沿用原有设置，但重启将失败。请尽快改正，dxgate doctor 会列出全部问题。",
        "{count} mistakes in the configuration, which was not taken: {en} The running gateway goes on with what it had; a restart would not succeed. Mend it soon, dxgate doctor lists them all."
    );
    Some(condition(Level::Error, CONFIGURATION_REFUSED, text))
}

/// The same of the code tables.
pub(super) fn refused_tables(error: &TableError) -> Condition {
    let why = error.text();
    let (zh, en) = (why.zh, why.en);
    let text = bilingual!(
        "代码表未被采用：{zh} 运行中的网关沿用原有代码表，但重启将失败。请尽快改正。",
        "the code tables were not taken: {en} The running gateway goes on with those it had; a restart would not succeed. Mend them soon."
    );
    condition(Level::Error, TABLES_REFUSED, text)
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
    let condition = condition(Level::Security, JOURNAL_DAMAGED, text);
    match error {
        StoreError::Damaged { path, .. } | StoreError::Unreadable { path, .. } => condition.about(path.display()),
        _ => condition,
    }
}

fn condition(level: Level, code: &str, text: Bilingual) -> Condition {
    Condition { level, reason: Reason { code: code.to_owned(), text }, partner: None, subjects: BTreeSet::new() }
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
        let later = now.checked_add(self.every).ok();
        // The clock may have been set back since: a check is never further away than the time between two.
        self.next = self.next.map(|next| later.map_or(next, |later| next.min(later)));
        let due = self.next.is_some_and(|next| next <= now);
        if due {
            self.next = later;
        }
        due
    }
}

#[cfg(test)]
#[path = "conditions_tests.rs"]
mod tests;
