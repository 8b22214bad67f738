//! Step 5: due messages are leased, an attempt is recorded, exactly the stored bytes are POSTed.
//!
//! One dispatcher hands leases to tasks: at most `workers` in all, at most a partner's `concurrency` for it. Payloads
//! and the asynchronous MDNs that we owe travel the same way.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::task::{Id as TaskId, JoinError, JoinSet};

use super::absent::Present;
use super::compose::{ComposeLate, NotComposed};
use super::outcome::Examined;
use super::restart::Transfer;
use super::retry::Outcome;
use super::revoked::encrypted_to_revoked;
use super::{Outbound, circuit};
use crate::as2::headers;
use crate::bilingual;
use crate::ground::drain::{self, Shutdown};
use crate::ground::id::Id;
use crate::http::{
    Addresses, Answer, Client, ClientCache, ClientSettings, Identity, PostError, PostErrorKind, Proxy, SendBody,
    Timeouts, Trust,
};
use crate::mime::Headers;
use crate::partner::{Authorization, Partner, PartnerUrl};
use crate::store::alert::Level;
use crate::store::record::{Body, Came, Fact, GATEWAY, JobKind, Message, Reason, State};
use crate::store::{CommitError, Lease, OPEN, Precondition, Transaction};

/// HTTP clients by TLS profile.
#[derive(Default)]
pub(super) struct Clients(ClientCache);

/// Pause after a trouble of our own.
const POSTPONED: SignedDuration = SignedDuration::from_secs(60);
/// Transfers of a message whose asynchronous MDN never comes.
const TRANSFERS: u32 = 10;
/// How long a body waits for `100 Continue`: servers that know it answer at once, others never do.
const EXPECTATION: Duration = Duration::from_secs(3);
/// A wire of at most this is read at once: a few pages that were written a moment ago, and no thread is woken for them.
const AT_ONCE: u64 = 64 * 1024;
/// Longest nap of the dispatcher; new and due messages wake it.
const NAP: Duration = Duration::from_secs(60);

impl Outbound {
    /// Delivers until shutdown; then waits for the attempts in work.
    pub async fn run_senders(self, shutdown: Shutdown) {
        let mut work = Work::default();
        let mut present = Present::default();
        while !shutdown.is_triggered() && self.store.poisoned().is_none() {
            let back = present.back(self.directory.load_full());
            if !back.is_empty() {
                work.tasks.spawn(self.clone().welcome_back(back));
            }
            let asked = self.clock.now();
            for lease in self.due_leases(&work, asked) {
                let (partner, id) = (lease.message.partner.clone(), lease.message.id);
                let flow = self.clone();
                let task = work.tasks.spawn(async move { flow.work(lease).await });
                work.running.insert(task.id(), (partner, id));
            }
            tokio::select! {
                Some(finished) = work.tasks.join_next_with_id(), if !work.tasks.is_empty() => self.finished(&mut work, finished).await,
                () = self.store.due_changed() => {}
                () = tokio::time::sleep(self.nap(asked)) => {}
                () = shutdown.triggered() => {}
            }
            while let Some(finished) = work.tasks.try_join_next_with_id() {
                self.finished(&mut work, finished).await;
            }
        }
        while work.tasks.join_next().await.is_some() {}
    }

    /// Frees the slot of a task. One that panicked left its message in an attempt: it is postponed like any other.
    async fn finished(&self, work: &mut Work, finished: Result<(TaskId, ()), JoinError>) {
        let (task, panicked) = match &finished {
            Ok((task, ())) => (*task, false),
            Err(error) => (error.id(), true),
        };
        if let (Some((_, id)), true) = (work.running.remove(&task), panicked) {
            tracing::error!(%id, "a delivery ended unexpectedly");
            self.postpone(id, internal_error()).await;
        }
    }

    fn due_leases(&self, work: &Work, now: Timestamp) -> Vec<Lease> {
        let free = self.settings.workers.saturating_sub(work.running.len());
        if free == 0 {
            return Vec::new();
        }
        let directory = self.directory.load();
        let paused = self.store.pauses();
        let slots = |partner: &str| {
            if paused.contains_key(partner) {
                return 0;
            }
            let allowed = directory.by_id(partner).map_or(1, |partner| partner.delivery.concurrency);
            let running = work.of_partner(partner);
            self.circuits.slots(partner, allowed.saturating_sub(running), running, now)
        };
        self.store.lease_due(now, free, &slots)
    }

    /// Until the next message is due or the next partner is probed that was not yet when leases were `asked` for; leased
    /// ones come back through their tasks.
    fn nap(&self, asked: Timestamp) -> Duration {
        let wait = self.circuits.wait(self.store.next_due(), asked, self.clock.now());
        self.clock.nap(wait.map_or(NAP, |wait| wait.clamp(Duration::from_millis(20), NAP)))
    }

    /// One lease from beginning to end. Whatever goes wrong on our side, the message is not leased again at once.
    async fn work(&self, lease: Lease) {
        let id = lease.message.id;
        let Err(error) = self.attempt(&lease.message).await else { return };
        // Without room nothing is leased; with room it is due as before.
        if error != CommitError::NoSpace {
            tracing::error!(%error, %id, "what an attempt came to could not be recorded");
            self.postpone(id, internal_error()).await;
        }
    }

    /// Makes an open message due again in a minute.
    async fn postpone(&self, id: Id, reason: Reason) {
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
        if let Some(reason) = encrypted_to_revoked(&partner, &message) {
            return self.hold(&message, reason).await;
        }
        if message.state == State::AwaitingReceipt && self.is_overdue_for_good(&partner, &message) {
            return self.give_up_waiting(&partner, &message).await;
        }
        let Some(message) = self.with_fresh_id(&partner, message).await? else { return Ok(()) };
        let Some(wire) = message.wire else { return Ok(()) };
        let number = message.attempts.saturating_add(1);
        if !self
            .fact_if(message.id, &[State::Composed, State::Sending, State::AwaitingReceipt], Fact::Attempted { number })
            .await?
        {
            return Ok(());
        }
        tracing::info!(id = %message.id, partner = %partner.id, attempt = number, bytes = wire.len, "sending");
        let answer = self.post(&partner, &url, &message, wire).await;
        self.note_reach(&partner, answer.as_ref().err());
        let answer = self.losing.pass(&message.id, answer);
        let examined = self.examine_answer(&partner, &message, answer).await;
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
        self.after_composing(message, composed).await
    }

    /// What follows a composition: the message as it is now. `None`: it is held or postponed.
    async fn after_composing(
        &self,
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
                tracing::error!(id = %message.id, %error, code = "storage-failed", "composing is tried again in a minute");
                self.postpone(message.id, storage_failed(&error)).await;
                Ok(None)
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
        if !partner.delivery.fresh_message_id || !seen {
            return Ok(Some(message));
        }
        let composed = self.recompose(partner.clone(), &message).await;
        self.after_composing(&message, composed).await
    }

    /// What an attempt says about the partner itself: whether it can be reached.
    fn note_reach(&self, partner: &Partner, error: Option<&PostError>) {
        let now = self.clock.now();
        match error {
            None => {
                if self.circuits.answered(&partner.id) {
                    tracing::info!(partner = %partner.id, "the partner answers again");
                    self.store.alerts().resolve(circuit::PARTNER_DOWN, Some(&partner.id));
                }
            }
            Some(error) if outcome_of(error.kind) == Outcome::Unreachable => {
                if self.circuits.unanswered(&partner.id, &partner.delivery.retry, now) {
                    let reason = circuit::partner_down(&partner.id);
                    self.store.alerts().raise(Level::Warning, reason, Some(&partner.id), now);
                    // Another attempt may have been answered between the two.
                    if !self.circuits.is_down(&partner.id) {
                        self.store.alerts().resolve(circuit::PARTNER_DOWN, Some(&partner.id));
                    }
                }
            }
            Some(_) => {}
        }
    }

    /// Where this message goes: the partner's URL, or, for an MDN that we owe, where the partner asked for it as far
    /// as the agreement allows that.
    fn target(&self, partner: &Partner, message: &Message) -> Result<String, Reason> {
        if message.kind == JobKind::Payload {
            return Ok(partner.url.as_str().to_owned());
        }
        let about = message.about.and_then(|id| self.store.message(&id));
        let asked = about.and_then(|about| about.headers.get(headers::RECEIPT_DELIVERY).map(str::to_owned));
        match asked {
            Some(url) if partner.allows_async_mdn_to(&url) => Ok(url),
            _ => Err(mdn_url_refused()),
        }
    }

    /// The deadline of an asynchronous MDN has passed often enough, or long enough.
    fn is_overdue_for_good(&self, partner: &Partner, message: &Message) -> bool {
        let waited = self.clock.now().duration_since(self.patient_since(message));
        let patience = SignedDuration::try_from(partner.delivery.retry.give_up_after).unwrap_or(SignedDuration::MAX);
        message.transfers >= TRANSFERS || waited >= patience
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

    pub(super) async fn post(
        &self,
        partner: &Partner,
        url: &str,
        message: &Message,
        wire: Body,
    ) -> Result<Answer, PostError> {
        let unusable = |detail: String| PostError::new(PostErrorKind::Body, detail);
        let client = self.clients.for_partner(partner, url, self.clock.now()).map_err(unusable)?;
        let store = self.store.clone();
        let small = store.inline_threshold().saturating_mul(2) as u64;
        let body = if wire.len <= AT_ONCE {
            let bytes = store.read_all(&wire, wire.len).map_err(|error| unusable(error.to_string()))?;
            SendBody::Bytes(bytes.into())
        } else if wire.len <= small {
            let read = drain::blocking(move || store.read_all_last(&wire, wire.len)).await;
            let bytes = read.map_err(io::Error::other).and_then(|bytes| bytes);
            SendBody::Bytes(bytes.map_err(|error| unusable(error.to_string()))?.into())
        } else {
            SendBody::reader(wire.len, move || store.read_last(&wire))
        };
        let mut fields: Vec<(String, String)> =
            message.headers.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        if let Some(authorization) = partner.http.authorization.as_ref().filter(|_| may_see_credentials(partner, url)) {
            fields.push(("Authorization".to_owned(), authorization.header_value().expose().clone()));
        }
        let timeouts = Timeouts { connect: partner.delivery.connect_timeout, total: partner.delivery.timeout };
        if partner.http.restart && wire.len > small {
            let seen = message.attempts > 0;
            return Transfer { client, url, fields, store: self.store.clone(), wire, timeouts }.run(seen).await;
        }
        client.post(url, &fields, body, timeouts).await
    }

    pub(super) async fn examine_answer(
        &self,
        partner: &Partner,
        message: &Message,
        answer: Result<Answer, PostError>,
    ) -> Examined {
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return no_answer(&error),
        };
        if !(200..300).contains(&answer.status) {
            return other_status(&answer, self.clock.now());
        }
        let asked = message.headers.get(headers::NOTIFICATION_TO).is_some();
        let later = message.headers.get(headers::RECEIPT_DELIVERY).is_some();
        if message.kind == JobKind::Mdn || !asked {
            return Examined::plain(Outcome::Accepted);
        }
        let came = if answer.is_of_whole_request() { Came::Answered } else { Came::Unknown };
        if answer.body.is_empty() {
            return Examined { came, ..Examined::plain(if later { Outcome::Transferred } else { Outcome::NoReceipt }) };
        }
        let attempt = message.attempts.saturating_add(1);
        let examined = self.examine_mdn(partner, message, attempt, &answer_headers(&answer), &answer.body).await;
        // Whoever answers with a receipt of another kind has perhaps not taken the message.
        let came = if examined.receipt.is_none() { came } else { examined.came };
        match examined.outcome {
            Outcome::NoReceipt if later => Examined { came, outcome: Outcome::Transferred, ..examined },
            _ => Examined { came, ..examined },
        }
    }
}

impl Clients {
    /// Connections to this partner, under its TLS rules.
    fn for_partner(&self, partner: &Partner, url: &str, now: Timestamp) -> Result<Client, String> {
        self.0.client(&client_settings(partner, url, now)?).map_err(|error| error.to_string())
    }
}

/// How the partner's server wants to be reached, for a connection to `url`.
///
/// # Errors
/// The proxy's address is unusable.
pub fn client_settings(partner: &Partner, url: &str, now: Timestamp) -> Result<ClientSettings, String> {
    let pinned = partner.certificates.pinned_tls(now);
    let pinned = pinned.map(|pinned| pinned.iter().map(|certificate| certificate.der().to_vec()).collect());
    Ok(ClientSettings {
        trust: pinned.map_or(Trust::System, Trust::Pinned),
        identity: partner.http.identity.as_ref().filter(|_| may_see_credentials(partner, url)).map(Identity::from),
        addresses: if partner.delivery.private_network { Addresses::Any } else { Addresses::PublicOnly },
        chunked: partner.http.chunked,
        expect: partner.http.expect_continue.then_some(EXPECTATION),
        proxy: partner.http.proxy.as_ref().map(way_out).transpose().map_err(|error| error.to_string())?,
        old_tls: partner.http.old_tls && partner.waivers.allow_old_tls(now),
        // As many as are in use at a time: with fewer, most deliveries would make a connection each and close it.
        idle_per_host: partner.delivery.concurrency.max(ClientSettings::default().idle_per_host),
        ..ClientSettings::default()
    })
}

fn way_out(proxy: &crate::partner::Proxy) -> Result<Proxy, PostError> {
    let authorization = proxy.authorization.as_ref().map(Authorization::header_value);
    Proxy::new(&proxy.url, authorization, proxy.no_proxy.clone())
}

/// Deliveries in work.
#[derive(Default)]
struct Work {
    tasks: JoinSet<()>,
    /// Partner and message of each task.
    running: HashMap<TaskId, (String, Id)>,
}

impl Work {
    fn of_partner(&self, partner: &str) -> usize {
        self.running.values().filter(|(of, _)| of == partner).count()
    }
}

/// The partner's credentials go to its own server alone, not to another URL at which it wants its receipts.
fn may_see_credentials(partner: &Partner, url: &str) -> bool {
    PartnerUrl::parse(url).is_ok_and(|url| partner.url.same_origin(&url))
}

fn storage_failed(error: &io::Error) -> Reason {
    let text = bilingual!(
        "磁盘读写失败（{error}），一分钟后自动重试。请检查数据盘的空间和状态。",
        "the disk failed or is full ({error}); tried again in a minute by itself. Check room and health of the data filesystem."
    );
    Reason { code: "storage-failed".to_owned(), text }
}

fn internal_error() -> Reason {
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

/// The latest attempt ended before the connection stood: the partner cannot know its Message-ID.
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
    let outcome = outcome_of(error.kind);
    let reason = Some(Reason { code: error.code().to_owned(), text: error.text() });
    let came = match error.kind {
        _ if error.answered => Came::Answered,
        kind if kind.nothing_sent() => Came::Nowhere,
        _ => Came::Unknown,
    };
    Examined { reason, came, ..Examined::plain(outcome) }
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
