//! R4 for bodies that come over several connections (AS2 Restart): every operation on what came so far fails once.
//!
//! The first connection breaks off, the second brings the rest, and whatever the gateway does about the failure, its sender
//! comes again until it has an MDN. Then the payload is there once.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use super::home::{Outcome, Subject, assert_reached, in_folders, sweep};
use crate::proof::parted::Parted;
use crate::support::DEADLINE;
use crate::support::gateway::{Gateway, dxgate};
use crate::support::home::Home;

/// Longer than what lives in the journal.
const LARGE: usize = 1_300_000;

struct Reception(Parted);

impl Reception {
    /// Until there is an MDN; how the gateway ended that was struck, if it did.
    fn receive(&self, home: &Home, arms: &str) -> Result<Option<ExitStatus>, String> {
        let mut command = dxgate();
        command.env("FAILPOINTS", arms);
        let mut gateway = Gateway::spawn_by(home, command);
        let (mut ended, mut begun, start) = (None, false, Instant::now());
        loop {
            if let Some(status) = gateway.ended() {
                if ended.is_some() {
                    return Err(format!("ended with {status} although nothing is armed any more"));
                }
                ended = Some(status);
                gateway = Gateway::start(home);
            }
            if start.elapsed() > DEADLINE {
                return Err("there is no MDN in time".to_owned());
            }
            if !gateway.is_ready() {
                std::thread::sleep(Duration::from_millis(20));
            } else if !begun {
                begun = self.0.begin(home).is_ok();
                // The gateway notices the end of the connection in its own time.
                std::thread::sleep(Duration::from_millis(100));
            } else if self.0.send_rest(home).is_ok_and(|answer| answer.status == 200) {
                break;
            } else {
                std::thread::sleep(Duration::from_millis(100));
            }
        }
        self.0.arrived(&gateway)?;
        if gateway.stop().success() { Ok(ended) } else { Err("it does not stop in order".to_owned()) }
    }
}

impl Subject for Reception {
    fn run(&self, place: &Path, arms: &str) -> Outcome {
        fs::create_dir_all(place).unwrap();
        let home = Home::ours();
        Parted::add_sender(&home);
        let received = self.receive(&home, arms);
        let text = fs::read_to_string(home.log()).unwrap();
        let ended = received.as_ref().ok().copied().flatten();
        fs::write(place.join("judged"), received.err().unwrap_or_default()).unwrap();
        Outcome { status: ended.unwrap_or(ExitStatus::from_raw(0)), text }
    }

    fn judge(&self, place: &Path, _: &Outcome) -> Result<(), String> {
        let judged = fs::read_to_string(place.join("judged")).unwrap();
        if judged.is_empty() { Ok(()) } else { Err(judged) }
    }
}

#[test]
fn a_body_in_parts_arrives_once_whatever_operation_on_its_parts_fails() {
    let mut points = in_folders(&["partial"]);
    points.extend(["link@bodies", "sync@bodies", "dirsync@bodies", "rename@bodies"].map(str::to_owned));
    let reached = sweep("parts", &points, &Reception(Parted::make(LARGE)));
    assert_reached(&reached, &["create@partial", "write@partial", "link@bodies", "sync@bodies", "dirsync@bodies"]);
}
