//! A message on its way to being accepted, and how it came.

use std::sync::Arc;

use jiff::Timestamp;

use super::failures::Admission;
use crate::as2::AcceptPolicy;
use crate::as2::request::Request;
use crate::ground::id::Id;
use crate::partner::Partner;
use crate::store::draft::Draft;
use crate::store::record::DedupKey;

/// What a message is judged by: what was agreed when it was received, however much later it is opened. A certificate or
/// waiver whose time was over then does not count, and one whose time has ended since does.
pub(super) struct Agreed {
    /// When it was received.
    pub(super) at: Timestamp,
    /// What it has to satisfy.
    pub(super) policy: AcceptPolicy,
}

/// A message that may be accepted. Cheap to clone.
#[derive(Clone)]
pub(super) struct Candidate {
    /// The reception.
    pub(super) id: Id,
    pub(super) partner: Arc<Partner>,
    pub(super) request: Arc<Request>,
    pub(super) agreed: Arc<Agreed>,
}

impl Candidate {
    /// A message that was received at `at`.
    pub(super) fn new(id: Id, partner: Arc<Partner>, request: Arc<Request>, at: Timestamp) -> Candidate {
        let agreed = Arc::new(Agreed { at, policy: partner.accept_policy(at) });
        Candidate { id, partner, request, agreed }
    }

    /// What it claims by being accepted.
    pub(super) fn key(&self) -> DedupKey {
        dedup_key(&self.request)
    }
}

/// What identifies a message of a partner.
pub(super) fn dedup_key(request: &Request) -> DedupKey {
    DedupKey {
        from: request.from.as_str().to_owned(),
        to: request.to.as_str().to_owned(),
        message_id: request.message_id.key().to_owned(),
    }
}

/// The bytes of a message, and where they came from.
pub(super) struct Arrival {
    pub(super) wire: Draft,
    /// For evidence; none when it stands in the record already.
    pub(super) remote: Option<String>,
    /// Once it is accepted, it shows where its sender is if no recording has its signature; or in any case.
    shows_home: (bool, bool),
}

impl Arrival {
    pub(super) fn new(wire: Draft, remote: Option<String>, admission: Option<&Admission>) -> Arrival {
        let shows_home = admission.map(|admission| (admission.shows_home(true), admission.shows_home(false)));
        Arrival { wire, remote, shows_home: shows_home.unwrap_or_default() }
    }

    /// See [`Admission::shows_home`].
    pub(super) fn shows_home(&self, fresh: bool) -> bool {
        let (if_fresh, in_any_case) = self.shows_home;
        if fresh { if_fresh } else { in_any_case }
    }
}
