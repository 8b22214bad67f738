//! `Data` of an envelope, decoded while it is read (RFC 4648 4; white space anywhere, as `xs:base64Binary` allows).

use std::io::{self, Read};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::charset::carry;
use super::error::{DeclarationError, Fault};
use super::scanner::Scanner;

/// The decoded content of the element the scanner just started.
pub(super) struct DataReader<'s, 'a> {
    scanner: &'s mut Scanner<'a>,
    piece: Vec<u8>,
    /// Symbols of a group not complete yet.
    symbols: Vec<u8>,
    decoded: Vec<u8>,
    start: usize,
    padded: bool,
    done: bool,
    len: u64,
    max: u64,
    failed: Option<DeclarationError>,
}

impl<'s, 'a> DataReader<'s, 'a> {
    pub(super) fn new(scanner: &'s mut Scanner<'a>, max: u64) -> DataReader<'s, 'a> {
        DataReader {
            scanner,
            piece: Vec::new(),
            symbols: Vec::new(),
            decoded: Vec::new(),
            start: 0,
            padded: false,
            done: false,
            len: 0,
            max,
            failed: None,
        }
    }

    /// Reads what is left; the number of bytes decoded in all, or the fault with its place in the envelope.
    pub(super) fn finish(mut self) -> Result<u64, DeclarationError> {
        while self.failed.is_none() && !self.done {
            let _ = self.fill();
        }
        match self.failed {
            Some(error) => Err(error),
            None => Ok(self.len),
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        if let Some(error) = &self.failed {
            return Err(carry(error.fault.clone()));
        }
        self.decoded.clear();
        self.start = 0;
        self.next_group().map_err(|error| {
            let fault = error.fault.clone();
            self.failed = Some(error);
            carry(fault)
        })
    }

    fn next_group(&mut self) -> Result<(), DeclarationError> {
        let Some(at) = self.scanner.next_piece(&mut self.piece)? else {
            self.done = true;
            return if self.symbols.is_empty() { Ok(()) } else { Err(self.scanner.error(Fault::TruncatedBase64)) };
        };
        for (index, symbol) in self.piece.iter().enumerate() {
            let fits = match symbol {
                b' ' | b'\t' | b'\r' | b'\n' => continue,
                b'=' => true,
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' => !self.padded,
                _ => false,
            };
            if !fits {
                let before = self.piece.get(..index).unwrap_or_default();
                return Err(self.scanner.error_at(Fault::BadBase64, at.after(before)));
            }
            self.padded |= *symbol == b'=';
            self.symbols.push(*symbol);
        }
        let whole = self.symbols.len() & !3;
        let groups = self.symbols.get(..whole).unwrap_or_default();
        if STANDARD.decode_vec(groups, &mut self.decoded).is_err() {
            return Err(self.scanner.error_at(Fault::BadBase64, at));
        }
        self.symbols.drain(..whole);
        self.len = self.len.saturating_add(u64::try_from(self.decoded.len()).unwrap_or(u64::MAX));
        if self.len > self.max {
            return Err(self.scanner.error_at(Fault::TooLarge { max: self.max }, at));
        }
        Ok(())
    }
}

impl Read for DataReader<'_, '_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.start >= self.decoded.len() && !self.done {
            self.fill()?;
        }
        let available = self.decoded.get(self.start..).unwrap_or_default();
        let count = available.len().min(out.len());
        if let (Some(to), Some(from)) = (out.get_mut(..count), available.get(..count)) {
            to.copy_from_slice(from);
        }
        self.start = self.start.saturating_add(count);
        Ok(count)
    }
}
