//! The head of a request that we send.

use ::http::{HeaderName, HeaderValue, Method, Request, Uri, header};

use super::address::Target;
use super::body::{SendBody, Sending};
use super::course::{Course, Progress};
use super::deadline::Deadline;
use super::expectation::Expectation;
use super::post_error::{PostError, PostErrorKind};
use super::proxy::Proxy;
use crate::http::client::ClientSettings;

/// What the heads of all requests to one URL have in common.
#[derive(Debug)]
pub(super) struct Heading {
    /// The path, or the whole URL for a proxy that forwards the request.
    uri: Uri,
    host: HeaderValue,
}

impl Heading {
    /// Whether requests are `forwarded`: a proxy gets them themselves rather than a tunnel.
    pub(super) fn new(target: &Target, uri: &Uri, forwarded: bool) -> Result<Heading, PostError> {
        let bad = |what: &str| PostError::new(PostErrorKind::BadUrl, what);
        let (path, host) = (path_of(uri), target.host_header());
        let form = if forwarded { format!("http://{host}{path}") } else { path };
        let uri = form.parse().map_err(|_| bad("the path is not usable"))?;
        let host = HeaderValue::from_str(&host).map_err(|_| bad("the host is not usable"))?;
        Ok(Heading { uri, host })
    }
}

/// A request's head, from which the request is made as often as it has to be.
pub(super) struct Head {
    method: Method,
    uri: Uri,
    fields: Vec<(HeaderName, HeaderValue)>,
    chunked: bool,
    expect: Option<std::time::Duration>,
}

/// Fields that concern the connection (RFC 9110 7.6.1) or that the client sets itself.
const OWN_FIELDS: [HeaderName; 8] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::CONNECTION,
    header::EXPECT,
    header::UPGRADE,
    header::TE,
    header::PROXY_AUTHORIZATION,
];

impl Head {
    /// `forwarded_by`: the proxy that gets the request itself rather than a tunnel.
    pub(super) fn new(
        method: &str,
        heading: &Heading,
        given: &[(&str, &str)],
        body: &SendBody,
        settings: &ClientSettings,
        forwarded_by: Option<&Proxy>,
    ) -> Result<Head, PostError> {
        let bad = |what: &str| PostError::new(PostErrorKind::BadUrl, what);
        let method = Method::from_bytes(method.as_bytes()).map_err(|_| bad("not a method"))?;
        let mut fields = Vec::with_capacity(given.len().saturating_add(3));
        fields.push((header::HOST, heading.host.clone()));
        for (name, value) in given {
            let field = HeaderName::from_bytes(name.as_bytes());
            let field = field.map_err(|_| bad("a header field has an unusable name"))?;
            let value = HeaderValue::from_bytes(value.as_bytes());
            let value = value.map_err(|_| bad("a header field has an unusable value"))?;
            if !OWN_FIELDS.contains(&field) {
                fields.push((field, value));
            }
        }
        if let Some(authorization) = forwarded_by.and_then(Proxy::authorization) {
            let value = HeaderValue::from_str(authorization.expose()).map_err(|_| bad("unusable proxy credentials"))?;
            fields.push((header::PROXY_AUTHORIZATION, value));
        }
        let chunked = settings.chunked && !body.is_empty();
        // hyper adds `Transfer-Encoding: chunked` to a body of unknown length.
        if !chunked {
            fields.push((header::CONTENT_LENGTH, HeaderValue::from(body.len())));
        }
        let expect = settings.expect.filter(|_| !body.is_empty());
        Ok(Head { method, uri: heading.uri.clone(), fields, chunked, expect })
    }

    /// The same head without an expectation, for a peer that answered 417.
    pub(super) fn without_expectation(self) -> Head {
        Head { expect: None, ..self }
    }

    /// Whether the peer is asked before the body goes.
    pub(super) fn expects(&self) -> bool {
        self.expect.is_some()
    }

    /// The request, whose body moves `deadline`, and how that goes.
    pub(super) fn request(&self, body: &SendBody, deadline: &Deadline) -> (Request<Sending>, Course) {
        let progress = Progress::moving(deadline);
        let mut sending = Sending::telling(body, progress.clone());
        if self.chunked {
            sending.forget_length();
        }
        let expectation = self.expect.map(|patience| {
            let (expectation, waiting) = Expectation::new(patience);
            sending.wait_for(waiting);
            expectation
        });
        let mut request = Request::new(sending);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        for (name, value) in &self.fields {
            request.headers_mut().append(name, value.clone());
        }
        if let Some(expectation) = &expectation {
            request.headers_mut().append(header::EXPECT, HeaderValue::from_static("100-continue"));
            expectation.listen(&mut request);
        }
        (request, Course { expectation, progress })
    }
}

/// What a request asks for: path and query; the path is `/` where the URL has none (RFC 9110 4.2.3).
pub(super) fn path_of(uri: &Uri) -> String {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    if path.starts_with('/') { path.to_owned() } else { format!("/{path}") }
}
