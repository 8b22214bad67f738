//! Step 2: decrypt, decompress, verify, on the blocking pool; then look into a DXP envelope.

use std::io;
use std::sync::Arc;

use super::Inbound;
use super::unwrap::Unwrapped;
use crate::as2::request::Request;
use crate::as2::{self, OpenFailure, OpenKeys, Opened};
use crate::cms::ContentCipher;
use crate::partner::Partner;
use crate::store::draft::{Draft, Sink};

/// A message that satisfies the agreement, in quarantine.
pub(super) struct Verified {
    pub(super) opened: Opened,
    pub(super) payload: Draft,
    pub(super) unwrapped: Option<Unwrapped>,
}

/// Why there is nothing to publish.
pub(super) enum NotOpened {
    /// The message's fault; the partner is told.
    Refused(Box<OpenFailure>),
    /// Ours; the partner shall try again.
    Storage(io::Error),
}

impl Inbound {
    /// Opens `wire`; returns it for the record.
    pub(super) async fn open(
        &self,
        partner: &Arc<Partner>,
        request: &Arc<Request>,
        wire: Draft,
    ) -> (Draft, Result<Verified, NotOpened>) {
        let Ok(_permit) = self.openings.acquire().await else {
            return (wire, Err(NotOpened::Storage(io::Error::other("the gateway stops"))));
        };
        let (flow, partner, request) = (self.clone(), partner.clone(), request.clone());
        let work = move || {
            let verified = flow.open_blocking(&partner, &request, &wire);
            (wire, verified)
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(outcome) => outcome,
            Err(error) => (Draft::Inline(Vec::new()), Err(NotOpened::Storage(io::Error::other(error)))),
        }
    }

    fn open_blocking(&self, partner: &Partner, request: &Request, wire: &Draft) -> Result<Verified, NotOpened> {
        let now = self.clock.now();
        let decryption = self.station.keys.decryption_keys();
        let trusted = partner.trusted(now);
        let keys = OpenKeys { decryption: &decryption, trusted: &trusted };
        let mut body = wire.open(&self.store).map_err(NotOpened::Storage)?;
        let mut sink = Sink::new(&self.store);
        let opened = as2::open(request, &mut body, &partner.accept_policy(), &keys, &self.limits, &mut sink).map_err(
            |failure| match failure.cause.is_ours() {
                true => NotOpened::Storage(io::Error::other(failure.cause)),
                false => NotOpened::Refused(Box::new(failure)),
            },
        )?;
        let payload = sink.finish().map_err(NotOpened::Storage)?;
        let unwrapped = self.unwrap(partner, &payload).map_err(NotOpened::Storage)?;
        Ok(Verified { opened, payload, unwrapped })
    }
}

/// How the message was protected, for the meta file.
pub(super) fn cipher_name(cipher: Option<ContentCipher>) -> Option<String> {
    cipher.map(|cipher| cipher.to_string())
}
