//! What expires while the gateway runs, on a clock that leaps: payloads first, evidence later, and nothing of a message
//! under legal hold. What is left can be exported and verified by anybody, before and after.

use std::path::Path;
use std::time::Duration;

use dxgate::store::record::{Body, Message, PublicationStage};

use crate::support::correspondent::{Kind, Letter, acknowledge, letter, open, plan};
use crate::support::gateway::dxgate;
use crate::support::home::{Home, PartnerFile, Station};
use crate::support::inside::{self, Inside, pass};
use crate::support::scripted::Scripted;
use crate::support::{eventually, http, keys};

const DAY: Duration = Duration::from_secs(24 * 3600);
/// Longer than what lives in the journal.
const LARGE: usize = 1_300_000;
const REFUSED: &[u8] = b"refused";
const NEGATIVE: &str = "automatic-action/MDN-sent-automatically; processed/error: unexpected-processing-error";

#[test]
fn payloads_expire_first_and_evidence_later_and_a_legal_hold_keeps_both() {
    let more = "[limits]\nfree_space_floor = 0\n[retention]\npayload = \"30d\"\nevidence = \"90d\"";
    let home = Home::of(&Station { as2_name: "ours", party: keys::ours(), more });
    let peer = Scripted::start(|_, posted| {
        let refuses = open(posted).payload == REFUSED;
        let disposition = if refuses { NEGATIVE } else { Kind::default().disposition };
        Some(acknowledge(posted, Kind { disposition, ..Kind::default() }))
    });
    home.partner("theirs", &PartnerFile { url: peer.url(), ..PartnerFile::default() });
    let clock = inside::clock();
    let gateway = Inside::start(&home, &clock);
    let held_letter = letter(&named("held-in.bin"), "<held@theirs>", &content("held-in.bin"));
    let mdn = post(&home, &held_letter);
    post(&home, &letter(&named("in.bin"), "<in@theirs>", &content("in.bin")));
    for name in ["out.bin", "held-out.bin"] {
        gateway.submit("theirs", name, &content(name));
    }
    gateway.submit("theirs", "failed.bin", REFUSED);
    let [out, held_out, failed, into, held_in] =
        ["out.bin", "held-out.bin", "failed.bin", "in.bin", "held-in.bin"].map(|name| finished(&gateway, name));

    // Held by a person with a reason, over the command line and over the API.
    let (held, id) = (held_out.id.to_string(), held_in.id);
    assert_eq!(command(&home, &["messages", "legal-hold", &held]), 2, "a reason is required");
    assert_eq!(gateway.post(&format!("/api/v1/messages/{id}/legal-hold"), br#"{"reason":" "}"#).0, 400);
    assert_eq!(command(&home, &["messages", "legal-hold", &held, "--reason", "a suit"]), 0);
    assert_eq!(gateway.post(&format!("/api/v1/messages/{id}/legal-hold"), br#"{"reason":"a suit"}"#).0, 200);
    let shown = gateway.api(&format!("/api/v1/messages/{id}"));
    assert_eq!(shown["legal_hold"]["reason"], "a suit", "{shown:#}");
    assert_eq!(gateway.post(&format!("/api/v1/messages/{id}/legal-hold"), br#"{"reason":"again"}"#).0, 409);

    pass(&clock, 31 * DAY);
    for before in [&out, &into, &failed] {
        let after = eventually("the payload expires", || {
            gateway.messages().into_iter().find(|message| message.id == before.id && message.payload_purged.is_some())
        });
        assert!(!after.bodies().contains(&payload(before)), "{} has its payload", before.file_name);
        assert!(after.bodies().contains(&before.wire.unwrap()), "{} lost its wire", before.file_name);
        let retried = gateway.post(&format!("/api/v1/messages/{}/retry", before.id), br#"{"reason":"once more"}"#);
        match before.id == failed.id {
            true => assert_eq!((retried.0, &retried.1["code"]), (409, &"message-expired".into()), "{:#}", retried.1),
            false => assert!(retried.0 >= 400, "{:#}", retried.1),
        }
    }
    let is_file = |body: Body| home.path("data/bodies").join(body.id.to_string()).exists();
    eventually("its file is gone", || (!is_file(payload(&out)) && !is_file(payload(&into))).then_some(()));
    for held in [&held_out, &held_in] {
        assert!(is_file(payload(held)) && is_file(held.wire.unwrap()), "{} is held", held.file_name);
    }
    for message in [&out, &held_out, &failed, &into, &held_in] {
        verifies(&home, message, "payloads expired");
    }

    pass(&clock, 60 * DAY);
    eventually("evidence expires", || (gateway.messages().len() == 2).then_some(()));
    eventually("their files are gone", || (!is_file(out.wire.unwrap()) && !is_file(into.wire.unwrap())).then_some(()));
    for held in [&held_out, &held_in] {
        verifies(&home, held, "evidence expired");
        assert!(is_file(payload(held)) && is_file(held.wire.unwrap()), "{} is held", held.file_name);
    }
    assert!(post(&home, &held_letter) == mdn, "its key is held, too: a repetition gets the same MDN");

    // Lifted, with a reason: their time has long been over.
    assert_eq!(gateway.post(&format!("/api/v1/messages/{id}/legal-release"), br#"{"reason":"settled"}"#).0, 200);
    assert_eq!(command(&home, &["messages", "legal-release", &held, "--reason", "settled"]), 0);
    pass(&clock, DAY);
    eventually("what was held expires", || gateway.messages().is_empty().then_some(()));
    assert_eq!(command(&home, &["messages", "verify", "--all"]), 0);
    eventually("all files are gone", || {
        (crate::support::home::names(&home.path("data/bodies")).is_empty()).then_some(())
    });
    drop(gateway);
    let gateway = Inside::start(&home, &clock);
    assert!(gateway.messages().is_empty(), "what expired stays away");
    assert_eq!(command(&home, &["messages", "verify", "--all"]), 0);
}

/// Exported, verified as a folder, as a message, and with the whole journal.
fn verifies(home: &Home, message: &Message, when: &str) {
    let (id, bundle) = (message.id.to_string(), home.path(&format!("{when} {}", message.file_name)));
    let bundle = bundle.to_str().unwrap();
    for arguments in
        [vec!["export", &id, "--out", bundle], vec!["verify", bundle], vec!["verify", &id], vec!["verify", "--all"]]
    {
        let code = command(home, &[&["messages"], &arguments[..]].concat());
        assert_eq!(code, 0, "{when}: {} of {}", arguments[0], message.file_name);
    }
    let payload = std::fs::read(Path::new(bundle).join("payload.bin")).unwrap();
    let expected = if message.file_name == "failed.bin" { REFUSED.to_vec() } else { content(&message.file_name) };
    assert!(payload == expected, "{when}: the wire of {} still proves its payload", message.file_name);
}

/// The message of this name, once its journey is over and users have its files.
fn finished(gateway: &Inside<'_>, name: &str) -> Message {
    let published = |(_, stage): &(_, PublicationStage)| matches!(stage, PublicationStage::Published(_));
    eventually(&format!("{name} is finished"), || {
        let mut messages = gateway.messages().into_iter();
        messages.find(|message| {
            message.file_name == name && message.state.is_final() && message.publications.iter().all(published)
        })
    })
}

fn payload(message: &Message) -> Body {
    message.payload.unwrap()
}

fn content(name: &str) -> Vec<u8> {
    crate::proof::content(name, LARGE)
}

fn named(name: &str) -> dxgate::as2::SendPlan {
    dxgate::as2::SendPlan { file_name: Some(name.to_owned()), ..plan() }
}

fn post(home: &Home, letter: &Letter) -> Vec<u8> {
    let answer = http::post(home.as2, "/as2", &letter.headers, &letter.body).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.body
}

fn command(home: &Home, arguments: &[&str]) -> i32 {
    let output = dxgate().args(arguments).arg("--config").arg(home.config()).output().unwrap();
    output.status.code().unwrap()
}
