//! The journal's frames into the index, from where the index ends.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::{self, SyncSender};
use std::thread;

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
    catch_unwind(AssertUnwindSafe(|| replay(index, layout, Taking::Together, progress)))
        .unwrap_or_else(|_| Err(index_error(layout, &DbError::from(io::Error::other("sled panicked")))))
}

/// How an index takes what it lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taking {
    /// It stays sound whatever happens.
    Together,
    /// Faster, for an index that is made anew if that does not come to its end.
    Piecemeal,
}

impl Taking {
    /// Frames that go into the index at a time; it never sees the states of a message in between. sled keeps what it
    /// replaces together until that is done: many cost memory.
    fn frames(self) -> usize {
        match self {
            Taking::Together => 1024,
            Taking::Piecemeal => 8192,
        }
    }
}

/// Reads the journal from where the index ends. Returns how many frames were new to it. One thread reads and checks, the
/// calling one fills the index.
pub(super) fn replay(
    index: &Index,
    layout: &Layout,
    taking: Taking,
    progress: &dyn Fn(Progress),
) -> Result<(Reading, u64), StoreError> {
    let applied = index.applied();
    let runs = retired(index, layout)?;
    let mut replay = Replay {
        index,
        layout,
        taking,
        group: Group::new(index),
        waiting: Vec::new(),
        pending: 0,
        last: applied,
        progress,
        done: Progress { frames: 0, bytes: 0, of_bytes: journal_bytes(layout)? },
    };
    thread::scope(|scope| {
        let (frames, read) = mpsc::sync_channel(BATCHES);
        let reading = scope.spawn(|| read_all(layout, applied, &runs, frames));
        let taken = read.into_iter().flatten().try_for_each(|parsed: Parsed| replay.take(parsed));
        let reading = reading.join().unwrap_or_else(|panic| resume_unwind(panic));
        taken?;
        // What was read before damage is not the end: facts may follow that name the last bodies.
        let reading = reading?;
        replay.end()?;
        Ok((reading, replay.done.frames))
    })
}

/// Reads, checks and parses everything behind `applied`. A receiver that has gone has its own reason.
fn read_all(
    layout: &Layout,
    applied: Applied,
    runs: &[Run],
    frames: SyncSender<Vec<Parsed>>,
) -> Result<Reading, StoreError> {
    let range = Range { from: applied.sequence, acknowledged: applied.sequence };
    let mut batch = Vec::with_capacity(BATCH);
    let gone = || index_error(layout, &DbError::from(io::Error::other("the index could not be filled")));
    let reading = reader::read(&layout.journal, range, runs, &mut |frame| {
        if frame.sequence == applied.sequence && frame.hash != applied.hash {
            let what = format!("its frame {} is not the journal's", applied.sequence);
            return Err(StoreError::Index { path: layout.index.clone(), what, full: false });
        }
        if frame.sequence > applied.sequence {
            batch.push(parse(layout, frame)?);
        }
        if batch.len() < BATCH {
            return Ok(());
        }
        frames.send(std::mem::replace(&mut batch, Vec::with_capacity(BATCH))).map_err(|_| gone())
    })?;
    frames.send(batch).map_err(|_| gone())?;
    Ok(reading)
}

/// Frames handed over together, and such batches under way.
const BATCH: usize = 256;
const BATCHES: usize = 8;

/// A frame that was read, without a body's bytes.
struct Parsed {
    segment: u64,
    offset: u64,
    at: Applied,
    bytes: u64,
    content: Parts,
}

enum Parts {
    Body(Id, Location),
    /// Facts, and the bodies that they name.
    Facts(Box<FactsRecord<Vec<(Id, Fact)>>>, Vec<Id>),
}

fn parse(layout: &Layout, frame: &Frame<'_>) -> Result<Parsed, StoreError> {
    let content = match frame.kind {
        Kind::Body => split_body(frame.payload).map(|(id, _, bytes)| {
            let head = length(FRAME_HEAD).saturating_add(length(BODY_HEAD));
            let offset = frame.offset.saturating_add(head);
            Parts::Body(id, Location::Journal { segment: frame.segment, offset, len: length(bytes.len()) })
        }),
        Kind::Facts => {
            let record: FactsRecord<Vec<(Id, Fact)>> = serde_json::from_slice(frame.payload).map_err(|error| {
                damaged(layout, frame.segment, frame.offset, format!("its facts cannot be read: {error}"))
            })?;
            let named = record.facts.iter().flat_map(|(_, fact)| fact.bodies()).map(|body| body.id).collect();
            Some(Parts::Facts(Box::new(record), named))
        }
    };
    let short = || damaged(layout, frame.segment, frame.offset, "its body frame is too short".to_owned());
    Ok(Parsed {
        segment: frame.segment,
        offset: frame.offset,
        at: Applied { sequence: frame.sequence, hash: frame.hash },
        bytes: length(FRAME_HEAD).saturating_add(length(frame.payload.len())),
        content: content.ok_or_else(short)?,
    })
}

fn damaged(layout: &Layout, segment: u64, offset: u64, what: String) -> StoreError {
    StoreError::Damaged { path: segment_path(&layout.journal, segment), offset, what }
}

fn retired(index: &Index, layout: &Layout) -> Result<Vec<Run>, StoreError> {
    Ok(index.marks().map_err(|error| index_error(layout, &error))?.retired)
}

/// Frames on their way into the index.
struct Replay<'a> {
    index: &'a Index,
    layout: &'a Layout,
    taking: Taking,
    group: Group<'a>,
    /// Bodies behind the last facts: those of a transaction stand before its facts.
    waiting: Vec<(Id, Location)>,
    pending: usize,
    last: Applied,
    progress: &'a dyn Fn(Progress),
    done: Progress,
}

impl Replay<'_> {
    fn take(&mut self, parsed: Parsed) -> Result<(), StoreError> {
        let Parsed { segment, offset, at, bytes, content } = parsed;
        match content {
            Parts::Body(id, location) => {
                self.waiting.push((id, location));
                // Compaction may have moved very many in a row.
                if self.waiting.len().is_multiple_of(self.taking.frames()) {
                    self.place(&[])?;
                }
            }
            Parts::Facts(record, named) => {
                self.place(&named)?;
                self.waiting.clear();
                let judged = self.group.replay(&record, at.sequence).map_err(|refusal| match refusal {
                    Refusal::Commit(error) => {
                        damaged(self.layout, segment, offset, format!("its facts contradict those before: {error}"))
                    }
                    Refusal::Index(error) => index_error(self.layout, &error),
                })?;
                record.link.into_iter().for_each(|link| self.group.link(link));
                self.group.accept(judged, at.sequence);
            }
        }
        self.last = at;
        self.done.frames = self.done.frames.saturating_add(1);
        self.done.bytes = self.done.bytes.saturating_add(bytes);
        self.pending = self.pending.saturating_add(1);
        // The index never ends between bodies and the facts that name them.
        if self.pending >= self.taking.frames() && self.waiting.is_empty() { self.apply() } else { Ok(()) }
    }

    /// The bodies that wait are in the index from here on if these facts name them, or if it knows them: compaction moves
    /// bodies without facts. Others are what a crash left of an append whose facts were cut off: nobody would ever drop
    /// them, and compaction would carry them along.
    fn place(&mut self, named: &[Id]) -> Result<(), StoreError> {
        let mut unknown = Vec::new();
        for (id, location) in std::mem::take(&mut self.waiting) {
            let known = named.contains(&id)
                || self.group.location(&id).map_err(|error| index_error(self.layout, &error))?.is_some();
            if known {
                self.group.place_body(id, location);
            } else {
                unknown.push((id, location));
            }
        }
        self.waiting = unknown;
        Ok(())
    }

    /// Nothing follows.
    fn end(&mut self) -> Result<(), StoreError> {
        self.place(&[])?;
        self.apply()
    }

    fn apply(&mut self) -> Result<(), StoreError> {
        if self.pending == 0 {
            return Ok(());
        }
        let group = std::mem::replace(&mut self.group, Group::new(self.index));
        let take = if self.taking == Taking::Together { Index::apply } else { Index::fill };
        let applied = group.finish(self.last.sequence).and_then(|(changes, _)| take(self.index, changes, self.last));
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
