//! Messages of the connectivity test: through the same steps as any other, with a [`Trial`] instead of the agreement.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::intake::at_hand;
use super::outcome::Examined;
use super::retry::Outcome;
use super::{IntakeError, Outbound};
use crate::bilingual;
use crate::cms::{Certificate, PrivateKey};
use crate::ground::drain;
use crate::ground::id::Id;
use crate::http::probe::{Depth, Probe, probe};
use crate::http::{Answer, PostError, PostErrorKind};
use crate::keys::generate::{KeyRequest, generate};
use crate::keys::{KeyRing, KeyUses, StationKey, Window};
use crate::partner::Station;
use crate::partner::trial::{NoPublicUrl, Trial};
use crate::store::draft::Draft;
use crate::store::record::Reason;
use crate::store::trail::Change;

/// Messages of the connectivity test, as long as this process lives.
#[derive(Debug, Default)]
pub(super) struct Trials {
    /// Those whose first answer is thrown away.
    losing: Mutex<BTreeSet<Id>>,
    /// All of them: composed anew they would be messages like any other.
    all: Mutex<BTreeSet<Id>>,
}

/// What a repetition of a message that was sent before came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repeated {
    /// A positive MDN that verifies against the message, as the agreement demands.
    pub confirmed: bool,
    /// Why not; or a remark.
    pub reason: Option<Reason>,
    /// The disposition of its MDN.
    pub disposition: Option<String>,
    /// From the request to the whole answer.
    pub took: Duration,
}

/// Days for which the key of a foreign signer is valid.
const FOREIGN_DAYS: u32 = 2;
/// Its bits.
const FOREIGN_BITS: u32 = 2048;

impl Trials {
    /// The answer, or, once for a message that shall lose it, a connection that ended before it came.
    pub(super) fn pass(&self, id: &Id, answer: Result<Answer, PostError>) -> Result<Answer, PostError> {
        let whole = answer?;
        if !self.losing.lock().unwrap_or_else(PoisonError::into_inner).remove(id) {
            return Ok(whole);
        }
        let lost = PostError::new(PostErrorKind::Closed, "the connectivity test threw the first answer away");
        Err(PostError { answered: whole.is_of_whole_request(), ..lost })
    }

    /// Whether the message travels otherwise than the agreement says.
    pub(super) fn is_trial(&self, id: &Id) -> bool {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).contains(id)
    }

    fn add(&self, id: Id, loses: bool) {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
        if loses {
            self.losing.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
        }
    }
}

impl Outbound {
    /// [`submit`](Outbound::submit) under a trial; `change` says in the audit trail of which run it is.
    ///
    /// # Errors
    /// As those of `submit`; besides, what the trial needs is missing.
    pub async fn submit_trial(
        &self,
        partner: &str,
        file_name: &str,
        payload: Vec<u8>,
        trial: &Trial,
        change: Change,
    ) -> Result<Id, IntakeError> {
        let known = self.enabled_partner(partner)?;
        let varied = trial.of(&known, &self.station).map_err(|NoPublicUrl| {
            IntakeError::Trial(Reason { code: NoPublicUrl::CODE.to_owned(), text: NoPublicUrl::text() })
        })?;
        let id = Id::new(self.clock.now());
        let mut flow = self.clone();
        if trial.foreign_signer {
            flow.station = Arc::new(self.with_foreign_key().await?);
        }
        self.trials.add(id, trial.lose_first_answer);
        let name = crate::mime::safe_file_name(file_name);
        let change = Change {
            on: format!("message:{id}"),
            after: Some(serde_json::json!({ "partner": known.id, "file": name })),
            ..change
        };
        let payload = at_hand(Draft::Inline(payload));
        flow.accept(Arc::new(varied), id, &name, Some(change), payload).await.map(|_| id)
    }

    /// The station with a key that no partner has ever seen.
    async fn with_foreign_key(&self) -> Result<Station, IntakeError> {
        let (now, name) = (self.clock.now(), self.station.as2_name.as_str().chars().take(64).collect());
        let made = drain::blocking(move || {
            let request = KeyRequest {
                common_name: name,
                organization: None,
                hosts: Vec::new(),
                bits: FOREIGN_BITS,
                days: FOREIGN_DAYS,
            };
            let pair = generate(&request, None, now).map_err(std::io::Error::other)?;
            let key = PrivateKey::from_pem(pair.key_pem.expose(), None).map_err(std::io::Error::other)?;
            let certificate = Certificate::from_pem(&pair.certificate_pem).map_err(std::io::Error::other)?;
            Ok::<_, std::io::Error>((certificate, key))
        });
        let (certificate, key) = made.await.map_err(std::io::Error::other)??;
        let kept = (self.store.clone(), certificate.der().to_vec());
        drain::blocking(move || kept.0.keep_certificate(&kept.1)).await.map_err(std::io::Error::other)??;
        let window = Window::of(&certificate);
        let uses = KeyUses { sign: true, decrypt: false };
        let file = std::path::PathBuf::new();
        let key = StationKey { certificate, key, uses, window, transports: Vec::new(), file, withheld: false };
        let mut station = Station::clone(&self.station);
        station.keys = KeyRing::new(vec![key]);
        Ok(station)
    }

    /// Tries the road to a partner's server, under the rules under which messages travel.
    pub async fn probe(&self, partner: &str, depth: Depth, patience: Duration) -> Result<Probe, IntakeError> {
        let partner = self.enabled_partner(partner)?;
        let url = partner.url.as_str();
        match super::clients::client_settings(&partner, url, self.clock.now()) {
            Ok(settings) => Ok(probe(url, &settings, depth, patience).await),
            Err(detail) => {
                let error = Some(PostError::new(PostErrorKind::BadUrl, detail));
                Ok(Probe { error, ..Probe::default() })
            }
        }
    }

    /// Sends the stored bytes of a message once more, whatever its state, and looks at the answer. It changes nothing.
    ///
    /// # Errors
    /// The message, its bytes or its partner are not there.
    pub async fn repeat(&self, id: Id) -> Result<Repeated, Reason> {
        let message = self.store.message(&id).ok_or_else(not_there)?;
        let partner = self.enabled_partner(&message.partner).map_err(|_| not_there())?;
        let wire = message.wire.ok_or_else(not_there)?;
        if let Some(closed) = self.station.environment.closed(self.clock.now()) {
            return Err(Reason { code: closed.code.to_owned(), text: closed.text });
        }
        let begun = tokio::time::Instant::now();
        let answer = self.post(&partner, partner.url.as_str(), &message, wire).await;
        let examined = self.examine_answer(&partner, &message, answer).await;
        Ok(repeated(examined, begun.elapsed()))
    }
}

fn repeated(examined: Examined, took: Duration) -> Repeated {
    let confirmed = examined.outcome == Outcome::Accepted && examined.receipt.is_some();
    let disposition = examined.receipt.map(|seen| seen.disposition);
    Repeated { confirmed, reason: examined.reason, disposition, took }
}

fn not_there() -> Reason {
    let text = bilingual!(
        "报文、其线路原文或其伙伴不在，无法重复发送。",
        "the message, its wire bytes or its partner are not there, so it cannot be repeated."
    );
    Reason { code: "message-unknown".to_owned(), text }
}
