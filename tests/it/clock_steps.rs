//! Steps of the clock: what waits for a later attempt waits as long as was planned.

use std::time::Duration;

use dxgate::ground::clock::Clock as _;
use dxgate::store::record::State;
use jiff::SignedDuration;

use crate::support::correspondent::{Kind, acknowledge};
use crate::support::home::{Home, PartnerFile};
use crate::support::inside::{self, Inside, pass};
use crate::support::scripted::{Scripted, answer};

#[test]
fn a_retry_comes_when_it_was_planned_although_the_clock_is_set_back_meanwhile() {
    let home = Home::ours();
    let peer = Scripted::start(|number, posted| {
        Some(if number == 0 { answer(503, "", b"") } else { acknowledge(posted, Kind::default()) })
    });
    let delivery = "retry = [\"1m\"]\njitter = 0.0\ngive_up_after = \"72h\"";
    home.partner("theirs", &PartnerFile { url: peer.url(), delivery, ..PartnerFile::default() });
    let clock = inside::clock();
    let right = clock.now();
    pass(&clock, Duration::from_secs(8 * 3600));
    let gateway = Inside::start(&home, &clock);
    gateway.submit("theirs", "order.xml", b"<order/>\n");
    gateway.until("theirs", "tried", |message| message.attempts == 1 && message.state == State::Composed);
    clock.set(right);
    let planned = right.checked_add(SignedDuration::from_secs(60)).unwrap();
    gateway.until("theirs", "planned anew", |message| message.due == Some(planned));
    clock.set(planned);
    gateway.until("theirs", "delivered", |message| message.state == State::Delivered);
}
