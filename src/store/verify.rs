//! Reading the whole journal again to prove that it holds: every frame, every link of the chain, every body.

use std::sync::PoisonError;

use sha2::{Digest, Sha256};

use super::error::StoreError;
use super::index::Location;
use super::journal::frame::{Kind, split_body};
use super::journal::reader::{self, Frame, Range};
use super::journal::retired::{Link, Marks, SnapshotLink};
use super::journal::segment_path;
use super::record::Body;
use super::replay::link_of;
use super::{Store, body, snapshot};

/// What a verification read and found whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JournalReport {
    /// Frames that were acknowledged and hold.
    pub frames: u64,
    /// Segments that were read.
    pub segments: u64,
    /// Sequence of the last acknowledged frame.
    pub last_sequence: u64,
    /// SHA-256 of that frame: it stands for everything before it.
    pub head: [u8; 32],
    /// Bodies whose bytes were compared with their digests.
    pub bodies: u64,
    /// Segments that were removed by compaction; the chain leads past them.
    pub retired: u64,
    /// Snapshots that hold and that the chain vouches for.
    pub snapshots: u64,
    /// Certificates kept for evidence that are what their names say.
    pub certificates: u64,
}

/// How much is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Depth {
    Frames,
    Bodies,
}

impl Store {
    /// Reads the whole journal and checks every frame and its place in the chain (blocking I/O; may run while
    /// messages flow).
    ///
    /// # Errors
    /// [`StoreError::Damaged`] with segment and offset.
    pub fn verify_journal(&self) -> Result<JournalReport, StoreError> {
        self.verify(Depth::Frames)
    }

    /// [`verify_journal`](Store::verify_journal), the bytes of every body against its SHA-256 (its CRC-32C where it has
    /// none), those in files included, and every certificate that is kept.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] with file and offset.
    pub fn verify_journal_and_bodies(&self) -> Result<JournalReport, StoreError> {
        self.verify(Depth::Bodies)
    }

    /// SHA-256 over every message, what messages and documents are found by, and the places of bodies, in their order
    /// (blocking I/O): equal for two indexes exactly when they answer alike. Meant for a store at rest.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn state_digest(&self) -> Result<[u8; 32], StoreError> {
        let mut digest = Sha256::new();
        for view in *b"mspiwbcef" {
            for entry in self.0.index.records(view) {
                let (key, value) = entry.map_err(|error| self.index_error(&error))?;
                // How far a message is known to be complete depends on how frames came in together.
                let value = if view == b'm' { value.get(8..).unwrap_or_default() } else { &value[..] };
                for part in [&key[..], value] {
                    digest.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
                    digest.update(part);
                }
            }
        }
        Ok(digest.finalize().into())
    }

    fn verify(&self, depth: Depth) -> Result<JournalReport, StoreError> {
        let (mut report, links) = self.unless_retired(&mut |marks| self.verify_frames(depth, marks))?;
        report.snapshots = self.verify_snapshots(&links)?;
        if depth == Depth::Bodies {
            report.bodies = report.bodies.saturating_add(self.verify_body_files()?);
            report.certificates = self.verify_certificates()?;
        }
        Ok(report)
    }

    /// What a reading of the journal comes to. It begins anew when it failed and segments were retired meanwhile: their files
    /// go while it is at work.
    pub(super) fn unless_retired<T>(
        &self,
        read: &mut dyn FnMut(&Marks) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        loop {
            let marks = self.marks()?;
            let done = read(&marks);
            if done.is_ok() || self.marks()?.retired == marks.retired {
                return done;
            }
        }
    }

    /// Every frame, and the snapshots that they name.
    fn verify_frames(&self, depth: Depth, marks: &Marks) -> Result<(JournalReport, Vec<SnapshotLink>), StoreError> {
        let applied = self.0.index.applied();
        let range = Range { from: 1, acknowledged: applied.sequence };
        let mut report = JournalReport::default();
        let mut links = Vec::new();
        let reading = reader::read(&self.0.layout.journal, range, &marks.retired, &mut |frame| {
            if frame.sequence <= applied.sequence {
                report.frames = report.frames.saturating_add(1);
                (report.last_sequence, report.head) = (frame.sequence, frame.hash);
            }
            if let Some(Link::Snapshot(link)) = link_of(frame) {
                links.push(link);
            }
            if depth == Depth::Bodies && frame.kind == Kind::Body {
                self.verify_body_frame(frame)?;
                report.bodies = report.bodies.saturating_add(1);
            }
            Ok(())
        })?;
        report.segments = reading.segments;
        report.retired = marks.retired.iter().map(|run| run.last.saturating_sub(run.first).saturating_add(1)).sum();
        Ok((report, links))
    }

    fn verify_body_frame(&self, frame: &Frame<'_>) -> Result<(), StoreError> {
        let holds = split_body(frame.payload)
            .is_some_and(|(_, sha256, bytes)| <[u8; 32]>::from(Sha256::digest(bytes)) == *sha256);
        if holds {
            return Ok(());
        }
        Err(StoreError::Damaged {
            path: segment_path(&self.0.layout.journal, frame.segment),
            offset: frame.offset,
            what: "the bytes of a body do not have their digest".to_owned(),
        })
    }

    /// Snapshots that are counted on: each whole, and the one that the journal names.
    fn verify_snapshots(&self, links: &[SnapshotLink]) -> Result<u64, StoreError> {
        let _alone = self.0.keeping.lock().unwrap_or_else(PoisonError::into_inner);
        let mut whole = 0u64;
        for counted in self.marks()?.snapshots {
            let path = snapshot::path(&self.0.layout.journal, counted.from);
            let vouched =
                |found: &SnapshotLink| links.contains(found) || !links.iter().any(|link| link.from >= found.from);
            let held = snapshot::check(&path).and_then(|found| {
                let same = found.link == counted && vouched(&found.link);
                if same { Ok(()) } else { Err("the journal names another one in its place".to_owned()) }
            });
            held.map_err(|what| StoreError::Damaged { path, offset: 0, what })?;
            whole = whole.saturating_add(1);
        }
        Ok(whole)
    }

    /// Bodies in files of their own; each is read as a stream.
    fn verify_body_files(&self) -> Result<u64, StoreError> {
        let mut files = 0u64;
        let ids = self.0.index.latest_first(&super::View::All, None);
        for message in ids.map_while(|id| self.ask(id)).filter_map(|id| self.message(&id)) {
            for body in message.bodies() {
                let path = body::path(&self.0.layout.bodies, &body.id);
                let is_file = || self.ask(self.0.index.body(&body.id)).flatten() == Some(Location::File);
                if !is_file() {
                    continue;
                }
                let unreadable = |source| StoreError::Unreadable { path: path.clone(), source };
                let file = match std::fs::File::open(&path) {
                    // It expired meanwhile.
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound && !is_file() => continue,
                    opened => opened.map_err(unreadable)?,
                };
                if !is_sound(file, &body).map_err(unreadable)? {
                    let what = "the bytes of a body do not have their digest".to_owned();
                    return Err(StoreError::Damaged { path, offset: 0, what });
                }
                files = files.saturating_add(1);
            }
        }
        Ok(files)
    }
}

/// Whether a file is the body, by its SHA-256 where it has one.
fn is_sound(mut file: std::fs::File, body: &Body) -> std::io::Result<bool> {
    let Some(sha256) = body.sha256 else { return body::holds(file, body) };
    let mut digest = Sha256::new();
    std::io::copy(&mut file, &mut DigestWriter(&mut digest))?;
    Ok(<[u8; 32]>::from(digest.finalize()) == sha256)
}

/// A digest as something to write into.
struct DigestWriter<'a>(&'a mut Sha256);

impl std::io::Write for DigestWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
