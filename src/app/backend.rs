//! The flows as the console and programs in the same process see them.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::config::Config;
use crate::ground::clock::Clock;
use crate::outbound::Outbound;
use crate::partner::Directory;
use crate::store::record::Message;
use crate::store::{Filter, Store};

/// A handle on a running gateway; cheap to clone.
#[derive(Clone)]
pub struct GatewayBackend {
    config: Arc<Config>,
    store: Store,
    outbound: Outbound,
    directory: Arc<ArcSwap<Directory>>,
    clock: Arc<dyn Clock>,
}

impl GatewayBackend {
    pub(super) fn new(
        config: Arc<Config>,
        store: Store,
        outbound: Outbound,
        directory: Arc<ArcSwap<Directory>>,
        clock: Arc<dyn Clock>,
    ) -> GatewayBackend {
        GatewayBackend { config, store, outbound, directory, clock }
    }

    /// Messages, newest first.
    pub fn messages(&self, filter: &Filter) -> Vec<Message> {
        self.store.messages(filter)
    }
}
