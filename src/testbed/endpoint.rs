//! The AS2 endpoint of the customs side: an ordinary one that, by its scenario, lies about some of the messages.
//!
//! A message that a fault happens to is still taken by the gateway behind (unless the fault says otherwise), and the MDN
//! that it gets is changed on its way out: so a lie about a MIC or a signature is told about a message that was really
//! received. What was to come later is posted from here.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use super::bench::Bench;
use super::fault::{Fault, FaultKind};
use super::forgery::Forger;
use crate::as2::headers;
use crate::ground::clock::Clock;
use crate::ground::drain::Tasks;
use crate::ground::limits::Limits;
use crate::http::{Client, Exchange, Handler, Reply, SendBody, Timeouts};
use crate::mime::Headers;
use crate::outbound::client_settings;
use crate::partner::{Directory, Partner, Station};

/// Pieces in which a slow body leaves.
const PIECES: u32 = 10;
/// Announced of an answer that breaks off.
const BROKEN_LENGTH: u64 = 4096;

/// What the endpoint stands on.
pub struct Surroundings {
    /// What is to go wrong.
    pub bench: Bench,
    /// Who signs MDNs.
    pub station: Arc<Station>,
    /// Who may get an MDN posted.
    pub directory: Arc<ArcSwap<Directory>>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Caps on input.
    pub limits: Limits,
    /// What posts MDNs.
    pub tasks: Tasks,
}

/// A handler before another one.
pub struct Endpoint<H> {
    inner: H,
    around: Surroundings,
}

impl<H: Handler> Endpoint<H> {
    /// Misbehaves in front of `inner`.
    pub fn new(inner: H, around: Surroundings) -> Endpoint<H> {
        Endpoint { inner, around }
    }

    async fn misbehave(&self, fault: &Fault, mut request: Exchange) -> Reply {
        tracing::info!(fault = ?fault.fault, "the testbed misbehaves");
        match fault.fault {
            FaultKind::HttpStatus => {
                drain(&mut request).await;
                return Reply::new(fault.status.clamp(200, 599));
            }
            FaultKind::Closed => {
                drain(&mut request).await;
                return broken();
            }
            _ => {}
        }
        let later = request.headers.remove(headers::RECEIPT_DELIVERY);
        let partner = self.partner_of(&request);
        let url = later.as_ref().and_then(|url| url.to_str().ok()).map(str::to_owned);
        let reply = if fault.fault == FaultKind::Negative {
            drain(&mut request).await;
            self.forger().negative(&request, fault.reason)
        } else {
            self.forger().changed(self.inner.handle(request).await, fault.fault)
        };
        match (url, partner) {
            (None, _) => in_the_answer(reply, fault).await,
            (Some(url), Some(partner)) if partner.allows_async_mdn_to(&url) => {
                self.post_later(reply, fault, url, partner);
                Reply::new(200)
            }
            (Some(_), _) => Reply::new(200),
        }
    }

    fn forger(&self) -> Forger<'_> {
        Forger { station: &self.around.station, now: self.around.clock.now(), limits: &self.around.limits }
    }

    fn partner_of(&self, request: &Exchange) -> Option<Arc<Partner>> {
        let name = request.headers.get(headers::AS2_FROM)?.to_str().ok()?.trim().trim_matches('"');
        self.around.directory.load().by_as2_name(name).cloned()
    }

    /// POSTs an MDN, as often and as late as the fault says.
    fn post_later(&self, reply: Reply, fault: &Fault, url: String, partner: Arc<Partner>) {
        let copies = match fault.fault {
            FaultKind::NoMdn | FaultKind::LostAnswer => return,
            FaultKind::Duplicated => 2,
            _ => 1,
        };
        let delay = if fault.fault == FaultKind::Late { fault.delay.0 } else { Duration::ZERO };
        let settings = client_settings(&partner, &url, self.around.clock.now());
        let client = settings.and_then(|settings| Client::new(settings).map_err(|error| error.to_string()));
        let client = match client {
            Ok(client) => client,
            Err(error) => return tracing::error!(%error, "the testbed cannot post an MDN"),
        };
        self.around.tasks.spawn("testbed-mdn", async move {
            tokio::time::sleep(delay).await;
            for _ in 0..copies {
                let posted = client.post(&url, &reply.headers, reply.body.clone(), Timeouts::default()).await;
                if let Err(error) = posted {
                    tracing::warn!(%error, "an MDN of the testbed did not arrive");
                }
            }
        });
    }
}

impl<H: Handler> Handler for Endpoint<H> {
    async fn handle(&self, request: Exchange) -> Reply {
        // What asks for an MDN is a message; an MDN never does.
        let is_message = request.headers.contains_key(headers::NOTIFICATION_TO);
        match is_message.then(|| self.around.bench.next_fault()).flatten() {
            None => self.inner.handle(request).await,
            Some(fault) => self.misbehave(&fault, request).await,
        }
    }
}

async fn in_the_answer(reply: Reply, fault: &Fault) -> Reply {
    match fault.fault {
        FaultKind::NoMdn => Reply::new(200),
        FaultKind::LostAnswer => broken(),
        FaultKind::Late => {
            tokio::time::sleep(fault.delay.0).await;
            reply
        }
        FaultKind::SlowBody => slow(reply, fault.delay.0),
        _ => reply,
    }
}

/// Takes the request's body, so that the answer is heard.
async fn drain(request: &mut Exchange) {
    while let Ok(Some(_)) = request.body.next().await {}
}

/// An answer that breaks off after its head.
fn broken() -> Reply {
    let body = SendBody::reader(BROKEN_LENGTH, || Err(io::Error::other("the scenario breaks the answer off")));
    Reply::new(200).body(body).closing()
}

fn slow(reply: Reply, over: Duration) -> Reply {
    let SendBody::Bytes(bytes) = reply.body.clone() else { return reply };
    let pause = over / PIECES;
    let size = bytes.len().div_ceil(usize::try_from(PIECES).unwrap_or(1)).max(1);
    let length = u64::try_from(bytes.len()).unwrap_or(0);
    let body = SendBody::reader(length, move || Ok(Box::new(Trickle { left: bytes.to_vec(), size, pause })));
    Reply { body, ..reply }
}

/// Gives a piece after each pause.
struct Trickle {
    left: Vec<u8>,
    size: usize,
    pause: Duration,
}

impl Read for Trickle {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        std::thread::sleep(self.pause);
        let count = self.size.min(self.left.len()).min(buffer.len());
        let piece: Vec<u8> = self.left.drain(..count).collect();
        if let Some(place) = buffer.get_mut(..count) {
            place.copy_from_slice(&piece);
        }
        Ok(count)
    }
}

/// The header fields of a reply as a MIME head.
pub(super) fn head_of(reply: &Reply) -> Headers {
    let mut head = Headers::new();
    for (name, value) in &reply.headers {
        // What is not a legal field cannot matter for an MDN.
        let _ = head.push(name, value);
    }
    head
}
