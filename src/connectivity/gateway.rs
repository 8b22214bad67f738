//! What a run needs of the gateway.

use std::time::Duration;

use crate::ground::id::Id;
use crate::http::probe::{Depth, Probe};
use crate::partner::trial::Trial;
use crate::store::record::Reason;
use crate::store::trail::Change;

/// The gateway as a run sees it; `app` implements it over the outbound flow.
pub trait Gateway: Send + Sync {
    /// Queues a payload for `partner` under a trial; durable when this returns. `change` says of which run it is.
    fn submit(
        &self,
        partner: &str,
        name: &str,
        payload: Vec<u8>,
        trial: Trial,
        change: Change,
    ) -> impl Future<Output = Result<Id, Reason>> + Send;

    /// Tries the road to the partner's server.
    fn probe(
        &self,
        partner: &str,
        depth: Depth,
        patience: Duration,
    ) -> impl Future<Output = Result<Probe, Reason>> + Send;

    /// Sends the bytes of a message that was sent before once more.
    fn repeat(&self, id: Id) -> impl Future<Output = Result<Repeat, Reason>> + Send;

    /// Has a message that waits sent at once.
    fn hurry(&self, id: Id) -> impl Future<Output = ()> + Send;

    /// Ends a message that is still open, for this reason.
    fn end(&self, id: Id, why: String) -> impl Future<Output = ()> + Send;

    /// Hears which case of a run is in work now, for whoever follows it.
    fn works(&self, run: Id, case: &str);
}

/// What a repetition came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repeat {
    /// A positive MDN came back and verifies.
    pub confirmed: bool,
    /// Why not.
    pub reason: Option<Reason>,
    /// The disposition of its MDN.
    pub disposition: Option<String>,
    /// From the request to the whole answer.
    pub took: Duration,
}
