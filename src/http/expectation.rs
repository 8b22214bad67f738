//! `Expect: 100-continue` on our side (RFC 9110 10.1.1): the head goes out, the body waits.
//!
//! The body waits until the peer says `100 Continue`, or until it has said nothing for a while: many servers and
//! proxies know nothing of expectations. A final answer before that means that the peer does not want the body, which
//! is then not sent; the connection cannot be used again, because the peer was promised a body.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ::http::{Request, StatusCode};
use tokio::sync::watch;

/// Where a body stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gate {
    Waiting,
    Open,
    /// The peer answered without it.
    Refused,
}

/// The requesting side's view: opened by `100 Continue`, refused by a final answer.
#[derive(Debug)]
pub(super) struct Expectation(watch::Sender<Gate>);

/// The body's view.
pub(super) struct Waiting {
    patience: Pin<Box<dyn Future<Output = Gate> + Send + Sync>>,
}

impl Expectation {
    /// An expectation on `request`, which waits at most `patience`, and what its body has to wait for.
    pub(super) fn new(patience: Duration) -> (Expectation, Waiting) {
        let (gate, mut seen) = watch::channel(Gate::Waiting);
        let sender = gate.clone();
        let patience = async move {
            let decided = tokio::time::timeout(patience, seen.wait_for(|gate| *gate != Gate::Waiting)).await;
            let decided = decided.map(|gate| gate.map_or(Gate::Refused, |gate| *gate));
            decided.unwrap_or_else(|_| {
                sender.send_replace(Gate::Open);
                Gate::Open
            })
        };
        (Expectation(gate), Waiting { patience: Box::pin(patience) })
    }

    /// Opens the gate when the peer says so; other informational answers (102, 103) say nothing about the body.
    pub(super) fn listen<B>(&self, request: &mut Request<B>) {
        let gate = self.0.clone();
        hyper::ext::on_informational(request, move |answer| {
            if answer.status() == StatusCode::CONTINUE {
                gate.send_replace(Gate::Open);
            }
        });
    }

    /// The final answer is here. Whether it came before the body was wanted: then the body is never sent.
    pub(super) fn end(&self) -> bool {
        self.0.send_if_modified(|gate| {
            let early = *gate == Gate::Waiting;
            if early {
                *gate = Gate::Refused;
            }
            early
        })
    }
}

impl Waiting {
    /// Ready when the body may go; an error when it never will.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match ready!(self.patience.as_mut().poll(cx)) {
            Gate::Refused => Poll::Ready(Err(io::Error::other("answered before the body was sent"))),
            Gate::Open | Gate::Waiting => Poll::Ready(Ok(())),
        }
    }
}

#[cfg(test)]
#[path = "expectation_tests.rs"]
mod tests;
