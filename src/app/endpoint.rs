//! The AS2 port: decides whether a POST is a message for the inbox or an MDN about something we sent.

use crate::http::{Exchange, Handler, Reply};
use crate::inbound::{Arrived, Inbound};
use crate::outbound::{Arrival, Outbound};

/// The handler behind the AS2 listener. It knows no session and no token.
pub(super) struct As2Endpoint {
    inbound: Inbound,
    outbound: Outbound,
}

impl As2Endpoint {
    pub(super) fn new(inbound: Inbound, outbound: Outbound) -> As2Endpoint {
        As2Endpoint { inbound, outbound }
    }
}

impl Handler for As2Endpoint {
    async fn handle(&self, request: Exchange) -> Reply {
        match self.inbound.receive(request).await {
            Err(reply) => reply,
            Ok(Arrived::Message(message)) => self.inbound.accept(*message).await,
            Ok(Arrived::Mdn(mdn)) => match self.outbound.mdn_arrived(&mdn.partner, &mdn.headers, &mdn.body).await {
                Ok(Arrival::Unreadable) => Reply::plain(400, "not a readable MDN\n"),
                Ok(Arrival::Settled | Arrival::Late | Arrival::Unknown) => Reply::new(200),
                Err(error) => {
                    tracing::error!(%error, code = error.code(), "an MDN could not be recorded");
                    Reply::plain(503, "temporarily unavailable\n").header("Retry-After", "10")
                }
            },
        }
    }
}
