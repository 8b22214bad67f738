//! The API's description (OpenAPI 3.1), made from the table of routes and the types that go over the wire.

use axum::extract::State as Shared;
use axum::http::header;
use axum::response::IntoResponse;
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::path::{HttpMethod, Operation, OperationBuilder, PathItem, PathsBuilder};
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{ComponentsBuilder, InfoBuilder, OpenApiBuilder, Ref, ServerBuilder};
use utoipa::{PartialSchema as _, ToSchema as _};

use super::access::Scope;
use super::backend::Backend;
use super::router::Console;
use super::routes::{Route, Schemas};
use super::wire::ProblemWire;

pub(super) fn routes<B: Backend>() -> Vec<Route<B>> {
    vec![
        Route::get("/openapi.json", Scope::Read, openapi::<B>)
            .open()
            .says("This document")
            .answers_bytes("application/json", "OpenAPI 3.1"),
    ]
}

async fn openapi<B: Backend>(Shared(console): Shared<Console<B>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], console.document.to_string())
}

/// The document as JSON.
pub(super) fn document<B: Backend>(table: &[Route<B>]) -> String {
    let mut schemas: Schemas = vec![(ProblemWire::name().into_owned(), ProblemWire::schema())];
    ProblemWire::schemas(&mut schemas);
    let mut paths = PathsBuilder::new();
    for route in table {
        schemas.extend(route.schemas.iter().cloned());
        paths = paths.path(route.path, PathItem::new(method(route), operation(route)));
    }
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("An API token.")).build();
    let cookie = ApiKey::Cookie(ApiKeyValue::with_description(
        "dxgate",
        "A session; with TLS the cookie is named __Host-dxgate, and changes carry X-CSRF-Token.",
    ));
    let components = ComponentsBuilder::new()
        .schemas_from_iter(schemas)
        .security_scheme("token", SecurityScheme::Http(bearer))
        .security_scheme("session", SecurityScheme::ApiKey(cookie));
    let info = InfoBuilder::new().title("dxgate").version("1").description(Some("See docs/api.md."));
    let document = OpenApiBuilder::new()
        .info(info)
        .servers(Some([ServerBuilder::new().url("/api/v1").build()]))
        .paths(paths)
        .components(Some(components.build()))
        .build();
    let mut text = document.to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

fn method<B>(route: &Route<B>) -> HttpMethod {
    match route.method.as_str() {
        "POST" => HttpMethod::Post,
        "PATCH" => HttpMethod::Patch,
        "DELETE" => HttpMethod::Delete,
        _ => HttpMethod::Get,
    }
}

fn operation<B>(route: &Route<B>) -> Operation {
    let problem = ContentBuilder::new().schema(Some(Ref::from_schema_name(ProblemWire::name()))).build();
    let refused = ResponseBuilder::new().description("Refused; `code` says why.");
    let refused = refused.content("application/problem+json", problem).build();
    let operation = OperationBuilder::from(route.operation.clone()).response("default", refused);
    match route.least {
        None => operation.build(),
        Some(least) => {
            let wanted = match least {
                Scope::Read => "For every role and scope.",
                Scope::Operate => "For operators and admins; scope `operate` or `admin`.",
                Scope::Admin => "For admins; scope `admin`.",
            };
            let none: [&str; 0] = [];
            let ways = [SecurityRequirement::new("token", none), SecurityRequirement::new("session", none)];
            operation.description(Some(wanted)).securities(Some(ways)).build()
        }
    }
}

#[cfg(test)]
#[path = "openapi_tests.rs"]
mod tests;
