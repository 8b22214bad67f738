//! The bytes of a message that is to be sent again cannot be read: for now, or because they are gone. Those that are sent, or the
//! payload that they are made of anew.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use dxgate::declaration::sample;
use dxgate::ground::clock::{Clock as _, ManualClock};
use dxgate::store::record::{Message, State};

use crate::support::correspondent::{Kind, acknowledge};
use crate::support::home::{Home, PartnerFile, change, customs_home};
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

/// A message that was tried once, and that goes to a partner who wants another Message-ID each time; and where its payload is.
fn to_be_composed_anew<'h>(home: &'h Home, peer: &Scripted, clock: &Arc<ManualClock>) -> (Inside<'h>, PathBuf) {
    let delivery = "retry = [\"1m\"]\njitter = 0.0\ngive_up_after = \"1h\"\nfresh_message_id = true";
    home.partner("theirs", &PartnerFile { url: peer.url(), delivery, ..PartnerFile::default() });
    let gateway = Inside::start(home, clock);
    tried_once(&gateway, LENGTHS[0]);
    let file = home.path("data/bodies").join(gateway.sent_to("theirs").payload.unwrap().id.to_string());
    assert!(file.is_file(), "{}", file.display());
    (gateway, file)
}

#[test]
fn a_payload_that_is_gone_or_damaged_holds_its_message_when_it_is_to_be_composed_anew() {
    let damages: [fn(&Path); 2] = [|file| fs::remove_file(file).unwrap(), |file| fs::write(file, "another").unwrap()];
    for damage in damages {
        let (home, peer, clock) = (Home::ours(), peer(), inside::clock());
        let (gateway, file) = to_be_composed_anew(&home, &peer, &clock);
        damage(&file);
        pass(&clock, MINUTE);
        let held = gateway.until("theirs", "held", |message| message.state == State::Held);
        assert_eq!((code(&held), held.attempts, peer.posted().len()), (Some("body-unreadable"), 1, 1));
        assert_eq!(gateway.alerts(), ["body-unreadable"]);
    }
}

#[test]
fn a_payload_that_the_disk_never_gives_is_put_off_for_longer_each_time_and_then_held() {
    let (home, peer, clock) = (Home::ours(), peer(), inside::clock());
    let (gateway, file) = to_be_composed_anew(&home, &peer, &clock);
    fs::remove_file(&file).unwrap();
    symlink(&file, &file).unwrap();
    for minutes in [1, 2, 4] {
        let due = gateway.sent_to("theirs").due.unwrap();
        pass(&clock, Duration::try_from(due.duration_since(clock.now())).unwrap());
        let waiting = gateway.until("theirs", "put off", |message| message.due.is_some_and(|later| later > due));
        let wait = waiting.due.unwrap().duration_since(clock.now()).as_secs();
        assert_eq!((code(&waiting), waiting.state, wait), (Some("storage-failed"), State::Composed, 60 * minutes));
    }
    pass(&clock, 60 * MINUTE);
    let held = gateway.until("theirs", "held", |message| message.state == State::Held);
    assert_eq!((code(&held), held.attempts, peer.posted().len()), (Some("body-unreadable"), 1, 1));
    assert_eq!(gateway.alerts(), ["body-unreadable"]);
}

#[test]
fn a_declaration_damaged_on_the_disk_is_held_for_that_and_not_for_what_the_pre_check_makes_of_it() {
    let (peer, clock) = (peer(), inside::clock());
    let limits = "[limits]\nfree_space_floor = 0\ninline = \"16KiB\"";
    let home = customs_home("DXPENT0000012345", peer.url(), limits);
    let delivery = "[delivery]\nfresh_message_id = true\nretry = [\"1m\"]";
    change(&home.path("partners/customs.toml"), "[delivery]\nretry = [\"1s\"]", delivery);
    let gateway = Inside::start(&home, &clock);
    gateway.submit("customs", "orders.xml", &sample::order(50, "DXPENT0000012345", clock.now(), 1));
    let tried = gateway.until("customs", "tried", |message| message.attempts == 1 && message.state == State::Composed);
    let file = home.path("data/bodies").join(tried.payload.unwrap().id.to_string());
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).unwrap();
    pass(&clock, MINUTE);
    let held = gateway.until("customs", "held", |message| message.state == State::Held);
    assert_eq!((code(&held), held.attempts, peer.posted().len()), (Some("body-unreadable"), 1, 1));
}
