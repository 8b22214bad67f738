//! How servers end TLS. Each owes a `close_notify` before it closes the connection (RFC 8446 6.1), and many forget it.
//!
//! Then nobody can tell by TLS alone whether somebody on the line has cut off the rest. But a length, or chunks, say how long
//! an answer is (RFC 9112 6.3), and what is missing by them is missed there. So such an end counts like any other, and
//! [`Cut`] tells of it whoever has nothing else to go by.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Whether a connection ended without its `close_notify`; clones are of the same connection.
#[derive(Debug, Clone, Default)]
pub(super) struct Cut(Arc<AtomicBool>);

impl Cut {
    pub(super) fn is_noted(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    fn note(&self) {
        self.0.store(true, Ordering::Release);
    }
}

/// A stream at whose end something is done.
#[derive(Debug)]
pub(super) struct Ending<S> {
    stream: S,
    at_end: AtEnd,
}

#[derive(Debug)]
enum AtEnd {
    /// An end without `close_notify` is noted, and is an end.
    Tolerate(Cut),
    /// The end is an error.
    Fail,
}

impl<S> Ending<S> {
    /// A TLS stream that fails as rustls does, with [`io::ErrorKind::UnexpectedEof`], where `close_notify` is missing.
    pub(super) fn tolerated(stream: S, cut: &Cut) -> Ending<S> {
        Ending { stream, at_end: AtEnd::Tolerate(cut.clone()) }
    }

    /// A socket under OpenSSL, which otherwise does not tell its end from `close_notify`. Behind a `close_notify` nothing more
    /// is read, so that a connection in good order does not fail.
    pub(super) fn failing(stream: S) -> Ending<S> {
        Ending { stream, at_end: AtEnd::Fail }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Ending<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let (before, room) = (buffer.filled().len(), buffer.remaining());
        let outcome = ready!(Pin::new(&mut this.stream).poll_read(cx, buffer));
        let ended = room > 0 && buffer.filled().len() == before;
        Poll::Ready(match (&this.at_end, outcome) {
            (AtEnd::Tolerate(cut), Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                cut.note();
                Ok(())
            }
            (AtEnd::Fail, Ok(())) if ended => Err(io::ErrorKind::UnexpectedEof.into()),
            (_, outcome) => outcome,
        })
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Ending<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
#[path = "tls_end_tests.rs"]
mod tests;
