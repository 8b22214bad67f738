//! What comes back of a request, read to its end within a cap.

use ::http::header::{CONTENT_TYPE, TRANSFER_ENCODING};
use ::http::{HeaderMap, HeaderValue, Response};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};

use super::post_error::{PostError, PostErrorKind};
use super::tls_end::Cut;
use crate::mime::ContentType;

/// A complete answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Status code; redirects are answers like any other.
    pub status: u16,
    /// Fields in order; values that are not UTF-8 are kept lossily.
    pub headers: Vec<(String, String)>,
    /// At most `answer_limit` bytes.
    pub body: Bytes,
    /// It came before all of the body was sent: to the head alone, or in the midst of it.
    pub early: bool,
}

impl Answer {
    /// A status of 2xx: the peer has read the request to its end.
    pub fn is_of_whole_request(&self) -> bool {
        (200..300).contains(&self.status) && !self.early
    }

    /// The first field called `name`, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Reads the rest of an answer, of a connection that notes in `cut` whether it ended without a word.
    ///
    /// # Errors
    /// It has more than `limit` bytes, breaks off, or may have been broken off. Of an answer that is no success the status says
    /// enough, however its body ends.
    pub(super) async fn read(
        response: Response<Incoming>,
        limit: usize,
        early: bool,
        cut: &Cut,
    ) -> Result<Answer, PostError> {
        let (head, mut incoming) = response.into_parts();
        let is_success = head.status.is_success();
        // It ends where the connection does (RFC 9112 6.3) when it has neither a length nor chunks.
        let without_end = incoming.size_hint().exact().is_none() && !is_chunked(&head.headers);
        let mut body = Vec::new();
        while let Some(frame) = incoming.frame().await {
            let data = match frame {
                Ok(frame) => frame.into_data(),
                // The connection ends because of what is not wanted of the request; the status says enough.
                Err(_) if early || !is_success => break,
                Err(error) => return Err(PostError::from(error).under_way()),
            };
            let Ok(data) = data else { continue };
            if body.len().saturating_add(data.len()) > limit {
                if !is_success {
                    break;
                }
                return Err(PostError::new(PostErrorKind::TooLarge, format_args!("more than {limit} bytes")));
            }
            body.extend_from_slice(&data);
        }
        // The half of a receipt may read like another receipt.
        if is_success && without_end && cut.is_noted() && !early && !body.is_empty() && !is_multipart(&head.headers) {
            let detail = "TLS was cut off, and nothing tells how long the answer is";
            return Err(PostError::new(PostErrorKind::Closed, detail));
        }
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = head.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        Ok(Answer { status: head.status.as_u16(), headers, body: body.into(), early })
    }
}

/// The last transfer coding is `chunked` (RFC 9112 6.1).
fn is_chunked(headers: &HeaderMap) -> bool {
    let last = headers.get_all(TRANSFER_ENCODING).iter().next_back();
    let coding = last.and_then(|value| value.as_bytes().rsplit(|byte| *byte == b',').next());
    coding.is_some_and(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"chunked"))
}

/// Its closing delimiter shows the end (RFC 2046 5.1.1), and whoever reads it misses that.
fn is_multipart(headers: &HeaderMap) -> bool {
    let value = headers.get(CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let content_type = value.and_then(|value| ContentType::parse(&value).ok());
    content_type.is_some_and(|content_type| content_type.essence.starts_with("multipart/"))
}
