//! What the listeners do, counted; clones share the counts.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

/// One listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ListenerLabels {
    /// `as2` or `console`.
    pub listener: &'static str,
}

/// Answers of one class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct AnswerLabels {
    /// `as2` or `console`.
    pub listener: &'static str,
    /// `2xx` and so on.
    pub status: &'static str,
}

/// Connections that came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RefusedLabels {
    /// `as2` or `console`.
    pub listener: &'static str,
    /// `too-many`: of one address; `tls`: no handshake.
    pub why: &'static str,
}

/// The counts of all listeners.
#[derive(Debug, Clone, Default)]
pub struct HttpFigures {
    /// Connections now, with those that ended and whose handler is at work.
    pub connections: Family<ListenerLabels, Gauge>,
    /// Connections that there may be.
    pub permits: Family<ListenerLabels, Gauge>,
    /// Connections that were closed before a request.
    pub refused: Family<RefusedLabels, Counter>,
    /// Answers.
    pub answers: Family<AnswerLabels, Counter>,
}

/// The counts of one listener.
#[derive(Debug, Clone)]
pub struct ListenerFigures {
    listener: &'static str,
    all: HttpFigures,
}

/// For listeners that nobody watches.
impl Default for ListenerFigures {
    fn default() -> ListenerFigures {
        HttpFigures::default().listener("")
    }
}

impl HttpFigures {
    /// The counts of the listener with this name.
    pub fn listener(&self, listener: &'static str) -> ListenerFigures {
        ListenerFigures { listener, all: self.clone() }
    }
}

impl ListenerFigures {
    /// So many more connections there may be: several listeners may have one name.
    pub(super) fn permit(&self, connections: usize) {
        let labels = ListenerLabels { listener: self.listener };
        self.all.permits.get_or_create(&labels).inc_by(i64::try_from(connections).unwrap_or(i64::MAX));
        drop(self.all.connections.get_or_create(&labels));
    }

    /// A connection is there until this is dropped.
    pub(super) fn connected(&self) -> Connected {
        let connections = self.all.connections.get_or_create_owned(&ListenerLabels { listener: self.listener });
        connections.inc();
        Connected(connections)
    }

    /// A connection came to nothing.
    pub(super) fn refused(&self, why: &'static str) {
        self.all.refused.get_or_create(&RefusedLabels { listener: self.listener, why }).inc();
    }

    /// A request was answered.
    pub(super) fn answered(&self, status: u16) {
        let status = match status {
            100..=199 => "1xx",
            200..=299 => "2xx",
            300..=399 => "3xx",
            400..=499 => "4xx",
            _ => "5xx",
        };
        self.all.answers.get_or_create(&AnswerLabels { listener: self.listener, status }).inc();
    }
}

/// A connection, while it lasts.
#[derive(Debug)]
pub(super) struct Connected(Gauge);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.dec();
    }
}
