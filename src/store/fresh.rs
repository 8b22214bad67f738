//! Short bodies that were committed a moment ago, still in memory. Nearly all of them are read within a second, to be sent or
//! published, and each of those readings would open the journal's file for a few kilobytes.

use std::collections::{HashMap, VecDeque};
use std::io::{Cursor, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::record::Body;
use crate::ground::id::Id;

/// Longest body that is kept, by the memory that it takes.
const BODY: usize = 64 * 1024;
/// Bytes that are kept: those of a thousand messages of some kilobytes.
const BYTES: usize = 16 * 1024 * 1024;

/// The latest of them.
#[derive(Debug, Default)]
pub(super) struct Fresh(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    bodies: HashMap<Id, Bytes>,
    /// The oldest first.
    order: VecDeque<Id>,
    bytes: usize,
}

#[derive(Debug, Clone)]
struct Bytes(Arc<Vec<u8>>);

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Fresh {
    /// Keeps bodies that are durable now, in the place of the oldest.
    pub(super) fn keep(&self, bodies: Vec<(Body, Vec<u8>)>) {
        let short = |(_, bytes): &(Body, Vec<u8>)| bytes.capacity() <= BODY;
        let mut kept = self.kept();
        for (Body { id, .. }, bytes) in bodies.into_iter().filter(short) {
            kept.bytes = kept.bytes.saturating_add(bytes.capacity());
            kept.bodies.insert(id, Bytes(Arc::new(bytes)));
            kept.order.push_back(id);
        }
        while kept.bytes > BYTES
            && let Some(oldest) = kept.order.pop_front()
        {
            let gone = kept.bodies.remove(&oldest).map_or(0, |bytes| bytes.0.capacity());
            kept.bytes = kept.bytes.saturating_sub(gone);
        }
    }

    /// A body's bytes, if they are here.
    pub(super) fn read(&self, body: &Body) -> Option<impl Read + Send + use<>> {
        let bytes = self.kept().bodies.get(&body.id).cloned()?;
        (u64::try_from(bytes.0.len()) == Ok(body.len)).then(|| Cursor::new(bytes))
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn body(len: u64) -> Body {
        Body { id: Id::new(Timestamp::UNIX_EPOCH), len, sha256: None, crc32c: None }
    }

    fn read(fresh: &Fresh, body: &Body) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        fresh.read(body)?.read_to_end(&mut bytes).unwrap();
        Some(bytes)
    }

    #[test]
    fn the_latest_short_bodies_are_read_and_the_oldest_make_room() {
        let fresh = Fresh::default();
        let (long, first) = (body(70_000), body(3));
        fresh.keep(vec![(first, b"abc".to_vec()), (long, vec![0; 70_000])]);
        assert_eq!((read(&fresh, &first), read(&fresh, &long)), (Some(b"abc".to_vec()), None));
        assert_eq!(read(&fresh, &Body { len: 4, ..first }), None, "another one's length");
        let others: Vec<Body> = (0..BYTES / BODY).map(|_| body(60_000)).collect();
        others.iter().for_each(|other| fresh.keep(vec![(*other, vec![1; 60_000])]));
        assert!(read(&fresh, others.last().unwrap()).is_some());
        assert!(read(&fresh, &first).is_some(), "there is room for all of these");
        (0..BYTES / BODY).for_each(|_| fresh.keep(vec![(body(60_000), vec![2; 60_000])]));
        assert_eq!((read(&fresh, &first), read(&fresh, &others[0])), (None, None));
        let kept = fresh.kept();
        assert!(kept.bytes <= BYTES && kept.order.len() == kept.bodies.len());
    }
}
