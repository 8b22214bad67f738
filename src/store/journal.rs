//! The journal: an append-only, segmented file of everything that ever happened. It is the truth; the index is a view.
//!
//! # Format, version 2
//!
//! Segments are `journal/00000000000000000001.log`, `…2.log` and so on; gaps are those that the journal itself
//! [records](retired). Integers are little-endian.
//! A segment begins with a header, written whole and durable before the first frame:
//!
//! | offset | bytes | |
//! |---|---|---|
//! | 0 | 8 | `dxgatejl` |
//! | 8 | 4 | format version, 2 |
//! | 12 | 8 | salt: random per segment, part of every checksum in it |
//! | 20 | 8 | number of the segment, as in its name |
//! | 28 | 8 | sequence of the first frame |
//! | 36 | 32 | hash of the frame before it, zeros in segment 1 |
//! | 68 | 4 | CRC32C of the bytes before |
//!
//! Frames follow without padding; sequences count from 1 through all segments without gaps:
//!
//! | offset | bytes | |
//! |---|---|---|
//! | 0 | 4 | length n of the payload, at most 64 MiB |
//! | 4 | 4 | CRC32C of the segment's salt, bytes 0 to 3, and bytes 8 to the end |
//! | 8 | 8 | sequence, and in the upper 20 bits how many frames of its group are before it |
//! | 16 | 32 | hash of the frame before |
//! | 48 | 1 | kind: 1 facts, 2 body |
//! | 49 | n | payload |
//!
//! *Facts* are one transaction, as JSON: `{"at": instant, "facts": [[message id, fact], …]}`; one frame, so that a
//! transaction is never half there. Instead of facts there may be a `link`: `{"snapshot": {from, upto, sha256}}` vouches
//! for a [snapshot](super::snapshot), `{"retired": [{first, last, from, to}, …]}` lists all removed segments with the
//! chain (`next` sequence, `previous` hash) before and after them. A *body* is its id (16 bytes), the SHA-256 of its bytes (32) and its bytes.
//!
//! The hash of a frame is SHA-256 of its bytes; of a body frame, of its bytes without the body's own, which are
//! represented by their SHA-256. A body that appears again, with the same id, has moved: the later place holds. So the
//! chain binds every byte ever acknowledged, and each large body is hashed once.
//!
//! Behind the last frame of the last segment there may be [room](segment), bytes 0xee, to be written over. In version 1
//! there was none, and no count before the sequence; such segments are read, and not written any more.
//!
//! # Reading after a crash
//!
//! Only the end of the last segment may be torn: when a frame there does not hold, nothing after it is a frame of a later
//! group, and the index has not seen it either, it was never acknowledged and is cut off. Anything else that does not hold is
//! damage, reported with segment and offset, and never shortened; so is room where frames were that the index has seen.
//! The salt keeps bytes sent by a partner, or left on the disk by an older file, from looking like frames.
//!
//! What holds may be in the page cache alone: a sync that failed, or never came, leaves it there. So before anything is read
//! into the index, the last group is written once more and its segment synced: a group is synced before the next is
//! written, so only the last one can be in doubt. What the index has seen is then on the disk, whatever comes next.

pub(super) mod frame;
pub(super) mod reader;
pub(super) mod retired;
pub(super) mod segment;
pub(super) mod writer;

use std::path::{Path, PathBuf};

/// The path of segment `number` in the journal's directory.
pub(super) fn segment_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:020}.log"))
}

/// The number of the segment with this file name, if it is one.
pub(super) fn segment_number(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".log")?;
    if digits.len() != 20 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}
