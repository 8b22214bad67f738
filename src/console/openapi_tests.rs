//! The description is the one that is checked in, and it is one.

use serde_json::Value;

use super::*;
use crate::console::rig::Fake;
use crate::console::routes;

const GOLDEN: &str = "tests/golden/openapi.json";

/// A difference is a change of the contract: look at it, then write it with `DXGATE_NEW_GOLDEN_FILES=1 cargo test openapi`.
#[test]
fn the_description_is_the_golden_one() {
    let made = document(&routes::all::<Fake>());
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(GOLDEN);
    #[expect(clippy::disallowed_methods, reason = "the golden file is written on demand only")]
    if std::env::var("DXGATE_NEW_GOLDEN_FILES").is_ok() {
        std::fs::write(&path, &made).expect("written");
    }
    let golden = std::fs::read_to_string(&path).expect("tests/golden/openapi.json is there");
    assert!(made == golden, "the API has changed; see this test's comment");
}

#[test]
fn every_reference_has_its_schema_and_every_operation_its_own_name() {
    let document: Value = serde_json::from_str(&document(&routes::all::<Fake>())).expect("JSON");
    let schemas = document["components"]["schemas"].as_object().expect("schemas");
    let text = document.to_string();
    for reference in text.split("#/components/schemas/").skip(1) {
        let name = reference.split('"').next().expect("a name");
        assert!(schemas.contains_key(name), "{name}");
    }
    let paths = document["paths"].as_object().expect("paths");
    let mut names: Vec<&str> = paths
        .values()
        .flat_map(|item| item.as_object().expect("an item").values())
        .map(|operation| operation["operationId"].as_str().expect("a name"))
        .collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!((names.len(), all), (all, routes::all::<Fake>().len()));
}
