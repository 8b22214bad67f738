//! Shutdown and tasks as values: who wants the end says [`Shutdown::trigger`], who must notice it awaits
//! [`Shutdown::triggered`], and every task is started by [`Tasks`], has a name and is joined.
//!
//! The order of an orderly end: trigger → listeners stop accepting, workers finish what they hold → [`Tasks::join_all`]
//! with a deadline → what is left is aborted and named in the log. Nothing durable depends on that order: a killed
//! process recovers from its journal.

use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::{Id as TaskId, JoinError, JoinHandle, JoinSet};

/// The wish that everything ends. Clones share one state; it never returns to "not triggered".
#[derive(Debug, Clone)]
pub struct Shutdown {
    state: Arc<watch::Sender<bool>>,
}

impl Shutdown {
    /// A wish nobody has uttered yet.
    pub fn new() -> Shutdown {
        Shutdown { state: Arc::new(watch::Sender::new(false)) }
    }

    /// Utters it; more than once does no harm.
    pub fn trigger(&self) {
        self.state.send_replace(true);
    }

    /// Whether it was uttered.
    pub fn is_triggered(&self) -> bool {
        *self.state.borrow()
    }

    /// Resolves when it is uttered, at once if it already was. Cancel safe.
    pub async fn triggered(&self) {
        let mut state = self.state.subscribe();
        // The sender lives in `self`, so the channel cannot close while this waits.
        let _ = state.wait_for(|triggered| *triggered).await;
    }
}

impl Default for Shutdown {
    fn default() -> Shutdown {
        Shutdown::new()
    }
}

/// Blocking work that has not ended.
static IN_WORK: AtomicUsize = AtomicUsize::new(0);
/// That of it which waits for somebody else: see [`waiting`].
static WAITING: AtomicUsize = AtomicUsize::new(0);
/// None is left.
static ENDED: Notify = Notify::const_new();

/// Runs work on the runtime's blocking threads. Whoever stops awaiting it does not end it: see [`blocking_ended`].
///
/// # Panics
/// Outside of a tokio runtime.
pub fn blocking<F, R>(work: F) -> JoinHandle<R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    let counted = InWork::begin();
    #[expect(clippy::disallowed_methods, reason = "this is the replacement that the lint names")]
    tokio::task::spawn_blocking(move || {
        let _counted = counted;
        work()
    })
}

/// Jobs on the blocking threads, those that wait for a thread included, without those that are [`waiting`].
pub fn blocking_at_work() -> usize {
    IN_WORK.load(Ordering::Acquire).saturating_sub(WAITING.load(Ordering::Acquire))
}

/// A wait for somebody else in the midst of [`blocking`] work: it keeps a thread and no processor.
pub fn waiting<R>(wait: impl FnOnce() -> R) -> R {
    let _waits = Waits::begin();
    wait()
}

/// Counts itself until it is dropped, also by a panic.
struct Waits;

impl Waits {
    fn begin() -> Waits {
        WAITING.fetch_add(1, Ordering::AcqRel);
        Waits
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        WAITING.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Waits until no blocking work of this process is left, that of aborted tasks included; false when some is left then.
pub async fn blocking_ended(at_most: Duration) -> bool {
    let end = tokio::time::Instant::now() + at_most;
    loop {
        let ended = ENDED.notified();
        if IN_WORK.load(Ordering::Acquire) == 0 {
            return true;
        }
        if tokio::time::timeout_at(end, ended).await.is_err() {
            return IN_WORK.load(Ordering::Acquire) == 0;
        }
    }
}

/// Counts itself until it is dropped, also by a panic or a runtime that ends before the work begins.
struct InWork;

impl InWork {
    fn begin() -> InWork {
        IN_WORK.fetch_add(1, Ordering::AcqRel);
        InWork
    }
}

impl Drop for InWork {
    fn drop(&mut self) {
        if IN_WORK.fetch_sub(1, Ordering::AcqRel) == 1 {
            ENDED.notify_waiters();
        }
    }
}

/// Every task of the gateway. Clones share one set.
#[derive(Debug, Clone, Default)]
pub struct Tasks {
    running: Arc<Mutex<Running>>,
    panics: Arc<AtomicUsize>,
}

#[derive(Debug, Default)]
struct Running {
    set: JoinSet<()>,
    names: HashMap<TaskId, Arc<str>>,
}

impl Tasks {
    /// An empty set.
    pub fn new() -> Tasks {
        Tasks::default()
    }

    /// Starts `task` on the current runtime. Its end and its panic are logged under `name`.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn spawn<F>(&self, name: &str, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let watch = self.watch(name);
        let named = watch.name.clone();
        let mut running = self.running();
        running.reap();
        let handle = running.set.spawn(async move {
            let watch = watch;
            task.await;
            watch.ended();
        });
        running.names.insert(handle.id(), named);
    }

    /// Starts blocking work on the runtime's blocking threads. It cannot be aborted: it must look at a [`Shutdown`].
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn spawn_blocking<F>(&self, name: &str, work: F)
    where
        F: FnOnce() + Send + 'static,
    {
        let watch = self.watch(name);
        let named = watch.name.clone();
        let mut running = self.running();
        running.reap();
        let counted = InWork::begin();
        let handle = running.set.spawn_blocking(move || {
            let (watch, _counted) = (watch, counted);
            work();
            watch.ended();
        });
        running.names.insert(handle.id(), named);
    }

    /// Tasks that have not ended.
    pub fn len(&self) -> usize {
        let mut running = self.running();
        running.reap();
        running.set.len()
    }

    /// No task is running.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Tasks that ended in a panic so far.
    pub fn panics(&self) -> usize {
        self.panics.load(Ordering::Relaxed)
    }

    /// Waits until every task has ended, including those started meanwhile. After `deadline` the rest is aborted;
    /// their names are returned.
    pub async fn join_all(&self, deadline: Duration) -> Vec<String> {
        if tokio::time::timeout(deadline, self.until_empty()).await.is_ok() {
            return Vec::new();
        }
        let mut running = self.running();
        running.reap();
        running.set.abort_all();
        let mut left: Vec<String> = running.names.values().map(|name| name.to_string()).collect();
        left.sort();
        for name in &left {
            tracing::warn!(task = %name, "task did not end in time and was aborted");
        }
        left
    }

    async fn until_empty(&self) {
        while let Some(ended) = poll_fn(|context| self.running().set.poll_join_next_with_id(context)).await {
            self.running().forget(ended);
        }
    }

    fn watch(&self, name: &str) -> Watch {
        Watch { name: Arc::from(name), panics: self.panics.clone(), ended: false }
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    /// Forgets the tasks that have ended, so that the set stays as small as the work in hand.
    fn reap(&mut self) {
        while let Some(ended) = self.set.try_join_next_with_id() {
            self.forget(ended);
        }
    }

    fn forget(&mut self, ended: Result<(TaskId, ()), JoinError>) {
        let id = match ended {
            Ok((id, ())) => id,
            Err(error) => error.id(),
        };
        self.names.remove(&id);
    }
}

/// Reports how a task ended: dropped by unwinding means a panic, dropped unfinished means aborted.
struct Watch {
    name: Arc<str>,
    panics: Arc<AtomicUsize>,
    ended: bool,
}

impl Watch {
    fn ended(mut self) {
        self.ended = true;
        tracing::debug!(task = %self.name, "task ended");
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        if std::thread::panicking() {
            self.panics.fetch_add(1, Ordering::Relaxed);
            tracing::error!(task = %self.name, "task panicked");
        } else {
            tracing::debug!(task = %self.name, "task was aborted");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn everyone_notices_the_wish_to_end_however_late_they_ask() {
        let shutdown = Shutdown::new();
        let tasks = Tasks::new();
        for _ in 0..3 {
            let shutdown = shutdown.clone();
            tasks.spawn("waiter", async move { shutdown.triggered().await });
        }
        assert!(!shutdown.is_triggered());
        shutdown.trigger();
        assert!(tasks.join_all(Duration::from_secs(10)).await.is_empty());
        shutdown.triggered().await;
        assert!(shutdown.is_triggered() && tasks.is_empty());
    }

    #[tokio::test]
    async fn a_task_that_does_not_end_in_time_is_aborted_and_named() {
        let tasks = Tasks::new();
        tasks.spawn("stubborn", std::future::pending());
        assert_eq!(tasks.join_all(Duration::from_millis(1)).await, ["stubborn"]);
    }

    #[tokio::test]
    async fn a_panic_is_counted_and_harms_no_other_task() {
        let tasks = Tasks::new();
        tasks.spawn("faulty", async { panic!("expected by this test") });
        tasks.spawn_blocking("steady", || {});
        assert!(tasks.join_all(Duration::from_secs(10)).await.is_empty());
        assert_eq!(tasks.panics(), 1);
    }

    #[tokio::test]
    async fn blocking_work_is_waited_for_after_the_task_that_awaited_it_was_aborted() {
        let (go_on, told) = std::sync::mpsc::channel::<()>();
        let tasks = Tasks::new();
        let (begun, begins) = tokio::sync::oneshot::channel();
        tasks.spawn("awaits", async move {
            let work = move || {
                let _ = begun.send(());
                told.recv()
            };
            let _ = blocking(work).await;
        });
        begins.await.unwrap();
        assert_eq!(tasks.join_all(Duration::ZERO).await, ["awaits"], "it was aborted");
        assert!(!blocking_ended(Duration::from_millis(20)).await, "its work goes on");
        go_on.send(()).unwrap();
        assert!(blocking_ended(Duration::from_secs(60)).await);
    }
}
