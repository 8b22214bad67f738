//! The listeners: bound before anything else starts, served until the stop, their certificates replaced in between.

use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::net::TcpListener;

use super::StartError;
use super::translate;
use crate::cms::Certificate;
use crate::config::{As2Settings, Config};
use crate::ground::clock::Clock;
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
        let settings = translate::as2_server(&config.server, figures);
        for (listener, tls) in self.as2.into_iter().zip(shown.as2.iter().cloned()) {
            let (handler, settings, stop) = (handler.clone(), settings.clone(), stop.clone());
            tasks.spawn("as2-listener", async move {
                http::serve(listener, tls, handler, settings, async move { stop.triggered().await }).await;
            });
        }
        let (tls, settings, stop) =
            (shown.console.clone(), translate::console_server(&config.server, figures), stop.clone());
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
            let clients = translate::client_auth(&listener.clients, &shown.directory, &shown.clock);
            let tls = listener.tls.as_ref().map(|tls| ServerTls::new(&Identity::from(tls), &clients)).transpose()?;
            shown.as2.push(tls);
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
        let as2 = self.as2.iter().flatten().map(|tls| (Whose::As2, tls));
        let all = as2.chain(self.console.iter().map(|tls| (Whose::Console, tls)));
        all.filter_map(|(whose, tls)| Some((whose, Certificate::from_der(&tls.certificate()).ok()?))).collect()
    }

    /// Shows other certificates to connections from now on. A listener that had TLS keeps it.
    pub(super) fn replace(&self, as2: &As2Settings, console: Option<&TlsIdentity>) -> Result<(), TlsError> {
        for (listener, tls) in as2.all_listeners().iter().zip(&self.as2) {
            let (Some(identity), Some(tls)) = (&listener.tls, tls) else { continue };
            let clients = translate::client_auth(&listener.clients, &self.directory, &self.clock);
            tls.replace(&Identity::from(identity), &clients)?;
        }
        if let (Some(identity), Some(tls)) = (console, &self.console) {
            tls.replace(&Identity::from(identity), &http::ClientAuth::None)?;
        }
        Ok(())
    }
}

fn local(listener: &TcpListener) -> Result<SocketAddr, StartError> {
    listener.local_addr().map_err(|error| StartError::Internal(error.to_string()))
}
