//! AS2 Restart (draft-harding-as2-restart) on our side, for partners whose file says so (`[http] restart`): a large body
//! has a mark (`ETag`) and says which part of it is sent (`Content-Range`). Before it is sent again, `HEAD` asks the partner
//! how much it has, and the rest follows; when it has all, the last byte fetches the receipt. A partner that knows nothing
//! of this says nothing useful and gets the whole body, the same bytes as ever.

use std::io::{self, Read};

use crate::as2::headers;
use crate::as2::restart::{CONTENT_RANGE, ETAG, Range};
use crate::http::{Answer, Client, PostError, PostErrorKind, SendBody, Timeouts};
use crate::store::Store;
use crate::store::record::Body;

/// One body on its way.
pub(super) struct Transfer<'a> {
    pub(super) client: Client,
    pub(super) url: &'a str,
    /// Those of the POST.
    pub(super) fields: Vec<(String, String)>,
    pub(super) store: Store,
    pub(super) wire: Body,
    pub(super) timeouts: Timeouts,
}

impl Transfer<'_> {
    /// Sends the body, or what the partner lacks of it; `seen`: it was sent before.
    pub(super) async fn run(mut self, seen: bool) -> Result<Answer, PostError> {
        // Other wire bytes of the same message have another mark.
        self.fields.push((ETAG.to_owned(), format!("\"{}\"", self.wire.id)));
        let from = if seen { self.held().await?.min(self.wire.len.saturating_sub(1)) } else { 0 };
        if from > 0 {
            let answer = self.send(from).await?;
            if answer.status != NOT_SATISFIABLE {
                return Ok(answer);
            }
        }
        self.send(0).await
    }

    async fn send(&self, from: u64) -> Result<Answer, PostError> {
        let (store, wire) = (self.store.clone(), self.wire);
        let range = Range { from, to: wire.len.saturating_sub(1), total: wire.len }.to_string();
        tracing::debug!(range, "a part of a body is sent");
        let mut fields = self.fields.clone();
        fields.push((CONTENT_RANGE.to_owned(), range));
        let body = SendBody::reader(wire.len.saturating_sub(from), move || {
            let mut bytes = store.read_last(&wire)?;
            // Read and not skipped: the digest of the whole is compared at its end.
            let passed = io::copy(&mut bytes.by_ref().take(from), &mut io::sink())?;
            if passed == from { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
        });
        self.client.post(self.url, &fields, body, self.timeouts).await
    }

    /// Bytes that the partner has; 0 when it does not say. Whoever cannot be reached is asked again at the next attempt:
    /// to begin anew would throw away what it has.
    async fn held(&self) -> Result<u64, PostError> {
        let asked = |name: &str| ASKED.iter().any(|asked| asked.eq_ignore_ascii_case(name));
        let fields: Vec<_> = self.fields.iter().filter(|(name, _)| asked(name)).cloned().collect();
        let answer = self.client.request("HEAD", self.url, &fields, SendBody::empty(), self.timeouts).await;
        let answer = match answer {
            Ok(answer) => answer,
            // What it says of the question says nothing of the message.
            Err(error) if is_unreached(error.kind) => return Err(PostError { answered: false, ..error }),
            Err(_) => return Ok(0),
        };
        let length = answer.header("Content-Length").and_then(|length| length.trim().parse::<u64>().ok());
        Ok(length.filter(|held| (200..300).contains(&answer.status) && *held <= self.wire.len).unwrap_or(0))
    }
}

fn is_unreached(kind: PostErrorKind) -> bool {
    use PostErrorKind::{Connect, Proxy, Resolve, Timeout, Tls};
    matches!(kind, Resolve | Connect | Proxy | Tls | Timeout)
}

/// Fields of the POST that `HEAD` has too.
const ASKED: [&str; 7] = [
    ETAG,
    "Authorization",
    headers::AS2_FROM,
    headers::AS2_TO,
    headers::AS2_VERSION,
    headers::MESSAGE_ID,
    headers::USER_AGENT,
];
/// The partner has less than it said, or nothing any more.
const NOT_SATISFIABLE: u16 = 416;
