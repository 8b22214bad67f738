//! The table of the API: each route with its handler, the least scope it wants, and its description. The router, the
//! guard and the OpenAPI document are made from it, so that none of them can know a route that the others do not.

use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{MethodFilter, MethodRouter, on};
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::path::{Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Ref, Schema, SchemaType, Type};
use utoipa::openapi::{RefOr, Required};
use utoipa::{IntoParams, ToSchema};

use super::access::Scope;
use super::backend::Backend;
use super::router::Console;

/// Schemas by their names.
pub(super) type Schemas = Vec<(String, RefOr<Schema>)>;

/// One route below `/api/v1`.
pub(super) struct Route<B> {
    /// Its method.
    pub(super) method: Method,
    /// Its path below `/api/v1`, parameters in braces.
    pub(super) path: &'static str,
    /// The least scope; none: everybody.
    pub(super) least: Option<Scope>,
    /// What answers.
    pub(super) handler: MethodRouter<Console<B>>,
    /// What it does.
    pub(super) operation: Operation,
    /// The schemas that the operation refers to.
    pub(super) schemas: Schemas,
}

/// Every route.
pub(super) fn all<B: Backend>() -> Vec<Route<B>> {
    let parts = [
        super::people::routes(),
        super::api::routes(),
        super::download::routes(),
        super::keeping::routes(),
        super::alerting::routes(),
        super::declarations::routes(),
        super::runs::routes(),
        super::partners::routes(),
        super::exchanges::routes(),
        super::traffic::routes(),
        super::events::routes(),
        super::openapi::routes(),
    ];
    parts.into_iter().flatten().collect()
}

impl<B: Backend> Route<B> {
    /// `GET path` for everybody with `least`.
    pub(super) fn get<H, T>(path: &'static str, least: Scope, handler: H) -> Route<B>
    where
        H: Handler<T, Console<B>>,
        T: 'static,
    {
        Route::new(Method::GET, path, Some(least), on(MethodFilter::GET, handler))
    }

    /// `POST path`.
    pub(super) fn post<H, T>(path: &'static str, least: Scope, handler: H) -> Route<B>
    where
        H: Handler<T, Console<B>>,
        T: 'static,
    {
        Route::new(Method::POST, path, Some(least), on(MethodFilter::POST, handler))
    }

    /// `PATCH path`.
    pub(super) fn patch<H, T>(path: &'static str, least: Scope, handler: H) -> Route<B>
    where
        H: Handler<T, Console<B>>,
        T: 'static,
    {
        Route::new(Method::PATCH, path, Some(least), on(MethodFilter::PATCH, handler))
    }

    /// `DELETE path`.
    pub(super) fn delete<H, T>(path: &'static str, least: Scope, handler: H) -> Route<B>
    where
        H: Handler<T, Console<B>>,
        T: 'static,
    {
        Route::new(Method::DELETE, path, Some(least), on(MethodFilter::DELETE, handler))
    }

    fn new(method: Method, path: &'static str, least: Option<Scope>, handler: MethodRouter<Console<B>>) -> Route<B> {
        let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        let parameters: Vec<Parameter> = names.map(path_parameter).collect();
        let name = format!("{}{}", method.as_str().to_lowercase(), path.replace(['/', '{', '}', '-'], "_"));
        let operation = OperationBuilder::new().operation_id(Some(name)).parameters(Some(parameters)).build();
        Route { method, path, least, handler, operation, schemas: Schemas::new() }
    }

    /// No credentials are wanted.
    pub(super) fn open(mut self) -> Route<B> {
        self.least = None;
        self
    }

    /// One sentence about it.
    pub(super) fn says(self, summary: &str) -> Route<B> {
        self.with(|operation| operation.summary(Some(summary)))
    }

    fn with(mut self, change: impl FnOnce(OperationBuilder) -> OperationBuilder) -> Route<B> {
        self.operation = change(OperationBuilder::from(self.operation)).build();
        self
    }

    /// What may stand in the query string.
    pub(super) fn query<P: IntoParams>(self) -> Route<B> {
        let parameters = P::into_params(|| Some(ParameterIn::Query));
        parameters.into_iter().fold(self, |route, parameter| route.with(|operation| operation.parameter(parameter)))
    }

    /// A header field that may be sent.
    pub(super) fn header(self, name: &str, about: &str) -> Route<B> {
        let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Header).required(Required::False);
        let parameter = parameter.schema(Some(text())).description(Some(about)).build();
        self.with(|operation| operation.parameter(parameter))
    }

    /// The body is JSON.
    pub(super) fn takes<T: ToSchema>(mut self) -> Route<B> {
        let content = ContentBuilder::new().schema(Some(self.reference::<T>())).build();
        let body = RequestBodyBuilder::new().content("application/json", content).required(Some(Required::True));
        self.with(|operation| operation.request_body(Some(body.build())))
    }

    /// The body is a file.
    pub(super) fn takes_bytes(self) -> Route<B> {
        let content = ContentBuilder::new().schema(Some(bytes())).build();
        let body = RequestBodyBuilder::new().content("application/octet-stream", content);
        self.with(|operation| operation.request_body(Some(body.required(Some(Required::True)).build())))
    }

    /// The answer is JSON.
    pub(super) fn answers<T: ToSchema>(self, status: u16, about: &str) -> Route<B> {
        let mut route = self;
        let schema = route.reference::<T>();
        route.answer(status, about, Some(("application/json", schema)))
    }

    /// The answer is a file.
    pub(super) fn answers_bytes(self, media_type: &str, about: &str) -> Route<B> {
        self.answer(200, about, Some((media_type, bytes().into())))
    }

    /// The answer has no body.
    pub(super) fn answers_nothing(self, about: &str) -> Route<B> {
        self.answer(204, about, None)
    }

    fn answer(self, status: u16, about: &str, content: Option<(&str, RefOr<Schema>)>) -> Route<B> {
        let mut response = ResponseBuilder::new().description(about);
        if let Some((media_type, schema)) = content {
            response = response.content(media_type, ContentBuilder::new().schema(Some(schema)).build());
        }
        self.with(|operation| operation.response(status.to_string(), response.build()))
    }

    /// A reference to a type's schema, which is added to the document.
    pub(super) fn reference<T: ToSchema>(&mut self) -> RefOr<Schema> {
        self.schemas.push((T::name().into_owned(), T::schema()));
        T::schemas(&mut self.schemas);
        Ref::from_schema_name(T::name()).into()
    }
}

fn path_parameter(name: &str) -> Parameter {
    let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Path).required(Required::True);
    parameter.schema(Some(text())).build()
}

fn text() -> Schema {
    ObjectBuilder::new().schema_type(SchemaType::new(Type::String)).build().into()
}

fn bytes() -> Schema {
    ObjectBuilder::new()
        .schema_type(SchemaType::new(Type::String))
        .content_media_type("application/octet-stream")
        .build()
        .into()
}
