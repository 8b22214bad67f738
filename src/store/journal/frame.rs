//! Segment headers and frames as bytes; the tables are in [`journal`](super).
//!
//! A group is synced before the next one is written, and a frame tells with which frame its group begins. So a frame
//! that holds behind one that does not tells whether that one was durable, and was damaged since, or both are of a group
//! of which a power cut left what it liked.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::ground::id::Id;
use crate::store::record::Body;

/// The newest format that this program writes and reads.
pub(in crate::store) const FORMAT: u32 = 2;
/// Bytes of a segment header.
pub(in crate::store) const SEGMENT_HEADER: usize = 72;
/// Bytes of a frame before its payload.
pub(in crate::store) const FRAME_HEAD: usize = 49;
/// Bytes of a body frame's payload before the body's own.
pub(in crate::store) const BODY_HEAD: usize = 48;
/// The largest payload.
pub(in crate::store) const MAX_PAYLOAD: usize = 64 * 1024 * 1024;

/// Bits of a frame's place that are its sequence; those above count the frames of its group before it, which are fewer
/// than a million: a group has at most 72 MiB.
const SEQUENCE_BITS: u32 = 44;
const MAX_SEQUENCE: u64 = (1 << SEQUENCE_BITS) - 1;

const MAGIC: &[u8; 8] = b"dxgatejl";

/// SHA-256 of a frame.
pub(in crate::store) type Hash = [u8; 32];
/// Random bytes of a segment that enter each of its checksums.
pub(in crate::store) type Salt = [u8; 8];

/// Where a chain of frames stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::store) struct Chain {
    /// Sequence of the next frame.
    pub(in crate::store) next: u64,
    /// Hash of the last frame, zeros before the first.
    #[serde(with = "crate::store::record::hex_digest")]
    pub(in crate::store) previous: Hash,
}

impl Chain {
    /// Before the first frame of a journal.
    pub(in crate::store) const START: Chain = Chain { next: 1, previous: [0; 32] };

    /// Sequence of the last frame, 0 when there is none.
    pub(in crate::store) fn last(&self) -> u64 {
        self.next.saturating_sub(1)
    }
}

/// What a frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Kind {
    /// The facts of one transaction.
    Facts,
    /// One body.
    Body,
}

impl Kind {
    fn byte(self) -> u8 {
        match self {
            Kind::Facts => 1,
            Kind::Body => 2,
        }
    }
}

/// The first bytes of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) struct SegmentHeader {
    /// [`FORMAT`], or an earlier one.
    pub(in crate::store) format: u32,
    pub(in crate::store) salt: Salt,
    pub(in crate::store) number: u64,
    /// The chain before its first frame.
    pub(in crate::store) chain: Chain,
}

/// Why bytes are not a segment header.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::store) enum BadHeader {
    /// Not one of ours, or a bit is wrong.
    Broken(&'static str),
    /// Written by a newer program.
    TooNew(u32),
}

impl SegmentHeader {
    /// The header's bytes.
    pub(in crate::store) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(SEGMENT_HEADER);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&self.format.to_le_bytes());
        bytes.extend_from_slice(&self.salt);
        bytes.extend_from_slice(&self.number.to_le_bytes());
        bytes.extend_from_slice(&self.chain.next.to_le_bytes());
        bytes.extend_from_slice(&self.chain.previous);
        let checksum = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// The header in the first bytes of a segment.
    pub(in crate::store) fn decode(bytes: &[u8; SEGMENT_HEADER]) -> Result<SegmentHeader, BadHeader> {
        let mut fields = Fields(bytes);
        if fields.array() != Some(*MAGIC) {
            return Err(BadHeader::Broken("it does not begin with the mark of a journal"));
        }
        let format = match fields.u32() {
            Some(format @ 1..=FORMAT) => format,
            Some(newer) if newer > FORMAT => return Err(BadHeader::TooNew(newer)),
            _ => return Err(BadHeader::Broken("its format version is impossible")),
        };
        let header = (|| {
            let salt = fields.array()?;
            let number = fields.u64()?;
            let chain = Chain { next: fields.u64()?, previous: fields.array()? };
            Some((SegmentHeader { format, salt, number, chain }, fields.u32()?))
        })();
        let covered = bytes.split_last_chunk::<4>().map(|(covered, _)| crc32c::crc32c(covered));
        match header {
            Some((header, checksum)) if Some(checksum) == covered => Ok(header),
            _ => Err(BadHeader::Broken("the checksum of its header is wrong")),
        }
    }
}

/// The first bytes of a frame, before anything was checked but the length.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct FrameHead {
    pub(in crate::store) payload: usize,
    checksum: u32,
    pub(in crate::store) sequence: u64,
    /// The first sequence of its group: all frames before that one were durable when this one was written.
    pub(in crate::store) group: u64,
    pub(in crate::store) previous: Hash,
    kind: u8,
}

impl FrameHead {
    /// Reads the fields; refuses impossible lengths and kinds.
    pub(in crate::store) fn decode(bytes: &[u8; FRAME_HEAD]) -> Result<FrameHead, &'static str> {
        let mut fields = Fields(bytes);
        let head = (|| {
            let payload = usize::try_from(fields.u32()?).ok()?;
            let (checksum, place, previous) = (fields.u32()?, fields.u64()?, fields.array()?);
            let [kind] = fields.array()?;
            let sequence = place & MAX_SEQUENCE;
            let group = sequence.saturating_sub(place >> SEQUENCE_BITS);
            Some(FrameHead { payload, checksum, sequence, group, previous, kind })
        })();
        let head = head.ok_or("its head is too short")?;
        if head.payload > MAX_PAYLOAD {
            return Err("its length is impossible");
        }
        Ok(head)
    }

    /// Whether this is the next frame of `chain`.
    pub(in crate::store) fn follows(&self, chain: &Chain) -> bool {
        self.sequence == chain.next && self.previous == chain.previous
    }

    /// Whether the checksum over head and payload holds.
    pub(in crate::store) fn holds(&self, salt: &Salt, head: &[u8; FRAME_HEAD], payload: &[u8]) -> bool {
        self.checksum == checksum(salt, head, &[payload])
    }

    /// The frame's kind; only meaningful once the checksum holds.
    pub(in crate::store) fn kind(&self) -> Option<Kind> {
        [Kind::Facts, Kind::Body].into_iter().find(|kind| kind.byte() == self.kind)
    }
}

/// Appends a frame to `out` and moves the chain on. `group` is the first sequence of its group. `parts` together are the
/// payload; the last part of a body frame is the body's bytes. Returns the frame's sequence.
fn encode(out: &mut Vec<u8>, salt: &Salt, chain: &mut Chain, group: u64, kind: Kind, parts: [&[u8]; 2]) -> u64 {
    let [front, back] = parts;
    let length = front.len().saturating_add(back.len());
    let mut head = [0u8; FRAME_HEAD];
    let before = chain.next.saturating_sub(group);
    debug_assert!(chain.next <= MAX_SEQUENCE && before <= u64::MAX >> SEQUENCE_BITS, "no group is so long");
    let place = chain.next | before << SEQUENCE_BITS;
    let fields: [&[u8]; 5] = [
        &u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes(),
        &[0; 4],
        &place.to_le_bytes(),
        &chain.previous,
        &[kind.byte()],
    ];
    for (place, byte) in head.iter_mut().zip(fields.into_iter().flatten()) {
        *place = *byte;
    }
    let checksum = checksum(salt, &head, &parts).to_le_bytes();
    for (place, byte) in head.iter_mut().skip(4).zip(checksum) {
        *place = byte;
    }
    let sequence = chain.next;
    let hashed: &[u8] = if kind == Kind::Body { &[] } else { back };
    *chain = Chain { next: sequence.saturating_add(1), previous: hash(&head, front, hashed) };
    for part in [&head[..], front, back] {
        out.extend_from_slice(part);
    }
    sequence
}

/// Appends a frame of facts.
pub(in crate::store) fn encode_facts(
    out: &mut Vec<u8>,
    salt: &Salt,
    chain: &mut Chain,
    group: u64,
    facts: &[u8],
) -> u64 {
    encode(out, salt, chain, group, Kind::Facts, [facts, &[]])
}

/// Appends a body frame. The body's bytes end where the frame ends.
pub(in crate::store) fn encode_body(
    out: &mut Vec<u8>,
    salt: &Salt,
    chain: &mut Chain,
    group: u64,
    body: &Body,
    bytes: &[u8],
) -> u64 {
    let mut front = Vec::with_capacity(BODY_HEAD);
    front.extend_from_slice(body.id.as_bytes());
    // In a frame a body always has its digest, whether or not the record of it has one.
    front.extend_from_slice(&body.sha256.unwrap_or_else(|| Sha256::digest(bytes).into()));
    encode(out, salt, chain, group, Kind::Body, [&front, bytes])
}

/// Id, digest and bytes of a body frame's payload.
pub(in crate::store) fn split_body(payload: &[u8]) -> Option<(Id, &[u8; 32], &[u8])> {
    let (id, rest) = payload.split_first_chunk::<16>()?;
    let (sha256, bytes) = rest.split_first_chunk::<32>()?;
    Some((Id::from_bytes(*id), sha256, bytes))
}

/// The hash of a frame whose checksum holds.
pub(in crate::store) fn frame_hash(kind: Kind, head: &[u8; FRAME_HEAD], payload: &[u8]) -> Hash {
    match kind {
        Kind::Facts => hash(head, payload, &[]),
        Kind::Body => hash(head, payload.get(..BODY_HEAD).unwrap_or(payload), &[]),
    }
}

fn hash(head: &[u8], front: &[u8], back: &[u8]) -> Hash {
    Sha256::new().chain_update(head).chain_update(front).chain_update(back).finalize().into()
}

/// CRC32C of salt, length, and everything behind the checksum's own place.
fn checksum(salt: &Salt, head: &[u8; FRAME_HEAD], payload: &[&[u8]]) -> u32 {
    let (length, rest) = head.split_at(4);
    let behind = rest.split_at(4).1;
    let front = crc32c::crc32c_append(crc32c::crc32c_append(crc32c::crc32c(salt), length), behind);
    payload.iter().fold(front, |checksum, part| crc32c::crc32c_append(checksum, part))
}

/// Reads fixed-size fields from the front of a slice.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*field)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }
}
