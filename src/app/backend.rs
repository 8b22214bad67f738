//! The flows as the console and programs in the same process see them.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

use super::alerts;
use super::backup::BackupJob;
use super::keeping;
use super::live::Traffic;
use super::metrics::Metrics;
use super::reload::Reloading;
use super::runs::RunJob;
use super::submissions::{Claim, UnderWay};
use super::{partners, show};
use crate::alerting::{NewSilence, Silence, Telling, Tested};
use crate::bilingual;
use crate::cms::DigestAlgorithm;
use crate::config::Config;
use crate::console::wire::partners::{CertificateWire, PartnerCheck, PartnerDetail, PartnerWire, StationWire};
use crate::console::wire::traffic::{FiguresWire, PrecheckWire, QueueWire};
use crate::console::{Action, AlertQuery, Backend, BackupStatus, Download, Part, Query, Refusal, StateCount, Unready};
use crate::evidence::Exported;
use crate::ground::clock::Clock;
use crate::ground::drain::{self, Tasks};
use crate::ground::id::Id;
use crate::ground::space::{NoRoom, Promise, Space};
use crate::ground::text::Bilingual;
use crate::http::{BodyError, RequestBody};
use crate::inbound::{Inbound, LimitLabels, Refused, Unsettled};
use crate::outbound::{ActionError, IntakeError, Outbound};
use crate::partner::Directory;
use crate::store::draft::{Draft, Sink};
use crate::store::record::Message;
use crate::store::trail::{Change, TrailFilter, TrailPage};
use crate::store::{DeclaredFilter, DeclaredPage, Filter, JournalReport, MessagePage, Raised, Store};

/// How long a submission key is remembered, in hours.
const KEY_HOURS: i64 = 24;
/// Files for the pre-check that are in memory at a time.
const PRECHECKS: usize = 4;
/// Bytes of a file for the pre-check that waits for no turn.
const SHORT: u64 = 1024 * 1024;
/// Bytes of a submitted file of unknown length that are promised room at a time; more than a chunk.
const STEP: u64 = 8 * 1024 * 1024;

/// A handle on a running gateway; cheap to clone.
#[derive(Clone)]
pub struct GatewayBackend {
    pub(super) config: Arc<Config>,
    pub(super) store: Store,
    pub(super) outbound: Outbound,
    inbound: Inbound,
    pub(super) directory: Arc<ArcSwap<Directory>>,
    pub(super) reloading: Arc<Reloading>,
    pub(super) clock: Arc<dyn Clock>,
    backups: BackupJob,
    space: Space,
    metrics: Option<Metrics>,
    telling: Telling,
    pub(super) traffic: Traffic,
    pub(super) runs: RunJob,
    submissions: UnderWay,
    /// Turns at the pre-check.
    prechecks: Arc<tokio::sync::Semaphore>,
    /// The turn to take a message apart in the folder for temporary files.
    verifying: Arc<tokio::sync::Mutex<()>>,
    /// Held by whoever takes a partner's certificates into its file.
    pub(super) accepting: Arc<tokio::sync::Mutex<()>>,
    pub(super) started: Timestamp,
}

impl GatewayBackend {
    pub(super) fn new(
        config: Arc<Config>,
        store: Store,
        (outbound, inbound, tasks): (Outbound, Inbound, Tasks),
        reloading: Arc<Reloading>,
        clock: Arc<dyn Clock>,
        space: Space,
        telling: Telling,
    ) -> GatewayBackend {
        let (backups, traffic, runs) = (BackupJob::default(), Traffic::default(), RunJob::new(tasks));
        let started = clock.now();
        GatewayBackend {
            config,
            store,
            outbound,
            inbound,
            directory: reloading.directory.clone(),
            reloading,
            clock,
            backups,
            space,
            metrics: None,
            telling,
            traffic,
            runs,
            submissions: UnderWay::default(),
            prechecks: Arc::new(tokio::sync::Semaphore::new(PRECHECKS)),
            verifying: Arc::default(),
            accepting: Arc::default(),
            started,
        }
    }

    /// The same with a page for Prometheus. The metrics themselves hold one without, or neither would ever be dropped.
    pub(super) fn with(self, metrics: Metrics) -> GatewayBackend {
        GatewayBackend { metrics: Some(metrics), ..self }
    }

    /// How long to sleep for something that is due in `wait`.
    pub(super) fn nap(&self, wait: Duration) -> Duration {
        self.clock.nap(wait)
    }

    /// The configuration and the partners as they are by now.
    pub(super) fn settings(&self) -> (&Config, Arc<Directory>) {
        (&self.config, self.directory.load_full())
    }

    /// The time by the gateway's clock.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Partners in whose name too many messages failed to open.
    pub(super) fn unsettled(&self) -> Vec<Unsettled> {
        self.inbound.unsettled()
    }

    pub(super) fn refused_lately(&self) -> Vec<Refused> {
        self.inbound.refused_lately()
    }

    pub(super) fn pressed(&self) -> Vec<String> {
        self.inbound.pressed()
    }

    /// Messages that were refused unopened.
    pub(super) fn refused(&self) -> Family<LimitLabels, Counter> {
        self.inbound.refused()
    }

    /// Messages, newest first.
    pub fn list(&self, filter: &Filter) -> Vec<Message> {
        self.store.messages(filter)
    }

    /// Reads a submitted body into the store; the room is for the wire bytes that are made of it.
    async fn spool(&self, mut body: RequestBody) -> Result<(Draft, Promise), Refusal> {
        let announced = body.content_length().unwrap_or(0).min(self.config.limits.payload);
        // The payload, and the wire bytes that are made of it.
        let mut room = self.space.promise(announced.saturating_mul(2)).map_err(|error| no_room(&error))?;
        let (mut promised, mut came) = (announced, 0u64);
        body.limit(self.config.limits.payload);
        let mut sink = Sink::new(&self.store);
        while let Some(chunk) = body.next().await.map_err(|error| body_refusal(&error))? {
            let len = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
            came = came.saturating_add(len);
            if came > promised {
                let more = self.space.promise(STEP.saturating_mul(2)).map_err(|error| no_room(&error))?;
                room = room.and(more);
                promised = promised.saturating_add(STEP);
            }
            let spooled = drain::blocking(move || sink.write_all(&chunk).map(|()| sink)).await;
            sink = spooled.map_err(std::io::Error::other).and_then(|sink| sink).map_err(|error| storage(&error))?;
            if sink.is_file() {
                room.spent(len);
            }
        }
        let finished = drain::blocking(move || sink.finish()).await;
        let draft = finished.map_err(std::io::Error::other).and_then(|draft| draft).map_err(|error| storage(&error))?;
        Ok((draft, room))
    }

    /// The message of an earlier submission with this key, or the identifier for a new one.
    fn claim(&self, partner: &str, key: &str) -> Claim {
        let now = self.clock.now();
        let find = || {
            let known = keyed_ids(partner, key, now).find(|id| self.store.message(id).is_some());
            known.unwrap_or_else(|| keyed_id(partner, key, now, 0))
        };
        // Whatever the hour.
        self.submissions.claim(keyed_id(partner, key, Timestamp::UNIX_EPOCH, 0), find)
    }
}

impl Backend for GatewayBackend {
    async fn readiness(&self) -> Vec<Unready> {
        self.unready()
    }

    async fn metrics(&self) -> String {
        let Some(metrics) = self.metrics.clone() else { return String::new() };
        drain::blocking(move || metrics.page()).await.unwrap_or_default()
    }

    async fn messages(&self, query: Query) -> MessagePage {
        let (store, filter) = (self.store.clone(), filter(query));
        drain::blocking(move || store.page(&filter)).await.unwrap_or_default()
    }

    async fn declarations(&self, filter: DeclaredFilter) -> DeclaredPage {
        let store = self.store.clone();
        drain::blocking(move || store.declarations(&filter)).await.unwrap_or_default()
    }

    async fn message(&self, id: Id) -> Option<Message> {
        self.store.message(&id)
    }

    async fn download(&self, id: Id, part: Part) -> Result<Download, Refusal> {
        let store = self.store.clone();
        show::blocking(move || show::download(&store, id, part)).await
    }

    async fn mdn_text(&self, id: Id) -> Result<String, Refusal> {
        let (store, limits) = (self.store.clone(), self.config.limits);
        show::blocking(move || show::mdn_text(&store, id, &limits)).await
    }

    async fn record(&self, change: Change) -> Result<(), Refusal> {
        self.store.record(change).await.map(drop).map_err(|error| refusal(503, error.code(), error.text()))
    }

    async fn trail(&self, filter: TrailFilter) -> TrailPage {
        let store = self.store.clone();
        drain::blocking(move || store.trail(&filter)).await.unwrap_or_default()
    }

    async fn act(&self, id: Id, action: Action, asked: Change) -> Result<Message, Refusal> {
        let message = self.outbound.act(id, action, asked).await.map_err(|error| action_refusal(&error))?;
        self.inbound.resume_released(&message);
        Ok(message)
    }

    async fn submit(
        &self,
        partner: String,
        name: String,
        body: RequestBody,
        key: Option<String>,
        change: Change,
    ) -> Result<Id, Refusal> {
        let (payload, _room) = self.spool(body).await?;
        let claim = key.map(|key| self.claim(&partner, &key));
        let id = claim.as_ref().map(|claim| claim.id);
        let submitted = self.outbound.submit(&partner, &name, payload, id, Some(change)).await;
        submitted.map_err(|error| intake_refusal(&error))
    }

    async fn release_restored(&self, asked: Change) -> Result<u64, Refusal> {
        let waiting = Filter { restored: true, limit: usize::MAX, ..Filter::default() };
        let mut released = 0u64;
        let store = self.store.clone();
        let found = drain::blocking(move || store.messages(&waiting)).await;
        for message in found.map_err(|error| storage(&std::io::Error::other(error)))? {
            match self.act(message.id, Action::Release, asked.clone()).await {
                Ok(_) => released = released.saturating_add(1),
                // Settled by an MDN or another person meanwhile.
                Err(refusal) if refusal.status == 409 => {}
                Err(refusal) => return Err(refusal),
            }
        }
        Ok(released)
    }

    async fn start_backup(&self, dir: PathBuf, keys: bool) -> Result<(), Refusal> {
        self.backups.start(&self.config, &self.store, &self.clock, dir, keys)
    }

    async fn backup(&self) -> BackupStatus {
        self.backups.status()
    }

    async fn export(&self, id: Id, dir: PathBuf) -> Result<Exported, Refusal> {
        keeping::export(&self.config, &self.store, &self.directory.load_full(), id, Some(dir)).await
    }

    async fn verify_message(&self, id: Id) -> Result<Exported, Refusal> {
        // It takes a message's room on the disk several times: of one message at a time.
        let _turn = self.verifying.lock().await;
        keeping::export(&self.config, &self.store, &self.directory.load_full(), id, None).await
    }

    async fn verify_journal(&self) -> Result<JournalReport, Refusal> {
        keeping::verify_journal(&self.store, self.clock.now()).await
    }

    async fn silences(&self) -> Vec<Silence> {
        self.telling.silences()
    }

    async fn silence(&self, new: NewSilence) -> Result<Silence, Refusal> {
        self.telling.silence(new).await.map_err(|error| alerts::silence_refusal(&error))
    }

    async fn end_silence(&self, id: String, reason: String, by: String) -> Result<Silence, Refusal> {
        self.telling.end_silence(&id, &reason, &by).await.map_err(|error| alerts::silence_refusal(&error))
    }

    async fn test_alerts(&self, channel: Option<String>) -> Result<Vec<Tested>, Refusal> {
        let tested = self.telling.test(channel.as_deref()).await;
        if tested.is_empty() { Err(alerts::no_channel()) } else { Ok(tested) }
    }

    async fn alerts(&self, query: AlertQuery) -> Vec<Raised> {
        let store = self.store.clone();
        let found = drain::blocking(move || alerts::open(&store, &query)).await;
        found.unwrap_or_default()
    }

    async fn acknowledge(&self, alert: String, asked: Change) -> Result<Raised, Refusal> {
        alerts::acknowledge(&self.store, self.clock.now(), &alert, asked).await
    }

    async fn partners(&self) -> Vec<PartnerWire> {
        let backend = self.clone();
        drain::blocking(move || partners::all(&backend)).await.unwrap_or_default()
    }

    async fn partner(&self, id: String) -> Option<PartnerDetail> {
        let backend = self.clone();
        drain::blocking(move || partners::detail(&backend, &id)).await.ok().flatten()
    }

    async fn check_partner(&self, id: String) -> Option<PartnerCheck> {
        partners::check(self, &id)
    }

    async fn reload_partners(&self, asked: Change) -> Result<PartnerCheck, Refusal> {
        let backend = self.clone();
        show::blocking(move || partners::reload(&backend, &asked)).await
    }

    async fn certificates(&self) -> Vec<CertificateWire> {
        partners::certificates(self)
    }

    async fn station(&self) -> StationWire {
        partners::station(self)
    }

    async fn queue(&self) -> QueueWire {
        let backend = self.clone();
        drain::blocking(move || show::queue(&backend)).await.unwrap_or_default()
    }

    async fn figures(&self) -> FiguresWire {
        self.traffic.figures(self.clock.now())
    }

    async fn precheck(
        &self,
        name: String,
        partner: Option<String>,
        mut body: RequestBody,
    ) -> Result<PrecheckWire, Refusal> {
        // Whoever waits is not read from: it keeps a connection and no memory. What is short waits for nobody's slow line.
        let long = body.content_length().is_none_or(|length| length > SHORT);
        let _turn = if long { self.prechecks.acquire().await.ok() } else { None };
        let bytes = body.read_all(show::PRECHECK_LIMIT).await.map_err(|error| body_refusal(&error))?;
        let backend = self.clone();
        let checked = show::blocking(move || Ok(show::precheck(&backend, name, partner.as_deref(), &bytes))).await?;
        checked.ok_or_else(|| {
            let text = bilingual!(
                "没有这个海关伙伴（profile = \"dxp\"）",
                "there is no such customs partner (profile = \"dxp\")"
            );
            refusal(404, "partner-unknown", text)
        })
    }

    async fn summary(&self) -> Vec<StateCount> {
        let counts = self.store.counts();
        let mut counts: Vec<StateCount> =
            counts.by_state.into_iter().map(|(state, count)| StateCount { state, count }).collect();
        counts.sort_by_key(|count| count.state);
        counts
    }
}

/// What a submission key may have stood for: in this hour, in those before it, and in the next one, since the clock may have
/// been set back in between.
fn keyed_ids(partner: &str, key: &str, now: Timestamp) -> impl Iterator<Item = Id> {
    (0..=KEY_HOURS).chain([-1]).map(move |hours| keyed_id(partner, key, now, hours))
}

/// The identifier that a submission key stands for in one hour, `hours` ago: the hour, then SHA-256 over partner and key
/// (a partner's name holds no NUL). So messages submitted with keys sort by time like all others, to the hour.
fn keyed_id(partner: &str, key: &str, now: Timestamp, hours: i64) -> Id {
    let digest = DigestAlgorithm::Sha256.digest(&[partner.as_bytes(), b"\0", key.as_bytes()].concat());
    let mut noise = [0u8; 10];
    for (byte, hashed) in noise.iter_mut().zip(digest) {
        *byte = hashed;
    }
    let hour = now.as_second().div_euclid(3600).saturating_sub(hours);
    Id::derived(Timestamp::from_second(hour.saturating_mul(3600)).unwrap_or(now), &noise)
}

fn filter(query: Query) -> Filter {
    Filter {
        states: query.states,
        direction: query.direction,
        partner: query.partner,
        from: query.from,
        to: query.to,
        text: query.text,
        name: query.name,
        message_id: query.message_id,
        restored: query.restored,
        limit: query.limit,
        before: query.before,
    }
}

fn body_refusal(error: &BodyError) -> Refusal {
    let (status, code) = (if matches!(error, BodyError::TooLarge { .. }) { 413 } else { 400 }, error.code());
    refusal(status, code, bilingual!("未收到完整文件：{error}", "the file did not arrive completely: {error}"))
}

fn storage(error: &std::io::Error) -> Refusal {
    tracing::error!(%error, code = "storage-failed", "a submitted file could not be stored");
    let text =
        bilingual!("文件无法保存：{error}。请检查磁盘。", "the file could not be stored: {error}. Check the disk.");
    refusal(503, "storage-failed", text)
}

fn no_room(error: &NoRoom) -> Refusal {
    tracing::error!(%error, code = "disk-nearly-full", "a submitted file is refused: make room on the data filesystem");
    let text = bilingual!(
        "数据盘空间不足，暂不接收文件：{error}。请腾出空间后重试。",
        "there is not enough room on the data filesystem: {error}. Make room, then submit again."
    );
    refusal(503, "disk-nearly-full", text)
}

fn action_refusal(error: &ActionError) -> Refusal {
    let status = match error {
        ActionError::Unknown(_) => 404,
        ActionError::State(_) | ActionError::Resent(_) | ActionError::LegalHold { .. } | ActionError::Expired => 409,
        ActionError::NoReason | ActionError::NoPayload | ActionError::Refused(_) => 422,
        ActionError::NotPrepared(_) | ActionError::Journal(_) => 503,
    };
    refusal(status, error.code(), error.text())
}

pub(super) fn intake_refusal(error: &IntakeError) -> Refusal {
    match error {
        IntakeError::Partner(id) => {
            let text = bilingual!(
                "伙伴 {id} 未配置或已停用。用 dxgate partner list 查看。",
                "partner {id} is not configured or disabled. See dxgate partner list."
            );
            refusal(404, "partner-unknown", text)
        }
        IntakeError::File(error) => storage(error),
        IntakeError::Signing(reason) | IntakeError::Trial(reason) => refusal(503, &reason.code, reason.text.clone()),
        IntakeError::Journal(error) => refusal(503, error.code(), error.text()),
    }
}

pub(super) fn refusal(status: u16, code: &str, text: Bilingual) -> Refusal {
    Refusal { status, code: code.to_owned(), text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_submission_key_stands_for_one_message_of_one_partner_in_an_hour() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let id = keyed_id("customs", "k-1", at(7200), 0);
        assert_eq!(keyed_id("customs", "k-1", at(10_799), 0), id);
        assert_eq!(keyed_id("customs", "k-1", at(10_800), 1), id, "found again an hour later");
        assert_ne!(keyed_id("customs", "k-2", at(7200), 0), id);
        assert_ne!(keyed_id("acme", "k-1", at(7200), 0), id);
        assert!(keyed_id("customs", "k-1", at(10_800), 0) > id, "sorts by time");
    }

    #[test]
    fn a_submission_key_is_found_again_when_the_clock_was_set_back_over_the_edge_of_an_hour() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let id = keyed_id("customs", "k-1", at(90_000), 0);
        let found = |second| keyed_ids("customs", "k-1", at(second)).any(|one| one == id);
        assert!(found(89_999), "a second before the hour in which it was submitted");
        assert!(found(90_000) && found(90_000 + 3600 * KEY_HOURS));
        assert!(!found(86_399) && !found(90_000 + 3600 * (KEY_HOURS + 1)), "but not at any time");
    }
}
