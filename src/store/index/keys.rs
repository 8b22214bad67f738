//! The keys of the index's views; the table is in [`index`](super).

use std::collections::BTreeSet;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::declaration::standing::Standing;
use crate::ground::id::Id;
use crate::store::alert::Alert;
use crate::store::declared::COP_MSG_ID;
use crate::store::record::{Direction, JobKind, Message, PublicationStage, State};

/// Keys without value under which a message is found, beside the [lists](super::lists) that it is in.
pub(super) fn views(message: &Message) -> Vec<Vec<u8>> {
    let id = message.id.as_bytes();
    let mut keys = Vec::with_capacity(4);
    keys.extend(delivery_views(message));
    for word in other_words(message) {
        keys.push(key(b'w', &[word.as_bytes(), &[0], id]));
    }
    if message.alerts.iter().any(Alert::is_open) {
        keys.push(key(b'a', &[id]));
    }
    if message.owes_mdn() {
        keys.push(key(b'o', &[id]));
    }
    keys
}

/// Keys without value by which a message is delivered, published and answered.
pub(super) fn delivery_views(message: &Message) -> BTreeSet<Vec<u8>> {
    let id = message.id.as_bytes();
    let mut keys = BTreeSet::new();
    if let (Some(due), Direction::Outbound) = (message.due, message.direction) {
        let mut key = partner_prefix(b'd', &message.partner);
        key.extend_from_slice(&millis(due));
        keys.insert(with_id(key, &message.id));
    }
    for message_id in message_ids(message) {
        let prefix = match message.claim {
            Some(_) => claimed_prefix(message_id),
            None => message_id_prefix(message.direction, &message.partner, message_id),
        };
        keys.insert(with_id(prefix, &message.id));
    }
    for (index, (_, stage)) in (0u32..).zip(&message.publications) {
        if !message.restored && !matches!(stage, PublicationStage::Published(_)) {
            keys.insert(key(b'u', &[id, &index.to_be_bytes()]));
        }
    }
    keys
}

/// Keys without value under which the documents of a message are found.
pub(super) fn business_views(message: &Message) -> BTreeSet<Vec<u8>> {
    let mut keys = BTreeSet::new();
    let cop_msg_id = message.declaration.as_ref().and_then(|declaration| declaration.cop_msg_id.as_deref());
    if let (Some(cop_msg_id), Direction::Outbound) = (cop_msg_id, message.direction) {
        keys.insert(document_key(COP_MSG_ID, cop_msg_id, &message.id, 0));
    }
    if !message.documents.are_none() {
        keys.insert(key(b'c', &[message.id.as_bytes()]));
    }
    for (number, document) in (1u32..).zip(message.documents.iter()) {
        keys.insert(key(b'e', &[&[standing_byte(document.standing)], message.id.as_bytes()]));
        keys.extend(document.findable().map(|(name, value)| document_key(name, value, &message.id, number)));
    }
    keys
}

/// Read backwards, the latest message comes first, and its documents in order: their numbers are inverted.
fn document_key(name: &str, value: &str, id: &Id, number: u32) -> Vec<u8> {
    let mut key = with_id(document_prefix(name, value), id);
    key.extend_from_slice(&(!number).to_be_bytes());
    key
}

/// Of the key of a document.
pub(super) fn id_and_document(key: &[u8]) -> Option<(Id, u32)> {
    id_and_number(key).map(|(id, inverted)| (id, !inverted))
}

pub(super) fn document_prefix(name: &str, value: &str) -> Vec<u8> {
    let hash = hash_of(&[name, value]);
    key(b'f', &[hash.first_chunk::<16>().map_or(&hash[..], |half| &half[..])])
}

/// Of a key that ends with an id and a number.
pub(super) fn id_and_number(key: &[u8]) -> Option<(Id, u32)> {
    let (rest, number) = key.split_last_chunk::<4>()?;
    Some((trailing_id(rest)?, u32::from_be_bytes(*number)))
}

/// Words by which people look for a message, in lower case: file name, Message-ID without brackets, business keys.
pub(in crate::store) fn words(message: &Message) -> Vec<String> {
    let sent_as = message.message_id.as_deref().map(without_brackets).filter(|_| message.kind == JobKind::Payload);
    let mut words = other_words(message);
    words.extend(sent_as.map(word));
    words
}

/// The same without the Message-ID, which has a view of its own.
fn other_words(message: &Message) -> Vec<String> {
    if message.kind != JobKind::Payload {
        return Vec::new();
    }
    let declaration = message.declaration.as_ref();
    let keys = declaration.into_iter().flat_map(|declaration| declaration.keys.iter().map(|(_, value)| value.as_str()));
    let envelope = declaration.and_then(|declaration| declaration.cop_msg_id.as_deref());
    let texts = std::iter::once(message.file_name.as_str()).chain(envelope).chain(keys);
    let mut words: Vec<String> = texts.map(word).filter(|word| !word.is_empty()).take(WORDS).collect();
    words.sort_unstable();
    words.dedup();
    words
}

/// Every Message-ID that a message is known under.
pub(super) fn message_ids(message: &Message) -> impl Iterator<Item = &str> {
    let earlier = message.earlier.iter().map(|earlier| earlier.message_id.as_str());
    let claimed = message.claim.iter().map(|claim| claim.message_id.as_str());
    message.message_id.as_deref().into_iter().chain(earlier).chain(claimed)
}

/// Words of one message, at most.
const WORDS: usize = 12;
/// Bytes of a word, at most.
const WORD: usize = 64;

/// A text as a word: lower case, cut to its first bytes, without what separates keys.
pub(in crate::store) fn word(text: &str) -> String {
    let lower = text.to_lowercase().replace('\0', "");
    let end = (0..=WORD.min(lower.len())).rev().find(|end| lower.is_char_boundary(*end)).unwrap_or(0);
    lower.get(..end).unwrap_or_default().to_owned()
}

pub(super) fn word_prefix(text: &str) -> Vec<u8> {
    key(b'w', &[word(text).as_bytes()])
}

pub(super) fn trail_key(sequence: u64, part: u16) -> Vec<u8> {
    key(b't', &[&sequence.to_be_bytes(), &part.to_be_bytes()])
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

/// Ours and theirs are apart: a partner that sends our Message-ID back must not hide our message. The word is for people
/// who look for a part of it, the digest for what the word leaves out.
pub(super) fn message_id_prefix(direction: Direction, partner: &str, message_id: &str) -> Vec<u8> {
    let exact = without_brackets(message_id);
    known_as(direction, exact, 0, &hash_of(&[partner, exact]))
}

/// Messages that claimed a key with this Message-ID, whoever sent them: what is refused under it, as often as anybody
/// likes, is not among them.
pub(super) fn claimed_prefix(message_id: &str) -> Vec<u8> {
    let exact = without_brackets(message_id);
    known_as(Direction::Inbound, exact, 1, &hash_of(&[exact]))
}

fn known_as(direction: Direction, exact: &str, claimed: u8, digest: &[u8; 32]) -> Vec<u8> {
    let short = digest.first_chunk::<8>().map_or(&digest[..], |short| &short[..]);
    key(b'i', &[&[side(direction)], word(exact).as_bytes(), &[0, claimed], short])
}

/// Keys of messages with a Message-ID that begins so.
pub(super) fn message_id_beginning(direction: Direction, text: &str) -> Vec<u8> {
    key(b'i', &[&[side(direction)], word(text).as_bytes()])
}

fn side(direction: Direction) -> u8 {
    if direction == Direction::Outbound { b'o' } else { b'i' }
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
pub(in crate::store) const ALL_STATES: [State; 12] = [
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

/// Never renumbered without a new [`FORMAT`](super::totals::FORMAT).
pub(super) fn standing_byte(standing: Standing) -> u8 {
    match standing {
        Standing::Waiting => 1,
        Standing::InProgress => 2,
        Standing::Accepted => 3,
        Standing::Released => 4,
        Standing::Rejected => 5,
        Standing::Error => 6,
    }
}
