//! The keys of the index's views; the table is in [`index`](super).

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::ground::id::Id;
use crate::store::alert::Alert;
use crate::store::record::{DedupKey, Direction, Message, PublicationStage, State};

/// Keys without value under which a message is found.
pub(super) fn views(message: &Message) -> Vec<Vec<u8>> {
    let id = message.id.as_bytes();
    let mut keys = Vec::with_capacity(6);
    keys.push(key(b's', &[&[state_byte(message.state)], id]));
    keys.push(with_id(partner_prefix(b'p', &message.partner), &message.id));
    if let Some(message_id) = &message.message_id {
        keys.push(with_id(message_id_prefix(message.direction, &message.partner, message_id), &message.id));
    }
    if let (Some(due), Direction::Outbound) = (message.due, message.direction) {
        let mut key = partner_prefix(b'd', &message.partner);
        key.extend_from_slice(&millis(due));
        keys.push(with_id(key, &message.id));
    }
    for earlier in &message.earlier {
        let prefix = message_id_prefix(message.direction, &message.partner, &earlier.message_id);
        keys.push(with_id(prefix, &message.id));
    }
    if message.alerts.iter().any(Alert::is_open) {
        keys.push(key(b'a', &[id]));
    }
    for (index, (_, stage)) in (0u32..).zip(&message.publications) {
        if !message.restored && !matches!(stage, PublicationStage::Published(_)) {
            keys.push(key(b'u', &[id, &index.to_be_bytes()]));
        }
    }
    keys
}

/// Bytes of a due key behind the partner's name: 0, instant, id.
pub(super) const DUE_TAIL: usize = 25;

pub(super) fn key(view: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut key = Vec::with_capacity(48);
    key.push(view);
    for part in parts {
        key.extend_from_slice(part);
    }
    key
}

pub(super) fn partner_prefix(view: u8, partner: &str) -> Vec<u8> {
    key(view, &[partner.as_bytes(), &[0]])
}

fn with_id(mut key: Vec<u8>, id: &Id) -> Vec<u8> {
    key.extend_from_slice(id.as_bytes());
    key
}

/// Ours and theirs are apart: a partner that sends our Message-ID back must not hide our message.
pub(super) fn message_id_prefix(direction: Direction, partner: &str, message_id: &str) -> Vec<u8> {
    let side = if direction == Direction::Outbound { b'o' } else { b'i' };
    let hash = hash_of(&[partner, without_brackets(message_id)]);
    key(b'i', &[&[side], hash.first_chunk::<16>().map_or(&hash[..], |half| &half[..])])
}

pub(super) fn claim_key(dedup: &DedupKey) -> Vec<u8> {
    key(b'k', &[&hash_of(&[&dedup.from, &dedup.to, without_brackets(&dedup.message_id)])])
}

/// SHA-256 over the texts with their lengths, so that no two lists look alike.
fn hash_of(texts: &[&str]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for text in texts {
        hash.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(text);
    }
    hash.finalize().into()
}

/// A Message-ID without its angle brackets.
pub(in crate::store) fn without_brackets(message_id: &str) -> &str {
    let text = message_id.trim();
    text.strip_prefix('<').and_then(|text| text.strip_suffix('>')).unwrap_or(text)
}

pub(super) fn millis(instant: Timestamp) -> [u8; 8] {
    u64::try_from(instant.as_millisecond()).unwrap_or(0).to_be_bytes()
}

pub(super) fn due_and_id(key: &[u8]) -> Option<(Timestamp, Id)> {
    let (rest, id) = key.split_last_chunk::<16>()?;
    let (_, due) = rest.split_last_chunk::<8>()?;
    let due = i64::try_from(u64::from_be_bytes(*due)).ok()?;
    Some((Timestamp::from_millisecond(due).ok()?, Id::from_bytes(*id)))
}

pub(super) fn trailing_id(key: &[u8]) -> Option<Id> {
    key.split_last_chunk::<16>().map(|(_, id)| Id::from_bytes(*id))
}

/// Every state that a message can be in.
pub(super) const ALL_STATES: [State; 12] = [
    State::Queued,
    State::Composed,
    State::Sending,
    State::AwaitingReceipt,
    State::Delivered,
    State::Failed,
    State::Held,
    State::Cancelled,
    State::Rejected,
    State::Received,
    State::Accepted,
    State::Declined,
];

/// Never renumbered without a new [`FORMAT`](super::totals::FORMAT).
pub(super) fn state_byte(state: State) -> u8 {
    match state {
        State::Queued => 1,
        State::Composed => 2,
        State::Sending => 3,
        State::AwaitingReceipt => 4,
        State::Delivered => 5,
        State::Failed => 6,
        State::Held => 7,
        State::Cancelled => 8,
        State::Rejected => 9,
        State::Received => 10,
        State::Accepted => 11,
        State::Declined => 12,
    }
}
