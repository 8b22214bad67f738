//! What the page cache has and the disk does not. The files are what the cache shows; beside them is kept what would be
//! there after a power cut, by the rules of ext4: pages whose write-back failed count as written and are not.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use super::support::*;
use crate::store::journal::segment::DiskSegments;
use crate::store::journal::segment_path;
use crate::store::journal::writer::{JournalFile, SegmentFiles};
use crate::store::*;

/// What becomes of the next sync.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    /// It fails, once; the kernel forgets what it could not write.
    Fails,
    /// The process is killed before it: all of it may be written later.
    NeverComes,
}

/// When the power fails, after the process has ended.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Cut {
    /// During the next start: the index has been brought to the journal's end.
    InTheNextStart,
    AfterTheNextStart,
    AfterTheNextCommit,
}

#[derive(Default)]
struct Disk {
    /// The segments as after a power cut.
    durable: BTreeMap<u64, Vec<u8>>,
    /// Written and not written back: segment, offset, bytes.
    dirty: Vec<(u64, usize, Vec<u8>)>,
    fault: Option<Fault>,
    start_dies: bool,
}

impl Disk {
    fn put(&mut self, segment: u64, offset: usize, bytes: &[u8]) {
        let file = self.durable.entry(segment).or_default();
        file.resize(file.len().max(offset + bytes.len()), 0);
        file[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    fn write_back(&mut self) {
        for (segment, offset, bytes) in std::mem::take(&mut self.dirty) {
            self.put(segment, offset, &bytes);
        }
    }

    fn cut(&mut self, segment: u64, len: u64) {
        self.durable.entry(segment).or_default().truncate(len as usize);
    }
}

/// Segments behind a page cache.
#[derive(Clone)]
struct Cached {
    dir: PathBuf,
    disk: Arc<Mutex<Disk>>,
}

struct CachedFile {
    file: Box<dyn JournalFile>,
    segment: u64,
    end: usize,
    disk: Arc<Mutex<Disk>>,
}

impl Cached {
    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap()
    }

    fn files(&self) -> DiskSegments {
        DiskSegments { dir: self.dir.join("journal") }
    }

    fn open(&self) -> Result<(Store, RecoveryReport), StoreError> {
        Store::open_on(config(&self.dir), Box::new(self.clone()), &|_| {})
    }

    /// Of what waits to be written back the second half was; the index is as it was last.
    fn power_cut(&self) {
        let mut disk = self.disk();
        for (segment, offset, bytes) in std::mem::take(&mut disk.dirty) {
            let half = bytes.len() / 2;
            disk.put(segment, offset + half, &bytes[half..]);
        }
        for (segment, bytes) in &disk.durable {
            std::fs::write(segment_path(&self.files().dir, *segment), bytes).unwrap();
        }
    }

    fn opened(&self, segment: u64, end: u64, file: Box<dyn JournalFile>) -> Box<dyn JournalFile> {
        Box::new(CachedFile { file, segment, end: end as usize, disk: self.disk.clone() })
    }
}

impl SegmentFiles for Cached {
    fn create(&mut self, number: u64, header: &[u8]) -> io::Result<Box<dyn JournalFile>> {
        let file = self.files().create(number, header)?;
        self.disk().put(number, 0, header);
        Ok(self.opened(number, header.len() as u64, file))
    }

    fn rewrite(&mut self, number: u64, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.files().rewrite(number, offset, bytes)?;
        let mut disk = self.disk();
        disk.dirty.push((number, offset as usize, bytes.to_vec()));
        disk.write_back();
        Ok(())
    }

    fn resume(&mut self, number: u64, len: u64) -> io::Result<Box<dyn JournalFile>> {
        if self.disk().start_dies {
            return Err(broken());
        }
        let file = self.files().resume(number, len)?;
        self.disk().write_back();
        self.disk().cut(number, len);
        Ok(self.opened(number, len, file))
    }
}

impl JournalFile for CachedFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.append(bytes)?;
        self.disk.lock().unwrap().dirty.push((self.segment, self.end, bytes.to_vec()));
        self.end += bytes.len();
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut disk = self.disk.lock().unwrap();
        match disk.fault.take() {
            None => {
                disk.write_back();
                return self.file.sync();
            }
            Some(Fault::Fails) => disk.dirty.clear(),
            Some(Fault::NeverComes) => {}
        }
        Err(broken())
    }

    fn cut(&mut self, len: u64) -> io::Result<()> {
        self.disk.lock().unwrap().cut(self.segment, len);
        self.file.cut(len)
    }

    fn close(&mut self) -> io::Result<()> {
        self.file.close()
    }
}

#[test]
fn a_group_whose_sync_failed_or_never_came_is_on_the_disk_before_anyone_acts_on_it() {
    for fault in [Fault::Fails, Fault::NeverComes] {
        for cut in [Cut::InTheNextStart, Cut::AfterTheNextStart, Cut::AfterTheNextCommit] {
            let dir = tempfile::tempdir().unwrap();
            let cached = Cached { dir: dir.path().to_path_buf(), disk: Arc::default() };
            let (store, _) = cached.open().unwrap();
            compose_one(&store, 1, "customs", at(0));
            cached.disk().fault = Some(fault);
            let refused = happen(&store, id(2), 2, queued("customs", None)).unwrap_err();
            assert!(matches!(refused, CommitError::StorePoisoned(_)), "{refused}");
            drop(store);

            cached.disk().start_dies = cut == Cut::InTheNextStart;
            match cached.open() {
                Ok((store, _)) => {
                    assert!(store.message(&id(2)).is_some(), "the cache has it");
                    if cut == Cut::AfterTheNextCommit {
                        compose_one(&store, 3, "customs", at(0));
                    }
                }
                Err(error) => assert_eq!(cut, Cut::InTheNextStart, "{error}"),
            }
            cached.power_cut();

            let (store, report) = open(dir.path());
            assert_eq!((&report.index, &report.torn_tail), (&IndexRecovery::Sound, &None), "{fault:?} {cut:?}");
            let found = [1, 2, 3].map(|number| store.message(&id(number)).is_some());
            assert_eq!(found, [true, true, cut == Cut::AfterTheNextCommit], "{fault:?} {cut:?}");
            assert_eq!(store.verify_journal_and_bodies().unwrap().last_sequence, report.last_sequence);
        }
    }
}
