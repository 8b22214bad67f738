//! A file as something that can be read twice: for its content, and for the digest of its signature.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::STDIN;
use crate::mime::{BytesSource, Source};

/// A regular file, read anew each time; what is not one (standard input, a pipe) is held in memory, up to a byte more than
/// `most`.
pub(super) fn open(path: &Path, most: u64) -> io::Result<Box<dyn Source>> {
    if path.as_os_str() == STDIN {
        return held(&mut io::stdin(), most);
    }
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_file() {
        return Ok(Box::new(Regular { path: path.to_owned(), len: metadata.len() }));
    }
    held(&mut { file }, most)
}

fn held(input: &mut dyn Read, most: u64) -> io::Result<Box<dyn Source>> {
    let mut bytes = Vec::new();
    input.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(Box::new(BytesSource(bytes)))
}

struct Regular {
    path: PathBuf,
    len: u64,
}

impl Source for Regular {
    fn len(&self) -> u64 {
        self.len
    }

    fn open(&self) -> io::Result<Box<dyn Read + Send + '_>> {
        Ok(Box::new(File::open(&self.path)?))
    }
}
