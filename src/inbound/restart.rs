//! AS2 Restart (draft-harding-as2-restart): a sender whose connection broke off asks by `HEAD` how much arrived, and POSTs
//! the rest with `Content-Range`. Only where the agreement says so (`[accept] restart`).
//!
//! What arrived belongs to the pair of AS2 names, the `ETag` and the Message-ID, and only its length is told
//! ([`crate::store::partial`]). Whoever guesses all of these could slip foreign bytes in; therefore a message that was put
//! together of several connections and cannot be opened is not judged, unless it has the very bytes of an accepted one: its parts
//! are dropped, and the sender, who hears a 503, sends it whole again. Nothing else depends on where its bytes came from, nor on whether the disk kept them: only
//! signed messages may come so (`restart-unsigned`).

use tokio::time::Instant;

use super::Inbound;
use super::candidate::Candidate;
use super::decline::precondition;
use super::failures::Admission;
use super::no_answer::NoAnswer;
use super::open::NotOpened;
use super::owed::Known;
use super::receive::{busy, header_fields, unavailable};
use super::waiting::wait_out;
use crate::as2::restart::{BodyName, CONTENT_RANGE, Range};
use crate::as2::{As2Name, OpenFailure, headers};
use crate::ground::drain;
use crate::ground::id::Id;
use crate::http::{Exchange, Reply};
use crate::mime::Headers;
use crate::partner::Partner;
use crate::store::draft::{Draft, Sink};
use crate::store::partial::{Mark, NotTaken, Partials, Taken, Turn, Wanted};

/// A POST whose body may go on in another connection.
pub(super) struct Part {
    pub(super) range: Range,
    mark: Mark,
    message_id: String,
}

impl Part {
    /// Bytes before it that are here. What is only said to be takes no room, and the part is refused when it begins.
    pub(super) fn here(&self, partials: &Partials) -> u64 {
        partials.held(&self.mark).unwrap_or(0).min(self.range.from)
    }
}

impl Inbound {
    /// What a POST says about a part. `None`: its body is the whole message, and is not kept should it break off.
    pub(super) fn part(&self, partner: &Partner, head: &Headers, exchange: &Exchange) -> Result<Option<Part>, Reply> {
        let range = match (head.get(CONTENT_RANGE), exchange.body.content_length()) {
            (Some(value), length) => {
                let range = Range::parse(value).filter(|_| head.count(CONTENT_RANGE) == 1);
                let fits = |range: &Range| length.is_none_or(|length| length == range.len());
                // Only the end of a body makes it whole.
                let range = range.filter(fits).filter(|range| range.is_last());
                range.ok_or_else(|| Reply::plain(400, "bad content range\n").closing())?
            }
            // The first attempt needs no range: its sender asks what arrived of it when it broke off. What is too long is
            // refused, and said, as any other body.
            (None, Some(total @ 1..)) if total <= self.limits.body => Range { from: 0, to: total - 1, total },
            (None, _) => return Ok(None),
        };
        if range.total > self.limits.body {
            return Err(Reply::plain(413, "content too large\n").closing());
        }
        let large = usize::try_from(range.total).map_or(true, |total| total > self.store.inline_threshold());
        match (mark(head), head.get(headers::MESSAGE_ID)) {
            (Some(mark), Some(message_id)) if partner.accept.restart && large => {
                Ok(Some(Part { range, mark, message_id: message_id.trim().to_owned() }))
            }
            _ if range.is_whole() => Ok(None),
            _ => Err(not_satisfiable(0)),
        }
    }

    /// Where the body goes, and whose turn it is to write it.
    pub(super) async fn begin(&self, part: Option<Part>) -> Result<(Sink, Option<Turn>), Reply> {
        let Some(Part { range, mark, message_id }) = part else { return Ok((Sink::of_wire(&self.store), None)) };
        let (partials, id, room) = (self.store.partials().clone(), Id::new(self.clock.now()), self.limits.body);
        let Range { from, total, .. } = range;
        // What is here is read again, whoever asks and whatever follows: that takes no more than one processor.
        let reads = match from {
            0 => None,
            _ => self.resumptions.clone().acquire_owned().await.ok(),
        };
        let taken = drain::blocking(move || {
            let _reads = reads;
            partials.take(&Wanted { mark: &mark, message_id: &message_id, total, from, room }, id)
        });
        let taken = taken.await.unwrap_or_else(|error| Err(NotTaken::Io(std::io::Error::other(error))));
        match taken {
            Ok(Taken { writer, turn }) => {
                tracing::debug!(from, total, "a body that may go on in another connection");
                Ok((Sink::onto(&self.store, writer), Some(turn)))
            }
            Err(NotTaken::Busy) => Err(in_use()),
            Err(NotTaken::Beyond(held)) => Err(not_satisfiable(held)),
            Err(NotTaken::Io(error)) => {
                Err(unavailable("a body could not be gone on with", &self.store.judge_sync(error)))
            }
        }
    }

    /// Opens a message that several connections carried, or that is taken only if it is good, for the sake of whether it opens;
    /// returns its bytes. Those of an accepted message are as good, see `owed`. `only_new`: nor is it taken if it would be
    /// refused though it opens.
    ///
    /// # Errors
    /// The answer: it is to be sent again, whole if it does not open.
    pub(super) async fn proven(
        &self,
        candidate: &Candidate,
        (wire, turn): (Draft, &mut Option<Turn>),
        admission: Admission,
        only_new: bool,
    ) -> Result<(Draft, Admission), Reply> {
        if only_new && precondition(&candidate.request, &candidate.agreed.policy).is_some() {
            return Err(busy());
        }
        let begun = Instant::now();
        let (wire, opened) = self.open(candidate, wire).await;
        match opened {
            Ok(verified) => match only_new && self.would_refuse(candidate, verified).await {
                true => Err(busy()),
                false => Ok((wire, admission)),
            },
            Err(NotOpened::Storage(error)) => {
                let why = NoAnswer::Storage(error);
                tracing::error!(code = why.code(), "a message could not be opened: {}", why.text());
                Err(busy())
            }
            Err(NotOpened::Refused(failure) | NotOpened::Revoked(failure)) => {
                let len = wire.len();
                let known = match self.known(candidate, wire).await {
                    Ok(Known::Accepted(earlier)) => return Ok((earlier.wire, admission)),
                    known => known.map(drop),
                };
                wait_out(begun, len).await;
                Admission::note(Some(admission), &failure);
                Err(match known {
                    Ok(()) => not_judged(&candidate.partner, &failure, turn.take()),
                    Err(error) => unavailable("a message could not be compared with what was accepted", &error),
                })
            }
        }
    }

    /// The answer to `HEAD`: how much of a body is here, for the partner it came from.
    pub(super) fn told_of_parts(&self, exchange: &Exchange) -> Reply {
        let Ok(head) = header_fields(exchange) else { return Reply::new(200) };
        let Some(mark) = mark(&head) else { return Reply::new(200) };
        let Ok(partner) = self.named_partner(&head, exchange) else { return Reply::new(200) };
        if !partner.accept.restart || self.check_client(&partner, exchange).is_err() {
            return Reply::new(200);
        }
        match self.store.partials().held(&mark) {
            Some(held) => Reply::new(200).header("Content-Length", held.to_string()),
            None => in_use(),
        }
    }
}

/// The answer to a message that came in parts and does not open: nothing of it is offered any more.
pub(super) fn not_judged(partner: &Partner, failure: &OpenFailure, turn: Option<Turn>) -> Reply {
    let (code, id) = (failure.cause.code(), &partner.id);
    tracing::warn!(partner = %id, code, "not judged, since it came in parts, or from elsewhere when no more of that is kept: it is to be sent again, whole");
    turn.into_iter().for_each(Turn::forget);
    busy()
}

/// The mark of the body, if it has a strong one. A name is the same whether it is quoted or not.
fn mark(head: &Headers) -> Option<Mark> {
    let BodyName { names, etag } = BodyName::of(head)?;
    let [from, to] = names.map(|name| As2Name::parse(name).ok());
    Some(Mark::new(&[from?.as_str(), to?.as_str()], etag))
}

fn not_satisfiable(held: u64) -> Reply {
    Reply::plain(416, "range not satisfiable\n").header(CONTENT_RANGE, format!("bytes */{held}")).closing()
}

/// Another connection carries the same body still.
fn in_use() -> Reply {
    Reply { status: 500, ..busy() }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::specimens::Home;
    use super::*;

    #[test]
    fn the_same_mark_of_other_names_is_another() {
        let head = |etag: &str, from: &str| {
            let mut head = Headers::new();
            for (name, value) in [("ETag", etag), ("AS2-From", from), ("AS2-To", "us")] {
                head.push(name, value).unwrap();
            }
            mark(&head)
        };
        assert!(head("\"a\"", "them").is_some());
        assert_ne!(head("\"a\"", "them"), head("\"a\"", "others"));
        assert_eq!(head("\"a\"", "them"), head("\"a\"", "\"them\""), "quoting is not identity");
        assert_eq!(head("W/\"a\"", "them"), None);
    }

    #[tokio::test]
    async fn parts_are_read_again_one_after_the_other_and_what_begins_waits_for_none() {
        let home = Home::new();
        let part = |from: u64| {
            let mark = Mark::new(&["theirs", "ours"], &from.to_string());
            Some(Part { range: Range { from, to: 9, total: 10 }, mark, message_id: "<1@theirs>".to_owned() })
        };
        let reading = home.flow.resumptions.acquire().await.unwrap();
        assert!(home.flow.begin(part(0)).await.is_ok(), "it begins");
        let waits = tokio::time::timeout(Duration::from_millis(200), home.flow.begin(part(5))).await;
        assert!(waits.is_err(), "somebody else's part is being read");
        drop(reading);
        assert_eq!(home.flow.begin(part(5)).await.err().unwrap().status, 416, "nothing of it is here");
    }
}
