//! How long a message is kept, as facts: legal hold, the end of its payload, its own end.

use jiff::Timestamp;

use super::apply::BadTransition;
use super::record::{Body, Content, Direction, Fact, LegalHold, Message, PayloadPurge, PublicationStage};
use crate::ground::id::Id;

/// Whether the fact is about how long a message is kept, not about its journey.
pub(super) fn is_keeping(fact: &Fact) -> bool {
    use Fact::{BodiesDropped, LegalHeld, LegalReleased, PayloadPurged, Purged};
    matches!(
        fact,
        LegalHeld { .. } | LegalReleased { .. } | PayloadPurged { .. } | Purged { .. } | BodiesDropped { .. }
    )
}

/// Facts of retention and legal hold, the same in both directions.
pub(super) fn apply(message: &mut Message, at: Timestamp, fact: &Fact) -> Result<(), BadTransition> {
    let state = message.state;
    let only = |lawful: bool| if lawful { Ok(()) } else { Err(BadTransition::State { fact: fact.name(), state }) };
    match fact {
        Fact::LegalHeld { reason, by } => {
            only(message.legal_hold.is_none())?;
            message.legal_hold = Some(LegalHold { at, by: by.clone(), reason: reason.clone() });
        }
        Fact::LegalReleased { .. } => {
            only(message.legal_hold.is_some())?;
            message.legal_hold = None;
        }
        Fact::PayloadPurged { bodies, .. } => {
            only(message.may_expire() && message.payload_purged.is_none())?;
            message.payload_purged = Some(PayloadPurge { at, bodies: bodies.clone() });
        }
        Fact::Purged { bodies, .. } => {
            // What came after the decision shall not go with it.
            only(message.may_expire() && message.bodies().iter().all(|body| bodies.contains(&body.id)))?;
            message.gone = true;
        }
        Fact::BodiesDropped { bodies, .. } => {
            only(message.legal_hold.is_none() && bodies.iter().all(|id| message.is_spare(id)))?;
            message.others.retain(|other| !bodies.contains(&other.id));
            for earlier in &mut message.earlier {
                earlier.wire.take_if(|wire| bodies.contains(&wire.id));
            }
        }
        _ => only(false)?,
    }
    Ok(())
}

impl Message {
    /// The body is kept, and neither a field that is shown nor an MDN.
    fn is_spare(&self, id: &Id) -> bool {
        let strays = self.strays.iter().map(|stray| &stray.receipt);
        let is_mdn = strays.chain(&self.further_receipts).any(|receipt| receipt.body.id == *id);
        !is_mdn && self.others.iter().any(|other| other.id == *id)
    }

    /// Every body of the message whose bytes are kept.
    pub fn bodies(&self) -> Vec<Body> {
        let mut bodies: Vec<Body> = self.shown().collect();
        bodies.sort_unstable_by_key(|body| *body.id.as_bytes());
        bodies.dedup_by_key(|body| body.id);
        bodies.extend(self.others.iter().copied());
        if self.payload_purged.is_some() {
            bodies.retain(|body| !self.is_purged(&body.id));
        }
        bodies
    }

    /// Whether the body is one of [`bodies`](Message::bodies).
    pub(super) fn keeps(&self, id: &Id) -> bool {
        !self.is_purged(id) && self.shown().chain(self.others.iter().copied()).any(|body| body.id == *id)
    }

    fn is_purged(&self, id: &Id) -> bool {
        self.payload_purged.as_ref().is_some_and(|purge| purge.bodies.contains(id))
    }

    /// The bodies that go when the payload's time is over, with what was taken out of it for users: those that are not
    /// evidence as well.
    pub fn payload_bodies(&self) -> Vec<Id> {
        let evidence = |id: &Id| {
            self.wire.is_some_and(|wire| wire.id == *id)
                || self.receipt.as_ref().is_some_and(|receipt| receipt.body.id == *id)
                || self.others.iter().any(|other| other.id == *id)
        };
        // What we send is published as it is, and MDNs beside it.
        let taken_out = self.published().filter(|_| self.direction == Direction::Inbound);
        let mut going: Vec<Id> = self.payload.into_iter().chain(taken_out).map(|body| body.id).collect();
        going.sort_unstable();
        going.dedup();
        going.retain(|id| self.keeps(id) && !evidence(id));
        going
    }

    /// Whether its journey is over, users have its files, and no person said that it must be kept.
    pub fn may_expire(&self) -> bool {
        let published = |stage: &PublicationStage| matches!(stage, PublicationStage::Published(_));
        let settled = self.state.is_final() && !self.restored;
        settled && self.legal_hold.is_none() && self.publications.iter().all(|(_, stage)| published(stage))
    }

    /// Bodies that fields other than `others` name; one may come more than once.
    fn shown(&self) -> impl Iterator<Item = Body> {
        let receipt = self.receipt.as_ref().map(|receipt| receipt.body);
        self.payload.into_iter().chain(self.wire).chain(receipt).chain(self.published())
    }

    /// Bodies that publications name.
    fn published(&self) -> impl Iterator<Item = Body> {
        let files = self.publications.iter().flat_map(|(publication, _)| &publication.files);
        files.filter_map(|(_, content)| match content {
            Content::Body(body) => Some(*body),
            Content::Text(_) => None,
        })
    }

    /// Kept bodies of the fields in which a fact may put another one. What publications name is never replaced.
    pub(super) fn replaceable(&self) -> [Option<Body>; 3] {
        let receipt = self.receipt.as_ref().map(|receipt| receipt.body);
        [self.payload, self.wire, receipt].map(|body| body.filter(|body| !self.is_purged(&body.id)))
    }

    /// Keeps the names of bodies that no field shows after a fact. `before` are those that it may have replaced: a fact that names
    /// no body has replaced none.
    pub(super) fn remember(&mut self, before: [Option<Body>; 3], fact: &Fact) {
        let named = fact.bodies();
        if named.is_empty() {
            return;
        }
        for body in before.into_iter().flatten().chain(named) {
            if !self.shown().any(|shown| shown == body) && !self.others.contains(&body) {
                self.others.push(body);
            }
        }
    }
}
