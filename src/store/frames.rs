//! The frames of the journal that tell of one message, for evidence of its place in the chain.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};

use jiff::Timestamp;

use super::Store;
use super::error::StoreError;
use super::group::FactsRecord;
use super::journal::frame::{BODY_HEAD, FRAME_HEAD, FrameHead, Kind, split_body};
use super::journal::reader::{self, Frame, Range};
use super::journal::retired::Marks;
use super::journal::segment_path;
use super::record::Fact;
use crate::ground::id::Id;

/// A frame that tells of a message.
#[derive(Debug, Clone)]
pub struct MessageFrame {
    /// Its place in the journal.
    pub sequence: u64,
    /// SHA-256 of the frame; of a body's frame, of what represents the body.
    pub hash: [u8; 32],
    /// Hash of the frame before it.
    pub previous: [u8; 32],
    /// The bytes whose SHA-256 the hash is. `None` when the frame tells of other messages too.
    pub bytes: Option<Vec<u8>>,
    /// What it holds.
    pub content: FrameContent,
}

/// What a [`MessageFrame`] holds.
#[derive(Debug, Clone)]
pub enum FrameContent {
    /// Facts about the message, and when they happened.
    Facts(Timestamp, Vec<Fact>),
    /// The body with this id.
    Body(Id),
}

impl Store {
    /// The frames that tell of a message, in order (blocking I/O: the journal is read).
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when the journal does not hold.
    pub fn frames_of(&self, id: &Id) -> Result<Vec<MessageFrame>, StoreError> {
        self.frames_told(id, &mut || {})
    }

    /// The same; `begins` is told of each reading before it. Segments may be retired while one is at work.
    pub(super) fn frames_told(&self, id: &Id, begins: &mut dyn FnMut()) -> Result<Vec<MessageFrame>, StoreError> {
        self.unless_retired(&mut |marks| {
            begins();
            self.read_frames_of(id, marks)
        })
    }

    fn read_frames_of(&self, id: &Id, marks: &Marks) -> Result<Vec<MessageFrame>, StoreError> {
        let range = Range { from: 1, acknowledged: self.0.index.applied().sequence };
        let mut found = Vec::new();
        // Bodies stand directly before the facts that name them.
        let mut bodies: Vec<(Id, Located)> = Vec::new();
        reader::read(&self.0.layout.journal, range, &marks.retired, &mut |frame| {
            match frame.kind {
                Kind::Body => {
                    if let Some((body, _, _)) = split_body(frame.payload) {
                        bodies.push((body, Located::of(frame)));
                    }
                }
                Kind::Facts => {
                    let before = std::mem::take(&mut bodies);
                    // An identifier as JSON has one spelling; a frame without it is passed over unread.
                    let name = id.to_string();
                    if memchr::memmem::find(frame.payload, name.as_bytes()).is_none() {
                        return Ok(());
                    }
                    self.collect(frame, id, before, &mut found)?;
                }
            }
            Ok(())
        })?;
        Ok(found)
    }

    fn collect(
        &self,
        frame: &Frame<'_>,
        id: &Id,
        bodies: Vec<(Id, Located)>,
        found: &mut Vec<MessageFrame>,
    ) -> Result<(), StoreError> {
        let Ok(record) = serde_json::from_slice::<FactsRecord<Vec<(Id, Fact)>>>(frame.payload) else { return Ok(()) };
        let alone = record.facts.iter().all(|(of, _)| of == id);
        let facts: Vec<Fact> = record.facts.into_iter().filter(|(of, _)| of == id).map(|(_, fact)| fact).collect();
        if facts.is_empty() {
            return Ok(());
        }
        let named: Vec<Id> = facts.iter().flat_map(Fact::bodies).map(|body| body.id).collect();
        for (body, located) in bodies.into_iter().filter(|(body, _)| named.contains(body)) {
            found.push(self.message_frame(located, true, FrameContent::Body(body))?);
        }
        found.push(self.message_frame(Located::of(frame), alone, FrameContent::Facts(record.at, facts))?);
        Ok(())
    }

    fn message_frame(&self, located: Located, alone: bool, content: FrameContent) -> Result<MessageFrame, StoreError> {
        let Located { segment, offset, sequence, hash, hashed } = located;
        let path = segment_path(&self.0.layout.journal, segment);
        let head = File::open(&path).and_then(|mut file| {
            let mut head = [0u8; FRAME_HEAD];
            file.seek(SeekFrom::Start(offset))?;
            file.read_exact(&mut head).map(|()| head)
        });
        let head = head.map_err(|source| StoreError::Unreadable { path, source })?;
        let previous = FrameHead::decode(&head).map(|head| head.previous).unwrap_or_default();
        let bytes = alone.then(|| [head.as_slice(), &hashed].concat());
        Ok(MessageFrame { sequence, hash, previous, bytes, content })
    }
}

/// Where a frame is, and what of its payload its hash covers.
struct Located {
    segment: u64,
    offset: u64,
    sequence: u64,
    hash: [u8; 32],
    hashed: Vec<u8>,
}

impl Located {
    fn of(frame: &Frame<'_>) -> Located {
        let hashed = match frame.kind {
            Kind::Facts => frame.payload,
            Kind::Body => frame.payload.get(..BODY_HEAD).unwrap_or_default(),
        };
        Located {
            segment: frame.segment,
            offset: frame.offset,
            sequence: frame.sequence,
            hash: frame.hash,
            hashed: hashed.to_vec(),
        }
    }
}
