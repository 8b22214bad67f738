//! Room for what is made between a payload and its wire bytes (a compressed entity): memory first, an unnamed file
//! beyond the threshold. Nothing of it survives the process, and nothing needs to.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use tempfile::{SpooledData, SpooledTempFile, spooled_tempfile_in};

use crate::mime::{BytesSource, Scratch, ScratchWriter, Source};

/// Makes scratch writers below a folder.
#[derive(Debug, Clone)]
pub struct SpoolScratch {
    threshold: usize,
    folder: PathBuf,
}

impl SpoolScratch {
    pub(super) fn new(threshold: u64, folder: &Path) -> SpoolScratch {
        SpoolScratch { threshold: usize::try_from(threshold).unwrap_or(usize::MAX), folder: folder.to_owned() }
    }
}

impl Scratch for SpoolScratch {
    fn create(&self) -> io::Result<Box<dyn ScratchWriter>> {
        Ok(Box::new(Spool(spooled_tempfile_in(self.threshold, &self.folder))))
    }
}

struct Spool(SpooledTempFile);

impl Write for Spool {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl ScratchWriter for Spool {
    fn into_source(self: Box<Self>) -> io::Result<Box<dyn Source>> {
        match self.0.into_inner() {
            SpooledData::InMemory(cursor) => Ok(Box::new(BytesSource(cursor.into_inner()))),
            SpooledData::OnDisk(file) => {
                let len = file.metadata()?.len();
                Ok(Box::new(FileSource { file, len }))
            }
        }
    }
}

struct FileSource {
    file: File,
    len: u64,
}

impl Source for FileSource {
    fn len(&self) -> u64 {
        self.len
    }

    fn open(&self) -> io::Result<Box<dyn Read + Send + '_>> {
        Ok(Box::new(FileReader { file: &self.file, at: 0 }))
    }
}

/// Reads by position, so that several readers share one file.
struct FileReader<'a> {
    file: &'a File,
    at: u64,
}

impl Read for FileReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.at)?;
        self.at = self.at.saturating_add(read as u64);
        Ok(read)
    }
}
