//! AS2 Restart (draft-harding-as2-restart) on our side, for partners whose file says so (`[http] restart`): a large body
//! has a mark (`ETag`) and says which part of it is sent (`Content-Range`). Before it is sent again, `HEAD` asks the partner
//! how much it has, and the rest follows; when it has all, the last byte fetches the receipt. A partner that knows nothing
//! of this says nothing useful and gets the whole body, the same bytes as ever.
//!
//! Where the whole body goes, what the partner has is thrown away; a server that knows nothing of this and is sent a rest
//! takes that for the message. So what comes of the question decides:
//!
//! | asked how much it has, the partner | this attempt |
//! |---|---|
//! | cannot be reached | ends; the next one asks again |
//! | answers 429, 502, 503, 504, or 500 with `Retry-After` | ends with that answer: an earlier connection holds the part still, say; without `Retry-After` sends the whole body after three attempts |
//! | closes the connection, or says nothing in time | asks once more, then sends the whole body |
//! | answers without a usable length, or not in HTTP | sends the whole body |
//! | tells a length | sends the rest, unless it tells a length of a body that nobody has sent as well |

use std::io::{self, Read};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::outgoing::Reading;
use crate::as2::headers;
use crate::as2::restart::{CONTENT_RANGE, ETAG, Range};
use crate::ground::{drain, random};
use crate::http::client::Route;
use crate::http::{Answer, PostError, PostErrorKind, SendBody, Timeouts};
use crate::store::Store;
use crate::store::record::Body;

/// One body on its way.
pub(super) struct Transfer<'a> {
    pub(super) route: &'a Route,
    /// Those of the POST.
    pub(super) fields: Vec<(&'a str, &'a str)>,
    pub(super) store: Store,
    pub(super) wire: Body,
    pub(super) timeouts: Timeouts,
    /// Hears what comes of reading it.
    pub(super) reading: Reading,
}

/// What an attempt came to that ended with the question.
type Over = Result<Answer, PostError>;

impl Transfer<'_> {
    /// Sends the body, or what the partner lacks of it, after so many attempts before.
    pub(super) async fn run(self, attempts: u32) -> Result<Answer, PostError> {
        let held = if attempts > 0 { self.held(attempts).await } else { Ok(0) };
        let from = match held {
            Ok(held) => held.min(self.wire.len.saturating_sub(1)),
            Err(over) => return over,
        };
        if from > 0 {
            let answer = self.send(from).await?;
            if answer.status != NOT_SATISFIABLE {
                return Ok(answer);
            }
        }
        self.send(0).await
    }

    async fn send(&self, from: u64) -> Result<Answer, PostError> {
        let wire = self.wire;
        let body = rest_of(&self.store, wire, &self.reading, from).await?;
        let range = Range { from, to: wire.len.saturating_sub(1), total: wire.len }.to_string();
        tracing::debug!(range, "a part of a body is sent");
        let mark = self.mark();
        let mut fields: Vec<(&str, &str)> = self.fields.clone();
        fields.extend([(ETAG, mark.as_str()), (CONTENT_RANGE, range.as_str())]);
        self.route.post(&fields, body, self.timeouts).await
    }

    /// Other wire bytes of the same message have another mark.
    fn mark(&self) -> String {
        format!("\"{}\"", self.wire.id)
    }

    /// Bytes that the partner has; 0 when it does not say.
    async fn held(&self, attempts: u32) -> Result<u64, Over> {
        let Some(told) = self.ask(&self.mark(), attempts).await? else { return Ok(0) };
        let held = length(&told).and_then(|length| length.parse::<u64>().ok());
        let held = held.filter(|held| *held <= self.wire.len).unwrap_or(0);
        if held == 0 {
            return Ok(0);
        }
        // Many servers answer HEAD with the length of a page of theirs, whatever it is about.
        let nobodys = format!("\"{}\"", random::noise_in_hex(16));
        let control = self.ask(&nobodys, attempts).await?;
        let is_none = |length: &str| length.parse::<u64>() == Ok(0);
        if control.is_some_and(|control| length(&control).is_none_or(is_none)) {
            return Ok(held);
        }
        tracing::info!(held, "the server does not tell one body from another: the whole one is sent");
        Ok(0)
    }

    /// Asks by `HEAD` about the body with this mark. `None`: the server has no answer to that.
    async fn ask(&self, mark: &str, attempts: u32) -> Result<Option<Answer>, Over> {
        let fields = asked(&self.fields, mark);
        let timeouts = Timeouts { total: self.timeouts.total.min(PATIENCE), ..self.timeouts };
        for _ in 0..TURNS {
            let error = match self.route.request("HEAD", &fields, SendBody::empty(), timeouts).await {
                Ok(answer) if is_for_now(&answer, attempts) => return Err(Ok(answer)),
                Ok(answer) => return Ok(Some(answer)),
                Err(error) => error,
            };
            match silence(error.kind) {
                Silence::Unreached => return Err(Err(error)),
                Silence::BrokenOff => {}
                Silence::Senseless => return Ok(None),
            }
        }
        Ok(None)
    }
}

/// The bytes from `from` on. Those before are passed here, ahead of the request: minutes pass until the first byte of a body
/// otherwise, and no server waits for it so long. A request that is repeated on another connection passes them once more.
async fn rest_of(store: &Store, wire: Body, reading: &Reading, from: u64) -> Result<SendBody, PostError> {
    let (store, reading) = (store.clone(), reading.clone());
    let open = move || {
        let mut bytes = reading.watch(store.read_last(&wire))?;
        // Read and not skipped: the digest of the whole is compared at its end.
        let passed = io::copy(&mut bytes.by_ref().take(from), &mut io::sink())?;
        if passed == from { Ok(bytes) } else { Err(io::Error::from(io::ErrorKind::UnexpectedEof)) }
    };
    let opened = drain::blocking(open.clone()).await.map_err(io::Error::other).flatten();
    let opened = Mutex::new(Some(opened.map_err(|error| PostError::new(PostErrorKind::Body, error))?));
    Ok(SendBody::reader(wire.len.saturating_sub(from), move || {
        let opened = opened.lock().unwrap_or_else(PoisonError::into_inner).take();
        opened.map_or_else(&open, Ok)
    }))
}

/// The fields of `HEAD`: those of the POST that it has too, and the mark. Whoever asks speaks version 1.2 at least
/// (draft-harding-as2-restart), whatever the message says.
fn asked<'f>(fields: &[(&'f str, &'f str)], mark: &'f str) -> Vec<(&'f str, &'f str)> {
    let is_asked = |name: &str| ASKED.iter().any(|asked| asked.eq_ignore_ascii_case(name));
    let of_version = |name: &str| name.eq_ignore_ascii_case(headers::AS2_VERSION);
    let mut asked: Vec<(&str, &str)> = fields.iter().filter(|(name, _)| is_asked(name)).copied().collect();
    asked
        .iter_mut()
        .filter(|(name, value)| of_version(name) && *value < VERSION)
        .for_each(|(_, value)| *value = VERSION);
    asked.push((ETAG, mark));
    asked
}

/// The length in a good answer, which the client does not judge where no body follows.
fn length(answer: &Answer) -> Option<&str> {
    answer.header("Content-Length").filter(|_| (200..300).contains(&answer.status)).map(str::trim)
}

/// The server, or what stands before it, cannot say at the moment. A 500 alone may be all that it ever says to `HEAD`;
/// with the time to come again it says that another connection carries the body still, as our own receiver does. What says
/// the same without a time after attempt upon attempt will not say more: a proxy before a server that cannot bear `HEAD`, say.
fn is_for_now(answer: &Answer, attempts: u32) -> bool {
    let says_when = answer.header("Retry-After").is_some();
    match answer.status {
        429 | 502 | 503 | 504 => says_when || attempts <= BELIEVED,
        500 => says_when,
        _ => false,
    }
}

/// What a question without an answer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Silence {
    /// Nobody was asked, and the POST would fare no better. What the partner has is not to be thrown away for that.
    Unreached,
    /// The connection ended, or nothing came in time. A line that breaks seldom does so to two questions on end; a server
    /// that cannot bear `HEAD` does so to each, and would never get the message if it were asked at every attempt.
    BrokenOff,
    /// The server takes `HEAD` for something else, today and tomorrow.
    Senseless,
}

fn silence(kind: PostErrorKind) -> Silence {
    use PostErrorKind as Kind;
    match kind {
        Kind::BadUrl | Kind::Forbidden | Kind::Resolve | Kind::Connect | Kind::ConnectTimeout | Kind::Proxy => {
            Silence::Unreached
        }
        Kind::Tls | Kind::TlsVersion | Kind::Certificate | Kind::CertificateExpired | Kind::CertificateName => {
            Silence::Unreached
        }
        // A question has no body; what is called so is a connection that went away with its request.
        Kind::Closed | Kind::Timeout | Kind::Body => Silence::BrokenOff,
        Kind::Protocol | Kind::TooLarge => Silence::Senseless,
    }
}

/// Fields of the POST that `HEAD` has too.
const ASKED: [&str; 6] = [
    "Authorization",
    headers::AS2_FROM,
    headers::AS2_TO,
    headers::AS2_VERSION,
    headers::MESSAGE_ID,
    headers::USER_AGENT,
];
const VERSION: &str = "1.2";
/// The partner has less than it said, or nothing any more.
const NOT_SATISFIABLE: u16 = 416;
/// After so many attempts it counts as no answer that a server cannot say for now, and not when.
const BELIEVED: u32 = 3;
/// How often a question is asked in an attempt.
const TURNS: usize = 2;
/// The longest time for a question, to which no body belongs either way; a POST may take longer.
const PATIENCE: Duration = Duration::from_secs(120);

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::sync::Arc;

    use super::*;
    use crate::ground::clock::ManualClock;
    use crate::store::StoreConfig;
    use crate::store::draft::{Draft, Sink};

    #[test]
    fn a_question_says_version_1_2_though_the_message_says_an_older_one() {
        for (said, asks) in [("1.0", "1.2"), ("1.1", "1.2"), ("1.2", "1.2"), ("1.3", "1.3")] {
            let post = [("AS2-From", "a"), ("AS2-Version", said), ("Subject", "s"), ("Content-Type", "a/b")];
            assert_eq!(asked(&post, "\"m\""), [("AS2-From", "a"), ("AS2-Version", asks), (ETAG, "\"m\"")]);
        }
    }

    #[tokio::test]
    async fn what_the_partner_has_is_passed_before_the_request_begins() {
        let home = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(jiff::Timestamp::UNIX_EPOCH));
        let config = StoreConfig { inline_threshold: 4, ..StoreConfig::new(home.path(), clock) };
        let store = Store::open(StoreConfig { allow_untrusted_filesystem: true, ..config }).unwrap().0;
        let mut sink = Sink::new(&store);
        sink.write_all(b"here already, and the rest").unwrap();
        let Draft::File(file) = sink.finish().unwrap() else { panic!("it is in no file") };
        let wire = *file.body();
        let body = rest_of(&store, wire, &Reading::default(), 13).await.unwrap();
        std::fs::remove_file(home.path().join("bodies").join(wire.id.to_string())).unwrap();
        let SendBody::Reader { len, open } = body else { panic!("it is in memory") };
        let mut rest = String::new();
        open().unwrap().read_to_string(&mut rest).unwrap();
        assert_eq!((len, rest.as_str()), (13, " and the rest"));
    }

    #[test]
    fn whoever_could_not_be_asked_is_asked_at_the_next_attempt_and_nobody_else() {
        use PostErrorKind::*;
        let connecting = [BadUrl, Forbidden, Resolve, Connect, ConnectTimeout, Proxy, Tls, TlsVersion];
        let certificates = [Certificate, CertificateExpired, CertificateName];
        for kind in connecting.into_iter().chain(certificates) {
            assert!(kind.nothing_sent() && silence(kind) == Silence::Unreached, "{kind:?}");
        }
        for (kind, wanted) in [
            (Closed, Silence::BrokenOff),
            (Timeout, Silence::BrokenOff),
            (Body, Silence::BrokenOff),
            (Protocol, Silence::Senseless),
            (TooLarge, Silence::Senseless),
        ] {
            assert!(!kind.nothing_sent() && silence(kind) == wanted, "{kind:?}");
        }
    }

    #[test]
    fn only_who_cannot_say_at_the_moment_is_waited_for() {
        let answer = |status: u16, later: bool| {
            let headers = later.then(|| ("retry-after".to_owned(), "10".to_owned())).into_iter().collect();
            Answer { status, headers, body: Default::default(), early: false }
        };
        for status in [429, 502, 503, 504] {
            assert!(is_for_now(&answer(status, false), 1) && is_for_now(&answer(status, false), BELIEVED), "{status}");
            assert!(!is_for_now(&answer(status, false), BELIEVED + 1), "{status}: it says so whatever is asked");
            assert!(is_for_now(&answer(status, true), BELIEVED + 1), "{status}");
        }
        assert!(is_for_now(&answer(500, true), BELIEVED + 1));
        for status in [200, 204, 301, 400, 403, 404, 405, 408, 500, 501, 505] {
            assert!(!is_for_now(&answer(status, false), 1), "{status}");
        }
    }
}
