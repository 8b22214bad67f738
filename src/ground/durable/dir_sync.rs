//! One sync of a directory for all who gave files names in it at a time.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::{At as _, DurableError, Result, fsync_dir};

/// A directory whose syncs are shared: whoever comes while one is made waits for the next, which is made once for all of
/// them.
#[derive(Debug)]
pub struct DirSync {
    dir: PathBuf,
    rounds: Mutex<Rounds>,
    over: Condvar,
}

/// Syncs are numbered from 1 on.
#[derive(Debug, Default)]
struct Rounds {
    begun: u64,
    ended: u64,
    /// The last one that failed, and how.
    failed: Option<(u64, Failure)>,
    /// Those who came while one was made.
    #[cfg(test)]
    waiting: usize,
}

#[derive(Debug, Clone, Copy)]
struct Failure {
    /// A directory that could not be opened is no failed sync.
    step: &'static str,
    kind: io::ErrorKind,
    code: Option<i32>,
}

impl DirSync {
    /// For this directory.
    pub fn new(dir: &Path) -> DirSync {
        DirSync { dir: dir.to_path_buf(), rounds: Mutex::default(), over: Condvar::new() }
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Makes the names durable that the directory has now. Blocking.
    ///
    /// # Errors
    /// As [`fsync_dir`]; all who shared the sync get it.
    pub fn sync(&self) -> Result<()> {
        self.sync_by(|| fsync_dir(&self.dir))
    }

    fn sync_by(&self, sync: impl FnOnce() -> Result<()>) -> Result<()> {
        let mut rounds = self.rounds();
        // One that has begun already may have passed the name by.
        let wanted = rounds.begun.saturating_add(1);
        #[cfg(test)]
        {
            rounds.waiting += usize::from(rounds.begun > rounds.ended);
        }
        while rounds.begun > rounds.ended && rounds.ended < wanted {
            rounds = self.over.wait(rounds).unwrap_or_else(PoisonError::into_inner);
        }
        if rounds.ended >= wanted {
            return self.shared(&rounds, wanted);
        }
        rounds.begun = wanted;
        drop(rounds);
        let mut ending = Ending { shared: self, round: wanted, failure: Some(Failure::BROKEN_OFF) };
        let synced = sync();
        ending.failure = synced.as_ref().err().map(Failure::of);
        synced
    }

    /// What the round came to that others made.
    fn shared(&self, rounds: &Rounds, wanted: u64) -> Result<()> {
        let Some((_, failure)) = rounds.failed.filter(|(round, _)| *round >= wanted) else { return Ok(()) };
        let error = failure.code.map_or_else(|| failure.kind.into(), io::Error::from_raw_os_error);
        Err(error).at(failure.step, &self.dir)
    }

    fn rounds(&self) -> MutexGuard<'_, Rounds> {
        self.rounds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Failure {
    const BROKEN_OFF: Failure = Failure { step: "sync directory", kind: io::ErrorKind::Other, code: None };

    fn of(error: &DurableError) -> Failure {
        Failure { step: error.step, kind: error.kind(), code: error.source.raw_os_error() }
    }
}

/// The end of a round, also of one that breaks off.
struct Ending<'s> {
    shared: &'s DirSync,
    round: u64,
    failure: Option<Failure>,
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        let mut rounds = self.shared.rounds();
        rounds.ended = self.round;
        if let Some(failure) = self.failure {
            rounds.failed = Some((self.round, failure));
        }
        drop(rounds);
        self.shared.over.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    /// One sync is held up, `others` come meanwhile; then they are let go on. Returns how many syncs were made, and the
    /// results of the others.
    fn together(others: usize, next: impl Fn() -> Result<()> + Sync) -> (usize, Vec<Result<()>>) {
        let shared = DirSync::new(Path::new("/nowhere"));
        let made = AtomicUsize::new(0);
        let (begun, has_begun) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        let results = thread::scope(|scope| {
            let (shared, made, next) = (&shared, &made, &next);
            let first = scope.spawn(move || {
                shared.sync_by(|| {
                    begun.send(()).unwrap();
                    released.recv().unwrap();
                    made.fetch_add(1, Ordering::SeqCst);
                    Ok(())
                })
            });
            has_begun.recv().unwrap();
            let other = || {
                shared.sync_by(|| {
                    made.fetch_add(1, Ordering::SeqCst);
                    next()
                })
            };
            let others: Vec<_> = (0..others).map(|_| scope.spawn(other)).collect();
            while shared.rounds().waiting < others.len() {
                thread::yield_now();
            }
            release.send(()).unwrap();
            first.join().unwrap().unwrap();
            others.into_iter().map(|other| other.join().unwrap()).collect::<Vec<_>>()
        });
        (made.into_inner(), results)
    }

    #[test]
    fn nobody_is_served_by_a_sync_that_had_begun_before() {
        let (made, results) = together(1, || Ok(()));
        assert_eq!(made, 2);
        assert!(results.iter().all(Result::is_ok));
    }

    #[test]
    fn those_who_come_during_a_sync_share_the_next_one() {
        let (made, results) = together(8, || Ok(()));
        assert_eq!(made, 2);
        assert!(results.len() == 8 && results.iter().all(Result::is_ok));
    }

    #[test]
    fn a_failure_is_everybodys_who_shared_the_sync_and_not_that_of_later_ones() {
        let full = || Err(io::Error::from(io::ErrorKind::StorageFull)).at("sync directory", Path::new("/nowhere"));
        let (made, results) = together(8, full);
        assert_eq!(made, 2);
        let kinds: Vec<_> = results.into_iter().map(|result| result.unwrap_err().kind()).collect();
        assert_eq!(kinds, [io::ErrorKind::StorageFull; 8]);
        let shared = DirSync::new(Path::new("/nowhere"));
        shared.sync_by(full).unwrap_err();
        shared.sync_by(|| Ok(())).unwrap();
    }

    #[test]
    fn a_directory_that_could_not_be_opened_is_a_failed_sync_to_none_of_those_who_shared_it() {
        // No descriptor is left.
        let unopened = || Err(io::Error::from_raw_os_error(24)).at("open directory", Path::new("/nowhere"));
        let (made, results) = together(8, unopened);
        assert_eq!(made, 2);
        assert!(results.into_iter().all(|result| !result.unwrap_err().is_failed_sync()));
    }
}
