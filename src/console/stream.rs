//! A stream that is made one step at a time by an async function.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;

/// One step: the next chunk, and what the step after needs; none ends the stream.
pub(super) type Step<S> = Pin<Box<dyn Future<Output = Option<(io::Result<Bytes>, S)>> + Send>>;

/// The stream of all steps. An error is the last one.
pub(super) struct Steps<S> {
    current: Option<Step<S>>,
    step: Arc<dyn Fn(S) -> Step<S> + Send + Sync>,
}

impl<S> Steps<S> {
    /// Steps that begin with `state`.
    pub(super) fn new(state: S, step: impl Fn(S) -> Step<S> + Send + Sync + 'static) -> Steps<S> {
        let first = step(state);
        Steps { current: Some(first), step: Arc::new(step) }
    }
}

impl<S> Stream for Steps<S> {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let Some(current) = &mut self.current else { return Poll::Ready(None) };
        match std::task::ready!(current.as_mut().poll(cx)) {
            None => {
                self.current = None;
                Poll::Ready(None)
            }
            Some((chunk, state)) => {
                let goes_on = chunk.is_ok();
                self.current = goes_on.then(|| (self.step)(state));
                Poll::Ready(Some(chunk))
            }
        }
    }
}
