//! What Prometheus reads: the counts of store and listeners, and what can be looked up at the moment of asking.
//!
//! [`CATALOGUE`] names everything; `docs/metrics.md` is the same table for people, and a test holds the two together.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeGaugeValue, prometheus_text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Metric, Registry};

use super::backend::GatewayBackend;
use super::listeners::Whose;
use crate::alerting::Telling;
use crate::cms::Certificate;
use crate::config::Config;
use crate::ground::clock::Clock;
use crate::ground::durable;
use crate::http::HttpFigures;
use crate::partner::Directory;
use crate::store::{IndexRecovery, RecoveryReport, Store};

/// Every metric: name without `dxgate_`, kind, labels, and what it says.
pub const CATALOGUE: [(&str, &str, &[&str], &str); 30] = [
    ("build_info", "gauge", &["version"], "The running version; the value is 1"),
    ("ready", "gauge", &[], "1 when the gateway accepts messages, 0 when something keeps it from that"),
    ("messages", "gauge", &["state"], "Messages in each state"),
    (
        "message_outcomes_total",
        "counter",
        &["direction", "kind", "partner", "outcome"],
        "Messages settled, held or refused",
    ),
    ("queue_depth", "gauge", &[], "Outbound messages that are neither settled nor held"),
    ("queue_oldest_age_seconds", "gauge", &[], "Age of the oldest of them; 0 when there is none"),
    (
        "queue_overdue_seconds",
        "gauge",
        &["partner"],
        "How long the first due message waits for its attempt; 0 when none is due",
    ),
    ("attempts_total", "counter", &["partner"], "Attempts to send that began"),
    ("retries_total", "counter", &["partner", "code"], "Attempts that will be made again, by reason"),
    ("wire_bytes_total", "counter", &["direction", "partner"], "Bytes of AS2 bodies that travelled"),
    ("mdn_latency_seconds", "histogram", &["partner", "mode"], "From the start of an attempt to its verified MDN"),
    (
        "crypto_failures_total",
        "counter",
        &["partner", "code"],
        "Failures of decryption, signatures, MICs, TLS certificates and agreed security",
    ),
    (
        "crypto_refusals_total",
        "counter",
        &["limit"],
        "Messages refused unopened, because too many before them had failed: from their address (ip), or in their partner's name \
         (partner); or because nothing more of strangers is kept in its name (kept)",
    ),
    ("alerts_raised_total", "counter", &["code", "level"], "Alerts raised"),
    ("alerts_standing", "gauge", &["code"], "Conditions of the gateway that stand and that nobody has acknowledged"),
    ("alert_deliveries_total", "counter", &["channel", "result"], "Deliveries of alerts by webhook, mail and command"),
    ("alerts_waiting", "gauge", &["channel"], "Alerts that a channel has yet to be told of"),
    (
        "certificate_left_seconds",
        "gauge",
        &["owner", "partner", "fingerprint"],
        "Time until a configured certificate expires; negative when it has",
    ),
    ("journal_sync_seconds", "histogram", &[], "Time of each fdatasync of the journal"),
    ("journal_transactions_total", "counter", &[], "Transactions made durable"),
    ("journal_facts_total", "counter", &[], "Facts made durable"),
    ("journal_bytes_total", "counter", &[], "Bytes appended to the journal"),
    ("index_rebuilds_total", "counter", &[], "Rebuilds of the index at the start of this process"),
    ("disk_free_bytes", "gauge", &["folder"], "Free bytes of the filesystem of data and exchange"),
    ("disk_floor_bytes", "gauge", &[], "Free bytes below which nothing is accepted"),
    (
        "http_connections",
        "gauge",
        &["listener"],
        "Connections now, and those that ended while their request is still at work",
    ),
    ("http_connection_permits", "gauge", &["listener"], "Connections that there may be at a time"),
    ("http_connections_refused_total", "counter", &["listener", "why"], "Connections closed before a request"),
    ("http_answers_total", "counter", &["listener", "status"], "Answers by class of status"),
    ("scrape_seconds", "gauge", &[], "How long it took to look these up"),
];

/// The page for Prometheus; clones share it.
#[derive(Debug, Clone)]
pub(super) struct Metrics(Arc<Registry>);

/// What the page is made from.
pub(super) struct Sources {
    pub(super) config: Arc<Config>,
    pub(super) store: Store,
    pub(super) directory: Arc<ArcSwap<Directory>>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) backend: GatewayBackend,
    pub(super) recovery: RecoveryReport,
    pub(super) http: HttpFigures,
    pub(super) telling: Telling,
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sources")
    }
}

impl Metrics {
    pub(super) fn new(sources: Sources) -> Metrics {
        let mut registry = Registry::with_prefix("dxgate");
        let store = sources.store.figures();
        let http = sources.http.clone();
        let out = &mut registry;
        add(out, "message_outcomes_total", store.messages.outcomes);
        add(out, "attempts_total", store.messages.attempts);
        add(out, "retries_total", store.messages.retries);
        add(out, "wire_bytes_total", store.messages.bytes);
        add(out, "mdn_latency_seconds", store.messages.receipts);
        add(out, "crypto_failures_total", store.messages.crypto_failures);
        add(out, "crypto_refusals_total", sources.backend.refused());
        add(out, "alerts_raised_total", store.messages.alerts);
        add(out, "alert_deliveries_total", sources.telling.deliveries());
        add(out, "journal_sync_seconds", store.sync_seconds);
        add(out, "http_connections", http.connections);
        add(out, "http_connection_permits", http.permits);
        add(out, "http_connections_refused_total", http.refused);
        add(out, "http_answers_total", http.answers);
        registry.register_collector(Box::new(sources));
        Metrics(Arc::new(registry))
    }

    /// The page, in Prometheus's text format. Blocking: it asks index and disk.
    pub(super) fn page(&self) -> String {
        let mut page = String::new();
        if let Err(error) = prometheus_text::encode(&mut page, &self.0) {
            tracing::error!(%error, code = "metrics-failed", "the metrics could not be written");
            page.clear();
        }
        page
    }
}

/// Adds a metric of the catalogue that is counted as things happen.
fn add(registry: &mut Registry, name: &str, metric: impl Metric) {
    registry.register(counter_stem(name), help(name), metric);
}

/// What the catalogue says of a metric.
fn help(name: &str) -> &'static str {
    CATALOGUE.iter().find(|(known, ..)| *known == name).map_or("", |(_, _, _, help)| help)
}

/// The encoder adds `_total` to counters itself.
fn counter_stem(name: &str) -> &str {
    name.strip_suffix("_total").unwrap_or(name)
}

/// Values with their labels.
type Series<const N: usize, V> = Vec<([(&'static str, String); N], V)>;

/// Looked up when asked.
impl Collector for Sources {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let begun = tokio::time::Instant::now();
        let now = self.clock.now();
        let out = &mut encoder;
        labelled(out, "build_info", vec![([("version", env!("CARGO_PKG_VERSION").to_owned())], 1u64)])?;
        gauge(out, "ready", u64::from(self.backend.unready().is_empty()))?;
        labelled(out, "messages", self.states())?;
        self.queue(out, now)?;
        let standing = self.store.alerts().standing().into_iter().map(|raised| ([("code", raised.alert.code)], 1u64));
        let mut standing: Series<1, u64> = standing.collect();
        standing.sort();
        standing.dedup();
        labelled(out, "alerts_standing", standing)?;
        let waiting = self.telling.waiting().into_iter();
        let waiting =
            waiting.map(|(channel, count)| ([("channel", channel)], u64::try_from(count).unwrap_or(u64::MAX)));
        labelled(out, "alerts_waiting", waiting.collect())?;
        labelled(out, "certificate_left_seconds", self.certificates(now))?;
        let journal = self.store.journal_figures();
        counter(out, "journal_transactions_total", journal.transactions)?;
        counter(out, "journal_facts_total", journal.facts)?;
        counter(out, "journal_bytes_total", journal.bytes)?;
        let rebuilt = matches!(self.recovery.index, IndexRecovery::Rebuilt { .. });
        counter(out, "index_rebuilds_total", u64::from(rebuilt))?;
        labelled(out, "disk_free_bytes", self.disks())?;
        gauge(out, "disk_floor_bytes", self.config.server.free_space_floor)?;
        gauge(out, "scrape_seconds", begun.elapsed().as_secs_f64())
    }
}

impl Sources {
    fn states(&self) -> Series<1, u64> {
        let counts = self.store.counts();
        let named = counts.by_state.into_iter().map(|(state, count)| {
            let name = serde_json::to_value(state).ok().and_then(|name| Some(name.as_str()?.to_owned()));
            ([("state", name.unwrap_or_default())], count)
        });
        let mut named: Series<1, u64> = named.collect();
        named.sort();
        named
    }

    fn queue(&self, out: &mut DescriptorEncoder<'_>, now: Timestamp) -> fmt::Result {
        let backlog = self.store.backlog();
        gauge(out, "queue_depth", backlog.depth)?;
        gauge(out, "queue_oldest_age_seconds", backlog.oldest.map_or(0.0, |oldest| seconds(oldest, now)))?;
        let due = backlog.due.into_iter().map(|(partner, due)| ([("partner", partner)], seconds(due, now)));
        labelled(out, "queue_overdue_seconds", due.collect())
    }

    /// By owner: `station`, `partner`, `declarations` (signed for that partner), and the listeners that serve TLS themselves.
    fn certificates(&self, now: Timestamp) -> Series<3, f64> {
        let of = |owner: &str, partner: &str, certificate: &Certificate| {
            let fingerprint: String = certificate.fingerprint().to_string().chars().take(16).collect();
            let labels = [("owner", owner.to_owned()), ("partner", partner.to_owned()), ("fingerprint", fingerprint)];
            (labels, certificate.not_after().duration_since(now).as_secs_f64())
        };
        let mut series: Series<3, f64> = Vec::new();
        series.extend(self.config.station.keys.keys().iter().map(|key| of("station", "", &key.certificate)));
        let shown = &self.backend.reloading.shown;
        let shown: Vec<_> = shown.certificates().into_iter().chain(shown.first_to_end()).collect();
        series.extend(shown.iter().map(|(whose, shown)| {
            of(if *whose == Whose::As2 { "as2-listener" } else { "console-listener" }, "", shown)
        }));
        for partner in self.directory.load().all() {
            let held = partner.certificates.certificates().iter();
            series.extend(held.map(|held| of("partner", &partner.id, &held.certificate)));
            let signs = partner.document_key().map(|key| key.signer.certificate());
            series.extend(signs.map(|signs| of("declarations", &partner.id, signs)));
        }
        series.sort_by(|a, b| a.0.cmp(&b.0));
        series.dedup_by(|a, b| a.0 == b.0);
        series
    }

    fn disks(&self) -> Series<1, u64> {
        let folders: [(&str, &PathBuf); 2] =
            [("data", &self.config.folders.data), ("exchange", &self.config.folders.exchange)];
        let free = folders.into_iter().map(|(name, path)| (name, durable::free_space(path)));
        free.filter_map(|(name, free)| Some(([("folder", name.to_owned())], free.ok()?))).collect()
    }
}

/// Seconds from `then` to `now`; 0 when it is yet to come.
fn seconds(then: Timestamp, now: Timestamp) -> f64 {
    now.duration_since(then).as_secs_f64().max(0.0)
}

fn labelled<const N: usize, V: EncodeGaugeValue>(
    out: &mut DescriptorEncoder<'_>,
    name: &str,
    series: Series<N, V>,
) -> fmt::Result {
    let mut metric = out.encode_descriptor(name, help(name), None, MetricType::Gauge)?;
    for (labels, value) in series {
        metric.encode_family(&labels)?.encode_gauge(&value)?;
    }
    Ok(())
}

fn gauge(out: &mut DescriptorEncoder<'_>, name: &str, value: impl EncodeGaugeValue) -> fmt::Result {
    out.encode_descriptor(name, help(name), None, MetricType::Gauge)?.encode_gauge(&value)
}

fn counter(out: &mut DescriptorEncoder<'_>, name: &str, value: u64) -> fmt::Result {
    use prometheus_client::encoding::NoLabelSet;
    let mut metric = out.encode_descriptor(counter_stem(name), help(name), None, MetricType::Counter)?;
    metric.encode_counter::<NoLabelSet, _, u64>(&value, None)
}
