//! The inbound flow: an HTTP request becomes a file in an inbox and an MDN.
//!
//! 1. [`receive`] finds the partner by its AS2 names, streams the body under caps, reads the head.
//! 2. `open` decrypts, decompresses and verifies under the partner's agreement as of when the message came (`candidate`),
//!    into quarantine.
//! 3. `publish` commits wire, payload and the fact `Accepted` in one transaction, which claims the message's key
//!    (AS2-From, AS2-To, Message-ID) **after** its signature verified; what this proves is [`Stored`](crate::as2::proof::Stored).
//!    Of two copies each has its turn (`key_locks`).
//! 4. `reply` builds the MDN; a positive one needs the proofs of steps 2 and 3. It is part of the same transaction
//!    (`Answered`) and is sent once that is durable, so that a duplicate gets the same bytes. All from decrypting to signing is
//!    one job on the blocking pool.
//! 5. The store's publisher renames the staged payload into `inbox/`; `unwrap` has put the declaration of a DxpMsg in
//!    front of its envelope.
//!
//! For an asynchronous MDN, step 1 ends with the fact `Received` and an empty 2xx; the rest follows, and the MDN is a
//! job in the queue.
//!
//! | power fails after | on disk | restart does |
//! |---|---|---|
//! | part of the body | nothing that counts; by agreement, what came | the sender got no answer and sends again, or what is missing |
//! | `Received` | wire | opens it |
//! | `Accepted` with `Answered` | wire, payload, the key, the MDN | publishes; a repetition gets these bytes |
//! | `Accepted` alone (no key could sign) | wire, payload, the key | publishes; an asynchronous MDN that is owed is made, a synchronous one when the sender repeats |
//!
//! `unsettled` knows what waits there for a key, a partner's file or room, `refusals` what was refused lately. `owed` answers what was accepted by its record, when it need not open any more. `failures` counts what could not be opened, and refuses those who guess; `recordings` tells what a partner sends now from a recording of it. `restart` lets a sender whose connection broke off go on where it did.
//! `strangers` answers what is refused by its head alone; `file_names` refuses names where the agreement wants each once.
//!
//! A refusal (`Declined`, in `decline`) claims nothing: the partner may send the message again.

use std::sync::Arc;

use arc_swap::ArcSwap;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use tokio::sync::Semaphore;

use crate::ground::clock::Clock;
use crate::ground::drain::{Shutdown, Tasks};
use crate::ground::lanes::Lanes;
use crate::ground::limits::Limits;
use crate::ground::network::Network;
use crate::ground::space::Space;
use crate::partner::{Directory, Partner, Station};
use crate::store::Store;

mod answers;
mod asynchronous;
mod candidate;
mod decline;
mod exchange;
mod failures;
mod file_names;
mod key_locks;
#[cfg(test)]
mod later_tests;
mod no_answer;
mod open;
mod owed;
mod publish;
mod reasons;
pub mod receive;
mod recordings;
mod refusals;
mod reply;
mod restart;
mod signature;
#[cfg(test)]
mod specimens;
mod strangers;
mod terms;
mod unsettled;
mod unwrap;
mod waiting;

use failures::Failures;
pub use failures::{FailureLimits, LimitLabels};
use key_locks::KeyLocks;
pub use receive::{Arrived, MdnArrived, MessageArrived};
use recordings::Recordings;
pub use refusals::Refused;
pub use unsettled::Unsettled;

/// Settings of the flow, translated from the configuration by `app`.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Path of the AS2 endpoint.
    pub path: String,
    /// Room for bodies; without it they are refused with 503.
    pub space: Space,
    /// How many failed openings an hour are too many.
    pub failures: FailureLimits,
    /// Proxies in front of the listeners that say for whom they speak.
    pub trusted_proxies: Vec<Network>,
}

/// The flow's parts; cheap to clone.
#[derive(Clone)]
pub struct Inbound {
    store: Store,
    station: Arc<Station>,
    directory: Arc<ArcSwap<Directory>>,
    clock: Arc<dyn Clock>,
    limits: Limits,
    settings: Arc<Settings>,
    tasks: Tasks,
    stop: Shutdown,
    /// Openings at a time: they are pure computation.
    openings: Lanes,
    /// Whose part is read again before it goes on: one at a time, since anybody may ask for it with a few bytes.
    resumptions: Arc<Semaphore>,
    keys: Arc<KeyLocks>,
    failures: Arc<Failures>,
    recordings: Arc<Recordings>,
    unsettled: Arc<unsettled::Waiting>,
    refusals: Arc<refusals::Refusals>,
}

/// What the flow stands on.
pub struct Parts {
    /// Journal, queue and bodies.
    pub store: Store,
    /// Our side.
    pub station: Arc<Station>,
    /// The partners, swapped on reload.
    pub directory: Arc<ArcSwap<Directory>>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Caps on input.
    pub limits: Limits,
    /// Where receptions with asynchronous MDNs are worked on.
    pub tasks: Tasks,
    /// Ends their waiting for another try.
    pub stop: Shutdown,
}

impl Inbound {
    /// Assembles the flow; nothing runs yet.
    pub fn new(parts: Parts, settings: Settings) -> Inbound {
        let failures = Failures::new(settings.failures, parts.clock.clone());
        let recordings = Recordings::new(parts.clock.clone());
        Inbound {
            store: parts.store,
            station: parts.station,
            directory: parts.directory,
            clock: parts.clock,
            limits: parts.limits,
            settings: Arc::new(settings),
            tasks: parts.tasks,
            stop: parts.stop,
            openings: Lanes::new(),
            resumptions: Arc::new(Semaphore::new(1)),
            keys: Arc::new(KeyLocks::default()),
            failures: Arc::new(failures),
            recordings: Arc::new(recordings),
            unsettled: Arc::default(),
            refusals: Arc::default(),
        }
    }

    /// Partners in whose name more messages failed to open within the hour than are tolerated.
    pub fn pressed(&self) -> Vec<String> {
        self.failures.pressed()
    }

    /// What was taken with a promise to answer later and cannot be opened or answered, by partner.
    pub fn unsettled(&self) -> Vec<Unsettled> {
        self.unsettled.by_partner()
    }

    /// What was refused of partners within the last day.
    pub fn refused_lately(&self) -> Vec<Refused> {
        self.refusals.lately(self.clock.now())
    }

    /// Messages that were refused unopened, because too many before them had failed.
    pub fn refused(&self) -> Family<LimitLabels, Counter> {
        self.failures.figures()
    }

    /// The enabled partner that calls itself `from`, when `to` is our name.
    fn partner_of(&self, from: &str, to: &str) -> Option<Arc<Partner>> {
        if to != self.station.as2_name.as_str() {
            return None;
        }
        self.directory.load().by_as2_name(from).filter(|partner| partner.enabled).cloned()
    }
}
