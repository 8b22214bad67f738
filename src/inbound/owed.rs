//! Answers to what was accepted before, by its record: the certificate that it was signed with, or our key that opened it, may
//! be gone by now, and it was accepted all the same.
//!
//! | what | how it is answered |
//! |---|---|
//! | accepted when no key could sign, and owed an asynchronous MDN | with what its record says, as soon as a key can; it is not judged again |
//! | it comes again, and does not open any more | if these are the very bytes, like any repetition |
//! | the same, and its bytes are damaged or gone, so that nothing shows that these are the same | like what was never accepted |
//!
//! Who sends the bytes of an accepted message again hears what was said of them before, and nothing else: whoever has them could
//! have been told so while they opened. Other bytes under its Message-ID are judged like any others.

use std::io::{self, ErrorKind, Read};

use super::Inbound;
use super::candidate::Candidate;
use super::key_locks::InTurn;
use super::no_answer::NoAnswer;
use super::open::NotOpened;
use super::publish::Vouched;
use super::reply::{Answer, Asked};
use crate::ground::drain;
use crate::store::Store;
use crate::store::draft::Draft;
use crate::store::record::{Body, Message, State};

/// Bytes that are compared at a time.
const PIECE: usize = 64 * 1024;

/// What is known of bytes that do not open.
pub(super) enum Known {
    /// Nothing; here they are.
    Nothing(Draft),
    /// They were accepted under the same key.
    Accepted(Box<Earlier>),
}

/// Bytes that were accepted before. Nobody else is judged at their key until this is dropped.
pub(super) struct Earlier {
    pub(super) wire: Draft,
    pub(super) vouched: Vouched,
    pub(super) record: Message,
    _turn: InTurn,
}

impl Inbound {
    /// Makes the MDN that an accepted message is owed.
    pub(super) async fn answer_owed(&self, candidate: &Candidate, wire: Body) -> Result<Answer, NoAnswer> {
        let _in_turn = self.keys.lock(candidate.key()).await;
        let owing = self.store.message(&candidate.id).filter(Message::owes_mdn);
        // A repetition may have brought it about meanwhile.
        let Some(record) = owing else { return Ok(Answer { mdn: None, queued: false }) };
        let vouched = match Vouched::by_record(&record) {
            Some(vouched) => vouched,
            None => self.opened_again(candidate, &record, wire).await?,
        };
        let Candidate { id, partner, request, .. } = candidate;
        let asked = Asked { id: *id, asking: *id, partner, request };
        self.answer(&asked, &vouched.disposition, vouched.mic.as_ref()).await
    }

    /// What the MDN of an accepted message says, where its record does not tell: that takes its bytes.
    async fn opened_again(&self, candidate: &Candidate, record: &Message, wire: Body) -> Result<Vouched, NoAnswer> {
        let (_, opened) = self.open(candidate, Draft::Stored(wire)).await;
        match opened {
            Ok(verified) => {
                let other = || NoAnswer::Storage(io::Error::other("what was accepted has other content now"));
                Vouched::opened_again(record, &verified.opened).ok_or_else(other)
            }
            Err(NotOpened::Storage(error)) => Err(NoAnswer::Storage(error)),
            Err(NotOpened::Refused(failure) | NotOpened::Revoked(failure)) => Err(NoAnswer::Accepted(failure)),
        }
    }

    /// Whether bytes that do not open were accepted before, under the same key.
    ///
    /// # Errors
    /// They cannot be compared for now: the partner shall try again. What is damaged or gone would never be, and is known no more.
    pub(super) async fn known(&self, candidate: &Candidate, wire: Draft) -> io::Result<Known> {
        // Whoever is at the key may be about to accept a copy.
        let turn = self.keys.lock(candidate.key()).await;
        let Some(record) = self.accepted_before(candidate) else { return Ok(Known::Nothing(wire)) };
        let body = record.wire.filter(|body| body.len == wire.len());
        let Some(body) = body else { return Ok(Known::Nothing(wire)) };
        let store = self.store.clone();
        let compared = drain::blocking(move || (is_same(&store, &wire, &body), wire)).await;
        let (same, wire) = compared.map_err(io::Error::other)?;
        let same = match same {
            Err(error) if is_damage(&error) => false,
            same => same?,
        };
        match Vouched::by_record(&record).filter(|_| same) {
            Some(vouched) => Ok(Known::Accepted(Box::new(Earlier { wire, vouched, record, _turn: turn }))),
            None => Ok(Known::Nothing(wire)),
        }
    }

    /// Another message that was accepted under the same key.
    fn accepted_before(&self, candidate: &Candidate) -> Option<Message> {
        let record = self.store.by_dedup_key(&candidate.key())?;
        (record.state == State::Accepted && record.id != candidate.id).then_some(record)
    }
}

/// The bytes are not there any more, or others are: no later try finds them.
fn is_damage(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::NotFound | ErrorKind::UnexpectedEof)
}

/// Whether a body has the bytes of a draft, which is as long.
fn is_same(store: &Store, draft: &Draft, body: &Body) -> io::Result<bool> {
    let (mut ours, mut theirs) = (store.read(body)?, draft.open(store)?);
    let (mut our_piece, mut their_piece) = (Vec::with_capacity(PIECE), Vec::with_capacity(PIECE));
    loop {
        our_piece.clear();
        their_piece.clear();
        let most = u64::try_from(PIECE).unwrap_or(u64::MAX);
        ours.by_ref().take(most).read_to_end(&mut our_piece)?;
        theirs.by_ref().take(most).read_to_end(&mut their_piece)?;
        if our_piece != their_piece {
            return Ok(false);
        }
        if our_piece.is_empty() {
            return Ok(true);
        }
    }
}
