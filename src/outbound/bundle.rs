//! A folder in an outbox is one message with all its files (RFC 6362), where the partner's file says
//! `folders_as_messages`.
//!
//! It is taken like a file: by rename, once nothing about its files has changed for the settle time, or at once when it
//! was moved in. Its files, in the order of their names, become a `multipart/related`, which is the payload from then
//! on: `<folder>.mime` in `sent/` and `failed/`. Such a payload is known by this name and its first bytes, so one that is
//! composed again, or dropped again, is sent as what it is.

use std::fs::{self, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::Outbound;
use super::compose::Content;
use super::scan;
use crate::as2::attachments::{self, Enclosure, Related};
use crate::bilingual;
use crate::ground::durable::{self, DurableError};
use crate::ground::id::Id;
use crate::ground::text::printable;
use crate::mime::Source;
use crate::partner::Partner;
use crate::store::draft::{Draft, Sink};
use crate::store::record::Reason;

/// Added to the folder's name: what is in `sent/` is a MIME entity.
pub(super) const SUFFIX: &str = ".mime";
/// Bytes of a payload that show whether it is one of ours.
const LEAD: u64 = 4 * 1024;

/// What a folder looks like.
pub(super) enum Look {
    /// Files only: their bytes with their number, and the latest change.
    Files(u64, Option<SystemTime>),
    /// Nothing to send.
    Empty,
    /// Besides files to send it has one that is hidden, or still being written under a temporary name: its name, and the same of
    /// all that is there.
    Unfinished(String, u64, Option<SystemTime>),
    /// It can never be sent as it is.
    Unfit(Reason),
}

/// Looks at a folder of at most `most` files.
pub(super) fn look(folder: &Path, metadata: &Metadata, ignore: &[String], most: usize) -> io::Result<Look> {
    let (mut bytes, mut count, mut changed) = (0u64, 0u64, metadata.modified().ok());
    let mut unfinished = None;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { return Ok(Look::Unfit(unfit(folder, most))) };
        if scan::is_ignored(name, ignore) {
            unfinished.get_or_insert_with(|| name.to_owned());
            // One that gets its name this moment is seen under that the next time.
            if let Ok(metadata) = entry.metadata() {
                bytes = bytes.saturating_add(metadata.len());
                changed = changed.max(metadata.modified().ok());
            }
            continue;
        }
        // Links are not followed.
        let metadata = entry.metadata()?;
        count = count.saturating_add(1);
        if !metadata.is_file() || printable(name) != name || usize::try_from(count).map_or(true, |count| count > most) {
            return Ok(Look::Unfit(unfit(folder, most)));
        }
        bytes = bytes.saturating_add(metadata.len());
        changed = changed.max(metadata.modified().ok());
    }
    // Two folders of as many bytes differ by the number of their files.
    let stamp = bytes.wrapping_add(count << 48);
    Ok(match unfinished {
        _ if count == 0 => Look::Empty,
        Some(file) => Look::Unfinished(file, stamp, changed),
        None => Look::Files(stamp, changed),
    })
}

/// Opens each file of a folder, as [`Outbound::pack`] will: the folder may be another user's, and so may its files.
pub(super) fn open_each(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let failed = |error: DurableError| io::Error::other(format!("{}: {error}", printable(&name.to_string_lossy())));
        durable::open_regular(&entry.path()).map_err(failed)?;
    }
    Ok(())
}

impl Outbound {
    /// The files of a claimed folder as one payload; `None` when they are longer than the limit.
    pub(super) fn pack(&self, folder: &Path, id: Id, partner: &Partner) -> io::Result<Option<Draft>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(folder)? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort_unstable();
        let mut files = Vec::new();
        for name in &names {
            let path = folder.join(name);
            // That the folder is not there means something else than that one of its files went away.
            let gone = |error: &dyn std::fmt::Display| io::Error::other(format!("{}: {error}", printable(name)));
            let opened = durable::open_regular(&path).map_err(|error| gone(&error))?;
            files.push(Enclosed { path, len: opened.metadata().map_err(|error| gone(&error))?.len() });
        }
        let enclosures: Vec<Enclosure<'_>> = names
            .iter()
            .zip(&files)
            .map(|(name, file)| Enclosure {
                content_type: partner.content_type_of(Some(name)),
                file_name: Some(name),
                content_id: None,
                content: file,
            })
            .collect();
        let related = Related::named(&enclosures, id).map_err(io::Error::other)?;
        if related.len() > self.limits.payload {
            return Ok(None);
        }
        let mut sink = Sink::new(&self.store);
        let copied = io::copy(&mut related.open()?.take(self.limits.payload.saturating_add(1)), &mut sink)?;
        if copied > self.limits.payload { Ok(None) } else { sink.finish().map(Some) }
    }

    /// The media type of a payload that was packed from a folder; `None` of every other one.
    pub(super) fn packed_type(&self, content: &Content<'_>) -> io::Result<Option<String>> {
        if !content.file_name.ends_with(SUFFIX) {
            return Ok(None);
        }
        let mut lead = Vec::new();
        content.payload.open(&self.store)?.take(LEAD).read_to_end(&mut lead)?;
        Ok(attachments::type_of_named(&lead, &self.limits))
    }
}

/// A file of the folder.
struct Enclosed {
    path: PathBuf,
    len: u64,
}

impl Source for Enclosed {
    fn len(&self) -> u64 {
        self.len
    }

    fn open(&self) -> io::Result<Box<dyn Read + Send + '_>> {
        Ok(Box::new(durable::open_regular(&self.path)?))
    }
}

/// Nobody goes on with a folder that has such a file.
pub(super) fn unfinished(folder: &Path, file: &str) -> Reason {
    let (shown, file) = (printable(&folder.display().to_string()), printable(file));
    let text = bilingual!(
        "文件夹 {shown} 中有隐藏文件或临时文件 {file}，视为尚未写完，未发送。若已无程序写入，请删除该文件，文件夹随后自动发送。",
        "the folder {shown} has a hidden or temporary file, {file}, so it counts as unfinished and is not sent. If nobody writes there any more, remove that file: the folder goes by itself then."
    );
    Reason { code: "outbox-folder-unfinished".to_owned(), text }
}

fn unfit(folder: &Path, most: usize) -> Reason {
    let shown = printable(&folder.display().to_string());
    let text = bilingual!(
        "文件夹 {shown} 不能作为一个报文发送：只能包含普通文件，最多 {most} 个，文件名可打印，不能有子文件夹或链接。请整理后重新放入。",
        "the folder {shown} cannot be sent as one message: it may hold plain files only, {most} at most, with printable names, no folders and no links. Tidy it up and drop it again."
    );
    Reason { code: "outbox-folder-unfit".to_owned(), text }
}
