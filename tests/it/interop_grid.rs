//! The interop grid (`grid`) with every peer, in both directions. What a peer cannot do stands in `grid::known` with the reason, and
//! fails the test when it passes all the same or fails otherwise than stated there; so does every other cell that does not pass.
//!
//! `cargo test` runs cells in which every two settings meet; `tests/interop.sh` runs all and writes `docs/interop.md`.

use std::time::Instant;

use serde_json::Value;

use crate::grid::cells::{Cell, algorithms, permutations, representative};
use crate::grid::known::{self, Known, Limit};
use crate::grid::peer::{Kind, Peer, Program};
use crate::grid::run::{self, Outcome};
use crate::grid::table::{self, Shown};
use crate::support::keys;

#[test]
fn pyas2lib_takes_what_we_send() {
    with_program(Kind::Pyas2lib, |peer, grid| grid.ours_to(peer, Kind::Pyas2lib));
}

#[test]
fn we_take_what_pyas2lib_sends() {
    with_program(Kind::Pyas2lib, |peer, grid| grid.to_ours(peer, Kind::Pyas2lib));
}

#[test]
fn django_pyas2_takes_what_we_send() {
    with_program(Kind::DjangoPyas2, |peer, grid| grid.ours_to(peer, Kind::DjangoPyas2));
}

#[test]
fn we_take_what_django_pyas2_sends() {
    with_program(Kind::DjangoPyas2, |peer, grid| grid.to_ours(peer, Kind::DjangoPyas2));
}

#[test]
fn libas2_takes_what_we_send() {
    with_program(Kind::Libas2, |peer, grid| grid.ours_to(peer, Kind::Libas2));
}

#[test]
fn we_take_what_libas2_sends() {
    with_program(Kind::Libas2, |peer, grid| grid.to_ours(peer, Kind::Libas2));
}

#[test]
fn openssl_takes_what_we_send() {
    with_program(Kind::OpenSsl, |peer, grid| grid.ours_to(peer, Kind::OpenSsl));
}

#[test]
fn we_take_what_openssl_sends() {
    with_program(Kind::OpenSsl, |peer, grid| grid.to_ours(peer, Kind::OpenSsl));
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
        ("encrypted with Triple DES, no waiver", Cell { encrypt: "3des-cbc", ..usual.clone() }, UNIFORMLY),
        ("encrypted with RC2, no waiver", Cell { encrypt: "rc2-cbc", ..usual.clone() }, UNIFORMLY),
        ("signed with MD5, no waiver", Cell { digest: "md5", ..usual }, NO_SUCH_MIC),
    ];
    let cells: Vec<Cell> = cases.iter().map(|case| case.1.clone()).collect();
    for kind in [Kind::Pyas2lib, Kind::DjangoPyas2, Kind::Libas2, Kind::OpenSsl] {
        let Some(mut peer) = Program::start(kind, &["theirs".to_owned()]) else { continue };
        let mut rows = Vec::new();
        for ((what, cell, expected), result) in cases.iter().zip(run::refusals(&mut peer, &cells)) {
            let declines = result["cannot"].as_str().map(|why| Limit::Declines(why.to_owned()));
            assert_eq!(declines, known::sends(kind)(cell), "{}: {what}: {result}", peer.name());
            if declines.is_none() {
                let told = told(&result);
                assert!(told.contains(expected), "{}: {what}: {result}", peer.name());
                rows.push((*what, (*expected).to_owned()));
            }
        }
        table::write_refusals(&format!("{}-3", kind.name()), &peer.name(), &rows);
    }
}

const PLAINLY: &str = "processed/error: insufficient-message-security";
const UNIFORMLY: &str = "processed/error: decryption-failed";
/// A receipt is asked for in MD5 alone, which is not allowed either: that is seen first.
const NO_SUCH_MIC: &str = "failed/Failure: unsupported MIC-algorithms";

/// Disposition and detail, wherever the peer has put the words.
fn told(result: &Value) -> String {
    ["disposition", "detail"].iter().filter_map(|field| result[*field].as_str()).collect::<Vec<_>>().join(" ")
}

#[test]
fn the_figures_of_the_document_are_what_the_peers_are_known_to_do() {
    for (kind, sent, received) in known::PASSES {
        let (name, grid) = (kind.name(), Grid::full(key_transport(kind)));
        let of_ours = (format!("dxgate → {name} "), grid.written(), known::takes(kind), sent);
        let of_theirs = (format!("{name} "), grid, known::sends(kind), received);
        for (title, grid, known, passes) in [of_ours, of_theirs] {
            assert_eq!(grid.expected(known), passes, "{title}");
            // The run that writes the document may change it.
            if table::folder().is_none() {
                let figures = format!("{passes} of {} cells pass; the others the peer cannot.", grid.cells().len());
                assert_eq!(figures_of(&title), figures, "docs/interop.md, {title}");
            }
        }
    }
}

/// The sentence under the first heading of `docs/interop.md` that begins with this and is not about EC keys.
fn figures_of(title: &str) -> &'static str {
    let document = include_str!("../../docs/interop.md");
    let mut sections = document.split("\n## ").filter_map(|section| section.split_once("\n\n"));
    let section = sections.find(|(heading, _)| heading.starts_with(title) && !heading.contains(", P-"));
    section.and_then(|(_, text)| text.lines().next()).unwrap_or("no such section")
}

// ---- running ----

/// The cells of one run.
struct Grid {
    permutations: Vec<Cell>,
    algorithms: Vec<Cell>,
}

fn with_program(kind: Kind, run: impl FnOnce(&mut dyn Peer, &Grid)) {
    let grid = Grid::new(key_transport(kind));
    let names: Vec<String> = std::iter::once("theirs".to_owned()).chain(grid.receivers()).collect();
    if let Some(mut peer) = Program::start(kind, &names) {
        run(&mut peer, &grid);
    }
}

/// How the peer wants content keys.
fn key_transport(kind: Kind) -> &'static str {
    if kind == Kind::Libas2 { "rsa-oaep-sha512" } else { "rsa-pkcs1" }
}

impl Grid {
    fn full(transport: &'static str) -> Grid {
        Grid { permutations: permutations(transport), algorithms: algorithms() }
    }

    fn new(transport: &'static str) -> Grid {
        let full = Grid::full(transport);
        if table::folder().is_some() {
            return full;
        }
        let mut few = representative(full.cells());
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

    /// The cells that we send.
    fn written(&self) -> Grid {
        let written = |cells: &[Cell]| cells.iter().filter(|cell| cell.is_written()).cloned().collect();
        Grid { permutations: written(&self.permutations), algorithms: written(&self.algorithms) }
    }

    /// How many cells pass.
    fn expected(&self, known: Known) -> usize {
        self.cells().iter().filter(|cell| known(cell).is_none()).count()
    }

    fn receivers(&self) -> Vec<String> {
        (0..self.cells().len()).map(run::receiver).collect()
    }

    fn ours_to(&self, peer: &mut dyn Peer, kind: Kind) {
        let start = Instant::now();
        let sent = self.written();
        let outcomes = run::ours_to(peer, &sent.cells(), keys::rsa());
        let title = format!("dxgate → {}", peer.name());
        sent.judge(&title, &format!("{}-1", kind.name()), outcomes, known::takes(kind), start);
    }

    fn to_ours(&self, peer: &mut dyn Peer, kind: Kind) {
        let start = Instant::now();
        let outcomes = run::to_ours(peer, &self.cells(), keys::rsa());
        let title = format!("{} → dxgate", peer.name());
        self.judge(&title, &format!("{}-2", kind.name()), outcomes, known::sends(kind), start);
    }

    fn judge(&self, title: &str, file: &str, outcomes: Vec<Outcome>, known: Known, start: Instant) {
        let mut surprises = Vec::new();
        let mut shown = Vec::new();
        for (cell, outcome) in self.cells().into_iter().zip(outcomes) {
            match known::judge(outcome, known(&cell)) {
                Ok(is) => shown.push((cell, is)),
                Err(surprise) => surprises.push(format!("{cell:?}\n    {surprise}")),
            }
        }
        let passed = shown.iter().filter(|(_, is)| *is == Shown::Pass).count();
        println!("{title}: {passed} pass, {} cannot, {:?}", shown.len() - passed, start.elapsed());
        assert!(surprises.is_empty(), "{title}: {} surprises\n{}", surprises.len(), surprises.join("\n"));
        assert_eq!((shown.len(), passed), (self.cells().len(), self.expected(known)), "{title}");
        let (permutations, algorithms) = shown.split_at(self.permutations.len());
        table::write(file, title, permutations, algorithms);
    }
}
