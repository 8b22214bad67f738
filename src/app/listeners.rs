//! The listeners: bound before anything else starts, served until the stop, their certificates replaced in between.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::net::TcpListener;

use super::StartError;
use super::translate;
use crate::cms::Certificate;
use crate::config::{As2Settings, Config, ListenerSettings, Problem, Severity};
use crate::ground::clock::{Clock, SystemClock};
use crate::ground::drain::{Shutdown, Tasks};
use crate::http::{self, ClientAuth, Handler, HttpFigures, Identity, ServerTls, TlsError};
use crate::keys::TlsIdentity;
use crate::partner::Directory;

/// Sockets that are listened on already.
pub(super) struct Bound {
    as2: Vec<TcpListener>,
    console: TcpListener,
}

impl Bound {
    /// Takes every address of the configuration.
    pub(super) async fn new(config: &Config) -> Result<Bound, StartError> {
        let mut as2 = Vec::new();
        for listener in config.as2.all_listeners() {
            as2.push(http::bind(listener.listen).await?);
        }
        Ok(Bound { as2, console: http::bind(config.console.listen).await? })
    }

    /// Where the AS2 listeners are, the first one first.
    pub(super) fn as2(&self) -> Result<Vec<SocketAddr>, StartError> {
        self.as2.iter().map(local).collect()
    }

    /// Where the console is.
    pub(super) fn console(&self) -> Result<SocketAddr, StartError> {
        local(&self.console)
    }

    /// Serves AS2 by `handler` and the console by `router` until `stop`.
    pub(super) fn serve<H: Handler>(
        self,
        (config, figures): (&Config, &HttpFigures),
        (handler, router): (Arc<H>, axum::Router),
        shown: &Shown,
        tasks: &Tasks,
        stop: &Shutdown,
    ) {
        let settings = translate::as2_server(config, figures);
        for (listener, tls) in self.as2.into_iter().zip(shown.as2.iter().cloned()) {
            let (handler, settings, stop) = (handler.clone(), settings.clone(), stop.clone());
            tasks.spawn("as2-listener", async move {
                http::serve(listener, tls, handler, settings, async move { stop.triggered().await }).await;
            });
        }
        let (tls, settings, stop) = (shown.console.clone(), translate::console_server(config, figures), stop.clone());
        tasks.spawn("console-listener", async move {
            http::serve_router(self.console, tls, router, settings, async move { stop.triggered().await }).await;
        });
    }
}

/// Whose listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    As2,
    Console,
}

/// What the listeners show, and what they ask for. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Shown {
    /// In the order of the configuration at the start.
    as2: Vec<Option<ServerTls>>,
    console: Option<ServerTls>,
    directory: Arc<ArcSwap<Directory>>,
    clock: Arc<dyn Clock>,
}

impl Shown {
    /// As the configuration says at the start.
    pub(super) fn new(
        config: &Config,
        directory: Arc<ArcSwap<Directory>>,
        clock: Arc<dyn Clock>,
    ) -> Result<Shown, TlsError> {
        let mut shown = Shown { as2: Vec::new(), console: None, directory, clock };
        for listener in config.as2.all_listeners() {
            let side = shown.side_of(&listener)?;
            shown.as2.push(side);
        }
        shown.console = config.console.tls.as_ref().map(translate::server_tls).transpose()?;
        Ok(shown)
    }

    /// The TLS side of the first AS2 listener, and what its configuration says of it.
    pub(super) fn first_as2(&self, as2: &As2Settings) -> Option<(ServerTls, TlsIdentity, ClientAuth)> {
        let tls = self.as2.first().cloned().flatten()?;
        let listener = as2.all_listeners().into_iter().next()?;
        let clients = translate::client_auth(&listener.clients, &self.directory, &self.clock);
        Some((tls, listener.tls.clone()?, clients))
    }

    /// The certificates that are shown by now.
    pub(super) fn certificates(&self) -> Vec<(Whose, Certificate)> {
        self.of_each(ServerTls::certificate)
    }

    /// Of each chain that is shown by now, the certificate that ends first.
    pub(super) fn first_to_end(&self) -> Vec<(Whose, Certificate)> {
        self.of_each(ServerTls::first_to_end)
    }

    fn of_each(&self, der: fn(&ServerTls) -> Vec<u8>) -> Vec<(Whose, Certificate)> {
        let as2 = self.as2.iter().flatten().map(|tls| (Whose::As2, tls));
        let all = as2.chain(self.console.iter().map(|tls| (Whose::Console, tls)));
        all.filter_map(|(whose, tls)| Some((whose, Certificate::from_der(&der(tls)).ok()?))).collect()
    }

    /// Judges what the file lets every listener show, also those that begin at the next start only. `as2` are the running
    /// ones in their order as they are to be by it: see [`As2Settings::with_tls_of`].
    ///
    /// # Errors
    /// What cannot be used; nothing is shown of the others then.
    pub(super) fn prepare(
        &self,
        as2: &As2Settings,
        file: &As2Settings,
        console: Option<&TlsIdentity>,
    ) -> Result<Prepared, Unusable> {
        for (index, listener) in file.all_listeners().iter().enumerate() {
            let table = index.checked_sub(1).map_or("as2".to_owned(), |further| format!("as2.listeners[{further}]"));
            self.side_of(listener).map_err(|error| Unusable { table, error })?;
        }
        let mut sides = Vec::new();
        for (listener, running) in as2.all_listeners().iter().zip(&self.as2) {
            let next = self.side_of(listener).map_err(|error| Unusable { table: "as2".to_owned(), error })?;
            sides.extend(running.clone().zip(next));
        }
        let console = console.map(translate::server_tls).transpose();
        let console = console.map_err(|error| Unusable { table: "console".to_owned(), error })?;
        sides.extend(self.console.clone().zip(console));
        Ok(Prepared(sides))
    }

    /// What a listener is to show; nothing when it has no TLS.
    fn side_of(&self, listener: &ListenerSettings) -> Result<Option<ServerTls>, TlsError> {
        let clients = translate::client_auth(&listener.clients, &self.directory, &self.clock);
        listener.tls.as_ref().map(|tls| ServerTls::new(&Identity::from(tls), &clients)).transpose()
    }
}

/// The TLS sides of running listeners, each with what it is to show.
pub(super) struct Prepared(Vec<(ServerTls, ServerTls)>);

impl Prepared {
    /// Shows it to connections from now on.
    pub(super) fn show(&self) {
        for (running, next) in &self.0 {
            running.show_as(next);
        }
    }
}

/// TLS of `gateway.toml` that no listener can use.
#[derive(Debug)]
pub(super) struct Unusable {
    table: String,
    error: TlsError,
}

impl Unusable {
    /// The same as a mistake in this file.
    pub(super) fn problem(&self, file: &Path) -> Problem {
        let (code, text, key) = (self.error.code(), self.error.text(), format!("{}.tls.certificate", self.table));
        Problem { severity: Severity::Error, code, file: file.to_owned(), line: None, key, text }
    }
}

/// TLS of a configuration that no listener can use: what a start by it would fail at.
pub fn unusable_tls(config: &Config) -> Option<Problem> {
    let nobody = Shown { as2: Vec::new(), console: None, directory: Arc::default(), clock: Arc::new(SystemClock) };
    let judged = nobody.prepare(&config.as2, &config.as2, config.console.tls.as_ref());
    judged.err().map(|unusable| unusable.problem(&config.file))
}

fn local(listener: &TcpListener) -> Result<SocketAddr, StartError> {
    listener.local_addr().map_err(|error| StartError::Internal(error.to_string()))
}
