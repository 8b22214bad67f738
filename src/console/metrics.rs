//! `/metrics`, for Prometheus: with a token of any scope, or open to this machine alone when the configuration says so. It
//! names partners and tells how much is exchanged with them, so it is nobody else's business.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State as Shared};
use axum::http::header;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::access::Access;
use super::backend::Backend;
use super::problem::Problem;
use super::router::{Console, bearer, peer};

/// Media type of Prometheus's text format.
const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The route; `access` says who may read.
pub(super) fn routes<B: Backend>(access: Arc<Access>) -> Router<Console<B>> {
    Router::new().route("/metrics", get(page::<B>)).route_layer(middleware::from_fn_with_state(access, guard))
}

async fn page<B: Backend>(Shared(backend): Shared<Arc<B>>) -> Response {
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], backend.metrics().await).into_response()
}

async fn guard(Shared(access): Shared<Arc<Access>>, request: Request, next: Next) -> Response {
    let near = access.settings().open_metrics && peer(&request).is_some_and(|peer| peer.is_loopback());
    if near || bearer(&access, request.headers()).is_some() {
        next.run(request).await
    } else {
        Problem::unauthorized().into_response()
    }
}
