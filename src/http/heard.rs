//! Servers that answer before they have the whole body, and close. The system resets such a connection under the rest of the
//! body (RFC 9112 9.6): writing fails while the answer, or the alert that says why there is none, lies there to be read. hyper
//! gives a request up as soon as writing fails. So that a connection was reset is told by reading alone.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A client's connection, heard to its end. Whoever writes must read as well, as hyper's client does: after a reset only
/// reading wakes it.
#[derive(Debug)]
pub(super) struct Heard<S> {
    stream: S,
    /// Nothing more can be written.
    reset: bool,
}

impl<S> Heard<S> {
    pub(super) fn new(stream: S) -> Heard<S> {
        Heard { stream, reset: false }
    }

    fn unless_reset<T>(&mut self, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match outcome {
            Poll::Ready(Err(error)) if is_reset(&error) => {
                self.reset = true;
                Poll::Pending
            }
            outcome => outcome,
        }
    }
}

fn is_reset(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe)
}

impl<S: AsyncRead + Unpin> AsyncRead for Heard<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Heard<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.reset {
            return Poll::Pending;
        }
        let outcome = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.unless_reset(outcome)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.reset {
            return Poll::Pending;
        }
        let outcome = Pin::new(&mut this.stream).poll_write_vectored(cx, slices);
        this.unless_reset(outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.reset {
            return Poll::Pending;
        }
        let outcome = Pin::new(&mut this.stream).poll_flush(cx);
        this.unless_reset(outcome)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::AsyncWriteExt as _;

    use super::*;
    use crate::http::specimens::{head, listen};
    use crate::http::{Addresses, Client, ClientSettings, SendBody, Timeouts};

    const PATIENT: Timeouts = Timeouts { connect: Duration::from_secs(10), total: Duration::from_secs(20) };

    #[tokio::test]
    async fn a_refusal_is_heard_although_its_server_resets_the_connection_under_the_body() {
        let (listener, url) = listen().await;
        let settings = ClientSettings { addresses: Addresses::Any, ..ClientSettings::default() };
        let client = Client::new(settings).expect("plain settings");
        for turn in 0..50 {
            let body = SendBody::reader(256 << 20, || Ok(Box::new(io::repeat(b'x'))));
            let peer = async {
                let (mut stream, _) = listener.accept().await.expect("accepted");
                head(&mut stream).await;
                // Then it is closed with the body unread.
                stream.write_all(b"HTTP/1.1 413 No\r\nContent-Length: 2\r\n\r\nno").await.expect("sent");
            };
            let (answer, ()) = tokio::join!(client.post(&url, &[], body, PATIENT), peer);
            let answer = answer.unwrap_or_else(|error| panic!("turn {turn}: {error}"));
            assert_eq!((answer.status, answer.early, &answer.body[..]), (413, true, &b"no"[..]), "turn {turn}");
        }
    }

    #[tokio::test]
    async fn a_connection_that_is_reset_without_an_answer_ends_its_request_at_once() {
        let (listener, url) = listen().await;
        let settings = ClientSettings { addresses: Addresses::Any, ..ClientSettings::default() };
        let client = Client::new(settings).expect("plain settings");
        for _ in 0..20 {
            let body = SendBody::reader(256 << 20, || Ok(Box::new(io::repeat(b'x'))));
            let peer = async {
                let (mut stream, _) = listener.accept().await.expect("accepted");
                head(&mut stream).await;
            };
            let (answer, ()) = tokio::join!(client.post(&url, &[], body, PATIENT), peer);
            assert_eq!(answer.expect_err("reset").code(), "connection-closed");
        }
    }
}
