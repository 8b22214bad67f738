//! What the customs side of a test answers: read from a TOML file, `config/scenario.example.toml` shows every key.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::fault::{Fault, FaultKind};
use crate::bilingual;
use crate::declaration::precheck::BusinessKey;
use crate::declaration::receipt::{self, Outcome};
use crate::ground::text::Bilingual;

/// How declarations are answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Scenario {
    /// How much of the road of a declaration is told.
    pub receipts: Receipts,
    /// In which order the receipts leave.
    pub order: Order,
    /// How often each receipt leaves.
    pub copies: Copies,
    /// Receipts come inside a DxpMsgSv, as a transport node passes them on.
    pub node: bool,
    /// The platform answers each envelope that it passes on (DxpRep).
    pub transport_receipts: bool,
    /// Customs makes the pre-check, as the gateway's outbox does, and answers its errors.
    pub precheck: bool,
    /// The certificate that the AS2 server shows.
    pub server_certificate: ServerCertificate,
    /// What becomes of TLS handshakes with the AS2 server.
    pub handshake: Handshake,
    /// What becomes of which documents: the first that fits decides; without one, all goes well.
    #[serde(rename = "outcome")]
    pub outcomes: Vec<Case>,
    /// What goes wrong with AS2 messages: the first that fits decides.
    #[serde(rename = "fault")]
    pub faults: Vec<Fault>,
}

impl Default for Scenario {
    fn default() -> Scenario {
        Scenario {
            receipts: Receipts::default(),
            order: Order::default(),
            copies: Copies::default(),
            node: false,
            transport_receipts: false,
            precheck: true,
            server_certificate: ServerCertificate::default(),
            handshake: Handshake::default(),
            outcomes: Vec::new(),
            faults: Vec::new(),
        }
    }
}

/// Cases and faults of one scenario, each.
const MAX_CASES: usize = 1000;
/// Characters of a text that customs is to say: `returnInfo` has no more.
const MAX_TEXT: usize = 1000;
/// How late something may come.
const MAX_DELAY: Duration = Duration::from_secs(600);

/// The certificate that the testbed's AS2 server shows, if it serves TLS.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServerCertificate {
    /// The one of its configuration.
    #[default]
    Configured,
    /// One that nobody knows.
    Other,
    /// One that the configured one has issued, and that has expired.
    Expired,
    /// One that the configured one has issued, for another host.
    WrongName,
}

/// What becomes of TLS handshakes with the testbed's AS2 server, if it serves TLS.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Handshake {
    /// They succeed.
    #[default]
    Proper,
    /// The connection ends without a word.
    Closed,
    /// The server ends them with a fatal alert.
    Aborted,
    /// The server chooses TLS 1.0.
    OldVersion,
}

/// How much of the road of a declaration is told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Receipts {
    /// Every status on the way.
    #[default]
    Sequence,
    /// The end alone.
    Last,
    /// Nothing.
    None,
}

/// In which order the receipts of a declaration leave.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// As it happened.
    #[default]
    AsHappened,
    /// The last one first.
    Reversed,
}

/// How often each receipt leaves, one to [`MAX_COPIES`] times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Copies(pub u8);

/// Copies of one receipt.
pub const MAX_COPIES: u8 = 10;

impl Default for Copies {
    fn default() -> Copies {
        Copies(1)
    }
}

impl From<Copies> for u8 {
    fn from(copies: Copies) -> u8 {
        copies.0
    }
}

impl TryFrom<u8> for Copies {
    type Error = String;

    fn try_from(count: u8) -> Result<Copies, String> {
        let fits = (1..=MAX_COPIES).contains(&count);
        fits.then_some(Copies(count)).ok_or_else(|| format!("copies: 1 to {MAX_COPIES}, not {count}"))
    }
}

/// What becomes of some documents.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Case {
    /// Only in messages of this type, such as `CEB621Message`.
    #[serde(rename = "type")]
    pub message_type: Option<String>,
    /// Only documents with this text in one of their keys.
    pub key: Option<String>,
    /// How it ends.
    pub end: End,
    /// `returnStatus` of the end, or `ResponseCode`, instead of the usual one.
    pub status: Option<String>,
    /// `returnInfo` of the end, or `ResponseInfo`.
    pub info: Option<String>,
    /// A person looks at it on the way (300), where the type has that.
    pub review: bool,
}

/// How a declaration ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// As wished: 120, 399 or 899, by its type.
    #[default]
    Accepted,
    /// 100 海关退单.
    Rejected,
    /// A code below zero: 处理异常.
    Error,
    /// CEB900: the whole message is said to be malformed.
    FormatError,
    /// DxpRep: the platform refuses the envelope.
    Refused,
    /// Nothing is ever heard of it.
    Silent,
}

/// A scenario that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct ScenarioError {
    /// What is wrong, where, and what to do.
    pub text: Bilingual,
}

impl Scenario {
    /// Reads a scenario's file.
    ///
    /// # Errors
    /// The file cannot be read, or has a key or value that is not known.
    pub fn read(path: &Path) -> Result<Scenario, ScenarioError> {
        let (file, text) = (path.display(), std::fs::read_to_string(path));
        let problem = |what: &Bilingual| {
            let (zh, en) = (&what.zh, &what.en);
            let text = bilingual!(
                "场景文件 {file} 不能使用：{zh}。可参照 config/scenario.example.toml。",
                "the scenario {file} cannot be used: {en}. See config/scenario.example.toml."
            );
            ScenarioError { text }
        };
        let same = |error: String| bilingual!("{error}", "{error}");
        let text = text.map_err(|error| problem(&same(error.to_string())))?;
        let scenario: Scenario = toml::from_str(&text).map_err(|error| problem(&same(error.to_string())))?;
        scenario.sound().map_err(|what| problem(&what))?;
        Ok(scenario)
    }

    /// Whether it can be played.
    ///
    /// # Errors
    /// What cannot.
    pub fn sound(&self) -> Result<(), Bilingual> {
        if self.outcomes.len().max(self.faults.len()) > MAX_CASES {
            return Err(bilingual!(
                "outcome 和 fault 各不超过 {MAX_CASES} 个",
                "there may be {MAX_CASES} of outcome and of fault"
            ));
        }
        let texts = self.outcomes.iter().flat_map(|case| [&case.message_type, &case.key, &case.status, &case.info]);
        if texts.flatten().any(|text| text.chars().count() > MAX_TEXT) {
            return Err(bilingual!("文字不超过 {MAX_TEXT} 个字符", "a text may have {MAX_TEXT} characters"));
        }
        if self.faults.iter().any(|fault| fault.fault == FaultKind::HttpStatus && !(200..600).contains(&fault.status)) {
            return Err(bilingual!("status 应为 200 至 599", "status must be 200 to 599"));
        }
        if self.faults.iter().any(|fault| fault.delay.0 > MAX_DELAY) {
            return Err(bilingual!("delay 不超过 10m", "delay may be 10m"));
        }
        Ok(())
    }

    /// The end alone of everything, and all ends well.
    pub fn brief() -> Scenario {
        Scenario { receipts: Receipts::Last, ..Scenario::default() }
    }

    /// The case of a whole message: one that answers it as such.
    pub fn of_message(&self, message_type: &str, keys: &[BusinessKey]) -> Option<&Case> {
        let whole = |end| matches!(end, End::FormatError | End::Refused);
        self.outcomes.iter().find(|case| whole(case.end) && case.fits(message_type, keys))
    }

    /// The case of a document.
    fn of_document(&self, message_type: &str, keys: &[BusinessKey]) -> Option<&Case> {
        self.outcomes.iter().find(|case| case.fits(message_type, keys))
    }

    /// A document of this type goes into the books of customs: it is not refused.
    pub fn takes(&self, message_type: &str, keys: &[BusinessKey]) -> bool {
        self.of_document(message_type, keys).is_none_or(|case| matches!(case.end, End::Accepted | End::Silent))
    }

    /// What a document of this type is told, step by step.
    pub fn steps(&self, message_type: &str, receipt_type: &str, keys: &[BusinessKey]) -> Vec<Outcome> {
        let usual = Case::default();
        let case = self.of_document(message_type, keys).unwrap_or(&usual);
        let mut statuses: Vec<String> =
            receipt::sequence(receipt_type, case.review).into_iter().map(str::to_owned).collect();
        let end = match case.end {
            End::Silent => return Vec::new(),
            End::Accepted => None,
            End::Rejected => Some("100"),
            End::Error | End::FormatError | End::Refused => Some("-1"),
        };
        if let Some(end) = end {
            // The e-port itself reports errors; customs rejects what reached it.
            statuses.retain(|status| status == "2" || (end == "100" && matches!(status.as_str(), "3" | "300")));
            statuses.push(end.to_owned());
        }
        if let (Some(last), Some(status)) = (statuses.last_mut(), &case.status) {
            last.clone_from(status);
        }
        self.as_told(statuses, case.info.as_ref())
    }

    /// What a document is told that the pre-check of customs refuses with this status, step by step.
    pub fn refusal(&self, status: &str, info: &str) -> Vec<Outcome> {
        let road: &[&str] = if status.starts_with('-') { &["2"] } else { &["2", "3"] };
        let statuses = road.iter().chain([&status]).map(|status| (*status).to_owned()).collect();
        self.as_told(statuses, Some(&info.to_owned()))
    }

    /// As much of the road as is told.
    fn as_told(&self, statuses: Vec<String>, info: Option<&String>) -> Vec<Outcome> {
        let last = statuses.len().saturating_sub(1);
        let told = statuses.into_iter().enumerate().map(|(step, code)| match (info, code.as_str()) {
            (Some(info), _) if step == last => Outcome::Status { code, info: info.clone() },
            (None, "100") if step == last => Outcome::Status { code, info: USUAL_REJECTION.to_owned() },
            _ => Outcome::Status { code, info: String::new() },
        });
        match self.receipts {
            Receipts::Sequence => told.collect(),
            Receipts::Last => told.skip(last).collect(),
            Receipts::None => Vec::new(),
        }
    }
}

impl Case {
    fn fits(&self, message_type: &str, keys: &[BusinessKey]) -> bool {
        self.message_type.as_ref().is_none_or(|wanted| wanted == message_type)
            && self.key.as_ref().is_none_or(|wanted| keys.iter().any(|key| key.value.contains(wanted.as_str())))
    }
}

const USUAL_REJECTION: &str = "[Code:1313;Desc:订购人购买超过年度限额]";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testbed::fault::FaultKind;

    fn codes(scenario: &Scenario, message_type: &str, receipt_type: &str, order: &str) -> Vec<String> {
        let keys = [BusinessKey { document: 1, name: "orderNo".into(), value: order.into() }];
        let code = |outcome| match outcome {
            Outcome::Status { code, .. } => code,
            other => panic!("{other:?}"),
        };
        scenario.steps(message_type, receipt_type, &keys).into_iter().map(code).collect()
    }

    fn read(text: &str) -> Scenario {
        toml::from_str(text).expect("a scenario")
    }

    #[test]
    fn the_example_shows_every_key_and_its_values_are_the_defaults() {
        let example = include_str!("../../config/scenario.example.toml");
        assert_eq!(read(example), Scenario::default());
        let shown: String =
            example.lines().map(|line| line.strip_prefix("#: ").unwrap_or(line)).collect::<Vec<_>>().join("\n");
        let all = read(&shown);
        let kinds: Vec<FaultKind> = all.faults.iter().map(|fault| fault.fault).collect();
        assert_eq!(kinds, FaultKind::ALL);
        let written = serde_json::to_string(&all).expect("written");
        assert_eq!(serde_json::from_str::<Scenario>(&written).expect("read again"), all);
        assert_eq!(all.outcomes.len(), 6);
        let ends = [End::Rejected, End::Error, End::FormatError, End::Refused, End::Silent, End::Accepted];
        assert_eq!(all.outcomes.iter().map(|case| case.end).collect::<Vec<_>>(), ends);
        let keys = ["type", "key", "end", "status", "info", "review", "fault", "skip", "times", "delay", "reason"];
        for key in keys {
            assert!(shown.lines().any(|line| line.starts_with(&format!("{key} = "))), "{key}");
        }
    }

    #[test]
    fn without_a_case_a_declaration_sees_the_whole_road_of_its_type() {
        let usual = Scenario::default();
        assert_eq!(codes(&usual, "CEB311Message", "CEB312Message", "O"), ["2", "3", "120"]);
        assert_eq!(codes(&usual, "CEB621Message", "CEB622Message", "O"), ["2", "3", "120", "399", "800", "899"]);
        assert_eq!(codes(&usual, "CEB623Message", "CEB624Message", "O"), ["2", "3", "120", "399"]);
        assert_eq!(codes(&usual, "CEB505Message", "CEB506Message", "O"), ["2", "3", "399"]);
        assert_eq!(codes(&Scenario::brief(), "CEB621Message", "CEB622Message", "O"), ["899"]);
    }

    #[test]
    fn the_first_case_that_fits_decides() {
        let scenario = read(
            "[[outcome]]\nkey = 'R'\nend = 'rejected'\n[[outcome]]\ntype = 'CEB621Message'\nend = 'error'\nstatus = '-621005'\n\
             [[outcome]]\nreview = true\n[[outcome]]\nend = 'silent'",
        );
        assert_eq!(codes(&scenario, "CEB621Message", "CEB622Message", "R1"), ["2", "3", "100"]);
        assert_eq!(codes(&scenario, "CEB621Message", "CEB622Message", "O1"), ["2", "-621005"]);
        assert_eq!(codes(&scenario, "CEB603Message", "CEB604Message", "O1")[..4], ["2", "3", "120", "300"]);
        let rejected = scenario.steps(
            "CEB311Message",
            "CEB312Message",
            &[BusinessKey { document: 1, name: "orderNo".into(), value: "R2".into() }],
        );
        assert!(matches!(&rejected[2], Outcome::Status { info, .. } if info.contains("1313")));
    }

    #[test]
    fn what_is_not_known_in_a_scenario_is_refused() {
        for wrong in [
            "handshake = 'none'",
            "recipts = 'last'",
            "copies = 0",
            "copies = 11",
            "[[outcome]]\nend = 'well'",
            "order = 'random'",
        ] {
            assert!(toml::from_str::<Scenario>(wrong).is_err(), "{wrong}");
        }
        let missing = Scenario::read(Path::new("/nowhere/scenario.toml")).expect_err("missing");
        assert!(missing.text.en.contains("scenario.toml") && missing.text.zh.contains("不能使用"));
    }
}
