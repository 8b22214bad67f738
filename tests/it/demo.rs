//! The first thing a newcomer runs.

use serde_json::Value;

use crate::support::gateway::run;

#[test]
fn the_demo_delivers_every_declaration_and_brings_the_answers_of_customs() {
    let output = run(&["demo", "--format", "json"]);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{out}\n{err}");
    let said: Value = serde_json::from_str(&out).unwrap_or_else(|error| panic!("not JSON ({error}): {out}\n{err}"));
    let declarations = said["declarations"].as_array().unwrap_or_else(|| panic!("no list: {said:#}"));
    assert!(!declarations.is_empty(), "{said:#}");
    for one in declarations {
        assert_eq!(one["state"], "delivered", "{one:#}");
    }
}
