//! SIGTERM at random moments under load: the end is quick, and nothing is lost or doubled by it.
//!
//! | variable | CI | full | |
//! |---|---|---|---|
//! | `DXGATE_TERM_CYCLES` | 10 | 200 | orderly ends |

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::proof::scene::Scene;
use crate::proof::{Moments, size};
use crate::support::gateway::Gateway;
use crate::support::home::{Home, PartnerFile, Station};
use crate::support::scripted::{Scripted, answer};
use crate::support::{DEADLINE, eventually, keys};

/// The longest orderly end that is allowed: `[limits] shutdown`.
const LONGEST: Duration = Duration::from_secs(30);

#[test]
fn an_orderly_end_at_any_moment_under_load_is_quick_and_loses_nothing() {
    let (cycles, mut moments) = (size("DXGATE_TERM_CYCLES", 10), Moments::new());
    let scene = Scene::new();
    let mut ends = Vec::new();
    let judgement = scene.run(|| {
        for _ in 0..cycles {
            let gateway = Gateway::start(&scene.victim);
            moments.pass(1500);
            let begin = Instant::now();
            assert!(gateway.stop().success(), "an end in order has exit code 0");
            ends.push(begin.elapsed());
        }
    });
    ends.sort();
    let (median, longest) = (ends[ends.len() / 2], *ends.last().unwrap());
    println!("{cycles} orderly ends; {median:?} (median), {longest:?} (longest)");
    assert!(judgement.clean, "{}", judgement.text());
    assert!(judgement.sum("taken") > u64::from(cycles), "there was load: {}", judgement.text());
    assert!(longest < LONGEST, "{longest:?}");
}

/// It would be cut off when the time for the listeners is over, and the partner may have it then.
#[test]
fn no_attempt_begins_while_the_listeners_wait_for_a_slow_sender() {
    let (arrived, arrives) = mpsc::channel();
    let (go_on, told) = mpsc::channel::<()>();
    let theirs = Scripted::start(move |number, _| {
        let _ = arrived.send(number);
        if number == 0 {
            let _ = told.recv();
        }
        Some(answer(200, "", b""))
    });
    let more = "[limits]\nfree_space_floor = 0\nshutdown = \"6s\"";
    let home = Home::of(&Station { as2_name: "ours", party: keys::ours(), more });
    let delivery = "concurrency = 1\nretry = [\"1m\"]\njitter = 0.0";
    let partner = PartnerFile { url: theirs.url(), mdn: "mode = \"none\"", delivery, ..PartnerFile::default() };
    home.partner("theirs", &partner);
    let gateway = Gateway::start(&home);
    for name in ["1.xml", "2.xml"] {
        home.submit("theirs", name, b"<order/>\n");
    }
    assert_eq!(arrives.recv_timeout(DEADLINE), Ok(0));
    eventually("both are queued", || {
        let list = gateway.api("/api/v1/messages?partner=theirs");
        (list["messages"].as_array()?.len() == 2).then_some(())
    });
    // A message of which the listener gets some bytes and no more.
    let mut slow = TcpStream::connect(home.as2).unwrap();
    let head = "POST /as2 HTTP/1.1\r\nHost: a\r\nAS2-From: theirs\r\nAS2-To: ours\r\nAS2-Version: 1.2\r\n\
                Message-ID: <slow@theirs>\r\nContent-Type: application/xml\r\nContent-Length: 100\r\n\
                Expect: 100-continue\r\n\r\n";
    slow.write_all(head.as_bytes()).unwrap();
    let mut begun = [0; 25];
    slow.read_exact(&mut begun).unwrap();
    assert_eq!(begun, *b"HTTP/1.1 100 Continue\r\n\r\n");
    slow.write_all(b"<order>").unwrap();
    std::thread::scope(|scope| {
        let stopping = scope.spawn(move || gateway.stop());
        eventually("nobody is let in any more", || TcpStream::connect(home.as2).is_err().then_some(()));
        go_on.send(()).unwrap();
        assert!(stopping.join().unwrap().success());
    });
    assert_eq!(theirs.posted().len(), 1, "the second one is still in the queue");
}
