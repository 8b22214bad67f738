//! Room for what a composition makes on its way (compressed, signed): in memory while it is small, then in a file
//! without a name, which the kernel removes with its last reader.

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::body;
use crate::ground::fault;
use crate::mime::{BytesSource, Scratch, ScratchWriter, Source};

/// Scratch space in the store's directory of temporary files.
#[derive(Debug, Clone)]
pub struct StoreScratch {
    pub(super) dir: PathBuf,
    /// Bytes up to which nothing is written to disk.
    pub(super) in_memory: usize,
}

impl Scratch for StoreScratch {
    fn create(&self) -> io::Result<Box<dyn ScratchWriter>> {
        Ok(Box::new(Spill { scratch: self.clone(), held: Vec::new(), file: None, len: 0 }))
    }
}

/// Bytes being collected.
struct Spill {
    scratch: StoreScratch,
    held: Vec<u8>,
    file: Option<File>,
    len: u64,
}

impl Write for Spill {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.file.is_none() && self.held.len().saturating_add(bytes.len()) > self.scratch.in_memory {
            fault::at(&"scratch-create", || Ok(()))?;
            let dir = &self.scratch.dir;
            let mut file = body::make_in(dir, || tempfile::tempfile_in(dir))?;
            file.write_all(&self.held)?;
            (self.held, self.file) = (Vec::new(), Some(file));
        }
        match &mut self.file {
            Some(file) => {
                let written = fault::write(&"scratch-write", file, bytes)?;
                file.write_all(bytes.get(written..).unwrap_or_default())?;
            }
            None => self.held.extend_from_slice(bytes),
        }
        self.len = self.len.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl ScratchWriter for Spill {
    fn into_source(self: Box<Self>) -> io::Result<Box<dyn Source>> {
        Ok(match self.file {
            Some(file) => Box::new(FileSource { file: Mutex::new(file), len: self.len }),
            None => Box::new(BytesSource(self.held)),
        })
    }
}

/// A file without a name. Its readers share one position, so each sets it before it reads.
struct FileSource {
    file: Mutex<File>,
    len: u64,
}

impl FileSource {
    fn file(&self) -> MutexGuard<'_, File> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source for FileSource {
    fn len(&self) -> u64 {
        self.len
    }

    fn open(&self) -> io::Result<Box<dyn Read + Send + '_>> {
        Ok(Box::new(FileReader { source: self, position: 0 }))
    }
}

struct FileReader<'a> {
    source: &'a FileSource,
    position: u64,
}

impl Read for FileReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut file = self.source.file();
        file.seek(SeekFrom::Start(self.position))?;
        let read = file.read(buffer)?;
        self.position = self.position.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_and_spilled_results_read_back_again_and_again() {
        let dir = tempfile::tempdir().unwrap();
        let scratch = StoreScratch { dir: dir.path().to_path_buf(), in_memory: 10 };
        for len in [0usize, 10, 11, 5000] {
            let bytes: Vec<u8> = (0..len).map(|n| n as u8).collect();
            let mut writer = scratch.create().unwrap();
            for chunk in bytes.chunks(7) {
                writer.write_all(chunk).unwrap();
            }
            let source = writer.into_source().unwrap();
            assert_eq!(source.len(), len as u64);
            let (mut first, mut second) = (Vec::new(), Vec::new());
            let mut one = source.open().unwrap();
            source.open().unwrap().read_to_end(&mut second).unwrap();
            one.read_to_end(&mut first).unwrap();
            assert_eq!((&first, &second), (&bytes, &bytes));
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_that_somebody_removed_is_made_again_and_one_above_it_is_not() {
        let data = tempfile::tempdir().unwrap();
        let spilled = |below: &str| {
            let scratch = StoreScratch { dir: data.path().join(below), in_memory: 1 };
            scratch.create().unwrap().write_all(b"spilled").map_err(|error| error.kind())
        };
        assert_eq!(spilled("tmp"), Ok(()));
        assert!(data.path().join("tmp").is_dir());
        assert_eq!(spilled("unmounted/tmp"), Err(io::ErrorKind::NotFound));
        assert!(!data.path().join("unmounted").exists());
    }
}
