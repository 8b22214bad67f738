//! Step 1: from an HTTP request to a head and durable-to-be bytes.
//!
//! Whatever is wrong here is answered by an HTTP status, since nothing says yet that it is AS2 from a partner:
//! 404 path, 405 method, 415 content encoding, 400 head, 403 unknown pair of names or another's TLS certificate, 413 size,
//! 416 a part that fits nothing, 408 pace, 501 a transfer coding, 503 space, and after too many failures (`failures`). Of these, unknown names and
//! a bad Message-ID are told in an MDN where one is waited for (`strangers`).

use std::io::{Read, Write};
use std::sync::Arc;

use super::Inbound;
use super::failures::{Admission, Origin, TooMany};
use crate::as2::request::{self, Incoming, Request};
use crate::as2::{As2Name, RequestError, headers};
use crate::ground::drain;
use crate::ground::space::{NoRoom, Promise};
use crate::ground::text::printable;
use crate::http::{BodyError, Exchange, Reply};
use crate::mime::Headers;
use crate::partner::Partner;
use crate::store::Store;
use crate::store::draft::{Draft, Sink};
use crate::store::partial::Turn;

/// Bytes of the body that show whether it is a message or an MDN.
const PREFIX: usize = 8 * 1024;
/// Bytes of a body of unknown length that are promised room at a time; more than a chunk.
const STEP: u64 = 8 * 1024 * 1024;
/// Bytes of a large body written at a time.
const GATHERED: usize = 256 * 1024;

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
    pub(super) origin: Origin,
    /// Room for what is made of it.
    pub(super) room: Promise,
    /// Nobody else goes on with its body while this lives.
    pub(super) turn: Option<Turn>,
    /// Several connections carried it.
    pub(super) pieced: bool,
}

/// A message on its way through the flow.
pub(super) struct Reception {
    pub(super) wire: Draft,
    /// Its place among those that are opened; none when it is opened again.
    pub(super) admission: Option<Admission>,
    /// For evidence; none when it stands in the record already.
    pub(super) remote: Option<String>,
    /// It was put together of parts.
    pub(super) pieced: bool,
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
        if let Err(error) = crate::as2::check_head(&head) {
            return Err(self.bad_head(partner, head, error).await);
        }
        let origin = self.origin(&partner, &exchange);
        if !request::may_be_mdn(&head)
            && let Some(refusal) = self.failures.refusal(&partner.id, &origin)
        {
            return Err(too_many(&partner, &origin, refusal));
        }
        let part = self.part(&partner, &head, &exchange)?;
        let most = part.as_ref().map_or(self.limits.body, |part| part.range.len());
        exchange.body.limit(most);
        let announced = exchange.body.content_length().unwrap_or(0);
        if announced > most {
            let error = BodyError::TooLarge { limit: most };
            tracing::warn!(partner = %partner.id, peer = %exchange.peer, code = error.code(), announced, "a body was not received: {error}");
            return Err(error.reply());
        }
        // The body, and the payload that comes out of it and of what is here already. What anybody may announce is set aside as
        // it comes.
        let here = part.as_ref().map_or(0, |part| part.here(self.store.partials()));
        let at_once = if self.failures.is_at_home(&partner.id, &origin) { u64::MAX } else { STEP };
        let promised = announced.min(at_once);
        let payload = part.as_ref().map_or(announced, |part| part.range.len()).min(at_once);
        let room = self.promise(promised.saturating_add(payload).saturating_add(here))?;
        let pieced = part.as_ref().is_some_and(|part| part.range.from > 0);
        // Without a Content-Length hyper takes any end for the body's.
        let least = part.as_ref().map_or(0, |part| part.range.len());
        let (sink, turn) = self.begin(part).await?;
        let length = Length { announced, promised, least };
        let (wire, room) = self.spool(&mut exchange, sink, length, room).await?;
        // A long body may have come while the partner's file was read again: what that says now is what it is judged by.
        let partner = self.named_partner(&head, &exchange)?;
        self.check_client(&partner, &exchange)?;
        let origin = self.origin(&partner, &exchange);
        let mut read = Vec::new();
        let prefix = beginning(&self.store, &wire, &mut read);
        let prefix = prefix.map_err(|error| unavailable("reading back a received body failed", &error))?;
        match request::read_head(&head, prefix, &self.limits) {
            Ok(Incoming::Message(request)) => {
                Ok(Arrived::Message(Box::new(MessageArrived { partner, request, wire, origin, room, turn, pieced })))
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
            "HEAD" => return Err(self.told_of_parts(exchange)),
            "GET" => return Err(Reply::new(200)),
            _ => return Err(Reply::method_not_allowed("POST, GET, HEAD")),
        }
        if exchange.has_content_encoding() {
            return Err(Reply::plain(415, "content encodings are not supported\n").closing());
        }
        if exchange.has_other_transfer_coding() {
            return Err(Reply::plain(501, "transfer codings other than chunked are not supported\n").closing());
        }
        Ok(())
    }

    /// The partner behind AS2-From and AS2-To. Who it really is, the signature shows later.
    pub(super) fn named_partner(&self, head: &Headers, exchange: &Exchange) -> Result<Arc<Partner>, Reply> {
        let name =
            |field| (head.count(field) == 1).then(|| head.get(field).and_then(|value| As2Name::parse(value).ok()));
        let names = (name(headers::AS2_FROM).flatten(), name(headers::AS2_TO).flatten());
        let (Some(from), Some(to)) = names else {
            return Err(Reply::plain(400, "AS2-From and AS2-To are required, once each\n").closing());
        };
        let (from, to) = self.quoted_once(head, from, to);
        self.partner_of(from.as_str(), to.as_str()).ok_or_else(|| {
            let (shown, peer) = ((printable(from.as_str()), printable(to.as_str())), exchange.peer);
            tracing::warn!(from = %shown.0, to = %shown.1, %peer, code = "unknown-trading-relationship", "refused: no partner has these AS2 names");
            self.unknown_pair(head, &from, &to)
        })
    }

    /// The names of a receipt as a partner has them: pyas2 quotes in it again what is quoted already.
    fn quoted_once(&self, head: &Headers, from: As2Name, to: As2Name) -> (As2Name, As2Name) {
        let inner = |name: &As2Name| name.unquoted_again().unwrap_or_else(|| name.clone());
        let known = |from: &As2Name, to: &As2Name| self.partner_of(from.as_str(), to.as_str()).is_some();
        if known(&from, &to) || !request::may_be_mdn(head) {
            return (from, to);
        }
        let (inner_from, inner_to) = (inner(&from), inner(&to));
        if known(&inner_from, &inner_to) { (inner_from, inner_to) } else { (from, to) }
    }

    /// The certificate of the TLS handshake, where the partner or the listener demands one, is the partner's own.
    pub(super) fn check_client(&self, partner: &Partner, exchange: &Exchange) -> Result<(), Reply> {
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

    /// Whom a request comes from; a partner is at home where its certificate was shown.
    fn origin(&self, partner: &Partner, exchange: &Exchange) -> Origin {
        let now = self.clock.now();
        let shown = exchange.client.as_ref().is_some_and(|client| partner.is_client(&client.der, client.issued, now));
        let client = exchange.client_address(&self.settings.trusted_proxies);
        let origin = Origin::new(exchange.peer, client, shown);
        if shown {
            self.failures.at_home(&partner.id, origin.address);
        }
        origin
    }

    /// Sets room aside; what came of broken connections gives way to whole bodies.
    fn promise(&self, bytes: u64) -> Result<Promise, Reply> {
        let promised = self.settings.space.promise(bytes);
        match promised {
            Err(NoRoom::Short { free, promised, wanted, floor }) => {
                let needed = promised.saturating_add(wanted).saturating_add(floor);
                self.store.partials().give_way(needed.saturating_sub(free));
                self.settings.space.promise(bytes)
            }
            promised => promised,
        }
        .map_err(no_room)
    }

    /// Stores the body. What goes beyond what it was promised is promised room while it comes.
    async fn spool(
        &self,
        exchange: &mut Exchange,
        sink: Sink,
        Length { announced, mut promised, least }: Length,
        mut room: Promise,
    ) -> Result<(Draft, Promise), Reply> {
        let large = usize::try_from(announced).map_or(true, |announced| announced > self.store.inline_threshold());
        let sink = if large && !sink.is_file() {
            let spilt = drain::blocking(move || sink.spilt()).await.map_err(std::io::Error::other);
            spilt.and_then(|spilt| spilt).map_err(|error| unavailable("a body could not be stored", &error))?
        } else {
            let mut sink = sink;
            sink.reserve(usize::try_from(announced).unwrap_or_default());
            sink
        };
        let mut spooling = Spooling { sink, gathered: Vec::new() };
        let mut came = 0u64;
        loop {
            let next = match exchange.body.next().await {
                Ok(None) if came < least => Err(BodyError::Truncated),
                next => next,
            };
            let chunk = match next {
                Ok(Some(chunk)) => chunk,
                Ok(None) => break,
                Err(error) => {
                    tracing::warn!(peer = %exchange.peer, code = error.code(), "a body was not received: {error}");
                    // What came may be gone on with.
                    let _ = spooling.written().await;
                    return Err(error.reply());
                }
            };
            let len = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
            came = came.saturating_add(len);
            if came > promised {
                room = room.and(self.promise(STEP.saturating_mul(2))?);
                promised = promised.saturating_add(STEP);
            }
            spooling =
                spooling.take(&chunk).await.map_err(|error| unavailable("a body could not be stored", &error))?;
            if spooling.sink.is_file() {
                room.spent(len);
            }
            // hyper reads on into the same memory once nobody holds what it has read.
            drop(chunk);
        }
        let finished = match spooling.written().await {
            Ok(sink) if sink.is_file() => {
                drain::blocking(move || sink.finish()).await.map_err(std::io::Error::other).and_then(|done| done)
            }
            written => written.and_then(Sink::finish),
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

/// The first bytes of a body, enough to tell a message from an MDN. `read` takes those that are not in memory.
pub(super) fn beginning<'a>(store: &Store, body: &'a Draft, read: &'a mut Vec<u8>) -> std::io::Result<&'a [u8]> {
    match body {
        Draft::Inline(bytes) | Draft::Digested(bytes, _) => Ok(bytes.get(..PREFIX).unwrap_or(bytes)),
        Draft::File(_) | Draft::Stored(_) => {
            let most = u64::try_from(PREFIX).unwrap_or(u64::MAX);
            body.open(store)?.take(most).read_to_end(read)?;
            Ok(read)
        }
    }
}

/// How long a body is.
struct Length {
    /// By its head; 0 if that does not say.
    announced: u64,
    /// Bytes of it that have room.
    promised: u64,
    /// It is not all there with fewer.
    least: u64,
}

/// A body on its way into the store. What goes to a file is gathered: each write is a step of a blocking thread.
struct Spooling {
    sink: Sink,
    gathered: Vec<u8>,
}

impl Spooling {
    async fn take(mut self, chunk: &[u8]) -> std::io::Result<Spooling> {
        if self.gathered.is_empty() && !self.sink.is_file() && !self.sink.would_spill(chunk.len()) {
            return self.sink.write_all(chunk).map(|()| self);
        }
        self.gathered.extend_from_slice(chunk);
        if self.gathered.len() < GATHERED { Ok(self) } else { self.write().await }
    }

    async fn write(mut self) -> std::io::Result<Spooling> {
        let write = move || {
            self.sink.write_all(&self.gathered)?;
            self.gathered.clear();
            Ok(self)
        };
        drain::blocking(write).await.map_err(std::io::Error::other).and_then(|written| written)
    }

    /// The sink with everything that came.
    async fn written(self) -> std::io::Result<Sink> {
        let all = if self.gathered.is_empty() { self } else { self.write().await? };
        Ok(all.sink)
    }
}

pub(super) fn not_as2(partner: &Partner, error: &RequestError) -> Reply {
    tracing::warn!(partner = %partner.id, code = error.code(), "not an AS2 request: {}", error.text());
    Reply::plain(400, "not an AS2 request\n").closing()
}

/// Nothing was opened, so this tells nothing about keys.
pub(super) fn too_many(partner: &Partner, origin: &Origin, refusal: TooMany) -> Reply {
    let (id, from, limit) = (&partner.id, &origin.remote, refusal.limit);
    tracing::warn!(partner = %id, %from, limit, code = "too-many-failures", "not opened: too many messages before it were refused");
    let reply = Reply::plain(503, "temporarily unavailable\n");
    reply.header("Retry-After", refusal.seconds.to_string()).closing()
}

pub(super) fn header_fields(exchange: &Exchange) -> Result<Headers, Reply> {
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::ground::clock::ManualClock;
    use crate::store::StoreConfig;

    fn store(dir: &std::path::Path, inline_threshold: usize) -> Store {
        let clock = Arc::new(ManualClock::new(jiff::Timestamp::UNIX_EPOCH));
        let config = StoreConfig { inline_threshold, allow_untrusted_filesystem: true, ..StoreConfig::new(dir, clock) };
        Store::open(config).unwrap().0
    }

    #[test]
    fn the_beginning_of_a_body_in_memory_is_looked_at_where_it_lies_and_that_of_a_file_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path(), 100_000);
        for len in [0, 5, PREFIX, PREFIX + 1, 50_000, 200_000] {
            let bytes: Vec<u8> = (0..len).map(|place| u8::try_from(place % 251).unwrap()).collect();
            let mut sink = Sink::new(&store);
            sink.write_all(&bytes).unwrap();
            let (draft, mut read) = (sink.finish().unwrap(), Vec::new());
            let found = beginning(&store, &draft, &mut read).unwrap();
            assert!(*found == bytes[..len.min(PREFIX)], "{len}");
            if let Draft::Inline(held) = &draft {
                assert_eq!(found.as_ptr(), held.as_ptr(), "{len}");
            }
            assert_eq!(matches!(draft, Draft::File(_)), len == 200_000);
        }
    }

    #[tokio::test]
    async fn chunks_of_any_size_come_into_the_store_in_their_order() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path(), 1000);
        for (first, second) in [(900, 50), (900, 200), (50, 900), (1001, 1), (70_000, 30), (300_000, 7)] {
            for spilt in [false, true] {
                let sink = Sink::new(&store);
                let sink = if spilt { sink.spilt().unwrap() } else { sink };
                let (mut spooling, mut expected) = (Spooling { sink, gathered: Vec::new() }, Vec::new());
                for number in 0..6u8 {
                    let chunk = vec![number; if number % 2 == 0 { first } else { second }];
                    expected.extend_from_slice(&chunk);
                    spooling = spooling.take(&chunk).await.unwrap();
                }
                let draft = spooling.written().await.unwrap().finish().unwrap();
                let mut bytes = Vec::new();
                draft.open(&store).unwrap().read_to_end(&mut bytes).unwrap();
                assert!(bytes == expected, "{first} {second} {spilt}");
            }
        }
    }
}
