//! Step 1: from an HTTP request to a head and durable-to-be bytes.
//!
//! Whatever is wrong here is answered by an HTTP status, since nothing says yet that it is AS2 from a partner:
//! 404 path, 405 method, 415 content encoding, 400 head, 403 unknown pair of names or another's TLS certificate, 413 size, 408 pace, 503 space.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;

use super::Inbound;
use crate::as2::request::{self, Incoming, Request};
use crate::as2::{As2Name, RequestError, headers};
use crate::ground::drain;
use crate::ground::space::{NoRoom, Promise};
use crate::ground::text::printable;
use crate::http::{Exchange, Reply};
use crate::mime::Headers;
use crate::partner::Partner;
use crate::store::draft::{Draft, Sink};

/// Bytes of the body that show whether it is a message or an MDN.
const PREFIX: u64 = 8 * 1024;
/// Bytes of a body of unknown length that are promised room at a time; more than a chunk.
const STEP: u64 = 8 * 1024 * 1024;

/// What arrived from a partner.
pub enum Arrived {
    /// A message for the inbox.
    Message(Box<MessageArrived>),
    /// An asynchronous MDN about something we sent.
    Mdn(MdnArrived),
}

/// A message, not opened yet.
pub struct MessageArrived {
    pub(super) partner: Arc<Partner>,
    pub(super) request: Request,
    pub(super) wire: Draft,
    pub(super) peer: SocketAddr,
    /// Room for what is made of it.
    pub(super) room: Promise,
}

/// An MDN POSTed to us.
pub struct MdnArrived {
    /// Who sent it.
    pub partner: Arc<Partner>,
    /// Its header fields.
    pub headers: Headers,
    /// Its body.
    pub body: Vec<u8>,
}

impl Inbound {
    /// Reads a request to its end. `Err` is the complete answer.
    pub async fn receive(&self, mut exchange: Exchange) -> Result<Arrived, Reply> {
        self.check_request(&exchange)?;
        let head = header_fields(&exchange)?;
        let partner = self.named_partner(&head, &exchange)?;
        self.check_client(&partner, &exchange)?;
        crate::as2::check_head(&head).map_err(|error| not_as2(&partner, &error))?;
        let announced = exchange.body.content_length().unwrap_or(0).min(self.limits.body);
        // The body, and the payload that comes out of it.
        let room = self.settings.space.promise(announced.saturating_mul(2)).map_err(no_room)?;
        exchange.body.limit(self.limits.body);
        let (wire, room) = self.spool(&mut exchange, announced, room).await?;
        let mut prefix = Vec::new();
        let peeked = wire.open(&self.store).and_then(|body| body.take(PREFIX).read_to_end(&mut prefix));
        peeked.map_err(|error| unavailable("reading back a received body failed", &error))?;
        match request::read_head(&head, &prefix, &self.limits) {
            Ok(Incoming::Message(request)) => {
                let peer = exchange.peer;
                Ok(Arrived::Message(Box::new(MessageArrived { partner, request, wire, peer, room })))
            }
            Ok(Incoming::Mdn(envelope)) => {
                let body = self.small(wire)?;
                Ok(Arrived::Mdn(MdnArrived { partner, headers: envelope.headers, body }))
            }
            Err(error) => Err(not_as2(&partner, &error)),
        }
    }

    fn check_request(&self, exchange: &Exchange) -> Result<(), Reply> {
        if exchange.uri.path() != self.settings.path {
            return Err(Reply::not_found());
        }
        match exchange.method.as_str() {
            "POST" => {}
            "GET" | "HEAD" => return Err(Reply::new(200)),
            _ => return Err(Reply::method_not_allowed("POST, GET, HEAD")),
        }
        if exchange.has_content_encoding() {
            return Err(Reply::plain(415, "content encodings are not supported\n").closing());
        }
        Ok(())
    }

    /// The partner behind AS2-From and AS2-To. Who it really is, the signature shows later.
    fn named_partner(&self, head: &Headers, exchange: &Exchange) -> Result<Arc<Partner>, Reply> {
        let name =
            |field| (head.count(field) == 1).then(|| head.get(field).and_then(|value| As2Name::parse(value).ok()));
        let names = (name(headers::AS2_FROM).flatten(), name(headers::AS2_TO).flatten());
        let (Some(from), Some(to)) = names else {
            return Err(Reply::plain(400, "AS2-From and AS2-To are required, once each\n").closing());
        };
        self.partner_of(from.as_str(), to.as_str()).ok_or_else(|| {
            let (from, to, peer) = (printable(from.as_str()), printable(to.as_str()), exchange.peer);
            tracing::warn!(%from, %to, %peer, code = "unknown-trading-relationship", "refused: no partner has these AS2 names");
            Reply::plain(403, "unknown trading relationship\n").closing()
        })
    }

    /// The certificate of the TLS handshake, where the partner or the listener demands one, is the partner's own.
    fn check_client(&self, partner: &Partner, exchange: &Exchange) -> Result<(), Reply> {
        if !partner.accept.client_certificate && !exchange.client_required {
            return Ok(());
        }
        let code = match &exchange.client {
            Some(client) if partner.is_client(&client.der, client.issued, self.clock.now()) => return Ok(()),
            Some(_) => "client-certificate-foreign",
            None => "client-certificate-missing",
        };
        let (id, peer) = (&partner.id, exchange.peer);
        tracing::warn!(partner = %id, %peer, code, "refused: the TLS client certificate is not this partner's");
        Err(Reply::plain(403, "client certificate required\n").closing())
    }

    /// Stores the body. What comes without an announced length is promised room while it comes.
    async fn spool(
        &self,
        exchange: &mut Exchange,
        announced: u64,
        mut room: Promise,
    ) -> Result<(Draft, Promise), Reply> {
        let (mut sink, mut came, mut promised) = (Sink::new(&self.store), 0u64, announced);
        loop {
            let chunk = exchange.body.next().await.map_err(|error| {
                tracing::warn!(peer = %exchange.peer, code = error.code(), "a body was not received: {error}");
                error.reply()
            })?;
            let Some(chunk) = chunk else { break };
            came = came.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
            if came > promised {
                room = room.more(&self.settings.space, STEP.saturating_mul(2)).map_err(no_room)?;
                promised = promised.saturating_add(STEP);
            }
            let written = if sink.is_file() || sink.would_spill(chunk.len()) {
                drain::blocking(move || sink.write_all(&chunk).map(|()| sink)).await
            } else {
                Ok(sink.write_all(&chunk).map(|()| sink))
            };
            sink = written
                .map_err(std::io::Error::other)
                .and_then(|written| written)
                .map_err(|error| unavailable("a body could not be stored", &error))?;
        }
        let finished = if sink.is_file() {
            drain::blocking(move || sink.finish()).await.map_err(std::io::Error::other).and_then(|done| done)
        } else {
            sink.finish()
        };
        finished.map(|wire| (wire, room)).map_err(|error| unavailable("a body could not be stored", &error))
    }

    /// An MDN's bytes; a longer one is no MDN.
    fn small(&self, wire: Draft) -> Result<Vec<u8>, Reply> {
        let limit = self.limits.mdn;
        if usize::try_from(wire.len()).map_or(true, |len| len > limit) {
            return Err(Reply::plain(413, "the MDN is too large\n"));
        }
        let mut bytes = Vec::new();
        let read = wire.open(&self.store).and_then(|mut body| body.read_to_end(&mut bytes));
        read.map_err(|error| unavailable("reading back a received body failed", &error))?;
        Ok(bytes)
    }
}

fn not_as2(partner: &Partner, error: &RequestError) -> Reply {
    tracing::warn!(partner = %partner.id, code = error.code(), "not an AS2 request: {}", error.text());
    Reply::plain(400, "not an AS2 request\n").closing()
}

fn header_fields(exchange: &Exchange) -> Result<Headers, Reply> {
    let mut head = Headers::new();
    for (name, value) in &exchange.headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        head.push(name.as_str(), &value).map_err(|error| {
            tracing::warn!(peer = %exchange.peer, code = error.code(), "a header field is refused");
            Reply::plain(400, "bad header field\n").closing()
        })?;
    }
    Ok(head)
}

/// Our own trouble: the sender shall try again.
pub(super) fn unavailable(what: &'static str, error: &std::io::Error) -> Reply {
    tracing::error!(%error, code = "storage-failed", "{what}");
    busy()
}

fn no_room(error: NoRoom) -> Reply {
    tracing::error!(%error, code = "disk-nearly-full", "a message is refused: make room on the data filesystem");
    busy()
}

/// 503 with a time to come back: most of our own troubles pass within seconds.
pub(super) fn busy() -> Reply {
    Reply::plain(503, "temporarily unavailable\n").header("Retry-After", "10").closing()
}
