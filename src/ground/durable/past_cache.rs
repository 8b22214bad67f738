//! Long files that this process will not read again. Their bytes go to the disk past the page cache, where the platform
//! can do that: no copy into the cache, no pages taken from those who need them.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::{parent, platform};
use crate::ground::fault::{self, within};

/// Bytes written at a time, at most.
const BLOCK: usize = 1024 * 1024;
/// Writes past the cache begin in memory and in the file at multiples of this, and are as long.
const ALIGNMENT: usize = 4096;

/// A file being written past the page cache; what is left over at its end, and all of it where that is not possible, goes
/// through it. Nothing is synced here.
#[derive(Debug)]
pub struct PastCache {
    file: File,
    /// For failpoints.
    folder: PathBuf,
    past: bool,
    buffer: Vec<u8>,
    /// Where the buffer is aligned.
    start: usize,
    /// How much it holds from there on: a multiple of [`ALIGNMENT`].
    room: usize,
    filled: usize,
}

impl PastCache {
    /// Begins the file at `path` anew, for about `len` bytes.
    ///
    /// # Errors
    /// It cannot be created.
    pub fn create(path: &Path, len: u64) -> io::Result<PastCache> {
        let folder = parent(path).to_path_buf();
        fault::at(&within("create", &folder), || Ok(()))?;
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        let (file, past) = match platform::open_past_cache(&options, path) {
            Ok(file) => (file, true),
            Err(error) if is_unsuited(&error) => (options.open(path)?, false),
            Err(error) => return Err(error),
        };
        let room = usize::try_from(len).unwrap_or(BLOCK).clamp(1, BLOCK).next_multiple_of(ALIGNMENT);
        let buffer = vec![0; room.saturating_add(ALIGNMENT)];
        let start = buffer.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        Ok(PastCache { file, folder, past, buffer, start, room, filled: 0 })
    }

    /// Writes what is left; returns the file, not synced yet.
    ///
    /// # Errors
    /// Any failure of the disk.
    pub fn finish(mut self) -> io::Result<File> {
        let rest = self.filled % ALIGNMENT;
        let whole = self.filled.saturating_sub(rest);
        self.write_out(0, whole)?;
        if rest > 0 {
            self.go_through_cache()?;
            self.write_out(whole, self.filled)?;
        }
        Ok(self.file)
    }

    fn go_through_cache(&mut self) -> io::Result<()> {
        if self.past {
            platform::go_through_cache(&self.file)?;
            self.past = false;
        }
        Ok(())
    }

    /// Writes this range of what is filled.
    fn write_out(&mut self, from: usize, to: usize) -> io::Result<()> {
        let end = self.start.saturating_add(to);
        let mut from = self.start.saturating_add(from);
        while let Some(rest) = self.buffer.get(from..end).filter(|rest| !rest.is_empty()) {
            let done = fault::write(&within("write", &self.folder), &mut self.file, rest);
            match done {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => from = from.saturating_add(written),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // A filesystem with larger blocks, or one that was cut short at some other place.
                Err(error) if self.past && is_unsuited(&error) => self.go_through_cache()?,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Write for PastCache {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let from = self.start.saturating_add(self.filled);
        let room = self.buffer.get_mut(from..self.start.saturating_add(self.room)).unwrap_or_default();
        let taken = bytes.len().min(room.len());
        if let (Some(place), Some(bytes)) = (room.get_mut(..taken), bytes.get(..taken)) {
            place.copy_from_slice(bytes);
        }
        self.filled = self.filled.saturating_add(taken);
        if self.filled >= self.room {
            self.write_out(0, self.filled)?;
            self.filled = 0;
        }
        Ok(taken)
    }

    /// What is buffered stays so: it has not the length of a block.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The filesystem does not do it, or not so.
fn is_unsuited(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests read what was written")]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_any_length_has_its_bytes_in_whatever_pieces_they_come() {
        let bytes: Vec<u8> = (0u32..700_000).flat_map(u32::to_le_bytes).collect();
        // The second is in memory on Linux, where there is no way past the cache.
        for place in [std::env::temp_dir(), PathBuf::from("/dev/shm")].iter().filter(|place| place.is_dir()) {
            let dir = tempfile::tempdir_in(place).unwrap();
            for len in [0, 1, ALIGNMENT, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 2 * BLOCK + 4097] {
                for piece in [511, 4096, 65_536, 3 * BLOCK] {
                    for expected in [0, len, BLOCK] {
                        let path = dir.path().join("long");
                        let mut out = PastCache::create(&path, expected as u64).unwrap();
                        bytes[..len].chunks(piece).for_each(|piece| out.write_all(piece).unwrap());
                        out.finish().unwrap().sync_all().unwrap();
                        assert!(std::fs::read(&path).unwrap() == bytes[..len], "{len} {piece} {}", place.display());
                    }
                }
            }
        }
    }
}
