//! What people page through, and what keeping goes through: the map gets everything first, and is read as it is then.

use super::keys::{message_id_beginning, partner_prefix, standing_byte, state_byte, trailing_id, word_prefix};
use super::lists::{self, BODIES};
use super::packed::unpack;
use super::{Index, Location, Stored};
use crate::declaration::standing::Standing;
use crate::ground::id::Id;
use crate::store::db::DbError;
use crate::store::record::{Direction, State};

/// A set of messages that has a key order of its own.
pub(in crate::store) enum View<'a> {
    All,
    State(State),
    Partner(&'a str),
    Alerting,
    Declared,
    Standing(Standing),
    Owing,
}

impl Index {
    /// Ids of a view, latest first, older than `before`.
    pub(in crate::store) fn latest_first(
        &self,
        view: &View<'_>,
        before: Option<Id>,
    ) -> impl Iterator<Item = Result<Id, DbError>> + use<> {
        let prefix = match view {
            View::All => vec![b'm'],
            View::State(state) => vec![b's', state_byte(*state)],
            View::Partner(partner) => partner_prefix(b'p', partner),
            View::Alerting => vec![b'a'],
            View::Declared => vec![b'c'],
            View::Standing(standing) => vec![b'e', standing_byte(*standing)],
            View::Owing => vec![b'o'],
        };
        let mut end = prefix.clone();
        match before {
            Some(id) => end.extend_from_slice(id.as_bytes()),
            None => end.extend_from_slice(&[0xff; 17]),
        }
        let entries = self.whole(|db| -> Box<dyn Iterator<Item = Stored>> {
            if lists::is_block(&prefix) {
                // A block may be cut in two meanwhile.
                return Box::new(db.back_from_anew(&prefix, &end));
            }
            Box::new(db.back_from(&prefix, &end))
        });
        entries.flat_map(move |entry| match entry {
            Ok((key, block)) if lists::is_block(&key) => {
                let ids = lists::records(&key, &block).map(|(id, _)| id).rev();
                ids.filter(|id| before.is_none_or(|before| *id < before)).map(Ok).collect()
            }
            Ok((key, _)) => trailing_id(&key).into_iter().map(Ok).collect(),
            Err(error) => Vec::from([Err(error)]),
        })
    }

    /// The oldest message in a state.
    pub(in crate::store) fn oldest(&self, state: State) -> Result<Option<Id>, DbError> {
        let first = self.whole(|db| db.scan(&[b's', state_byte(state)])).next().transpose()?;
        Ok(first.and_then(|(key, block)| lists::records(&key, &block).next().map(|(id, _)| id)))
    }

    /// Messages that may have a word that begins with `text`.
    pub(in crate::store) fn mentioning(&self, text: &str) -> impl Iterator<Item = Result<Id, DbError>> + use<> {
        let [sent, received] = [Direction::Outbound, Direction::Inbound].map(|side| message_id_beginning(side, text));
        let view = self.whole(|db| db.scan(&word_prefix(text)).chain(db.scan(&sent)).chain(db.scan(&received)));
        view.filter_map(|entry| entry.map(|(key, _)| trailing_id(&key)).transpose())
    }

    /// Entries of a view in the order of their keys; of lists, a record at a time, wherever its block begins.
    pub(in crate::store) fn records(
        &self,
        view: u8,
    ) -> impl Iterator<Item = Result<(Vec<u8>, Vec<u8>), DbError>> + use<> {
        self.entries(view).flat_map(|entry| match entry {
            Ok((key, block)) if lists::is_block(&key) => {
                let prefix = key.split_last_chunk::<16>().map(|(prefix, _)| prefix).unwrap_or_default();
                let records = lists::records(&key, &block);
                records.map(|(id, rest)| Ok(([prefix, id.as_bytes()].concat(), rest.to_vec()))).collect()
            }
            Ok((key, value)) => Vec::from([Ok((key.to_vec(), value.to_vec()))]),
            Err(error) => Vec::from([Err(error)]),
        })
    }

    /// All messages, oldest first: the sequence up to which every fact is in them, and their JSON.
    pub(in crate::store) fn messages(&self) -> impl Iterator<Item = Result<(u64, Vec<u8>), DbError>> + use<> {
        self.entries(b'm').map(|entry| unpack(&entry?.1))
    }

    /// All bodies and where they are, in the order of their identifiers; those added or moved meanwhile may be missing or
    /// come twice.
    pub(in crate::store) fn bodies(&self) -> impl Iterator<Item = Result<(Id, Location), DbError>> + use<> {
        self.whole(|db| db.scan(BODIES)).flat_map(|block| match block {
            Ok((key, block)) => {
                let bodies = lists::records(&key, &block).map(|(id, place)| Some((id, Location::decode(place)?)));
                bodies.flatten().map(Ok).collect()
            }
            Err(error) => Vec::from([Err(error)]),
        })
    }
}
