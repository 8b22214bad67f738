//! Bodies: what a peer sends us ([`RequestBody`], capped and paced) and what we send ([`SendBody`]).
//!
//! A request body is charged only for the time in which *we* wait for the *peer*: a slow disk on our side never makes
//! a fast peer look slow.

use std::fmt;
use std::io::{self, Read};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep};

use super::course::Progress;
use super::exchange::Reply;
use super::expectation::Waiting;
use crate::ground::drain;

/// Why a request body could not be read to its end. Everything here is the peer's doing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// More bytes than the cap; by `Content-Length` before anything was read, else while counting.
    #[error("the request body is larger than {limit} bytes")]
    TooLarge {
        /// The cap in bytes.
        limit: u64,
    },
    /// Silent for too long, below the minimum rate, or over the total time.
    #[error("the request body arrives too slowly")]
    TooSlow,
    /// The connection ended, or the framing broke, before the body was complete.
    #[error("the request body ended early")]
    Truncated,
}

impl BodyError {
    /// Stable name for logs and API answers.
    pub fn code(&self) -> &'static str {
        match self {
            BodyError::TooLarge { .. } => "body-too-large",
            BodyError::TooSlow => "body-too-slow",
            BodyError::Truncated => "body-truncated",
        }
    }

    /// The fitting reply: 413, 408 or 400, each closing the connection.
    pub fn reply(&self) -> Reply {
        let reply = match self {
            BodyError::TooLarge { .. } => Reply::plain(413, "content too large\n"),
            BodyError::TooSlow => Reply::plain(408, "request timeout\n"),
            BodyError::Truncated => Reply::plain(400, "bad request\n"),
        };
        reply.closing()
    }
}

/// How fast a peer must send a body. Only time spent waiting for the peer counts, except for `total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Longest silence.
    pub idle: Duration,
    /// Bytes per second at least, averaged over `window`; 0 switches the rate check off.
    pub min_rate: u64,
    /// Over which the rate is averaged.
    pub window: Duration,
    /// From the first poll to the end, all included.
    pub total: Duration,
}

/// Bytes per second below which a body is too slow, whichever way it goes.
pub(super) const LEAST_PACE: u64 = 1024;

impl Default for Pace {
    fn default() -> Pace {
        Pace {
            idle: Duration::from_secs(60),
            min_rate: LEAST_PACE,
            window: Duration::from_secs(30),
            total: Duration::from_secs(30 * 60),
        }
    }
}

/// Longer than any body lasts, and no longer than clocks count.
const EVER: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// No pace at all.
const UNHURRIED: Pace = Pace { idle: EVER, min_rate: 0, window: EVER, total: EVER };

/// The body of a request, read chunk by chunk under a cap and a [`Pace`].
pub struct RequestBody {
    source: Source,
    length: Option<u64>,
    limit: u64,
    seen: u64,
    pace: Pace,
    clock: Option<PaceClock>,
    failed: Option<BodyError>,
}

enum Source {
    Network(hyper::body::Incoming),
    Memory(Option<Bytes>),
    Router(axum::body::Body),
}

impl RequestBody {
    pub(super) fn network(incoming: hyper::body::Incoming, pace: Pace) -> RequestBody {
        let length = incoming.size_hint().exact();
        RequestBody::new(Source::Network(incoming), length, pace)
    }

    /// A body that is already here; for tests of handlers.
    pub fn memory(bytes: impl Into<Bytes>) -> RequestBody {
        let bytes = bytes.into();
        let length = u64::try_from(bytes.len()).ok();
        RequestBody::new(Source::Memory(Some(bytes)), length, Pace::default())
    }

    /// The body of a request that came through [`serve_router`](super::serve_router), to be capped and read like any
    /// other. Its pace is that of its listener, which is kept inside.
    pub fn from_router(body: axum::body::Body) -> RequestBody {
        let length = body.size_hint().exact();
        RequestBody::new(Source::Router(body), length, UNHURRIED)
    }

    fn new(source: Source, length: Option<u64>, pace: Pace) -> RequestBody {
        RequestBody { source, length, limit: u64::MAX, seen: 0, pace, clock: None, failed: None }
    }

    /// The announced length in bytes; `None` for a chunked body.
    pub fn content_length(&self) -> Option<u64> {
        self.length
    }

    /// Caps the body at `bytes`. An announced length above it fails the first read, before `100 Continue` is sent.
    pub fn limit(&mut self, bytes: u64) {
        self.limit = bytes;
    }

    /// The next chunk, or `None` at the end. After an error every further call returns that error.
    pub async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        std::future::poll_fn(|cx| self.poll_chunk(cx)).await
    }

    /// The whole body in memory, at most `limit` bytes.
    pub async fn read_all(&mut self, limit: u64) -> Result<Vec<u8>, BodyError> {
        self.limit(limit);
        let mut whole = Vec::new();
        while let Some(chunk) = self.next().await? {
            whole.extend_from_slice(&chunk);
        }
        Ok(whole)
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BodyError>> {
        if let Some(error) = &self.failed {
            return Poll::Ready(Err(error.clone()));
        }
        let outcome = ready!(self.poll_counted(cx));
        if let Err(error) = &outcome {
            self.failed = Some(error.clone());
        }
        Poll::Ready(outcome)
    }

    fn poll_counted(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BodyError>> {
        let too_large = BodyError::TooLarge { limit: self.limit };
        if self.length.is_some_and(|length| length > self.limit) {
            return Poll::Ready(Err(too_large));
        }
        loop {
            let frame = match &mut self.source {
                Source::Memory(bytes) => return Poll::Ready(Ok(bytes.take().filter(|bytes| !bytes.is_empty()))),
                Source::Network(incoming) => Pin::new(incoming).poll_frame(cx).map_err(|_| BodyError::Truncated),
                Source::Router(body) => Pin::new(body).poll_frame(cx).map_err(router_error),
            };
            let clock = self.clock.get_or_insert_with(|| PaceClock::start(self.pace));
            let data = match frame {
                Poll::Pending => {
                    ready!(clock.poll_too_slow(cx));
                    return Poll::Ready(Err(BodyError::TooSlow));
                }
                Poll::Ready(None) => return Poll::Ready(Ok(None)),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(error)),
                Poll::Ready(Some(Ok(frame))) => frame.into_data(),
            };
            // Trailers (RFC 9112 7.1.2) carry nothing that AS2 knows.
            let Ok(data) = data else { continue };
            let len = u64::try_from(data.len()).unwrap_or(u64::MAX);
            self.seen = self.seen.saturating_add(len);
            if self.seen > self.limit {
                return Poll::Ready(Err(too_large));
            }
            if !clock.arrived(len) {
                return Poll::Ready(Err(BodyError::TooSlow));
            }
            return Poll::Ready(Ok(Some(data)));
        }
    }
}

/// A router's body is one of ours inside; its error comes back as it was.
fn router_error(error: axum::Error) -> BodyError {
    error.into_inner().downcast::<BodyError>().map_or(BodyError::Truncated, |error| *error)
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBody").field("length", &self.length).field("seen", &self.seen).finish_non_exhaustive()
    }
}

/// For routers that want a body of the `http_body` kind.
impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.get_mut().poll_chunk(cx).map(|outcome| outcome.map(|chunk| chunk.map(Frame::data)).transpose())
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map(SizeHint::with_exact).unwrap_or_default()
    }
}

/// Measures a peer against its [`Pace`].
struct PaceClock {
    pace: Pace,
    /// The end of `total`.
    end: Instant,
    /// Time we may still wait before the rate is looked at again.
    window_left: Duration,
    /// Bytes received in the current window.
    received: u64,
    waiting: Option<Wait>,
    timer: Pin<Box<Sleep>>,
}

/// We are waiting for the peer.
struct Wait {
    /// The part of this wait that belongs to the current window began here.
    since: Instant,
    silent_until: Instant,
}

impl PaceClock {
    fn start(pace: Pace) -> PaceClock {
        let now = Instant::now();
        let timer = Box::pin(tokio::time::sleep_until(now));
        PaceClock { pace, end: now + pace.total, window_left: pace.window, received: 0, waiting: None, timer }
    }

    /// Counts a chunk; false when the peer is over its total time, or below the rate in the window that this closes.
    fn arrived(&mut self, bytes: u64) -> bool {
        self.received = self.received.saturating_add(bytes);
        if let Some(wait) = self.waiting.take() {
            self.window_left = self.window_left.saturating_sub(wait.since.elapsed());
        }
        Instant::now() < self.end && (!self.window_left.is_zero() || self.close_window())
    }

    /// Ready when the peer is too slow; otherwise the task is woken when that has to be looked at again.
    fn poll_too_slow(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let now = Instant::now();
            let idle = self.pace.idle;
            let wait = self.waiting.get_or_insert_with(|| Wait { since: now, silent_until: now + idle });
            let hard_end = wait.silent_until.min(self.end);
            let window_ends = wait.since + self.window_left;
            if now >= hard_end {
                return Poll::Ready(());
            }
            if now >= window_ends {
                wait.since = now;
                if !self.close_window() {
                    return Poll::Ready(());
                }
                continue;
            }
            self.timer.as_mut().reset(hard_end.min(window_ends));
            ready!(self.timer.as_mut().poll(cx));
        }
    }

    /// Begins a new window; false when the old one held too few bytes.
    fn close_window(&mut self) -> bool {
        let needed = self.pace.min_rate.saturating_mul(self.pace.window.as_secs());
        let enough = self.received >= needed;
        self.window_left = self.pace.window;
        self.received = 0;
        enough
    }
}

/// Opens a reader; called again when a request of which nothing was written moves to a fresh connection.
type Open = Arc<dyn Fn() -> io::Result<Box<dyn Read + Send>> + Send + Sync>;

/// A body that we send: bytes, or a reader of known length that is read piece by piece while it is sent.
#[derive(Clone)]
pub enum SendBody {
    /// In memory.
    Bytes(Bytes),
    /// Read from `open()` on a blocking thread while it is sent.
    Reader {
        /// Length in bytes, sent as `Content-Length`; a reader that ends earlier fails the transfer.
        len: u64,
        /// Opens the reader at its first byte.
        open: Open,
    },
}

impl SendBody {
    /// No bytes.
    pub fn empty() -> SendBody {
        SendBody::Bytes(Bytes::new())
    }

    /// `len` bytes from the reader that `open` opens; nothing is opened before the bytes are needed.
    pub fn reader<F>(len: u64, open: F) -> SendBody
    where
        F: Fn() -> io::Result<Box<dyn Read + Send>> + Send + Sync + 'static,
    {
        SendBody::Reader { len, open: Arc::new(open) }
    }

    /// The file at `path` as long as it is now.
    pub fn file(path: &Path) -> io::Result<SendBody> {
        let len = std::fs::metadata(path)?.len();
        let path = path.to_path_buf();
        Ok(SendBody::reader(len, move || Ok(Box::new(std::fs::File::open(&path)?))))
    }

    /// Length in bytes.
    pub fn len(&self) -> u64 {
        match self {
            SendBody::Bytes(bytes) => u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            SendBody::Reader { len, .. } => *len,
        }
    }

    /// There is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl From<Vec<u8>> for SendBody {
    fn from(bytes: Vec<u8>) -> SendBody {
        SendBody::Bytes(Bytes::from(bytes))
    }
}

impl From<Bytes> for SendBody {
    fn from(bytes: Bytes) -> SendBody {
        SendBody::Bytes(bytes)
    }
}

impl fmt::Debug for SendBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendBody").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// Bytes handed on at a time. Of a reader they are ahead of the socket twice: one piece is being sent while the next is read.
const PIECE: usize = 64 * 1024;

/// A [`SendBody`] on its way through hyper.
pub(super) struct Sending {
    left: u64,
    state: SendState,
    /// The length is not told: the body is chunked.
    chunked: bool,
    /// What has to happen before the first byte goes out.
    waiting: Option<Waiting>,
    progress: Progress,
}

enum SendState {
    Bytes(Bytes),
    Unopened(Open),
    Pieces(mpsc::Receiver<io::Result<Bytes>>),
}

impl Sending {
    pub(super) fn new(body: &SendBody) -> Sending {
        Sending::telling(body, Progress::default())
    }

    /// The same, and `progress` hears of what goes out.
    pub(super) fn telling(body: &SendBody, progress: Progress) -> Sending {
        let state = match body {
            SendBody::Bytes(bytes) => SendState::Bytes(bytes.clone()),
            SendBody::Reader { open, .. } => SendState::Unopened(Arc::clone(open)),
        };
        if body.is_empty() {
            progress.went(0, 0);
        }
        Sending { left: body.len(), state, chunked: false, waiting: None, progress }
    }

    /// Sends the body chunked (RFC 9112 7.1).
    pub(super) fn forget_length(&mut self) {
        self.chunked = true;
    }

    /// Holds the body back.
    pub(super) fn wait_for(&mut self, waiting: Waiting) {
        self.waiting = Some(waiting);
    }
}

impl Body for Sending {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if let Some(waiting) = &mut self.waiting {
            if let Err(error) = ready!(waiting.poll(cx)) {
                return Poll::Ready(Some(Err(error)));
            }
            self.waiting = None;
        }
        loop {
            let left = self.left;
            let piece = match &mut self.state {
                _ if left == 0 => return Poll::Ready(None),
                // In one piece all of it would count as sent before its first byte is.
                SendState::Bytes(bytes) => Some(Ok(bytes.split_to(bytes.len().min(PIECE)))),
                SendState::Unopened(open) => {
                    let pieces = read_ahead(Arc::clone(open), left);
                    self.state = SendState::Pieces(pieces);
                    continue;
                }
                SendState::Pieces(pieces) => ready!(pieces.poll_recv(cx)),
            };
            let piece = piece.unwrap_or_else(|| Err(io::ErrorKind::UnexpectedEof.into()));
            if let Ok(bytes) = &piece {
                let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                self.left = left.saturating_sub(len);
                self.progress.went(len, self.left);
            }
            return Poll::Ready(Some(piece.map(Frame::data)));
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        if self.chunked { SizeHint::default() } else { SizeHint::with_exact(self.left) }
    }
}

/// Reads on a blocking thread, at most two pieces ahead; the thread ends when the receiver is dropped.
fn read_ahead(open: Open, len: u64) -> mpsc::Receiver<io::Result<Bytes>> {
    let (sender, receiver) = mpsc::channel(1);
    drain::blocking(move || {
        let mut left = len;
        let mut reader = match open() {
            Ok(reader) => reader,
            Err(error) => return drop(sender.blocking_send(Err(error))),
        };
        while left > 0 {
            let piece = read_piece(reader.as_mut(), left);
            let len = piece.as_ref().map_or(0, Bytes::len);
            left = left.saturating_sub(u64::try_from(len).unwrap_or(u64::MAX));
            if drain::waiting(|| sender.blocking_send(piece)).is_err() || len == 0 {
                return;
            }
        }
    });
    receiver
}

/// Up to [`PIECE`] bytes; an early end is an error.
fn read_piece(reader: &mut dyn Read, left: u64) -> io::Result<Bytes> {
    let want = left.min(u64::try_from(PIECE).unwrap_or(u64::MAX));
    let mut piece = Vec::with_capacity(usize::try_from(want).unwrap_or(PIECE));
    reader.take(want).read_to_end(&mut piece)?;
    if piece.is_empty() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(Bytes::from(piece)) }
}

#[cfg(test)]
#[path = "body_tests.rs"]
mod tests;
