//! What nearly every document consists of, read in one step: a leaf with plain text, its end tag written as usual, and the
//! blanks around it. Whatever is written otherwise is read token by token, to the same end.

use super::Scanner;
use super::names::same;
use super::text::{is_plain, is_plain_line};

impl Scanner<'_> {
    /// The length of the end tag that begins so many bytes on, when it is written as nearly all are: the name, no blank.
    pub(super) fn expected_end(&self, ahead: usize) -> Option<usize> {
        let name = self.element()?.name.qualified();
        let (open, rest) = self.source.bytes().get(ahead..)?.split_at_checked(2)?;
        let (written, rest) = rest.split_at_checked(name.len())?;
        let whole = open == b"</" && rest.first() == Some(&b'>') && same(written, name.as_bytes());
        whole.then(|| name.len().saturating_add("</>".len()))
    }

    /// Takes the rest of the element just started, when it is plain text and an end tag that are both in the window. Blanks
    /// before a child are taken as well.
    pub(super) fn simple_leaf(&mut self) -> bool {
        let bytes = self.source.bytes();
        let Some(length) = memchr::memchr(b'<', bytes).filter(|length| *length <= self.max_item) else { return false };
        let Some(tag) = self.expected_end(length) else {
            self.source.take_blanks(self.max_item, |next| !matches!(next, b'/' | b'!' | b'?'));
            return false;
        };
        let in_line = is_plain_line(bytes, length);
        if !in_line && !is_plain(self.source.text().get(..length).unwrap_or_default()) {
            return false;
        }
        self.leaf = self.source.place_of(length);
        let whole = length.saturating_add(tag);
        self.token_at = self.source.taken().saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
        if in_line {
            self.source.take_within_line(whole)
        } else {
            self.source.take(whole)
        }
        true
    }
}
