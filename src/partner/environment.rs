//! The station's environment: the data centre's test system or its production system.
//!
//! A gateway home is of one environment. Whatever belongs to the other (its DXPID in a document or envelope, a message
//! that was made under it) is refused by name, whatever the pre-check's level; and a test account, which rotates between
//! enterprises, is only used while it is ours.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::bilingual;
use crate::ground::clock::customs_time;
use crate::ground::text::Bilingual;

/// Which system of the data centre.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EnvironmentName {
    /// For the connectivity test.
    Test,
    /// For declarations that count.
    #[default]
    Production,
}

impl EnvironmentName {
    /// Its name in configuration and output for programs.
    pub fn name(self) -> &'static str {
        match self {
            EnvironmentName::Test => "test",
            EnvironmentName::Production => "production",
        }
    }

    /// For people.
    pub fn text(self) -> Bilingual {
        match self {
            EnvironmentName::Test => bilingual!("测试环境", "test environment"),
            EnvironmentName::Production => bilingual!("生产环境", "production environment"),
        }
    }
}

/// The environment of a home.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    /// Which one.
    pub name: EnvironmentName,
    /// DXPIDs of the station in its other environments: nothing that carries one may leave from here.
    pub other_dxpids: Vec<String>,
    /// Nothing is sent before this instant.
    pub from: Option<Timestamp>,
    /// Nothing is sent from this instant on.
    pub until: Option<Timestamp>,
}

/// Why the environment does not let something leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// Stable code.
    pub code: &'static str,
    /// What, and what to do.
    pub text: Bilingual,
    /// When it opens by itself.
    pub opens: Option<Timestamp>,
}

impl Environment {
    /// Why nothing may be sent at `now`; none: it may.
    pub fn closed(&self, now: Timestamp) -> Option<Closed> {
        let (zh, en) = (self.name.text().zh, self.name.text().en);
        if let Some(from) = self.from.filter(|from| now < *from) {
            let begin = customs_time(from);
            let text = bilingual!(
                "{zh}的时间窗口自 {begin} 开始，此前不发送；届时自动继续。",
                "the window of the {en} begins at {begin}; nothing is sent before, and it goes on by itself then."
            );
            return Some(Closed { code: "environment-window-not-begun", text, opens: Some(from) });
        }
        let until = self.until.filter(|until| now >= *until)?;
        let end = customs_time(until);
        let text = bilingual!(
            "{zh}的时间窗口已于 {end} 结束，测试账号可能已分配给其他企业，不再发送。如已获得新的窗口，请修改 gateway.toml 的 [environment] 并重启网关。",
            "the window of the {en} ended at {end}, and its account may be another enterprise's by now: nothing is sent. With a new window, change [environment] of gateway.toml and restart."
        );
        Some(Closed { code: "environment-window-over", text, opens: None })
    }

    /// Since when a partner could have been reached that something has waited for since `since`: not before the window.
    pub fn open_since(&self, since: Timestamp) -> Timestamp {
        self.from.map_or(since, |from| from.max(since))
    }

    /// Whether a DXPID is the station's in another environment.
    pub fn is_foreign(&self, dxpid: &str) -> bool {
        self.other_dxpids.iter().any(|other| other == dxpid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    #[test]
    fn a_window_is_open_from_its_beginning_up_to_its_end() {
        let (from, until) = (at("2026-03-02T09:00:00+08:00"), at("2026-03-06T18:00:00+08:00"));
        let environment =
            Environment { name: EnvironmentName::Test, from: Some(from), until: Some(until), ..Environment::default() };
        let code = |now: &str| environment.closed(at(now)).map(|closed| closed.code);
        assert_eq!(code("2026-03-02T08:59:59+08:00"), Some("environment-window-not-begun"));
        assert_eq!(code("2026-03-02T09:00:00+08:00"), None);
        assert_eq!(code("2026-03-06T17:59:59+08:00"), None);
        assert_eq!(code("2026-03-06T18:00:00+08:00"), Some("environment-window-over"));
        let early = environment.closed(at("2026-03-01T00:00:00Z")).expect("closed");
        assert!(early.opens == Some(from) && early.text.zh.contains("2026-03-02T09:00:00"), "{early:?}");
        assert_eq!(Environment::default().closed(from), None, "production has no window by default");
    }
}
