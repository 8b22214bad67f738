//! The journal's frames into the index, from where the index ends.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::db::DbError;
use super::error::StoreError;
use super::group::{FactsRecord, Group, Refusal};
use super::index::{Applied, Index, Location};
use super::journal::frame::{BODY_HEAD, FRAME_HEAD, Kind, split_body};
use super::journal::reader::{self, Frame, Range, Reading};
use super::journal::retired::{Link, Run};
use super::journal::segment_path;
use super::record::Fact;
use super::recovery::{Layout, Progress, index_error, journal_bytes, length};
use crate::ground::id::Id;

/// [`replay`], with a panic of sled as an error of the index.
pub(super) fn replay_checked(
    index: &Index,
    layout: &Layout,
    progress: &dyn Fn(Progress),
) -> Result<(Reading, u64), StoreError> {
    catch_unwind(AssertUnwindSafe(|| replay(index, layout, progress)))
        .unwrap_or_else(|_| Err(index_error(layout, &DbError::from(io::Error::other("sled panicked")))))
}

/// Reads the journal from where the index ends. Returns how many frames were new to it.
pub(super) fn replay(
    index: &Index,
    layout: &Layout,
    progress: &dyn Fn(Progress),
) -> Result<(Reading, u64), StoreError> {
    let applied = index.applied();
    let mut replay = Replay {
        index,
        layout,
        group: Group::new(index),
        pending: 0,
        last: applied,
        progress,
        done: Progress { frames: 0, bytes: 0, of_bytes: journal_bytes(layout)? },
    };
    let range = Range { from: applied.sequence, acknowledged: applied.sequence };
    let reading = reader::read(&layout.journal, range, &retired(index, layout)?, &mut |frame| {
        if frame.sequence == applied.sequence && frame.hash != applied.hash {
            let what = format!("its frame {} is not the journal's", applied.sequence);
            return Err(StoreError::Index { path: layout.index.clone(), what });
        }
        if frame.sequence > applied.sequence { replay.take(frame) } else { Ok(()) }
    })?;
    replay.apply()?;
    Ok((reading, replay.done.frames))
}

fn retired(index: &Index, layout: &Layout) -> Result<Vec<Run>, StoreError> {
    Ok(index.marks().map_err(|error| index_error(layout, &error))?.retired)
}

/// Frames on their way into the index.
struct Replay<'a> {
    index: &'a Index,
    layout: &'a Layout,
    group: Group<'a>,
    pending: usize,
    last: Applied,
    progress: &'a dyn Fn(Progress),
    done: Progress,
}

/// Frames that go into the index together.
const REPLAY_GROUP: usize = 1024;

impl Replay<'_> {
    fn take(&mut self, frame: &Frame<'_>) -> Result<(), StoreError> {
        let damaged = |what: String| StoreError::Damaged {
            path: segment_path(&self.layout.journal, frame.segment),
            offset: frame.offset,
            what,
        };
        match frame.kind {
            Kind::Body => {
                let (id, _, bytes) =
                    split_body(frame.payload).ok_or_else(|| damaged("its body frame is too short".to_owned()))?;
                let head = length(FRAME_HEAD).saturating_add(length(BODY_HEAD));
                let offset = frame.offset.saturating_add(head);
                let location = Location::Journal { segment: frame.segment, offset, len: length(bytes.len()) };
                self.group.replace_body(id, location);
            }
            Kind::Facts => {
                let record: FactsRecord<Vec<(Id, Fact)>> = serde_json::from_slice(frame.payload)
                    .map_err(|error| damaged(format!("its facts cannot be read: {error}")))?;
                let judged =
                    self.group.replay(record.at, &record.facts, frame.sequence).map_err(|refusal| match refusal {
                        Refusal::Commit(error) => damaged(format!("its facts contradict those before: {error}")),
                        Refusal::Index(error) => index_error(self.layout, &error),
                    })?;
                record.link.into_iter().for_each(|link| self.group.link(link));
                self.group.accept(judged);
            }
        }
        self.last = Applied { sequence: frame.sequence, hash: frame.hash };
        self.done.frames = self.done.frames.saturating_add(1);
        self.done.bytes =
            self.done.bytes.saturating_add(length(FRAME_HEAD)).saturating_add(length(frame.payload.len()));
        self.pending = self.pending.saturating_add(1);
        if self.pending >= REPLAY_GROUP { self.apply() } else { Ok(()) }
    }

    fn apply(&mut self) -> Result<(), StoreError> {
        if self.pending == 0 {
            return Ok(());
        }
        let group = std::mem::replace(&mut self.group, Group::new(self.index));
        let applied = group.finish(self.last.sequence).and_then(|(changes, _)| self.index.apply(changes, self.last));
        applied.map_err(|error| index_error(self.layout, &error))?;
        self.pending = 0;
        (self.progress)(self.done);
        Ok(())
    }
}

/// What a frame says of the journal itself.
pub(super) fn link_of(frame: &Frame<'_>) -> Option<Link> {
    if frame.kind != Kind::Facts || memchr::memmem::find(frame.payload, b"\"link\":").is_none() {
        return None;
    }
    serde_json::from_slice::<FactsRecord<Vec<(Id, Fact)>>>(frame.payload).ok()?.link
}
