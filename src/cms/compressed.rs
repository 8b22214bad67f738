//! CompressedData
use super::CmsError;
use crate::ground::limits::Limits;
use crate::mime::{Scratch, Source};
use std::io::{self, Read};
/// The whole DER CompressedData of a source.
pub fn compress(source: &dyn Source, scratch: &dyn Scratch) -> Result<Box<dyn Source>, CmsError> {
    let _ = (source, scratch);
    unimplemented!()
}
/// Reads the content of CompressedData.
pub struct InflateReader<R: Read> {
    r: R,
}
impl<R: Read> InflateReader<R> {
    /// Reads up to the compressed content.
    pub fn open(r: R, limits: &Limits) -> Result<Self, CmsError> {
        let _ = (r, limits);
        unimplemented!()
    }
}
impl<R: Read> Read for InflateReader<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let _ = (buf, &self.r);
        unimplemented!()
    }
}
