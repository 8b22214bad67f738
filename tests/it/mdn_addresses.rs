//! MDNs that we owe to another server than the one that takes our payloads: neither waits for the other.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dxgate::as2::{MdnAsk, MdnMode, SendPlan};
use dxgate::ground::clock::Clock as _;
use dxgate::store::record::{JobKind, Message, State};

use crate::support::correspondent::{Kind, acknowledge, letter, plan};
use crate::support::home::{Home, PartnerFile};
use crate::support::inside::{self, Inside, pass};
use crate::support::scripted::{Posted, Scripted, answer};
use crate::support::{eventually, free_port, http};

const ORDER: &[u8] = b"<order/>\n";
const RETRY: &str = "retry = [\"1m\", \"2m\", \"5m\"]\njitter = 0.0";
const OWED: usize = 20;

/// Takes connections and says nothing on them; it ends when dropped, and they with it.
struct Silent {
    address: SocketAddr,
    open: Arc<Mutex<Vec<TcpStream>>>,
    stop: Arc<AtomicBool>,
}

impl Silent {
    fn start() -> Silent {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let silent = Silent { address, open: Arc::default(), stop: Arc::default() };
        let (open, stop) = (silent.open.clone(), silent.stop.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                open.lock().unwrap().extend(stream);
            }
        });
        silent
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
        self.open.lock().unwrap().clear();
    }
}

/// `theirs`, which takes payloads at one URL and its MDNs at another.
fn partner(home: &Home, url: String, mdns: &str) {
    let accept = format!("signature = false\nencryption = false\nasync_mdn_urls = [\"{mdns}\"]");
    home.partner("theirs", &PartnerFile { url, accept: &accept, delivery: RETRY, ..PartnerFile::default() });
}

/// A partner that takes everything.
fn peer() -> Scripted {
    Scripted::start(|_, posted: &Posted| Some(acknowledge(posted, Kind::default())))
}

/// Messages of the partner that want their MDNs at `url`, so many; the MDNs are due then.
fn owe(gateway: &Inside<'_>, url: &str, count: usize) {
    for number in 0..count {
        let mdn = MdnAsk { mode: MdnMode::Async { url: url.to_owned() }, signed: true, micalgs: Vec::new() };
        let asking = letter(&SendPlan { mdn, ..plan() }, &format!("<{number}@theirs>"), ORDER);
        let taken = http::post(gateway.home.as2, "/as2", &asking.headers, &asking.body).unwrap();
        assert_eq!(taken.status, 202, "{}", taken.text());
    }
    eventually("the MDNs are queued", || (mdns(gateway).len() == count).then_some(()));
    pass(&gateway.clock, Duration::from_secs(2));
}

fn mdns(gateway: &Inside<'_>) -> Vec<Message> {
    let mut messages = gateway.messages();
    messages.retain(|message| message.kind == JobKind::Mdn);
    messages
}

fn code(message: &Message) -> &str {
    message.reason.as_ref().map_or("", |reason| reason.code.as_str())
}

#[test]
fn an_address_for_mdns_that_refuses_connections_neither_delays_a_payload_nor_makes_its_partner_count_as_down() {
    let (home, peer) = (Home::ours(), peer());
    let port = free_port();
    let nowhere = format!("http://127.0.0.1:{port}/mdn");
    partner(&home, peer.url(), &nowhere);
    let gateway = Inside::start(&home, &inside::clock());
    owe(&gateway, &nowhere, OWED);
    // A few find out; the others give way without a connection.
    let put_off = eventually("the others are put off", || {
        let (tried, put_off): (Vec<_>, Vec<_>) = mdns(&gateway).into_iter().partition(|mdn| mdn.attempts > 0);
        let failed = tried.iter().all(|mdn| mdn.state == State::Composed && code(mdn) == "connect-failed");
        let gave_way = put_off.iter().all(|mdn| mdn.state == State::Composed && code(mdn) == "mdn-put-off");
        (failed && gave_way && (3..=4).contains(&tried.len())).then_some(put_off)
    });
    assert!(put_off.iter().all(|mdn| mdn.due > Some(gateway.clock.now())), "{put_off:#?}");
    gateway.submit("theirs", "order.xml", ORDER);
    gateway.until("theirs", "delivered", |message| message.state == State::Delivered);
    assert_eq!(gateway.alerts(), Vec::<String>::new(), "the partner answers");
    // The address comes back.
    let back = Scripted::start_at(port, |_, _| Some(answer(204, "", b"")));
    inside::settle(&[&gateway], "the address is back");
    assert_eq!((back.posted().len(), peer.posted().len()), (OWED, 1), "each once");
    assert!(mdns(&gateway).iter().all(|mdn| mdn.state == State::Delivered));
}

#[test]
fn an_address_for_mdns_that_never_answers_takes_no_place_of_a_payload() {
    let (home, peer, silent) = (Home::ours(), peer(), Silent::start());
    let mute = format!("http://{}/mdn", silent.address);
    partner(&home, peer.url(), &mute);
    let gateway = Inside::start(&home, &inside::clock());
    owe(&gateway, &mute, OWED);
    // By the standard of ten minutes these would keep all four places of the partner.
    eventually("four connections hang", || (silent.open.lock().unwrap().len() == 4).then_some(()));
    gateway.submit("theirs", "order.xml", ORDER);
    gateway.until("theirs", "delivered", |message| message.state == State::Delivered);
    let attempts: Vec<u32> = mdns(&gateway).iter().map(|mdn| mdn.attempts).filter(|attempts| *attempts > 0).collect();
    assert_eq!(attempts, [1; 4], "the others wait, and no more connections are made");
    assert_eq!(gateway.alerts(), Vec::<String>::new());
    // The gateway would wait for what is under way.
    drop(silent);
}

#[test]
fn mdns_go_to_another_server_while_that_for_payloads_is_down_and_it_stays_so() {
    let home = Home::ours();
    let elsewhere = Scripted::start(|_, _| Some(answer(204, "", b"")));
    let nowhere = format!("http://127.0.0.1:{}/as2", free_port());
    partner(&home, nowhere, &elsewhere.url());
    let gateway = Inside::start(&home, &inside::clock());
    for number in 0..12 {
        gateway.submit("theirs", &format!("{number}.xml"), ORDER);
    }
    eventually("the partner counts as down", || (gateway.alerts() == ["partner-down"]).then_some(()));
    let under_way = || gateway.messages().iter().any(|message| message.state == State::Sending);
    eventually("the first attempts are over", || (!under_way()).then_some(()));
    let tried = || {
        let messages = gateway.messages();
        let payloads = messages.iter().filter(|message| message.kind == JobKind::Payload);
        payloads.map(|message| message.attempts).sum::<u32>()
    };
    let before = tried();
    // Behind the payloads that nobody has tried yet.
    owe(&gateway, &elsewhere.url(), 1);
    pass(&gateway.clock, Duration::from_secs(301));
    eventually("the MDN is delivered", || (mdns(&gateway)[0].state == State::Delivered).then_some(()));
    eventually("the probe is over", || (tried() == before + 1 && !under_way()).then_some(()));
    assert_eq!(elsewhere.posted().len(), 1);
    assert_eq!(gateway.alerts(), ["partner-down"], "what another server answers says nothing about this one");
}

#[test]
fn an_address_in_quotes_is_the_one_that_is_configured() {
    let (home, peer, elsewhere) = (Home::ours(), peer(), Scripted::start(|_, _| Some(answer(204, "", b""))));
    partner(&home, peer.url(), &elsewhere.url());
    let gateway = Inside::start(&home, &inside::clock());
    owe(&gateway, &format!("\"{}\"", elsewhere.url()), 1);
    eventually("the MDN is delivered", || (mdns(&gateway)[0].state == State::Delivered).then_some(()));
    assert_eq!(elsewhere.posted().len(), 1);
}
