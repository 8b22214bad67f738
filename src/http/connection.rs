//! What stands between a socket and hyper: a deadline on sending, and a second look at the framing of each request.
//!
//! hyper accepts a request with both `Transfer-Encoding` and `Content-Length` (RFC 9112 6.3 allows it: chunked wins,
//! the connection closes) and forgets that there were two. We refuse such requests, so the bytes of each head are
//! looked at as they pass. A pipelined head that arrives together with the end of the body before it is not seen;
//! hyper's rule then still keeps the framing unambiguous.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use memchr::memmem;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// A connection as hyper sees it.
pub(super) struct Watched<S> {
    stream: S,
    stall: Duration,
    timer: Pin<Box<Sleep>>,
    /// Sending has not progressed since the timer was set.
    stalled: bool,
    framing: Framing,
    head: Vec<u8>,
    head_limit: usize,
}

impl<S> Watched<S> {
    /// `stall`: longest time without progress while sending; `head_limit`: bytes of a head that are looked at.
    pub(super) fn new(stream: S, stall: Duration, head_limit: usize) -> Watched<S> {
        let timer = Box::pin(tokio::time::sleep_until(Instant::now()));
        Watched { stream, stall, timer, stalled: false, framing: Framing::default(), head: Vec::new(), head_limit }
    }

    /// What was seen of the framing, shared with the service of this connection.
    pub(super) fn framing(&self) -> Framing {
        self.framing.clone()
    }

    fn poll_progress<T>(&mut self, cx: &mut Context<'_>, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.stalled = false;
            return outcome;
        }
        if !self.stalled {
            self.stalled = true;
            self.timer.as_mut().reset(Instant::now() + self.stall);
        }
        ready!(self.timer.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    fn look_at(&mut self, bytes: &[u8]) {
        if self.framing.load() != AWAITED {
            return;
        }
        // hyper passes over empty lines in front of a head (RFC 9112 2.2): they end none.
        let is_blank = |byte: &&u8| self.head.is_empty() && matches!(byte, b'\r' | b'\n');
        let blanks = bytes.iter().take_while(is_blank).count();
        let bytes = bytes.get(blanks..).unwrap_or_default();
        let known = self.head.len();
        let room = self.head_limit.saturating_sub(known);
        self.head.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        // An empty line may begin in the bytes that were known before.
        let from = known.saturating_sub(2);
        let news = self.head.get(from..).unwrap_or_default();
        let ends = [memmem::find(news, b"\n\r\n"), memmem::find(news, b"\n\n")];
        let Some(end) = ends.into_iter().flatten().min() else { return };
        self.head.truncate(from.saturating_add(end));
        self.framing.store(if is_ambiguous(&self.head) { AMBIGUOUS } else { CLEAR });
        self.head.clear();
    }
}

/// Both framings in one head, or two lengths.
fn is_ambiguous(head: &[u8]) -> bool {
    let mut lengths = 0usize;
    let mut encodings = 0usize;
    for line in head.split(|byte| *byte == b'\n') {
        let name = line.split(|byte| *byte == b':').next().unwrap_or_default().trim_ascii();
        lengths = lengths.saturating_add(usize::from(name.eq_ignore_ascii_case(b"content-length")));
        encodings = encodings.saturating_add(usize::from(name.eq_ignore_ascii_case(b"transfer-encoding")));
    }
    lengths.saturating_add(encodings) > 1
}

/// A head is expected: bytes are looked at.
const AWAITED: u8 = 0;
/// The latest head has one framing.
const CLEAR: u8 = 1;
/// The latest head has several.
const AMBIGUOUS: u8 = 2;

/// The framing of the latest head.
#[derive(Debug, Clone, Default)]
pub(super) struct Framing(Arc<AtomicU8>);

impl Framing {
    /// The latest head could be read in two ways.
    pub(super) fn is_ambiguous(&self) -> bool {
        self.load() == AMBIGUOUS
    }

    /// The request is answered: the next bytes are a new head.
    pub(super) fn await_next(&self) {
        self.store(AWAITED);
    }

    fn load(&self) -> u8 {
        self.0.load(Ordering::Acquire)
    }

    fn store(&self, seen: u8) {
        self.0.store(seen, Ordering::Release);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, buffer))?;
        this.look_at(buffer.filled().get(before..).unwrap_or_default());
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.poll_progress(cx, outcome)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.stream).poll_write_vectored(cx, slices);
        this.poll_progress(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.stream).poll_flush(cx);
        this.poll_progress(cx, outcome)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.stream).poll_shutdown(cx);
        this.poll_progress(cx, outcome)
    }
}

/// Most bytes that are read only to be thrown away.
const LINGER_BYTES: u64 = 4 * 1024 * 1024;
/// Longest time for that.
const LINGER: Duration = Duration::from_secs(2);

/// Closes a connection so that the peer gets the last reply: with unread bytes in the kernel's buffer a plain close
/// would reset the connection and the reply would be lost on the way (RFC 9112 9.6).
pub(super) async fn close<S: AsyncRead + AsyncWrite + Unpin>(mut connection: S) {
    use tokio::io::AsyncWriteExt;
    let farewell = async {
        connection.shutdown().await?;
        tokio::io::copy(&mut connection.take(LINGER_BYTES), &mut tokio::io::sink()).await
    };
    let _ = tokio::time::timeout(LINGER, farewell).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_framings_or_two_lengths_are_ambiguous() {
        let table: [(&[u8], bool); 6] = [
            (b"POST / HTTP/1.1\r\nContent-Length: 1", false),
            (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked", false),
            (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 1", true),
            (b"POST / HTTP/1.1\r\ncontent-length: 1\r\nTRANSFER-ENCODING: chunked", true),
            (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1", true),
            (b"POST / HTTP/1.1\nContent-Length: 1\nTransfer-Encoding: chunked", true),
        ];
        for (head, ambiguous) in table {
            assert_eq!(is_ambiguous(head), ambiguous, "{}", String::from_utf8_lossy(head));
        }
    }

    #[tokio::test]
    async fn blank_lines_in_front_of_a_head_hide_nothing_of_it() {
        for blank in ["\n\n", "\r\n\r\n", "\n\r\n\n"] {
            let head = format!("{blank}POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n");
            for piece in [1, head.len()] {
                let mut connection = Watched::new(tokio::io::empty(), Duration::ZERO, 1024);
                head.as_bytes().chunks(piece).for_each(|bytes| connection.look_at(bytes));
                assert!(connection.framing().is_ambiguous(), "{blank:?} in pieces of {piece}");
            }
        }
    }

    #[tokio::test]
    async fn a_head_in_many_pieces_is_seen_whole() {
        let mut connection = Watched::new(tokio::io::empty(), Duration::ZERO, 1024);
        for byte in b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n" {
            connection.look_at(&[*byte]);
        }
        assert!(connection.framing().is_ambiguous());
    }
}
