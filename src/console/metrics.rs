//! `/metrics`, for Prometheus: with the token, or open to this machine alone when the configuration says so. It names
//! partners and tells how much is exchanged with them, so it is nobody else's business.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State as Shared};
use axum::http::header;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::api::is_authorized;
use super::backend::Backend;
use super::problem::Problem;
use super::token::Token;

/// Media type of Prometheus's text format.
const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Who may read.
#[derive(Clone)]
struct Door {
    token: Arc<Token>,
    open: bool,
}

/// The route.
pub(super) fn routes<B: Backend>(token: Arc<Token>, open: bool) -> Router<Arc<B>> {
    let guard = middleware::from_fn_with_state(Door { token, open }, guard);
    Router::new().route("/metrics", get(page::<B>)).route_layer(guard)
}

async fn page<B: Backend>(Shared(backend): Shared<Arc<B>>) -> Response {
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], backend.metrics().await).into_response()
}

async fn guard(Shared(door): Shared<Door>, request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
    let near = door.open && peer.is_some_and(|peer| peer.to_canonical().is_loopback());
    if near || is_authorized(&door.token, &request) {
        next.run(request).await
    } else {
        Problem::unauthorized().into_response()
    }
}
