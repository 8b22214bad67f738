//! The interop grid (`grid`) with every peer, in both directions, and what is known of the peers: a cell that a peer
//! cannot do is named here with the reason, and fails the test when it passes all the same.
//!
//! `cargo test` runs cells in which every two settings meet; `tests/interop.sh` runs all and writes `docs/interop.md`.

use std::time::Instant;

use serde_json::Value;

use crate::grid::cells::{Cell, algorithms, permutations, representative};
use crate::grid::peer::{Kind, Peer, Program};
use crate::grid::run::{self, Outcome};
use crate::grid::table::{self, Shown};
use crate::support::keys;

/// Why a peer cannot do a cell, if it is known.
type Known = fn(&Cell) -> Option<&'static str>;

#[test]
fn pyas2lib_takes_what_we_send() {
    with_program(Kind::Pyas2lib, |peer, grid| grid.ours_to(peer, "pyas2lib", pyas2_takes));
}

#[test]
fn we_take_what_pyas2lib_sends() {
    with_program(Kind::Pyas2lib, |peer, grid| grid.to_ours(peer, "pyas2lib", nothing_known));
}

#[test]
fn django_pyas2_takes_what_we_send() {
    with_program(Kind::DjangoPyas2, |peer, grid| grid.ours_to(peer, "django-pyas2", django_takes));
}

#[test]
fn we_take_what_django_pyas2_sends() {
    with_program(Kind::DjangoPyas2, |peer, grid| grid.to_ours(peer, "django-pyas2", nothing_known));
}

#[test]
fn libas2_takes_what_we_send() {
    with_program(Kind::Libas2, |peer, grid| grid.ours_to(peer, "libas2", libas2_takes));
}

#[test]
fn we_take_what_libas2_sends() {
    with_program(Kind::Libas2, |peer, grid| grid.to_ours(peer, "libas2", nothing_known));
}

#[test]
fn openssl_takes_what_we_send() {
    with_program(Kind::OpenSsl, |peer, grid| grid.ours_to(peer, "openssl", openssl_takes));
}

#[test]
fn we_take_what_openssl_sends() {
    with_program(Kind::OpenSsl, |peer, grid| grid.to_ours(peer, "openssl", nothing_known));
}

#[test]
fn what_is_not_agreed_is_refused_whoever_sends_it() {
    let usual = Cell::usual("rsa-pkcs1");
    let oaep = Cell::usual("rsa-oaep-sha512");
    let cases = [
        ("neither signed nor encrypted", Cell { sign: "none", encrypt: "none", ..usual.clone() }, PLAINLY),
        ("not encrypted", Cell { encrypt: "none", ..usual.clone() }, PLAINLY),
        ("not signed, in an envelope without integrity", Cell { sign: "none", ..usual.clone() }, UNIFORMLY),
        ("not signed, in an envelope without integrity, RSA-OAEP", Cell { sign: "none", ..oaep.clone() }, UNIFORMLY),
        ("signed with SHA-1, no waiver", Cell { digest: "sha-1", ..usual.clone() }, PLAINLY),
        ("signed with SHA-1, no waiver, RSA-OAEP", Cell { digest: "sha-1", ..oaep }, PLAINLY),
        ("encrypted with Triple DES, no waiver", Cell { encrypt: "3des-cbc", ..usual }, UNIFORMLY),
    ];
    let cells: Vec<Cell> = cases.iter().map(|case| case.1.clone()).collect();
    for kind in [Kind::Pyas2lib, Kind::DjangoPyas2, Kind::Libas2, Kind::OpenSsl] {
        let Some(mut peer) = Program::start(kind, &["theirs".to_owned()]) else { continue };
        let mut rows = Vec::new();
        for ((what, _, expected), result) in cases.iter().zip(run::refusals(&mut peer, &cells)) {
            if !result["cannot"].is_string() {
                let told = told(&result);
                assert!(told.contains(expected), "{}: {what}: {result}", peer.name());
                rows.push((*what, format!("processed/error: {expected}")));
            }
        }
        assert!(rows.len() > 2, "{}: {rows:?}", peer.name());
        table::write_refusals(&format!("{}-3", kind.name()), &peer.name(), &rows);
    }
}

const PLAINLY: &str = "insufficient-message-security";
const UNIFORMLY: &str = "decryption-failed";

/// Disposition and detail, wherever the peer has put the words.
fn told(result: &Value) -> String {
    ["disposition", "detail"].iter().filter_map(|field| result[*field].as_str()).collect::<Vec<_>>().join(" ")
}

// ---- what is known of the peers ----

fn nothing_known(_: &Cell) -> Option<&'static str> {
    None
}

fn pyas2_takes(cell: &Cell) -> Option<&'static str> {
    if cell.encrypt.ends_with("gcm") {
        return Some("pyas2lib has no AES-GCM");
    }
    let other = cell.encrypted() && !["rsa-pkcs1", "rsa-oaep-sha1"].contains(&cell.key_transport);
    other.then_some("pyas2lib reads RSA-OAEP with SHA-1 only")
}

fn django_takes(cell: &Cell) -> Option<&'static str> {
    if cell.encrypt.ends_with("gcm") {
        return Some("pyas2lib, on which it stands, has no AES-GCM");
    }
    let other = cell.encrypted() && cell.key_transport != "rsa-pkcs1";
    other.then_some("the pyas2lib 1.4.3 on which it stands reads RSA PKCS #1 v1.5 only")
}

fn libas2_takes(cell: &Cell) -> Option<&'static str> {
    if cell.compressed() {
        return Some("libas2 does not decompress");
    }
    if cell.encrypt.ends_with("gcm") && cell.gcm_form != "enveloped-bare-nonce" {
        return Some("libas2 reads AES-GCM in EnvelopedData with a bare nonce only");
    }
    if cell.encrypted() && cell.key_transport == "rsa-pkcs1" {
        return Some("Node.js refuses to decrypt RSA PKCS #1 v1.5");
    }
    (cell.sign == "rsa-pss").then_some("libas2 does not verify RSA-PSS")
}

fn openssl_takes(cell: &Cell) -> Option<&'static str> {
    if cell.compressed() {
        return Some("Debian's openssl is built without zlib");
    }
    (cell.gcm_form != "auth-enveloped").then_some("openssl refuses AES-GCM in EnvelopedData")
}

// ---- running ----

/// The cells of one run.
struct Grid {
    permutations: Vec<Cell>,
    algorithms: Vec<Cell>,
}

fn with_program(kind: Kind, run: impl FnOnce(&mut dyn Peer, &Grid)) {
    let transport = if kind == Kind::Libas2 { "rsa-oaep-sha512" } else { "rsa-pkcs1" };
    let grid = Grid::new(transport);
    let names: Vec<String> = std::iter::once("theirs".to_owned()).chain(grid.receivers()).collect();
    if let Some(mut peer) = Program::start(kind, &names) {
        run(&mut peer, &grid);
    }
}

impl Grid {
    fn new(transport: &'static str) -> Grid {
        let (permutations, algorithms) = (permutations(transport), algorithms());
        if table::folder().is_some() {
            return Grid { permutations, algorithms };
        }
        let mut few = representative(permutations.iter().chain(&algorithms).cloned().collect());
        // What most partners agree on.
        for mdn in ["sync", "async"] {
            let usual = Cell { mdn, ..Cell::usual(transport) };
            if !few.contains(&usual) {
                few.push(usual);
            }
        }
        Grid { permutations: few, algorithms: Vec::new() }
    }

    fn cells(&self) -> Vec<Cell> {
        self.permutations.iter().chain(&self.algorithms).cloned().collect()
    }

    fn receivers(&self) -> Vec<String> {
        (0..self.cells().len()).map(run::receiver).collect()
    }

    fn ours_to(&self, peer: &mut dyn Peer, file: &str, known: Known) {
        let start = Instant::now();
        let written = |cells: &[Cell]| cells.iter().filter(|cell| cell.is_written()).cloned().collect();
        let sent = Grid { permutations: written(&self.permutations), algorithms: written(&self.algorithms) };
        let outcomes = run::ours_to(peer, &sent.cells(), keys::rsa());
        let title = format!("dxgate → {}", peer.name());
        sent.judge(&title, &format!("{file}-1"), outcomes, known, start);
    }

    fn to_ours(&self, peer: &mut dyn Peer, file: &str, known: Known) {
        let start = Instant::now();
        let outcomes = run::to_ours(peer, &self.cells(), keys::rsa());
        let title = format!("{} → dxgate", peer.name());
        self.judge(&title, &format!("{file}-2"), outcomes, known, start);
    }

    fn judge(&self, title: &str, file: &str, outcomes: Vec<Outcome>, known: Known, start: Instant) {
        let mut surprises = Vec::new();
        let mut shown = Vec::new();
        for (cell, outcome) in self.cells().into_iter().zip(outcomes) {
            let is = match (outcome, known(&cell)) {
                (Outcome::Pass, None) => Shown::Pass,
                (Outcome::Cannot(why), _) => Shown::Cannot(why),
                (Outcome::Wrong(_), Some(why)) => Shown::Cannot(why.to_owned()),
                (surprise, known) => {
                    surprises.push(format!("{cell:?}\n    {surprise:?}, known: {known:?}"));
                    continue;
                }
            };
            shown.push((cell, is));
        }
        let passed = shown.iter().filter(|(_, is)| *is == Shown::Pass).count();
        println!("{title}: {passed} pass, {} cannot, {:?}", shown.len() - passed, start.elapsed());
        assert!(surprises.is_empty(), "{title}: {} surprises\n{}", surprises.len(), surprises.join("\n"));
        assert!(passed > 0, "{title}");
        let (permutations, algorithms) = shown.split_at(self.permutations.len());
        table::write(file, title, permutations, algorithms);
    }
}
