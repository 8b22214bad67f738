//! Step 5, second half: an attempt is recorded, exactly the stored bytes are POSTed, and the answer is examined. Payloads and
//! the asynchronous MDNs that we owe travel the same way.

use std::borrow::Cow;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::circuit::Destination;
use super::compose::{ComposeLate, NotComposed};
use super::outcome::Examined;
use super::outgoing::{Outgoing, Reading, storage_failed};
use super::restart::Transfer;
use super::retry::Outcome;
use super::{Outbound, circuit};
use crate::as2::headers;
use crate::as2::request::mdn_request;
use crate::bilingual;
use crate::ground::durable;
use crate::ground::id::Id;
use crate::http::{Answer, PostError, PostErrorKind, Timeouts};
use crate::mime::Headers;
use crate::partner::Partner;
use crate::store::alert::Level;
use crate::store::record::{Body, Came, Fact, GATEWAY, JobKind, Message, Reason, State};
use crate::store::{CommitError, Lease, OPEN, Precondition, Transaction};

/// Pause after a trouble of our own.
const POSTPONED: SignedDuration = SignedDuration::from_secs(60);
/// Bytes that only a server that is there takes, long before it answers: more than sockets and pieces hold on the way.
const TAKEN: u64 = 32 * 1024 * 1024;
/// Time between two looks at how far a long body is.
const LOOK_AGAIN: Duration = Duration::from_secs(10);
/// Transfers of a message whose asynchronous MDN never comes.
const TRANSFERS: u32 = 10;

impl Outbound {
    /// One lease from beginning to end. Whatever goes wrong on our side, the message is not leased again at once.
    pub(super) async fn work(&self, lease: Lease) {
        let id = lease.message.id;
        let Err(error) = self.attempt(&lease.message).await else { return };
        // Without room nothing is leased; with room it is due as before.
        if error != CommitError::NoSpace {
            tracing::error!(%error, %id, "what an attempt came to could not be recorded");
            self.postpone(id, internal_error()).await;
        }
    }

    /// Makes an open message due again in a minute.
    pub(super) async fn postpone(&self, id: Id, reason: Reason) {
        let due = self.clock.now().checked_add(POSTPONED).unwrap_or(Timestamp::MAX);
        if let Err(error) = self.fact_if(id, &OPEN, Fact::RetryAt { due, reason, came: Came::Unknown }).await {
            tracing::error!(%error, %id, "a message could not be postponed");
        }
    }

    async fn attempt(&self, message: &Arc<Message>) -> Result<(), CommitError> {
        let Some(partner) = self.directory.load().by_id(&message.partner).filter(|p| p.enabled).cloned() else {
            return self.wait_for_partner(message).await;
        };
        if !self.may_leave(message).await? {
            return Ok(());
        }
        let Some(message) = self.with_wire(&partner, message).await? else { return Ok(()) };
        let url = match self.target(&partner, &message) {
            Ok(url) => url,
            Err(reason) => return self.hold(&message, reason).await,
        };
        match self.encrypted_to_revoked(&partner, &message).await {
            Ok(None) => {}
            Ok(Some(reason)) => return self.hold(&message, reason).await,
            Err(error) => return self.unreadable(&partner, &message, &error).await,
        }
        if message.state == State::AwaitingReceipt && self.is_overdue_for_good(&partner, &message) {
            return self.give_up_waiting(&partner, &message).await;
        }
        let Some(message) = self.with_fresh_id(&partner, message).await? else { return Ok(()) };
        let Some(wire) = message.wire else { return Ok(()) };
        let outgoing = match self.outgoing(wire).await {
            Ok(outgoing) => outgoing,
            Err(error) => return self.unreadable(&partner, &message, &error).await,
        };
        let number = message.attempts.saturating_add(1);
        if !self
            .fact_if(message.id, &[State::Composed, State::Sending, State::AwaitingReceipt], Fact::Attempted { number })
            .await?
        {
            return Ok(());
        }
        tracing::info!(id = %message.id, partner = %partner.id, attempt = number, bytes = wire.len, "sending");
        let (server, reading) = (Destination::of(&partner, &url), outgoing.reading.clone());
        let delivery = pin!(self.deliver(&partner, &url, &message, outgoing));
        let answer = self.reached_under_way(&partner, &server, (&wire, &reading), delivery).await;
        self.note_reach(&partner, &server, answer.as_ref().err());
        let answer = self.trials.pass(&message.id, answer);
        let broke_off = answer.as_ref().is_err_and(|error| error.kind == PostErrorKind::Body);
        let examined = match reading.passing_trouble().filter(|_| broke_off) {
            Some(reason) => Examined { reason: Some(reason), ..Examined::plain(Outcome::Unread) },
            None => self.examine_answer(&partner, &message, answer).await,
        };
        self.settle(&partner, &message, number, examined).await.map(drop)
    }

    /// The message with wire bytes; composes it now when its partner was unusable before. `None`: it is held.
    async fn with_wire(
        &self,
        partner: &Arc<Partner>,
        message: &Arc<Message>,
    ) -> Result<Option<Arc<Message>>, CommitError> {
        if message.wire.is_some() {
            return Ok(Some(message.clone()));
        }
        let composed = self.compose_late(partner.clone(), message).await;
        self.after_composing(partner, message, composed).await
    }

    /// What follows a composition: the message as it is now. `None`: it is held or postponed.
    async fn after_composing(
        &self,
        partner: &Partner,
        message: &Message,
        composed: Result<(), ComposeLate>,
    ) -> Result<Option<Arc<Message>>, CommitError> {
        match composed {
            Ok(()) => Ok(self.store.message(&message.id).map(Arc::new)),
            Err(ComposeLate::Not(NotComposed::Impossible(reason))) => self.hold(message, reason).await.map(|()| None),
            Err(ComposeLate::Not(NotComposed::Later(reason))) => {
                tracing::warn!(id = %message.id, code = %reason.code, "tried again in a minute: {}", reason.text);
                self.postpone(message.id, reason).await;
                Ok(None)
            }
            Err(ComposeLate::Not(NotComposed::Storage(error))) => {
                let error = self.store.judge_sync(error);
                if durable::is_full(&error) {
                    // There may be room any moment.
                    self.postpone(message.id, storage_failed(&error)).await;
                    return Ok(None);
                }
                self.unreadable(partner, message, &error).await.map(|()| None)
            }
            Err(ComposeLate::Journal(CommitError::Conflict(_))) => Ok(None),
            Err(ComposeLate::Journal(error)) => Err(error),
        }
    }

    /// The message as its next attempt sends it: as before, unless the partner refuses a Message-ID that it may have
    /// seen. `None`: it is held.
    async fn with_fresh_id(
        &self,
        partner: &Arc<Partner>,
        message: Arc<Message>,
    ) -> Result<Option<Arc<Message>>, CommitError> {
        let seen = message.attempts > 0 && message.kind == JobKind::Payload && !never_arrived(&message);
        if !partner.delivery.fresh_message_id || !seen || self.trials.is_trial(&message.id) {
            return Ok(Some(message));
        }
        let composed = self.recompose(partner.clone(), &message).await;
        self.after_composing(partner, &message, composed).await
    }

    /// The answer to a delivery. A server that takes a long body is in no doubt until its end.
    async fn reached_under_way(
        &self,
        partner: &Partner,
        server: &Destination,
        (wire, reading): (&Body, &Reading),
        mut delivery: Pin<&mut impl Future<Output = Result<Answer, PostError>>>,
    ) -> Result<Answer, PostError> {
        if wire.len <= TAKEN {
            return delivery.await;
        }
        while reading.passed() < TAKEN {
            tokio::select! {
                answer = &mut delivery => return answer,
                () = tokio::time::sleep(LOOK_AGAIN) => {}
            }
        }
        self.note_reach(partner, server, None);
        delivery.await
    }

    /// What an attempt says about the server itself: whether it can be reached. What it says of another server than the
    /// partner's own says nothing about the partner.
    fn note_reach(&self, partner: &Partner, server: &Destination, error: Option<&PostError>) {
        let now = self.clock.now();
        match error {
            None | Some(PostError { answered: true, .. }) => {
                if self.circuits.answered(server) {
                    tracing::info!(partner = %partner.id, server = server.elsewhere.as_deref(), "the partner's server answers again");
                    if server.is_own() {
                        self.store.alerts().resolve(circuit::PARTNER_DOWN, Some(&partner.id));
                    }
                }
            }
            Some(error) if outcome_of(error.kind) == Outcome::Unreachable => {
                let is_down = self.circuits.unanswered(server, &partner.delivery.retry, now);
                if is_down && server.is_own() {
                    let reason = circuit::partner_down(&partner.id);
                    self.store.alerts().raise(Level::Warning, reason, Some(&partner.id), now);
                    // Another attempt may have been answered between the two.
                    if !self.circuits.is_down(&partner.id) {
                        self.store.alerts().resolve(circuit::PARTNER_DOWN, Some(&partner.id));
                    }
                } else if is_down {
                    tracing::warn!(partner = %partner.id, server = server.elsewhere.as_deref(), "a server for MDNs does not answer");
                }
            }
            Some(_) => {}
        }
    }

    /// Where this message goes: the partner's URL, or, for an MDN that we owe, where the partner asked for it as far
    /// as the agreement allows that.
    pub(super) fn target<'p>(&self, partner: &'p Partner, message: &Message) -> Result<Cow<'p, str>, Reason> {
        if message.kind == JobKind::Payload {
            return Ok(Cow::Borrowed(partner.url.as_str()));
        }
        let about = message.about.and_then(|id| self.store.message(&id));
        let asked = about.and_then(|about| mdn_request(&about.headers)).and_then(|asked| asked.async_url);
        match asked {
            Some(url) if partner.allows_async_mdn_to(&url) => Ok(Cow::Owned(url)),
            _ => Err(mdn_url_refused()),
        }
    }

    /// The deadline of an asynchronous MDN has passed often enough, or long enough.
    fn is_overdue_for_good(&self, partner: &Partner, message: &Message) -> bool {
        message.transfers >= TRANSFERS || self.has_waited_too_long(partner, message)
    }

    /// It would be given up by now.
    pub(super) fn has_waited_too_long(&self, partner: &Partner, message: &Message) -> bool {
        let waited = self.clock.now().duration_since(self.patient_since(partner, message));
        waited >= SignedDuration::try_from(partner.delivery.retry.give_up_after).unwrap_or(SignedDuration::MAX)
    }

    async fn give_up_waiting(&self, partner: &Partner, message: &Message) -> Result<(), CommitError> {
        let examined = Examined { reason: Some(mdn_overdue()), ..Examined::plain(Outcome::Refused) };
        self.settle(partner, message, message.attempts, examined).await.map(drop)
    }

    pub(super) async fn hold(&self, message: &Message, reason: Reason) -> Result<(), CommitError> {
        tracing::warn!(id = %message.id, partner = %message.partner, code = %reason.code, "held: {}", reason.text);
        let mut transaction = Transaction::new(self.clock.now());
        transaction.require(Precondition::StateIs(message.id, vec![message.state]));
        transaction.fact(message.id, Fact::Held { reason, by: GATEWAY.to_owned(), came: Came::Unknown });
        match self.store.commit(transaction).await {
            Ok(_) | Err(CommitError::Conflict(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// One POST of stored bytes, whatever becomes of it.
    pub(super) async fn post(
        &self,
        partner: &Arc<Partner>,
        url: &str,
        message: &Message,
        wire: Body,
    ) -> Result<Answer, PostError> {
        match self.outgoing(wire).await {
            Ok(outgoing) => self.deliver(partner, url, message, outgoing).await,
            Err(error) => Err(PostError::new(PostErrorKind::Body, error)),
        }
    }

    async fn deliver(
        &self,
        partner: &Arc<Partner>,
        url: &str,
        message: &Message,
        outgoing: Outgoing,
    ) -> Result<Answer, PostError> {
        let road = self.clients.road(partner, url, self.clock.now())?;
        let Outgoing { wire, body, reading } = outgoing;
        let mut fields: Vec<(&str, &str)> = message.headers.iter().collect();
        if let Some(credentials) = &road.credentials {
            fields.push(("Authorization", credentials.expose().as_str()));
        }
        let timeouts = Timeouts { connect: partner.delivery.connect_timeout, total: partner.delivery.timeout };
        if partner.http.restart && wire.len > self.short() {
            let (store, watched) = (self.store.clone(), reading.clone());
            let transfer = Transfer { route: &road.route, fields, store, wire, timeouts, reading: watched };
            return reading.judge(transfer.run(message.attempts).await);
        }
        reading.judge(road.route.post(&fields, body, timeouts).await)
    }

    pub(super) async fn examine_answer(
        &self,
        partner: &Partner,
        message: &Message,
        answer: Result<Answer, PostError>,
    ) -> Examined {
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) if error.answered => return broken_answer(message, &error),
            Err(error) => return no_answer(&error),
        };
        if !(200..300).contains(&answer.status) {
            return other_status(&answer, self.clock.now());
        }
        let (wanted, whole) = (Wanted::by(message), answer.is_of_whole_request());
        if wanted == Wanted::Status {
            return if whole {
                Examined::plain(Outcome::Accepted)
            } else {
                Examined { reason: Some(answered_early()), ..Examined::plain(Outcome::Early) }
            };
        }
        let came = if whole { Came::Answered } else { Came::Unknown };
        if answer.body.is_empty() {
            return Examined { came, ..Examined::plain(wanted.without_mdn()) };
        }
        let attempt = message.attempts.saturating_add(1);
        let examined = self.examine_mdn(partner, message, attempt, &answer_headers(&answer), &answer.body).await;
        // Whoever answers with a receipt of another kind has perhaps not taken the message.
        let came = if examined.receipt.is_none() { came } else { examined.came };
        match examined.outcome {
            Outcome::NoReceipt => Examined { came, outcome: wanted.without_mdn(), ..examined },
            _ => Examined { came, ..examined },
        }
    }
}

/// What a message wants of the answer to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// Its status alone: no MDN is agreed, or it is one.
    Status,
    /// Its status; the MDN comes on a connection of its own.
    StatusFirst,
    /// The MDN.
    Mdn,
}

impl Wanted {
    fn by(message: &Message) -> Wanted {
        let asks = |field: &str| message.headers.get(field).is_some();
        match message.kind {
            JobKind::Payload if !asks(headers::NOTIFICATION_TO) => Wanted::Status,
            JobKind::Payload if asks(headers::RECEIPT_DELIVERY) => Wanted::StatusFirst,
            JobKind::Payload => Wanted::Mdn,
            JobKind::Mdn => Wanted::Status,
        }
    }

    /// What a 2xx to the whole request comes to that brings no MDN which counts.
    fn without_mdn(self) -> Outcome {
        match self {
            Wanted::Status => Outcome::Accepted,
            Wanted::StatusFirst => Outcome::Transferred,
            Wanted::Mdn => Outcome::NoReceipt,
        }
    }
}

pub(super) fn internal_error() -> Reason {
    let text = bilingual!(
        "网关内部错误，一分钟后重试。详情见日志；如反复出现，请报告。",
        "an internal error of the gateway; tried again in a minute. The log has the details; report it if it persists."
    );
    Reason { code: "internal-error".to_owned(), text }
}

fn answer_headers(answer: &Answer) -> Headers {
    let mut headers = Headers::new();
    for (name, value) in &answer.headers {
        // What is not a legal field cannot matter for the receipt.
        let _ = headers.push(name, value);
    }
    headers
}

/// The latest attempt ended before the connection stood, or the server let nobody in: the partner cannot know its Message-ID.
fn never_arrived(message: &Message) -> bool {
    let reason = message.reason.as_ref().map(|reason| reason.code.as_str());
    use PostErrorKind::{Connect, ConnectTimeout, Proxy, Resolve, Tls, TlsVersion};
    let before = [Resolve, Connect, ConnectTimeout, Proxy, Tls, TlsVersion];
    let before = before.map(PostErrorKind::code);
    message.state == State::Composed && reason.is_some_and(|code| before.contains(&code))
}

fn outcome_of(kind: PostErrorKind) -> Outcome {
    match kind {
        kind if kind.is_certificate() => Outcome::Blocked,
        PostErrorKind::BadUrl | PostErrorKind::Forbidden | PostErrorKind::Body => Outcome::Blocked,
        _ => Outcome::Unreachable,
    }
}

fn no_answer(error: &PostError) -> Examined {
    let reason = Some(missed(error));
    let came = if error.kind.nothing_sent() { Came::Nowhere } else { Came::Unknown };
    Examined { reason, came, ..Examined::plain(outcome_of(error.kind)) }
}

/// A 2xx to the whole request whose own body did not come whole: where no MDN was to be in it, nothing is missing.
fn broken_answer(message: &Message, error: &PostError) -> Examined {
    let outcome = Wanted::by(message).without_mdn();
    tracing::info!(id = %message.id, %error, ?outcome, "the body of a good answer did not come whole");
    let reason = (outcome == Outcome::NoReceipt).then(|| missed(error));
    Examined { reason, came: Came::Answered, ..Examined::plain(outcome) }
}

/// Why there is no whole answer. Whether anything is tried again is decided later, so the words say nothing of it.
fn missed(error: &PostError) -> Reason {
    Reason { code: error.code().to_owned(), text: error.text() }
}

/// Seconds, or an HTTP date (RFC 9110 10.2.3).
fn retry_after(value: &str, now: Timestamp) -> Option<u32> {
    let value = value.trim();
    value.parse().ok().or_else(|| {
        let at = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
        u32::try_from(at.duration_since(now).as_secs()).ok()
    })
}

fn other_status(answer: &Answer, now: Timestamp) -> Examined {
    let code = answer.status;
    let retry_after = answer.header("Retry-After").and_then(|value| retry_after(value, now));
    let location = answer.header("Location").map(crate::ground::text::printable);
    let text = match location {
        Some(location) if (300..400).contains(&code) => bilingual!(
            "对方要求转到 {location}（HTTP {code}）；网关从不跟随转向。请与对方核对网址并修改伙伴配置。",
            "the partner redirects to {location} (HTTP {code}), which is never followed. Agree on the URL and change the partner's file."
        ),
        _ => bilingual!(
            "对方的 HTTP 服务器以状态 {code} 拒绝。请核对网址、AS2 标识和凭据，或询问对方。",
            "the partner's HTTP server answered {code}. Check URL, AS2 names and credentials, or ask the partner."
        ),
    };
    let reason = Some(Reason { code: format!("http-{code}"), text });
    Examined { reason, ..Examined::plain(Outcome::Status { code, retry_after }) }
}

fn answered_early() -> Reason {
    let text = bilingual!(
        "正文尚未发完，对方的服务器就已应答成功，正文未必送达。如反复出现，请对方检查其前置的防火墙或代理。",
        "the partner's server answered before the body was sent, so the message may not have arrived. If it persists, ask the partner about the firewall or proxy before its server."
    );
    Reason { code: "answered-early".to_owned(), text }
}

fn mdn_overdue() -> Reason {
    let text = bilingual!(
        "报文已多次成功传输，但对方始终没有返回异步回执（MDN）。请与对方核对其是否收到以及回执网址。",
        "the message was transferred several times, but its asynchronous MDN never came. Ask the partner whether it arrived and where its receipts go."
    );
    Reason { code: "mdn-overdue".to_owned(), text }
}

fn mdn_url_refused() -> Reason {
    let text = bilingual!(
        "对方要求把回执发往的网址不在其配置之内，未发送。如属实，请加入伙伴配置的 [accept] async_mdn_urls。",
        "the partner asked for its receipt at a URL outside its configuration; it was not sent. If the URL is right, add it to async_mdn_urls in [accept] of the partner's file."
    );
    Reason { code: "mdn-url-refused".to_owned(), text }
}

#[cfg(test)]
#[path = "send_tests.rs"]
mod tests;
