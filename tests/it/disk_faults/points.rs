//! Every failpoint there is, is struck: found in the sources, and in what an unharmed gateway passes.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{AT_TIMES, CUT, DEADLINE, WHOLE, WRITES, home, upkeep};
use crate::proof::traffic::{Peers, Traffic, VICTIM_LIMITS};
use crate::support::gateway::Gateway;
use crate::support::home::{Home, Station};
use crate::support::keys;

/// Where points are in the sources. A new one fails the test until a table of cases strikes it and it stands here.
const SITES: &[(&str, &[&str])] = &[
    ("ground/durable.rs", &["allocate", "create", "link", "mkdir", "remove", "rename", "sync", "write"]),
    ("ground/durable/directory.rs", &["dirsync", "syncfs"]),
    ("ground/durable/past_cache.rs", &["create", "write"]),
    ("outbound/intake.rs", &["remove"]),
    ("store/db.rs", &["index-apply", "index-flush", "index-open", "index-read"]),
    (
        "store/journal/segment.rs",
        &[
            "journal-append",
            "journal-cut",
            "journal-resume",
            "journal-resync",
            "journal-rewrite",
            "journal-room",
            "journal-sync",
        ],
    ),
    ("store/publisher.rs", &["create", "sync", "write"]),
    ("store/publisher/mend.rs", &["sync"]),
    ("store/scratch.rs", &["scratch-create", "scratch-write"]),
];

/// Points that some table of cases strikes.
fn struck() -> BTreeSet<&'static str> {
    let listed = WHOLE.iter().chain(WRITES).map(|(point, _)| *point);
    let kept = upkeep::REQUIRED.iter().map(|(_, point)| *point);
    listed.chain(kept).chain(AT_TIMES.iter().copied()).chain([CUT]).collect()
}

#[test]
fn every_failpoint_in_the_sources_stands_in_a_table_of_cases() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found: Vec<(String, BTreeSet<String>)> = Vec::new();
    for file in files(&sources) {
        let points = points_of(&fs::read_to_string(&file).unwrap());
        if !points.is_empty() {
            found.push((file.strip_prefix(&sources).unwrap().to_str().unwrap().to_owned(), points));
        }
    }
    found.sort();
    let listed: Vec<(String, BTreeSet<String>)> = SITES
        .iter()
        .map(|(file, points)| ((*file).to_owned(), points.iter().map(|point| (*point).to_owned()).collect()))
        .collect();
    assert_eq!(found, listed, "points in the sources (left) that SITES does not list");
    let struck = struck();
    let operations: BTreeSet<&str> = struck.iter().map(|point| operation(point)).collect();
    let sites: BTreeSet<&str> = SITES.iter().flat_map(|(_, points)| points.iter().copied()).collect();
    assert_eq!(operations, sites, "operations that are struck (left), and those in the sources");
}

#[test]
fn a_point_is_found_however_its_line_is_broken() {
    let source = "fault::at(\n    &within(\"sync\", dir), || Ok(()))?; fault::write(&\"scratch-write\", out, bytes)";
    assert_eq!(points_of(source), BTreeSet::from(["scratch-write".to_owned(), "sync".to_owned()]));
    let unnamed = std::panic::catch_unwind(|| points_of("fault::at(&name, || Ok(()))"));
    assert!(unnamed.is_err(), "a point whose name is made elsewhere cannot be found");
}

#[test]
fn every_point_that_an_unharmed_gateway_passes_is_struck() {
    let more = format!("{VICTIM_LIMITS}\n[log]\nlevel = \"trace\"\n");
    let watched = Home::of(&Station { as2_name: "watched", party: keys::ours(), more: &more });
    let victim = ("watched", &watched);
    let peers = Peers::of(&[victim]);
    let _steady: Vec<Gateway<'_>> = peers.0.iter().map(Gateway::start).collect();
    let ledger = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut traffic = Traffic::begin(ledger.path(), "w", victim, &peers);
    traffic.load(2);
    let gateway = Gateway::start(&watched);
    let settled = traffic.settle(DEADLINE.max(Duration::from_secs(90)), || Ok::<(), String>(())).unwrap();
    assert!(settled, "{}", traffic.standing());
    assert!(gateway.stop().success());
    assert!(Gateway::start(&watched).stop().success());
    let log = fs::read_to_string(watched.log()).unwrap();
    let passed: BTreeSet<&str> = log
        .lines()
        .filter_map(|line| line.split_once("passed point=\"").or_else(|| line.split_once("passed point=")))
        .map(|(_, point)| point.split(['"', ' ']).next().unwrap())
        .collect();
    assert!(passed.len() > 20, "{passed:?}");
    let (struck, own) = (struck(), watched.path(".").canonicalize().unwrap());
    let own = own.file_name().unwrap().to_str().unwrap();
    let is_struck = |point: &str| match point.split_once('@') {
        // The home itself has another name in each run.
        Some((operation, folder)) if folder == own => home::OPERATIONS.contains(&operation),
        // The folders of both partners are the same code.
        Some((operation, "later")) => struck.contains(format!("{operation}@sync").as_str()),
        _ => struck.contains(point),
    };
    let unstruck: Vec<&&str> = passed.iter().filter(|point| !is_struck(point)).collect();
    assert!(unstruck.is_empty(), "no case strikes {unstruck:?}");
}

/// `sync` of `sync@journal`, `journal-sync` of itself.
fn operation(point: &str) -> &str {
    point.split_once('@').map_or(point, |(operation, _)| operation)
}

/// Names of the points in a source: the journal's and the index's own, of the others the operation.
fn points_of(source: &str) -> BTreeSet<String> {
    let dense: String = source.chars().filter(|character| !character.is_whitespace()).collect();
    let mut points = BTreeSet::new();
    for call in ["fault::at(", "fault::write(", "fault::fault("] {
        for rest in dense.split(call).skip(1) {
            let named = ["&\"", "&within(\"", "&fault::within(\""].iter().find_map(|begin| rest.strip_prefix(begin));
            let name = named.and_then(|rest| rest.split('"').next());
            points.insert(name.unwrap_or_else(|| panic!("{call}{:.60}: the name stands elsewhere", rest)).to_owned());
        }
    }
    points
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}
