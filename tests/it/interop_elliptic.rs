//! The interop grid between EC keys on P-256 and P-384: ECDSA and ECDH with the `openssl` program, in both directions. No
//! other peer of the grid knows them.

use crate::grid::cells::{Cell, elliptic, representative};
use crate::grid::peer::{Kind, Peer as _, Program};
use crate::grid::run::{self, Outcome};
use crate::grid::table::{self, Shown};
use crate::support::keys::{self, Pair};

#[test]
fn openssl_takes_what_we_sign_and_encrypt_with_elliptic_keys() {
    for (curve, keys) in [("P-256", keys::p256()), ("P-384", keys::p384())] {
        let cells: Vec<Cell> = cells().into_iter().filter(Cell::is_written).collect();
        let mut peer = openssl(&cells, keys);
        let outcomes = run::ours_to(&mut peer, &cells, keys);
        judge(curve, 1, &format!("dxgate → {}, {curve}", peer.name()), cells, outcomes);
    }
}

#[test]
fn we_take_what_openssl_signs_and_encrypts_with_elliptic_keys() {
    for (curve, keys) in [("P-256", keys::p256()), ("P-384", keys::p384())] {
        let cells = cells();
        let mut peer = openssl(&cells, keys);
        let outcomes = run::to_ours(&mut peer, &cells, keys);
        judge(curve, 2, &format!("{}, {curve} → dxgate", peer.name()), cells, outcomes);
    }
}

fn cells() -> Vec<Cell> {
    if table::folder().is_some() { elliptic() } else { representative(elliptic()) }
}

fn openssl(cells: &[Cell], keys: Pair) -> Program {
    let names: Vec<String> = std::iter::once("theirs".to_owned()).chain((0..cells.len()).map(run::receiver)).collect();
    Program::start_with(Kind::OpenSsl, &names, keys).unwrap()
}

/// Every cell passes.
fn judge(curve: &str, direction: u8, title: &str, cells: Vec<Cell>, outcomes: Vec<Outcome>) {
    let (mut shown, mut wrong) = (Vec::new(), Vec::new());
    for (cell, outcome) in cells.into_iter().zip(outcomes) {
        match outcome {
            Outcome::Pass => shown.push((cell, Shown::Pass)),
            other => wrong.push(format!("{cell:?}\n    {other:?}")),
        }
    }
    println!("{title}: {} pass", shown.len());
    assert!(wrong.is_empty(), "{title}: {} of {}\n{}", wrong.len(), wrong.len() + shown.len(), wrong.join("\n"));
    assert!(shown.len() >= 15, "{title}");
    let curve = curve.replace('-', "").to_lowercase();
    table::write_elliptic(&format!("openssl-5-{curve}-{direction}"), title, &shown);
}
