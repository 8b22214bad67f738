//! Keeps the ledger: hears what is raised, looks at what has ended, and writes it all to a file.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;
use tokio::time::Instant;

use super::ledger::{Channel, Ledger, MOST, Standing};
use super::notice::{Delivery, Notice};
use super::silence::{NewSilence, Silence};
use super::{Unreached, Untold, Way, ways, worker};
use crate::config::AlertSettings;
use crate::ground::clock::Clock;
use crate::ground::drain::{self, Shutdown};
use crate::ground::id::Id;
use crate::ground::text::printable;
use crate::ground::{durable, random, sealed};
use crate::http::TlsError;
use crate::store::alert::Level;
use crate::store::record::Reason;
use crate::store::{Raised, Store};

/// Time between two looks at what has ended.
const LOOK: Duration = Duration::from_secs(10);
/// Alerts that are taken from the stream before the ledger is written.
const TOGETHER: usize = 256;
/// Bytes of a ledger's file, at most.
const FILE: u64 = 1024 * 1024 * 1024;
/// Silences at a time, at most.
const SILENCES: usize = 100;

/// What telling needs.
pub struct Parts {
    /// Announces alerts.
    pub store: Store,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Our AS2 name.
    pub station: String,
    /// Where the ledger is kept.
    pub file: PathBuf,
    /// Who is told.
    pub settings: AlertSettings,
}

/// Tells people; clones share it.
#[derive(Clone)]
pub struct Telling(pub(super) Arc<Shared>);

pub(super) struct Shared {
    store: Store,
    pub(super) clock: Arc<dyn Clock>,
    station: String,
    file: PathBuf,
    reminder: Duration,
    pub(super) ways: Vec<(Channel, Way)>,
    ledger: Mutex<Ledger>,
    /// One file is written at a time.
    saving: tokio::sync::Mutex<()>,
    pub(super) news: watch::Sender<()>,
    /// What cannot be told, by the code and the channel.
    failing: Mutex<Failing>,
    heard: Mutex<Option<Receiver<Raised>>>,
    deliveries: Family<DeliveryLabels, Counter>,
}

type Failing = BTreeMap<(&'static str, String), Vec<Unreached>>;

/// Deliveries of one channel.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct DeliveryLabels {
    /// Its name.
    pub channel: String,
    /// `told` or `failed`.
    pub result: &'static str,
}

/// What a test of one channel came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tested {
    /// The channel's name.
    pub channel: String,
    /// Why it failed, if it did.
    pub failed: Option<String>,
}

/// Why there is no silence as asked.
#[derive(Debug)]
pub enum SilenceError {
    /// It would be over already.
    Past,
    /// There are as many as there may be.
    TooMany,
    /// There is none with that name.
    Unknown,
    /// It could not be written.
    Unwritten(io::Error),
}

impl fmt::Debug for Telling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.ways.iter().map(|(channel, _)| &channel.name)).finish()
    }
}

impl Telling {
    /// Reads the ledger and hears everything from here on.
    ///
    /// # Errors
    /// A webhook's trusted certificates are unusable.
    pub fn open(parts: Parts) -> Result<Telling, TlsError> {
        let Parts { store, clock, station, file, settings } = parts;
        let heard = Mutex::new(Some(store.alerts().subscribe()));
        let shared = Shared {
            ledger: Mutex::new(read(&file, clock.now(), &store)),
            ways: ways(&settings)?,
            store,
            clock,
            station,
            file,
            reminder: settings.reminder,
            saving: tokio::sync::Mutex::default(),
            news: watch::Sender::new(()),
            failing: Mutex::default(),
            heard,
            deliveries: Family::default(),
        };
        Ok(Telling(Arc::new(shared)))
    }

    /// Follows alerts and keeps the ledger until it is told to stop.
    pub async fn run(self, shutdown: Shutdown) {
        let heard = self.0.heard.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut heard) = heard.filter(|_| !self.0.ways.is_empty()) else {
            return shutdown.triggered().await;
        };
        let begun = Instant::now();
        self.take_open().await;
        let mut look = tokio::time::interval(LOOK.min(self.0.clock.nap(LOOK)));
        loop {
            tokio::select! {
                () = shutdown.triggered() => break,
                _ = look.tick() => self.follow(begun.elapsed()).await,
                raised = heard.recv() => match raised {
                    Ok(raised) => self.take(raised, &mut heard).await,
                    Err(RecvError::Lagged(_)) => self.take_open().await,
                    Err(RecvError::Closed) => break,
                },
            }
        }
        let _ = self.save().await;
    }

    /// One task for each channel, by its name.
    pub fn workers(&self, shutdown: &Shutdown) -> Vec<(String, impl Future<Output = ()> + Send + use<>)> {
        let places = self.0.ways.iter().enumerate();
        let worker = |(place, (channel, _)): (usize, &(Channel, Way))| {
            (format!("alerts-{}", channel.name), worker::work(self.clone(), place, shutdown.clone()))
        };
        places.map(worker).collect()
    }

    /// How much each channel has yet to be told.
    pub fn waiting(&self) -> Vec<(String, usize)> {
        let ledger = self.ledger();
        self.0.ways.iter().map(|(channel, _)| (channel.name.clone(), ledger.waiting(channel))).collect()
    }

    /// Deliveries so far.
    pub fn deliveries(&self) -> Family<DeliveryLabels, Counter> {
        self.0.deliveries.clone()
    }

    /// The silences that last.
    pub fn silences(&self) -> Vec<Silence> {
        self.ledger().silences(self.0.clock.now())
    }

    /// Keeps some alerts from being told for a while; durable when this returns.
    ///
    /// # Errors
    /// It would be over already, there are too many, or it cannot be written.
    pub async fn silence(&self, new: NewSilence) -> Result<Silence, SilenceError> {
        let now = self.0.clock.now();
        let NewSilence { code, partner, until, reason, by } = new;
        if until <= now {
            return Err(SilenceError::Past);
        }
        let silence = Silence { id: random::hex(4), code, partner, since: now, until, reason, by };
        {
            let mut ledger = self.ledger();
            if ledger.silences(now).len() >= SILENCES {
                return Err(SilenceError::TooMany);
            }
            ledger.silence(silence.clone());
        }
        let Silence { id, code, partner, reason, by, .. } = &silence;
        if let Err(error) = self.save().await {
            self.ledger().end_silence(id);
            return Err(SilenceError::Unwritten(error));
        }
        tracing::warn!(%id, ?code, ?partner, %until, reason = printable(reason), by, "alerts are silenced");
        Ok(silence)
    }

    /// Ends a silence before its time; durable when this returns.
    ///
    /// # Errors
    /// There is none with that name, or it cannot be written.
    pub async fn end_silence(&self, id: &str, reason: &str, by: &str) -> Result<Silence, SilenceError> {
        let ended = self.ledger().end_silence(id).ok_or(SilenceError::Unknown)?;
        if let Err(error) = self.save().await {
            self.ledger().silence(ended);
            return Err(SilenceError::Unwritten(error));
        }
        tracing::warn!(%id, reason = printable(reason), by, "the silence has ended");
        self.0.news.send_replace(());
        Ok(ended)
    }

    /// Tells every channel, or the one with this name, that it is a test; returns what each came to.
    pub async fn test(&self, only: Option<&str>) -> Vec<Tested> {
        let mut tested = Vec::new();
        for (place, (channel, way)) in self.0.ways.iter().enumerate() {
            if only.is_some_and(|only| only != channel.name) {
                continue;
            }
            let now = self.0.clock.now();
            let outcome = way.tell(&Delivery::new(&self.0.station, vec![Notice::test(now)], now)).await;
            self.count(channel, outcome.is_ok());
            let failed = match outcome {
                Ok(unreached) => {
                    let failed = (!unreached.is_empty()).then(|| listed(&unreached));
                    // Where nothing waits for the channel, nothing else would find out.
                    self.works(place, unreached);
                    failed
                }
                Err(untold) => Some(untold.0),
            };
            tested.push(Tested { channel: channel.name.clone(), failed });
        }
        tested
    }

    /// What a channel is to be told now.
    pub(super) fn due(&self, place: usize) -> Vec<Notice> {
        let Some((channel, way)) = self.0.ways.get(place) else { return Vec::new() };
        self.ledger().due(channel, self.0.clock.now(), self.0.reminder, way.most())
    }

    /// Tells a channel, and remembers it; returns who of it was left out.
    pub(super) async fn tell(&self, place: usize, notices: Vec<Notice>) -> Result<Vec<Unreached>, Untold> {
        let Some((channel, way)) = self.0.ways.get(place) else { return Ok(Vec::new()) };
        let now = self.0.clock.now();
        let delivery = Delivery::new(&self.0.station, notices, now);
        let outcome = way.tell(&delivery).await;
        self.count(channel, outcome.is_ok());
        let unreached = outcome?;
        self.ledger().told(channel, &delivery.alerts, now);
        // Unwritten, it is told again after a restart.
        let _ = self.save().await;
        Ok(unreached)
    }

    /// A channel fails: that is an alert, which the others tell.
    pub(super) fn failing(&self, place: usize, untold: &Untold) {
        let Some((channel, way)) = self.0.ways.get(place) else { return };
        let mut failing = self.failings();
        let whole = Unreached { who: channel.name.clone(), why: untold.to_string() };
        failing.insert((way.failing(), channel.name.clone()), vec![whole]);
        self.say(way.failing(), &failing);
    }

    /// A channel works, for all but these.
    pub(super) fn works(&self, place: usize, unreached: Vec<Unreached>) {
        let Some((channel, way)) = self.0.ways.get(place) else { return };
        let mut failing = self.failings();
        let failed = failing.remove(&(way.failing(), channel.name.clone())).is_some();
        let fails = !unreached.is_empty();
        if fails {
            failing.insert((way.failing(), channel.name.clone()), unreached);
        }
        if failed || fails {
            self.say(way.failing(), &failing);
        }
    }

    /// What fails with this code is one alert.
    fn say(&self, code: &'static str, failing: &Failing) {
        let with_code = failing.iter().filter(|((failing, _), _)| *failing == code);
        let unreached: Vec<Unreached> = with_code.flat_map(|(_, unreached)| unreached.clone()).collect();
        if unreached.is_empty() {
            return self.0.store.alerts().resolve(code, None);
        }
        let named = listed(&unreached);
        let text = crate::bilingual!(
            "告警无法送达 {named}。请检查其配置和对方服务；修复后用 dxgate alerts test 验证。送不出的渠道会一直重试；被拒收的邮箱收不到已送达其他邮箱的告警。",
            "alerts cannot be told by {named}. Check the configuration and the other side, then run dxgate alerts test. A channel that fails is tried again and loses nothing; a mailbox that is refused does not get what the others got."
        );
        let subjects = unreached.into_iter().map(|one| one.who).collect();
        let reason = Reason { code: code.to_owned(), text };
        self.0.store.alerts().raise_about(subjects, Level::Error, reason, None, self.0.clock.now());
    }

    fn count(&self, channel: &Channel, told: bool) {
        let result = if told { "told" } else { "failed" };
        self.0.deliveries.get_or_create(&DeliveryLabels { channel: channel.name.clone(), result }).inc();
    }

    /// An alert, and those right behind it.
    async fn take(&self, first: Raised, heard: &mut Receiver<Raised>) {
        let mut news = self.ledger().take(first);
        for _ in 0..TOGETHER {
            let Ok(next) = heard.try_recv() else { break };
            news |= self.ledger().take(next);
        }
        if news {
            self.changed().await;
        }
    }

    /// Open alerts that nobody has been told of: of a time when this process did not run, or did not keep up.
    async fn take_open(&self) {
        let telling = self.clone();
        let taken = drain::blocking(move || {
            let shared = &telling.0;
            for raised in shared.store.alerts().standing() {
                telling.ledger().take(raised);
            }
            let settled = telling.ledger().settled();
            let mut before: Option<Id> = None;
            loop {
                let page = shared.store.alerting(before, TOGETHER);
                let Some(last) = page.last() else { break };
                before = Some(last.id);
                for message in &page {
                    let open = message.alerts.iter().filter(|alert| alert.is_open());
                    for alert in open.cloned() {
                        let raised = Raised::of_message(message.id, &message.partner, alert);
                        let mut ledger = telling.ledger();
                        if ledger.is_new(&raised, settled) {
                            ledger.take(raised);
                        }
                    }
                }
            }
        });
        if let Err(error) = taken.await {
            tracing::error!(%error, "open alerts could not be looked at");
        }
        self.changed().await;
    }

    /// How what is followed is by now, so long after the start.
    async fn follow(&self, since: Duration) {
        let telling = self.clone();
        let followed = drain::blocking(move || {
            let now = telling.0.clock.now();
            let mut news = false;
            let open = telling.ledger().open();
            for raised in open {
                let (standing, current) = telling.standing(raised, since);
                news |= telling.ledger().follow(&current, standing, now);
            }
            news
        });
        if followed.await.unwrap_or(false) {
            self.changed().await;
        }
    }

    /// How `raised` is by now.
    fn standing(&self, raised: Raised, since: Duration) -> (Standing, Raised) {
        let found = match &raised.message {
            None => match self.0.store.alerts().condition(&raised.name()) {
                Some(condition) => condition,
                None if self.ledger().has_ended(&raised, since) => return (Standing::Ended, raised),
                None => return (Standing::Open, raised),
            },
            Some(id) => {
                let alerts = self.0.store.message(id).map(|message| message.alerts).unwrap_or_default();
                match alerts.into_iter().find(|alert| alert.code == raised.alert.code) {
                    Some(alert) => Raised { alert, ..raised },
                    // Purged: nothing more to say.
                    None => return (Standing::Acknowledged, raised),
                }
            }
        };
        match &found.alert {
            alert if alert.acknowledged.is_some() => (Standing::Acknowledged, found),
            alert if alert.resolved.is_some() => (Standing::Ended, found),
            _ => (Standing::Open, found),
        }
    }

    async fn changed(&self) {
        self.0.news.send_replace(());
        let _ = self.save().await;
    }

    /// Writes the ledger. An error is in the log already.
    async fn save(&self) -> io::Result<()> {
        let _one = self.0.saving.lock().await;
        let channels: Vec<Channel> = self.0.ways.iter().map(|(channel, _)| channel.clone()).collect();
        let json = {
            let mut ledger = self.ledger();
            ledger.tidy(&channels, self.0.clock.now());
            serde_json::to_vec(&*ledger).map_err(io::Error::from)?
        };
        let file = self.0.file.clone();
        let written = drain::blocking(move || sealed::replace(&file, json).map_err(io::Error::from)).await;
        written.map_err(io::Error::other)?.map_err(|error| {
            let error = self.0.store.judge_sync(error);
            tracing::error!(%error, code = "alert-ledger-unwritten", "what was told cannot be noted; after a restart some of it is told again");
            error
        })
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.0.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failings(&self) -> MutexGuard<'_, Failing> {
        self.0.failing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A channel's name.
    pub(super) fn name(&self, place: usize) -> Option<&str> {
        self.0.ways.get(place).map(|(channel, _)| channel.name.as_str())
    }

    /// The time by the gateway's clock.
    pub(super) fn now(&self) -> Timestamp {
        self.0.clock.now()
    }
}

const _: () = assert!(MOST > TOGETHER);

fn listed(unreached: &[Unreached]) -> String {
    unreached.iter().map(Unreached::to_string).collect::<Vec<String>>().join("; ")
}

/// The ledger in `file`; a new one when there is none. One that cannot be read is put aside and said: open alerts are
/// told anew then, and silences have to be made again.
fn read(file: &Path, now: Timestamp, store: &Store) -> Ledger {
    let bytes = match std::fs::metadata(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ledger::default(),
        Ok(metadata) if metadata.len() > FILE => Err(io::Error::other("it is too large")),
        _ => std::fs::read(file),
    };
    let ledger = bytes.and_then(|bytes| {
        let document = sealed::open(&bytes).map_err(io::Error::other)?;
        serde_json::from_slice(document).map_err(io::Error::from)
    });
    ledger.unwrap_or_else(|error| {
        let aside = file.with_extension("json.damaged");
        if let Err(error) = durable::rename(file, &aside).map_err(|error| store.judge_sync(error.into())) {
            tracing::warn!(file = %file.display(), %error, "a damaged ledger of alerts could not be put aside");
        }
        let file = file.display();
        tracing::error!(%file, aside = %aside.display(), %error, code = DAMAGED, "open alerts are told anew, silences are gone");
        let aside = aside.display();
        let text = crate::bilingual!(
            "告警台账 {file} 已损坏（{error}），已移到 {aside}：未结束的告警会重新发送，静默设置已丢失。请检查磁盘，并重新设置静默。",
            "the ledger of alerts {file} is damaged ({error}) and was put aside as {aside}: open alerts are told anew, silences are gone. Check the disk, and make the silences again."
        );
        store.alerts().raise(Level::Error, Reason { code: DAMAGED.to_owned(), text }, None, now);
        Ledger::default()
    })
}

const DAMAGED: &str = "alert-ledger-damaged";
