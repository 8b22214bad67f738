//! What the portal shows: the four applications on the road and their states (《DXPID 网上申请流程》, 步骤 6 and 9).

use serde::{Deserialize, Serialize};

use super::Refused;
use crate::bilingual;
use crate::ground::text::Bilingual;

/// An application at the portal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// 接口开通申请: to use the interface at all (步骤 3 to 6).
    Opening,
    /// 联调测试申请: for an account and a window of the connectivity test (步骤 7 to 9).
    Test,
    /// 测试报告管理: the stamped report is handed in (步骤 10).
    Report,
    /// 接入服务管理: the DXPID for production (步骤 11).
    Access,
}

impl Stage {
    /// In the order of the road.
    pub const ALL: [Stage; 4] = [Stage::Opening, Stage::Test, Stage::Report, Stage::Access];

    /// Stable name.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Opening => "opening",
            Stage::Test => "test",
            Stage::Report => "report",
            Stage::Access => "access",
        }
    }

    /// Its name on the portal.
    pub fn text(self) -> Bilingual {
        match self {
            Stage::Opening => bilingual!("接口开通申请", "application for the interface"),
            Stage::Test => bilingual!("联调测试申请", "application for the connectivity test"),
            Stage::Report => bilingual!("测试报告提交", "test report handed in"),
            Stage::Access => bilingual!("接入服务申请", "application for access"),
        }
    }

    /// Working days in which it is answered (服务方案 五): 3 for the application, 7 for access.
    pub fn working_days(self) -> Option<u8> {
        match self {
            Stage::Opening => Some(3),
            Stage::Access => Some(7),
            Stage::Test | Stage::Report => None,
        }
    }
}

/// Working days of the window of the connectivity test (服务方案 五).
pub const TEST_WINDOW: u8 = 5;

/// A state that the portal shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// 已暂存: kept there, not handed in.
    Saved,
    /// 已申请: waits to be looked at.
    Applied,
    /// 已预审: the branch centre agreed, the data centre is next.
    Reviewed,
    /// 已通过: all agreed.
    Passed,
    /// 已退回: sent back.
    Returned,
    /// 待分配: agreed, an account is yet to be assigned.
    Unassigned,
    /// 变更申请: a change of what was agreed is handed in.
    ChangeApplied,
    /// 变更已预审: the branch centre agreed to the change.
    ChangeReviewed,
    /// 变更已通过: the change is agreed.
    ChangePassed,
    /// 变更已退回: the change was sent back; what was agreed before holds.
    ChangeReturned,
}

impl State {
    /// Each, with its name and the portal's.
    pub const ALL: [(State, &'static str, &'static str); 10] = [
        (State::Applied, "applied", "已申请"),
        (State::Passed, "passed", "已通过"),
        (State::Returned, "returned", "已退回"),
        (State::Saved, "saved", "已暂存"),
        (State::Reviewed, "reviewed", "已预审"),
        (State::ChangePassed, "change-passed", "变更已通过"),
        (State::ChangeReturned, "change-returned", "变更已退回"),
        (State::Unassigned, "unassigned", "待分配"),
        (State::ChangeApplied, "change-applied", "变更申请"),
        (State::ChangeReviewed, "change-reviewed", "变更已预审"),
    ];

    /// The state of this name, stable or the portal's; the portal's instructions also print 变更已退.
    pub fn named(name: &str) -> Option<State> {
        let name = if name == "变更已退" { "变更已退回" } else { name };
        State::ALL.iter().find(|(_, stable, portal)| [*stable, *portal].contains(&name)).map(|(state, ..)| *state)
    }

    /// Stable name.
    pub fn name(self) -> &'static str {
        State::ALL.iter().find(|(state, ..)| *state == self).map_or("", |(_, name, _)| name)
    }

    /// The portal's name.
    pub fn portal(self) -> &'static str {
        State::ALL.iter().find(|(state, ..)| *state == self).map_or("", |(.., name)| name)
    }

    /// For people.
    pub fn text(self) -> Bilingual {
        let (zh, en) = (self.portal(), self.name());
        bilingual!("{zh}", "{zh} ({en})")
    }

    /// Whether what was applied for holds: a change that is pending or sent back takes nothing away.
    pub fn is_granted(self) -> bool {
        match self {
            State::Saved | State::Applied | State::Reviewed | State::Returned => false,
            State::Passed
            | State::Unassigned
            | State::ChangeApplied
            | State::ChangeReviewed
            | State::ChangePassed
            | State::ChangeReturned => true,
        }
    }

    /// Whether the other side is at work.
    pub fn is_pending(self) -> bool {
        matches!(
            self,
            State::Applied | State::Reviewed | State::Unassigned | State::ChangeApplied | State::ChangeReviewed
        )
    }
}

/// The states that may follow; changes and the assignment of accounts are of the test and the access alone.
pub fn next(stage: Stage, from: Option<State>) -> Vec<State> {
    use State::{
        Applied, ChangeApplied, ChangePassed, ChangeReturned, ChangeReviewed, Passed, Returned, Reviewed, Saved,
        Unassigned,
    };
    let all: &[State] = match from {
        None | Some(Returned) => &[Saved, Applied],
        Some(Saved) => &[Applied],
        // Where one centre decides alone there is no review before.
        Some(Applied) => &[Reviewed, Passed, Returned, Unassigned],
        Some(Reviewed) => &[Passed, Returned, Unassigned],
        Some(Passed) => &[Unassigned, ChangeApplied],
        Some(Unassigned) => &[Passed],
        Some(ChangeApplied) => &[ChangeReviewed, ChangePassed, ChangeReturned],
        Some(ChangeReviewed) => &[ChangePassed, ChangeReturned],
        Some(ChangePassed | ChangeReturned) => &[ChangeApplied],
    };
    let changes = matches!(stage, Stage::Test | Stage::Access);
    let plain = |state: &&State| matches!(state, Saved | Applied | Reviewed | Passed | Returned);
    all.iter().filter(|state| changes || plain(state)).copied().collect()
}

/// Whether a state may follow another.
///
/// # Errors
/// It may not; which may is said.
pub fn follows(stage: Stage, from: Option<State>, to: State) -> Result<(), Refused> {
    let may = next(stage, from);
    if may.contains(&to) {
        return Ok(());
    }
    let now = from.map_or("—", State::portal);
    let (what, to) = (stage.text(), to.portal());
    let may: Vec<&str> = may.into_iter().map(State::portal).collect();
    let may = if may.is_empty() { "—".to_owned() } else { may.join("、") };
    let (zh, en) = (what.zh, what.en);
    let text = bilingual!(
        "{zh}：{now} 之后不能是 {to}，可以是 {may}；请按网上系统所示逐步登记",
        "{en}: {to} cannot follow {now}, but {may} can; record what the portal shows, step by step"
    );
    Err(Refused::new("state-cannot-follow", text))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_state_of_the_portal_is_known_by_both_names() {
        let names = "已申请 已通过 已退回 已暂存 已预审 变更已通过 变更已退回 待分配 变更申请 变更已预审";
        assert_eq!(State::ALL.iter().map(|row| row.2).collect::<Vec<_>>().join(" "), names);
        for (state, stable, portal) in State::ALL {
            assert_eq!((State::named(stable), State::named(portal)), (Some(state), Some(state)));
            assert_eq!(serde_json::to_value(state).expect("written"), stable);
        }
        assert_eq!((State::named("变更已退"), State::named("passt")), (Some(State::ChangeReturned), None));
    }

    #[test]
    fn every_state_can_be_reached_and_only_along_the_portals_way() {
        for stage in Stage::ALL {
            let (mut seen, mut left) = (BTreeSet::new(), vec![None]);
            while let Some(from) = left.pop() {
                for (state, name, _) in State::ALL {
                    let allowed = next(stage, from).contains(&state);
                    assert_eq!(follows(stage, from, state).is_ok(), allowed, "{stage:?} {from:?} {state:?}");
                    if allowed && seen.insert(name) {
                        left.push(Some(state));
                    }
                }
            }
            let wanted = if matches!(stage, Stage::Test | Stage::Access) { 10 } else { 5 };
            assert_eq!(seen.len(), wanted, "{stage:?}: {seen:?}");
        }
        let refused = follows(Stage::Opening, Some(State::Returned), State::Passed).expect_err("no");
        assert!(refused.text.zh.contains("已退回 之后不能是 已通过，可以是 已暂存、已申请"), "{refused:?}");
    }

    #[test]
    fn a_pending_or_refused_change_takes_nothing_away() {
        assert!(State::ChangeReturned.is_granted() && State::ChangeApplied.is_granted());
        assert!(!State::Returned.is_granted() && !State::Reviewed.is_granted());
    }
}
