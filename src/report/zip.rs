//! Writes a ZIP archive (PKWARE APPNOTE 6.3, without ZIP64) of a few small files: what an Office document is.

use std::io::{self, Write as _};

use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};

/// 1980-01-01, the first day that the format knows: the same files give the same bytes.
const DAY: u16 = 0x21;

/// An archive in the making.
#[derive(Debug, Default)]
pub(super) struct Archive {
    bytes: Vec<u8>,
    directory: Vec<u8>,
    files: u16,
}

impl Archive {
    /// Adds a file.
    ///
    /// # Errors
    /// It is larger than 4 GiB.
    pub(super) fn add(&mut self, name: &str, content: &[u8]) -> io::Result<()> {
        let mut crc = Crc::new();
        crc.update(content);
        let mut deflate = DeflateEncoder::new(Vec::new(), Compression::default());
        deflate.write_all(content)?;
        let packed = deflate.finish()?;
        let mut about = Vec::with_capacity(26);
        // Version 2.0, names in UTF-8, deflated.
        [20u16, 0x0800, 8, 0, DAY].iter().for_each(|field| about.extend(field.to_le_bytes()));
        for field in [crc.sum(), size(packed.len())?, size(content.len())?] {
            about.extend(field.to_le_bytes());
        }
        let name_length = u16::try_from(name.len()).map_err(io::Error::other)?;
        about.extend(name_length.to_le_bytes());
        about.extend(0u16.to_le_bytes());
        let offset = size(self.bytes.len())?;
        self.bytes.extend(b"PK\x03\x04");
        self.bytes.extend(&about);
        self.bytes.extend(name.as_bytes());
        self.bytes.extend(packed);
        self.directory.extend(b"PK\x01\x02\x14\x00");
        self.directory.extend(about);
        // No comment, first disk, no attributes.
        self.directory.extend([0; 10]);
        self.directory.extend(offset.to_le_bytes());
        self.directory.extend(name.as_bytes());
        self.files = self.files.saturating_add(1);
        Ok(())
    }

    /// The whole archive.
    ///
    /// # Errors
    /// It is larger than 4 GiB.
    pub(super) fn finish(mut self) -> io::Result<Vec<u8>> {
        let (start, length) = (size(self.bytes.len())?, size(self.directory.len())?);
        self.bytes.extend(self.directory);
        self.bytes.extend(b"PK\x05\x06\0\0\0\0");
        self.bytes.extend(self.files.to_le_bytes());
        self.bytes.extend(self.files.to_le_bytes());
        self.bytes.extend(length.to_le_bytes());
        self.bytes.extend(start.to_le_bytes());
        self.bytes.extend(0u16.to_le_bytes());
        Ok(self.bytes)
    }
}

fn size(bytes: usize) -> io::Result<u32> {
    u32::try_from(bytes).map_err(io::Error::other)
}
