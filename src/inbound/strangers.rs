//! MDNs for what is refused by its head alone: names that nobody agreed on, and a Message-ID that is none.
//!
//! A sender that waits for its MDN on this connection gets one with 200 (RFC 4130 5.4: the transfer went well), and everybody
//! else the HTTP status; nothing is ever sent to a URL that a stranger gives. Nothing of the body is read. The words of
//! draft-ietf-ediint-rfc4130bis are for senders that show its version, 1.3; others hear what RFC 4130 has.

use std::sync::Arc;

use super::Inbound;
use super::receive::not_as2;
use super::reply::mdn_digest;
use crate::as2::mdn::{self, MdnPlan};
use crate::as2::request::{MdnRequest, mdn_request};
use crate::as2::{As2Name, As2Version, Disposition, MessageId, MicalgStyle, RequestError, Signing, headers};
use crate::ground::drain;
use crate::ground::id::Id;
use crate::http::Reply;
use crate::mime::Headers;
use crate::partner::Partner;

/// What is told about a message whose body is not read.
struct Told {
    disposition: Disposition,
    explanation: &'static str,
}

impl Inbound {
    /// The answer to a message between two names that belong to no partner; unsigned, for there is no agreement.
    pub(super) fn unknown_pair(&self, head: &Headers, from: &As2Name, to: &As2Name) -> Reply {
        let status = || Reply::plain(403, "unknown trading relationship\n").closing();
        if waits_here(head).is_none() {
            return status();
        }
        let unknown = "There is no trading relationship between these names.";
        let (disposition, explanation) = match speaks_bis(head) {
            // No partner has our name.
            _ if from == to && *to == self.station.as2_name => {
                (Disposition::sender_equals_receiver(), "AS2-From and AS2-To are the same.")
            }
            true => (Disposition::unknown_trading_relationship(), unknown),
            false => (Disposition::authentication_failed(), unknown),
        };
        let told = Told { disposition, explanation };
        let spelling = (As2Version::V1_0, MicalgStyle::default());
        self.head_refused(head, (from, to), &told, None, spelling).unwrap_or_else(status)
    }

    /// The answer to a head of the partner's that is none of AS2.
    pub(super) async fn bad_head(&self, partner: Arc<Partner>, head: Headers, error: RequestError) -> Reply {
        let refused = not_as2(&partner, &error);
        let of_id = matches!(error, RequestError::MessageId(_) | RequestError::Missing(headers::MESSAGE_ID));
        let names = (name(&head, headers::AS2_FROM), name(&head, headers::AS2_TO));
        let (Some(asked), (Some(from), Some(to)), true) = (waits_here(&head), names, of_id) else { return refused };
        let disposition = match speaks_bis(&head) {
            true => Disposition::invalid_message_id(),
            false => Disposition::unexpected_processing_error(),
        };
        let told = Told { disposition, explanation: "The message has no usable Message-ID." };
        let flow = self.clone();
        let answer = drain::blocking(move || {
            let signing = match asked.options.signed {
                true => Some(flow.signing_for(&partner, &asked)?),
                false => None,
            };
            let spelling = (partner.agreement.version, partner.agreement.micalg_style);
            flow.head_refused(&head, (&from, &to), &told, signing.as_ref(), spelling)
        });
        answer.await.ok().flatten().unwrap_or(refused)
    }

    fn signing_for(&self, partner: &Partner, asked: &MdnRequest) -> Option<Signing> {
        let awaited = self.store.awaited_certificates(&partner.id);
        let station = self.station.withholding(&awaited);
        station.signing(self.clock.now(), mdn_digest(asked, None), partner.agreement.sign)
    }

    fn head_refused(
        &self,
        head: &Headers,
        (from, to): (&As2Name, &As2Name),
        told: &Told,
        signing: Option<&Signing>,
        (version, micalg_style): (As2Version, MicalgStyle),
    ) -> Option<Reply> {
        let now = self.clock.now();
        let plan = MdnPlan {
            from: to,
            to: from,
            original_message_id: head.get(headers::MESSAGE_ID).map(MessageId::in_field).filter(|id| may_be_echoed(id)),
            disposition: &told.disposition,
            mic: None,
            explanation: told.explanation,
            signing,
            micalg_style,
            version,
            message_id: &MessageId::generate(Id::new(now), &self.station.message_id_host),
            date: now,
        };
        let built = mdn::build(&plan).ok()?;
        let reply = built.headers.iter().fold(Reply::new(200), |reply, (name, value)| reply.header(name, value));
        Some(reply.body(built.body).closing())
    }
}

fn name(head: &Headers, field: &str) -> Option<As2Name> {
    head.get(field).and_then(|value| As2Name::parse(value).ok())
}

/// A Message-ID goes back as it came; one that is none only while it is short and printable ASCII.
fn may_be_echoed(message_id: &str) -> bool {
    let harmless = || message_id.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    MessageId::parse(message_id).is_ok() || (message_id.len() <= 255 && harmless())
}

/// The MDN that the sender waits for on this connection.
fn waits_here(head: &Headers) -> Option<MdnRequest> {
    mdn_request(head).filter(|asked| asked.async_url.is_none())
}

/// The sender knows draft-ietf-ediint-rfc4130bis.
fn speaks_bis(head: &Headers) -> bool {
    let version = head.get(headers::AS2_VERSION).and_then(|version| version.trim().split_once('.'));
    version
        .is_some_and(|(major, minor)| major.trim() == "1" && minor.trim().parse::<u32>().is_ok_and(|minor| minor >= 3))
}
