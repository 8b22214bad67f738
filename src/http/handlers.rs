//! Handlers at work, within their connection or after it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::runtime::Handle;
use tokio::task::JoinSet;

/// A handler at work: polled with its connection, which wakes nobody else; when that ends first, in a task of its own.
pub(super) struct AtWork<T: 'static> {
    /// None once it has ended.
    work: Option<Pin<Box<dyn Future<Output = T> + Send>>>,
    crew: Crew,
}

impl<T: 'static> AtWork<T> {
    pub(super) fn new(work: impl Future<Output = T> + Send + 'static, crew: &Crew) -> AtWork<T> {
        AtWork { work: Some(Box::pin(work)), crew: crew.clone() }
    }
}

impl<T: 'static> Future for AtWork<T> {
    /// None: it panicked.
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let this = self.get_mut();
        let Some(work) = &mut this.work else { return Poll::Ready(None) };
        let answer = match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx))) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(answer)) => Some(answer),
            Err(_) => {
                report_panic();
                None
            }
        };
        this.work = None;
        Poll::Ready(answer)
    }
}

impl<T: 'static> Drop for AtWork<T> {
    fn drop(&mut self) {
        if let Some(work) = self.work.take() {
            self.crew.carry_on(async move { drop(work.await) });
        }
    }
}

/// The handlers whose connections have ended: they outlive these but not their listener. What they hold of it, the place of
/// their connection, bounds how many they are.
#[derive(Debug, Clone, Default)]
pub(super) struct Crew(Arc<Mutex<JoinSet<()>>>);

impl Crew {
    /// Runs `work` in a task of its own; nowhere when the runtime is about to end.
    fn carry_on(&self, work: impl Future<Output = ()> + Send + 'static) {
        let Ok(runtime) = Handle::try_current() else { return };
        let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(ended) = tasks.try_join_next() {
            report_if_panicked(&ended);
        }
        tasks.spawn_on(work, &runtime);
    }

    fn take(&self) -> JoinSet<()> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits for every handler; when this is dropped early, those not yet finished are aborted.
    pub(super) async fn join(&self) {
        let mut tasks = self.take();
        while let Some(ended) = tasks.join_next().await {
            report_if_panicked(&ended);
        }
    }

    pub(super) async fn abort(&self) {
        self.take().shutdown().await;
    }
}

fn report_if_panicked(ended: &Result<(), tokio::task::JoinError>) {
    if ended.as_ref().is_err_and(tokio::task::JoinError::is_panic) {
        report_panic();
    }
}

fn report_panic() {
    tracing::error!(event = "handler-panicked", "a request handler panicked; the request was answered with 500");
}
