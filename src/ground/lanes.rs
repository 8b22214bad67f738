//! Turns at the processors: work over much data has its own, so that what takes minutes holds up nothing that takes
//! milliseconds.

use std::num::NonZero;
use std::sync::Arc;
use std::thread;

use tokio::sync::{AcquireError, Semaphore, SemaphorePermit};

/// Bytes above which work counts as long. Compressed ones may become two hundred times as many.
const LONG: u64 = 4 * 1024 * 1024;

/// The turns. Clones share them.
#[derive(Debug, Clone)]
pub struct Lanes {
    short: Arc<Semaphore>,
    long: Arc<Semaphore>,
}

impl Lanes {
    /// As many turns at a time as there are processors, for long work and for short work each.
    pub fn new() -> Lanes {
        let processors = thread::available_parallelism().map_or(2, NonZero::get);
        Lanes { short: Arc::new(Semaphore::new(processors)), long: Arc::new(Semaphore::new(processors)) }
    }

    /// A turn for work over so many bytes; it ends when it is dropped. Cancel safe.
    ///
    /// # Errors
    /// None as long as anybody has the lanes.
    pub async fn turn(&self, bytes: u64) -> Result<SemaphorePermit<'_>, AcquireError> {
        let lane = if bytes > LONG { &self.long } else { &self.short };
        lane.acquire().await
    }
}

impl Default for Lanes {
    fn default() -> Lanes {
        Lanes::new()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn long_work_waits_for_long_work_alone() {
        let lanes = Lanes::new();
        let processors = lanes.long.available_permits();
        let mut turns = Vec::new();
        for _ in 0..processors {
            turns.push(lanes.turn(LONG + 1).await.unwrap());
        }
        let at_once = Duration::from_secs(1);
        assert!(tokio::time::timeout(at_once, lanes.turn(u64::MAX)).await.is_err());
        drop(tokio::time::timeout(at_once, lanes.turn(LONG)).await.unwrap());
        turns.pop();
        drop(tokio::time::timeout(at_once, lanes.turn(u64::MAX)).await.unwrap());
    }
}
