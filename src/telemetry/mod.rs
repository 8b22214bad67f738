//! Layer 8: traces for those who collect them, as OTLP over HTTP in JSON (OpenTelemetry protocol 1.x, `/v1/traces`).
//!
//! A message is one trace, whose id is the message's own; its steps are the spans between the facts of its history
//! ([`spans`]). So traces are exact about what the journal saw, cost the flows nothing, and exist for messages that were
//! begun before a restart. They leave when a message is settled and published. Nobody waits for the collector: what it
//! does not take at the second try is dropped and counted in the log.
//!
//! The form is small and stable, so it is written here; the usual crates would bring some fifty others.

pub mod spans;

use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use self::spans::Span;
use crate::ground::drain::Shutdown;
use crate::http::{Addresses, Client, ClientSettings, Timeouts, TlsError};
use crate::store::record::Message;

/// Messages of one export.
const BATCH: usize = 256;
/// How long an export waits to become larger.
const GATHER: Duration = Duration::from_secs(2);
/// For one export.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long the last export may take when the gateway stops.
const LAST: Duration = Duration::from_secs(1);

/// Sends traces to a collector.
pub struct Exporter {
    client: Client,
    url: String,
    station: String,
    settled: Receiver<std::sync::Arc<Message>>,
}

impl Exporter {
    /// To the collector at `base`, such as `http://127.0.0.1:4318`.
    ///
    /// # Errors
    /// TLS cannot be used.
    pub fn new(base: &str, station: &str, settled: Receiver<std::sync::Arc<Message>>) -> Result<Exporter, TlsError> {
        let settings = ClientSettings { addresses: Addresses::Any, ..ClientSettings::default() };
        let url = format!("{}/v1/traces", base.trim_end_matches('/'));
        Ok(Exporter { client: Client::new(settings)?, url, station: station.to_owned(), settled })
    }

    /// Exports until it is told to stop.
    pub async fn run(mut self, shutdown: Shutdown) {
        let mut lost = 0u64;
        loop {
            let first = tokio::select! {
                () = shutdown.triggered() => return,
                first = self.settled.recv() => first,
            };
            let mut spans = match first {
                Ok(message) => spans::of(&message),
                Err(RecvError::Lagged(missed)) => {
                    lost = lost.saturating_add(missed);
                    continue;
                }
                Err(RecvError::Closed) => return,
            };
            self.gather(&mut spans, &shutdown).await;
            let sent = if shutdown.is_triggered() {
                tokio::time::timeout(LAST, self.export(&spans)).await.unwrap_or(false)
            } else {
                self.export(&spans).await || self.export(&spans).await
            };
            if !sent {
                lost = lost.saturating_add(1);
            }
            if lost > 0 && sent {
                tracing::warn!(lost, code = "traces-lost", "the collector takes traces again; some were dropped");
                lost = 0;
            }
        }
    }

    /// What else is settled within a moment.
    async fn gather(&mut self, spans: &mut Vec<Span>, shutdown: &Shutdown) {
        let end = tokio::time::sleep(GATHER);
        tokio::pin!(end);
        for _ in 1..BATCH {
            tokio::select! {
                () = &mut end => return,
                () = shutdown.triggered() => return,
                next = self.settled.recv() => match next {
                    Ok(message) => spans.extend(spans::of(&message)),
                    Err(_) => return,
                },
            }
        }
    }

    async fn export(&self, spans: &[Span]) -> bool {
        let body = serde_json::to_vec(&request(&self.station, spans)).expect("plain data with string keys");
        let headers = [("Content-Type".to_owned(), "application/json".to_owned())];
        let timeouts = Timeouts { connect: TIMEOUT, total: TIMEOUT };
        match self.client.post(&self.url, &headers, body.into(), timeouts).await {
            Ok(answer) if (200..300).contains(&answer.status) => true,
            Ok(answer) => {
                tracing::debug!(status = answer.status, code = "traces-refused", "the collector refused traces");
                false
            }
            Err(error) => {
                tracing::debug!(%error, code = "traces-unsent", "the collector cannot be reached");
                false
            }
        }
    }
}

/// An `ExportTraceServiceRequest` in the JSON of OTLP: ids in hex, 64-bit numbers as text.
fn request(station: &str, spans: &[Span]) -> Value {
    let resource =
        [("service.name", "dxgate"), ("service.version", env!("CARGO_PKG_VERSION")), ("service.instance.id", station)];
    let spans: Vec<Value> = spans.iter().map(span).collect();
    json!({"resourceSpans": [{
        "resource": {"attributes": resource.map(|(key, value)| attribute(key, value))},
        "scopeSpans": [{"scope": {"name": "dxgate", "version": env!("CARGO_PKG_VERSION")}, "spans": spans}],
    }]})
}

fn span(span: &Span) -> Value {
    let attributes: Vec<Value> = span.attributes.iter().map(|(key, value)| attribute(key, value)).collect();
    let mut json = json!({
        "traceId": span.trace,
        "spanId": span.id,
        "name": span.name,
        // SPAN_KIND_INTERNAL, SPAN_KIND_CLIENT
        "kind": if span.name == "send" { 3 } else { 1 },
        "startTimeUnixNano": span.start.as_nanosecond().to_string(),
        "endTimeUnixNano": span.end.as_nanosecond().to_string(),
        "attributes": attributes,
        // STATUS_CODE_UNSET, STATUS_CODE_ERROR
        "status": {"code": if span.failed { 2 } else { 0 }},
    });
    if let (Some(parent), Some(object)) = (&span.parent, json.as_object_mut()) {
        object.insert("parentSpanId".to_owned(), Value::from(parent.as_str()));
    }
    json
}

fn attribute(key: &str, value: &str) -> Value {
    json!({"key": key, "value": {"stringValue": value}})
}
