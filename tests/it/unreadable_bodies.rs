//! The bytes of a message that is to be sent again cannot be read: for now, or because they are gone.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::Duration;

use dxgate::store::record::{Message, State};

use crate::support::correspondent::{Kind, acknowledge};
use crate::support::home::{Home, PartnerFile};
use crate::support::inside::{self, Inside, pass};
use crate::support::scripted::{Posted, Scripted, answer};

const MINUTE: Duration = Duration::from_secs(60);

/// In a file of their own: one that is read whole before it is sent, and one that is read under way.
const LENGTHS: [usize; 2] = [1_300_000, 3_000_000];

fn code(message: &Message) -> Option<&str> {
    message.reason.as_ref().map(|reason| reason.code.as_str())
}

/// Takes messages from the second attempt on.
fn peer() -> Scripted {
    Scripted::start(|number, posted: &Posted| {
        Some(if number == 0 { answer(503, "", b"") } else { acknowledge(posted, Kind::default()) })
    })
}

fn partner(home: &Home, peer: &Scripted) {
    let delivery = "retry = [\"1m\"]\njitter = 0.0";
    home.partner("theirs", &PartnerFile { url: peer.url(), delivery, ..PartnerFile::default() });
}

/// Sends a payload once, and tells where its wire bytes are.
fn tried_once(gateway: &Inside<'_>, length: usize) -> PathBuf {
    gateway.submit("theirs", "order.bin", &crate::proof::content("order", length));
    let tried = gateway.until("theirs", "tried", |message| message.attempts == 1 && message.state == State::Composed);
    let file = gateway.home.path("data/bodies").join(tried.wire.unwrap().id.to_string());
    assert!(file.is_file(), "{}", file.display());
    file
}

#[test]
fn what_the_disk_does_not_give_for_now_goes_by_itself_once_it_does() {
    for length in LENGTHS {
        let (home, peer, clock) = (Home::ours(), peer(), inside::clock());
        partner(&home, &peer);
        let gateway = Inside::start(&home, &clock);
        let file = tried_once(&gateway, length);
        let aside = file.with_extension("aside");
        fs::rename(&file, &aside).unwrap();
        // A link to itself is an error of the disk that is no damage, and that root gets as well.
        symlink(&file, &file).unwrap();
        pass(&clock, MINUTE);
        let waiting = gateway.until("theirs", "put off", |message| code(message) == Some("storage-failed"));
        assert_eq!((waiting.state, waiting.attempts, peer.posted().len()), (State::Composed, 1, 1), "{length}");
        assert_eq!(gateway.alerts(), Vec::<String>::new(), "nobody has to do anything about the message");
        fs::remove_file(&file).unwrap();
        fs::rename(&aside, &file).unwrap();
        pass(&clock, MINUTE);
        let delivered = gateway.until("theirs", "delivered", |message| message.state == State::Delivered);
        assert_eq!((delivered.attempts, peer.posted().len()), (2, 2), "{length}");
    }
}

#[test]
fn bytes_that_are_gone_hold_their_message_before_an_attempt_begins() {
    for length in LENGTHS {
        let (home, peer, clock) = (Home::ours(), peer(), inside::clock());
        partner(&home, &peer);
        let gateway = Inside::start(&home, &clock);
        let file = tried_once(&gateway, length);
        fs::remove_file(&file).unwrap();
        pass(&clock, MINUTE);
        let held = gateway.until("theirs", "held", |message| message.state == State::Held);
        assert_eq!((code(&held), held.attempts, peer.posted().len()), (Some("body-unreadable"), 1, 1), "{length}");
        assert_eq!(gateway.alerts(), ["body-unreadable"]);
    }
}

#[test]
fn what_the_disk_never_gives_is_held_once_it_would_have_been_given_up() {
    let (home, peer, clock) = (Home::ours(), peer(), inside::clock());
    let delivery = "retry = [\"1m\"]\njitter = 0.0\ngive_up_after = \"1h\"";
    home.partner("theirs", &PartnerFile { url: peer.url(), delivery, ..PartnerFile::default() });
    let gateway = Inside::start(&home, &clock);
    let file = tried_once(&gateway, LENGTHS[0]);
    fs::remove_file(&file).unwrap();
    symlink(&file, &file).unwrap();
    pass(&clock, MINUTE);
    gateway.until("theirs", "put off", |message| code(message) == Some("storage-failed"));
    pass(&clock, 60 * MINUTE);
    let held = gateway.until("theirs", "held", |message| message.state == State::Held);
    assert_eq!((code(&held), held.attempts, peer.posted().len()), (Some("body-unreadable"), 1, 1));
    assert_eq!(gateway.alerts(), ["body-unreadable"]);
}
