//! Certificate exchanges (draft-meadors-certificate-exchange), as entries of the audit trail on `exchange:<id>`: who asked for
//! which certificates to be trusted, and what was answered. The id is that of the message with the request. The
//! certificates themselves are kept beside the journal for ever ([`Store::certificate`]).
//!
//! A step that cannot follow (a second decision of ours, an answer about certificates that were not asked for) changes nothing. So the
//! sum of an exchange is the same however often, and after whatever restart, the trail is read.

use std::collections::{BTreeMap, VecDeque};
use std::sync::PoisonError;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Store;
use super::record::Direction;
use super::trail::{Change, Entry};
use crate::as2::cem::CertUsage;
use crate::ground::id::Id;

/// `what` of the entries.
pub const EXCHANGE: &str = "certificate-exchange";
/// Begins `on` of the entries.
pub const ON: &str = "exchange:";
/// Exchanges in one direction with one partner that the view keeps: the latest ones.
const KEPT: usize = 64;

/// A step of an exchange. Read for ever: fields are only added, with a default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub enum ExchangeStep {
    /// Certificates shall be trusted.
    Asked {
        /// The other side.
        partner: String,
        /// Inbound: the partner asks for its own; outbound: we ask for ours.
        direction: Direction,
        /// As the document has it.
        request_id: String,
        /// Which ones.
        certificates: Vec<AskedCertificate>,
    },
    /// The answer: ours to the partner, or the partner's to us.
    Answered {
        /// The message with the response.
        answer: Id,
        /// What was said.
        words: Vec<Word>,
    },
}

/// A certificate that shall be trusted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskedCertificate {
    /// Its fingerprint, lower-case hex.
    pub fingerprint: String,
    /// What it shall be used for.
    pub usages: Vec<CertUsage>,
    /// Until when an answer is wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub respond_by: Option<Timestamp>,
    /// The issuer as the request names it.
    #[serde(default)]
    pub issuer: String,
    /// The serial number as the request writes it.
    #[serde(default)]
    pub serial: String,
}

/// What was said of one certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Word {
    /// Its fingerprint.
    pub fingerprint: String,
    /// Whether it is trusted.
    pub accepted: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// An exchange: the sum of its steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateExchange {
    /// The message with the request.
    pub id: Id,
    /// The other side.
    pub partner: String,
    /// Inbound: the partner asks for its own; outbound: we ask for ours.
    pub direction: Direction,
    /// As the documents have it.
    pub request_id: String,
    /// Since when.
    pub asked: Timestamp,
    /// Which certificates.
    pub certificates: Vec<AskedCertificate>,
    /// The answer.
    pub answer: Option<ExchangeAnswer>,
    /// A later exchange in the same direction that is about all its certificates and their uses.
    pub superseded_by: Option<Id>,
}

/// How an exchange ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExchangeAnswer {
    /// When.
    pub at: Timestamp,
    /// Who decided: a person or token of ours, or the partner's id.
    pub by: String,
    /// The message with the response.
    pub message: Id,
    /// What was said.
    pub words: Vec<Word>,
}

impl ExchangeStep {
    /// The change that records it of exchange `id`, made by `change.who`.
    pub fn change(&self, id: Id, change: Change) -> Change {
        let after = serde_json::to_value(self).ok();
        Change { what: EXCHANGE.to_owned(), on: format!("{ON}{id}"), before: None, after, ..change }
    }
}

impl CertificateExchange {
    /// There is a certificate of which nothing was said, and nothing newer has taken its place.
    pub fn is_open(&self) -> bool {
        self.superseded_by.is_none() && !self.is_answered()
    }

    /// Something was said of each certificate.
    pub fn is_answered(&self) -> bool {
        self.certificates.iter().all(|asked| self.word(&asked.fingerprint).is_some())
    }

    /// What was said of a certificate.
    pub fn word(&self, fingerprint: &str) -> Option<&Word> {
        self.answer.as_ref()?.words.iter().find(|word| word.fingerprint == fingerprint)
    }

    /// A certificate shall be used so.
    fn asks(&self, fingerprint: &str, usage: CertUsage) -> bool {
        let mut asked = self.certificates.iter().filter(|asked| asked.fingerprint == fingerprint);
        asked.any(|asked| asked.usages.contains(&usage))
    }

    /// Until when an answer is wanted, for the most pressing of its certificates.
    pub fn respond_by(&self) -> Option<Timestamp> {
        self.certificates.iter().filter_map(|asked| asked.respond_by).min()
    }
}

impl ExchangeAnswer {
    /// A partner may answer in parts, and may think better of it.
    fn followed_by(&mut self, later: ExchangeAnswer) {
        let mut words = std::mem::take(&mut self.words);
        words.retain(|word| !later.words.iter().any(|new| new.fingerprint == word.fingerprint));
        words.extend(later.words);
        *self = ExchangeAnswer { words, at: later.at, by: later.by, message: later.message };
    }
}

/// Every exchange by its partner, oldest first.
#[derive(Debug, Default)]
pub(super) struct Exchanges(BTreeMap<String, VecDeque<CertificateExchange>>);

impl Exchanges {
    /// Takes an entry of the trail into account; a step that a newer version wrote is passed over.
    pub(super) fn follow(&mut self, Entry { at, change, .. }: &Entry) {
        let Some(id) = change.on.strip_prefix(ON).and_then(|id| id.parse::<Id>().ok()) else { return };
        let step = change.after.clone().and_then(|step| serde_json::from_value(step).ok());
        match step {
            Some(ExchangeStep::Asked { partner, direction, request_id, certificates }) => {
                self.ask(CertificateExchange {
                    id,
                    partner,
                    direction,
                    request_id,
                    asked: *at,
                    certificates,
                    answer: None,
                    superseded_by: None,
                })
            }
            Some(ExchangeStep::Answered { answer, words }) => {
                self.answer(id, ExchangeAnswer { at: *at, by: change.who.clone(), message: answer, words });
            }
            None => {}
        }
    }

    fn ask(&mut self, new: CertificateExchange) {
        let known = self.0.entry(new.partner.clone()).or_default();
        if known.iter().any(|known| known.id == new.id) {
            return;
        }
        let covers = |asked: &AskedCertificate| asked.usages.iter().all(|usage| new.asks(&asked.fingerprint, *usage));
        for earlier in known.iter_mut().filter(|earlier| earlier.is_open() && earlier.direction == new.direction) {
            earlier.superseded_by = earlier.certificates.iter().all(covers).then_some(new.id);
        }
        let same = |one: &CertificateExchange| one.direction == new.direction;
        let full = known.iter().filter(|one| same(one)).count() >= KEPT;
        if let Some(oldest) = known.iter().position(same).filter(|_| full) {
            known.remove(oldest);
        }
        known.push_back(new);
    }

    fn answer(&mut self, id: Id, answer: ExchangeAnswer) {
        let Some(exchange) = self.0.values_mut().flatten().find(|exchange| exchange.id == id) else { return };
        let asked = |word: &Word| exchange.certificates.iter().any(|asked| asked.fingerprint == word.fingerprint);
        if !answer.words.iter().all(asked) {
            return;
        }
        match &mut exchange.answer {
            None => exchange.answer = Some(answer),
            // A person of ours decides once.
            Some(_) if exchange.direction == Direction::Inbound => {}
            Some(earlier) => earlier.followed_by(answer),
        }
    }

    /// Certificates of ours with which nothing is signed for this partner yet: it was asked to trust them and has not
    /// said that it does, or said last that it does not.
    fn awaited(&self, partner: &str) -> Vec<String> {
        let ours = |exchange: &&CertificateExchange| exchange.direction == Direction::Outbound;
        let ours: Vec<&CertificateExchange> = self.0.get(partner).into_iter().flatten().filter(ours).collect();
        let accepted = |fingerprint: &str| {
            let about = ours.iter().rev().filter(|one| one.asks(fingerprint, CertUsage::DigitalSignature));
            let last = about.filter_map(|exchange| exchange.word(fingerprint)).next();
            last.is_some_and(|word| word.accepted)
        };
        let asked = ours.iter().flat_map(|exchange| &exchange.certificates);
        let signing = asked.filter(|asked| asked.usages.contains(&CertUsage::DigitalSignature));
        signing.filter(|asked| !accepted(&asked.fingerprint)).map(|asked| asked.fingerprint.clone()).collect()
    }
}

impl Store {
    /// Certificate exchanges, newest first; of each partner the latest 64 in each direction.
    pub fn exchanges(&self) -> Vec<CertificateExchange> {
        let held = self.0.signals.following.exchanges.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<CertificateExchange> = held.0.values().flatten().cloned().collect();
        all.sort_by_key(|exchange| std::cmp::Reverse(exchange.id));
        all
    }

    /// Fingerprints of the certificates of ours that this partner was asked to trust for signatures and has not said
    /// to trust.
    pub fn awaited_certificates(&self, partner: &str) -> Vec<String> {
        self.0.signals.following.exchanges.lock().unwrap_or_else(PoisonError::into_inner).awaited(partner)
    }
}

#[cfg(test)]
#[path = "exchange_tests.rs"]
mod tests;
