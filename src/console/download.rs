//! Bytes of a message as downloads. They are strangers' bytes: a browser saves them and shows nothing of them.

use std::io::{self, Read};
use std::sync::Arc;

use axum::extract::{Path, State as Shared};
use axum::http::header::{self, HeaderValue};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

use super::access::{Principal, Scope};
use super::api::message_id;
use super::backend::{Backend, Download, Part};
use super::problem::Problem;
use super::router::stepwise;
use super::routes::Route;
use super::wire::MdnTextWire;
use axum::{Extension, Json};

/// Bytes read at a time.
const CHUNK: usize = 64 * 1024;

pub(super) fn routes<B: Backend>() -> Vec<Route<B>> {
    let binary = "application/octet-stream";
    vec![
        Route::get("/messages/{id}/wire", Scope::Read, wire::<B>)
            .says("The exact bytes on the wire; where they are not encrypted, and so show the payload, for operators")
            .answers_bytes(binary, "The bytes"),
        Route::get("/messages/{id}/mdn", Scope::Read, mdn::<B>)
            .says("The MDN as it travelled")
            .answers_bytes(binary, "The bytes"),
        Route::get("/messages/{id}/mdn/text", Scope::Read, mdn_text::<B>)
            .says("What the MDN says to people")
            .answers::<MdnTextWire>(200, "The text"),
        Route::get("/messages/{id}/payload", Scope::Operate, payload::<B>)
            .says("The payload")
            .answers_bytes(binary, "The bytes"),
    ]
}

async fn wire<B: Backend>(
    Shared(backend): Shared<Arc<B>>,
    Extension(principal): Extension<Principal>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let part = if principal.scope >= Scope::Operate { Part::Wire } else { Part::SealedWire };
    Ok(attachment(backend.download(message_id(&id)?, part).await?))
}

async fn mdn<B: Backend>(Shared(backend): Shared<Arc<B>>, Path(id): Path<String>) -> Result<Response, Problem> {
    Ok(attachment(backend.download(message_id(&id)?, Part::Mdn).await?))
}

async fn payload<B: Backend>(Shared(backend): Shared<Arc<B>>, Path(id): Path<String>) -> Result<Response, Problem> {
    Ok(attachment(backend.download(message_id(&id)?, Part::Payload).await?))
}

async fn mdn_text<B: Backend>(
    Shared(backend): Shared<Arc<B>>,
    Path(id): Path<String>,
) -> Result<Json<MdnTextWire>, Problem> {
    Ok(Json(MdnTextWire { text: backend.mdn_text(message_id(&id)?).await? }))
}

/// Saved under its name, sniffed by nobody, and a document without any right should somebody open it all the same.
pub(super) fn attachment(download: Download) -> Response {
    let Download { file_name, len, bytes } = download;
    let body = stepwise(bytes, |bytes| Box::pin(chunk(bytes)));
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(len));
    let policy = HeaderValue::from_static("default-src 'none'; sandbox; frame-ancestors 'none'");
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    let plain = HeaderValue::from_static("attachment");
    let named = HeaderValue::from_str(&disposition(&file_name)).unwrap_or(plain);
    headers.insert(header::CONTENT_DISPOSITION, named);
    response
}

/// RFC 6266 4.3: a plain name for all, the exact one encoded.
fn disposition(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || ".-_".contains(c) { c } else { '_' };
    let fallback: String = name.chars().map(plain).take(100).collect();
    let mut exact = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b".-_~".contains(&byte) {
            exact.push(char::from(byte));
        } else {
            exact.push_str(&format!("%{byte:02X}"));
        }
    }
    format!("attachment; filename=\"{fallback}\"; filename*=UTF-8''{exact}")
}

type Source = Box<dyn Read + Send>;

/// The next piece; an error breaks the connection off, so that nobody takes a part for the whole.
async fn chunk(source: Source) -> Option<(io::Result<Bytes>, Source)> {
    let read = crate::ground::drain::blocking(move || {
        let mut source = source;
        let mut bytes = Vec::with_capacity(CHUNK);
        let limit = u64::try_from(CHUNK).unwrap_or(u64::MAX);
        let read = source.by_ref().take(limit).read_to_end(&mut bytes);
        (read.map(|_| bytes), source)
    });
    match read.await {
        Ok((Ok(bytes), _)) if bytes.is_empty() => None,
        Ok((bytes, source)) => Some((bytes.map(Bytes::from), source)),
        Err(broken) => Some((Err(io::Error::other(broken)), Box::new(io::empty()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_name_stays_inside_its_quotes() {
        let name = "订\"\r\nX: y; /../<script>.xml";
        let named = disposition(name);
        assert!(!named.contains(['\r', '\n', '<', '/']), "{named}");
        assert_eq!(named.matches('"').count(), 2, "{named}");
        assert!(named.ends_with("%3Cscript%3E.xml"), "{named}");
        assert!(HeaderValue::from_str(&named).is_ok());
    }
}
