//! The keys of the index's views; the table is in [`index`](super).

use std::cmp::Ordering;

use data_encoding::HEXLOWER;
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::declaration::standing::Standing;
use crate::ground::id::Id;
use crate::store::alert::Alert;
use crate::store::declared::COP_MSG_ID;
use crate::store::record::{Direction, JobKind, Message, PublicationStage, State};

/// Some of the keys without value under which a message is found, beside the [lists](super::lists) that it is in. Most facts
/// leave most of them as they are, and to see that costs less than to make them again.
pub(super) struct Part {
    /// Whether two states of one message have the same keys. `false` says nothing.
    pub(super) are_alike: fn(&Message, &Message) -> bool,
    /// The keys, in order and each once.
    pub(super) keys: fn(&Message) -> Vec<Vec<u8>>,
}

/// By what a message is delivered, answered and published, and by what its documents are found.
pub(super) static QUICK: [Part; QUICK_PARTS] = [
    Part { are_alike: are_due_alike, keys: due_keys },
    Part { are_alike: are_named_alike, keys: name_keys },
    Part { are_alike: are_published_alike, keys: unpublished_keys },
    Part { are_alike: have_documents_in_common, keys: document_keys },
];

pub(super) const QUICK_PARTS: usize = 4;

/// What only people look by.
pub(super) static OTHER: [Part; 2] =
    [Part { are_alike: are_worded_alike, keys: word_keys }, Part { are_alike: are_marked_alike, keys: mark_keys }];

/// All keys without value under which a message is found, beside its lists.
pub(super) fn views(message: &Message) -> impl Iterator<Item = Vec<u8>> {
    QUICK.iter().chain(&OTHER).flat_map(move |part| (part.keys)(message))
}

/// The keys that one of two lists has and the other has not, both in order and each key once; whether it is the new one
/// that has it.
pub(super) fn differences(old: Vec<Vec<u8>>, new: Vec<Vec<u8>>) -> Vec<(Vec<u8>, bool)> {
    let (mut old, mut new) = (old.into_iter().peekable(), new.into_iter().peekable());
    let mut changed = Vec::new();
    loop {
        let order = match (old.peek(), new.peek()) {
            (None, None) => break changed,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(one), Some(other)) => one.cmp(other),
        };
        let gone = if order.is_le() { old.next() } else { None };
        let come = if order.is_ge() { new.next() } else { None };
        match (gone, come) {
            (Some(key), None) => changed.push((key, false)),
            (None, Some(key)) => changed.push((key, true)),
            _ => {}
        }
    }
}

fn sorted(keys: impl Iterator<Item = Vec<u8>>) -> Vec<Vec<u8>> {
    let mut keys: Vec<Vec<u8>> = keys.collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

fn are_of_one_side(one: &Message, other: &Message) -> bool {
    one.direction == other.direction && one.partner == other.partner
}

fn are_due_alike(one: &Message, other: &Message) -> bool {
    one.due == other.due && are_of_one_side(one, other)
}

fn due_keys(message: &Message) -> Vec<Vec<u8>> {
    let due = message.due.filter(|_| message.direction == Direction::Outbound);
    let keys = due.map(|due| {
        let mut key = partner_prefix(b'd', &message.partner);
        key.extend_from_slice(&millis(due));
        with_id(key, &message.id)
    });
    keys.into_iter().collect()
}

fn are_named_alike(one: &Message, other: &Message) -> bool {
    let names = message_ids(one).eq(message_ids(other));
    names && one.claim.is_some() == other.claim.is_some() && are_of_one_side(one, other)
}

fn name_keys(message: &Message) -> Vec<Vec<u8>> {
    let prefixes = message_ids(message).map(|message_id| match message.claim {
        Some(_) => claimed_prefix(message_id),
        None => message_id_prefix(message.direction, &message.partner, message_id),
    });
    sorted(prefixes.map(|prefix| with_id(prefix, &message.id)))
}

fn are_published_alike(one: &Message, other: &Message) -> bool {
    one.restored == other.restored && published(one).eq(published(other))
}

/// Of each publication whether it is done.
fn published(message: &Message) -> impl Iterator<Item = bool> {
    message.publications.iter().map(|(_, stage)| matches!(stage, PublicationStage::Published(_)))
}

fn unpublished_keys(message: &Message) -> Vec<Vec<u8>> {
    let id = message.id.as_bytes();
    let wanted = (0u32..).zip(published(message)).filter(|(_, published)| !message.restored && !published);
    wanted.map(|(index, _)| key(b'u', &[id, &index.to_be_bytes()])).collect()
}

fn have_documents_in_common(one: &Message, other: &Message) -> bool {
    let same = one.documents.are_shared_with(&other.documents) && one.direction == other.direction;
    same && cop_msg_id(one) == cop_msg_id(other)
}

fn cop_msg_id(message: &Message) -> Option<&str> {
    message.declaration.as_ref().and_then(|declaration| declaration.cop_msg_id.as_deref())
}

fn document_keys(message: &Message) -> Vec<Vec<u8>> {
    let mut keys = Vec::new();
    if let (Some(cop_msg_id), Direction::Outbound) = (cop_msg_id(message), message.direction) {
        keys.push(document_key(COP_MSG_ID, cop_msg_id, &message.id, 0));
    }
    if !message.documents.are_none() {
        keys.push(key(b'c', &[message.id.as_bytes()]));
    }
    for (number, document) in (1u32..).zip(message.documents.iter()) {
        keys.push(key(b'e', &[&[standing_byte(document.standing)], message.id.as_bytes()]));
        keys.extend(document.findable().map(|(name, value)| document_key(name, value, &message.id, number)));
    }
    sorted(keys.into_iter())
}

fn are_worded_alike(one: &Message, other: &Message) -> bool {
    one.kind == other.kind && one.file_name == other.file_name && one.declaration == other.declaration
}

fn word_keys(message: &Message) -> Vec<Vec<u8>> {
    let id = message.id.as_bytes();
    sorted(other_words(message).iter().map(|word| key(b'w', &[word.as_bytes(), &[0], id])))
}

fn are_marked_alike(one: &Message, other: &Message) -> bool {
    is_alerting(one) == is_alerting(other) && one.owes_mdn() == other.owes_mdn()
}

fn is_alerting(message: &Message) -> bool {
    message.alerts.iter().any(Alert::is_open)
}

fn mark_keys(message: &Message) -> Vec<Vec<u8>> {
    let id = message.id.as_bytes();
    let marks = [(b'a', is_alerting(message)), (b'o', message.owes_mdn())];
    marks.into_iter().filter(|(_, is_set)| *is_set).map(|(view, _)| key(view, &[id])).collect()
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

/// Words by which people look for a message, in lower case: file name, Message-IDs without brackets, business keys.
pub(in crate::store) fn words(message: &Message) -> Vec<String> {
    let known_as = message_ids(message).map(without_brackets).filter(|_| message.kind == JobKind::Payload);
    let mut words = other_words(message);
    words.extend(known_as.map(word));
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
    let whole = whole_name(&message.file_name).filter(|_| message.direction == Direction::Inbound);
    let mut words: Vec<String> = texts.map(word).filter(|word| !word.is_empty()).take(WORDS).chain(whole).collect();
    words.sort_unstable();
    words.dedup();
    words
}

/// Every Message-ID that a message is known under.
pub(in crate::store) fn message_ids(message: &Message) -> impl Iterator<Item = &str> {
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

/// A name of which a word holds the beginning only, as a word that nobody types: who asks for the whole name is not led to all
/// that begin alike. `None`: its word is the name.
pub(in crate::store) fn whole_name(name: &str) -> Option<String> {
    if name.to_lowercase().len() <= WORD {
        return None;
    }
    let hash = hash_of(&[name]);
    hash.first_chunk::<16>().map(|half| format!("\u{1}{}", HEXLOWER.encode(half)))
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
    key(b'i', &[&[side(direction)], word(beginning(text)).as_bytes()])
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

/// The beginning of a Message-ID as people type or paste it, without its brackets; the second one may not be there yet.
pub(in crate::store) fn beginning(text: &str) -> &str {
    let bare = without_brackets(text);
    bare.strip_prefix('<').unwrap_or(bare)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::apply;
    use crate::store::record::{Body, Came, Fact, Folder, Publication};
    use crate::store::tests::support::{at, composed, id, queued, reason};

    #[test]
    fn a_fact_moves_the_keys_that_it_is_about_and_no_others_are_made_again() {
        let wire = Body { id: id(2), len: 4, sha256: None, crc32c: None };
        let retry = Fact::RetryAt { due: at(9), reason: reason("unreachable"), came: Came::Unknown };
        let files = vec![Publication { folder: Folder::Sent, name: "order.xml".to_owned(), files: Vec::new() }];
        let facts = [
            (Fact::Declared { documents: vec![vec![("orderNo".to_owned(), "1".to_owned())]] }, vec!["documents"]),
            (composed("<1@station>", wire, at(5)), vec!["due", "names"]),
            (Fact::Attempted { number: 1 }, vec![]),
            (retry, vec!["due"]),
            (Fact::Attempted { number: 2 }, vec![]),
            (Fact::Delivered { receipt: None, note: None, files }, vec!["due", "unpublished"]),
            (Fact::Staged { index: 0 }, vec![]),
            (Fact::Published { index: 0, name: "order.xml".to_owned() }, vec!["unpublished"]),
        ];
        let mut message = apply(None, id(1), at(1), &queued("customs", None)).unwrap();
        for (fact, expected) in facts {
            let before = message.clone();
            message = apply(Some(message), id(1), at(2), &fact).unwrap();
            let names = ["due", "names", "unpublished", "documents"];
            let moved = QUICK.iter().zip(names).filter(|(part, _)| !(part.are_alike)(&before, &message));
            let moved: Vec<&str> = moved.map(|(_, name)| name).collect();
            assert_eq!(moved, expected, "{fact:?}");
            for part in QUICK.iter().chain(&OTHER).filter(|part| (part.are_alike)(&before, &message)) {
                assert_eq!((part.keys)(&before), (part.keys)(&message), "{fact:?}");
            }
        }
    }

    #[test]
    fn lists_differ_in_what_one_has_and_the_other_has_not() {
        let keys = |text: &str| text.bytes().map(|byte| vec![byte]).collect::<Vec<Vec<u8>>>();
        let told = |old, new| {
            let changed = differences(keys(old), keys(new));
            let sign = |is_there: bool| if is_there { '+' } else { '-' };
            changed.iter().flat_map(|(key, is_there)| [sign(*is_there), char::from(key[0])]).collect::<String>()
        };
        assert_eq!(told("abd", "bcde"), "-a+c+e");
        assert_eq!(told("", "ab"), "+a+b");
        assert_eq!(told("ab", ""), "-a-b");
        assert_eq!(told("ab", "ab"), "");
    }
}
