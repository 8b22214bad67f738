//! The outbound flow: a file in an outbox becomes a verified MDN.
//!
//! 1. [`scan`] finds a settled file and **claims** it by renaming it to `.claimed/<id>~<name>`.
//! 2. `precheck` refuses what customs could not read (partners with profile `dxp`), `earlier` what does not fit what was
//!    sent before; `signing` adds the signature that the partner's file asks for; what was bare is wrapped in a DxpMsg.
//! 3. `compose` makes the wire bytes, **once**: Message-ID, Date, boundaries, ciphertext and MICs are fixed here.
//! 4. `intake` commits payload, wire and the facts `Queued` + `Composed` in one transaction; only then the claimed
//!    file goes away (`disposal`).
//! 5. `dispatch` leases due messages, `send` commits `Attempted` and POSTs exactly the stored bytes (`outgoing`), as the
//!    partner's file says that its server is reached (`clients`).
//!    While a server cannot be reached, `circuit` lets one attempt at a time probe it; `restart` lets a transfer go on
//!    where it broke off.
//! 6. `receipt` verifies the MDN (in the response, or POSTed later) and settles; [`retry`] decides what follows
//!    otherwise.
//! 7. The store's publisher puts the original into `sent/` or `failed/` and the MDN into `receipts/`.
//!
//! States are drawn in [`crate::store::record`]. Crash table:
//!
//! | power fails after | on disk | restart does |
//! |---|---|---|
//! | claim, before the commit of step 4 | file in `.claimed/` | takes it up again under the same id |
//! | commit, before the claimed file is removed or, a long one, put aside | message and file | knows the id, removes or moves the file |
//! | commit, before an attempt | `Composed` | sends the stored bytes |
//! | socket opened, answer unknown | `Sending` | due again, the attempt stays counted; same bytes, same Message-ID |
//! | MDN received, before it is committed | `Sending` | sends again; the partner repeats its MDN |
//! | settled, before publication | `Delivered`/`Failed` and the promise | publishes |

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::declaration::precheck::codes::CodeTables;
use crate::ground::clock::Clock;
use crate::ground::id::Id;
use crate::ground::lanes::Lanes;
use crate::ground::limits::Limits;
use crate::partner::{Directory, Station};
use crate::store::record::{Fact, Reason, State};
use crate::store::{CommitError, Precondition, Store, Transaction};

mod absent;
mod bundle;
mod circuit;
mod clients;
mod compose;
mod dispatch;
mod disposal;
mod earlier;
mod envelope;
mod environment;
mod exchange;
mod intake;
mod operator;
mod outcome;
mod outgoing;
mod precheck;
mod receipt;
mod resend;
mod restart;
pub mod retry;
mod revoked;
pub mod scan;
mod send;
mod signing;
#[cfg(test)]
mod specimens;
mod sweep;
mod terms;
mod trial;
mod troubles;

pub use clients::client_settings;
pub use exchange::{Asking, ExchangeError};
pub use intake::IntakeError;
pub use operator::{Action, ActionError};
pub use receipt::Arrival;
pub use sweep::prepare_folders;
pub use trial::Repeated;
pub use troubles::Stuck;

/// Settings of the flow, translated from the configuration by `app`.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `exchange/`, with one folder tree per partner.
    pub exchange: PathBuf,
    /// Time between sweeps when no watcher wakes them.
    pub sweep: Duration,
    /// How long a file must stay unchanged.
    pub settle: Duration,
    /// Name patterns that are never taken.
    pub ignore: Vec<String>,
    /// Deliveries at a time, all partners together.
    pub workers: usize,
    /// Folder whose filesystem must keep the floor free.
    pub data: PathBuf,
    /// Bytes that must stay free; below, nothing is taken.
    pub free_space_floor: u64,
    /// Right-hand side of our Message-IDs.
    pub message_id_host: String,
}

/// The flow's parts; cheap to clone.
#[derive(Clone)]
pub struct Outbound {
    store: Store,
    station: Arc<Station>,
    directory: Arc<ArcSwap<Directory>>,
    tables: Arc<ArcSwap<CodeTables>>,
    clock: Arc<dyn Clock>,
    limits: Limits,
    settings: Arc<Settings>,
    clients: Arc<clients::Clients>,
    circuits: Arc<circuit::Circuits>,
    /// MDNs dropped because nobody vouches for them.
    unproven: Arc<AtomicU64>,
    /// Compositions at a time: they are pure computation.
    compositions: Lanes,
    signing: Arc<signing::Signing>,
    troubles: Arc<troubles::Troubles>,
    /// Declarations that are not in the journal yet.
    preparing: Arc<earlier::Preparing>,
    trials: Arc<trial::Trials>,
    /// Claimed files that have done their service.
    disposal: Arc<disposal::Disposal>,
    /// Held by whoever asks for or answers about certificates, so that an exchange is answered once.
    exchanging: Arc<tokio::sync::Mutex<()>>,
}

/// What the flow stands on.
pub struct Parts {
    /// Journal, queue and bodies.
    pub store: Store,
    /// Our side.
    pub station: Arc<Station>,
    /// The partners, swapped on reload.
    pub directory: Arc<ArcSwap<Directory>>,
    /// Code tables of the pre-check, swapped on reload.
    pub tables: Arc<ArcSwap<CodeTables>>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Caps on input.
    pub limits: Limits,
}

/// Why nothing is taken for the moment.
fn disk_nearly_full(free: u64) -> Reason {
    let mebibytes = free / (1024 * 1024);
    let text = crate::bilingual!(
        "数据盘仅剩约 {mebibytes} MiB，低于下限，暂不取件；文件留在发件箱。请腾出空间。",
        "only {mebibytes} MiB are free on the data filesystem, below the floor: nothing is taken, files wait. Make room."
    );
    Reason { code: "disk-nearly-full".to_owned(), text }
}

impl Outbound {
    /// Assembles the flow; nothing runs yet.
    pub fn new(parts: Parts, settings: Settings) -> Outbound {
        Outbound {
            store: parts.store,
            station: parts.station,
            directory: parts.directory,
            tables: parts.tables,
            clock: parts.clock,
            limits: parts.limits,
            settings: Arc::new(settings),
            clients: Arc::default(),
            circuits: Arc::default(),
            unproven: Arc::default(),
            compositions: Lanes::new(),
            signing: Arc::default(),
            troubles: Arc::default(),
            preparing: Arc::default(),
            trials: Arc::default(),
            disposal: Arc::default(),
            exchanging: Arc::default(),
        }
    }

    /// Whether a partner's own server, which takes payloads, did not answer several times.
    pub fn is_down(&self, partner: &str) -> bool {
        self.circuits.is_down(partner)
    }

    /// The code tables of the pre-check as they are by now.
    pub fn tables(&self) -> Arc<CodeTables> {
        self.tables.load_full()
    }

    /// Commits one fact about a message that must still be in one of `states`. `Ok(false)`: it no longer is.
    async fn fact_if(&self, id: Id, states: &[State], fact: Fact) -> Result<bool, CommitError> {
        let mut transaction = Transaction::new(self.clock.now());
        transaction.require(Precondition::StateIs(id, states.to_vec()));
        transaction.fact(id, fact);
        match self.store.commit(transaction).await {
            Ok(_) => Ok(true),
            Err(CommitError::Conflict(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
