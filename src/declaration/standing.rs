//! Where a document stands with customs: a small machine over the receipts that answer it.
//!
//! ```text
//! waiting ──1 2 3 300 400 500 600──▶ in progress ──120 399 430──▶ accepted ──800 899──▶ released
//!         any receipt may come next:  ──100 50x 599 700──▶ rejected      ──4, negative, CEB900──▶ error
//! ```
//!
//! Receipts come in any order and more than once, so there is no table of lawful steps: the receipt with the newest
//! `returnTime` tells the standing, and what a status means is the table of its own message type
//! ([`receipt::meaning`](super::receipt::meaning)). The order in which the same receipts arrive makes no difference.
//! Notices (tax bills, summary results) are kept beside it: they say nothing about the declaration itself.

use serde::{Deserialize, Serialize};

use super::family::{self, Role};
use super::precheck::BusinessKey;
use crate::bilingual;
use crate::ground::id::Id;
use crate::ground::text::Bilingual;

/// Where a document stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// No receipt has come yet.
    #[default]
    Waiting,
    /// On its way: stored, being declared, under review or inspection.
    InProgress,
    /// In the books of customs or decided by it; for most types the good end.
    Accepted,
    /// Released or cleared.
    Released,
    /// Refused, returned or detained by customs.
    Rejected,
    /// It could not be processed: format, signature, duplicates, limits, transport.
    Error,
}

impl Standing {
    /// All of them, in the order of the machine.
    pub const ALL: [Standing; 6] = [
        Standing::Waiting,
        Standing::InProgress,
        Standing::Accepted,
        Standing::Released,
        Standing::Rejected,
        Standing::Error,
    ];

    /// Kebab-case name for programs.
    pub fn name(self) -> &'static str {
        match self {
            Standing::Waiting => "waiting",
            Standing::InProgress => "in-progress",
            Standing::Accepted => "accepted",
            Standing::Released => "released",
            Standing::Rejected => "rejected",
            Standing::Error => "error",
        }
    }

    /// Name for people.
    pub fn text(self) -> Bilingual {
        match self {
            Standing::Waiting => bilingual!("等待回执", "waiting"),
            Standing::InProgress => bilingual!("处理中", "in progress"),
            Standing::Accepted => bilingual!("已接受", "accepted"),
            Standing::Released => bilingual!("已放行", "released"),
            Standing::Rejected => bilingual!("已退单", "rejected"),
            Standing::Error => bilingual!("处理异常", "error"),
        }
    }

    /// A person has to look at it.
    pub fn is_bad(self) -> bool {
        matches!(self, Standing::Rejected | Standing::Error)
    }

    /// The standing that `status` in a receipt of this type means. A status that is in no table is on its way.
    pub fn told_by(message_type: &str, status: &str) -> Standing {
        if matches!(message_type, FORMAT_RECEIPT | TRANSPORT_RESPONSE) {
            return Standing::Error;
        }
        match status {
            "120" | "399" | "430" => Standing::Accepted,
            "800" | "899" => Standing::Released,
            "100" | "501" | "502" | "503" | "505" | "599" | "700" => Standing::Rejected,
            "4" => Standing::Error,
            _ if is_negative(status) => Standing::Error,
            _ => Standing::InProgress,
        }
    }
}

/// A status below zero: an error in processing.
pub(super) fn is_negative(status: &str) -> bool {
    status.strip_prefix('-').is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
}

/// The receipt about form: it names the envelope, so it is about every document in it.
pub const FORMAT_RECEIPT: &str = "CEB900Message";
/// What stands for the type where the transport refused the envelope; the status is its response code then.
pub const TRANSPORT_RESPONSE: &str = "DxpRep";

/// What one receipt says about one document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Type of the receipt, such as `CEB622Message`, or [`TRANSPORT_RESPONSE`].
    pub message_type: String,
    /// `returnStatus`, as given.
    pub status: String,
    /// `returnTime`, seventeen digits of China's clocks; empty counts as before all others.
    pub time: String,
    /// `returnInfo`, its first [`KEPT_INFO`] characters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub info: String,
    /// The inbound message that brought it.
    pub receipt: Id,
}

/// Characters of `returnInfo` that are kept with a document; the receipt itself has all of it.
pub const KEPT_INFO: usize = 300;

impl Answer {
    /// Later than another one about the same document. Of two at the same instant one is chosen by what they say, so
    /// that the order of their arrival makes no difference.
    fn is_newer_than(&self, other: &Answer) -> bool {
        (&self.time, self.weight(), &self.status) > (&other.time, other.weight(), &other.status)
    }

    fn weight(&self) -> (bool, i64) {
        let number = self.status.parse::<i64>().unwrap_or_default();
        (Standing::told_by(&self.message_type, &self.status).is_bad(), number.saturating_abs())
    }
}

/// A name and a value, such as `orderNo` and the number.
pub type Key = (String, String);

/// One business document of a message that was sent, and what customs said about it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Document {
    /// What identifies it, as it was sent, most telling first.
    pub keys: Vec<Key>,
    /// Numbers that customs gave it since: `preNo`, `invtNo`, …
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub given: Vec<Key>,
    /// Where it stands.
    #[serde(default)]
    pub standing: Standing,
    /// The newest receipt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
    /// The newest notice of each type.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<Answer>,
}

impl Document {
    /// A document that was sent and about which nothing was heard.
    pub fn sent(keys: Vec<Key>) -> Document {
        Document { keys, ..Document::default() }
    }

    /// Takes in what a receipt says, and the numbers it brings. `false`: it is older than what is known, or the same.
    pub fn hear(&mut self, answer: &Answer, given: &[Key]) -> bool {
        let newer = if is_notice(&answer.message_type) {
            self.note(answer)
        } else {
            let newer = self.answer.as_ref().is_none_or(|known| answer.is_newer_than(known));
            if newer {
                self.standing = Standing::told_by(&answer.message_type, &answer.status);
                self.answer = Some(answer.clone());
            }
            newer
        };
        for (name, value) in given.iter().filter(|(name, _)| NUMBERS.contains(&name.as_str())) {
            match self.given.iter_mut().find(|(known, _)| known == name) {
                Some((_, known)) if newer => known.clone_from(value),
                Some(_) => {}
                None => self.given.push((name.clone(), value.clone())),
            }
        }
        newer
    }

    /// Whether the newest that was said about it, or the newest notice, is this.
    pub fn was_told(&self, message_type: &str, status: &str, time: &str) -> bool {
        let mut told = self.answer.iter().chain(&self.notices);
        told.any(|known| known.message_type == message_type && known.status == status && known.time == time)
    }

    /// The transport passed it on after all: what it said before no longer holds.
    pub fn passed_on(&mut self) {
        if self.answer.as_ref().is_some_and(|known| known.message_type == TRANSPORT_RESPONSE) {
            (self.standing, self.answer) = (Standing::Waiting, None);
        }
    }

    fn note(&mut self, notice: &Answer) -> bool {
        match self.notices.iter_mut().find(|known| known.message_type == notice.message_type) {
            Some(known) if notice.is_newer_than(known) => known.clone_from(notice),
            Some(_) => return false,
            None => self.notices.push(notice.clone()),
        }
        true
    }

    /// The value of a key, as sent or as given by customs.
    pub fn key(&self, name: &str) -> Option<&str> {
        let found = self.keys.iter().chain(&self.given).find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Keys by which a person or a program may ask for it.
    pub fn findable(&self) -> impl Iterator<Item = &Key> {
        self.keys.iter().chain(&self.given).filter(|(name, _)| FINDABLE.contains(&name.as_str()))
    }

    /// Whether a receipt with these keys is about it: the same main key, and no other of the enterprise's own that
    /// differs.
    pub fn is_meant_by(&self, entry: &[BusinessKey], main: &str) -> bool {
        let own = |name: &str| match name {
            _ if name == main => self.key(name),
            _ if NUMBERS.contains(&name) => None,
            // A summary result counts its own parts; a receipt repeats the number of the part that it answers.
            "msgSeqNo" if main == "sumNo" => None,
            _ => self.keys.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str()),
        };
        agrees(entry, main, own)
    }
}

/// The same main key, and no key that differs.
pub(super) fn agrees<'a>(entry: &[BusinessKey], main: &str, own: impl Fn(&str) -> Option<&'a str>) -> bool {
    let mut same_main = false;
    for key in entry {
        match own(&key.name) {
            Some(value) if value == key.value => same_main |= key.name == main,
            Some(_) => return false,
            None => {}
        }
    }
    same_main
}

/// Which documents a receipt or notice is about: their message type, and the key by which it names them. None for
/// CEB900, which names the envelope, and for types that are no answer.
pub fn subject(receipt: &str) -> Option<(&'static str, &'static str)> {
    let answered = |row: &&family::MessageType| matches!(row.role, Role::Request { receipt: own } if own == receipt);
    let request = family::all().find(answered).and_then(|row| Some((row.name, *row.keys.first()?)));
    request.or_else(|| SUBJECTS.iter().find(|(notice, ..)| *notice == receipt).map(|(_, of, main)| (*of, *main)))
}

/// Numbers in a receipt's entry that customs gave.
pub fn numbers(entry: &[BusinessKey]) -> Vec<Key> {
    let given = entry.iter().filter(|key| NUMBERS.contains(&key.name.as_str()));
    given.map(|key| (key.name.clone(), key.value.clone())).collect()
}

/// Whether this type comes from customs on its own account.
pub fn is_notice(message_type: &str) -> bool {
    SUBJECTS.iter().any(|(notice, ..)| *notice == message_type)
}

/// Notices, the requests they are about, and the number by which they name them.
const SUBJECTS: [(&str, &str, &str); 3] = [
    ("CEB816Message", "CEB621Message", "invtNo"),
    ("CEB818Message", "CEB621Message", "invtNo"),
    ("CEB792Message", "CEB701Message", "sumNo"),
];

/// Numbers that customs gives.
const NUMBERS: [&str; 5] = ["preNo", "invtNo", "rkdNo", "sumNo", "taxNo"];

/// Keys that stand for one document or a few, unlike codes of enterprises.
pub const FINDABLE: [&str; 12] = [
    "orderNo",
    "copNo",
    "invtNo",
    "logisticsNo",
    "payTransactionId",
    "payNo",
    "preNo",
    "rkdNo",
    "sumNo",
    "coElNo",
    "billNo",
    "taxNo",
];

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn answer(message_type: &str, status: &str, time: &str) -> Answer {
        Answer {
            message_type: message_type.to_owned(),
            status: status.to_owned(),
            time: time.to_owned(),
            info: String::new(),
            receipt: Id::derived(Timestamp::UNIX_EPOCH, &[7; 10]),
        }
    }

    fn list() -> Document {
        Document::sent(vec![("copNo".into(), "C1".into()), ("orderNo".into(), "O1".into())])
    }

    fn entry(keys: &[(&str, &str)]) -> Vec<BusinessKey> {
        let key = |(name, value): &(&str, &str)| BusinessKey {
            document: 1,
            name: (*name).to_owned(),
            value: (*value).to_owned(),
        };
        keys.iter().map(key).collect()
    }

    #[test]
    fn a_declaration_goes_from_waiting_to_released_by_its_receipts() {
        let mut document = list();
        assert_eq!(document.standing, Standing::Waiting);
        let sequence = [
            ("1", Standing::InProgress),
            ("2", Standing::InProgress),
            ("3", Standing::InProgress),
            ("120", Standing::Accepted),
            ("300", Standing::InProgress),
            ("399", Standing::Accepted),
            ("800", Standing::Released),
            ("899", Standing::Released),
        ];
        for (step, (status, standing)) in sequence.iter().enumerate() {
            assert!(document.hear(&answer("CEB622Message", status, &format!("2026030109300000{step}")), &[]));
            assert_eq!(document.standing, *standing, "{status}");
        }
    }

    #[test]
    fn in_whatever_order_and_however_often_receipts_come_the_newest_one_wins() {
        let said = [
            answer("CEB622Message", "2", "20260301093000001"),
            answer("CEB622Message", "100", "20260301093000002"),
            answer("CEB622Message", "120", "20260301093000003"),
            answer("CEB622Message", "800", "20260301093000003"),
            answer("CEB622Message", "3", ""),
        ];
        let mut ends = Vec::new();
        for first in 0..said.len() {
            for step in 1..said.len() {
                let mut document = list();
                // Every rotation and stride over five receipts, each of them heard three times.
                for place in 0..said.len() * 3 {
                    document.hear(&said[(first + place * step) % said.len()], &[]);
                }
                ends.push(document);
            }
        }
        assert!(ends.iter().all(|end| end.standing == Standing::Released), "{ends:?}");
        assert!(ends.windows(2).all(|pair| pair[0] == pair[1]));
    }

    #[test]
    fn a_receipt_that_is_heard_again_changes_nothing() {
        let mut document = list();
        let rejected = answer("CEB622Message", "100", "20260301093000001");
        assert!(document.hear(&rejected, &[]));
        assert!(!document.hear(&rejected, &[]));
        assert_eq!(document.standing, Standing::Rejected);
    }

    #[test]
    fn what_the_transport_says_yields_to_any_receipt() {
        let mut document = list();
        document.hear(&answer(TRANSPORT_RESPONSE, "0002", ""), &[]);
        assert_eq!(document.standing, Standing::Error);
        assert!(document.hear(&answer("CEB622Message", "2", "20260301093000001"), &[]));
        assert!(!document.hear(&answer(TRANSPORT_RESPONSE, "0002", ""), &[]));
        assert_eq!(document.standing, Standing::InProgress);
    }

    #[test]
    fn numbers_that_customs_gives_are_learned_and_a_tax_bill_changes_no_standing() {
        let mut document = list();
        let given = numbers(&entry(&[("copNo", "C1"), ("invtNo", "I1"), ("preNo", "B1"), ("agentCode", "A")]));
        document.hear(&answer("CEB622Message", "800", "20260301093000001"), &given);
        assert_eq!(
            (document.key("invtNo"), document.key("preNo"), document.key("agentCode")),
            (Some("I1"), Some("B1"), None)
        );
        assert_eq!(subject("CEB816Message"), Some(("CEB621Message", "invtNo")));
        assert!(document.is_meant_by(&entry(&[("invtNo", "I1"), ("taxNo", "T1")]), "invtNo"));
        document.hear(&answer("CEB816Message", "3", "20270301093000001"), &[("taxNo".into(), "T1".into())]);
        assert_eq!(
            (document.standing, document.notices.len(), document.key("taxNo")),
            (Standing::Released, 1, Some("T1"))
        );
    }

    #[test]
    fn another_document_with_one_key_in_common_is_not_meant() {
        let document = list();
        assert!(document.is_meant_by(&entry(&[("copNo", "C1"), ("preNo", "B9")]), "copNo"));
        assert!(!document.is_meant_by(&entry(&[("copNo", "C1"), ("orderNo", "O2")]), "copNo"));
        assert!(!document.is_meant_by(&entry(&[("orderNo", "O1")]), "copNo"), "without the main key");
    }

    #[test]
    fn a_summary_result_is_about_its_application_whichever_part_of_the_result_it_is() {
        let keys = [("copNo", "S1"), ("msgSeqNo", "1"), ("agentCode", "A"), ("ebcCode", "E")];
        let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let mut document = Document::sent(keys.into_iter().map(own).collect());
        document.hear(&answer("CEB702Message", "399", "20260301093000001"), &[("sumNo".into(), "N1".into())]);
        for part in ["1", "2"] {
            let result = entry(&[("sumNo", "N1"), ("msgSeqNo", part), ("agentCode", "A"), ("ebcCode", "E")]);
            assert!(document.is_meant_by(&result, "sumNo"), "part {part}");
        }
        assert!(
            !document.is_meant_by(&entry(&[("copNo", "S1"), ("msgSeqNo", "2")]), "copNo"),
            "another part's receipt"
        );
    }

    #[test]
    fn every_receipt_and_notice_but_ceb900_has_a_subject() {
        for row in family::all().filter(|row| !matches!(row.role, Role::Request { .. })) {
            assert_eq!(subject(row.name).is_none(), row.name == FORMAT_RECEIPT, "{}", row.name);
        }
        assert_eq!(subject("CEB312Message"), Some(("CEB311Message", "orderNo")));
        assert_eq!(subject("CEB621Message"), None);
    }

    #[test]
    fn a_standing_is_told_by_every_status_of_the_tables() {
        assert_eq!(Standing::told_by("CEB312Message", "-301010"), Standing::Error);
        assert_eq!(Standing::told_by("CEB622Message", "599"), Standing::Rejected);
        assert_eq!(Standing::told_by("CEB622Message", "777"), Standing::InProgress);
        assert_eq!(Standing::told_by(FORMAT_RECEIPT, "1"), Standing::Error);
        for standing in Standing::ALL {
            assert_eq!(serde_json::to_value(standing).unwrap(), standing.name());
        }
    }
}
