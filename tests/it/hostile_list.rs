//! `docs/hostile.md` names a test for each attack; they exist.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

#[test]
fn every_test_that_the_hostile_list_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut functions = HashSet::new();
    for folder in ["src", "tests"] {
        collect(&root.join(folder), &mut functions);
    }
    let text = fs::read_to_string(root.join("docs/hostile.md")).unwrap();
    let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("| ") && line.ends_with("` |")).collect();
    assert!(rows.len() > 20, "{} rows", rows.len());
    for row in rows {
        let tests = row.rsplit('|').nth(1).unwrap_or_default();
        let names: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "no test: {row}");
        for name in names {
            assert!(functions.contains(name), "there is no test {name}");
        }
    }
}

/// Names of functions below a folder.
fn collect(folder: &Path, into: &mut HashSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("node_modules") {
            collect(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let lines = text.lines().map(str::trim_start).map(|line| line.strip_prefix("async ").unwrap_or(line));
            let names = lines.filter_map(|line| line.strip_prefix("fn "));
            into.extend(names.filter_map(|rest| rest.split('(').next()).map(str::to_owned));
        }
    }
}
