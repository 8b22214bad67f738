//! What stands when, in which words.

use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::as2::cem::CertUsage;
use crate::config::Config;
use crate::ground::clock::ManualClock;
use crate::ground::durable;
use crate::ground::id::Id;
use crate::keys::generate::{KeyRequest, generate};
use crate::keys::save;
use crate::store::exchange::{AskedCertificate, ExchangeAnswer, ExchangeStep, Word};
use crate::store::record::Folder;
use crate::store::trail::Change;
use crate::store::{Store, StoreConfig, Transaction};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn code(left: SignedDuration, certificate: &Certificate) -> Option<(String, Level)> {
    let now = certificate.not_after().checked_sub(left).unwrap();
    expiry(vec![Ending::of(certificate)], now).map(|condition| (condition.reason.code, condition.level))
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

#[test]
fn a_use_ends_where_its_window_ends_and_no_other_follows() {
    let certificate = Certificate::read(include_bytes!("../../certs-example/station.crt")).unwrap();
    let ends = |windows: &[(i64, i64)], now: i64| {
        let window = |(from, until): &(i64, i64)| (&certificate, Window { from: at(*from), until: at(*until) });
        let held: Vec<_> = windows.iter().map(window).collect();
        end(&held, at(now)).map(|end| end.at.as_second())
    };
    assert_eq!(ends(&[(0, 100)], 50), Some(100));
    assert_eq!(ends(&[(0, 100), (90, 200), (150, 300)], 50), Some(300), "each takes over from the one before");
    assert_eq!(ends(&[(101, 200), (0, 100)], 50), Some(200), "without a gap");
    assert_eq!(ends(&[(0, 100), (102, 200)], 50), Some(100), "with one");
    assert_eq!(ends(&[(0, 100), (200, 300)], 150), Some(100), "within it the use has ended");
    assert_eq!(ends(&[(0, 100), (200, 300)], 200), Some(300));
    assert_eq!((ends(&[(200, 300)], 50), ends(&[], 50)), (None, None), "what has not begun does not end");
}

/// A home whose station and partner have RSA and EC keys, the RSA ones for so many days, and whose partner wants RSA.
fn loaded(days: u32, station: &str, partner: &str, now: Timestamp) -> Config {
    let folder = tempfile::tempdir().unwrap();
    let keys = pairs(folder.path(), [("ec", 256, 3650), ("rsa", 2048, days)], now);
    let held = "[[certificates]]\nfile = \"ec.crt\"\n[[certificates]]\nfile = \"rsa.crt\"\n";
    let theirs = format!("{held}{partner}");
    read(folder.path(), &format!("{keys}{station}"), &[("theirs", theirs.as_str())], now)
}

/// Makes keys of so many bits that last so many days, and says how the station has them.
fn pairs(folder: &Path, keys: [(&str, u32, u32); 2], now: Timestamp) -> String {
    let pair = |(name, bits, days): (&str, u32, u32)| {
        let request = KeyRequest { common_name: name.into(), organization: None, hosts: Vec::new(), bits, days };
        let pair = generate(&request, None, now).unwrap();
        save::private(&folder.join(format!("{name}.crt")), &pair.certificate_pem).unwrap();
        save::private(&folder.join(format!("{name}.key")), pair.key_pem.expose()).unwrap();
        format!("[[station.keys]]\ncertificate = \"{name}.crt\"\nprivate_key = \"{name}.key\"\n")
    };
    keys.map(pair).concat()
}

/// A home with these keys and, by their ids, what its partners have besides name and address.
fn read(folder: &Path, keys: &str, partners: &[(&str, &str)], now: Timestamp) -> Config {
    let gateway = folder.join("gateway.toml");
    save::private(&gateway, format!("[station]\nas2_name = \"OURS\"\n{keys}").as_bytes()).unwrap();
    durable::create_dir_all(&folder.join("partners")).unwrap();
    for (id, more) in partners {
        let name = id.to_uppercase();
        let partner = format!("as2_name = \"{name}\"\nurl = \"http://127.0.0.1:4090/as2\"\n{more}");
        save::private(&folder.join(format!("partners/{id}.toml")), partner.as_bytes()).unwrap();
    }
    crate::config::load(&gateway, &|_| None, now).unwrap_or_else(|problems| panic!("{problems}"))
}

/// Owner and code of what is told of certificates, and whether it names the RSA one.
fn told(config: &Config, now: Timestamp) -> Vec<(Option<String>, String, bool)> {
    let found = certificates(&config.station.keys, &[], &config.partners, &Awaited::default(), now);
    found.into_iter().map(|one| (one.partner, one.reason.code, one.reason.text.en.contains("CN=rsa ("))).collect()
}

#[test]
fn a_lasting_key_of_another_kind_hides_no_certificate_that_a_partner_needs() {
    let now = at(1_790_000_000);
    let config = loaded(1, "", "[agreement]\nsign = \"rsa-pkcs1\"\nkey_transport = \"rsa-pkcs1\"\n", now);
    let soon = |owner: Option<&str>| (owner.map(str::to_owned), "certificate-expires-1d".to_owned(), true);
    assert_eq!(told(&config, now), [soon(None), soon(Some("theirs"))]);
    let config = loaded(1, "", "[agreement]\nsign = \"ecdsa\"\nkey_transport = \"ecdh-sha256\"\n", now);
    assert_eq!(told(&config, now), Vec::new(), "nobody needs the one that ends");
}

/// Of a partner to which nothing is encrypted: whether anything is told of our own side, and of the partner.
fn told_without_encryption() -> (bool, bool) {
    let now = at(1_790_000_000);
    let config = loaded(1, "", "[agreement]\nsign = \"ecdsa\"\nencrypt = \"none\"\n", now);
    let told = told(&config, now);
    (told.iter().any(|one| one.0.is_none()), told.iter().any(|one| one.0.is_some()))
}

#[test]
fn where_nothing_is_encrypted_to_a_partner_any_of_our_keys_decrypts_for_it() {
    assert!(!told_without_encryption().0, "the EC key lasts");
}

#[test]
fn where_nothing_is_encrypted_to_a_partner_no_certificate_is_told_that_would_be_for_it() {
    assert!(!told_without_encryption().1, "the EC certificate verifies");
}

#[test]
fn what_ends_by_its_until_is_told_like_what_expires() {
    let now = at(1_790_000_000);
    let until = now.checked_add(SignedDuration::from_hours(5 * 24)).unwrap();
    let line = format!("until = \"{until}\"\n");
    let config = loaded(3650, &line, &line, now);
    let soon = |owner: Option<&str>| (owner.map(str::to_owned), "certificate-expires-7d".to_owned(), true);
    assert_eq!(told(&config, now), [soon(None), soon(Some("theirs"))]);
    let over = now.checked_add(SignedDuration::from_hours(6 * 24)).unwrap();
    let codes: Vec<String> = told(&config, over).into_iter().map(|one| one.1).collect();
    assert_eq!(codes, ["certificate-expired"; 2]);
}

/// A home with a key that ends in ten days and one that takes over, the partners `theirs` and `others`, and `gone`, which is
/// disabled; with what was asked and said.
struct Rotation {
    config: Config,
    store: Store,
    _folder: tempfile::TempDir,
}

impl Rotation {
    fn begun(now: Timestamp) -> Rotation {
        let folder = tempfile::tempdir().unwrap();
        let keys = pairs(folder.path(), [("old", 256, 10), ("new", 256, 3650)], now);
        let agreement = "[agreement]\nsign = \"ecdsa\"\nkey_transport = \"ecdh-sha256\"\n";
        let enabled = format!("[[certificates]]\nfile = \"new.crt\"\n{agreement}");
        let disabled = format!("enabled = false\n{enabled}");
        let partners = [("gone", disabled.as_str()), ("others", enabled.as_str()), ("theirs", enabled.as_str())];
        let config = read(folder.path(), &keys, &partners, now);
        let settings = StoreConfig::new(folder.path().join("store"), Arc::new(ManualClock::new(now)));
        let (store, _) = Store::open(StoreConfig { allow_untrusted_filesystem: true, ..settings }).unwrap();
        Rotation { config, store, _folder: folder }
    }

    fn certificate(&self, name: &str) -> Certificate {
        let (keys, name) = (self.config.station.keys.keys(), format!("CN={name}"));
        keys.iter().map(|key| &key.certificate).find(|one| one.subject().contains(&name)).unwrap().clone()
    }

    /// The partner is asked to trust one of our keys for a use.
    fn ask(&self, number: u8, partner: &str, key: &str, usage: CertUsage, now: Timestamp) {
        let asked = AskedCertificate {
            fingerprint: self.certificate(key).fingerprint().to_string(),
            usages: vec![usage],
            respond_by: None,
            issuer: format!("CN={key}"),
            serial: "1".to_owned(),
        };
        let (partner, direction) = (partner.to_owned(), Direction::Outbound);
        let (request_id, certificates) = ("r".to_owned(), vec![asked]);
        self.record(number, &ExchangeStep::Asked { partner, direction, request_id, certificates }, now);
    }

    /// The answer of the partner that was asked so.
    fn answer(&self, number: u8, key: &str, accepted: bool, now: Timestamp) {
        let fingerprint = self.certificate(key).fingerprint().to_string();
        let words = vec![Word { fingerprint, accepted, reason: None }];
        self.record(number, &ExchangeStep::Answered { answer: Id::derived(at(1000), &[number; 10]), words }, now);
    }

    fn record(&self, number: u8, step: &ExchangeStep, now: Timestamp) {
        let change = Change { who: "ann".to_owned(), ..Change::default() };
        let mut transaction = Transaction::new(now);
        transaction.change(step.change(Id::derived(at(i64::from(number)), &[number; 10]), change));
        self.store.commit_blocking(transaction).unwrap();
    }

    /// What is told of certificates, with these shown by listeners.
    fn told_with(&self, shown: &[Certificate], now: Timestamp) -> Vec<Condition> {
        let awaited = Awaited::of(&self.store, &self.store.exchanges());
        certificates(&self.config.station.keys, shown, &self.config.partners, &awaited, now)
    }

    /// The code of what is told, and the partners in it, which are the same in both languages.
    fn told(&self, now: Timestamp) -> Option<(String, String)> {
        let told = self.told_with(&[], now);
        assert!(told.len() <= 1, "{told:?}");
        let told = told.into_iter().next()?;
        let old = self.certificate("old").fingerprint().to_string();
        assert_eq!((told.partner, told.subjects), (None, BTreeSet::from([old])));
        let named = |text: &str, end: char| {
            assert!(!text.contains("CN=new ("), "{text}");
            let (_, named) = text.split_once("CN=old (").unwrap();
            named.split_once("): ").unwrap().1.split_once(end).unwrap().0.to_owned()
        };
        let (zh, en) = (named(&told.reason.text.zh, '。'), named(&told.reason.text.en, '.'));
        assert_eq!(zh, en);
        Some((told.reason.code, en))
    }
}

fn soon(partners: &str) -> Option<(String, String)> {
    Some(("certificate-expires-14d".to_owned(), partners.to_owned()))
}

#[test]
fn the_end_of_a_key_is_told_until_each_partner_that_was_asked_has_accepted_the_one_that_takes_over() {
    let now = at(1_790_000_000);
    let rotation = Rotation::begun(now);
    assert_eq!(rotation.told(now), None, "who is not asked holds the new one by other means");
    rotation.ask(1, "theirs", "new", CertUsage::DigitalSignature, now);
    assert_eq!(rotation.told(now), soon("theirs"));
    rotation.ask(2, "others", "new", CertUsage::DigitalSignature, now);
    assert_eq!(rotation.told(now), soon("others, theirs"), "it is one alert");
    rotation.answer(1, "new", true, now);
    assert_eq!(rotation.told(now), soon("others"));
    rotation.answer(2, "new", true, now);
    assert_eq!(rotation.told(now), None);
}

#[test]
fn a_key_that_a_partner_has_rejected_takes_over_from_no_other_until_it_accepts_it() {
    let now = at(1_790_000_000);
    let rotation = Rotation::begun(now);
    rotation.ask(1, "theirs", "new", CertUsage::DigitalSignature, now);
    rotation.answer(1, "new", false, now);
    assert_eq!(rotation.told(now), soon("theirs"));
    rotation.ask(2, "theirs", "new", CertUsage::DigitalSignature, now);
    assert_eq!(rotation.told(now), soon("theirs"));
    rotation.answer(2, "new", true, now);
    assert_eq!(rotation.told(now), None);
}

#[test]
fn a_disabled_partner_that_has_not_accepted_a_key_does_not_count() {
    let now = at(1_790_000_000);
    let rotation = Rotation::begun(now);
    rotation.ask(1, "gone", "new", CertUsage::DigitalSignature, now);
    assert_eq!(rotation.told(now), None);
    rotation.ask(2, "theirs", "new", CertUsage::DigitalSignature, now);
    assert_eq!(rotation.told(now), soon("theirs"));
}

#[test]
fn the_end_of_a_key_is_told_while_a_partner_has_not_accepted_to_encrypt_to_the_one_that_takes_over() {
    let now = at(1_790_000_000);
    let rotation = Rotation::begun(now);
    rotation.ask(1, "theirs", "new", CertUsage::KeyEncipherment, now);
    assert_eq!(rotation.told(now), soon("theirs"));
    rotation.answer(1, "new", false, now);
    assert_eq!(rotation.told(now), soon("theirs"));
    rotation.ask(2, "theirs", "new", CertUsage::KeyEncipherment, now);
    rotation.answer(2, "new", true, now);
    assert_eq!(rotation.told(now), None);
    rotation.ask(3, "theirs", "new", CertUsage::KeyEncipherment, now);
    assert_eq!(rotation.told(now), None, "once accepted, asking again takes nothing back");
}

#[test]
fn a_key_that_has_ended_stays_told_where_the_partner_has_not_accepted_what_took_over_and_was_asked_before() {
    let now = at(1_790_000_000);
    let over = now.checked_add(SignedDuration::from_hours(11 * 24)).unwrap();
    let rotation = Rotation::begun(now);
    let expired = Some(("certificate-expired".to_owned(), "others".to_owned()));
    assert_eq!(rotation.told(over), None);
    rotation.ask(1, "others", "new", CertUsage::DigitalSignature, now);
    assert_eq!(rotation.told(over), expired);
    rotation.ask(2, "theirs", "new", CertUsage::DigitalSignature, over);
    assert_eq!(rotation.told(over), expired, "the other one never waited with the old key");
}

#[test]
fn where_a_partner_has_accepted_none_of_our_keys_the_newest_signs_for_it_and_the_end_of_another_is_not_told() {
    let now = at(1_790_000_000);
    let rotation = Rotation::begun(now);
    for (number, key) in [(1, "new"), (2, "old")] {
        rotation.ask(number, "theirs", key, CertUsage::DigitalSignature, now);
    }
    assert_eq!(rotation.told(now), None);
    rotation.answer(2, "old", true, now);
    assert_eq!(rotation.told(now), soon("theirs"));
}

#[test]
fn what_nothing_takes_over_from_and_what_a_partner_has_not_accepted_are_told_in_one_alert() {
    let now = at(1_790_000_000);
    let rotation = Rotation::begun(now);
    rotation.ask(1, "theirs", "new", CertUsage::DigitalSignature, now);
    let told = rotation.told_with(&[rotation.certificate("old")], now);
    let [one] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!((one.level, one.reason.code.as_str(), one.subjects.len()), (Level::Error, "certificate-expires-14d", 1));
    let text = &one.reason.text;
    assert!(text.en.contains("no successor") && text.en.contains("): theirs."), "{text}");
    assert!(text.zh.contains("没有配置届时接替的证书") && text.zh.contains("): theirs。"), "{text:?}");
}

#[test]
fn of_many_partners_some_are_named_and_the_others_counted() {
    let names: Vec<String> = (10..22).map(|number| format!("p{number}")).collect();
    let spelt = |count: usize| spelt_out(&names.iter().take(count).map(String::as_str).collect());
    assert_eq!(spelt(2), "p10, p11");
    assert!(spelt(10).ends_with(", p19"), "{}", spelt(10));
    assert!(spelt(12).ends_with(", p19, … (+2)"), "{}", spelt(12));
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
fn conditions_of_one_code_about_one_partner_are_one_that_names_each() {
    let old = exchange_of(Direction::Inbound, 86_400 * 10);
    let new = CertificateExchange { id: Id::derived(at(1), &[2; 10]), ..exchange_of(Direction::Inbound, 86_400 * 30) };
    let other = CertificateExchange { partner: "other".to_owned(), ..old.clone() };
    let open = [old.clone(), new.clone(), other];
    let found = joined(exchanges(&open, at(86_400 * 8)));
    let [acme, other] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((acme.level, other.level), (Level::Error, Level::Error));
    assert_eq!(acme.subjects, BTreeSet::from([old.id.to_string(), new.id.to_string()]));
    for id in [old.id, new.id] {
        let (zh, en) = (format!("cert accept {id}"), format!("cert reject {id}"));
        assert!(acme.reason.text.zh.contains(&zh) && acme.reason.text.en.contains(&en), "{}", acme.reason.text);
    }
    let many = (0..30).map(|n| condition(Level::Warning, "crl-stale", bilingual!("旧", "stale")).about(n)).collect();
    let many = joined(many).pop().unwrap();
    assert_eq!((many.subjects.len(), many.reason.text.en.matches("stale").count()), (30, SPELT_OUT));
    assert!(many.reason.text.en.ends_with("stale …"), "{}", many.reason.text);
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
    let text = queue(&backlog, hour, at(3600)).map(|found| found.reason.text.en).unwrap_or_default();
    assert!(text.contains("--state queued,composed,sending,awaiting-receipt "), "all that is counted: {text}");
    assert_eq!(queue(&backlog, Duration::ZERO, at(36_000)), None, "switched off");
    assert_eq!(queue(&Backlog::default(), hour, at(36_000)), None, "nothing waits");
}

#[test]
fn files_that_wait_for_minutes_are_told_by_partner_with_folders_count_and_cause() {
    let waits = |partner: &str, folder: Folder, since: i64| Unpublished {
        partner: partner.to_owned(),
        folder,
        since: at(since),
        cause: format!("cause {since}"),
    };
    let waiting = vec![
        waits("acme", Folder::Sent, 20),
        waits("acme", Folder::Inbox, 10),
        waits("acme", Folder::Inbox, 200),
        waits("zebra", Folder::Inbox, 30),
    ];
    assert!(unpublished(waiting.clone(), at(189)).is_empty());
    let [acme] = unpublished(waiting.clone(), at(190)).try_into().unwrap();
    assert_eq!((acme.level, acme.partner.as_deref()), (Level::Error, Some("acme")));
    assert_eq!(acme.reason.code, "not-published");
    for text in [acme.reason.text.zh, acme.reason.text.en] {
        assert!(text.contains("inbox/ × 2, sent/ × 1") && text.contains("cause 10"), "{text}");
    }
    assert_eq!(unpublished(waiting, at(210)).len(), 2);
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

#[test]
fn a_clock_that_was_set_back_does_not_put_the_next_check_off() {
    let day = |days: i64| at(days * 86_400);
    let mut checks = Checks::new(Duration::from_secs(7 * 86_400), day(1000));
    assert!(checks.is_due(day(1001)) && !checks.is_due(day(1007)));
    assert!(!checks.is_due(day(100)) && !checks.is_due(day(106)), "set back by years");
    assert!(checks.is_due(day(107)));
    assert!(!checks.is_due(day(113)) && checks.is_due(day(114)));
}

#[cfg(target_os = "linux")]
#[test]
fn a_journal_that_the_disk_does_not_give_back_is_damaged_too() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(at(0)));
    let config = StoreConfig { allow_untrusted_filesystem: true, ..StoreConfig::new(dir.path(), clock) };
    let (store, _) = Store::open(config).unwrap();
    let segment = dir.path().join("journal/00000000000000000001.log");
    std::fs::remove_file(&segment).unwrap();
    std::os::unix::fs::symlink("/proc/self/mem", &segment).unwrap();
    crate::app::alerts::note_check(&store, &store.verify_journal(), false, at(1));
    let codes: Vec<String> = store.alerts().standing().into_iter().map(|raised| raised.alert.code).collect();
    assert_eq!(codes, [JOURNAL_DAMAGED]);
}
