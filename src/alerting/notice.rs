//! What a channel is given: the JSON of `docs/alerts.md`, and the words of a mail.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use jiff::Timestamp;
use serde::Serialize;

use crate::bilingual;
use crate::ground::clock::customs_time;
use crate::ground::text::{Bilingual, printable};
use crate::store::Raised;
use crate::store::alert::{Alert, Level};

/// Version of the JSON; fields are only added within one.
const FORMAT: u32 = 1;
/// Alerts that a mail spells out; the others are counted.
const SPELT_OUT: usize = 50;

/// Why a channel is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// It was raised.
    Raised,
    /// It goes on.
    Reminder,
    /// It has ended.
    Ended,
    /// Somebody tries the channel.
    Test,
}

/// One alert as a channel is told of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Notice {
    /// The same for the same news, however often it arrives.
    pub key: String,
    /// Names the alert in commands and API.
    pub id: String,
    /// Why this comes.
    pub status: Status,
    /// Stable code.
    pub code: String,
    /// How grave.
    pub level: Level,
    /// The partner's id.
    pub partner: Option<String>,
    /// The message's id.
    pub message: Option<String>,
    /// What happened and what to do.
    pub text: Bilingual,
    /// When it was raised.
    pub raised: Timestamp,
    /// How often the same happened.
    pub times: u32,
    /// When it ended.
    pub ended: Option<Timestamp>,
}

impl Notice {
    /// News about `raised`. `count` tells reminders of one alert apart.
    pub(super) fn new(raised: &Raised, status: Status, count: u32, ended: Option<Timestamp>) -> Notice {
        let alert = &raised.alert;
        let id = raised.name();
        let suffix = match status {
            Status::Raised => "raised".to_owned(),
            Status::Reminder => format!("reminder-{count}"),
            Status::Ended => "ended".to_owned(),
            Status::Test => "test".to_owned(),
        };
        Notice {
            key: format!("{id}@{}/{suffix}", alert.raised.as_millisecond()),
            id,
            status,
            code: alert.code.clone(),
            level: alert.level,
            partner: raised.partner.clone(),
            message: raised.message.map(|message| message.to_string()),
            text: alert.text.clone(),
            raised: alert.raised,
            times: alert.times,
            ended,
        }
    }

    /// What `dxgate alerts test` sends.
    pub(super) fn test(now: Timestamp) -> Notice {
        let text = bilingual!(
            "这是测试告警：收到它说明该渠道工作正常。无需处理。",
            "this is a test: that it arrived means that the channel works. Nothing is to be done."
        );
        let alert = Alert {
            code: "alert-test".to_owned(),
            level: Level::Warning,
            text,
            raised: now,
            times: 1,
            acknowledged: None,
            resolved: None,
        };
        let raised = Raised { message: None, partner: None, subjects: BTreeSet::new(), alert };
        Notice::new(&raised, Status::Test, 0, None)
    }
}

/// What travels at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Delivery {
    /// Version of the form.
    pub format: u32,
    /// Our AS2 name.
    pub station: String,
    /// When it was put together.
    pub sent: Timestamp,
    /// The gravest first, then the oldest.
    pub alerts: Vec<Notice>,
}

impl Delivery {
    /// Of these, at `now`.
    pub(super) fn new(station: &str, mut alerts: Vec<Notice>, now: Timestamp) -> Delivery {
        alerts.sort_by(|a, b| b.level.cmp(&a.level).then(a.raised.cmp(&b.raised)).then(a.id.cmp(&b.id)));
        Delivery { format: FORMAT, station: station.to_owned(), sent: now, alerts }
    }

    /// The documented JSON.
    pub(super) fn json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("plain data with string keys")
    }

    /// Subject of a mail, within one line.
    pub(super) fn subject(&self) -> String {
        let station = &self.station;
        match self.alerts.as_slice() {
            [only] => {
                let partner = only.partner.as_deref().map(|partner| format!(" ({partner})")).unwrap_or_default();
                printable(&format!("[dxgate {station}] {}: {}{partner}", word(only), only.code))
            }
            all => {
                let new = all.iter().filter(|notice| notice.status == Status::Raised).count();
                let (count, rest) = (all.len(), all.len().saturating_sub(new));
                printable(&format!("[dxgate {station}] {count} 条告警 / alerts: {new} new, {rest} reminders or ends"))
            }
        }
    }

    /// Text of a mail, in both languages.
    pub(super) fn words(&self) -> String {
        let mut text = String::new();
        for notice in self.alerts.iter().take(SPELT_OUT) {
            let Notice { id, text: what, times, .. } = notice;
            let (word, raised) = (word(notice), customs_time(notice.raised));
            let partner = printable(notice.partner.as_deref().unwrap_or("-"));
            let level = level(notice.level);
            let _ = writeln!(text, "{word} · {level} · {partner} · {raised} · ×{times}");
            let _ = writeln!(text, "{}", printable(&what.zh));
            let _ = writeln!(text, "{}", printable(&what.en));
            if let Some(ended) = notice.ended {
                let _ = writeln!(text, "结束 / ended: {}", customs_time(ended));
            }
            let _ = writeln!(text, "{}\n", printable(id));
        }
        let more = self.alerts.len().saturating_sub(SPELT_OUT);
        if more > 0 {
            let _ = writeln!(text, "另有 {more} 条。/ {more} more.\n");
        }
        text.push_str("dxgate alerts list · dxgate alerts acknowledge · dxgate alerts silence\n");
        text
    }
}

fn word(notice: &Notice) -> &'static str {
    match notice.status {
        Status::Raised => "新告警 / raised",
        Status::Reminder => "仍未处理 / goes on",
        Status::Ended => "已结束 / ended",
        Status::Test => "测试 / test",
    }
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Warning => "警告 / warning",
        Level::Error => "错误 / error",
        Level::Security => "安全 / security",
    }
}
