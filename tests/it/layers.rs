//! The architecture as a test: who may import whom, who may name which crate, who may mint which proof.
//!
//! It reads the sources as tokens, not as a compiler would; that is enough for paths that are written out, and the
//! rules at the end of the file show on small bad snippets that each one bites.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn every_module_imports_only_from_layers_below_its_own() {
    assert_clean(imports);
}

#[test]
fn crates_behind_a_seam_are_named_only_there() {
    assert_clean(crates);
}

#[test]
fn the_pure_core_has_no_async_and_no_io() {
    assert_clean(pure);
}

#[test]
fn each_proof_is_minted_in_one_file() {
    assert_clean(proofs);
    let open = source("src/as2/open.rs");
    let publish = source("src/inbound/publish.rs");
    assert!(has_path(&tokens(&open), "PolicyMet", "assertion"), "as2/open.rs mints PolicyMet");
    assert!(has_path(&tokens(&publish), "Stored", "assertion"), "inbound/publish.rs mints Stored");
}

#[test]
fn no_file_is_longer_than_500_lines() {
    let long: Vec<String> = files()
        .into_iter()
        .map(|(path, source)| (path, source.lines().count()))
        .filter(|(_, lines)| *lines > 500)
        .map(|(path, lines)| format!("{path}: {lines} lines"))
        .collect();
    assert!(long.is_empty(), "{}", long.join("\n"));
}

#[test]
fn no_module_is_named_after_nothing_in_particular() {
    let vague: Vec<String> = files().into_iter().map(|(path, _)| path).filter(|path| is_vague(path)).collect();
    assert!(vague.is_empty(), "{}", vague.join("\n"));
}

#[test]
fn the_layer_table_names_every_module_of_the_library() {
    let lib = tokens(&source("src/lib.rs"));
    let declared: BTreeSet<&str> =
        lib.windows(3).filter(|w| w[0] == "mod" && w[2] == ";").map(|w| w[1].as_str()).collect();
    let ranked: BTreeSet<&str> = RANKS.iter().map(|(name, _)| *name).collect();
    assert_eq!(declared, ranked);
}

// ---- rules: (path below the repository, source) → what is wrong ----

type Rule = fn(&str, &str) -> Vec<String>;

fn imports(path: &str, source: &str) -> Vec<String> {
    let Some(module) = module_of(path) else { return Vec::new() };
    let own = rank(module).unwrap_or_else(|| panic!("{path}: module {module} has no rank"));
    imported_modules(path, &tokens(source))
        .into_iter()
        .filter(|name| name != module && !ROOT_MACROS.contains(&name.as_str()))
        .filter_map(|name| match rank(&name) {
            Some(rank) if rank < own => None,
            Some(rank) => Some(format!("{path}: {module} (layer {own}) imports {name} (layer {rank})")),
            None => Some(format!("{path}: imports crate::{name}, which has no rank")),
        })
        .collect()
}

fn crates(path: &str, source: &str) -> Vec<String> {
    let tokens = tokens(source);
    SEAMS
        .iter()
        .filter(|(_, home)| !path.starts_with(home))
        .flat_map(|(name, home)| {
            let named = path_starts(&tokens).any(|start| start == *name);
            named.then(|| format!("{path}: names the crate {name}, which stays in {home}"))
        })
        .collect()
}

fn pure(path: &str, source: &str) -> Vec<String> {
    let in_core = ["mime", "cms", "as2", "declaration"].contains(&module_of(path).unwrap_or(""));
    if !in_core || is_test_file(path) {
        return Vec::new();
    }
    let tokens = without_tests(&tokens(source));
    let mut found = Vec::new();
    if tokens.iter().any(|token| token == "async" || token == "tokio") {
        found.push(format!("{path}: async in the pure core"));
    }
    for forbidden in ["fs", "net", "process", "thread", "env"] {
        if has_path(&tokens, "std", forbidden) {
            found.push(format!("{path}: std::{forbidden} in the pure core"));
        }
    }
    found
}

fn proofs(path: &str, source: &str) -> Vec<String> {
    if is_test_file(path) || !path.starts_with("src/") {
        return Vec::new();
    }
    let tokens = without_tests(&tokens(source));
    PROOFS
        .iter()
        .filter(|(_, home)| path != *home)
        .filter(|(proof, _)| has_path(&tokens, proof, "assertion"))
        .map(|(proof, home)| format!("{path}: mints {proof}, which only {home} may"))
        .collect()
}

/// Files that only tests compile: `x_tests.rs` and what is in a folder `tests`.
fn is_test_file(path: &str) -> bool {
    path.ends_with("tests.rs") || path.contains("/tests/")
}

fn is_vague(path: &str) -> bool {
    Path::new(path).components().any(|part| {
        let name = part.as_os_str().to_string_lossy();
        let name = name.trim_end_matches(".rs");
        ["util", "utils", "common", "helper", "helpers", "manager", "misc"].contains(&name)
    })
}

// ---- reading Rust as tokens ----

/// The top-level module a source file belongs to; none for `lib.rs`, `main.rs` and everything outside `src`.
fn module_of(path: &str) -> Option<&str> {
    let inside = path.strip_prefix("src/")?;
    let module = inside.split('/').next()?.trim_end_matches(".rs");
    (!["lib", "main"].contains(&module)).then_some(module)
}

fn rank(module: &str) -> Option<u8> {
    RANKS.iter().find(|(name, _)| *name == module).map(|(_, rank)| *rank)
}

/// Top-level modules reached by `crate::x`, `crate::{x, y}` and by a chain of `super::` that arrives at the root.
fn imported_modules(path: &str, tokens: &[String]) -> BTreeSet<String> {
    let inside = path.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
    // `x_tests.rs` is the module `x::tests` under another path.
    let depth = inside.split('/').count() + usize::from(inside.ends_with("_tests"));
    let mut found = BTreeSet::new();
    let mut inline = Vec::new();
    let mut braces = 0usize;
    for (at, token) in tokens.iter().enumerate() {
        match token.as_str() {
            "{" => {
                if at >= 2 && tokens[at - 2] == "mod" {
                    inline.push(braces);
                }
                braces += 1;
            }
            "}" => {
                braces = braces.saturating_sub(1);
                if inline.last() == Some(&braces) {
                    inline.pop();
                }
            }
            "crate" => found.extend(after_root(&tokens[at + 1..])),
            "super"
                if at == 0 || tokens[at - 1] != "::" || tokens.get(at.wrapping_sub(2)).is_some_and(|t| t == "self") =>
            {
                let chain = tokens[at..].chunks(2).take_while(|pair| pair[0] == "super").count();
                if chain >= depth + inline.len() {
                    found.extend(after_root(&tokens[at + 2 * chain - 1..]));
                }
            }
            _ => {}
        }
    }
    found
}

/// The names in `:: a` or `:: { a :: b, c }`.
fn after_root(tokens: &[String]) -> Vec<String> {
    match tokens {
        [colons, brace, rest @ ..] if colons == "::" && brace == "{" => group(rest),
        [colons, name, ..] if colons == "::" => vec![name.clone()],
        _ => Vec::new(),
    }
}

fn group(tokens: &[String]) -> Vec<String> {
    let (mut depth, mut expects, mut names) = (1, true, Vec::new());
    for token in tokens {
        match token.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            "," if depth == 1 => expects = true,
            name if expects => {
                names.push(name.to_owned());
                expects = false;
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    names
}

/// First names of paths, and names after `use`.
fn path_starts(tokens: &[String]) -> impl Iterator<Item = &str> {
    tokens.iter().enumerate().filter_map(|(at, name)| {
        let continues =
            at > 0 && tokens[at - 1] == "::" && (at < 2 || is_word(&tokens[at - 2]) && tokens[at - 2] != "use");
        let starts = tokens.get(at + 1).is_some_and(|next| next == "::") || at > 0 && tokens[at - 1] == "use";
        (starts && !continues).then_some(name.as_str())
    })
}

fn has_path(tokens: &[String], first: &str, second: &str) -> bool {
    tokens.windows(3).any(|w| w[0] == first && w[1] == "::" && w[2] == second)
}

/// Drops `#[cfg(test)] mod … { … }`.
fn without_tests(tokens: &[String]) -> Vec<String> {
    let marker = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if tokens[at..].len() > marker.len() && tokens[at..].iter().zip(marker).all(|(token, mark)| token == mark) {
            let mut depth = 0;
            at += marker.len();
            while at < tokens.len() {
                depth += i32::from(tokens[at] == "{") - i32::from(tokens[at] == "}");
                let ends = depth == 0 && (tokens[at] == "}" || tokens[at] == ";");
                at += 1;
                if ends {
                    break;
                }
            }
        } else {
            kept.push(tokens[at].clone());
            at += 1;
        }
    }
    kept
}

fn is_word(token: &str) -> bool {
    token.chars().all(|c| c.is_alphanumeric() || c == '_')
}

/// Words, `::` and single characters, without comments, strings, character literals and lifetimes.
fn tokens(source: &str) -> Vec<String> {
    let chars: Vec<char> = source.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let mut found = Vec::new();
    let mut i = 0;
    while i < chars.len() {
        let c = at(i);
        if c == '/' && at(i + 1) == '/' {
            i = (i..chars.len()).find(|&j| at(j) == '\n').unwrap_or(chars.len());
        } else if c == '/' && at(i + 1) == '*' {
            i = after_block_comment(&chars, i);
        } else if let Some(end) = after_string(&chars, i) {
            i = end;
        } else if c.is_alphanumeric() || c == '_' {
            let end = (i..chars.len()).find(|&j| !at(j).is_alphanumeric() && at(j) != '_').unwrap_or(chars.len());
            found.push(chars[i..end].iter().collect());
            i = end;
        } else if c == ':' && at(i + 1) == ':' {
            found.push("::".to_owned());
            i += 2;
        } else {
            if !c.is_whitespace() {
                found.push(c.to_string());
            }
            i += 1;
        }
    }
    found
}

fn after_block_comment(chars: &[char], start: usize) -> usize {
    let (mut depth, mut i) = (0, start);
    while i < chars.len() {
        match (chars[i], chars.get(i + 1)) {
            ('/', Some('*')) => (depth, i) = (depth + 1, i + 2),
            ('*', Some('/')) => (depth, i) = (depth - 1, i + 2),
            _ => i += 1,
        }
        if depth == 0 {
            break;
        }
    }
    i
}

/// The index behind a string, byte string, raw string, character or lifetime that starts at `start`.
fn after_string(chars: &[char], start: usize) -> Option<usize> {
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let word_before = start > 0 && (at(start - 1).is_alphanumeric() || at(start - 1) == '_');
    let mut i = start;
    if at(i) == '\'' {
        let literal = if at(i + 1) == '\\' { (i + 3..chars.len()).find(|&j| at(j) == '\'') } else { None };
        return Some(literal.map_or(if at(i + 2) == '\'' { i + 3 } else { i + 1 }, |end| end + 1));
    }
    if !word_before {
        i += usize::from(at(i) == 'b' || at(i) == 'c');
        if at(i) == 'r' {
            let hashes = (i + 1..chars.len()).take_while(|&j| at(j) == '#').count();
            if at(i + 1 + hashes) == '"' {
                let closes = |j: usize| at(j) == '"' && (1..=hashes).all(|k| at(j + k) == '#');
                return (i + 2 + hashes..chars.len()).find(|&j| closes(j)).map(|j| j + 1 + hashes);
            }
        }
    }
    if at(i) != '"' || (word_before && i > start) {
        return None;
    }
    i += 1;
    while i < chars.len() && at(i) != '"' {
        i += if at(i) == '\\' { 2 } else { 1 };
    }
    Some(i + 1)
}

// ---- the repository ----

fn assert_clean(rule: Rule) {
    let wrong: Vec<String> = files().iter().flat_map(|(path, source)| rule(path, source)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn source(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// `(path below the repository with slashes, source)` of every Rust file of the package.
fn files() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join("src"), root().join("tests"), root().join("benches")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else if entry.extension().is_some_and(|extension| extension == "rs") {
                let path = entry.strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/");
                found.push((path.clone(), source(&path)));
            }
        }
    }
    assert!(found.len() > 20, "the sources were found");
    found
}

const RANKS: &[(&str, u8)] = &[
    ("ground", 0),
    ("mime", 1),
    ("cms", 2),
    ("as2", 3),
    ("declaration", 3),
    ("keys", 4),
    ("partner", 5),
    ("config", 6),
    ("store", 7),
    ("http", 7),
    ("report", 7),
    ("outbound", 8),
    ("inbound", 8),
    ("evidence", 8),
    ("alerting", 8),
    ("telemetry", 8),
    ("connectivity", 8),
    ("console", 9),
    ("testbed", 9),
    ("onboarding", 9),
    ("app", 10),
    ("cli", 11),
];

/// Exported macros live at the root whatever module defines them.
const ROOT_MACROS: &[&str] = &["bilingual"];

/// `(crate, where it may be named)`.
const SEAMS: &[(&str, &str)] = &[
    ("sled", "src/store/db.rs"),
    ("hyper", "src/http/"),
    ("hyper_util", "src/http/"),
    ("hyper_rustls", "src/http/"),
    ("rustls", "src/http/"),
    ("tokio_rustls", "src/http/"),
    ("lettre", "src/alerting/mail.rs"),
    ("krilla", "src/report/pdf.rs"),
    ("skrifa", "src/report/font.rs"),
];

/// `(proof, the file that may mint it)`.
const PROOFS: &[(&str, &str)] =
    &[("SignatureValid", "src/cms/signed.rs"), ("PolicyMet", "src/as2/open.rs"), ("Stored", "src/inbound/publish.rs")];

mod the_rules_bite {
    use super::*;

    #[test]
    fn on_upward_imports_however_they_are_written() {
        for bad in [
            "use crate::store::Store;",
            "use crate::{ground::id::Id, store::{Store, Body}};",
            "fn f() { let x = crate::cli::run(); }",
            "mod inner { use super::super::super::config::Config; }",
            "use super::super::http;",
            "const T: &str = \"//\"; use crate::app;",
        ] {
            assert_eq!(imports("src/as2/open.rs", bad).len(), 1, "{bad}");
        }
    }

    #[test]
    fn on_sideways_imports() {
        assert_eq!(imports("src/inbound/mod.rs", "use crate::outbound::send;").len(), 1);
        assert_eq!(imports("src/as2/mod.rs", "use crate::declaration::envelope;").len(), 1);
        assert_eq!(imports("src/testbed.rs", "use super::console;").len(), 1);
    }

    #[test]
    fn but_not_on_imports_from_below_or_from_itself() {
        for good in [
            "use crate::{cms::Digests, mime};",
            "use crate::as2::mic::Mic; pub(crate) fn f() {}",
            "use super::store; mod inner { use super::super::mic; } mod tests { use super::*; use super::super::mic; }",
            "// use crate::store\n/* crate::cli /* nested */ */ const A: &str = r#\"crate::app\"#; const B: char = '\"';",
            "fn f<'a>(x: &'a str) -> Text { crate::bilingual!(\"a\", \"b\") }",
        ] {
            assert_eq!(imports("src/as2/open.rs", good), Vec::<String>::new(), "{good}");
        }
    }

    #[test]
    fn on_crates_outside_their_seam() {
        assert_eq!(crates("src/store/mod.rs", "use sled::Tree;").len(), 1);
        assert_eq!(crates("src/app.rs", "fn f(_: ::hyper::Body) {}").len(), 1);
        assert_eq!(crates("src/app.rs", "use sled as s;").len(), 1);
        assert_eq!(crates("src/store/db.rs", "use sled::Tree;"), Vec::<String>::new());
        assert_eq!(crates("src/app.rs", "let sled = 1; error::hyper::x();"), Vec::<String>::new());
    }

    #[test]
    fn on_io_and_async_in_the_core_but_not_in_its_tests() {
        assert_eq!(pure("src/mime/mod.rs", "async fn f() {}").len(), 1);
        assert_eq!(pure("src/cms/ber.rs", "use std::fs::File;").len(), 1);
        assert_eq!(pure("src/cms/ber.rs", "#[cfg(test)] mod tests { use std::fs; } fn f() {}"), Vec::<String>::new());
    }

    #[test]
    fn on_proofs_minted_elsewhere() {
        let minting = "fn f() { processed(&opened, &Stored::assertion()) }";
        assert_eq!(proofs("src/inbound/reply.rs", minting).len(), 1);
        assert_eq!(proofs("src/inbound/publish.rs", minting), Vec::<String>::new());
        assert_eq!(proofs("src/as2/open.rs", &format!("#[cfg(test)] mod t {{ {minting} }}")), Vec::<String>::new());
    }

    #[test]
    fn on_vague_names() {
        assert!(is_vague("src/http/util.rs") && is_vague("src/common/mod.rs"));
        assert!(!is_vague("src/utility_bill.rs"));
    }
}
