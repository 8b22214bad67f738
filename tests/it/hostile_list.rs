//! `docs/hostile.md` names a test for each attack, `docs/reliability.md` one for each promise; they exist.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

#[test]
fn every_test_that_the_hostile_list_names_exists() {
    named_tests_exist("docs/hostile.md", 20);
}

#[test]
fn every_test_that_the_page_on_reliability_names_exists() {
    named_tests_exist("docs/reliability.md", 30);
}

/// Of tables whose last column is `tests`.
fn named_tests_exist(page: &str, at_least: usize) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut functions = HashSet::new();
    for folder in ["src", "tests"] {
        collect(&root.join(folder), &mut functions);
    }
    let text = fs::read_to_string(root.join(page)).unwrap();
    let tables =
        text.split("\n\n").filter(|table| table.lines().next().is_some_and(|head| head.ends_with("| tests |")));
    let rows: Vec<&str> = tables.flat_map(|table| table.lines().skip(2)).collect();
    assert!(rows.len() > at_least, "{} rows", rows.len());
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
