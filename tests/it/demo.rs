//! The first thing a newcomer runs.

use serde_json::Value;

use crate::support::gateway::run;

#[test]
fn the_demo_delivers_every_declaration_and_brings_the_answers_of_customs() {
    let output = run(&["demo", "--format", "json"]);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{out}\n{err}");
    let said: Value = serde_json::from_str(&out).unwrap_or_else(|error| panic!("not JSON ({error}): {out}\n{err}"));
    let messages = said["messages"].as_array().unwrap_or_else(|| panic!("no list of messages: {said:#}"));
    assert!(!messages.is_empty(), "{said:#}");
    for field in ["sent", "delivered", "receipts"] {
        assert_eq!(said[field].as_u64(), Some(messages.len() as u64), "{field}: {said:#}");
    }
    assert_eq!(said["failed"], 0, "{said:#}");
    for message in messages {
        assert_eq!(message["state"], "delivered", "{message:#}");
        assert_eq!(message["mic_matches"], true, "{message:#}");
        assert!(message["mdn_signed_by"].is_string() && message["business_receipt"].is_string(), "{message:#}");
    }
}
