//! Certificate exchange messages (draft-meadors-certificate-exchange) of a partner: what they ask or answer becomes an
//! entry of the audit trail in the transaction that accepts them. Nothing comes into the inbox, and nothing is trusted by
//! it: a request waits for a person.

use std::io;

use jiff::{SignedDuration, Timestamp};

use super::Inbound;
use super::decline::Refusal;
use crate::as2::cem::{self, CemError, CertificateReference, Exchange, ExchangeRequest, ExchangeResponse};
use crate::as2::{Disposition, Mic, Opened};
use crate::bilingual;
use crate::cms::Certificate;
use crate::ground::id::Id;
use crate::ground::text::{Bilingual, printable};
use crate::mime::MimeError;
use crate::partner::{Partner, Profile};
use crate::store::draft::Draft;
use crate::store::exchange::{AskedCertificate, CertificateExchange, ExchangeStep, Word};
use crate::store::record::Direction;
use crate::store::trail::Change;

/// Requests of one partner that are taken within a day: real ones are a few a year.
const MOST_A_DAY: usize = 32;

/// What a certificate exchange message comes to.
pub(super) enum Heard {
    /// The partner asks for these certificates to be trusted.
    Asked(ExchangeStep, Vec<Certificate>),
    /// The partner answers what we asked in this exchange.
    Answered(Id, Vec<Word>),
    /// Nothing that can be used; the partner is told.
    Unusable(Unusable),
}

/// Why.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    /// It cannot be read.
    #[error(transparent)]
    Unreadable(#[from] CemError),
    /// Anybody could have written it.
    #[error("it is not signed")]
    Unsigned,
    /// The partner has asked too often within a day: each request is kept for ever.
    #[error("more than {MOST_A_DAY} requests came within a day")]
    TooMany,
    /// It answers no request of ours, or is about other certificates.
    #[error("it answers no request of ours")]
    Unasked,
}

impl Unusable {
    pub(super) fn code(&self) -> &'static str {
        match self {
            Unusable::Unreadable(error) => error.code(),
            Unusable::Unsigned => "cem-unsigned",
            Unusable::TooMany => "cem-too-many",
            Unusable::Unasked => "cem-unasked",
        }
    }

    pub(super) fn text(&self) -> Bilingual {
        match self {
            Unusable::Unreadable(error) => error.text(),
            Unusable::Unsigned => bilingual!(
                "证书交换报文（CEM）未签名，未接收。请对方签名后重新发送。",
                "the certificate exchange message (CEM) is not signed and was not accepted. Ask the partner to send it signed."
            ),
            Unusable::TooMany => bilingual!(
                "对方一天内的证书请求（CEM）超过 {MOST_A_DAY} 个，未接收。请联系对方检查其 AS2 软件。",
                "the partner asked us to trust certificates (CEM) more than {MOST_A_DAY} times within a day; this one was not accepted. Ask it to check its AS2 software."
            ),
            Unusable::Unasked => bilingual!(
                "证书交换应答（CEM）不对应我方的任何请求，未接收。用 dxgate cert exchanges --all 查看各请求。",
                "the certificate exchange response (CEM) answers no request of ours and was not accepted. dxgate cert exchanges --all shows the requests."
            ),
        }
    }
}

impl Refusal {
    pub(super) fn unusable(why: &Unusable, mic: Option<Mic>) -> Refusal {
        Refusal {
            may_sign: true,
            told: match why {
                Unusable::Unsigned => Disposition::insufficient_message_security(),
                _ => Disposition::unexpected_processing_error(),
            },
            mic,
            explanation: "The certificate exchange message cannot be used.",
            code: why.code(),
            text: why.text(),
        }
    }
}

impl Heard {
    /// The entry of the trail that records it of message `id`; none for what cannot be used.
    pub(super) fn change(&self, id: Id, partner: &Partner) -> Option<Change> {
        let by = Change { who: partner.id.clone(), ..Change::default() };
        match self {
            Heard::Asked(step, _) => Some(step.change(id, by)),
            Heard::Answered(exchange, words) => {
                Some(ExchangeStep::Answered { answer: id, words: words.clone() }.change(*exchange, by))
            }
            Heard::Unusable(_) => None,
        }
    }
}

impl Inbound {
    /// What a payload says, if it is a certificate exchange message (blocking I/O). Errors are those of our own storage.
    pub(super) fn hear_exchange(
        &self,
        partner: &Partner,
        opened: &Opened,
        payload: &Draft,
    ) -> io::Result<Option<Heard>> {
        let content_type = opened.content_type.as_deref().filter(|kind| cem::is_exchange(Some(kind)));
        // With customs certificates are not exchanged by messages: whatever it sends is delivered.
        let Some(content_type) = content_type.filter(|_| partner.profile != Profile::Dxp) else { return Ok(None) };
        if opened.signature.is_none() {
            return Ok(Some(Heard::Unusable(Unusable::Unsigned)));
        }
        let heard = match cem::read(content_type, &mut self.reader(payload)?, &self.limits) {
            Err(CemError::Mime(MimeError::Io(error))) => return Err(error),
            Err(error) => Heard::Unusable(error.into()),
            Ok(Exchange::Request(request)) => asked(partner, request),
            Ok(Exchange::Response(response)) => self.answered(partner, &response),
        };
        Ok(Some(heard))
    }

    pub(super) fn asks_too_often(&self, partner: &Partner) -> bool {
        let day_ago = self.clock.now().checked_sub(SignedDuration::from_hours(24)).unwrap_or(Timestamp::MIN);
        let recent = |one: &&CertificateExchange| {
            one.direction == Direction::Inbound && one.partner == partner.id && one.asked > day_ago
        };
        self.store.exchanges().iter().filter(recent).count() >= MOST_A_DAY
    }

    /// What was heard in a message that is new: certificates are kept before an entry names them, and not of more requests
    /// than are taken (blocking I/O).
    pub(super) fn keep_heard(&self, partner: &Partner, heard: Heard) -> io::Result<Heard> {
        let Heard::Asked(_, certificates) = &heard else { return Ok(heard) };
        if self.asks_too_often(partner) {
            return Ok(Heard::Unusable(Unusable::TooMany));
        }
        certificates.iter().try_for_each(|one| self.store.keep_certificate(one.der()).map(drop))?;
        Ok(heard)
    }

    fn answered(&self, partner: &Partner, response: &ExchangeResponse) -> Heard {
        let ours = |one: &CertificateExchange| {
            one.direction == Direction::Outbound && one.partner == partner.id && one.request_id == response.request_id
        };
        let open = self.store.exchanges().into_iter().find(ours);
        let Some(open) = open else { return Heard::Unusable(Unusable::Unasked) };
        let held = open.certificates.iter().filter_map(|asked| {
            let certificate = Certificate::from_der(&self.store.certificate(&asked.fingerprint)?).ok()?;
            Some((asked.fingerprint.clone(), certificate))
        });
        let (fingerprints, held): (Vec<String>, Vec<Certificate>) = held.unzip();
        let words = response.trust.iter().filter_map(|trust| {
            let fingerprint = trust.reference.pick(&held).and_then(|place| fingerprints.get(place))?;
            let reason = trust.reason.as_deref().map(printable);
            Some(Word { fingerprint: fingerprint.clone(), accepted: trust.accepted, reason })
        });
        let words: Vec<Word> = words.collect();
        if words.len() == response.trust.len() {
            Heard::Answered(open.id, words)
        } else {
            Heard::Unusable(Unusable::Unasked)
        }
    }
}

/// A request, and the certificates that it is about.
fn asked(partner: &Partner, request: ExchangeRequest) -> Heard {
    let (partner, direction) = (partner.id.clone(), Direction::Inbound);
    let mut kept = Vec::new();
    let certificates = request.trust.into_iter().map(|trust| {
        let fingerprint = trust.certificate.fingerprint().to_string();
        kept.push(trust.certificate);
        let CertificateReference { issuer, serial } = trust.reference;
        AskedCertificate { fingerprint, usages: trust.usages, respond_by: trust.respond_by, issuer, serial }
    });
    let certificates = certificates.collect();
    Heard::Asked(ExchangeStep::Asked { partner, direction, request_id: request.request_id, certificates }, kept)
}
