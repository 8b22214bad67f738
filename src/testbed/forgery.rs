//! MDNs that are not what they should be. A positive disposition is never made here: it is taken from the MDN that the
//! gateway behind has given.

use jiff::Timestamp;

use super::endpoint::head_of;
use super::fault::{FaultKind, NegativeReason};
use crate::as2::mdn::{self, BuiltMdn, Mdn, MdnPlan};
use crate::as2::{As2Name, As2Version, Disposition, MessageId, Mic, MicalgStyle, Signing, headers};
use crate::cms::DigestAlgorithm;
use crate::ground::id::Id;
use crate::ground::limits::Limits;
use crate::http::{Exchange, Reply, SendBody};
use crate::partner::Station;

/// Makes MDNs in the name of the station.
pub(super) struct Forger<'f> {
    pub(super) station: &'f Station,
    pub(super) now: Timestamp,
    pub(super) limits: &'f Limits,
}

/// What an MDN says, and whether it is signed.
struct Said<'s> {
    from: &'s As2Name,
    to: &'s As2Name,
    about: &'s MessageId,
    disposition: &'s Disposition,
    mic: Option<&'s Mic>,
    signed: bool,
}

impl Forger<'_> {
    /// A negative MDN to a message that is not taken.
    pub(super) fn negative(&self, request: &Exchange, reason: NegativeReason) -> Reply {
        let field = |name: &str| request.headers.get(name).and_then(|value| value.to_str().ok());
        let name = |field: &str| As2Name::parse(field).ok();
        let parties = field(headers::AS2_TO).and_then(name).zip(field(headers::AS2_FROM).and_then(name));
        let about = field(headers::MESSAGE_ID).and_then(|id| MessageId::parse(id).ok());
        let (Some((from, to)), Some(about)) = (parties, about) else { return Reply::new(400) };
        let signed = request.headers.contains_key(headers::NOTIFICATION_OPTIONS);
        let disposition = reason.disposition();
        let said = Said { from: &from, to: &to, about: &about, disposition: &disposition, mic: None, signed };
        self.built(&said).map_or_else(|| Reply::new(500), reply_of)
    }

    /// The MDN of the gateway behind, changed as the fault says. An answer that is no MDN stays as it is.
    pub(super) fn changed(&self, reply: Reply, fault: FaultKind) -> Reply {
        use FaultKind::{BadSignature, NoMic, Unsigned, WrongMessage, WrongMic};
        if !matches!(fault, WrongMic | NoMic | Unsigned | BadSignature | WrongMessage) {
            return reply;
        }
        let SendBody::Bytes(body) = &reply.body else { return reply };
        let own: Vec<_> = self.station.keys.keys().iter().map(|key| key.certificate.clone()).collect();
        let Ok(Mdn { from: Some(from), to: Some(to), original_message_id: Some(about), disposition, mic, .. }) =
            mdn::parse(&head_of(&reply), body, &own, self.limits)
        else {
            return reply;
        };
        let signed = fault != Unsigned;
        let other = MessageId::generate(Id::new(self.now), &self.station.message_id_host);
        let about = if fault == WrongMessage { &other } else { &about };
        let mic = match fault {
            NoMic => None,
            WrongMic => mic.map(altered),
            _ => mic,
        };
        let said = Said { from: &from, to: &to, about, disposition: &disposition, mic: mic.as_ref(), signed };
        let Some(mut built) = self.built(&said) else { return reply };
        if fault == BadSignature {
            built.body = with_another_word(built.body);
        }
        reply_of(built)
    }

    fn built(&self, said: &Said<'_>) -> Option<BuiltMdn> {
        let signing: Option<Signing> = match said.signed {
            true => Some(self.station.signing(self.now, DigestAlgorithm::Sha256, None)?),
            false => None,
        };
        let message_id = MessageId::generate(Id::new(self.now), &self.station.message_id_host);
        let plan = MdnPlan {
            from: said.from,
            to: said.to,
            original_message_id: Some(said.about.as_str()),
            disposition: said.disposition,
            mic: said.mic,
            explanation: "The testbed answers as its scenario says.",
            signing: signing.as_ref(),
            micalg_style: MicalgStyle::default(),
            version: As2Version::default(),
            message_id: &message_id,
            date: self.now,
        };
        mdn::build(&plan).ok()
    }
}

/// Another digest of the same length.
fn altered(mut mic: Mic) -> Mic {
    if let Some(first) = mic.value.first_mut() {
        *first ^= 0xFF;
    }
    mic
}

/// The signed text differs from what was signed.
fn with_another_word(body: Vec<u8>) -> Vec<u8> {
    let (word, other) = (b"The testbed answers".as_slice(), b"The testbed replies".as_slice());
    let at = body.windows(word.len()).position(|window| window == word);
    let mut body = body;
    if let Some(place) = at.and_then(|at| body.get_mut(at..at.saturating_add(word.len()))) {
        place.copy_from_slice(other);
    }
    body
}

fn reply_of(built: BuiltMdn) -> Reply {
    let mut reply = Reply::new(200).body(built.body);
    for (name, value) in built.headers.iter() {
        reply = reply.header(name, value);
    }
    reply
}
