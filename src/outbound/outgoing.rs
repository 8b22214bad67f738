//! The stored bytes of a message on their way out.
//!
//! What our own disk refuses says nothing about the partner. Damage holds the message, since no attempt mends it. Anything
//! else (no file handle is free, the disk answered with an error) may be over in a minute, and then the message goes by
//! itself. Both are found before an attempt begins as far as that is possible: short bytes are read by then, of long ones the
//! file is opened, and what is composed for the attempt has had its payload read.

use std::fmt::Display;
use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use super::Outbound;
use super::dispatch::later_each_time;
use crate::bilingual;
use crate::ground::drain;
use crate::http::{Answer, PostError, PostErrorKind, SendBody};
use crate::partner::Partner;
use crate::store::record::{Body, Came, Fact, Message, Reason};
use crate::store::{CommitError, OPEN};

/// A wire of at most this is read at once: a few pages that were written a moment ago, and no thread is woken for them.
const AT_ONCE: u64 = 64 * 1024;

/// What an attempt sends.
pub(super) struct Outgoing {
    pub(super) wire: Body,
    pub(super) body: SendBody,
    /// What comes of reading it under way.
    pub(super) reading: Reading,
}

impl Outbound {
    /// The bytes of a wire, or, of a long one, where they come from.
    ///
    /// # Errors
    /// The store does not give them: see [`is_damage`].
    pub(super) async fn outgoing(&self, wire: Body) -> io::Result<Outgoing> {
        let (store, reading) = (self.store.clone(), Reading::default());
        let body = if wire.len <= AT_ONCE {
            SendBody::from(store.read_all(&wire, wire.len)?)
        } else if wire.len <= self.short() {
            let read = drain::blocking(move || store.read_all_last(&wire, wire.len)).await;
            SendBody::from(read.map_err(io::Error::other).flatten()?)
        } else {
            let (first, under_way) = (store.clone(), reading.clone());
            let opened = drain::blocking(move || first.read_last(&wire).map(drop)).await;
            opened.map_err(io::Error::other).flatten()?;
            SendBody::reader(wire.len, move || under_way.watch(store.read_last(&wire)))
        };
        Ok(Outgoing { wire, body, reading })
    }

    /// Wires of at most so many bytes are sent from memory.
    pub(super) fn short(&self) -> u64 {
        self.store.inline_threshold().saturating_mul(2) as u64
    }

    /// No attempt begins without the bytes: damage holds the message, anything else puts it off, for longer each time, until
    /// it would have been given up.
    pub(super) async fn unreadable(
        &self,
        partner: &Partner,
        message: &Message,
        error: &io::Error,
    ) -> Result<(), CommitError> {
        if is_damage(error) || self.has_waited_too_long(partner, message) {
            let error = PostError::new(PostErrorKind::Body, error);
            return self.hold(message, Reason { code: error.code().to_owned(), text: error.text() }).await;
        }
        let (id, now) = (message.id, self.clock.now());
        let due = later_each_time(message, STORAGE_FAILED, now);
        tracing::error!(%id, %error, code = STORAGE_FAILED, %due, "what is to be sent cannot be read for now");
        self.fact_if(id, &OPEN, Fact::RetryAt { due, reason: storage_failed(error), came: Came::Unknown })
            .await
            .map(drop)
    }
}

/// Whether the stored bytes are not there any more as they were: they end early, are others, or are gone. Other failures of
/// a disk may pass.
fn is_damage(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof | io::ErrorKind::NotFound)
}

/// What came of reading bytes while they were sent: whoever sends them hears only that they broke off.
#[derive(Debug, Clone, Default)]
pub(super) struct Reading {
    broken: Arc<OnceLock<Broken>>,
    /// Bytes read so far.
    read: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Broken {
    damaged: bool,
    detail: String,
}

impl Reading {
    /// Bytes of which this hears.
    pub(super) fn watch(&self, opened: io::Result<Box<dyn Read + Send>>) -> io::Result<Box<dyn Read + Send>> {
        let bytes = opened.inspect_err(|error| self.note(error))?;
        Ok(Box::new(Watched { bytes, reading: self.clone() }))
    }

    /// Bytes read so far.
    pub(super) fn passed(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    fn note(&self, error: &io::Error) {
        // Whoever reads goes on after an interruption.
        if error.kind() != io::ErrorKind::Interrupted {
            let _ = self.broken.set(Broken { damaged: is_damage(error), detail: error.to_string() });
        }
    }

    /// An answer, or why there is none: where nothing was wrong with the bytes, the connection went away with them.
    pub(super) fn judge(&self, answer: Result<Answer, PostError>) -> Result<Answer, PostError> {
        answer.map_err(|error| match error.kind {
            PostErrorKind::Body if self.broken.get().is_none() => PostError { kind: PostErrorKind::Closed, ..error },
            _ => error,
        })
    }

    /// Why the bytes broke off, if the disk may give them another time.
    pub(super) fn passing_trouble(&self) -> Option<Reason> {
        let Broken { detail, .. } = self.broken.get().filter(|broken| !broken.damaged)?;
        let text = bilingual!(
            "发送途中磁盘读取失败（{detail}）。请检查数据盘的状态。",
            "the disk failed while the message was sent ({detail}). Check the health of the data filesystem."
        );
        Some(Reason { code: STORAGE_FAILED.to_owned(), text })
    }
}

struct Watched {
    bytes: Box<dyn Read + Send>,
    reading: Reading,
}

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.bytes.read(buffer).inspect_err(|error| self.reading.note(error))?;
        self.reading.read.fetch_add(u64::try_from(len).unwrap_or(0), Ordering::Relaxed);
        Ok(len)
    }
}

/// Our own disk failed, or is full; it is tried again by itself.
pub(super) fn storage_failed(error: &impl Display) -> Reason {
    let text = bilingual!(
        "磁盘读写失败（{error}），稍后自动重试。请检查数据盘的空间和状态。",
        "the disk failed or is full ({error}); tried again by itself. Check room and health of the data filesystem."
    );
    Reason { code: STORAGE_FAILED.to_owned(), text }
}

const STORAGE_FAILED: &str = "storage-failed";

#[cfg(test)]
mod tests {
    use super::*;

    /// `EIO`, `ENOMEM`, `EACCES`, `ENFILE`, `EMFILE`, `ELOOP`.
    const PASSING: [i32; 6] = [5, 12, 13, 23, 24, 40];
    const DAMAGE: [io::ErrorKind; 3] =
        [io::ErrorKind::InvalidData, io::ErrorKind::UnexpectedEof, io::ErrorKind::NotFound];

    /// Gives some bytes, is interrupted, and fails then.
    struct Failing(Option<io::ErrorKind>, io::Error);

    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            match self.0.take() {
                Some(kind) => Err(kind.into()),
                None => Err(io::Error::new(self.1.kind(), self.1.to_string())),
            }
        }
    }

    fn body_broke_off() -> Result<Answer, PostError> {
        Err(PostError::new(PostErrorKind::Body, "the body broke off"))
    }

    /// What is known once bytes that fail with this error were read.
    fn read(error: io::Error) -> Reading {
        let reading = Reading::default();
        let mut watched = reading.watch(Ok(Box::new(Failing(Some(io::ErrorKind::Interrupted), error)))).unwrap();
        watched.read_to_end(&mut Vec::new()).unwrap_err();
        reading
    }

    #[test]
    fn only_damage_is_for_a_person_and_whatever_else_a_disk_says_may_pass() {
        for kind in DAMAGE {
            assert!(is_damage(&kind.into()), "{kind:?}");
        }
        for number in PASSING {
            let error = io::Error::from_raw_os_error(number);
            assert!(!is_damage(&error), "{error}");
            // As the store gives it on.
            assert!(!is_damage(&io::Error::new(error.kind(), format!("bodies/1: {error}"))), "{error}");
        }
    }

    #[test]
    fn a_body_that_breaks_off_is_sent_again_unless_it_is_damaged() {
        for number in PASSING {
            let reading = read(io::Error::from_raw_os_error(number));
            assert_eq!(reading.passing_trouble().unwrap().code, "storage-failed");
            assert_eq!(reading.judge(body_broke_off()).unwrap_err().kind, PostErrorKind::Body);
        }
        for kind in DAMAGE {
            let reading = read(kind.into());
            assert_eq!(reading.passing_trouble(), None);
            assert_eq!(reading.judge(body_broke_off()).unwrap_err().kind, PostErrorKind::Body);
        }
        let unopened = Reading::default();
        assert!(unopened.watch(Err(io::Error::from_raw_os_error(24))).is_err());
        assert!(unopened.passing_trouble().is_some());
    }

    #[test]
    fn a_connection_that_goes_away_with_a_body_that_can_be_read_is_no_trouble_of_the_disk() {
        let reading = Reading::default();
        assert_eq!(reading.judge(body_broke_off()).unwrap_err().kind, PostErrorKind::Closed);
        let late = Err(PostError::new(PostErrorKind::Timeout, "no answer in time"));
        assert_eq!(reading.judge(late).unwrap_err().kind, PostErrorKind::Timeout);
        assert_eq!(reading.passing_trouble(), None);
    }
}
