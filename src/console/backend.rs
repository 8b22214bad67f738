//! What the console needs of the gateway.

use std::io::Read;
use std::path::PathBuf;

use jiff::Timestamp;

use super::exchanges::Exchanges;
use super::runs::Runs;
use super::wire::partners::{CertificateWire, PartnerCheck, PartnerDetail, PartnerWire, StationWire};
use super::wire::traffic::{FiguresWire, PrecheckWire, QueueWire};
use crate::alerting::{NewSilence, Silence, Tested};
use crate::evidence::Exported;
use crate::ground::id::Id;
use crate::ground::text::Bilingual;
use crate::http::RequestBody;
use crate::outbound::Action;
use crate::store::backup::CopyProgress;
use crate::store::record::{Direction, Message, State};
use crate::store::trail::{Change, TrailFilter, TrailPage};
use crate::store::{DeclaredFilter, DeclaredPage, JournalReport, MessagePage, Raised};

/// The gateway as the console sees it; `app` implements it.
pub trait Backend: Exchanges + Runs {
    /// What keeps the gateway from working; empty when it is ready.
    fn readiness(&self) -> impl Future<Output = Vec<Unready>> + Send;

    /// The page for Prometheus, in its text format.
    fn metrics(&self) -> impl Future<Output = String> + Send;

    /// Messages that fit `query`, newest first, at most `query.limit`; a bounded number is looked at.
    fn messages(&self, query: Query) -> impl Future<Output = MessagePage> + Send;

    /// Documents that pass `filter`, newest message first.
    fn declarations(&self, filter: DeclaredFilter) -> impl Future<Output = DeclaredPage> + Send;

    /// One message.
    fn message(&self, id: Id) -> impl Future<Output = Option<Message>> + Send;

    /// Bytes of a message.
    fn download(&self, id: Id, part: Part) -> impl Future<Output = Result<Download, Refusal>> + Send;

    /// What the MDN of a message says to people.
    fn mdn_text(&self, id: Id) -> impl Future<Output = Result<String, Refusal>> + Send;

    /// Puts a change into the audit trail, and carries it out if the trail is all it takes (a pause); durable when this
    /// returns.
    fn record(&self, change: Change) -> impl Future<Output = Result<(), Refusal>> + Send;

    /// Some of the audit trail.
    fn trail(&self, filter: TrailFilter) -> impl Future<Output = TrailPage> + Send;

    /// Does `action`; durable when this returns. `asked` says who wants it, why and from where; the backend adds what
    /// was done to which message.
    fn act(&self, id: Id, action: Action, asked: Change) -> impl Future<Output = Result<Message, Refusal>> + Send;

    /// Queues `body` as file `name` for `partner`; durable when this returns. The backend sets the cap of `body`. The
    /// same `key` for the same partner means the same submission: nothing new is queued, the first one's id comes back.
    /// `change` says who submits; the backend adds which message.
    fn submit(
        &self,
        partner: String,
        name: String,
        body: RequestBody,
        key: Option<String>,
        change: Change,
    ) -> impl Future<Output = Result<Id, Refusal>> + Send;

    /// Lets everything go on that a restore has held, `asked` as for [`act`](Backend::act); returns how many messages.
    fn release_restored(&self, asked: Change) -> impl Future<Output = Result<u64, Refusal>> + Send;

    /// Starts a backup into `dir` on the gateway's machine, with private keys or without.
    fn start_backup(&self, dir: PathBuf, keys: bool) -> impl Future<Output = Result<(), Refusal>> + Send;

    /// The backup that runs, or the last one.
    fn backup(&self) -> impl Future<Output = BackupStatus> + Send;

    /// Writes the evidence of a message into `dir` on the gateway's machine.
    fn export(&self, id: Id, dir: PathBuf) -> impl Future<Output = Result<Exported, Refusal>> + Send;

    /// Takes what is kept of a message apart and checks it. A refusal with the code of what is damaged, 409.
    fn verify_message(&self, id: Id) -> impl Future<Output = Result<Exported, Refusal>> + Send;

    /// Reads the whole journal and checks it, bodies included.
    fn verify_journal(&self) -> impl Future<Output = Result<JournalReport, Refusal>> + Send;

    /// Open alerts: conditions of the gateway first, then those of at most `query.limit` messages, newest first.
    fn alerts(&self, query: AlertQuery) -> impl Future<Output = Vec<Raised>> + Send;

    /// Notes that a person has seen the alert with this name, `asked` as for [`act`](Backend::act); durable when this
    /// returns.
    fn acknowledge(&self, alert: String, asked: Change) -> impl Future<Output = Result<Raised, Refusal>> + Send;

    /// Silences that last.
    fn silences(&self) -> impl Future<Output = Vec<Silence>> + Send;

    /// Keeps alerts from being told for a while; durable when this returns.
    fn silence(&self, new: NewSilence) -> impl Future<Output = Result<Silence, Refusal>> + Send;

    /// Ends a silence; durable when this returns. `by` names who.
    fn end_silence(
        &self,
        id: String,
        reason: String,
        by: String,
    ) -> impl Future<Output = Result<Silence, Refusal>> + Send;

    /// Sends a test by every channel, or by the one with this name.
    fn test_alerts(&self, channel: Option<String>) -> impl Future<Output = Result<Vec<Tested>, Refusal>> + Send;

    /// All configured partners.
    fn partners(&self) -> impl Future<Output = Vec<PartnerWire>> + Send;

    /// One partner.
    fn partner(&self, id: String) -> impl Future<Output = Option<PartnerDetail>> + Send;

    /// What keeps messages from being exchanged with a partner.
    fn check_partner(&self, id: String) -> impl Future<Output = Option<PartnerCheck>> + Send;

    /// Reads the partner files now; one with a mistake leaves its partner as it was. `asked` as for
    /// [`act`](Backend::act): each partner that changes is an entry.
    fn reload_partners(&self, asked: Change) -> impl Future<Output = Result<PartnerCheck, Refusal>> + Send;

    /// Certificates of the station and of all partners.
    fn certificates(&self) -> impl Future<Output = Vec<CertificateWire>> + Send;

    /// Who we are.
    fn station(&self) -> impl Future<Output = StationWire> + Send;

    /// What waits.
    fn queue(&self) -> impl Future<Output = QueueWire> + Send;

    /// Throughput of the last 24 hours.
    fn figures(&self) -> impl Future<Output = FiguresWire> + Send;

    /// Checks a file that is neither sent nor kept. The backend sets the cap of `body`.
    fn precheck(
        &self,
        name: String,
        partner: Option<String>,
        body: RequestBody,
    ) -> impl Future<Output = Result<PrecheckWire, Refusal>> + Send;

    /// How many messages there are in each state.
    fn summary(&self) -> impl Future<Output = Vec<StateCount>> + Send;
}

/// Bytes of a message that can be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The exact bytes on the wire.
    Wire,
    /// The same for those who may not see payloads: refused (403) unless they are an envelope, or an MDN.
    SealedWire,
    /// The payload.
    Payload,
    /// The MDN.
    Mdn,
}

/// Bytes on their way out.
pub struct Download {
    /// A name for the file; it may be a stranger's.
    pub file_name: String,
    /// In bytes.
    pub len: u64,
    /// The bytes; the last of them come only if all are those that were stored.
    pub bytes: Box<dyn Read + Send>,
}

/// One reason why the gateway is not ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unready {
    /// Stable kebab-case code, shown to everybody.
    pub code: String,
    /// What is wrong and what to do, shown to those with a token.
    pub text: Bilingual,
}

/// Which messages are asked for; absent fields do not narrow.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Query {
    /// In one of these states; empty: in any.
    pub states: Vec<State>,
    /// Travelling this way.
    pub direction: Option<Direction>,
    /// With this partner (its id).
    pub partner: Option<String>,
    /// That came to be at this instant or later.
    pub from: Option<Timestamp>,
    /// That came to be before this instant.
    pub to: Option<Timestamp>,
    /// Whose file name, Message-ID or one of whose business keys begins with this.
    pub text: Option<String>,
    /// Whose file name contains this.
    pub name: Option<String>,
    /// With this AS2 Message-ID, with or without brackets.
    pub message_id: Option<String>,
    /// Only those that wait for a person since a restore.
    pub restored: bool,
    /// At most so many; the console asks for one more than it shows.
    pub limit: usize,
    /// Older than this message.
    pub before: Option<Id>,
}

impl Query {
    /// Most messages in one answer.
    pub const MAX_LIMIT: usize = 500;
    /// Messages in one answer when nothing is said.
    pub const DEFAULT_LIMIT: usize = 50;
}

/// A backup that runs or has ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BackupStatus {
    /// It goes on.
    pub running: bool,
    /// How far it is.
    pub progress: CopyProgress,
    /// The last frame in it, once it is done.
    pub sequence: Option<u64>,
    /// That frame's hash.
    pub chain: Option<String>,
    /// Bytes of its files.
    pub bytes: u64,
    /// How many files.
    pub files: u64,
    /// What the configuration names and the backup does not have.
    pub left_out: Vec<String>,
    /// Code and text of why there is none.
    pub failed: Option<(String, Bilingual)>,
}

/// Which open alerts are asked for; absent fields do not narrow.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AlertQuery {
    /// About this partner (its id).
    pub partner: Option<String>,
    /// At most so many messages; the console asks for one more than it shows.
    pub limit: usize,
    /// About messages older than this one; then without conditions of the gateway.
    pub before: Option<Id>,
}

/// Why the gateway did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status that tells whose fault it is: 404 unknown, 409 state, 413 size, 422 content, 503 ours.
    pub status: u16,
    /// Stable kebab-case code.
    pub code: String,
    /// What, where, what to do.
    pub text: Bilingual,
}

/// Messages in one state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateCount {
    /// The state.
    pub state: State,
    /// How many.
    pub count: u64,
}
