//! The table at the head of the ledger, row by row; what a delivery says.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;

use super::ledger::{Ledger, MOST, Standing};
use super::*;
use crate::bilingual;
use crate::ground::id::Id;
use crate::store::Raised;
use crate::store::alert::Alert;

const DAY: Duration = Duration::from_secs(86_400);

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn raised(message: Option<u32>, code: &str, level: Level, second: i64) -> Raised {
    let alert = Alert {
        code: code.into(),
        level,
        text: bilingual!("坏了", "broken"),
        raised: at(second),
        times: 1,
        acknowledged: None,
        resolved: None,
    };
    let id = |number: u32| {
        let mut bytes = [0; 16];
        bytes[12..].copy_from_slice(&number.to_be_bytes());
        Id::from_bytes(bytes)
    };
    let partner = message.map(|_| "customs".to_owned());
    Raised { message: message.map(id), partner, subjects: BTreeSet::new(), alert }
}

/// A condition that is about `subjects`.
fn about(subjects: &[&str], code: &str, level: Level, second: i64) -> Raised {
    let subjects = subjects.iter().map(|subject| (*subject).to_owned()).collect();
    Raised { subjects, ..raised(None, code, level, second) }
}

fn silence(id: &str, code: Option<&str>, partner: Option<&str>) -> Silence {
    Silence {
        id: id.into(),
        code: code.map(str::to_owned),
        partner: partner.map(str::to_owned),
        since: at(0),
        until: at(100),
        reason: "maintenance".into(),
        by: "ann".into(),
    }
}

fn channel(name: &str, level: Level) -> Channel {
    Channel { name: name.into(), level, own: "alert-mail-failing".into() }
}

/// Tells `channel` what is due; the statuses of it.
fn tell(ledger: &mut Ledger, channel: &Channel, now: Timestamp) -> Vec<Status> {
    let due = ledger.due(channel, now, DAY, 100);
    ledger.told(channel, &due, now);
    due.iter().map(|notice| notice.status).collect()
}

#[test]
fn an_alert_is_told_once_then_as_a_reminder_and_when_it_has_ended() {
    let (mut ledger, mail) = (Ledger::default(), channel("mail", Level::Warning));
    let held = raised(Some(1), "http-404", Level::Error, 0);
    assert!(ledger.take(held.clone()));
    assert_eq!(tell(&mut ledger, &mail, at(1)), [Status::Raised]);
    assert!(!ledger.take(held.clone()), "said again");
    assert_eq!(tell(&mut ledger, &mail, at(86_400)), []);
    assert_eq!(tell(&mut ledger, &mail, at(86_401)), [Status::Reminder]);
    let second = ledger.due(&mail, at(2 * 86_401), DAY, 100);
    assert!(second[0].key.ends_with("/reminder-2"), "{second:?}");
    assert!(ledger.follow(&held, Standing::Ended, at(90_000)));
    assert!(!ledger.follow(&held, Standing::Ended, at(90_001)), "no news");
    assert_eq!(tell(&mut ledger, &mail, at(90_002)), [Status::Ended]);
    assert_eq!(tell(&mut ledger, &mail, at(900_002)), []);
    ledger.tidy(&[mail], at(900_003));
    assert_eq!(ledger.open(), []);
}

#[test]
fn what_ended_before_it_was_told_is_told_with_its_end_and_what_was_acknowledged_is_not() {
    let (mut ledger, mail) = (Ledger::default(), channel("mail", Level::Warning));
    let gone = raised(None, "journal-failed", Level::Error, 0);
    let seen = raised(Some(1), "http-404", Level::Error, 0);
    ledger.take(gone.clone());
    ledger.take(seen.clone());
    ledger.follow(&gone, Standing::Ended, at(5));
    ledger.follow(&seen, Standing::Acknowledged, at(5));
    let due = ledger.due(&mail, at(6), DAY, 100);
    assert_eq!(
        due.iter().map(|notice| (notice.status, notice.ended)).collect::<Vec<_>>(),
        [(Status::Raised, Some(at(5)))]
    );
    ledger.told(&mail, &due, at(6));
    assert_eq!(tell(&mut ledger, &mail, at(7)), [], "the end was told with it");
}

#[test]
fn a_condition_that_a_start_finds_again_is_the_same_one_and_one_that_ended_is_new() {
    let (mut ledger, mail) = (Ledger::default(), channel("mail", Level::Warning));
    let disk = |second| raised(None, "disk-nearly-full", Level::Error, second);
    ledger.take(disk(0));
    tell(&mut ledger, &mail, at(1));
    let stored = serde_json::to_vec(&ledger).unwrap();
    let mut ledger: Ledger = serde_json::from_slice(&stored).unwrap();
    assert!(!ledger.take(disk(100)));
    assert_eq!(tell(&mut ledger, &mail, at(101)), []);
    ledger.follow(&disk(0), Standing::Ended, at(102));
    tell(&mut ledger, &mail, at(103));
    assert!(ledger.take(disk(200)));
    assert_eq!(tell(&mut ledger, &mail, at(201)), [Status::Raised]);
}

#[test]
fn each_channel_is_told_its_levels_and_never_of_its_own_failing() {
    let mut ledger = Ledger::default();
    let (all, grave) = (channel("hook", Level::Warning), channel("mail", Level::Security));
    ledger.take(raised(Some(1), "mdn-late", Level::Warning, 0));
    ledger.take(raised(Some(2), "mdn-mic-mismatch", Level::Security, 0));
    ledger.take(raised(None, "alert-mail-failing", Level::Security, 0));
    assert_eq!((tell(&mut ledger, &all, at(1)).len(), tell(&mut ledger, &grave, at(1)).len()), (2, 1));
    let other = Channel { own: "alert-webhook-failing".into(), ..channel("other", Level::Warning) };
    assert_eq!(ledger.waiting(&other), 3);
}

#[test]
fn a_silence_keeps_what_it_covers_from_being_told_until_it_is_over() {
    let (mut ledger, mail) = (Ledger::default(), channel("mail", Level::Warning));
    ledger.silence(silence("a", Some("http-404"), Some("customs")));
    ledger.silence(silence("b", Some("http-404"), Some("acme")));
    ledger.take(raised(Some(1), "http-404", Level::Error, 1));
    ledger.take(raised(Some(2), "http-410", Level::Error, 1));
    ledger.take(raised(None, "http-404", Level::Error, 1));
    assert_eq!(tell(&mut ledger, &mail, at(2)).len(), 2, "another code, and no partner");
    assert_eq!(tell(&mut ledger, &mail, at(99)), []);
    assert_eq!(ledger.silences(at(99)).len(), 2);
    assert_eq!(tell(&mut ledger, &mail, at(100)), [Status::Raised], "it still goes on");
    assert_eq!(ledger.silences(at(100)), []);
    ledger.silence(silence("c", None, None));
    assert_eq!(ledger.end_silence("c").map(|ended| ended.reason).as_deref(), Some("maintenance"));
    assert_eq!(ledger.end_silence("c"), None);
}

#[test]
fn what_ends_under_a_silence_is_told_to_nobody_who_was_not_told_of_it_before() {
    let (mut ledger, mail) = (Ledger::default(), channel("mail", Level::Warning));
    let (before, within) =
        (raised(None, "partner-down", Level::Warning, -9), raised(None, "queue-old", Level::Warning, 1));
    ledger.take(before.clone());
    assert_eq!(tell(&mut ledger, &mail, at(-8)), [Status::Raised]);
    ledger.silence(silence("a", None, None));
    ledger.take(within.clone());
    assert!(ledger.follow(&within, Standing::Ended, at(50)));
    assert!(ledger.follow(&before, Standing::Ended, at(50)));
    assert_eq!(ledger.waiting(&mail), 0);
    assert_eq!(tell(&mut ledger, &mail, at(99)), []);
    let mut stored: Ledger = serde_json::from_slice(&serde_json::to_vec(&ledger).unwrap()).unwrap();
    let due = stored.due(&mail, at(100), DAY, 100);
    assert_eq!(due.iter().map(|notice| notice.code.as_str()).collect::<Vec<_>>(), ["partner-down"], "it is known");
    stored.told(&mail, &due, at(100));
    stored.tidy(std::slice::from_ref(&mail), at(101));
    assert_eq!(stored, Ledger::default(), "nothing is left of either but {:?}", stored.open());
    assert!(ledger.take(raised(None, "queue-old", Level::Warning, 200)), "it begins anew");
    assert_eq!(tell(&mut ledger, &mail, at(201)).last(), Some(&Status::Raised));
}

#[test]
fn a_condition_that_becomes_graver_or_concerns_something_else_is_told_anew() {
    let (mut ledger, all) = (Ledger::default(), channel("hook", Level::Warning));
    let grave = channel("mail", Level::Error);
    let offered = |subjects: &[&str], level, second| about(subjects, "certificate-offered", level, second);
    let mut told = |raised: Raised, now: i64| {
        let news = ledger.take(raised);
        (news, tell(&mut ledger, &all, at(now)).len(), tell(&mut ledger, &grave, at(now)).len())
    };
    assert_eq!(told(offered(&["one"], Level::Warning, 0), 1), (true, 1, 0));
    assert_eq!(told(offered(&["one"], Level::Warning, 2), 3), (false, 0, 0), "found again by a new start");
    assert_eq!(told(offered(&["one"], Level::Error, 4), 5), (true, 1, 1));
    assert_eq!(told(offered(&["one", "two"], Level::Error, 6), 7), (true, 1, 1));
    assert_eq!(told(offered(&["two"], Level::Warning, 8), 9), (false, 0, 0), "one is over");
    let ended = offered(&["two"], Level::Warning, 8);
    ledger.follow(&ended, Standing::Ended, at(10));
    assert_eq!(tell(&mut ledger, &grave, at(11)), [Status::Ended], "it was told of it while it was graver");
}

#[test]
fn a_reminder_has_the_words_of_its_time_and_they_are_no_news() {
    let (mut ledger, mail) = (Ledger::default(), channel("mail", Level::Warning));
    let mut old = raised(None, "queue-old", Level::Warning, 0);
    ledger.take(old.clone());
    tell(&mut ledger, &mail, at(1));
    old.alert.text = bilingual!("等待 30 小时", "waits for 30 hours");
    assert!(!ledger.follow(&old, Standing::Open, at(2)));
    assert_eq!(tell(&mut ledger, &mail, at(3)), []);
    let due = ledger.due(&mail, at(86_401), DAY, 100);
    assert_eq!(due.iter().map(|notice| notice.text.en.as_str()).collect::<Vec<_>>(), ["waits for 30 hours"]);
}

#[test]
fn a_ledger_of_an_older_version_is_read_and_what_it_told_is_not_told_anew() {
    let mail = channel("mail", Level::Warning);
    let stored = r#"{"entries":{"gateway.crl-stale":{"raised":{"message":null,"partner":null,"alert":{"code":"crl-stale",
        "level":"warning","text":{"zh":"旧","en":"old"},"raised":"2026-01-01T00:00:00Z","times":3,"acknowledged":null,
        "resolved":null}},"ended":null,"told":{"mail":{"at":"2027-01-15T08:00:00Z","reminders":0,"ended":false}}}}}"#;
    let mut ledger: Ledger = serde_json::from_str(stored).unwrap();
    assert!(!ledger.take(about(&["a.crl"], "crl-stale", Level::Warning, 1)));
    assert_eq!(tell(&mut ledger, &mail, at(2)), []);
    assert!(ledger.take(about(&["a.crl", "b.crl"], "crl-stale", Level::Warning, 3)));
    assert_eq!(tell(&mut ledger, &mail, at(4)), [Status::Raised]);
}

#[test]
fn a_channel_is_told_that_another_of_its_kind_fails() {
    let mut ledger = Ledger::default();
    let hook = |name: &str| Channel { own: "alert-webhook-failing".into(), ..channel(name, Level::Warning) };
    let failing = |names: &[&str], second| about(names, "alert-webhook-failing", Level::Error, second);
    ledger.take(failing(&["a"], 0));
    assert_eq!((ledger.waiting(&hook("a")), ledger.waiting(&hook("b"))), (0, 1));
    assert_eq!(tell(&mut ledger, &hook("b"), at(1)), [Status::Raised]);
    assert!(ledger.take(failing(&["a", "b"], 2)));
    assert_eq!((ledger.waiting(&hook("a")), ledger.waiting(&hook("c"))), (1, 1));
}

#[test]
fn what_is_raised_again_while_it_is_told_is_yet_to_be_told() {
    let (mut ledger, mail) = (Ledger::default(), channel("mail", Level::Warning));
    ledger.take(raised(Some(1), "http-404", Level::Error, 0));
    let underway = ledger.due(&mail, at(1), DAY, 100);
    ledger.take(raised(Some(1), "http-404", Level::Error, 1));
    ledger.told(&mail, &underway, at(2));
    assert_eq!(tell(&mut ledger, &mail, at(3)), [Status::Raised]);
}

#[test]
fn a_start_takes_open_alerts_it_does_not_know_and_not_those_let_go() {
    let mut ledger = Ledger::default();
    let alert = |number, second| raised(Some(number), "http-404", Level::Error, second);
    let settled = ledger.settled();
    assert!(ledger.is_new(&alert(1, 1000), settled), "a channel was configured for the first time");
    ledger.take(alert(1, 1000));
    assert!(ledger.is_new(&alert(5, -1_000_000), settled), "met behind a newer one");
    let settled = ledger.settled();
    assert!(!ledger.is_new(&alert(1, 1000), settled));
    assert!(ledger.is_new(&alert(2, 999), settled), "raised at about the same time");
    assert!(ledger.is_new(&alert(3, 2000), settled), "raised while nothing ran");
    assert!(!ledger.is_new(&alert(4, 0), settled), "known and let go");
}

#[test]
fn a_condition_of_an_earlier_process_has_ended_only_when_this_one_has_looked_for_it() {
    let damaged = raised(None, "journal-damaged", Level::Security, 0);
    let disk = raised(None, "disk-full", Level::Error, 0);
    let mut ledger = Ledger::default();
    ledger.take(damaged.clone());
    assert!(ledger.has_ended(&damaged, Duration::ZERO), "it was found here");
    ledger.take(disk.clone());
    let mut later: Ledger = serde_json::from_slice(&serde_json::to_vec(&ledger).unwrap()).unwrap();
    let minute = Duration::from_secs(60);
    assert!(!later.has_ended(&damaged, 60 * minute), "the first check has just begun");
    assert!(!later.has_ended(&disk, Duration::ZERO) && later.has_ended(&disk, minute));
    later.take(damaged.clone());
    assert!(later.has_ended(&damaged, minute), "found again, and mended");
}

#[test]
fn a_storm_is_told_in_parts_and_the_ledger_stays_small() {
    let (mut ledger, mail) = (Ledger::default(), channel("mail", Level::Warning));
    let count = u32::try_from(MOST).unwrap() + 500;
    for number in 0..count {
        ledger.take(raised(Some(number), "http-404", Level::Error, 0));
    }
    ledger.tidy(std::slice::from_ref(&mail), at(1));
    assert_eq!(ledger.waiting(&mail), MOST + 500, "nothing that is yet to be told is let go");
    let mut told = 0;
    loop {
        let due = ledger.due(&mail, at(1), DAY, 1000);
        if due.is_empty() {
            break;
        }
        assert!(due.len() <= 1000);
        told += due.len();
        ledger.told(&mail, &due, at(1));
    }
    ledger.tidy(&[mail], at(2));
    assert_eq!((told, ledger.open().len()), (MOST + 500, MOST));
}

#[test]
fn a_delivery_is_the_documented_json_and_words_in_both_languages() {
    let grave = Notice::new(&raised(Some(1), "mdn-mic-mismatch", Level::Security, 5), Status::Raised, 0, None);
    let mild = Notice::new(&raised(None, "index-rebuilt", Level::Warning, 0), Status::Ended, 0, Some(at(9)));
    let delivery = Delivery::new("OURS", vec![mild, grave], at(10));
    let json: serde_json::Value = serde_json::from_slice(&delivery.json()).unwrap();
    let example = include_str!("../../docs/alerts.md");
    let example = example.split("```json\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let example: serde_json::Value = serde_json::from_str(example).unwrap();
    let keys = |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!((keys(&json), keys(&json["alerts"][0])), (keys(&example), keys(&example["alerts"][0])));
    assert_eq!(
        (&json["alerts"][0]["code"], &json["alerts"][0]["level"]),
        (&"mdn-mic-mismatch".into(), &"security".into())
    );
    assert_eq!(delivery.subject(), "[dxgate OURS] 2 条告警 / alerts: 1 new, 1 reminders or ends");
    let words = delivery.words();
    for part in ["坏了", "broken", "安全 / security", "已结束 / ended", "gateway.index-rebuilt", "+08:00"] {
        assert!(words.contains(part), "{part} in {words}");
    }
    let many: Vec<Notice> =
        (0..60).map(|n| Notice::new(&raised(Some(n), "http-404", Level::Error, 0), Status::Raised, 0, None)).collect();
    let words = Delivery::new("OURS", many, at(10)).words();
    assert!(words.contains("10 more") && words.matches("http-404").count() == 50, "{words}");
}

#[test]
fn hostile_texts_stay_within_a_line_of_a_mail() {
    let mut bad = raised(Some(1), "http-404", Level::Error, 0);
    bad.partner = Some("evil\r\nBcc: all@example.com".into());
    bad.alert.text = bilingual!("一\r\n二", "one\r\n.\r\ntwo\u{202e}");
    let delivery = Delivery::new("OURS", vec![Notice::new(&bad, Status::Raised, 0, None)], at(1));
    assert!(!delivery.subject().contains(['\r', '\n']), "{}", delivery.subject());
    assert!(!delivery.words().contains("\r"), "{}", delivery.words());
}

#[test]
fn a_condition_that_was_acknowledged_is_not_told_by_the_next_start_and_is_once_it_begins_anew() {
    let (mut ledger, mail) = (Ledger::default(), channel("mail", Level::Warning));
    let ends = |second| about(&["a"], "certificate-expires-60d", Level::Warning, second);
    ledger.take(ends(0));
    assert_eq!(tell(&mut ledger, &mail, at(1)), [Status::Raised]);
    assert!(ledger.follow(&ends(0), Standing::Acknowledged, at(2)));
    ledger.tidy(std::slice::from_ref(&mail), at(2));
    let mut next: Ledger = serde_json::from_slice(&serde_json::to_vec(&ledger).unwrap()).unwrap();
    assert!(!next.take(ends(100)), "a start finds it again");
    assert_eq!(next.waiting(&mail), 0);
    assert_eq!(tell(&mut next, &mail, at(200_000)), [], "nor is there a reminder");
    assert!(!next.take(ends(100)), "whoever looks through all that stands meets it once more");
    next.follow(&ends(100), Standing::Ended, at(200_001));
    assert_eq!(tell(&mut next, &mail, at(200_002)), [], "nor its end");
    assert!(next.take(ends(200_003)));
    assert_eq!(tell(&mut next, &mail, at(200_004)), [Status::Raised]);
    next.follow(&ends(200_003), Standing::Acknowledged, at(200_005));
    assert!(next.take(ends(200_006)), "it ended and began again before anybody looked");
    next.follow(&ends(200_006), Standing::Acknowledged, at(200_007));
    assert!(next.take(about(&["a", "b"], "certificate-expires-60d", Level::Warning, 200_008)), "it has outgrown that");
}
