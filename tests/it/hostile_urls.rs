//! Where receipts are asked for by those who want the gateway to speak to somebody else: nobody else hears a word.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dxgate::as2::{MdnAsk, MdnMode, SendPlan};

use crate::support::correspondent::{letter, plan};
use crate::support::gateway::Gateway;
use crate::support::home::{Home, PartnerFile};
use crate::support::scripted::{Scripted, answer};
use crate::support::{eventually, http};

/// Listens where nobody may come.
fn canary() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let (port, heard) = (listener.local_addr().unwrap().port(), Arc::new(AtomicUsize::new(0)));
    let counts = heard.clone();
    std::thread::spawn(move || {
        for _ in listener.incoming() {
            counts.fetch_add(1, Ordering::Relaxed);
        }
    });
    (port, heard)
}

/// Ways to write where the canary listens, and where else a gateway should not go; `own` is the partner's own server.
fn urls(port: u16, own: &str) -> Vec<String> {
    let hosts = [
        "127.0.0.1",
        "127.1",
        "127.0.1",
        "127.0.0.2",
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "017700000001",
        "%31%32%37.0.0.1",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "0.0.0.0",
        "0",
        "[::]",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[0:0:0:0:0:ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "169.254.169.254",
        "10.0.0.1",
    ];
    let schemes = hosts.iter().flat_map(|host| ["http", "https"].map(|scheme| format!("{scheme}://{host}:{port}/as2")));
    let canary = format!("127.0.0.1:{port}");
    let disguised = [
        format!("http://{own}@{canary}/as2"),
        format!("http://{own}:x@{canary}/as2"),
        format!("http://{own}%40{canary}/as2"),
        format!("http://{own}\\@{canary}/as2"),
        format!("http://{own}#@{canary}/as2"),
        format!("http://{canary}#@{own}/as2"),
        format!("http://{canary}?http://{own}/as2"),
        format!("http://{canary}/http://{own}/as2"),
        format!("http:/{canary}/as2"),
        format!("//{canary}/as2"),
        format!("{canary}/as2"),
        format!("HTTP://{canary}:/as2"),
        format!("ftp://{canary}/as2"),
        format!("gopher://{canary}/as2"),
        format!("mailto:as2@{canary}"),
        "file:///etc/passwd".to_owned(),
    ];
    schemes.chain(disguised).collect()
}

#[test]
fn no_url_in_a_message_makes_the_gateway_speak_to_anybody_but_the_partner() {
    let (port, heard) = canary();
    // The partner's own server sends whoever comes on to the canary.
    let location = format!("Location: http://127.0.0.1:{port}/as2\r\n");
    let peer = Scripted::start(move |_, _| Some(answer(307, &location, b"")));
    let home = Home::ours();
    home.partner("theirs", &PartnerFile { url: peer.url(), ..PartnerFile::default() });
    let gateway = Gateway::start(&home);
    let mut urls = urls(port, &peer.address.to_string());
    assert!(urls.len() >= 60, "{}", urls.len());
    urls.push(peer.url());
    for (number, url) in urls.iter().enumerate() {
        let mdn = MdnAsk { mode: MdnMode::Async { url: url.clone() }, ..plan().mdn };
        let open = SendPlan { signing: None, encryption: None, mdn, ..plan() };
        let letter = letter(&open, &format!("<{number}@theirs>"), format!("<{number}/>").as_bytes());
        assert_eq!(http::post(home.as2, "/as2", &letter.headers, &letter.body).unwrap().status, 202, "{url}");
    }
    let held = eventually("every receipt is held", || {
        let page = gateway.api("/api/v1/messages?state=held&limit=200")["messages"].clone();
        let codes = page.as_array()?.iter().map(|message| message["reason"]["code"].as_str().unwrap().to_owned());
        let codes: Vec<String> = codes.collect();
        (codes.len() == urls.len()).then_some(codes)
    });
    let refused = held.iter().filter(|code| *code == "mdn-url-refused").count();
    assert_eq!(refused, urls.len() - 1, "{held:?}");
    assert!(held.contains(&"http-307".to_owned()), "nor is anybody followed: {held:?}");
    assert_eq!((heard.load(Ordering::Relaxed), peer.posted().len()), (0, 1), "{}", gateway.log());
}
