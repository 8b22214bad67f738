//! A text too long to hold, in pieces. References and CDATA sections in it are read bit by bit: what follows them may be as
//! long.

use super::super::charset::Position;
use super::super::error::{DeclarationError, Fault};
use super::text::resolve;
use super::{Event, Scanner};

const CDATA: &str = "<![CDATA[";
const CDATA_END: &str = "]]>";

impl Scanner<'_> {
    /// The next piece of the text of the element just started, into `piece`, for texts too long to hold; its place. `None`
    /// at the element's end, which is then told. Child elements are refused.
    pub(in crate::declaration) fn next_piece(
        &mut self,
        piece: &mut Vec<u8>,
    ) -> Result<Option<Position>, DeclarationError> {
        piece.clear();
        if self.end_due {
            self.end();
            return Ok(None);
        }
        loop {
            if self.source.bytes().is_empty() {
                self.more(0)?;
            }
            // Remembered: there may be very many pieces in one window.
            let at = self.source.mark();
            let plain = self.plain();
            if plain > 0 {
                piece.extend_from_slice(self.source.bytes().get(..plain).unwrap_or_default());
                self.tell_piece(plain);
                self.source.take(plain);
                return Ok(Some(at));
            }
            if self.in_cdata {
                self.end_cdata()?;
            } else if self.source.bytes().first() == Some(&b'&') {
                self.reference()?;
            } else if !self.begin_cdata()? && self.end_of_text()? {
                return Ok(None);
            }
            if !self.text.is_empty() {
                piece.extend_from_slice(self.text.as_bytes());
                self.text.clear();
                return Ok(Some(at));
            }
        }
    }

    /// Reads what is no text; whether it was the element's end.
    fn end_of_text(&mut self) -> Result<bool, DeclarationError> {
        match self.token()? {
            Some(Event::End) => Ok(true),
            Some(Event::Start) => {
                let element = self.element().map(|element| element.local().to_owned()).unwrap_or_default();
                Err(self.error(Fault::UnexpectedElement { element }))
            }
            // An unclosed element is a fault already.
            Some(Event::Eof) | None => Ok(false),
        }
    }

    /// Bytes of text that can be taken as they are: whole characters.
    fn plain(&self) -> usize {
        let available = self.source.bytes();
        let end = if self.in_cdata {
            // Two brackets in front of what is not there yet may begin the end.
            let sure = available.len().saturating_sub(CDATA_END.len().saturating_sub(1));
            memchr::memmem::find(available, CDATA_END.as_bytes()).unwrap_or(sure)
        } else {
            memchr::memchr2(b'<', b'&', available).unwrap_or(available.len())
        };
        self.whole_characters(end.min(self.max_item))
    }

    /// One reference, into `text`.
    fn reference(&mut self) -> Result<(), DeclarationError> {
        let length = self.item(1, ";")?;
        let text = self.source.text().get(..length).and_then(|text| text.split('<').next()).unwrap_or_default();
        let before = self.text.len();
        resolve(text, &mut self.text).map_err(|(_, fault)| self.error_at(fault, self.source.position()))?;
        self.tell_text(before);
        self.source.take(length);
        Ok(())
    }

    /// Takes the beginning of a CDATA section, if one is next.
    fn begin_cdata(&mut self) -> Result<bool, DeclarationError> {
        while self.source.text().len() < CDATA.len() && CDATA.starts_with(self.source.text()) && self.more(0)? {}
        if self.source.text().starts_with(CDATA) {
            self.source.take(CDATA.len());
            (self.in_cdata, self.return_told) = (true, false);
        }
        Ok(self.in_cdata)
    }

    /// Takes the end of the CDATA section, or looks further for it.
    fn end_cdata(&mut self) -> Result<(), DeclarationError> {
        if self.source.text().starts_with(CDATA_END) {
            self.source.take(CDATA_END.len());
            (self.in_cdata, self.return_told) = (false, false);
        } else if !self.more(0)? {
            let at = self.source.position();
            return Err(self.malformed("the document ends before ]]>", at));
        }
        Ok(())
    }
}
