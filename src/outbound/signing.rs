//! The signature of a declaration, between pre-check and envelope: one queue for each key that has a rate.
//!
//! A Ukey makes about four signatures a second, so declarations wait for it: in a queue of bounded length, in the order in
//! which they came, outside of the places that all partners share. A partner whose queue is full has its outbox left alone
//! until there is room again; the other outboxes are swept meanwhile. A key without a rate has no queue.
//!
//! What is signed here becomes the message's payload before any fact names it: it is signed once, kept, and sent again as it
//! is. A key that fails leaves the file claimed, where it is tried again, and the others in the outbox for a while.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Notify, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::Outbound;
use crate::bilingual;
use crate::cms::Fingerprint;
use crate::declaration::dsig::{self, SignatureProblem};
use crate::ground::clock::Clock;
use crate::ground::drain::{self, Shutdown};
use crate::ground::text::Bilingual;
use crate::mime::Source as _;
use crate::partner::{DocumentKey, Partner};
use crate::store::draft::{Draft, Sink};
use crate::store::record::Reason;

/// Files of one partner with a slow key that are in work at a time; more wait in its outbox.
const PLACES: usize = 16;
/// Documents that wait for one key at a time, submitted ones included; more are refused for the moment.
const LONGEST_QUEUE: usize = 64;
/// Time for which an outbox is left alone after its key failed.
const PAUSE: Duration = Duration::from_secs(30);
/// Waits from which on the log tells of them at level `info`, and how often.
const LONG_WAIT: SignedDuration = SignedDuration::from_secs(1);
const SAID_EVERY: SignedDuration = SignedDuration::from_secs(10);

/// Why there is no signature.
#[derive(Debug)]
pub(super) enum NotSigned {
    /// The document cannot be signed, whoever does it.
    Document(SignatureProblem),
    /// The key cannot be used now; the document waits.
    Later(Reason),
    /// Our own storage failed, or is full.
    Storage(io::Error),
}

/// The queues, and the places of partners with slow keys.
#[derive(Default)]
pub(super) struct Signing {
    /// By certificate: partners that share a device share its queue.
    queues: Mutex<HashMap<Fingerprint, Arc<Queue>>>,
    places: Mutex<HashMap<String, Arc<Semaphore>>>,
    /// Partners whose key failed, and until when nothing more is taken of their outboxes.
    paused: Mutex<HashMap<String, Instant>>,
    freed: Notify,
    stopping: Shutdown,
}

#[derive(Default)]
struct Queue {
    /// Whose turn it is holds this.
    pace: Arc<tokio::sync::Mutex<Pace>>,
    waiting: AtomicUsize,
    said: Mutex<Option<Timestamp>>,
}

/// When a key may be used again.
#[derive(Default)]
struct Pace {
    last: Option<Timestamp>,
}

/// The right to use a key now; the next one gets it when this is dropped.
pub(super) struct Turn {
    _pace: Option<OwnedMutexGuard<Pace>>,
}

/// A place among those that wait, given back however the wait ends.
struct Waiting<'q>(&'q AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Signing {
    /// Waits for the key.
    ///
    /// # Errors
    /// [`NotSigned::Later`]: too many wait already, or the gateway stops.
    pub(super) async fn turn(&self, key: &DocumentKey, clock: &dyn Clock) -> Result<Turn, NotSigned> {
        if key.interval.is_zero() {
            return Ok(Turn { _pace: None });
        }
        let queue = self.queue(key);
        let before = queue.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&queue.waiting);
        if before >= LONGEST_QUEUE {
            return Err(NotSigned::Later(busy(before)));
        }
        let begun = clock.now();
        let turn = async {
            let mut pace = queue.pace.clone().lock_owned().await;
            pace.wait(key.interval, clock).await;
            pace
        };
        let pace = tokio::select! {
            pace = turn => pace,
            () = self.stopping.triggered() => return Err(NotSigned::Later(stopping())),
        };
        queue.tell(key, begun, clock.now());
        Ok(Turn { _pace: Some(pace) })
    }

    /// No turn is given any more: what waits stays claimed.
    pub(super) fn stop(&self) {
        self.stopping.trigger();
    }

    /// The places of a partner whose key has a rate; `None` for the others, which share places.
    pub(super) fn places(&self, partner: &Partner) -> Option<Arc<Semaphore>> {
        let key = partner.document_key()?;
        if key.interval.is_zero() {
            return None;
        }
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        Some(places.entry(partner.id.clone()).or_insert_with(|| Arc::new(Semaphore::new(PLACES))).clone())
    }

    /// The key of `partner` failed: for a while only the files that are claimed already try it again.
    pub(super) fn pause(&self, partner: &str) {
        let mut paused = self.paused.lock().unwrap_or_else(PoisonError::into_inner);
        paused.insert(partner.to_owned(), Instant::now() + PAUSE);
    }

    /// It works again.
    pub(super) fn resume(&self, partner: &str) {
        let resumed = self.paused.lock().unwrap_or_else(PoisonError::into_inner).remove(partner);
        if resumed.is_some() {
            self.freed.notify_one();
        }
    }

    /// How many more files of a partner may be taken; `None`: as many as the places that all share allow.
    pub(super) fn room(&self, partner: &Partner) -> Option<usize> {
        let until = self.paused.lock().unwrap_or_else(PoisonError::into_inner).get(&partner.id).copied();
        if until.is_some_and(|until| Instant::now() < until) {
            return Some(0);
        }
        Some(self.places(partner)?.available_permits())
    }

    /// Gives a place back, and says so if somebody may be waiting for one.
    pub(super) fn leave(&self, place: OwnedSemaphorePermit) {
        let was_full = place.semaphore().available_permits() == 0;
        drop(place);
        if was_full {
            self.freed.notify_one();
        }
    }

    /// Resolves when a full queue has room again.
    pub(super) async fn freed(&self) {
        self.freed.notified().await;
    }

    fn queue(&self, key: &DocumentKey) -> Arc<Queue> {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        queues.entry(key.signer.certificate().fingerprint()).or_default().clone()
    }
}

impl Pace {
    /// Waits until `interval` has passed since the last use, and counts this one. A clock that was set back ends the wait.
    async fn wait(&mut self, interval: Duration, clock: &dyn Clock) {
        let interval = SignedDuration::try_from(interval).unwrap_or(SignedDuration::MAX);
        while let Some(last) = self.last {
            let passed = clock.now().duration_since(last);
            if passed >= interval || passed.is_negative() {
                break;
            }
            let left = interval.saturating_sub(passed).unsigned_abs();
            tokio::time::sleep(clock.nap(left)).await;
        }
        self.last = Some(clock.now());
    }
}

impl Queue {
    fn tell(&self, key: &DocumentKey, begun: Timestamp, now: Timestamp) {
        let waited = now.duration_since(begun);
        let (milliseconds, waiting) = (waited.as_millis(), self.waiting.load(Ordering::Relaxed).saturating_sub(1));
        let key = key.file.display();
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let due = said.is_none_or(|last| now.duration_since(last) >= SAID_EVERY);
        if waited >= LONG_WAIT && due {
            *said = Some(now);
            tracing::info!(%key, waited_ms = milliseconds, waiting, "declarations wait for the key that signs them");
        } else {
            tracing::debug!(%key, waited_ms = milliseconds, waiting, "a declaration gets its turn to be signed");
        }
    }
}

impl Outbound {
    /// Whether a document is one that the partner's key is to sign.
    pub(super) fn is_to_be_signed(&self, partner: &Partner, document: &Draft) -> io::Result<bool> {
        if partner.document_key().is_none() {
            return Ok(false);
        }
        // A document that cannot be read is for the signature to refuse.
        Ok(self.with_source(document, |source| !dsig::is_signed(source, &self.limits)))
    }

    /// The document with its signature, when it is its turn.
    pub(super) async fn signed(&self, key: &DocumentKey, document: Arc<Draft>) -> Result<Draft, NotSigned> {
        if !key.signer.certificate().is_valid_at(self.clock.now()) {
            return Err(NotSigned::Later(expired(key)));
        }
        let turn = self.signing.turn(key, &*self.clock).await?;
        let (flow, key) = (self.clone(), key.clone());
        let signed = drain::blocking(move || flow.sign_now(&key, &document)).await;
        drop(turn);
        signed.map_err(|error| NotSigned::Storage(io::Error::other(error)))?
    }

    /// The envelope with a signature of its own, if the partner's file asks for one.
    pub(super) async fn sealed(&self, partner: &Partner, envelope: Draft) -> Result<Draft, NotSigned> {
        let signature = partner.dxp.as_ref().map(|dxp| &dxp.signature).filter(|signature| signature.envelope);
        match signature.and_then(|signature| signature.key.as_ref()) {
            Some(key) => self.signed(key, Arc::new(envelope)).await,
            None => Ok(envelope),
        }
    }

    fn sign_now(&self, key: &DocumentKey, document: &Draft) -> Result<Draft, NotSigned> {
        self.with_source(document, |source| {
            let signed = dsig::sign(source, &*key.signer, &self.limits).map_err(|problem| not_signed(key, problem))?;
            let mut sink = Sink::new(&self.store);
            signed.open().and_then(|mut input| io::copy(&mut input, &mut sink)).map_err(NotSigned::Storage)?;
            sink.finish().map_err(NotSigned::Storage)
        })
    }
}

/// Whose fault it is: the key's, our storage's or the document's.
fn not_signed(key: &DocumentKey, problem: SignatureProblem) -> NotSigned {
    match problem {
        SignatureProblem::Signer(_) | SignatureProblem::Key => NotSigned::Later(failed(key, &problem)),
        SignatureProblem::Document(error) if error.fault.is_ours() => NotSigned::Storage(io::Error::other(error)),
        problem => NotSigned::Document(problem),
    }
}

fn later(code: &str, text: Bilingual) -> Reason {
    Reason { code: code.to_owned(), text }
}

fn busy(waiting: usize) -> Reason {
    let text = bilingual!(
        "已有 {waiting} 份报文在等待签名，请稍后再提交。签名速度由 [dxp.signature] 的 rate 和签名设备决定。",
        "{waiting} declarations wait for their signature already; submit it again later. The pace is that of rate in [dxp.signature] and of the device."
    );
    later("signer-busy", text)
}

fn stopping() -> Reason {
    later("signer-stopping", bilingual!("网关正在停止，报文尚未签名。", "the gateway stops; it is not signed yet."))
}

fn expired(key: &DocumentKey) -> Reason {
    let (file, until) = (key.file.display(), key.signer.certificate().not_after());
    let text = bilingual!(
        "签名证书 {file} 不在有效期内（至 {until}），报文等待签名。请更换 [dxp.signature] 中的证书和密钥。",
        "the signing certificate {file} is not valid now (until {until}); declarations wait. Put its successor into [dxp.signature]."
    );
    later("signing-certificate-expired", text)
}

fn failed(key: &DocumentKey, problem: &SignatureProblem) -> Reason {
    let (file, why) = (key.file.display(), problem.text());
    let (zh, en) = (why.zh, why.en);
    let text =
        bilingual!("密钥 {file}：{zh} 报文保留，将自动重试。", "key {file}: {en} The file is kept and tried again.");
    later("signing-failed", text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::declaration::dsig::Algorithm;
    use crate::declaration::dsig::KeySigner;
    use crate::ground::clock::ManualClock;
    use crate::keys::declarations;
    use crate::keys::generate::KeyRequest;

    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::from_millisecond(1_790_000_000_000 + milliseconds).unwrap()
    }

    fn key(interval: Duration) -> DocumentKey {
        let request = KeyRequest {
            common_name: "declarant".into(),
            organization: None,
            hosts: Vec::new(),
            bits: 2048,
            days: 365,
        };
        let pair = declarations::generate(&request, Algorithm::Sm2Sm3, None, at(0)).unwrap();
        let certificate = crate::cms::Certificate::from_pem(&pair.certificate_pem).unwrap();
        let key = crate::cms::read_pem(pair.key_pem.expose(), None).unwrap();
        let signer = Arc::new(KeySigner::new(key, certificate).unwrap());
        DocumentKey { signer, interval, file: "keys/declarations.crt".into() }
    }

    /// Those who asked for a turn, and the times at which they got it.
    struct Asked {
        given: Arc<Mutex<Vec<Timestamp>>>,
        _tasks: crate::ground::drain::Tasks,
    }

    impl Asked {
        fn times(&self) -> Vec<Timestamp> {
            self.given.lock().unwrap().clone()
        }
    }

    /// Asks for so many turns at once.
    fn ask(signing: &Arc<Signing>, key: &DocumentKey, clock: &Arc<ManualClock>, count: usize) -> Asked {
        let given = Arc::new(Mutex::new(Vec::new()));
        let tasks = crate::ground::drain::Tasks::new();
        for _ in 0..count {
            let (signing, key, clock, given) = (signing.clone(), key.clone(), clock.clone(), given.clone());
            tasks.spawn("signing", async move {
                if let Ok(turn) = signing.turn(&key, &*clock).await {
                    given.lock().unwrap().push(clock.now());
                    drop(turn);
                }
            });
        }
        Asked { given, _tasks: tasks }
    }

    /// Lets every task go as far as it can at the time that the clock shows.
    async fn settle() {
        for _ in 0..50 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_is_used_as_often_as_its_rate_allows_and_no_more() {
        let (signing, key) = (Arc::new(Signing::default()), key(Duration::from_millis(250)));
        let clock = Arc::new(ManualClock::new(at(0)));
        let given = ask(&signing, &key, &clock, 5);
        settle().await;
        assert_eq!(given.times(), [at(0)]);
        for (shows, expected) in [(249, 1), (250, 2), (499, 2), (900, 3), (1149, 3), (1150, 4), (2000, 5)] {
            clock.set(at(shows));
            settle().await;
            assert_eq!(given.times().len(), expected, "after {shows} ms");
        }
        assert_eq!(given.times(), [at(0), at(250), at(900), at(1150), at(2000)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_key_does_not_slow_another_and_a_key_without_a_rate_never_waits() {
        let signing = Arc::new(Signing::default());
        let clock = Arc::new(ManualClock::new(at(0)));
        let (slow, other, free) = (key(Duration::from_secs(60)), key(Duration::from_secs(60)), key(Duration::ZERO));
        let (slow, other, free) =
            (ask(&signing, &slow, &clock, 10), ask(&signing, &other, &clock, 1), ask(&signing, &free, &clock, 200));
        settle().await;
        let counts = [&slow, &other, &free].map(|given| given.times().len());
        assert_eq!(counts, [1, 1, 200]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_queue_is_bounded_and_ends_with_the_gateway() {
        let (signing, key) = (Arc::new(Signing::default()), key(Duration::from_secs(60)));
        let clock = Arc::new(ManualClock::new(at(0)));
        // One uses the key until the end of the test.
        let turn = signing.turn(&key, &*clock).await;
        let given = ask(&signing, &key, &clock, LONGEST_QUEUE);
        settle().await;
        let refused = signing.turn(&key, &*clock).await;
        assert!(matches!(refused, Err(NotSigned::Later(reason)) if reason.code == "signer-busy"));
        signing.stop();
        settle().await;
        assert_eq!(given.times(), []);
        assert_eq!(signing.queue(&key).waiting.load(Ordering::Relaxed), 0, "every place was given back");
        let refused = signing.turn(&key, &*clock).await;
        assert!(matches!(refused, Err(NotSigned::Later(reason)) if reason.code == "signer-stopping"));
        drop(turn);
    }

    #[test]
    fn a_document_that_storage_does_not_give_is_not_refused() {
        use crate::declaration::error::{DeclarationError, Fault};
        let ours = DeclarationError::placeless(Fault::Io { reason: "bad sector".to_owned() });
        let problem = not_signed(&key(Duration::ZERO), SignatureProblem::Document(ours));
        assert!(matches!(problem, NotSigned::Storage(_)), "{problem:?}");
        let problem = not_signed(&key(Duration::ZERO), SignatureProblem::Present);
        assert!(matches!(problem, NotSigned::Document(_)), "{problem:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_was_set_back_does_not_stop_the_queue() {
        let (signing, key) = (Arc::new(Signing::default()), key(Duration::from_secs(1)));
        let clock = Arc::new(ManualClock::new(at(3_600_000)));
        drop(signing.turn(&key, &*clock).await);
        clock.set(at(0));
        let given = ask(&signing, &key, &clock, 1);
        settle().await;
        assert_eq!(given.times().len(), 1);
    }
}
